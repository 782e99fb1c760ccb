"""The simulated server: what it has when, as HTTP tells it, read by other programs, and how it fails."""

from __future__ import annotations

import bz2
import gzip
import http.client
import importlib.util
import io
import json
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.structure import scan
from dwd_assets.formats.mosmix.forecasts import read_station
from dwd_assets.formats.poi.beob import DamagedReport, parse, value
from dwd_assets.formats.poi.beob_merge import merge
from dwd_assets.opendata.addresses import parse_old, parse_v1
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.opendata.content_log import ContentLog
from dwd_assets.opendata.errors import Busy, NotAsListed, NotYet, TimedOut, Truncated, Unavailable
from dwd_assets.opendata.listing import parse_listing
from dwd_assets.opendata.messages import NotModified, Request
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.clock import Clock
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.forecasts import FOLDER, MOSMIX_S, Forecasts, half_issue
from dwd_assets.simulator.report_forms import ReportForm
from dwd_assets.simulator.server import OLD_TREE_ENDS, Plan, Simulator, new_world
from dwd_assets.simulator.stations import STATIONS
from store.retry import Retry

needs_eccodes = pytest.mark.skipif(
    importlib.util.find_spec("eccodes") is None, reason="PACKAGE ABSENT: eccodes"
)

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
AFTER_NOON_RUN = NOON + timedelta(hours=2)
V1 = "/weather/nwp/v1/m/icon-d2/p"
OLD = "/weather/nwp/icon-d2/grib"
V1_T_2M = f"{V1}/T_2M/r/2026-09-16T12:00/s/PT000H00M.grib2"
OLD_T_2M = f"{OLD}/12/t_2m/icon-d2_germany_regular-lat-lon_single-level_2026091612_000_2d_t_2m.grib2.bz2"
REPORT = "/weather/weather_reports/poi/K611_-BEOB.csv"
FORECAST = "/weather/local_forecasts/mos/MOSMIX_L/single_stations/10315/kml/MOSMIX_L_2026091609_10315.kmz"

PLAIN = new_world(Plan(), seed=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(AFTER_NOON_RUN, seed=1, plan=Plan(slow_s=0.6)) as running:
        yield running


@contextmanager
def asking(simulator: Simulator, attempts: int = 1, read_s: float = 5.0) -> Iterator[Client]:
    manners = Manners(requests_per_s=10_000.0, read_s=read_s, retry=Retry(attempts, first_wait_s=0.001))
    with Client(simulator.url, manners) as client:
        yield client


def raw(simulator: Simulator, path: str, method: str = "GET", **headers: str) -> tuple[int, dict, bytes]:
    """Status, headers and body, by the standard library's client."""
    connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, quote(path, safe="/"), headers=named)
    answer = connection.getresponse()
    got = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return got


def paths(prefix: str, at: datetime, world=PLAIN) -> set[str]:
    return {file.path for file in world.files(prefix, at)}


def read(path: str, at: datetime, world=PLAIN) -> bytes:
    file = world.find(path, at)
    assert file is not None, path
    return world.content(file)


# What is there when


def test_a_clock_runs_faster_than_the_real_one_and_never_back():
    real_s = [100.0]
    clock = Clock(NOON, speed=1440, real_s=lambda: real_s[0])
    real_s[0] += 60
    assert clock.now() == NOON + timedelta(days=1)
    clock.advance(timedelta(hours=1))
    real_s[0] += 1
    assert clock.now() == NOON + timedelta(days=1, hours=1, minutes=24)
    with pytest.raises(ValueError, match="does not go back"):
        clock.turn(NOON)


def test_a_clock_without_speed_stands_until_it_is_turned(simulator: Simulator):
    before = simulator.clock.now()
    simulator.clock.turn(before + timedelta(minutes=5))
    assert simulator.clock.now() - before == timedelta(minutes=5)


times = st.datetimes(datetime(2026, 11, 28), datetime(2026, 12, 3)).map(lambda time: time.replace(tzinfo=UTC))


@settings(max_examples=8, deadline=None)
@given(times)
def test_every_file_that_is_listed_is_found_under_its_path_and_is_not_of_the_future(at: datetime):
    listed = list(PLAIN.files("/", at))
    assert len({file.path for file in listed}) == len(listed) > 250
    for file in listed:
        assert file == PLAIN.find(file.path, at)
        assert file.modified <= at
        assert file.modified.microsecond == 0


@settings(max_examples=8, deadline=None)
@given(times, st.integers(1, 60 * 60) | st.integers(1, 40 * 60 * 60))
def test_what_is_listed_at_one_time_is_found_at_another_only_if_it_is_listed_then_too(
    at: datetime, later_s: int
):
    listed = {moment: paths("/", moment) for moment in (at, at + timedelta(seconds=later_s))}
    ever = set().union(*listed.values())
    for moment, there in listed.items():
        assert {path for path in ever if PLAIN.find(path, moment)} == there


