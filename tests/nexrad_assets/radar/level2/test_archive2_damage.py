"""Real volumes cut, flipped, doubled and lied about: what is whole is read, what is lost is told."""

import bz2
import gzip
import random
import struct
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.radar.level2.bzip2_records import MAX_RECORD_BYTES
from nexrad_assets.radar.volume import VolumeError
from tests.nexrad_assets.radar.bombs import BLOCK_ZEROS, packed_zeros
from tests.nexrad_assets.radar.level2.archive2_samples import (
    MESSAGE_1,
    PACKED,
    PLAIN,
    assert_same_sweep,
    packed_records,
    sample,
    whole,
)
from tests.samples import needs_samples

HEADER = b"AR2V0006.001" + struct.pack(">II", 20_000, 3_600_000) + b"KTLX"
PLAIN_RAY = 2 * 1010 + 12
PLAIN_START = 24 + 134 * 2432


def size_word(packed):
    return struct.pack(">i", len(packed))


def joined(records):
    return sample(PACKED)[:24] + b"".join(records)


def assert_prefix(volume, name):
    """Every sweep returned is the original's, but for some of its last rays."""
    originals = {sweep.number: sweep for sweep in whole(name).sweeps}
    for sweep in volume.sweeps:
        original = originals[sweep.number]
        rays = len(sweep.azimuth_deg)
        assert rays * sweep.spacing_deg > 358
        assert_same_sweep(sweep, original, rays)


@needs_samples
@pytest.mark.parametrize("name", [PACKED, PLAIN, MESSAGE_1])
def test_a_volume_cut_anywhere_gives_its_whole_sweeps_and_tells_the_cut(name):
    data = sample(name)
    offsets = random.Random(7).sample(range(len(data)), 8)
    for offset in [0, 3, 24, 25, 4000, len(data) - 1, *offsets]:
        try:
            volume = read_volume(data[:offset], name)
        except VolumeError as error:
            assert str(error).startswith(f"{name}: ")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
            assert offset < len(data) / 4
        else:
            assert_prefix(volume, name)
            lost = len(volume.sweeps) < len(whole(name).sweeps)
            assert not lost or any("no end of volume" in told for told in volume.missing)


@needs_samples
def test_a_cut_in_a_record_names_the_record_and_drops_the_sweep_that_is_not_finished():
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:9], records[9][:-100]]), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == [1]
    assert volume.missing == (
        "cut short in record 10",
        "sweep 2 has 240 of 720 rays: dropped",
        "no end of volume: the file ends in or after sweep 2 of 8",
    )


@needs_samples
@pytest.mark.parametrize("kept", [2, 4, 10])
def test_a_cut_in_the_first_bytes_of_a_record_is_told_as_a_cut(kept):
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:7], records[7][:kept]]), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == [1]
    assert "no end of volume: the file ends in or after sweep 1 of 8" in volume.missing


@needs_samples
@pytest.mark.parametrize("name", [PACKED, PLAIN])
def test_a_gzip_cut_short_gives_its_whole_sweeps(name):
    packed = gzip.compress(sample(name), 1)
    volume = read_volume(packed[: len(packed) // 2], name)
    assert 1 <= len(volume.sweeps) < len(whole(name).sweeps)
    assert_prefix(volume, name)
    assert "the gzip stream is cut short" in volume.missing[0]


@needs_samples
def test_gzip_around_bzip2_records_changes_nothing():
    volume = read_volume(gzip.compress(sample(PACKED), 1), PACKED)
    assert volume.missing == ()
    for one, other in zip(volume.sweeps, whole(PACKED).sweeps, strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_a_damaged_gzip_keeps_what_came_before_the_damage():
    packed = bytearray(gzip.compress(sample(PLAIN), 1))
    packed[len(packed) // 2] ^= 0xFF
    volume = read_volume(bytes(packed), PLAIN)
    assert_same_sweep(volume.sweeps[0], whole(PLAIN).sweeps[0])
    assert any("gzip stream is damaged" in told for told in volume.missing)


@needs_samples
def test_bytes_flipped_in_packed_records_cost_their_records_alone():
    for seed in range(6):
        chance = random.Random(seed)
        data = bytearray(sample(PACKED))
        data[chance.randrange(3000, len(data))] ^= 1 << chance.randrange(8)
        volume = read_volume(bytes(data), PACKED)
        assert len(volume.sweeps) >= len(whole(PACKED).sweeps) - 1
        untouched = [sweep for sweep in volume.sweeps if len(sweep.azimuth_deg) * sweep.spacing_deg == 360]
        assert len(untouched) >= len(whole(PACKED).sweeps) - 1
        for sweep in untouched:
            assert_same_sweep(sweep, whole(PACKED).sweeps[sweep.number - 1])


@needs_samples
@pytest.mark.parametrize(
    "bad",
    [b"\x00\x00\x10\x00" + bytes(range(256)) * 16, b"garbage", b"\xff\xff\xff\x00BZh91AY&SY" + b"x" * 500],
    ids=["zeros", "text", "a stream that is none"],
)
def test_a_bad_record_in_the_middle_loses_its_rays_alone(bad):
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:3], bad, *records[4:]]), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == list(range(1, 9))
    assert len(volume.sweeps[0].azimuth_deg) == 600
    assert "sweep 1 has 600 of 720 rays, a gap of 61 degrees" in volume.missing
    assert any("record" in told for told in volume.missing)
    for one, other in zip(volume.sweeps[1:], whole(PACKED).sweeps[1:], strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_a_sweep_that_lost_most_of_its_records_is_dropped_and_told():
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:7], *records[11:]]), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == [1, 3, 4, 5, 6, 7, 8]
    assert volume.missing == ("sweep 2 has 240 of 720 rays: dropped",)


