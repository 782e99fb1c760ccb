"""Plain requests for what was asked for before, answered on the connection itself: as uvicorn would, and in order."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
import uvicorn

from api import heads
from api.app import create_app
from api.direct import DirectAnswers
from tests.api.conftest import eventually, settings
from tests.api.raw_http import read, reads
from tests.api.world import NOON, Clock, made

KEEP_S = 1
PATH = b"/data/2/KPDT20250409_120000_V06_reflectivity_idx0/png"
OTHER = PATH.replace(b"idx0", b"idx1")
OF_THE_MOMENT = ("date", "x-request-id")


def plain(path: bytes = PATH, *lines: bytes) -> bytes:
    return (
        b"GET "
        + path
        + b" HTTP/1.1\r\n"
        + b"".join(line + b"\r\n" for line in (b"host: x", *lines))
        + b"\r\n"
    )


class Watched:
    """The application, which notes what it answered directly and what uvicorn asked it."""

    def __init__(self, app) -> None:
        self._app = app
        self.direct: list[bytes] = []
        self.asked: list[str] = []

    def answer(self, request: bytes):
        answer = self._app.answer(request)
        if answer is not None:
            self.direct.append(request)
        return answer

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.asked.append(scope["path"])
            if scope["path"] == "/slow":
                await asyncio.sleep(0.3)
        await self._app(scope, receive, send)


@pytest.fixture
def world(publisher):
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    return scan


@contextmanager
def served(app, loop: str = "auto"):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app,
            http=DirectAnswers,
            ws="none",
            loop=loop,
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_S,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        eventually(lambda: server.started or not thread.is_alive())
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="UVLOOP ABSENT: the server runs in asyncio's loop alone")
    return request.param


@pytest.fixture
def app(posix, world) -> Watched:
    clock = Clock()
    clock.now = NOON + timedelta(minutes=10)
    return Watched(create_app(settings(), posix, clock))


@pytest.fixture
def port(app, loop):
    with served(app, loop) as port:
        with connected(port) as wire:
            for path in (PATH, OTHER):
                assert ask(wire, plain(path)).status == 200
        assert not app.direct
        app.asked.clear()
        yield port


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def ask(wire: socket.socket, request: bytes):
    wire.sendall(request)
    return read(wire, request.split(b" ")[0], time.monotonic())


def lasting(answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OF_THE_MOMENT}


def image(world, index: int = 0) -> bytes:
    return list(world.objects.values())[index]


def test_the_answer_is_the_one_that_uvicorn_gives(app, port, world):
    with connected(port) as wire:
        direct = ask(wire, plain())
        read_by_uvicorn = ask(wire, plain(PATH, b"x-request-id: mine"))
        again = ask(wire, plain())
    assert len(app.direct) == 2
    assert app.asked == [PATH.decode()]
    assert direct.body == read_by_uvicorn.body == again.body == image(world)
    assert lasting(direct) == lasting(read_by_uvicorn) == lasting(again)
    assert set(direct.headers) == set(read_by_uvicorn.headers)
    assert direct.headers["x-request-id"] != again.headers["x-request-id"]


def test_who_has_it_is_told_so(app, port):
    with connected(port) as wire:
        etag = ask(wire, plain()).headers["etag"].encode()
        direct = ask(wire, plain(PATH, b"If-None-Match: " + etag))
        read_by_uvicorn = ask(wire, plain(PATH, b'If-None-Match: "x", ' + etag))
    assert (direct.status, read_by_uvicorn.status, len(app.direct)) == (304, 304, 2)
    assert lasting(direct) == lasting(read_by_uvicorn)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (plain(PATH, b"range: bytes=0-3"), 206),
        (plain(PATH, b"if-match: x"), 412),
        (plain(PATH).replace(b"GET", b"HEAD"), 200),
        (plain(PATH).replace(b"GET", b"POST"), 405),
        (plain(PATH + b"?x=1"), 200),
        (plain(PATH, b"connection: close"), 200),
        (plain(PATH).replace(b"1.1", b"1.0"), 200),
        (plain(PATH, b"content-length: 0"), 200),
    ],
)
def test_whatever_else_is_asked_is_uvicorns(app, port, request_bytes, status):
    with connected(port) as wire:
        assert ask(wire, request_bytes).status == status
    assert not app.direct
    assert app.asked == [PATH.decode()]


def test_a_request_in_pieces_is_uvicorns_and_hides_no_other(app, port):
    """A piece that looks like a request is a header's value where the piece before says so."""
    with connected(port) as wire:
        assert ask(wire, plain()).status == 200
        wire.sendall(b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\nx-field: ")
        time.sleep(0.1)
        assert ask(wire, plain()).status == 404
        assert ask(wire, plain()).status == 200
    assert app.asked == ["/v1/nothing"]
    assert len(app.direct) == 2


def test_a_body_that_looks_like_a_request_is_a_body(app, port):
    with connected(port) as wire:
        head = b"POST /flag/ HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(plain())
        assert ask(wire, head).status == 401
        wire.settimeout(0.3)
        wire.sendall(plain())
        with pytest.raises(TimeoutError):
            wire.recv(1)
    assert not app.direct


def test_requests_that_come_together_are_answered_in_order(app, port, world):
    with connected(port) as wire:
        wire.sendall(plain() + plain(OTHER) + plain(b"/nothing") + plain())
        answers = reads(wire, 4)
    assert [one.status for one in answers] == [200, 200, 404, 200]
    assert [answers[index].body for index in (0, 1, 3)] == [image(world), image(world, 1), image(world)]


def test_behind_an_answer_that_is_under_way_it_waits(app, port):
    with connected(port) as wire:
        wire.sendall(plain(b"/slow"))
        eventually(lambda: "/slow" in app.asked)
        wire.sendall(plain())
        assert [one.status for one in reads(wire, 2)] == [404, 200]
    assert not app.direct


class Big:
    """Answers a megabyte by the request's path, directly if it is asked so."""

    def __init__(self) -> None:
        self.direct = 0

    def answer(self, request: bytes):
        if not heads.ends_a_head(request):
            return None
        self.direct += 1
        body = request.split(b" ")[1] * 500_000
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            body = scope["path"].encode() * 500_000
            length = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": length})
            await send({"type": "http.response.body", "body": body})


def test_what_a_client_does_not_take_is_not_answered_directly(loop):
    """So no more piles up for it than uvicorn allows; all of it comes in order."""
    big, asked = Big(), [b"/%d" % (number % 10) for number in range(60)]
    with served(big, loop) as port, connected(port) as wire:
        assert ask(wire, plain(b"/0")).body[:2] == b"/0"
        for path in asked:
            wire.sendall(plain(path))
            time.sleep(0.002)
        assert [one.body[:2] for one in reads(wire, len(asked))] == asked
        assert 0 < big.direct < len(asked) / 2
        assert ask(wire, plain(b"/7")).body[:2] == b"/7"


def test_a_connection_is_kept_while_it_is_used_and_no_longer(app, port):
    with connected(port) as wire:
        assert ask(wire, plain(PATH, b"x-request-id: mine")).status == 200  # uvicorn's timer begins
        for _ in range(4):
            time.sleep(KEEP_S * 0.45)
            assert ask(wire, plain()).status == 200
        began = time.monotonic()
        assert wire.recv(1) == b""
        assert time.monotonic() - began >= KEEP_S * 0.9
    assert len(app.direct) == 4
    assert len(app.asked) == 1


def test_what_has_changed_is_not_answered(port, publisher):
    again = made("KPDT", NOON, edition=1)
    publisher.publish(again)
    with connected(port) as wire:
        eventually(lambda: ask(wire, plain()).body == image(again))


def test_an_application_without_direct_answers_is_served_too(loop):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

    with served(app, loop) as port, connected(port) as wire:
        assert [ask(wire, plain()).body for _ in range(2)] == [b"ok"] * 2
