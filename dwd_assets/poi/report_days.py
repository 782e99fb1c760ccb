"""Day files of POI reports in the archive: reports merged into them, and days made anew from the raw reports.

Merging a batch writes in this order, and each step may be the last one before a kill:

1. an open intake, which names the reports and the values that they correct;
2. the raw reports, by digest;
3. the day files, each in place of exactly the version that was read;
4. the days' ledgers: digests, times of the latest reports (`as_of`), corrections, failures;
5. the intake is closed.

A report that cannot be read is kept raw all the same, and its arrival recorded: a later version of the reader merges it
when the day is rebuilt.

What an open intake names is merged again by the next pass (`recover`), before anything is fetched: merging a report
twice changes nothing, and its corrections, which a file that already has the new values does not show any more, are in
the intake. The ledger is told after the file, so `as_of` is never ahead of what the file holds.

What belongs here: bytes of days and what the ledger says of them. What does not: what to fetch
(`dwd_assets.poi.report_pass`), and how cells are merged (`dwd_assets.formats.poi.beob_merge`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

import msgspec

from dwd_assets.archive.storing import LONGEST_FILE, Archive, digest
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.packing import pack_lz4, unpack_lz4
from dwd_assets.formats.paths import ReportsKey, archive_path
from dwd_assets.formats.poi import beob_merge
from dwd_assets.formats.poi.beob import DamagedReport, HtmlPage, Report, TextCell, parse
from dwd_assets.formats.poi.beob_merge import DayFile, merge, stacked
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import GRACE, UNREAD, noted
from store import keys
from store.dwd import ledger, report_versions
from store.dwd.ledger import Corrected, Failed, Kept, Ledger, Source
from store.dwd.report_versions import Arrival, Intake, Proof
from store.objects import ObjectChanged, ObjectExists, ObjectInfo, ObjectMissing, Store, StoreError

COLLECTION = "poi"

HOLE = "no report covers"
"""How a warning of a day begins that tells of rows which were gone from the server before they were fetched."""

NO_NUMBER = "not a number:"
"""How a warning of a day begins that names a cell with text in the place of a number."""

MOST_TEXTS = 100
"""So many of those cells are named in a ledger; the raw reports have all."""

NAMELESS = "a row without a name that can be read:"
"""How the description of such a row of the listing begins: it may be of any station."""

COMES_UNTIL = timedelta(hours=2)
"""For so long after a day's end the first reports with all of its rows may take to come."""

_A_DAY = timedelta(days=1)
_AN_HOUR = timedelta(hours=1)
_AHEAD = timedelta(hours=2)
"""A row that is dated further into the future than this is a mistake."""

_ATTEMPTS = 20
_CSV = "text/csv"

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Came:
    """A report that came: where from, its bytes, its usable rows, and what is wrong with the others, if anything.

    `report` is None if nothing of it can be read.
    """

    arrival: Arrival
    data: bytes = field(repr=False)
    report: Report | None = field(repr=False)
    fault: str | None = None

    @property
    def station(self) -> str:
        """The station as the file's name has it."""
        return self.arrival.station

    @property
    def at(self) -> datetime:
        """The report's time."""
        return report_time(self.arrival.source)

    @property
    def rows(self) -> Collection[datetime]:
        """The times of the rows that can be used."""
        return () if self.report is None else self.report.rows.keys()

    @property
    def newest(self) -> datetime | None:
        """The time of its newest row."""
        return max(self.rows, default=None)

    @property
    def is_whole(self) -> bool:
        """Whether it is known to be all of the file, and all of it could be read."""
        return self.report is not None and self.fault is None and self.arrival.proof != "none"


@dataclass(slots=True)
class Tally:
    """What a pass did to one day: files written and those among them with corrected values, failures by path."""

    ledger: Ledger
    written: int = 0
    corrected: int = 0
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Job:
    """One station's day that reports are to be merged into."""

    day: date
    station: str
    path: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", archive_path(ReportsKey(self.day, self.station)))


