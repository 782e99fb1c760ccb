"""Damaged Level 3 files: a `VolumeError` that names the file, or a reading, and nothing else."""

import bz2
import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexrad_assets.radar.level3.message import is_level3, read_message
from nexrad_assets.radar.level3.radial import read_radial
from nexrad_assets.radar.volume import VolumeError
from tests.samples import SAMPLES, needs_samples

pytestmark = needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
TEXT_HEADER_BYTES = 30
HEAD_BYTES = 120
NULL = "LOT_DAA_2021_05_08_03_40_29"
RUN_LENGTH = "BMX_OHA_2015_01_02_02_05_00"
BYTES = "LOT_DTA_2021_02_28_15_05_33"
GENERIC = "BMX_DPR_2015_01_02_02_05_00"
TABLES = "BMX_NHI_2015_01_02_02_05_00"
VECTORS = "BMX_N0M_2015_01_02_02_05_00"
PACKED = "BMX_DSD_2015_01_02_02_05_00"
KINDS = (NULL, RUN_LENGTH, BYTES, GENERIC, TABLES, VECTORS, PACKED)


def content(name: str) -> bytes:
    """The message of a sample, unpacked but for `PACKED`, so that damage meets every layer of the format."""
    data = (LEVEL3 / name).read_bytes()[TEXT_HEADER_BYTES:]
    if name == PACKED or not data.startswith(b"BZh", HEAD_BYTES):
        return data
    blocks = bz2.decompress(data[HEAD_BYTES:])
    return data[:8] + struct.pack(">I", HEAD_BYTES + len(blocks)) + data[12:HEAD_BYTES] + blocks


def read_or_refuse(data: bytes) -> bool:
    """Whether the bytes are read; what is refused must be told in one line that names the file."""
    is_level3(data)
    fault = fault_of(data)
    assert fault is None or (fault.startswith("the_file: ") and "\n" not in fault)
    return fault is None


def fault_of(data: bytes) -> str | None:
    try:
        product = read_radial(read_message(data, "the_file"))
        assert product.coding.table()[product.codes].shape == product.codes.shape
    except VolumeError as error:
        return str(error)
    return None


def claiming_its_length(data: bytes) -> bytes:
    """A message cut short whose header agrees with the cut, so that the blocks themselves must tell."""
    return data[:8] + struct.pack(">I", len(data)) + data[12:]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_anywhere_is_refused(name: str):
    data = content(name)
    steps = {*range(0, 400, 7), *range(0, len(data), max(1, len(data) // 40)), len(data) - 1}
    for length in sorted(length for length in steps if length < len(data)):
        assert not read_or_refuse(data[:length]), length


@pytest.mark.parametrize("name", KINDS)
def test_a_message_cut_with_its_length_mended_is_refused_where_a_block_is_cut(name: str):
    data = content(name)
    steps = {
        *range(HEAD_BYTES, min(len(data), 400), 7),
        *range(HEAD_BYTES, len(data), max(1, len(data) // 40)),
    }
    for length in sorted(steps):
        with pytest.raises(VolumeError, match="the_file: "):
            read_message(claiming_its_length(data[:length]), "the_file")


@pytest.mark.parametrize("name", KINDS)
def test_extreme_values_in_any_length_or_count_are_survived(name: str):
    data = content(name)
    for at in range(0, min(len(data) - 2, HEAD_BYTES + 600), 2):
        for value in (b"\xff\xff", b"\x00\x00", b"\x7f\xff", b"\x80\x00"):
            read_or_refuse(data[:at] + value + data[at + 2 :])


@pytest.mark.parametrize("name", KINDS)
@given(seed=st.data())
@settings(max_examples=60, deadline=None)
def test_flipped_bytes_give_a_reading_or_a_named_fault(name: str, seed: st.DataObject):
    data = bytearray(content(name))
    places = st.one_of(st.integers(0, min(len(data), 400) - 1), st.integers(0, len(data) - 1))
    flips = seed.draw(st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=6))
    for at, bits in flips:
        data[at] ^= bits
    read_or_refuse(bytes(data))


@given(data=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes):
    for prefix in (b"", b"SDUS54 KOUN 202016\r\r\nN0RTLX\r\r\n", b"\x1f\x8b\x08\0", b"\x01\r\r\n"):
        assert not read_or_refuse(prefix + data)


@given(blocks=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_a_sound_head_before_arbitrary_blocks_is_survived(blocks: bytes):
    head = content(RUN_LENGTH)[:HEAD_BYTES]
    with contextlib.suppress(VolumeError):
        read_message(claiming_its_length(head + blocks), "the_file")


@pytest.mark.parametrize("length", [0, 1, 2, 18, 119])
def test_a_stub_is_told_by_its_size(length: int):
    with pytest.raises(VolumeError, match=f"the_file: too short for a Level 3 product: {length} bytes"):
        read_message(content(NULL)[:length], "the_file")


def test_a_cut_file_tells_how_much_of_it_is_there():
    data = content(RUN_LENGTH)
    with pytest.raises(VolumeError, match=f"the_file: cut short: 1000 of {len(data)} bytes"):
        read_message(data[:1000], "the_file")


def test_a_damaged_bzip2_stream_is_told():
    data = bytearray(content(PACKED))
    data[5000] ^= 0xFF
    with pytest.raises(VolumeError, match="the_file: the bzip2 stream is damaged"):
        read_message(bytes(data), "the_file")


def test_text_that_stands_alone_is_refused_by_name():
    data = bytearray(content(RUN_LENGTH))
    for at in (0, 30):
        struct.pack_into(">H", data, at, 82)
    with pytest.raises(VolumeError, match="the_file: message 82 is stand-alone text"):
        read_message(bytes(data), "the_file")


def test_a_raster_larger_than_any_products_is_refused_before_memory_is_taken():
    data = bytearray(content(RUN_LENGTH))
    struct.pack_into(">H", data, HEAD_BYTES + 16 + 4, 65_535)
    with pytest.raises(VolumeError, match="the_file: message 169: its raster claims 360 rays of 65535 gates"):
        read_radial(read_message(bytes(data), "the_file"))