def test_a_step_that_is_not_there_yet_is_not_found_in_a_run_that_has_begun():
    last = f"{V1}/T_2M/r/2026-09-16T12:00/s/PT004H00M.grib2"
    assert PLAIN.find(last, NOON + timedelta(minutes=90)) is None
    assert PLAIN.find(last, AFTER_NOON_RUN)


def test_an_old_folder_has_no_file_of_the_run_for_44_minutes_and_all_of_them_after_two_hours():
    def runs(minutes: float) -> set[str]:
        at = NOON + timedelta(minutes=minutes)
        return set(re.findall(r"level_(\d{10})_", " ".join(paths(f"{OLD}/12/t_2m/", at))))

    assert runs(43.9) == {"2026091512"}
    assert runs(44) == {"2026091512", "2026091612"}
    assert runs(118) == {"2026091512", "2026091612"}
    assert runs(120) == {"2026091612"}


def test_while_a_folder_is_overwritten_each_step_is_there_once():
    at = NOON + timedelta(minutes=75)
    steps = sorted(re.sub(r".*_20\d{8}_", "", path) for path in paths(f"{OLD}/12/u/", at))
    assert steps == sorted(f"00{step}_850_u.grib2.bz2" for step in range(5) for _ in range(2))


def test_the_old_tree_is_gone_from_its_end_on_and_v1_is_not():
    before = OLD_TREE_ENDS - timedelta(seconds=1)
    assert paths(OLD, before)
    assert not paths(OLD, OLD_TREE_ENDS)
    assert PLAIN.find(next(iter(paths(OLD, before))), OLD_TREE_ENDS) is None
    assert paths(V1, OLD_TREE_ENDS) >= paths(V1, before)


def test_v1_keeps_eight_runs_and_evicts_the_oldest_with_the_first_file_of_the_next():
    def runs(at: datetime) -> list[str]:
        return sorted({path.split("/r/")[1][:13] for path in paths(f"{V1}/T_2M/", at)})

    before, after = runs(NOON + timedelta(minutes=43.9)), runs(NOON + timedelta(minutes=44))
    assert before[0] == "2026-09-15T12"
    assert before[-1] == "2026-09-16T09"
    assert len(before) == len(after) == 8
    assert after == [*before[1:], "2026-09-16T12"]


def test_v1_has_quarters_of_an_hour_as_files_where_the_old_tree_has_messages():
    run = f"{V1}/TOT_PREC/r/2026-09-16T12:00/s/"
    assert sorted(paths(run, AFTER_NOON_RUN)) == [
        f"{run}PT{step}M.grib2" for step in ("000H00", "000H15", "000H30", "000H45", "001H00")
    ]
    old = f"{OLD}/12/tot_prec/icon-d2_germany_icosahedral_single-level_2026091612_00"
    steps = [
        [message.step_minutes for message in scan(bz2.decompress(read(f"{old}{hour}", AFTER_NOON_RUN)), "")]
        for hour in ("0_2d_tot_prec.grib2.bz2", "1_2d_tot_prec.grib2.bz2")
    ]
    assert steps == [[0, 15, 30, 45], [60]]


# Fields


def test_every_field_is_of_the_run_step_and_level_that_its_path_says():
    count = 0
    for file in PLAIN.files("/weather/nwp/", AFTER_NOON_RUN):
        key = parse_old(file.path) or parse_v1(file.path)
        if key is None or key.level_type == "time-invariant":
            continue
        content = PLAIN.content(file)
        first = scan(bz2.decompress(content) if file.path.endswith(".bz2") else content, file.path)[0]
        assert (first.reference_time, first.step_minutes) == (key.run, key.step_minutes)
        assert first.grid_template == (0 if key.grid == "regular" else 101)
        if key.level_type == "pressure":
            assert (first.product.first.type, first.product.first.value) == (100, key.level * 100)
        count += 1
    assert count == 8 * 4 * 5 + 8 * 2 * (3 * 5 + 2)


