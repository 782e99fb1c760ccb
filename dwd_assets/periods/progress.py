"""What is due and how often it is asked for, what came of it, and telling the ledger in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import msgspec

from store.dwd import ledger
from store.dwd.ledger import Failed, Kept, Ledger, Summary
from store.objects import Store

BATCH_FILES = 512
BATCH_S = 10.0
"""After so many files or seconds the ledger is told: what a kill can make us fetch again."""

TELLING_COSTS = 0.02
LONGEST_PAUSE_S = 60.0
"""Of the time, at most so much goes into telling, unless that took over a second: a ledger is written whole, and that
of a full ICON-D2 run has 45 MB, half a second of a core.
"""

GRACE = timedelta(hours=3)
"""For so long after a deadline, which is reckoned, the server is asked all the same."""

MOST_AHEAD = timedelta(hours=1)
"""A period that begins later than this is in the future: asking for it is a mistake, not a clock that is behind."""

UNATTENDED = "nobody looked at it while the server had it"
"""What a ledger is warned of that was begun after the server deleted its period."""

SET_ASIDE = "its ledger could not be read and was set aside:"
"""How the warning of a ledger begins that was begun anew in place of a damaged one."""

UNREAD = "not read:"
"""How the warning of a ledger begins that names a row of a listing, or an address, which could not be read."""

MOST_UNREAD = 20
"""So many of them are named in a ledger; the log names all."""

_RESTS = 8
"""What brought nothing for so long is asked for again after this part of that time."""


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A period that something can be fetched for; sorts by when the server deletes it, the soonest first."""

    deadline: datetime
    collection: str
    period: str


@dataclass(frozen=True, slots=True)
class Done:
    """What one pass over a period came to.

    summary: the ledger afterwards. fetched: files that were stored, changed: those among them that replaced another
    content; failed: paths and reasons, of this pass. bytes_fetched: as they came. requests: to the server.
    faults: what could not be read on the way, and costs no file as far as is known: a line each, which names the
    row of a listing, the address or the setting. reasons: why files were not made that can be made later, a line each.
    """

    summary: Summary
    fetched: int = 0
    changed: int = 0
    bytes_fetched: int = 0
    requests: int = 0
    seconds: float = 0.0
    failed: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def rest(retry: timedelta, since: datetime, deadline: datetime, now: datetime) -> timedelta:
    """How long to wait before asking again for what brought nothing `since`: longer and longer, `retry` at least.

    Before the deadline, and before the end of the grace, there is one more turn all the same.
    """
    left = (deadline if now < deadline else deadline + GRACE) - now
    return max(retry, min((now - since) / _RESTS, left / 2))


def standing_warnings(before: Ledger) -> tuple[str, ...]:
    """The warnings of a ledger that no later look at the server makes untrue."""
    lines = (line for line in before.warnings if line.startswith((UNATTENDED, SET_ASIDE)))
    return tuple(line for line in lines if line != UNATTENDED or not before.kept)


def unread_warnings(faults: Sequence[str]) -> tuple[str, ...]:
    """The warnings of a ledger on what could not be read by the pass that looked last."""
    more = len(faults) - MOST_UNREAD
    lines = (f"{UNREAD} {fault}" for fault in faults[:MOST_UNREAD])
    return (*lines, *((f"{UNREAD} {more} more",) if more > 0 else ()))


class Recorder:
    """Tells a ledger of files in batches; a context manager that tells the rest at its end, whatever happens.

    It is told of a file after that is stored: a kill in between costs a second fetch, never a false entry. A ledger
    that takes long to tell is told so much more seldom.
    """

    def __init__(
        self, store: Store, collection: str, period: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._collection, self._period = store, collection, period
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._failed: dict[str, Failed] = {}
        self._told_at = clock()
        self._pause_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept or self._failed:
            self.tell()

    def kept(self, path: str, kept: Kept) -> None:
        """Note a file that is stored."""
        self._kept[path] = kept
        self._failed.pop(path, None)
        self._tell_when_due()

    def failed(self, path: str, failed: Failed) -> None:
        """Note a file that is not what it should be."""
        self._failed[path] = failed
        self._tell_when_due()

    def unfit(self, path: str, failed: Failed) -> None:
        """Note a file that is not kept any more, since it is not what it should be."""
        self._kept.pop(path, None)
        self._failed[path] = failed
        self.tell(lambda before: _without(before, path))

    def tell(self, change: Callable[[Ledger], Ledger] = lambda ledger: ledger) -> Ledger:
        """Tell the ledger what was noted, and of `change` after that; gives the ledger. Raises `StoreError`."""
        begun = self._clock()
        told = ledger.update(
            self._store,
            self._collection,
            self._period,
            lambda before: change(noted(before, self._kept, self._failed)),
        )
        self._kept.clear()
        self._failed.clear()
        self._told_at = self._clock()
        self._pause_s = min((self._told_at - begun) / TELLING_COSTS, LONGEST_PAUSE_S)
        return told

    def _tell_when_due(self) -> None:
        noted, since_s = len(self._kept) + len(self._failed), self._clock() - self._told_at
        if since_s >= self._pause_s and (noted >= BATCH_FILES or since_s >= BATCH_S):
            self.tell()


def noted(before: Ledger, kept: Mapping[str, Kept], failed: Mapping[str, Failed]) -> Ledger:
    """A ledger with these files in it; the attempts that failed before count.

    An earlier content that another writer told of meanwhile goes on being told of: it is kept.
    """
    failures = {path: fault for path, fault in before.failed.items() if path not in kept}
    for path, fault in failed.items():
        known = failures.get(path)
        attempts = fault.attempts if known is None else known.attempts + fault.attempts
        failures[path] = msgspec.structs.replace(fault, attempts=attempts)
    return msgspec.structs.replace(
        before,
        kept={
            **before.kept,
            **{path: _with_earlier(before.kept.get(path), each) for path, each in kept.items()},
        },
        missing=tuple(path for path in before.missing if path not in kept),
        failed=failures,
    )


def _without(before: Ledger, path: str) -> Ledger:
    """A ledger of which a file is missing that was kept."""
    kept = {each: file for each, file in before.kept.items() if each != path}
    missing = before.missing if path in before.missing else (*before.missing, path)
    return msgspec.structs.replace(before, kept=kept, missing=missing)


def _with_earlier(before: Kept | None, kept: Kept) -> Kept:
    """A file with the earlier contents of both; a content that it has again is none of them."""
    known = {kept.sha256, *(each.sha256 for each in kept.earlier)}
    others = () if before is None else tuple(each for each in before.earlier if each.sha256 not in known)
    return msgspec.structs.replace(kept, earlier=(*others, *kept.earlier)) if others else kept
