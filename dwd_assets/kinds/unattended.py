"""That every period of a collection has a ledger: one of which nobody took notice while the server had it is lost too.

What is owed begins with the first period of which anything is kept, as that was when it was first asked for: a later
backfill of earlier periods does not make the archive begin earlier.

What belongs here: finding periods without a ledger, and beginning theirs. What does not: telling Dagster of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import GRACE, UNATTENDED
from store import cas, keys
from store.dwd import ledger
from store.dwd.ledger import Ledger
from store.kinds import learned
from store.objects import ObjectMissing, Store

if TYPE_CHECKING:
    from dwd_assets.kinds.table import Collection

MOST_AT_ONCE = 24
"""Ledgers begun by one look, which a sensor has a minute for: more are for the next ones."""


@learned
class Followed(msgspec.Struct, frozen=True):
    """since: the period that a collection begins with. seen_to: the last one that was seen to have a ledger."""

    since: str
    seen_to: str


def read_followed(store: Store, collection: str) -> Followed | None:
    """Since when a collection is followed, none where nothing of it was kept yet. Raises `StoreError`."""
    try:
        return _decoded(store.get(keys.ledgers_followed(collection)).data)
    except ObjectMissing:
        return None


def begin_unattended(office: Office, collection: Collection, now: datetime) -> tuple[str, ...]:
    """Begin the ledgers of periods whose deadline passed without one; gives those periods, the oldest first.

    Not more than `MOST_AT_ONCE` are looked at. Raises `StoreError`.
    """
    known = read_followed(office.store, collection.name) or _first(office.store, collection.name)
    if known is None:
        return ()
    over = [
        period
        for period in collection.periods_between(known.seen_to, now)
        if known.seen_to < period and collection.deadline(office, period) <= now
    ][:MOST_AT_ONCE]
    begun = tuple(period for period in over if _begun(office, collection, period))
    _tell(office.store, collection.name, msgspec.structs.replace(known, seen_to=max((known.seen_to, *over))))
    return begun


def _begun(office: Office, collection: Collection, period: str) -> bool:
    """Begin a period's ledger where it has none; whether it had none."""
    if ledger.read_summary(office.store, collection.name, period) is not None:
        return False
    missing, is_all = collection.unattended(office, period)
    deadline = collection.deadline(office, period)
    began = False

    def change(before: Ledger) -> Ledger:
        nonlocal began
        began = not before.revision
        if not began:
            return before
        return msgspec.structs.replace(
            before,
            deadline=deadline,
            given_up=deadline + GRACE,
            expects_more=not is_all,
            missing=tuple(sorted(missing)),
            warnings=(UNATTENDED,),
        )

    ledger.update(office.store, collection.name, period, change)
    return began


def _first(store: Store, collection: str) -> Followed | None:
    """What to begin with: the first period of which anything is kept."""
    for info in store.list(keys.ledger_summaries_prefix(collection)):
        period = info.key.rpartition("/")[2].removesuffix(".json")
        known = ledger.read_summary(store, collection, period)
        if known is not None and known.kept:
            return Followed(period, period)
    return None


def _tell(store: Store, collection: str, now: Followed) -> None:
    """Write what is known, unless another look came further."""

    def later(before: bytes | None) -> bytes | None:
        told = None if before is None else _decoded(before)
        return None if told is not None and told.seen_to >= now.seen_to else msgspec.json.encode(now)

    cas.update(store, keys.ledgers_followed(collection), later)


def _decoded(data: bytes) -> Followed | None:
    """What was written; none where it is damaged, and is found out anew."""
    try:
        return msgspec.json.decode(data, type=Followed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
