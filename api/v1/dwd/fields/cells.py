"""Where the cells of a model's grid of triangles are, how large they are, and what a field has at places."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from api.v1.dwd.fields.cell import Cell, Place
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grid import UNSTRUCTURED_TEMPLATE, LatLonGrid, NativeGrid, read_native_grid
from dwd_assets.formats.grib.regrid import EARTH_KM, CellCentres, distance_km
from dwd_assets.formats.grib.sections import split
from dwd_assets.formats.grib.worker import FieldValues

_SAMPLES = 33
_SIDE_OF_SQUARE = 1.14
"""A triangle's neighbours are a / sqrt(3) away, and a square as large has a side of a * sqrt(sqrt(3) / 4)."""


def native_grid(data: bytes, name: str) -> NativeGrid | None:
    """The grid of triangles that all fields of a file are on; None if they are on a grid of even steps.

    Raises `FormatError` if they are on several.
    """
    grids = {
        read_native_grid(sections.grid, name) if message.grid_template == UNSTRUCTURED_TEMPLATE else None
        for message, sections in split(data, name)
    }
    if len(grids) != 1:
        raise FormatError(f"{name}: its fields are on {len(grids)} grids, must be on one")
    return grids.pop()


def centres(clat_deg: ArrayLike, clon_deg: ArrayLike) -> CellCentres:
    """The cells with these middles, their size estimated from the distances of some to their nearest neighbours.

    Raises `ValueError` if these are not positions of cells.
    """
    return CellCentres.of(clat_deg, clon_deg, _cell_km(CellCentres.of(clat_deg, clon_deg)))


def _cell_km(cells: CellCentres) -> float:
    distances = []
    for index in np.linspace(0, cells.lat_deg.size - 1, _SAMPLES).astype(int):
        alike = cells.units @ cells.units[index]
        alike[index] = -1.0
        # The chord and not the arc's cosine, which has no digits left at such distances.
        nearest = cells.units[int(np.argmax(alike))]
        distances.append(float(np.linalg.norm(nearest - cells.units[index])))
    return _SIDE_OF_SQUARE * EARTH_KM * float(np.median(distances))


def nearest_cell(cells: CellCentres, grid: NativeGrid, place: Place) -> Cell | float:
    """The triangle whose middle is nearest to a place; if none is in reach, how far the nearest is, in km."""
    index, away = cells.nearest(place.lat_deg, place.lon_deg)
    if away > cells.reach_km:
        return away
    return Cell(grid, index, float(cells.lat_deg[index]), float(cells.lon_deg[index]), away)


def nearest_point(grid: LatLonGrid, place: Place) -> Cell | None:
    """The point of a grid of even steps that is nearest to a place; None outside of the grid."""
    index = grid.nearest(place.lat_deg, place.lon_deg)
    if index is None:
        return None
    lat, lon = grid.position(index)
    return Cell(None, index, lat, lon, distance_km(place.lat_deg, place.lon_deg, lat, lon))


def values_in(field: FieldValues, cells: Sequence[Cell], name: str) -> list[float | None]:
    """The values of a field in cells, None if missing. Raises `FormatError` if it has another number of them."""
    for cell in cells:
        if cell.grid is not None and cell.grid.cells != field.values.size:
            raise FormatError(f"{name}: {field.values.size} values, its grid has {cell.grid.cells} cells")
    found = (float(field.values[cell.index]) for cell in cells)
    return [None if math.isnan(value) else value for value in found]
