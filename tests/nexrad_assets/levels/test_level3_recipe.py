"""Level 3 files as images and documents: what a reader of image and metadata learns is what MetPy reads in the file."""

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer

from nexrad_assets.levels import scans
from nexrad_assets.levels.level2 import Level2Recipe
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.levels.scans import Provenance
from nexrad_assets.radar import sites
from nexrad_assets.radar.image import colours, render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.mercator import Canvas, box
from nexrad_assets.radar.image.products import REFLECTIVITY
from nexrad_assets.radar.level3.products import PRODUCTS
from nexrad_assets.radar.volume import VolumeError
from nexrad_assets.simulator.products import simulate_products
from nexrad_assets.simulator.volumes import simulate_volume
from store import keys
from store.radar import lists
from store.radar.snapshot import Scan, Snapshot, SourceFile, decode, encode
from tests.nexrad_assets.radar.image.test_render_position import WGS84, seen_from
from tests.nexrad_assets.radar.level3 import test_radial
from tests.nexrad_assets.radar.level3.test_position import BINS_M, ground_edges_m, sectors_deg
from tests.nexrad_assets.radar.level3.test_radial import (
    MEASURED,
    NAMES,
    NULL,
    RASTERS,
    SHAPES,
    awips,
    content,
    measured,
)
from tests.samples import needs_samples

SIZE = 700
PIXELS = 4000
CACHE = GeometryCache()
TO_MERCATOR = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
NOW = datetime(2026, 7, 10, 6, 0, tzinfo=UTC)
DOCUMENTS = {"NST": "storms", "NMD": "mesocyclones", "NVW": "winds", "NHI": "hail"}
VECTOR_NAMES = [name for name in NAMES if awips(name) in DOCUMENTS]
REFUSED = {"NCR": 37, "N0M": 166}
UNITS = {
    **dict.fromkeys(("N0H", "N1H", "N2H", "N3H", "HHC"), "class"),
    **dict.fromkeys(("DAA", "DTA", "DU3", "DOD", "DSD", "N1P", "N3P", "NTP", "OHA"), "inch"),
    **dict.fromkeys(("N0B", "N0Q", "N1Q"), "dBZ"),
    **dict.fromkeys(("N0G", "N0U", "N1U"), "m/s"),
    "DPR": "inch/h",
    "N0S": "kt",
    "N0X": "dB",
    "N0C": "1",
    "N0K": "deg/km",
    "EET": "kft",
    "DVL": "kg/m2",
}
GROUPS = {
    **dict.fromkeys(("N0H", "N1H", "N2H", "N3H", "HHC"), "hydrometeor"),
    **dict.fromkeys(("DAA", "DTA", "DU3", "DOD", "DSD", "DPR", "N1P", "N3P", "NTP", "OHA"), "precipitation"),
    **dict.fromkeys(("N0B", "N0Q", "N1Q"), "reflectivity"),
    **dict.fromkeys(("N0G", "N0U", "N1U"), "velocity"),
    "N0S": "storm_relative_velocity",
    "N0X": "differential_reflectivity",
    "N0C": "correlation_coefficient",
    "N0K": "specific_differential_phase",
    "EET": "echo_tops",
    "DVL": "vil",
}
CLASSES = {  # ICD 2620003, product 165
    10: "biological",
    20: "ground clutter",
    30: "ice crystals",
    40: "dry snow",
    50: "wet snow",
    60: "rain",
    70: "heavy rain",
    80: "big drops",
    90: "graupel",
    100: "hail",
    110: "large hail",
    120: "giant hail",
    140: "unknown",
    150: "range folded",
}
PURPLE = [119, 0, 125, 255]
DEPTH, RATE = "BMX_DAA_2015_01_02_02_05_00", "BMX_DPR_2015_01_02_02_05_00"


