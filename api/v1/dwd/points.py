"""ICON at a point: a parameter over all steps of a run, at the nearest grid point.

Fields are decoded by a process of their own, a few at a time; what is asked for again comes from a bounded cache,
whose names have the digests of the files in them, so that nothing in it can be out of date.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from api.cache import BoundedCache
from api.errors import NotFound, Unavailable
from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.cell import Cell
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.models import Attribution, PointSeries, PointStep, Position, UnreadableFile
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, Grid, LevelType
from dwd_assets.formats.paths import parse_archive_path
from store.ledger import Kept, State
from store.objects import StoreError, StoreUnavailable

if TYPE_CHECKING:  # numpy, which an API that serves no series need not import
    from dwd_assets.formats.gribwork import GribWorker, PointValue
    from dwd_assets.formats.regrid import CellCentres

log = logging.getLogger(__name__)

RUNS_LOOKED_AT = 8
"""Without `run`, so many of the newest runs are looked at; also for the positions of a grid's cells."""

AT_ONCE = 4
"""Files that are read and decoded at the same time; the decoder itself takes one after the other."""

SERIES_AT_ONCE = 4
"""Series that are worked on at the same time; more of them wait."""

VALUES_KEPT = 200_000
"""Values at a point that are kept."""

CELLS_BYTES = 160_000_000
"""Bound of the positions of cells that are kept; ICON-D2 has 22 MB, the global ICON 118 MB."""

_CELLS = ("clat", "clon")


@dataclass(frozen=True, slots=True)
class Level:
    """A type of level, and which."""

    level_type: LevelType
    level: int | None

    def __str__(self) -> str:
        return self.level_type if self.level is None else f"{self.level_type} {self.level}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for; none of run, level and type of level is what there is."""

    lat_deg: float
    lon_deg: float
    model: str
    parameter: str
    run: str | None = None
    level_type: LevelType | None = None
    level: int | None = None
    member: int | None = None


