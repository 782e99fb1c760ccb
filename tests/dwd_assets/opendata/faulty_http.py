"""A small HTTP/1.1 server of files that fails as it is told; for tests of the client."""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ELSEWHERE = "https://elsewhere/weather/x"
MODIFIED = "Wed, 16 Sep 2026 02:40:29 GMT"
DATE = "Wed, 16 Sep 2026 03:00:00 GMT"
PAGE = b"<html><head><title>Trouble</title></head></html>"


@dataclass
class FaultyHttp:
    """The files by path, and by path the faults that the next requests meet, one each.

    `ok`; `404`, `503` and other statuses with a page; `503+SECONDS` or `503@DATE` with Retry-After; `reset` (before
    the answer), `cut` (half the body, then the end), `snapped` (half the body, then a reset), `shorter` (half the
    body, honestly announced), `slow` (answers after `slow_s`), `drip` (a byte each `drip_s`), `page` (gzip'ed, with
    200), `chunked`, `halved` (half a chunk, then the end), `unended` (a chunk that should not be the last one),
    `unannounced` (neither length nor chunks), `misannounced` (a length that is no number), `doubled` (two lengths),
    `new` (the file is replaced by other bytes before).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    slow_s: float = 1.0
    drip_s: float = 0.05
    get_s: float = 0.0
    url: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    connections: int = 0
    answered: int = 0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self, path: str, headers: dict[str, str]) -> str:
        with self.lock:
            self.asked.append(path)
            self.headers.append(headers)
            waiting = self.faults[path]
            return waiting.pop(0) if waiting else "ok"

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            yield
        finally:
            with self.lock:
                self.at_once -= 1
                self.answered += 1


def tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    state: FaultyHttp

    def setup(self) -> None:
        super().setup()
        with self.state.lock:
            self.state.connections += 1

    def date_time_string(self, timestamp: float | None = None) -> str:
        return DATE

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass

    def do_GET(self) -> None:
        self.state.methods.append(self.command)
        with self.state.counted():
            fault = self.state.next_fault(self.path, {k.lower(): v for k, v in self.headers.items()})
            try:
                self.answer(fault)
            except OSError:
                self.close_connection = True  # the client has given up

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def answer(self, fault: str) -> None:
        time.sleep(self.state.get_s)
        if fault == "reset":
            self.reset()
        elif fault[:3].isdigit():
            self.refuse(fault)
        elif fault == "packed":
            self.send(200, PAGE, {"Content-Encoding": "br", "Content-Type": "text/html"})
        elif self.path not in self.state.files:
            self.send(404, PAGE)
        else:
            self.send_file(fault)

    def refuse(self, fault: str) -> None:
        extra = {"Content-Encoding": "gzip", **({"Location": ELSEWHERE} if fault[0] == "3" else {})}
        if len(fault) > 3:
            extra["Retry-After"] = fault[4:]
        self.send(int(fault[:3]), gzip.compress(PAGE), extra)

    def send_file(self, fault: str) -> None:
        if fault == "slow":
            time.sleep(self.state.slow_s)
        if fault == "new":
            self.state.files[self.path] = b"another version of " + self.state.files[self.path]
        data = self.state.files[self.path]
        if (
            self.headers.get("If-None-Match") == tag(data)
            or self.headers.get("If-Modified-Since") == MODIFIED
        ):
            self.send(304, b"", {"ETag": tag(data)})
            return
        if fault == "shorter":
            data = data[: len(data) // 2]
        if fault.startswith("gzip"):
            packed = gzip.compress(data)
            packed = {"gzip": packed, "gzip cut": packed[:-4], "gzip followed": packed + b"more"}[fault]
            self.send(200, packed, {"ETag": tag(data), "Last-Modified": MODIFIED, "Content-Encoding": "gzip"})
            return
        self.send(200, data, {"ETag": tag(data), "Last-Modified": MODIFIED}, fault)

    def send(self, status: int, body: bytes, extra: dict[str, str] | None = None, fault: str = "ok") -> None:
        self.send_response(status)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        if fault in {"chunked", "halved", "unended"}:
            self.send_header("Transfer-Encoding", "chunked")
            self.close_connection = fault != "chunked"
        elif fault == "unannounced":
            self.close_connection = True
        elif fault == "misannounced":
            self.send_header("Content-Length", f"{len(body)}x")
            self.close_connection = True
        elif status != 304:
            self.send_header("Content-Length", str(len(body)))
            if fault == "doubled":
                self.send_header("Content-Length", str(len(body) + 1))
        self.end_headers()
        self.send_body(body, fault)

    def send_body(self, body: bytes, fault: str) -> None:
        if self.command == "HEAD":
            return
        half = body[: len(body) // 2]
        if fault == "chunked":
            self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
        elif fault in {"halved", "unended"}:
            self.wfile.write(b"%x\r\n%s" % (len(body), half if fault == "halved" else body + b"\r\n"))
        elif fault == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(self.state.drip_s)
        elif fault in {"cut", "snapped"}:
            self.wfile.write(half)
            self.wfile.flush()
            self.close_connection = True
            if fault == "snapped":
                time.sleep(0.05)  # or the reset overtakes the bytes
                self.reset()
        else:
            self.wfile.write(body)

    def reset(self) -> None:
        """End the connection by a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address) -> None:
        pass  # resets and clients that have given up are what is tested

    def shutdown_request(self, request) -> None:
        if request.fileno() >= 0:
            super().shutdown_request(request)


@contextmanager
def serving(state: FaultyHttp, tls: ssl.SSLContext | None = None) -> Iterator[FaultyHttp]:
    """The server at `state.url` on a free port of the loopback, over TLS if a context is given."""
    handler = type("Handler", (Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
