"""`/v1/dwd/point`: the values that eccodes finds in the same files, over all steps of a run."""

from dataclasses import replace
from datetime import timedelta

import pytest

from api.v1.dwd.fields.decoder import Decoder
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.paths import archive_path
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from store.dwd.ledger import Kept
from tests.api.conftest import eventually
from tests.api.v1.dwd.dwd_world import NOON, RUN, World, icon
from tests.api.v1.dwd.grib_oracle import ask, nearest_cell
from tests.api.world import Switched

PLACE = (51.034, 9.366)
POINT = f"/v1/dwd/point?lat={PLACE[0]}&lon={PLACE[1]}&parameter="
STEPS = (0, 60, 120)


@pytest.fixture
def world(posix):
    return World(posix)


@pytest.fixture(scope="module")
def decoder():
    with GribWorker() as worker:
        yield worker


@pytest.fixture
def client(serve, world, decoder, monkeypatch):
    """A server whose decoder is that of all tests here: its start takes longer than all that is asked of it."""
    monkeypatch.setattr(Decoder, "worker", decoder)
    return serve(rate_per_minute=0)


def keep_run(world, run=RUN, steps=STEPS, **changes):
    """A run of a field on the triangles, with where these are."""
    keys = [icon(step=step, run=run, **changes) for step in steps]
    world.keep_fields(*keys, icon("clat", run=run), icon("clon", run=run))
    return keys


def positions(world):
    """CLAT and CLON of the simulated cells."""
    return world.grib(icon("clat")), world.grib(icon("clon"))


def test_on_triangles_the_series_is_that_of_the_nearest_cell(client, world, tmp_path):
    keys = keep_run(world)
    index, (lat, lon), km = nearest_cell(*positions(world), tmp_path, PLACE)
    told = client.get(f"{POINT}t_2m").json()
    assert told["position"] == {
        "latitude_deg": pytest.approx(lat, abs=1e-5),
        "longitude_deg": pytest.approx(lon, abs=1e-5),
    }
    assert told["distance_km"] == pytest.approx(km, abs=0.01)
    assert (told["grid"], told["run"], told["unit"]) == ("icosahedral", "2025040909", "K")
    for key, step in zip(keys, told["steps"], strict=True):
        (message,) = ask(world.grib(key), tmp_path)
        assert step["value"] == pytest.approx(message["values"][index], abs=1e-4)
        assert message["units"] == told["unit"]
        assert step["lead_minutes"] == key.step_minutes
        valid = RUN + timedelta(minutes=key.step_minutes)
        assert step["valid_time"] == f"{valid:%Y-%m-%dT%H:%M:%SZ}"


def test_on_the_regular_grid_the_series_is_what_eccodes_finds_nearest(client, world, tmp_path):
    key = icon(step=60, grid="regular")
    world.keep_fields(key)
    for place in [PLACE, (47.5, 2.0), (56.9, -1.0), (43.2, -3.9)]:
        (expected,) = ask(world.grib(key), tmp_path, place)
        told = client.get(f"/v1/dwd/point?lat={place[0]}&lon={place[1]}&parameter=t_2m").json()
        (step,) = told["steps"]
        position = told["position"]
        assert told["grid"] == "regular"
        assert position["latitude_deg"] == pytest.approx(expected["lat"], abs=1e-5)
        assert position["longitude_deg"] % 360 == pytest.approx(expected["lon"] % 360, abs=1e-5)
        assert told["distance_km"] == pytest.approx(expected["km"], rel=1e-3, abs=0.01)
        if expected["value"] is None:
            assert step["value"] is None
        else:
            assert step["value"] == pytest.approx(expected["value"], abs=1e-4)


def test_a_point_that_has_no_value_is_null_and_not_a_number(client, world):
    world.keep_fields(icon(grid="regular"))
    (step,) = client.get("/v1/dwd/point?lat=43.2&lon=-3.9&parameter=t_2m").json()["steps"]
    assert step["value"] is None


def test_the_regular_grid_goes_first_where_it_has_as_many_steps(client, world):
    keep_run(world)
    world.keep_fields(icon(grid="regular"))
    assert client.get(f"{POINT}t_2m").json()["grid"] == "icosahedral"
    run = RUN + timedelta(hours=3)
    keep_run(world, run)
    world.keep_fields(*(icon(step=step, run=run, grid="regular") for step in STEPS))
    assert client.get(f"{POINT}t_2m&run=2025040912").json()["grid"] == "regular"


