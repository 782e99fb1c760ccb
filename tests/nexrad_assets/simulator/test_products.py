"""The products of a simulated volume: true Level 3 files, read by MetPy and Py-ART, of the same weather."""

import io
import struct
import warnings
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nexrad_assets.simulator import storms
from nexrad_assets.simulator.coverage import VCP_35, VCP_212
from nexrad_assets.simulator.products import PRODUCTS, hydrometeor_class, simulate_products
from nexrad_assets.simulator.rain_accumulation import hour_of_rain
from nexrad_assets.simulator.volumes import SimulatedSite, simulate, volume_end
from tests.samples import SAMPLES, needs_samples

SITE = SimulatedSite("KTLX", 35.333361, -97.277761, 389.0)
START = datetime(2025, 5, 20, 20, 0, 30, tzinfo=UTC)
SEED = 7
LEVEL3 = SAMPLES / "nexrad" / "level3"


@pytest.fixture(scope="module")
def products():
    return simulate_products(SITE, START, SEED)


@pytest.fixture(scope="module")
def clear_products():
    return simulate_products(SITE, START, SEED, VCP_35)


@pytest.fixture(scope="module")
def truth():
    return simulate(SITE, START, SEED)


def metpy(data):
    from metpy.io import Level3File

    return Level3File(io.BytesIO(data))


def packet(file):
    return file.sym_block[0][0]


def values(file):
    return np.ma.filled(np.ma.masked_invalid(file.map_data(np.array(packet(file)["data"]))), np.nan)


def sectors(file):
    """Codes by the whole degree at which a ray begins."""
    starts = np.rint(packet(file)["start_az"]).astype(int) % 360
    codes = np.empty_like(packet(file)["data"])
    codes[starts] = packet(file)["data"]
    assert sorted(starts) == list(range(360))
    return codes


# What the files say of themselves.


@needs_samples
@pytest.mark.parametrize(
    ("awips", "real"),
    [
        ("N0B", "AMX_N0B_2026_07_06_15_45_17"),
        ("N0H", "LOT_N0H_2021_04_28_21_11_56"),
        ("HHC", "LOT_HHC_2021_04_28_21_11_56"),
        ("DAA", "AMX_DAA_2026_07_10_04_57_17"),
        ("NST", "AMX_NST_2026_07_10_04_57_17"),
    ],
)
def test_the_description_of_a_product_is_that_of_a_real_one(products, awips, real):
    mine, theirs = (
        dict(enumerate(struct.unpack(">51H", data[48:150]), start=10))
        for data in (products[awips], (LEVEL3 / real).read_bytes())
    )
    place_and_time = {11, 12, 13, 14, 15, 19, 20, 21, 22, 23, 24, 25, 26, 48, 49}
    measured = {"N0B": {47, 50}, "N0H": {50}, "DAA": {27, 28, 31, 32, 33, 34, 47}, "NST": {47, 58, 60}}
    version = {54}
    differing = {number for number in mine if mine[number] != theirs[number]}
    assert differing <= place_and_time | measured.get(awips, set()) | version
    assert products[awips][:5] == (LEVEL3 / real).read_bytes()[:5].replace(b"SDUS2", b"SDUS5")


@needs_samples
def test_the_null_product_of_a_dry_hour_is_that_of_a_real_one(clear_products):
    real = (LEVEL3 / "LOT_DAA_2021_05_08_03_40_29").read_bytes()
    mine, theirs = metpy(clear_products["DAA"]), metpy(real)
    for name in ("null_product", "max", "bias", "compression", "uncompressed_size"):
        assert mine.metadata[name] == theirs.metadata[name]
    assert mine.thresholds == theirs.thresholds
    assert mine.prod_desc.op_mode == theirs.prod_desc.op_mode
    assert packet(mine)["text"][:31] == packet(theirs)["text"][:31] == "No precipitation detected since"
    assert (packet(mine)["x"], packet(mine)["y"]) == (packet(theirs)["x"], packet(theirs)["y"])


