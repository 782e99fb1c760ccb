"""A store with data, and the API in front of it, served by a real uvicorn."""

from __future__ import annotations

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
from api.settings import ApiSettings
from store.posix import PosixStore
from tests.api.world import Clock, Publisher, Switched

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
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port; gives its base address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        eventually(lambda: server.started or not thread.is_alive())
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


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
            address = stack.enter_context(serving(create_app(settings(**changes), store, clock)))
            return stack.enter_context(httpx.Client(base_url=address, trust_env=False))

        yield start