@dataclass(frozen=True, slots=True)
class _There:
    """What is at a day file's path: bytes and version, none where nothing is; `day_file` as far as it can be read.

    is_whole: whether it is what the ledger takes it for.
    """

    data: bytes | None
    etag: str | None
    day_file: DayFile | None
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Folded:
    """Reports on top of a day, one after the other.

    source: of the latest report in it. whole: the sources of the whole reports in it, each with the time of its oldest
    row. texts: the cells of the day that hold no number. has_taken: whether any report was merged. is_exact: whether
    none came out of order, so that nothing but this can come of them.
    """

    day_file: DayFile | None
    source: Source | None = None
    corrections: tuple[Corrected, ...] = ()
    whole: tuple[tuple[Source, datetime], ...] = ()
    texts: tuple[TextCell, ...] = ()
    has_taken: bool = False
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class _Merged:
    """What a day file is to be: `data` in place of `before` (version `etag`), none where there is no file to be.

    times: of its rows. kept: what the ledger said of the file when that was read. unread: the kept reports that cannot
    be read, with the reason. Once it is written, `etag` is the version that it has.
    """

    job: _Job
    before: bytes | None
    etag: str | None
    data: bytes | None
    as_of: datetime | None
    folded: _Folded
    times: frozenset[datetime] = frozenset()
    kept: Kept | None = None
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_changed(self) -> bool:
        return self.data != self.before


def came(station: str, source: Source, data: bytes, proof: Proof = "listed") -> Came:
    """Read a report. Raises `HtmlPage` for a page in the place of one."""
    name, arrival = f"{station}-BEOB.csv", Arrival(station, source, proof)
    fault = None
    try:
        report = parse(data, name, is_whole=proof == "listed")
    except DamagedReport as damaged:
        report, fault = damaged.usable, str(damaged)
    except HtmlPage:
        raise
    except FormatError as unreadable:
        return Came(arrival, data, None, str(unreadable))
    latest = source.fetched_at + _AHEAD
    rows = {time: row for time, row in report.rows.items() if time <= latest}
    if len(rows) < len(report.rows):
        fault = fault or f"{report.name}: a row of {max(report.rows):%Y-%m-%d %H:%M}, which is in the future"
        report = replace(report, rows=rows)
    return Came(arrival, data, report, fault)


def ends(day: date) -> datetime:
    """When a UTC day ends."""
    return datetime.combine(day, time(), UTC) + _A_DAY


def deadline(day: date) -> datetime:
    """When the server has no row of a UTC day any more."""
    return ends(day) + _A_DAY


def looked_at(day: date, now: datetime) -> Callable[[Ledger], Ledger]:
    """What a look at a day changes in its ledger, whatever else is told.

    The server has rows of a day until a day after its end. A day with a hole is never complete: more is expected; nor
    is one while the listing has a row that may be of any station.
    """

    def change(before: Ledger) -> Ledger:
        is_over = now >= ends(day) + COMES_UNTIL
        has_hole = any(line.startswith((HOLE, f"{UNREAD} {NAMELESS}")) for line in before.warnings)
        return msgspec.structs.replace(
            before,
            looked_at=now,
            deadline=deadline(day),
            given_up=deadline(day) + GRACE,
            expects_more=has_hole or not is_over,
        )

    return change


def take_in(office: Office, arrived: Sequence[Came], tallies: dict[date, Tally], log: Log) -> None:
    """Keep a batch of reports raw and merge them into their days, as the module tells. Raises `StoreError`.

    Adds to `tallies` what was done to each day.
    """
    _run(office, arrived, tallies, log)


def recover(office: Office, tallies: dict[date, Tally], log: Log) -> None:
    """Merge what processes that were killed had begun to merge. Raises `StoreError`."""
    for name, intake in list(report_versions.open_intakes(office.store)):
        log(f"reports: merging again the {len(intake.arrivals)} of {name}, which was not finished")
        kept = _raw(office, intake.arrivals, log).reports
        stations = {one.station for one in kept}
        known = [one for one in intake.corrections if one.station in stations]
        _run(office, kept, tallies, log, (name, known))


