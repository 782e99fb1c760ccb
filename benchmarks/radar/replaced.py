"""The replaced system's way, for comparison: Py-ART reads, `RadarDisplay.plot` draws every sweep.

Run as a process of its own: `python -m benchmarks.radar.replaced FILE OUT`. Prints one JSON line.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path


def main(file: str, out: str) -> None:
    """Render every sweep of a file into a folder and print what that cost."""
    warnings.simplefilter("ignore")
    os.environ["PYART_QUIET"] = "1"
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import pyart

    imported = time.process_time()
    radar = pyart.io.read_nexrad_archive(file)
    images = []
    for sweep in range(radar.nsweeps):
        figure = plt.figure(figsize=(10, 10))
        axes = (
            figure.add_subplot()
        )  # with its margins cut away 2712 x 2695 pixels, as the replaced system drew
        display = pyart.graph.RadarDisplay(radar)
        display.plot(
            "reflectivity",
            sweep,
            ax=axes,
            vmin=-20,
            vmax=60,
            cmap="NWSRef",
            colorbar_flag=False,
            title_flag=False,
        )
        axes.set_axis_off()
        path = Path(out) / f"sweep{sweep}.png"
        figure.savefig(path, dpi=350, transparent=True, bbox_inches="tight", pad_inches=0)
        plt.close(figure)
        images.append(path.stat().st_size)
    work = time.process_time() - imported
    print(json.dumps({"imports_s": imported, "work_s": work, "images": images}))


if __name__ == "__main__":
    main(*sys.argv[1:])
