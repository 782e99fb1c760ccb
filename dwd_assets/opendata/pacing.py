"""Not more requests a second than is kind, over all threads of a client."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Pacer:
    """A token bucket: `burst` requests at once, `rate_per_s` in the long run.

    It is kept as the moment at which the next token is free (the generic cell rate algorithm), so nothing has to
    fill it. Threads wait outside of the lock, each for its own moment. `clock` is monotonic seconds.
    """

    def __init__(
        self,
        rate_per_s: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if rate_per_s <= 0 or burst < 1:
            raise ValueError(f"{rate_per_s} requests a second in bursts of {burst}: both must be positive")
        self._interval_s = 1.0 / rate_per_s
        self._saved_s = (burst - 1) * self._interval_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock() - self._saved_s

    def wait(self, at_most_s: float = math.inf) -> bool:
        """Take a token, waiting for it where there is none; not where that would take longer than `at_most_s`."""
        with self._lock:
            now = self._clock()
            mine = max(self._free_at, now - self._saved_s)
            if mine - now > at_most_s:
                return False
            self._free_at = mine + self._interval_s
        if mine > now:
            self._sleep(mine - now)
        return True

    def hold(self, seconds: float) -> None:
        """Give no token for so long; those already waited for are not taken back."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock() + seconds)
