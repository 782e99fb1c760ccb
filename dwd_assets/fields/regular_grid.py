"""ICON-D2 and ICON-EU on their regular grids, made of the fields that are kept on ICON's triangles.

The server's regular files end with its old tree. What is made here has the path and the layout that those have: a
file for each hour, with a message for each step within it. A file that came from the server is never replaced by
one that was made.

What belongs here: which files are to be made of which, why others are not, and recording them. What does not: GRIB
(`dwd_assets.formats.grib.worker`), which cell is nearest (`dwd_assets.formats.grib.regrid`), and where the cells of a
grid are (`dwd_assets.archive.positions`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Literal

import msgspec

from dwd_assets.archive.positions import (
    DIGITS,
    KeptFile,
    NoPositions,
    Positions,
    find_positions,
    grid_of,
    grid_of_note,
    native_grid,
)
from dwd_assets.archive.storing import Content, digest
from dwd_assets.fields.history import RunHistory, read_history
from dwd_assets.formats.checks import parse_run, run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, LevelType
from dwd_assets.formats.grib.grid import NativeGrid
from dwd_assets.formats.grib.regrid import Regridding, kept_nearest_cells
from dwd_assets.formats.grib.structure import scan
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.formats.target_grids import TARGET_GRIDS
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import Done, Recorder
from store.dwd import ledger
from store.dwd.ledger import Failed, Kept, Ledger
from store.objects import ObjectMissing

_POSITIONS = frozenset({"clat", "clon", "elat", "elon", "vlat", "vlon", "rlat", "rlon"})
"""Constants that say where cells, edges and corners of the triangles are: no fields on another grid."""

_REGRIDDED: frozenset[LevelType] = frozenset({"single", "time-invariant"})
"""The types of level of which fields are put on a regular grid."""

_AT_ONCE = 2
"""The decoder is one process: while it works for one thread, the other packs and stores."""

_BATCH_FILES = 64
"""After so many files free space is looked at again; of a quarter-hourly field, 400 MB before packing."""

_SHOWN = 3
"""Of so many hours that are not made the reason is given in full; the others are counted."""


_Standing = Literal["due", "made", "server", "awaited", "failed"]
"""A file is to be made; is made; is the server's; may still come from the server; failed just now."""


@dataclass(frozen=True, slots=True)
class _Hour:
    """A regular file to be made, and the sources of its messages by their step, ascending."""

    key: FieldKey
    path: str
    sources: Mapping[int, KeptFile]

    @property
    def made_from(self) -> tuple[str, ...]:
        """Each source's path and the first digits of its content's digest."""
        return tuple(f"{source.path}#{source.content}" for source in self.sources.values())

    @property
    def version(self) -> str:
        """What the file would be made of, in a few digits."""
        return digest("\n".join(self.made_from).encode())[:DIGITS]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What can be made of a run on the regular grid, and why other files are not.

    is_due: whether something can be made. reasons: why files are not made, a line each; empty if all are. again_at:
    when to look again although the ledger has not changed, None if only a change of it matters.
    """

    is_due: bool
    reasons: tuple[str, ...] = ()
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a ledger says can be made, before a file is read.

    due: hours that are whole, and have no file or one that was made of something else. faults: why nothing can ever be
    made of it as it is. reasons: why hours are not made now. again_at: when some of these no longer hold.
    """

    due: tuple[_Hour, ...] = ()
    faults: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    again_at: datetime | None = None


def outlook(office: Office, known: Ledger) -> Outlook:
    """What could be made of a run whose ledger is `known`. Raises `StoreError`.

    For their grids the fields of each parameter that were kept first and last are read, unless they were before.
    """
    cells = _Cells(office, known)
    plan = _planned(office, known, cells)
    lacking: dict[str, None] = {}
    for hour in _first_and_last(plan.due):
        try:
            cells.positions(grid_of(next(iter(hour.sources.values())), office.store))
        except NoPositions as fault:
            lacking[str(fault)] = None
        except FormatError:
            return Outlook(is_due=True)  # a pass records what is wrong with the source
        else:
            return Outlook(is_due=True)
    retry = office.clock() + timedelta(minutes=office.settings.fields_retry_minutes)
    times = [time for time in (plan.again_at, retry if lacking else None) if time is not None]
    return Outlook(False, (*plan.faults, *lacking, *plan.reasons), min(times, default=None))


