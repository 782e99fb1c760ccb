"""The API as it is run: `uvicorn api.app:app` in a process of its own, spoken to over raw sockets."""

import os
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from store.posix import PosixStore
from tests.api.conftest import eventually
from tests.api.world import Publisher, made

ROOT = Path(__file__).parents[2]
KEY = "KPDT20250409_120000_V06"
NAME = f"{KEY}_reflectivity_idx0"

TRAVERSALS = [
    "/data/2/../../etc/passwd",
    "/data/2/..%2f..%2fetc%2fpasswd/png",
    "/data/2/%2e%2e/%2e%2e/png",
    "/data/../data/2/x/png",
    f"/data/2/{NAME}/../png",
    f"/data/2/{NAME}%2fpng",
    f"/data%2f2/{NAME}/png",
    f"/data/2/{NAME}/png%2f..%2fjson",
    f"/data/2/{NAME}%00/png",
    f"/data/2/%00{NAME}/png",
    f"/data/2/{NAME}/png%00",
    "/data/2/%00/%00",
    f"//data/2/{NAME}/png",
    "/data/2/..\\..\\windows/png",
    "/data/2/%5c%5chost/png",
    "/data/2/%ff%fe/png",
    "/data/2/%c0%ae%c0%ae/png",
    "/data/2//png",
    "/data/2/KPDT%D9%A2%D9%A0%D9%A2%D9%A5%D9%A0%D9%A4%D9%A0%D9%A9_120000_V06_reflectivity_idx0/png",
    "/data/%D9%A2/x/png",
    "/data/2/" + "A" * 5000 + "/png",
    f"/data/2/{NAME}%0d%0aX:1/png",
    f"/data/2/{NAME}%20/png",
    f"/data/2/{NAME.replace('reflectivity', '../../flags')}/png",
    f"/data/2/{NAME.replace('KPDT', '../.')}/json",
    "/list/2/../../flags/",
    "/list/2/..%2f..%2fflags/",
    "/list/2/%00/",
    "/list/%D9%A2/reflectivity/",
    "/list/2/%2e%2e/",
    "/list/2/re%66lectivity%2f/",
    "/list//reflectivity/",
    "/list/2//",
    "/list-all/../flag/",
    "/list-all/%2e%2e/",
    "/%00",
    "/list-all/?site=..%2f..",
    "/list-all/?site=KPDT%00",
    "/flag/?site=../KPDT",
    "/code/?day=../../x",
    "/list-all/%00",
    "/static-offline-docs/..%2f..%2fcore.py",
    "/static-offline-docs/../core.py",
    "/static-offline-docs/%00",
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def port(folder):
    port = free_port()
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("API_", "NEXRAD_", "AWS_"))
        },
        "STORE": str(folder),
        "NEXRAD_PRIMARY_SITE": "KPDT",
        "API_POLL_SECONDS": "0.05",
        "API_WRITE_TOKEN": "from-the-environment",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "uvicorn", "api.app:app", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: process.poll() is not None or answers(port), 30)
        yield port
        assert process.poll() is None, process.stderr.read()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert process.returncode in (0, -15)
    assert "Traceback" not in errors


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def client(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client


def raw_status(port: int, path: str, method: str = "GET") -> int:
    """The status of a request whose path goes over the wire as it is."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_starts_from_the_environment_and_serves_what_is_published(client, folder):
    assert client.get("/list-all/").json() == {"hydrometeor": {}, "precipitation": {}, "reflectivity": {}}
    now = datetime.now(UTC).replace(microsecond=0)
    scan = made("KPDT", now - timedelta(minutes=6))
    Publisher(PosixStore(folder)).publish(scan, made("KPDT", datetime(2025, 4, 9, 12, tzinfo=UTC)))
    eventually(lambda: scan.scan.key in client.get("/list-all/").json()["reflectivity"])
    image = next(iter(scan.objects.values()))
    assert client.get(f"/data/2/{scan.scan.key}_reflectivity_idx0/png").content == image
    assert client.get(f"/data/2/{NAME}/png").status_code == 200, "an archive day"
    assert client.get("/readyz").json()["newest"]["age_s"] == pytest.approx(360, abs=60)


def test_the_write_token_is_that_of_the_environment(client):
    bearer = {"authorization": "Bearer from-the-environment"}
    assert client.post("/flag/", content=b'{"updates": {"reflectivity": 1}}').status_code == 401
    assert (
        client.post("/flag/", content=b'{"updates": {"reflectivity": 1}}', headers=bearer).status_code == 200
    )
    assert client.get("/flag/").json()["updates"]["reflectivity"] == 1


def test_no_address_leads_out_of_what_is_listed(client, port, folder):
    Publisher(PosixStore(folder)).publish(made("KPDT", datetime(2025, 4, 9, 12, tzinfo=UTC)))
    for path in TRAVERSALS:
        for method in ("GET", "HEAD"):
            assert raw_status(port, path, method) in (400, 404, 405), path


def test_lists_counts_metadata_and_images_agree_while_scans_are_published(client, folder):
    """Scans come, are rendered again (their old images deleted) and gain tilts, beside four readers."""
    publisher = Publisher(PosixStore(folder))
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=60)
    publisher.publish(made("KPDT", start))
    done = threading.Event()
    faults: list[str] = []
    rounds: list[int] = []

    def publish() -> None:
        for number in range(40):
            moment = start + timedelta(minutes=number)
            code = made("KPDT", moment, product="hydrometeor", suffix=f"N{number % 4}H", tilts=1)
            again = made("KPDT", start, tilts=3 + number // 10, edition=number + 1)
            publisher.publish(made("KPDT", moment + timedelta(seconds=30)), code, again)
            time.sleep(0.05)

    def read() -> None:
        with httpx.Client(base_url=client.base_url, trust_env=False) as own:
            while not done.is_set():
                faults.extend(disagreements(own))
                rounds.append(1)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        publish()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not faults, faults[:5]
    assert len(rounds) > 8
    eventually(lambda: len(client.get("/list-all/").json()["hydrometeor"]) == 40)


def disagreements(client: httpx.Client) -> list[str]:
    """Where lists, menus, metadata and images contradict one another."""
    before, options, after = client.get("/list-all/"), client.get("/code/"), client.get("/list-all/")
    found = [f"status {one.status_code}" for one in (before, options, after) if one.status_code != 200]
    lists = before.json()
    if before.headers["etag"] == after.headers["etag"]:
        listed = sorted(key.rpartition("_")[2] for key in lists["hydrometeor"])
        counted = sorted(one["value"] for one in options.json()["hydrometeor"] for _ in range(one["count"]))
        found += [] if listed == counted else [f"listed {listed}, counted {counted}"]
    for product, level in (("reflectivity", 2), ("hydrometeor", 3)):
        keys = list(lists[product])
        for key in [*keys[:1], *keys[-1:]]:
            for index in range(lists[product][key]["sweeps"]):
                found += _broken(client, f"/data/{level}/{key}_{product}_idx{index}", index)
    return found


def _broken(client: httpx.Client, address: str, index: int) -> list[str]:
    metadata, image = client.get(f"{address}/json"), client.get(f"{address}/png")
    if metadata.status_code != 200 or metadata.json()["elevation_index"] != index + 1:
        return [f"{address}/json: {metadata.status_code} {metadata.text[:80]}"]
    whole = image.content.startswith(b"\x89PNG") and image.content.endswith(b"IEND\xaeB`\x82")
    return (
        []
        if image.status_code == 200 and whole
        else [f"{address}/png: {image.status_code} {image.text[:80]}"]
    )