def rebuild(
    office: Office, day: date, stations: Collection[str] | None, tallies: dict[date, Tally], log: Log
) -> Mapping[str, str]:
    """Merge a day again from the raw reports that are kept, of some stations or of all. Raises `StoreError`.

    Their corrections are recorded again; a cell that no raw report has stays as the file has it. Reports in the
    quarantine that can be read now are merged too. Returns the kept reports that cannot be read, with the reason.
    """
    arrivals = _arrivals(office.store, day, stations)
    rescued = _quarantined(office, day, stations, log)
    told = ledger.read(office.store, COLLECTION, keys.day_name(day))
    if not arrivals and not rescued and not told.revision:
        tallies.setdefault(day, Tally(told))  # nobody looked at it, so that nothing is known to be lost
        return {}

    def remade(station: str) -> _Merged:
        job = _Job(day, station)
        kept = told.kept.get(job.path)

        def again() -> _Merged:
            raw = _raw(office, arrivals.get(station, ()), log)
            return _remade(
                office, job, replace(raw, reports=(*raw.reports, *rescued.get(station, ()))), kept, log
            )

        return _written(office, again)

    made = _each(office, remade, sorted({*arrivals, *rescued}))
    ats = {(station, report_time(one.source)) for station, some in arrivals.items() for one in some}
    lines = tuple(f"{NO_NUMBER} {one.job.station} " for one in made)

    def without_those(before: Ledger) -> Ledger:
        others = tuple(one for one in before.corrections if (one.station, one.at) not in ats)
        warnings = tuple(line for line in before.warnings if not line.startswith(lines))
        return msgspec.structs.replace(before, corrections=others, warnings=warnings)

    _tell(office, day, made, (), tallies, without_those)
    log(f"reports of {day}: {len(made)} stations merged anew")
    return {key: reason for one in made for key, reason in one.unread.items()}


def report_time(source: Source) -> datetime:
    """The time that tells which of two reports is the later: Last-Modified, unless none was told or it is to come."""
    return source.fetched_at if source.modified is None else min(source.modified, source.fetched_at)


def _run(
    office: Office,
    arrived: Sequence[Came],
    tallies: dict[date, Tally],
    log: Log,
    began: tuple[str, Sequence[Corrected]] | None = None,
) -> None:
    """Merge reports; `began` are the open intake that names them and the corrections in it, if there is one."""
    known = () if began is None else began[1]
    jobs = _jobs(arrived)
    told = {
        day: ledger.read(office.store, COLLECTION, keys.day_name(day))
        for day in sorted({job.day for job in jobs})
    }

    def merged(job: _Job) -> _Merged:
        return _merged(office, job, jobs[job], told[job.day].kept.get(job.path), log)

    ready = _each(office, merged, jobs)
    found = (one for each in ready for one in each.folded.corrections)
    intake = Intake(tuple(one.arrival for one in arrived), _sorted((*known, *found)))
    name = _opened(office, intake) if began is None else began[0]
    _each(office, lambda one: _keep_raw(office.store, one), arrived)
    written = _each(office, lambda one: _written(office, lambda: merged(one.job), one), ready)
    for day in told:
        of_day = [one for one in written if one.job.day == day]
        _tell(office, day, of_day, [one for one in known if one.time.date() == day], tallies)
        inexact = {one.job.station for one in of_day if not one.folded.is_exact}
        if inexact:
            rebuild(office, day, inexact, tallies, log)
    report_versions.close_intake(office.store, name, intake)


def _opened(office: Office, intake: Intake) -> str:
    name = f"{office.clock():%Y%m%dT%H%M%S}-{digest(msgspec.json.encode(intake))[:16]}"
    report_versions.open_intake(office.store, name, intake)
    return name


def _jobs(arrived: Iterable[Came]) -> dict[_Job, list[Came]]:
    """The reports of each station's day, in the order in which they are to be merged."""
    jobs = defaultdict[_Job, list[Came]](list)
    for one in sorted(arrived, key=_age):
        for day in () if one.report is None else one.report.days:
            jobs[_Job(day, one.station)].append(one)
    return jobs


def _age(one: Came) -> tuple[datetime, datetime, str]:
    return one.at, one.arrival.source.fetched_at, one.arrival.source.sha256


def _merged(office: Office, job: _Job, reports: Sequence[Came], kept: Kept | None, log: Log) -> _Merged:
    """A day with more reports in it."""
    there = _there(office.archive, job, kept, log)
    folded = _fold(job.day, there.day_file, reports)
    if not there.is_whole:
        folded = replace(folded, is_exact=False)
    return _to_be(job, there, folded.day_file, folded, kept)


