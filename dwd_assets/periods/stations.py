"""Telling the catalogue of stations where the stations of forecasts are."""

from __future__ import annotations

from collections.abc import Mapping

from dwd_assets.formats.mosmix.forecasts import Place
from store.dwd import stations
from store.dwd.stations import Station
from store.objects import Store


def catalogue(store: Store, places: Mapping[str, Place | None]) -> None:
    """Take stations into the catalogue, by id; of one without a place its id alone. Raises `StoreError`."""
    stations.merge(store, (_station(name, place) for name, place in places.items()))


def _station(station: str, place: Place | None) -> Station:
    if place is None:
        return Station(station)
    return Station(station, place.name, place.longitude_deg, place.latitude_deg, place.height_m)
