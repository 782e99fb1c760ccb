"""A whole bzip2 stream by the compiled kernels.

What belongs here: marks, checksums, the room that kernels work in. What does not: whether it is worth loading them.
"""

from __future__ import annotations

import bz2
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bzip2 import codes, ordering, runs

LONGEST_BLOCK = 900_000
_HEADER = b"BZh"
_HEADER_BYTES = 4
_MARK_BITS = 48
_CRC_BITS = 32
_BLOCK = 0x314159265359
_END = 0x177245385090
_ONES = 0xFFFFFFFF


class RefusedError(Exception):
    """The stream is not as it should be, or not of a kind that these kernels read; another judges it."""


@dataclass(frozen=True, slots=True)
class Room:
    """What the kernels work in, some 18 MB; of one thread at a time."""

    symbols: NDArray[np.uint16] = field(
        default_factory=lambda: np.empty(codes.MOST_SELECTORS * codes.GROUP, np.uint16)
    )
    column: NDArray[np.uint8] = field(default_factory=lambda: np.empty(LONGEST_BLOCK, np.uint8))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(256, np.int64))
    links: NDArray[np.uint32] = field(default_factory=lambda: np.empty(LONGEST_BLOCK, np.uint32))
    lanes: NDArray[np.uint8] = field(
        default_factory=lambda: np.empty(ordering.LANES * LONGEST_BLOCK, np.uint8)
    )
    ordered: NDArray[np.uint8] = field(default_factory=lambda: np.empty(LONGEST_BLOCK, np.uint8))


def unpack(packed: bytes | memoryview, limit_bytes: int, room: Room) -> tuple[bytes, int]:
    """The content of the first stream in `packed`, and how many bytes of that it is in.

    Raises `RefusedError` where it is damaged, cut, unpacks to more than `limit_bytes`, or is of a kind that is not
    read here: blocks shuffled at random, which nothing has written since 1999.
    """
    level = packed[3] - ord("0") if len(packed) > _HEADER_BYTES else 0
    if bytes(packed[:3]) != _HEADER or not 1 <= level <= 9:
        raise RefusedError
    data = np.zeros(len(packed) + codes.MARGIN_BYTES, np.uint8)
    data[: len(packed)] = np.frombuffer(packed, np.uint8)
    stream = _Stream(data, len(packed) * 8, level * 100_000, room)
    return stream.unpacked(limit_bytes)


def warm_up() -> None:
    """Load the kernels, which are compiled where they have not been on this machine: some seconds, once."""
    packed = bz2.compress(b"warm " * 9)
    if unpack(packed, len(packed) * 9, Room()) != (b"warm " * 9, len(packed)):
        raise RuntimeError("the compiled kernels do not give what was packed")


@dataclass(slots=True)
class _Stream:
    """One pass over a stream: where it is, in bits, and the checksum so far."""

    data: NDArray[np.uint8]
    end: int
    longest: int
    room: Room
    at: int = _HEADER_BYTES * 8
    crc: int = 0

    def unpacked(self, limit_bytes: int) -> tuple[bytes, int]:
        pieces: list[bytes] = []
        while (mark := self._number(_MARK_BITS)) == _BLOCK:
            crc = self._number(_CRC_BITS)
            pieces.append(self._block(limit_bytes))
            limit_bytes -= len(pieces[-1])
            if _checksum(pieces[-1]) != crc:
                raise RefusedError
            self.crc = ((self.crc << 1) & _ONES | self.crc >> 31) ^ crc
        if mark != _END or self._number(_CRC_BITS) != self.crc:
            raise RefusedError
        return b"".join(pieces), (self.at + 7) // 8

    def _number(self, bits: int) -> int:
        """The next bits; ones beyond the end, which no mark is."""
        first, self.at = self.at, self.at + bits
        if self.at > self.end:
            raise RefusedError
        held = int.from_bytes(self.data[first >> 3 : (self.at + 7) >> 3].tobytes())
        return held >> (-self.at & 7) & ((1 << bits) - 1)

    def _block(self, limit_bytes: int) -> bytes:
        room = self.room
        self.at, length, first_row = codes.read_block(
            self.data, self.at, self.end, room.symbols, room.column, room.counts, self.longest
        )
        if self.at == codes.REFUSED or self.at > self.end:
            raise RefusedError
        ordered = room.ordered[:length]
        ordering.put_in_order(room.column[:length], room.counts, first_row, room.links, room.lanes, ordered)
        return _content(ordered, limit_bytes)


def _content(ordered: NDArray[np.uint8], limit_bytes: int) -> bytes:
    """What the bytes stand for; room for it is doubled until it suffices, up to the limit."""
    size = min(len(ordered) * 5 // 4 + 256, limit_bytes)
    while True:
        content = np.empty(size, np.uint8)
        length = runs.undo_runs(ordered, content)
        if length != runs.FULL:
            return content[:length].tobytes()
        if size >= limit_bytes:
            raise RefusedError
        size = min(2 * size, limit_bytes)


def _checksum(content: bytes) -> int:
    return int(runs.checksum(np.frombuffer(content, np.uint8), runs.CRC_TABLES))
