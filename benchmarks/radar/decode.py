"""CPU time of decoding a Level 2 volume whole: this project's reader against others, and bzip2 alone.

    python -m benchmarks.radar.decode [--rounds N] FILE...

Every reader decodes all sweeps and moments of each file in its own way. The readers take turns in one
process, after one round that is not counted; the table shows the median process CPU time (all threads) and
its ratio to unpacking the same bzip2 records alone. A reader that is not installed is told and left out.
"""

from __future__ import annotations

import argparse
import bz2
import gc
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path

from nexrad_assets.radar.level2.archive2 import read_volume

Reader = Callable[[Path], object]
BASELINE = "bzip2 alone"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the files of a command line and print one table each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    os.environ.setdefault("PYART_QUIET", "1")
    warnings.simplefilter("ignore")
    readers = installed_readers()
    for path in options.files:
        print_table(path, measure(path, readers, options.rounds))


def installed_readers() -> dict[str, Reader]:
    """Every reader whose package can be imported; the import is not part of the measurement."""
    readers: dict[str, Reader] = {BASELINE: unpack, "this project": ours}
    others: dict[str, tuple[str, Reader]] = {
        "Py-ART": ("pyart", pyart),
        "MetPy": ("metpy.io", metpy),
        "xradar": ("xradar", xradar),
        "recast-radar": ("recast_radar", recast),
    }
    for name, (module, reader) in others.items():
        try:
            import_module(module)
        except ImportError as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
        else:
            readers[name] = reader
    return readers


def measure(path: Path, readers: dict[str, Reader], rounds: int) -> dict[str, float]:
    """Median CPU seconds by reader, the readers alternating; one that fails on the file is told."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(rounds + 1):
        for name, reader in readers.items():
            if name not in seconds:
                continue
            gc.collect()
            begun = time.process_time()
            try:
                reader(path)
            except Exception as error:  # noqa: BLE001 - any fault of another reader is a result to show
                print(f"{name}: fails on {path.name} ({error!r})", file=sys.stderr)
                del seconds[name]
                continue
            if turn:
                seconds[name].append(time.process_time() - begun)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_table(path: Path, medians: dict[str, float]) -> None:
    """One line a reader, the cheapest first."""
    print(f"\n{path.name} ({path.stat().st_size / 1e6:.1f} MB)\n{'reader':<14}{'CPU s':>8}{'ratio':>8}")
    for name, seconds in sorted(medians.items(), key=lambda item: item[1]):
        print(f"{name:<14}{seconds:>8.3f}{seconds / medians[BASELINE]:>8.2f}")


def unpack(path: Path) -> int:
    """Unpack the bzip2 records one after another, keeping none."""
    data = path.read_bytes()
    at, size = 24, 0
    while at + 4 <= len(data):
        length = abs(int.from_bytes(data[at : at + 4], "big", signed=True))
        size += len(bz2.BZ2Decompressor().decompress(memoryview(data)[at + 4 : at + 4 + length]))
        at += 4 + length
    return size


def ours(path: Path) -> object:
    """All moments of all sweeps, as gate codes."""
    return read_volume(path.read_bytes(), path.name)


def pyart(path: Path) -> object:
    """A `Radar` with every field loaded."""
    reader = import_module("pyart.io.nexrad_archive")
    return reader.read_nexrad_archive(str(path), delay_field_loading=False)


def metpy(path: Path) -> object:
    """A `Level2File`, whose sweeps hold every moment of every ray as values."""
    return import_module("metpy.io").Level2File(BytesIO(path.read_bytes()))


def xradar(path: Path) -> object:
    """A `DataTree` with every variable loaded."""
    return import_module("xradar").io.open_nexradlevel2_datatree(str(path)).load()


def recast(path: Path) -> object:
    """A `DataTree` with every variable loaded."""
    return import_module("recast_radar").open(str(path)).load()


if __name__ == "__main__":
    main()
