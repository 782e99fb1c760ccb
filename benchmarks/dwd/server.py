"""A folder served over HTTP as fast as may be, each answer late by a fixed time: `python -m benchmarks.dwd.server`.

Run as a process of its own, so that its CPU time can be told apart: `FOLDER LATENCY_MS`. Prints its port.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dwd_assets.simulator.pages import index_page
from dwd_assets.simulator.world import Entry


class _Handler(BaseHTTPRequestHandler):
    """Answers a GET with a file or with the page of a folder; connections are kept alive."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def __init__(self, root: Path, latency_s: float, *arguments: object) -> None:
        self._root, self._latency_s = root, latency_s
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Wait, then answer."""
        time.sleep(self._latency_s)
        place = self._root / self.path.lstrip("/")
        if self.path.endswith("/") and place.is_dir():
            page = index_page(self.path, _entries(place), "seconds")
            self._head(len(page), datetime.now(UTC))
            self.wfile.write(page)
        elif place.is_file():
            status = place.stat()
            self._head(status.st_size, datetime.fromtimestamp(int(status.st_mtime), UTC))
            self.wfile.flush()
            with place.open("rb") as file:
                self.connection.sendfile(file)
        else:
            self.send_response(HTTPStatus.NOT_FOUND)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _head(self, length: int, modified: datetime) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", str(length))
        self.send_header("Last-Modified", format_datetime(modified, usegmt=True))
        self.send_header("ETag", f'"{int(modified.timestamp()):x}-{length:x}"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _entries(folder: Path) -> Iterator[Entry]:
    for path in folder.iterdir():
        status = path.stat()
        modified = datetime.fromtimestamp(int(status.st_mtime), UTC)
        yield Entry(path.name, modified, None if path.is_dir() else status.st_size)


def main(folder: str, latency_ms: str) -> None:
    """Serve until killed."""
    handler = partial(_Handler, Path(folder), float(latency_ms) / 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