def test_precipitation_adds_up_from_nothing_and_is_never_taken_back():
    old = f"{OLD}/12/tot_prec/icon-d2_germany_icosahedral_single-level_2026091612_000_2d_tot_prec.grib2.bz2"
    messages = bz2.decompress(read(old, AFTER_NOON_RUN))
    codes = [
        np.frombuffer(messages, ">u2", each.grid_points, each.offset + each.length - 4 - 2 * each.grid_points)
        for each in scan(messages, old)
    ]
    assert [int(each.max()) for each in codes[:2]] == [0, 65535 * 15 // 2880]
    assert all((later >= earlier).all() for earlier, later in pairwise(codes))


def test_a_model_that_never_was_in_the_old_tree_is_in_v1_alone():
    catalogue = Catalogue(model="icon-d2-ruc", run_hours=1, parameters=(Parameter("t_2m"),))
    nwp = paths("/weather/nwp/", NOON, new_world(Plan(catalogue), seed=1))
    runs = {path.split("/r/")[1][:13] for path in nwp if "/m/icon-d2-ruc/" in path}
    assert sorted(runs) == [f"2026-09-16T{hour:02d}" for hour in range(4, 12)]
    assert not any("/grib/" in path for path in nwp)


def test_constants_are_the_same_bytes_in_every_run_and_everything_else_differs():
    def contents(parameter: str) -> set[bytes]:
        files = PLAIN.files(f"{V1}/{parameter}/", AFTER_NOON_RUN)
        return {PLAIN.content(file) for file in files if file.path.endswith("PT000H00M.grib2")}

    assert [len(contents(name)) for name in ("CLAT", "CLON", "HSURF")] == [1, 1, 1]
    assert len(contents("T_2M")) == 8


def test_constants_tell_the_time_of_their_run_where_that_is_asked_for():
    world = new_world(Plan(Catalogue(dated_constants=True)), seed=1)
    path = f"{V1}/CLAT/r/2026-09-16T09:00/s/PT000H00M.grib2"
    dated, undated = (scan(read(path, NOON, each), path)[0] for each in (world, PLAIN))
    assert dated.reference_time == NOON - timedelta(hours=3) != undated.reference_time


def test_a_catalogue_may_have_other_levels_steps_and_grids():
    catalogue = Catalogue(
        parameters=(
            Parameter("t", "model", 65, every(60, 48)),
            Parameter("t_so", "soil", 27),
            Parameter("relhum", "pressure", 500),
            constant("fr_land"),
        ),
        columns=20,
        rows=11,
    )
    world = new_world(Plan(catalogue), seed=1)
    assert len(paths(f"{V1}/T/lvt1/150/lv1/65/r/2026-09-16T09:00/", AFTER_NOON_RUN, world)) == 49
    soil = f"{V1}/T_SO/lvt1/106/lv1/0.27/r/2026-09-16T09:00/s/PT001H00M.grib2"
    (field,) = scan(read(soil, AFTER_NOON_RUN, world), soil)
    assert (field.product.first.type, field.product.first.value, field.grid_points) == (106, 0.27, 220)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Parameter("no_such_thing"),
        lambda: Parameter("hsurf"),
        lambda: Parameter("t_2m", "time-invariant", None, (0,)),
        lambda: Catalogue(parameters=(Parameter("t_2m"), Parameter("t_2m"))),
        lambda: Parameter("t_2m", steps=()),
        lambda: Catalogue(run_hours=5),
    ],
)
def test_a_catalogue_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"not known|with '|twice|no model runs"):
        wrong()


CHILD = """
import json, sys
import eccodes as ec
told = []
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        while (handle := ec.codes_grib_new_from_file(file)) is not None:
            ec.codes_set(handle, "stepUnits", "m")
            row = {name: ec.codes_get(handle, name) for name in
                   ("dataDate", "dataTime", "gridType", "packingType", "numberOfMissing", "level",
                    "parameterCategory", "parameterNumber", "centre")}
            row["endStep"] = ec.codes_get(handle, "endStep", int)
            row["values"] = ec.codes_get_values(handle).tolist()
            if row["gridType"] == "regular_ll":
                row["latitudes"] = sorted(set(ec.codes_get_array(handle, "latitudes").tolist()))
            told.append(row)
            ec.codes_release(handle)
print(json.dumps(told))
"""


@needs_eccodes
def test_eccodes_reads_both_trees_and_finds_the_same_weather_in_them(tmp_path):
    old = f"{OLD}/12/t_2m/icon-d2_germany_icosahedral_single-level_2026091612_003_2d_t_2m.grib2.bz2"
    new = f"{V1}/T_2M/r/2026-09-16T12:00/s/PT003H00M.grib2"
    contents = [
        bz2.decompress(read(old.replace("icosahedral", "regular-lat-lon"), AFTER_NOON_RUN)),
        bz2.decompress(read(old, AFTER_NOON_RUN)),
        read(new, AFTER_NOON_RUN),
        *(
            read(f"{V1}/{name}/r/2026-09-16T12:00/s/PT000H00M.grib2", AFTER_NOON_RUN)
            for name in ("CLAT", "CLON")
        ),
    ]
    files = []
    for number, content in enumerate(contents):
        files.append(tmp_path / f"{number}.grib2")
        files[-1].write_bytes(content)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *files], check=True, capture_output=True, timeout=60, cwd=tmp_path
    )
    regular, cells, v1, latitudes, longitudes = json.loads(child.stdout)
    assert [each["packingType"] for each in (regular, cells, v1)] == [
        "grid_simple",
        "grid_simple",
        "grid_ccsds",
    ]
    assert [each["gridType"] for each in (regular, v1)] == ["regular_ll", "unstructured_grid"]
    for each in (regular, cells, v1):
        told = (each["centre"], each["dataDate"], each["dataTime"], each["endStep"], each["level"])
        assert told == ("edzw", 20260916, 1200, 180, 2)
    assert cells["values"] == v1["values"]
    assert min(v1["values"]) >= 250
    assert max(v1["values"]) < 314
    assert len(set(v1["values"])) > 1000
    seen = [value for value in regular["values"] if value != 9999]
    assert 0.14 < regular["numberOfMissing"] / len(regular["values"]) < 0.2
    assert len(seen) == len(regular["values"]) - regular["numberOfMissing"]
    assert set(seen) <= set(cells["values"])
    assert latitudes["values"][0] == pytest.approx(43.18, abs=0.001)
    assert latitudes["values"][-1] == pytest.approx(58.08, abs=0.001)
    assert longitudes["values"][0] == pytest.approx(-3.94, abs=0.001)
    assert longitudes["values"][-1] == pytest.approx(20.34, abs=0.001)
    assert regular["latitudes"][0] == pytest.approx(43.18)


