"""Where the triangles of a field are: by CLAT and CLON of the very grid that the field is on.

A field's section 3 has the number and UUID of its grid and no position. A model changes its grids, and a new one may
have as many cells as the old one, so that positions are taken only from CLAT and CLON with the same number and UUID.

What belongs here: finding and reading them, and the nearest cell. What does not: values in cells (`values`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from api.memory.cache import BoundedCache
from api.replies.errors import NotFound, Unavailable
from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.fields.cell import Cell, Place
from api.v1.dwd.fields.decoder import Decoder
from api.v1.dwd.runs import start_of
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grid import NativeGrid
from store.dwd.ledger import Kept
from store.objects import StoreError

if TYPE_CHECKING:  # numpy, which an API that serves no series need not import
    from dwd_assets.formats.grib.regrid import CellCentres

log = logging.getLogger(__name__)

RUNS_SEARCHED = 16
"""Of the runs nearest in time to a field's own, those in which CLAT and CLON of its grid are looked for."""

CENTRES_BYTES = 160_000_000
"""Bound of the positions of cells that are kept; ICON-D2 has 22 MB, the global ICON 118 MB."""

CELLS_KEPT = 50_000
"""Nearest cells of places that are kept."""

GRIDS_KEPT = 10_000
"""Files of positions whose grid is remembered."""

_NAMES = ("clat", "clon")

Identity = tuple[str, int, str, int]
"""A model, and the number, UUID and count of cells of a grid of its: positions of one identity fit all its fields."""

PositionFiles = Sequence[tuple[str, Kept]]
"""CLAT and CLON: path, and what the ledger has of it."""


def identity(model: str, grid: NativeGrid) -> Identity:
    """What has to be equal for positions to fit a field."""
    return model, grid.number, grid.uuid, grid.cells


@dataclass(slots=True)
class _Search:
    """What a search for positions came across that does not fit, for the answer if nothing else is found."""

    others: dict[NativeGrid, None]
    is_unreadable: bool = False


