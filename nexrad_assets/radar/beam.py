"""Where a gate is above the ground: the path of the beam through a standard atmosphere.

The 4/3 earth radius model of Doviak and Zrnic, Doppler Radar and Weather Observations (2nd edition),
section 2.2.3: the ray is a straight line over an earth of 4/3 its radius. Heights are above the antenna, ranges
along the ground are arcs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EFFECTIVE_RADIUS_M = 4.0 / 3.0 * 6_371_000.0

Metres = NDArray[np.floating[Any]]


def height_m(slant_m: Metres | float, elevation_deg: float) -> Metres:
    """Height of the beam's centre above the antenna, at a slant range."""
    slant = np.asarray(slant_m, dtype=np.float64)
    radius = EFFECTIVE_RADIUS_M
    rise = 2.0 * slant * radius * np.sin(np.radians(elevation_deg))
    height: Metres = np.sqrt(slant * slant + radius * radius + rise) - radius
    return height


def ground_range_m(slant_m: Metres | float, elevation_deg: float) -> Metres:
    """Length of the arc along the ground below the beam's centre, at a slant range."""
    slant = np.asarray(slant_m, dtype=np.float64)
    above = EFFECTIVE_RADIUS_M + height_m(slant, elevation_deg)
    arc: Metres = EFFECTIVE_RADIUS_M * np.arcsin(slant * np.cos(np.radians(elevation_deg)) / above)
    return arc
