"""Trying again, for whoever talks to a network: exponential back-off with full jitter, bounded in attempts and time.

Kept here because both code locations use it and may not know each other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long to try again.

    The wait before attempt n + 1 is drawn evenly from 0 to `first_wait_s * 2 ** (n - 1)`, at most
    `longest_wait_s`. No attempt begins later than `total_s` after the first one began. Clock, sleep and
    draw are parameters so that tests need not wait.
    """

    attempts: int = 4
    first_wait_s: float = 0.5
    longest_wait_s: float = 8.0
    total_s: float = 120.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[float, float], float] = random.uniform

    def run(self, action: Callable[[], T], transient: tuple[type[Exception], ...]) -> T:
        """Do `action` until it succeeds; goes on with its last error when attempts or time are used up."""
        last_begin = self.clock() + self.total_s
        for attempt in range(1, self.attempts):
            try:
                return action()
            except transient:
                wait_s = self._wait_s(attempt)
                if self.clock() + wait_s > last_begin:
                    raise
            self.sleep(wait_s)
        return action()

    def _wait_s(self, attempt: int) -> float:
        return self.draw(0.0, min(self.longest_wait_s, self.first_wait_s * 2 ** (attempt - 1)))
