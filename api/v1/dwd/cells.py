"""Where the cells of a model's grid of triangles are, how large they are, and what a field has in one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from api.v1.dwd.cell import Cell
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.gribwork import FieldValues, PointValue
from dwd_assets.formats.regrid import EARTH_KM, CellCentres

_SAMPLES = 33
_SIDE_OF_SQUARE = 1.14
"""A triangle's neighbours are a / sqrt(3) away, and a square as large has a side of a * sqrt(sqrt(3) / 4)."""


def centres(clat_deg: ArrayLike, clon_deg: ArrayLike) -> CellCentres:
    """The cells with these middles, their size told from the distances of some to their nearest neighbours.

    Raises `ValueError` where these are no positions of cells.
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


def value_at(field: FieldValues, cell: Cell, name: str) -> PointValue:
    """What a field of a file has in a cell. Raises `FormatError` where it is of another grid."""
    if field.values.size != cell.cells:
        raise FormatError(f"{name}: {field.values.size} cells, CLAT and CLON are of {cell.cells}")
    value = float(field.values[cell.index])
    return PointValue(
        message=field.message,
        short_name=field.short_name,
        units=field.units,
        index=cell.index,
        lat_deg=cell.lat_deg,
        lon_deg=cell.lon_deg,
        distance_km=cell.distance_km,
        value=None if math.isnan(value) else value,
    )
