"""KMZ files: a ZIP (PKWARE APPNOTE 6.3, no ZIP64) that holds one deflated KML.

The ZIP is read here and not by `zipfile`, which opens nothing whose end did not come: of a file that was cut
off, all that came can be read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

from zlib_ng import zlib_ng

from dwd_assets.formats.errors import FormatError

LEVEL = 5
"""Of zlib-ng, on a station's 344 KB: 18.8 KB and 1.3 ms (6: 18.1 KB, 2.2 ms; 2: 24.7 KB, 0.6 ms). DWD's: 18.3 KB."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"

_LONGEST_COMMENT = 0xFFFF
_DEFLATED = 8
_ENCRYPTED = 0x1
_MADE_BY_UNIX, _NEEDS = 3 << 8 | 30, 20
_PLAIN_FILE = 0o100644 << 16

_InflateError: type[Exception] = zlib_ng.error  # type: ignore[assignment] # its stub says an instance

_KML_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?kml[\s>]", re.DOTALL
)
LONGEST_BEGIN = 1024
"""Bytes within which a KML names its outermost element."""

_READ_BYTES = 32 << 10
_STEP_BYTES = 1 << 20


class KmzCut(FormatError):  # noqa: N818 - reads as the state it reports
    """The end of a KMZ did not come. What came is not known to be wrong."""


@dataclass(frozen=True, slots=True)
class Directory:
    """What a ZIP's directory says of its one entry: bytes deflated and plain, CRC-32, where its header is."""

    packed_bytes: int
    plain_bytes: int
    crc: int
    header_at: int


@dataclass(frozen=True, slots=True)
class KmlEntry:
    """The KML in a KMZ: its name, the offset of its deflated bytes; no directory where that did not come."""

    name: str
    data_at: int
    directory: Directory | None


def find_kml(kmz: BinaryIO, name: str) -> KmlEntry:
    """The one KML of a seekable KMZ, called `name` in messages.

    Raises `FormatError` for what is no ZIP, has other than one entry, or one that is no deflated KML. A ZIP
    whose directory is missing or out of place is taken for one that was cut off: its first entry is found.
    """
    directory = _directory(kmz, name)
    at = 0 if directory is None else directory.header_at
    kmz.seek(at)
    head = kmz.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(_LOCAL_MARK):
        kmz.seek(at)
        raise FormatError(f"{name}: {_impostor(kmz.read(LONGEST_BEGIN))}")
    _, _, flags, method, *_, name_bytes, extra_bytes = _LOCAL.unpack(head)
    entry = kmz.read(name_bytes).decode("ascii", "backslashreplace")
    if not entry.lower().endswith(".kml"):
        raise FormatError(f"{name}: no KML inside, but {entry!r}")
    if flags & _ENCRYPTED or method != _DEFLATED:
        raise FormatError(f"{name}: {entry!r} is encrypted, or packed by other means than deflate")
    return KmlEntry(entry, kmz.tell() + extra_bytes, directory)


def inflate(kmz: BinaryIO, entry: KmlEntry, name: str, limit: int) -> Iterator[bytes]:
    """The bytes of a KML in pieces of at most 1 MiB, checked when the last one was given.

    Raises, after all that could be read was given: `KmzCut` where the end did not come; `FormatError` for
    more than `limit` bytes, damaged bytes, or another length or CRC-32 than the directory's.
    """
    kmz.seek(entry.data_at)
    left = None if entry.directory is None else entry.directory.packed_bytes
    inflater = zlib_ng.decompressobj(-zlib_ng.MAX_WBITS)
    plain = crc = 0
    while not inflater.eof:
        packed = inflater.unconsumed_tail
        if not packed:
            packed = kmz.read(_READ_BYTES if left is None else min(left, _READ_BYTES))
            left = None if left is None else left - len(packed)
        piece = _inflated(inflater, packed, f"{name}: after {plain} bytes of KML")
        plain += len(piece)
        crc = zlib_ng.crc32(piece, crc)
        if plain > limit:
            raise FormatError(f"{name}: more than {limit} bytes of KML")
        if piece:
            yield piece
        elif not packed:
            raise _ended(entry, f"{name}: the deflated bytes end after {plain} bytes of KML")
    _check(entry, name, plain, crc, (left or 0) + len(inflater.unused_data))


def read_kml(kmz: bytes, name: str, limit: int) -> bytes:
    """The whole KML of a KMZ that is called `name` in messages.

    Raises `FormatError` for all that `find_kml` and `inflate` do, a KMZ that was cut off included.
    """
    file = BytesIO(kmz)
    return b"".join(inflate(file, find_kml(file, name), name, limit))


