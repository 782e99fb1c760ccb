"""What an image holds: indices, colours, transparency, size, times; and which sweeps become images."""

import io

import numpy as np
import pytest
from PIL import Image

from nexrad_assets.radar.image import colours, png, render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import REFLECTIVITY
from nexrad_assets.radar.tilts import tilts
from tests.nexrad_assets.radars import START, moment, sweep, volume

CACHE = GeometryCache()
SPLIT = ("REF", "ZDR", "PHI", "RHO"), ("REF", "VEL", "SW")
BATCH = ("REF", "VEL", "SW", "ZDR", "PHI", "RHO")


def pictures(vol, size=600):
    return [render.render(job, size, CACHE) for job in render.jobs(vol, REFLECTIVITY)]


def opened(picture):
    return Image.open(io.BytesIO(picture.png))


@pytest.fixture
def codes():
    return np.random.default_rng(5).integers(0, 256, (360, 400)).astype(np.uint8)


class TestAnImage:
    def test_its_indices_are_the_gate_codes(self, codes):
        (picture,) = pictures(volume(sweep(codes)))
        image = opened(picture)
        assert image.mode == "P"
        assert image.size == (600, 600)
        assert set(np.unique(np.asarray(image))) <= set(range(256))
        assert len(np.unique(np.asarray(image))) > 250

    def test_it_is_transparent_exactly_where_the_radar_reports_nothing(self, codes):
        (picture,) = pictures(volume(sweep(codes)))
        image = opened(picture)
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        np.testing.assert_array_equal(alpha == 0, np.asarray(image) < 2)
        assert set(np.unique(alpha)) == {0, 255}

    def test_an_index_is_a_value_by_scale_and_offset(self, codes):
        (picture,) = pictures(volume(sweep(codes)))
        assert 106 * picture.meaning.step + picture.meaning.base == (106 - 66.0) / 2.0

    def test_colours_are_those_of_matplotlib_over_the_range(self, codes):
        import cmweather  # noqa: F401
        import matplotlib as mpl

        (picture,) = pictures(volume(sweep(codes)))
        palette = np.asarray(opened(picture).getpalette()).reshape(256, 3)
        for index in (2, 26, 27, 100, 106, 185, 186, 187, 255):
            value = index * picture.meaning.step + picture.meaning.base
            place = min(max((value + 20.0) / 80.0, 0.0), 0.999999)
            expected = np.asarray(mpl.colormaps["NWSRef"](place))[:3] * 255
            np.testing.assert_allclose(palette[index], expected, atol=1.0, err_msg=f"index {index}")

    def test_below_the_range_takes_the_lowest_colour(self, codes):
        (picture,) = pictures(volume(sweep(codes)))
        palette = np.asarray(opened(picture).getpalette()).reshape(256, 3)
        assert (palette[2] == palette[26]).all()

    def test_the_same_sweep_gives_the_same_bytes(self, codes):
        first, second = pictures(volume(sweep(codes))), pictures(volume(sweep(codes)))
        assert first[0].sha256 == second[0].sha256

    def test_an_empty_sweep_gives_an_empty_image(self):
        (picture,) = pictures(volume(sweep(np.zeros((360, 400), np.uint8))))
        assert not np.asarray(opened(picture)).any()
        assert len(picture.png) < 4000

    def test_its_times_and_range_are_the_sweeps(self, codes):
        (picture,) = pictures(volume(sweep(codes)))
        assert (picture.start - START).total_seconds() == pytest.approx(20.0, abs=0.01)
        assert (picture.end - START).total_seconds() == pytest.approx(38.0, abs=0.01)
        assert picture.canvas.range_km == 120
        assert picture.range_km == pytest.approx(101.9, abs=0.2)


class TestWiderCodes:
    def test_sixteen_bits_are_laid_over_the_range(self):
        codes = np.array([[0, 1, 2, 26, 66, 106, 186, 1000]], np.uint16)
        index, meaning = render.index_codes(moment(codes), REFLECTIVITY)
        assert index.dtype == np.uint8
        assert index[0, :2].tolist() == [0, 1]
        values = index[0, 2:] * meaning.step + meaning.base
        np.testing.assert_allclose(values, [-20, -20, 0, 20, 60, 60], atol=meaning.step / 2 + 1e-9)
        assert index[0, 2:].min() == 2


class TestTilts:
    def test_a_split_cut_is_one_tilt_shown_by_its_surveillance_sweep(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(sweep(codes, number=1, names=SPLIT[0]), sweep(codes, number=2, names=SPLIT[1]))
        (tilt,) = tilts(vol, "REF")
        assert [one.number for one in tilt.sweeps] == [1]
        (tilt,) = tilts(vol, "VEL")
        assert [one.number for one in tilt.sweeps] == [2]

    def test_a_repeat_within_the_volume_is_a_further_time_of_its_tilt(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(
            sweep(codes, number=1, names=SPLIT[0], commanded=0.5),
            sweep(codes, number=2, names=SPLIT[1], commanded=0.5),
            sweep(codes, number=3, names=BATCH, commanded=1.8, elevation=1.8),
            sweep(codes, number=4, names=SPLIT[0], commanded=0.5, elevation=0.55),
            sweep(codes, number=5, names=SPLIT[1], commanded=0.5),
            sweep(codes, number=6, names=BATCH, commanded=2.4, elevation=2.4),
        )
        found = tilts(vol, "REF")
        assert [(tilt.angle_deg, [one.number for one in tilt.sweeps]) for tilt in found] == [
            (0.5, [1, 4]),
            (1.8, [3]),
            (2.4, [6]),
        ]

    def test_a_doppler_sweep_without_its_partner_stands_for_itself(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(sweep(codes, number=2, names=SPLIT[1]), sweep(codes, number=4, names=SPLIT[0]))
        (tilt,) = tilts(vol, "REF")
        assert [one.number for one in tilt.sweeps] == [2, 4]

    def test_the_lowest_angle_comes_first_also_below_the_horizon(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(sweep(codes, number=1, elevation=0.5), sweep(codes, number=2, elevation=359.8))
        assert [tilt.angle_deg for tilt in tilts(vol, "REF")] == [-0.2, 0.5]

    def test_close_angles_are_one_tilt_and_the_next_is_not(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(*(sweep(codes, number=n, elevation=e) for n, e in ((1, 0.5), (2, 0.62), (3, 0.9))))
        assert [len(tilt.sweeps) for tilt in tilts(vol, "REF")] == [2, 1]

    def test_indices_and_repeats_count_from_zero(self):
        codes = np.ones((360, 40), np.uint8)
        vol = volume(*(sweep(codes, number=n, elevation=e) for n, e in ((1, 0.5), (2, 1.5), (3, 0.5))))
        assert [(job.index, job.repeat) for job in render.jobs(vol, REFLECTIVITY)] == [(0, 0), (0, 1), (1, 0)]


def test_an_unknown_colour_table_is_named():
    with pytest.raises(ValueError, match="no colour table 'Nothing'"):
        colours.table("Nothing")


def test_a_png_of_one_pixel_is_read_by_others():
    rows = png.blank_rows(1)
    rows[0, 1] = 7
    palette = np.zeros((256, 4), np.uint8)
    palette[7] = (1, 2, 3, 255)
    image = Image.open(io.BytesIO(png.encode(rows, palette))).convert("RGBA")
    assert image.getpixel((0, 0)) == (1, 2, 3, 255)