# Forecasts and reports


def test_a_forecast_of_one_station_is_read_whole_and_latest_is_a_copy_of_the_newest():
    forecast = read_station(read(FORECAST, NOON), FORECAST)
    assert (forecast.station, forecast.issued.hour, len(forecast.steps)) == ("10315", 9, 247)
    missing = sum(np.isnan(row).sum() for row in forecast.elements.values())
    assert 0.02 < missing / (247 * len(forecast.elements)) < 0.1
    assert read(FORECAST.replace("2026091609", "LATEST"), NOON) == read(FORECAST, NOON)


@pytest.mark.parametrize(("name", "ending", "steps"), [("MOSMIX_L", "", 247), ("MOSMIX_S", "_240", 240)])
def test_other_programs_find_all_stations_in_the_large_forecasts(name: str, ending: str, steps: int):
    path = f"/weather/local_forecasts/mos/{name}/all_stations/kml/{name}_LATEST{ending}.kmz"
    with zipfile.ZipFile(io.BytesIO(read(path, NOON))) as kmz:
        assert kmz.testzip() is None
        (entry,) = kmz.namelist()
        root = ET.fromstring(kmz.read(entry))
    kml = "{http://www.opengis.net/kml/2.2}"
    dwd = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"
    assert [mark.findtext(f"{kml}name") for mark in root.iter(f"{kml}Placemark")] == [
        each.id for each in STATIONS
    ]
    assert {len(row.text.split()) for row in root.iter(f"{dwd}value")} == {steps}


def test_forecasts_are_issued_at_their_hours():
    def hours(name: str) -> set[str]:
        return {path[-6:-4] for path in paths(f"/weather/local_forecasts/mos/{name}/all", NOON)}

    assert hours("MOSMIX_L") == {"03", "09", "15", "21", "ST"}
    issued = re.findall(r"MOSMIX_S_\d{8}(\d\d)_240", " ".join(paths("/weather/local_forecasts/", NOON)))
    assert len(set(issued)) == len(issued) == 24


def test_reports_have_25_rows_of_43_columns_and_gaps():
    report = parse(read(REPORT, NOON), REPORT)
    newest = NOON - timedelta(hours=1)
    assert list(report.rows) == [newest - timedelta(hours=age) for age in range(25)]
    assert len(report.header.columns) + 2 == 43
    assert report.station == "K611_"
    assert any("---" in row for row in report.rows.values())


def test_over_a_day_late_values_fill_old_rows_and_corrections_replace_values():
    day = NOON.date()
    merged = merge(day, None, parse(read(REPORT, NOON), REPORT), NOON)
    filled = corrected = 0
    for hour in range(1, 24):
        at = NOON + timedelta(hours=hour)
        before = merged.day_file.rows
        merged = merge(day, merged.day_file, parse(read(REPORT, at), REPORT), at)
        corrected += len(merged.corrections)
        after = merged.day_file.rows
        filled += sum(
            old == "---" != new for time in before for old, new in zip(before[time], after[time], strict=True)
        )
    assert filled > 20
    assert corrected > 5


