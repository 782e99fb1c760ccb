"""Canvases in Web Mercator (EPSG:3857), and where each of their pixels is as the radar sees it.

A canvas is the smallest square in EPSG:3857 around the geodesic circle of its range, so every map library
places it exactly by four corners. Its geometry (azimuth and ground range of each pixel's centre on the
WGS84 ellipsoid) depends on antenna, range and size alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANVAS_RANGES_KM = (60, 120, 230, 300, 460)
EARTH_RADIUS_M = 6_378_137.0
"""Semi-major axis of WGS84: the radius of the sphere that EPSG:3857 is drawn on."""

NODE_SPACING_PX = 8
"""Pixels between the nodes where the geodesic is solved; linear between them, within 1 m at 2700 pixels a side."""

LonLat = tuple[float, float]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A square picture of `size` pixels a side around an antenna, reaching `range_km` in every direction."""

    latitude_deg: float
    longitude_deg: float
    range_km: int
    size: int


@dataclass(frozen=True, slots=True)
class Box:
    """A square in EPSG:3857, in metres; `west` and `east` may pass the antimeridian (no wrap)."""

    west: float
    south: float
    side: float

    @property
    def east(self) -> float:
        """Easting of the right edge."""
        return self.west + self.side

    @property
    def north(self) -> float:
        """Northing of the upper edge."""
        return self.south + self.side

    def corners_lon_lat(self) -> tuple[LonLat, LonLat, LonLat, LonLat]:
        """`(longitude, latitude)` of the north-west, north-east, south-east and south-west corner."""
        west, east = longitude_deg(self.west), longitude_deg(self.east)
        south, north = float(latitude_deg(self.south)), float(latitude_deg(self.north))
        return (west, north), (east, north), (east, south), (west, south)


def northing_m(latitude: Floats | float) -> Floats:
    """EPSG:3857 northing of a latitude in degrees."""
    return EARTH_RADIUS_M * np.arctanh(np.sin(np.radians(latitude)))


def latitude_deg(northing: Floats | float) -> Floats:
    """Latitude in degrees of an EPSG:3857 northing."""
    return np.degrees(np.arcsin(np.tanh(np.asarray(northing) / EARTH_RADIUS_M)))


def longitude_deg(easting: float) -> float:
    """Longitude in degrees of an EPSG:3857 easting."""
    return math.degrees(easting / EARTH_RADIUS_M)


def canvas_range_km(ground_range_m: float, ranges_km: Sequence[int] = CANVAS_RANGES_KM) -> int:
    """The smallest canvas that holds a sweep of this range; the largest where none does."""
    return next((km for km in ranges_km if ground_range_m <= km * 1000.0), ranges_km[-1])


@lru_cache(maxsize=1024)
def box(canvas: Canvas) -> Box:
    """The square around the geodesic circle; symmetric east and west of the antenna."""
    from pyproj import Geod  # noqa: PLC0415 - 0.1 CPU seconds that a reader of snapshots need not spend

    azimuths = np.linspace(0.0, 180.0, 1801)
    here = np.full_like(azimuths, canvas.longitude_deg), np.full_like(azimuths, canvas.latitude_deg)
    reach = np.full_like(azimuths, canvas.range_km * 1000.0)
    longitudes, latitudes, _ = Geod(ellps="WGS84").fwd(*here, azimuths, reach)
    east = np.radians((longitudes - canvas.longitude_deg + 180.0) % 360.0 - 180.0).max() * EARTH_RADIUS_M
    south, north = northing_m(latitudes.min()), northing_m(latitudes.max())
    # Samples every 0.1 degrees miss the circle's easternmost point by less than a millionth of its radius.
    side = max(2.0 * float(east), float(north - south)) * (1.0 + 1e-6)
    west = math.radians(canvas.longitude_deg) * EARTH_RADIUS_M - side / 2.0
    return Box(west, float(north + south) / 2.0 - side / 2.0, side)


def plane_nodes(canvas: Canvas) -> Floats:
    """The antenna's azimuthal equidistant plane at the canvas's nodes, float64 (2, rows, columns) in metres.

    `[0]` is east (`s sin a`), `[1]` north (`s cos a`), of geodesic length `s` and azimuth `a`. Node
    `(k, l)` lies at the upper edge of pixel row `k * NODE_SPACING_PX`, and `l * NODE_SPACING_PX` pixels east
    of the antenna: the western half mirrors the eastern one.
    """
    from pyproj import Geod  # noqa: PLC0415

    square = box(canvas)
    pixel = square.side / canvas.size
    rows = np.arange(math.ceil(canvas.size / NODE_SPACING_PX) + 1) * NODE_SPACING_PX
    columns = np.arange(math.ceil(canvas.size / 2 / NODE_SPACING_PX) + 1) * NODE_SPACING_PX
    latitudes = latitude_deg(square.north - rows * pixel)
    longitudes = canvas.longitude_deg + np.degrees(columns * pixel / EARTH_RADIUS_M)
    lon, lat = np.meshgrid(longitudes, latitudes)
    home_lon, home_lat = np.full_like(lon, canvas.longitude_deg), np.full_like(lat, canvas.latitude_deg)
    azimuth, _, length = Geod(ellps="WGS84").inv(home_lon, home_lat, lon, lat)
    return np.stack((length * np.sin(np.radians(azimuth)), length * np.cos(np.radians(azimuth))))
