"""Lists and options: the window, days, sites, and what is refused."""

import time
from datetime import UTC, datetime, timedelta

import msgspec

from store import keys
from tests.api.conftest import eventually
from tests.api.world import NOON, made

EMPTY_LISTS = {"hydrometeor": {}, "precipitation": {}, "reflectivity": {}}


def reflectivity(client, query: str = "") -> list[str]:
    return list(client.get(f"/list-all/{query}").json()["reflectivity"])


def test_a_store_without_scans_gives_empty_lists(serve):
    client = serve()
    assert client.get("/list-all/").json() == EMPTY_LISTS
    assert client.get("/list/2/reflectivity/").json() == {}
    assert client.get("/list-all/").headers["x-data-stale"] == "false"
    assert "x-data-age" not in client.get("/list-all/").headers


def test_a_new_scan_is_listed_without_a_restart(serve, publisher):
    client = serve()
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: reflectivity(client) == ["KPDT20250409_120000_V06"])


def test_the_window_ends_at_the_newest_live_scan(serve, publisher):
    publisher.publish(*(made("KPDT", NOON - timedelta(minutes=m)) for m in (181, 180, 1, 0)))
    assert reflectivity(serve()) == [
        "KPDT20250409_090000_V06",
        "KPDT20250409_115900_V06",
        "KPDT20250409_120000_V06",
    ]


def test_the_window_reaches_into_the_day_before(serve, publisher, clock):
    clock.now = datetime(2025, 4, 10, 0, 30, tzinfo=UTC)
    publisher.publish(*(made("KPDT", clock.now - timedelta(minutes=m)) for m in (0, 60, 170, 200)))
    assert reflectivity(serve()) == [
        "KPDT20250409_214000_V06",
        "KPDT20250409_233000_V06",
        "KPDT20250410_003000_V06",
    ]


def test_a_scan_stamped_ahead_moves_the_window_as_the_clock_reaches_it(serve, publisher, clock):
    publisher.publish(*(made("KPDT", NOON + timedelta(minutes=m)) for m in (-176, 5, 15)))
    client = serve()
    assert reflectivity(client) == ["KPDT20250409_090400_V06", "KPDT20250409_120500_V06"]
    clock.now = NOON + timedelta(minutes=5, seconds=1)
    eventually(lambda: reflectivity(client) == ["KPDT20250409_120500_V06", "KPDT20250409_121500_V06"])


def test_a_site_with_backfills_alone_shows_the_end_of_its_newest_day(serve, publisher):
    old = datetime(2013, 5, 20, 20, 0, tzinfo=UTC)
    publisher.publish(*(made("KTLX", old - timedelta(minutes=m), origin="backfill") for m in (0, 100, 300)))
    assert reflectivity(serve(), "?site=KTLX") == ["KTLX20130520_182000_V06", "KTLX20130520_200000_V06"]


def test_a_day_is_given_whole(serve, publisher):
    publisher.publish(*(made("KPDT", NOON - timedelta(hours=h)) for h in (0, 5, 11, 13)))
    assert reflectivity(serve(), "?day=2025-04-09") == [
        "KPDT20250409_010000_V06",
        "KPDT20250409_070000_V06",
        "KPDT20250409_120000_V06",
    ]


def test_options_and_single_lists_follow_day_and_site(serve, publisher):
    publisher.publish(
        made("KTLX", NOON - timedelta(hours=7), product="hydrometeor", suffix="HHC", tilts=1),
        made("KTLX", NOON, product="hydrometeor", suffix="N0H", tilts=1),
    )
    client = serve()

    def counted(address):
        menu = client.get(address).json()["hydrometeor"]
        return [(option["value"], option["count"]) for option in menu if option["count"]]

    assert counted("/code/?site=KTLX&day=2025-04-09") == [("N0H", 1), ("HHC", 1)]
    assert counted("/code/?site=KTLX") == [("N0H", 1)]
    listed = client.get("/list/3/hydrometeor/?site=KTLX&day=2025-04-09").json()
    assert list(listed) == ["KTLX20250409_050000_HHC", "KTLX20250409_120000_N0H"]


