"""Display packets: where one ends and the next begins.

What belongs here: the sizes of packets, so that a layer or a page can be taken apart. What does not: what
a packet means. Source: ICD 2620001 (RPG/Class 1 User), section 3.3 and figures 3-7 to 3-15.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

DIGITAL_RADIALS = 16
RUN_LENGTH_RADIALS = 0xAF1F
GENERIC = 28

RADIALS_HEADER = struct.Struct(">HHhhhH")
"""Index of the first bin, bins a ray, centre (i, j), scale factor, rays: of packets 16 and AF1F."""
RAY_HEADER = struct.Struct(">HHH")
"""Size (bytes in packet 16, halfwords in AF1F), start angle and width in 0.1 degree."""

MAX_RAYS = 2 * 720
MAX_GATES = 2 * 1840
"""Twice what the format allows in packet 16, so that a lying count costs no memory."""

MAX_PACKETS = 20_000
"""Packets of a layer or a page. A day of many storms has some hundreds."""

_RASTERS = (0xBA07, 0xBA0F)
_RASTER_HEADER_BYTES = 20
_PRECIPITATION_ARRAYS = (17, 18)
_PRECIPITATION_HEADER_BYTES = 8
_CONTOUR_COLOUR = 0x0802
_CONTOUR_COLOUR_BYTES = 4
_LINKED_CONTOUR = 0x0E03
_LINKED_CONTOUR_HEADER_BYTES = 6
_GENERIC_PACKETS = (GENERIC, 29)
_SIZED = (*range(1, 28), 0x3501)


class FormatError(Exception):
    """The bytes break the format; the message tells how, and names no file."""


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One display packet: `data` is all of it after its code, `layer` counts from 0."""

    code: int
    data: bytes
    layer: int


def split_packets(data: bytes, layer: int) -> Iterator[Packet]:
    """Take a layer or a page apart.

    Raises `FormatError` where a packet reaches past the end, its code is none of the format's, or there are
    more than `MAX_PACKETS`.
    """
    at = number = 0
    while at < len(data):
        number += 1
        if number > MAX_PACKETS:
            raise FormatError(f"layer {layer} has more than {MAX_PACKETS} packets")
        if at + 2 > len(data):
            raise FormatError(f"a stray byte ends layer {layer}")
        code = halfword(data, at)
        end = at + 2 + _size(code, data, at + 2)
        if end > len(data):
            raise FormatError(f"packet {name(code)} reaches {end - len(data)} bytes past its layer")
        yield Packet(code, data[at + 2 : end], layer)
        at = end


def name(code: int) -> str:
    """A packet code as the ICD writes it: decimal, from 256 up hexadecimal."""
    return str(code) if code < 256 else f"{code:04X}"


def check_shape(rays: int, gates: int) -> None:
    """Raise `FormatError` where a raster has no rays or gates, or more than any product's."""
    if not (0 < rays <= MAX_RAYS and 0 < gates <= MAX_GATES):
        raise FormatError(f"its raster claims {rays} rays of {gates} gates")


def halfword(data: bytes, at: int) -> int:
    """The unsigned big-endian halfword at a byte offset. Raises `FormatError` past the end."""
    if at + 2 > len(data):
        raise FormatError(f"cut short at byte {len(data)}")
    return data[at] << 8 | data[at + 1]


def word(data: bytes, at: int) -> int:
    """The unsigned big-endian 32-bit word at a byte offset. Raises `FormatError` past the end."""
    return halfword(data, at) << 16 | halfword(data, at + 2)


def _size(code: int, data: bytes, at: int) -> int:
    """How many bytes a packet has after its code, which ends at `at`."""
    special = _SIZES.get(code)
    if special is not None:
        return special(data, at)
    if code in _SIZED:
        return 2 + halfword(data, at)
    raise FormatError(f"packet code {name(code)} is not known")


def _radials_size(data: bytes, at: int, unit_bytes: int) -> int:
    rays = halfword(data, at + RADIALS_HEADER.size - 2)
    end = at + RADIALS_HEADER.size
    for _ in range(rays):
        end += RAY_HEADER.size + halfword(data, end) * unit_bytes
    return end - at


def _digital_radials_size(data: bytes, at: int) -> int:
    return _radials_size(data, at, 1)


def _run_length_radials_size(data: bytes, at: int) -> int:
    return _radials_size(data, at, 2)


def _rows_size(data: bytes, at: int, header_bytes: int, rows: int) -> int:
    end = at + header_bytes
    for _ in range(rows):
        end += 2 + halfword(data, end)
    return end - at


def _raster_size(data: bytes, at: int) -> int:
    return _rows_size(data, at, _RASTER_HEADER_BYTES, halfword(data, at + _RASTER_HEADER_BYTES - 4))


def _precipitation_size(data: bytes, at: int) -> int:
    return _rows_size(
        data, at, _PRECIPITATION_HEADER_BYTES, halfword(data, at + _PRECIPITATION_HEADER_BYTES - 2)
    )


def _generic_size(data: bytes, at: int) -> int:
    return 6 + word(data, at + 2)


def _contour_colour_size(_data: bytes, _at: int) -> int:
    return _CONTOUR_COLOUR_BYTES


def _linked_contour_size(data: bytes, at: int) -> int:
    return _LINKED_CONTOUR_HEADER_BYTES + 2 + halfword(data, at + _LINKED_CONTOUR_HEADER_BYTES)


_SIZES: dict[int, Callable[[bytes, int], int]] = {
    DIGITAL_RADIALS: _digital_radials_size,
    RUN_LENGTH_RADIALS: _run_length_radials_size,
    **dict.fromkeys(_GENERIC_PACKETS, _generic_size),
    **dict.fromkeys(_RASTERS, _raster_size),
    **dict.fromkeys(_PRECIPITATION_ARRAYS, _precipitation_size),
    _CONTOUR_COLOUR: _contour_colour_size,
    _LINKED_CONTOUR: _linked_contour_size,
}
