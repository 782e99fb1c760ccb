"""Archiving POI reports: what is new on the server, and bringing it into the days.

One listing tells which stations' files changed since they were merged; those alone are asked for. A file has the rows
of 25 hours and is written anew each hour, so that a pass an hour, and even one a day, loses nothing.

What belongs here: what is asked for and why, and what of it failed. What does not: merging (`dwd_assets.report_days`).
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.paths import ReportsKey, archive_path
from dwd_assets.formats.spelling import station_key
from dwd_assets.looking import LISTING_S
from dwd_assets.office import Log, Office
from dwd_assets.opendata.errors import NotYet, OpendataError, Unavailable
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_all
from dwd_assets.opendata.listing import Entry, parse_listing
from dwd_assets.opendata.messages import UNKNOWN, Body, Received, Request, Version
from dwd_assets.opendata.settling import is_settled
from dwd_assets.progress import BATCH_FILES, BATCH_S, Done, Due, noted
from dwd_assets.report_days import (
    COLLECTION,
    HOLE,
    Came,
    Tally,
    came,
    ends,
    looked_at,
    rebuild,
    recover,
    take_in,
)
from dwd_assets.settings import DwdSettings
from store import keys, ledger, report_versions
from store.ledger import Failed, Ledger, Source
from store.report_versions import FailedVersion, MergedVersion, ReportVersions

FOLDER = "/weather/weather_reports/poi/"

LONGEST_REPORT = 1 << 20
"""Bytes; a report has some seven thousand."""

GONE = "no longer on the server:"
"""How a warning of a day begins that names stations which had reports until lately."""

_NAME = re.compile(r"(?P<station>[A-Z0-9][A-Z0-9_]{0,15})-BEOB\.csv", re.ASCII)
_ID_LENGTH = 5
_AN_HOUR = timedelta(hours=1)
_A_DAY = timedelta(days=1)

_BEHIND = timedelta(hours=2)
"""A file that is older than the one that was merged, but not by so much, is that of a server that is behind."""

_LATELY = 2 * _A_DAY
_NAMED = 5


def reports_due(office: Office, now: datetime, report: Log) -> tuple[Due, ...]:
    """The day of reports that a pass would be for: today (UTC), or none where no file on the server is new.

    Its deadline is when the first row that is not merged leaves the server. One request. Raises `OpendataError`
    where there is no listing, and `StoreError`.
    """
    listed = _listed(office, LISTING_S)
    outstanding = _outstanding(office.settings, listed, report_versions.read(office.store), now)
    if not outstanding:
        return ()
    return (Due(min(outstanding.values()), COLLECTION, keys.day_name(now.date())),)


def archive_reports(
    office: Office, log: Log, *, only: frozenset[str] = frozenset(), recheck: bool = False
) -> tuple[Done, ...]:
    """Fetch all files that are new and merge them into their days; tells of yesterday, today and any other day touched.

    The earliest day comes first; today's also has what the pass cost in all. A file that does not come, or is no
    report, or has other columns than its day, is told in the ledger and costs no other file. `only`: stations that are
    asked for instead of all; what the days expect stays the same. `recheck`: what was merged is asked for again,
    unconditionally. Raises `OpendataError`
    where there is no listing, `StoreError`, and `BelowFloor`.
    """
    begun_s = time.monotonic()
    office.archive.check_floor()
    work = _Pass(office, log)
    recover(office, work.tallies, log)
    listed = _listed(office)
    known = report_versions.read(office.store)
    for day in (work.today - _A_DAY, work.today):
        work.tell(
            day,
            partial(
                _expecting, office.settings, day, listed, _gone(office.settings, listed, known, work.now)
            ),
        )
    outstanding = _outstanding(office.settings, listed, known, work.now)
    if recheck:
        outstanding = _settled(listed, work.now)
    wanted = _wanted(listed, known, _only(outstanding, only), recheck=recheck)
    batches = _batches(fetch_all(office.client, wanted, at_once=office.settings.connections))
    _beside(batches, office.archive.check_floor, lambda batch: work.take_in(batch, listed, known))
    work.saw(listed)
    return work.done(time.monotonic() - begun_s)


def rebuild_day(office: Office, day: date, log: Log) -> Done:
    """Merge a day anew from all raw reports that are kept of it; raises `StoreError`.

    It comes to what merging them one after the other in the order of their times comes to, whatever the order was.
    Nothing is fetched, and nothing that the day's files have is lost.
    """
    begun_s = time.monotonic()
    tallies: dict[date, Tally] = {}
    recover(office, tallies, log)
    rebuild(office, day, None, tallies, log)
    return replace(_done(tallies[day]), seconds=time.monotonic() - begun_s)


@dataclass(slots=True)
class _Pass:
    """One pass over the server: what was fetched, and what was done to each day."""

    office: Office
    log: Log
    tallies: dict[date, Tally] = field(default_factory=dict)
    requests: int = 1
    bytes_fetched: int = 0
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.now = self.office.clock()

    @property
    def today(self) -> date:
        return self.now.date()

    def tell(self, day: date, change: Callable[[Ledger], Ledger]) -> None:
        """Change a day's ledger."""
        look = looked_at(day, self.office.clock())
        told = ledger.update(
            self.office.store, COLLECTION, keys.day_name(day), lambda before: look(change(before))
        )
        self.tallies.setdefault(day, Tally(told)).ledger = told

    def take_in(self, batch: Sequence[Outcome], listed: Mapping[str, Entry], known: ReportVersions) -> None:
        """Merge what came of some files, then tell what failed and what is known now."""
        self.requests += len(batch)
        arrived: list[Came] = []
        failed: dict[str, Failed] = {}
        for outcome in batch:
            station = _station(outcome.wanted.request.path)
            one = self._read(station, outcome, failed)
            if one is not None:
                arrived.append(one)
        if arrived:
            take_in(self.office, arrived, self.tallies, self.log)
        self._tell_failed(failed)
        self._tell_holes(arrived, known)
        self._know(arrived, failed, listed)

    def saw(self, listed: Mapping[str, Entry]) -> None:
        """Tell of which stations the server had nothing that is not merged."""

        def change(before: ReportVersions) -> ReportVersions:
            merged = dict(before.merged)
            for station, entry in listed.items():
                version = merged.get(station)
                if version is not None and not _is_new(entry, version):
                    merged[station] = msgspec.structs.replace(version, seen_at=self.now)
            return ReportVersions(merged, before.failed)

        report_versions.update(self.office.store, change)

    def done(self, seconds: float) -> tuple[Done, ...]:
        """What the pass came to, a day each; today's has the costs."""
        written = sum(tally.written for tally in self.tallies.values())
        failures = sum(len(tally.failed) for tally in self.tallies.values())
        self.log(
            f"reports: {self.requests} requests, {written} day files written, {failures} failures, {seconds:.1f} s"
        )
        own = {day: _done(tally) for day, tally in sorted(self.tallies.items())}
        own[self.today] = replace(
            own[self.today], requests=self.requests, bytes_fetched=self.bytes_fetched, seconds=seconds
        )
        return tuple(own.values())

    def _read(self, station: str, outcome: Outcome, failed: dict[str, Failed]) -> Came | None:
        """The report that came, none where none did; what was wrong is noted in `failed` by station."""
        result = outcome.result
        if isinstance(result, OpendataError) and not isinstance(result, NotYet):
            failed[station] = Failed(str(result), self.office.clock())
        if not isinstance(result, Body):
            return None
        self.bytes_fetched += len(result.data)
        source = self._source(result.received)
        try:
            one = came(station, source, result.data)
        except FormatError as fault:
            where = self.office.archive.quarantine(_path(self.today, station), result.data)
            failed[station] = Failed(f"{fault}; kept as {where}", source.fetched_at, etag=source.etag)
            return None
        if one.fault is not None:
            failed[station] = Failed(one.fault, source.fetched_at, etag=source.etag)
        return one

    def _source(self, received: Received) -> Source:
        return Source(
            url=self.office.client.base_url + received.path,
            fetched_at=self.office.clock(),
            length=received.size,
            sha256=received.sha256,
            etag=received.version.etag,
            modified=received.version.modified,
        )

    def _tell_failed(self, failed: Mapping[str, Failed]) -> None:
        """Tell today's ledger, whichever days the reports would have had rows of."""
        if not failed:
            return
        paths = {_path(self.today, station): fault for station, fault in failed.items()}
        for fault in failed.values():
            self.log(fault.reason)
        self.tell(self.today, lambda before: noted(before, {}, paths))
        self.tallies[self.today].failed |= {path: fault.reason for path, fault in paths.items()}

    def _tell_holes(self, arrived: Iterable[Came], known: ReportVersions) -> None:
        """Warn of rows that no report had that came."""
        for day, lines in _holes(arrived, known).items():
            self.tell(day, partial(_warned, lines))

    def _know(
        self, arrived: Iterable[Came], failed: Mapping[str, Failed], listed: Mapping[str, Entry]
    ) -> None:
        """Tell which versions are merged now, and which are to be asked for again."""
        at = self.office.clock()

        def change(before: ReportVersions) -> ReportVersions:
            merged = dict(before.merged)
            for one in arrived:
                merged[one.station] = self._version(one, listed[one.station], merged.get(one.station))
            well = {one.station for one in arrived}
            failures = {station: one for station, one in before.failed.items() if station not in well}
            for station in failed:
                entry = listed[station]
                failures[station] = FailedVersion(entry.modified, entry.size or 0, at)
            return ReportVersions(merged, failures)

        report_versions.update(self.office.store, change)

    def _version(self, one: Came, entry: Entry, before: MergedVersion | None) -> MergedVersion:
        source = one.arrival.source
        return MergedVersion(
            modified=source.modified or entry.modified,
            size=source.length,
            seen_at=self.now,
            etag=source.etag,
            newest=one.newest or (before.newest if before is not None else None),
        )


