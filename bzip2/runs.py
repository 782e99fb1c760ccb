"""From the ordered bytes of a bzip2 block to its content, and the checksum over that.

Compiled by numba, no lock of Python's held. Four equal bytes are followed by the number of further ones. The
checksum is CRC-32 with the polynomial 0x04C11DB7, the highest bit first, begun with ones and inverted at its end.
Source: bzip2 1.0.8 (compress.c, crctable.c); eight bytes a step as in Kounavis and Berry, "A Systematic Approach
to Building High Performance Software-based CRC Generators" (2005).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_POLYNOMIAL = 0x04C11DB7
_ONES = 0xFFFFFFFF
FULL = -1


def _tables() -> NDArray[np.uint32]:
    """What a byte does to the checksum when 0 to 7 bytes come after it."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) & _ONES ^ (_POLYNOMIAL if crc >> 31 else 0)
        tables[0, byte] = crc
    for after in range(1, 8):
        before = tables[after - 1]
        tables[after] = (before << np.uint32(8)) ^ tables[0][before >> np.uint32(24)]
    return tables


CRC_TABLES = _tables()


@njit(cache=True, nogil=True)
def undo_runs(ordered: NDArray[np.uint8], content: NDArray[np.uint8]) -> int:
    """Write a block's content; returns how long it is, `FULL` where it is longer than there is room."""
    at, same, before = 0, 0, -1
    counts = False
    for byte in ordered:
        if counts:
            if at + byte > content.size:
                return FULL
            content[at : at + byte] = np.uint8(before)
            at += np.int64(byte)
            counts, same = False, 0
            continue
        if at >= content.size:
            return FULL
        content[at] = byte
        at += 1
        same = same + 1 if byte == before and same else 1
        before = np.int64(byte)
        counts = same == 4
    return at


@njit(cache=True, nogil=True)
def checksum(content: NDArray[np.uint8], tables: NDArray[np.uint32]) -> int:
    """The checksum of a block's content; `tables` are `CRC_TABLES`."""
    crc = np.uint64(_ONES)
    whole = content.size & ~7
    for at in range(0, whole, 8):
        head = np.uint64(0)
        for byte in range(4):
            head = (head << np.uint64(8)) | np.uint64(content[at + byte])
        head ^= crc
        crc = np.uint64(
            tables[7, np.int64(head >> np.uint64(24))]
            ^ tables[6, np.int64(head >> np.uint64(16)) & 255]
            ^ tables[5, np.int64(head >> np.uint64(8)) & 255]
            ^ tables[4, np.int64(head) & 255]
            ^ tables[3, content[at + 4]]
            ^ tables[2, content[at + 5]]
            ^ tables[1, content[at + 6]]
            ^ tables[0, content[at + 7]]
        )
    for at in range(whole, content.size):
        crc = ((crc << np.uint64(8)) & np.uint64(_ONES)) ^ np.uint64(
            tables[0, np.int64(crc >> np.uint64(24)) ^ np.int64(content[at])]
        )
    return np.int64(crc ^ np.uint64(_ONES))
