"""Rendering: a sweep's gate codes, looked up for every pixel of a canvas, as a palette PNG.

Backwards: each pixel has an azimuth and a ground range (`geometry`); a table of the sweep says which ray
looks that way, another which gate lies that far, and the pixel takes that gate's code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar import beam, colours, png, tilts
from nexrad_assets.radar.geometry import (
    RANGE_BINS,
    Geometry,
    GeometryCache,
    azimuth_centres_deg,
    ground_centres_m,
)
from nexrad_assets.radar.mercator import Canvas, LonLat, canvas_range_km
from nexrad_assets.radar.products import Product
from nexrad_assets.radar.volume import Moment, Sweep, Volume

RENDER_VERSION = 1
"""Grows when the same input gives other indices or colours, so that stored images are made again."""

FIRST_VALUE = 2
"""Index and gate code from which on a number is a value."""

WIDEST_RAY = 1.5
"""A ray reaches to the middle between it and its neighbour, but no further than this many half spacings."""

ROWS_AT_ONCE = 16
"""Rows of pixels looked up together: few enough that the indices of a strip stay in the cache."""


@dataclass(frozen=True, slots=True)
class Job:
    """One image to make: a sweep of a volume as one of the times of a tilt. Indices count from 0."""

    volume: Volume
    product: Product
    sweep: Sweep
    index: int
    repeat: int
    angle_deg: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered sweep: the PNG, and what a map and a reader of it must know.

    `corners` are `(longitude, latitude)` north-west, north-east, south-east, south-west; a palette index from
    `FIRST_VALUE` up stands for `index * scale + offset`.
    """

    job: Job
    png: bytes
    sha256: str
    corners: tuple[LonLat, LonLat, LonLat, LonLat]
    canvas: Canvas
    range_km: float
    start: datetime
    end: datetime
    scale: float
    offset: float


def jobs(volume: Volume, product: Product) -> Iterator[Job]:
    """The images that a volume gives of a product: every tilt from the lowest up, repeats in order of time."""
    for index, tilt in enumerate(tilts.tilts(volume, product.moment)):
        for repeat, sweep in enumerate(tilt.sweeps):
            yield Job(volume, product, sweep, index, repeat, tilt.angle_deg)


def render(job: Job, size: int, cache: GeometryCache) -> Picture:
    """Make one image of `size` pixels a side."""
    moment = job.sweep.moments[job.product.moment]
    reach_m = float(beam.ground_range_m(moment.last_edge_m, job.sweep.measured_deg))
    canvas = Canvas(job.volume.latitude_deg, job.volume.longitude_deg, canvas_range_km(reach_m), size)
    codes, scale, offset = index_codes(moment, job.product)
    rows = png.blank_rows(size)
    geometry = cache.get(canvas)
    draw(job.sweep, moment, codes, geometry, rows[:, 1:])
    values = np.arange(256) * scale + offset
    palette = colours.palette(job.product.colours, values, job.product.value_range, job.product.transparent)
    data = png.encode(rows, palette)
    return Picture(
        job=job,
        png=data,
        sha256=hashlib.sha256(data).hexdigest(),
        corners=geometry.box.corners_lon_lat(),
        canvas=canvas,
        range_km=round(min(reach_m / 1000.0, canvas.range_km), 3),
        start=_utc(job.sweep.time_s.min()),
        end=_utc(job.sweep.time_s.max()),
        scale=scale,
        offset=offset,
    )


def index_codes(moment: Moment, product: Product) -> tuple[NDArray[np.uint8], float, float]:
    """A moment's palette indices (its shape, uint8), and the scale and offset that make them values.

    Codes of 8 bits are indices as they are. Wider ones are laid linearly over the product's range: 2 to 255,
    values outside taking the ends.
    """
    if moment.codes.dtype == np.uint8:
        return moment.codes, 1.0 / moment.scale, -moment.offset / moment.scale
    low, high = product.value_range
    step = (high - low) / (255 - FIRST_VALUE)
    values = (np.arange(int(moment.codes.max(initial=0)) + 1) - moment.offset) / moment.scale
    table = np.clip(np.rint((values - low) / step), 0, 255 - FIRST_VALUE).astype(np.uint8) + np.uint8(FIRST_VALUE)
    table[:FIRST_VALUE] = np.arange(FIRST_VALUE)[: table.size]
    return table[moment.codes], step, low - FIRST_VALUE * step


def draw(
    sweep: Sweep, moment: Moment, codes: NDArray[np.uint8], geometry: Geometry, picture: NDArray[np.uint8]
) -> None:
    """Fill `picture`, uint8 (size, size), with the codes of the gates that its pixels lie in, else 0."""
    rays, gates = codes.shape
    # A row and a column of zeros: what a pixel without ray or gate looks up.
    padded = np.zeros((rays + 1, gates + 1), np.uint8)
    padded[:rays, :gates] = codes
    flat = padded.ravel()
    row_start = ray_of_azimuth(sweep).astype(np.intp) * (gates + 1)
    mirrored = np.ascontiguousarray(row_start[::-1])
    gate = gate_of_ground(moment, sweep.measured_deg, geometry.canvas).astype(np.intp)
    middle = geometry.azimuth.shape[1]
    for top in range(0, len(picture), ROWS_AT_ONCE):
        strip = slice(top, top + ROWS_AT_ONCE)
        width = int(geometry.width[strip].max())
        azimuth = geometry.azimuth[strip, :width].astype(np.intp)
        column = gate.take(geometry.ground[strip, :width])
        picture[strip, middle : middle + width] = flat.take(row_start.take(azimuth) + column)
        picture[strip, middle - width : middle] = flat.take(mirrored.take(azimuth) + column)[:, ::-1]


def ray_of_azimuth(sweep: Sweep) -> NDArray[np.int32]:
    """The row of the ray that looks into each azimuth bin, the number of rays where none does.

    int32 (AZIMUTH_BINS,). An azimuth belongs to the ray whose centre is nearest, if that is not far beyond the ray's
    own width.
    """
    centres = sweep.azimuth_deg.astype(np.float64) % 360.0
    order = np.argsort(centres, kind="stable").astype(np.int32)
    turned = centres[order]
    around = np.concatenate((turned[-1:] - 360.0, turned, turned[:1] + 360.0))
    bins = azimuth_centres_deg()
    nearest = np.searchsorted((around[1:] + around[:-1]) / 2.0, bins)
    rows: NDArray[np.int32] = order[(nearest - 1) % len(order)]
    rows[np.abs(around[nearest] - bins) > WIDEST_RAY * sweep.spacing_deg / 2.0] = len(order)
    return rows


def gate_of_ground(moment: Moment, elevation_deg: float, canvas: Canvas) -> NDArray[np.int32]:
    """The gate above each bin of ground range, the number of gates where none is.

    int32, one bin more than RANGE_BINS: the last one is what pixels beyond the canvas's range have.
    """
    gates = moment.codes.shape[1]
    slant = beam.slant_range_m(ground_centres_m(canvas), elevation_deg)
    gate = np.floor((slant - moment.first_gate_m) / moment.gate_spacing_m + 0.5)
    inside = (gate >= 0) & (gate < gates)
    found = np.full(RANGE_BINS + 1, gates, np.int32)
    found[:RANGE_BINS][inside] = gate[inside]
    return found


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(float(seconds), 3), UTC)
