"""GeoJSON (RFC 7946) of what a radar sees at an azimuth and range: longitude first, WGS84.

What belongs here: positions on Earth, features and the collection around them. What does not: which
properties a product has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.symbols import Point, Tracks

CREDIT = "NOAA/NWS"

Feature = dict[str, Any]

_DECIMALS = 5
"""About a metre; the products' own step is 250 m."""


@dataclass(frozen=True, slots=True)
class Antenna:
    """Where the radar stands, in degrees north and east."""

    latitude_deg: float
    longitude_deg: float

    def lon_lat(self, points: Sequence[Point]) -> list[list[float]]:
        """`[longitude, latitude]` of positions, along the WGS84 geodesic by azimuth and range."""
        from pyproj import Geod  # noqa: PLC0415 - 0.1 CPU seconds that a reader of snapshots need not spend

        longitudes, latitudes, _ = Geod(ellps="WGS84").fwd(
            [self.longitude_deg] * len(points),
            [self.latitude_deg] * len(points),
            [point.azimuth_deg for point in points],
            [point.range_km * 1000.0 for point in points],
        )
        return [
            [round(float(longitude), _DECIMALS), round(float(latitude), _DECIMALS)]
            for longitude, latitude in zip(longitudes, latitudes, strict=True)
        ]


def stamp(moment: datetime) -> str:
    """A UTC time to the second, `2026-07-10T04:57:17Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def description(message: Message, product: str, units: Mapping[str, str]) -> dict[str, Any]:
    """What every document tells of its product: name, times, pattern, antenna's height, units, credit.

    `valid_time` and `volume_time` are the start of the volume scan, `product_time` when the product was
    made, minutes later.
    """
    return {
        "product": product,
        "message_code": message.code,
        "valid_time": stamp(message.volume_time),
        "volume_time": stamp(message.volume_time),
        "product_time": stamp(message.product_time),
        "vcp": message.vcp,
        "antenna_height_m": round(message.height_m, 1),
        "units": dict(units),
        "credit": CREDIT,
    }


def collection(about: Mapping[str, Any], features: Sequence[Feature]) -> dict[str, Any]:
    """A FeatureCollection with the description as members of its own."""
    return {"type": "FeatureCollection", **about, "features": list(features)}


def point(antenna: Antenna, ident: str, here: Point, properties: Mapping[str, Any]) -> Feature:
    """A Point feature; azimuth and range from the antenna are added to its properties."""
    where = {"azimuth_deg": round(here.azimuth_deg, 1), "range_km": round(here.range_km, 2)}
    (position,) = antenna.lon_lat([here])
    return _feature(ident, "Point", position, {**properties, **where})


def track_lines(
    antenna: Antenna, ident: str, here: Point, tracks: Tracks, interval_min: int | None
) -> list[Feature]:
    """The LineStrings of a feature's past and forecast positions, in the order of time; none without any.

    The past track ends, and the forecast begins, at the current position. `minutes` of the forecast are
    counted from the valid time, where the interval is known; past positions are one for each earlier
    volume scan in which the feature was found.
    """
    past = [*reversed(tracks.past), here]
    forecast = [here, *tracks.forecast]
    steps = None if interval_min is None else [step * interval_min for step in range(len(forecast))]
    lines = []
    if len(past) > 1:
        lines.append(_line(antenna, ident, "past_track", past, {}))
    if len(forecast) > 1:
        lines.append(
            _line(antenna, ident, "forecast_track", forecast, {} if steps is None else {"minutes": steps})
        )
    return lines


def _line(
    antenna: Antenna, ident: str, kind: str, points: Sequence[Point], properties: Mapping[str, Any]
) -> Feature:
    return _feature(
        f"{ident}:{kind}", "LineString", antenna.lon_lat(points), {"kind": kind, "of": ident, **properties}
    )


def _feature(ident: str, geometry: str, coordinates: list[Any], properties: Mapping[str, Any]) -> Feature:
    return {
        "type": "Feature",
        "id": ident,
        "geometry": {"type": geometry, "coordinates": coordinates},
        "properties": dict(properties),
    }
