"""A MOSMIX file of all stations: proved whole first, then split into the archive's file per station.

Nothing is kept of a file that was cut off or is damaged. In memory are some stations at a time, on disk the packed
file, in a temporary folder (`TMPDIR`).
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from dwd_assets.archive.storing import Content
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import Place
from dwd_assets.formats.mosmix.split import Split, StationKml, split, verify
from dwd_assets.formats.paths import STATION
from dwd_assets.mosmix.issues import Issue, station_of
from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import NotYet, OpendataError
from dwd_assets.opendata.messages import NotModified, Received, Request, Version
from dwd_assets.opendata.settling import is_settled
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import (
    BATCH_FILES,
    GRACE,
    Done,
    Recorder,
    noted,
    standing_warnings,
    unread_warnings,
)
from dwd_assets.periods.stations import catalogue
from store.dwd import ledger
from store.dwd.ledger import Failed, Kept, Ledger, Source
from store.objects import Store, StoreError

LONGEST_QUARANTINED = 64 << 20
"""Bytes of a file that is not what it should be which are kept to be looked at: they pass through memory."""

_WRITERS = 8
"""A put waits for the disk, or for the network, most of the time."""

_PENDING = 4 * _WRITERS
"""Stations of 20 KB that wait for a writer, at most."""

_TOLD = 5
"""So many names or lines are told of many."""

_ISSUES_COMPARED = 4
"""Issues whose stations are expected of the next one: half an issue does not lower the bar, four in a row do."""

NOT_VERIFIED = "not verified:"
"""How the warning of an issue begins whose stations could not be compared with those of earlier issues."""


def archive_all_stations(
    office: Office,
    issue: Issue,
    only: frozenset[str],
    asked: frozenset[str] = frozenset(),
    *,
    recheck: bool = False,
) -> Done:
    """One pass over the file of all stations of an issue, keeping those of `only`, or all where that is empty.

    Expected are the stations of `only`, or those of the four issues before: what the file does not have of these is
    missing. With `asked`, those stations alone are kept in this pass, and what is expected stays the same; if all of
    them are kept already, nothing is asked for unless with `recheck`. Raises `StoreError`, also where the temporary
    folder does not take the file.
    """
    before = ledger.read(office.store, issue.collection, issue.period)
    wanted = _Wanted(before, only, asked, only or stations_before(office.store, issue))
    if asked and not recheck and {issue.path(station) for station in asked} <= before.kept.keys():
        return Done(ledger.summary(before))
    with _temporary(issue) as folder:
        try:
            saved = office.client.save(Request(issue.address), folder)
        except NotYet:
            return Done(ledger.summary(before), requests=1)
        except OpendataError as fault:
            return _done(tell_failed(office, issue, str(fault)), None, {issue.source: str(fault)})
        if isinstance(saved, NotModified) or not settled(saved.received.version, office.clock()):
            return Done(ledger.summary(before), requests=1)
        with saved.file.open("rb") as file:
            # Its bytes are there until it is closed, and a kill leaves nothing behind.
            saved.file.unlink()
            return _archive(office, issue, saved.received, file, wanted)


def stations_before(store: Store, issue: Issue) -> frozenset[str]:
    """Return the stations that any of the four issues before had, kept or not. Raises `StoreError`.

    A station that the whole file of an issue did not have does not count as one of that issue.
    """
    found: set[str | None] = set()
    for _ in range(_ISSUES_COMPARED):
        issue = issue.before
        known = ledger.read(store, issue.collection, issue.period)
        found.update(map(station_of, (*known.kept, *(set(known.missing) - known.never_seen))))
    return frozenset(station for station in found if station is not None)


def source_of(client: Client, received: Received, fetched_at: datetime) -> Source:
    """What the ledger says of where a file came from."""
    return Source(
        url=client.base_url + received.path,
        fetched_at=fetched_at,
        length=received.size,
        sha256=received.sha256,
        etag=received.version.etag,
        modified=received.version.modified,
    )


def settled(version: Version, now: datetime) -> bool:
    """Whether a version is old enough to be trusted; one without a time is."""
    return version.modified is None or is_settled(version.modified, now)


def news(before: Kept | None, kept: Kept) -> tuple[bool, bool]:
    """Whether the ledger now has another content of a file than before, and whether one replaced another."""
    if before is None:
        return True, bool(kept.earlier)
    return kept.sha256 != before.sha256, kept.earlier != before.earlier


def tell_failed(office: Office, issue: Issue, reason: str, etag: str | None = None) -> Ledger:
    """Tell the ledger that the file of all stations did not come, or was not what it should be."""
    now = office.clock()
    failed = {issue.source: Failed(reason, now, etag=etag)}

    def change(before: Ledger) -> Ledger:
        return msgspec.structs.replace(
            noted(before, {}, failed),
            looked_at=now,
            deadline=issue.deadline,
            given_up=issue.deadline + GRACE,
            expects_more=before.expects_more or not (before.kept or before.missing),
        )

    return ledger.update(office.store, issue.collection, issue.period, change)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was known of an issue before the pass, and which stations are wanted.

    only: those that the settings name, empty: all. asked: those that are kept in this pass, empty: all that are
    wanted. expected: those that the issue is to have as far as that is known before its file is read.
    """

    before: Ledger
    only: frozenset[str]
    asked: frozenset[str]
    expected: frozenset[str]

    def includes(self, station: str) -> bool:
        """Return whether an issue is to have a station once it is complete."""
        return not self.only or station in self.only

    def takes(self, station: str) -> bool:
        """Return whether a station is kept in this pass."""
        return station in self.asked if self.asked else self.includes(station)


