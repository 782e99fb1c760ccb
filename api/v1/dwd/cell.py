"""A cell of a model's grid, as answers tell of it; how it is found needs numpy (`api.v1.dwd.cells`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """The triangle nearest to a point: of which grid, and of how many; its middle, and how far that is."""

    grid: str
    cells: int
    index: int
    lat_deg: float
    lon_deg: float
    distance_km: float
