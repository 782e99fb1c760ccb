"""Simple packing: numbers of a scale, and the scale that holds given values."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.simple import Scale, fitted_scale, numbers, own_scale, packed_sections

finite = st.floats(width=32, min_value=-(2.0**100), max_value=2.0**100, allow_subnormal=False)
scales = st.builds(Scale, st.floats(-1e6, 1e6, width=32), st.integers(-30, 20), st.integers(-3, 5))


def decoded(coded: np.ndarray, scale: Scale) -> np.ndarray:
    """Regulation 92.9.4."""
    return (scale.reference + coded.astype(np.float64) * 2.0**scale.binary) / 10.0**scale.decimal


@given(arrays.arrays(np.float32, st.integers(1, 50), elements=finite))
def test_a_fitted_scale_holds_every_value_within_half_a_step_of_16_bits(values):
    scale = fitted_scale(values, "x")
    span = float(values.max()) - float(values.min())
    step = 2.0**scale.binary if span else 0.0
    np.testing.assert_allclose(decoded(numbers(values, scale), scale), values, rtol=1e-12, atol=step * 0.5001)
    assert step <= 2 * span / 65535


@given(
    scales,
    arrays.arrays(np.uint16, st.integers(1, 50)),
)
def test_numbers_of_a_scale_come_back_where_double_precision_tells_them_apart(scale, coded):
    values = decoded(coded, scale)
    if np.spacing(np.abs(values).max() * 10.0**scale.decimal) < 2.0**scale.binary / 8:
        np.testing.assert_array_equal(numbers(values, scale), coded)


@given(scales, arrays.arrays(np.uint16, st.integers(0, 50)))
def test_the_written_scale_is_read_again(scale, coded):
    representation, values = packed_sections(coded, scale)
    assert own_scale(representation, 0) == scale
    bits = 16 if coded.any() else 0
    assert struct.unpack_from(">IBIH", representation) == (21, 5, coded.size, 0)
    assert (representation[19], representation[20]) == (bits, 0)
    assert values == struct.pack(">IB", 5 + len(coded) * bits // 8, 7) + (
        coded.astype(">u2").tobytes() if bits else b""
    )


def test_values_beyond_a_scale_become_its_ends():
    assert numbers(np.array([-5.0, 1e9]), Scale(0.0, 0, 0)).tolist() == [0, 65535]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_have_no_scale(bad):
    with pytest.raises(FormatError, match=r"^x\.grib2: values from"):
        fitted_scale(np.array([1.0, bad], np.float32), "x.grib2")


def test_no_values_have_some_scale():
    assert fitted_scale(np.array([], np.float32), "x") == Scale(0.0, 0, 0)


@pytest.mark.parametrize(
    ("template", "kept"), [(0, True), (42, True), (41, True), (40, True), (3, False), (4, False)]
)
def test_only_templates_that_hold_the_same_numbers_keep_their_scale(template, kept):
    representation, _ = packed_sections(np.array([1], np.uint16), Scale(1.5, -3, 1))
    assert (own_scale(representation, template) is not None) == kept


@pytest.mark.parametrize(
    ("offset", "value"), [(19, b"\x11"), (15, b"\x81\x01"), (17, b"\x00\x41"), (11, b"\x7f\x80\x00\x00")]
)
def test_finer_or_absurd_scales_are_not_kept(offset, value):
    section, _ = packed_sections(np.array([1], np.uint16), Scale(1.5, -3, 1))
    assert own_scale(section, 0) is not None
    assert own_scale(section[:offset] + value + section[offset + len(value) :], 0) is None
    assert own_scale(section[:15], 0) is None
