"""What is in a file, against eccodes in a process of its own, zipfile, ElementTree and csv."""

import bz2
import csv
import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import lz4.frame
import numpy as np
import pytest

from dwd_assets.commands import describe
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.mosmix.forecasts import StationForecast
from dwd_assets.formats.reading import AllStations, Fields, Table, UnpackedKml, read_file, series
from dwd_assets.simulator.catalogue import QUANTITIES
from dwd_assets.simulator.gribs import Field, message
from tests.dwd_assets.formats.grib.grid_cells import in_child, needs_eccodes
from tests.dwd_assets.formats.grib.test_worker import CCSDS, EUROPE, NATIVE, REGULAR
from tests.dwd_assets.formats.mosmix.mosmix_files import document, kmz, simple, write_all_stations
from tests.samples import SAMPLES, needs_samples

MOSMIX_L = SAMPLES / "dwd/mosmix_l/MOSMIX_L_2023041209_P0036.kmz"
MOSMIX_S = SAMPLES / "dwd/mosmix_s/MOSMIX_S_2020031309_240.kmz"
REPORT = SAMPLES / "dwd/poi_beob/10315-BEOB.csv"
CLOUDS = SAMPLES / "dwd/icon-d2/icon-d2_germany_regular-lat-lon_single-level_2022041700_000_2d_clct_mod.grib2"

OLD_FORECAST = (
    "forecast;parameter;TT;Td;dd\n"
    "10315;Unit;Grad C;Grad C;Grad\n"
    "Datum;Uhrzeit (UTC);Temperatur;Taupunkt;Windrichtung\n"
    "23.10.18;06:00;8,3;---;270\n"
    "23.10.18;09:00;-10,1;5,0;280\n"
    "24.10.18;00:00;7,0;4,5;---\n"
).encode("latin-1")

KML = "{http://www.opengis.net/kml/2.2}"
DWD_NS = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"

WHEN = datetime(2026, 9, 16, 12, tzinfo=UTC)
DIGITS = "0123456789ab"


@pytest.fixture(scope="module")
def worker() -> Iterator[GribWorker]:
    with GribWorker() as running:
        yield running


@pytest.fixture
def read(worker, tmp_path):
    """Write bytes under a name, and read that file."""

    def written_and_read(data: bytes, name: str):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read_file(path, worker)

    return written_and_read


@pytest.fixture
def read_station_of(worker, tmp_path):
    """Write bytes under a name, and read a station out of that file."""

    def written_and_read(content: bytes, name: str, station: str):
        path = tmp_path / name
        path.write_bytes(content)
        return read_file(path, worker, station)

    return written_and_read


# GRIB


ECCODES_FACTS = """
import json, sys
import eccodes as ec, numpy as np
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        handle = ec.codes_grib_new_from_file(file)
    ec.codes_set(handle, "missingValue", 1e30)
    values = ec.codes_get_values(handle)
    there = values[values != 1e30]
    keys = {key: ec.codes_get(handle, key, str) for key in ("shortName", "units", "dataDate", "discipline",
            "parameterCategory", "parameterNumber")}
    print(json.dumps([values.size, values.size - there.size, there.min(), there.mean(), there.max(), keys]))
"""


@needs_eccodes
@needs_samples
def test_fields_have_the_values_and_keys_that_eccodes_finds(worker):
    paths = (REGULAR, CLOUDS, NATIVE, CCSDS, EUROPE)
    for path, line in zip(paths, in_child(ECCODES_FACTS, *paths).splitlines(), strict=True):
        content = read_file(path, worker)
        assert isinstance(content, Fields)
        (field,) = content.fields
        points, missing, *values, keys = json.loads(line)
        assert (field.points, field.missing) == (points, missing)
        assert (field.lowest, field.mean, field.highest) == pytest.approx(tuple(values), rel=1e-6)
        assert (field.name, field.units) == (keys["shortName"], keys["units"])
        assert f"{field.reference_time:%Y%m%d}" == keys["dataDate"]
        numbers = (keys["discipline"], keys["parameterCategory"], keys["parameterNumber"])
        assert field.quantity == tuple(map(int, numbers))


