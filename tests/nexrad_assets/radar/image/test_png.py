"""The index plane comes back from a PNG by Pillow, and by an inflate and unfilter of our own, row by row."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nexrad_assets.levels.level2 import Level2Recipe
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.radar.image import png, render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import REFLECTIVITY
from tests.samples import LEVEL2, LEVEL3, needs_samples

PALETTE = np.random.default_rng(1).integers(0, 256, (256, 4)).astype(np.uint8)
RANDOM = np.random.default_rng(2)
QUIET = np.where(RANDOM.random((300, 300)) < 0.05, RANDOM.integers(0, 256, (300, 300)), 0)
WRAPPING = np.array([[255], [0], [1], [255], [254], [128], [127], [0]]).repeat(9, axis=1)


def encoded(plane):
    rows = np.zeros((plane.shape[0], plane.shape[1] + 1), np.uint8)
    rows[:, 1:] = plane
    return png.encode(rows, PALETTE)


def filtered(image):
    """The inflated rows of a PNG, filter types in column 0."""
    at, body, header = 8, b"", b""
    while at < len(image):
        length, kind = struct.unpack_from(">I4s", image, at)
        held = image[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", image, at + 8 + length) == (zlib.crc32(kind + held),)
        body += held if kind == b"IDAT" else b""
        header = held if kind == b"IHDR" else header
        at += 12 + length
    width, height = struct.unpack_from(">II", header)
    return np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, width + 1)


def filter_of(image):
    (one,) = set(filtered(image)[:, 0].tolist())
    return one


def read_by_hand(image):
    plane, above = [], [0] * (filtered(image).shape[1] - 1)
    for kind, *row in filtered(image).tolist():
        above = [(one + up) % 256 for one, up in zip(row, above, strict=True)] if kind == 2 else row
        assert kind in (0, 2)
        plane.append(above)
    return np.array(plane, np.uint8)


def read_by_pillow(image):
    return np.asarray(Image.open(io.BytesIO(image)))


def assert_holds(image, plane):
    np.testing.assert_array_equal(read_by_pillow(image), plane)
    np.testing.assert_array_equal(read_by_hand(image), plane)


@pytest.mark.parametrize(
    ("plane", "kind"),
    [
        pytest.param(np.zeros((300, 300)), 0, id="empty"),
        pytest.param(np.zeros((1, 1)), 0, id="an empty pixel"),
        pytest.param(QUIET, 0, id="quiet"),
        pytest.param(np.full((1, 7), 9), 2, id="a full row"),
        pytest.param(np.full((300, 300), 255), 2, id="full"),
        pytest.param(RANDOM.integers(0, 256, (300, 300)), 2, id="noise"),
        pytest.param(WRAPPING, 2, id="differences that wrap"),
        *(
            pytest.param(RANDOM.integers(0, 256, (height, 9)), 2, id=f"{height} rows")
            for height in (2, 63, 64, 65, 66, 128, 129, 130)
        ),
    ],
)
def test_indices_come_back_and_full_pictures_alone_are_told_by_differences(plane, kind):
    image = encoded(plane)
    assert_holds(image, plane)
    assert filter_of(image) == kind


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 200),
    width=st.integers(1, 30),
    filled=st.floats(0, 1),
    steps=st.integers(1, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_plane_comes_back(height, width, filled, steps, seed):
    random = np.random.default_rng(seed)
    plane = random.integers(256 - steps, 256, (height, width)) * (random.random((height, width)) < filled)
    assert_holds(encoded(plane), plane)


def test_differences_begin_where_more_than_a_twelfth_of_every_sixteenth_row_is_filled():
    plane = np.zeros((32, 120))
    plane[np.arange(32) % 16 != 0] = 7  # rows that are not looked at
    plane[[0, 16], :10] = 7
    assert filter_of(encoded(plane)) == 0  # 20 of 242, the bytes for filter types counted
    plane[0, 10] = 7
    assert filter_of(encoded(plane)) == 2
    assert_holds(encoded(plane), plane)


@pytest.mark.parametrize("plane", [QUIET, np.full((300, 300), 3)], ids=["quiet", "full"])
def test_the_rows_given_stay_as_they_are_and_give_the_same_bytes_again(plane):
    rows = png.blank_rows(300)
    rows[:, 1:] = plane
    before = rows.copy()
    first = png.encode(rows, PALETTE)
    np.testing.assert_array_equal(rows, before)
    assert png.encode(rows, PALETTE) == first


@needs_samples
@pytest.mark.parametrize(
    ("recipe", "file", "kind"),
    [
        (Level3Recipe(600), LEVEL3 / "LOT_N0H_2021_04_28_21_11_56", 2),
        (Level3Recipe(600), LEVEL3 / "LOT_DAA_2021_02_28_12_14_47", 2),
        (Level3Recipe(600), LEVEL3 / "LOT_DAA_2021_05_08_03_40_29", 0),
        (Level2Recipe((REFLECTIVITY,), 600), LEVEL2 / "2014/01/01/KTLX/KTLX20140101_000624_V06.gz", 0),
    ],
    ids=["hydrometeor classes", "rain", "no rain", "clear air"],
)
def test_what_is_drawn_of_real_files_comes_back(monkeypatch, recipe, file, kind):
    drawn = []
    encode = png.encode
    monkeypatch.setattr(
        png, "encode", lambda rows, palette: drawn.append(rows[:, 1:].copy()) or encode(rows, palette)
    )
    job = recipe.read(file.read_bytes(), file.name).jobs[0]
    image = render.render(job, recipe.size, GeometryCache()).png
    assert_holds(image, drawn[0])
    assert filter_of(image) == kind