def _remade(office: Office, job: _Job, raw: _Raw, kept: Kept | None, log: Log) -> _Merged:
    """A day from all of its raw reports, above what the file has."""
    there = _there(office.archive, job, kept, log)
    reports = sorted((one for one in raw.reports if _has_day(one, job.day)), key=_age)
    folded = _fold(job.day, None, reports)
    below, above = there.day_file, folded.day_file
    day_file = stacked(below, above) if below is not None and above is not None else above or below
    return replace(_to_be(job, there, day_file, folded, kept), unread=raw.unread)


def _has_day(one: Came, day: date) -> bool:
    return one.report is not None and day in one.report.days


def _to_be(job: _Job, there: _There, day_file: DayFile | None, folded: _Folded, kept: Kept | None) -> _Merged:
    if day_file is None or not folded.has_taken:
        as_of = None if there.day_file is None else there.day_file.as_of
        return _Merged(job, there.data, there.etag, there.data, as_of, folded, kept=kept)
    data, times = beob_merge.write(day_file), frozenset(day_file.rows)
    return _Merged(job, there.data, there.etag, data, day_file.as_of, folded, times, kept)


def _fold(day: date, day_file: DayFile | None, reports: Iterable[Came]) -> _Folded:
    """Reports merged into a day one after the other."""
    folded = _Folded(day_file)
    for one in reports:
        if one.report is not None:
            folded = _with(folded, day, one, one.report)
    return folded


def _with(folded: _Folded, day: date, one: Came, report: Report) -> _Folded:
    """A day with one more report in it."""
    before, source = folded.day_file, one.arrival.source
    merged = merge(day, before, report, one.at)
    is_late = before is not None and before.as_of is not None and one.at < before.as_of
    corrected = (
        Corrected(one.station, each.time, each.column, each.before, each.after, one.at)
        for each in merged.corrections
    )
    whole = ((source, min(report.rows)),) if one.is_whole and report.rows else ()
    texts = (each for each in report.texts if each.time.date() == day and each.time in report.rows)
    return _Folded(
        day_file=merged.day_file,
        source=folded.source if is_late else source,
        corrections=(*folded.corrections, *corrected),
        whole=(*folded.whole, *whole),
        texts=(*folded.texts, *texts),
        has_taken=True,
        is_exact=folded.is_exact and not is_late,
    )


def _there(archive: Archive, job: _Job, kept: Kept | None, log: Log) -> _There:
    """What is at a day file's path; bytes that are no day file are also put into quarantine."""
    try:
        stored = archive.store.get(job.path)
    except ObjectMissing:
        return _There(None, None, None, is_whole=kept is None)
    as_of = None if kept is None else kept.as_of
    day_file = None
    try:
        day_file = beob_merge.read(stored.data, job.path, job.day, as_of)
        return _There(stored.data, stored.info.etag, day_file, is_whole=True)
    except DamagedReport as fault:
        usable = fault.usable
        rows = {time: row for time, row in usable.rows.items() if time.date() == job.day}
        day_file, told = DayFile(job.day, job.station, usable.header, rows, as_of), str(fault)
    except FormatError as fault:
        told = str(fault)
    log(f"{told}; kept as {archive.quarantine(job.path, stored.data)}")
    return _There(stored.data, stored.info.etag, day_file, is_whole=False)


def _written(office: Office, again: Callable[[], _Merged], first: _Merged | None = None) -> _Merged:
    """Put a day file in place of the version that it was made from, made again where another writer was faster."""
    merged = again() if first is None else first
    for _ in range(_ATTEMPTS):
        if not merged.is_changed or merged.data is None:
            return merged
        try:
            if merged.etag is None:
                put = office.store.create(merged.job.path, merged.data, _CSV)
            else:
                put = office.store.replace(merged.job.path, merged.data, merged.etag, _CSV)
        except (ObjectExists, ObjectChanged):
            merged = again()
        else:
            return replace(merged, etag=put.etag)
    raise StoreError(f"{merged.job.path}: not changed: other writers were faster {_ATTEMPTS} times in a row")