def regrid_run(office: Office, model: str, run: datetime, log: Log) -> Done:
    """Make the regular file of each hour of a run whose fields are all kept and which has none from the server.

    One that the ledger expects from the server is waited for until that has deleted the run. One that was made is
    made again if a source, or the cells' positions, changed. A source that is not what it should be, or cannot be
    decoded, costs its own hour: `Failed` in the ledger, tried again if it changed or after the retry minutes. Fields of
    a grid without positions are not made and count as failed. Why other hours are not made is logged and returned.

    Raises `ValueError` for a model without a regular grid; `StoreError` (`BelowFloor` too) and `DecoderError`, after
    what was made until then is recorded.
    """
    if model not in TARGET_GRIDS:
        raise ValueError(f"{model!r} has no regular grid; allowed: {', '.join(TARGET_GRIDS)}")
    begun = time.monotonic()
    known = ledger.read(office.store, model, run_text(run))
    cells = _Cells(office, known)
    plan = _planned(office, known, cells)
    done = Done(ledger.summary(known), failed={f"{model} {known.period}": fault for fault in plan.faults})
    if plan.due:
        done = _Making(office, known, cells, log).make(plan.due)
    reasons = (*plan.faults, *plan.reasons)
    for reason in reasons or (() if plan.due else ("all files are made",)):
        log(f"{model} {known.period} on the regular grid: {reason}")
    return replace(done, seconds=time.monotonic() - begun, reasons=reasons)


@dataclass(slots=True)
class _Cells:
    """The positions and nearest cells of the grids that a run's fields are on; may be used by several threads."""

    office: Office
    known: Ledger
    _found: dict[NativeGrid, Positions | NoPositions] = field(default_factory=dict)
    _ready: dict[NativeGrid, Regridding | NoPositions] = field(default_factory=dict)
    _turn: Lock = field(default_factory=Lock)

    def positions(self, grid: NativeGrid) -> Positions:
        """CLAT and CLON of a grid. Raises `NoPositions`, `StoreError`."""
        if grid not in self._found:
            try:
                self._found[grid] = find_positions(self.office.store, self.known, grid)
            except NoPositions as fault:
                self._found[grid] = fault
        found = self._found[grid]
        if isinstance(found, NoPositions):
            raise found
        return found

    def regridding(self, grid: NativeGrid) -> tuple[Positions, Regridding]:
        """A grid's positions and its nearest cells. Raises `NoPositions`, `StoreError`, `DecoderError`."""
        with self._turn:
            positions = self.positions(grid)
            if grid not in self._ready:
                try:
                    self._ready[grid] = _regridding(self.office, self.known.collection, positions)
                except FormatError as fault:
                    self._ready[grid] = NoPositions(str(fault))
            ready = self._ready[grid]
        if isinstance(ready, NoPositions):
            raise ready
        return positions, ready

    def are_those_of(self, notes: Sequence[str]) -> bool:
        """Whether a file with these notes was made with the positions that are kept now, or that are gone."""
        grids = [grid for note in notes if (grid := grid_of_note(note)) is not None]
        try:
            return bool(grids) and all(self.positions(grid).note in notes for grid in grids)
        except NoPositions:
            return True


