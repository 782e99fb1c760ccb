"""Writes Level 3 products as files, byte for byte laid out as the public feed sends them.

Document: ICD 2620001, RPG to Class 1 User, section 3.3 (message header, product description, symbology
block and its packets). Numbers are big-endian, a halfword has 16 bits. In front of the message is the text
header of the feed: a WMO heading and the AWIPS identifier, 30 bytes.
"""

from __future__ import annotations

import bz2
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT_HEADER_BYTES = 30

_MESSAGE_HEADER = struct.Struct(">hHIIHHH")
_DESCRIPTION_HALFWORDS = range(10, 61)
_SYMBOLOGY_AT = (_MESSAGE_HEADER.size + 2 * len(_DESCRIPTION_HALFWORDS)) // 2
_DIVIDER = 0xFFFF
_SIMULATED_DESTINATION = 999
_SIMULATED_VERSION = 255
"""Real products have single-digit versions; with the receiver this tells simulated files from real ones."""

_FEET_PER_METRE = 1.0 / 0.3048
_BZIP2_BLOCK_BYTES = 100_000


Place = tuple[float, float]
"""Kilometres east and north of the radar."""


@dataclass(frozen=True, slots=True)
class Source:
    """The radar and the volume that products are made of; the height is that of the antenna."""

    site: str
    latitude_deg: float
    longitude_deg: float
    height_m: float
    start: datetime
    vcp: int
    clear_air: bool
    volume_number: int

    @property
    def radar_id(self) -> int:
        """The number of the radar, 1 to 999: simulated radars draw it from their name."""
        return zlib.crc32(self.site.encode()) % 999 + 1


@dataclass(frozen=True, slots=True)
class Description:
    """What one product is.

    `awips` is its three-letter code, `message` its number, `heading` the WMO one (`SDUS5`: the digit of the
    region follows), `made` when it was made, `sequence` its number among all products of the radar.
    `halfwords` are those of the product description that depend on the product (27 to 50, signed or
    unsigned), by their number in the message; those not named are 0.
    """

    awips: str
    message: int
    heading: str
    made: datetime
    sequence: int
    halfwords: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Radials:
    """The data of packet 16: `codes` is uint8 of shape (rays, gates), `start_tenths` where each ray begins.

    Starts are in tenths of a degree, 0 to 3599, and a ray ends where the next one begins. `range_scale` is the
    packet's scale factor in thousandths, which real products give in three ways for gates of 250 m.
    """

    start_tenths: NDArray[np.integer[Any]]
    codes: NDArray[np.uint8]
    range_scale: int


def float_halfwords(value: float, first: int) -> dict[int, int]:
    """A 4-byte float as two halfwords of the product description, the first one with this number."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return {first: high, first + 1: low}


def date_and_s(moment: datetime) -> tuple[int, int]:
    """Modified Julian day (1 is 1970-01-01) and whole seconds since midnight UTC."""
    days, seconds = divmod(int(moment.timestamp()), 86_400)
    return days + 1, seconds


def radial_product(source: Source, description: Description, radials: Radials) -> bytes:
    """The file of a product of one layer of radials, its symbology block compressed."""
    symbology = symbology_block([_radial_packet(radials)])
    level = min(9, math.ceil(len(symbology) / _BZIP2_BLOCK_BYTES))
    size = {56: _SYMBOLOGY_AT, 51: 1, 52: len(symbology) >> 16, 53: len(symbology) & 0xFFFF}
    return _file(source, description, bz2.compress(symbology, level), size)


def text_product(source: Source, description: Description, text: str) -> bytes:
    """The file of a product that is only a line of text, as radars send for "no precipitation"."""
    return block_product(source, description, [symbology_block([_text_packet(text)])])


def block_product(source: Source, description: Description, blocks: Sequence[bytes]) -> bytes:
    """The file of an uncompressed product: symbology, graphic and tabular block, as far as there are any."""
    offsets: dict[int, int] = {}
    at = _SYMBOLOGY_AT
    for halfword, block in zip((55, 57, 59), blocks, strict=False):
        offsets |= {halfword: at >> 16, halfword + 1: at & 0xFFFF}
        at += len(block) // 2
    return _file(source, description, b"".join(blocks), offsets, blocks=2 + len(blocks))


def symbology_block(packets: Sequence[bytes]) -> bytes:
    """Block 1 with these packets in one layer."""
    layer = b"".join(packets)
    head = struct.pack(">HHIHHI", _DIVIDER, 1, 16 + len(layer), 1, _DIVIDER, len(layer))
    return head + layer


def graphic_block(pages: Sequence[bytes]) -> bytes:
    """Block 2: pages of packets, each with its number and length in front."""
    body = b"".join(struct.pack(">HH", n, len(page)) + page for n, page in enumerate(pages, start=1))
    return struct.pack(">HHIH", _DIVIDER, 2, 10 + len(body), len(pages)) + body


def symbol_packet(symbol: str, place: Place) -> bytes:
    """Packet 2: a special symbol at a place; in tracks `"`, `!` and `#` are now, past and forecast."""
    return struct.pack(">HHhh", 2, 6, *_quarters(place)) + symbol.ljust(2).encode("ascii")


def storm_id_packet(name: str, place: Place) -> bytes:
    """Packet 15: the two letters of a storm."""
    return struct.pack(">HHhh", 15, 6, *_quarters(place)) + name.encode("ascii")


def track_packet(code: int, symbol: str, places: Sequence[Place]) -> bytes:
    """Packet 23 (past) or 24 (forecast): symbols at all places but the first, and a line through all."""
    ends = [quarter for place in places for quarter in _quarters(place)]
    line = struct.pack(f">HH{len(ends)}h", 6, 2 * len(ends), *ends)
    content = b"".join(symbol_packet(symbol, place) for place in places[1:]) + line
    return struct.pack(">HH", code, len(content)) + content


def table_packet(text: str, row: int) -> bytes:
    """Packet 8: a line of a table, this many screen rows below its top."""
    letters = text.encode("ascii")
    return struct.pack(">HHHhh", 8, 6 + len(letters), 1, 0, row) + letters


def lines_packet(lines: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Packet 10: lines from (i, j) to (i, j) on the screen."""
    ends = [end for line in lines for end in line]
    return struct.pack(f">HHH{len(ends)}h", 10, 2 + 2 * len(ends), 5, *ends)