def _tell(
    office: Office,
    day: date,
    merged: Sequence[_Merged],
    known: Sequence[Corrected],
    tallies: dict[date, Tally],
    prepare: Callable[[Ledger], Ledger] = lambda before: before,
) -> None:
    """Tell a day's ledger of its files, and a tally of what was done.

    Of a file that another pass told of meanwhile, only if it is still the one that was written here: else that pass
    has merged on top of it, and tells, or told, of what it made. A failure stays until a whole report covers the day.
    """
    now = office.clock()
    found = [one for each in merged for one in each.folded.corrections]

    def change(before: Ledger) -> Ledger:
        taken = [
            one
            for one in merged
            if one.folded.has_taken and (before.kept.get(one.job.path) == one.kept or _is_there(office, one))
        ]
        kept = {
            one.job.path: _kept(one, one.data, before.kept.get(one.job.path), now)
            for one in taken
            if one.data is not None
        }
        after = noted(prepare(before), kept, {})
        after = msgspec.structs.replace(
            after,
            corrections=_sorted((*after.corrections, *known, *found)),
            failed={**after.failed, **_still_failed(before.failed, taken)},
            warnings=_with_texts(after.warnings, merged),
        )
        return looked_at(day, now)(after)

    told = ledger.update(office.store, COLLECTION, keys.day_name(day), change)
    tally = tallies.setdefault(day, Tally(told))
    tally.ledger = told
    tally.written += sum(one.is_changed for one in merged)
    tally.corrected += sum(one.is_changed and bool(one.folded.corrections) for one in merged)


def _still_failed(failed: Mapping[str, Failed], taken: Iterable[_Merged]) -> dict[str, Failed]:
    """The failures of files that were merged, but not from a report that makes up for what failed."""
    return {
        one.job.path: failed[one.job.path]
        for one in taken
        if one.job.path in failed and not _is_covered(one, failed[one.job.path])
    }


def _is_covered(one: _Merged, fault: Failed) -> bool:
    """Whether a whole report came since a failure, or was it, and no row of the day is lost between them.

    What failed may have had rows of the 25 hours before it; those that the whole report has no more must be there.
    """
    begins = ends(one.job.day) - _A_DAY
    since = (fault.since or fault.at) - _A_DAY - _AN_HOUR
    lacking = [time for hour in range(24) if since <= (time := begins + hour * _AN_HOUR) not in one.times]
    return any(
        (source.fetched_at >= fault.at or (fault.etag is not None and source.etag == fault.etag))
        and all(time >= oldest for time in lacking)
        for source, oldest in one.folded.whole
    )


def _with_texts(warnings: Sequence[str], merged: Iterable[_Merged]) -> tuple[str, ...]:
    """The warnings of a day and those on the cells that hold no number, each once."""
    found = {
        f"{NO_NUMBER} {one.job.station} {cell.time:%Y-%m-%d %H:%M} UTC {cell.column}: {cell.text[:40]!r}"
        for one in merged
        for cell in one.folded.texts
    }
    found |= {line for line in warnings if line.startswith(NO_NUMBER)}
    if not found:
        return tuple(warnings)
    more = f"{NO_NUMBER} more cells than these {MOST_TEXTS}"
    lines = sorted(found - {more})
    others = (line for line in warnings if not line.startswith(NO_NUMBER))
    is_more = more in found or len(lines) > MOST_TEXTS
    return (*others, *lines[:MOST_TEXTS], *((more,) if is_more else ()))


def _is_there(office: Office, merged: _Merged) -> bool:
    """Whether a day file is still the version that was written or found."""
    try:
        return office.store.head(merged.job.path).etag == merged.etag
    except ObjectMissing:
        return False


def _kept(merged: _Merged, data: bytes, before: Kept | None, now: datetime) -> Kept:
    """What the ledger says of a day file."""
    sha256 = digest(data)
    is_same = before is not None and before.sha256 == sha256
    source = merged.folded.source
    return Kept(
        sha256=sha256,
        size=len(data),
        stored_bytes=len(data),
        kept_at=before.kept_at if before is not None and is_same else now,
        source=before.source if source is None and before is not None else source,
        as_of=merged.as_of,
    )


def _sorted(corrections: Iterable[Corrected]) -> tuple[Corrected, ...]:
    """Corrections by when they were made, each once."""
    return tuple(sorted(set(corrections), key=lambda one: (one.at, one.station, one.time, one.column)))


