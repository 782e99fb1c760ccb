"""What a gate code of a Level 3 product means: flags, and the code's value in the product's unit.

Source: ICD 2620001 (RPG/Class 1 User), figure 3-6, note 1 (halfwords 31-46 by product).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.packets import FormatError, halfword

BELOW_THRESHOLD = "below threshold"
NO_DATA = "no data"
RANGE_FOLDED = "range folded"
RESERVED = "reserved"
NO_ACCUMULATION = "no accumulation"

_BYTE_LEVELS = 256
_HALFWORD_LEVELS = 65_536
_LEVELS_16 = 16
_LABELS = (
    "blank",
    BELOW_THRESHOLD,
    NO_DATA,
    RANGE_FOLDED,
    "biological",
    "ground clutter",
    "ice crystals",
    "graupel",
    "wet snow",
    "dry snow",
    "rain",
    "heavy rain",
    "big drops",
    "hail",
    "unknown",
    "large hail",
    "giant hail",
)
_DIVISORS = ((0x4000, 100.0), (0x2000, 20.0), (0x1000, 10.0))
_FIRST_WIDTH_CODE = 129  # ICD 2620001, note 1: of spectrum width the codes below it are not used
_HUNDREDTHS = 100.0
_RATE = 176  # the one product with codes of 16 bits


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How gate codes turn into values.

    Codes below `first_value` and the keys of `flags` have none; `flags` tells in words what those mean that
    the format names. Otherwise `value = (code - offset) / scale`, or `values[code]` (float64, NaN for
    flags) where there is such a table. `last_value` is the largest code with a value, `levels` the number of
    codes that the gates' type can hold: 256, or 65,536 where codes have 16 bits.
    """

    first_value: int
    last_value: int
    flags: Mapping[int, str]
    scale: float
    offset: float
    values: NDArray[np.float64] | None = None
    levels: int = _BYTE_LEVELS

    def table(self) -> NDArray[np.float64]:
        """The value of every code below `levels`, NaN for those without (float64)."""
        if self.values is not None:
            return self.values
        table = np.full(self.levels, np.nan)
        codes = np.arange(self.first_value, self.last_value + 1)
        table[codes] = (codes - self.offset) / self.scale
        table[list(self.flags)] = np.nan
        return table


def coding_of(message: Message) -> Coding:
    """The coding of a product's gates. Raises `FormatError` where the thresholds make no sense."""
    return _CODINGS[message.code](message)


def _threshold(message: Message, number: int) -> int:
    """Threshold halfword `number` (31 to 46), unsigned."""
    return halfword(message.thresholds, 2 * (number - 31))


def _signed(message: Message, number: int) -> int:
    return int.from_bytes(message.thresholds[2 * (number - 31) :][:2], "big", signed=True)


def _linear(coding: Coding) -> Coding:
    """The coding, if its scale and offset are numbers to reckon with."""
    if not (math.isfinite(coding.scale) and math.isfinite(coding.offset)) or coding.scale <= 0:
        raise FormatError(f"its thresholds give scale {coding.scale} and offset {coding.offset}")
    return coding


def _by_minimum(message: Message, first: int, flags: Mapping[int, str], units: tuple[float, float]) -> Coding:
    """Codes told by minimum, increment and number of levels in halfwords 31-33."""
    minimum, increment = _signed(message, 31) / units[0], _threshold(message, 32) / units[1]
    if increment == 0:
        raise FormatError("its thresholds tell an increment of 0")
    last = min(first + _threshold(message, 33), _BYTE_LEVELS) - 1
    return _linear(Coding(first, last, flags, 1.0 / increment, first - minimum / increment))


def _reflectivity(message: Message) -> Coding:
    """Reflectivity in dBZ. The ICD calls code 1 missing."""
    return _by_minimum(message, 2, {0: BELOW_THRESHOLD, 1: NO_DATA}, (10.0, 10.0))


def _velocity(message: Message) -> Coding:
    """Velocity in m/s."""
    return _by_minimum(message, 2, {0: BELOW_THRESHOLD, 1: RANGE_FOLDED}, (10.0, 10.0))


def _spectrum_width(message: Message) -> Coding:
    """Spectrum width in m/s."""
    return _by_minimum(message, _FIRST_WIDTH_CODE, {0: BELOW_THRESHOLD, 1: RANGE_FOLDED}, (10.0, 10.0))


def _storm_total(message: Message) -> Coding:
    """Inches. Code 0 is the minimum, which is nothing; code 1 the first that is more (note 1)."""
    return _by_minimum(message, 0, {}, (10.0, _HUNDREDTHS))


