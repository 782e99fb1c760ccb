"""A thousand clients of the API's events: what each costs the server, and how late each hears of a scan."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from benchmarks.api.processes import TOKEN, Server
from store.objects import Store
from tests.api.world import Publisher, made

CLIENTS = 1_000
SITE = "KTLX"
PATIENCE_S = 30.0

_REQUEST = b"GET /v1/events HTTP/1.1\r\nhost: benchmark\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Heard:
    """Bytes that a client costs the server, and for each client and scan the milliseconds until it was heard."""

    bytes_each: float
    delays_ms: tuple[float, ...]


class Listener(asyncio.Protocol):
    """A client that notes when it hears of a scan."""

    def __init__(self) -> None:
        self.joined = asyncio.get_running_loop().create_future()
        self.heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the events."""
        transport.write(_REQUEST)  # type: ignore[attr-defined]  # of a stream

    def data_received(self, data: bytes) -> None:
        """Note what comes: first an id, later scans."""
        now = time.perf_counter()
        if not self.joined.done():
            self.joined.set_result(None)
        if b"event: scans" in data and not self.heard.done():
            self.heard.set_result(now)

    def listen_on(self) -> None:
        """Wait for the next scan."""
        self.heard = asyncio.get_running_loop().create_future()


async def measure(server: Server, store: Store, newest: datetime, scans: int) -> Heard:
    """Let clients listen while scans are published, each told to the API by a nudge as soon as it is written."""
    publisher = Publisher(store)
    publisher.publish(made(SITE, newest - timedelta(minutes=scans + 1)))
    loop = asyncio.get_running_loop()
    first = await _joined(loop, server)
    before = server.resident_bytes()
    listeners = [await _joined(loop, server) for _ in range(CLIENTS)]
    grown = server.resident_bytes() - before
    delays: list[float] = []
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, headers=headers) as client:
        for minute in range(scans, 0, -1):
            await asyncio.sleep(1.5)
            for listener in (first, *listeners):
                listener.listen_on()
            scan = made(SITE, newest - timedelta(minutes=minute))
            await asyncio.to_thread(publisher.publish, scan)
            published = time.perf_counter()
            await client.post("/nudge/")
            heard = asyncio.gather(*(listener.heard for listener in listeners))
            delays += [(moment - published) * 1000 for moment in await asyncio.wait_for(heard, PATIENCE_S)]
    return Heard(grown / CLIENTS, tuple(delays))


async def _joined(loop: asyncio.AbstractEventLoop, server: Server) -> Listener:
    _, listener = await loop.create_connection(Listener, "127.0.0.1", server.port)
    await asyncio.wait_for(listener.joined, PATIENCE_S)
    return listener
