"""Running a way of rendering in a process of its own, and what that process cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """What a whole process cost, start of the interpreter and imports counted; `told` is what it printed."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    told: dict[str, Any]


def run(module: Sequence[str]) -> ProcessCost:
    """Run `python -m` with these words; the last line it prints must be a JSON object.

    Raises `SystemExit` where the process fails.
    """
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", *module], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    if process.returncode or not lines:
        raise SystemExit(f"{' '.join(module)} failed")
    return ProcessCost(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=wall_s,
        peak_mb=usage.ru_maxrss / 1024,
        told=json.loads(lines[-1]),
    )
