"""Every sample volume, gate by gate against Py-ART's own reader (and message 1 against MetPy)."""

import subprocess
import sys
import warnings
from datetime import UTC, datetime
from functools import cache
from io import BytesIO

import numpy as np
import pytest

from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.radar.level2.bzip2_records import records
from nexrad_assets.radar.level2.message5 import read_pattern
from nexrad_assets.radar.level2.messages import MESSAGE_5, Message, messages
from nexrad_assets.radar.level2.pyart_reader import read_messages
from nexrad_assets.radar.level2.whole_sweeps import whole_sweeps
from tests.nexrad_assets.radar.level2.archive2_samples import (
    MESSAGE_1,
    PACKED,
    PLAIN,
    assert_same_sweep,
    sample,
    whole,
)
from tests.samples import level2_files, needs_samples

pytestmark = needs_samples
VOLUMES = [*(path.name for path in level2_files()), "chunks"]


@cache
def pyart_file(name):
    from pyart.io.nexrad_level2 import NEXRADLevel2File

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NEXRADLevel2File(BytesIO(sample(name)))


@pytest.mark.parametrize("name", VOLUMES)
def test_every_gate_of_every_moment_equals_pyart(name):
    oracle, volume = pyart_file(name), whole(name)
    info = oracle.scan_info()
    assert [sweep.number for sweep in volume.sweeps] == list(range(1, oracle.nscans + 1))
    for scan, sweep in enumerate(volume.sweeps):
        assert set(sweep.moments) == set(info[scan]["moments"])
        for moment, gates in zip(info[scan]["moments"], info[scan]["ngates"], strict=True):
            ours = sweep.moments[moment]
            assert ours.codes.shape == (info[scan]["nrays"], gates)
            raw = oracle.get_data(moment, gates, scans=[scan], raw_data=True)
            np.testing.assert_array_equal(ours.codes, raw)
            values = oracle.get_data(moment, gates, scans=[scan])
            np.testing.assert_array_equal(ours.codes <= 1, np.ma.getmaskarray(values))
            scaled = (ours.codes.astype(np.float64) - ours.offset) / ours.scale
            np.testing.assert_allclose(scaled, values.data, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", VOLUMES)
def test_angles_times_and_nyquist_equal_pyart(name):
    oracle = pyart_file(name)
    for scan, sweep in enumerate(whole(name).sweeps):
        np.testing.assert_array_equal(sweep.azimuth_deg, oracle.get_azimuth_angles([scan]).astype(np.float32))
        np.testing.assert_array_equal(
            sweep.elevation_deg, oracle.get_elevation_angles([scan]).astype(np.float32)
        )
        start, offsets = oracle.get_times([scan])
        np.testing.assert_allclose(
            sweep.time_s, start.replace(tzinfo=UTC).timestamp() + offsets, rtol=0, atol=1e-5
        )
        nyquist = oracle.get_nyquist_vel([scan])[0]
        assert (sweep.nyquist_mps or 0.0) == pytest.approx(nyquist)


@pytest.mark.parametrize("name", VOLUMES)
def test_ranges_equal_pyart(name):
    oracle = pyart_file(name)
    for scan, sweep in enumerate(whole(name).sweeps):
        for moment in sweep.moments.values():
            head = oracle.radial_records[oracle.scan_msgs[scan][0]][moment.name]
            first = head["first_gate"] - (65536 if head["first_gate"] >= 32768 else 0)
            assert (moment.first_gate_m, moment.gate_spacing_m) == (first, head["gate_spacing"])


@pytest.mark.parametrize("name", [name for name in VOLUMES if name != MESSAGE_1])
def test_pattern_angles_and_position_equal_pyart(name):
    oracle, volume = pyart_file(name), whole(name)
    assert volume.vcp == oracle.get_vcp_pattern()
    assert (volume.latitude_deg, volume.longitude_deg, volume.height_m) == oracle.location()
    scans = list(range(len(volume.sweeps)))
    np.testing.assert_allclose(
        [sweep.commanded_deg for sweep in volume.sweeps], oracle.get_target_angles(scans), atol=1e-5
    )


def test_message_1_equals_metpy_and_has_the_table_position():
    from metpy.io import Level2File

    volume = whole(MESSAGE_1)
    assert (volume.site, volume.version, volume.vcp) == ("KLOT", "V01", 21)
    assert volume.start == datetime(1995, 4, 13, 13, 21, 43, 364000, tzinfo=UTC)
    # What later volumes of the same radar tell of themselves.
    assert volume.latitude_deg == pytest.approx(41.60444, abs=3e-4)
    assert volume.longitude_deg == pytest.approx(-88.08444, abs=3e-4)
    assert volume.height_m == pytest.approx(231.0, abs=2.0)
    for sweep, rays in zip(volume.sweeps, Level2File(BytesIO(sample(MESSAGE_1))).sweeps, strict=True):
        np.testing.assert_allclose(sweep.azimuth_deg, [ray[0].az_angle for ray in rays], atol=1e-3)
        for name, moment in sweep.moments.items():
            metpy = np.array([ray[1][name][1] for ray in rays])
            ours = (moment.codes - moment.offset) / moment.scale
            np.testing.assert_allclose(np.where(moment.codes > 1, ours, np.nan), metpy)


def test_the_fallback_reads_message_31_as_the_native_decoder_does():
    data = sample(PLAIN)
    by_pyart = read_messages(data[:24], [data[24:]])
    sweeps, missing = whole_sweeps(by_pyart.turns, None)
    assert missing == []
    for one, other in zip(sweeps, whole(PLAIN).sweeps, strict=True):
        assert_same_sweep(one, other)
        assert (one.spacing_deg, one.nyquist_mps) == (other.spacing_deg, other.nyquist_mps)
    assert by_pyart.vcp == whole(PLAIN).vcp


def test_waveforms_and_mrle_repeats_come_from_the_pattern():
    name = "KDMX20220305_232324_V06"
    metadata = next(records(sample(name)))
    message_5 = next(
        item
        for item in messages(metadata.data, metadata.start, b"KDMX")
        if isinstance(item, Message) and item.kind == MESSAGE_5
    )
    pattern = read_pattern(message_5.data[28:])
    assert (pattern.number, len(pattern.cuts)) == (212, 23)
    assert [number for number, cut in enumerate(pattern.cuts, 1) if cut.repeat] == [12, 13, 14, 15, 16, 17]
    assert [cut.waveform for cut in pattern.cuts[10:14]] == [4, 1, 2, 1]
    assert [sweep.waveform for sweep in whole(name).sweeps] == [1, 2, 1]
    assert not any(sweep.repeat for sweep in whole(name).sweeps)


def test_header_tells_site_start_and_version_and_the_name_does_where_it_does_not():
    volume = whole(PACKED)
    assert (volume.site, volume.version) == ("KDMX", "V06")
    assert volume.start == datetime(2025, 1, 1, 22, 54, 41, 879000, tzinfo=UTC)
    blank = sample(PACKED)[:12] + bytes(12) + sample(PACKED)[24:]
    named = read_volume(blank, "KDMX20250101_225440_V08")
    assert (named.site, named.version) == ("KDMX", "V08")
    assert named.start == datetime(2025, 1, 1, 22, 54, 40, tzinfo=UTC)
    unnamed = read_volume(blank, "volume")
    assert (unnamed.site, unnamed.version) == ("KDMX", "V06")
    assert unnamed.start.timestamp() == pytest.approx(volume.sweeps[0].time_s[0], abs=0.001)


def test_a_volume_without_its_end_mark_says_so():
    assert whole("KDMX20220305_232324_V06").missing == (
        "no end of volume: the file ends in or after sweep 3 of 23",
    )


@pytest.mark.parametrize("name", ["chunks", PACKED, PLAIN, "KLBB20160601_150025_V06"])
def test_a_whole_volume_misses_nothing(name):
    assert whole(name).missing == ()


@pytest.mark.parametrize("name", [PACKED, PLAIN])
def test_a_modern_volume_is_read_without_pyart_and_matplotlib(name):
    path = next(path for path in level2_files() if path.name == name)
    code = (
        "import sys; from nexrad_assets.radar.level2.archive2 import read_volume\n"
        f"volume = read_volume(open({str(path)!r}, 'rb').read(), {name!r})\n"
        "heavy = {'pyart', 'matplotlib', 'xarray', 'scipy', '_pyart_nexrad_level2'}\n"
        "print(len(volume.sweeps), sorted(heavy & {module.split('.')[0] for module in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split(maxsplit=1) == [str(len(whole(name).sweeps)), "[]\n"]


def test_message_1_is_read_without_importing_the_whole_of_pyart():
    path = next(path for path in level2_files() if path.name == MESSAGE_1)
    code = (
        "import sys; from nexrad_assets.radar.level2.archive2 import read_volume\n"
        f"volume = read_volume(open({str(path)!r}, 'rb').read(), {MESSAGE_1!r})\n"
        "print(len(volume.sweeps), 'pyart' in sys.modules, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "11 False False\n"
    assert done.stderr == ""
