"""Level 3 rasters: gate by gate against MetPy, and rules of the format that no sample shows."""

import struct
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nexrad_assets.radar.level3.message import read_message
from nexrad_assets.radar.level3.radial import RadialProduct, read_radial
from nexrad_assets.radar.volume import VolumeError
from tests.samples import SAMPLES, needs_samples

pytestmark = needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
NAMES = sorted(path.name for path in LEVEL3.iterdir()) if LEVEL3.is_dir() else []
NO_RASTER = {"NST": 58, "NMD": 141, "NVW": 48, "NHI": 59, "NCR": 37, "N0M": 166}
NULL = {"LOT_DAA_2021_05_08_03_40_29", "LOT_DTA_2021_05_08_03_47_25"}
RASTERS = [name for name in NAMES if name.split("_")[1] not in NO_RASTER]
MEASURED = [name for name in RASTERS if name not in NULL]
ACCUMULATIONS = (170, 172, 173, 174, 175)
OF_THE_VOLUME = ("DAA", "DTA", "DU3", "DOD", "DSD", "DPR", "HHC", "DVL", "EET", "N1P", "N3P", "NTP", "OHA")
TEXT_HEADER_BYTES = 30

SHAPES = {  # rays, gates and gate spacing in metres, by AWIPS code; tilts that end early are told below
    **dict.fromkeys(("DAA", "DTA", "DU3", "DOD", "DSD", "DPR", "HHC"), (360, 920, 250.0)),
    **dict.fromkeys(("N0H", "N1H", "N2H", "N0C", "N0K", "N0X", "N0U", "N1U"), (360, 1200, 250.0)),
    **dict.fromkeys(("N1P", "N3P", "NTP", "OHA"), (360, 115, 2000.0)),
    "N3H": (360, 1088, 250.0),
    "N0Q": (360, 460, 1000.0),
    "N1Q": (360, 403, 1000.0),
    "N0S": (360, 230, 1000.0),
    "DVL": (360, 460, 1000.0),
    "EET": (360, 346, 1000.0),
    "N0B": (720, 1840, 250.0),
    "N0G": (720, 1200, 250.0),
}


def awips(name: str) -> str:
    return name.split("_")[1]


def measured(*codes: str) -> list[str]:
    """The samples with data of some AWIPS codes."""
    return [name for name in MEASURED if awips(name) in codes]


def content(name: str) -> bytes:
    return (LEVEL3 / name).read_bytes()


@cache
def decoded(name: str) -> RadialProduct:
    return read_radial(read_message(content(name), name))


@cache
def metpy(name: str) -> Any:
    from metpy.io import Level3File

    return Level3File(str(LEVEL3 / name))


def values(product: RadialProduct) -> NDArray[np.float64]:
    return product.coding.table()[product.codes]


def oracle_rays(name: str) -> tuple[list[float], list[float], list[Any]]:
    """MetPy's start and end of each ray, and its gates."""
    packet = metpy(name).sym_block[0][0]
    if "components" in packet:
        rays = packet["components"].radials
        return [r.azimuth for r in rays], [r.azimuth + r.width for r in rays], [r.data for r in rays]
    return packet["start_az"], packet["end_az"], packet["data"]


def oracle_values(name: str) -> NDArray[np.float64]:
    oracle = metpy(name)
    gates = decoded(name).codes.shape[1]
    mapped = oracle.map_data(np.array([np.asarray(list(ray)[:gates], int) for ray in oracle_rays(name)[2]]))
    if oracle.header.code == 135:  # height and topped flag
        return mapped[0]
    if oracle.header.code in (165, 177):  # number of the class instead of its code
        return mapped * 10
    # MetPy leaves out that accumulations come in hundredths of an inch; see the test against halfword 47
    return mapped / 100 if oracle.header.code in ACCUMULATIONS else mapped