@needs_eccodes
@needs_samples
def test_levels_grids_and_packings_are_told_in_words(worker):
    fields = [read_file(path, worker).fields[0] for path in (REGULAR, CCSDS, EUROPE)]
    assert [field.level for field in fields] == ["10 m above ground", "2 m above ground", "10 m above ground"]
    assert fields[0].grid == "1215 x 746 of 0.02 x 0.02 deg, -3.94 to 20.34 E, 43.18 to 58.08 N"
    assert fields[1].grid == "542040 triangles"
    assert [field.packing for field in fields] == ["simple packing", "CCSDS", "simple packing"]
    assert {field.member for field in fields} == {None}


@needs_eccodes
@needs_samples
@pytest.mark.parametrize(
    ("pack", "suffix"),
    [
        (bytes, f".grib2.{DIGITS}"),
        (lambda data: bz2.compress(data, 9), ".grib2.bz2"),
        (lz4.frame.compress, ".grib2.lz4"),
        (lz4.frame.compress, f".grib2.lz4.{DIGITS}"),
        (lz4.frame.compress, ".whatever"),
    ],
)
def test_however_it_is_packed_and_named_a_field_is_the_same(pack, suffix, read, worker):
    plain = CCSDS.read_bytes()
    assert read(pack(plain), f"t_2m{suffix}") == read_file(CCSDS, worker)


@needs_eccodes
@needs_samples
def test_every_message_of_a_file_is_told_in_order(read):
    content = read(CCSDS.read_bytes() + EUROPE.read_bytes(), "two.grib2")
    assert [field.name for field in content.fields] == ["2t", "10u"]


def simulated(mask: np.ndarray | None, parameter: str = "tot_prec", step: int = 75) -> bytes:
    codes = np.arange(6, dtype=np.uint16).reshape(2, 3)
    quantity = QUANTITIES[parameter]
    return message(Field(quantity, (1, 255, 0xFFFFFFFF), WHEN, step, codes, mask, "simple"))


@needs_eccodes
def test_a_field_without_any_value_has_no_mean(read):
    (field,) = read(simulated(np.zeros((2, 3), np.bool_)), "empty.grib2").fields
    assert (field.points, field.missing) == (6, 6)
    assert (field.lowest, field.mean, field.highest) == (None, None, None)


@needs_eccodes
def test_a_sum_over_time_is_told_with_its_time(read):
    (field,) = read(simulated(None), "rain.grib2").fields
    assert (field.step_minutes, field.statistics, field.reference_time) == (
        75,
        "accumulation over 75 min",
        WHEN,
    )
    assert field.mean == pytest.approx(2.5 * 2**-10)


# MOSMIX


def from_kml(path: Path) -> tuple[str, str, list[str], list[str], dict[str, list[str]]]:
    """Station, issue, steps, and the words of each element, by the standard library."""
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read(archive.namelist()[0]))
    dwd = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"
    kml = "{http://www.opengis.net/kml/2.2}"
    rows = {
        one.get(f"{dwd}elementName"): one.findtext(f"{dwd}value").split()
        for one in root.iter(f"{dwd}Forecast")
    }
    return (
        root.findtext(f".//{kml}Placemark/{kml}name"),
        root.findtext(f".//{dwd}IssueTime"),
        [one.text for one in root.iter(f"{dwd}TimeStep")],
        list(rows),
        rows,
    )


@needs_samples
@pytest.mark.parametrize("path", [MOSMIX_L, MOSMIX_S], ids=["L", "S"])
def test_a_station_forecast_is_what_zipfile_and_elementtree_find(path, worker):
    content = read_file(path, worker)
    assert isinstance(content, StationForecast)
    station, issued, steps, elements, rows = from_kml(path)
    assert (content.station, list(content.elements)) == (station, elements)
    assert content.issued == datetime.fromisoformat(issued)
    assert list(content.steps) == [datetime.fromisoformat(step) for step in steps]
    got = series(content, str(path), "TTT")
    wanted = [None if word == "-" else float(word) for word in rows["TTT"]]
    assert (got.unit, [value for _, value in got.values]) == ("K", wanted)
    assert [time for time, _ in got.values] == list(content.steps)