@pytest.mark.usefixtures("looks_again_soon")
def test_cells_are_placed_by_another_run_where_this_one_has_no_positions(client, world):
    world.keep_fields(icon())
    assert client.get(f"{POINT}t_2m").status_code == 404
    keep_run(world, RUN - timedelta(hours=6))
    # What the newest runs were a moment ago is not looked at again.
    eventually(lambda: client.get(f"{POINT}t_2m&run=2025040909").status_code == 200)
    told = client.get(f"{POINT}t_2m&run=2025040909")
    assert [step["lead_minutes"] for step in told.json()["steps"]] == [0]


def test_without_a_run_it_is_the_newest_that_lacks_no_step_of_the_field(client, world):
    for index in range(3):
        keep_run(world, RUN - timedelta(hours=3 * index))
    late = archive_path(icon(step=180))
    world.change("icon-d2", "2025040909", missing=(late, archive_path(icon("vmax_10m", 60))))
    world.change("icon-d2", "2025040906", missing=(archive_path(icon("vmax_10m", 60, run=RUN)),))
    told = client.get(f"{POINT}t_2m").json()
    assert (told["run"], told["missing_steps"], told["run_state"]) == ("2025040906", 0, "partial")
    asked = client.get(f"{POINT}t_2m&run=2025040909").json()
    assert (asked["run"], asked["missing_steps"]) == ("2025040909", 1)


def test_where_every_run_lacks_something_it_is_the_one_that_has_most(client, world):
    keep_run(world, RUN, steps=(0,))
    world.change("icon-d2", "2025040909", expects_more=True, deadline=NOON + timedelta(hours=9))
    keep_run(world, RUN - timedelta(hours=3))
    world.change("icon-d2", "2025040906", expects_more=True, deadline=NOON + timedelta(hours=9))
    assert client.get(f"{POINT}t_2m").json()["run"] == "2025040906"


def test_a_level_has_to_be_named_where_there_are_several(serve, posix):
    catalogue = Catalogue(parameters=(Parameter("u", "pressure", 850), constant("clat"), constant("clon")))
    world = World(posix, catalogue)
    for level in (850, 500):
        keep_run(world, steps=(0,), parameter="u", level_type="pressure", level=level)
    client = serve(rate_per_minute=0)
    unsaid = client.get(f"{POINT}u")
    assert (unsaid.status_code, "pressure 500, pressure 850" in unsaid.json()["detail"]) == (404, True)
    told = client.get(f"{POINT}u&level=850&level_type=pressure").json()
    assert (told["level"], told["level_type"], told["unit"]) == (850, "pressure", "m s**-1")


def test_steps_of_fifteen_minutes_are_told_in_minutes(client, world):
    keep_run(world, steps=(0, 15, 30, 45, 60), parameter="tot_prec")
    told = client.get(f"{POINT}tot_prec").json()
    assert [step["lead_minutes"] for step in told["steps"]] == [0, 15, 30, 45, 60]
    assert told["unit"] == "kg m**-2"


def test_a_file_of_several_messages_gives_a_step_for_each(client, world):
    from dwd_assets.archive.storing import Content

    keys = [icon("tot_prec", step, grid="regular") for step in (0, 15, 30, 45)]
    path = archive_path(keys[0])
    content = Content.packed(b"".join(map(world.grib, keys)))
    kept = world.archive.keep(path, content, None, None, NOON)
    world.tell("icon-d2", "2025040909", {path: kept})
    told = client.get(f"{POINT}tot_prec").json()
    assert [step["lead_minutes"] for step in told["steps"]] == [0, 15, 30, 45]


def test_one_damaged_file_costs_one_step_and_is_named(client, world):
    keys = keep_run(world)
    path = archive_path(keys[1])
    world.store.put(path, b"no frame")
    told = client.get(f"{POINT}t_2m").json()
    assert [step["lead_minutes"] for step in told["steps"]] == [0, 120]
    assert [each["path"] for each in told["unreadable"]] == [path]


