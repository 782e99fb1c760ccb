"""Every pixel shows the gate that it lies in: pyproj's geodesic on WGS84 against what is drawn.

The gates carry their own number: four pictures of one sweep hold the low and high bytes of ray and gate, so
each pixel tells which gate was drawn there.
"""

import numpy as np
import pytest
from pyproj import Geod, Transformer

from nexrad_assets.radar import beam
from nexrad_assets.radar.image import render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.mercator import Canvas, box, canvas_range_km
from tests.nexrad_assets.radar.image.test_mercator import ANTENNAS
from tests.nexrad_assets.radars import sweep

WGS84 = Geod(ellps="WGS84")
TO_LON_LAT = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
SIZE = 2700
PIXELS = 10_000
CACHE = GeometryCache()

# Elevation, rays, gates: the cuts of a real precipitation volume, canvases from 460 down to 60 km.
CUTS = [
    (0.48, 720, 1832),
    (1.8, 360, 1540),
    (3.4, 360, 1076),
    (6.0, 360, 696),
    (10.0, 360, 448),
    (19.5, 360, 232),
]
EVERY_CUT = [(0.88, 720, 1832), (1.3, 720, 1712), (2.4, 360, 1312), (4.3, 360, 908), (8.0, 360, 552), (12.5, 360, 356),
             (15.6, 360, 290), *CUTS]  # fmt: skip