@dataclass(frozen=True)
class Made:
    """A product file's scan and image: indices (SIZE, SIZE), palette RGBA (256, 4), and what it was drawn on."""

    scan: Scan
    index: np.ndarray
    palette: np.ndarray
    canvas: Canvas

    @property
    def group(self):
        (group,) = self.scan.layers
        return group

    @property
    def metadata(self):
        return lists.sweep_metadata(self.scan, self.group, 0)

    def values(self):
        """The value of every index as the metadata tell it, NaN where they tell none."""
        told, table = self.metadata, np.full(256, np.nan)
        for index in range(told["first_value_index"], 256):
            if told["values"] is None:
                table[index] = index * told["scale"] + told["offset"]
            elif index < len(told["values"]) and told["values"][index] is not None:
                table[index] = told["values"][index]
        table[[int(index) for index in told["codes"]]] = np.nan
        return table


def read(data, file_name):
    return Level3Recipe(SIZE).read(data, file_name)


def assembled(reading, pictures, data, file_name):
    source = SourceFile(file_name, hashlib.sha256(data).hexdigest(), len(data))
    return scans.assembled(
        reading, pictures, Provenance(source, "live", kept=False, now=NOW), 3, "fingerprint"
    )


def make(data, file_name):
    reading = read(data, file_name)
    pictures = [render.render(job, SIZE, CACHE) for job in reading.jobs]
    (picture,) = pictures
    image = Image.open(io.BytesIO(picture.png))
    image.apply_transparency()
    palette = np.reshape(image.getpalette("RGBA"), (256, 4))
    return Made(assembled(reading, pictures, data, file_name), np.asarray(image), palette, picture.canvas)


@cache
def made(name):
    return make(content(name), name)


@cache
def truth(name):
    """Rays, gates and values of a sample as MetPy has them."""
    starts, ends, _ = test_radial.oracle_rays(name)
    of_volume = awips(name) in test_radial.OF_THE_VOLUME
    return SimpleNamespace(
        start_deg=np.array(starts, np.float64),
        width_deg=np.array(ends) - np.array(starts),
        codes=np.ma.filled(np.ma.masked_invalid(test_radial.oracle_values(name)), np.nan),
        gate_spacing_m=SHAPES[awips(name)][2],
        elevation_deg=None if of_volume else test_radial.metpy(name).metadata["el_angle"],
    )


def seen(name):
    """Random pixels of a sample's image well inside of a gate: their indices, MetPy's values there (NaN beyond)."""
    of, image = truth(name), made(name)
    y, x = np.random.default_rng(4).integers(0, SIZE, (2, PIXELS))
    azimuth, ground, _ = seen_from(
        (image.canvas.latitude_deg, image.canvas.longitude_deg), image.canvas, y, x
    )
    edges, (low, high) = ground_edges_m(of), sectors_deg(of)
    gate = np.searchsorted(edges, ground, side="right") - 1
    turn = (azimuth - (low + high)[:, None] / 2 + 180.0) % 360.0 - 180.0
    across = (high - low)[:, None] / 2 - np.abs(turn)
    ray = across.argmax(axis=0)
    nearest = np.abs(ground[:, None] - edges).min(axis=1)
    inside = (nearest > BINS_M) & (np.radians(across.max(axis=0)) * ground > BINS_M)
    padded = np.pad(of.codes, ((0, 0), (0, 1)), constant_values=np.nan)
    found = padded[ray, np.minimum(gate, of.codes.shape[1])]
    return image.index[y, x][inside], found[inside], gate[inside] >= of.codes.shape[1]


@needs_samples
@pytest.mark.parametrize("name", MEASURED)
def test_what_image_and_metadata_tell_of_a_pixel_is_metpys_value_of_the_gate_there(name):
    index, expected, is_beyond = seen(name)
    table = made(name).values()
    # The 16 bits of a rate are laid over 254 indices, closer where rain is light.
    rtol, atol = (0.025, 0.001) if awips(name) == "DPR" else (1e-6, 1e-4)
    assert len(index) > PIXELS / 2
    assert not index[is_beyond].any()
    if made(name).group == "hydrometeor":
        words = made(name).metadata["codes"]
        told = [words[str(one)] for one in index]
        assert told == ["no data" if np.isnan(one) else CLASSES[int(one)] for one in expected]
    else:
        np.testing.assert_allclose(table[index], expected, rtol=rtol, atol=atol)


