"""Stations, their reports and forecasts, against plain readers of the same bytes."""

import csv
import io
import math
import xml.etree.ElementTree as ET
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest

from dwd_assets.formats.mosmix.forecasts import read_station
from dwd_assets.formats.mosmix.units import meaning
from dwd_assets.formats.poi.beob_merge import write
from dwd_assets.simulator.stations import STATIONS
from store.posix import PosixStore
from tests.api.conftest import api, eventually
from tests.api.v1.dwd.dwd_world import RUN, World
from tests.api.v1.dwd.test_runs import walk
from tests.samples import SAMPLES, needs_samples

DAY = date(2025, 4, 8)
TEMPERATURE = "dry_bulb_temperature_at_2_meter_above_ground"
WEATHER = "present_weather"
DWD = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"


@pytest.fixture
def world(posix):
    return World(posix)


@pytest.fixture
def client(serve, world):
    return serve(rate_per_minute=0)


@pytest.fixture(scope="module")
def read_world(tmp_path_factory):
    """What tests read, and none changes."""
    world = World(PosixStore(tmp_path_factory.mktemp("store")))
    world.keep_stations()
    world.keep_reports(DAY, "10315")
    world.keep_reports(DAY - timedelta(days=1), "10315")
    world.keep_forecast(RUN - timedelta(hours=6), "10315")
    world.keep_forecast(RUN - timedelta(hours=6), "K611")
    world.keep_forecast(RUN, "10315")
    return world


@pytest.fixture(scope="module")
def reader(read_world):
    with api(read_world.store, rate_per_minute=0) as client:
        yield client


def ids(found):
    return [station["id"] for station in found]


@pytest.mark.usefixtures("looks_again_soon")
def test_stations_are_listed_page_by_page(client, world):
    assert walk(client, "/v1/dwd/stations") == []
    world.keep_stations()
    # What was known to be there is not looked at again for a moment.
    eventually(lambda: walk(client, "/v1/dwd/stations?limit=2"))
    found = walk(client, "/v1/dwd/stations?limit=2")
    assert ids(found) == sorted(station.id for station in STATIONS)
    (muenster,) = (station for station in found if station["id"] == "10315")
    assert (muenster["name"], muenster["latitude_deg"], muenster["longitude_deg"], muenster["height_m"]) == (
        "MUENSTER/OSNABR.",
        52.13,
        7.7,
        48.0,
    )
    assert client.get(muenster["reports_href"]).status_code == 200


def test_stations_are_found_by_box_by_name_and_by_distance(reader):
    assert ids(walk(reader, "/v1/dwd/stations?bbox=7,50,10,53")) == ["10315", "10637", "K611"]
    assert ids(walk(reader, "/v1/dwd/stations?bbox=170,60,-5,80")) == ["01001"]
    assert ids(walk(reader, "/v1/dwd/stations?name=m%C3%BCnster")) == ["10315"]
    near = walk(reader, "/v1/dwd/stations?near=50,8.6&limit=2")
    assert ids(near) == ["10637", "K611", "10315", "10384", "01001"]
    # A hundredth of a degree of a meridian is 1.112 km.
    assert near[0]["distance_km"] == pytest.approx(5.56, abs=0.01)
    assert ids(walk(reader, "/v1/dwd/stations?near=50,8.6&bbox=9,45,14,55")) == ["K611", "10384"]


