"""What the real frontend cannot bear, case by case."""

import re
from datetime import timedelta

import pytest

from tests.api.conftest import eventually
from tests.api.world import NOON, made

TIME = re.compile(r"^[A-Z]{4}\d{8}_\d{6}")


@pytest.fixture
def three_scans(publisher):
    publisher.publish(
        made("KPDT", NOON - timedelta(minutes=15)),
        made("KPDT", NOON - timedelta(minutes=5), tilts=2),
        made("KPDT", NOON - timedelta(minutes=10)),
        made("KTLX", NOON - timedelta(minutes=7)),
        made("KPDT", NOON - timedelta(minutes=8), product="hydrometeor", suffix="HHC", tilts=1),
    )


def test_list_all_has_every_product_even_where_there_is_none(serve, publisher):
    publisher.publish(made("KPDT", NOON))
    lists = serve().get("/list-all/").json()
    assert list(lists) == ["hydrometeor", "precipitation", "reflectivity"]
    assert lists["hydrometeor"] == {}
    assert lists["precipitation"] == {}
    assert lists["reflectivity"] == {"KPDT20250409_120000_V06": {"sweeps": 3}}


def test_scans_are_oldest_first(serve, three_scans):
    assert list(serve().get("/list-all/").json()["reflectivity"].items()) == [
        ("KPDT20250409_114500_V06", {"sweeps": 3}),
        ("KPDT20250409_115000_V06", {"sweeps": 3}),
        ("KPDT20250409_115500_V06", {"sweeps": 2}),
    ]


def test_one_list_speaks_of_one_site(serve, three_scans):
    client = serve()
    for query, site in (("", "KPDT"), ("?site=KTLX", "KTLX")):
        lists = client.get(f"/list-all/{query}").json()
        assert {key[:4] for scans in lists.values() for key in scans} == {site}
        assert all(TIME.match(key) for scans in lists.values() for key in scans)


def test_no_count_above_zero_whose_code_is_absent_from_the_list(serve, three_scans):
    client = serve()
    lists, options = client.get("/list-all/").json(), client.get("/code/").json()
    for product in ("hydrometeor", "precipitation"):
        codes = [key.rpartition("_")[2] for key in lists[product]]
        counted = {option["value"]: option["count"] for option in options[product] if option["count"]}
        assert counted == {code: codes.count(code) for code in codes}
    assert options["reflectivity"] == [{"value": None, "label": None, "count": 0}]


def test_the_poll_never_sees_an_error_body_once_there_was_data(serve, three_scans, posix):
    client = serve()
    before = client.get("/list-all/")
    posix.away = True
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    during = client.get("/list-all/")
    assert (during.status_code, during.content) == (200, before.content)
    assert during.headers["etag"] == before.headers["etag"]


def test_the_poll_never_sees_a_list_emptied_by_a_lost_index(serve, three_scans, posix, tmp_path):
    client = serve()
    before = client.get("/list-all/").content
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    assert client.get("/list-all/").content == before


def test_the_poll_never_sees_a_list_emptied_by_silence(serve, three_scans, clock):
    client = serve()
    before = client.get("/list-all/").content
    clock.now = NOON + timedelta(days=3)
    after = client.get("/list-all/")
    assert after.content == before
    assert int(after.headers["x-data-age"]) == 3 * 86_400 + 300


def test_without_any_state_the_answer_is_503_with_an_empty_object(serve, posix):
    posix.away = True
    client = serve()
    for path in ("/list-all/", "/list/2/reflectivity/", "/code/", "/flag/"):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (503, b"{}")
        assert int(answer.headers["retry-after"]) > 0


def test_code_is_json_whatever_happens(serve, publisher):
    client = serve()
    nothing = client.get("/code/")
    assert nothing.status_code == 404
    assert nothing.headers["content-type"] == "application/json"
    assert "error" in nothing.json()
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: client.get("/code/").status_code == 200)
    assert set(client.get("/code/").json()) == {"hydrometeor", "precipitation", "reflectivity"}


def test_a_body_does_not_change_while_the_data_do_not(serve, three_scans, clock):
    client = serve()
    paths = ("/list-all/", "/code/", "/list/2/reflectivity/", "/flag/")
    paths += ("/data/2/KPDT20250409_114500_V06_reflectivity_idx1/json",)
    before = {path: client.get(path) for path in paths}
    clock.now += timedelta(minutes=1)
    for path, answer in before.items():
        again = client.get(path)
        assert again.content == answer.content
        assert again.headers["etag"] == answer.headers["etag"]


def test_every_listed_image_is_there_with_its_metadata(serve, three_scans):
    client = serve()
    for product, level in (("reflectivity", 2), ("hydrometeor", 3)):
        for key, entry in client.get("/list-all/").json()[product].items():
            for index in range(entry["sweeps"]):
                address = f"/data/{level}/{key}_{product}_idx{index}"
                assert client.get(f"{address}/png").content.startswith(b"\x89PNG")
                assert client.get(f"{address}/json").json()["elevation_index"] == index + 1


def test_metadata_has_the_fields_that_the_frontend_reads(serve, three_scans):
    metadata = serve().get("/data/2/KPDT20250409_114500_V06_reflectivity_idx1/json").json()
    assert metadata["original_sweep_number"] == 2
    assert metadata["elevation_index"] == 2
    assert metadata["elevation_angle_degrees"] == 1.5
    assert metadata["azimuth_angle_degrees"] == 12.5
    assert metadata["bounding_box_lon_lat"] == {
        "nw": [-122.0, 47.0],
        "ne": [-116.0, 47.0],
        "se": [-116.0, 43.0],
        "sw": [-122.0, 43.0],
    }