@needs_samples
@pytest.mark.parametrize("name", MEASURED)
def test_there_are_enough_values_in_the_image_to_compare(name):
    _, expected, _ = seen(name)
    assert (~np.isnan(expected)).sum() >= (3 if awips(name) in ("N1P", "N3P", "OHA") else 20)


@needs_samples
@pytest.mark.parametrize("name", MEASURED)
def test_nothing_is_transparent_but_what_is_no_value_or_nothing(name):
    image = made(name)
    table = image.values()
    is_nothing = np.isnan(table)
    if awips(name) in ("DOD", "DSD", "DPR"):
        is_nothing |= np.abs(table) <= (0.0 if awips(name) == "DPR" else 0.015)
    if image.group in ("velocity", "storm_relative_velocity"):
        is_nothing[15 if awips(name) == "N0S" else 1] = False
    if image.group == "hydrometeor":
        is_nothing = ~np.isin(np.arange(256), list(CLASSES))
    present = np.unique(image.index)
    np.testing.assert_array_equal(image.palette[present, 3] == 0, is_nothing[present])
    assert set(image.palette[:, 3]) == {0, 255}


@needs_samples
@pytest.mark.parametrize("name", RASTERS)
def test_metadata_tell_product_place_and_times(name):
    site, code, *time = name.split("_")
    key = f"K{site}{''.join(time[:3])}_{''.join(time[3:])}_{code}"
    image, told, oracle = made(name), made(name).metadata, test_radial.metpy(name).metadata
    assert (image.scan.key, image.scan.level, image.scan.status) == (key, 3, "whole")
    assert (told["scan"], told["site"], told["code"]) == (key, f"K{site}", code)
    assert (image.group, told["product"], told["unit"]) == (GROUPS[code], GROUPS[code], UNITS[code])
    assert told["label"] == PRODUCTS[code].label
    assert lists.scan_list([image.scan], image.group) == {key: {"sweeps": 1}}
    (tilt,) = image.scan.layers[image.group].tilts
    assert tilt.images[0].name == keys.image_name(key, GROUPS[code], 0, told["sha256"])
    assert told["elevation_index"] == 1
    assert told["elevation_angle_degrees"] == pytest.approx(truth_elevation(name))
    assert told["valid_time"] == f"{oracle['vol_time']:%Y-%m-%dT%H:%M:%S}.000Z"
    assert told["scan_end"] == f"{max(oracle['vol_time'], oracle['prod_time']):%Y-%m-%dT%H:%M:%S}.000Z"
    assert told["vcp"] == test_radial.metpy(name).prod_desc.vcp
    json.dumps(told, allow_nan=False)


def truth_elevation(name):
    if awips(name) in test_radial.OF_THE_VOLUME:
        return 0.0
    return test_radial.metpy(name).metadata["el_angle"]