def test_a_report_lasts_until_the_next_hour_and_no_value_ever_vanishes():
    first, second = (parse(read(REPORT, NOON + timedelta(hours=hour)), REPORT) for hour in (0, 1))
    assert read(REPORT, NOON + timedelta(minutes=5)) == read(REPORT, NOON)
    for hour in set(first.rows) & set(second.rows):
        for old, new in zip(first.rows[hour], second.rows[hour], strict=True):
            assert new != "---" or old == "---"


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "reordered", "unit"])
def test_a_header_changes_from_its_time_on_and_no_value_with_it(change):
    world = new_world(Plan(report_form=ReportForm(changes=((NOON, change),))), seed=1)
    before, after = (parse(read(REPORT, NOON + timedelta(hours=hour), world), REPORT) for hour in (0, 1))
    old, new = dict.fromkeys(before.header.keys), dict.fromkeys(after.header.keys)
    gone, come = [key for key in old if key not in new], [key for key in new if key not in old]
    temperature = ("dry_bulb_temperature_at_2_meter_above_ground", "Grad C", 0)
    assert (gone, come) == {
        "added": ([], [("global_radiation_last_10_minutes", "W/m2", 0)]),
        "removed": ([("horizontal_visibility", "km", 0)], []),
        "renamed": ([temperature], [("air_temperature_at_2_meter_above_ground", "Grad C", 0)]),
        "reordered": ([], []),
        "unit": ([temperature], [(temperature[0], "K", 0)]),
    }[change]
    assert (after.header.columns == before.header.columns[::-1]) == (change == "reordered")
    plain = parse(read(REPORT, NOON + timedelta(hours=1)), REPORT)
    for hour, row in after.rows.items():
        own = dict(zip(plain.header.keys, plain.rows[hour], strict=True))
        found = dict(zip(after.header.keys, row, strict=True))
        assert all(found[key] == cell for key, cell in own.items() if key not in gone)
        if change in {"renamed", "unit"} and own[temperature] != "---":
            by = 273.2 if change == "unit" else 0
            assert value(found[come[0]]) == pytest.approx(value(own[temperature]) + by)


def test_the_spelling_of_reports_changes_bytes_and_no_row():
    plain = read(REPORT, NOON)
    form = ReportForm(line_end="\r\n", has_byte_order_mark=True, has_trailing_separator=True, doubled="same")
    spelled = read(REPORT, NOON, new_world(Plan(report_form=form), seed=1))
    assert spelled.startswith(b"\xef\xbb\xbfsurface")
    lines = spelled.removeprefix(b"\xef\xbb\xbf").split(b"\r\n")
    assert all(line.endswith(b";") for line in lines[:-1])
    assert lines[3] == lines[4]
    assert [line[:-1] for line in (*lines[:4], *lines[5:-1])] == plain.splitlines()


def test_reports_may_have_text_in_their_newest_row_and_a_doubled_row_with_another_value():
    form = ReportForm(texts=4, doubled="other")
    world = new_world(Plan(report_form=form), seed=1)
    with pytest.raises(DamagedReport, match="again, with other values") as caught:
        parse(read(REPORT, NOON, world), REPORT)
    texts = caught.value.usable.texts
    assert texts
    assert {(cell.time, cell.text) for cell in texts} == {(max(caught.value.usable.rows), "/////")}
    later = read(REPORT, NOON + timedelta(hours=1), world).splitlines()
    assert not any(b"/////" in line for line in later[5:])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    again, other = new_world(Plan(), seed=1), new_world(Plan(), seed=2)
    for path in (V1_T_2M, OLD_T_2M, FORECAST, REPORT):
        same = read(path, AFTER_NOON_RUN)
        assert read(path, AFTER_NOON_RUN, again) == same
        assert read(path, AFTER_NOON_RUN, other) != same


# Pages


@pytest.mark.parametrize(
    ("form", "precision_s"), [("seconds", 1), ("minutes", 60), ("iso", 1), ("german", 1)]
)
def test_the_forms_of_a_page_list_names_in_full_with_time_and_size(form, precision_s: int):
    folder = f"{OLD}/12/t_2m/"
    with Simulator(AFTER_NOON_RUN, seed=1, plan=Plan(index_form=form)) as simulator:
        page = raw(simulator, folder)[2]
    listing = parse_listing(page, folder)
    assert not listing.unread
    assert {folder + entry.name for entry in listing.entries} == paths(folder, AFTER_NOON_RUN)
    for entry in listing.entries:
        file = PLAIN.find(folder + entry.name, AFTER_NOON_RUN)
        assert entry.precision == timedelta(seconds=precision_s)
        assert entry.size == len(PLAIN.content(file))
        assert timedelta(0) <= file.modified - entry.modified < entry.precision
    shown = re.findall(rb'<a href="icon[^"]*">([^<]*)</a> ', page)
    assert {len(name.replace(b"&gt;", b">")) for name in shown} == {50}


@pytest.mark.parametrize(("form", "unread"), [("numeric", 5), ("half", 3), ("nameless", 1), ("rounded", 0)])
def test_rows_of_a_page_may_have_what_cannot_be_read(form, unread):
    folder = "/weather/weather_reports/poi/"
    with Simulator(AFTER_NOON_RUN, seed=1, plan=Plan(index_form=form)) as simulator:
        listing = parse_listing(raw(simulator, folder)[2], folder)
    assert len(listing.unread) == unread
    assert len(listing.entries) == (4 if form == "nameless" else 5)
    assert sum(entry.modified is None for entry in listing.entries) == (0 if form == "nameless" else unread)
    assert all(entry.size is None for entry in listing.entries) == (form in {"rounded", "numeric"})