@needs_samples
def test_a_missing_middle_cut_is_told():
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:7], *records[13:]]), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == [1, 3, 4, 5, 6, 7, 8]
    assert volume.missing == ("sweep 2 is missing",)


@needs_samples
@pytest.mark.parametrize("word", [0, -1, 5, 2**31 - 1, -(2**31)])
def test_sizes_that_lie_lose_nothing(word):
    lying = [struct.pack(">i", word) + record[4:] for record in packed_records(sample(PACKED))]
    volume = read_volume(joined(lying), PACKED)
    assert volume.missing == ()
    assert len(volume.sweeps) == len(whole(PACKED).sweeps)


@needs_samples
def test_negative_sizes_mean_their_absolute_value():
    data = packed_records(sample(PACKED))
    negative = [struct.pack(">i", -struct.unpack(">i", record[:4])[0]) + record[4:] for record in data]
    volume = read_volume(joined(negative), PACKED)
    assert volume.missing == ()
    assert_same_sweep(volume.sweeps[-1], whole(PACKED).sweeps[-1])


@needs_samples
@pytest.mark.parametrize("name", [PACKED, PLAIN])
def test_a_volume_twice_in_one_file_is_the_volume_once(name):
    volume = read_volume(sample(name) * 2, name)
    assert volume.missing == ()
    for one, other in zip(volume.sweeps, whole(name).sweeps, strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_a_cut_volume_followed_by_the_whole_one_is_the_whole_one():
    data = sample(PACKED)
    volume = read_volume(data[: len(data) // 3] + data, PACKED)
    assert len(volume.sweeps) == 8
    for one, other in zip(
        sorted(volume.sweeps, key=lambda sweep: sweep.number), whole(PACKED).sweeps, strict=True
    ):
        assert_same_sweep(one, other)


@needs_samples
@pytest.mark.parametrize("name", [PACKED, PLAIN])
def test_a_header_repeated_in_the_middle_changes_nothing(name):
    data = sample(name)
    at = PLAIN_START + 100 * PLAIN_RAY if name == PLAIN else 24 + sum(map(len, packed_records(data)[:3]))
    volume = read_volume(data[:24] + data[:at] + data[:24] + data[at:], name)
    assert volume.missing == ()
    for one, other in zip(volume.sweeps, whole(name).sweeps, strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_two_volumes_of_one_site_in_one_file_give_the_sweeps_of_both():
    volume = read_volume(sample(PACKED) + sample("KDMX20220305_232324_V06"), PACKED)
    assert [sweep.number for sweep in volume.sweeps] == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]
    assert volume.start == whole(PACKED).start
    assert volume.vcp == whole(PACKED).vcp


@needs_samples
@pytest.mark.parametrize("size", [1, 100, 2432, 5000])
def test_garbage_between_plain_radials_is_passed_over(size):
    data = sample(PLAIN)
    at = PLAIN_START + 100 * PLAIN_RAY
    volume = read_volume(data[:at] + b"\xee" * size + data[at:], PLAIN)
    assert volume.missing == (f"record 1 has {size} unreadable bytes",)
    for one, other in zip(volume.sweeps, whole(PLAIN).sweeps, strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_a_radial_that_lies_about_its_length_costs_few_rays():
    data = bytearray(sample(PLAIN))
    at = PLAIN_START + 100 * PLAIN_RAY
    struct.pack_into(">H", data, at + 12, 999)
    volume = read_volume(bytes(data), PLAIN)
    assert len(volume.sweeps) == 7
    assert 717 <= len(volume.sweeps[0].azimuth_deg) <= 720
    assert volume.missing
    for one, other in zip(volume.sweeps[1:], whole(PLAIN).sweeps[1:], strict=True):
        assert_same_sweep(one, other)


@needs_samples
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 300 * PLAIN_RAY), st.binary(min_size=1, max_size=40)), max_size=8))
def test_random_bytes_in_plain_radials_never_raise_anything_else(edits):
    data = bytearray(sample(PLAIN)[: PLAIN_START + 720 * PLAIN_RAY])
    for at, patch in edits:
        data[PLAIN_START + at : PLAIN_START + at + len(patch)] = patch
    try:
        volume = read_volume(bytes(data), PLAIN)
    except VolumeError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert all(len(sweep.azimuth_deg) == len(sweep.time_s) for sweep in volume.sweeps)
        for sweep in volume.sweeps:
            assert all(len(moment.codes) == len(sweep.time_s) for moment in sweep.moments.values())


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([b"AR2V0001.", b"AR2V0006.", b"AR2V0008.", b"ARCHIVE2."]), st.binary(max_size=6000))
def test_random_bytes_after_a_header_are_a_volume_error(tape, body):
    with pytest.raises(VolumeError, match=r"\Abad: "):
        read_volume(tape + HEADER[9:] + body, "bad")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=2404))
