"""Heads of answers go out with what follows them, in one write; nothing is lost, late, or out of order."""

import asyncio
import socket

import pytest

from api.fast.joined import JoinedWrites, JoiningTransport
from tests.api.conftest import served
from tests.loops import run as run_loop

BIG = bytes(range(256)) * 4_000


class Wire:
    """A transport that notes each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, parts) -> None:
        self.writes.append(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def __getattr__(self, name: str):
        return lambda *_: None


HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("body", [b"short", BIG, b""], ids=["short", "long", "empty"])
def test_a_head_and_its_body_are_one_write(body):
    async def answer():
        wire = Wire()
        joining = JoiningTransport(wire, asyncio.get_running_loop())
        for _ in range(2):
            joining.write(HEAD)
            joining.write(body)
        await asyncio.sleep(0.01)
        return wire.writes

    assert run_loop(answer()) == [HEAD + body] * 2


def test_a_head_that_nothing_follows_goes_out_by_itself():
    async def answer():
        wire = Wire()
        JoiningTransport(wire, asyncio.get_running_loop()).write(HEAD)
        await asyncio.sleep(0.01)
        return wire.writes

    assert run_loop(answer()) == [HEAD]


def test_while_a_head_is_held_or_the_end_is_near_nothing_else_may_be_sent():
    async def look():
        wire = Wire()
        joining = JoiningTransport(wire, asyncio.get_running_loop())
        told = [joining.is_quiet()]
        joining.write(HEAD)
        told.append(joining.is_quiet())
        await asyncio.sleep(0.01)
        told.append(joining.is_quiet())
        wire.closed = True
        return [*told, joining.is_quiet()]

    assert run_loop(look()) == [True, False, True, False]


def test_parts_of_a_stream_are_not_held_back():
    async def answer():
        wire = Wire()
        joining = JoiningTransport(wire, asyncio.get_running_loop())
        joining.write(b"5\r\nfirst\r\n")
        return wire.writes

    assert run_loop(answer()) == [b"5\r\nfirst\r\n"]


def test_closing_sends_what_is_held_and_after_the_end_nothing_is_written():
    async def answer():
        wire = Wire()
        joining = JoiningTransport(wire, asyncio.get_running_loop())
        joining.write(HEAD)
        joining.close()
        joining.write(HEAD)
        await asyncio.sleep(0.01)
        return wire

    wire = run_loop(answer())
    assert (wire.writes, wire.closed) == ([HEAD], True)


async def app(scope, receive, send):
    """Answers by its path: whole, in parts, or with a head long before the body."""
    if scope["type"] != "http":
        return
    length = [(b"content-length", b"%d" % len(BIG))] if scope["path"] == "/whole" else []
    await send({"type": "http.response.start", "status": 200, "headers": length})
    if scope["path"] == "/late":
        await asyncio.sleep(3600)
    for first in range(0, len(BIG), len(BIG) if length else 100_000):
        part = BIG[first : first + (len(BIG) if length else 100_000)]
        await send({"type": "http.response.body", "body": part, "more_body": not length})
    if not length:
        await send({"type": "http.response.body", "body": b""})


def test_a_real_server_sends_whole_and_chunked_answers_and_heads_alone(loop):
    with (
        served(app, http=JoinedWrites, lifespan="off", loop=loop, timeout_graceful_shutdown=1) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as wire,
    ):
        stream = wire.makefile("rb")
        for _ in range(3):
            wire.sendall(b"GET /whole HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"content-length: %d" % len(BIG) in head(stream)
            assert stream.read(len(BIG)) == BIG
        wire.sendall(b"GET /parts HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"transfer-encoding: chunked" in head(stream)
        assert unchunked(stream) == BIG
        wire.sendall(b"GET /late HTTP/1.1\r\nhost: x\r\n\r\n")
        assert head(stream)[0] == b"HTTP/1.1 200 OK"


def head(stream) -> list[bytes]:
    lines = []
    while (line := stream.readline().rstrip()) != b"":
        lines.append(line)
    return lines


def unchunked(stream) -> bytes:
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        assert stream.readline() == b"\r\n"
    stream.readline()
    return body
