"""Plain requests for what was asked for before, answered on the connection itself: as uvicorn would, and in order."""

import asyncio
import socket
import threading
import time
from datetime import timedelta
from itertools import pairwise

import pytest
import uvicorn
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.app import create_app
from api.fast import heads
from api.fast.direct import DirectAnswers
from api.fast.joined import JoinedWrites
from api.memory.disk_files import Content
from tests.api import conftest
from tests.api.conftest import OF_THE_MOMENT, eventually, settings
from tests.api.raw_http import read, reads
from tests.api.world import NOON, Clock, made
from tests.loops import run as run_loop

KEEP_S = 1
PATH = b"/data/2/KPDT20250409_120000_V06_reflectivity_idx0/png"
OTHER = PATH.replace(b"idx0", b"idx1")


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

    def answers(self):
        self._answer = self._app.answers()
        return self.answer

    def answer(self, request: bytes):
        answer = self._answer(request)
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


def served(app, loop: str = "auto", **changes):
    changes = {"loop": loop, "log_level": "critical", "timeout_keep_alive": KEEP_S, **changes}
    return conftest.served(app, **changes)


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


def test_a_body_behind_requests_that_came_together_is_a_body_for_h11_too(app, loop, monkeypatch):
    """It reads one request after the other, and lines without CR: of what came, the last one's body may be missing."""
    monkeypatch.setattr("api.server.AutoHTTPProtocol", H11Protocol)
    with served(app, loop) as port, connected(port) as wire:
        assert ask(wire, plain()).status == 200
        first = b"GET /nothing HTTP/1.1\nhost: x\n\n"
        second = b"POST /nothing HTTP/1.1\nhost: x\ncontent-length: %d\n\n" % (len(plain()) + 4)
        wire.sendall(first + second + b"\r\n\r\n")
        assert [one.status for one in reads(wire, 2)] == [404, 404]
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

    def answers(self):
        return self.answer

    def answer(self, request: bytes):
        if not heads.ends_a_head(request):
            return None
        self.direct += 1
        body = request.split(b" ")[1] * 500_000
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), Content(body)

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


LONG = b"/" + b"x" * 39
"""The path of 20 MB, which is more than the network takes at once."""


def test_a_connection_is_kept_after_an_answer_that_took_its_time(loop):
    with served(Big(), loop) as port, connected(port) as wire:
        wire.sendall(plain(LONG))
        time.sleep(KEEP_S * 1.6)
        assert len(read(wire, b"GET", time.monotonic()).body) == len(LONG) * 500_000
        time.sleep(KEEP_S * 0.8)
        assert ask(wire, plain(b"/7")).body[:2] == b"/7"


def test_at_the_end_of_the_server_an_answer_is_given_whole(loop):
    answers = []
    with served(Big(), loop) as port:
        wire = connected(port)
        wire.sendall(plain(LONG))
        wire.recv(1, socket.MSG_PEEK)

        def take() -> None:
            time.sleep(0.5)
            answers.append(read(wire, b"GET", time.monotonic()))

        taking = threading.Thread(target=take)
        taking.start()
    taking.join()
    wire.close()
    assert [len(one.body) for one in answers] == [len(LONG) * 500_000]


def test_what_has_changed_is_not_answered(port, publisher):
    again = made("KPDT", NOON, edition=1)
    publisher.publish(again)
    with connected(port) as wire:
        eventually(lambda: ask(wire, plain()).body == image(again))


def test_a_proxys_prefix_is_no_part_of_an_address_on_the_wire(app, loop):
    with served(app, loop, root_path="/radar") as port, connected(port) as wire:
        assert [ask(wire, plain()).status for _ in range(2)] == [200, 200]
        assert ask(wire, plain(b"/radar" + PATH)).status == 404


def test_an_application_without_direct_answers_is_served_too(loop):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

    with served(app, loop) as port, connected(port) as wire:
        assert [ask(wire, plain()).body for _ in range(2)] == [b"ok"] * 2


class Sink:
    """A transport that takes everything at once."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += b"" if self.closed else data

    def writelines(self, parts) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def __getattr__(self, name: str):
        return lambda *_: None


class Known:
    """Answers `/a` directly too, and whatever is no plain GET of it with what it was asked."""

    fields = heads.Fields([b"range"])

    def answers(self):
        return self.answer

    def answer(self, request: bytes):
        target, rest = heads.cut(request)
        if target != b"/a" or self.fields.of(target, rest) != ():
            return None
        return b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", Content(b"GET /a")

    async def __call__(self, scope, receive, send) -> None:
        body = f"{scope['method']} {scope['path']}".encode()
        length = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": body})


async def told(protocol, known: Known, pieces) -> tuple[bytes, bool]:
    """What a client gets that sends these pieces one by one, and whether the connection ends."""
    quiet = {"log_level": "critical", "server_header": False, "date_header": False, "proxy_headers": False}
    config = uvicorn.Config(known, http=protocol, ws="none", lifespan="off", **quiet)
    config.load()
    state, sink = ServerState(), Sink()
    connection = protocol(config=config, server_state=state, app_state={})
    connection.connection_made(sink)
    for piece in pieces:
        if not sink.closed:
            connection.data_received(piece)
        for _ in range(10):
            await asyncio.sleep(0)
    connection.connection_lost(None)
    assert not state.connections
    assert getattr(connection, "_keeping", None) is None
    return sink.sent, sink.closed


def posted(body: bytes) -> bytes:
    return b"POST /p HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


SENT = [
    plain(b"/a"),
    plain(b"/b"),
    plain(b"/a", b"range: bytes=0-1"),
    plain(b"/a", b"expect: 100-continue"),
    plain(b"/a", b"connection: upgrade", b"upgrade: h2c"),
    plain(b"/a", b"content-length: %d" % len(plain(b"/a"))) + plain(b"/a"),
    plain(b"/a").replace(b"GET", b"HEAD"),
    b"GET /b HTTP/1.1\r\nhost: x\r\nx-field: " + plain(b"/a").replace(b"host", b"x-y"),
    posted(plain(b"/a")),
    posted(b"\r\n\r\n"),
    posted(b"x" + plain(b"/a") * 2),
    b"POST /p HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1c\r\n%b\r\n0\r\n\r\n" % plain(b"/a"),
    plain(b"/a", b"connection: close"),
]


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Requests one after the other, most of them whole pieces, others cut or joined anywhere or where a head ends."""
    stream, cuts = b"", set()
    for request in draw(st.lists(st.just(SENT[0]) | st.sampled_from(SENT), min_size=1, max_size=8)):
        whole = {len(request)}
        inner = {
            max(1, request.find(b"GET /a", 1)),
            request.find(b"\r\n\r\n") + 4,
            draw(st.integers(1, len(request))),
        }
        chosen = draw(st.sampled_from([set(), whole, whole, inner | whole]))
        cuts |= {len(stream) + cut for cut in chosen}
        stream += request
    places = sorted({0, *cuts, len(stream)})
    return [stream[first:last] for first, last in pairwise(places)]


@pytest.mark.parametrize("parser", [HttpToolsProtocol, H11Protocol])
@given(pieces=streams())
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(pieces=[SENT[1], SENT[0], posted(SENT[0])[: -len(SENT[0])], SENT[0], SENT[0]])
def test_whatever_is_sent_however_it_is_cut_the_answers_are_uvicorns(monkeypatch, parser, pieces):
    monkeypatch.setattr("api.server.AutoHTTPProtocol", parser)
    answers = [run_loop(told(protocol, Known(), pieces)) for protocol in (DirectAnswers, JoinedWrites)]
    assert answers[0] == answers[1]
