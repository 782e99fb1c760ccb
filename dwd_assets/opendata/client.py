"""Downloading from the server: kindly, bounded in every respect, and checked as far as HTTP allows.

What belongs here: one file at a time, whole or not at all. What does not: what an answer means (`answers`), what the
bytes mean (`formats`), which files to ask for, and several at once (`fetching`).
"""

from __future__ import annotations

import io
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from urllib3 import BaseHTTPResponse, Timeout

from dwd_assets.opendata.answers import drain, pieces, receive, refusal, seen, translated
from dwd_assets.opendata.errors import TRANSIENT, Busy, NotYet, OpendataError, TimedOut
from dwd_assets.opendata.messages import UNKNOWN, Body, NotModified, Received, Request, Saved, Seen
from dwd_assets.opendata.pacing import Pacer
from dwd_assets.opendata.transport import open_pools
from store.retry import Retry

T = TypeVar("T")

BASE_URL = "https://opendata.dwd.de"

USER_AGENT = "radar-forecast-backend (archive of open data)"
"""Names the project, so that the server's operators know who asks; a deployment may add an address."""

_SHORTEST_S = 0.01
"""What an attempt has at least to connect and to be answered in: none would be no time-out at all."""

LOOK_S = 6.0
"""How long one look may take in all, but for the last answer: many are one sensor's minute."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client behaves, all its threads together.

    A connection is waited for `connect_s`, each further piece of an answer `read_s`, a whole body `total_s`.
    A server that asks for patience gets it from all threads, `longest_hold_s` at most.
    """

    user_agent: str = USER_AGENT
    connections: int = 16
    requests_per_s: float = 50.0
    burst: int = 16
    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 300.0
    longest_hold_s: float = 60.0
    retry: Retry = field(default_factory=lambda: Retry(total_s=300.0))


class Client:
    """Gets files of one server; may be used from many threads. A context manager, to be closed.

    HTTP/1.1 with connections kept alive, certificates verified, no redirects. `HTTPS_PROXY` and `SSL_CERT_FILE` of
    the environment are heeded (see `open_pools`). Clock and sleep are parameters so that tests need not wait.
    """

    def __init__(
        self,
        base_url: str = BASE_URL,
        manners: Manners | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._manners = manners = manners or Manners()
        self._clock = clock
        self._pacer = Pacer(manners.requests_per_s, manners.burst, clock, sleep)
        # Waiting here, before a token is taken, instead of in the pool: so whoever waits heeds a new hold.
        self._connections = threading.BoundedSemaphore(manners.connections)
        self._headers = {
            "User-Agent": manners.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
        self._pools = open_pools(self.base_url, manners.connections)
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the client is of no use afterwards."""
        self._is_closed = True
        self._pools.clear()

    def read(self, request: Request, within_s: float = math.inf) -> Body | NotModified:
        """A file into memory. Raises `OpendataError`.

        After `within_s` nothing more is tried; what is under way then may take twice as long again.
        """

        def attempt(end: float) -> Body | NotModified:
            sink = io.BytesIO()
            answer = self._ask(request, sink, end)
            return answer if isinstance(answer, NotModified) else Body(answer, sink.getvalue())

        return self._tried(attempt, within_s)

    def look(self, path: str, within_s: float = LOOK_S) -> Seen | None:
        """What the server tells of a file without sending it; none where nothing is. Raises `OpendataError`.

        After `within_s` nothing more is tried; an answer that is under way then may take as long again.
        """
        try:
            return self._tried(lambda end: self._look_once(Request(path), end), within_s)
        except NotYet:
            return None

    def _tried(self, attempt: Callable[[float], T], within_s: float) -> T:
        """What comes of an attempt, which is given the time at which it is to end; tried again until then."""
        end = self._clock() + within_s
        retry = self._manners.retry
        bounded = replace(retry, total_s=min(retry.total_s, within_s))
        return bounded.run(lambda: attempt(end), TRANSIENT)

    def save(self, request: Request, folder: Path) -> Saved | NotModified:
        """A file into a new temporary file in `folder`, not synced; nothing is left of one that did not come.

        Its name is one that the store on a folder takes for an unfinished write, should the caller be killed.

        Raises `OpendataError`, and `OSError` where the folder does not take it.
        """
        return self._manners.retry.run(lambda: self._save_once(request, folder), TRANSIENT)

    def _save_once(self, request: Request, folder: Path) -> Saved | NotModified:
        file = folder / f".unfinished-{uuid.uuid4().hex}"
        try:
            with file.open("xb") as sink:
                answer = self._ask(request, sink)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        if isinstance(answer, NotModified):
            file.unlink()
            return answer
        return Saved(answer, file)

    def _look_once(self, request: Request, end: float) -> Seen:
        url = self.base_url + request.path
        with self._answer(url, {}, end, method="HEAD") as answer:
            drain(pieces(answer, url, self._manners.total_s, self._clock))
            if answer.status != HTTPStatus.OK:
                raise self._heeded(refusal(answer, url))
            return seen(request.path, url, answer)

    def _ask(self, request: Request, sink: BinaryIO, end: float = math.inf) -> Received | NotModified:
        """One request, its body into `sink`."""
        url = self.base_url + request.path
        with self._answer(url, _conditions(request), end) as answer:
            body = pieces(answer, url, min(self._manners.total_s, self._left(end)), self._clock)
            if answer.status == HTTPStatus.OK:
                return receive(request, url, answer, body, sink)
            drain(body)
            if answer.status == HTTPStatus.NOT_MODIFIED and request.known != UNKNOWN:
                return NotModified(request.path)
            raise self._heeded(refusal(answer, url))

    @contextmanager
    def _answer(
        self, url: str, headers: dict[str, str], end: float, method: str = "GET"
    ) -> Iterator[BaseHTTPResponse]:
        if self._is_closed:
            raise RuntimeError(f"{url}: asked of a client that is closed")
        with self._connection(url, end):
            if not self._pacer.wait(self._left(end)):
                raise TimedOut(f"{url}: the server asked for more patience than there is time")
            left = max(self._left(end), _SHORTEST_S)
            waits = Timeout(connect=min(self._manners.connect_s, left), read=min(self._manners.read_s, left))
            with translated(url):
                answer = self._pools.urlopen(
                    method,
                    url,
                    headers=self._headers | headers,
                    timeout=waits,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    yield answer
                finally:
                    answer.close()  # ends the connection, unless all of the answer was read and it was given back

    @contextmanager
    def _connection(self, url: str, end: float) -> Iterator[None]:
        """One of the connections; without an end it is waited for as long as it takes."""
        left = self._left(end)
        if not self._connections.acquire(timeout=None if math.isinf(left) else max(left, 0.0)):
            raise TimedOut(f"{url}: no connection was free in time")
        try:
            yield
        finally:
            self._connections.release()

    def _left(self, end: float) -> float:
        return end - self._clock()

    def _heeded(self, fault: OpendataError) -> OpendataError:
        """The same error; where it asks for patience, all threads have it from now on."""
        if isinstance(fault, Busy) and fault.retry_after_s is not None:
            self._pacer.hold(min(fault.retry_after_s, self._manners.longest_hold_s))
        return fault


def _conditions(request: Request) -> dict[str, str]:
    known = request.known
    conditions = {}
    if request.unchanged_since is not None:
        conditions["If-Unmodified-Since"] = _http_date(request.unchanged_since)
    if known.etag is not None:
        conditions["If-None-Match"] = known.etag
    elif known.modified is not None:
        conditions["If-Modified-Since"] = _http_date(known.modified)
    return conditions


def _http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
