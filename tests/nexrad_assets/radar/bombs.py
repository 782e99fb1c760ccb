"""Small bzip2 streams that unpack to much, made without packing much."""

import bz2

STREAM_HEAD_BYTES = 4
BLOCK_MAGIC_BYTES = 6
CHECKSUM_BITS = 32
END_MAGIC = 0x177245385090
END_BITS = 48 + CHECKSUM_BITS
BLOCK_ZEROS = 45_000_000
"""So many fit into one block, whose first stage makes five bytes of 255."""


def packed_zeros(blocks: int) -> bytes:
    """A bzip2 stream of as many times 45 MB of zeros: one block's bits again and again, under the right checksum."""
    stream = bz2.compress(bytes(BLOCK_ZEROS))
    block, width = _only_block(stream)
    begin = STREAM_HEAD_BYTES + BLOCK_MAGIC_BYTES
    checksum = int.from_bytes(stream[begin : begin + CHECKSUM_BITS // 8])
    bits = combined = 0
    for _ in range(blocks):
        bits = bits << width | block
        combined = (combined << 1 | combined >> 31) & 0xFFFFFFFF ^ checksum
    bits = (bits << 48 | END_MAGIC) << CHECKSUM_BITS | combined
    length = blocks * width + END_BITS
    return stream[:STREAM_HEAD_BYTES] + (bits << -length % 8).to_bytes((length + 7) // 8)


def _only_block(stream: bytes) -> tuple[int, int]:
    """The bits of a stream's one block, and how many there are: all between head and end, which no byte begins."""
    bits = int.from_bytes(stream[STREAM_HEAD_BYTES:])
    spare = next(spare for spare in range(8) if bits >> spare + CHECKSUM_BITS & (1 << 48) - 1 == END_MAGIC)
    return bits >> spare + END_BITS, (len(stream) - STREAM_HEAD_BYTES) * 8 - spare - END_BITS
