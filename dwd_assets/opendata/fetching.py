"""Several files at once: those that vanish first come first, and only so many are held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import TypeVar

from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.messages import Body, NotModified, Request

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be fetched, and when the server may have overwritten it."""

    request: Request
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wanted file."""

    wanted: Wanted
    result: Body | NotModified | OpendataError


def fetch_all(client: Client, wanted: Iterable[Wanted], *, at_once: int) -> Iterator[Outcome]:
    """Fetch files, begun in the order of their deadlines; yields what became of each as soon as that is known.

    At most `at_once` bodies are there at any time: on their way, waiting for the consumer, and with it. The next
    file is begun when the consumer comes back. When it stops early, what is under way is waited for, and
    nothing more begun. Anything but an `OpendataError` is raised here.
    """
    ahead = iter(sorted(wanted, key=lambda each: each.deadline))
    return fetch_each(client, lambda: next(ahead, None), lambda outcome: outcome, at_once=at_once)


def fetch_each(
    client: Client,
    next_wanted: Callable[[], Wanted | None],
    handle: Callable[[Outcome], T],
    *,
    at_once: int,
) -> Iterator[T]:
    """Fetch what `next_wanted` names, and yield what `handle` makes of it, which is called by the thread that fetched.

    So what frees the interpreter's lock (unpacking, digests, writing) runs on all cores, beside other transfers.
    `next_wanted` is called by the consumer's thread: as long as fewer than `at_once` files are under way, and again
    whenever the consumer comes back for the next result. None means that nothing is to be begun before that; it
    ends when nothing is under way then. Anything that `handle` raises is raised here.
    """
    finished: SimpleQueue[Future[T]] = SimpleQueue()
    under_way = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="opendata") as pool:
        while True:
            while under_way < at_once and (each := next_wanted()) is not None:
                pool.submit(_handled, client, each, handle).add_done_callback(finished.put)
                under_way += 1
            if not under_way:
                return
            yield finished.get().result()
            under_way -= 1


def _handled(client: Client, wanted: Wanted, handle: Callable[[Outcome], T]) -> T:
    return handle(Outcome(wanted, _fetched(client, wanted.request)))


def _fetched(client: Client, request: Request) -> Body | NotModified | OpendataError:
    try:
        return client.read(request)
    except OpendataError as fault:
        return fault
