"""ICON-D2 on the regular grid of 0.02 degrees, made of the fields that are kept on ICON's triangles.

The server's regular files end with its old tree. What is made here has the path and the layout that those have: a
file for each hour, with a message for each step within it. A file that came from the server is never replaced by
one that was made.

What belongs here: which files are to be made of which, and telling the ledger. What does not: GRIB
(`dwd_assets.formats.gribwork`), and which cell is nearest (`dwd_assets.formats.regrid`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from dwd_assets.archive import Content, digest, plain_of
from dwd_assets.formats.checks import parse_run, run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib import scan
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.formats.regrid import Regridding, kept_nearest_cells
from dwd_assets.office import Log, Office
from dwd_assets.opendata.expected import expected_fields
from dwd_assets.progress import Done, Recorder
from store import keys, ledger
from store.ledger import Failed, Kept, Ledger
from store.objects import ObjectMissing, Store

MODEL: Final = "icon-d2"
"""The one model that is regridded, and its collection."""

NOTE = "regridded here: nearest cell"
"""How the note of a file begins that was made here."""

_LATITUDE, _LONGITUDE = "clat", "clon"
_POSITIONS = frozenset({_LATITUDE, _LONGITUDE, "elat", "elon", "vlat", "vlon", "rlat", "rlon"})
"""Constants that say where cells, edges and corners of the triangles are: no fields on another grid."""

_DIGITS = 12
_MOST_RUNS = 80
"""In how many other runs CLAT and CLON are looked for: ten days."""

_AT_ONCE = 2
"""The decoder is one process: while it works for one thread, the other packs and stores."""

_BATCH_FILES = 64
"""After so many files free space is looked at again; of a quarter-hourly field, 400 MB before packing."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A kept file, by its archive path, and what the ledger says of it."""

    path: str
    kept: Kept

    @property
    def content(self) -> str:
        """The begin of its content's digest."""
        return self.kept.sha256[:_DIGITS]

    def read(self, store: Store) -> bytes:
        """Its content. Raises `FormatError` where that is not what the ledger says, `StoreError`."""
        try:
            stored = store.get(self.kept.held_at or self.path).data
        except ObjectMissing as fault:
            raise FormatError(f"{self.path}: is in the ledger, but not in the store") from fault
        data = plain_of(self.path, stored)
        if digest(data) != self.kept.sha256:
            raise FormatError(f"{self.path}: holds another content than the ledger says")
        return data


@dataclass(frozen=True, slots=True)
class _Hour:
    """A regular file to be made, and the sources of its messages by their step, ascending."""

    path: str
    sources: Mapping[int, _Source]

    @property
    def made_from(self) -> tuple[str, ...]:
        """Each source's path and the begin of its content's digest."""
        return tuple(f"{source.path}#{source.content}" for source in self.sources.values())


@dataclass(frozen=True, slots=True)
class _Cells:
    """The files of CLAT and CLON."""

    latitude: _Source
    longitude: _Source

    @property
    def note(self) -> str:
        """What is noted of each file that was made with them."""
        return f"{NOTE} of CLAT {self.latitude.content} and CLON {self.longitude.content}"


def hours_due(office: Office, known: Ledger, run: datetime) -> int:
    """How many regular files `regrid_run` would make of a run whose ledger is `known`. Raises `StoreError`."""
    hours = _makeable(office, known)
    try:
        cells = _cells(office.store, known, run) if hours else None
    except FormatError:
        return 0
    return sum(_is_due(hour, cells, known, office) for hour in hours) if cells is not None else 0


def regrid_run(office: Office, run: datetime, log: Log) -> Done:
    """Make the regular file of each hour of a run whose fields are all kept and which has none from the server.

    One that the ledger expects from the server is waited for until that has deleted the run. One that was made is
    made again where a source or the cells' positions changed. A source that is not what it should be, or cannot be
    decoded, costs its own hour: `Failed` in the ledger, tried again when it changed or after the retry minutes.
    Raises `StoreError` (`BelowFloor` too) and `DecoderError`; what was made until then is told.
    """
    begun = time.monotonic()
    known = ledger.read(office.store, MODEL, run_text(run))
    hours = _makeable(office, known)
    try:
        cells = _cells(office.store, known, run) if hours else None
        due = [hour for hour in hours if cells is not None and _is_due(hour, cells, known, office)]
        if cells is None or not due:
            return Done(ledger.summary(known), seconds=time.monotonic() - begun)
        regridding = _regridding(office, cells)
    except FormatError as fault:
        log(f"{MODEL} {known.period}: nothing is made on the regular grid: {fault}")
        failed = {_position_path(run, _LATITUDE): str(fault)}
        return Done(ledger.summary(known), seconds=time.monotonic() - begun, failed=failed)
    return _Making(office, known, cells, regridding, log).make(due, begun)