def expected_paths(office: Office, day: date) -> tuple[str, ...]:
    """The archive paths that a day is expected to have: of the stations that had reports until then."""
    before = ledger.read(office.store, COLLECTION, keys.day_name(day - _A_DAY))
    stations = {path.rpartition("/")[2].removesuffix("-BEOB.csv") for path in (*before.kept, *before.missing)}
    return tuple(_path(day, station) for station in sorted(stations))


def _listed(office: Office, within_s: float = math.inf) -> dict[str, Entry]:
    """What the server lists of the stations that are wanted. Raises `OpendataError`."""
    answer = office.client.read(Request(FOLDER), within_s)
    page = answer.data if isinstance(answer, Body) else b""
    try:
        listing = parse_listing(page, FOLDER)
    except FormatError as fault:
        raise Unavailable(str(fault)) from fault
    named = ((_NAME.fullmatch(entry.name), entry) for entry in listing.entries if entry.modified is not None)
    found = {match["station"]: entry for match, entry in named if match is not None}
    return {station: entry for station, entry in found.items() if _is_wanted(office.settings, station)}


def _is_wanted(settings: DwdSettings, station: str) -> bool:
    wanted = settings.report_stations
    return not wanted or station.rstrip("_") in {name.rstrip("_") for name in wanted}


