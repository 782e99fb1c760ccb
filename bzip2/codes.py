"""From the bits of a bzip2 block to the bytes of its last column: Huffman codes, run lengths, move to front.

Compiled by numba, no lock of Python's held. What belongs here: what lies between a block's checksum and the mark
after it. What does not: marks, checksums, and the order of the bytes. Nothing here decides that a block is
right: where a block is not as it should be, `REFUSED` comes back in place of a position.
Source: the format as bzip2 1.0.8 writes and reads it (decompress.c, huffman.c); it has no other specification.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

REFUSED = -1

LONGEST_CODE = 20
MOST_TABLES = 6
MOST_SYMBOLS = 258
"""Two for runs, one for each byte but the first of the list, and one for the end of the block."""
GROUP = 50
"""Symbols that one table is used for at a time."""
MOST_SELECTORS = 18_002
"""As many groups as 900,000 symbols have; what has more is left to who reads it by the letter."""
MARGIN_BYTES = 256
"""How far beyond its end the input may be read: a group of the longest codes, and a word."""

LOOKED_UP_BITS = 11
"""Codes up to this length are found by one look at a table of 4 KB."""
_LENGTH_BITS = 5
_LENGTH_MASK = (1 << _LENGTH_BITS) - 1
_WORD_BITS = 64

_Decoder: TypeAlias = tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]
"""For each table, what `_make_decoder` makes: lookup, limits, offsets, ordered."""


@njit(cache=True, nogil=True)
def read_block(
    data: NDArray[np.uint8], at: int, end: int, symbols: NDArray[np.uint16], column: NDArray[np.uint8],
    counts: NDArray[np.int64], longest: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Read a block, from the bit after its checksum on.

    data: the file, with `MARGIN_BYTES` behind it. at, end: where the block begins and the file ends, in bits.
    symbols: room for `MOST_SELECTORS` groups. column, counts: get the bytes of the last column (at most `longest`)
    and how often each byte is among them. Returns where the block ends in bits, or `REFUSED`; the length of the
    column; and the row of it that the content begins with.
    """
    first_row = _bits(data, at + 1, 24)
    alphabet = np.zeros(256, np.uint8)
    used = _read_alphabet(data, at + 25, alphabet)
    selectors = np.zeros(MOST_SELECTORS, np.uint8)
    lookup = np.zeros((MOST_TABLES, 1 << LOOKED_UP_BITS), np.uint16)
    limits = np.zeros((MOST_TABLES, LONGEST_CODE + 2), np.int64)
    offsets = np.zeros((MOST_TABLES, LONGEST_CODE + 2), np.int64)
    ordered = np.zeros((MOST_TABLES, MOST_SYMBOLS), np.uint16)
    # A block may say that its bytes were shuffled at random: bzip2 has not written such since 1999.
    if _bits(data, at, 1) or used == 0:
        return REFUSED, 0, 0
    at += 25 + 16 + 16 * _ones(_bits(data, at + 25, 16))
    tables, groups = _bits(data, at, 3), _bits(data, at + 3, 15)
    at = _read_selectors(data, at + 18, end, tables, groups, selectors)
    for table in range(tables):
        if at != REFUSED:
            at = _read_table(
                data, at, end, used + 2, lookup[table], limits[table], offsets[table], ordered[table]
            )
    if at == REFUSED:
        return REFUSED, 0, 0
    at = _read_symbols(
        data, at, end, selectors[:groups], used + 1, (lookup, limits, offsets, ordered), symbols
    )
    if at == REFUSED:
        return REFUSED, 0, 0
    length = _moved_to_front(symbols, used + 1, alphabet, column, counts, longest)
    return (at if 0 <= first_row < length else REFUSED), length, first_row


@njit(cache=True, nogil=True)
def _bits(data: NDArray[np.uint8], at: int, count: int) -> int:
    """Up to 32 bits, the first of them the highest."""
    word = np.uint64(0)
    first = at >> 3
    for byte in range(8):
        word = (word << np.uint64(8)) | np.uint64(data[first + byte])
    return np.int64((word << np.uint64(at & 7)) >> np.uint64(_WORD_BITS - count))


