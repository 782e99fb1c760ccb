"""NEXRAD Level 3 framing: from the bytes of a file to the product's description, packets and text.

What belongs here: text header, message header, product description, compression, and the three blocks.
What does not: what packets mean (see `radial`). Source: ICD 2620001 (RPG/Class 1 User), section 3.3,
figures 3-3 (message header), 3-6 (blocks and packets).
"""

from __future__ import annotations

import bz2
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nexrad_assets.radar.level3.packets import FormatError, Packet, halfword, split_packets, word
from nexrad_assets.radar.volume import VolumeError

__all__ = ["Message", "Packet", "is_level3", "read_message"]

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Bound of an unpacked message: twenty times the largest known (720 rays of 1,840 gates)."""

_TEXT_HEADER = re.compile(
    rb"[\x01\r\n\d ]{0,12}"  # start of heading and sequence number, of files kept as they were broadcast
    rb"[A-Z]{4}\d\d [A-Z0-9]{4} \d{6}[A-Z ]{0,4}[\r\n]+"
    rb"(?:([A-Z0-9]{3})[A-Z0-9]{3} *[\r\n]+)?"
)
_GZIP = b"\x1f\x8b"
_BZIP2 = b"BZh"
_DIVIDER = 0xFFFF
_MESSAGE_HEADER_BYTES = 18
_HEAD_BYTES = 120  # message header and product description
_DESCRIPTION = struct.Struct(">iihHhhHHHIHI")  # halfwords 11 to 26
_DEPENDENT = (27, 28, 30, *range(47, 54))
_STAND_ALONE_TEXT = (62, 73, 75, 82)
_LAST_DAY = 47_482  # 2099-12-31
_SECONDS_PER_DAY = 86_400
_M_PER_FOOT = 0.3048
_MAX_LINES = 1_000
_SYMBOLOGY, _GRAPHIC, _TABULAR = 1, 2, 3


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A Level 3 product, taken apart but not yet understood.

    `awips` is the three letters of the text header (`N0B`), empty without one; `code` the message code
    (153). Position is that of the antenna (`height_m` above mean sea level). `volume_time` is the start of
    the volume scan, `product_time` when the product was made, both UTC. `halfwords` are the product
    dependent ones (27, 28, 30, 47-53) by their number in the ICD, signed; `thresholds` halfwords 31-46 as
    they are. `packets` are those of the symbology block, `pages` those of the graphic alphanumeric block
    by page, `tables` the text lines of the tabular block by page, without trailing blanks.
    """

    file_name: str
    awips: str
    code: int
    latitude_deg: float
    longitude_deg: float
    height_m: float
    mode: int
    vcp: int
    volume_time: datetime
    product_time: datetime
    elevation_number: int
    halfwords: Mapping[int, int]
    thresholds: bytes
    packets: tuple[Packet, ...]
    pages: tuple[tuple[Packet, ...], ...]
    tables: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Description:
    latitude_deg: float
    longitude_deg: float
    height_m: float
    mode: int
    vcp: int
    volume_time: datetime
    product_time: datetime


def is_level3(data: bytes) -> bool:
    """Whether a file's bytes (200 are enough, 1,000 with gzip) begin as a Level 3 product; Archive II does not."""
    if data.startswith(_GZIP):
        data = _first_bytes(data)
    header = _TEXT_HEADER.match(data)
    start = header.end() if header else 0
    return _fault_of_head(data[start : start + _HEAD_BYTES]) is None


