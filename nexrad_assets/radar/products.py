"""The table of products that are rendered from Level 2: which moment, unit, range and colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """How a moment is shown. `value_range` (in `unit`) is what the colour table `colours` spans.

    `transparent` are the gate codes that show nothing; `codes` says what the indices below 2 mean.
    """

    name: str
    label: str
    moment: str
    unit: str
    value_range: tuple[float, float]
    colours: str
    transparent: tuple[int, ...]
    codes: Mapping[int, str]


REFLECTIVITY = Product(
    name="reflectivity",
    label="Reflectivity",
    moment="REF",
    unit="dBZ",
    value_range=(-20.0, 60.0),
    colours="NWSRef",
    transparent=(0, 1),
    codes={0: "below threshold or no data", 1: "range folded"},
)

PRODUCTS: Mapping[str, Product] = {REFLECTIVITY.name: REFLECTIVITY}
"""Every Level 2 product, by name."""