@needs_samples
def test_of_all_stations_their_number_is_told_and_what_they_share(worker, tmp_path):
    with zipfile.ZipFile(MOSMIX_L) as archive:
        one = archive.read(archive.namelist()[0])
    path = tmp_path / "MOSMIX_L_2023041209.kmz"
    write_all_stations(path, one, 40)
    content, single = read_file(path, worker), read_file(MOSMIX_L, worker)
    assert content == AllStations(40, single.issued, single.steps, tuple(single.elements))
    with pytest.raises(FormatError, match="has 40 stations; a series is of one: name the station"):
        series(content, str(path), "TTT")


@needs_samples
def test_one_station_of_many_is_read_without_holding_the_others(worker, tmp_path):
    with zipfile.ZipFile(MOSMIX_L) as archive:
        one = archive.read(archive.namelist()[0])
    path = tmp_path / "MOSMIX_L_2023041209.kmz"
    assert write_all_stations(path, one, 100) > 30 << 20
    with zipfile.ZipFile(path) as archive:
        root = ET.fromstring(archive.read(archive.namelist()[0]))
    (wanted,) = (each for each in root.iter(f"{KML}Placemark") if each.findtext(f"{KML}name") == "S0037")
    words = {each.get(f"{DWD_NS}elementName"): each.findtext(f"{DWD_NS}value") for each in wanted.iter()}
    tracemalloc.start()
    content = read_file(path, worker, "s0037")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(content, StationForecast)
    assert content.station == "S0037"
    values = [value for _, value in series(content, str(path), "TTT").values]
    assert values == [None if word == "-" else float(word) for word in words["TTT"].split()]
    assert peak < 8 << 20


MANY = kmz(document([simple("10315", 1.0), simple("K611", 2.0), simple("01001", 3.0), simple("10384", 4.0)]))


@pytest.mark.parametrize(
    ("name", "station"), [("10315", "10315"), ("k611", "K611"), ("1001", "01001"), ("K611_", "K611")]
)
def test_a_station_is_found_as_people_spell_it(read_station_of, name, station):
    content = read_station_of(MANY, "MOSMIX_L_2026091609.kmz", name)
    assert content.station == station


TWICE = kmz(document([simple("10315", 1.0), simple("10315", 2.0)]))
ONE = kmz(document([simple("10315")]))


@pytest.mark.parametrize(
    ("data", "name", "station", "fault"),
    [
        (MANY, "a.kmz", "10351", "has no station '10351'; it has 4 others, nearest: 10315, 10384"),
        (MANY, "a.kmz", "xyz", "has no station 'xyz'; it has 4 others"),
        (ONE, "a.kmz", "K611", "has no station 'K611'; it has 10315"),
        (TWICE, "a.kmz", "10315", "has the station 10315 2 times"),
        (MANY[:-1], "a.kmz", "10315", "the ZIP's directory did not come"),
        (OLD_FORECAST, "10315-MOSMIX.csv", "K611", "has no station 'K611'; it has 10315"),
    ],
)
def test_a_station_that_is_not_in_the_file_is_an_error_with_the_nearest_ones(
    read_station_of, tmp_path, data, name, station, fault
):
    with pytest.raises(FormatError) as caught:
        read_station_of(data, name, station)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert fault in str(caught.value)


def test_the_station_of_a_csv_may_be_named(read_station_of):
    assert read_station_of(OLD_FORECAST, "10315-MOSMIX.csv", "10315").station == "10315"


@needs_eccodes
def test_grib_has_no_stations(read_station_of):
    with pytest.raises(FormatError, match="is GRIB, which has no stations"):
        read_station_of(simulated(None), "rain.grib2", "10315")


