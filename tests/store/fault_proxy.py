"""An HTTP proxy in front of the S3 server that loses, damages, delays and refuses on command."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal[
    "lose request", "lose answer", "damage request", "damage answer", "cut answer", "503", "404", "stall"
]

STALL_S = 5.0


@dataclass
class FaultProxy:
    """Where it listens, which faults await the next requests of a method, and what was asked so far."""

    endpoint: str
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    after_lost: list = field(default_factory=list)
    """Functions to call, one each, once an answer was lost: what others do in the meantime."""


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Run a proxy in threads of this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.upstream = upstream.removeprefix("http://")
    server.proxy = FaultProxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Passes a request on with its headers as they are, since they are signed."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be quiet."""

    def serve(self) -> None:
        proxy = self.server.proxy
        proxy.asked.append(self.command)
        waiting = proxy.faults.get(self.command, [])
        fault = waiting.pop(0) if waiting else None
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault == "stall":
            time.sleep(STALL_S)
        if fault in {"lose request", "stall"}:
            self.close_connection = True
        elif fault in {"503", "404"}:
            self.answer(int(fault), [("Content-Length", "0")], b"")
        else:
            self.pass_on(damaged(body) if fault == "damage request" else body, fault)

    def pass_on(self, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if fault == "lose answer":
            if self.server.proxy.after_lost:
                self.server.proxy.after_lost.pop(0)()
            self.close_connection = True
            return
        if fault == "damage answer":
            answer = damaged(answer)
        cut = len(answer) // 2 if fault == "cut answer" else len(answer)
        self.answer(response.status, response.getheaders(), answer[:cut])
        self.close_connection = fault == "cut answer"

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve  # noqa: N815 - the base class looks for these


def damaged(body: bytes) -> bytes:
    """The body with one bit of its middle turned."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