@pytest.mark.parametrize("name", MEASURED)
def test_every_gate_of_every_sample_has_the_value_that_metpy_gives(name: str):
    np.testing.assert_allclose(values(decoded(name)), oracle_values(name), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", MEASURED)
def test_every_ray_begins_and_ends_where_metpy_says(name: str):
    product, (starts, ends, _) = decoded(name), oracle_rays(name)
    np.testing.assert_allclose(product.start_deg, starts, atol=1e-4)
    np.testing.assert_allclose(product.start_deg + product.width_deg, ends, atol=1e-4)


@pytest.mark.parametrize("name", RASTERS)
def test_every_sample_has_its_products_shape_and_gates(name: str):
    product = decoded(name)
    assert (*product.codes.shape, product.gate_spacing_m) == SHAPES[awips(name)]
    assert product.first_edge_m == 0.0
    assert product.codes.dtype == (np.uint16 if product.message.code == 176 else np.uint8)


@pytest.mark.parametrize("name", [name for name in RASTERS if awips(name) not in OF_THE_VOLUME])
def test_the_gates_of_a_tilt_end_within_the_products_range(name: str):
    product = decoded(name)
    assert product.codes.shape[1] * product.gate_spacing_m <= metpy(name).max_range * 1000


@pytest.mark.parametrize("name", RASTERS)
def test_a_tilt_has_its_elevation_and_a_product_of_the_volume_none(name: str):
    elevation = decoded(name).elevation_deg
    if awips(name) in OF_THE_VOLUME:
        assert elevation is None
    else:
        assert elevation == pytest.approx(metpy(name).metadata["el_angle"])


@pytest.mark.parametrize("name", measured("DAA", "DTA", "DU3", "DOD", "DSD", "DPR", "NTP", "OHA"))
def test_the_largest_accumulation_is_in_inches_what_the_description_says(name: str):
    product = decoded(name)
    scale = 1000 if product.message.code == 176 else 10
    announced, step = product.message.halfwords[47] / scale, 1 / scale
    largest = np.nanmax(values(product))
    if product.coding.values is None:
        assert largest == pytest.approx(announced, abs=step)
    else:  # a level's lower bound
        assert largest <= announced


@pytest.mark.parametrize("name", measured("N0G", "N0U", "N1U"))
def test_velocities_in_metres_a_second_agree_with_the_knots_of_the_description(name: str):
    product = decoded(name)
    extremes = np.array([np.nanmin(values(product)), np.nanmax(values(product))]) / 0.514444
    np.testing.assert_allclose(extremes, [product.message.halfwords[n] for n in (47, 48)], atol=1.0)


@pytest.mark.parametrize("name", measured("N0B", "N0Q", "N1Q", "EET"))
def test_the_largest_value_is_the_one_of_the_description(name: str):
    product = decoded(name)
    assert np.nanmax(values(product)) == pytest.approx(product.message.halfwords[47], abs=0.5)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in RASTERS])
def test_a_product_without_a_raster_on_rays_is_refused_by_name(name: str):
    code = awips(name)
    with pytest.raises(VolumeError) as caught:
        decoded(name)
    assert str(caught.value) == (
        f"{name}: {code} (message {NO_RASTER[code]}): not a product with a raster on rays"
    )


@pytest.mark.parametrize("name", sorted(NULL & set(NAMES)))
def test_a_null_product_means_that_nothing_fell_anywhere(name: str):
    product = decoded(name)
    assert product.is_null
    assert not product.codes.any()
    assert product.coding.flags[0] == "no accumulation"
    np.testing.assert_array_equal(product.start_deg, np.arange(360))
    np.testing.assert_array_equal(product.width_deg, 1)


@pytest.mark.parametrize("name", MEASURED)
def test_a_product_with_data_is_not_null(name: str):
    assert not decoded(name).is_null


