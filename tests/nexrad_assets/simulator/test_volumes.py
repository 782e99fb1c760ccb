"""A simulated volume is a true Archive II file: Py-ART and MetPy give back what was put in."""

import bz2
import io
import logging
import struct
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nexrad_assets.radar import beam
from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.simulator import storms
from nexrad_assets.simulator.archive2_writer import (
    METADATA_SEGMENTS,
    SEGMENT_BYTES,
    archive2_bytes,
    is_simulated,
)
from nexrad_assets.simulator.coverage import VCP_35, VCP_212, CoveragePattern
from nexrad_assets.simulator.volumes import SimulatedSite, simulate, simulate_volume
from tests.samples import level2_files, needs_samples

SITE = SimulatedSite("KTLX", 35.333361, -97.277761, 389.0)
START = datetime(2025, 5, 20, 20, 0, 30, tzinfo=UTC)
SEED = 7
MOMENTS = ["REF", "VEL", "SW", "ZDR", "PHI", "RHO", "CFP"]


@pytest.fixture(scope="module")
def truth():
    return simulate(SITE, START, SEED)


@pytest.fixture(scope="module")
def data():
    return simulate_volume(SITE, START, SEED)


@pytest.fixture(scope="module")
def pyart():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart
    return pyart


@pytest.fixture(scope="module")
def pyart_file(pyart, data):
    from pyart.io.nexrad_level2 import NEXRADLevel2File

    return NEXRADLevel2File(io.BytesIO(data))


