"""From the last column of a bzip2 block to its bytes in order: the inverse of the Burrows-Wheeler transform.

Compiled by numba, no lock of Python's held. Each byte tells where the next one is, at a place that no cache
foresees: one chain of 900,000 waits for memory at every step. So the chain is entered at many places at once: at
every row whose number is a multiple of `STRIDE`, in `LANES` lanes whose waits overlap; each ends where another
begins, and the pieces are laid end to end. Measured on fields of 1.6 MB: 11 ms against 45 with one chain from each end.
Source: Burrows and Wheeler, "A Block-sorting Lossless Data Compression Algorithm" (SRC report 124, 1994),
algorithm D.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LANES = 12
_STRIDE_BITS = 13
STRIDE = 1 << _STRIDE_BITS


@njit(cache=True, nogil=True)
def put_in_order(
    column: NDArray[np.uint8], counts: NDArray[np.int64], first_row: int, links: NDArray[np.uint32],
    lanes: NDArray[np.uint8], ordered: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Put the bytes of a block's last column in order, into `ordered`, which is as long.

    counts: how often each byte is in the column. first_row: the row that the content begins with. links: room for
    one word a row. lanes: room for `LANES` times the column.
    """
    length = column.size
    _link(column, counts, links)
    starts = ((length - 1) >> _STRIDE_BITS) + 1
    begins, sizes, nexts = np.zeros(starts, np.uint64), np.zeros(starts, np.int64), np.zeros(starts, np.int64)
    _follow(links, length, lanes, begins, sizes, nexts)
    at, row = _first_piece(links, first_row, ordered)
    while at < length:
        start = row >> _STRIDE_BITS
        size = min(sizes[start], length - at)
        ordered[at : at + size] = lanes[begins[start] : begins[start] + size]
        at += size
        row = nexts[start]


@njit(cache=True, nogil=True)
def _link(column: NDArray[np.uint8], counts: NDArray[np.int64], links: NDArray[np.uint32]) -> None:
    """For each row: in the low byte what comes there, above it the row that comes after."""
    places = np.zeros(256, np.uint32)
    for byte in range(1, 256):
        places[byte] = places[byte - 1] + counts[byte - 1]
    for row in range(column.size):
        byte = column[row]
        place = places[byte]
        places[byte] = place + 1
        links[place] = (np.uint32(row) << np.uint32(8)) | np.uint32(byte)


@njit(cache=True, nogil=True)
def _follow(
    links: NDArray[np.uint32], length: int, lanes: NDArray[np.uint8], begins: NDArray[np.uint64],
    sizes: NDArray[np.int64], nexts: NDArray[np.int64],
) -> None:  # fmt: skip
    """Follow the chain from each start to the next one that it meets, in up to `LANES` lanes side by side.

    Places are unsigned, as numba asks of each signed one whether it counts from the end.

    No row is met twice, so no lane has more than `length` bytes. begins, sizes: where in `lanes` the piece of each
    start lies. nexts: the row at which the piece ended, which another start begins with.
    """
    one, live, starts = np.uint64(1), np.uint64(min(LANES, begins.size)), np.uint64(begins.size)
    rows, ats, ours = np.zeros(LANES, np.uint32), np.zeros(LANES, np.uint64), np.zeros(LANES, np.uint64)
    for lane in range(live):
        rows[lane] = lane << np.uint64(_STRIDE_BITS)
        ats[lane] = begins[lane] = lane * np.uint64(length)
        ours[lane] = lane
    begun = live
    lane = np.uint64(0)
    while live:
        lane = lane if lane < live else np.uint64(0)
        link = links[rows[lane]]
        at = ats[lane]
        lanes[at] = np.uint8(link & np.uint32(255))
        at += one
        row = np.uint32(link >> np.uint32(8))
        rows[lane], ats[lane] = row, at
        if row & np.uint32(STRIDE - 1) == 0:
            sizes[ours[lane]] = at - begins[ours[lane]]
            nexts[ours[lane]] = row
            if begun == starts:
                live -= one
                rows[lane], ats[lane], ours[lane] = rows[live], ats[live], ours[live]
                continue
            rows[lane], ours[lane] = begun << np.uint64(_STRIDE_BITS), begun
            begins[begun] = at
            begun += one
        lane += one


@njit(cache=True, nogil=True)
def _first_piece(links: NDArray[np.uint32], first_row: int, ordered: NDArray[np.uint8]) -> tuple[int, int]:
    """From the first row to the next that is a start; returns the length, and that row.

    A chain that meets no start returns to where it began: content that repeats itself, then whole.
    """
    row = np.uint32(first_row)
    for at in range(ordered.size):
        link = links[row]
        ordered[at] = np.uint8(link & np.uint32(255))
        row = np.uint32(link >> np.uint32(8))
        if row & np.uint32(STRIDE - 1) == 0:
            return at + 1, np.int64(row)
    return ordered.size, 0