def test_the_precipitation_rate_lies_on_the_same_rays_and_gates_as_the_classes_it_is_made_from():
    rate = decoded("BMX_DPR_2015_01_02_02_05_00").codes > 0
    rain = ~np.isin(decoded("BMX_HHC_2015_01_02_02_05_00").codes, [0, 10, 20])
    agreement = {
        (ray, gate): np.mean(rate == np.roll(rain, (ray, gate), (0, 1)))
        for ray in (-1, 0, 1)
        for gate in (-1, 0, 1)
    }
    assert max(agreement, key=agreement.__getitem__) == (0, 0)
    assert agreement[0, 0] > 0.999


def test_flags_are_told_in_words_and_have_no_value():
    velocity = decoded("AMX_N0G_2026_07_10_05_03_18").coding
    assert velocity.flags == {0: "below threshold", 1: "range folded"}
    relative = decoded("LOT_N0S_2021_01_31_11_06_30").coding
    assert relative.flags == {0: "no data", 15: "range folded"}
    specific_phase = decoded("BMX_N0K_2015_01_02_02_05_00").coding
    assert specific_phase.last_value == 243
    for coding in (velocity, relative, specific_phase):
        table = coding.table()
        assert len(table) == 256
        assert np.isnan(table[[*coding.flags]]).all()
        assert np.isnan(table[coding.last_value + 1 :]).all()


def test_a_topped_echo_has_the_height_of_the_same_echo_not_topped():
    table = decoded("AMX_EET_2026_07_10_04_57_17").coding.table()
    np.testing.assert_array_equal(table[:128], table[128:])
    assert table[2] == 0.0


def edited(name: str, code: int | None = None, halfwords: dict[int, int] | None = None) -> bytes:
    """A sample's message with another message code, or other halfwords of its description."""
    data = bytearray(content(name)[TEXT_HEADER_BYTES:])
    for number, value in ({1: code, 16: code} if code else {}).items():
        struct.pack_into(">H", data, 2 * (number - 1), value)
    for number, value in (halfwords or {}).items():
        struct.pack_into(">H", data, 2 * (number - 1), value)
    return bytes(data)


def product_of(data: bytes) -> RadialProduct:
    return read_radial(read_message(data, "edited"))


@pytest.mark.parametrize("flag", [2, 4, 5])
def test_null_products_that_say_that_no_rain_was_seen_are_dry(flag: int):
    assert product_of(edited("LOT_DAA_2021_05_08_03_40_29", halfwords={30: flag})).is_null


@pytest.mark.parametrize("flag", [1, 3, 6, 7, 9])
def test_null_products_that_say_that_data_are_missing_are_not_taken_for_dry(flag: int):
    data = edited("LOT_DAA_2021_05_08_03_40_29", halfwords={30: flag})
    with pytest.raises(VolumeError, match=rf"edited: message 170: .*\(null product flag {flag}\)"):
        product_of(data)


def test_a_missing_period_of_a_chosen_accumulation_does_not_make_it_null():
    product = product_of(edited("AMX_DU3_2026_07_10_04_09_39", halfwords={30: 0x0100}))
    assert not product.is_null
    assert product.codes.any()


def test_the_storm_totals_null_text_fits_a_raster_of_16_levels():
    product = product_of(edited("LOT_DAA_2021_05_08_03_40_29", code=171, halfwords={31: 0x8002, 32: 0x2800}))
    assert product.is_null
    assert (product.codes.shape, product.gate_spacing_m) == ((360, 115), 2000.0)


def test_an_accumulation_that_has_neither_raster_nor_null_flag_is_refused():
    with pytest.raises(VolumeError, match=r"no raster on rays among its packets \(1\)"):
        product_of(edited("LOT_DAA_2021_05_08_03_40_29", halfwords={30: 0}))


def test_a_raster_of_squares_is_refused_by_its_packet():
    with pytest.raises(VolumeError, match=r"message 78: no raster on rays among its packets \(BA07\)"):
        product_of(edited("BMX_NCR_2015_01_02_02_05_00", code=78))