@needs_samples
@pytest.mark.parametrize("name", RASTERS)
def test_the_corners_are_a_square_in_web_mercator_around_the_antenna_that_holds_every_gate(name):
    told = made(name).metadata
    corners = [told["bounding_box_lon_lat"][corner] for corner in ("nw", "ne", "se", "sw")]
    east, north = TO_MERCATOR.transform(*np.transpose(corners))
    west, right, top, bottom = east[0], east[1], north[0], north[2]
    np.testing.assert_allclose(east, [west, right, right, west], atol=0.1)
    np.testing.assert_allclose(north, [top, top, bottom, bottom], atol=0.1)
    assert right - west == pytest.approx(top - bottom, abs=0.1)
    radar, reach = sites.site(told["site"]), reach_m(name)
    home = np.full((4, 2), (radar.longitude_deg, radar.latitude_deg)).T
    x, y = TO_MERCATOR.transform(*WGS84.fwd(*home, [0, 90, 180, 270], [reach] * 4)[:2])
    assert ((west <= x + 1) & (x - 1 <= right) & (bottom <= y + 1) & (y - 1 <= top)).all()
    assert (x[1] + x[3]) / 2 == pytest.approx((west + right) / 2, abs=1)
    assert told["sweep_range_km"] == pytest.approx(reach / 1000, abs=0.01)
    assert told["canvas_range_km"] == min(km for km in (60, 120, 230, 300, 460) if reach <= km * 1000)


def reach_m(name):
    _, gates, spacing = SHAPES[awips(name)]
    elevation = None if awips(name) in test_radial.OF_THE_VOLUME else truth_elevation(name)
    of = SimpleNamespace(codes=np.zeros((1, gates)), gate_spacing_m=spacing, elevation_deg=elevation)
    return ground_edges_m(of)[-1]


@needs_samples
@pytest.mark.parametrize("name", sorted(NULL & set(NAMES)))
def test_a_null_product_is_an_empty_transparent_image_with_all_its_metadata(name):
    image = made(name)
    assert not image.index.any()
    assert image.palette[0, 3] == 0
    assert image.metadata["codes"] == {"0": "no accumulation"}
    assert image.metadata["first_value_index"] == 1
    assert image.scan.status == "whole"


@needs_samples
@pytest.mark.parametrize("name", measured("N0H", "N1H", "N2H", "N3H", "HHC"))
def test_classes_are_told_by_name_and_have_the_colours_of_the_weather_services_displays(name):
    image = made(name)
    named = {int(index): words for index, words in image.metadata["codes"].items()}
    assert named == {0: "no data", **CLASSES}
    assert image.palette[150].tolist() == PURPLE
    assert image.palette[60].tolist() == [0, 251, 144, 255]
    assert image.palette[100].tolist() == [255, 0, 0, 255]
    assert len(np.unique(image.palette[list(CLASSES)], axis=0)) == len(CLASSES)


@needs_samples
@pytest.mark.parametrize("name", measured("N0G", "N0U", "N1U", "N0S"))
def test_folded_velocity_is_purple_and_told_in_words(name):
    image = made(name)
    folded = 15 if awips(name) == "N0S" else 1
    assert image.metadata["codes"][str(folded)] == "range folded"
    assert image.palette[folded].tolist() == PURPLE
    assert image.palette[0, 3] == 0


@needs_samples
@pytest.mark.parametrize("name", measured("N0B", "N0Q", "N1Q", "N0X", "N0C", "N0K"))
def test_what_is_folded_or_missing_of_other_moments_is_transparent(name):
    assert not made(name).palette[:2, 3].any()


@needs_samples
@pytest.mark.parametrize("name", measured("NTP", "N1P", "N3P", "OHA", "N0S", "EET", "DVL"))
def test_uneven_codes_have_their_values_listed(name):
    values = made(name).metadata["values"]
    assert values is not None
    mapped = test_radial.metpy(name).map_data(np.arange(len(values)))
    oracle = np.ma.filled(np.ma.masked_invalid(mapped[0] if awips(name) == "EET" else mapped), np.nan)
    if awips(name) == "EET":
        oracle[[128, 129]] = np.nan  # the bit of topped echoes without a height, which MetPy gives one
    np.testing.assert_allclose(np.array(values, np.float64), oracle, rtol=1e-6, atol=1e-4)
    assert np.count_nonzero(~np.isnan(oracle)) >= 14


@needs_samples
@pytest.mark.parametrize("name", measured("N0B", "N0G", "DAA", "N0K", "HHC"))
def test_even_codes_are_told_by_scale_and_offset(name):
    assert made(name).metadata["values"] is None


