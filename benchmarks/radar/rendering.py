"""Rendering a volume against the replaced way: whole processes, alternating, medians."""

import statistics
import tempfile
from pathlib import Path

from benchmarks.processes import run
from tests.samples import LEVEL2

FILES = ("2016/06/01/KLBB/KLBB20160601_150025_V06", "2022/03/17/KLOT/KLOT20220317_000842_V06")
ROUNDS = 3


def main() -> None:
    """Print one table a file."""
    with tempfile.TemporaryDirectory() as folder:
        for name in FILES:
            _compare(LEVEL2 / name, Path(folder))


def _compare(file: Path, folder: Path) -> None:
    replaced = ["benchmarks.radar.replaced", str(file), str(folder)]
    ours = ["benchmarks.radar.ours", str(file), str(folder), str(folder / "geometry")]
    _run(ours)  # computes the geometries, as the first volume of a site does
    rounds = [(_run(replaced), _run(ours)) for _ in range(ROUNDS)]
    theirs, mine = zip(*rounds, strict=True)
    print(f"\n### {file.name} ({ROUNDS} rounds, medians)\n")
    print("| | replaced | ours | ratio |\n|---|---|---|---|")
    for label, key in (("CPU s, the work itself", "work_s"), ("CPU s, imports counted", "cpu_s")):
        before, after = _median(theirs, key), _median(mine, key)
        print(f"| {label} | {before:.2f} | {after:.3f} | {before / after:.1f} |")
    before, after = _median(theirs, "peak_mb"), _median(mine, "peak_mb")
    print(f"| peak MB | {before:.0f} | {after:.0f} | {before / after:.1f} |")
    before, after = (statistics.mean(runs[0]["images"]) / 1000 for runs in (theirs, mine))
    print(f"| KB an image | {before:.0f} | {after:.0f} | {before / after:.1f} |")
    counts = len(theirs[0]["images"]), len(mine[0]["images"])
    each = [
        _median(runs, "work_s") / count * 1000 for runs, count in zip((theirs, mine), counts, strict=True)
    ]
    print(f"| images | {counts[0]} | {counts[1]} | |")
    print(
        f"| CPU ms an image, reading shared out | {each[0]:.0f} | {each[1]:.1f} | {each[0] / each[1]:.1f} |"
    )
    drawing = statistics.median((run["work_s"] - run["decode_s"]) / counts[1] * 1000 for run in mine)
    print(f"| CPU ms an image, rendering alone | | {drawing:.1f} | |", flush=True)


def _median(runs: tuple[dict, ...], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def _run(module: list[str]) -> dict:
    done = run(module)
    return {**done.told, "cpu_s": done.cpu_s, "peak_mb": done.peak_mb}


if __name__ == "__main__":
    main()
