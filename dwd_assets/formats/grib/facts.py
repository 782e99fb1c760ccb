"""A decoded GRIB field in few numbers and words, for people.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, code tables 4.5, 4.10 and 5.0; of each, what ICON uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.grib.grid import UNSTRUCTURED_TEMPLATE, LatLonGrid
from dwd_assets.formats.grib.products import NO_SURFACE, Product, Surface
from dwd_assets.formats.grib.worker import FieldValues

_PACKINGS = {
    0: "simple packing",
    2: "complex packing",
    3: "complex packing with differences",
    4: "IEEE numbers",
    40: "JPEG 2000",
    41: "PNG",
    42: "CCSDS",
}
"""Code table 5.0."""

_NAMED_SURFACES = {1: "ground", 8: "top of the atmosphere", 10: "whole atmosphere", 101: "mean sea level"}
_MEASURED_SURFACES = {
    100: (0.01, "{:g} hPa"),
    102: (1.0, "{:g} m above sea level"),
    103: (1.0, "{:g} m above ground"),
    106: (1.0, "{:g} m below ground"),
    150: (1.0, "model level {:g}"),
}
"""Code table 4.5: without a value, and with one that is shown times a factor."""

_PROCESSES = {0: "average", 1: "accumulation", 2: "maximum", 3: "minimum"}
"""Code table 4.10."""


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """A field of a GRIB file.

    name, units: eccodes' own, `unknown` where it has none. quantity: discipline, category and number (code tables
    0.0, 4.1, 4.2). statistics: how it sums up the time before its step, if it does. missing: points without a value;
    lowest, mean and highest are none where all are.
    """

    name: str
    units: str
    quantity: tuple[int, int, int]
    reference_time: datetime
    step_minutes: int | None
    statistics: str | None
    level: str
    member: int | None
    grid: str
    packing: str
    points: int
    missing: int
    lowest: float | None
    mean: float | None
    highest: float | None


def facts(field: FieldValues) -> FieldFacts:
    """What a field is, and what its values are like."""
    message = field.message
    values = field.values[~np.isnan(field.values)]
    lowest, mean, highest = _spread(values)
    return FieldFacts(
        name=field.short_name,
        units=field.units,
        quantity=(message.discipline, message.product.category, message.product.number),
        reference_time=message.reference_time,
        step_minutes=message.step_minutes,
        statistics=_statistics(message.product),
        level=_level(message.product),
        member=message.product.member,
        grid=_grid(field),
        packing=_PACKINGS.get(message.data_template, f"data template {message.data_template}"),
        points=field.values.size,
        missing=field.values.size - values.size,
        lowest=lowest,
        mean=mean,
        highest=highest,
    )


def _spread(values: NDArray[np.float32]) -> tuple[float | None, float | None, float | None]:
    if not values.size:
        return None, None, None
    return float(values.min()), float(values.mean(dtype=np.float64)), float(values.max())


def _statistics(product: Product) -> str | None:
    if product.process is None:
        return None
    process = _PROCESSES.get(product.process, f"process {product.process}")
    return process if product.range_minutes is None else f"{process} over {product.range_minutes} min"


def _level(product: Product) -> str:
    """The surface or layer in words, of code table 4.5."""
    first, second = product.first, product.second
    if first is None or first.type == NO_SURFACE:
        return "none"
    if second is None or second.type == NO_SURFACE:
        return _surface(first)
    return f"{_surface(first)} to {_surface(second)}"


def _surface(surface: Surface) -> str:
    if surface.type in _NAMED_SURFACES:
        return _NAMED_SURFACES[surface.type]
    if surface.value is None:
        return f"surface {surface.type}"
    factor, told = _MEASURED_SURFACES.get(surface.type, (1.0, f"surface {surface.type}: {{:g}}"))
    return told.format(surface.value * factor)


def _grid(field: FieldValues) -> str:
    message = field.message
    if field.grid is not None:
        return _lat_lon(field.grid)
    if message.grid_template == UNSTRUCTURED_TEMPLATE:
        return f"{message.grid_points} triangles"
    return f"grid template {message.grid_template}"


def _lat_lon(grid: LatLonGrid) -> str:
    (south, west), (north, east) = grid.position(0), grid.position(grid.points - 1)
    south, north = min(south, north), max(south, north)
    steps = f"{grid.lon_step / 1e6:g} x {abs(grid.lat_step) / 1e6:g} deg"
    return f"{grid.columns} x {grid.rows} of {steps}, {west:g} to {east:g} E, {south:g} to {north:g} N"