@needs_samples
def test_a_depth_is_in_inches_and_a_rate_in_inches_an_hour():
    """The largest of each is what the description says, in inches and in thousandths of an inch an hour."""
    depth, rate = made(DEPTH), made(RATE)
    assert (depth.metadata["unit"], rate.metadata["unit"]) == ("inch", "inch/h")
    announced = [test_radial.metpy(name).metadata["max"] for name in (DEPTH, RATE)]
    assert announced == [pytest.approx(0.8), 2311]
    assert depth.values()[test_radial.decoded(DEPTH).codes.max()] == pytest.approx(0.8, abs=0.05)
    assert np.nanmax(rate.values()[rate.index]) == pytest.approx(2.311, abs=0.03)


@needs_samples
def test_the_lightest_rate_is_seen_and_told_from_none():
    """A quarter of this sample's wet gates has less than a hundredth of an inch an hour."""
    (job,) = read(content(RATE), RATE).jobs
    moment = job.sweep.moments[job.product.moment]
    index, meaning = render.index_codes(moment, job.product)
    is_light = (moment.codes > 0) & (moment.codes < 10)
    assert is_light.sum() > 50_000
    palette = colours.of_product(job.product, meaning)
    assert (palette[index[is_light], 3] == 255).all()
    assert not palette[index[moment.codes == 0], 3].any()


@needs_samples
@pytest.mark.parametrize("name", VECTOR_NAMES)
def test_vectors_are_a_document_and_no_image(name):
    data = content(name)
    reading = read(data, name)
    (told,) = reading.vectors
    scan = assembled(reading, (), data, name)
    document = json.loads(told.data)
    assert (list(scan.documents), scan.layers, scan.status) == ([DOCUMENTS[awips(name)]], {}, "whole")
    assert scan.documents[told.name].sha256 == hashlib.sha256(told.data).hexdigest()
    assert (document["scan"], document["site"]) == (scan.key, scan.key[:4])
    assert scan.key.endswith(f"_{awips(name)}")
    assert all(lists.scan_list([scan], group) == {} for group in lists.PRODUCTS)


@needs_samples
@pytest.mark.parametrize("name", [name for name in NAMES if awips(name) in REFUSED])
def test_other_products_are_refused_in_one_line_that_names_file_and_product(name):
    with pytest.raises(VolumeError) as caught:
        read(content(name), name)
    code = awips(name)
    assert str(caught.value) == f"{name}: product {code} (message {REFUSED[code]}) is not one of ours"


@needs_samples
def test_every_sample_becomes_an_image_or_a_document_or_is_refused():
    outcomes = {*RASTERS, *VECTOR_NAMES, *(name for name in NAMES if awips(name) in REFUSED)}
    assert outcomes == set(NAMES)


@needs_samples
@pytest.mark.parametrize("name", [*RASTERS, *VECTOR_NAMES])
def test_scans_of_products_are_the_same_after_a_snapshot_has_stored_them(name):
    data = content(name)
    scan = made(name).scan if name in RASTERS else assembled(read(data, name), (), data, name)
    snapshot = Snapshot(scan.key[:4], keys.scan_day(scan.key), 7, {scan.key: scan})
    stored = encode(snapshot)
    assert decode(stored, Snapshot, "a key") == snapshot
    assert encode(decode(stored, Snapshot, "a key")) == stored


class TestANameThatLies:
    DATA = "LOT_DAA_2021_02_28_12_14_47"

    @needs_samples
    def test_another_product_by_its_header_is_refused(self):
        with pytest.raises(VolumeError, match=r"^LOT_N0B_\S+: named N0B, but holds DAA \(message 170\)$"):
            read(content(self.DATA), "LOT_N0B_2021_02_28_12_14_47")

    @needs_samples
    def test_another_product_by_its_message_code_alone_is_refused(self):
        with pytest.raises(VolumeError, match=r"^LOT_N0B_\S+: named N0B, but holds .* \(message 170\)$"):
            read(test_radial.edited(self.DATA), "LOT_N0B_2021_02_28_12_14_47")

    @needs_samples
    def test_a_radar_far_from_the_one_in_the_name_is_refused(self):
        with pytest.raises(VolumeError, match=r"^TLX_DAA_\S+: says that KTLX is at 41\.604, -88\.085$"):
            read(content(self.DATA), "TLX_DAA_2021_02_28_12_14_47")


