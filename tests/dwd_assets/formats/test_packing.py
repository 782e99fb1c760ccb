"""bzip2 and LZ4: what the programs of these names write and read, and what is refused."""

import bz2
import random
import shutil
import struct
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bzip2.fast import Kernels
from dwd_assets.formats import packing
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.packing import (
    PIECE_BYTES,
    pack_lz4,
    unpack_bzip2,
    unpack_bzip2_chunks,
    unpack_lz4,
)
from tests.samples import SAMPLES, needs_samples

NAME = "t_2m.grib2.bz2"
LIMIT = 1 << 28
TEXT = b"".join(b"%d degrees, " % number for number in range(20_000))
NOISE = random.Random(7).randbytes(50_000)
HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"

needs_lz4 = pytest.mark.skipif(shutil.which("lz4") is None, reason="PROGRAM ABSENT: lz4")
needs_bzip2 = pytest.mark.skipif(shutil.which("bzip2") is None, reason="PROGRAM ABSENT: bzip2")


def by_the_standard_library(data: bytes) -> bytes | None:
    """What its decompressor makes of a file, none where it finds a fault."""
    try:
        return b"".join(unpack_bzip2_chunks((data,), NAME, LIMIT))
    except FormatError:
        return None


def unpacked(data: bytes) -> bytes | None:
    try:
        return unpack_bzip2(data, NAME, LIMIT)
    except FormatError:
        return None


def piped(*command: str, data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@needs_bzip2
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE], ids=["empty", "byte", "text", "noise"])
def test_what_the_bzip2_program_packs_is_unpacked(data):
    assert unpack_bzip2(piped("bzip2", "-9", "-c", data=data), NAME, LIMIT) == data


@needs_bzip2
def test_streams_one_after_the_other_are_one_content_as_for_the_program():
    packed = bz2.compress(TEXT) + bz2.compress(b"") + bz2.compress(NOISE, 1)
    assert unpack_bzip2(packed, NAME, LIMIT) == piped("bzip2", "-d", "-c", data=packed) == TEXT + NOISE


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.integers(1, 40))
def test_chunks_of_any_size_unpack_to_the_same(contents, size):
    packed = b"".join(bz2.compress(content) for content in contents)
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpack_bzip2_chunks(chunks, NAME, LIMIT)) == b"".join(contents)


@pytest.mark.parametrize("cut", [1, 4, 100, 5000])
def test_a_bzip2_stream_that_is_cut_is_refused_however_little_is_missing(cut):
    packed = bz2.compress(NOISE)[:-cut]
    with pytest.raises(FormatError, match=rf"{NAME}: cut after {len(packed)} bytes"):
        unpack_bzip2(packed, NAME, LIMIT)


def test_a_second_stream_that_is_cut_is_refused():
    with pytest.raises(FormatError, match="cut after"):
        unpack_bzip2(bz2.compress(TEXT) + bz2.compress(TEXT)[:-1], NAME, LIMIT)


@pytest.mark.parametrize("tail", [b"\0", b"garbage", b"BZh9 but no block follows", HTML])
def test_anything_after_a_bzip2_stream_is_refused(tail):
    packed = bz2.compress(TEXT)
    with pytest.raises(FormatError, match=f"{NAME}: "):
        unpack_bzip2(packed + tail, NAME, LIMIT)


def test_a_fault_names_the_byte_where_what_is_no_bzip2_begins():
    packed = bz2.compress(TEXT)
    with pytest.raises(FormatError, match=rf"begins at byte {len(packed)} with b'<html>"):
        unpack_bzip2(packed + HTML, NAME, LIMIT)


@pytest.mark.parametrize("data", [b"", HTML, b"GRIB\0\0\0\2", NOISE], ids=["empty", "html", "grib", "noise"])
@pytest.mark.parametrize("unpack", [unpack_bzip2, unpack_lz4])
def test_what_is_not_packed_is_refused_in_one_line(unpack, data):
    with pytest.raises(FormatError, match=f"^{NAME}: ") as told:
        unpack(data, NAME, LIMIT)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("unpack", "pack"), [(unpack_bzip2, bz2.compress), (unpack_lz4, pack_lz4)], ids=["bzip2", "lz4"]
)
@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_flipped_bit_is_seen(unpack, pack, at):
    packed = bytearray(pack(NOISE))
    packed[int(len(packed) * at)] ^= 4
    with pytest.raises(FormatError, match="damaged"):
        unpack(bytes(packed), NAME, LIMIT)


