"""The catalogue of stations: where the places of the archive's forecasts and reports are.

One object for all, changed under compare-and-swap. What is in it came with the forecasts themselves; a station
that is known by its reports alone has no position.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from store import cas, keys
from store.dwd.damaged import DamagedDocument
from store.kinds import learned
from store.objects import ObjectMissing, Store


@learned
class Station(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place: its id and name as DWD spells them, decimal degrees, metres above sea level; none where unknown."""

    id: str
    name: str = ""
    longitude_deg: float | None = None
    latitude_deg: float | None = None
    height_m: float | None = None


def read(store: Store) -> dict[str, Station]:
    """All stations that are known, by id and in the order of ids. Raises `StoreError`, `DamagedDocument` among them."""
    try:
        return _decoded(store.get(keys.STATIONS).data)
    except ObjectMissing:
        return {}


def merge(store: Store, stations: Iterable[Station]) -> dict[str, Station]:
    """Take stations into the catalogue, losing no other writer's; give the catalogue as it is then.

    What a station does not tell (an empty name, no position) leaves what was known. Nothing is written where
    nothing changes. Raises `StoreError`.
    """
    told = tuple(stations)
    result: dict[str, Station] = {}

    def encoded(before: bytes | None) -> bytes | None:
        nonlocal result
        known = {} if before is None else _decoded(before)
        result = dict(sorted(_merged(known, told).items()))
        return None if result == known else msgspec.json.encode(tuple(result.values()))

    cas.update(store, keys.STATIONS, encoded)
    return result


def _merged(known: dict[str, Station], told: Iterable[Station]) -> dict[str, Station]:
    merged = dict(known)
    for station in told:
        merged[station.id] = _completed(station, merged.get(station.id))
    return merged


def _completed(station: Station, known: Station | None) -> Station:
    """A station with what it does not tell taken from what was known of it."""
    if known is None:
        return station
    has_position = station.longitude_deg is not None and station.latitude_deg is not None
    place = station if has_position else known
    return Station(
        id=station.id,
        name=station.name or known.name,
        longitude_deg=place.longitude_deg,
        latitude_deg=place.latitude_deg,
        height_m=place.height_m,
    )


def _decoded(data: bytes) -> dict[str, Station]:
    try:
        stations = msgspec.json.decode(data, type=tuple[Station, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        told = f"not what the catalogue of stations is: {fault}"
        raise DamagedDocument(told, keys.STATIONS, data, b"[]") from fault
    return {station.id: station for station in stations}