class TestAFileWithoutABucketsName:
    NAME = "LOT_DAA_2021_02_28_12_14_47"

    @needs_samples
    def test_its_site_is_the_radar_at_its_position_and_its_time_the_volumes(self):
        reading = read(content(self.NAME), "product.bin")
        assert reading.key == f"KLOT{test_radial.metpy(self.NAME).metadata['vol_time']:%Y%m%d_%H%M%S}_DAA"
        assert make(content(self.NAME), "product.bin").metadata["site"] == "KLOT"

    @needs_samples
    def test_a_name_of_no_known_site_is_no_name(self):
        assert read(content(self.NAME), "QQQ_DAA_2021_02_28_12_14_47").key.startswith("KLOT")

    @needs_samples
    def test_without_a_text_header_its_product_is_not_known(self):
        with pytest.raises(
            VolumeError, match=r"^product\.bin: product \? \(message 170\) is not one of ours$"
        ):
            read(test_radial.edited(self.NAME), "product.bin")

    @needs_samples
    def test_at_a_place_without_a_radar_it_is_refused(self):
        data = moved(self.NAME, 43_100)
        with pytest.raises(VolumeError, match=r"^product\.bin: tells no site"):
            read(data, "product.bin")


def moved(name, latitude_millidegrees):
    """A sample whose antenna stands at another latitude, text header kept."""
    data = bytearray(content(name))
    at = test_radial.TEXT_HEADER_BYTES + 20
    data[at : at + 4] = latitude_millidegrees.to_bytes(4, "big", signed=True)
    return bytes(data)


class TestThePlace:
    NAME = "LOT_DAA_2021_02_28_12_14_47"

    @needs_samples
    def test_the_antenna_is_where_the_table_of_sites_has_it(self):
        (job,) = read(content(self.NAME), self.NAME).jobs
        radar = sites.site("KLOT")
        assert (job.volume.latitude_deg, job.volume.longitude_deg) == (
            radar.latitude_deg,
            radar.longitude_deg,
        )

    @needs_samples
    def test_products_from_before_an_antenna_moved_keep_its_old_place(self):
        new, old = (make(data, self.NAME).metadata for data in (content(self.NAME), moved(self.NAME, 41_300)))
        assert new["site"] == old["site"] == "KLOT"
        top, former = (told["bounding_box_lon_lat"]["nw"][1] for told in (new, old))
        assert former - top == pytest.approx(41.3 - 41.6044, abs=0.01)

    @needs_samples
    def test_vectors_from_before_an_antenna_moved_start_at_its_old_place(self):
        name = "LOT_NMD_2021_06_21_04_27_31"
        here, there = (
            json.loads(read(data, name).vectors[0].data)["features"][0]["geometry"]["coordinates"]
            for data in (content(name), moved(name, 41_300))
        )
        assert there[1] - here[1] == pytest.approx(41.3 - 41.6044, abs=0.01)


SITE = sites.site("KTLX")
START = datetime(2025, 5, 20, 20, 0, 30, tzinfo=UTC)
FULL = 2700
SHIFTS = [(down, right) for down in range(-3, 4) for right in range(-3, 4)]


def indices(job):
    return np.asarray(Image.open(io.BytesIO(render.render(job, FULL, CACHE).png)))