def test_failed_scans_are_in_no_list(serve, publisher):
    good, bad = made("KPDT", NOON), made("KPDT", NOON - timedelta(minutes=5))
    bad.scan = msgspec.structs.replace(bad.scan, layers={}, status="failed", reason="no end mark")
    publisher.publish(good, bad)
    client = serve()
    assert reflectivity(client) == reflectivity(client, "?day=2025-04-09") == [good.scan.key]
    assert client.get(f"/data/2/{bad.scan.key}_reflectivity_idx0/png").status_code == 404


def test_a_valid_site_or_day_without_data_is_empty(serve, publisher):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    for query in ("?site=KXXX", "?day=2001-01-01", "?site=KXXX&day=2001-01-01"):
        assert client.get(f"/list-all/{query}").json() == EMPTY_LISTS
        assert client.get(f"/list/2/reflectivity/{query}").json() == {}
        assert client.get(f"/code/{query}").status_code == 404


def test_unknown_products_are_empty_and_levels_are_checked(serve, publisher):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    assert list(client.get("/list/2/reflectivity/").json()) == ["KPDT20250409_120000_V06"]
    for path in ("/list/2/nonsense/", "/list/2/hydrometeor/", "/list/3/reflectivity/"):
        assert (client.get(path).status_code, client.get(path).json()) == (200, {})
    for path in ("/list/1/reflectivity/", "/list/two/reflectivity/", "/list/\u0662/reflectivity/"):
        assert client.get(path).status_code == 400


def test_a_product_of_both_levels_has_a_list_for_each(serve, publisher):
    publisher.publish(made("KPDT", NOON), made("KPDT", NOON, suffix="N0B", tilts=1))
    client = serve()
    assert list(client.get("/list/2/reflectivity/").json()) == ["KPDT20250409_120000_V06"]
    assert list(client.get("/list/3/reflectivity/").json()) == ["KPDT20250409_120000_N0B"]


BAD_QUERIES = [
    "site=kpdt",
    "site=KPD",
    "site=KPDTX",
    "site=",
    "site=K%00DT",
    "site=../x",
    "site=KPD%0A",
    "site=KTLX&site=KPDT",
    "site=KPD\u0662",
    "day=2025-4-9",
    "day=20250409",
    "day=2025-02-30",
    "day=",
    "day=0000-01-01",
    "day=\u0662\u0660\u0662\u0665-\u0660\u0664-\u0660\u0669",
    "day=2025-04-09T00:00",
    "day=2025-04-09&day=2025-04-09",
    "&".join(f"a{n}=1" for n in range(60)),
]


def test_bad_queries_are_refused_with_json(serve):
    client = serve()
    for query in BAD_QUERIES:
        answer = client.get(f"/list-all/?{query}")
        assert (answer.status_code, set(answer.json())) == (400, {"error"}), query


def test_parameters_of_others_are_ignored(serve, publisher):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    assert client.get("/list-all/?_=1712345678").content == client.get("/list-all/").content


def test_only_sites_and_days_that_are_asked_for_are_read(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON), made("KTLX", NOON), made("KPDT", NOON - timedelta(days=40)))
    posix.reads.clear()
    client = serve()
    client.get("/list-all/")
    assert {key for key in posix.reads if not key.startswith("heads/")} == {"snapshots/KPDT/20250409.json"}
    client.get("/list-all/?site=KTLX&day=2025-04-09")
    client.get("/list-all/?site=KTLX&day=2025-04-09")
    time.sleep(0.2)
    for key in ("snapshots/KTLX/20250409.json", keys.HEAD_INDEX, keys.head("KPDT")):
        assert posix.reads.count(key) == 1, key


def test_a_damaged_snapshot_leaves_the_last_good_lists(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    before = client.get("/list-all/")
    good = posix.get(keys.snapshot("KPDT", NOON.date())).data
    posix.put(keys.snapshot("KPDT", NOON.date()), good[:100])
    publisher.touch("KPDT", NOON.date())
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    assert client.get("/list-all/").content == before.content
    assert client.get("/readyz").status_code == 200, "the store answers"
    posix.put(keys.snapshot("KPDT", NOON.date()), good)
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "false")


def test_a_damaged_head_index_leaves_the_last_good_lists(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    before = client.get("/list-all/")
    posix.put(keys.HEAD_INDEX, b'{"sites": 7}')
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    assert client.get("/list-all/").content == before.content
