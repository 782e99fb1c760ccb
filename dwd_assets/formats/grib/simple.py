"""Simple packing: values as whole numbers times a power of two above a reference.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, regulation 92.9.4 and data representation template
5.0. Templates 5.40 (JPEG 2000), 5.41 (PNG) and 5.42 (CCSDS) compress the same numbers without loss.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.sections import section

BITS = 16
TOP = 2**BITS - 1
"""The highest number."""

_SAME_NUMBERS = frozenset({0, 40, 41, 42})
_SCALE = struct.Struct(">fHHB")  # octets 12 to 20
_SCALE_OFFSET = 11
_FLOATING = 0
_MOST_BINARY = 256
_MOST_DECIMAL = 64
"""Exponents beyond these are damage; within them, factors and numbers stay finite."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A number n stands for (reference + n * 2**binary) / 10**decimal; the reference is a 32-bit float."""

    reference: float
    binary: int
    decimal: int


def own_scale(representation: bytes | memoryview, data_template: int) -> Scale | None:
    """The scale that a section 5 has, where its numbers have up to 16 bits; none where they cannot be kept."""
    if data_template not in _SAME_NUMBERS or len(representation) < _SCALE_OFFSET + _SCALE.size:
        return None
    reference, binary, decimal, bits = _SCALE.unpack_from(representation, _SCALE_OFFSET)
    scale = Scale(reference, _value(binary), _value(decimal))
    tame = (
        abs(scale.binary) <= _MOST_BINARY and abs(scale.decimal) <= _MOST_DECIMAL and math.isfinite(reference)
    )
    return scale if bits <= BITS and tame else None


def fitted_scale(values: NDArray[np.float32], name: str) -> Scale:
    """The finest scale of 16 bits that holds all values. Raises `FormatError` where one is not finite."""
    if not values.size:
        return Scale(0.0, 0, 0)
    lowest, highest = float(values.min()), float(values.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise FormatError(f"{name}: values from {lowest} to {highest} cannot be packed")
    if lowest == highest:
        return Scale(lowest, 0, 0)
    return Scale(lowest, math.ceil(math.log2((highest - lowest) / TOP)), 0)


def numbers(values: NDArray[np.floating], scale: Scale) -> NDArray[np.uint16]:
    """The numbers nearest to values; what the scale does not hold becomes its end."""
    scaled = np.multiply(values, 10.0**scale.decimal, dtype=np.float64)
    scaled -= scale.reference
    scaled *= 2.0**-scale.binary
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, TOP, out=scaled)
    coded: NDArray[np.uint16] = scaled.astype(np.uint16)
    return coded


def packed_sections(taken: NDArray[np.uint16], scale: Scale) -> tuple[bytes, bytes]:
    """Sections 5 and 7: 16 bits a number, or none at all where every number is 0."""
    bits = BITS if taken.any() else 0
    content = taken.astype(">u2").tobytes() if bits else b""
    coded = _SCALE.pack(scale.reference, _coded(scale.binary), _coded(scale.decimal), bits)
    head = struct.pack(">IH", taken.size, 0) + coded + bytes([_FLOATING])
    return section(5, head), section(7, content)


def _value(coded: int) -> int:
    """A 16-bit number of sign and magnitude."""
    return -(coded & 0x7FFF) if coded >> 15 else coded


def _coded(value: int) -> int:
    return value if value >= 0 else -value | 0x8000
