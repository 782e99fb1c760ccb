"""Framing of Level 3 files, against MetPy and against files rebuilt in other wrappings."""

import bz2
import gzip
import struct
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nexrad_assets.radar.level3.message import MAX_MESSAGE_BYTES, is_level3, read_message
from nexrad_assets.radar.volume import VolumeError
from tests.samples import SAMPLES, level2_files, needs_samples

pytestmark = needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
FILES = sorted(LEVEL3.iterdir()) if LEVEL3.is_dir() else []
TEXT_HEADER_BYTES = 30
HEAD_BYTES = 120
DTA = "LOT_DTA_2021_02_28_15_05_33"
NVW = "AMX_NVW_2026_07_10_04_57_17"
NST = "BMX_NST_2015_01_02_02_05_00"


def content(name: str) -> bytes:
    return (LEVEL3 / name).read_bytes()


@cache
def metpy(path: Path) -> Any:
    from metpy.io import Level3File

    return Level3File(str(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sample_is_described_as_metpy_describes_it(path: Path):
    message, oracle = read_message(path.read_bytes(), path.name), metpy(path)
    assert message.file_name == path.name
    assert message.code == oracle.header.code
    assert message.latitude_deg == pytest.approx(oracle.lat)
    assert message.longitude_deg == pytest.approx(oracle.lon)
    assert message.height_m == pytest.approx(oracle.height * 0.3048)
    assert (message.mode, message.vcp) == (oracle.prod_desc.op_mode, oracle.prod_desc.vcp)
    assert message.elevation_number == oracle.prod_desc.el_num
    assert message.volume_time == oracle.metadata["vol_time"].replace(tzinfo=UTC)
    assert message.product_time == oracle.metadata["prod_time"].replace(tzinfo=UTC)
    words = np.array([message.halfwords[n] for n in (27, 28, 30, *range(47, 54))])
    assert (words >= -0x8000).all()
    assert (words < 0x8000).all()
    # MetPy makes the low half of the uncompressed size unsigned in its own list
    np.testing.assert_array_equal(words & 0xFFFF, np.array(oracle.depVals) & 0xFFFF)
    assert list(struct.unpack(">16h", message.thresholds)) == oracle.thresholds


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sample_has_as_many_packets_and_the_text_that_metpy_finds(path: Path):
    message, oracle = read_message(path.read_bytes(), path.name), metpy(path)
    layers = getattr(oracle, "sym_block", [])
    assert [sum(p.layer == layer for p in message.packets) for layer in range(len(layers))] == [
        len(layer) for layer in layers
    ]
    assert [len(page) for page in message.pages] == [len(page) for page in getattr(oracle, "graph_pages", [])]
    assert [[line.rstrip() for line in page.split("\n")] for page in getattr(oracle, "tab_pages", [])] == [
        list(page) for page in message.tables
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_sample_is_told_for_level_3_by_its_first_bytes(path: Path):
    assert is_level3(path.read_bytes()[:200])


@pytest.mark.parametrize("path", level2_files(), ids=lambda path: path.name)
def test_an_archive_ii_file_is_not_level_3(path: Path):
    with path.open("rb") as file:
        start = file.read(200)
    assert not is_level3(start)
    with pytest.raises(VolumeError, match=path.name):
        read_message(path.read_bytes(), path.name)


@pytest.mark.parametrize("name", [DTA, NVW, NST])
def test_the_awips_code_is_that_of_the_text_header(name: str):
    assert read_message(content(name), name).awips == name.split("_")[1]


def test_a_message_reads_the_same_without_its_text_header():
    bare = content(NST)[TEXT_HEADER_BYTES:]
    assert is_level3(bare)
    message = read_message(bare, NST)
    assert message.awips == ""
    assert [p.data for p in message.packets] == [p.data for p in read_message(content(NST), NST).packets]


@pytest.mark.parametrize("wrapped", [b"\x01\r\r\n123 \r\r\n%s\r\r\n\x03", b"%s\r\r\n\x03", b"%s\0\0\0\0"])
def test_what_a_broadcast_wraps_around_a_message_is_passed_over(wrapped: bytes):
    data = wrapped % content(NVW)
    assert is_level3(data)
    message = read_message(data, NVW)
    assert message.awips == "NVW"
    assert message.tables == read_message(content(NVW), NVW).tables


def test_a_gzip_file_reads_as_what_is_in_it():
    packed = gzip.compress(content(NVW))
    assert is_level3(packed)
    assert is_level3(packed[:1000])
    assert not is_level3(gzip.compress(b"AR2V0006.001" + bytes(300)))
    assert not is_level3(packed[:12] + bytes(300))
    assert read_message(packed, NVW).tables == read_message(content(NVW), NVW).tables


def test_a_product_sent_without_compression_reads_as_the_compressed_one():
    data = content(DTA)[TEXT_HEADER_BYTES:]
    blocks = bz2.decompress(data[HEAD_BYTES:])
    plain = data[:8] + struct.pack(">I", HEAD_BYTES + len(blocks)) + data[12:HEAD_BYTES] + blocks
    packed, unpacked = read_message(content(DTA), DTA), read_message(plain, DTA)
    assert [p.data for p in unpacked.packets] == [p.data for p in packed.packets]
    assert unpacked.tables == packed.tables


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_what_unpacks_past_the_bound_is_refused(pack: Any):
    filling = bytes(MAX_MESSAGE_BYTES + 1)
    head = content(DTA)[TEXT_HEADER_BYTES : TEXT_HEADER_BYTES + HEAD_BYTES]
    if pack is gzip.compress:
        bomb = pack(head + filling)
    else:
        packed = pack(filling)
        bomb = head[:8] + struct.pack(">I", HEAD_BYTES + len(packed)) + head[12:] + packed
    with pytest.raises(VolumeError, match=f"bomb: .* past {MAX_MESSAGE_BYTES} bytes"):
        read_message(bomb, "bomb")
