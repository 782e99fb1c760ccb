"""Downloading from the server: kindly, bounded in every respect, and checked as far as HTTP allows.

What belongs here: one file at a time, whole or not at all. What does not: what an answer means (`answers`), what the
bytes mean (`formats`), which files to ask for, and several at once (`fetching`).
"""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import httpx

from dwd_assets.opendata.answers import drain, pieces, receive, refusal, seen, translated
from dwd_assets.opendata.errors import TRANSIENT, Busy, NotYet, OpendataError
from dwd_assets.opendata.messages import UNKNOWN, Body, NotModified, Received, Request, Saved, Seen
from dwd_assets.opendata.pacing import Pacer
from store.retry import Retry

BASE_URL = "https://opendata.dwd.de"

USER_AGENT = "radar-forecast-backend (archive of open data)"
"""Names the project, so that the server's operators know who asks; a deployment may add an address."""

_KEEP_ALIVE_S = 30.0
"""How long an idle connection is kept: less than the 75 s after which nginx closes its end, unless told otherwise."""


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
    the environment are heeded. Clock and sleep are parameters so that tests need not wait.
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
        # Waiting here, before a token is taken, instead of in httpx's pool: so whoever waits heeds a new hold.
        self._connections = threading.BoundedSemaphore(manners.connections)
        self._http = httpx.Client(
            headers={"User-Agent": manners.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(manners.read_s, connect=manners.connect_s, pool=None),
            limits=httpx.Limits(
                max_connections=manners.connections,
                max_keepalive_connections=manners.connections,
                keepalive_expiry=_KEEP_ALIVE_S,
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the client is of no use afterwards."""
        self._http.close()

    def read(self, request: Request) -> Body | NotModified:
        """A file into memory. Raises `OpendataError`."""

        def attempt() -> Body | NotModified:
            sink = io.BytesIO()
            answer = self._ask(request, sink)
            return answer if isinstance(answer, NotModified) else Body(answer, sink.getvalue())

        return self._manners.retry.run(attempt, TRANSIENT)

    def look(self, path: str) -> Seen | None:
        """What the server tells of a file without sending it; none where nothing is. Raises `OpendataError`."""
        try:
            return self._manners.retry.run(lambda: self._look_once(Request(path)), TRANSIENT)
        except NotYet:
            return None

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

    def _look_once(self, request: Request) -> Seen:
        url = self.base_url + request.path
        with self._answer(url, {}, method="HEAD") as answer:
            if answer.status_code != httpx.codes.OK:
                raise self._heeded(refusal(answer, url))
            return seen(request.path, answer)

    def _ask(self, request: Request, sink: BinaryIO) -> Received | NotModified:
        """One request, its body into `sink`."""
        url = self.base_url + request.path
        with self._answer(url, _conditions(request)) as answer:
            body = pieces(answer, url, self._manners.total_s, self._clock)
            if answer.status_code == httpx.codes.OK:
                return receive(request, url, answer, body, sink)
            drain(body)
            if answer.status_code == httpx.codes.NOT_MODIFIED and request.known != UNKNOWN:
                return NotModified(request.path)
            raise self._heeded(refusal(answer, url))

    @contextmanager
    def _answer(self, url: str, headers: dict[str, str], method: str = "GET") -> Iterator[httpx.Response]:
        with self._connections:
            self._pacer.wait()
            with translated(url), self._http.stream(method, url, headers=headers) as answer:
                yield answer

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