def read_strictly(pyart, data):
    """Py-ART's radar; any warning but that of its own future is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*deprecated, please use xradar.*")
        return pyart.io.read_nexrad_archive(io.BytesIO(data))


@pytest.fixture(scope="module")
def pyart_radar(pyart, data):
    return read_strictly(pyart, data)


# Py-ART.


def test_pyart_gives_back_every_code_of_every_moment_and_sweep(pyart_file, truth):
    compared = 0
    for sweep in truth.sweeps:
        info = pyart_file.scan_info([sweep.number - 1])[0]
        assert info["moments"] == [name for name in MOMENTS if name in sweep.moments]
        for name, moment in sweep.moments.items():
            gates = moment.codes.shape[1]
            codes = pyart_file.get_data(name, gates, scans=[sweep.number - 1], raw_data=True)
            np.testing.assert_array_equal(codes, moment.codes)
            assert pyart_file.get_range(sweep.number - 1, name)[0] == moment.first_gate_m
            compared += 1
    assert compared == sum(len(cut.gates) for cut in VCP_212.cuts)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("REF", "reflectivity"),
        ("VEL", "velocity"),
        ("SW", "spectrum_width"),
        ("ZDR", "differential_reflectivity"),
        ("PHI", "differential_phase"),
        ("RHO", "cross_correlation_ratio"),
    ],
)
def test_pyart_gives_back_the_physical_values(pyart_radar, truth, name, field):
    for sweep in truth.sweeps:
        if name not in sweep.moments:
            continue
        moment = sweep.moments[name]
        values = pyart_radar.get_field(sweep.number - 1, field)[:, : moment.codes.shape[1]]
        expected = np.ma.masked_where(moment.codes < 2, (moment.codes - moment.offset) / moment.scale)
        np.testing.assert_array_equal(np.ma.getmaskarray(values), np.ma.getmaskarray(expected))
        np.testing.assert_allclose(values.compressed(), expected.compressed(), rtol=1e-6, atol=1e-5)


def test_pyart_gives_back_angles_nyquist_velocity_and_times(pyart_radar, truth):
    azimuth = np.concatenate([sweep.azimuth_deg for sweep in truth.sweeps])
    elevation = np.concatenate([sweep.elevation_deg for sweep in truth.sweeps])
    nyquist = np.concatenate([np.full(len(s.azimuth_deg), s.nyquist_mps) for s in truth.sweeps])
    time_s = np.concatenate([sweep.time_s for sweep in truth.sweeps]) - truth.sweeps[0].time_s[0]
    np.testing.assert_array_equal(pyart_radar.azimuth["data"], azimuth)
    np.testing.assert_array_equal(pyart_radar.elevation["data"], elevation)
    np.testing.assert_allclose(
        pyart_radar.instrument_parameters["nyquist_velocity"]["data"], nyquist, rtol=1e-6
    )
    np.testing.assert_allclose(pyart_radar.time["data"], time_s, atol=1e-6)
    assert pyart_radar.time["units"].endswith("2025-05-20T20:00:30Z")
    fixed = [sweep.commanded_deg for sweep in truth.sweeps]
    np.testing.assert_allclose(pyart_radar.fixed_angle["data"], fixed, atol=1e-6)


def test_pyart_gives_back_position_and_pattern(pyart_radar):
    assert pyart_radar.metadata["vcp_pattern"] == 212
    assert pyart_radar.metadata["instrument_name"] == "KTLX"
    assert pyart_radar.latitude["data"][0] == pytest.approx(35.333361, abs=1e-5)
    assert pyart_radar.longitude["data"][0] == pytest.approx(-97.277761, abs=1e-5)
    assert pyart_radar.altitude["data"][0] == 389.0


def test_pyart_reads_a_clear_air_volume_of_a_site_below_the_ground_height(pyart):
    site = SimulatedSite("PGUA", 13.455965, 144.811111, 4.0)
    radar = read_strictly(pyart, simulate_volume(site, START, SEED, VCP_35))
    assert radar.metadata["vcp_pattern"] == 35
    assert (radar.nsweeps, radar.altitude["data"][0]) == (12, 4.0)
    assert radar.get_field(0, "reflectivity").max() < 60.0


# MetPy.


def test_metpy_reads_every_message_without_complaint(data, truth, caplog):
    from metpy.io import Level2File

    with caplog.at_level(logging.INFO, logger="metpy"):
        file = Level2File(io.BytesIO(data))
    assert caplog.records == []
    assert [len(sweep) for sweep in file.sweeps] == [len(sweep.azimuth_deg) for sweep in truth.sweeps]
    assert_metpy_messages(file)
    assert_metpy_rays(file, truth)


def assert_metpy_messages(file):
    """Position and pattern as messages 18 and 5 give them."""
    assert file.dt == datetime(2025, 5, 20, 20, 0, 30)
    degrees = file.rda["SLATDEG"] + file.rda["SLATMIN"] / 60 + file.rda["SLATSEC"] / 3600
    assert degrees == pytest.approx(35.333361, abs=1e-5)
    assert (file.rda["SITE_NAME"], file.rda["SLONDIR"][:1]) == (b"KTLX", b"W")
    cuts = file.vcp_info.els
    assert [cut.el_angle for cut in cuts] == [cut.elevation_deg for cut in VCP_212.cuts]
    assert [cut.supplemental_data for cut in cuts] == [3 if cut.sails else 0 for cut in VCP_212.cuts]
    assert file.vcp_info.vcp_supplemental_info == 3
    assert cuts[0].waveform == "Contiguous Surveillance"
    assert cuts[1].super_res[:2] == ["0.5 azimuth and 0.25km range res.", "Doppler to 300km"]
    assert {status.vcp_num for status in file.rda_status[::2]} == {212}
    assert len(file.rda_status) == 4, "a status message in the metadata and one between the rays"


def assert_metpy_rays(file, truth):
    """Every moment of some rays of each sweep."""
    for rays, sweep in zip(file.sweeps, truth.sweeps, strict=True):
        for index in range(0, len(rays), 47):
            assert rays[index].header.az_angle == sweep.azimuth_deg[index]
            for name, moment in sweep.moments.items():
                _, values = rays[index].moments[name.encode()]
                codes = moment.codes[index].astype(float)
                expected = np.where(codes < 2, np.nan, (codes - moment.offset) / moment.scale)
                np.testing.assert_allclose(values, expected)


# The product's own reader.


def test_the_reader_gives_back_the_volume(data, truth):
    volume = read_volume(data, "KTLX20250520_200030_V06")
    assert volume.missing == ()
    for name in ("site", "version", "start", "vcp", "latitude_deg", "longitude_deg", "height_m"):
        assert getattr(volume, name) == getattr(truth, name), name
    for sweep, expected in zip(volume.sweeps, truth.sweeps, strict=True):
        for name in ("number", "spacing_deg", "waveform", "repeat"):
            assert getattr(sweep, name) == getattr(expected, name), name
        for name in ("commanded_deg", "nyquist_mps", "azimuth_deg", "elevation_deg", "time_s"):
            np.testing.assert_allclose(getattr(sweep, name), getattr(expected, name), rtol=0, atol=1e-5)
        assert list(sweep.moments) == list(expected.moments)
        for name, moment in expected.moments.items():
            assert sweep.moments[name].codes.dtype == moment.codes.dtype
            np.testing.assert_array_equal(sweep.moments[name].codes, moment.codes)


# The bytes.


def records_of(data):
    """Sizes and contents of a file's records."""
    sizes, contents, at = [], [], 24
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        sizes.append(size)
        contents.append(bz2.decompress(data[at + 4 : at + 4 + abs(size)]))
        at += 4 + abs(size)
    return sizes, contents


def segment_types(metadata):
    """The message type of each segment of a metadata record."""
    return [metadata[at * SEGMENT_BYTES + 15] for at in range(METADATA_SEGMENTS)]


def messages_of(record):
    """Type and length of each message in a record of rays."""
    messages, at = [], 0
    while at < len(record):
        halfwords, _, kind = struct.unpack_from(">HBB", record, at + 12)
        length = 12 + 2 * halfwords if kind == 31 else SEGMENT_BYTES
        messages.append((kind, length))
        at += length
    return messages