def test_metpy_reads_site_times_and_tilt(products):
    end = volume_end(START)
    for awips in PRODUCTS:
        file = metpy(products[awips])
        assert file.siteID == "TLX"
        assert (file.lat, file.lon) == pytest.approx((SITE.latitude_deg, SITE.longitude_deg), abs=6e-4)
        assert file.height == pytest.approx(SITE.height_m / 0.3048, abs=0.6)
        assert file.metadata["vol_time"] == START.replace(tzinfo=None)
        assert START < file.metadata["prod_time"].replace(tzinfo=UTC) <= end + timedelta(seconds=3)
    assert metpy(products["N0B"]).metadata["el_angle"] == 0.5
    assert metpy(products["N0H"]).metadata["delta_time"] > metpy(products["N0B"]).metadata["delta_time"] > 0
    assert metpy(products["DAA"]).metadata["rainfall_end"] == end.replace(
        second=0, microsecond=0, tzinfo=None
    )


def test_products_of_a_volume_have_sequence_numbers_of_their_own(products):
    later = simulate_products(SITE, START + timedelta(seconds=VCP_212.cadence_s), SEED)
    numbers = [metpy(data).prod_desc.seq_num for data in (*products.values(), *later.values())]
    assert numbers == list(range(numbers[0], numbers[0] + 2 * len(PRODUCTS)))


# The same bytes for the same seed.


def test_same_seed_same_bytes_and_another_seed_other_bytes(products):
    assert simulate_products(SITE, START, SEED) == products
    other = simulate_products(SITE, START, SEED + 1)
    assert all(other[awips] != products[awips] for awips in PRODUCTS)


# Reflectivity.


def test_metpy_reads_the_reflectivity_of_the_level_2_volume_gate_for_gate(products, truth):
    file, moment = metpy(products["N0B"]), truth.sweeps[0].moments["REF"]
    dbz = values(file)
    assert dbz.shape == (720, 1840)
    assert np.isnan(dbz[:, :8]).all()
    expected = np.where(moment.codes > 1, (moment.codes - moment.offset) / moment.scale, np.nan)
    np.testing.assert_allclose(dbz[:, 8:], expected)
    assert file.metadata["max"] == int(np.nanmax(expected))
    assert (expected > 45).sum() > 1000


def test_a_ray_begins_half_a_spacing_before_the_centre_that_level_2_gives(products, truth):
    starts = np.array(packet(metpy(products["N0B"]))["start_az"])
    off = (starts + 0.25 - truth.sweeps[0].azimuth_deg + 180.0) % 360.0 - 180.0
    assert np.abs(off).max() <= 0.051


def test_pyart_reads_what_metpy_reads(products):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyart

        for awips, field in (
            ("N0B", "reflectivity"),
            ("N0H", "radar_echo_classification"),
            ("HHC", "radar_echo_classification"),
            ("DAA", "radar_estimated_rain_rate"),
        ):
            file = metpy(products[awips])
            radar = pyart.io.read_nexrad_level3(io.BytesIO(products[awips]))
            read = np.ma.filled(radar.fields[field]["data"].astype(float), np.nan)
            codes = np.array(packet(file)["data"])
            expected = {"N0B": values(file), "DAA": values(file) / 100.0}.get(awips, codes)
            np.testing.assert_allclose(np.nan_to_num(read), np.nan_to_num(expected), rtol=1e-5, err_msg=awips)
            np.testing.assert_allclose(radar.azimuth["data"], packet(file)["start_az"], atol=1e-3)


# Classes.


@pytest.mark.parametrize(
    ("dbz", "correlation", "height_km", "expected"),
    [
        (12.0, 0.55, 0.5, 10),
        (40.0, 0.75, 0.2, 20),
        (30.0, 0.985, 1.0, 60),
        (44.9, 0.985, 1.0, 60),
        (45.0, 0.985, 1.0, 70),
        (57.0, 0.985, 1.0, 100),
        (62.0, 0.985, 1.0, 110),
        (66.0, 0.985, 1.0, 120),
        (35.0, 0.92, 3.2, 50),
        (30.0, 0.985, 3.3, 60),
        (10.0, 0.985, 6.0, 30),
        (25.0, 0.985, 6.0, 40),
        (45.0, 0.985, 6.0, 90),
        (57.0, 0.985, 6.0, 100),
    ],
)
def test_classes_follow_from_reflectivity_correlation_and_height(dbz, correlation, height_km, expected):
    given = (np.array([value]) for value in (dbz, correlation, height_km))
    assert hydrometeor_class(*given).tolist() == [expected]


def scene_at_gates(weather, gates):
    """Reflectivity and kind of the scene around each gate of whole-degree rays (flat earth, 250 m)."""
    angle, km = np.radians(np.arange(360) + 0.5)[:, None], (np.arange(gates) + 0.5) * 0.25
    column = np.floor(km * np.sin(angle) - weather.origin_east_km).astype(int) + storms.GRID_CELLS // 2
    row = np.floor(km * np.cos(angle) - weather.origin_north_km).astype(int) + storms.GRID_CELLS // 2
    return weather.dbz[row, column], weather.kind[row, column]


