"""When a model has runs, and how many of them the server keeps.

How many is asked: a listing of one parameter's runs (`.../p/<PARAM>/r/`), once a day, or an hour after it changed.
Before the first look, public reports of other readers stand in for it.

What belongs here: runs, and when the server deletes them. What does not: what a run has (`dwd_assets.fields.history`).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from store import keys
from store.dwd.damaged import DamagedDocument
from store.kinds import learned
from store.objects import ObjectMissing, Store

_RUN_HOURS = {
    "icon": 6,
    "icon-eps": 6,
    "icon-eu": 3,
    "icon-eu-eps": 6,
    "icon-d2": 3,
    "icon-d2-eps": 3,
    "icon-d2-ruc": 1,
    "icon-d2-ruc-eps": 1,
}
_OTHER_RUN_HOURS = 3

_REPORTED = {"icon": 4, "icon-eps": 4, "icon-eu-eps": 4, "icon-d2-ruc": 24, "icon-d2-ruc-eps": 24}
_REPORTED_ELSE = 8
"""How many runs are kept, by public reports of 2026."""

_FIRST_FILE = timedelta(minutes=44)
"""How long after its start the first file of an ICON-D2 run is there, and takes the place of one of the oldest run.

Other models take longer, so that a deadline is rather too early than too late.
"""

_LOOK_EVERY = timedelta(days=1)
_CONFIRM_AFTER = timedelta(hours=1)
"""A number that changed is looked at again so soon: a server in maintenance may list fewer runs for a while."""


def run_hours(model: str) -> int:
    """Hours between two runs of a model; for one that is not known here, few enough to miss none."""
    return _RUN_HOURS.get(model, _OTHER_RUN_HOURS)


@learned
class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many runs of a model the server keeps, and when it was asked last; None if it never was.

    changed_at: when the number was last seen to be another one. fewer: a smaller number that was seen once, and counts
    when it is seen again: runs that are given up too early are lost.
    """

    model: str
    runs: int
    looked_at: datetime | None = None
    changed_at: datetime | None = None
    fewer: int | None = None

    def deadline(self, run: datetime) -> datetime:
        """When the server deletes the first file of a run: with the first file of the run that takes its place."""
        return run + timedelta(hours=self.runs * run_hours(self.model)) + _FIRST_FILE

    def is_to_be_asked(self, now: datetime) -> bool:
        """Whether it is time to ask the server."""
        if self.looked_at is None:
            return True
        is_new = self.changed_at is not None and self.looked_at == self.changed_at
        return now - self.looked_at >= (_CONFIRM_AFTER if is_new else _LOOK_EVERY)

    def listed(self, runs: int, now: datetime) -> Retention:
        """After a listing that shows so many runs; one that shows none says nothing."""
        if not runs:
            return self
        if runs < self.runs and runs != self.fewer:
            return Retention(self.model, self.runs, now, now, runs)
        return Retention(self.model, runs, now, self.changed_at if runs == self.runs else now)


def read_retention(store: Store, model: str) -> Retention:
    """What is known of a model's runs on the server. Raises `StoreError`, `DamagedDocument` among them."""
    key = keys.retention(model)
    reported = Retention(model, _REPORTED.get(model, _REPORTED_ELSE))
    try:
        data = store.get(key).data
    except ObjectMissing:
        return reported
    try:
        return msgspec.json.decode(data, type=Retention)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        empty = msgspec.json.encode(reported)
        raise DamagedDocument(f"is not a record of retention: {fault}", key, data, empty) from fault


def write_retention(store: Store, retention: Retention) -> None:
    """Keep what a listing showed. Raises `StoreError`."""
    store.put(keys.retention(retention.model), msgspec.json.encode(retention))