@contextmanager
def _temporary(issue: Issue) -> Iterator[Path]:
    """A folder for what comes from the server; what it cannot hold is as a store's fault is."""
    try:
        with tempfile.TemporaryDirectory(prefix="mosmix-") as folder:
            yield Path(folder)
    except OSError as fault:
        raise StoreError(f"{issue.name}: {tempfile.gettempdir()} does not hold it: {fault}") from fault


def _archive(office: Office, issue: Issue, received: Received, file: BinaryIO, wanted: _Wanted) -> Done:
    """Verify a file that came, and keep what is in it."""
    try:
        verify(file, issue.name)
        return _split(office, issue, received, file, wanted)
    except FormatError as fault:
        return _refuse(office, issue, received, file, str(fault))


def _split(office: Office, issue: Issue, received: Received, file: BinaryIO, wanted: _Wanted) -> Done:
    """Keep the stations of a file that is whole. Raises `FormatError`, and has kept none, where it has none."""
    with (
        Recorder(office.store, issue.collection, issue.period) as recorder,
        _Keeping(
            office, issue, source_of(office.client, received, office.clock()), wanted, recorder
        ) as keeping,
    ):
        told = split(file, keeping.take, issue.name)
        keeping.finish()
        return _conclude(office, keeping, told)


def _conclude(office: Office, keeping: _Keeping, result: Split) -> Done:
    """Record in catalogue and ledger what became of a file that was split."""
    issue = keeping.issue
    catalogue(office.store, keeping.places)
    failed = _failures(keeping, result)
    now = office.clock()
    for path, reason in failed.items():
        keeping.recorder.failed(path, Failed(reason, now, etag=keeping.source.etag))
    expected = {*_paths(issue, keeping.stations_of_issue(result)), *failed}
    absent = _paths(issue, keeping.absent(result))
    unread, repeated = tuple(_unread(keeping, result)), tuple(_repeated(keeping, result))
    warnings = (*unread_warnings(unread), *repeated, *_warnings(keeping, result))

    def change(before: Ledger) -> Ledger:
        return msgspec.structs.replace(
            before,
            looked_at=now,
            deadline=issue.deadline,
            given_up=issue.deadline + GRACE,
            expects_more=False,
            missing=tuple(sorted(expected - before.kept.keys())),
            failed={path: fault for path, fault in before.failed.items() if path in failed},
            warnings=(*standing_warnings(before), *warnings),
            unseen=tuple(sorted(absent)),
        )

    recorded = keeping.recorder.tell(change)
    return _done(recorded, keeping, {**failed, **_not_there(keeping, result)}, faults=(*unread, *repeated))


