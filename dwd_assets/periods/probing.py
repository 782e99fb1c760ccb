"""Looking at many things on the server at once, within a sensor's minute.

Dagster ends a sensor's evaluation after 60 s, and what it found then is lost: on a server that is away each look
costs its time-outs. What is not looked at in time is left for the next evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from dwd_assets.opendata.errors import OpendataError

LOOKS_S = 15.0
"""After so long no further look is begun; one that is under way takes up to 24 s more (`Client.look`, twice)."""

LISTING_S = 18.0
"""So long one listing is tried for; what is under way then ends within another 36 s at the worst."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What came of a look at something: the answer, or why there is none."""

    at: T
    found: bool = False
    fault: OpendataError | None = None


def looks(
    items: Iterable[T], look: Callable[[T], bool], at_once: int, budget_s: float = LOOKS_S
) -> tuple[Look[T], ...]:
    """Look at things in their order, `at_once` at the same time.

    No more are begun after `budget_s`, nor after so many faults as are looked at at once: a server that is away would
    cost each its time-outs. Raises what `look` raises but for `OpendataError`.
    """
    end = time.monotonic() + budget_s

    def looked(item: T) -> Look[T]:
        try:
            return Look(item, look(item))
        except OpendataError as fault:
            return Look(item, fault=fault)

    ahead, found = iter(items), list[Look[T]]()
    with ThreadPoolExecutor(at_once, thread_name_prefix="due") as pool:
        while some := list(islice(ahead, at_once)):
            found += pool.map(looked, some)
            if time.monotonic() >= end or sum(each.fault is not None for each in found) >= at_once:
                break
    return tuple(found)
