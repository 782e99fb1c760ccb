"""The store goes away and comes back."""

import time
from datetime import timedelta

import httpx
import pytest

from api.app import create_app
from store import keys
from store.posix import PosixStore
from tests.api.conftest import TOKEN, eventually, serving, settings
from tests.api.world import NOON, Publisher, made
from tests.loops import run as run_loop


def test_a_start_without_a_store_gets_its_data_when_it_appears(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON))
    posix.away = True
    client = serve()
    assert client.get("/list-all/").status_code == 503
    assert client.get("/livez").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"], ready.json()["store_answered_s"]) == (503, False, None)
    posix.away = False
    eventually(lambda: client.get("/list-all/").status_code == 200)
    assert client.get("/list-all/").headers["x-data-stale"] == "false"
    assert client.get("/readyz").status_code == 200


def test_after_an_outage_new_scans_appear(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON - timedelta(minutes=5)))
    client = serve()
    posix.away = True
    eventually(lambda: client.get("/readyz").status_code == 503)
    assert client.get("/readyz").json()["fault"]
    posix.away = False
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: len(client.get("/list-all/").json()["reflectivity"]) == 2)
    assert client.get("/list-all/").headers["x-data-stale"] == "false"


def test_days_that_were_read_outlive_the_store(serve, publisher, posix):
    publisher.publish(
        made("KPDT", NOON), made("KPDT", NOON - timedelta(days=9)), made("KPDT", NOON - timedelta(days=8))
    )
    client = serve()
    before = client.get("/list-all/?day=2025-03-31").content
    posix.away = True
    assert client.get("/list-all/?day=2025-03-31").content == before
    unread = client.get("/list-all/?day=2025-04-01")
    assert (unread.status_code, unread.content) == (503, b"{}")


def test_while_the_store_is_known_to_be_away_only_the_watcher_asks_it(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON), made("KTLX", NOON), made("KPDT", NOON - timedelta(days=9)))
    client = serve()
    posix.away = True
    eventually(lambda: client.get("/readyz").status_code == 503)
    posix.refused.clear()
    for path in (
        "/data/2/KPDT20250409_120000_V06_reflectivity_idx0/png",
        "/data/2/KPDT20250331_120000_V06_reflectivity_idx0/png",
        "/list-all/?site=KTLX",
        "/list-all/?day=2025-03-31",
        "/flag/",
    ):
        answer = client.get(path)
        assert answer.status_code == 503, path
        assert "retry-after" in answer.headers
    assert set(posix.refused) <= {keys.HEAD_INDEX}


def test_a_day_that_cannot_be_read_again_stays_as_it_was(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON), made("KPDT", NOON - timedelta(days=9)))
    client = serve()
    before = client.get("/list-all/?day=2025-03-31").content
    posix.put(keys.snapshot("KPDT", NOON.date() - timedelta(days=9)), b"damaged")
    publisher.touch("KPDT", NOON.date() - timedelta(days=9))
    client.post("/nudge/", headers={"authorization": f"Bearer {TOKEN}"})
    time.sleep(0.3)
    assert client.get("/list-all/?day=2025-03-31").content == before


def test_a_site_first_asked_for_during_an_outage_is_503(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON), made("KTLX", NOON))
    client = serve()
    posix.away = True
    answer = client.get("/list-all/?site=KTLX")
    assert (answer.status_code, answer.content) == (503, b"{}")
    assert client.get("/list-all/?site=KXXX").status_code == 200, "that it has no data is known"


def test_a_vanished_folder_is_an_outage_also_for_images(serve, publisher, tmp_path):
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    client = serve()
    path = f"/data/2/{scan.scan.key}_reflectivity_idx0"
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    eventually(lambda: client.get("/readyz").status_code == 503)
    assert client.get(f"{path}/png").status_code == 503
    assert client.get(f"{path}/json").status_code == 200
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    eventually(lambda: client.get("/readyz").status_code == 200)
    assert client.get(f"{path}/png").content == next(iter(scan.objects.values()))


def test_a_folder_that_is_suddenly_empty_is_an_outage(serve, publisher, tmp_path):
    """What an unmounted volume leaves behind."""
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    client = serve()
    before = client.get("/list-all/").content
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "store").mkdir()
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    assert client.get("/list-all/").content == before
    assert client.get(f"/data/2/{scan.scan.key}_reflectivity_idx0/png").status_code == 503


def test_while_the_store_is_away_nothing_is_known_to_be_missing(serve, publisher, posix):
    publisher.publish(made("KPDT", NOON))
    client = serve()
    unlisted = "/data/2/KPDT20250409_115500_V06_reflectivity_idx0/png"
    assert client.get(unlisted).status_code == 404
    posix.away = True
    eventually(lambda: client.get(unlisted).status_code == 503)


def test_a_nudge_makes_it_look_at_once(serve, publisher):
    client = serve(poll_seconds=600)
    publisher.publish(made("KPDT", NOON))
    assert client.get("/list-all/").json()["reflectivity"] == {}
    assert client.post("/nudge/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 202
    eventually(lambda: client.get("/list-all/").json()["reflectivity"], 3)


def test_the_age_of_the_newest_scan_is_told(serve, publisher, clock):
    publisher.publish(made("KPDT", NOON - timedelta(minutes=10)), made("KTLX", NOON - timedelta(minutes=2)))
    client = serve()
    ready = client.get("/readyz").json()
    assert (ready["newest"]["site"], ready["newest"]["age_s"]) == ("KTLX", 120)
    assert (ready["primary"]["site"], ready["primary"]["age_s"]) == ("KPDT", 600)
    assert client.get("/list-all/").headers["x-data-age"] == "600"
    assert client.get("/list-all/").headers["last-modified"] == "Wed, 09 Apr 2025 11:55:00 GMT"


def test_it_starts_without_a_folder_that_can_be_made_and_opens_it_later(clock, tmp_path):
    (tmp_path / "volume").write_text("not mounted yet")
    app = create_app(settings(store=str(tmp_path / "volume" / "store")), clock=clock)
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert client.get("/list-all/").status_code == 503
        assert client.get("/readyz").status_code == 503
        (tmp_path / "volume").unlink()
        Publisher(PosixStore(tmp_path / "volume" / "store")).publish(made("KPDT", NOON))
        eventually(lambda: client.get("/list-all/").json().get("reflectivity"))


def test_a_location_that_is_none_ends_the_start(clock):
    app = create_app(settings(store="ftp://somewhere"), clock=clock)
    with pytest.raises(ValueError, match="ftp://somewhere"):
        run_loop(started(app))


async def started(app) -> None:
    async with app.fastapi.router.lifespan_context(app.fastapi):
        pass
