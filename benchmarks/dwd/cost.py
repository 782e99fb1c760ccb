"""What a piece of work costs the process that does it, its children counted."""

from __future__ import annotations

import json
import re
import resource
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Meter:
    """Measures what happens within `with`: time that passed, CPU time of this process and of children that ended."""

    def __enter__(self) -> Self:
        self._cpu_s, self._wall_s = _cpu_s(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu_s, self.wall_s = _cpu_s() - self._cpu_s, time.perf_counter() - self._wall_s

    def tell(self, **more: float) -> None:
        """Print one JSON line: also the most memory that this process ever had (as Linux tells)."""
        told = {"cpu_s": self.cpu_s, "wall_s": self.wall_s, "own_peak_mb": _peak_mb(), **more}
        print(json.dumps(told), flush=True)


def quiet(_: str) -> None:
    """Log nothing."""


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    # Not `ru_maxrss`: that begins with the size of the process which started this one.
    match = _PEAK.search(Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024