@njit(cache=True, nogil=True)
def _ones(word: int) -> int:
    ones = 0
    while word:
        ones += word & 1
        word >>= 1
    return ones


@njit(cache=True, nogil=True)
def _read_alphabet(data: NDArray[np.uint8], at: int, alphabet: NDArray[np.uint8]) -> int:
    """The bytes that the block has, in order: 16 bits tell which sixteenths have any, 16 more for each of those."""
    sixteenths = _bits(data, at, 16)
    used = 0
    for sixteenth in range(16):
        if sixteenths & (0x8000 >> sixteenth):
            at += 16
            members = _bits(data, at, 16)
            for member in range(16):
                if members & (0x8000 >> member):
                    alphabet[used] = sixteenth * 16 + member
                    used += 1
    return used


@njit(cache=True, nogil=True)
def _read_selectors(
    data: NDArray[np.uint8], at: int, end: int, tables: int, groups: int, selectors: NDArray[np.uint8]
) -> int:
    """Which table each group has: its place in a list in which the last used one comes first."""
    if tables < 2 or tables > MOST_TABLES or groups < 1 or groups > MOST_SELECTORS:
        return REFUSED
    order = np.arange(MOST_TABLES)
    for group in range(groups):
        place = 0
        while _bits(data, at, 1) and place < tables:
            place += 1
            at += 1
        at += 1
        if place >= tables or at > end:
            return REFUSED
        table = order[place]
        for each in range(place, 0, -1):
            order[each] = order[each - 1]
        order[0] = table
        selectors[group] = table
    return at


@njit(cache=True, nogil=True)
def _read_table(
    data: NDArray[np.uint8], at: int, end: int, size: int, lookup: NDArray[np.uint16], limits: NDArray[np.int64],
    offsets: NDArray[np.int64], ordered: NDArray[np.uint16],
) -> int:  # fmt: skip
    """The lengths of a table's codes, each told by its difference to the one before, and what decodes them."""
    lengths = np.zeros(MOST_SYMBOLS, np.int64)
    length = _bits(data, at, 5)
    at += 5
    for symbol in range(size):
        while _bits(data, at, 1):
            length += 1 - 2 * _bits(data, at + 1, 1)
            at += 2
            if length < 1 or length > LONGEST_CODE:
                return REFUSED
        at += 1
        if length < 1 or length > LONGEST_CODE or at > end:
            return REFUSED
        lengths[symbol] = length
    return at if _make_decoder(lengths[:size], lookup, limits, offsets, ordered) else REFUSED


@njit(cache=True, nogil=True)
def _make_decoder(
    lengths: NDArray[np.int64], lookup: NDArray[np.uint16], limits: NDArray[np.int64],
    offsets: NDArray[np.int64], ordered: NDArray[np.uint16],
) -> bool:  # fmt: skip
    """Codes of a length are consecutive numbers, in the order of their symbols, after those that are shorter.

    limits: the first number (of `LONGEST_CODE` bits) that is of a longer code. offsets: what to add to a code for
    its place in `ordered`. lookup: symbol and length by the first bits, 0 where the code is longer than those.
    """
    place, code = 0, 0
    for length in range(1, LONGEST_CODE + 1):
        offsets[length] = place - code
        for symbol in range(lengths.size):
            if lengths[symbol] != length:
                continue
            ordered[place] = symbol
            place += 1
            code += 1
            if code > 1 << length:
                return False
            if length <= LOOKED_UP_BITS:
                after = code << (LOOKED_UP_BITS - length)
                lookup[after - (1 << (LOOKED_UP_BITS - length)) : after] = (symbol << _LENGTH_BITS) | length
        limits[length] = code << (LONGEST_CODE - length)
        code <<= 1
    return True


