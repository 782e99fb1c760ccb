"""Hours of a station's reports that are due and have no row, and why: from the days' ledgers and from the rows.

What belongs here: which hours these are. What does not: reading days (`reports`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from api.v1.dwd.archive import LedgerView
from api.v1.dwd.models import MissingHours, MissingReason
from api.v1.dwd.runs import REPORTS
from dwd_assets.formats.spelling import station_key
from store import keys
from store.dwd.ledger import Ledger

DUE = timedelta(hours=2)
"""How long after its hour a report may take to be on the server and in the archive; before that it is not missing."""

HOLE = "no report covers"
"""How a warning of a day's ledger begins that reports hours which were gone before they were fetched."""

AN_HOUR = timedelta(hours=1)

_TIME = re.compile(r"(after|before) (\d{4}-\d\d-\d\d \d\d:\d\d)", re.ASCII)
_OTHERS = "and others"
"""How the list of stations of such a warning ends that does not name all of them."""


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of a station's day: its ledger, the hours that have a row, and why its file cannot be read."""

    day: date
    view: LedgerView
    hours: Collection[datetime] = frozenset()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Reason:
    reason: MissingReason
    detail: str
    day: date | None = None


def missing_hours(
    station: str, known: Iterable[Day], first: datetime, last: datetime, base: str
) -> list[MissingHours]:
    """The hours from `first` to `last` (UTC, whole hours, both included) without a row, in order.

    station: by `station_key`. known: days that have a ledger, in order.
    """
    found = []
    for reason, group in groupby(_reasons(station, known, first, last), key=lambda each: each[1]):
        spans = [span for span, _ in group]
        if reason is not None:
            found.append(_shown(reason, spans[0][0], spans[-1][1], base))
    return found


def _shown(reason: _Reason, start: datetime, end: datetime, base: str) -> MissingHours:
    href = None if reason.day is None else f"{base}/runs/{REPORTS}/{keys.day_name(reason.day)}"
    return MissingHours(start=start, end=end, reason=reason.reason, detail=reason.detail, ledger_href=href)


def _reasons(
    station: str, known: Iterable[Day], first: datetime, last: datetime
) -> Iterator[tuple[tuple[datetime, datetime], _Reason | None]]:
    """Spans of hours from `first` to `last` without a gap, each with why it has no row; None if it has."""
    at = first
    for day in known:
        begin = datetime.combine(day.day, time(), UTC)
        if begin > last:
            break
        if at < begin:
            yield (at, begin - AN_HOUR), _NO_LEDGER
        at = max(at, begin)
        while at <= last and at.date() == day.day:
            yield (at, at), None if at in day.hours else _reason(station, day, at)
            at += AN_HOUR
    if at <= last:
        yield (at, last), _NO_LEDGER


_NO_LEDGER = _Reason("no_ledger", "the archive has no ledger of these days")


def _reason(station: str, day: Day, hour: datetime) -> _Reason:
    """Why a day that has a ledger has no row of an hour."""
    ledger = day.view.ledger
    for line in ledger.warnings:
        if _covers(line, station, hour):
            return _Reason("not_fetched", line, day.day)
    if day.fault is not None:
        return _Reason("unreadable", day.fault, day.day)
    path = day.view.by_station.get(station)
    expected = day.view.missing_by_station.get(station)
    failed = ledger.failed.get(path or expected or "")
    if failed is not None:
        return _Reason("failed", failed.reason, day.day)
    if path is None and expected is None:
        return _Reason("not_listed", "the day's ledger has no file of the station and expects none", day.day)
    if path is None:
        return _Reason("not_kept", "the day's file is expected and not kept", day.day)
    return _no_row(ledger, day.day, hour)


def _no_row(ledger: Ledger, day: date, hour: datetime) -> _Reason:
    looked_at = ledger.looked_at
    if looked_at is not None and looked_at < hour + AN_HOUR:
        return _Reason("not_kept", f"the archive looked at the day last at {looked_at:%Y-%m-%dT%H:%MZ}", day)
    return _Reason("no_row", "the day's file has no row of these hours", day)


def _covers(line: str, station: str, hour: datetime) -> bool:
    """Whether a warning of a ledger says that no report covers a station's hour.

    A warning that does not name all of its stations may mean any station.
    """
    if not line.startswith(HOLE):
        return False
    times = {
        word: datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        for word, text in _TIME.findall(line)
    }
    is_within = times.get("after", hour - AN_HOUR) < hour < times.get("before", hour + AN_HOUR)
    named = {station_key(word) for word in re.findall(r"[A-Z0-9_]+", line.rpartition("UTC:")[2])}
    return is_within and (station in named or line.endswith(_OTHERS))