@pytest.mark.parametrize(
    ("unpack", "pack"), [(unpack_bzip2, bz2.compress), (unpack_lz4, pack_lz4)], ids=["bzip2", "lz4"]
)
def test_a_bomb_is_stopped_at_its_limit_and_costs_no_memory(unpack, pack):
    packed = pack(bytes(60 * PIECE_BYTES))
    tracemalloc.start()
    with pytest.raises(FormatError, match=f"more than the {PIECE_BYTES + 1} bytes allowed"):
        unpack(packed, NAME, PIECE_BYTES + 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * PIECE_BYTES


@pytest.mark.parametrize(("unpack", "pack"), [(unpack_bzip2, bz2.compress), (unpack_lz4, pack_lz4)])
def test_the_limit_itself_is_allowed(unpack, pack):
    assert unpack(pack(TEXT), NAME, len(TEXT)) == TEXT


@pytest.mark.parametrize(
    "content", [b"", b"x", TEXT[:3000], NOISE[:300]], ids=["empty", "byte", "text", "noise"]
)
def test_no_flipped_bit_unpacks_to_anything_but_what_the_standard_library_makes_of_it(content):
    packed = bz2.compress(content)
    harmless = 0
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        result = unpacked(bytes(damaged))
        assert result == by_the_standard_library(bytes(damaged)), f"bit {bit}"
        assert result in {None, content}
        harmless += result is not None
    assert harmless < 0.2 * 8 * len(packed)


@pytest.mark.parametrize("content", [TEXT[:2000], NOISE[:2000]], ids=["text", "noise"])
def test_a_bzip2_stream_that_is_cut_anywhere_is_refused(content):
    packed = bz2.compress(content) + bz2.compress(content)
    whole = {len(packed) // 2, len(packed)}
    for end in range(len(packed) + 1):
        assert (unpacked(packed[:end]) is not None) == (end in whole)


def test_compiled_kernels_and_the_standard_library_judge_alike(monkeypatch):
    """Of a file of several streams too, whole, cut, followed by something else or beyond the limit."""
    whole = bz2.compress(NOISE) + bz2.compress(TEXT)
    files = [whole, whole[:-1], whole + b"x", HTML, b""]

    def judged(data: bytes) -> bytes | str:
        try:
            return unpack_bzip2(data, NAME, len(NOISE + TEXT))
        except FormatError as fault:
            return str(fault)

    monkeypatch.setattr(packing, "first_stream", Kernels(worth_bytes=0).first_stream)
    by_kernels = [judged(each) for each in files]
    monkeypatch.setattr(packing, "first_stream", lambda *_: None)
    assert by_kernels == [judged(each) for each in files]
    assert by_kernels[0] == NOISE + TEXT


BOMB = """
import bz2, resource, sys
from bzip2.fast import Kernels
from dwd_assets.formats import packing
packing.first_stream = Kernels(worth_bytes=0).first_stream
packing.unpack_bzip2(bz2.compress(b"warm"), "warm", 9)
block = bz2.compress(bytes(46_000_000))
def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak_mb()
for count, limit in ((20, 128 << 20), (2, 64 << 20)):
    try:
        packing.unpack_bzip2(block * count, "bomb", limit)
    except packing.FormatError as fault:
        assert "more than the" in str(fault), fault
    else:
        sys.exit("not refused")
print(peak_mb() - before)
"""


def test_bombs_of_many_blocks_cost_no_more_memory_than_their_limit():
    """Seen from outside, as memory that is not Python's own counts too."""
    told = subprocess.run(
        [sys.executable, "-c", BOMB], check=True, capture_output=True, text=True, timeout=120
    )
    assert float(told.stdout) < 2 * 128


@needs_lz4
@pytest.mark.parametrize("data", [b"", b"x", TEXT, NOISE * 100], ids=["empty", "byte", "text", "5 MB"])
def test_the_lz4_program_reads_what_is_packed_and_the_other_way_round(data):
    assert piped("lz4", "-d", "-c", data=pack_lz4(data)) == data
    assert unpack_lz4(piped("lz4", "-9", "-c", data=data), NAME, LIMIT) == data


def test_a_frame_says_its_size_and_has_a_checksum_of_its_content():
    # LZ4 Frame Format 1.6: magic number, then FLG, where bit 3 announces the size and bit 2 the checksum.
    magic, flags, _, size = struct.unpack_from("<IBBQ", pack_lz4(TEXT))
    assert magic == 0x184D2204
    assert flags & 0b1100 == 0b1100
    assert size == len(TEXT)


def test_the_same_bytes_give_the_same_frame():
    assert pack_lz4(TEXT) == pack_lz4(bytes(bytearray(TEXT)))


@given(st.binary(max_size=2000))
def test_lz4_gives_back_what_it_got(data):
    assert unpack_lz4(pack_lz4(data), NAME, LIMIT) == data


@given(st.binary(min_size=1, max_size=200), st.data())
def test_an_lz4_frame_that_is_cut_anywhere_is_refused(content, data):
    packed = pack_lz4(content)
    with pytest.raises(FormatError):
        unpack_lz4(packed[: data.draw(st.integers(0, len(packed) - 1))], NAME, LIMIT)


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=200), st.data())
def test_an_lz4_frame_with_any_flipped_bit_is_never_unpacked_to_something_else(content, data):
    packed = bytearray(pack_lz4(content))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert unpack_lz4(bytes(packed), NAME, LIMIT) == content
    except FormatError:
        return


@pytest.mark.parametrize("tail", [b"\0", pack_lz4(b"again")])
def test_anything_after_an_lz4_frame_is_refused(tail):
    with pytest.raises(FormatError, match=f"{len(tail)} bytes after the end"):
        unpack_lz4(pack_lz4(TEXT) + tail, NAME, LIMIT)


@needs_samples
def test_a_real_field_comes_through_both_packings_unchanged():
    path = SAMPLES / "dwd" / "icon-d2" / "icon-d2_icosahedral_2t_2020072800_000.grib2"
    raw = path.read_bytes()
    assert unpack_bzip2(bz2.compress(raw, 9), path.name, len(raw)) == raw
    packed = pack_lz4(raw)
    assert unpack_lz4(packed, path.name, len(raw)) == raw
    assert len(packed) < len(raw)
