"""The replaced system's way with a Level 3 product: Py-ART reads it, `RadarDisplay.plot` draws it.

As a process of its own, `python -m benchmarks.radar.level3_replaced FILE OUT`, it prints one JSON line.
"""

from __future__ import annotations

import os
import warnings

os.environ["PYART_QUIET"] = "1"
warnings.simplefilter("ignore")

import json  # noqa: E402 - Py-ART greets and warns when imported
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib as mpl  # noqa: E402

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import pyart  # noqa: E402

INCHES, DOTS_PER_INCH = 10, 350
"""With the margins cut away, 2712 x 2695 pixels: the size of the replaced system's pictures."""

COLOURS = {
    "reflectivity": ("NWSRef", -20.0, 60.0),
    "radar_echo_classification": ("viridis", 0.0, 150.0),
    "radar_estimated_rain_rate": ("HomeyerRainbow", 0.0, 3.0),
}
"""Colour map and range by the name that Py-ART gives a field."""


def draw(file: Path, out: Path) -> int:
    """Write the picture of a product file into a folder; gives its bytes."""
    radar = pyart.io.read_nexrad_level3(str(file))
    (field,) = radar.fields
    colours, lowest, highest = COLOURS[field]
    figure = plt.figure(figsize=(INCHES, INCHES))
    axes = figure.add_subplot()
    display = pyart.graph.RadarDisplay(radar)
    display.plot(
        field,
        0,
        ax=axes,
        vmin=lowest,
        vmax=highest,
        cmap=colours,
        colorbar_flag=False,
        title_flag=False,
    )
    axes.set_axis_off()
    path = out / "replaced.png"
    figure.savefig(path, dpi=DOTS_PER_INCH, transparent=True, bbox_inches="tight", pad_inches=0)
    plt.close(figure)
    return path.stat().st_size


def main(file: str, out: str) -> None:
    """Draw a file into a folder and print the bytes of its picture."""
    print(json.dumps({"image": draw(Path(file), Path(out))}))


if __name__ == "__main__":
    main(*sys.argv[1:])
