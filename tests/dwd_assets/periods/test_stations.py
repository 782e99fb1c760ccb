"""The catalogue of stations: what is taken into it, what is never lost from it, on both backends."""

import threading

import pytest

from dwd_assets.formats.mosmix.forecasts import Place
from dwd_assets.periods.stations import catalogue
from store import keys
from store.dwd import stations
from store.dwd.stations import Station
from store.objects import StoreError

BERLIN = Station("10384", "BERLIN-TEMPELHOF", 13.4, 52.47, 48.0)
HILL = Station("K611_", "HÜGEL", 9.5, 51.25, 231.0)


def test_a_store_without_a_catalogue_has_no_stations(store):
    assert stations.read(store) == {}


def test_stations_come_back_as_they_were_told_in_the_order_of_ids(store):
    stations.merge(store, [HILL, BERLIN])
    assert list(stations.read(store).items()) == [("10384", BERLIN), ("K611_", HILL)]


def test_the_catalogue_is_not_written_where_nothing_changes(store):
    stations.merge(store, [HILL, BERLIN])
    version = store.head(keys.STATIONS).etag
    assert stations.merge(store, [BERLIN, Station("10384")]) == stations.read(store)
    assert store.head(keys.STATIONS).etag == version


def test_a_station_that_moved_is_where_it_is_told_last(store):
    stations.merge(store, [BERLIN])
    moved = Station("10384", "BERLIN", 13.41, 52.48, 49.0)
    assert stations.merge(store, [moved]) == {"10384": moved}


def test_what_is_known_of_a_station_is_not_lost_to_one_who_knows_less(local_store):
    stations.merge(local_store, [BERLIN])
    assert stations.merge(local_store, [Station("10384")]) == {"10384": BERLIN}
    named = stations.merge(local_store, [Station("10384", "TEMPELHOF")])["10384"]
    assert (named.name, named.latitude_deg) == ("TEMPELHOF", 52.47)


def test_a_station_known_by_its_reports_alone_has_no_position_until_one_is_told(local_store):
    stations.merge(local_store, [Station("K611_")])
    assert stations.read(local_store)["K611_"].longitude_deg is None
    stations.merge(local_store, [HILL])
    assert stations.read(local_store)["K611_"] == HILL


def test_writers_at_the_same_time_lose_none_of_each_others_stations(store):
    def tell(number):
        stations.merge(store, [Station(f"S{number}{each}") for each in range(5)])

    threads = [threading.Thread(target=tell, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stations.read(store)) == 30


def test_places_of_forecasts_are_catalogued_and_a_station_without_one_by_its_id(local_store):
    catalogue(local_store, {"10384": Place("BERLIN-TEMPELHOF", 13.4, 52.47, 48.0), "X": None})
    assert stations.read(local_store) == {"10384": BERLIN, "X": Station("X")}


@pytest.mark.parametrize("data", [b"", b"{}", b"[{}]", b'[{"id": 3}]', b"\xff"])
def test_a_catalogue_that_is_none_is_an_error_that_names_it(local_store, data):
    local_store.put(keys.STATIONS, data)
    with pytest.raises(StoreError, match=r"ledger/stations\.json: not what"):
        stations.read(local_store)
    with pytest.raises(StoreError, match=r"ledger/stations\.json: not what"):
        stations.merge(local_store, [BERLIN])
    assert local_store.get(keys.STATIONS).data == data
