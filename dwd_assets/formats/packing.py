"""bzip2, as the server packs, and LZ4, as the archive packs.

Nothing is given out whole that was not verified whole, and nothing is unpacked beyond a limit. bzip2 has a
checksum for each block and one for each stream; an LZ4 frame has one over its content when the archive wrote it.

Whole bzip2 files are unpacked by fbz where there is a wheel of it: of a field of 1.6 MB in 0.75 of the CPU time that
the standard library takes, and as that does without Python's lock. What fbz refuses, the standard library judges.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator

import lz4.frame

from dwd_assets.formats.errors import FormatError

try:
    import fbz  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    fbz = None

PIECE_BYTES = 1 << 20
"""How much is unpacked at a time: a bomb does no more harm than this beyond its limit."""

_BLOCK_MARK = 0x314159265359
_BLOCK_MARKS = tuple((_BLOCK_MARK << shift).to_bytes(7)[1:6] for shift in range(8))
"""The bytes that the mark at the begin of a block fills whole, by how it lies to the byte."""

_LONGEST_BLOCK = 900_000 // 5 * 259
"""What a block may unpack to: of 900,000 bytes, four equal ones and a fifth are up to 259."""

_BZIP2_FAULTS = (OSError, EOFError, ValueError)
_LZ4_FAULTS = (RuntimeError, EOFError, ValueError)


def unpack_bzip2(data: bytes, name: str, limit_bytes: int) -> bytes:
    """The content of one bzip2 stream, or of several one after the other.

    Raises `FormatError` where it is not bzip2, damaged, cut, followed by something else, or unpacks to more than
    `limit_bytes`.
    """
    unpacked = _unpacked_by_fbz(data, limit_bytes)
    return b"".join(unpack_bzip2_chunks((data,), name, limit_bytes)) if unpacked is None else unpacked


def unpack_bzip2_chunks(chunks: Iterable[bytes], name: str, limit_bytes: int) -> Iterator[bytes]:
    """The content of a bzip2 file that comes in chunks, in pieces of at most `PIECE_BYTES`.

    Pieces come before the end is known, so whoever takes them keeps them apart until the iterator ends.
    Raises `FormatError` as `unpack_bzip2` does.
    """
    stream = _Bzip2(name)
    unpacked = 0
    for chunk in chunks:
        for piece in stream.fed(chunk):
            unpacked += len(piece)
            if unpacked > limit_bytes:
                raise FormatError(f"{name}: unpacks to more than the {limit_bytes} bytes allowed")
            yield piece
    stream.finish()


def pack_lz4(data: bytes) -> bytes:
    """One LZ4 frame (the format of the `lz4` program) with content size and checksum; same bytes, same frame.

    Level 0, independent blocks of 64 KB: of all block sizes the smallest result on ICON fields (0.790 of raw;
    0.798 with blocks of 4 MB), at 1 GB/s. Level 9 gives 0.763 at 35 MB/s.
    """
    frame: bytes = lz4.frame.compress(
        data,
        compression_level=0,
        block_size=lz4.frame.BLOCKSIZE_MAX64KB,
        block_linked=False,
        content_checksum=True,
        store_size=True,
    )
    return frame


def unpack_lz4(data: bytes, name: str, limit_bytes: int) -> bytes:
    """The content of one LZ4 frame, verified by the checksums that it has.

    Raises `FormatError` where it is not LZ4, damaged, cut, followed by something else, or unpacks to more than
    `limit_bytes`.
    """
    pieces = []
    unpacked = 0
    for piece in _lz4_pieces(data, name):
        unpacked += len(piece)
        if unpacked > limit_bytes:
            raise FormatError(f"{name}: unpacks to more than the {limit_bytes} bytes allowed")
        pieces.append(piece)
    return b"".join(pieces)


def _unpacked_by_fbz(data: bytes, limit_bytes: int) -> bytes | None:
    """The content of a bzip2 file; none for what fbz refuses, and for what might be beyond the limit.

    fbz unpacks without a limit, so it gets nothing whose blocks could come to more.
    """
    if fbz is None or not data or _most_blocks(data) * _LONGEST_BLOCK > limit_bytes:
        return None
    try:
        unpacked: bytes = fbz.decompress(data, "bzip2", threads=1)
    except fbz.BadCompressedFile:
        return None
    return unpacked


def _most_blocks(data: bytes) -> int:
    """How many blocks a bzip2 file has at most: each begins with a mark, at any bit."""
    return sum(data.count(mark) for mark in _BLOCK_MARKS)


class _Bzip2:
    """bzip2 streams one after the other, fed in chunks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = bz2.BZ2Decompressor()
        self._fed_bytes = 0
        self._begun = False

    def fed(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk unpacks to, so far."""
        while chunk:
            if self._stream.eof:
                self._stream = bz2.BZ2Decompressor()
                self._begun = False
            start = self._fed_bytes
            self._fed_bytes += len(chunk)
            self._begun = True
            yield from self._pieces(chunk, start)
            chunk = self._stream.unused_data if self._stream.eof else b""
            self._fed_bytes -= len(chunk)

    def finish(self) -> None:
        """Raise `FormatError` unless the last stream came to its end."""
        if not self._begun:
            raise FormatError(f"{self._name}: is empty")
        if not self._stream.eof:
            raise FormatError(
                f"{self._name}: cut after {self._fed_bytes} bytes, before the end of its bzip2 stream"
            )

    def _pieces(self, chunk: bytes, start: int) -> Iterator[bytes]:
        try:
            yield self._stream.decompress(chunk, PIECE_BYTES)
            while not self._stream.eof and not self._stream.needs_input:
                yield self._stream.decompress(b"", PIECE_BYTES)
        except _BZIP2_FAULTS as fault:
            shown = chunk[:16]
            raise FormatError(
                f"{self._name}: not bzip2, or damaged, in what begins at byte {start} with {shown!r}: {fault}"
            ) from fault


def _lz4_pieces(data: bytes, name: str) -> Iterator[bytes]:
    if not data:
        raise FormatError(f"{name}: is empty")
    stream = lz4.frame.LZ4FrameDecompressor()
    try:
        yield stream.decompress(data, PIECE_BYTES)
        while not stream.eof and not stream.needs_input:
            yield stream.decompress(b"", PIECE_BYTES)
    except _LZ4_FAULTS as fault:
        raise FormatError(
            f"{name}: not an LZ4 frame, or damaged: begins with {data[:16]!r}: {fault}"
        ) from fault
    if not stream.eof:
        raise FormatError(f"{name}: cut after {len(data)} bytes, before the end of its LZ4 frame")
    if stream.unused_data:
        raise FormatError(f"{name}: {len(stream.unused_data)} bytes after the end of its LZ4 frame")
