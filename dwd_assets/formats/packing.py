"""bzip2, as the server packs, and LZ4, as the archive packs.

Nothing is given out whole that was not verified whole, and nothing is unpacked beyond a limit. bzip2 has a
checksum for each block and one for each stream; an LZ4 frame has one over its content when the archive wrote it.

Whole bzip2 files are unpacked by compiled kernels once a process has enough of them (`bzip2.fast`). What those
refuse, the standard library judges.
"""

from __future__ import annotations

import bz2
import os
import threading
from collections.abc import Iterable, Iterator

import lz4.frame

from bzip2.fast import first_stream
from dwd_assets.formats.errors import FormatError

PIECE_BYTES = 1 << 20
"""How much is unpacked at a time: a bomb does no more harm than this beyond its limit."""

_TURNS = threading.BoundedSemaphore(os.cpu_count() or 1)
"""Held while a bzip2 file is unpacked, which needs megabytes at hand: with 16 at once on two cores each takes twice the
CPU time.
"""

_BZIP2_FAULTS = (OSError, EOFError, ValueError)
_LZ4_FAULTS = (RuntimeError, EOFError, ValueError)


def unpack_bzip2(data: bytes, name: str, limit_bytes: int) -> bytes:
    """The content of one bzip2 stream, or of several one after the other.

    Raises `FormatError` where it is not bzip2, damaged, cut, followed by something else, or unpacks to more than
    `limit_bytes`.
    """
    with _TURNS:
        contents: list[bytes] = []
        rest, room = memoryview(data), limit_bytes
        while rest:
            stream = first_stream(rest, room)
            if stream is None:
                return b"".join(unpack_bzip2_chunks((data,), name, limit_bytes))
            contents.append(stream[0])
            rest, room = rest[stream[1] :], room - len(stream[0])
        return b"".join(contents or unpack_bzip2_chunks((data,), name, limit_bytes))


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
    return b"".join(unpack_lz4_chunks((data,), name, limit_bytes))


def unpack_lz4_chunks(chunks: Iterable[bytes], name: str, limit_bytes: int) -> Iterator[bytes]:
    """The content of one LZ4 frame that comes in chunks, in pieces of at most `PIECE_BYTES`.

    Pieces come before the end is known, so whoever takes them keeps them apart until the iterator ends, or knows
    them already. Raises `FormatError` as `unpack_lz4` does.
    """
    stream = _Lz4(name)
    unpacked = 0
    for chunk in chunks:
        for piece in stream.fed(chunk):
            unpacked += len(piece)
            if unpacked > limit_bytes:
                raise FormatError(f"{name}: unpacks to more than the {limit_bytes} bytes allowed")
            yield piece
    stream.finish()


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


class _Lz4:
    """One LZ4 frame, fed in chunks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = lz4.frame.LZ4FrameDecompressor()
        self._fed_bytes = 0
        self._bytes_after = 0

    def fed(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk unpacks to, so far."""
        if self._stream.eof:
            self._bytes_after += len(chunk)
        elif chunk:
            yield from self._pieces(chunk)
        self._fed_bytes += len(chunk)

    def finish(self) -> None:
        """Raise `FormatError` unless the frame came to its end, and nothing after it."""
        if not self._fed_bytes:
            raise FormatError(f"{self._name}: is empty")
        if not self._stream.eof:
            raise FormatError(
                f"{self._name}: cut after {self._fed_bytes} bytes, before the end of its LZ4 frame"
            )
        after = len(self._stream.unused_data or b"") + self._bytes_after
        if after:
            raise FormatError(f"{self._name}: {after} bytes after the end of its LZ4 frame")

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield self._stream.decompress(chunk, PIECE_BYTES)
            while not self._stream.eof and not self._stream.needs_input:
                yield self._stream.decompress(b"", PIECE_BYTES)
        except _LZ4_FAULTS as fault:
            raise FormatError(
                f"{self._name}: not an LZ4 frame, or damaged, in what begins at byte {self._fed_bytes} with "
                f"{chunk[:16]!r}: {fault}"
            ) from fault
