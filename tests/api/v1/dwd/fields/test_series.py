"""`/v1/dwd/series`: at every point and valid time the value that eccodes finds in the file of the right run."""

import csv
import io
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from api.v1.dwd.field_routes import prefers_csv
from api.v1.dwd.fields import series, values
from api.v1.dwd.fields.decoder import Decoder
from dwd_assets.archive.storing import Content
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.paths import archive_path
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant
from store.dwd.stations import Station, merge
from tests.api.conftest import eventually
from tests.api.v1.dwd.dwd_world import NOON, RUN, World, icon
from tests.api.v1.dwd.grib_oracle import ask, nearest_cell
from tests.samples import SAMPLES, needs_samples

PLACES = ((51.034, 9.366), (47.5, 2.0), (56.0, 12.0))
POINTS = ";".join(f"{lat},{lon}" for lat, lon in PLACES)
SERIES = "/v1/dwd/series?parameter=t_2m"
EARLIER = RUN - timedelta(hours=3)
UUID = b"simulated cells."
OTHER_UUID = b"another 16 bytes"


class Counting:
    """A decoder that counts what it decodes, one after the other, and may take its time over it."""

    def __init__(self, worker, seconds=0.0):
        self._worker, self._seconds = worker, seconds
        self._lock = threading.Lock()
        self.decoded = []

    def values(self, data, name):
        with self._lock:
            time.sleep(self._seconds)
            self.decoded.append(name)
            return self._worker.values(data, name)


@pytest.fixture
def world(posix):
    return World(posix)


@pytest.fixture(scope="module")
def worker():
    with GribWorker() as worker:
        yield worker


@pytest.fixture
def decoder(worker, monkeypatch):
    """The decoder of every server here: its start takes longer than all that is asked of it."""
    decoder = Counting(worker)
    monkeypatch.setattr(Decoder, "worker", decoder)
    return decoder


@pytest.fixture
def client(serve, decoder):
    return serve(rate_per_minute=0)


def keep(world, key, data):
    """Keep a field with bytes of the test's own."""
    path = archive_path(key)
    kept = world.archive.keep(path, Content.packed(data), None, None, NOON)
    world.tell(key.model, f"{key.run:%Y%m%d%H}", {path: kept})


def period(run):
    return f"{run:%Y%m%d%H}"


