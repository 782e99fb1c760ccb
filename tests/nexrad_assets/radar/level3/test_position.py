"""Every pixel of a Level 3 image shows the gate that it lies in, by pyproj's geodesic on WGS84.

Where a gate lies is reckoned here from the ray's start azimuth and width as the product sends them, and from the
gate's number: the first gate begins at the antenna. What is drawn is told as in `test_render_position`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from nexrad_assets.levels.level3 import sweep_of
from nexrad_assets.radar.image.mercator import Canvas, canvas_range_km
from nexrad_assets.radar.level3.coding import Coding
from nexrad_assets.radar.level3.message import Message, read_message
from nexrad_assets.radar.level3.radial import RadialProduct, read_radial
from tests.nexrad_assets.radar.image.test_mercator import ANTENNAS
from tests.nexrad_assets.radar.image.test_render_position import PIXELS, SIZE, drawn_gates, seen_from
from tests.samples import SAMPLES, needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
BEAM_EARTH_M = 4.0 / 3.0 * 6_371_000.0
BINS_M = 30.0
"""Half a bin of azimuth at 460 km is 22 m, half a bin of range 3.5 m, and the geodesic is right within 2.5 m."""

MESSAGE = Message(
    file_name="hand-made",
    awips="",
    code=0,
    latitude_deg=0.0,
    longitude_deg=0.0,
    height_m=0.0,
    mode=2,
    vcp=212,
    volume_time=datetime(2025, 4, 9, 12, 34, 56, tzinfo=UTC),
    product_time=datetime(2025, 4, 9, 12, 36, tzinfo=UTC),
    elevation_number=1,
    halfwords={},
    thresholds=b"",
    packets=(),
    pages=(),
    tables=(),
)


@dataclass(frozen=True)
class Layout:
    """Rays and gates of a product: the first ray's start and the rays' width, in tenths of a degree."""

    first: int
    width: int
    gates: int
    spacing_m: float
    elevation_deg: float | None

    def product(self):
        starts = (self.first + np.arange(3600 // self.width) * self.width) % 3600
        return product(starts, np.full(len(starts), self.width), self)


LAYOUTS = {
    "N0B": Layout(3020, 5, 1840, 250.0, 0.5),
    "N0G": Layout(2089, 5, 1200, 250.0, 0.5),
    "N0S": Layout(265, 10, 230, 1000.0, 0.5),
    "N2H": Layout(59, 10, 1200, 250.0, 2.4),
    "N3H": Layout(160, 10, 1088, 250.0, 3.4),
    "HHC": Layout(0, 10, 920, 250.0, None),
    "EET": Layout(0, 10, 346, 1000.0, None),
    "DVL": Layout(0, 10, 460, 1000.0, None),
}


def product(starts, widths, layout):
    """A product of rays that begin at `starts` and are `widths` wide, in tenths of a degree."""
    return RadialProduct(
        message=MESSAGE,
        codes=np.ones((len(starts), layout.gates), np.uint8),
        start_deg=np.asarray(starts, np.float32) / np.float32(10.0),
        width_deg=np.asarray(widths, np.float32) / np.float32(10.0),
        gate_spacing_m=layout.spacing_m,
        first_edge_m=0.0,
        elevation_deg=layout.elevation_deg,
        coding=Coding(2, 255, {}, 2.0, 66.0),
        is_null=False,
    )


def ground_edges_m(of):
    """Where gates begin over the ground, and where the last one ends: float64 (gates + 1)."""
    along = np.arange(of.codes.shape[1] + 1) * of.gate_spacing_m
    if of.elevation_deg is None:
        return along
    rise = np.radians(of.elevation_deg)
    away = np.sqrt(along**2 + BEAM_EARTH_M**2 + 2.0 * along * BEAM_EARTH_M * np.sin(rise))
    return BEAM_EARTH_M * np.arcsin(along * np.cos(rise) / away)


def sectors_deg(of):
    """Where each ray's part of the circle begins and ends: rays sent later cover earlier ones.

    Edges are sent in tenths of a degree, so a circle of 3600 parts is painted ray by ray.
    """
    starts, widths = (
        np.rint(edge.astype(np.float64) * 10).astype(int) for edge in (of.start_deg, of.width_deg)
    )
    owner = np.full(3600, -1)
    for ray, (start, width) in enumerate(zip(starts, widths, strict=True)):
        owner[np.arange(start, start + width) % 3600] = ray
    low, high = np.empty(len(starts)), np.empty(len(starts))
    for ray, (start, width) in enumerate(zip(starts, widths, strict=True)):
        own = [tenth for tenth in range(start, start + width) if owner[tenth % 3600] == ray]
        low[ray], high[ray] = own[0] / 10, (own[-1] + 1) / 10
    return low, high


def metres_off(of, rows, gates, azimuth, ground):
    """How far points lie outside the gates drawn there, in metres over the ground; 0 inside."""
    edges = ground_edges_m(of)
    along = np.maximum(0.0, np.maximum(edges[gates] - ground, ground - edges[gates + 1]))
    low, high = sectors_deg(of)
    middle, half = (low + high)[rows] / 2, (high - low)[rows] / 2
    beside = np.abs((azimuth - middle + 180.0) % 360.0 - 180.0) - half
    return np.hypot(along, np.maximum(0.0, np.radians(beside)) * ground)


class Drawn:
    """A product drawn around an antenna, and random pixels of its picture as pyproj sees them."""

    def __init__(self, of, antenna, sweep=None):
        self.reach = ground_edges_m(of)[-1]
        canvas = Canvas(*antenna, canvas_range_km(self.reach), SIZE)
        y, x = np.random.default_rng(3).integers(0, SIZE, (2, PIXELS))
        self.rows, self.gates = drawn_gates(sweep or sweep_of(of, "REF"), canvas, (y, x))
        azimuth, self.ground, self.pixel = seen_from(antenna, canvas, y, x)
        self.is_shown = self.gates >= 0
        shown = self.is_shown
        self.off = metres_off(of, self.rows[shown], self.gates[shown], azimuth[shown], self.ground[shown])

    def is_right(self):
        """Whether the pixels show their own gates, and those that show nothing lie beyond all gates."""
        hidden = ~self.is_shown
        within_pixel = np.all(self.off <= self.pixel[self.is_shown])
        empty_beyond = np.all(self.ground[hidden] >= self.reach - self.pixel[hidden])
        return bool(
            within_pixel and empty_beyond and self.off.max() <= BINS_M and (self.off == 0).mean() > 0.93
        )


@pytest.mark.parametrize("site", ANTENNAS)
@pytest.mark.parametrize("code", LAYOUTS)
def test_the_gate_drawn_holds_the_point_or_is_a_pixel_from_it(site, code):
    drawn = Drawn(LAYOUTS[code].product(), ANTENNAS[site])
    assert drawn.is_shown.sum() > PIXELS / 4
    assert np.all(drawn.off <= drawn.pixel[drawn.is_shown])
    assert drawn.off.max() <= BINS_M
    assert (drawn.off == 0.0).mean() > 0.93
    hidden = ~drawn.is_shown
    assert np.all(drawn.ground[hidden] >= drawn.reach - drawn.pixel[hidden])


@pytest.mark.parametrize("code", ["N0B", "HHC", "EET"])
def test_the_pixels_around_the_antenna_show_the_first_gate(code):
    of, antenna = LAYOUTS[code].product(), ANTENNAS["KPDT"]
    canvas = Canvas(*antenna, canvas_range_km(ground_edges_m(of)[-1]), SIZE)
    _, gates = drawn_gates(sweep_of(of, "REF"), canvas)
    y, x = (
        axis.ravel() for axis in np.mgrid[SIZE // 2 - 100 : SIZE // 2 + 100, SIZE // 2 - 2 : SIZE // 2 + 2]
    )
    _, ground, _ = seen_from(antenna, canvas, y, x)
    is_first = ground < of.gate_spacing_m - BINS_M
    assert is_first.sum() >= 2
    assert not gates[y, x][is_first].any()


@pytest.mark.parametrize("site", ["PGUA", "PAPD"])
def test_where_the_last_ray_covers_half_of_a_first_one_of_two_degrees_the_last_is_seen(site):
    """As in the 2 km products of accumulation, 359 degrees first."""
    starts, widths = np.array([3590, *range(10, 3600, 10)]), np.array([20, *[10] * 359])
    of = product(starts, widths, Layout(0, 10, 115, 2000.0, None))
    low, high = sectors_deg(of)
    assert (low[0], high[0], low[-1], high[-1]) == (360.0, 361.0, 359.0, 360.0)
    drawn = Drawn(of, ANTENNAS[site])
    assert drawn.is_right()
    assert set(np.unique(drawn.rows)) == set(range(-1, 360))


def test_rays_of_uneven_width_are_drawn_between_their_own_edges():
    """Starts are rounded to a tenth of a degree: rays of half a degree come 0.4, 0.5 and 0.6 wide."""
    starts = np.rint(3020.4 + np.arange(720) * 5 + np.random.default_rng(0).uniform(-0.9, 0.9, 720)).astype(
        int
    )
    widths = np.diff(starts, append=starts[0] + 3600)
    assert set(widths) >= {4, 5, 6}
    assert Drawn(product(starts % 3600, widths, LAYOUTS["N0B"]), ANTENNAS["PAPD"]).is_right()


@needs_samples
@pytest.mark.parametrize(
    "name",
    [
        "AMX_N0B_2026_07_06_15_45_17",
        "AMX_N0G_2026_07_10_05_03_18",
        "BMX_N1H_2015_01_02_02_05_00",
        "BMX_OHA_2015_01_02_02_05_00",
        "LOT_N0S_2021_01_31_11_06_30",
    ],
)
def test_real_rays_and_gates_are_drawn_where_the_file_says(name):
    of = read_radial(read_message((LEVEL3 / name).read_bytes(), name))
    of = replace(of, codes=np.ones(of.codes.shape, np.uint8))
    assert Drawn(of, (of.message.latitude_deg, of.message.longitude_deg)).is_right()


@pytest.mark.parametrize("code", ["N0B", "HHC"])
@pytest.mark.parametrize(
    "fault", ["centre azimuths", "half a gate near", "half a gate far", "slant for ground"]
)
def test_the_measure_tells_the_usual_faults(code, fault):
    """Those of readers that take start azimuths for centres, a gate's centre for its edge, ranges for distances."""
    of = LAYOUTS[code].product()
    right = sweep_of(of, "REF")
    moment = right.moments["REF"]
    half = of.gate_spacing_m / 2.0
    wrong = {
        "centre azimuths": lambda: sweep_of(replace(of, start_deg=of.start_deg - of.width_deg / 2), "REF"),
        "half a gate near": lambda: with_first_gate(right, moment.first_gate_m - half),
        "half a gate far": lambda: with_first_gate(right, moment.first_gate_m + half),
        "slant for ground": lambda: replace(right, along_ground=not right.along_ground),
    }[fault]()
    assert Drawn(of, ANTENNAS["KPDT"]).is_right()
    assert not Drawn(of, ANTENNAS["KPDT"], sweep=wrong).is_right()


def with_first_gate(sweep, first_gate_m):
    moment = replace(sweep.moments["REF"], first_gate_m=first_gate_m)
    return replace(sweep, moments={"REF": moment})