def _first_bytes(data: bytes) -> bytes:
    """The begin of what gzip has packed, empty where it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data[:4096], 1024)
    except zlib.error:
        return b""


def read_message(data: bytes, file_name: str) -> Message:
    """Take a Level 3 file apart, with its text header or without, gzip and bzip2 unpacked.

    Bytes after the message are passed over. Raises `VolumeError`, in one line that names the file, for
    whatever is not a whole product.
    """
    try:
        return _read(data, file_name)
    except FormatError as error:
        raise VolumeError(f"{file_name}: {error}") from error


def _read(data: bytes, file_name: str) -> Message:
    unzipped = _gunzip(data) if data.startswith(_GZIP) else data
    header = _TEXT_HEADER.match(unzipped)
    message = _unpack(_whole_message(unzipped[header.end() if header else 0 :]))
    description = _description(message)
    symbology, graphic, tabular = (2 * word(message, at) for at in (108, 112, 116))
    return Message(
        file_name=file_name,
        awips=header[1].decode("ascii") if header and header[1] else "",
        code=halfword(message, 0),
        latitude_deg=description.latitude_deg,
        longitude_deg=description.longitude_deg,
        height_m=description.height_m,
        mode=description.mode,
        vcp=description.vcp,
        volume_time=description.volume_time,
        product_time=description.product_time,
        elevation_number=halfword(message, 56),
        halfwords={number: _signed(message, 2 * (number - 1)) for number in _DEPENDENT},
        thresholds=message[60:92],
        packets=tuple(_symbology(message, symbology)) if symbology else (),
        pages=tuple(_pages(message, graphic)) if graphic else (),
        tables=tuple(_tables(message, tabular)) if tabular else (),
    )


def _gunzip(data: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        unpacked = stream.decompress(data, MAX_MESSAGE_BYTES)
    except zlib.error as error:
        raise FormatError(f"the gzip stream is damaged ({error})") from error
    if not stream.eof:
        raise FormatError(f"the gzip stream is cut short, or unpacks past {MAX_MESSAGE_BYTES} bytes")
    return unpacked


def _fault_of_head(head: bytes) -> str | None:
    """What keeps bytes from being a message header and product description, if anything."""
    if len(head) < _HEAD_BYTES:
        return f"too short for a Level 3 product: {len(head)} bytes, {_HEAD_BYTES} needed"
    code, divider, again = halfword(head, 0), halfword(head, 18), halfword(head, 30)
    if divider != _DIVIDER or code != again or not 16 <= code <= 299:
        return f"not a Level 3 product: it begins with {bytes(head[:12])!r}"
    return None


def _whole_message(data: bytes) -> bytes:
    """The bytes of the message, without what follows it."""
    fault = _fault_of_head(data[:_HEAD_BYTES])
    if fault is not None:
        raise FormatError(fault)
    length = word(data, 8)
    if length < _HEAD_BYTES:
        raise FormatError(f"it claims a length of {length} bytes, {_HEAD_BYTES} is the least")
    if length > len(data):
        raise FormatError(f"cut short: {len(data)} of {length} bytes")
    return data[:length]


def _unpack(message: bytes) -> bytes:
    """The message with its blocks unpacked.

    The stream itself decides: halfword 51 is the compression flag of some products, and a time in others.
    """
    if not message.startswith(_BZIP2, _HEAD_BYTES):
        return message
    stream = bz2.BZ2Decompressor()
    try:
        blocks = stream.decompress(message[_HEAD_BYTES:], MAX_MESSAGE_BYTES)
    except (OSError, ValueError) as error:
        raise FormatError(f"the bzip2 stream is damaged ({error})") from error
    if not stream.eof:
        raise FormatError(f"the bzip2 stream is cut short, or unpacks past {MAX_MESSAGE_BYTES} bytes")
    return message[:_HEAD_BYTES] + blocks


def _signed(data: bytes, at: int) -> int:
    value = halfword(data, at)
    return value - 0x10000 if value & 0x8000 else value


def _description(message: bytes) -> _Description:
    (latitude, longitude, feet, _code, mode, vcp, _sequence, _volume, scan_day, scan_s, made_day, made_s) = (
        _DESCRIPTION.unpack_from(message, 20)
    )
    if abs(latitude) > 90_000 or abs(longitude) > 180_000:
        raise FormatError(f"its position is none: {latitude / 1000} N, {longitude / 1000} E")
    return _Description(
        latitude_deg=latitude / 1000.0,
        longitude_deg=longitude / 1000.0,
        height_m=feet * _M_PER_FOOT,
        mode=mode,
        vcp=vcp,
        volume_time=_time(scan_day, scan_s),
        product_time=_time(made_day, made_s),
    )


def _time(day: int, seconds: int) -> datetime:
    """A time from its modified Julian day (1 is 1970-01-01) and second."""
    if not 1 <= day <= _LAST_DAY or seconds > _SECONDS_PER_DAY:
        raise FormatError(f"its time is none: day {day}, second {seconds}")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day - 1, seconds=seconds)


def _block(message: bytes, start: int, number: int) -> bytes:
    """The bytes of a block after its header of divider, number and length."""
    if start < _HEAD_BYTES or start >= len(message):
        raise FormatError(f"block {number} is said to begin at byte {start} of {len(message)}")
    if halfword(message, 0) in _STAND_ALONE_TEXT:
        raise FormatError(f"message {halfword(message, 0)} is stand-alone text, which is not read")
    if halfword(message, start) != _DIVIDER or halfword(message, start + 2) != number:
        raise FormatError(f"no block {number} at byte {start}")
    return _part(message, start + 8, word(message, start + 4) - 8, f"block {number}")


def _part(data: bytes, start: int, length: int, what: str) -> bytes:
    if length < 0 or start + length > len(data):
        raise FormatError(f"{what} claims {length} bytes, {max(len(data) - start, 0)} are there")
    return data[start : start + length]


def _symbology(message: bytes, start: int) -> Iterator[Packet]:
    block = _block(message, start, _SYMBOLOGY)
    at = 2
    for layer in range(halfword(block, 0)):
        if halfword(block, at) != _DIVIDER:
            raise FormatError(f"layer {layer} does not begin with a divider")
        data = _part(block, at + 6, word(block, at + 2), f"layer {layer}")
        yield from split_packets(data, layer)
        at += 6 + len(data)


def _pages(message: bytes, start: int) -> Iterator[tuple[Packet, ...]]:
    block = _block(message, start, _GRAPHIC)
    at = 2
    for page in range(halfword(block, 0)):
        data = _part(block, at + 4, halfword(block, at + 2), f"page {page + 1}")
        yield tuple(split_packets(data, 0))
        at += 4 + len(data)


def _tables(message: bytes, start: int) -> Iterator[tuple[str, ...]]:
    """The pages of the tabular block, which repeats the message's head before its text."""
    text = _block(message, start, _TABULAR)[_HEAD_BYTES:]
    if halfword(text, 0) != _DIVIDER:
        raise FormatError("the tabular block's text does not begin with a divider")
    at = 4
    for _ in range(halfword(text, 2)):
        lines, at = _lines(text, at)
        yield lines


def _lines(text: bytes, at: int) -> tuple[tuple[str, ...], int]:
    """The lines of a page, and where the next page begins."""
    lines: list[str] = []
    while (count := halfword(text, at)) != _DIVIDER:
        if len(lines) == _MAX_LINES:
            raise FormatError(f"a page of text has more than {_MAX_LINES} lines")
        line = _part(text, at + 2, count, "a text line")
        lines.append(line.decode("ascii", "replace").rstrip())
        at += 2 + count
    return tuple(lines), at + 2
