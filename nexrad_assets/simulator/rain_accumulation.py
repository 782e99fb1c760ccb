"""The rain that simulated storms let fall in an hour, as the accumulation products give it.

Rates follow from the reflectivity near the ground by Z = 300 R^1.4 (the WSR-88D's convective relation:
Fulton and others 1998, The WSR-88D rainfall algorithm, Weather and Forecasting 13), up to 53 dBZ: what is
more is hail. The storms are looked at every five minutes and moved with their drift in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.simulator.storms import GRID_CELLS, INSECTS, Drift, scene

RAYS, GATES = 360, 920
"""The accumulation arrays: 1 degree by 250 m along the ground, out to 230 km."""

HAIL_CAP_DBZ = 53.0

_HOUR_S = 3600
_LOOK_S = 300
_STEP_S = 60
_REACH_KM = 232
_MARGIN_KM = 8
_HUNDREDTHS_PER_MM = 100.0 / 25.4

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RainMap:
    """Rain rates of one moment in mm/h: `rate` is float32 of shape (480, 480), 1 km, north then east.

    A point (x, y) km east and north of the site is in the column of floor(x - origin_east_km) + 240, and so on.
    """

    rate: Map
    drift: Drift
    origin_east_km: float
    origin_north_km: float


def rain_rate(dbz: Map) -> Map:
    """Rain rates in mm/h of reflectivities."""
    capped = np.minimum(dbz, np.float32(HAIL_CAP_DBZ))
    factor = np.float32(np.log(10.0) / 14.0)
    rate: Map = np.exp(capped * factor) * np.float32(300.0 ** (-1.0 / 1.4))
    return rate


def hour_of_rain(seed: int, site: str, end: datetime, *, clear_air: bool) -> Map:
    """The rain of the hour before `end` in hundredths of an inch, float32 of shape (360, 920).

    Row i is the sector from i to i + 1 degrees, column k the 250 m from k * 250 m along the ground.
    """
    if clear_air:
        return np.zeros((RAYS, GATES), dtype=np.float32)
    total_mm = np.zeros((2 * _REACH_KM, 2 * _REACH_KM), dtype=np.float32)
    first = int(end.timestamp()) - _HOUR_S + _STEP_S // 2
    for time_s in range(first, first + _HOUR_S, _STEP_S):
        look_s = time_s // _LOOK_S * _LOOK_S + _LOOK_S // 2
        total_mm += _moved(rain_map(seed, site, look_s), time_s - look_s)
    total_mm *= np.float32(_STEP_S / _HOUR_S)
    return _at_gates(total_mm) * np.float32(_HUNDREDTHS_PER_MM)


@lru_cache(maxsize=32)
def rain_map(seed: int, site: str, time_s: int) -> RainMap:
    """The rain above a site (seconds since 1970), kept for the volumes that follow: 1 MB each."""
    weather = scene(seed, site, float(time_s), clear_air=False)
    half = _REACH_KM + _MARGIN_KM
    near = slice(GRID_CELLS // 2 - half, GRID_CELLS // 2 + half)
    raining = (weather.kind[near, near] != INSECTS) & (weather.dbz[near, near] > 0)
    rate = np.zeros(raining.shape, dtype=np.float32)
    rate[raining] = rain_rate(weather.dbz[near, near][raining])
    return RainMap(rate, weather.drift, weather.origin_east_km, weather.origin_north_km)


def _moved(rain: RainMap, elapsed_s: float) -> Map:
    """The rates this much later, by whole cells, in the frame of the site and without the margin."""
    east = round(rain.origin_east_km + rain.drift.east_kmps * elapsed_s)
    north = round(rain.origin_north_km + rain.drift.north_kmps * elapsed_s)
    rows, columns = _MARGIN_KM - north, _MARGIN_KM - east
    return rain.rate[rows : rows + 2 * _REACH_KM, columns : columns + 2 * _REACH_KM]


@lru_cache(maxsize=1)
def _places() -> tuple[NDArray[np.int32], Map, Map]:
    """Of each gate's middle: the cell south-west of it in a flattened map, and its place between cells."""
    angle = np.radians(np.arange(RAYS) + 0.5)[:, None]
    range_km = (np.arange(GATES) + 0.5) * 0.25
    x = np.sin(angle) * range_km + (_REACH_KM - 0.5)
    y = np.cos(angle) * range_km + (_REACH_KM - 0.5)
    column, row = x.astype(np.int32), y.astype(np.int32)
    cell = row * np.int32(2 * _REACH_KM) + column
    return cell, (x - column).astype(np.float32), (y - row).astype(np.float32)


def _at_gates(total: Map) -> Map:
    """A map's values at the gates (bilinear)."""
    flat, width = total.ravel(), total.shape[1]
    cell, x, y = _places()
    low = flat[cell] * (1 - x) + flat[cell + 1] * x
    high = flat[cell + width] * (1 - x) + flat[cell + width + 1] * x
    gates: Map = low * (1 - y) + high * y
    return gates