def test_random_messages_are_a_volume_error(kind, body):
    message = bytes(12) + struct.pack(">HBB", 1208, 0, kind) + bytes(12) + body.ljust(2404, b"\0")
    with pytest.raises(VolumeError):
        read_volume(HEADER + message * 3, "bad")
    record = bz2.compress(message * 3)
    with pytest.raises(VolumeError):
        read_volume(HEADER + size_word(record) + record, "bad")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\necho not a radar volume\n" * 50, "not an Archive II volume: it begins with"),
        (b"AR2V", "not an Archive II volume"),
        (HEADER, "an Archive II header and nothing after it"),
        (HEADER[:20], "nothing after it"),
        (HEADER + b"no messages here", "nothing to read"),
        (b"\x1f\x9d\x90" + bytes(100), "not an Archive II volume"),
        (b"\x1f\x8b" + bytes(100), "not an Archive II volume"),
        (gzip.compress(b"<html>404</html>"), "not an Archive II volume: it begins with b'<html>404</h"),
    ],
    ids=["empty", "text", "tape", "header", "short header", "rest", "compress", "gzip", "gzip page"],
)
def test_what_is_no_volume_is_told_in_one_line(data, fault):
    with pytest.raises(VolumeError) as caught:
        read_volume(data, "KTLX20240101_000000_V06")
    assert str(caught.value).startswith("KTLX20240101_000000_V06: ")
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def peak_and_seconds(data):
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(VolumeError) as caught:
            read_volume(data, "bomb")
        return tracemalloc.get_traced_memory()[1], time.process_time() - begun, str(caught.value)
    finally:
        tracemalloc.stop()


def test_the_bombs_are_whole_streams():
    assert bz2.decompress(packed_zeros(2)) == bytes(2 * BLOCK_ZEROS)


def test_a_bzip2_bomb_is_stopped_at_the_format_limit():
    bomb = packed_zeros(5)
    assert len(bomb) < 785
    peak, seconds, fault = peak_and_seconds(HEADER + size_word(bomb) + bomb)
    assert peak < 20_000_000
    assert seconds < 2
    assert "record 1 unpacks past the format's" in fault


def test_many_large_records_are_stopped_at_the_volume_limit():
    record = bz2.compress(bytes(3_000_000))
    peak, seconds, fault = peak_and_seconds(HEADER + (size_word(record) + record) * 300)
    assert peak < 20_000_000
    assert seconds < 20
    assert "it unpacks past 268435456 bytes" in fault


def test_a_gzip_bomb_is_stopped_at_the_volume_limit():
    bomb = gzip.compress(HEADER + bytes(400_000_000), 1)
    peak, seconds, fault = peak_and_seconds(bomb)
    assert peak < 700_000_000
    assert seconds < 20
    assert "it unpacks past 268435456 bytes" in fault