def _refuse(office: Office, issue: Issue, received: Received, file: BinaryIO, fault: str) -> Done:
    """Tell of a file that is not what it should be, and keep it to be looked at, unless it is too large for that."""
    is_small = received.size < LONGEST_QUARANTINED
    reason = fault if is_small else f"{fault}; its {received.size} bytes are too many for the quarantine"
    told = tell_failed(office, issue, reason, received.version.etag)
    if is_small:
        file.seek(0)
        office.archive.quarantine(issue.source, file.read())
    return _done(told, None, {issue.source: reason}, received.size)


def _done(
    told: Ledger,
    keeping: _Keeping | None,
    failed: Mapping[str, str],
    length: int = 0,
    faults: tuple[str, ...] = (),
) -> Done:
    return Done(
        ledger.summary(told),
        fetched=0 if keeping is None else keeping.fetched,
        changed=0 if keeping is None else keeping.changed,
        bytes_fetched=length if keeping is None else keeping.source.length,
        requests=1,
        failed=failed,
        faults=faults,
    )


@dataclass(slots=True)
class _Keeping:
    """Stations on their way into the archive, by some threads; a context manager that ends those.

    The ledger is told by the thread that splits. places: of the stations taken; paths: of those, as long as they
    have one; unplaced: ids that have none.
    """

    office: Office
    issue: Issue
    source: Source
    wanted: _Wanted
    recorder: Recorder
    places: dict[str, Place | None] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    unplaced: list[str] = field(default_factory=list)
    fetched: int = 0
    changed: int = 0
    _pending: deque[tuple[str, Future[Kept]]] = field(default_factory=deque)
    _writers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_WRITERS))

    def __enter__(self) -> _Keeping:
        return self

    def __exit__(self, *_: object) -> None:
        self._writers.shutdown(wait=True, cancel_futures=True)

    def take(self, station: StationKml) -> None:
        """Begin to keep a station. Raises `FormatError` before the first one where the issue is another."""
        if f"{station.issued:%Y%m%d%H}" != self.issue.period:
            raise FormatError(f"{self.issue.name}: holds the issue of {station.issued:%Y-%m-%d %H:%M}")
        if not self.wanted.takes(station.station):
            return
        try:
            path = self.issue.path(station.station)
        except ValueError as fault:
            self.unplaced.append(str(fault))
            return
        self._begin(path, station)

    def stations_of_issue(self, result: Split) -> frozenset[str]:
        """Return the stations that the issue is to have once it is complete, those that it does not have included."""
        there = {*result.stations, *result.malformed}
        return self.wanted.expected | {station for station in there if self.wanted.includes(station)}

    def absent(self, result: Split) -> frozenset[str]:
        """Return the expected stations that the file, which is whole, does not have, and that are not kept either."""
        kept = {station_of(path) for path in self.wanted.before.kept}
        return self.wanted.expected - {*result.stations, *result.malformed} - kept

    def finish(self) -> None:
        """Wait for all that were taken."""
        while self._pending:
            self._finish_one()

    def _begin(self, path: str, station: StationKml) -> None:
        if not self.paths:
            self.recorder.tell(self._opened)
        if path in self.paths:
            self.finish()  # it comes a second time: one after the other
        if len(self.paths) % BATCH_FILES == BATCH_FILES - 1:
            self.office.archive.check_floor()
        self.paths.add(path)
        self.places[station.station] = station.place
        content = Content(station.kmz, station.sha256, station.size)
        self._pending.append((path, self._writers.submit(self._keep, path, content)))
        while len(self._pending) > _PENDING:
            self._finish_one()

    def _opened(self, before: Ledger) -> Ledger:
        """The ledger while stations come: not complete, whatever it was, until all are there."""
        end = self.issue.deadline
        return msgspec.structs.replace(before, deadline=end, given_up=end + GRACE, expects_more=True)

    def _keep(self, path: str, content: Content) -> Kept:
        before = self.wanted.before.kept.get(path)
        return self.office.archive.keep(path, content, self.source, before, self.source.fetched_at)

    def _finish_one(self) -> None:
        path, future = self._pending.popleft()
        kept = future.result()
        self.recorder.kept(path, kept)
        fetched, changed = news(self.wanted.before.kept.get(path), kept)
        self.fetched += fetched
        self.changed += changed