def _float_coded(message: Message, divisor: float, alone: str = NO_DATA) -> Coding:
    """Codes told by a scale and an offset of 32 bits, and how many codes at either end are flags.

    `alone` is what the leading flag means where there is one alone; two are below threshold and range folded.
    """
    scale, offset = struct.unpack_from(">ff", message.thresholds)
    last, leading, trailing = (_threshold(message, number) for number in (36, 37, 38))
    levels = _HALFWORD_LEVELS if message.code == _RATE else _BYTE_LEVELS
    if leading + trailing > last or last >= levels:
        raise FormatError(f"its thresholds tell {leading} + {trailing} flags, and {last} as the last code")
    names = (alone,) if leading == 1 else (BELOW_THRESHOLD, RANGE_FOLDED)
    flags = dict(zip(range(leading), names, strict=False))
    flags.update(dict.fromkeys(range(last - trailing + 1, last + 1), RESERVED))
    return _linear(Coding(leading, last - trailing, flags, scale * divisor, offset, levels=levels))


def _dual_polarisation(message: Message) -> Coding:
    """The unit of the product: dB, none, degrees a kilometre, inches an hour."""
    return _float_coded(message, 1.0)


def _accumulation(message: Message) -> Coding:
    """Inches: the product's scale and offset give hundredths of an inch."""
    return _float_coded(message, _HUNDREDTHS, NO_ACCUMULATION)


def _difference(message: Message) -> Coding:
    """Inches of dual minus single polarisation. A difference of nothing has a code of its own, not 0."""
    return _float_coded(message, _HUNDREDTHS)


def _classes(_message: Message) -> Coding:
    """The number of the class, in tens: 10 biological to 140 unknown."""
    return Coding(10, 140, {0: NO_DATA, 150: RANGE_FOLDED}, 1.0, 0.0)


def _liquid(message: Message) -> Coding:
    """Vertically integrated liquid in kg/m2: linear codes, then logarithmic ones."""
    scale, offset, log_scale, log_offset = (_float16(_threshold(message, n)) for n in (31, 32, 34, 35))
    log_start = _threshold(message, 33)
    if scale == 0 or log_scale == 0:
        raise FormatError("its thresholds tell a scale of 0")
    codes = np.arange(_BYTE_LEVELS, dtype=np.float64)
    with np.errstate(over="ignore"):
        logarithmic = np.exp((codes - log_offset) / log_scale)
    values = np.where(codes < log_start, (codes - offset) / scale, logarithmic)
    flags = {0: BELOW_THRESHOLD, 1: "flagged", 255: RESERVED}
    values[list(flags)] = np.nan
    return Coding(2, 254, flags, 1.0, 0.0, values)


def _float16(bits: int) -> float:
    """A 16-bit float of the ICD: sign, 5 bits of exponent biased by 16, 10 bits of fraction."""
    sign = -1.0 if bits & 0x8000 else 1.0
    exponent, fraction = bits >> 10 & 0x1F, bits & 0x3FF
    if exponent == 0:
        return sign * 2.0 * fraction / 1024.0
    return float(sign * 2.0 ** (exponent - 16) * (1.0 + fraction / 1024.0))


def _echo_tops(message: Message) -> Coding:
    """Echo tops in thousands of feet; a code's topped bit (halfword 34) does not change its value.

    A topped echo reaches above the highest tilt. The bit alone, without a height, has no value.
    """
    mask, scale, offset = (_threshold(message, number) for number in (31, 32, 33))
    if scale == 0:
        raise FormatError("its thresholds tell a scale of 0")
    heights = np.arange(_BYTE_LEVELS) & mask
    values = np.where(heights < 2, np.nan, heights / scale - offset)
    return Coding(2, 255, {0: BELOW_THRESHOLD, 1: "bad data"}, 1.0, 0.0, values)


def _sixteen_levels(message: Message) -> Coding:
    """Up to 16 levels, each told by its threshold halfword; a `>` or `<` keeps the bound as the value."""
    words = [_threshold(message, 31 + code) for code in range(_LEVELS_16)]
    flags = {code: _label(word) for code, word in enumerate(words) if word & 0x8000}
    values = np.full(_BYTE_LEVELS, np.nan)
    for code, word in enumerate(words):
        if code not in flags:
            values[code] = _level(word)
    valued = [code for code in range(_LEVELS_16) if code not in flags]
    if not valued:
        raise FormatError("none of its 16 levels has a value")
    return Coding(valued[0], valued[-1], flags, 1.0, 0.0, values)


def _label(word: int) -> str:
    number = word & 0xFF
    return _LABELS[number] if number < len(_LABELS) else f"label {number}"


def _level(word: int) -> float:
    divisor = next((divisor for bit, divisor in _DIVISORS if word & bit), 1.0)
    return (-1.0 if word & 0x0100 else 1.0) * (word & 0xFF) / divisor


_CODINGS: Mapping[int, Callable[[Message], Coding]] = {
    **dict.fromkeys((19, 27, 56, 78, 79, 80, 169, 171), _sixteen_levels),
    **dict.fromkeys((94, 153), _reflectivity),
    **dict.fromkeys((99, 154), _velocity),
    155: _spectrum_width,
    134: _liquid,
    135: _echo_tops,
    138: _storm_total,
    **dict.fromkeys((159, 161, 163, _RATE), _dual_polarisation),
    **dict.fromkeys((165, 177), _classes),
    **dict.fromkeys((170, 172, 173), _accumulation),
    **dict.fromkeys((174, 175), _difference),
}
