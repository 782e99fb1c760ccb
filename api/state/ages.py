"""Answers that tell how old something is: the same ones for a second.

Thousands ask for the same list in a second, and are told the same age of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from api.memory.disk_files import Content
from api.replies.reply import Still
from api.state.catalog import Clock


def within_a_second(clock: Clock, holds: Callable[[], bool]) -> Callable[[bytes], Still]:
    """Makes the way to a body again while `holds`, until a second begins: by the clock, or of the time that passes."""
    second = _second(clock)

    def still(body: bytes) -> Still:
        content = Content(body)
        return lambda: content if _second(clock) == second and holds() else None

    return still


def _second(clock: Clock) -> tuple[int, datetime]:
    return int(time.monotonic()), clock().replace(microsecond=0)