def _outstanding(
    settings: DwdSettings, listed: Mapping[str, Entry], known: ReportVersions, now: datetime
) -> dict[str, datetime]:
    """The stations whose files are to be fetched now, and when the first row that is not merged leaves the server."""
    retry = timedelta(minutes=settings.reports_retry_minutes)
    found = {}
    for station, entry in listed.items():
        merged, failed = known.merged.get(station), known.failed.get(station)
        is_same_failure = failed is not None and (failed.modified, failed.size) == (
            entry.modified,
            entry.size,
        )
        if is_same_failure and failed is not None:
            is_due = now >= failed.at + retry
        else:
            is_due = merged is None or _is_new(entry, merged)
        if is_due and is_settled(entry.modified, now, entry.precision):
            found[station] = _deadline(entry, merged)
    return found


def _settled(listed: Mapping[str, Entry], now: datetime) -> dict[str, datetime]:
    """All listed stations whose files are settled, and when the first row of each leaves the server."""
    return {
        station: _deadline(entry, None)
        for station, entry in listed.items()
        if is_settled(entry.modified, now, entry.precision)
    }


def _only(outstanding: Mapping[str, datetime], only: frozenset[str]) -> Mapping[str, datetime]:
    """The outstanding stations among those of `only`, all if there are none."""
    keys = {station_key(station) for station in only}
    return {station: end for station, end in outstanding.items() if not keys or station_key(station) in keys}


def _is_new(entry: Entry, merged: MergedVersion) -> bool:
    """Whether the server has another version than the one that was merged."""
    known = merged.modified.replace(microsecond=0)
    if entry.precision > timedelta(seconds=1):
        known = known.replace(second=0)
    if entry.modified < known:
        return known - entry.modified >= _BEHIND
    return (entry.modified, entry.size) != (known, merged.size)


def _deadline(entry: Entry, merged: MergedVersion | None) -> datetime:
    """A day after the first version that was not merged, which came an hour after the one that was."""
    first = entry.modified if merged is None else min(entry.modified, merged.modified + _AN_HOUR)
    return first + _A_DAY


def _wanted(
    listed: Mapping[str, Entry],
    known: ReportVersions,
    outstanding: Mapping[str, datetime],
    *,
    recheck: bool = False,
) -> Iterator[Wanted]:
    for station, deadline in outstanding.items():
        merged, entry = known.merged.get(station), listed[station]
        # One that failed comes whole again, whatever its version: the copy that was bad may have had it too.
        is_known = merged is not None and station not in known.failed and not recheck
        version = Version(merged.etag) if merged is not None and is_known else UNKNOWN
        yield Wanted(Request(FOLDER + entry.name, entry.size, version, LONGEST_REPORT), deadline)


