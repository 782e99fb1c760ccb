"""The simulator's time: it runs faster than the real one, or stands until it is turned."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta


class Clock:
    """Tells simulated time, which never goes back; may be used from many threads.

    `speed` is simulated seconds a real second: 1440 plays a day in a minute, 0 stands still.
    """

    def __init__(
        self, start: datetime, speed: float = 0.0, real_s: Callable[[], float] = time.monotonic
    ) -> None:
        if start.utcoffset() != timedelta(0) or speed < 0:
            raise ValueError(f"a clock starts at a UTC time and does not go back, not {start!r} at {speed:g}")
        self._real_s = real_s
        self._speed = speed
        self._set_at_s = real_s()
        self._set_to = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The time in UTC."""
        with self._lock:
            return self._now()

    def turn(self, to: datetime) -> None:
        """Set the time, and go on from there. Raises `ValueError` for a time that is past."""
        with self._lock:
            if to < self._now():
                raise ValueError(f"the clock does not go back from {self._now()} to {to}")
            self._set_to, self._set_at_s = to, self._real_s()

    def advance(self, by: timedelta) -> None:
        """Turn the clock on by a time."""
        self.turn(self.now() + by)

    def _now(self) -> datetime:
        return self._set_to + timedelta(seconds=(self._real_s() - self._set_at_s) * self._speed)