def ray_starts(record):
    """The first block pointers of a record's first ray."""
    (count,) = struct.unpack_from(">H", record, 28 + 30)
    return struct.unpack_from(f">{count}I", record, 28 + 32)


@needs_samples
@pytest.mark.parametrize("name", ["KLOT20220317_000842_V06", "KDMX20250101_225441_V06"])
def test_the_records_are_built_as_those_of_a_real_file(data, name):
    (path,) = [path for path in level2_files() if path.name == name]
    (real_sizes, real), (sizes, ours) = records_of(path.read_bytes()), records_of(data)

    assert [size > 0 for size in real_sizes] == [True] * (len(real) - 1) + [False]
    assert [size > 0 for size in sizes] == [True] * (len(ours) - 1) + [False]
    assert len(real[0]) == len(ours[0]) == 134 * 2432
    assert segment_types(real[0]) == segment_types(ours[0])
    assert messages_of(real[1]) == messages_of(ours[1]), "surveillance rays"
    assert messages_of(real[7]) == messages_of(ours[7]), "Doppler rays"
    assert ray_starts(real[1]) == ray_starts(ours[1])
    assert path.read_bytes()[:9] == data[:9] == b"AR2V0006."


@needs_samples
def test_a_real_file_is_not_taken_for_a_simulated_one(data):
    assert is_simulated(data[:65536])
    for path in level2_files():
        assert not is_simulated(path.read_bytes()[:65536]), path.name


def test_every_record_after_the_first_holds_120_rays(data):
    _, records = records_of(data)
    kinds = [[kind for kind, _ in messages_of(record)] for record in records[1:]]
    assert {rays.count(31) for rays in kinds} == {120}
    assert sum(rays.count(2) for rays in kinds) == 1


def test_radial_status_marks_volume_and_cuts(pyart_file, truth):
    # Py-ART calls byte 21 of the data header, the radial status, "radial_spacing".
    status = np.array([ray["msg_header"]["radial_spacing"] for ray in pyart_file.radial_records], dtype=int)
    ends = np.cumsum([len(sweep.azimuth_deg) for sweep in truth.sweeps]) - 1
    expected = np.ones(len(status), dtype=int)
    expected[ends[:-1] + 1] = 0
    expected[ends] = 2
    expected[[0, -1]] = 3, 4
    np.testing.assert_array_equal(status, expected)


def test_a_pattern_of_other_cuts_than_the_volume_is_refused(truth):
    short = CoveragePattern(212, VCP_212.cuts[:3], 270, clear_air=False)
    with pytest.raises(ValueError, match="argument"):
        archive2_bytes(truth, short, 1)


# Determinism.


def test_same_seed_site_and_time_give_the_same_bytes(data):
    storms._texture.cache_clear()
    assert simulate_volume(SITE, START, SEED) == data


def test_another_seed_site_or_time_gives_another_sweep():
    short = CoveragePattern(212, VCP_212.cuts[-1:], 270, clear_air=False)
    first = simulate_volume(SITE, START, SEED, short)
    other = SimulatedSite("KINX", SITE.latitude_deg, SITE.longitude_deg, SITE.height_m)
    assert simulate_volume(SITE, START, SEED + 1, short)[28:] != first[28:]
    assert simulate_volume(other, START, SEED, short)[28:] != first[28:]
    assert simulate_volume(SITE, START + timedelta(seconds=270), SEED, short)[28:] != first[28:]


def test_a_start_without_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        simulate(SITE, datetime(2025, 5, 20), SEED)


# The scan.


def test_rays_are_centred_half_a_step_off_north_and_cover_the_circle(truth):
    for sweep in truth.sweeps:
        place = sweep.azimuth_deg / sweep.spacing_deg - 0.5
        jitter_deg = (place - np.rint(place)) * sweep.spacing_deg
        assert 0.0 < np.abs(jitter_deg).max() < 0.09
        assert len(set(np.rint(place).astype(int) % len(place))) == len(place)


def test_sweeps_follow_each_other_and_end_before_the_next_volume(truth):
    for before, after in zip(truth.sweeps, truth.sweeps[1:], strict=False):
        assert np.all(np.diff(before.time_s) > 0)
        assert 0.5 < after.time_s[0] - before.time_s[-1] < 1.0
    duration_s = truth.sweeps[-1].time_s[-1] - truth.start.timestamp()
    assert VCP_212.cadence_s - 5 < duration_s < VCP_212.cadence_s
    assert VCP_35.duration_s < VCP_35.cadence_s


def test_measured_elevation_is_within_an_encoder_step_of_the_commanded(truth):
    for sweep in truth.sweeps:
        assert abs(sweep.measured_deg - sweep.commanded_deg) < 0.06


