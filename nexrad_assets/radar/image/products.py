"""How what a radar measures is shown: unit, range, colours; and the table of what is rendered from Level 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CodeClass:
    """A gate code that is no number but a class: its name and colour."""

    name: str
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Product:
    """How a moment is shown. `value_range` (in `unit`) is what the colour table `colours` spans.

    The table's colours are spread evenly over the range, or between its `rungs`: values that rise from its lowest
    to its highest, closer where it matters. Gate codes that are no values show nothing, but for those whose
    meaning `flag_colours` names, and for `classes`, which are the values of a product that tells kinds and
    not amounts and has no table; nor do values in `unseen`, both ends included.
    """

    name: str
    label: str
    moment: str
    unit: str
    value_range: tuple[float, float]
    colours: str | None
    flag_colours: Mapping[str, Rgb] = field(default_factory=dict)
    classes: Mapping[int, CodeClass] = field(default_factory=dict)
    rungs: tuple[float, ...] | None = None
    unseen: tuple[float, float] | None = None


REFLECTIVITY = Product(
    name="reflectivity",
    label="Reflectivity",
    moment="REF",
    unit="dBZ",
    value_range=(-20.0, 60.0),
    colours="NWSRef",
)

PRODUCTS: Mapping[str, Product] = {REFLECTIVITY.name: REFLECTIVITY}
"""Every Level 2 product, by name."""
