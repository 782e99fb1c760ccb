"""Where pixels are: against pyproj, which solves the geodesic on WGS84 and the projection by itself."""

import numpy as np
import pytest
from pyproj import Geod, Transformer

from nexrad_assets.radar import beam
from nexrad_assets.radar.image.geometry import (
    AZIMUTH_BINS,
    RANGE_BINS,
    GeometryCache,
    azimuth_centres_deg,
    compute,
    ground_centres_m,
)
from nexrad_assets.radar.image.mercator import CANVAS_RANGES_KM, Canvas, box, canvas_range_km

WGS84 = Geod(ellps="WGS84")
TO_LON_LAT = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
TO_MERCATOR = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
ANTENNAS = {
    "PGUA": (13.4558, 144.8111),
    "TJUA": (18.1156, -66.0780),
    "KPDT": (45.6906, -118.8529),
    "PAPD": (65.0351, -147.5014),
}


@pytest.fixture(params=ANTENNAS)
def antenna(request):
    return ANTENNAS[request.param]


@pytest.mark.parametrize("range_km", CANVAS_RANGES_KM)
def test_the_box_holds_the_geodesic_circle_and_no_more(antenna, range_km):
    latitude, longitude = antenna
    square = box(Canvas(latitude, longitude, range_km, 2700))
    azimuths = np.arange(0.0, 360.0, 0.01)
    full = np.full_like(azimuths, 1.0)
    lon, lat, _ = WGS84.fwd(longitude * full, latitude * full, azimuths, range_km * 1000.0 * full)
    east, north = TO_MERCATOR.transform(lon, lat)
    assert east.min() >= square.west - 1
    assert east.max() <= square.east + 1
    assert north.min() >= square.south - 1
    assert north.max() <= square.north + 1
    tightest = max(np.ptp(east), np.ptp(north))
    assert square.side <= tightest * 1.00001


def test_corners_are_a_rectangle_that_projects_back_onto_the_box(antenna):
    square = box(Canvas(*antenna, 460, 2700))
    east, north = TO_MERCATOR.transform(*np.transpose(square.corners_lon_lat()))
    np.testing.assert_allclose(east, [square.west, square.east, square.east, square.west], atol=0.01)
    np.testing.assert_allclose(north, [square.north, square.north, square.south, square.south], atol=0.01)


@pytest.mark.parametrize("range_km", CANVAS_RANGES_KM)
def test_every_pixel_knows_its_azimuth_and_ground_range(antenna, range_km):
    latitude, longitude = antenna
    canvas = Canvas(latitude, longitude, range_km, 1024)
    geometry = compute(canvas)
    square = box(canvas)
    pixel = square.side / canvas.size
    y, x = np.nonzero(geometry.ground < RANGE_BINS)
    pick = np.random.default_rng(range_km).choice(len(x), 10_000)
    y, x = y[pick], x[pick]
    lon, lat = TO_LON_LAT.transform(
        square.west + (x + canvas.size // 2 + 0.5) * pixel, square.north - (y + 0.5) * pixel
    )
    home = np.full(len(x), 1.0)
    azimuth, _, ground = WGS84.inv(longitude * home, latitude * home, lon, lat)
    ground_error = ground_centres_m(canvas)[geometry.ground[y, x]] - ground
    across = np.radians((azimuth_centres_deg()[geometry.azimuth[y, x]] - azimuth + 180) % 360 - 180) * ground
    assert np.abs(ground_error).max() <= range_km * 1000 / RANGE_BINS / 2 + 2.5
    assert np.all(np.abs(across) <= np.radians(180.0 / AZIMUTH_BINS) * ground + 2.5)


def test_pixels_out_of_range_are_not_counted_and_those_within_are():
    canvas = Canvas(*ANTENNAS["KPDT"], 230, 512)
    geometry = compute(canvas)
    square = box(canvas)
    pixel = square.side / canvas.size
    y, x = np.mgrid[: canvas.size, : canvas.size // 2]
    lon, lat = TO_LON_LAT.transform(
        square.west + (x + canvas.size // 2 + 0.5) * pixel, square.north - (y + 0.5) * pixel
    )
    _, _, ground = WGS84.inv(np.full_like(lon, -118.8529), np.full_like(lat, 45.6906), lon, lat)
    drawn = geometry.ground < RANGE_BINS
    assert not drawn[ground > 230_003].any()
    assert drawn[ground < 229_997].all()


def test_a_canvas_across_the_antimeridian_is_not_torn():
    square = box(Canvas(52.0, 179.5, 460, 512))
    (west, _), (east, _), *_ = square.corners_lon_lat()
    assert west < 179.5 < east
    assert 10 < east - west < 20


def test_the_smallest_canvas_that_holds_the_sweep():
    assert canvas_range_km(59_999.0) == 60
    assert canvas_range_km(60_001.0) == 120
    assert canvas_range_km(459_700.0) == 460
    assert canvas_range_km(500_000.0) == 460


def test_an_odd_size_is_refused():
    with pytest.raises(ValueError, match="even number of pixels"):
        compute(Canvas(45.0, -100.0, 60, 501))


def test_the_beam_agrees_with_py_art():
    from pyart.core.transforms import antenna_to_cartesian

    slant_km = np.linspace(1.0, 460.0, 200)
    east, north, height = antenna_to_cartesian(
        slant_km, np.full_like(slant_km, 90.0), np.full_like(slant_km, 1.3)
    )
    np.testing.assert_allclose(beam.ground_range_m(slant_km * 1000, 1.3), np.hypot(east, north), rtol=1e-6)
    np.testing.assert_allclose(beam.height_m(slant_km * 1000, 1.3), height, rtol=1e-6, atol=0.01)


class TestTheCache:
    CANVAS = Canvas(45.6906, -118.8529, 60, 256)

    def test_a_kept_geometry_equals_a_computed_one(self, tmp_path):
        GeometryCache(tmp_path).get(self.CANVAS)
        kept = GeometryCache(tmp_path).get(self.CANVAS)
        assert isinstance(kept.azimuth, np.memmap)
        fresh = compute(self.CANVAS)
        for name in ("azimuth", "ground", "blocks"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(fresh, name))
        assert kept.box == fresh.box

    def test_a_torn_file_is_computed_anew(self, tmp_path):
        GeometryCache(tmp_path).get(self.CANVAS)
        (file,) = tmp_path.glob("*.geometry")
        file.write_bytes(file.read_bytes()[:1000])
        geometry = GeometryCache(tmp_path).get(self.CANVAS)
        np.testing.assert_array_equal(geometry.ground, compute(self.CANVAS).ground)

    def test_the_least_recently_used_goes_when_the_folder_grows_too_large(self, tmp_path):
        one = 24 + 2 * 256 * 128 * 2 + 4 * 16 * 2 * 2
        for site in range(5):
            GeometryCache(tmp_path, max_bytes=3 * one).get(Canvas(40.0 + site, -100.0, 60, 256))
        assert len(list(tmp_path.glob("*.geometry"))) == 3

    def test_a_folder_that_cannot_be_written_costs_no_picture(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        geometry = GeometryCache(tmp_path / "file" / "below").get(self.CANVAS)
        assert geometry.ground.min() < 500

    def test_no_temporary_file_stays(self, tmp_path):
        GeometryCache(tmp_path).get(self.CANVAS)
        assert [path.suffix for path in tmp_path.iterdir()] == [".geometry"]
