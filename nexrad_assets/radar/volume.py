"""The model of a radar volume that every reader fills and every renderer reads.

Angles are degrees, lengths metres, times seconds since 1970-01-01 UTC (float64). A gate code is the raw
number that the radar sent; `value = (code - offset) / scale` for codes from 2 up, code 0 is below
threshold, code 1 range folded (ICD 2620002, table XVII-I). What Level 3 products say otherwise, a moment tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

FIRST_VALUE = 2
FLAGS: Mapping[int, str] = {0: "below threshold or no data", 1: "range folded"}
"""The Level 2 gate codes that are no values."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What codes stand for: those that `flags` names are no values, nor is any below `first_value`.

    The value of another is `code * step + base`, or `values[code]` where the steps are uneven (none where a code
    has no value).
    """

    step: float
    base: float
    first_value: int = FIRST_VALUE
    flags: Mapping[int, str] = field(default_factory=lambda: FLAGS)
    values: tuple[float | None, ...] | None = None

    def table(self, codes: int = 256) -> NDArray[np.float64]:
        """The values of the first `codes` codes, float64, NaN where there is none."""
        if self.values is None:
            table = np.arange(codes, dtype=np.float64) * self.step + self.base
        else:
            table = np.full(codes, np.nan)
            known = self.values[:codes]
            table[: len(known)] = [np.nan if value is None else value for value in known]
        table[: self.first_value] = np.nan
        table[[code for code in self.flags if code < codes]] = np.nan
        return table


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One moment of one sweep.

    `codes` is uint8 or uint16 (native byte order) of shape (rays, gates), rows in the sweep's ray order;
    a ray that lacks the moment, or has fewer gates, is filled with code 0. `first_gate_m` is the slant
    range to the centre of the first gate. `special` is what codes mean where it is not as in Level 2.
    """

    name: str
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    scale: float
    offset: float
    first_gate_m: float
    gate_spacing_m: float
    special: Meaning | None = None

    @property
    def meaning(self) -> Meaning:
        """What the codes stand for."""
        return self.special or Meaning(1.0 / self.scale, -self.offset / self.scale)

    @property
    def last_edge_m(self) -> float:
        """Slant range to the far edge of the last gate."""
        return float(self.first_gate_m + (self.codes.shape[1] - 0.5) * self.gate_spacing_m)


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One turn of the antenna at one elevation, rays in the order they were sent.

    `azimuth_deg` (float32, ray CENTRES), `elevation_deg` (float32, measured) and `time_s` (float64)
    have one entry a ray. `number` is the 1-based elevation number of the volume; `commanded_deg` the angle
    that the coverage pattern asks for, where known; `spacing_deg` the nominal ray spacing (0.5 or 1.0).
    `waveform` is the pattern's code, where known: 1 surveillance, 2 Doppler with and 3 without ambiguity
    resolution, 4 batch, 5 staggered pulses; `repeat` marks a cut that SAILS or MRLE added (ICD 2620002,
    table XI). `along_ground` says that gates are measured along the ground, and not along the beam: products
    that are made of several sweeps. `width_deg` (float32, one entry a ray), where the source tells it, is what a ray
    covers, half of it on either side of its centre; otherwise a ray reaches to the middle between it and the next.
    """

    number: int
    azimuth_deg: NDArray[np.float32]
    elevation_deg: NDArray[np.float32]
    time_s: NDArray[np.float64]
    spacing_deg: float
    commanded_deg: float | None
    nyquist_mps: float | None
    moments: Mapping[str, Moment]
    waveform: int | None = None
    repeat: bool = False
    along_ground: bool = False
    width_deg: NDArray[np.float32] | None = None

    @property
    def measured_deg(self) -> float:
        """The median of the measured elevations; an angle like 359.8 is negative."""
        signed = np.where(self.elevation_deg > 180.0, self.elevation_deg - 360.0, self.elevation_deg)
        ordered = np.sort(signed)  # np.median would import numpy.ma, 20 ms
        return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A volume scan: where, when, by which pattern, its sweeps in order, and what it lacks.

    `version` is the suffix for its key (`V06`); `start` the time in the volume header; position is that
    of the antenna feed (`height_m` above mean sea level). `missing` tells in words what was lost.
    """

    site: str
    version: str
    start: datetime
    vcp: int | None
    latitude_deg: float
    longitude_deg: float
    height_m: float
    sweeps: tuple[Sweep, ...]
    missing: tuple[str, ...] = ()


class VolumeError(Exception):
    """A file from which nothing can be read; the message names the file and the fault."""
