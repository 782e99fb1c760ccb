"""Volume coverage patterns: which cuts a simulated radar makes, how fast, and what each one measures.

The patterns follow message 5 of operational radars (ICD 2620002, table XI), where two angles of a low
elevation are a split cut: a surveillance turn with a long range, then a Doppler turn of the same angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

FIRST_GATE_M = 2125
GATE_SPACING_M = 250
ANGLE_UNIT_DEG = 360.0 / 65536.0
"""The unit of angles in message 5, and of the encoders behind message 31."""

_SPEED_OF_LIGHT_MPS = 299_792_458.0
_WAVELENGTH_M = 0.1102
_SURVEILLANCE_PRF_HZ = {1: 322.0, 2: 446.0, 3: 644.0}
_DOPPLER_PRF_HZ = {4: 857.0, 5: 1014.0, 6: 1095.0, 7: 1181.0, 8: 1282.0}

_DUAL_POL = ("ZDR", "PHI", "RHO")


class Waveform(IntEnum):
    """How a cut's pulses are sent, as message 5 numbers it."""

    SURVEILLANCE = 1
    DOPPLER_SZ2 = 2
    DOPPLER = 3
    BATCH = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """One turn of the antenna: `angle_code` in units of 360/65536 degrees, `rate_code` of 22.5/16384 deg/s.

    `gates` names the moments in the order in which the radar sends them, each with its number of gates.
    `sails` numbers a repeat of the lowest angle within the volume, 0 for a cut of the pattern itself.
    """

    angle_code: int
    waveform: Waveform
    rate_code: int
    prf: int
    pulses: int
    gates: tuple[tuple[str, int], ...]
    sails: int = 0

    @property
    def longest(self) -> int:
        """The number of gates of the longest moment."""
        return max(count for _, count in self.gates)

    @property
    def elevation_deg(self) -> float:
        """The commanded elevation."""
        return self.angle_code * ANGLE_UNIT_DEG

    @property
    def super_resolution(self) -> bool:
        """Whether the rays are half a degree apart."""
        return self.waveform in (Waveform.SURVEILLANCE, Waveform.DOPPLER_SZ2)

    @property
    def rays(self) -> int:
        """How many rays one turn has."""
        return 720 if self.super_resolution else 360

    @property
    def turn_s(self) -> float:
        """How long one turn takes."""
        return 360.0 / (self.rate_code * 22.5 / 16384.0)

    @property
    def prf_hz(self) -> float:
        """Pulses a second: those for velocity where the cut measures it."""
        table = _SURVEILLANCE_PRF_HZ if self.waveform is Waveform.SURVEILLANCE else _DOPPLER_PRF_HZ
        return table[self.prf]

    @property
    def nyquist_mps(self) -> float:
        """The unambiguous velocity, rounded to the 0.01 m/s in which message 31 gives it."""
        return round(_WAVELENGTH_M * self.prf_hz / 4.0, 2)

    @property
    def unambiguous_range_m(self) -> float:
        """The unambiguous range, rounded to the 100 m in which message 31 gives it."""
        return round(_SPEED_OF_LIGHT_MPS / (2.0 * self.prf_hz), -2)


@dataclass(frozen=True, slots=True)
class CoveragePattern:
    """A volume coverage pattern and the time from one volume's start to the next one's."""

    number: int
    cuts: tuple[Cut, ...]
    cadence_s: int
    clear_air: bool

    def cut_starts_s(self) -> tuple[float, ...]:
        """Seconds from the volume's start to the first ray of each cut."""
        starts = [0.0]
        for cut in self.cuts[:-1]:
            starts.append(starts[-1] + cut.turn_s + _STEP_S)
        return tuple(starts)

    @property
    def duration_s(self) -> float:
        """Seconds from the first ray of the volume to its last one."""
        return self.cut_starts_s()[-1] + self.cuts[-1].turn_s


_STEP_S = 0.75
"""How long the antenna takes from one angle to the next (real radars: 0.7 to 2 s)."""


def _gates(reflectivity: int, others: int, names: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Gate counts: reflectivity and clutter power have the first number, all others the second."""
    return tuple((name, reflectivity if name in ("REF", "CFP") else others) for name in names)


def _split_cut(angle_code: int, gates: int, rates: tuple[int, int], sails: int = 0) -> tuple[Cut, Cut]:
    """The surveillance and the Doppler turn of a low angle."""
    long_range = _gates(gates, 1192, ("REF", *_DUAL_POL, "CFP"))
    doppler = _gates(1192, 1192, ("REF", "VEL", "SW"))
    return (
        Cut(angle_code, Waveform.SURVEILLANCE, rates[0], 1, 15, long_range, sails),
        Cut(angle_code, Waveform.DOPPLER_SZ2, rates[1], 5, 64, doppler, sails),
    )


def _one_turn(angle_code: int, waveform: Waveform, rate_code: int, prf: int, gates: int) -> Cut:
    """A cut that measures everything in one turn of 360 rays."""
    counts = _gates(gates, min(gates, 1192), ("REF", "VEL", "SW", *_DUAL_POL, "CFP"))
    return Cut(angle_code, waveform, rate_code, prf, 40, counts)


_STORM_RATES = (20000, 14200)
_STORM_LOW = (*_split_cut(88, 1832, _STORM_RATES), *_split_cut(160, 1832, _STORM_RATES))

VCP_212 = CoveragePattern(
    number=212,
    cuts=(
        *_STORM_LOW,
        *_split_cut(240, 1712, _STORM_RATES),
        _one_turn(328, Waveform.BATCH, 22800, 5, 1540),
        _one_turn(440, Waveform.BATCH, 22800, 5, 1336),
        _one_turn(568, Waveform.BATCH, 22800, 5, 1168),
        _one_turn(728, Waveform.BATCH, 22800, 5, 988),
        *_split_cut(88, 1832, _STORM_RATES, sails=1),
        _one_turn(928, Waveform.BATCH, 22800, 5, 824),
        _one_turn(1168, Waveform.BATCH, 22800, 5, 684),
        _one_turn(1456, Waveform.DOPPLER, 22000, 6, 556),
        _one_turn(1824, Waveform.DOPPLER, 22000, 7, 444),
        _one_turn(2272, Waveform.DOPPLER, 22000, 8, 360),
        _one_turn(2840, Waveform.DOPPLER, 22000, 8, 292),
        _one_turn(3552, Waveform.DOPPLER, 22000, 8, 232),
    ),
    cadence_s=270,
    clear_air=False,
)
"""Precipitation: 14 angles up to 19.5 degrees, the three lowest split, the lowest repeated once (SAILS)."""

_CLEAR_RATES = (3616, 14584)

VCP_35 = CoveragePattern(
    number=35,
    cuts=(
        *_split_cut(88, 1832, _CLEAR_RATES),
        *_split_cut(160, 1832, _CLEAR_RATES),
        *_split_cut(240, 1712, _CLEAR_RATES),
        _one_turn(328, Waveform.BATCH, 11280, 5, 1540),
        _one_turn(440, Waveform.BATCH, 12928, 5, 1336),
        _one_turn(568, Waveform.BATCH, 12328, 5, 1168),
        _one_turn(728, Waveform.BATCH, 13160, 5, 988),
        _one_turn(928, Waveform.BATCH, 13160, 5, 824),
        _one_turn(1168, Waveform.BATCH, 13160, 5, 684),
    ),
    cadence_s=432,
    clear_air=True,
)
"""Clear air: 9 slow angles up to 6.4 degrees, the three lowest split."""
