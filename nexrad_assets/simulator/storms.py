"""The simulated weather: storms that drift, grow and decay above a site.

Everything follows from the seed, the site and the time, without any state: a storm's life is a generation
of a slot, and each generation draws its own numbers. The weather at one moment is a `Scene`: maps of 1 km
that drift with the storms. How high, how fast and of what kind the rain is at a point is for `observe`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
AnyMap = NDArray[np.floating[Any]]

GRID_CELLS = 960
"""Cells of 1 km along each side of a scene's maps; the site is in the middle."""

MELTING_LEVEL_KM = 3.4
NO_ECHO_DBZ = -30.0

INSECTS, STRATIFORM, CONVECTIVE = -1.0, 0.0, 1.0

_HALF = GRID_CELLS // 2
_TEXTURE_CELLS = 1024
_CELL_SLOTS = 18
_FALLOFF_DB = 25.0


@dataclass(frozen=True, slots=True)
class Drift:
    """The motion of all storms of a site, in km/s towards east and north."""

    east_kmps: float
    north_kmps: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The weather at one moment, float32 maps of shape (960, 960), first axis north, second east.

    `dbz` is the reflectivity below the melting level, `top_km` the height of the echo's top, `kind` INSECTS,
    STRATIFORM or CONVECTIVE, `texture` a field of mean 0 and deviation 1. A point `(x, y)` km east and
    north of the site is in the cell of floor(x - origin_east_km) + 480, and so on.
    """

    dbz: Map
    top_km: Map
    kind: Map
    texture: Map
    drift: Drift
    origin_east_km: float
    origin_north_km: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A thunderstorm at one moment: its middle in km east and north of the site, its age since its birth.

    `slot` and `generation` name it through all its life. `peak_dbz` and `top_km` are those of its middle,
    its axes half its extent along `turn` (radians, counter-clockwise from east) and across.
    """

    slot: int
    generation: int
    east_km: float
    north_km: float
    age_s: float
    axes_km: tuple[float, float]
    turn: float
    peak_dbz: float
    top_km: float


@dataclass(frozen=True, slots=True)
class _Life:
    """One generation of a slot: its random numbers, age in seconds since mid-life, vigour from 0 to 1."""

    slot: int
    generation: int
    random: np.random.Generator
    length_s: float
    age_s: float
    vigour: float


def scene(seed: int, site: str, time_s: float, *, clear_air: bool) -> Scene:
    """The weather above a site at a time (seconds since 1970); `clear_air` leaves all rain away."""
    drift = storm_drift(seed, site)
    east_km, north_km = drift.east_kmps * time_s, drift.north_kmps * time_s
    base_east, base_north = int(np.floor(east_km)), int(np.floor(north_km))
    shape = (GRID_CELLS, GRID_CELLS)
    new = Scene(
        dbz=np.full(shape, NO_ECHO_DBZ, dtype=np.float32),
        top_km=np.zeros(shape, dtype=np.float32),
        kind=np.zeros(shape, dtype=np.float32),
        texture=_drifted_texture(seed, site, base_east, base_north),
        drift=drift,
        origin_east_km=east_km - base_east,
        origin_north_km=north_km - base_north,
    )
    _paint_insects(new, clear_air=clear_air)
    if not clear_air:
        _paint_rain(new, seed, site, time_s)
    return new


def storm_drift(seed: int, site: str) -> Drift:
    """Where the storms of a site move: between north-east and east-south-east, at 12 to 20 m/s."""
    random = _random(seed, site, "drift")
    towards = np.radians(random.uniform(45.0, 110.0))
    speed_kmps = random.uniform(0.012, 0.020)
    return Drift(float(speed_kmps * np.sin(towards)), float(speed_kmps * np.cos(towards)))


def _random(seed: int, site: str, *words: str | int) -> np.random.Generator:
    """A generator that depends on these words alone."""
    label = "/".join(str(word) for word in (site, *words))
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def _lives(
    seed: int, site: str, time_s: float, kind: str, slots: int, hours: tuple[float, float]
) -> Iterator[_Life]:
    """The present generation of each slot of a kind; its life lasts between `hours`."""
    for slot in range(slots):
        own = _random(seed, site, kind, slot)
        length_s = own.uniform(*hours) * 3600.0
        generation, share = divmod(time_s / length_s + own.uniform(), 1.0)
        random = _random(seed, site, kind, slot, int(generation))
        vigour = float(np.sqrt(np.sin(np.pi * share)))
        yield _Life(slot, int(generation), random, length_s, (share - 0.5) * length_s, vigour)


