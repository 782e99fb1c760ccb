"""What `/readyz` tells of the archive."""

import time
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from api.app import create_app
from api.settings import ApiSettings
from store.posix import PosixStore
from tests.api.conftest import eventually, serving, settings
from tests.api.v1.dwd.dwd_world import RUN, World, icon
from tests.api.world import Switched


class Full(Switched):
    """A store on a disk with so many bytes left."""

    free = 5_000_000_000

    def free_bytes(self):
        return self.free


@contextmanager
def asking(app):
    """A client of an application that is served."""
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def archive(client):
    return client.get("/readyz").json()["archive"]


def test_the_newest_period_of_each_collection_is_told_with_its_state(serve, posix):
    world = World(posix)
    world.keep_fields(icon(run=RUN - timedelta(hours=3)))
    world.keep_fields(icon(), missing=("weather/x",))
    world.keep_reports(RUN.date(), "10315")
    told = archive(serve())
    assert [(each["collection"], each["period"], each["state"]) for each in told["newest"]] == [
        ("icon-d2", "2025040909", "partial"),
        ("poi", "20250409", "complete"),
    ]
    assert (told["newest"][0]["kept"], told["newest"][0]["missing"], told["fault"]) == (1, 1, None)


def test_an_archive_that_is_not_there_is_no_fault(serve):
    client = serve()
    told = archive(client)
    assert (told["fault"], told["newest"]) == (None, [])
    assert told["free_bytes"] > 0
    eventually(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize(("floor", "paused"), [(5_000_000_001, True), (5_000_000_000, False)])
def test_below_the_floor_it_is_paused(serve, tmp_path, floor, paused):
    client = serve(Full(PosixStore(tmp_path / "full")), free_floor_bytes=floor)
    told = archive(client)
    assert (told["free_bytes"], told["floor_bytes"], told["paused"]) == (5_000_000_000, floor, paused)


def test_a_store_that_does_not_say_what_is_free_never_pauses(store, serve):
    world = World(Switched(store))
    world.keep_fields(icon())
    told = archive(serve(world.store, free_floor_bytes=0))
    assert (told["paused"], [each["collection"] for each in told["newest"]]) == (False, ["icon-d2"])


def test_an_archive_that_is_away_does_not_make_the_images_unready(posix, tmp_path, clock):
    away = Switched(PosixStore(tmp_path / "archive"))
    away.away = True
    with asking(create_app(settings(), posix, clock, away)) as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert archive(client)["fault"] is not None
        assert client.get("/v1/dwd/runs").status_code == 503


class Silent(Switched):
    """A store that answers after a while."""

    def free_bytes(self):
        time.sleep(3)
        return 1


class Broken(Switched):
    """A store that fails as no store should."""

    def free_bytes(self):
        raise RuntimeError("a fault in the store")


def test_no_fault_of_the_archive_makes_readyz_fail(posix, tmp_path, clock):
    broken = Broken(PosixStore(tmp_path / "archive"))
    with asking(create_app(settings(), posix, clock, broken)) as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        assert "a fault in the store" in archive(client)["fault"]


def test_an_archive_that_does_not_answer_does_not_hold_readyz_up(posix, tmp_path, clock):
    silent = Silent(PosixStore(tmp_path / "archive"))
    with asking(create_app(settings(), posix, clock, silent)) as client:
        answer = client.get("/readyz")
        assert answer.elapsed.total_seconds() < 1.5
        assert answer.json()["archive"]["fault"] == "the archive was not read yet"
        eventually(lambda: archive(client)["free_bytes"] == 1)


def test_the_archive_is_in_the_store_of_the_images_unless_another_is_named(tmp_path, monkeypatch):
    for name in ("DWD_STORE", "DOWNLOAD_DIRECTORY_BASE_PATH", "STORE", "PROJECT_S3_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    assert settings(store="/images").archive_location == "/images"
    assert settings(store="/images", archive="/archive").archive_location == "/archive"
    monkeypatch.setenv("PROJECT_S3_BUCKET", "radar")
    assert ApiSettings(_env_file=None).archive_location == "s3://radar"
    monkeypatch.setenv("DOWNLOAD_DIRECTORY_BASE_PATH", str(tmp_path))
    assert ApiSettings(_env_file=None).archive_location == str(tmp_path)


def test_the_archive_of_the_settings_is_opened(tmp_path, clock):
    World(PosixStore(tmp_path / "archive")).keep_fields(icon())
    named = settings(store=str(tmp_path / "images"), archive=str(tmp_path / "archive"))
    with asking(create_app(named, clock=clock)) as client:
        (run,) = client.get("/v1/dwd/runs").json()["items"]
        assert run["collection"] == "icon-d2"
        assert client.get("/list-all/").json()["reflectivity"] == {}
