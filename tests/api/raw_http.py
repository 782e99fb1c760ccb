"""Requests as bytes, so that no client library makes them decent; answers as they come."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Answer:
    """An answer; status 0 where the server closed the connection without one."""

    status: int
    body: bytes
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)


class Wire:
    """A connection that is opened anew where the server closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, target: bytes, method: bytes = b"GET", *headers: bytes) -> Answer:
        """Ask for a target, which goes over the wire as it is."""
        lines = b"".join(header + b"\r\n" for header in (b"host: x", *headers))
        return self.send(method + b" " + target + b" HTTP/1.1\r\n" + lines + b"\r\n", method)

    def send(self, request: bytes, method: bytes = b"GET") -> Answer:
        """Send the bytes of a whole request, and read the answer; anew where the server had hung up before."""
        reused = self._socket is not None
        answer = self._sent(request, method)
        return self._sent(request, method) if reused and not answer.status else answer

    def _sent(self, request: bytes, method: bytes) -> Answer:
        begun = time.monotonic()
        open_socket = self._connected()
        with suppress(OSError):  # refused before it was read: the answer may be there all the same
            open_socket.sendall(request)
        answer = read(open_socket, method, begun)
        if not answer.status or answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            self._socket = connect(self._port)
        return self._socket


def connect(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def read(open_socket: socket.socket, method: bytes, begun: float) -> Answer:
    """The answer on a connection."""
    response = http.client.HTTPResponse(open_socket, method=method.decode("latin-1"))
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ConnectionError):
        return Answer(0, b"", time.monotonic() - begun)
    finally:
        response.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, body, time.monotonic() - begun, headers)


def reads(open_socket: socket.socket, count: int) -> list[Answer]:
    """The answers to GETs that were sent together."""
    with open_socket.makefile("rb") as stream:
        return [_next(stream) for _ in range(count)]


def _next(stream: BinaryIO) -> Answer:
    status = int(stream.readline().split(b" ")[1])
    lines = iter(lambda: stream.readline().decode("latin-1").strip(), "")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(status, stream.read(int(headers.get("content-length", 0))), 0.0, headers)
