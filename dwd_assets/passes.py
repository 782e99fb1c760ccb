"""`dwd fetch`: passes over periods of a collection, by the same functions that Dagster runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from dwd_assets import mending, model_runs
from dwd_assets.collections import (
    DAYS,
    HOURS,
    REPORTS,
    Collection,
    begin,
    model_collection,
    mosmix_collection,
    reports_collection,
)
from dwd_assets.formats.paths import MosmixProduct
from dwd_assets.office import Log, Office
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.progress import Done
from dwd_assets.selection import Selection, parse_row
from dwd_assets.settings import DwdSettings
from dwd_assets.status import verdict
from store.ledger import State

FAULT, LOST = 1, 4
EXIT_STATUS: dict[State, int] = {"complete": 0, "unseen": 0, "waiting": 3, "partial": 3, "lost": LOST}
"""What a shell is told of a period."""

_MOSMIX: dict[str, MosmixProduct] = {"mosmix-l": "L", "mosmix-s": "S"}
_ANY_FOLDER = "/weather/"
_DEFAULT_LEVELS = "single,time-invariant"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a command line asks of a model, in place of what the settings do; see `dwd_assets.selection`."""

    parameters: str | None = None
    levels: str | None = None
    hours: str | None = None

    def of(self, model: str) -> Selection | None:
        """The selection that it is, none where nothing was asked for. Raises `ValueError`."""
        if self == Narrowed():
            return None
        hours = f"/{self.hours}" if self.hours else ""
        return Selection(
            (parse_row(f"{model}/{self.levels or _DEFAULT_LEVELS}/{self.parameters or '*'}{hours}"),)
        )


def chosen(name: str, settings: DwdSettings, narrowed: Narrowed, *, recheck: bool) -> Collection:
    """The collection of a name, whether or not the settings ask for it.

    Raises `ValueError` for a name that is none, a model of which no field is asked for, and where what only models
    have is asked of another one.
    """
    if name in {REPORTS, *_MOSMIX}:
        if recheck or narrowed != Narrowed():
            raise ValueError(f"{name} has no fields to choose from or to check again")
        return reports_collection(settings) if name == REPORTS else mosmix_collection(_MOSMIX[name], settings)
    wanted = narrowed.of(name)
    if wanted is None and name not in settings.selection.models:
        raise ValueError(
            f"{name} is neither in DWD_FIELDS nor {REPORTS}, {' or '.join(_MOSMIX)}: name --param"
        )
    return replace(
        model_collection(name, settings),
        archive=lambda office, period, log: (
            model_runs.archive_run(office, name, begin(period), log, wanted, recheck=recheck),
        ),
    )


def named(name: str, settings: DwdSettings) -> Collection:
    """The collection of a name, whether or not the settings ask for it; what is no other one is a model."""
    if name == REPORTS:
        return reports_collection(settings)
    return mosmix_collection(_MOSMIX[name], settings) if name in _MOSMIX else model_collection(name, settings)


def checked(collection: Collection, period: str) -> str:
    """The period, if the collection has such a one. Raises `ValueError`."""
    starts = begin(period)
    if starts.strftime(collection.spelling) != period:
        spelled = {HOURS: "YYYYMMDDHH", DAYS: "YYYYMMDD"}[collection.spelling]
        raise ValueError(f"{period!r} is no period of {collection.name}, which are {spelled}")
    if collection.hours is not None and starts.hour not in collection.hours:
        hours = ", ".join(f"{hour:02d}" for hour in collection.hours)
        raise ValueError(f"{collection.name} has nothing of {starts:%H} UTC; its hours are {hours}")
    return period


def fetch(office: Office, collection: Collection, period: str | None, log: Log, complain: Log) -> int:
    """One pass over a period, or over each that is due; gives the exit status.

    That a period cannot be fetched is told to `complain`, and the next one begun. Raises `StoreError` (`BelowFloor`
    too), and `OpendataError` where the server does not tell what is due.
    """
    unread: list[str] = []
    periods = [period] if period else _due(office, collection, log, unread.append)
    for line in unread:
        complain(f"{collection.name}: {line}")
    if not periods:
        # That no run is due is also what comes of a server that does not answer.
        office.client.look(_ANY_FOLDER)
        log(f"{collection.name}: nothing is due")
        return FAULT if unread else 0
    statuses = [_passed(office, collection, each, log, complain) for each in periods]
    statuses += [FAULT] if unread else []
    if len(periods) > 1:
        log(f"{collection.name}: {len(periods)} periods, {statuses.count(0)} of them complete")
    return FAULT if FAULT in statuses else max(statuses)


def _due(office: Office, collection: Collection, log: Log, unread: Log) -> list[str]:
    """The periods that are due, the one that the server deletes first before the others."""
    deadline = partial(collection.deadline, office)
    due = mending.mended(office, deadline, log, lambda: collection.due(office, office.clock(), unread))
    return [each.period for each in due]


def _passed(office: Office, collection: Collection, period: str, log: Log, complain: Log) -> int:
    """The exit status of a period, of which neighbours are told in the same pass."""
    try:
        own, *others = mending.archive(office, collection, period, log)
    except OpendataError as fault:
        complain(f"{collection.name} {period}: {fault}")
        return FAULT
    now = office.clock()
    for each in (*others, own):
        log(told(each, now))
    unread = dict.fromkeys(line for each in (*others, own) for line in each.faults)
    for line in unread:
        complain(f"{collection.name} {period}: {line}")
    if unread:
        return FAULT
    return LOST if _is_gone(own) else EXIT_STATUS[own.summary.state(now)]


def told(done: Done, now: datetime) -> str:
    """What a pass came to, in a line."""
    summary = done.summary
    if _is_gone(done):
        return (
            f"{summary.collection} {summary.period}: nothing of it is kept, and the server has no more of it"
        )
    return (
        f"{summary.collection} {summary.period}: {verdict(summary, now)}; this pass: {done.fetched} fetched, "
        f"{len(done.failed)} failed, {done.bytes_fetched / 1e6:.1f} MB, {done.requests} requests, {done.seconds:.1f} s"
    )


def _is_gone(done: Done) -> bool:
    """Whether nobody looked at a period while the server had it: of such a one no ledger is begun."""
    return done.summary.looked_at is None and not done.summary.kept
