"""Readers of Level 3: from a file to the values of all its gates, each reader in its own way.

Importing this imports Py-ART and MetPy.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level3.message import read_message
from nexrad_assets.radar.level3.radial import read_radial

os.environ["PYART_QUIET"] = "1"
warnings.simplefilter("ignore")

import pyart  # noqa: E402 - greets and warns otherwise
from metpy.io import Level3File  # type: ignore[import-untyped]  # noqa: E402


def our_values(file: Path) -> NDArray[np.float64]:
    """Values by ray and gate, NaN where a code has none."""
    product = read_radial(read_message(file.read_bytes(), file.name))
    return product.coding.table()[product.codes]


def metpy_values(file: Path) -> NDArray[np.floating]:
    """Values by ray and gate, NaN where a code has none."""
    product = Level3File(str(file))
    values: NDArray[np.floating] = product.map_data(np.array(product.sym_block[0][0]["data"]))
    return values


def pyart_values(file: Path) -> np.ma.MaskedArray:
    """Values by ray and gate, masked where a code has none."""
    radar = pyart.io.read_nexrad_level3(str(file))
    (field,) = radar.fields.values()
    values: np.ma.MaskedArray = field["data"]
    return values


def metpy_packets(file: Path) -> object:
    """A product of vectors taken apart: the positions and texts of its packets, not yet matched."""
    return Level3File(str(file))
