"""Blocking work off the event loop, shared by all who ask for the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from store.objects import StoreUnavailable

T = TypeVar("T")


class Flights:
    """Runs store reads and writes in threads.

    For each key at most one read is under way; who asks meanwhile gets its answer, or its error. One
    who gives up waiting does not end it for the others. While the store is known to be `away`, reads fail
    at once: hundreds of them waiting for timeouts would help no one.
    """

    def __init__(self, threads: int, away: Callable[[], bool]) -> None:
        self._away = away
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._calls: dict[Hashable, asyncio.Future[Any]] = {}

    async def shared(self, key: Hashable, work: Callable[[], T]) -> T:
        """The answer of `work`, or of the call with this key that is under way.

        Raises `StoreUnavailable` while the store is away.
        """
        call = self._calls.get(key)
        if call is None:
            if self._away():
                raise StoreUnavailable("the store is away")
            call = asyncio.get_running_loop().run_in_executor(self._pool, work)
            self._calls[key] = call
            call.add_done_callback(lambda _: self._calls.pop(key, None))
        answer: T = await asyncio.shield(call)
        return answer

    async def alone(self, work: Callable[[], T]) -> T:
        """The answer of `work`, which no one shares: a write."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Take no more work; what has not begun is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
