"""A store with data, and the API in front of it, served by a real uvicorn."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.serving import uvicorn_options
from api.settings import ApiSettings
from store.objects import Store
from store.posix import PosixStore
from store.s3 import S3Store
from tests.api.world import Clock, Publisher, Switched
from tests.servers import S3Server

TOKEN = "a-write-token"

Serve = Callable[..., httpx.Client]


def settings(**changes) -> ApiSettings:
    """Settings for a test: nothing of a `.env` file, a quick watcher."""
    return ApiSettings(_env_file=None, **{"poll_seconds": 0.03, "write_token": TOKEN, **changes})


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `holds`; fails when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.02)


@contextmanager
def served(app: ASGIApp, **changes) -> Iterator[int]:
    """Serve an application as `python -m api` does, but for `changes`; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(app, **{**uvicorn_options(), "log_level": "warning", **changes})
        )
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        eventually(lambda: server.started or not thread.is_alive())
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port; gives its base address."""
    with served(app) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def api(store: Store, clock: Clock | None = None, **changes) -> Iterator[httpx.Client]:
    """A client of the API on a store, with settings of the test's choice."""
    app = create_app(settings(**changes), store, clock or Clock())
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


OF_THE_MOMENT = ("date", "x-request-id")


def lasting(answer: httpx.Response) -> list[tuple[str, str]]:
    """The headers of an answer that are the same the next time."""
    return sorted(header for header in answer.headers.multi_items() if header[0] not in OF_THE_MOMENT)


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request) -> str:
    """The name of each event loop that uvicorn runs in."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="UVLOOP ABSENT: the server runs in asyncio's loop alone")
    return request.param


@pytest.fixture(scope="session")
def api_bucket(s3_server: S3Server) -> str:
    """A bucket for all tests of the API: the server takes longer to make one than most tests take."""
    return s3_server.new_bucket()


_prefixes = itertools.count(1)


@pytest.fixture
def s3_store(s3_server: S3Server, api_bucket: str) -> S3Store:
    """A store of its own in the real server's bucket."""
    return s3_server.store(api_bucket, f"{next(_prefixes)}/")


@pytest.fixture
def looks_again_soon(monkeypatch) -> None:
    """The archive is looked at again after a tenth of a second: tests that wait for it need not wait for seconds."""
    monkeypatch.setattr("api.v1.dwd.archive.FRESH_S", 0.1)
    monkeypatch.setattr("api.v1.dwd.archive.COSTS_KEPT", 1.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def posix(tmp_path) -> Switched:
    return Switched(PosixStore(tmp_path / "store"))


@pytest.fixture
def publisher(posix) -> Publisher:
    return Publisher(posix)


@pytest.fixture
def serve(posix, clock) -> Iterator[Serve]:
    """Starts the API on the store, with settings of the test's choice."""
    with ExitStack() as stack:

        def start(store=posix, **changes) -> httpx.Client:
            return stack.enter_context(api(store, clock, **changes))

        yield start
