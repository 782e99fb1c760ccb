"""A small HTTP server that speaks enough S3 to list and get objects, and fails as it is told."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "faulty"
MODIFIED = ("2025-04-09T13:00:00.000Z", "Wed, 09 Apr 2025 13:00:00 GMT")


@dataclass
class FaultyS3:
    """The objects that the server has, what it shall do wrong, and what it was asked.

    `faults` are taken one a request, whatever it asks for: `ok`, `503`, `403`, `404`, `slow` (answers after
    `slow_s`), `reset` (hangs up), `cut` (half the body), `shorter` (half the body, and says so), `replaced`
    (as many other bytes of an object), `empty` and `page` (no listing, but nothing or a web page). An object takes
    `get_s`, a listing `list_s`.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    slow_s: float = 3.0
    get_s: float = 0.0
    list_s: float = 0.0
    page: int = 1000
    endpoint: str = ""
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self, path: str, headers: dict[str, str]) -> str:
        with self._lock:
            self.asked.append(path)
            self.headers.append(headers)
            return self.faults.pop(0) if self.faults else "ok"

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix, after = (query.get(name, [""])[0] for name in ("prefix", "start-after"))
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        begin = int(query.get("continuation-token", ["0"])[0])
        shown, more = keys[begin : begin + self.page], begin + self.page < len(keys)
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{MODIFIED[0]}</LastModified>"
            f"<ETag>&quot;{tag(self.objects[key])}&quot;</ETag><Size>{len(self.objects[key])}</Size></Contents>"
            for key in shown
        )
        token = f"<NextContinuationToken>{begin + self.page}</NextContinuationToken>" if more else ""
        return (
            f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(shown)}</KeyCount>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{rows}</ListBucketResult>"
        ).encode()


def tag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FaultyS3

    def do_GET(self) -> None:
        with self.state.counted():
            self.answer()

    def answer(self) -> None:
        url = urlsplit(self.path)
        fault = self.state.next_fault(self.path, {k.lower(): v for k, v in self.headers.items()})
        if fault == "reset":
            self.close_connection = True
        elif fault.isdigit():
            self.send(int(fault), b"<Error><Code>Told</Code><Message>so</Message></Error>")
        else:
            if fault == "slow":
                time.sleep(self.state.slow_s)
            key = unquote(url.path).removeprefix(f"/{BUCKET}").lstrip("/")
            if key:
                self.send_object(key, fault)
            else:
                self.send_listing(parse_qs(url.query), fault)

    def send_listing(self, query: dict[str, list[str]], fault: str) -> None:
        time.sleep(self.state.list_s)
        body = self.state.listing(query)
        wrong = {"shorter": body[: len(body) // 2], "empty": b"", "page": b"<html><body>Log in</body></html>"}
        self.send(200, wrong.get(fault, body), cut=fault == "cut")

    def send_object(self, key: str, fault: str) -> None:
        time.sleep(self.state.get_s)
        data = self.state.objects.get(key)
        if data is None:
            self.send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        etag = tag(data)
        if fault == "shorter":
            data = data[: len(data) // 2]
        if fault == "replaced":
            data = bytes(len(data))
            etag = tag(data)
        self.send(200, data, etag, cut=fault == "cut")

    def send(self, status: int, body: bytes, etag: str = "", cut: bool = False) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", MODIFIED[1])
            if etag:
                self.send_header("ETag", f'"{etag}"')
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
        except OSError:
            self.close_connection = True  # the client has given up
        if cut:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@contextmanager
def running() -> Iterator[FaultyS3]:
    """Run a server on a free port; what it shall do is set on the state it gives."""
    state = FaultyS3()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