def test_the_lowest_angle_is_repeated_within_the_volume(truth):
    lowest = [sweep.number for sweep in truth.sweeps if sweep.commanded_deg == truth.sweeps[0].commanded_deg]
    assert lowest == [1, 2, 11, 12]


# The weather.


def values_of(sweep, name):
    moment = sweep.moments[name]
    return np.where(moment.codes < 2, np.nan, (moment.codes - moment.offset) / moment.scale)


def test_no_echo_is_above_the_highest_storm_top(truth):
    for sweep in truth.sweeps:
        moment = sweep.moments["REF"]
        slant = moment.first_gate_m + moment.gate_spacing_m * np.arange(moment.codes.shape[1])
        seen = (moment.codes > 1).any(axis=0)
        assert beam.height_m(slant, sweep.commanded_deg)[seen].max() < 16_500.0
        assert seen.any()


def test_velocity_is_aliased_into_the_nyquist_interval_and_folded_beyond_the_first_trip(truth):
    doppler = truth.sweeps[1]
    assert np.nanmax(np.abs(values_of(doppler, "VEL"))) <= doppler.nyquist_mps + 0.25
    folded = doppler.moments["VEL"].codes == 1
    assert folded[:, 600:].any()
    np.testing.assert_array_equal(folded, doppler.moments["SW"].codes == 1)
    assert not (truth.sweeps[0].moments["REF"].codes == 1).any()


def test_phase_grows_along_rays_with_heavy_rain(truth):
    sweep = truth.sweeps[0]
    phase, reflectivity = values_of(sweep, "PHI")[:, 200:], values_of(sweep, "REF")[:, 200:1192]
    heaviest = np.nanargmax(np.nansum(reflectivity > 45.0, axis=1))
    ray = phase[heaviest][~np.isnan(phase[heaviest])]
    assert np.median(ray[-20:]) > np.median(ray[:20]) + 5.0


def test_rain_has_high_correlation_and_clutter_close_in_stands_still(truth):
    correlation = values_of(truth.sweeps[0], "RHO")
    assert np.nanmedian(correlation[:, 300:]) > 0.95
    clutter = truth.sweeps[0].moments["CFP"].codes > 8
    assert clutter[:, :60].mean() > 0.02
    assert not clutter[:, 200:].any()


def cartesian(sweep, size=300):
    """Reflectivity of a sweep on a grid of 1 km, 0 where there is none and within 60 km."""
    moment = sweep.moments["REF"]
    order = np.argsort(sweep.azimuth_deg)
    east, north = np.meshgrid(np.arange(-size, size) + 0.5, np.arange(-size, size) + 0.5)
    ray = np.clip(np.degrees(np.arctan2(east, north)) % 360.0 / sweep.spacing_deg, 0, len(order) - 1)
    distance_km = np.hypot(east, north)
    gate = (distance_km * 1000.0 - moment.first_gate_m) / moment.gate_spacing_m
    gate = np.clip(np.rint(gate), 0, moment.codes.shape[1] - 1)
    dbz = np.nan_to_num(values_of(sweep, "REF")[order][ray.astype(int), gate.astype(int)])
    return np.where((distance_km < 60.0) | (distance_km > size), 0.0, np.maximum(dbz, 0.0))


def test_storms_move_from_volume_to_volume_with_their_drift():
    lowest = CoveragePattern(212, VCP_212.cuts[:1], 270, clear_air=False)
    elapsed_s = 3 * 270
    later = START + timedelta(seconds=elapsed_s)
    before, after = (cartesian(simulate(SITE, time, SEED, lowest).sweeps[0]) for time in (START, later))
    spectrum = np.fft.fft2(after) * np.conj(np.fft.fft2(before))
    correlation = np.fft.ifft2(spectrum).real
    north, east = np.unravel_index(np.argmax(correlation), correlation.shape)
    north, east = (shift if shift < 300 else shift - 600 for shift in (north, east))
    drift = storms.storm_drift(SEED, SITE.id)
    assert np.hypot(drift.east_kmps, drift.north_kmps) * elapsed_s > 9.0
    assert east == pytest.approx(drift.east_kmps * elapsed_s, abs=1.1)
    assert north == pytest.approx(drift.north_kmps * elapsed_s, abs=1.1)


def test_storms_grow_and_decay():
    def strong_area(hours):
        weather = storms.scene(SEED, SITE.id, START.timestamp() + 3600 * hours, clear_air=False)
        return int((weather.dbz > 45.0).sum())

    areas = [strong_area(hours) for hours in range(0, 12, 2)]
    assert min(areas) > 0
    assert max(areas) > 1.5 * min(areas)


def test_a_volume_is_as_large_as_a_storms_volume_may_be(data):
    assert 2_000_000 < len(data) < 8_000_000