@dataclass(frozen=True, slots=True)
class Steps:
    """The files of one field of one run, on one grid; `missing` are steps that are expected and not kept."""

    view: LedgerView
    level: Level
    grid: Grid
    files: tuple[tuple[str, Kept], ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Found:
    """The values in a file at a point, or why it cannot be read."""

    path: str
    values: tuple[PointValue, ...]
    fault: str | None = None


class Points:
    """Makes point series; `close` ends the decoder."""

    def __init__(self, archive: Archive, downloads: Downloads) -> None:
        self._archive = archive
        self._downloads = downloads
        self._worker: GribWorker | None = None
        self._values: BoundedCache[tuple[str, str, float, float], tuple[PointValue, ...]] = BoundedCache(
            VALUES_KEPT
        )
        self._cells: BoundedCache[str, CellCentres] = BoundedCache(CELLS_BYTES)
        self._cells_turn = asyncio.Lock()
        self._series = asyncio.Semaphore(SERIES_AT_ONCE)
        self._files = asyncio.Semaphore(AT_ONCE)

    def close(self) -> None:
        """End the decoder."""
        if self._worker is not None:
            self._worker.close()

    async def series(self, asked: Asked, now: datetime) -> PointSeries:
        """The series. Raises `NotFound`, `BadParameters`, `Unavailable`."""
        steps = await self._steps(asked, now)
        async with self._series:
            cell = await self._cell(steps, asked) if steps.grid == "icosahedral" else None
            found = await asyncio.gather(*(self._file(file, asked, cell) for file in steps.files))
        return _shown(asked, steps, found, now)

    async def _steps(self, asked: Asked, now: datetime) -> Steps:
        """The newest run that has all steps of the field so far as is known, else the one that has most."""
        best: Steps | None = None
        levels: set[Level] = set()
        for view in await self._views(asked):
            levels |= _levels(view, asked)
            steps = _steps_of(view, asked)
            if steps is None:
                continue
            if asked.run is not None or _is_whole(steps, now):
                return steps
            if best is None or len(steps.files) > len(best.files):
                best = steps
        if best is None:
            raise NotFound(_lacking(asked, levels))
        return best

    async def _views(self, asked: Asked) -> list[LedgerView]:
        if asked.run is not None:
            periods = [asked.run]
        else:
            newest = (await self._archive.index()).of(asked.model)[:RUNS_LOOKED_AT]
            periods = [entry.period for entry in newest]
        views = [await self._archive.ledger(asked.model, period) for period in periods]
        return [view for view in views if view is not None]

    async def _file(self, file: tuple[str, Kept], asked: Asked, cell: Cell | None) -> Found:
        path, kept = file
        name = (kept.sha256, "" if cell is None else cell.grid, asked.lat_deg, asked.lon_deg)
        values = self._values.get(name)
        if values is not None:
            return Found(path, values)
        try:
            async with self._files:
                plain = await self._downloads.content(path, kept)
                values = await asyncio.to_thread(self._decoded, plain, asked, path, cell)
        except StoreUnavailable as fault:
            raise Unavailable("the archive does not answer; try again") from fault
        except (StoreError, FormatError) as fault:
            log.warning("%s cannot be read: %s", path, fault)
            return Found(path, (), str(fault))
        self._values.put(name, values, max(1, len(values)))
        return Found(path, values)

    def _decoded(self, plain: bytes, asked: Asked, path: str, cell: Cell | None) -> tuple[PointValue, ...]:
        from api.v1.dwd.cells import value_at  # noqa: PLC0415 - numpy
        from dwd_assets.formats.grib_process import DecoderError  # noqa: PLC0415 - its child's
        from dwd_assets.formats.gribwork import OutsideDomain  # noqa: PLC0415 - numpy

        decoder = self._decoder()
        try:
            if cell is None:
                return decoder.point(plain, asked.lat_deg, asked.lon_deg, path)
            return tuple(value_at(field, cell, path) for field in decoder.values(plain, path))
        except OutsideDomain as fault:
            raise _outside(asked, str(fault)) from fault
        except ValueError as fault:  # triangles where the name says regular
            raise FormatError(f"{path}: {fault}") from fault
        except DecoderError as fault:
            raise Unavailable(f"fields cannot be decoded here: {fault}") from fault

    def _decoder(self) -> GribWorker:
        from dwd_assets.formats.gribwork import GribWorker  # noqa: PLC0415 - numpy

        if self._worker is None:
            self._worker = GribWorker()
        return self._worker

    async def _cell(self, steps: Steps, asked: Asked) -> Cell:
        """The nearest cell, by the run's own CLAT and CLON, else those of another run of the model."""
        files = await self._position_files(steps.view)
        name = " ".join(kept.sha256 for _, kept in files)
        async with self._cells_turn:
            cells = self._cells.get(name)
            if cells is None:
                cells = await self._read_cells(files)
                self._cells.put(name, cells, cells.units.nbytes + cells.lat_deg.nbytes * 2)
        return await asyncio.to_thread(_nearest, name, cells, asked)

    async def _position_files(self, view: LedgerView) -> Sequence[tuple[str, Kept]]:
        files = _position_files(view)
        if files is not None:
            return files
        for entry in (await self._archive.index()).of(view.ledger.collection)[:RUNS_LOOKED_AT]:
            other = await self._archive.ledger(entry.collection, entry.period)
            files = None if other is None else _position_files(other)
            if files is not None:
                return files
        raise NotFound("the archive has no CLAT and CLON of this model, which tell where its triangles are")

    async def _read_cells(self, files: Sequence[tuple[str, Kept]]) -> CellCentres:
        try:
            plain = [await self._downloads.content(*file) for file in files]
            return await asyncio.to_thread(self._centres, plain, [path for path, _ in files])
        except (StoreError, FormatError, ValueError) as fault:
            log.warning("positions of cells cannot be read: %s", fault)
            raise Unavailable("the positions of the model's triangles cannot be read") from fault

    def _centres(self, plain: Sequence[bytes], names: Sequence[str]) -> CellCentres:
        from api.v1.dwd.cells import centres  # noqa: PLC0415 - numpy

        decoder = self._decoder()
        lat, lon = (decoder.values(data, name)[0].values for data, name in zip(plain, names, strict=True))
        return centres(lat, lon)


def _nearest(name: str, cells: CellCentres, asked: Asked) -> Cell:
    index, away = cells.nearest(asked.lat_deg, asked.lon_deg)
    if away > cells.reach_km:
        raise _outside(asked, f"the nearest triangle is {away:.1f} km away")
    lat, lon = float(cells.lat_deg[index]), float(cells.lon_deg[index])
    return Cell(name, cells.lat_deg.size, index, lat, lon, away)


def _outside(asked: Asked, told: str) -> NotFound:
    return NotFound(f"{asked.lat_deg}, {asked.lon_deg} is outside of what {asked.model} covers: {told}")


def _levels(view: LedgerView, asked: Asked) -> set[Level]:
    """The levels that a run has of a parameter."""
    return {Level(key.level_type, key.level) for _, key in _of_parameter(view, asked)}


def _of_parameter(view: LedgerView, asked: Asked) -> Iterator[tuple[str, FieldKey]]:
    return (
        (path, key)
        for path, key in view.fields.items()
        if key.parameter == asked.parameter and key.member == asked.member
    )


def _chosen(levels: set[Level], asked: Asked) -> Level | None:
    """The level that is asked for, or goes without saying; none where there is none, or several."""
    fitting = {
        each
        for each in levels
        if asked.level_type in {None, each.level_type} and asked.level in {None, each.level}
    }
    single = Level("single", None)
    if len(fitting) == 1:
        return fitting.pop()
    return single if single in fitting else None


def _steps_of(view: LedgerView, asked: Asked) -> Steps | None:
    """The files of the field in a run, on the grid that has more steps, the regular one if both have as many."""
    level = _chosen(_levels(view, asked), asked)
    if level is None:
        return None
    grids: dict[Grid, list[tuple[int, str]]] = {"regular": [], "icosahedral": []}
    for path, key in _of_parameter(view, asked):
        if Level(key.level_type, key.level) == level:
            grids[key.grid].append((key.step_minutes, path))
    grid: Grid = "regular" if len(grids["regular"]) >= len(grids["icosahedral"]) else "icosahedral"
    files = tuple((path, view.ledger.kept[path]) for _, path in sorted(grids[grid]))
    missing = sum(_is_step(path, asked, level, grid) for path in view.ledger.missing)
    return Steps(view, level, grid, files, missing)


def _is_step(path: str, asked: Asked, level: Level, grid: Grid) -> bool:
    if f"/{asked.parameter}/" not in path:
        return False
    key = parse_archive_path(path)
    return (
        isinstance(key, FieldKey)
        and (key.parameter, key.member, key.grid) == (asked.parameter, asked.member, grid)
        and Level(key.level_type, key.level) == level
    )


def _is_whole(steps: Steps, now: datetime) -> bool:
    """Whether no step of the field is missing, and none will be added to what is expected."""
    ledger = steps.view.ledger
    is_open = ledger.expects_more and (ledger.deadline is None or now < ledger.deadline)
    return not steps.missing and not is_open


def _lacking(asked: Asked, levels: set[Level]) -> str:
    run = f" in its run {asked.run}" if asked.run else " in its newest runs"
    if not levels:
        return f"the archive has no {asked.parameter} of {asked.model}{run}"
    told = ", ".join(sorted(map(str, levels))[:40])
    return f"{asked.parameter} of {asked.model} is not kept at one such level; name one of: {told}"


def _position_files(view: LedgerView) -> Sequence[tuple[str, Kept]] | None:
    named = {
        key.parameter: path
        for path, key in view.fields.items()
        if key.parameter in _CELLS and key.grid == "icosahedral"
    }
    return [(named[name], view.ledger.kept[named[name]]) for name in _CELLS] if len(named) == 2 else None


def _shown(asked: Asked, steps: Steps, found: Sequence[Found], now: datetime) -> PointSeries:
    values = {_lead(value, each.path): value for each in found for value in each.values}
    if not values:
        raise Unavailable("none of the files of this field can be read")
    leads = sorted(values)
    first = values[leads[0]]
    reference = first.message.reference_time
    made_here = any(kept.made_from for _, kept in steps.files)
    ledger = steps.view.ledger
    state: State = ledger.state(now)
    return PointSeries(
        model=asked.model,
        run=ledger.period,
        reference_time=reference,
        run_state=state,
        parameter=asked.parameter,
        level_type=steps.level.level_type,
        level=steps.level.level,
        member=asked.member,
        unit=None if first.units == "unknown" else first.units,
        grid=steps.grid,
        requested=Position(latitude_deg=asked.lat_deg, longitude_deg=asked.lon_deg),
        position=Position(latitude_deg=round(first.lat_deg, 6), longitude_deg=round(first.lon_deg, 6)),
        distance_km=round(first.distance_km, 3),
        steps=[
            PointStep(
                lead_minutes=lead,
                valid_time=reference + timedelta(minutes=lead),
                value=values[lead].value,
            )
            for lead in leads
        ],
        missing_steps=steps.missing,
        unreadable=[UnreadableFile(path=each.path, reason=each.fault) for each in found if each.fault],
        attribution=Attribution(
            changed=False,
            changes="the value of the nearest grid point, unchanged"
            + ("; put on the regular grid from the nearest triangle" if made_here else ""),
        ),
    )


def _lead(value: PointValue, path: str) -> int:
    """Minutes from the run to the value; where the message does not tell, those of the file's name."""
    lead = value.message.step_minutes
    if lead is not None:
        return lead
    key = parse_archive_path(path)
    return key.step_minutes if isinstance(key, FieldKey) else 0