@dataclass(slots=True)
class _Making:
    """Making the files of one run."""

    office: Office
    known: Ledger
    cells: _Cells
    log: Log

    def make(self, hours: Sequence[_Hour]) -> Done:
        """Make files and record each in the ledger, made or failed; one without positions is failed in `Done` alone."""
        model, period = self.known.collection, self.known.period
        made = changed = 0
        failed: dict[str, str] = {}
        with Recorder(self.office.store, model, period) as recorder:
            for hour, outcome in self._outcomes(hours):
                if isinstance(outcome, Kept):
                    recorder.kept(hour.path, outcome)
                    made += 1
                    changed += self._is_other(hour, outcome)
                    continue
                if isinstance(outcome, Failed):
                    recorder.failed(hour.path, outcome)
                reason = outcome.reason if isinstance(outcome, Failed) else str(outcome)
                if reason not in failed.values():
                    self.log(reason)
                failed[hour.path] = reason
            after = recorder.tell()
        self.log(f"{model} {period}: {made} files on the regular grid made, {len(failed)} not")
        return Done(ledger.summary(after), made, changed, failed=failed)

    def _outcomes(self, hours: Sequence[_Hour]) -> Iterator[tuple[_Hour, Kept | Failed | NoPositions]]:
        """Make files in order; while the decoder has one field, the one before is packed and stored."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="regrid") as pool:
            for first in range(0, len(hours), _BATCH_FILES):
                self.office.archive.check_floor()
                batch = hours[first : first + _BATCH_FILES]
                yield from zip(batch, pool.map(self._outcome, batch), strict=True)

    def _outcome(self, hour: _Hour) -> Kept | Failed | NoPositions:
        try:
            return self._kept(hour)
        except NoPositions as fault:
            return fault
        except FormatError as fault:
            return Failed(str(fault), self.office.clock(), etag=hour.version)

    def _kept(self, hour: _Hour) -> Kept:
        """Make, verify and store a file. Raises `FormatError`."""
        data, notes = self._regridded(hour)
        content = Content.packed(data)
        archive, before = self.office.archive, self.known.kept.get(hour.path)
        if before is None and not self._is_free(hour.path) and not archive.holds(hour.path, content.sha256):
            raise FormatError(
                f"{hour.path}: has a file that the ledger does not know, and that is left as it is"
            )
        kept = archive.keep(hour.path, content, None, before, self.office.clock())
        return msgspec.structs.replace(kept, made_from=hour.made_from, notes=notes)

    def _regridded(self, hour: _Hour) -> tuple[bytes, tuple[str, ...]]:
        """The messages of all sources, in order of their steps, and how they were made."""
        parts, notes = [], []
        for source in hour.sources.values():
            data = source.read(self.office.store)
            positions, regridding = self.cells.regridding(native_grid(data, source.path))
            parts.append(self.office.worker.regrid(data, regridding, source.path))
            notes.append(positions.note)
        made = b"".join(parts)
        found, wanted = [message.step_minutes for message in scan(made, hour.path)], list(hour.sources)
        # A product whose template is unknown has no step.
        if len(found) != len(wanted) or any(
            step not in {None, due} for step, due in zip(found, wanted, strict=True)
        ):
            raise FormatError(f"{hour.path}: has the minutes {found} after the run, should have {wanted}")
        return made, tuple(dict.fromkeys(notes))

    def _is_free(self, path: str) -> bool:
        try:
            self.office.store.head(path)
        except ObjectMissing:
            return True
        return False

    def _is_other(self, hour: _Hour, kept: Kept) -> bool:
        before = self.known.kept.get(hour.path)
        return before is not None and before.sha256 != kept.sha256


def _planned(office: Office, known: Ledger, cells: _Cells) -> _Plan:
    """What can be made of a run, and why the rest cannot, by its ledger."""
    fault = _fault(office, known)
    if fault is not None:
        return _Plan(faults=(fault,))
    whole, waiting = _hours(office, known)
    now, retry = office.clock(), timedelta(minutes=office.settings.fields_retry_minutes)
    standing: dict[_Standing, list[_Hour]] = defaultdict(list)
    for hour in whole:
        standing[_standing(hour, known, cells, now, retry)].append(hour)
    failures = [known.failed[hour.path] for hour in standing["failed"]]
    again = [failure.at + retry for failure in failures]
    until = ""
    if standing["awaited"] and known.deadline is not None:
        again.append(known.deadline)
        until = f" until {known.deadline:%Y-%m-%dT%H:%MZ}"
    reasons = (
        *_counted(waiting, "hours that wait for fields"),
        *_counted([hour.path for hour in standing["server"]], "files of the server's own"),
        *_counted([hour.path for hour in standing["awaited"]], f"files expected from the server{until}"),
        *_counted([failure.reason for failure in failures], "files that failed and are tried again later"),
    )
    return _Plan(tuple(standing["due"]), (), reasons, min(again, default=None))


def _standing(hour: _Hour, known: Ledger, cells: _Cells, now: datetime, retry: timedelta) -> _Standing:
    """How it stands with a file whose fields are all kept."""
    kept, failure = known.kept.get(hour.path), known.failed.get(hour.path)
    if kept is not None and not kept.made_from:
        return "server"
    if kept is None and hour.path in known.missing and (known.deadline is None or now < known.deadline):
        return "awaited"
    if kept is not None and kept.made_from == hour.made_from and cells.are_those_of(kept.notes):
        return "made"
    if failure is not None and failure.etag == hour.version and now - failure.at < retry:
        return "failed"
    return "due"


def _fault(office: Office, known: Ledger) -> str | None:
    """Why nothing can be made of a run at all, None if something can."""
    if not known.kept and not known.missing:
        return f"no such run: the archive has no ledger of {known.collection} {known.period}"
    if any(_by_hour((*known.kept, *known.missing))):
        return None
    rows = office.settings.selection.of_model(known.collection).rows
    if not any(row.level_types & _REGRIDDED and not _POSITIONS.issuperset(row.parameters) for row in rows):
        return f"DWD_FIELDS selects no single-level or time-invariant fields of {known.collection}"
    return "no single-level or time-invariant field on triangles is kept or expected"


def _counted(items: Sequence[str], what: str) -> tuple[str, ...]:
    """How many there are, and the first of them by name; nothing if there are none."""
    if not items:
        return ()
    more = f"; and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return (f"{what} ({len(items)}): {'; '.join(items[:_SHOWN])}{more}",)


def _first_and_last(hours: Sequence[_Hour]) -> list[_Hour]:
    """Of each parameter the first and the last hour."""
    found: dict[str, tuple[_Hour, _Hour]] = {}
    for hour in hours:
        first, _ = found.get(hour.key.parameter, (hour, hour))
        found[hour.key.parameter] = first, hour
    return [hour for pair in found.values() for hour in pair]


def _hours(office: Office, known: Ledger) -> tuple[list[_Hour], list[str]]:
    """The hours whose steps are all kept, and for which steps each of the others waits."""
    kept, awaited = _by_hour(known.kept), _by_hour(known.missing)
    history = RunHistory(read_history(office.store, known.collection), _run_of(known))
    whole: list[_Hour] = []
    waiting: list[str] = []
    for key in dict.fromkeys((*kept, *awaited)):
        paths = kept.get(key, {})
        expected = _expected_steps(key, office, history)
        lacking = (expected or frozenset()).union(awaited.get(key, ())) - paths.keys()
        is_open = bool(lacking) or (expected is None and known.expects_more)
        if is_open and not _is_the_servers(key, known):
            waiting.append(_waiting(key, lacking))
        else:
            sources = {step: KeptFile(path, known.kept[path]) for step, path in sorted(paths.items())}
            whole.append(_Hour(key, archive_path(key), sources))
    return whole, waiting


def _waiting(key: FieldKey, lacking: Iterable[int]) -> str:
    """What an hour waits for."""
    steps = " ".join(f"{step // 60:03d}:{step % 60:02d}" for step in sorted(lacking))
    wanted = steps or "the run to be whole, since no run of the same hour of the day was"
    return f"{key.parameter} of hour {key.step_minutes // 60:03d} waits for {wanted}"


def _run_of(known: Ledger) -> datetime:
    """The run that a ledger is of. Raises `ValueError`."""
    run = parse_run(known.period)
    if run is None:
        raise ValueError(f"{known.period!r} is not a run (YYYYMMDDHH)")
    return run


def _is_the_servers(key: FieldKey, known: Ledger) -> bool:
    kept = known.kept.get(archive_path(key))
    return kept is not None and not kept.made_from


def _by_hour(paths: Iterable[str]) -> dict[FieldKey, dict[int, str]]:
    """Those paths that can be regridded, by the regular file that they belong in and their step in minutes."""
    hours: dict[FieldKey, dict[int, str]] = defaultdict(dict)
    for path in paths:
        key = parse_archive_path(path)
        if isinstance(key, FieldKey) and _is_regridded(key):
            regular = replace(key, grid="regular", step_minutes=key.step_minutes // 60 * 60)
            hours[regular][key.step_minutes] = path
    return hours


def _is_regridded(key: FieldKey) -> bool:
    return (
        key.grid == "icosahedral"
        and key.level_type in _REGRIDDED
        and key.level is None
        and key.member is None
        and key.parameter not in _POSITIONS
    )


def _expected_steps(regular: FieldKey, office: Office, history: RunHistory) -> frozenset[int] | None:
    """The steps in minutes within the hour of a regular file, as earlier runs had them and they are selected.

    Returns None if no run of the same hour of the day was seen whole with the selected hours.
    """
    native = replace(regular, grid="icosahedral")
    selection = office.settings.selection
    pattern = history.pattern(native)
    if pattern is None or not history.knows(native, selection):
        return None
    hour = range(regular.step_minutes, regular.step_minutes + 60)
    return frozenset(
        step
        for _, steps in pattern
        for step in steps
        if step in hour and selection.takes(replace(native, step_minutes=step))
    )


def _regridding(office: Office, model: str, positions: Positions) -> Regridding:
    """The nearest cells, kept in the folder of the settings. Raises `FormatError` if the files have no positions."""
    latitudes, longitudes = (
        office.worker.values(file.read(office.store), file.path)[0].values
        for file in (positions.latitude, positions.longitude)
    )
    grid = TARGET_GRIDS[model]
    try:
        index = kept_nearest_cells(latitudes, longitudes, grid, office.settings.geometry_cache)
    except ValueError as fault:
        raise FormatError(f"{positions.latitude.path} and CLON: {fault}") from fault
    if index.max() < 0:
        raise FormatError(f"{positions.latitude.path} and CLON: no cell is near the grid: not in degrees?")
    return Regridding.of(index, latitudes.size, grid)
