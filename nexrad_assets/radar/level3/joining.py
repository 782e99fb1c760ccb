"""Rows of a text table joined to the packets that they describe, by azimuth and range.

Some packets (19 hail, 12 and 26 vortex signatures) name no storm; their tables print the position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nexrad_assets.radar.level3.attributes import Bearing
from nexrad_assets.radar.level3.symbols import Point


@dataclass(frozen=True, slots=True, eq=False)
class Printed:
    """A row of a table: where it says its feature is, and the properties it gives."""

    at: Bearing
    properties: dict[str, Any]


def join(points: Sequence[Point], rows: Sequence[Printed]) -> list[dict[str, Any]]:
    """The properties for each position: those of the nearest row that rounding explains, each used once.

    The first of equally near rows is taken, for tables and packets have the same order; a position without a
    row gets no properties.
    """
    free = list(rows)
    joined = []
    for point in points:
        distances = [
            (off, at) for at, row in enumerate(free) if (off := row.at.distance_off(point)) is not None
        ]
        joined.append(free.pop(min(distances)[1]).properties if distances else {})
    return joined
