"""Server-sent events (WHATWG HTML, section 9.2): one broadcaster, any number of clients.

An event is encoded once and its bytes are given to every client that wants it. A client costs a task, a short queue
and nothing else; one that does not take what is sent is dropped, since it can come back and have it repeated.

What belongs here: ids, history, clients, the stream. What does not: what there is to tell (`api.events.feeds`).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Message, Receive, Scope, Send

from api.fast.shortpath import ROUTE
from api.paths import EVENTS
from api.replies.conditional import Asked, headers_of
from api.replies.envelope import HEAD
from api.replies.errors import ApiError, MethodNotAllowed, Unavailable
from api.replies.problems import bad, reply_to
from api.replies.reply import Header

HISTORY = 2_000
"""Events that can be repeated: at 160 sites about an hour."""

QUEUE = 64
"""Events that may wait for a client; with more, it is dropped."""

RETRY_MS = 3_000
"""How long a browser is to wait before it connects again."""

HEARTBEAT = b":\n\n"

_HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
_MOST_SITES = 250


def _epoch_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell: of one site, or (none) of interest to all."""

    kind: str
    data: Any
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was told: its id, and its bytes on the wire."""

    ident: int
    site: str | None
    chunk: bytes


@dataclass(eq=False, slots=True)
class Client:
    """Who listens: to which sites (none: all), and what waits to be sent; `None` ends the stream."""

    sites: frozenset[str]
    waiting: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))
    task: asyncio.Task[Any] | None = None
    dropped: bool = False

    def wants(self, told: Told) -> bool:
        """Whether an event is of what it listens to."""
        return not self.sites or told.site is None or told.site in self.sites


class Broadcaster:
    """Tells events to clients, and again to those that come back.

    Ids are milliseconds since 1970, so that they rise across restarts too. Everything but `tell` and `sites` is
    called in the event loop alone.
    """

    def __init__(self, most_clients: int, heartbeat_s: float, ident: Callable[[], int] = _epoch_ms) -> None:
        self._most = most_clients
        self._heartbeat_s = heartbeat_s
        self._ident = ident
        self._clients: set[Client] = set()
        self._history: deque[Told] = deque(maxlen=HISTORY)
        self._last = self._complete_after = ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beating: asyncio.Task[None] | None = None
        self._closed = False
        self.sites: frozenset[str] = frozenset()

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    @property
    def last(self) -> int:
        """The id of the newest event."""
        return self._last

    def start(self) -> None:
        """Begin to beat, and to take events from other threads."""
        self._loop = asyncio.get_running_loop()
        self._beating = asyncio.create_task(self._beat())

    def tell(self, events: Iterable[Event]) -> None:
        """Tell events; from any thread. Before `start` and after the end, nobody hears them."""
        told = list(events)
        if told and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, told)

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self._last = max(self._last + 1, self._ident())
            data = msgspec.json.encode(event.data).decode()
            chunk = f"id: {self._last}\nevent: {event.kind}\ndata: {data}\n\n".encode()
            told = Told(self._last, event.site, chunk)
            if len(self._history) == HISTORY:
                self._complete_after = self._history[0].ident
            self._history.append(told)
            for client in [client for client in self._clients if client.wants(told)]:
                self._give(client, chunk)

    def join(self, client: Client, last_seen: str | None) -> list[bytes]:
        """Let a client listen; gives what it is sent first. Raises `Unavailable` where there are too many.

        That is what it missed since the event `last_seen`, or `reset` where not all of that is known any more. After
        the end the stream ends with it: a browser comes back after that, and never again after an error's status.
        """
        if len(self._clients) >= self._most:
            raise Unavailable("too many clients listen; poll the lists instead, or come back later")
        self._clients.add(client)
        self._note_sites()
        if self._closed:
            self._give(client, None)
        return [f"retry: {RETRY_MS}\n".encode(), *self._missed(client, last_seen)]

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self._note_sites()

    def close(self) -> None:
        """End all streams, and those that come later as they begin."""
        self._closed = True
        for client in list(self._clients):
            self._give(client, None)
        if self._beating is not None:
            self._beating.cancel()

    def _missed(self, client: Client, last_seen: str | None) -> list[bytes]:
        if last_seen is None:
            return [f"id: {self._last}\n\n".encode()]
        seen = int(last_seen) if last_seen.isascii() and last_seen.isdigit() and len(last_seen) < 20 else -1
        if not self._complete_after <= seen <= self._last:
            return [f"id: {self._last}\nevent: reset\ndata: {{}}\n\n".encode()]
        return [b"\n", *(told.chunk for told in self._history if told.ident > seen and client.wants(told))]

    def _give(self, client: Client, chunk: bytes | None) -> None:
        """Put something into a client's queue, or drop a client whose queue is full."""
        try:
            client.waiting.put_nowait(chunk)
        except asyncio.QueueFull:
            client.dropped = True
            self.leave(client)
            if client.task is not None:
                client.task.cancel()

    def _note_sites(self) -> None:
        self.sites = frozenset().union(*(client.sites for client in self._clients))

    async def _beat(self) -> None:
        """Let proxies and clients know that the stream is alive; who has something waiting will hear anyway."""
        while True:
            await asyncio.sleep(self._heartbeat_s)
            for client in [client for client in self._clients if client.waiting.empty()]:
                self._give(client, HEARTBEAT)


