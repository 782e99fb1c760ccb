"""What the real frontend cannot bear, case by case."""

import re
from datetime import timedelta

import pytest

from tests.api.conftest import eventually
from tests.api.world import NOON, made
from tests.nexrad_assets.pipeline.pipeline_world import local
from tests.nexrad_assets.radar.level3.product_files import NULL_DAA
from tests.samples import needs_samples

__all__ = ["local"]

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


@pytest.fixture
def three_groups(publisher):
    """A site of both levels, as the pipeline publishes them."""
    publisher.publish(
        made("KPDT", NOON - timedelta(minutes=5)),
        made("KPDT", NOON - timedelta(minutes=5), product="hydrometeor", suffix="HHC", tilts=1),
        made("KPDT", NOON - timedelta(minutes=4), product="hydrometeor", suffix="N0H", tilts=1),
        made("KPDT", NOON - timedelta(minutes=9), product="hydrometeor", suffix="N0H", tilts=1),
        made("KPDT", NOON - timedelta(minutes=6), product="precipitation", suffix="DAA", tilts=1),
        made("KPDT", NOON - timedelta(minutes=6), product="precipitation", suffix="N1P", tilts=1),
        made("KPDT", NOON - timedelta(minutes=6), product="reflectivity", suffix="N0B", tilts=1),
        made("KPDT", NOON - timedelta(minutes=6), product="velocity", suffix="N0G", tilts=1),
    )


def test_each_group_has_its_own_scans_and_nothing_else(serve, three_groups):
    assert serve().get("/list-all/").json() == {
        "hydrometeor": {
            "KPDT20250409_115100_N0H": {"sweeps": 1},
            "KPDT20250409_115500_HHC": {"sweeps": 1},
            "KPDT20250409_115600_N0H": {"sweeps": 1},
        },
        "precipitation": {
            "KPDT20250409_115400_DAA": {"sweeps": 1},
            "KPDT20250409_115400_N1P": {"sweeps": 1},
        },
        "reflectivity": {"KPDT20250409_115500_V06": {"sweeps": 3}},
    }


def test_the_menus_have_the_order_and_labels_of_the_contract(serve, three_groups):
    options = serve().get("/code/").json()
    assert [one["value"] for one in options["hydrometeor"]] == [
        *("N0H", "N1H", "NAH", "NBH", "N2H", "N3H", "NXH", "NYH", "NZH", "HHC")
    ]
    assert [one["value"] for one in options["precipitation"]] == [
        *("N1P", "OHA", "DAA", "DOD", "DPR", "PTA", "DTA", "DSD", "DU3", "DU6")
    ]
    for group in ("hydrometeor", "precipitation"):
        assert all(set(one) == {"value", "label", "count"} for one in options[group])
        assert all(isinstance(one["label"], str) and one["label"] for one in options[group])


def test_a_dead_code_is_no_choice_unless_it_has_scans(serve, publisher):
    publisher.publish(made("KPDT", NOON, product="precipitation", suffix="DAA", tilts=1))
    codes = {one["value"] for one in serve().get("/code/").json()["precipitation"]}
    assert "DAA" in codes
    assert not codes & {"N1P", "N3P", "NTP", "DSP"}


def test_a_volume_of_the_same_second_does_not_answer_for_a_product(serve, three_groups):
    client = serve()
    key = "KPDT20250409_115500"
    assert client.get(f"/data/3/{key}_HHC_hydrometeor_idx0/png").is_success
    assert client.get(f"/data/2/{key}_V06_reflectivity_idx0/png").is_success
    for wrong in (
        f"/data/2/{key}_HHC_hydrometeor_idx0/png",
        f"/data/3/{key}_V06_reflectivity_idx0/png",
        f"/data/3/{key}_HHC_hydrometeor_idx1/png",
        f"/data/3/{key}_HHC_precipitation_idx0/png",
    ):
        assert client.get(wrong).status_code == 404


@needs_samples
def test_what_the_pipeline_makes_of_real_products_is_listed_counted_and_shown(serve, local):
    local.now = NOON
    for code in ("HHC", "N0H", "DTA", "NST", "NVW", "EET"):
        local.product_arrives("2025-04-09T11:50:00", code)
    local.product_arrives("2025-04-09T11:55:00", "DAA", sample=NULL_DAA)
    local.product_arrives("2025-04-09T11:55:00", "N1H", data=b"garbage")
    local.run(level=3)
    client = serve(local.workshop.store, primary_site="KTLX")
    listed, options = client.get("/list-all/").json(), client.get("/code/").json()
    assert {group: list(scans) for group, scans in listed.items()} == {
        "hydrometeor": ["KTLX20250409_115000_HHC", "KTLX20250409_115000_N0H"],
        "precipitation": ["KTLX20250409_115000_DTA", "KTLX20250409_115500_DAA"],
        "reflectivity": [],
    }
    counts = {one["value"]: one["count"] for menu in options.values() for one in menu if one["count"]}
    assert counts == {"HHC": 1, "N0H": 1, "DTA": 1, "DAA": 1}
    for group, scans in listed.items():
        for key in scans:
            address = f"/data/3/{key}_{group}_idx0"
            assert client.get(f"{address}/png").content.startswith(b"\x89PNG")
            metadata = client.get(f"{address}/json").json()
            assert (metadata["site"], metadata["code"]) == ("KTLX", key[-3:])
            assert {"elevation_angle_degrees", "azimuth_angle_degrees"} < metadata.keys()
            west_north, east_south = (metadata["bounding_box_lon_lat"][corner] for corner in ("nw", "se"))
            assert west_north[0] < east_south[0]
            assert west_north[1] > east_south[1]
    assert client.get("/flag/").json() == {
        "updates": {"reflectivity": 0, "hydrometeor": 1, "precipitation": 1}
    }