def is_simulated_product(head: bytes) -> bool:
    """Whether a file that begins with `head` (at least 150 bytes) was written by this module."""
    try:
        header = _MESSAGE_HEADER.unpack_from(head, TEXT_HEADER_BYTES)
        halfwords = struct.unpack_from(">51H", head, TEXT_HEADER_BYTES + _MESSAGE_HEADER.size)
    except struct.error:
        return False
    receiver, version = header[5], halfwords[54 - 10] >> 8
    return bool(receiver == _SIMULATED_DESTINATION and version == _SIMULATED_VERSION)


def _file(
    source: Source, description: Description, body: bytes, halfwords: Mapping[int, int], blocks: int = 3
) -> bytes:
    """Text header, message header, product description, and what follows them."""
    after = _description_block(source, description, halfwords) + body
    date, seconds = date_and_s(description.made + timedelta(seconds=1))
    header = _MESSAGE_HEADER.pack(
        description.message,
        date,
        seconds,
        _MESSAGE_HEADER.size + len(after),
        source.radar_id,
        _SIMULATED_DESTINATION,
        blocks,
    )
    return _text_header(source, description) + header + after


def _text_header(source: Source, description: Description) -> bytes:
    """`SDUS54 KTLX 202000` and `N0BTLX`, each line ended by two carriage returns and a line feed."""
    heading = f"{description.heading}4 {source.site} {source.start:%d%H%M}"
    return f"{heading}\r\r\n{description.awips}{source.site[-3:]}\r\r\n".encode("ascii")


def _description_block(source: Source, description: Description, halfwords: Mapping[int, int]) -> bytes:
    """Halfwords 10 to 60; angles in thousandths of a degree, the height in feet."""
    start, made = date_and_s(source.start), date_and_s(description.made)
    latitude, longitude = round(source.latitude_deg * 1000.0), round(source.longitude_deg * 1000.0)
    values = {
        10: _DIVIDER,
        11: latitude >> 16,
        12: latitude,
        13: longitude >> 16,
        14: longitude,
        15: round(source.height_m * _FEET_PER_METRE),
        16: description.message,
        17: 1 if source.clear_air else 2,
        18: source.vcp,
        19: description.sequence,
        20: source.volume_number,
        21: start[0],
        22: start[1] >> 16,
        23: start[1],
        24: made[0],
        25: made[1] >> 16,
        26: made[1],
        54: _SIMULATED_VERSION << 8,
        **description.halfwords,
        **halfwords,
    }
    return struct.pack(">51H", *(values.get(number, 0) & 0xFFFF for number in _DESCRIPTION_HALFWORDS))


def _radial_packet(radials: Radials) -> bytes:
    """Packet 16, the digital radial data array.

    Raises `ValueError` for an odd number of gates: rays are whole halfwords.
    """
    rays, gates = radials.codes.shape
    if gates % 2:
        raise ValueError(f"a ray of packet 16 needs an even number of gates, not {gates}")
    ray = np.dtype([("bytes", ">u2"), ("start", ">u2"), ("delta", ">u2"), ("codes", "u1", (gates,))])
    data = np.empty(rays, dtype=ray)
    starts = radials.start_tenths.astype(np.int64)
    data["bytes"], data["start"], data["codes"] = gates, starts, radials.codes
    data["delta"] = (np.roll(starts, -1) - starts) % 3600
    return struct.pack(">7H", 16, 0, gates, 0, 0, radials.range_scale, rays) + data.tobytes()


def _text_packet(text: str) -> bytes:
    """Packet 1: text at a place, in quarters of a kilometre; an odd text gets a space."""
    letters = text.encode("ascii")
    letters += b" " * (len(letters) % 2)
    return struct.pack(">HHhh", 1, 4 + len(letters), 7, 9) + letters


def _quarters(place: Place) -> tuple[int, int]:
    """A place in quarters of a kilometre, as packets of maps give it."""
    return round(place[0] * 4.0), round(place[1] * 4.0)
