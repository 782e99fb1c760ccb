"""The structure of GRIB files, edition 2, without decoding a value: is it whole, and which field is it.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2. Octets are numbered from 1 there, and here in the
comments; sections 0 to 8; code tables by their numbers. What a product definition template holds is in
`dwd_assets.formats.grib.products`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.products import Product, read_product, read_time

_EDITION = 2
_INDICATOR = struct.Struct(">4s2sBBQ")  # GRIB, reserved, discipline, edition, total length
_SECTION = struct.Struct(">IB")
_END = b"7777"
_PADDING = re.compile(rb"\0*")
"""What may stand between messages and after the last one: some writers fill blocks of a fixed size."""

_SHORTEST = {1: 21, 2: 5, 3: 14, 4: 9, 5: 11, 6: 6, 7: 5}
"""Octets of each section up to what every template of it has."""

_NEXT = {0: {1}, 1: {2, 3}, 2: {3}, 3: {4}, 4: {5}, 5: {6}, 6: {7}, 7: {2, 3, 4}}
"""Which section may follow which; after section 7 a message ends or has a further field."""


@dataclass(frozen=True, slots=True)
class GribMessage:
    """One field of a GRIB file, as its sections describe it.

    offset, length: of its message in the file, in bytes. discipline, and product.category and number: which
    quantity (code tables 0.0, 4.1, 4.2). centre: common code table C-11 (78 is Offenbach). reference_time: UTC;
    of a forecast, the run. grid_template, data_template: code tables 3.1 and 5.0. grid_points: of the whole grid.
    A message with repeated sections has several fields, which then have the same offset and length.
    """

    offset: int
    length: int
    discipline: int
    centre: int
    reference_time: datetime
    grid_template: int
    grid_points: int
    data_template: int
    product: Product

    @property
    def step_minutes(self) -> int | None:
        """Minutes from the reference time to the field, or to the end of the time that it covers.

        None where a template or unit of time unknown here holds it, or where it is no whole number of minutes.
        """
        end = self.product.end_time
        if end is None:
            return self.product.forecast_minutes
        minutes, rest = divmod(end - self.reference_time, timedelta(minutes=1))
        return None if rest else minutes


@dataclass(frozen=True, slots=True)
class _Section:
    """Bounds of a section's bytes in the file."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class _File:
    """The bytes, and how faults name them."""

    data: bytes
    name: str

    def fault(self, offset: int, told: str) -> FormatError:
        return FormatError(f"{self.name}: at byte {offset}: {told}")


def scan(data: bytes, name: str) -> tuple[GribMessage, ...]:
    """Every field of a GRIB file, in order.

    Raises `FormatError` that names the byte for anything but whole messages of edition 2, one after the other:
    a file that is empty, cut or something else, garbage between or after messages, lengths that contradict
    each other. Zero bytes after a message are padding, however many.
    """
    file = _File(data, name)
    if not data:
        raise FormatError(f"{name}: is empty")
    fields: list[GribMessage] = []
    offset = 0
    while offset < len(data):
        discipline, length = _indicator(file, offset)
        fields += _fields(file, offset, length, discipline)
        offset = _after_padding(data, offset + length)
    return tuple(fields)


def _after_padding(data: bytes, offset: int) -> int:
    """Where the zero bytes from an offset on end, at that offset if there are none."""
    padding = _PADDING.match(data, offset)
    return offset if padding is None else padding.end()


def _indicator(file: _File, offset: int) -> tuple[int, int]:
    """Discipline and total length of the message at an offset (section 0)."""
    head = file.data[offset : offset + _INDICATOR.size]
    if not head.startswith(b"GRIB"):
        raise file.fault(offset, f"no GRIB message, but {head!r}")
    if len(head) > 7 and head[7] != _EDITION:
        raise file.fault(offset, f"GRIB edition {head[7]}; only edition {_EDITION} is read")
    if len(head) < _INDICATOR.size:
        raise file.fault(offset, f"cut {len(head)} bytes into a message")
    _, _, discipline, _, length = _INDICATOR.unpack(head)
    if length < _INDICATOR.size + len(_END):
        raise file.fault(offset, f"a message of {length} bytes cannot be")
    if length > len(file.data) - offset:
        there = len(file.data) - offset
        raise file.fault(offset, f"cut: {there} bytes of a message of {length}")
    if file.data[offset + length - len(_END) : offset + length] != _END:
        raise file.fault(offset + length - len(_END), "no 7777 at the end of a message")
    return discipline, length


def _fields(file: _File, offset: int, length: int, discipline: int) -> Iterator[GribMessage]:
    """The fields of a message whose section 0 and end were checked."""
    latest: dict[int, _Section] = {}
    for section in _sections(file, offset + _INDICATOR.size, offset + length - len(_END)):
        latest[section.number] = section
        if section.number == 7:
            yield _field(file, offset, length, discipline, latest)


def _sections(file: _File, start: int, end: int) -> Iterator[_Section]:
    """The sections between section 0 and section 8, which have to fill that space in a permitted order."""
    before = 0
    while start < end:
        if end - start < _SECTION.size:
            raise file.fault(start, f"{end - start} bytes after section {before}, too few for a section")
        length, number = _SECTION.unpack_from(file.data, start)
        if number not in _NEXT[before]:
            raise file.fault(start, f"section {number} after section {before}")
        if not _SHORTEST[number] <= length <= end - start:
            raise file.fault(
                start, f"section {number} of {length} bytes, {end - start} are left in its message"
            )
        yield _Section(number, start, start + length)
        before = number
        start += length
    if before != 7:
        raise file.fault(end, f"the message ends after section {before}")


def _field(
    file: _File, offset: int, length: int, discipline: int, latest: dict[int, _Section]
) -> GribMessage:
    data = file.data
    identification, grid, values = (latest[number].start for number in (1, 3, 5))
    centre = int.from_bytes(data[identification + 5 : identification + 7])  # octets 6-7
    points, optional, _, grid_template = struct.unpack_from(">IBBH", data, grid + 6)  # octets 7-14
    if optional and latest[3].end - grid < 14 + optional:
        raise file.fault(grid, f"section 3 lists {optional} octets of rows in fewer")
    (coded,) = struct.unpack_from(">I", data, values + 5)  # octets 6-9
    if coded > points:
        raise file.fault(values, f"{coded} values on a grid of {points} points")
    product = latest[4]
    return GribMessage(
        offset,
        length,
        discipline,
        centre,
        read_time(data, identification + 12, f"{file.name}: at byte {identification}"),  # octets 13-19
        grid_template,
        points,
        int.from_bytes(data[values + 9 : values + 11]),  # octets 10-11
        read_product(data[product.start : product.end], f"{file.name}: at byte {product.start}"),
    )