@pytest.mark.parametrize("name", ["MOSMIX_L_2026091609_10315.kml", "MOSMIX_L_2026091609_10315.kmz"])
def test_a_kml_without_its_zip_is_read_and_said_to_be_one(read, name):
    plain = read(document([simple("10315", 2.0)]), name)
    assert isinstance(plain, UnpackedKml)
    assert (plain.forecast.station, plain.forecast.steps[0]) == (
        "10315",
        datetime(2026, 9, 16, 10, tzinfo=UTC),
    )
    assert [value for _, value in series(plain, name, "TTT").values] == [2.0, 3.0, 4.0]
    assert (
        next(describe.lines(name, plain))
        == f"{name}: an unpacked KML, not a KMZ: MOSMIX forecast of one station"
    )
    told = json.loads(describe.data(name, plain))
    assert (told["kind"], told["station"], told["is_packed"]) == ("mosmix", "10315", False)


def test_a_kml_of_many_stations_without_its_zip_is_read_too(read, read_station_of):
    kml = document([simple("10315", 1.0), simple("K611", 2.0)])
    assert read(kml, "x.kml").forecast.stations == 2
    assert read_station_of(kml, "x.kml", "K611").forecast.station == "K611"
    with pytest.raises(FormatError, match="the KML ends within a Placemark"):
        read(kml[:-200], "x.kml")


# Reports and the historic forecast


@needs_samples
def test_reports_are_what_csv_finds(worker):
    content = read_file(REPORT, worker)
    assert isinstance(content, Table)
    english, units, _, *rows = csv.reader(io.StringIO(REPORT.read_text("latin-1")), delimiter=";")
    assert (content.kind, content.station) == ("reports", "10315")
    assert (list(content.header.columns), list(content.header.units)) == (english[2:], units[2:])
    column = "dew_point_temperature_at_2_meter_above_ground"
    got = series(content, str(REPORT), column)
    cells = [row[english.index(column)] for row in rows]
    assert [value for _, value in got.values] == [float(cell.replace(",", ".")) for cell in cells]
    assert [f"{time:%d.%m.%y;%H:%M}" for time, _ in got.values] == [";".join(row[:2]) for row in rows]
    assert got.unit == "Grad C"


@needs_samples
@pytest.mark.parametrize(
    "name",
    [
        f"10315-BEOB.csv.{DIGITS}",
        "10315-BEOB.csv.lz4",
        f"raw_poi/20230412/10315-{'0f' * 32}.csv.lz4",
    ],
)
def test_versions_and_raw_reports_are_read_as_what_they_are_of(name, read, worker):
    data = REPORT.read_bytes()
    content = read(lz4.frame.compress(data) if name.endswith(".lz4") else data, name)
    assert content == read_file(REPORT, worker)


@pytest.mark.parametrize(
    "data",
    [OLD_FORECAST, OLD_FORECAST.replace(b"\n", b"\r\n"), OLD_FORECAST[:-1]],
    ids=["LF", "CR LF", "no end"],
)
@pytest.mark.parametrize("name", ["10315-MOSMIX.csv", f"10315-MOSMIX.csv.{DIGITS}"])
def test_the_historic_forecast_is_read_with_either_line_end(data, name, read):
    content = read(data, name)
    assert (content.kind, content.station, content.header.columns) == (
        "forecast",
        "10315",
        ("TT", "Td", "dd"),
    )
    first = datetime(2018, 10, 23, 6, tzinfo=UTC)
    times = (first, first + timedelta(hours=3), first + timedelta(hours=18))
    assert tuple(content.rows) == times
    assert series(content, name, "TT").values == tuple(zip(times, (8.3, -10.1, 7.0), strict=True))
    assert series(content, name, "Td").values == tuple(zip(times, (None, 5.0, 4.5), strict=True))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "1 lines, no forecast"),
        (OLD_FORECAST.replace(b"Grad C;Grad\n", b"Grad\n"), "no header: its lines have 4, 5 cells"),
        (OLD_FORECAST.replace(b"5,0;280", b"5,0"), "line 5: 4 cells, the header has 5"),
        (OLD_FORECAST.replace(b"24.10.18", b"31.02.18"), "line 6: '31.02.18;00:00' is not a time"),
        (OLD_FORECAST.replace(b"24.10.18;00:00", b"23.10.18;09:00"), "3 rows of 2 times"),
    ],
)
def test_a_damaged_historic_forecast_is_told_with_its_line(data, told, read):
    with pytest.raises(FormatError, match=told):
        read(data, "10315-MOSMIX.csv")


