"""The places that a series is asked for: one point, several points, or stations of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from api.replies.errors import NotFound
from api.replies.problems import bad
from api.v1.dwd.archive import Archive
from api.v1.dwd.fields.cell import Place
from api.v1.dwd.fields.series import NamedPlace
from api.v1.dwd.known import station
from api.v1.dwd.spelled import station_ids
from api.v1.dwd.stations import parse_point

MOST_PLACES = 25
"""Points or stations of one request."""


@dataclass(frozen=True, slots=True)
class PlacesAsked:
    """The parameters of a query that name places; exactly one way of the three has to be used."""

    lat: float | None
    lon: float | None
    points: str | None
    stations: str | None


async def named(archive: Archive, asked: PlacesAsked) -> tuple[NamedPlace, ...]:
    """The places in their order.

    Raises `BadParameters`; `NotFound` for a station that is not known, or without a position; `Unavailable`.
    """
    has_point = asked.lat is not None or asked.lon is not None
    if (has_point, asked.points is not None, asked.stations is not None).count(True) != 1:
        raise bad("points", "exactly one of lat and lon, points, or stations is needed")
    if asked.stations is not None:
        return await _of_stations(archive, asked.stations)
    if asked.points is not None:
        return _of_points(asked.points)
    if asked.lat is None or asked.lon is None:
        raise bad("lat" if asked.lat is None else "lon", "lat and lon are needed together")
    return (NamedPlace("1", Place(asked.lat, asked.lon)),)


def _of_points(text: str) -> tuple[NamedPlace, ...]:
    parts = text.split(";")
    _check_count("points", len(parts))
    return tuple(
        NamedPlace(str(number), Place(*parse_point(part, "points"))) for number, part in enumerate(parts, 1)
    )


async def _of_stations(archive: Archive, text: str) -> tuple[NamedPlace, ...]:
    try:
        ids = station_ids(text)
    except ValueError as fault:
        raise bad("stations", str(fault)) from fault
    _check_count("stations", len(ids))
    return tuple([await _of_station(archive, name) for name in ids])


async def _of_station(archive: Archive, name: str) -> NamedPlace:
    known = await station(archive, name)
    if known is None or known.latitude_deg is None or known.longitude_deg is None:
        raise NotFound(f"station {name!r} has no position in the catalogue; ask with points")
    return NamedPlace(name, Place(known.latitude_deg, known.longitude_deg), known.name)


def _check_count(name: str, count: int) -> None:
    if count > MOST_PLACES:
        raise bad(name, f"{count} are asked for, at most {MOST_PLACES}")