@pytest.mark.parametrize("awips", ["N0H", "HHC"])
def test_classes_are_those_of_the_simulated_weather(products, awips):
    weather = storms.scene(SEED, SITE.id, START.timestamp(), clear_air=False)
    codes = sectors(metpy(products[awips]))
    gates = 600  # 150 km: the beam is at 2.6 km, below the melting level
    dbz, kind = scene_at_gates(weather, gates)
    near, far = codes[:, :gates], np.arange(gates) >= 160
    steady = (kind == storms.STRATIFORM) & (dbz > 15) & (dbz < 40) & far
    assert np.isin(near[steady], (60, 70)).mean() > 0.99
    hail = (kind == storms.CONVECTIVE) & (dbz > 58) & far
    assert hail.sum() > 100
    assert np.isin(near[hail], (70, 100, 110, 120)).mean() > 0.95
    nothing = (dbz < -20) & far
    assert (near[nothing] == 0).mean() > 0.95


def test_on_a_clear_day_there_are_animals_and_hills(clear_products):
    for awips in ("N0H", "HHC"):
        codes = sectors(metpy(clear_products[awips]))
        found = codes[codes > 0]
        assert len(found) > 10_000
        assert np.isin(found, (10, 20)).mean() > 0.99
        assert (codes == 20).any()


def test_the_hybrid_scan_sees_over_hills(products):
    low, hybrid = sectors(metpy(products["N0H"]))[:, :920], sectors(metpy(products["HHC"]))
    assert (low != 20).sum() > 300_000
    assert (hybrid[low != 20] == low[low != 20]).all()
    assert (hybrid == 20).sum() < (low == 20).sum()


# Rain.


def accumulated_mm(seed, site, end, azimuth_deg, range_km):
    """An hour of rain at a point: every minute's scene there, by Z = 300 R^1.4 up to 53 dBZ."""
    east, north = range_km * np.sin(np.radians(azimuth_deg)), range_km * np.cos(np.radians(azimuth_deg))
    total = np.zeros_like(east)
    for minute in range(60):
        time_s = end.timestamp() - 3570 + 60 * minute
        weather = storms.scene(seed, site, time_s, clear_air=False)
        column = np.floor(east - weather.origin_east_km).astype(int) + storms.GRID_CELLS // 2
        row = np.floor(north - weather.origin_north_km).astype(int) + storms.GRID_CELLS // 2
        dbz = np.where(weather.kind[row, column] == storms.INSECTS, -30.0, weather.dbz[row, column])
        rate = (10 ** (np.minimum(dbz, 53.0) / 10) / 300.0) ** (1 / 1.4)
        total += np.where(dbz > 0, rate, 0.0) / 60.0
    return total


def test_metpy_reads_the_rain_of_the_hour_in_hundredths_of_an_inch(products):
    file = metpy(products["DAA"])
    end = volume_end(START).replace(second=0, microsecond=0)
    ray, gate = (axis.ravel() for axis in np.mgrid[0:360:3, 20:920:12])
    expected = accumulated_mm(SEED, SITE.id, end, ray + 0.5, (gate + 0.5) * 0.25) / 0.254
    read = np.nan_to_num(values(file))[ray, gate]
    assert (expected > 10).sum() > 500
    assert np.corrcoef(expected, read)[0, 1] > 0.98
    assert read.mean() == pytest.approx(expected.mean(), rel=0.03)
    np.testing.assert_allclose(np.median(read[expected > 10] / expected[expected > 10]), 1.0, atol=0.03)
    assert read[expected == 0].max() < 5.0


def test_the_codes_of_rain_use_the_whole_scale_and_0_means_none(products):
    file = metpy(products["DAA"])
    codes, rain = np.array(packet(file)["data"]), values(file)
    true = hour_of_rain(SEED, SITE.id, volume_end(START).replace(second=0, microsecond=0), clear_air=False)
    assert codes.max() == 255
    assert np.nanmax(rain) == pytest.approx(true.max(), rel=1e-3)
    assert np.nanmin(rain) == pytest.approx(0.1, abs=1e-4)
    assert (true[codes == 0] < 0.1).all()
    step = (true.max() - 0.1) / 254
    np.testing.assert_allclose(rain[codes > 0], true[codes > 0], atol=0.51 * step)
    assert file.metadata["max"] == pytest.approx(true.max() / 100.0, abs=0.06)