class Positions:
    """Finds cells through bounded caches."""

    def __init__(self, archive: Archive, downloads: Downloads, decoder: Decoder) -> None:
        self._archive, self._downloads, self._decoder = archive, downloads, decoder
        self._centres: BoundedCache[Identity, CellCentres] = BoundedCache(CENTRES_BYTES)
        self._cells: BoundedCache[tuple[Identity, Place], Cell | float] = BoundedCache(CELLS_KEPT)
        self._grids: BoundedCache[str, NativeGrid] = BoundedCache(GRIDS_KEPT)
        self._turn = asyncio.Lock()

    async def cells(self, model: str, run: str, grid: NativeGrid, places: Sequence[Place]) -> list[Cell]:
        """The cell nearest to each place on the grid of a run's field.

        Raises `NotFound` where the archive has no positions of this grid, or a place is outside of it; `Unavailable`.
        """
        name = identity(model, grid)
        found = {place: self._cells.get((name, place)) for place in places}
        new = [place for place, cell in found.items() if cell is None]
        if new:
            centres = await self._centres_of(model, run, grid)
            found |= await asyncio.to_thread(self._nearest, name, centres, grid, new)
        return [_inside(model, place, found[place]) for place in places]

    def _nearest(
        self, name: Identity, centres: CellCentres, grid: NativeGrid, places: Sequence[Place]
    ) -> dict[Place, Cell | float | None]:
        from api.v1.dwd.fields.cells import nearest_cell  # noqa: PLC0415 - numpy

        found: dict[Place, Cell | float | None] = {}
        for place in places:
            cell = nearest_cell(centres, grid, place)
            self._cells.put((name, place), cell)
            found[place] = cell
        return found

    async def _centres_of(self, model: str, run: str, grid: NativeGrid) -> CellCentres:
        name = identity(model, grid)
        async with self._turn:
            centres = self._centres.get(name)
            if centres is None:
                files = await self._files(model, run, grid)
                centres = await self._read(files)
                self._centres.put(name, centres, centres.units.nbytes + centres.lat_deg.nbytes * 2)
        return centres

    async def _files(self, model: str, run: str, grid: NativeGrid) -> PositionFiles:
        """CLAT and CLON of a grid: those of the run, else of the nearest run that has them."""
        search = _Search({})
        async for view in self._views(model, run):
            files = _position_files(view)
            if files is not None and await self._are_of(files, model, grid, search):
                return files
        if search.is_unreadable:
            raise Unavailable("positions of the model's triangles cannot be read")
        other = f"; it has those of {', '.join(map(str, search.others))}" if search.others else ""
        raise NotFound(
            f"the archive has no CLAT and CLON of {model} for {grid}, on which run {run} is{other}"
        )

    async def _views(self, model: str, run: str) -> AsyncIterator[LedgerView]:
        def away(entry_period: str) -> timedelta:
            return abs(start_of(entry_period) - start_of(run))

        entries = (await self._archive.index()).of(model)
        for period in sorted((entry.period for entry in entries), key=away)[:RUNS_SEARCHED]:
            view = await self._archive.ledger(model, period)
            if view is not None:
                yield view

    async def _are_of(self, files: PositionFiles, model: str, grid: NativeGrid, search: _Search) -> bool:
        try:
            grids = [await self._grid_of(*file) for file in files]
        except (StoreError, FormatError) as fault:
            log.warning("positions of cells cannot be read: %s", fault)
            search.is_unreadable = True
            return False
        search.others |= dict.fromkeys(grids)
        return all(identity(model, each) == identity(model, grid) for each in grids)

    async def _grid_of(self, path: str, kept: Kept) -> NativeGrid:
        grid = self._grids.get(kept.sha256)
        if grid is None:
            plain = await self._downloads.content(path, kept)
            grid = await asyncio.to_thread(_native, plain, path)
            self._grids.put(kept.sha256, grid)
        return grid

    async def _read(self, files: PositionFiles) -> CellCentres:
        try:
            plain = [await self._downloads.content(*file) for file in files]
            return await asyncio.to_thread(self._decoded, plain, [path for path, _ in files])
        except (StoreError, FormatError, ValueError) as fault:
            log.warning("positions of cells cannot be read: %s", fault)
            raise Unavailable("positions of the model's triangles cannot be read") from fault

    def _decoded(self, plain: Sequence[bytes], names: Sequence[str]) -> CellCentres:
        from api.v1.dwd.fields.cells import centres  # noqa: PLC0415 - numpy
        from dwd_assets.formats.grib.process import DecoderError  # noqa: PLC0415 - its child's

        worker = self._decoder.worker
        try:
            lat, lon = (worker.values(data, name)[0].values for data, name in zip(plain, names, strict=True))
        except DecoderError as fault:
            raise Unavailable(f"fields cannot be decoded here: {fault}") from fault
        return centres(lat, lon)


def outside(model: str, place: Place, reason: str) -> NotFound:
    """The answer for a place that a grid does not cover."""
    return NotFound(f"{place} is outside of what {model} covers: {reason}")


def _inside(model: str, place: Place, cell: Cell | float | None) -> Cell:
    if not isinstance(cell, Cell):
        raise outside(model, place, f"the nearest triangle is {cell or 0.0:.1f} km away")
    return cell


def _native(plain: bytes, path: str) -> NativeGrid:
    from api.v1.dwd.fields.cells import native_grid  # noqa: PLC0415 - numpy

    grid = native_grid(plain, path)
    if grid is None:
        raise FormatError(f"{path}: is on a grid of even steps, must be on triangles")
    return grid


def _position_files(view: LedgerView) -> PositionFiles | None:
    named = {
        key.parameter: path
        for name in _NAMES
        for path, key in view.fields_of(name).items()
        if key.grid == "icosahedral"
    }
    return [(named[name], view.ledger.kept[named[name]]) for name in _NAMES] if len(named) == 2 else None