def pack(entry: str, parts: Iterable[bytes], changed: datetime) -> bytes:
    """A KMZ of one KML, whose bytes are those of `parts` together; the same KMZ for the same arguments.

    `entry` is an ASCII name; `changed` (1980 to 2107) is given in UTC, to two seconds.
    """
    packer = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -zlib_ng.MAX_WBITS)
    plain = crc = 0
    deflated = []
    for part in parts:
        deflated.append(packer.compress(part))
        plain += len(part)
        crc = zlib_ng.crc32(part, crc)
    packed = b"".join((*deflated, packer.flush()))
    label = entry.encode("ascii")
    common = (_NEEDS, 0, _DEFLATED, *_dos_time(changed), crc, len(packed), plain, len(label), 0)
    local = _LOCAL.pack(_LOCAL_MARK, *common) + label
    central = _CENTRAL.pack(_CENTRAL_MARK, _MADE_BY_UNIX, *common, 0, 0, 0, _PLAIN_FILE, 0) + label
    end = _END.pack(_END_MARK, 0, 0, 1, 1, len(central), len(local) + len(packed), 0)
    return b"".join((local, packed, central, end))


def _directory(kmz: BinaryIO, name: str) -> Directory | None:
    """What the directory says; none if it is not at the end, where the end mark says it is."""
    size = kmz.seek(0, 2)
    tail_at = max(0, size - _END.size - _LONGEST_COMMENT)
    kmz.seek(tail_at)
    tail = kmz.read()
    at = tail.rfind(_END_MARK)
    if at < 0 or at + _END.size > len(tail):
        return None
    _, _, _, _, entries, directory_bytes, directory_at, _ = _END.unpack_from(tail, at)
    if directory_at + directory_bytes != tail_at + at:
        return None
    if entries != 1:
        raise FormatError(f"{name}: {entries} entries in the ZIP instead of one")
    kmz.seek(directory_at)
    return _described(kmz.read(_CENTRAL.size))


def _described(row: bytes) -> Directory | None:
    if len(row) < _CENTRAL.size or not row.startswith(_CENTRAL_MARK):
        return None
    fields = _CENTRAL.unpack(row)
    crc, packed_bytes, plain_bytes = fields[7:10]
    return Directory(packed_bytes, plain_bytes, crc, header_at=fields[-1])


def is_kml(begin: bytes) -> bool:
    """Return whether bytes are the begin of a KML that is in no ZIP; `LONGEST_BEGIN` of them are enough."""
    return _KML_BEGINS.match(begin) is not None


def _impostor(head: bytes) -> str:
    if not head:
        return "empty"
    if is_kml(head):
        return "an unpacked KML, not a KMZ: the ZIP around it is missing"
    if head.lstrip()[:1] == b"<":
        return f"a page or XML instead of a ZIP, beginning with {head[:20]!r}"
    if head.startswith(_LOCAL_MARK):
        return f"cut off after {len(head)} bytes"
    return f"no ZIP, beginning with {head[:8]!r}"


def _inflated(inflater: zlib_ng._Decompress, packed: bytes, where: str) -> bytes:
    try:
        return inflater.decompress(packed, _STEP_BYTES)
    except _InflateError as fault:
        raise FormatError(f"{where}: damaged: {fault}") from fault


def _ended(entry: KmlEntry, told: str) -> FormatError:
    """What it means that the deflated bytes end before their end mark."""
    if entry.directory is None:
        return KmzCut(f"{told}; the rest did not come")
    return FormatError(f"{told}, of {entry.directory.plain_bytes}")


def _check(entry: KmlEntry, name: str, plain: int, crc: int, unused: int) -> None:
    """Compare a KML that ended with what the directory says of it."""
    directory = entry.directory
    if directory is None:
        raise KmzCut(f"{name}: the ZIP's directory did not come, or is out of place")
    if unused or plain != directory.plain_bytes:
        told = f"{plain} bytes of KML, {unused} deflated bytes left over"
        raise FormatError(f"{name}: {told}, where the directory says {directory.plain_bytes} and none")
    if crc != directory.crc:
        raise FormatError(f"{name}: CRC-32 {crc:08x} where the directory says {directory.crc:08x}")


def _dos_time(moment: datetime) -> tuple[int, int]:
    utc = moment.astimezone(UTC)
    time = utc.hour << 11 | utc.minute << 5 | utc.second // 2
    return time, (utc.year - 1980) << 9 | utc.month << 5 | utc.day