def storm_cells(seed: int, site: str, time_s: float) -> list[Cell]:
    """The thunderstorms that a scene of this time has painted, but for those of squall lines."""
    drift = storm_drift(seed, site)
    lives = _lives(seed, site, time_s, "cell", _CELL_SLOTS, (0.7, 1.8))
    return [_cell(drift, life) for life in lives]


def _cell(drift: Drift, life: _Life) -> Cell:
    """An elliptical thunderstorm of 6 to 15 km."""
    east_km, north_km = _place(drift, life, 200.0)
    axes = life.random.uniform(6.0, 15.0), life.random.uniform(6.0, 15.0)
    peak = 40.0 + life.random.uniform(8.0, 24.0) * life.vigour
    top = 5.0 + life.random.uniform(4.0, 11.0) * life.vigour
    turn = life.random.uniform(0.0, np.pi)
    age_s = life.age_s + life.length_s / 2.0
    return Cell(life.slot, life.generation, east_km, north_km, age_s, axes, turn, peak, top)


def _paint_rain(new: Scene, seed: int, site: str, time_s: float) -> None:
    for life in _lives(seed, site, time_s, "shield", 1, (4.0, 7.0)):
        _paint_shield(new, life)
    for life in _lives(seed, site, time_s, "line", 1, (3.0, 5.0)):
        _paint_line(new, life)
    for cell in storm_cells(seed, site, time_s):
        _paint_cell(new, cell)


def _place(drift: Drift, life: _Life, within_km: float) -> tuple[float, float]:
    """Where a storm is now, in km from the site; at mid-life it is within this distance."""
    distance, angle = within_km * np.sqrt(life.random.uniform()), life.random.uniform(0.0, 2.0 * np.pi)
    east = distance * np.sin(angle) + drift.east_kmps * life.age_s
    north = distance * np.cos(angle) + drift.north_kmps * life.age_s
    return float(east), float(north)


def _centre(new: Scene, life: _Life, within_km: float) -> tuple[float, float]:
    """Where a storm is now, in the maps' km."""
    east, north = _place(new.drift, life, within_km)
    return east - new.origin_east_km, north - new.origin_north_km


def _paint_cell(new: Scene, cell: Cell) -> None:
    centre = cell.east_km - new.origin_east_km, cell.north_km - new.origin_north_km
    _paint_ellipse(new, centre, cell.axes_km, cell.turn, (cell.peak_dbz, cell.top_km, CONVECTIVE))


def _paint_shield(new: Scene, life: _Life) -> None:
    """A wide area of steady rain; every third generation stays away."""
    centre = _centre(new, life, 160.0)
    axes = life.random.uniform(50.0, 100.0), life.random.uniform(30.0, 60.0)
    turn, peak = life.random.uniform(0.0, np.pi), life.random.uniform(26.0, 34.0)
    if life.random.uniform() < 0.67:
        _paint_ellipse(new, centre, axes, turn, (peak + 4.0 * (life.vigour - 1.0), 7.0, STRATIFORM))


def _paint_ellipse(
    new: Scene,
    centre_km: tuple[float, float],
    axes_km: tuple[float, float],
    turn: float,
    values: tuple[float, float, float],
) -> None:
    """An ellipse whose reflectivity falls from its middle; `values` are its peak, top and kind."""
    peak, top, kind = values
    reach = 1.5 * max(axes_km)
    rows, columns = _window(centre_km[1], reach), _window(centre_km[0], reach)
    north = _axis(rows)[:, None] - np.float32(centre_km[1])
    east = _axis(columns)[None, :] - np.float32(centre_km[0])
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along = (east * cosine + north * sine) / np.float32(axes_km[0])
    across = (north * cosine - east * sine) / np.float32(axes_km[1])
    square = along * along + across * across
    dbz = np.float32(peak) - np.float32(_FALLOFF_DB) * square
    tops = np.float32(top) * (1 - np.float32(0.4) * square)
    _overlay(new, (rows, columns), (dbz + 4 * new.texture[rows, columns], tops, kind))


