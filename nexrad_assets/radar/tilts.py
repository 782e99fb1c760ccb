"""Which sweeps of a volume show a moment, by tilt: split cuts merged, repeats kept.

A tilt is an angle, not an index: the commanded one where the volume tells it, else the measured one.
At low angles a volume turns twice (a split cut): a surveillance sweep for REF and the polarimetric
moments, and a Doppler sweep for VEL and SW that carries REF again, of shorter range. SAILS and MRLE repeat low
angles within a volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nexrad_assets.radar.volume import Sweep, Volume

SAME_TILT_DEG = 0.15
"""Angles this close are one tilt."""


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    """A distinct angle, and the sweeps that show the moment there, in order of time (at least one)."""

    angle_deg: float
    sweeps: tuple[Sweep, ...]


def tilts(volume: Volume, moment: str) -> tuple[Tilt, ...]:
    """The tilts of a volume that show a moment, from the lowest angle up."""
    by_angle = sorted(volume.sweeps, key=lambda sweep: (angle_deg(sweep), sweep.number))
    groups: list[list[Sweep]] = []
    for sweep in by_angle:
        if groups and angle_deg(sweep) - angle_deg(groups[-1][0]) <= SAME_TILT_DEG:
            groups[-1].append(sweep)
        else:
            groups.append([sweep])
    shown = ((group, _showing(group, moment)) for group in groups)
    return tuple(Tilt(round(angle_deg(group[0]), 2), sweeps) for group, sweeps in shown if sweeps)


def angle_deg(sweep: Sweep) -> float:
    """The angle that names a sweep's tilt."""
    return sweep.measured_deg if sweep.commanded_deg is None else sweep.commanded_deg


def _showing(group: Iterable[Sweep], moment: str) -> tuple[Sweep, ...]:
    in_time = sorted(group, key=lambda sweep: sweep.number)
    surveillance = {sweep.number for sweep in in_time if _is_surveillance(sweep) and moment in sweep.moments}
    return tuple(
        sweep
        for sweep in in_time
        if moment in sweep.moments and (_is_surveillance(sweep) or sweep.number - 1 not in surveillance)
    )


def _is_surveillance(sweep: Sweep) -> bool:
    return "VEL" not in sweep.moments