def test_of_two_columns_of_one_name_the_unit_tells_which_is_read(read):
    lines = ("a;b;t;t", "10315;Unit;Grad C;K", "Datum;Uhrzeit (UTC);T;T", "12.04.23;01:00;3,5;---")
    data = "".join(f"{line}\n" for line in (*lines, "12.04.23;00:00;---;276,6")).encode()
    table = read(data, "10315-BEOB.csv")
    with pytest.raises(FormatError, match=r"ambiguous; choose from: t \(Grad C\), t \(K\)"):
        series(table, "10315-BEOB.csv", "t")
    kelvin = series(table, "10315-BEOB.csv", "t (K)")
    assert (kelvin.name, kelvin.unit, [value for _, value in kelvin.values]) == ("t", "K", [None, 276.6])


def test_a_cell_that_is_no_number_is_told_with_its_column(read):
    content = read(OLD_FORECAST.replace(b"8,3", b"warm"), "10315-MOSMIX.csv")
    with pytest.raises(FormatError, match=r"x.csv: TT: 'warm' is not a number"):
        series(content, "x.csv", "TT")


# What is none of these

PAGE = b"<html><head><title>404 Not Found</title></head></html>"


def bad_files() -> dict[str, tuple[str, bytes, str]]:
    grib = simulated(None)
    packed = bz2.compress(grib)
    frame = lz4.frame.compress(grib, content_checksum=True)
    forecast = kmz(document([simple("10315")]))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "no KML")
    return {
        "a bzip2 one byte short": ("t.grib2.bz2", packed[:-1], "cut after"),
        "an LZ4 frame one byte short": ("t.grib2.lz4", frame[:-1], "cut after"),
        "a bit flipped in LZ4": ("t.grib2.lz4", frame[:40] + bytes([frame[40] ^ 1]) + frame[41:], "damaged"),
        "a GRIB cut": ("t.grib2", grib[:-5], "at byte"),
        "a page for a GRIB": ("t.grib2", PAGE, "HTML"),
        "a page for a KMZ": ("10315-MOSMIX.kmz", PAGE, "HTML"),
        "a page for reports": ("10315-BEOB.csv", PAGE, "HTML"),
        "an empty file": ("t.grib2", b"", "is empty"),
        "a KMZ without KML": ("10315-MOSMIX.kmz", other.getvalue(), "no KML inside"),
        "a KMZ cut": ("10315-MOSMIX.kmz", forecast[: len(forecast) // 2], "10315-MOSMIX.kmz"),
        "a KML without stations": ("10315-MOSMIX.kmz", kmz(document([])), "no Placemark"),
        "reports cut": ("10315-BEOB.csv", OLD_FORECAST[:60], "no header"),
        "reports of a version": (f"10315-BEOB.csv.{DIGITS}", OLD_FORECAST[:60], "no header"),
        "anything else": ("notes.txt", b"hello\nworld\n", "neither GRIB, KMZ"),
    }


@pytest.mark.parametrize("kind", bad_files())
def test_what_is_none_is_told_in_one_line_that_names_the_file(kind, read, tmp_path):
    name, data, told = bad_files()[kind]
    with pytest.raises(FormatError) as caught:
        read(data, name)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / name}: ")
    assert told in line
    assert "\n" not in line


@needs_eccodes
def test_grib_of_edition_1_is_named_also_when_it_is_packed(read):
    head = b"GRIB" + (100).to_bytes(3) + b"\1" + bytes(92)
    for data, name in ((head, "a.grib"), (bz2.compress(head), "a.grib.bz2"), (head[:8], "short.grib")):
        with pytest.raises(FormatError, match="GRIB edition 1; only edition 2 is read"):
            read(data, name)
