"""GRIB messages taken apart into sections, and put together from them.

What belongs here: which bytes a section has and how a message is framed. What does not: what they say
(`dwd_assets.formats.grib.structure` checks the structure, the modules about sections 3 and 5 read those).

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, sections 0, 6 and 8; code table 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.structure import GribMessage, scan

_INDICATOR = struct.Struct(">4sHBBQ")
_RESERVED = 0xFFFF
_EDITION = 2
_END = b"7777"

_BITMAP_FOLLOWS = 0
_BITMAP_OF_BEFORE = 254
_NO_BITMAP = 255


@dataclass(frozen=True, slots=True)
class Sections:
    """The bytes of one field, section by section; `local` (section 2) is empty where there is none."""

    discipline: int
    identification: memoryview
    local: memoryview
    grid: memoryview
    product: memoryview
    representation: memoryview
    bitmap: memoryview
    values: memoryview

    def message(self) -> bytes:
        """A message of this field alone."""
        return framed(
            self.discipline,
            (
                self.identification,
                self.local,
                self.grid,
                self.product,
                self.representation,
                self.bitmap,
                self.values,
            ),
        )


def framed(discipline: int, sections: Iterable[bytes | memoryview]) -> bytes:
    """A message of these sections (1 to 7), between sections 0 and 8."""
    parts = tuple(sections)
    length = _INDICATOR.size + sum(map(len, parts)) + len(_END)
    return b"".join((_INDICATOR.pack(b"GRIB", _RESERVED, discipline, _EDITION, length), *parts, _END))


def section(number: int, content: bytes) -> bytes:
    """A section of a number, with its length in front."""
    return struct.pack(">IB", 5 + len(content), number) + content


def split(data: bytes, name: str) -> tuple[tuple[GribMessage, Sections], ...]:
    """Every field of a GRIB file in order, described and as bytes. Raises `FormatError` as `scan` does."""
    fields = scan(data, name)
    messages = {field.offset: field for field in fields}
    view = memoryview(data)
    parts = (part for field in messages.values() for part in _fields(view, field, name))
    return tuple(zip(fields, parts, strict=True))


def present(sections: Sections, points: int, name: str) -> NDArray[np.bool_] | None:
    """Which points of the grid have a value, bool of shape (points,); none where all have one.

    Raises `FormatError` for a bitmap that is short, or that only its centre knows.
    """
    indicator = sections.bitmap[5]
    if indicator == _NO_BITMAP:
        return None
    if indicator != _BITMAP_FOLLOWS:
        raise FormatError(f"{name}: bitmap {indicator} of the centre's own is not known")
    bits = sections.bitmap[6:]
    if len(bits) < (points + 7) // 8:
        raise FormatError(f"{name}: a bitmap of {len(bits)} bytes for {points} points")
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=points).view(np.bool_)
    return None if mask.all() else mask


def bitmap_section(mask: NDArray[np.bool_]) -> bytes:
    """Section 6 for the points that have a value."""
    return section(6, bytes([_BITMAP_FOLLOWS]) + np.packbits(mask).tobytes())


def _fields(data: memoryview, message: GribMessage, name: str) -> Iterator[Sections]:
    """The fields of a message whose structure was checked; what is not repeated holds on."""
    latest = {2: memoryview(b"")}
    start, end = message.offset + _INDICATOR.size, message.offset + message.length - len(_END)
    while start < end:
        part = data[start : start + int.from_bytes(data[start : start + 4])]
        number = part[4]
        if number != 6 or part[5] != _BITMAP_OF_BEFORE:
            latest[number] = part
        elif 6 not in latest:
            raise FormatError(f"{name}: at byte {start}: the bitmap of a field before, and there is none")
        if number == 7:
            yield Sections(data[message.offset + 6], *(latest[each] for each in range(1, 8)))
        start += len(part)