@njit(cache=True, nogil=True)
def _read_symbols(
    data: NDArray[np.uint8], at: int, end: int, selectors: NDArray[np.uint8], last: int, decoder: _Decoder,
    symbols: NDArray[np.uint16],
) -> int:  # fmt: skip
    """The symbols of a block up to its `last` one, which tells the end."""
    lookups, limits, offsets, ordered = decoder
    byte = np.uint64(at >> 3)
    waiting = _WORD_BITS - (at & 7)
    word = (_four_bytes(data, byte) << np.uint64(32)) | _four_bytes(data, byte + np.uint64(4))
    word <<= np.uint64(at & 7)
    byte += np.uint64(8)
    place = np.uint64(0)
    for table in selectors:
        lookup = lookups[table]
        if np.int64(byte) * 8 - waiting > end:
            return REFUSED
        for _ in range(GROUP):
            if waiting < 32:
                word |= _four_bytes(data, byte) << np.uint64(32 - waiting)
                waiting += 32
                byte += np.uint64(4)
            found = np.uint64(lookup[word >> np.uint64(_WORD_BITS - LOOKED_UP_BITS)])
            if found == 0:
                found = _found(word, limits[table], offsets[table], ordered[table])
                if found == 0:
                    return REFUSED
            length = found & np.uint64(_LENGTH_MASK)
            symbol = found >> np.uint64(_LENGTH_BITS)
            word <<= length
            waiting -= np.int64(length)
            symbols[place] = symbol
            place += np.uint64(1)
            if symbol == np.uint64(last):
                return np.int64(byte) * 8 - waiting
    return REFUSED


@njit(cache=True, nogil=True)
def _four_bytes(data: NDArray[np.uint8], byte: np.uint64) -> np.uint64:
    """A number of 32 bits, the first byte the highest."""
    high = (np.uint64(data[byte]) << np.uint64(24)) | (np.uint64(data[byte + np.uint64(1)]) << np.uint64(16))
    low = (np.uint64(data[byte + np.uint64(2)]) << np.uint64(8)) | np.uint64(data[byte + np.uint64(3)])
    return high | low


@njit(cache=True, nogil=True)
def _found(
    word: np.uint64, limits: NDArray[np.int64], offsets: NDArray[np.int64], ordered: NDArray[np.uint16]
) -> np.uint64:
    """A symbol and its length where the code is longer than what is looked up, 0 where it is none."""
    number = np.int64(word >> np.uint64(_WORD_BITS - LONGEST_CODE))
    length = LOOKED_UP_BITS + 1
    while length <= LONGEST_CODE and number >= limits[length]:
        length += 1
    if length > LONGEST_CODE:
        return np.uint64(0)
    coded = (number >> (LONGEST_CODE - length)) + offsets[length]
    return (np.uint64(ordered[coded]) << np.uint64(_LENGTH_BITS)) | np.uint64(length)


@njit(cache=True, nogil=True)
def _moved_to_front(
    symbols: NDArray[np.uint16], last: int, alphabet: NDArray[np.uint8], column: NDArray[np.uint8],
    counts: NDArray[np.int64], longest: int,
) -> int:  # fmt: skip
    """The bytes that symbols stand for: places in a list in which the last byte comes first, or runs of that one.

    Places are unsigned, as numba asks of each signed one whether it counts from the end. Returns how many bytes
    there are, `REFUSED` where they are more than `longest`.
    """
    order = alphabet.copy()
    counts[:] = 0
    place, length, most = np.uint64(0), np.uint64(0), np.uint64(longest)
    while symbols[place] != last:
        if symbols[place] <= 1:
            run, weight = np.uint64(0), np.uint64(1)
            while symbols[place] <= 1 and run <= most:
                run += weight << np.uint64(symbols[place])
                weight <<= np.uint64(1)
                place += np.uint64(1)
            if length + run > most:
                return REFUSED
            byte = order[0]
            column[length : length + run] = byte
        else:
            if length >= most:
                return REFUSED
            before = np.uint64(symbols[place]) - np.uint64(1)
            byte = order[before]
            while before > np.uint64(0):
                order[before] = order[before - np.uint64(1)]
                before -= np.uint64(1)
            order[0] = byte
            column[length] = byte
            run = np.uint64(1)
            place += np.uint64(1)
        counts[byte] += np.int64(run)
        length += run
    return np.int64(length)
