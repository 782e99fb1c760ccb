"""Several files at once: those that vanish first come first, and only so many are held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from queue import SimpleQueue

from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.messages import Body, NotModified, Request


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
    finished: SimpleQueue[Future[Outcome]] = SimpleQueue()
    under_way = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="opendata") as pool:
        for each in islice(ahead, at_once):
            pool.submit(_fetched, client, each).add_done_callback(finished.put)
            under_way += 1
        while under_way:
            yield finished.get().result()
            under_way -= 1
            for each in islice(ahead, 1):
                pool.submit(_fetched, client, each).add_done_callback(finished.put)
                under_way += 1


def _fetched(client: Client, wanted: Wanted) -> Outcome:
    try:
        return Outcome(wanted, client.read(wanted.request))
    except OpendataError as fault:
        return Outcome(wanted, fault)