def test_folders_are_walked_from_the_root_to_every_file(simulator: Simulator):
    def walk(folder: str) -> Iterator[str]:
        for entry in parse_listing(raw(simulator, folder)[2], folder).entries:
            path = folder + entry.name
            if entry.is_folder:
                yield from walk(f"{path}/")
            else:
                yield path

    assert set(walk("/weather/local_forecasts/")) == paths("/weather/local_forecasts/", AFTER_NOON_RUN)
    assert set(walk(f"{V1}/U/")) == paths(f"{V1}/U/", AFTER_NOON_RUN)
    assert {entry.name for entry in parse_listing(raw(simulator, "/")[2], "/").entries} == {"weather"}


def test_the_content_log_has_each_file_with_its_size_and_time(simulator: Simulator):
    _, _, packed = raw(simulator, "/weather/nwp/content.log.bz2")
    log = ContentLog(io.BytesIO(packed), "content.log.bz2")
    told = {"/weather/nwp/" + entry.path: (entry.size, entry.modified) for entry in log}
    files = [file for file in PLAIN.files("/weather/nwp/", AFTER_NOON_RUN) if "content.log" not in file.path]
    assert told == {file.path: (PLAIN.size(file), file.modified) for file in files}
    assert log.bad == 0


# HTTP


def test_a_connection_is_kept_for_many_requests_and_head_has_no_body(simulator: Simulator):
    connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=5)
    sockets = set()
    for method, path in [("GET", V1_T_2M), ("HEAD", V1_T_2M), ("GET", "/nothing"), ("GET", REPORT)] * 3:
        connection.request(method, quote(path, safe="/"))
        answer = connection.getresponse()
        length = int(answer.headers["Content-Length"])
        assert len(answer.read()) == (0 if method == "HEAD" else length)
        assert length > 0
        sockets.add(connection.sock)
    connection.close()
    assert len(sockets) == 1


def test_a_version_that_is_known_is_not_sent_again(simulator: Simulator):
    _, headers, body = raw(simulator, REPORT)
    assert headers["last-modified"] == raw(simulator, REPORT, "HEAD")[1]["last-modified"]
    for condition in (
        {"If_None_Match": headers["etag"]},
        {"If_None_Match": f'"other", W/{headers["etag"]}'},
        {"If_Modified_Since": headers["last-modified"]},
    ):
        status, again, nothing = raw(simulator, REPORT, **condition)
        assert (status, nothing, again["etag"]) == (304, b"", headers["etag"])
    simulator.clock.advance(timedelta(hours=1))
    status, later, other = raw(simulator, REPORT, If_None_Match=headers["etag"])
    assert (status, later["etag"] != headers["etag"], other != body) == (200, True, True)


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=0-3", slice(0, 4)), ("bytes=10-", slice(10, None)), ("bytes=-4", slice(-4, None))],
)
def test_a_range_is_that_part_of_the_file(simulator: Simulator, wanted: str, part: slice):
    content = read(V1_T_2M, AFTER_NOON_RUN)
    status, headers, body = raw(simulator, V1_T_2M, Range=wanted)
    assert (status, body) == (206, content[part])
    begin, end, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", headers["content-range"]).groups())
    assert content[begin : end + 1] == body
    assert size == len(content)


def test_a_range_beyond_the_end_is_refused_and_one_of_another_version_gives_the_whole_file(
    simulator: Simulator,
):
    content = read(V1_T_2M, AFTER_NOON_RUN)
    status, headers, _ = raw(simulator, V1_T_2M, Range="bytes=999999-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(content)}")
    assert raw(simulator, V1_T_2M, Range="bytes=5-", If_Range='"other"')[::2] == (200, content)


def test_a_folder_without_its_slash_is_elsewhere_and_nothing_else_is_there(simulator: Simulator):
    status, headers, _ = raw(simulator, "/weather/nwp")
    assert (status, headers["location"]) == (301, "/weather/nwp/")
    for path in ("/weathe", "/weather/nwp/icon-d2/grib/01/", "/weather/../etc/passwd", f"{V1_T_2M}/"):
        assert raw(simulator, path)[0] == 404


def test_dates_are_those_of_the_simulated_clock(simulator: Simulator):
    assert raw(simulator, REPORT)[1]["date"] == "Wed, 16 Sep 2026 14:00:00 GMT"


def test_requests_are_logged_with_what_they_were_answered(simulator: Simulator):
    simulator.fail(REPORT, Fault.UNAVAILABLE, times=1)
    body = [raw(simulator, path)[2] for path in (REPORT, REPORT, "/no")]
    told = [(asked.path, asked.status, asked.body_bytes, asked.fault) for asked in simulator.requests]
    assert told == [
        (REPORT, 503, len(body[0]), Fault.UNAVAILABLE),
        (REPORT, 200, len(body[1]), None),
        ("/no", 404, len(body[2]), None),
    ]
    assert {asked.at for asked in simulator.requests} == {AFTER_NOON_RUN}