@pytest.fixture(scope="module")
def same_storm():
    """The lowest tilt of a simulated volume and its N0B, both as images of 2700 pixels."""
    volume = Level2Recipe((REFLECTIVITY,), FULL).read(
        simulate_volume(SITE, START, 7), "KTLX20250520_200030_V06"
    )
    product = read(simulate_products(SITE, START, 7)["N0B"], "TLX_N0B_2025_05_20_20_00_30")
    assert (volume.jobs[0].index, volume.jobs[0].repeat) == (0, 0)
    return indices(volume.jobs[0]), indices(product.jobs[0])


def correlations(one, other, window):
    """How well two images agree, by how far the other is shifted, down and right."""
    rows = columns = slice(FULL // 2 - window, FULL // 2 + window)
    still = one[rows, columns].ravel().astype(np.float64)
    return {
        shift: np.corrcoef(still, np.roll(other, shift, (0, 1))[rows, columns].ravel())[0, 1]
        for shift in SHIFTS
    }


def polar(image, canvas):
    """An image's indices on azimuths 0.5 degrees and ranges 1 km apart, placed by pyproj: (720, 200)."""
    grid = np.meshgrid((np.arange(720) + 0.5) / 2, np.arange(20, 220) * 1000.0, indexing="ij")
    azimuth, ground = (axis.ravel() for axis in grid)
    home = np.ones(len(azimuth))
    lon, lat, _ = WGS84.fwd(canvas.longitude_deg * home, canvas.latitude_deg * home, azimuth, ground)
    east, north = TO_MERCATOR.transform(lon, lat)
    square = box(canvas)
    pixel = square.side / canvas.size
    x, y = ((east - square.west) / pixel).astype(int), ((square.north - north) / pixel).astype(int)
    return image[y, x].reshape(720, 200)


class TestN0BOfASimulatedStormAndItsLevel2Tilt:
    def test_they_agree_best_where_neither_is_shifted(self, same_storm):
        found = correlations(*same_storm, window=450)
        assert max(found, key=found.__getitem__) == (0, 0)
        assert found[0, 0] > 0.99
        assert sorted(found.values())[-2] < found[0, 0] - 0.005

    def test_they_agree_best_at_the_same_azimuth(self, same_storm):
        canvas = Canvas(SITE.latitude_deg, SITE.longitude_deg, 460, FULL)
        level2, level3 = (polar(image, canvas).astype(np.float64) for image in same_storm)
        found = {
            step: np.corrcoef(level2.ravel(), np.roll(level3, step, 0).ravel())[0, 1] for step in range(-3, 4)
        }
        assert max(found, key=found.__getitem__) == 0
        assert abs(found[1] - found[-1]) < 0.02

    def test_nearly_every_pixel_is_the_same(self, same_storm):
        level2, level3 = same_storm
        is_echo = (level2 > 1) | (level3 > 1)
        assert is_echo.sum() > 100_000
        assert (level2 == level3)[is_echo].mean() > 0.9


@needs_samples
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LOT_HHC_2021_04_28_21_11_56", "LOT_N0H_2021_04_28_21_11_56"),
        ("BMX_N0Q_2015_01_02_02_05_00", "BMX_N0C_2015_01_02_02_05_00"),
        ("BMX_DPR_2015_01_02_02_05_00", "BMX_HHC_2015_01_02_02_05_00"),
    ],
)
def test_the_echoes_of_real_products_of_one_volume_lie_upon_each_other(one, other):
    """Classes along the ground and along the beam; gates of 1 km and 250 m; 16 bits and 8."""
    still, turned = (is_echo_by_azimuth(name) for name in (one, other))
    found = {shift: agreement(still, np.roll(turned, shift, (0, 1))) for shift in SHIFTS}
    assert max(found, key=found.__getitem__) == (0, 0)


def is_echo_by_azimuth(name):
    (job,) = read(content(name), name).jobs
    picture = render.render(job, FULL, CACHE)
    image = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGBA"))[..., 3]
    return polar(image, picture.canvas) > 0


def agreement(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]