def drawn_gates(one, canvas, pixels=...):
    """The ray row and gate drawn in each of the pixels, -1 where none: int32 of the shape of the choice, each."""
    rays, gates = one.moments["REF"].codes.shape
    row, gate = np.mgrid[:rays, :gates]
    parts = []
    for number in (row % 255 + 1, row // 255 + 1, gate % 255 + 1, gate // 255 + 1):
        picture = np.zeros((canvas.size, canvas.size), np.uint8)
        render.draw(one, one.moments["REF"], number.astype(np.uint8), CACHE.get(canvas), picture)
        parts.append(picture[pixels].astype(np.int32) - 1)
    low_row, high_row, low_gate, high_gate = parts
    nothing = low_row < 0
    return np.where(nothing, -1, high_row * 255 + low_row), np.where(nothing, -1, high_gate * 255 + low_gate)


def seen_from(antenna, canvas, y, x):
    """Azimuth, ground range and the pixel's size on the ground, by pyproj alone."""
    latitude, longitude = antenna
    square = box(canvas)
    pixel = square.side / canvas.size
    lon, lat = TO_LON_LAT.transform(square.west + (x + 0.5) * pixel, square.north - (y + 0.5) * pixel)
    home = np.ones(len(x))
    azimuth, _, ground = WGS84.inv(longitude * home, latitude * home, lon, lat)
    return azimuth % 360.0, ground, pixel * np.cos(np.radians(lat))


def ray_edges(azimuths):
    """Where each ray begins and ends: the middle to its neighbours, by ray row."""
    order = np.argsort(azimuths)
    turned = azimuths[order].astype(np.float64)
    before = np.roll(turned, 1)
    before[0] -= 360.0
    after = np.roll(turned, -1)
    after[-1] += 360.0
    low, high = np.empty(len(turned)), np.empty(len(turned))
    low[order], high[order] = (before + turned) / 2, (turned + after) / 2
    return low, high


def metres_off(one, rows, gates, azimuth, ground):
    """How far a point lies outside the gate drawn there, in metres over the ground; 0 inside."""
    moment = one.moments["REF"]
    edge = moment.first_gate_m + (gates - 0.5) * moment.gate_spacing_m
    near = beam.ground_range_m(edge, one.measured_deg)
    far = beam.ground_range_m(edge + moment.gate_spacing_m, one.measured_deg)
    along = np.maximum(0.0, np.maximum(near - ground, ground - far))
    low, high = ray_edges(one.azimuth_deg)
    middle = (low[rows] + high[rows]) / 2
    beside = np.abs((azimuth - middle + 180.0) % 360.0 - 180.0) - (high[rows] - low[rows]) / 2
    return np.hypot(along, np.maximum(0.0, np.radians(beside)) * ground)


@pytest.mark.parametrize("site", ANTENNAS)
@pytest.mark.parametrize(("elevation", "rays", "gates"), EVERY_CUT)
def test_the_gate_drawn_holds_the_point_or_is_a_pixel_from_it(site, elevation, rays, gates):
    antenna = ANTENNAS[site]
    one = sweep(np.ones((rays, gates), np.uint8), elevation=elevation, jitter=0.1)
    reach = float(beam.ground_range_m(one.moments["REF"].last_edge_m, one.measured_deg))
    canvas = Canvas(*antenna, canvas_range_km(reach), SIZE)
    pick = np.random.default_rng(1)
    y, x = pick.integers(0, SIZE, PIXELS), pick.integers(0, SIZE, PIXELS)
    rows, drawn = drawn_gates(one, canvas, (y, x))
    azimuth, ground, pixel = seen_from(antenna, canvas, y, x)
    shown = drawn >= 0
    off = metres_off(one, rows[shown], drawn[shown], azimuth[shown], ground[shown])
    assert shown.sum() > PIXELS / 4
    assert np.all(off <= pixel[shown])
    # What shows nothing lies outside of every gate, give or take a pixel.
    first = float(beam.ground_range_m(one.moments["REF"].first_gate_m - 125.0, elevation))
    hidden = ~shown
    assert np.all((ground[hidden] <= first + pixel[hidden]) | (ground[hidden] >= reach - pixel[hidden]))


def test_most_pixels_lie_in_exactly_the_gate_drawn():
    antenna = ANTENNAS["PAPD"]
    one = sweep(np.ones((720, 1832), np.uint8), elevation=0.48, jitter=0.1)
    canvas = Canvas(*antenna, 460, SIZE)
    pick = np.random.default_rng(2)
    y, x = pick.integers(0, SIZE, PIXELS), pick.integers(0, SIZE, PIXELS)
    rows, drawn = drawn_gates(one, canvas, (y, x))
    azimuth, ground, _ = seen_from(antenna, canvas, y, x)
    shown = drawn >= 0
    off = metres_off(one, rows[shown], drawn[shown], azimuth[shown], ground[shown])
    assert np.mean(off == 0.0) > 0.93
    assert off.max() < 30.0


def test_a_missing_ray_stays_empty():
    whole = sweep(np.full((360, 400), 100, np.uint8))
    without = sweep(np.full((360, 400), 100, np.uint8))
    keep = np.ones(360, bool)
    keep[40:45] = False
    gap = (whole.azimuth_deg[40:45].min(), whole.azimuth_deg[40:45].max())
    moment = without.moments["REF"]
    cut = type(without)(
        number=1,
        azimuth_deg=without.azimuth_deg[keep],
        elevation_deg=without.elevation_deg[keep],
        time_s=without.time_s[keep],
        spacing_deg=1.0,
        commanded_deg=None,
        nyquist_mps=None,
        moments={"REF": type(moment)("REF", moment.codes[keep], 2.0, 66.0, 2125.0, 250.0)},
    )
    canvas = Canvas(*ANTENNAS["KPDT"], 120, 1000)
    picture = np.zeros((1000, 1000), np.uint8)
    render.draw(cut, cut.moments["REF"], cut.moments["REF"].codes, CACHE.get(canvas), picture)
    y, x = np.mgrid[:1000, :1000]
    azimuth, ground, _ = seen_from(ANTENNAS["KPDT"], canvas, y.ravel(), x.ravel())
    inside = (ground > 10_000) & (ground < 95_000)
    in_gap = inside & (azimuth > gap[0] - 0.1) & (azimuth < gap[1] + 0.1)
    beside = inside & ((azimuth < gap[0] - 0.8) | (azimuth > gap[1] + 0.8))
    assert (picture.ravel()[in_gap] == 0).all()
    assert (picture.ravel()[beside] == 100).all()


@pytest.mark.parametrize("elevation", [0.48, 19.5])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_left_out_are_really_empty(elevation, seed):
    """Sparse echoes are drawn as if every pixel had been looked up."""
    rng = np.random.default_rng(seed)
    codes = np.zeros((720, 1832 if elevation < 1 else 232), np.uint8)
    for _ in range(40):
        ray, gate = rng.integers(0, 720), rng.integers(0, codes.shape[1])
        codes[ray : ray + rng.integers(1, 9), gate : gate + rng.integers(1, 9)] = rng.integers(1, 256)
    one = sweep(codes, elevation=elevation, jitter=0.1, seed=seed)
    full = sweep(codes, elevation=elevation, jitter=0.1, seed=seed)
    reach = float(beam.ground_range_m(one.moments["REF"].last_edge_m, one.measured_deg))
    canvas = Canvas(*ANTENNAS["KPDT"], canvas_range_km(reach), 1500)
    rows, gates = drawn_gates(full, canvas)
    picture = np.zeros((1500, 1500), np.uint8)
    render.draw(one, one.moments["REF"], codes, CACHE.get(canvas), picture)
    np.testing.assert_array_equal(picture, np.where(rows >= 0, codes[rows, gates], 0))
    assert picture.any()