def test_what_is_no_place_is_refused_by_its_name(reader):
    refused = [
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,x", "bbox"),
        ("bbox=1,60,3,50", "bbox"),
        ("bbox=1,2,3,nan", "bbox"),
        ("near=91,0", "near"),
        ("near=0", "near"),
        ("near=inf,0", "near"),
        ("limit=0", "limit"),
        ("cursor=zzz", "cursor"),
    ]
    for query, name in refused:
        answer = reader.get(f"/v1/dwd/stations?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, name), query


def plain_rows(data):
    """Times and numbers by column, as the csv module and Python's own numbers have them."""
    names, units, _, *rows = csv.reader(io.StringIO(data.decode("latin-1")), delimiter=";")
    told = []
    for row in rows:
        moment = datetime.strptime(f"{row[0]} {row[1]}", "%d.%m.%y %H:%M").replace(tzinfo=UTC)
        values = [None if cell in {"---", ""} else float(cell.replace(",", ".")) for cell in row[2:]]
        told.append((moment, dict(zip(names[2:], values, strict=True))))
    return dict(zip(names[2:], units[2:], strict=True)), sorted(told, key=lambda each: each[0])


def all_rows(client, address):
    """Rows of all pages, as times and numbers by column."""
    rows = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        names = [column["name"] for column in page["columns"]]
        rows += [
            (datetime.fromisoformat(row["time"]), dict(zip(names, row["values"], strict=True)))
            for row in page["rows"]
        ]
        following = answer.links.get("next")
        address = following and str(answer.url.join(following["url"]))
    return rows


@pytest.mark.usefixtures("looks_again_soon")
def test_reports_are_the_numbers_of_the_day_files_oldest_first(client, world):
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    for station in ("10315", "K611"):
        expected = []
        for day in days:
            _, data = world.keep_reports(day, station)
            units, rows = plain_rows(data)
            expected += rows
        assert len(expected) == 72
        for name, limit in [(station, 2000), (station, 7), (station.ljust(5, "_"), 50)]:
            address = f"/v1/dwd/stations/{name}/reports?start={days[0]}&end={days[2]}&limit={limit}"
            # What was kept a moment ago is not looked at yet.
            eventually(lambda address=address: len(all_rows(client, address)) == 72)
            assert all_rows(client, address) == expected
        told = {column["name"]: column["source_unit"] for column in client.get(address).json()["columns"]}
        assert told == units


def test_reports_of_some_columns_come_in_the_order_asked_for_with_units_for_people(reader, read_world):
    _, rows = plain_rows(write(read_world.day(DAY, "10315")))
    address = f"/v1/dwd/stations/10315/reports?start={DAY}&end={DAY}&columns={WEATHER},{TEMPERATURE}"
    page = reader.get(address).json()
    assert page["columns"] == [
        {"name": WEATHER, "unit": None, "source_unit": "CODE_TABLE"},
        {"name": TEMPERATURE, "unit": "°C", "source_unit": "Grad C"},
    ]
    assert [row["values"] for row in page["rows"]] == [
        [values[WEATHER], values[TEMPERATURE]] for _, values in rows
    ]
    refused = reader.get(f"/v1/dwd/stations/10315/reports?start={DAY}&end={DAY}&columns=nothing")
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (400, "columns")


def test_a_column_that_changes_its_unit_within_the_day_is_two_and_text_is_no_value(client, world):
    columns = (("t", "Grad C"), ("t", "K"), ("rain", "mm"), ("rain", "mm"))
    lines = [
        ["surface observations", "Parameter description", *(name for name, _ in columns)],
        ["10315", "Unit", *(unit for _, unit in columns)],
        ["Datum", "Uhrzeit (UTC)", *(name for name, _ in columns)],
        [f"{DAY:%d.%m.%y}", "02:00", "---", "276,6", "/////", "2"],
        [f"{DAY:%d.%m.%y}", "01:00", "3,5", "---", "1", "---"],
    ]
    data = "".join(";".join(line) + "\n" for line in lines).encode()
    world.keep_day(DAY, "10315", data)
    page = client.get(f"/v1/dwd/stations/10315/reports?start={DAY}&end={DAY}").json()
    assert [(each["name"], each["source_unit"]) for each in page["columns"]] == list(columns)
    assert [row["values"] for row in page["rows"]] == [[3.5, None, 1.0, None], [None, 276.6, None, 2.0]]
    assert page["warnings"] == [f"{DAY}T02:00Z rain: '/////' is not a number"]
    only = client.get(f"/v1/dwd/stations/10315/reports?start={DAY}&end={DAY}&columns=t").json()
    assert [each["unit"] for each in only["columns"]] == ["°C", "K"]
    assert [row["values"] for row in only["rows"]] == [[3.5, None], [None, 276.6]]


def test_pages_of_reports_stay_in_step_while_days_are_added(client, world):
    world.keep_reports(DAY, "10315")
    address = "/v1/dwd/stations/10315/reports?start=2025-04-01&end=2025-04-10&limit=20"
    first = client.get(address).json()
    world.keep_reports(DAY - timedelta(days=2), "10315")
    world.keep_reports(DAY + timedelta(days=1), "10315")
    second = all_rows(client, f"{address}&cursor={first['next_cursor']}")
    times = [row["time"] for row in first["rows"]] + [f"{row[0]:%Y-%m-%dT%H:%M:%SZ}" for row in second]
    assert times == sorted(set(times))
    assert len(times) >= 24


def test_without_days_the_reports_are_of_yesterday_and_today(reader):
    page = reader.get("/v1/dwd/stations/10315/reports").json()
    assert (page["start"], page["end"]) == ("2025-04-08", "2025-04-09")
    assert {row["time"][:10] for row in page["rows"]} == {"2025-04-08"}


def test_a_station_without_reports_has_no_rows(reader):
    page = reader.get(f"/v1/dwd/stations/10637/reports?start={DAY}&end={DAY}").json()
    assert (page["rows"], page["next_cursor"]) == ([], None)
    assert reader.get(f"/v1/dwd/stations/99999/reports?start={DAY}&end={DAY}").status_code == 404


def test_a_cell_that_is_no_number_is_missing_and_told(client, world):
    path, data = world.keep_reports(DAY, "10315")
    lines = data.split(b"\n")
    cells = lines[3].split(b";")
    cells[2] = b"12,x"
    lines[3] = b";".join(cells)
    world.store.put(path, b"\n".join(lines))
    page = client.get(f"/v1/dwd/stations/10315/reports?start={DAY}&end={DAY}").json()
    assert page["rows"][-1]["values"][0] is None
    (warning,) = page["warnings"]
    assert "12,x" in warning
    assert "cloud_cover_total" in warning


def test_what_is_no_range_of_days_is_refused_by_its_name(reader):
    refused = [
        ("start=2025-04-31", "start"),
        ("start=2025-0401", "start"),
        ("start=0001-01-01", "start"),
        ("end=0001-01-01", "end"),
        ("start=2025-04-09&end=2025-04-08", "start"),
        ("start=%D9%A2025-04-08", "start"),
        ("limit=x", "limit"),
        ("cursor=WyJydW5zIiwiYSIsImIiXQ", "cursor"),
    ]
    for query, name in refused:
        answer = reader.get(f"/v1/dwd/stations/10315/reports?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, name), query


def plain_elements(kmz):
    """The names of all elements, in their order in the file."""
    with zipfile.ZipFile(io.BytesIO(kmz)) as archive:
        root = ET.fromstring(archive.read(archive.namelist()[0]))
    return [each.get(f"{DWD}elementName") for each in root.iter(f"{DWD}Forecast")]


def plain_series(kmz, element):
    """Times and values of an element, as a zip reader and an XML parser have them."""
    with zipfile.ZipFile(io.BytesIO(kmz)) as archive:
        root = ET.fromstring(archive.read(archive.namelist()[0]))
    times = [datetime.fromisoformat(each.text) for each in root.iter(f"{DWD}TimeStep")]
    (words,) = (
        each.find(f"{DWD}value").text.split()
        for each in root.iter(f"{DWD}Forecast")
        if each.get(f"{DWD}elementName") == element
    )
    return times, [None if word == "-" else float(word) for word in words]


def test_a_forecast_is_the_series_in_the_file_with_its_unit(reader, read_world):
    kmz = read_world.kmz(RUN, "10315")
    for element, unit in [("TTT", "K"), ("PPPP", "Pa"), ("SunD1", "s")]:
        times, values = plain_series(kmz, element)
        told = reader.get(f"/v1/dwd/stations/10315/forecast?element={element}").json()
        (series,) = told["series"]
        assert [datetime.fromisoformat(each) for each in told["times"]] == times
        assert (series["values"], series["unit"]) == (values, unit)
        assert None in values
    assert (told["issue"], told["product"], told["name"]) == ("2025040909", "L", "MUENSTER/OSNABR.")
    assert reader.get(told["file_href"]).content == kmz


def test_without_an_element_a_forecast_has_the_usual_ones_and_a_list_of_all(reader, read_world):
    told = reader.get("/v1/dwd/stations/10315/forecast").json()
    there = plain_elements(read_world.kmz(RUN, "10315"))
    usual = ("TTT", "Td", "FF", "FX1", "DD", "N", "PPPP", "RR1c", "ww", "SunD1")
    assert [series["element"] for series in told["series"]] == [name for name in usual if name in there]
    for series in told["series"]:
        assert series["values"] == plain_series(read_world.kmz(RUN, "10315"), series["element"])[1]
    assert len(told["times"]) == len(told["series"][0]["values"]) > 0
    assert [each["element"] for each in told["elements"]] == there
    assert {"element": "TTT", "unit": "K", "description": "temperature 2 m above the surface"} in told[
        "elements"
    ]


def test_every_element_of_a_forecast_can_be_asked_for_at_once(reader, read_world):
    told = reader.get("/v1/dwd/stations/10315/forecast?element=*").json()
    assert [series["element"] for series in told["series"]] == plain_elements(read_world.kmz(RUN, "10315"))
    assert told["elements"] == []


def test_elements_may_be_spelled_in_any_case_that_means_one_and_unknown_ones_are_refused(reader):
    told = reader.get("/v1/dwd/stations/10315/forecast?element=ttt,TD,TTT").json()
    assert [series["element"] for series in told["series"]] == ["TTT", "Td"]
    refused = reader.get("/v1/dwd/stations/10315/forecast?element=TTT,TTTT")
    assert (refused.status_code, refused.json()["errors"][0]["name"]) == (400, "element")
    assert "nearest: TTT" in refused.json()["detail"]


def test_a_forecast_is_of_the_newest_issue_that_has_the_station(reader):
    address = "/v1/dwd/stations/{}/forecast?element=TTT,Td"
    assert reader.get(address.format("10315")).json()["issue"] == "2025040909"
    assert reader.get(address.format("K611")).json()["issue"] == "2025040903"
    earlier = reader.get(address.format("10315") + "&issue=2025040903").json()
    assert earlier["issued"] == "2025-04-09T03:00:00Z"
    assert [series["element"] for series in earlier["series"]] == ["TTT", "Td"]
    assert reader.get(address.format("10384")).status_code == 404
    assert reader.get(address.format("10315") + "&product=S").status_code == 404


@needs_samples
def test_every_element_of_a_real_forecast_has_a_meaning():
    kmz = SAMPLES / "dwd" / "mosmix_l" / "MOSMIX_L_2023041209_P0036.kmz"
    forecast = read_station(kmz.read_bytes())
    assert len(forecast.elements) == 114
    assert [name for name in forecast.elements if meaning(name) is None] == []
    for name, values in forecast.elements.items():
        if meaning(name).unit == "%":
            known = [each for each in values.tolist() if not math.isnan(each)]
            assert all(0 <= each <= 100 for each in known), name


def test_an_element_that_nobody_knows_has_no_meaning():
    assert [meaning(name) for name in ("XYZ", "RR9c", "wwQ", "R1", "FX6", "ttt", "")] == [None] * 7
    assert (meaning("RRL1c").unit, meaning("FXh25").unit) == ("kg/m²", "%")
    assert (
        meaning("R107").description == "probability of more than 0.7 mm of precipitation within the last hour"
    )