@pytest.mark.parametrize(
    ("code", "name"), [(27, "LOT_N0S_2021_01_31_11_06_30"), (171, "BMX_OHA_2015_01_02_02_05_00")]
)
def test_products_of_16_levels_share_one_coding(code: int, name: str):
    product = product_of(edited(name, code))
    np.testing.assert_array_equal(values(product), values(decoded(name)))
    assert product.gate_spacing_m == decoded(name).gate_spacing_m


def test_a_rate_told_by_fewer_codes_still_has_a_value_or_none_for_each_of_16_bits():
    table = product_of(edited("BMX_DPR_2015_01_02_02_05_00", halfwords={36: 255})).coding.table()
    assert len(table) == 65_536
    np.testing.assert_allclose(table[:256], np.arange(256) / 1000)
    assert np.isnan(table[256:]).all()


@pytest.mark.parametrize(
    "halfwords",
    [{31: 0x7F80}, {31: 0}, {36: 256}, {37: 200, 38: 100}],
    ids=["infinite", "zero", "wide", "flags"],
)
def test_thresholds_that_make_no_sense_are_refused(halfwords: dict[int, int]):
    with pytest.raises(VolumeError, match="edited: message 172: its thresholds"):
        product_of(edited("LOT_DTA_2021_02_28_15_05_33", halfwords=halfwords))


def test_spectrum_width_begins_at_code_129():
    product = product_of(edited("AMX_N0G_2026_07_10_05_03_18", 155, {31: 0, 32: 5, 33: 39}))
    table = product.coding.table()
    assert np.isnan(table[:129]).all()
    np.testing.assert_allclose(table[129:168], np.arange(39) * 0.5)
    assert np.isnan(table[168:]).all()


@pytest.mark.parametrize("gates", [115, 230])
def test_code_1_of_the_digital_storm_total_is_the_first_increment(gates: int):
    source = "AMX_EET_2026_07_10_04_57_17"
    message = read_message(edited(source, 138, {31: 0, 32: 5, 33: 256}), source)
    head, rays = bytearray(message.packets[0].data[:12]), decoded(source).codes[:, :gates]
    struct.pack_into(">H", head, 2, gates)
    body = b"".join(struct.pack(">HHH", gates, 10 * n, 10) + ray.tobytes() for n, ray in enumerate(rays))
    packet = replace(message.packets[0], data=bytes(head) + body)
    product = read_radial(replace(message, packets=(packet,)))
    np.testing.assert_allclose(product.coding.table()[:3], [0.0, 0.05, 0.1])
    np.testing.assert_array_equal(product.codes, rays)
    assert product.gate_spacing_m * gates == 230_000


def test_rays_with_fewer_gates_are_filled_with_code_0():
    data = bytearray(edited("BMX_OHA_2015_01_02_02_05_00"))
    struct.pack_into(">H", data, 120 + 16 + 4, 120)  # gates a ray, of packet AF1F
    whole, longer = decoded("BMX_OHA_2015_01_02_02_05_00"), product_of(bytes(data))
    np.testing.assert_array_equal(longer.codes[:, :115], whole.codes)
    assert not longer.codes[:, 115:].any()


def test_gates_past_the_announced_number_are_dropped():
    data = bytearray(edited("BMX_OHA_2015_01_02_02_05_00"))
    struct.pack_into(">H", data, 120 + 16 + 4, 60)
    whole, shorter = decoded("BMX_OHA_2015_01_02_02_05_00"), product_of(bytes(data))
    np.testing.assert_array_equal(shorter.codes, whole.codes[:, :60])


def test_the_index_of_the_first_gate_moves_its_near_edge():
    data = bytearray(edited("BMX_OHA_2015_01_02_02_05_00"))
    struct.pack_into(">H", data, 120 + 16 + 2, 3)
    assert product_of(bytes(data)).first_edge_m == 6000.0
