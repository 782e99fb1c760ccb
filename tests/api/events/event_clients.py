"""Measures what event clients cost a server: `event_clients.py <count>` prints JSON.

The server is a process of its own; the clients are sockets of this one.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import psutil

from store.posix import PosixStore
from tests.api.test_process import free_port
from tests.api.world import NOON, Publisher, made

REQUEST = b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n"


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(PosixStore(Path(folder)))
        publisher.publish(made("KPDT", NOON))
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "api.app:app",
            "--port",
            str(port),
            "--log-level",
            "error",
        ]
        server = subprocess.Popen(command, cwd=folder, env={**_environment(), "STORE": folder})
        try:
            print(json.dumps(await measure(count, port, publisher, psutil.Process(server.pid))))
        finally:
            server.terminate()
            server.wait(20)


def _environment() -> dict[str, str]:

    return {**os.environ, "API_POLL_SECONDS": "0.1"}


async def measure(count: int, port: int, publisher: Publisher, server: psutil.Process) -> dict[str, float]:
    first = await listen(port, 30)
    before = server.memory_info().rss
    clients = [await listen(port, 5) for _ in range(count)]
    grown = server.memory_info().rss - before
    waiting = [asyncio.create_task(hear(reader)) for reader, _ in clients]
    await asyncio.sleep(0.2)
    publisher.publish(made("KPDT", NOON + timedelta(minutes=5)))
    times = sorted(await asyncio.gather(*waiting))
    for _, writer in [first, *clients]:
        writer.close()
    return {
        "heard": len(times),
        "bytes_each": round(grown / count),
        "spread_ms": round((times[-1] - times[0]) * 1000, 1),
    }


async def listen(port: int, patience_s: float):
    deadline = time.monotonic() + patience_s
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
    writer.write(REQUEST)
    await reader.readuntil(b"id: ")
    return reader, writer


async def hear(reader: asyncio.StreamReader) -> float:
    await asyncio.wait_for(reader.readuntil(b"event: scans"), 60)
    return time.monotonic()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