class Stream:
    """The ASGI endpoint of `/v1/events`."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        self._broadcaster = broadcaster

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a stream that ends when the client leaves, is dropped, or the process ends."""
        scope[ROUTE] = EVENTS
        try:
            if scope["method"] != "GET":
                raise MethodNotAllowed("GET, HEAD, OPTIONS")
            client = Client(_asked_sites(scope["query_string"]))
            if HEAD in scope:
                await _begin(send)
                await send({"type": "http.response.body", "body": b""})
                return
            first = self._broadcaster.join(client, _last_seen(headers_of(scope)))
        except ApiError as error:
            await reply_to(error, scope).send(send)
            return
        try:
            await _serve(client, first, receive, send)
        finally:
            self._broadcaster.leave(client)


async def _serve(client: Client, first: list[bytes], receive: Receive, send: Send) -> None:
    client.task = asyncio.current_task()
    gone = asyncio.create_task(_until_gone(client, receive))
    try:
        await _begin(send)
        await send(_part(b"".join(first)))
        while (chunk := await client.waiting.get()) is not None:
            await send(_part(chunk))
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not client.dropped:
            raise
    finally:
        gone.cancel()


async def _until_gone(client: Client, receive: Receive) -> None:
    """End the stream of a client that leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    while not client.waiting.empty():
        client.waiting.get_nowait()
    client.waiting.put_nowait(None)


async def _begin(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})


def _part(chunk: bytes) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": True}


def _last_seen(asked: Asked) -> str | None:
    value = asked.get(b"last-event-id")
    return None if value is None else value.decode("latin-1")


def _asked_sites(query: bytes) -> frozenset[str]:
    """The sites of `?site=KPDT,KTLX`, empty for all. Raises `BadParameters`."""
    try:
        asked = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=50)
    except ValueError as fault:
        raise bad("query", "too many parameters") from fault
    for name in asked:
        if name != "site":
            raise bad(name[:80], "unknown; there are: site")
    if len(asked.get("site", ())) > 1:
        raise bad("site", "given more than once")
    sites = frozenset(asked["site"][0].split(",")) if "site" in asked else frozenset()
    if len(sites) > _MOST_SITES or not all(_is_site(site) for site in sites):
        raise bad("site", f"wanted are up to {_MOST_SITES} ids like KPDT, with commas between them")
    return sites


def _is_site(text: str) -> bool:
    return len(text) == 4 and text.isascii() and text.isalnum() and text.isupper() and text[0].isalpha()


def end_with_the_process(broadcaster: Broadcaster) -> Callable[[], None]:
    """Close the streams when the process is told to end, before the server waits for them; gives the way back.

    A server that ends waits for the answers that are under way, and these end by themselves never. What handles the
    signals already is called after; outside of the main thread, where signals cannot be had, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ended(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(broadcaster.close)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    mine = [number for number, handler in before.items() if callable(handler)]
    for number in mine:
        signal.signal(number, ended)

    def back() -> None:
        for number in mine:
            if signal.getsignal(number) is ended:
                signal.signal(number, before[number])

    return back
