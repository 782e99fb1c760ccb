"""A proxy of the tests' own: passes on requests for addresses, and connections for TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile


@dataclass
class Proxy:
    """What was asked of it: the first line and the headers of each connection's first request."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def tunnelling(refusal: str | None = None) -> Iterator[Proxy]:
    """A proxy that connects to wherever a CONNECT says, or answers each with a status line."""
    state = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        state.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        threading.Thread(target=_serve, args=(listening, state, refusal), daemon=True).start()
        yield state


def _serve(listening: socket.socket, state: Proxy, refusal: str | None) -> None:
    with suppress(OSError):  # closed
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_tunnel, args=(client, state, refusal), daemon=True).start()


def _tunnel(client: socket.socket, state: Proxy, refusal: str | None) -> None:
    with client.makefile("rb", buffering=0) as reading:
        first, *lines = (line.decode().strip() for line in takewhile(bytes.strip, reading))
    state.asked.append(first)
    state.headers.append({name.lower(): value for name, _, value in (line.partition(": ") for line in lines)})
    if refusal is not None:
        client.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
        client.close()
        return
    host, _, port = first.split()[1].rpartition(":")
    with client, socket.create_connection((host, int(port))) as server:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
