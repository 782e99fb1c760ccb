"""The volume coverage pattern: which angle, waveform and repetition each cut was asked for.

Source: ICD 2620002 (RDA/RPG), message 5, table XI. Angles are codes of 180/32768 degrees.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEAD = struct.Struct(">4H14x")
_CUT = struct.Struct(">HxB24xH16x")
_SAILS_OR_MRLE = 0b1_0001


@dataclass(frozen=True, slots=True)
class Cut:
    """One elevation of the pattern; an angle below the horizon is negative."""

    angle_deg: float
    waveform: int
    repeat: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """A coverage pattern: its number and its cuts in the order they are turned."""

    number: int
    cuts: tuple[Cut, ...]

    def cut(self, elevation_number: int) -> Cut | None:
        """The cut of a 1-based elevation number, or None where the pattern has none."""
        known = 1 <= elevation_number <= len(self.cuts)
        return self.cuts[elevation_number - 1] if known else None


def read_pattern(body: bytes) -> Pattern | None:
    """Read the body of a message 5 (after its message header); None where it is no pattern."""
    if len(body) < _HEAD.size:
        return None
    _, _, number, cuts = _HEAD.unpack_from(body)
    if not 1 <= cuts <= (len(body) - _HEAD.size) // _CUT.size:
        return None
    return Pattern(number, tuple(_cut(body, _HEAD.size + _CUT.size * index) for index in range(cuts)))


def _cut(body: bytes, at: int) -> Cut:
    code, waveform, supplement = _CUT.unpack_from(body, at)
    angle = code * 180.0 / 32768.0
    return Cut(angle - 360.0 if angle > 180.0 else angle, waveform, bool(supplement & _SAILS_OR_MRLE))