def test_a_dry_hour_is_a_null_product_that_names_the_hour(clear_products):
    file = metpy(clear_products["DAA"])
    assert file.metadata["null_product"] == 5
    end = volume_end(START, VCP_35).replace(second=0, microsecond=0)
    since = end - timedelta(hours=1)
    assert packet(file)["text"].rstrip() == (
        f"No precipitation detected since {since.month}/{since.day}/{since.year} {since:%H:%M} Z"
    )


def test_rain_of_an_hour_without_rain_is_zero_everywhere():
    assert not hour_of_rain(SEED, SITE.id, START, clear_air=True).any()


# Tracks.


def tracks(data):
    """Past, present and forecast places by name."""
    found, name = {}, None
    for one in metpy(data).sym_block[0]:
        if one.get("type") == "Storm ID":
            name = one["id"]
            found[name] = {"now": (one["x"], one["y"]), "past": [], "forecast": []}
        elif "track" in one:
            which = "past" if "past storm position" in str(one["markers"]) else "forecast"
            found[name][which] = one["track"][1:]
    return found


def test_tracks_are_where_the_cells_of_the_scene_are(products):
    weather = storms.scene(SEED, SITE.id, START.timestamp(), clear_air=False)
    found = tracks(products["NST"])
    assert len(found) == metpy(products["NST"]).metadata["num_storms"] > 5
    for track in found.values():
        column = int(np.floor(track["now"][0] - weather.origin_east_km)) + storms.GRID_CELLS // 2
        row = int(np.floor(track["now"][1] - weather.origin_north_km)) + storms.GRID_CELLS // 2
        around = (slice(row - 3, row + 4), slice(column - 3, column + 4))
        assert weather.dbz[around].max() > 40.0
        assert (weather.kind[around] == storms.CONVECTIVE).any()


def test_the_next_volume_finds_the_cells_on_their_forecast_tracks(products):
    later_s = 4 * VCP_212.cadence_s
    now = tracks(products["NST"])
    later = tracks(simulate_products(SITE, START + timedelta(seconds=later_s), SEED)["NST"])
    both = [name for name in now if name in later and now[name]["forecast"]]
    assert len(both) > 5
    for name in both:
        first, second = now[name]["forecast"][:2]
        share = later_s / 900.0 - 1.0
        between = [a + share * (b - a) for a, b in zip(first, second, strict=True)]
        assert later[name]["now"] == pytest.approx(between, abs=0.5)
        if len(later[name]["past"]) >= 4:
            assert later[name]["past"][3] == pytest.approx(now[name]["now"], abs=0.26)


def test_the_table_tells_what_the_map_shows(products):
    places = tracks(products["NST"])
    drift = storms.storm_drift(SEED, SITE.id)
    comes_from = np.degrees(np.arctan2(-drift.east_kmps, -drift.north_kmps)) % 360
    knots = np.hypot(drift.east_kmps, drift.north_kmps) * 3600 / 1.852
    told = {}
    for page in metpy(products["NST"]).graph_pages:
        lines = [row["text"] for row in page if "text" in row]
        columns = [[line[at : at + 10].strip() for line in lines] for at in range(10, 70, 10)]
        told |= {column[0]: column[1:] for column in columns if column[0]}
    assert list(told) == list(places)
    for name, (position, movement, _, strength) in told.items():
        azimuth, miles = (float(number) for number in position.split("/"))
        east, north = places[name]["now"]
        assert (azimuth - np.degrees(np.arctan2(east, north)) + 180) % 360 - 180 == pytest.approx(0, abs=1.5)
        assert miles * 1.852 == pytest.approx(np.hypot(east, north), abs=1.2)
        if places[name]["past"]:
            assert [float(n) for n in movement.split("/")] == pytest.approx([comes_from, knots], abs=0.51)
        else:
            assert movement == "NEW"
            assert not places[name]["forecast"]
        dbz, kft = (float(number) for number in strength.split())
        assert 45 <= dbz <= 64
        assert 5 < kft < 12


def test_a_day_without_storms_has_a_product_without_tracks(clear_products):
    file = metpy(clear_products["NST"])
    assert file.metadata["num_storms"] == 0
    assert len(clear_products["NST"]) == 150
