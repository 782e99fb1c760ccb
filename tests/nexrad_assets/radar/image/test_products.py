"""The table of Level 3 products: codes, menus, colours, classes, against the contract and the format's own words."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.radar.image import colours
from nexrad_assets.radar.image.products import REFLECTIVITY, CodeClass
from nexrad_assets.radar.level3 import coding
from nexrad_assets.radar.level3.coding import coding_of
from nexrad_assets.radar.level3.products import (
    CLASSES,
    CODES,
    DEAD_CODES,
    MENUS,
    MESSAGES,
    PRODUCTS,
    PURPLE,
    RANGE_FOLDED,
    VECTORS,
    CodedProduct,
)
from nexrad_assets.radar.level3.vectors import VECTOR_CODES
from nexrad_assets.radar.volume import Meaning
from tests.nexrad_assets.radar.level3.test_position import MESSAGE
from tests.nexrad_assets.radar.level3.test_radial import NAMES, awips, metpy
from tests.samples import needs_samples

HYDROMETEOR = ["N0H", "N1H", "NAH", "NBH", "N2H", "N3H", "NXH", "NYH", "NZH", "HHC"]
PRECIPITATION = ["N1P", "N3P", "OHA", "DAA", "DOD", "DPR", "NTP", "DSP", "PTA", "DTA", "DSD", "DU3", "DU6"]
DEAD = {
    "N1P",
    "N3P",
    "NTP",
    "DSP",
    *[
        "N0Q",
        "NAQ",
        "N1Q",
        "NBQ",
        "N2Q",
        "N3Q",
        "N0R",
        "N1R",
        "N2R",
        "N3R",
        "N0U",
        "NAU",
        "N1U",
        "NBU",
        "N2U",
        "N3U",
    ],
}
WITH_RUNGS = [code for code, one in PRODUCTS.items() if one.look.rungs]
CLASSIFIED = [code for code, one in PRODUCTS.items() if one.look.classes]


def palette(code, meaning):
    return colours.of_product(PRODUCTS[code].look, meaning)


def tint(table, place):
    """The colour of a Matplotlib table at a place from 0 to 1."""
    import cmweather  # noqa: F401
    import matplotlib as mpl

    return np.asarray(mpl.colormaps[table](min(place, 0.999999)))[:3] * 255


class TestTheTable:
    def test_the_contracts_groups_are_complete_and_in_their_order(self):
        menus = {group: [one.code for one in menu] for group, menu in MENUS.items()}
        assert menus == {"hydrometeor": HYDROMETEOR, "precipitation": PRECIPITATION}

    def test_the_contracts_groups_come_first_and_every_code_once(self):
        codes = list(PRODUCTS)
        assert codes[: len(HYDROMETEOR + PRECIPITATION)] == HYDROMETEOR + PRECIPITATION
        everything = [*CODES, *DEAD_CODES]
        assert len(set(everything)) == len(everything)
        assert set(everything) == {*PRODUCTS, *VECTORS}

    def test_no_code_is_both_an_image_and_vectors(self):
        assert not PRODUCTS.keys() & VECTORS.keys()
        assert len(VECTORS) == len(VECTOR_CODES)

    def test_every_code_has_its_message(self):
        assert MESSAGES.keys() == PRODUCTS.keys() | VECTORS.keys()
        assert {MESSAGES[code] for code in VECTORS} == set(VECTOR_CODES)

    @needs_samples
    @pytest.mark.parametrize("name", [name for name in NAMES if awips(name) in MESSAGES])
    def test_messages_are_those_that_metpy_reads_in_the_samples(self, name):
        assert metpy(name).header.code == MESSAGES[awips(name)]

    def test_codes_that_were_given_up_are_not_expected_of_new_files(self):
        assert set(DEAD_CODES) == DEAD
        assert not DEAD & set(CODES)

    @pytest.mark.parametrize(
        "code", ["N0B", "N0G", "N0S", "N0X", "N0C", "N0K", "EET", "DVL", "NST", "NMD", "NVW"]
    )
    def test_what_goes_beyond_the_contract_is_expected_too(self, code):
        assert code in CODES

    @pytest.mark.parametrize("code", PRODUCTS)
    def test_every_product_has_a_label_a_unit_and_colours_that_are_there(self, code):
        one = PRODUCTS[code]
        low, high = one.look.value_range
        assert one.label
        assert one.look.unit
        assert low < high
        assert one.look.classes or one.look.colours in colours.names()

    @pytest.mark.parametrize("group", MENUS)
    def test_no_two_entries_of_a_menu_are_called_the_same(self, group):
        labels = [one.label for one in MENUS[group]]
        assert len(set(labels)) == len(labels)

    def test_units_are_those_that_the_products_are_sent_in(self):
        units = {one.look.unit for one in PRODUCTS.values() if one.look.name == "precipitation"}
        assert units == {"inch", "inch/h"}
        assert [code for code, one in PRODUCTS.items() if one.look.unit == "inch/h"] == ["DPR"]
        assert [code for code, one in PRODUCTS.items() if one.look.unit == "kt"] == ["N0S"]
        assert {one.look.unit for one in PRODUCTS.values() if one.look.name == "velocity"} == {"m/s"}

    def test_reflectivity_looks_as_that_of_level_2(self):
        looks = [one.look for one in PRODUCTS.values() if one.look.name == "reflectivity"]
        assert looks
        assert all(replace(look, label=REFLECTIVITY.label) == REFLECTIVITY for look in looks)


class TestRungs:
    @pytest.mark.parametrize("code", WITH_RUNGS)
    def test_they_rise_and_span_the_range(self, code):
        look = PRODUCTS[code].look
        assert (np.diff(look.rungs) > 0).all()
        assert (look.rungs[0], look.rungs[-1]) == look.value_range

    @pytest.mark.parametrize("code", WITH_RUNGS)
    def test_colours_are_spread_evenly_between_them(self, code):
        look = PRODUCTS[code].look
        last = len(look.rungs) - 1
        values = (*look.rungs[1:], (look.rungs[1] + look.rungs[2]) / 2)
        got = palette(code, Meaning(1.0, 0.0, 2, {}, (None, None, *values)))[2 : 2 + len(values)]
        places = [*np.arange(1, last + 1) / last, 1.5 / last]
        np.testing.assert_allclose(got[:, :3], [tint(look.colours, place) for place in places], atol=4.0)
        assert (got[:, 3] == 255).all()

    def test_products_without_rungs_spread_them_over_the_range(self):
        got = palette("EET", Meaning(1.0, 0.0, 2, {}))
        expected = [tint("HomeyerRainbow", value / 70.0) for value in range(2, 70)]
        np.testing.assert_allclose(got[2:70, :3], expected, atol=1.0)
        np.testing.assert_array_equal(got[70:, :3], np.broadcast_to(got[70, :3], (186, 3)))

    @pytest.mark.parametrize("code", ["OHA", "DAA", "N1P", "DTA", "NTP", "PTA", "DU3"])
    def test_light_rain_is_told_from_heavier_rain(self, code):
        """A tenth and half an inch are far apart on every scale of depths."""
        tenth, half = palette(code, Meaning(1.0, 0.0, 0, {}, (0.1, 0.5)))[:2, :3].astype(int)
        assert np.abs(tenth - half).sum() > 60


class TestWhatIsNotSeen:
    @pytest.mark.parametrize(("code", "nothing"), [("DPR", 0.0), ("DSP", 0.0), ("DOD", 0.01), ("DSD", -0.01)])
    def test_a_value_that_stands_for_nothing_is_transparent_and_the_next_is_not(self, code, nothing):
        sign = -1.0 if nothing < 0 else 1.0
        got = palette(code, Meaning(1.0, 0.0, 0, {}, (nothing, nothing + sign * 0.02)))
        assert got[:2, 3].tolist() == [0, 255]

    @pytest.mark.parametrize("code", ["DAA", "DTA", "DU3", "DU6", "OHA", "PTA"])
    def test_where_nothing_fell_nothing_is_seen_because_its_code_is_no_value(self, code):
        got = palette(code, Meaning(0.1, 0.0, 1, {0: "no accumulation"}))
        assert got[0, 3] == 0
        assert (got[1:, 3] == 255).all()

    @pytest.mark.parametrize("code", ["N0B", "N0X", "N0C", "N0K", "N0R"])
    def test_folded_gates_of_other_than_velocity_are_transparent(self, code):
        assert palette(code, Meaning(0.5, -33.0, 2, {0: "below threshold", 1: RANGE_FOLDED}))[1, 3] == 0

    @pytest.mark.parametrize(("code", "folded"), [("N0G", 1), ("N0U", 1), ("N0S", 15)])
    def test_folded_velocity_is_purple_whatever_its_code(self, code, folded):
        got = palette(code, Meaning(0.5, -64.5, 1, {0: "no data", folded: RANGE_FOLDED}))
        assert got[folded].tolist() == [*PURPLE, 255]
        assert got[0, 3] == 0


class TestClasses:
    def test_their_names_are_the_words_of_the_format(self):
        """Labels 3 to 16 of the products of 16 levels name the same things (ICD 2620001, figure 3-6)."""
        labels = [0x8000 | number for number in range(3, 17)]
        flags = coding_of(replace(MESSAGE, code=56, thresholds=struct.pack(">16H", *labels, 1, 2))).flags
        assert {one.name for one in CLASSES.values()} == set(flags.values())

    def test_their_numbers_are_those_of_metpy(self):
        from metpy.io.nexrad import DigitalHMCMapper

        initials = {
            code: "".join(word[0] for word in one.name.split()).upper() for code, one in CLASSES.items()
        }
        short = {"BI": "B", "RA": "R", "GR": "G", "HA": "H", "UK": "U"}
        told = {10 * place: short.get(label, label) for place, label in enumerate(DigitalHMCMapper.labels)}
        assert {code: initials[code] for code in range(10, 130, 10)} == {
            code: told[code] for code in range(10, 130, 10)
        }

    def test_folded_is_the_word_that_the_codings_use(self):
        assert coding.RANGE_FOLDED == RANGE_FOLDED
        assert CLASSES[150] == CodeClass(RANGE_FOLDED, PURPLE)

    @pytest.mark.parametrize("code", CLASSIFIED)
    def test_each_has_a_colour_of_its_own_and_nothing_else_is_seen(self, code):
        meaning = coding_of(replace(MESSAGE, code=177 if code == "HHC" else 165))
        got = palette(code, Meaning(1.0, 0.0, meaning.first_value, meaning.flags))
        assert np.flatnonzero(got[:, 3]).tolist() == sorted(CLASSES)
        assert [tuple(got[number, :3]) for number in CLASSES] == [one.rgb for one in CLASSES.values()]
        assert len({one.rgb for one in CLASSES.values()}) == len(CLASSES)


class TestTheFingerprint:
    @pytest.mark.parametrize(
        ("code", "change"),
        [
            ("DAA", {"rungs": (0.0, 1.0, 3.0)}),
            ("DOD", {"unseen": (-0.1, 0.1)}),
            ("EET", {"colours": "NWSRef"}),
            ("DVL", {"value_range": (0.0, 80.0)}),
            ("N0G", {"flag_colours": {}}),
            ("HHC", {"classes": {**CLASSES, 60: CodeClass("rain", (0, 0, 1))}}),
        ],
    )
    def test_other_colours_of_any_product_give_another(self, code, change):
        one = PRODUCTS[code]
        others = {**PRODUCTS, code: CodedProduct(code, replace(one.look, **change), one.offered)}
        now, then = Level3Recipe(600), Level3Recipe(600, others)
        assert now.fingerprint("etag", 5) != then.fingerprint("etag", 5)

    def test_the_table_as_it_is_gives_the_same(self):
        now, then = Level3Recipe(600), Level3Recipe(600, dict(PRODUCTS))
        assert now.fingerprint("etag", 5) == then.fingerprint("etag", 5)

    @pytest.mark.parametrize(
        ("etag", "size", "pixels"), [("new", 5, 600), ("etag", 6, 600), ("etag", 5, 700)]
    )
    def test_other_bytes_or_pixels_give_another(self, etag, size, pixels):
        assert Level3Recipe(pixels).fingerprint(etag, size) != Level3Recipe(600).fingerprint("etag", 5)