@pytest.mark.usefixtures("looks_again_soon")
def test_a_content_that_changes_changes_the_series(client, world, tmp_path):
    key = icon(grid="regular")
    world.keep_fields(key)
    first = client.get(f"{POINT}t_2m").json()["steps"]
    world.keep_fields(key, revision=1)
    (expected,) = ask(world.grib(key, 1), tmp_path, PLACE)
    eventually(lambda: client.get(f"{POINT}t_2m").json()["steps"] != first)
    told = client.get(f"{POINT}t_2m").json()["steps"]
    assert told[0]["value"] == pytest.approx(expected["value"], abs=1e-4)


def test_what_is_asked_for_again_is_not_decoded_again(client, world, posix):
    keep_run(world)
    first = client.get(f"{POINT}t_2m")
    posix.reads.clear()
    again = client.get(f"{POINT}t_2m")
    assert again.json() == first.json()
    assert [key for key in posix.reads if key.startswith("weather/")] == []


def test_points_outside_and_fields_unknown_are_not_found(client, world):
    keep_run(world)
    world.keep_fields(icon(grid="regular", run=RUN - timedelta(hours=3)))
    for query in (
        "lat=0&lon=0&parameter=t_2m",
        "lat=0&lon=0&parameter=t_2m&run=2025040906",
        "lat=51&lon=9&parameter=nothing",
        "lat=51&lon=9&parameter=t_2m&model=icon-eu",
        "lat=51&lon=9&parameter=t_2m&run=1999010100",
        "lat=51&lon=9&parameter=t_2m&member=3",
    ):
        answer = client.get(f"/v1/dwd/point?{query}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), (
            query
        )


def test_what_is_no_point_is_refused_by_its_name(client):
    refused = [
        ("lon=9&parameter=t_2m", "lat"),
        ("lat=91&lon=9&parameter=t_2m", "lat"),
        ("lat=nan&lon=9&parameter=t_2m", "lat"),
        ("lat=51&lon=inf&parameter=t_2m", "lon"),
        ("lat=51&lon=9&parameter=../x", "parameter"),
        ("lat=51&lon=9&parameter=t_2m&run=20250409", "run"),
        ("lat=51&lon=9&parameter=t_2m&level_type=x", "level_type"),
        ("lat=51&lon=9&parameter=t_2m&model=..", "model"),
        ("lat=51&lon=9&parameter=t_2m&levle=3", "levle"),
        ("lat=51&lat=52&lon=9&parameter=t_2m", "lat"),
    ]
    for query, name in refused:
        answer = client.get(f"/v1/dwd/point?{query}")
        assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, name), query


def test_what_was_made_here_says_so(client, world):
    key = icon(grid="regular")
    (path,) = world.keep_fields(key)
    kept = world.ledger("icon-d2", "2025040909").kept[path]
    made = Kept(kept.sha256, kept.size, kept.stored_bytes, kept.kept_at, made_from=("weather/other",))
    world.tell("icon-d2", "2025040909", {path: made})
    assert "regular grid" in client.get(f"{POINT}t_2m").json()["attribution"]["changes"]


def test_points_are_served_from_every_backend(store, serve, tmp_path):
    world = World(Switched(store))
    keep_run(world)
    index, _, _ = nearest_cell(*positions(world), tmp_path, PLACE)
    told = serve(world.store).get(f"{POINT}t_2m").json()
    (message,) = ask(world.grib(icon(step=60)), tmp_path)
    assert told["steps"][1]["value"] == pytest.approx(message["values"][index], abs=1e-4)


def test_a_whole_run_at_full_size_is_told(serve, posix, tmp_path):
    catalogue = Catalogue(
        parameters=(Parameter("t_2m", steps=every(60, 48)), constant("clat"), constant("clon")),
        columns=1215,
        rows=746,
    )
    world = World(posix, catalogue)
    keys = [replace(icon(grid="regular"), step_minutes=60 * hour) for hour in (0, 24, 48)]
    world.keep_fields(*keys)
    (expected,) = ask(world.grib(keys[1]), tmp_path, PLACE)
    told = serve().get(f"{POINT}t_2m").json()
    assert told["steps"][1]["value"] == pytest.approx(expected["value"], abs=1e-4)
    assert told["distance_km"] < 1.6