def _batches(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    """So many outcomes at a time as the ledger is told of at once."""
    batch: list[Outcome] = []
    begun_s = time.monotonic()
    for outcome in outcomes:
        batch.append(outcome)
        if len(batch) >= BATCH_FILES or time.monotonic() - begun_s >= BATCH_S:
            yield batch
            batch, begun_s = [], time.monotonic()
    if batch:
        yield batch


def _beside(
    batches: Iterable[list[Outcome]], check: Callable[[], None], take_in: Callable[[list[Outcome]], None]
) -> None:
    """Take in one batch after the other, each while the next one is fetched, and after a check that may raise.

    What taking in one raises is raised here before the next one is taken in.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="taking-in") as beside:
        under_way: Future[None] | None = None
        for batch in batches:
            if under_way is not None:
                under_way.result()
            check()
            under_way = beside.submit(take_in, batch)
        if under_way is not None:
            under_way.result()


def _expecting(
    settings: DwdSettings, day: date, listed: Mapping[str, Entry], gone: Sequence[str], before: Ledger
) -> Ledger:
    """A day's ledger that expects a file of each station whose file may have rows of the day.

    What was expected before and is not there stays missing. A station that was named in the settings is expected
    whether it is listed or not.
    """
    named = {name.ljust(_ID_LENGTH, "_") for name in settings.report_stations}
    begins = ends(day) - _A_DAY
    writing = {station for station, entry in listed.items() if entry.modified >= begins}
    expected = {_path(day, station) for station in named | writing} | set(before.missing)
    warnings = tuple(line for line in before.warnings if not line.startswith(GONE))
    told = (f"{GONE} {_some(gone)}",) if gone else ()
    return msgspec.structs.replace(
        before, missing=tuple(sorted(expected - set(before.kept))), warnings=(*warnings, *told)
    )


def _gone(
    settings: DwdSettings, listed: Mapping[str, Entry], known: ReportVersions, now: datetime
) -> tuple[str, ...]:
    """The stations that had reports until lately and are not listed now."""
    return tuple(
        sorted(
            station
            for station, version in known.merged.items()
            if station not in listed and now - version.seen_at < _LATELY and _is_wanted(settings, station)
        )
    )


def _holes(arrived: Iterable[Came], known: ReportVersions) -> dict[date, list[str]]:
    """Warnings of the hours of which no report came, by day.

    A row is on the server for 25 hours, so there are none where the server was looked at within the day before.
    """
    seen_at = max((version.seen_at for version in known.merged.values()), default=None)
    found = defaultdict[tuple[datetime | None, datetime], list[str]](list)
    for one in arrived:
        hole = _hole(one, known.merged.get(one.station), seen_at)
        if hole is not None:
            found[hole].append(one.station)
    lines = defaultdict[date, list[str]](list)
    for (after, before), stations in found.items():
        begin = "" if after is None else f"after {after:%Y-%m-%d %H:%M} and "
        line = f"{HOLE} the hours {begin}before {before:%Y-%m-%d %H:%M} UTC: {_some(sorted(stations))}"
        first = before - _AN_HOUR if after is None else after + _AN_HOUR
        for day in {first.date(), (before - _AN_HOUR).date()}:
            lines[day].append(line)
    return lines


def _hole(
    one: Came, merged: MergedVersion | None, seen_at: datetime | None
) -> tuple[datetime | None, datetime] | None:
    """The rows around the hours that a station's reports do not cover; none before it for a station's first report.

    `seen_at` is when the server was looked at last.
    """
    oldest = min(one.report.rows, default=None)
    seen_at = seen_at if merged is None else merged.seen_at
    if oldest is None or (seen_at is not None and one.arrival.source.fetched_at - seen_at <= _A_DAY):
        return None
    newest = None if merged is None else merged.newest
    if newest is None:
        is_begun = (oldest - _AN_HOUR).date() == oldest.date()
        return (None, oldest) if is_begun else None
    return (newest, oldest) if oldest - newest > _AN_HOUR else None


def _warned(lines: Iterable[str], before: Ledger) -> Ledger:
    return msgspec.structs.replace(before, warnings=tuple(dict.fromkeys((*before.warnings, *lines))))


def _some(stations: Sequence[str]) -> str:
    """Stations in words: how many, and the first few."""
    named = ", ".join(stations[:_NAMED])
    return named if len(stations) <= _NAMED else f"{len(stations)} stations, {named} and others"


def _station(path: str) -> str:
    return path.removeprefix(FOLDER).removesuffix("-BEOB.csv")


def _path(day: date, station: str) -> str:
    return archive_path(ReportsKey(day, station))


def _done(tally: Tally) -> Done:
    return Done(
        ledger.summary(tally.ledger), fetched=tally.written, changed=tally.corrected, failed=tally.failed
    )
