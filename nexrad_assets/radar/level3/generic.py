"""Packet 28: the radial component of a product in the generic format (XDR, RFC 4506).

Source: ICD 2620001 (RPG/Class 1 User), figure 3-15c and appendix E; sizes as real files have them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level3.packets import FormatError, check_shape, word

_PREFIX_BYTES = 6  # reserved halfword and length
_RADIAL = 1
_RAY = struct.Struct(">fffi")  # azimuth, elevation, width, gates
_MAX_CODE = 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class GenericRadials:
    """Gate codes (uint16, rays by gates), start and width of the rays (float32, degrees), range in metres.

    `first_centre_m` is the slant range to the centre of the first gate.
    """

    codes: NDArray[np.uint16]
    start_deg: NDArray[np.float32]
    width_deg: NDArray[np.float32]
    gate_spacing_m: float
    first_centre_m: float


@dataclass(slots=True)
class _Xdr:
    """Reads big-endian XDR items one after another, never past the end."""

    data: bytes
    at: int

    def skip(self, count: int) -> None:
        if self.at + count > len(self.data):
            raise FormatError(f"the generic packet is cut short: {count} bytes wanted at {self.at}")
        self.at += count

    def count(self) -> int:
        number = word(self.data, self.at)
        self.at += 4
        return number

    def real(self) -> float:
        at = self.at
        self.skip(4)
        return float(struct.unpack_from(">f", self.data, at)[0])

    def skip_text(self) -> None:
        self.skip((self.count() + 3) // 4 * 4)

    def skip_parameters(self) -> None:
        """Pass a list of named parameters: its length, a pointer that means nothing, pairs of texts."""
        length = self.count()
        self.skip(4)
        for number in range(length):
            if number:
                self.skip(4)
            self.skip_text()
            self.skip_text()

    def ray(self) -> tuple[float, float, int]:
        at = self.at
        self.skip(_RAY.size)
        azimuth, _elevation, width, gates = _RAY.unpack_from(self.data, at)
        return azimuth, width, gates

    def numbers(self) -> NDArray[np.int32]:
        length = self.count()
        at = self.at
        self.skip(4 * length)
        return np.frombuffer(self.data, ">i4", length, at)


def read_generic(data: bytes) -> GenericRadials:
    """Decode the radial component of packet 28. Raises `FormatError` where it has none or is damaged."""
    xdr = _Xdr(data, _PREFIX_BYTES)
    _skip_description(xdr)
    components = xdr.count()
    xdr.skip(4)
    if components == 0 or (kind := xdr.count()) != _RADIAL:
        raise FormatError(
            f"its first generic component is of type {kind if components else 'none'}, not radial"
        )
    xdr.skip_text()
    spacing, first = xdr.real(), xdr.real()
    if not (0 < spacing < 10_000 and 0 <= first < 1_000_000):
        raise FormatError(f"its gates are {spacing} m apart and begin at {first} m")
    xdr.skip_parameters()
    return _rays(xdr, xdr.count(), spacing, first)


def _skip_description(xdr: _Xdr) -> None:
    """Pass the product's own description, which repeats that of the message."""
    xdr.skip_text()  # name
    xdr.skip_text()  # description
    xdr.skip(3 * 4)  # code, type, time
    xdr.skip_text()  # radar
    xdr.skip(12 * 4)  # position, times, angle, volume, mode, pattern, elevation, compression
    xdr.skip_parameters()


def _rays(xdr: _Xdr, count: int, spacing: float, first: float) -> GenericRadials:
    check_shape(count, 1)
    starts, widths, gates = [], [], []
    for _ in range(count):
        start, width, announced = xdr.ray()
        xdr.skip_text()
        numbers = xdr.numbers()
        starts.append(start)
        widths.append(width)
        gates.append(numbers[: max(announced, 0)])
    longest = max(len(numbers) for numbers in gates)
    check_shape(count, longest)
    codes = np.zeros((count, longest), np.int32)
    for row, numbers in zip(codes, gates, strict=True):
        row[: len(numbers)] = numbers
    if codes.min() < 0 or codes.max() > _MAX_CODE:
        raise FormatError(f"its codes reach from {codes.min()} to {codes.max()}, past 16 bits")
    return GenericRadials(
        codes.astype(np.uint16), np.array(starts, np.float32), np.array(widths, np.float32), spacing, first
    )
