"""Where a point lies in an image, and as the radar sees it.

An image is a square in EPSG:3857 around the geodesic circle of its canvas's range: so its corners tell where the
antenna stands, more exactly than the table of sites does of a radar that was moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from store.radar.snapshot import Corners

_STEPS = 8
"""Of Newton's method; the fourth changes nothing any more in double precision."""


@dataclass(frozen=True, slots=True)
class LonLat:
    """A place in degrees."""

    lon: float
    lat: float


@dataclass(frozen=True, slots=True)
class Sight:
    """A place as an antenna sees it, on the WGS84 ellipsoid."""

    azimuth_deg: float
    ground_range_m: float


def sight(antenna: LonLat, point: LonLat) -> Sight:
    """Azimuth and ground range of a point."""
    azimuth, _, length = _geod().inv(antenna.lon, antenna.lat, point.lon, point.lat)
    return Sight(azimuth % 360.0, length)


def pixel(corners: Corners, pixels: int, point: LonLat) -> tuple[int, int] | None:
    """Row and column of the pixel that a point lies in, none where it lies outside."""
    west, east = corners.nw[0], corners.ne[0]
    north, south = _northing(corners.nw[1]), _northing(corners.sw[1])
    lon = point.lon + 360.0 * round(((west + east) / 2.0 - point.lon) / 360.0)
    if not -90.0 < point.lat < 90.0:
        return None
    column = math.floor((lon - west) / (east - west) * pixels)
    row = math.floor((north - _northing(point.lat)) / (north - south) * pixels)
    return (row, column) if 0 <= row < pixels and 0 <= column < pixels else None


@lru_cache(maxsize=4096)
def antenna(corners: Corners, range_km: int) -> LonLat:
    """Where the antenna of an image of this range stands.

    Its longitude is the middle of the square's; its latitude is the one whose circle has its northernmost and
    southernmost points as far from the square's middle.
    """
    middle = (_northing(corners.nw[1]) + _northing(corners.sw[1])) / 2.0
    lat = math.degrees(math.atan(math.sinh(middle)))
    for _ in range(_STEPS):
        ends = [_geod().fwd(0.0, lat, azimuth, range_km * 1000.0)[1] for azimuth in (0.0, 180.0)]
        off = sum(map(_northing, ends)) / 2.0 - middle
        lat -= math.degrees(off * math.cos(math.radians(lat)))
    return LonLat((corners.nw[0] + corners.ne[0]) / 2.0, lat)


def beam_height_m(ground_range_m: float, elevation_deg: float) -> float:
    """Height of the beam's centre above the antenna, over a point at this range along the ground (4/3 earth).

    The slant range there is `R sin(s/R) / cos(e + s/R)`, by the sines of the triangle of the earth's centre, the
    antenna and the beam; its height is that of `nexrad_assets.radar.beam`.
    """
    from nexrad_assets.radar import beam  # noqa: PLC0415 - numpy, which nothing else of the API's start needs

    angle = ground_range_m / beam.EFFECTIVE_RADIUS_M
    slant = beam.EFFECTIVE_RADIUS_M * math.sin(angle) / math.cos(math.radians(elevation_deg) + angle)
    return float(beam.height_m(slant, elevation_deg))


def _northing(lat: float) -> float:
    """Northing in EPSG:3857, in radii of its sphere."""
    return math.asinh(math.tan(math.radians(lat)))


@lru_cache(maxsize=1)
def _geod() -> Any:  # noqa: ANN401 - pyproj tells no types
    from pyproj import Geod  # noqa: PLC0415 - 0.1 CPU seconds that most processes never need

    return Geod(ellps="WGS84")