@dataclass(slots=True)
class _Making:
    """Making the files of one run."""

    office: Office
    known: Ledger
    cells: _Cells
    regridding: Regridding
    log: Log

    def make(self, hours: Sequence[_Hour], begun: float) -> Done:
        """Make files and tell the ledger of each, made or failed."""
        made = changed = 0
        failed: dict[str, str] = {}
        with Recorder(self.office.store, MODEL, self.known.period) as recorder:
            for hour, outcome in self._outcomes(hours):
                if isinstance(outcome, Failed):
                    self.log(outcome.reason)
                    failed[hour.path] = outcome.reason
                    recorder.failed(hour.path, outcome)
                    continue
                recorder.kept(hour.path, outcome)
                made += 1
                changed += self._is_other(hour, outcome)
            told = recorder.tell()
        seconds = time.monotonic() - begun
        self.log(
            f"{MODEL} {told.period}: {made} files on the regular grid, {len(failed)} failed, {seconds:.1f} s"
        )
        return Done(ledger.summary(told), made, changed, seconds=seconds, failed=failed)

    def _outcomes(self, hours: Sequence[_Hour]) -> Iterator[tuple[_Hour, Kept | Failed]]:
        """Make files in order; while the decoder has one field, the one before is packed and stored."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="regrid") as pool:
            for first in range(0, len(hours), _BATCH_FILES):
                self.office.archive.check_floor()
                batch = hours[first : first + _BATCH_FILES]
                yield from zip(batch, pool.map(self._outcome, batch), strict=True)

    def _outcome(self, hour: _Hour) -> Kept | Failed:
        try:
            return self._kept(hour)
        except FormatError as fault:
            return Failed(str(fault), self.office.clock(), etag=_version(hour, self.cells))

    def _kept(self, hour: _Hour) -> Kept:
        """Make, verify and store a file. Raises `FormatError`."""
        content = Content.packed(self._regridded(hour))
        archive, before = self.office.archive, self.known.kept.get(hour.path)
        if before is None and not self._is_free(hour.path) and not archive.holds(hour.path, content.sha256):
            raise FormatError(
                f"{hour.path}: has a file that the ledger does not know, and that is left as it is"
            )
        kept = archive.keep(hour.path, content, None, before, self.office.clock())
        return msgspec.structs.replace(kept, made_from=hour.made_from, notes=(self.cells.note,))

    def _regridded(self, hour: _Hour) -> bytes:
        """The messages of all sources, in order of their steps."""
        data = b"".join(
            self.office.worker.regrid(source.read(self.office.store), self.regridding, source.path)
            for source in hour.sources.values()
        )
        told, wanted = [message.step_minutes for message in scan(data, hour.path)], list(hour.sources)
        # A product whose template is unknown tells no step.
        if len(told) != len(wanted) or any(
            step not in {None, due} for step, due in zip(told, wanted, strict=True)
        ):
            raise FormatError(f"{hour.path}: has the minutes {told} after the run, should have {wanted}")
        return data

    def _is_free(self, path: str) -> bool:
        try:
            self.office.store.head(path)
        except ObjectMissing:
            return True
        return False

    def _is_other(self, hour: _Hour, kept: Kept) -> bool:
        before = self.known.kept.get(hour.path)
        return before is not None and before.sha256 != kept.sha256


def _makeable(office: Office, known: Ledger) -> list[_Hour]:
    """The hours that are whole, and that the server has no file of."""
    return [hour for hour in _whole_hours(known) if not _is_the_servers(hour, known, office.clock())]


def _whole_hours(known: Ledger) -> Iterator[_Hour]:
    """The hours of which each step is kept that is expected, or that the ledger says is missing."""
    kept, awaited = _by_hour(known.kept), _by_hour(known.missing)
    for regular, paths in kept.items():
        needed = _expected_steps(regular).union(awaited.get(regular, ()))
        if needed <= paths.keys():
            sources = {step: _Source(path, known.kept[path]) for step, path in sorted(paths.items())}
            yield _Hour(archive_path(regular), sources)


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
        and key.level_type in {"single", "time-invariant"}
        and key.level is None
        and key.member is None
        and key.parameter not in _POSITIONS
    )


@lru_cache(maxsize=4096)  # a run's hours: the ledger is looked through with each batch of new fields
def _expected_steps(regular: FieldKey) -> frozenset[int]:
    """The steps in minutes that the v1 tree is expected to have within the hour of a regular file."""
    hour = range(regular.step_minutes, regular.step_minutes + 60)
    fields = expected_fields(replace(regular, grid="icosahedral"), "v1") or ()
    return frozenset(field.step_minutes for field in fields if field.step_minutes in hour)


def _is_the_servers(hour: _Hour, known: Ledger, now: datetime) -> bool:
    """Whether a file came from the server, or is expected from there and may still come."""
    kept = known.kept.get(hour.path)
    if kept is not None:
        return not kept.made_from
    return hour.path in known.missing and (known.deadline is None or now < known.deadline)


def _is_due(hour: _Hour, cells: _Cells, known: Ledger, office: Office) -> bool:
    """Whether a file is to be made: it is not there, or of other sources, and did not fail just now."""
    kept, failed = known.kept.get(hour.path), known.failed.get(hour.path)
    if kept is not None and (kept.made_from, kept.notes) == (hour.made_from, (cells.note,)):
        return False
    retry = timedelta(minutes=office.settings.fields_retry_minutes)
    return failed is None or failed.etag != _version(hour, cells) or office.clock() - failed.at >= retry


def _version(hour: _Hour, cells: _Cells) -> str:
    """What a file would be made of, in a few digits."""
    return digest("\n".join((*hour.made_from, cells.note)).encode())[:_DIGITS]


def _cells(store: Store, known: Ledger, run: datetime) -> _Cells:
    """CLAT and CLON of a run, or else of the nearest run that has them: they are constants. Raises `FormatError`."""
    if (own := _cells_of(known, run)) is not None:
        return own
    names = (info.key.rpartition("/")[2] for info in store.list(keys.ledger_summaries_prefix(MODEL)))
    runs = {parsed for name in names if (parsed := parse_run(name.partition(".")[0])) is not None} - {run}
    for other in sorted(runs, key=lambda each: abs(each - run))[:_MOST_RUNS]:
        if (cells := _cells_of(ledger.read(store, MODEL, run_text(other)), other)) is not None:
            return cells
    raise FormatError("CLAT and CLON are not kept, of this run or of one near it")


def _cells_of(known: Ledger, run: datetime) -> _Cells | None:
    latitude, longitude = (_position_path(run, name) for name in (_LATITUDE, _LONGITUDE))
    if latitude not in known.kept or longitude not in known.kept:
        return None
    return _Cells(_Source(latitude, known.kept[latitude]), _Source(longitude, known.kept[longitude]))


def _position_path(run: datetime, parameter: str) -> str:
    return archive_path(FieldKey(MODEL, run, parameter, "time-invariant", None, 0, None, "icosahedral"))


def _regridding(office: Office, cells: _Cells) -> Regridding:
    """The nearest cells, kept in the folder of the settings. Raises `FormatError` where the files tell none."""
    latitudes, longitudes = (
        office.worker.values(source.read(office.store), source.path)[0].values
        for source in (cells.latitude, cells.longitude)
    )
    try:
        index = kept_nearest_cells(latitudes, longitudes, office.settings.geometry_cache)
    except ValueError as fault:
        raise FormatError(f"{cells.latitude.path} and CLON: {fault}") from fault
    if index.max() < 0:
        raise FormatError(f"{cells.latitude.path} and CLON: no cell is near the grid: not in degrees?")
    return Regridding.of(index, latitudes.size)
