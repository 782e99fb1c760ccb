"""The archive of DWD's files: `python -m benchmarks.dwd [WHAT ...] [--files N] [--rounds N] [--stations N]`.

- `fields`: files of the old tree (1.6 MB of GRIB each, half of that packed), archived by `archive_run` against the
  replaced crawler's way (a GET on a connection of its own, `bzip2 -d`, `lz4 -z9`, one after the other), from a server
  in a process of its own that waits 5 or 200 ms before it answers. The ways take turns; medians.
- `forecasts`: a MOSMIX file of 6,000 stations, 2 GB of XML, archived as a file for each station.
- `reports`: 970 POI reports, fetched (as fast as they come) and merged into their two days.
- `listing`: what following runs of the v1 tree asks of the server beside the files themselves.
- `grid`: fields of ICON-D2's size brought to the regular grid, read from the archive and stored there.

CPU time is that of the process and its children, the server's apart. The programs `bzip2` and `lz4` are needed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.dwd import fields, listing, stations
from benchmarks.processes import run

FOLDER = fields.FOLDER
FILES = 600
STATIONS = 6_000
REPORTS = 970
ROUNDS = 3
LATENCIES_MS = (5, 200)
RUNS = 2


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    files: int
    stations: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """What it has cost so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def compare_fields(extent: Extent, folder: Path) -> None:
    """Print a table of both ways at each latency."""
    absent = [program for program in ("bzip2", "lz4") if shutil.which(program) is None]
    if absent:
        raise SystemExit(f"no {' and no '.join(absent)}: the replaced way needs them")
    fields.make(folder, extent.files)
    _heading(
        f"{extent.files} files of the old tree ({extent.rounds} rounds, medians)",
        *("server's latency ms", "wall s replaced", "ours", "ratio", "files/s replaced", "ours"),
        *("CPU ms a file replaced", "ours", "ratio", "server's CPU ms a file replaced", "ours"),
    )
    for latency_ms in LATENCIES_MS:
        with served(folder, latency_ms) as server:
            rounds = [
                (
                    _measured(server, "benchmarks.dwd.replaced", str(extent.files)),
                    _measured(server, "benchmarks.dwd.ours", str(extent.files), "fields"),
                )
                for _ in range(extent.rounds)
            ]
        _fields_row(latency_ms, extent.files, *zip(*rounds, strict=True))


def measure_forecasts(extent: Extent, folder: Path) -> None:
    """Print what a file of all stations costs."""
    size = stations.make_forecasts(folder, extent.stations)
    _heading(
        f"MOSMIX of {extent.stations} stations, {size / 1e9:.2f} GB of XML ({extent.rounds} rounds, medians)",
        *("wall s", "CPU s", "peak MB", "stations kept"),
    )
    with served(folder, 0) as server:
        rounds = [_measured(server, "benchmarks.dwd.ours", None, "forecasts") for _ in range(extent.rounds)]
    _row(*_costs(rounds), f"{rounds[0]['files']}")


def measure_reports(extent: Extent, folder: Path) -> None:
    """Print what a pass over all reports costs."""
    stations.make_reports(folder, REPORTS)
    _heading(
        f"{REPORTS} POI reports ({extent.rounds} rounds, medians)",
        *("wall s", "CPU s", "peak MB", "day files written"),
    )
    with served(folder, 0) as server:
        rounds = [_measured(server, "benchmarks.dwd.ours", None, "reports") for _ in range(extent.rounds)]
    _row(*_costs(rounds), f"{rounds[0]['files']}")


def count_listing(_: Extent, __: Path) -> None:
    """Print what following runs asks beside the files, a run each."""
    _heading(
        "following runs of the v1 tree, looked for each minute",
        *("run", "new files", "listings", "listings a new file", "bytes of listings a new file"),
        *("looks without a body a new file", "404 a new file", "fetched again a new file"),
    )
    for number, told in enumerate(listing.follow(RUNS), 1):
        each = (told.heads, told.absent, told.again)
        _row(
            *(f"{number}", f"{told.files}", f"{told.listed}", f"{told.listed / told.files:.3f}"),
            f"{told.listed_bytes / told.files:.0f}",
            *(f"{count / told.files:.3f}" for count in each),
        )


def measure_grid(extent: Extent, _: Path) -> None:
    """Print what a field on the regular grid costs."""
    _heading(
        f"fields of 542,040 cells on the regular grid ({extent.rounds} rounds, medians)",
        *("wall ms a field", "CPU ms a field, decoder counted", "first field of new cells s"),
    )
    rounds = [run(["benchmarks.dwd.grid"]).told for _ in range(extent.rounds)]
    files = rounds[0]["files"]
    wall_ms, cpu_ms = (_median(rounds, key) / files * 1000 for key in ("wall_s", "cpu_s"))
    _row(f"{wall_ms:.1f}", f"{cpu_ms:.1f}", f"{_median(rounds, 'first_s'):.1f}")


@contextmanager
def served(folder: Path, latency_ms: int) -> Iterator[Server]:
    """A server of a folder's files."""
    command = [sys.executable, "-m", "benchmarks.dwd.server", str(folder), str(latency_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Server(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        finally:
            process.kill()


def _measured(server: Server, module: str, files: str | None, *what: str) -> dict[str, Any]:
    """What a process tells that works into a new folder, and what the server cost by it."""
    with tempfile.TemporaryDirectory() as out:
        before = server.cpu_s()
        told = run([module, *what, server.url, out, *(() if files is None else (files,))]).told
        if told.get("failed") or (files is not None and told["files"] != int(files)):
            raise SystemExit(f"{module} did not do all of it: {told}")
        return {**told, "server_s": server.cpu_s() - before}


def _fields_row(
    latency_ms: int, files: int, replaced: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]
) -> None:
    wall = [_median(way, "wall_s") for way in (replaced, ours)]
    cpu = [_median(way, "cpu_s") / files * 1000 for way in (replaced, ours)]
    server = [_median(way, "server_s") / files * 1000 for way in (replaced, ours)]
    _row(
        f"{latency_ms}",
        *(f"{wall[0]:.1f}", f"{wall[1]:.1f}", f"{wall[0] / wall[1]:.2f}"),
        *(f"{files / seconds:.1f}" for seconds in wall),
        *(f"{cpu[0]:.1f}", f"{cpu[1]:.1f}", f"{cpu[0] / cpu[1]:.2f}"),
        *(f"{milliseconds:.1f}" for milliseconds in server),
    )


def _costs(rounds: Sequence[dict[str, Any]]) -> list[str]:
    wall, cpu, peak = (_median(rounds, key) for key in ("wall_s", "cpu_s", "own_peak_mb"))
    return [f"{wall:.2f}", f"{cpu:.2f}", f"{peak:.0f}"]


def _median(rounds: Sequence[dict[str, Any]], key: str) -> float:
    return statistics.median(each[key] for each in rounds)


def _heading(title: str, *columns: str) -> None:
    print(f"\n### DWD: {title}\n")
    _row(*columns)
    _row(*("---" for _ in columns))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


PARTS: dict[str, Callable[[Extent, Path], None]] = {
    "fields": compare_fields,
    "forecasts": measure_forecasts,
    "reports": measure_reports,
    "listing": count_listing,
    "grid": measure_grid,
}


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables that are asked for, all by default."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dwd", description="The archive of DWD's files."
    )
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="all of it by default")
    parser.add_argument("--files", type=int, default=FILES, help="files of the old tree")
    parser.add_argument("--stations", type=int, default=STATIONS, help="stations of the MOSMIX file")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args(arguments)
    for name in asked.what or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Extent(asked.files, asked.stations, asked.rounds), Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
