"""The API on each backend: a folder, and a real S3 protocol server."""

import socket
import time
from datetime import timedelta

import httpx
import pytest

from api.app import create_app
from store.s3 import S3Store
from tests.api.conftest import TOKEN, eventually, serving, settings
from tests.api.world import NOON, Publisher, Switched, made

BEARER = {"authorization": f"Bearer {TOKEN}"}


def test_what_is_published_is_served_changed_and_outlives_the_store(store, serve):
    store = Switched(store)
    publisher = Publisher(store)
    client = serve(store, poll_seconds=0.2)
    assert client.get("/list-all/").json()["reflectivity"] == {}
    publisher.publish(made("KPDT", NOON - timedelta(minutes=5)), made("KTLX", NOON - timedelta(days=300)))
    eventually(lambda: len(client.get("/list-all/").json()["reflectivity"]) == 1)
    assert list(client.get("/list-all/?site=KTLX").json()["reflectivity"]) == ["KTLX20240613_120000_V06"]

    again = made("KPDT", NOON - timedelta(minutes=5), tilts=4, edition=1)
    publisher.publish(again, made("KPDT", NOON))
    eventually(lambda: len(client.get("/list-all/").json()["reflectivity"]) == 2)
    for index, data in enumerate(again.objects.values()):
        assert client.get(f"/data/2/{again.scan.key}_reflectivity_idx{index}/png").content == data

    assert (
        client.post("/flag/", content=b'{"updates": {"reflectivity": 1}}', headers=BEARER).status_code == 200
    )
    assert client.get("/flag/").json()["updates"]["reflectivity"] == 1

    before = client.get("/list-all/").content
    store.away = True
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "true")
    assert client.get("/list-all/").content == before
    store.away = False
    eventually(lambda: client.get("/list-all/").headers["x-data-stale"] == "false")


@pytest.mark.s3
def test_a_bucket_is_opened_from_the_settings(s3_server, s3_store, clock, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    Publisher(s3_store).publish(made("KPDT", NOON))
    app = create_app(
        settings(store=f"s3://{s3_store.bucket}/{s3_store.prefix}", store_endpoint=s3_server.endpoint),
        clock=clock,
    )
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert list(client.get("/list-all/").json()["reflectivity"]) == ["KPDT20250409_120000_V06"]
        assert client.get("/data/2/KPDT20250409_120000_V06_reflectivity_idx0/png").status_code == 200


def test_it_starts_while_the_s3_server_does_not_answer(clock):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = S3Store(
            "nowhere", endpoint=endpoint, access_key_id="x", secret_access_key="y", timeout_s=3.0, retries=0
        )
        begun = time.monotonic()
        app = create_app(settings(), store, clock)
        with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
            assert time.monotonic() - begun < 6
            for _ in range(3):
                answer = client.get("/list-all/")
                assert (answer.status_code, answer.content) == (503, b"{}")
                assert client.get("/livez").status_code == 200
                assert client.get("/readyz").status_code == 503
                assert answer.elapsed.total_seconds() < 1