# Faults, as the product's own client meets them


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.NOT_FOUND, NotYet),
        (Fault.UNAVAILABLE, Busy),
        (Fault.RESET, Unavailable),
        (Fault.CUT, Truncated),
        (Fault.TRUNCATED, NotAsListed),
        (Fault.PAGE, NotAsListed),
    ],
)
def test_a_fault_meets_as_many_requests_as_asked_for(simulator: Simulator, fault: Fault, error):
    size = len(read(V1_T_2M, AFTER_NOON_RUN))
    simulator.fail("*/T_2M/*", fault, times=2)
    with asking(simulator) as client:
        for _ in range(2):
            with pytest.raises(error):
                client.read(Request(quote(V1_T_2M), size))
        assert client.read(Request(quote(V1_T_2M), size)).data == read(V1_T_2M, AFTER_NOON_RUN)


def test_a_slow_answer_outlasts_a_client_in_haste(simulator: Simulator):
    simulator.fail(REPORT, Fault.SLOW, times=1)
    with asking(simulator, read_s=0.2) as client:
        with pytest.raises(TimedOut):
            client.read(Request(REPORT))
        began = time.monotonic()
        assert client.read(Request(REPORT)).data
        assert time.monotonic() - began < 0.5


def test_a_truncated_file_comes_with_status_200_and_only_its_format_tells(simulator: Simulator):
    simulator.fail("*", Fault.TRUNCATED)
    status, headers, body = raw(simulator, V1_T_2M)
    assert (status, int(headers["content-length"])) == (200, len(body))
    with pytest.raises(FormatError, match="cut"):
        scan(body, V1_T_2M)
    with pytest.raises(DamagedReport):
        parse(raw(simulator, REPORT)[2], REPORT)


def test_a_flipped_bit_leaves_length_and_version_and_breaks_what_has_a_checksum(simulator: Simulator):
    whole = raw(simulator, OLD_T_2M)
    simulator.fail(OLD_T_2M, Fault.FLIPPED)
    flipped = raw(simulator, OLD_T_2M)
    assert flipped[1]["etag"] == whole[1]["etag"]
    assert sum((a ^ b).bit_count() for a, b in zip(whole[2], flipped[2], strict=True)) == 1
    with pytest.raises(OSError, match="Invalid data"):
        bz2.decompress(flipped[2])