def utc(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def rows_of(answer):
    """The table as a reader of CSV has it."""
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_on_triangles_every_point_has_the_values_of_its_nearest_cell(client, world, decoder, tmp_path):
    keys = [icon(step=step) for step in (0, 60, 120)]
    world.keep_fields(*keys, icon("clat"), icon("clon"))
    clat, clon = (world.grib(icon(name)) for name in ("clat", "clon"))
    told = client.get(f"{SERIES}&points={POINTS}&run=2025040909").json()
    assert (told["run"], told["unit"], told["missing"]) == ("2025040909", "K", [])
    assert [each["lead_minutes"] for each in told["times"]] == [0, 60, 120]
    assert [each["valid_time"] for each in told["times"]] == [utc(RUN + timedelta(hours=n)) for n in range(3)]
    fields = [ask(world.grib(key), tmp_path)[0]["values"] for key in keys]
    for number, (place, point) in enumerate(zip(PLACES, told["points"], strict=True), 1):
        index, (lat, lon), km = nearest_cell(clat, clon, tmp_path, place)
        assert point["values"] == pytest.approx([field[index] for field in fields], abs=1e-4)
        (cell,) = point["grid_points"]
        assert (cell["latitude_deg"], cell["longitude_deg"]) == pytest.approx((lat, lon), abs=1e-5)
        assert cell["distance_km"] == pytest.approx(km, abs=0.01)
        assert (point["name"], cell["grid"], cell["runs"]) == (str(number), "icosahedral", ["2025040909"])
        assert point["requested"] == {"latitude_deg": place[0], "longitude_deg": place[1]}
    # Each file was decoded once for all points.
    assert sorted(decoder.decoded) == sorted(archive_path(key) for key in [*keys, icon("clat"), icon("clon")])


def test_on_the_regular_grid_stations_have_the_values_that_eccodes_finds_nearest(client, world, tmp_path):
    keys = [icon(step=step, grid="regular") for step in (0, 60)]
    world.keep_fields(*keys)
    world.keep_stations()
    told = client.get(f"{SERIES}&stations=10637,10315&run=2025040909").json()
    assert [(point["name"], point["station_name"]) for point in told["points"]] == [
        ("10637", "FRANKFURT/MAIN"),
        ("10315", "MUENSTER/OSNABR."),
    ]
    for place, point in zip([(50.05, 8.6), (52.13, 7.7)], told["points"], strict=True):
        expected = [ask(world.grib(key), tmp_path, place)[0] for key in keys]
        assert point["values"] == pytest.approx([each["value"] for each in expected], abs=1e-4)
        assert point["grid_points"][0]["distance_km"] == pytest.approx(expected[0]["km"], rel=1e-3, abs=0.01)
        assert (point["requested"]["latitude_deg"], point["requested"]["longitude_deg"]) == place


def keep_runs(world):
    """Three runs of steps up to four hours; the newest does not have its step of two hours."""
    runs = {RUN - timedelta(hours=3 * back): (0, 60, 120, 180, 240) for back in range(3)}
    runs[RUN] = (0, 60, 180, 240)
    for run, steps in runs.items():
        world.keep_fields(*(icon(step=step, run=run, grid="regular") for step in steps))
    return runs


def newest_of(runs, first, last):
    """For each hour of a range the newest run that has it, and the step."""
    hours = (last - first) // timedelta(hours=1)
    for moment in (first + timedelta(hours=n) for n in range(hours + 1)):
        having = [run for run, steps in runs.items() if (moment - run) / timedelta(minutes=1) in steps]
        if having:
            yield moment, max(having), int((moment - max(having)) / timedelta(minutes=1))


def test_each_valid_time_has_the_value_of_the_newest_run_that_has_it(client, world, tmp_path):
    runs = keep_runs(world)
    first, last = RUN - timedelta(hours=5), RUN + timedelta(hours=4)
    told = client.get(f"{SERIES}&points={POINTS}&start={first:%Y-%m-%dT%H}&end={utc(last)}").json()
    expected = list(newest_of(runs, first, last))
    # No run has 11 UTC: it is the step that the newest lacks, and the run before ends at 10 UTC.
    assert len(expected) == 9
    assert [(each["valid_time"], each["run"], each["lead_minutes"]) for each in told["times"]] == [
        (utc(moment), period(run), lead) for moment, run, lead in expected
    ]
    for place, point in zip(PLACES, told["points"], strict=True):
        values = [
            ask(world.grib(icon(step=lead, run=run, grid="regular")), tmp_path, place)[0]["value"]
            for _, run, lead in expected
        ]
        assert point["values"] == pytest.approx(values, abs=1e-4)
    assert told["run"] is None


def test_without_run_start_and_end_the_series_begins_with_the_newest_run(client, world):
    keep_runs(world)
    told = client.get(f"{SERIES}&lat=51&lon=9").json()
    assert [(each["run"], each["lead_minutes"]) for each in told["times"]] == [
        ("2025040909", 0),
        ("2025040909", 60),
        ("2025040909", 180),
        ("2025040909", 240),
    ]


def test_start_and_end_limit_one_run_too(client, world):
    keep_runs(world)
    query = f"{SERIES}&lat=51&lon=9&run=2025040906"
    told = client.get(f"{query}&start=2025-04-09T07:00Z&end=2025-04-09T08:30Z").json()
    assert [(each["run"], each["lead_minutes"]) for each in told["times"]] == [
        ("2025040906", 60),
        ("2025040906", 120),
    ]
    told = client.get(f"{query}&step=180").json()
    assert [each["lead_minutes"] for each in told["times"]] == [180]


def test_ranges_without_a_value_are_404_that_say_what_there_is(client, world):
    keep_runs(world)
    for query, detail in [
        ("start=2026-01-01", "run 2025040909 has valid times from 2025-04-09T09:00Z to 2025-04-09T13:00Z"),
        ("end=2024-01-01", "its oldest: 2025040903"),
        ("run=2025040909&start=2025-04-10", "2025-04-09T13:00Z"),
        (
            "run=2025040909&step=120",
            "no step 120 (minutes) in run 2025040909; steps of its files: 0, 60, 180, 240",
        ),
    ]:
        answer = client.get(f"{SERIES}&lat=51&lon=9&{query}")
        assert (answer.status_code, detail in answer.json()["detail"]) == (404, True), answer.text


def test_steps_that_are_missing_or_unreadable_are_named_and_empty_in_the_table(client, world):
    keys = [icon(step=step, grid="regular") for step in (0, 60, 120)]
    world.keep_fields(*keys[:2])
    lost, damaged = archive_path(keys[2]), archive_path(keys[1])
    world.change("icon-d2", "2025040909", missing=(lost, archive_path(icon("vmax_10m", 60, grid="regular"))))
    world.store.put(damaged, b"no frame")
    told = client.get(f"{SERIES}&points={POINTS}").json()
    assert [each["lead_minutes"] for each in told["times"]] == [0]
    assert [(each["path"], each["lead_minutes"]) for each in told["missing"]] == [(damaged, 60), (lost, 120)]
    assert told["missing"][1]["reason"] == "not kept"
    assert damaged in told["missing"][0]["reason"]
    table = rows_of(client.get(f"{SERIES}&points={POINTS}&format=csv"))
    assert [(row["lead_minutes"], row["point"], row["value"] == "") for row in table] == [
        (lead, point, lead != "0") for lead in ("0", "60", "120") for point in ("1", "2", "3")
    ]


def test_the_table_has_the_values_of_the_document(client, world):
    keep_runs(world)
    world.keep_stations()
    query = f"{SERIES}&stations=10315,K611&start=2025-04-09T05&end=2025-04-09T11"
    told, answer = client.get(query).json(), client.get(f"{query}&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert 'rel="license"' in answer.headers["link"]
    assert "Accept" in answer.headers["vary"].split(", ")
    assert answer.text.startswith("valid_time,run,lead_minutes,point,latitude,longitude,value,unit\r\n")
    assert answer.text.count("\r\n") == answer.text.count("\n") == 1 + 2 * len(told["times"])
    expected = [
        {
            "valid_time": each["valid_time"],
            "run": utc(datetime.strptime(each["run"], "%Y%m%d%H")),
            "lead_minutes": str(each["lead_minutes"]),
            "point": point["name"],
            "latitude": str(point["requested"]["latitude_deg"]),
            "longitude": str(point["requested"]["longitude_deg"]),
            "value": str(point["values"][index]),
            "unit": "K",
        }
        for index, each in enumerate(told["times"])
        for point in told["points"]
    ]
    assert rows_of(answer) == expected
    again = client.get(f"{query}&format=csv", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_client_that_prefers_csv_gets_it_unless_it_asks_for_a_format(client, world):
    world.keep_fields(icon(grid="regular"))
    query = f"{SERIES}&lat=51&lon=9"
    as_csv = {"accept": "text/csv"}
    assert client.get(query, headers=as_csv).headers["content-type"].startswith("text/csv")
    assert client.get(query).headers["content-type"] == "application/json"
    asked = client.get(f"{query}&format=json", headers=as_csv)
    assert asked.headers["content-type"] == "application/json"
    tags = {client.get(f"{query}&format={form}").headers["etag"] for form in ("json", "csv")}
    assert len(tags) == 2


@pytest.mark.parametrize(
    ("accept", "csv_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/csv", True),
        ("text/csv, */*", False),
        ("text/csv, */*;q=0.1", True),
        ("text/*", True),
        ("application/json, text/csv;q=0.9", False),
        ("application/json;q=0.5, text/csv;q=0.9", True),
        ("TEXT/CSV;header=present", True),
        ("text/csv;q=nonsense", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (";,;q=,", False),
    ],
)
def test_the_field_accept_is_weighed(accept, csv_wanted):
    assert prefers_csv(accept) is csv_wanted


def test_values_without_a_number_are_null_and_empty(client, world):
    world.keep_fields(icon(grid="regular"))
    query = f"{SERIES}&lat=43.2&lon=-3.9"
    assert client.get(query).json()["points"][0]["values"] == [None]
    (row,) = rows_of(client.get(f"{query}&format=csv"))
    assert (row["value"], row["unit"]) == ("", "K")


def test_positions_of_another_grid_are_never_used(client, world, tmp_path):
    """A new grid with as many cells and another UUID, whose positions only an earlier run has, north to south."""
    key = icon(step=60)
    keep(world, key, world.grib(key).replace(UUID, OTHER_UUID))
    world.keep_fields(icon("clat"), icon("clon"))
    address = f"{SERIES}&lat={PLACES[0][0]}&lon={PLACES[0][1]}&run=2025040909"
    for path in (address, address.replace("/series?", "/point?")):
        refused = client.get(path)
        assert refused.status_code == 404
        needed, _, there = refused.json()["detail"].partition("; it has those of ")
        assert (OTHER_UUID.hex() in needed, UUID.hex() in there) == (True, True)
    # The same places in another order of cells: what was the first cell is the last one there.
    positions = {}
    for name in ("clat", "clon"):
        here = icon(name, run=EARLIER)
        positions[name] = turned(world.grib(here)).replace(UUID, OTHER_UUID)
        keep(world, here, positions[name])
    index, (lat, _), _ = nearest_cell(positions["clat"], positions["clon"], tmp_path, PLACES[0])
    usual, _, _ = nearest_cell(world.grib(icon("clat")), world.grib(icon("clon")), tmp_path, PLACES[0])
    assert index != usual
    eventually(lambda: client.get(address).status_code == 200)
    (expected,) = ask(world.grib(key), tmp_path)
    told = client.get(address).json()["points"][0]
    assert told["values"] == pytest.approx([expected["values"][index]], abs=1e-4)
    assert told["grid_points"][0]["latitude_deg"] == pytest.approx(lat, abs=1e-5)
    point = client.get(address.replace("/series?", "/point?")).json()
    assert point["steps"][0]["value"] == told["values"][0]


def turned(grib):
    """A field of simple or uncompressed packing whose cells are in the opposite order."""
    from dwd_assets.formats.grib.sections import framed, split
    from dwd_assets.formats.grib.simple import Scale, numbers, packed_sections

    ((message, sections),) = split(grib, "x")
    with GribWorker() as worker:
        values = worker.values(grib, "x")[0].values[::-1]
    assert message.grid_points == values.size
    lowest = float(values.min())
    scale = Scale(lowest, -11, 0)
    representation, packed = packed_sections(numbers(values, scale), scale)
    parts = (
        sections.identification,
        sections.grid,
        sections.product,
        representation,
        sections.bitmap,
        packed,
    )
    return framed(sections.discipline, parts)


def test_the_level_of_the_newest_run_is_that_of_all(serve, posix, decoder):
    catalogue = Catalogue(parameters=(Parameter("u", "pressure", 850), constant("clat"), constant("clon")))
    world = World(posix, catalogue)
    client = serve(rate_per_minute=0)
    for run, level in ((RUN, 850), (EARLIER, 500)):
        world.keep_fields(icon("u", 0, run=run, level_type="pressure", level=level))
        world.keep_fields(icon("clat", run=run), icon("clon", run=run))
    told = client.get("/v1/dwd/series?lat=51&lon=9&parameter=u&start=2025-04-09").json()
    assert (told["level"], [each["run"] for each in told["times"]]) == (850, ["2025040909"])


def test_quarters_of_an_hour_in_one_file_are_steps_of_their_own(client, world, tmp_path):
    keys = [icon("tot_prec", step, grid="regular") for step in (60, 75, 90, 105)]
    keep(world, keys[0], b"".join(map(world.grib, keys)))
    query = "/v1/dwd/series?lat=51.034&lon=9.366&parameter=tot_prec"
    told = client.get(f"{query}&run=2025040909").json()
    assert [each["lead_minutes"] for each in told["times"]] == [60, 75, 90, 105]
    told = client.get(f"{query}&start=2025-04-09T10:15Z&end=2025-04-09T10:30Z").json()
    assert [each["lead_minutes"] for each in told["times"]] == [75, 90]
    told = client.get(f"{query}&run=2025040909&step=90").json()
    (expected,) = ask(world.grib(keys[2]), tmp_path, PLACES[0])
    assert told["points"][0]["values"] == pytest.approx([expected["value"]], abs=1e-4)
    point = client.get("/v1/dwd/point?lat=51.034&lon=9.366&parameter=tot_prec&step=90").json()
    assert [(step["lead_minutes"], step["value"]) for step in point["steps"]] == [
        (90, told["points"][0]["values"][0])
    ]
    refused = client.get("/v1/dwd/point?lat=51.034&lon=9.366&parameter=tot_prec&step=80")
    assert (refused.status_code, "no step 80" in refused.json()["detail"]) == (404, True)


def test_bounds_are_refused_with_what_is_allowed(client, world, monkeypatch):
    keep_runs(world)
    many = ";".join(["51,9"] * 26)
    monkeypatch.setattr(series, "MOST_STEPS", 3)
    for query, name, allowed in [
        (f"points={many}", "points", "26 are asked for, at most 25"),
        ("stations=" + ",".join(f"{number:05}" for number in range(26)), "stations", "at most 25"),
        ("lat=51&lon=9", "start", "4 steps are asked for, at most 3"),
        ("lat=51&lon=9&run=2025040906", "start", "5 steps are asked for, at most 3"),
        ("lat=51", "lon", "together"),
        ("points=51", "points", "2 numbers"),
        ("points=51,9;91,9", "points", "latitude -90 to 90"),
        ("points=51,9;", "points", "2 numbers"),
        ("", "points", "exactly one of"),
        ("lat=51&lon=9&points=51,9", "points", "exactly one of"),
        ("lat=51&lon=9&step=60", "step", "needs run"),
        ("lat=51&lon=9&start=2025-04-10&end=2025-04-09", "start", "later than end"),
    ]:
        answer = client.get(f"{SERIES}&{query}")
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["name"]) == (400, name), query
        assert allowed in fault["message"]
    monkeypatch.setattr(series, "MOST_RUNS", 1)
    answer = client.get(f"{SERIES}&lat=51&lon=9&start=2025-04-09T02&end=2025-04-09T09")
    assert (answer.status_code, "at most 1" in answer.json()["detail"]) == (400, True)


def test_places_that_cannot_be_placed_are_404_by_their_names(client, world):
    world.keep_fields(icon(grid="regular"))
    world.keep_stations()
    merge(world.store, [Station("99999", "REPORTS ALONE")])
    for query, detail in [
        ("stations=10315,99999", "station '99999' has no position"),
        ("points=51,9;0,0", "0.0, 0.0 is outside of what icon-d2 covers"),
        ("stations=01001", "70.94, -8.67 is outside of what icon-d2 covers"),
    ]:
        answer = client.get(f"{SERIES}&{query}")
        assert (answer.status_code, detail in answer.json()["detail"]) == (404, True), answer.text


def test_a_request_that_runs_out_of_time_leaves_what_it_decoded_to_the_next(
    client, world, decoder, monkeypatch
):
    steps = [60 * hour for hour in range(12)]
    world.keep_fields(*(icon(step=step, grid="regular") for step in steps))
    monkeypatch.setattr(values, "DEADLINE_S", 0.4)
    monkeypatch.setattr(decoder, "_seconds", 0.1)
    first = client.get(f"{SERIES}&points={POINTS}")
    assert (first.status_code, first.headers["content-type"]) == (503, "application/problem+json")
    assert int(first.headers["retry-after"]) > 0
    assert "of 12 files were read within 0.4 s; ask again" in first.json()["detail"]
    eventually(lambda: client.get(f"{SERIES}&points={POINTS}").status_code == 200, 60)
    told = client.get(f"{SERIES}&points={POINTS}").json()
    assert [each["lead_minutes"] for each in told["times"]] == steps
    # What was being decoded when time ran out was decoded to its end, and not once more.
    assert len(decoder.decoded) == len(set(decoder.decoded)) == len(steps)
    decoder.decoded.clear()
    assert client.get(f"{SERIES}&points={POINTS}").json() == told
    assert decoder.decoded == []


def test_what_a_point_was_asked_for_before_serves_a_series(client, world, decoder):
    world.keep_fields(*(icon(step=step, grid="regular") for step in (0, 60)))
    client.get("/v1/dwd/point?lat=51&lon=9&parameter=t_2m")
    decoder.decoded.clear()
    told = client.get(f"{SERIES}&lat=51&lon=9").json()
    assert (len(told["times"]), decoder.decoded) == (2, [])
    client.get(f"{SERIES}&points=51,9;52,9")
    assert len(decoder.decoded) == 2


def test_constants_are_valid_at_the_run_that_has_them(client, world, tmp_path):
    key = icon("hsurf", grid="regular")
    world.keep_fields(replace(key, level_type="time-invariant"))
    told = client.get("/v1/dwd/series?lat=51&lon=9&parameter=hsurf").json()
    (expected,) = ask(world.grib(replace(key, level_type="time-invariant")), tmp_path, (51.0, 9.0))
    assert told["times"] == [{"valid_time": utc(RUN), "run": "2025040909", "lead_minutes": 0}]
    assert told["points"][0]["values"] == pytest.approx([expected["value"]], abs=1e-2)


def test_fields_of_several_qualifiers_are_never_mixed(client, world, tmp_path):
    """Aerosols of ICON-ART are at several wavelengths, which level type and level cannot tell apart."""
    values = {}
    for number, wavelength in enumerate(("wvl1/550", "wvl1/1064")):
        key = replace(icon("t_2m", 60), level_type="wavelength", qualifiers=wavelength)
        data = world.grib(icon("t_2m", 60), number)
        keep(world, key, data)
        values[wavelength] = ask(data, tmp_path)[0]["values"]
    world.keep_fields(icon("clat"), icon("clon"))
    query = f"{SERIES}&lat={PLACES[0][0]}&lon={PLACES[0][1]}"
    index, _, _ = nearest_cell(world.grib(icon("clat")), world.grib(icon("clon")), tmp_path, PLACES[0])
    refused = client.get(query)
    assert refused.status_code == 404
    assert (
        "choose level_type and level (or qualifiers) from: wavelength wvl1/1064, wavelength wvl1/550"
        in (refused.json()["detail"])
    )
    for wavelength, expected in values.items():
        for address in (query, query.replace("/series?", "/point?")):
            told = client.get(f"{address}&qualifiers={wavelength}").json()
            assert (told["level_type"], told["qualifiers"]) == ("wavelength", wavelength)
        (value,) = client.get(f"{query}&qualifiers={wavelength}").json()["points"][0]["values"]
        assert value == pytest.approx(expected[index], abs=1e-4)


@needs_samples
def test_a_real_field_of_a_grid_without_positions_is_refused_by_number_and_uuid(client, world):
    data = (SAMPLES / "dwd" / "icon-d2" / "icon-d2_icosahedral_2t_2020072800_000.grib2").read_bytes()
    keep(world, icon(), data)
    world.keep_fields(icon("clat"), icon("clon"))
    for route in ("point", "series"):
        answer = client.get(f"/v1/dwd/{route}?parameter=t_2m&lat=51&lon=9")
        assert answer.status_code == 404
        assert "grid 47.1, UUID c6b12daa91ad64045b26c1b6452a2a20, 542040 cells" in answer.json()["detail"]
