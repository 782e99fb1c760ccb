"""Archiving POI reports: what is new on the server, and bringing it into the days.

One listing tells which stations' files changed since they were merged; those alone are asked for. A file has the rows
of 25 hours and is written anew each hour, so that a pass an hour, and even one a day, loses nothing.

What belongs here: what is asked for and why, and what of it failed. What does not: merging
(`dwd_assets.poi.report_days`).
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

import msgspec

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.paths import ReportsKey, archive_path
from dwd_assets.formats.poi.beob import HtmlPage
from dwd_assets.opendata.errors import NotYet, OpendataError, Unavailable
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_all
from dwd_assets.opendata.listing import Entry, parse_listing
from dwd_assets.opendata.messages import UNKNOWN, Body, NotModified, Received, Request, Version
from dwd_assets.opendata.settling import SETTLE, is_settled
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.probing import LISTING_S
from dwd_assets.periods.progress import BATCH_FILES, BATCH_S, UNREAD, Done, Due, noted, unread_warnings
from dwd_assets.poi.report_days import (
    COLLECTION,
    HOLE,
    NAMELESS,
    Came,
    Tally,
    came,
    ends,
    looked_at,
    rebuild,
    recover,
    report_time,
    take_in,
)
from dwd_assets.settings import DwdSettings
from store import keys
from store.dwd import ledger, report_versions
from store.dwd.ledger import Failed, Ledger, Source
from store.dwd.report_versions import FailedVersion, MergedVersion, Proof, ReportVersions

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

_UNDATED = timedelta(minutes=30)
"""So often a file is asked for whose time the listing does not give; it is written again each hour."""

UNPROVEN = (
    "came without a length, so that it may be cut; it is fetched again, until the same bytes come twice"
)
"""How the failure of a report ends that can be read, and is not known to be all of the file."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the server lists: a station's file each.

    unread: a line for each row that cannot be read, and for each file that is not a report; first those of rows
    without a name, which may be of any station. nameless: those alone.
    """

    entries: Mapping[str, Entry]
    unread: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()

    def of(self, settings: DwdSettings) -> dict[str, Entry]:
        """The stations that the settings ask for."""
        return {station: entry for station, entry in self.entries.items() if _is_wanted(settings, station)}

    def named(self, only: Collection[str]) -> dict[str, Entry]:
        """The stations that are named, whether their names are padded or not."""
        names = {name.rstrip("_") for name in only}
        return {station: entry for station, entry in self.entries.items() if station.rstrip("_") in names}


def reports_due(office: Office, now: datetime, report: Log) -> tuple[Due, ...]:
    """The day of reports that a pass would be for: today (UTC), or none where no file on the server is new.

    Its deadline is when the first row that is not merged leaves the server. What cannot be read of the listing is
    given to `report`, a line each. One request. Raises `OpendataError` where there is no listing, and `StoreError`.
    """
    listed = _listed(office, LISTING_S)
    for line in listed.unread:
        report(line)
    known = report_versions.read(office.store)
    outstanding = _outstanding(office.settings, listed.of(office.settings), known, now)
    if not outstanding:
        return ()
    return (Due(min(outstanding.values()), COLLECTION, keys.day_name(now.date())),)


def archive_reports(
    office: Office, log: Log, *, only: frozenset[str] = frozenset(), recheck: bool = False
) -> tuple[Done, ...]:
    """Fetch all files that are new and merge them into their days; tells of yesterday, today and any other day touched.

    only: the stations to ask for, padded with `_` or not, whatever the settings say; if empty, those of the settings.
    recheck: ask for each of them without a condition, also where the listing shows no newer version.

    The earliest day comes first; today's also has what the pass cost in all, and in `Done.faults` the rows of the
    listing that cannot be read and stations of `only` that it does not have. A file that does not come, or cannot be
    read, or not whole, is recorded in the ledger and costs no other file. Raises `OpendataError` where there is no
    listing, `StoreError`, and `BelowFloor`.
    """
    begun_s = time.monotonic()
    office.archive.check_floor()
    work = _Pass(office, log)
    recover(office, work.tallies, log)
    listed = _listed(office)
    known = report_versions.read(office.store)
    work.saw_listing(listed, known)
    chosen = listed.named(only) if only else listed.of(office.settings)
    work.miss(name for name in sorted(only) if not listed.named((name,)))
    outstanding = _outstanding(office.settings, chosen, known, work.now, recheck=recheck)
    wanted = _wanted(chosen, known, outstanding, work.now, recheck=recheck)
    batches = _batches(fetch_all(office.client, wanted, at_once=office.settings.connections))
    _beside(batches, office.archive.check_floor, lambda batch: work.take_in(batch, listed.entries, known))
    work.saw(listed.entries)
    return work.done(time.monotonic() - begun_s)


def rebuild_day(office: Office, day: date, log: Log) -> Done:
    """Merge a day again from all raw reports that are kept of it; raises `StoreError`.

    It comes to what merging them one after the other in the order of their times comes to, whatever the order was.
    Nothing is fetched, and nothing that the day's files have is lost. `Done.failed` has the raw reports that cannot be
    read, by their keys.
    """
    begun_s = time.monotonic()
    tallies: dict[date, Tally] = {}
    recover(office, tallies, log)
    unread = rebuild(office, day, None, tallies, log)
    tallies[day].failed |= unread
    return replace(_done(tallies[day]), seconds=time.monotonic() - begun_s)


@dataclass(slots=True)
class _Pass:
    """One pass over the server: what was fetched, and what was done to each day."""

    office: Office
    log: Log
    tallies: dict[date, Tally] = field(default_factory=dict)
    requests: int = 1
    bytes_fetched: int = 0
    faults: list[str] = field(default_factory=list)
    unchanged: set[str] = field(default_factory=set)
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

    def saw_listing(self, listed: Listed, known: ReportVersions) -> None:
        """Record for both days what is expected of them, and what cannot be read of the listing."""
        settings = self.office.settings
        wanted = listed.of(settings)
        gone = _gone(settings, wanted, known, self.now)
        for day, unread in ((self.today - _A_DAY, listed.nameless), (self.today, listed.unread)):
            expecting = partial(_expecting, settings, day, _dated(wanted, known), gone)
            self.tell(day, partial(_seen, expecting, unread_warnings(unread)))
        self.faults += listed.unread
        for line in unread_warnings(listed.unread):
            self.log(line)

    def miss(self, stations: Iterable[str]) -> None:
        """Note stations that were asked for by name and are not listed."""
        self.faults += (f"{station}: no such station is listed in {FOLDER}" for station in stations)

    def take_in(self, batch: Sequence[Outcome], listed: Mapping[str, Entry], known: ReportVersions) -> None:
        """Record what failed of some files, merge what came, then record what is known now."""
        self.requests += len(batch)
        arrived: list[Came] = []
        failed: dict[str, Failed] = {}
        for outcome in batch:
            station = _station(outcome.wanted.request.path)
            one = self._read(station, outcome, known, failed)
            if one is not None:
                arrived.append(one)
        # Before anything of them is merged: after a kill in between their days are not complete.
        days = {station: _days(listed[station], known.merged.get(station), self.now) for station in failed}
        self._tell_failed(failed, days)
        if arrived:
            take_in(self.office, arrived, self.tallies, self.log)
        self._tell_absent(arrived)
        self._tell_holes(arrived, known)
        self._know(arrived, failed, listed)

    def saw(self, listed: Mapping[str, Entry]) -> None:
        """Tell of which stations the server had nothing that is not merged."""

        def change(before: ReportVersions) -> ReportVersions:
            merged = dict(before.merged)
            for station, entry in listed.items():
                version = merged.get(station)
                is_new = entry.modified is None or (version is not None and _is_new(entry, version))
                if version is not None and (station in self.unchanged or not is_new):
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
            own[self.today],
            requests=self.requests,
            bytes_fetched=self.bytes_fetched,
            seconds=seconds,
            faults=tuple(self.faults),
        )
        return tuple(own.values())

    def _read(
        self, station: str, outcome: Outcome, known: ReportVersions, failed: dict[str, Failed]
    ) -> Came | None:
        """What came, None if nothing did that is to be kept; what was wrong is noted in `failed` by station."""
        result = outcome.result
        if isinstance(result, NotModified):
            self.unchanged.add(station)
        if isinstance(result, OpendataError) and not self._may_be_later(station, outcome, known):
            failed[station] = Failed(str(result), self.office.clock(), since=outcome.wanted.deadline - _A_DAY)
        if not isinstance(result, Body):
            return None
        self.bytes_fetched += len(result.data)
        source = self._source(result.received)
        before = known.failed.get(station)
        is_again = before is not None and before.sha256 == source.sha256
        try:
            one = came(
                station, source, result.data, _proof(outcome.wanted.request, result.received, is_again)
            )
        except HtmlPage as fault:
            where = self.office.archive.quarantine(_path(self.today, station), result.data)
            reason = f"{fault}; kept as {where}"
            failed[station] = Failed(reason, source.fetched_at, etag=source.etag, since=report_time(source))
            return None
        if not one.is_whole:
            failed[station] = Failed(_fault(one), source.fetched_at, etag=source.etag, since=one.at)
        return None if one.report is None and is_again else one

    def _may_be_later(self, station: str, outcome: Outcome, known: ReportVersions) -> bool:
        """Whether a file is not there yet and is left to a later pass; False for an unknown file without a time."""
        is_known = outcome.wanted.request.unchanged_since is None or station in known.merged
        return isinstance(outcome.result, NotYet) and is_known

    def _source(self, received: Received) -> Source:
        return Source(
            url=self.office.client.base_url + received.path,
            fetched_at=self.office.clock(),
            length=received.size,
            sha256=received.sha256,
            etag=received.version.etag,
            modified=received.version.modified,
        )

    def _tell_failed(self, failed: Mapping[str, Failed], days: Mapping[str, Iterable[date]]) -> None:
        """Record it in the ledgers of the days that the stations' reports may have had rows of."""
        of_days = defaultdict[date, dict[str, Failed]](dict)
        for station, fault in failed.items():
            self.log(fault.reason)
            for day in days[station]:
                of_days[day][_path(day, station)] = fault
        for day, paths in sorted(of_days.items()):
            self.tell(day, partial(_noted, paths))
            self.tallies[day].failed |= {path: fault.reason for path, fault in paths.items()}

    def _tell_absent(self, arrived: Iterable[Came]) -> None:
        """Record that nothing failed of days that began after the newest row of a whole report."""
        whole = [one for one in arrived if one.is_whole and one.newest is not None]
        for day in (self.today - _A_DAY, self.today):
            begins = ends(day) - _A_DAY
            paths = {
                _path(day, one.station) for one in whole if one.newest is not None and one.newest < begins
            }
            if paths & self.tallies[day].ledger.failed.keys():
                self.tell(day, partial(_cleared, paths))

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
                if one.report is not None:
                    merged[one.station] = self._version(one, listed[one.station], merged.get(one.station))
            well = {one.station for one in arrived} - failed.keys()
            failures = {station: one for station, one in before.failed.items() if station not in well}
            came_of = {one.station: one for one in arrived}
            for station in failed:
                failures[station] = _failure(listed[station], came_of.get(station), failures.get(station), at)
            return ReportVersions(merged, failures)

        report_versions.update(self.office.store, change)

    def _version(self, one: Came, entry: Entry, before: MergedVersion | None) -> MergedVersion:
        source = one.arrival.source
        return MergedVersion(
            modified=source.modified or entry.modified or source.fetched_at,
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


def _listed(office: Office, within_s: float = math.inf) -> Listed:
    """What the server lists. Raises `OpendataError`."""
    answer = office.client.read(Request(FOLDER), within_s)
    page = answer.data if isinstance(answer, Body) else b""
    try:
        listing = parse_listing(page, FOLDER)
    except FormatError as fault:
        raise Unavailable(str(fault)) from fault
    named = [(None if entry.is_folder else _NAME.fullmatch(entry.name), entry) for entry in listing.entries]
    entries = {match["station"]: entry for match, entry in named if match is not None}
    strange = (
        f"{FOLDER}: {entry.name!r} is not the name of a report, which is <ID>-BEOB.csv; it is not archived"
        for match, entry in named
        if match is None
    )
    nameless = tuple(f"{NAMELESS} {row.text}" for row in listing.unread if row.name is None)
    undated = (
        f"the time or size of {row.name}: {row.text}" for row in listing.unread if row.name is not None
    )
    return Listed(entries, (*nameless, *undated, *strange), nameless)


def _is_wanted(settings: DwdSettings, station: str) -> bool:
    wanted = settings.report_stations
    return not wanted or station.rstrip("_") in {name.rstrip("_") for name in wanted}


def _outstanding(
    settings: DwdSettings,
    listed: Mapping[str, Entry],
    known: ReportVersions,
    now: datetime,
    *,
    recheck: bool = False,
) -> dict[str, datetime]:
    """The stations whose files are to be fetched now, and when the first row that is not merged leaves the server."""
    retry = timedelta(minutes=settings.reports_retry_minutes)
    found = {}
    for station, entry in listed.items():
        merged = known.merged.get(station)
        is_due = recheck or _is_due(entry, merged, known.failed.get(station), now, retry)
        if is_due and (entry.modified is None or is_settled(entry.modified, now, entry.precision)):
            found[station] = _deadline(entry.modified or now, merged)
    return found


def _is_due(
    entry: Entry, merged: MergedVersion | None, failed: FailedVersion | None, now: datetime, retry: timedelta
) -> bool:
    """Whether a file is to be asked for: it is new, it failed some time ago, or nobody knows whether it is new."""
    if failed is not None and (failed.modified, failed.size) == (entry.modified, entry.size or 0):
        return failed.is_unproven or now >= failed.at + retry
    if merged is None:
        return True
    return now >= merged.seen_at + _UNDATED if entry.modified is None else _is_new(entry, merged)


def _is_new(entry: Entry, merged: MergedVersion) -> bool:
    """Whether the server has another version than the one that was merged; not known where its time is not."""
    if entry.modified is None:
        return False
    known = merged.modified.replace(microsecond=0)
    if entry.precision > timedelta(seconds=1):
        known = known.replace(second=0)
    if entry.modified < known:
        return known - entry.modified >= _BEHIND
    return entry.modified != known or (entry.size is not None and entry.size != merged.size)


def _dated(listed: Mapping[str, Entry], known: ReportVersions) -> dict[str, datetime]:
    """When the stations' files were changed, as far as that is known: as listed, or else what was merged last."""
    found = {}
    for station, entry in listed.items():
        merged = known.merged.get(station)
        modified = entry.modified or (None if merged is None else merged.modified)
        if modified is not None:
            found[station] = modified
    return found


def _days(entry: Entry, merged: MergedVersion | None, now: datetime) -> set[date]:
    """The days that a report may have rows of; it has those of 25 hours.

    One without a time may be as old as the one that was merged, or new.
    """
    times = [entry.modified] if entry.modified is not None else [now, *([merged.modified] if merged else [])]
    return {(time - age).date() for time in times for age in (_A_DAY, timedelta())}


def _deadline(modified: datetime, merged: MergedVersion | None) -> datetime:
    """A day after the first version that was not merged, which came an hour after the one that was."""
    first = modified if merged is None else min(modified, merged.modified + _AN_HOUR)
    return first + _A_DAY


def _wanted(
    listed: Mapping[str, Entry],
    known: ReportVersions,
    outstanding: Mapping[str, datetime],
    now: datetime,
    *,
    recheck: bool,
) -> Iterator[Wanted]:
    for station, deadline in outstanding.items():
        merged, entry = known.merged.get(station), listed[station]
        # One that failed comes whole again, whatever its version: the copy that was bad may have had it too.
        is_known = merged is not None and station not in known.failed and not recheck
        version = Version(merged.etag) if merged is not None and is_known else UNKNOWN
        # Whether a file without a time is settled, only the server knows.
        since = now - SETTLE if entry.modified is None else None
        yield Wanted(Request(FOLDER + entry.name, entry.size, version, LONGEST_REPORT, since), deadline)


def _proof(request: Request, received: Received, is_again: bool) -> Proof:
    """How it is known that all of a report came; `is_again`: the same bytes came the time before."""
    if not received.is_proven:
        return "twice" if is_again else "none"
    return "transfer" if request.size is None else "listed"


def _fault(one: Came) -> str:
    """What is wrong with a report that came and is not whole."""
    told = one.fault or f"{one.station}-BEOB.csv: {UNPROVEN}"
    return f"{told}; kept as {one.arrival.raw_key}" if one.report is None else told


def _failure(entry: Entry, one: Came | None, before: FailedVersion | None, at: datetime) -> FailedVersion:
    """What is known of a version that failed; `before` is what was known of the station's failure until now."""
    if one is None:
        sha256 = None if before is None else before.sha256
        return FailedVersion(entry.modified, entry.size or 0, at, sha256)
    is_unproven = one.report is not None and one.fault is None
    return FailedVersion(entry.modified, entry.size or 0, at, one.arrival.source.sha256, is_unproven)


def _noted(failed: Mapping[str, Failed], before: Ledger) -> Ledger:
    """A ledger with these failures, each since the first one that was not made up for."""
    known = {path: one.since or one.at for path, one in before.failed.items()}
    firsts = {
        path: msgspec.structs.replace(fault, since=known.get(path, fault.since))
        for path, fault in failed.items()
    }
    return noted(before, {}, firsts)


def _cleared(paths: Collection[str], before: Ledger) -> Ledger:
    failed = {path: fault for path, fault in before.failed.items() if path not in paths}
    return msgspec.structs.replace(before, failed=failed)


def _seen(expecting: Callable[[Ledger], Ledger], unread: Sequence[str], before: Ledger) -> Ledger:
    """A day's ledger after a look at the listing; what could not be read of it before is no warning any more."""
    others = (line for line in before.warnings if not line.startswith(UNREAD))
    return expecting(msgspec.structs.replace(before, warnings=(*others, *unread)))


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
    settings: DwdSettings, day: date, listed: Mapping[str, datetime], gone: Sequence[str], before: Ledger
) -> Ledger:
    """A day's ledger that expects a file of each station whose file may have rows of the day; `listed`: its time.

    What was expected before and is not there stays missing. A station that was named in the settings is expected
    whether it is listed or not.
    """
    named = {name.ljust(_ID_LENGTH, "_") for name in settings.report_stations}
    begins = ends(day) - _A_DAY
    writing = {station for station, modified in listed.items() if modified >= begins}
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
    oldest = min(one.rows, default=None)
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