def _paths(issue: Issue, stations: Iterable[str]) -> frozenset[str]:
    """Return the archive paths of the stations that have one; the others are reported as failed."""
    return frozenset(issue.path(station) for station in stations if STATION.fullmatch(station))


def _failures(keeping: _Keeping, result: Split) -> dict[str, str]:
    """What was not kept, and why: by archive path, and under the file's own name where that is not known."""
    issue = keeping.issue
    failed = {
        issue.path(station): f"{issue.name}: has no station {station}"
        for station in sorted(keeping.absent(result))
    }
    nameless = list(keeping.unplaced)
    for station, fault in result.malformed.items():
        if STATION.fullmatch(station) is None:
            nameless.append(fault)
        elif keeping.wanted.takes(station):
            failed[issue.path(station)] = fault
    known = {*result.malformed.values(), *result.strays}
    nameless += [fault for fault in result.faults if fault not in known]
    if nameless:
        failed[issue.source] = _some(nameless, "; ")
    return failed


def _not_there(keeping: _Keeping, result: Split) -> dict[str, str]:
    """The stations that this pass was asked for and that the file does not have; not all of these are expected."""
    issue = keeping.issue
    gone = keeping.wanted.asked - {*result.stations, *result.malformed}
    return {issue.path(station): f"{issue.name}: has no station {station}" for station in sorted(gone)}


def _unread(keeping: _Keeping, result: Split) -> Iterator[str]:
    """What of a file could not be read and costs no station: a line each."""
    name = keeping.issue.name
    nowhere = sorted(station for station, place in keeping.places.items() if place is None)
    if nowhere:
        yield f"{name}: {len(nowhere)} stations without a readable name and position: {_some(nowhere)}"
    if result.strays:
        yield f"{name}: {len(result.strays)} times something else between stations: {_some(result.strays, '; ')}"


def _repeated(keeping: _Keeping, result: Split) -> Iterator[str]:
    """A line on the stations that a file has more than once: which of them is right is a guess."""
    repeated = [station for station in result.duplicates if keeping.wanted.takes(station)]
    if repeated:
        yield (
            f"{keeping.issue.name}: {len(repeated)} stations came more than once; the last one is kept, "
            f"the others beside it: {_some(repeated)}"
        )


def _warnings(keeping: _Keeping, result: Split) -> Iterator[str]:
    """What is odd about an issue, a line each."""
    wanted = keeping.wanted
    absent = sorted(keeping.absent(result))
    if absent:
        yield f"{len(absent)} of {len(wanted.expected)} expected stations are not in the file: {_some(absent)}"
    if not wanted.expected:
        yield f"{NOT_VERIFIED} no earlier issue is known with whose stations those of the file could be compared"
    kept = {station_of(path) for path in wanted.before.kept} & wanted.expected
    gone = sorted(station for station in kept - {*result.stations, *result.malformed} if station is not None)
    if gone:
        yield f"{len(gone)} stations that are kept of an earlier version are not in the file now: {_some(gone)}"


def _some(items: Iterable[str], between: str = ", ") -> str:
    """The first of some items, and how many more there are."""
    named = list(items)
    more = f" and {len(named) - _TOLD} more" if len(named) > _TOLD else ""
    return between.join(named[:_TOLD]) + more
