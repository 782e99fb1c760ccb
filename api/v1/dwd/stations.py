"""The catalogue of stations: by id or nearest first, in a box, by a part of the name."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from api.replies.problems import bad
from api.v1.dwd.models import StationPlace
from store.dwd.stations import Station

EARTH_KM = 6371.0

Place = tuple[float, str]
"""What stations sort by: distance in km (0 where no point was asked for), then id."""

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


@dataclass(frozen=True, slots=True)
class Box:
    """West, south, east and north in degrees; over the date line west is more than east."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, station: Station) -> bool:
        """Whether a station is in it; one without a position is not."""
        if station.latitude_deg is None or station.longitude_deg is None:
            return False
        inside = (station.longitude_deg >= self.west, station.longitude_deg <= self.east)
        in_width = all(inside) if self.west <= self.east else any(inside)
        return in_width and self.south <= station.latitude_deg <= self.north


def parse_box(text: str) -> Box:
    """A box of `west,south,east,north`. Raises `BadParameters`."""
    west, south, east, north = _numbers("bbox", text, 4)
    if not (abs(west) <= 180 and abs(east) <= 180 and -90 <= south <= north <= 90):
        raise bad("bbox", "wanted is west,south,east,north in degrees, south not above north")
    return Box(west, south, east, north)


def parse_point(text: str, name: str) -> tuple[float, float]:
    """Latitude and longitude of `lat,lon` in a parameter of this name. Raises `BadParameters`."""
    lat, lon = _numbers(name, text, 2)
    if abs(lat) > 90 or abs(lon) > 180:
        raise bad(
            name, f"{text[:40]!r} is not a valid lat,lon: latitude -90 to 90, longitude -180 to 180 degrees"
        )
    return lat, lon


def select(
    stations: Iterable[Station],
    box: Box | None,
    near: tuple[float, float] | None,
    name: str | None,
    after: Place | None,
) -> list[tuple[Place, Station]]:
    """The stations that are asked for, in their order; with `near` only those that have a position."""
    folded = None if name is None else _folded(name)
    placed = [
        ((distance, station.id), station)
        for station in stations
        if (box is None or box.holds(station))
        and (folded is None or folded in _folded(station.name))
        and (distance := _distance_km(near, station)) is not None
    ]
    return sorted((each for each in placed if after is None or each[0] > after), key=lambda each: each[0])


def shown(station: Station, distance_km: float | None, base: str) -> StationPlace:
    """A station as it is shown."""
    return StationPlace(
        id=station.id,
        name=station.name,
        latitude_deg=station.latitude_deg,
        longitude_deg=station.longitude_deg,
        height_m=station.height_m,
        distance_km=distance_km,
        reports_href=f"{base}/stations/{station.id}/reports",
        forecast_href=f"{base}/stations/{station.id}/forecast",
    )


def _numbers(name: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as fault:
        raise bad(name, f"wanted are {count} numbers with commas between them") from fault
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise bad(name, f"wanted are {count} numbers with commas between them")
    return numbers


def _folded(name: str) -> str:
    """A name as the catalogue spells names, which has no umlauts, in small letters."""
    return name.casefold().translate(_UMLAUTS)


def _distance_km(near: tuple[float, float] | None, station: Station) -> float | None:
    """Along the great circle (haversine formula), to 10 m; none without a position, 0 without a point."""
    if near is None:
        return 0.0
    if station.latitude_deg is None or station.longitude_deg is None:
        return None
    lat, lon, other_lat, other_lon = map(math.radians, (*near, station.latitude_deg, station.longitude_deg))
    chord = math.sin((other_lat - lat) / 2) ** 2
    chord += math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    return round(2 * EARTH_KM * math.asin(min(1.0, math.sqrt(chord))), 2)
