"""`python -m api`, with what runs ahead of the application, and uvicorn alone: processes that answer alike."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.serving import MOST_OPEN
from store.posix import PosixStore
from tests.api.conftest import eventually
from tests.api.test_process import ROOT, answers, free_port
from tests.api.world import NOON, Publisher, made

OF_THE_SERVER = {
    "date",
    "server",
    "x-request-id",
    "x-data-age",
    "connection",
    "keep-alive",
    "transfer-encoding",
}

OURS = ("-m", "api")
PLAIN = ("-m", "uvicorn", "api.app:app", "--no-access-log")
"""Without what `python -m api` puts ahead of the application."""


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("API_", "NEXRAD_", "DWD_", "STORE", "AWS_"))
    }
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**kept, "STORE": str(folder / "store"), "PYTHONPATH": path, **settings}


@contextmanager
def running(server: tuple[str, ...], folder: Path, *before: str):
    """The port and the process of a server; `before` is the beginning of the command."""
    port = free_port()
    where = ("--port", str(port)) if server == PLAIN else ()
    process = subprocess.Popen(
        [*before, sys.executable, *server, *where],
        env=environment(folder, API_PORT=str(port), API_WRITE_TOKEN="mine"),
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: process.poll() is not None or answers(port), 40)
        assert process.poll() is None, process.stderr.read()
        yield port, process
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    Publisher(PosixStore(folder / "store")).publish(made("KPDT", NOON))
    return folder


def asked(image: str) -> list[tuple[str, str, dict[str, str]]]:
    """Requests of every kind: short routes, FastAPI's, refusals, parts, what is known already."""
    old = "/data/2/KPDT20250409_120000_V06_reflectivity_idx0/png"
    return [
        ("GET", old, {}),
        ("GET", old, {}),
        ("HEAD", old, {}),
        ("GET", image, {}),
        ("GET", image, {"range": "bytes=3-9"}),
        ("GET", image, {"if-none-match": "*"}),
        ("GET", old.replace("png", "json"), {"accept-encoding": "identity"}),
        ("GET", "/list-all/", {"accept-encoding": "gzip"}),
        ("GET", "/list-all", {}),
        ("GET", "/data/2/..%2f..%2fetc%2fpasswd/png", {}),
        ("GET", "/code/", {"origin": "https://map.example"}),
        ("OPTIONS", "/list-all/", {"origin": "https://map.example"}),
        ("POST", "/flag/", {}),
        ("DELETE", "/list-all/", {}),
        ("GET", "/v1/sites", {"accept-encoding": "gzip"}),
        ("GET", "/v1/scans?site=KPDT&product=reflectivity", {}),
        ("GET", "/v1/scans?nonsense=1", {}),
        ("GET", "/nothing", {}),
    ]


def answered(port: int, image: str) -> list[tuple[object, ...]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        found = [(client.request(method, path, headers=head)) for method, path, head in asked(image)]
    return [
        (
            str(one.request.url.raw_path),
            one.status_code,
            sorted(pair for pair in one.headers.multi_items() if pair[0] not in OF_THE_SERVER),
            one.content if "problem" not in one.headers.get("content-type", "") else one.json()["status"],
        )
        for one in found
    ]


def test_what_runs_ahead_of_the_application_answers_as_the_application_does(folder):
    image = made("KPDT", NOON).scan.layers["reflectivity"].tilts[0].images[0].name
    with running(OURS, folder) as (one, _), running(PLAIN, folder) as (other, _):
        ours, theirs = (answered(port, f"/v1/images/{image}") for port in (one, other))
        assert [each[1] for each in ours] == [
            *(200, 200, 200, 200, 206, 304, 200, 200, 308, 404, 200, 204, 401, 405, 200, 200, 400, 404)
        ]
        for mine, its in zip(ours, theirs, strict=True):
            assert its == mine


def test_it_ends_soon_when_told_though_someone_listens(folder):
    with (
        running(OURS, folder) as (port, process),
        socket.create_connection(("127.0.0.1", port), timeout=15) as wire,
    ):
        wire.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
        heard = b""
        while b"id: " not in heard:
            heard += wire.recv(4096)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(15)
        assert time.monotonic() - began < 10
        while wire.recv(4096):
            pass


def test_more_may_be_open_than_the_system_allows_at_first(folder):
    with running(OURS, folder, "sh", "-c", 'ulimit -S -n 256; exec "$@"', "sh") as (_, process):
        allowed, most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    assert allowed == min(MOST_OPEN, most) > 256