def _paint_line(new: Scene, life: _Life) -> None:
    """A squall line: a bowed front of storms across the drift, and rain of 70 km behind it."""
    centre = _centre(new, life, 90.0)
    half_length, present = life.random.uniform(60.0, 120.0), life.random.uniform() < 0.5
    turn = np.arctan2(new.drift.north_kmps, new.drift.east_kmps) + life.random.uniform(-0.5, 0.5)
    if not present:
        return
    rows, columns = _window(centre[1], 230.0), _window(centre[0], 230.0)
    north = _axis(rows)[:, None] - np.float32(centre[1])
    east = _axis(columns)[None, :] - np.float32(centre[0])
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along = (north * cosine - east * sine) / np.float32(half_length)
    bow = along * along
    ahead = east * cosine + north * sine + 30 * bow
    ends = np.float32(_FALLOFF_DB) * bow * bow * bow
    texture = new.texture[rows, columns]
    front = np.float32(44.0 + 10.0 * life.vigour) - (ahead / 5) ** 2 - ends + 5 * texture
    rear = np.float32(32.0) - (np.abs(ahead + 38) / 34) ** 4 * 12 - ends + 4 * texture
    rear_top = np.full_like(rear, 8.0)
    _overlay(new, (rows, columns), (rear, rear_top, STRATIFORM))
    _overlay(new, (rows, columns), (front, rear_top + np.float32(6.0 * life.vigour), CONVECTIVE))


def _paint_insects(new: Scene, *, clear_air: bool) -> None:
    """The weak echo of insects and birds low above the site; it is wider on a clear day."""
    reach, peak = (80.0, 18.0) if clear_air else (30.0, 12.0)
    rows, columns = _window(0.0, reach), _window(0.0, reach)
    range_km = np.hypot(_axis(rows)[:, None], _axis(columns)[None, :])
    dbz = np.float32(peak) * (1 - range_km / np.float32(reach)) + 5 * new.texture[rows, columns]
    dbz = np.where(range_km < reach, dbz, np.float32(NO_ECHO_DBZ))
    _overlay(new, (rows, columns), (dbz, np.full_like(dbz, 2.2), INSECTS))


def _window(centre_km: float, reach_km: float) -> slice:
    """The rows (or columns) within reach of a point."""
    first = max(int(np.floor(centre_km - reach_km)) + _HALF, 0)
    return slice(min(first, GRID_CELLS), max(min(int(np.ceil(centre_km + reach_km)) + _HALF, GRID_CELLS), 0))


def _axis(cells: slice) -> Map:
    """The middles of these rows (or columns) in km."""
    return (np.arange(cells.start, cells.stop) - (_HALF - 0.5)).astype(np.float32)


def _overlay(new: Scene, where: tuple[slice, slice], layer: tuple[AnyMap, AnyMap, float]) -> None:
    """Lay an echo over what is there, where it is the stronger one and not below 5 dBZ."""
    dbz, top, kind = layer
    stronger = (dbz > new.dbz[where]) & (dbz > (0.0 if kind == INSECTS else 5.0))
    np.copyto(new.dbz[where], dbz, where=stronger)
    np.copyto(new.top_km[where], top, where=stronger)
    np.copyto(new.kind[where], np.float32(kind), where=stronger)


def _drifted_texture(seed: int, site: str, base_east: int, base_north: int) -> Map:
    """The texture above a site, displaced with the storms by whole kilometres."""
    shift = zlib.crc32(site.encode())
    rows = (np.arange(GRID_CELLS) - _HALF - base_north + shift % 1021) % _TEXTURE_CELLS
    columns = (np.arange(GRID_CELLS) - _HALF - base_east + shift % 1019) % _TEXTURE_CELLS
    return np.ascontiguousarray(_texture(seed)[rows][:, columns])


@lru_cache(maxsize=2)
def _texture(seed: int) -> Map:
    """A periodic field with structures of 4 to 60 km, mean 0, deviation 1, at most 2.5 deviations."""
    white = np.random.default_rng([seed, 0]).standard_normal((_TEXTURE_CELLS, _TEXTURE_CELLS))
    north = np.fft.fftfreq(_TEXTURE_CELLS)[:, None]
    wave_number = np.hypot(north, np.fft.rfftfreq(_TEXTURE_CELLS)[None, :])
    gain = np.where(wave_number < 0.25, (wave_number + 1.0 / 60.0) ** -1.8, 0.0)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(white) * gain, s=white.shape)
    texture: Map = np.clip(field / field.std(), -2.5, 2.5).astype(np.float32)
    return texture
