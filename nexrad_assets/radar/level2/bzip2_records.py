"""From the bytes of an Archive II file to unpacked records, bounded and past damage.

What belongs here: gzip, the bzip2 records and their resynchronisation. What does not: what is inside a
record. Source: ICD 2620010 (Archive II/User), section 7.
"""

from __future__ import annotations

import bz2
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from bzip2.fast import first_stream

HEADER_BYTES = 24
SIZE_WORD_BYTES = 4

RADIALS_PER_RECORD = 120
MAX_RADIAL_BYTES = 28 + 72 + 52 + 12 + 28 + 7 * (28 + 2 * 1840)
"""Message header, radial header, three constant blocks and seven moments of 1,840 gates at 16 bits."""
MAX_RECORD_BYTES = RADIALS_PER_RECORD * MAX_RADIAL_BYTES + 134 * 2432
"""The largest record that the format allows: 120 radials, and as many fixed messages as metadata has."""
MAX_VOLUME_BYTES = 256 * 1024 * 1024
"""More than three storm volumes (77 MB is the largest measured), so that doubled ones still fit."""

_GZIP = b"\x1f\x8b"
_GZIP_STEP = 1 << 18
_STREAM = re.compile(rb"BZh[1-9]1AY&SY")


@dataclass(frozen=True, slots=True)
class Record:
    """One unpacked record: its messages begin at `start` of `data`. `fault` tells what is wrong with it."""

    number: int
    data: bytes
    start: int = 0
    fault: str | None = None


def gunzip(data: bytes) -> tuple[bytes, str | None]:
    """Unpack a whole-file gzip, if there is one.

    Returns the bytes, which are those before the damage where the stream is damaged or cut short, and
    what is wrong in words. Stops one byte beyond `MAX_VOLUME_BYTES`, as a fault.
    """
    if not data.startswith(_GZIP):
        return data, None
    unpacked = bytearray()
    inflate = zlib.decompressobj(wbits=31)
    for start in range(0, len(data), _GZIP_STEP):
        chunk = data[start : start + _GZIP_STEP]
        try:
            unpacked += inflate.decompress(chunk, MAX_VOLUME_BYTES + 1 - len(unpacked))
        except zlib.error as error:
            return bytes(unpacked), f"the gzip stream is damaged after {len(unpacked)} bytes ({error})"
        if inflate.eof:
            rest = len(data) - start - len(chunk) + len(inflate.unused_data)
            return bytes(unpacked), f"{rest} bytes after the gzip stream are not read" if rest else None
        if len(unpacked) > MAX_VOLUME_BYTES:
            return bytes(unpacked), _too_large()
    return bytes(unpacked), f"the gzip stream is cut short after {len(unpacked)} bytes"


def records(data: bytes) -> Iterator[Record]:
    """Unpack the records of an Archive II file one after another; a bad one is told and passed over.

    Records are found by the first ten bytes of their bzip2 streams, not by their size words: so a size
    that lies, a repeated volume header and stray bytes lose nothing, and a damaged record loses itself
    alone. A file without bzip2 streams is one record of plain messages.
    """
    starts = [match.start() for match in _STREAM.finditer(data)]
    if not starts:
        yield Record(1, data, HEADER_BYTES)
        return
    before = data[HEADER_BYTES : starts[0] - SIZE_WORD_BYTES]
    if not _holds_nothing(before):
        yield Record(0, b"", fault=f"{len(before)} unreadable bytes before the first readable record")
    total = 0
    view = memoryview(data)
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(data)], strict=True), 1):
        record = _unpack(number, view[start:end], last=end == len(data))
        total += len(record.data)
        if total > MAX_VOLUME_BYTES:
            yield Record(number, b"", fault=_too_large())
            return
        yield record


def _unpack(number: int, packed: memoryview, *, last: bool) -> Record:
    fast = first_stream(packed, MAX_RECORD_BYTES)
    if fast is not None:
        return Record(number, fast[0], fault=_stray(number, bytes(packed[fast[1] :]), last=last))
    stream = bz2.BZ2Decompressor()
    try:
        unpacked = stream.decompress(packed, MAX_RECORD_BYTES)
    except (OSError, ValueError) as error:
        return Record(number, b"", fault=f"record {number} is damaged ({error})")
    if stream.eof:
        return Record(number, unpacked, fault=_stray(number, stream.unused_data, last=last))
    if not stream.needs_input:
        return Record(
            number, b"", fault=f"record {number} unpacks past the format's {MAX_RECORD_BYTES} bytes"
        )
    return Record(number, b"", fault=f"cut short in record {number}" if last else f"record {number} is cut")


def _stray(number: int, tail: bytes, *, last: bool) -> str | None:
    """What is lost in the bytes between a stream and the next one's size word, if anything."""
    beyond = tail if last else tail[:-SIZE_WORD_BYTES]
    if _holds_nothing(beyond):
        return None
    if last and len(beyond) < SIZE_WORD_BYTES + 10 and b"BZh".startswith(beyond[4:7]):
        return f"cut short in record {number + 1}"
    return f"{len(beyond)} unreadable bytes after record {number}"


def _holds_nothing(between: bytes) -> bool:
    """Whether bytes outside the records are padding or a repeated volume header."""
    repeated = len(between) == HEADER_BYTES and between.startswith((b"AR2V", b"ARCHIVE2"))
    return repeated or not between.strip(b"\0")


def _too_large() -> str:
    return f"it unpacks past {MAX_VOLUME_BYTES} bytes; the rest is not read"
