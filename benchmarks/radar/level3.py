"""Level 3 against the replaced way and other readers: `python -m benchmarks.radar.level3`.

Tables of medians: one image by a whole process, imports counted; the same inside one process, imports done; reading
alone, of gates and of vectors. In each the ways take turns. Geometries are kept, as in a deployment, but where a
column says otherwise.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.processes import ProcessCost, run
from benchmarks.radar import level3_ours
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.radar.image.geometry import GeometryCache
from tests.samples import SAMPLES

FOLDER = SAMPLES / "nexrad" / "level3"
DRAWN = (
    "AMX_N0B_2026_07_06_15_45_17",
    "LOT_N0H_2021_04_28_21_11_56",
    "AMX_DAA_2026_07_10_04_57_17",
    "LOT_DAA_2021_02_28_12_14_47",
)
IN_PROCESSES = DRAWN[:3]
"""One of each product: a process of the replaced way takes many seconds."""

VECTORS = ("AMX_NST_2026_07_10_04_57_17", "ICT_NST_2026_07_10_05_07_19")

PROCESS_ROUNDS = 3
DRAWING_ROUNDS = 7
READING_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Cost:
    """The median of a way's rounds in this process: CPU time of all threads, time that passed."""

    cpu_ms: float
    wall_ms: float


def main() -> None:
    """Print every table."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        compare_processes(out)  # first: a child's peak memory counts that of its parent when it starts
        compare_drawing(out)
    compare_reading()


def compare_processes(out: Path) -> None:
    """Print what one image costs as a process of its own, geometries kept in a folder."""
    _heading(
        f"one image by a whole process, imports counted ({PROCESS_ROUNDS} rounds)",
        "file",
        *("CPU s replaced", "ours", "ratio"),
        *("wall s replaced", "ours", "ratio"),
        *("peak MB replaced", "ours", "ratio"),
    )
    for name in IN_PROCESSES:
        file, folder, cache = str(FOLDER / name), str(out), str(out / "geometry")
        replaced = ["benchmarks.radar.level3_replaced", file, folder]
        ours = ["benchmarks.radar.level3_ours", file, folder, cache]
        run(ours)  # computes the geometry, as the first image of a site does
        rounds = [(run(replaced), run(ours)) for _ in range(PROCESS_ROUNDS)]
        theirs, mine = zip(*rounds, strict=True)
        _row(name, *_process_cells(theirs, mine))


def compare_drawing(out: Path) -> None:
    """Print what file to image and metadata costs in this process, with kept geometry and without."""
    from benchmarks.radar import level3_replaced

    _heading(
        f"file to image and metadata, imports not counted ({DRAWING_ROUNDS} rounds)",
        "file",
        *("CPU ms replaced", "ours", "ratio"),
        *("wall ms replaced", "ours", "ratio"),
        *("CPU ms ours with a new geometry", "ratio"),
        *("KB replaced", "ours"),
    )
    recipe, kept = Level3Recipe(level3_ours.SIZE), GeometryCache(out / "geometry")
    for name in DRAWN:
        ways: dict[str, Callable[[], object]] = {
            "replaced": partial(level3_replaced.draw, FOLDER / name, out),
            "ours": partial(level3_ours.draw, FOLDER / name, out, recipe, kept),
            "new": partial(_drawn_anew, FOLDER / name, out, recipe),
        }
        costs = alternating(ways, DRAWING_ROUNDS)
        replaced, ours, new = (costs[way] for way in ways)
        _row(
            name,
            *_ratio(replaced.cpu_ms, ours.cpu_ms, 1),
            *_ratio(replaced.wall_ms, ours.wall_ms, 1),
            *_ratio(replaced.cpu_ms, new.cpu_ms, 1)[1:],
            *(f"{(out / picture).stat().st_size / 1000:.0f}" for picture in ("replaced.png", "ours.png")),
        )


def compare_reading() -> None:
    """Print what reading costs in this process, by reader."""
    from benchmarks.radar import level3_readers as readers

    _heading(
        f"CPU ms to the values of all gates ({READING_ROUNDS} rounds)",
        *("file", "Py-ART", "MetPy", "ours", "Py-ART / ours", "MetPy / ours"),
    )
    for name in DRAWN:
        file = FOLDER / name
        _reading_row(
            name,
            partial(readers.pyart_values, file),
            partial(readers.metpy_values, file),
            partial(readers.our_values, file),
        )
    recipe = Level3Recipe(level3_ours.SIZE)
    _heading(
        f"CPU ms of storm tracks, MetPy to packets, ours to GeoJSON ({READING_ROUNDS} rounds)",
        *("file", "MetPy", "ours", "MetPy / ours"),
    )
    for name in VECTORS:
        file = FOLDER / name
        _reading_row(name, partial(readers.metpy_packets, file), partial(level3_ours.document, file, recipe))


def _reading_row(name: str, *ways: Callable[[], object]) -> None:
    """A row of what each way costs, and the ratio of each other one to the last, which is ours."""
    costs = alternating({str(number): way for number, way in enumerate(ways)}, READING_ROUNDS)
    *others, ours = (cost.cpu_ms for cost in costs.values())
    _row(name, *(f"{cost:.2f}" for cost in (*others, ours)), *(f"{cost / ours:.1f}" for cost in others))


def alternating(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Cost]:
    """What each way costs in this process, the ways taking turns; a first round is not counted."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            gc.collect()
            cpu_began, wall_began = time.process_time(), time.perf_counter()
            way()
            cpu_ended, wall_ended = time.process_time(), time.perf_counter()
            if turn:
                cpu[name].append(cpu_ended - cpu_began)
                wall[name].append(wall_ended - wall_began)
    return {
        name: Cost(statistics.median(cpu[name]) * 1000.0, statistics.median(wall[name]) * 1000.0)
        for name in ways
    }


def _drawn_anew(file: Path, out: Path, recipe: Level3Recipe) -> None:
    """Draw with an empty folder of geometries, as the first image of a site on a canvas is drawn."""
    with tempfile.TemporaryDirectory(dir=out) as empty:
        level3_ours.draw(file, out, recipe, GeometryCache(Path(empty)))


def _process_cells(theirs: Sequence[ProcessCost], mine: Sequence[ProcessCost]) -> list[str]:
    return [
        *_ratio(
            statistics.median([one.cpu_s for one in theirs]),
            statistics.median([one.cpu_s for one in mine]),
            2,
        ),
        *_ratio(
            statistics.median([one.wall_s for one in theirs]),
            statistics.median([one.wall_s for one in mine]),
            2,
        ),
        *_ratio(
            statistics.median([one.peak_mb for one in theirs]),
            statistics.median([one.peak_mb for one in mine]),
            0,
        ),
    ]


def _ratio(before: float, after: float, digits: int) -> tuple[str, str, str]:
    return f"{before:.{digits}f}", f"{after:.{digits}f}", f"{before / after:.1f}"


def _heading(title: str, *columns: str) -> None:
    print(f"\n### Level 3: {title}, medians\n")
    _row(*columns)
    _row(*("---" for _ in columns))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
