"""Generate nexrad_assets/radar/image/colour_tables.json from the colour maps of Matplotlib and Py-ART.

Run by hand when a table is added: `python scripts/make_colour_tables.py`. Rendering reads the checked-in
file, because importing Matplotlib costs more than rendering a volume.
"""

import json
from pathlib import Path

import cmweather  # noqa: F401 - registers Py-ART's tables with Matplotlib
import matplotlib as mpl
import numpy as np

NAMES = (
    "NWSRef",
    "NWSVel",
    "NWS_SPW",
    "NWS_CC",
    "HomeyerRainbow",
    "ChaseSpectral",
    "SpectralExtended",
    "RefDiff",
    "Wild25",
    "Theodore16",
    "RRate11",
    "LangRainbow12",
    "Carbone42",
    "BuDRd18",
    "balance",
    "viridis",
    "cividis",
    "plasma",
    "turbo",
)
TARGET = Path(__file__).parents[1] / "nexrad_assets" / "radar" / "image" / "colour_tables.json"


def main() -> None:
    """Write every table as 256 RGB triples in hexadecimal."""
    places = (np.arange(256) + 0.5) / 256
    tables = {
        name: (np.asarray(mpl.colormaps[name](places))[:, :3] * 255).round().astype(np.uint8).tobytes().hex()
        for name in NAMES
    }
    TARGET.write_text(json.dumps(tables, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
