"""Rendering: a sweep's gate codes, looked up for every pixel of a canvas, as a palette PNG.

Backwards: each pixel has an azimuth and a ground range (`geometry`); a table of the sweep says which ray
looks that way, another which gate lies that far, and the pixel takes that gate's code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar import beam, tilts
from nexrad_assets.radar.image import colours, png
from nexrad_assets.radar.image.geometry import BLOCK_COLUMNS, BLOCK_ROWS, Geometry, GeometryCache
from nexrad_assets.radar.image.lookup import Lookup, lookup
from nexrad_assets.radar.image.mercator import Canvas, LonLat, canvas_range_km
from nexrad_assets.radar.image.products import Product
from nexrad_assets.radar.volume import FIRST_VALUE, Meaning, Moment, Sweep, Volume

NO_DATA = "no data"

RENDER_VERSION = 1
"""Grows when the same input gives other indices or colours, so that stored images are made again."""

VALUES = 256 - FIRST_VALUE
"""Palette indices that values of more than 8 bits are laid on."""


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

    `corners` are `(longitude, latitude)` north-west, north-east, south-east, south-west; `meaning` is that of the
    palette's indices.
    """

    job: Job
    png: bytes
    sha256: str
    corners: tuple[LonLat, LonLat, LonLat, LonLat]
    canvas: Canvas
    range_km: float
    start: datetime
    end: datetime
    meaning: Meaning


def jobs(volume: Volume, product: Product) -> Iterator[Job]:
    """The images that a volume gives of a product: every tilt from the lowest up, repeats in order of time."""
    for index, tilt in enumerate(tilts.tilts(volume, product.moment)):
        for repeat, sweep in enumerate(tilt.sweeps):
            yield Job(volume, product, sweep, index, repeat, tilt.angle_deg)


def render(job: Job, size: int, cache: GeometryCache) -> Picture:
    """Make one image of `size` pixels a side."""
    moment = job.sweep.moments[job.product.moment]
    reach_m = moment.last_edge_m
    if not job.sweep.along_ground:
        reach_m = float(beam.ground_range_m(reach_m, job.sweep.measured_deg))
    canvas = Canvas(job.volume.latitude_deg, job.volume.longitude_deg, canvas_range_km(reach_m), size)
    codes, meaning = index_codes(moment, job.product)
    rows = png.blank_rows(size)
    geometry = cache.get(canvas)
    draw(job.sweep, moment, codes, geometry, rows[:, 1:])
    data = png.encode(rows, colours.of_product(job.product, meaning))
    return Picture(
        job=job,
        png=data,
        sha256=hashlib.sha256(data).hexdigest(),
        corners=geometry.box.corners_lon_lat(),
        canvas=canvas,
        range_km=round(min(reach_m / 1000.0, canvas.range_km), 3),
        start=_utc(job.sweep.time_s.min()),
        end=_utc(job.sweep.time_s.max()),
        meaning=meaning,
    )


def index_codes(moment: Moment, product: Product) -> tuple[NDArray[np.uint8], Meaning]:
    """A moment's palette indices (its shape, uint8), and what they mean.

    Codes of 8 bits are indices as they are. Wider ones are laid over the product's range, as its colours are: 2 to
    255, values outside taking the ends; below are no data (0) and range folded (1).
    """
    meaning = moment.meaning
    if moment.codes.dtype == np.uint8:
        return moment.codes.astype(np.uint8, copy=False), meaning
    values = meaning.table(int(moment.codes.max(initial=0)) + 1)
    table = np.zeros(values.size, np.uint8)
    is_value = ~np.isnan(values)
    places = np.clip(colours.share(values[is_value], product), 0.0, 1.0) * (VALUES - 1)
    table[is_value] = np.rint(places) + FIRST_VALUE
    table[1 : meaning.first_value] = 1
    flags = {0: NO_DATA, **{code: words for code, words in meaning.flags.items() if code < FIRST_VALUE}}
    return table[moment.codes], replace(_meaning_of_places(product), flags=flags)


def _meaning_of_places(product: Product) -> Meaning:
    """What indices mean that values were laid on."""
    if product.rungs is not None:
        values = colours.values_between_rungs(product.rungs, VALUES).round(4).tolist()
        return Meaning(1.0, 0.0, values=(*[None] * FIRST_VALUE, *values))
    low, high = product.value_range
    step = (high - low) / (VALUES - 1)
    return Meaning(step, low - FIRST_VALUE * step)


def draw(
    sweep: Sweep, moment: Moment, codes: NDArray[np.uint8], geometry: Geometry, picture: NDArray[np.uint8]
) -> None:
    """Put the codes of the gates that pixels lie in into `picture`, zeros of uint8 (size, size)."""
    middle = len(picture) // 2
    eastern = lookup(sweep, moment, codes, geometry.canvas)
    _draw_half(eastern, geometry, picture[:, middle:])
    _draw_half(eastern.mirrored(), geometry, picture[:, middle - 1 :: -1])


def _draw_half(table: Lookup, geometry: Geometry, half: NDArray[np.uint8]) -> None:
    """Draw one half of a picture, column 0 next to the antenna."""
    occupied = table.occupied(geometry.blocks)
    # Each run of occupied blocks in a row is drawn at once: it begins and ends where neighbours differ.
    fenced = np.pad(occupied, ((0, 0), (1, 1)))
    rows, edges = np.nonzero(fenced[:, 1:] != fenced[:, :-1])
    runs = zip(rows[::2].tolist(), edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    # Plain views: slices of memory maps as such cost an image 1 to 2 ms.
    azimuth, ground = np.asarray(geometry.azimuth), np.asarray(geometry.ground)
    for row, first, end in runs:
        place = (
            slice(row * BLOCK_ROWS, (row + 1) * BLOCK_ROWS),
            slice(first * BLOCK_COLUMNS, end * BLOCK_COLUMNS),
        )
        gate = table.row_start.take(azimuth[place])
        gate += table.column.take(ground[place])
        half[place] = table.codes.take(gate)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(float(seconds), 3), UTC)