def test_a_file_may_come_without_its_length_whole_or_cut(simulator: Simulator):
    simulator.fail(REPORT, Fault.NO_LENGTH, times=1)
    simulator.fail(REPORT, Fault.CUT_NO_LENGTH, times=1)
    whole = PLAIN.content(PLAIN.find(REPORT, AFTER_NOON_RUN))
    with asking(simulator) as client:
        for expected in (whole, whole[: len(whole) // 2]):
            body = client.read(Request(REPORT))
            assert (body.data, body.received.is_proven) == (expected, False)
        assert client.read(Request(REPORT)).received.is_proven


def test_a_file_may_be_packed_for_its_transfer(simulator: Simulator):
    simulator.fail(REPORT, Fault.GZIPPED, times=1)
    status, headers, packed = raw(simulator, REPORT)
    whole = PLAIN.content(PLAIN.find(REPORT, AFTER_NOON_RUN))
    assert (status, headers["content-encoding"], gzip.decompress(packed)) == (200, "gzip", whole)
    simulator.fail(REPORT, Fault.GZIPPED, times=1)
    with asking(simulator) as client:
        assert client.read(Request(REPORT)).data == whole


def test_rows_of_a_listing_that_cannot_be_read_are_a_fault_too(simulator: Simulator):
    folder = "/weather/weather_reports/poi/"
    simulator.fail(folder, Fault.UNREADABLE_ROWS, times=1)
    simulator.fail(folder, Fault.NAMELESS_ROW, times=1)
    unread = [parse_listing(raw(simulator, folder)[2], folder).unread for _ in range(3)]
    assert [[row.name for row in rows] for rows in unread] == [
        ["01001-BEOB.csv", "10384-BEOB.csv", "K611_-BEOB.csv"],
        [None],
        [],
    ]


def test_a_file_overwritten_after_the_listing_is_another_one_from_then_on(simulator: Simulator):
    folder = V1_T_2M.rpartition("/")[0] + "/"
    before = parse_listing(raw(simulator, folder)[2], folder).entries[0]
    content = read(V1_T_2M, AFTER_NOON_RUN)
    simulator.fail(V1_T_2M, Fault.OVERWRITTEN, times=1)
    first, second = raw(simulator, V1_T_2M), raw(simulator, V1_T_2M)
    assert first[1]["etag"] == second[1]["etag"]
    assert first[2] == second[2] != content
    after = parse_listing(raw(simulator, folder)[2], folder).entries[0]
    assert after.modified == AFTER_NOON_RUN > before.modified
    assert scan(first[2], "")[0].reference_time == NOON


@pytest.mark.parametrize("path", [OLD_T_2M, FORECAST, REPORT])
def test_what_is_overwritten_stays_of_its_format(simulator: Simulator, path: str):
    simulator.world.overwrite(path, AFTER_NOON_RUN)
    content = raw(simulator, path)[2]
    assert content != read(path, AFTER_NOON_RUN)
    if path == REPORT:
        assert len(parse(content, path).rows) == 25
    elif path == FORECAST:
        assert read_station(content, path).issued.hour == 9
    else:
        assert scan(bz2.decompress(content), path)[0].reference_time == NOON


def test_servers_out_of_step_take_turns_with_two_ages():
    at = NOON + timedelta(minutes=44, seconds=30)
    with Simulator(at, seed=1) as simulator:
        simulator.fail("/weather/nwp/*", Fault.OUT_OF_STEP)
        assert [raw(simulator, V1_T_2M)[0] for _ in range(4)] == [404, 200, 404, 200]
        run = f"{V1}/T_2M/r/2026-09-16T12:00/"
        assert [raw(simulator, run)[0] for _ in range(2)] == [404, 200]
        simulator.heal()
        assert [raw(simulator, V1_T_2M)[0] for _ in range(2)] == [200, 200]


def test_the_server_that_is_behind_still_has_what_was_overwritten(simulator: Simulator):
    before = raw(simulator, V1_T_2M)[2]
    simulator.world.overwrite(V1_T_2M, simulator.clock.now())
    simulator.fail(V1_T_2M, Fault.OUT_OF_STEP)
    assert [raw(simulator, V1_T_2M)[2] == before for _ in range(4)] == [True, False, True, False]


def test_a_fault_may_be_bound_to_a_time(simulator: Simulator):
    now = simulator.clock.now()
    simulator.fail(
        "*.csv", Fault.UNAVAILABLE, since=now + timedelta(minutes=1), until=now + timedelta(minutes=2)
    )
    statuses = []
    for _ in range(3):
        statuses.append(raw(simulator, REPORT)[0])
        simulator.clock.advance(timedelta(minutes=1))
    assert statuses == [200, 503, 200]


def test_a_client_that_retries_gets_through_a_reset_and_a_503(simulator: Simulator):
    simulator.fail(REPORT, Fault.RESET, times=1)
    simulator.fail(REPORT, Fault.UNAVAILABLE, times=1)
    with asking(simulator, attempts=3) as client:
        body = client.read(Request(REPORT))
        assert body.data == read(REPORT, AFTER_NOON_RUN)
        known = Request(REPORT, known=body.received.version)
        assert client.read(known) == NotModified(REPORT)
    assert [asked.status for asked in simulator.requests] == [None, 503, 200, 304]


def test_more_than_a_day_passes_while_a_client_follows_it_and_misses_no_report():
    begin, hours = datetime(2026, 9, 16, tzinfo=UTC), set()
    end = begin + timedelta(hours=30)
    with Simulator(begin, speed=86_400 / 4, seed=1) as simulator, asking(simulator) as client:
        is_over = False
        while not is_over:
            is_over = simulator.clock.now() > end
            hours |= set(parse(client.read(Request(REPORT)).data, REPORT).rows)
            time.sleep(0.02)
    assert hours >= {begin + timedelta(hours=hour) for hour in range(29)}


def _asked_again(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", REPORT)
    connection.getresponse()


def test_a_closed_simulator_has_ended_its_connections_and_its_port_is_free():
    with Simulator(NOON) as simulator:
        connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=5)
        connection.request("GET", REPORT)
        connection.getresponse().read()
        port = int(simulator.url.rpartition(":")[2])
    with pytest.raises(ConnectionError):
        _asked_again(connection)
    with Simulator(NOON, port=port) as again:
        assert raw(again, REPORT)[0] == 200


@pytest.mark.parametrize(("count", "kept"), [(1, 0), (4, 2), (5, 2)])
def test_half_an_issue_is_a_whole_kmz_of_the_first_half_of_the_stations(count, kept):
    parts = Forecasts(1, MOSMIX_S, STATIONS[:count])
    at = datetime(2026, 9, 16, 12, tzinfo=UTC)
    (file, *_) = parts.files(f"{FOLDER}MOSMIX_S/all_stations/kml/MOSMIX_S_2026091609", at)
    whole = file.build(0)
    half = half_issue(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as all_of_it, zipfile.ZipFile(io.BytesIO(half)) as half_of_it:
        assert half_of_it.testzip() is None
        assert half_of_it.namelist() == all_of_it.namelist() == ["MOSMIX_S_2026091609_240.kml"]
        kml = half_of_it.read(half_of_it.namelist()[0])
        assert all_of_it.read(all_of_it.namelist()[0]).startswith(kml[: kml.rindex(b"    </kml:Document>")])
    root = ET.fromstring(kml)
    names = [one.text for one in root.iter("{http://www.opengis.net/kml/2.2}name")]
    assert names == [station.id for station in STATIONS[:kept]]