@needs_samples
def test_a_bomb_between_good_records_costs_nothing_but_itself():
    bomb = bz2.compress(bytes(50_000_000))
    records = packed_records(sample(PACKED))
    volume = read_volume(joined([*records[:3], size_word(bomb) + bomb, *records[3:]]), PACKED)
    assert volume.missing == (f"record 4 unpacks past the format's {MAX_RECORD_BYTES} bytes",)
    for one, other in zip(volume.sweeps, whole(PACKED).sweeps, strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_an_unknown_site_without_a_position_is_a_volume_error():
    data = sample(MESSAGE_1)
    with pytest.raises(
        VolumeError, match="does not tell where its radar is, and there is no radar site 'KZZZ'"
    ):
        read_volume(data, "KZZZ19950413_132143")


@needs_samples
def test_garbage_between_message_1_radials_costs_its_own_length():
    data = bytearray(sample(MESSAGE_1))
    data[24 + 100 * 2432 : 24 + 101 * 2432] = b"\xee" * 2432
    volume = read_volume(bytes(data), MESSAGE_1)
    assert "record 1 has 2432 unreadable bytes" in volume.missing
    assert len(volume.sweeps[0].azimuth_deg) == len(whole(MESSAGE_1).sweeps[0].azimuth_deg) - 1
    for one, other in zip(volume.sweeps[1:], whole(MESSAGE_1).sweeps[1:], strict=True):
        assert_same_sweep(one, other)


@needs_samples
def test_a_ray_with_another_scale_counts_as_without_the_moment():
    data = bytearray(sample(PLAIN))
    block = data.index(b"DREF", PLAIN_START + 100 * PLAIN_RAY)
    struct.pack_into(">f", data, block + 20, 4.0)
    volume = read_volume(bytes(data), PLAIN)
    codes, original = volume.sweeps[0].moments["REF"].codes, whole(PLAIN).sweeps[0].moments["REF"].codes
    assert volume.missing == ("sweep 1 changes the coding of REF: rays without it",)
    assert not codes[100].any()
    assert (codes[:100] == original[:100]).all()
    assert (codes[101:] == original[101:]).all()


@needs_samples
def test_a_ray_with_fewer_gates_is_filled_with_no_data():
    data = bytearray(sample(PLAIN))
    block = data.index(b"DREF", PLAIN_START + 100 * PLAIN_RAY)
    struct.pack_into(">H", data, block + 8, 700)
    volume = read_volume(bytes(data), PLAIN)
    codes, original = volume.sweeps[0].moments["REF"].codes, whole(PLAIN).sweeps[0].moments["REF"].codes
    assert volume.missing == ()
    assert codes.shape == original.shape
    assert (codes[100, :700] == original[100, :700]).all()
    assert not codes[100, 700:].any()


@needs_samples
def test_a_terminal_radars_shrunken_position_comes_from_the_table():
    data = bytearray(sample(PLAIN))
    struct.pack_into(">ff", data, data.index(b"RVOL") + 8, 0.03533, -0.09728)
    volume = read_volume(bytes(data), PLAIN)
    truth = whole(PLAIN)
    assert volume.latitude_deg == pytest.approx(truth.latitude_deg, abs=5e-4)
    assert volume.longitude_deg == pytest.approx(truth.longitude_deg, abs=5e-4)
    assert volume.height_m == pytest.approx(truth.height_m, abs=10.0)


@needs_samples
def test_a_file_of_more_turns_than_a_volume_has_is_refused():
    data = bytearray(sample(PLAIN)[: PLAIN_START + 600 * PLAIN_RAY])
    for ray in range(600):
        data[PLAIN_START + ray * PLAIN_RAY + 49] = 0
    with pytest.raises(VolumeError, match="more than 256 turns"):
        read_volume(bytes(data), PLAIN)


def test_a_file_of_more_messages_than_a_volume_has_is_refused():
    message = bytes(12) + struct.pack(">HBBHHIHH", 50, 0, 31, 1, 20_000, 0, 1, 1) + bytes(84)
    with pytest.raises(VolumeError, match="more than 65536 radials or faults"):
        read_volume(HEADER + message * 70_000, "bad")


@needs_samples
def test_a_volume_needs_little_more_memory_than_its_moments():
    data = sample("KLOT20220317_000842_V06")
    tracemalloc.start()
    volume = read_volume(data, "KLOT20220317_000842_V06")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    moments = sum(moment.codes.nbytes for sweep in volume.sweeps for moment in sweep.moments.values())
    assert peak < moments + 20_000_000


@needs_samples
def test_a_volume_whose_site_is_told_nowhere_is_a_volume_error():
    data = sample(PLAIN)[:20] + bytes(4) + sample(PLAIN)[24:].replace(b"KTLX", b"\xff\xff??")
    with pytest.raises(VolumeError, match="neither its header, its name nor its radials tell the site"):
        read_volume(data, "volume")
