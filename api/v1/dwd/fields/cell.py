"""A cell of a model's grid, as answers describe it; finding one needs numpy (`api.v1.dwd.fields.cells`)."""

from __future__ import annotations

from dataclasses import dataclass

from dwd_assets.formats.grib.grid import NativeGrid


@dataclass(frozen=True, slots=True)
class Place:
    """A position that values are asked for, in degrees."""

    lat_deg: float
    lon_deg: float

    def __str__(self) -> str:
        return f"{self.lat_deg}, {self.lon_deg}"


@dataclass(frozen=True, slots=True)
class Cell:
    """The grid point or triangle nearest to a place: which one, its middle, and how far that is.

    grid: of triangles; None for a grid of even steps.
    """

    grid: NativeGrid | None
    index: int
    lat_deg: float
    lon_deg: float
    distance_km: float
