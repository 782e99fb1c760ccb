"""Files of the Level 3 writer: real products, taken apart and written again, come out byte for byte."""

import bz2
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nexrad_assets.simulator.level3_writer import (
    Description,
    Radials,
    Source,
    block_product,
    date_and_s,
    graphic_block,
    is_simulated_product,
    lines_packet,
    radial_product,
    storm_id_packet,
    symbol_packet,
    symbology_block,
    table_packet,
    text_product,
    track_packet,
)
from tests.samples import SAMPLES, needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
BODY = 150
RADIAL = [
    "AMX_N0B_2026_07_06_15_45_17",
    "LOT_N0H_2021_01_31_11_06_30",
    "LOT_N0H_2021_04_28_21_11_56",
    "LOT_HHC_2021_01_31_11_06_30",
    "LOT_HHC_2021_04_28_21_11_56",
    "AMX_DAA_2026_07_10_04_57_17",
    "LOT_DAA_2021_02_28_12_14_47",
    "BMX_DAA_2015_01_02_02_05_00",
]
NULL = "LOT_DAA_2021_05_08_03_40_29"
TRACKS = "AMX_NST_2026_07_10_04_57_17"
SOURCE = Source("KTLX", 35.333, -97.278, 389.0, datetime(2025, 5, 20, 20, 0, 30, tzinfo=UTC), 212, False, 7)
PLAIN = Description("N0B", 153, "SDUS5", SOURCE.start + timedelta(seconds=15), 11)


def when(days, seconds):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days - 1, seconds=seconds)


def parsed(data):
    """Source and description of a real file, by the byte places of the ICD and nothing else."""
    h = dict(enumerate(struct.unpack(">51H", data[48:BODY]), start=10))
    (lat, lon) = struct.unpack(">ii", data[50:58])
    start, made = when(h[21], h[22] << 16 | h[23]), when(h[24], h[25] << 16 | h[26])
    site = "K" + data[27 - 3 : 27].decode()
    source = Source(site, lat / 1000, lon / 1000, h[15] * 0.3048, start, h[18], h[17] == 1, h[20])
    own = {number: h[number] for number in range(27, 51)}
    return source, Description(data[21:24].decode(), h[16], data[:5].decode(), made, h[19], own)


def comparable(data):
    """A file without what differs by intent: region and office, source, receiver, version, sending time."""
    text, header, described = data[:30], data[30:48], data[48:BODY]
    region_and_office = slice(5, 11)
    return (
        text[: region_and_office.start] + text[region_and_office.stop :],
        header[:2] + header[8:12] + header[16:],
        described[:88] + described[90:],
        data[BODY:],
    )


def radials_of(data):
    block = bz2.decompress(data[BODY:])
    _, _, gates, _, _, scale, rays = struct.unpack(">7H", block[16:30])
    table = np.frombuffer(block[30:], np.dtype([("head", ">u2", 3), ("codes", "u1", gates)]))
    assert len(table) == rays
    return Radials(table["head"][:, 1].astype(int), table["codes"], scale)


@needs_samples
@pytest.mark.parametrize("name", RADIAL)
def test_a_real_radial_product_taken_apart_is_written_again_byte_for_byte(name):
    real = (LEVEL3 / name).read_bytes()
    ours = radial_product(*parsed(real), radials_of(real))
    for mine, theirs in zip(comparable(ours), comparable(real), strict=True):
        assert mine == theirs


@needs_samples
def test_a_real_null_product_taken_apart_is_written_again_byte_for_byte():
    real = (LEVEL3 / NULL).read_bytes()
    ours = text_product(*parsed(real), real[BODY + 24 :].decode())
    for mine, theirs in zip(comparable(ours), comparable(real), strict=True):
        assert mine == theirs


@needs_samples
def test_the_tracks_and_tables_of_a_real_product_are_written_again_byte_for_byte():
    from metpy.io import Level3File

    real = (LEVEL3 / TRACKS).read_bytes()
    file = Level3File(str(LEVEL3 / TRACKS))
    symbols = symbology_block([packet for one in file.sym_block[0] for packet in map_packets(one)])
    pages = [b"".join(table_packets(page)) for page in file.graph_pages]
    written = block_product(*parsed(real), [symbols, graphic_block(pages)])
    assert real[BODY:].startswith(written[BODY:])
    offsets = slice(48 + 2 * (55 - 10), 48 + 2 * (59 - 10))
    assert written[offsets] == real[offsets]


def map_packets(one):
    if "current storm position" in one:
        return [symbol_packet('"', one["current storm position"])]
    if one.get("type") == "Storm ID":
        return [storm_id_packet(one["id"], (one["x"], one["y"]))]
    past = "past storm position" in str(one["markers"])
    return [track_packet(23 if past else 24, "!" if past else "#", one["track"])]


def table_packets(page):
    rows = [table_packet(row["text"], row["y"]) for row in page if "text" in row]
    return rows + [lines_packet(row["vectors"]) for row in page if "vectors" in row]


@needs_samples
def test_no_real_file_is_taken_for_a_simulated_one():
    files = sorted(path for path in LEVEL3.iterdir() if path.is_file())
    assert len(files) > 40
    assert not [path.name for path in files if is_simulated_product(path.read_bytes())]


def test_a_written_file_is_known_as_simulated_from_its_first_bytes_and_a_piece_of_it_is_not():
    data = text_product(SOURCE, PLAIN, "nothing")
    assert is_simulated_product(data[:BODY])
    assert not is_simulated_product(data[: BODY - 1])
    assert not is_simulated_product(b"")


def test_a_ray_ends_where_the_next_one_begins_also_across_north():
    radials = Radials(np.array([3590, 1, 10, 3579]), np.zeros((4, 2), np.uint8), 999)
    block = bz2.decompress(radial_product(SOURCE, PLAIN, radials)[BODY:])
    heads = [struct.unpack(">HHH", block[at : at + 6]) for at in range(30, 62, 8)]
    assert heads == [(2, 3590, 11), (2, 1, 9), (2, 10, 3569), (2, 3579, 11)]


def test_an_odd_number_of_gates_is_refused():
    with pytest.raises(ValueError, match="even number of gates, not 3"):
        radial_product(SOURCE, PLAIN, Radials(np.array([0]), np.zeros((1, 3), np.uint8), 999))


def test_an_odd_text_is_filled_up_to_a_whole_halfword():
    assert len(text_product(SOURCE, PLAIN, "abc")) == len(text_product(SOURCE, PLAIN, "abcd"))


def test_days_are_counted_from_1_on_the_first_day_of_1970():
    assert date_and_s(datetime(1970, 1, 1, tzinfo=UTC)) == (1, 0)
    assert date_and_s(datetime(2026, 7, 10, 4, 57, 17, tzinfo=UTC)) == (20645, 17837)
