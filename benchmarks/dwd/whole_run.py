"""A pass over a whole run, by this checkout and by another one.

`python -m benchmarks.dwd.whole_run FOLDER [--rounds N]`

FOLDER is another checkout, such as `git worktree add ../before v0.1.0` makes; both run in this environment. The
simulated server plays a run of 4,747 files, as many as ICON-D2 has at single levels. Both have archived the run of the
same hour on the day before; then each archives the run, in a process of its own and into a copy of that archive, in
turns. The server is another process than the one that is measured, so that its time does not count as CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.server import Plan, Simulator

_HOURLY = ("t_2m", "td_2m", "relhum_2m", "t_g", "u_10m", "v_10m", "pmsl", "clct", "vmax_10m")
_LEVELS = (50, 70, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 850, 875, 900, 925, 950, 975, 1000)
CATALOGUE = Catalogue(
    parameters=(
        *(Parameter(name, steps=every(60, 48)) for name in _HOURLY),
        *(Parameter(name, steps=every(15, 48)) for name in ("tot_prec", "aswdir_s", "aswdifd_s")),
        *(
            Parameter(name, "pressure", level, every(60, 48))
            for name in ("t", "u", "v", "relhum")
            for level in _LEVELS
        ),
        *(constant(name) for name in ("hsurf", "clat", "clon")),
    )
)
RUN = datetime(2026, 12, 2, 12, tzinfo=UTC)
_EARLIER = RUN - timedelta(days=1)
_LATER = timedelta(hours=6)
"""After so long nothing of a run has changed for hours."""

_ONCE = Path(__file__).with_name("whole_run_once.py")


def compare(before: Path, rounds: int) -> None:
    """Print a row for each checkout, and the ratio of this one to the other one."""
    checkouts = {"before": before.resolve(), "after": Path(__file__).resolve().parents[2]}
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulator(_EARLIER + _LATER, plan=Plan(CATALOGUE)) as server,
    ):
        archives = {name: Path(folder) / name for name in checkouts}
        for name, checkout in checkouts.items():
            _passed(server, checkout, archives[name], _EARLIER)
        server.clock.turn(RUN + _LATER)
        for number in range(rounds):
            for name in sorted(checkouts, reverse=number % 2 == 0):
                copy = Path(folder) / "copy"
                shutil.copytree(archives[name], copy)
                measured[name].append(_passed(server, checkouts[name], copy, RUN))
                shutil.rmtree(copy)
    _table(measured)


def _passed(server: Simulator, checkout: Path, archive: Path, run: datetime) -> dict[str, Any]:
    """What a process of a checkout reports that archives a run, and what it asked of the server."""
    before = len(server.requests)
    command = [sys.executable, "-P", str(_ONCE), server.url, str(archive), run.isoformat()]
    command.append(server.clock.now().isoformat())
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command, env=environment, cwd=archive.parent, stdout=subprocess.PIPE, check=True, text=True
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    asked = server.requests[before:]
    measured["requests"], measured["bytes"] = len(asked), sum(each.body_bytes for each in asked)
    return measured


def _table(measured: dict[str, list[dict[str, Any]]]) -> None:
    print("| | files | state | wall s | CPU s | peak MB | requests a file | bytes a file |")
    print(f"|{' --- |' * 8}")
    medians = {
        name: {
            key: statistics.median(each[key] for each in rows) for key in ("wall_s", "cpu_s", "own_peak_mb")
        }
        for name, rows in measured.items()
    }
    for name, rows in measured.items():
        last, median = rows[-1], medians[name]
        print(
            f"| {name} | {last['files']} | {last['state']} | {median['wall_s']:.1f} | {median['cpu_s']:.1f} "
            f"| {median['own_peak_mb']:.0f} | {last['requests'] / last['files']:.3f} "
            f"| {last['bytes'] / last['files']:.0f} |"
        )
    ratios = (medians["after"][key] / medians["before"][key] for key in ("wall_s", "cpu_s", "own_peak_mb"))
    print(f"| ratio | | | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} | | |")


def main(arguments: Sequence[str]) -> None:
    """Compare this checkout with another one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dwd.whole_run")
    parser.add_argument("before", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    compare(asked.before, asked.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
