"""The compiled kernels: the same bytes as the standard library's, or none."""

import bz2
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bzip2.streams import RefusedError, Room, unpack
from tests.samples import SAMPLES, level2_files, needs_samples

LIMIT = 1 << 26
NOISE = random.Random(3).randbytes(2_000_000)
ROOM = Room()

needs_bzip2 = pytest.mark.skipif(shutil.which("bzip2") is None, reason="PROGRAM ABSENT: bzip2")


def by_kernels(packed: bytes, limit: int = LIMIT) -> tuple[bytes, int] | None:
    try:
        return unpack(packed, limit, ROOM)
    except RefusedError:
        return None


def by_the_standard_library(packed: bytes) -> tuple[bytes, int] | None:
    """The content of the first stream and the bytes it is in; none where it is damaged or cut."""
    stream = bz2.BZ2Decompressor()
    try:
        content = stream.decompress(packed)
    except (OSError, ValueError, EOFError):
        return None
    return (content, len(packed) - len(stream.unused_data)) if stream.eof else None


def skewed(length: int) -> bytes:
    """Bytes of which some are far more frequent than others, so that codes have up to twenty bits."""
    source = random.Random(length)
    return bytes(min(255, int(source.expovariate(0.7) ** 2)) for _ in range(length))


CONTENTS = {
    "nothing": b"",
    "a byte": b"x",
    "runs of every length": b"".join(bytes([each % 251]) * each for each in range(600)),
    "one run": bytes(3_000_000),
    "noise of three blocks": NOISE,
    "every byte in turn, over and over": bytes(range(256)) * 9000,
    "two bytes in turn": b"ab" * 700_000,
    "content that repeats itself, and one byte more": b"abcdefgh" * 20_000 + b"x",
    "skewed": skewed(300_000),
    "words": b" ".join(b"%d" % (each * each % 9973) for each in range(200_000)),
}


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("name", CONTENTS)
def test_what_the_standard_library_packs_comes_back(name, level):
    content = CONTENTS[name]
    packed = bz2.compress(content, level)
    assert by_kernels(packed) == (content, len(packed))


@needs_bzip2
@pytest.mark.parametrize("name", ["nothing", "skewed", "words"])
def test_what_the_bzip2_program_packs_comes_back(name):
    packed = subprocess.run(["bzip2", "-c"], input=CONTENTS[name], capture_output=True, check=True).stdout
    assert by_kernels(packed) == (CONTENTS[name], len(packed))


def test_what_follows_the_stream_is_not_read():
    packed = bz2.compress(b"first")
    assert by_kernels(packed + bz2.compress(b"second")) == (b"first", len(packed))
    assert by_kernels(packed + b"\xff" * 9) == (b"first", len(packed))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 700)), max_size=12))
def test_any_content_comes_back(parts):
    content = b"".join(part * times for part, times in parts)
    packed = bz2.compress(content, 1)
    assert by_kernels(packed) == (content, len(packed))


@settings(max_examples=800)
@given(st.binary(max_size=400), st.data())
def test_of_damaged_files_nothing_comes_but_what_the_standard_library_gives(content, data):
    packed = bytearray(bz2.compress(content))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    result = by_kernels(bytes(packed))
    assert result is None or result == by_the_standard_library(bytes(packed))


@pytest.mark.parametrize("name", ["skewed", "noise of three blocks"])
def test_no_flipped_bit_of_a_large_file_gives_other_bytes_or_ends_the_process(name):
    packed = bz2.compress(CONTENTS[name][:400_000])
    source = random.Random(11)
    for _ in range(60):
        damaged = bytearray(packed)
        damaged[source.randrange(200) if source.random() < 0.5 else source.randrange(len(packed))] ^= (
            1 << source.randrange(8)
        )
        result = by_kernels(bytes(damaged))
        assert result is None or result == by_the_standard_library(bytes(damaged))


def test_every_bit_of_a_small_file_counts():
    packed = bz2.compress(b"twelve degrees, " * 20)
    for bit in range(8 * len(packed)):
        damaged = bytearray(packed)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        result = by_kernels(bytes(damaged))
        assert result is None or result == by_the_standard_library(bytes(damaged)), f"bit {bit}"


def test_a_stream_that_is_cut_anywhere_is_refused():
    packed = bz2.compress(NOISE[:2000])
    assert [end for end in range(len(packed) + 1) if by_kernels(packed[:end])] == [len(packed)]


def test_the_limit_itself_is_allowed_and_a_byte_more_is_not():
    packed = bz2.compress(b"q" * 5_000_000)
    assert by_kernels(packed, 5_000_000) is not None
    assert by_kernels(packed, 4_999_999) is None


def test_a_block_that_says_it_is_shuffled_is_left_to_others():
    # The bit after the block's mark (48 bits) and checksum (32 bits), behind the stream's 4 bytes.
    packed = bytearray(bz2.compress(b"content"))
    packed[14] |= 0x80
    assert by_kernels(bytes(packed)) is None


@needs_samples
def test_fields_packed_as_dwd_packs_them_come_back():
    fields = sorted((SAMPLES / "dwd").rglob("*.grib2"))
    assert fields
    for path in fields:
        packed = bz2.compress(path.read_bytes())
        assert by_kernels(packed) == (path.read_bytes(), len(packed)), path.name


@needs_samples
def test_records_of_volumes_come_back():
    volumes = [path for path in level2_files() if b"BZh" in path.read_bytes()[:40]]
    assert volumes
    for path in volumes[:3]:
        data = path.read_bytes()
        packed = data[28 : data.index(b"BZh", 40) - 4]
        assert by_kernels(packed) == by_the_standard_library(packed), path.name


def test_many_threads_at_once_each_get_their_own():
    contents = [NOISE[start : start + 150_000] for start in range(0, 1_200_000, 150_000)]
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda each: unpack(bz2.compress(each), LIMIT, Room())[0], contents))
    assert results == contents
