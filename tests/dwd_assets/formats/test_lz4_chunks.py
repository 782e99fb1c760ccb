"""LZ4 frames that come in chunks: the same content and the same refusals as of the whole."""

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.packing import PIECE_BYTES, pack_lz4, unpack_lz4, unpack_lz4_chunks

NAME = "some.grib2.lz4"
TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def chunked(data, size):
    return [data[place : place + size] for place in range(0, len(data), size)]


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=3000), repeats=st.integers(1, 60), size=st.integers(1, 5000))
def test_a_frame_in_chunks_of_any_size_is_its_content(content, repeats, size):
    data = content * repeats
    packed = lz4.frame.compress(data, block_size=lz4.frame.BLOCKSIZE_MAX64KB, content_checksum=True)
    assert b"".join(unpack_lz4_chunks(chunked(packed, size), NAME, len(data))) == data


@pytest.mark.parametrize("size", [1, 777, 1 << 20])
def test_what_is_no_whole_frame_is_refused_as_unpack_lz4_refuses_it(size):
    packed = pack_lz4(TEXT)
    damaged = packed[:5000] + bytes([packed[5000] ^ 1]) + packed[5001:]
    for data in (b"", b"<html>no such file</html>", packed[:-1], packed[:9000], damaged, packed + b"more"):
        with pytest.raises(FormatError, match=NAME):
            b"".join(unpack_lz4_chunks(chunked(data, size), NAME, len(TEXT)))
        with pytest.raises(FormatError, match=NAME):
            unpack_lz4(data, NAME, len(TEXT))


def test_bytes_behind_the_frame_are_counted_in_whatever_chunks_they_come():
    data = pack_lz4(TEXT) + b"x" * 1000
    for size in (300, len(data) - 500, len(data)):
        with pytest.raises(FormatError, match="1000 bytes after the end"):
            b"".join(unpack_lz4_chunks(chunked(data, size), NAME, len(TEXT)))


def test_a_bomb_is_stopped_at_the_limit_and_comes_in_pieces():
    bomb = pack_lz4(bytes(50 * PIECE_BYTES))
    pieces = []
    with pytest.raises(FormatError, match="unpacks to more"):
        pieces.extend(map(len, unpack_lz4_chunks([bomb], NAME, 10 * PIECE_BYTES)))
    assert max(pieces) <= PIECE_BYTES
    assert sum(pieces) == 10 * PIECE_BYTES