def _arrivals(store: Store, day: date, stations: Collection[str] | None) -> Mapping[str, Sequence[Arrival]]:
    """By station, the reports that were fetched while the server had rows of a day; each once."""
    found = defaultdict[str, dict[Arrival, None]](dict)
    last = ends(day) + _A_DAY + COMES_UNTIL
    for fetched in (day, day + _A_DAY, day + 2 * _A_DAY):
        for one in report_versions.arrivals_of(store, fetched):
            if (stations is None or one.station in stations) and report_time(one.source) < last:
                found[one.station][one] = None
    return {station: tuple(some) for station, some in found.items()}


@dataclass(frozen=True, slots=True)
class _Raw:
    """Raw reports that are kept, and those of which nothing can be read: key and reason."""

    reports: tuple[Came, ...]
    unread: Mapping[str, str]


def _raw(office: Office, arrivals: Iterable[Arrival], log: Log) -> _Raw:
    """The raw reports of some arrivals, but for those that are not there; a damaged one goes to quarantine."""
    stored = dict[str, bytes | None]()
    reports, unread = list[Came](), dict[str, str]()
    for arrival in arrivals:
        key = arrival.raw_key
        if key not in stored:
            stored[key] = _stored(office.store, key)
        data = stored[key]
        if data is None or key in unread:
            continue
        try:
            one = came(arrival.station, arrival.source, _verified(arrival, data), arrival.proof)
        except FormatError as fault:
            unread[key] = f"{fault}; kept as {office.archive.quarantine(key, data)}"
            continue
        reports.append(one)
        if one.report is None:
            unread[key] = f"{key}: {one.fault}"
    for reason in unread.values():
        log(reason)
    return _Raw(tuple(reports), unread)


def _stored(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key).data
    except ObjectMissing:
        return None


def _quarantined(
    office: Office, day: date, stations: Collection[str] | None, log: Log
) -> Mapping[str, Sequence[Came]]:
    """By station, the reports in the quarantine that have rows of a day and can be read now.

    No arrival is recorded of them. Their time is at most an hour after their newest row: when they were put there may
    be long after they came. A file with rows of one day alone is a damaged day file, which was replaced.
    """
    found = defaultdict[str, list[Came]](list)
    for fetched in (day, day + _A_DAY):
        for info in office.store.list(f"quarantine/{_folder(fetched)}"):
            station = info.key.rpartition("/")[2].partition("-BEOB.csv")[0]
            if stations is not None and station not in stations:
                continue
            one = _rescued(office.store.get(info.key).data, info, station, log)
            if one is not None and one.report is not None and len(one.report.days) > 1:
                found[station].append(one)
    return dict(found)


def _rescued(data: bytes, info: ObjectInfo, station: str, log: Log) -> Came | None:
    source = Source(info.key, info.modified, len(data), digest(data))
    try:
        one = came(station, source, data)
    except HtmlPage:
        return None
    if one.fault is not None:
        log(f"{info.key}: {one.fault}")
    fetched_at = min(info.modified, (one.newest or info.modified) + _AN_HOUR)
    return replace(one, arrival=Arrival(station, msgspec.structs.replace(source, fetched_at=fetched_at)))


def _folder(day: date) -> str:
    """Where the reports of a day are."""
    return archive_path(ReportsKey(day, "10315")).rpartition("/")[0] + "/"


def _verified(arrival: Arrival, stored: bytes) -> bytes:
    data = unpack_lz4(stored, arrival.raw_key, LONGEST_FILE)
    if digest(data) != arrival.source.sha256:
        raise FormatError(f"{arrival.raw_key}: not the bytes that its name says")
    return data


def _keep_raw(store: Store, one: Came) -> None:
    with suppress(ObjectExists):
        store.create(one.arrival.raw_key, pack_lz4(one.data))


def _each(office: Office, action: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """An action on each item, several at once: on S3, and where every write is synced, the store is what takes time.

    Each thread has its share of the items from the start: handing over one at a time costs as much as merging it.
    """
    every = list(items)
    threads = office.settings.connections
    shares = [every[first::threads] for first in range(threads)]
    with ThreadPoolExecutor(threads, thread_name_prefix="reports") as pool:
        done = list(pool.map(lambda share: [action(item) for item in share], shares))
    return [done[place % threads][place // threads] for place in range(len(every))]
