"""A simulated radar: turns its antenna through the simulated weather and writes what it measures.

`simulate` gives the truth, a `Volume` of gate codes; `simulate_volume` the same as the bytes of an Archive II
file. Same seed, site, time and pattern: same bytes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar import beam
from nexrad_assets.radar.volume import Moment, Sweep, Volume
from nexrad_assets.simulator.archive2_writer import archive2_bytes
from nexrad_assets.simulator.coverage import (
    ANGLE_UNIT_DEG,
    FIRST_GATE_M,
    GATE_SPACING_M,
    VCP_212,
    CoveragePattern,
    Cut,
    Waveform,
)
from nexrad_assets.simulator.storms import (
    CONVECTIVE,
    GRID_CELLS,
    INSECTS,
    MELTING_LEVEL_KM,
    NO_ECHO_DBZ,
    STRATIFORM,
    Scene,
    scene,
)

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
Codes = NDArray[np.uint8] | NDArray[np.uint16]

_ENCODER_STEP_DEG = 8 * ANGLE_UNIT_DEG
_NOISE_VALUES = 1 << 21
_BLOCK_GATES = 4
_CLUTTER_GATES = 160
_FOLDING_MARGIN_DB = 3.0


class RadarSite(Protocol):
    """What the simulator needs to know of a site; the height is that of the antenna above the sea."""

    @property
    def id(self) -> str:
        """Four letters."""

    @property
    def latitude_deg(self) -> float:
        """North is positive."""

    @property
    def longitude_deg(self) -> float:
        """East is positive."""

    @property
    def height_m(self) -> float:
        """Of the antenna above mean sea level."""


@dataclass(frozen=True, slots=True)
class SimulatedSite:
    """A site that need not exist."""

    id: str
    latitude_deg: float
    longitude_deg: float
    height_m: float


def simulate_volume(site: RadarSite, start: datetime, seed: int, pattern: CoveragePattern = VCP_212) -> bytes:
    """An Archive II file of the volume that a site begins at `start` (with a time zone)."""
    number = int(start.timestamp()) // pattern.cadence_s % 999 + 1
    return archive2_bytes(simulate(site, start, seed, pattern), pattern, number)


def simulate(site: RadarSite, start: datetime, seed: int, pattern: CoveragePattern = VCP_212) -> Volume:
    """The truth of a volume: every sweep's codes, angles and times as a reader must give them back.

    Raises `ValueError` where `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ValueError(f"a volume's start needs a time zone: {start}")
    begin = start.replace(microsecond=start.microsecond // 1000 * 1000)
    radar = _radar(seed, site.id, begin, clear_air=pattern.clear_air)
    starts = pattern.cut_starts_s()
    sweeps = (
        _observe(radar, cut, number, offset_s)
        for number, (cut, offset_s) in enumerate(zip(pattern.cuts, starts, strict=True), start=1)
    )
    return Volume(
        site=site.id,
        version="V06",
        start=begin,
        vcp=pattern.number,
        latitude_deg=float(np.float32(site.latitude_deg)),
        longitude_deg=float(np.float32(site.longitude_deg)),
        height_m=float(round(site.height_m)),
        sweeps=tuple(sweeps),
    )


def volume_end(start: datetime, pattern: CoveragePattern = VCP_212) -> datetime:
    """When the antenna has finished a volume that it began at `start`."""
    return start + timedelta(seconds=pattern.duration_s)


@dataclass(frozen=True, slots=True, eq=False)
class _Radar:
    """One volume's circumstances: where, when, the weather, and where there may be echoes at all."""

    seed: int
    site: str
    start_s: float
    weather: Scene
    possible: NDArray[np.bool_]
    highest_top_km: float

    def random(self, number: int) -> np.random.Generator:
        """The random numbers of one sweep."""
        label = zlib.crc32(f"{self.site}/{self.start_s:.3f}/{number}".encode())
        return np.random.default_rng([self.seed, label])


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """Where each ray of a sweep points, and when (seconds since 1970)."""

    azimuth_deg: Floats
    elevation_deg: Floats
    time_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """The beam of a cut, per gate: range along the ground, height, and the weakest echo to be seen."""

    ground_km: Floats
    height_km: Floats
    weakest_dbz: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Echoes:
    """Gates in which something is seen, in ray order: one entry each in every array."""

    ray: Indices
    gate: Indices
    dbz: Floats
    kind: Floats
    texture: Floats
    height_km: Floats

    def places(self, count: int) -> Indices:
        """Their indices in a flattened array of this many gates a ray."""
        return self.ray * count + self.gate

    def within(self, count: int) -> _Echoes:
        """Those in the first gates of each ray."""
        near = self.gate < count
        if near.all():
            return self
        return _Echoes(
            self.ray[near],
            self.gate[near],
            self.dbz[near],
            self.kind[near],
            self.texture[near],
            self.height_km[near],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """What one turn sees: rain and insects as echoes, ground clutter beside them."""

    radar: _Radar
    cut: Cut
    rays: _Rays
    echoes: _Echoes
    clutter: _Echoes
    random: np.random.Generator


def _radar(seed: int, site: str, begin: datetime, *, clear_air: bool) -> _Radar:
    weather = scene(seed, site, begin.timestamp(), clear_air=clear_air)
    return _Radar(
        seed,
        site,
        begin.timestamp(),
        weather,
        _widened(weather.dbz > NO_ECHO_DBZ),
        float(weather.top_km.max()),
    )


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and all neighbours of its cells."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    wide = rows.copy()
    wide[:, 1:] |= rows[:, :-1]
    wide[:, :-1] |= rows[:, 1:]
    return wide


def _observe(radar: _Radar, cut: Cut, number: int, offset_s: float) -> Sweep:
    """What the radar measures in one turn."""
    random = radar.random(number)
    rays = _point(cut, radar.start_s + offset_s, random)
    echoes = _echoes(radar, cut, rays, random)
    sight = _Sight(radar, cut, rays, echoes, _clutter(radar, cut, rays), random)
    return Sweep(
        number=number,
        azimuth_deg=rays.azimuth_deg,
        elevation_deg=rays.elevation_deg,
        time_s=rays.time_s,
        spacing_deg=360.0 / cut.rays,
        commanded_deg=cut.elevation_deg,
        nyquist_mps=cut.nyquist_mps,
        moments=_moments(sight),
        waveform=int(cut.waveform),
        repeat=cut.sails > 0,
    )


# Where the beam is.


def _point(cut: Cut, start_s: float, random: np.random.Generator) -> _Rays:
    """The rays of a turn that begins anywhere: centres half a step off north, jittered by the servo."""
    count, step = cut.rays, 360.0 / cut.rays
    turn = (np.arange(count) + random.integers(count) + 0.5) * step
    azimuth = _encoded(turn + np.clip(random.normal(0.0, 0.02, count), -0.08, 0.08)) % 360.0
    swing = random.uniform(-0.15, 0.15) * np.exp(-np.arange(count) / 8.0)
    elevation = cut.elevation_deg + _ENCODER_STEP_DEG + swing
    seconds = start_s + np.arange(count) * (cut.turn_s / count)
    return _Rays(
        azimuth.astype(np.float32),
        _encoded(elevation).astype(np.float32),
        np.rint(seconds * 1000.0) / 1000.0,
    )


def _encoded(angle_deg: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Angles as the antenna's encoder gives them."""
    rounded: NDArray[np.float64] = np.rint(angle_deg / ANGLE_UNIT_DEG) * ANGLE_UNIT_DEG
    return rounded


@lru_cache(maxsize=64)
def _beam_path(angle_code: int, count: int) -> _Path:
    """The beam of an angle; the weakest echo to be seen grows with the square of the range."""
    elevation_deg = angle_code * ANGLE_UNIT_DEG
    slant_m = FIRST_GATE_M + GATE_SPACING_M * np.arange(count, dtype=np.float64)
    weakest = -9.0 + 20.0 * np.log10(slant_m / 50_000.0)
    return _Path(
        (beam.ground_range_m(slant_m, elevation_deg) / 1000.0).astype(np.float32),
        (beam.height_m(slant_m, elevation_deg) / 1000.0).astype(np.float32),
        weakest.astype(np.float32),
    )


# What is in the beam.


def _echoes(radar: _Radar, cut: Cut, rays: _Rays, random: np.random.Generator) -> _Echoes:
    """The echoes of a turn, clutter left aside."""
    weather, path = radar.weather, _beam_path(cut.angle_code, cut.longest)
    ray, gate, east, north = _gates_of_interest(radar, path, rays)
    cell = _cells(east, north)
    kind, height = weather.kind.ravel()[cell], path.height_km[gate]
    dbz = _aloft(_between_cells(weather.dbz, east, north), height, weather.top_km.ravel()[cell], kind)
    dbz += np.float32(0.6) * _noise(random, len(dbz))
    seen = np.flatnonzero(dbz > path.weakest_dbz[gate])
    texture = weather.texture.ravel()[cell[seen]]
    return _Echoes(ray[seen], gate[seen], dbz[seen], kind[seen], texture, height[seen])


def _gates_of_interest(radar: _Radar, path: _Path, rays: _Rays) -> tuple[Indices, Indices, Floats, Floats]:
    """Ray, gate and place (km in the weather's maps) of the gates that can have an echo.

    Looked at first in blocks of four gates (1 km), the maps' resolution: most of a sweep is empty.
    """
    radians = np.radians(rays.azimuth_deg)
    sine, cosine = np.sin(radians), np.cos(radians)
    drift, weather = radar.weather.drift, radar.weather
    elapsed_s = rays.time_s - radar.start_s
    east_shift = (weather.origin_east_km + drift.east_kmps * elapsed_s).astype(np.float32)
    north_shift = (weather.origin_north_km + drift.north_kmps * elapsed_s).astype(np.float32)

    blocks = int(np.searchsorted(path.height_km, radar.highest_top_km)) // _BLOCK_GATES
    middle = path.ground_km[_BLOCK_GATES // 2 :: _BLOCK_GATES][:blocks]
    block_cell = _cells(
        sine[:, None] * middle - east_shift[:, None], cosine[:, None] * middle - north_shift[:, None]
    )
    possible = np.repeat(radar.possible.ravel()[block_cell], _BLOCK_GATES, axis=1)
    ray, gate = np.nonzero(possible)
    ground = path.ground_km[gate]
    return ray, gate, sine[ray] * ground - east_shift[ray], cosine[ray] * ground - north_shift[ray]


def _cells(east_km: Floats, north_km: Floats) -> NDArray[np.int32]:
    """Indices of places in a flattened map."""
    middle = np.float32(GRID_CELLS // 2)
    columns, rows = (east_km + middle).astype(np.int32), (north_km + middle).astype(np.int32)
    return rows * np.int32(GRID_CELLS) + columns


def _between_cells(values: Floats, east_km: Floats, north_km: Floats) -> Floats:
    """A map's values at places between the middles of its cells (bilinear)."""
    middle = np.float32(GRID_CELLS // 2 - 0.5)
    x, y = east_km + middle, north_km + middle
    column, row = x.astype(np.int32), y.astype(np.int32)
    x -= column
    y -= row
    flat, corner = values.ravel(), row * np.int32(GRID_CELLS) + column
    low = flat[corner] * (1 - x) + flat[corner + 1] * x
    high = flat[corner + GRID_CELLS] * (1 - x) + flat[corner + GRID_CELLS + 1] * x
    between: Floats = low * (1 - y) + high * y
    return between


def _aloft(dbz: Floats, height_km: Floats, top_km: Floats, kind: Floats) -> Floats:
    """Reflectivity at a height: constant in the rain, falling towards the top, with a bright band."""
    base = np.minimum(np.float32(MELTING_LEVEL_KM), np.float32(0.6) * top_km)
    share = np.maximum((height_km - base) / np.maximum(top_km - base, np.float32(0.1)), 0)
    value = dbz - np.maximum(dbz - 5, 0) * share * np.sqrt(share)
    value += np.where(kind == STRATIFORM, 7 * _melting(height_km), 0)
    aloft: Floats = np.where(share > 1, np.float32(NO_ECHO_DBZ), value)
    return aloft


def _melting(height_km: Floats) -> Floats:
    """1 in the middle of the melting layer, 0 outside of it."""
    distance = (height_km - np.float32(MELTING_LEVEL_KM - 0.2)) * np.float32(1 / 0.35)
    return np.exp(-distance * distance)


@lru_cache(maxsize=16)
def _clutter_draw(seed: int, site: str) -> Floats:
    """The ground around a site, in half degrees and gates: low numbers are hills and towers."""
    label = zlib.crc32(f"{site}/clutter".encode())
    return np.random.default_rng([seed, label]).random((720, _CLUTTER_GATES), dtype=np.float32)


def _clutter(radar: _Radar, cut: Cut, rays: _Rays) -> _Echoes:
    """Ground clutter that the filters left: close in, at low angles, always in the same places."""
    path = _beam_path(cut.angle_code, cut.longest)
    range_km, height_km = path.ground_km[:_CLUTTER_GATES], path.height_km[:_CLUTTER_GATES]
    odds = 0.4 * np.exp(-range_km / 12 - max(cut.elevation_deg - 0.4, 0.0) / 0.7)
    draw = _clutter_draw(radar.seed, radar.site)[(rays.azimuth_deg * 2).astype(np.int64) % 720]
    ray, gate = np.nonzero(draw < odds)
    strength = 1 - draw[ray, gate] / odds[gate]
    dbz = (12 + 45 * strength * np.exp(-range_km[gate] / 40)).astype(np.float32)
    still = np.zeros_like(dbz)
    return _Echoes(ray, gate, dbz, still, still, height_km[gate])


# What is measured of it.


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How a moment's values become codes: `code = value * scale + offset`, from 2 to `highest`."""

    scale: float
    offset: float
    highest: int

    def blank(self, rays: int, gates: int) -> Codes:
        """Codes of nothing: uint8, or uint16 for a moment with more than 256 codes."""
        shape = (rays, gates)
        return np.zeros(shape, np.uint8) if self.highest < 256 else np.zeros(shape, np.uint16)

    def encode(self, values: Floats) -> NDArray[np.int32]:
        """The codes of values."""
        codes = np.rint(values * np.float32(self.scale) + np.float32(self.offset))
        whole: NDArray[np.int32] = np.clip(codes, 2, self.highest).astype(np.int32)
        return whole


_ENCODINGS = {
    "REF": _Encoding(2.0, 66.0, 255),
    "VEL": _Encoding(2.0, 129.0, 255),
    "SW": _Encoding(2.0, 129.0, 255),
    "ZDR": _Encoding(32.0, 418.0, 1058),
    "PHI": _Encoding(float(np.float32(2.8361)), 2.0, 1022),
    "RHO": _Encoding(300.0, -60.5, 255),
    "CFP": _Encoding(1.0, 8.0, 81),
}


def _moments(sight: _Sight) -> dict[str, Moment]:
    """Every moment of a turn."""
    nearer: dict[int, _Echoes] = {}
    moments = {}
    for name, count in sight.cut.gates:
        echoes = nearer.setdefault(count, sight.echoes.within(count))
        codes = _codes(name, sight, echoes, count)
        encoding = _ENCODINGS[name]
        moments[name] = Moment(
            name, codes, encoding.scale, encoding.offset, float(FIRST_GATE_M), float(GATE_SPACING_M)
        )
    return moments


def _codes(name: str, sight: _Sight, echoes: _Echoes, count: int) -> Codes:
    """The codes of one moment, shape (rays, gates): weather, folded gates, and clutter over them."""
    encoding = _ENCODINGS[name]
    codes = encoding.blank(sight.cut.rays, count)
    if name != "CFP":
        codes.reshape(-1)[echoes.places(count)] = encoding.encode(_WEATHER_VALUES[name](sight, echoes))
    if name in ("VEL", "SW") or sight.cut.waveform is Waveform.DOPPLER_SZ2:
        codes[_folded(sight.cut, echoes, count)] = 1
    clutter = sight.clutter.within(count)
    noise = _noise(sight.random, len(clutter.ray))
    codes[clutter.ray, clutter.gate] = encoding.encode(_clutter_values(name, clutter, noise))
    return codes


def _folded(cut: Cut, echoes: _Echoes, count: int) -> NDArray[np.bool_]:
    """Gates whose echo is drowned by one an unambiguous range nearer or farther, shape (rays, gates)."""
    folded = np.zeros((cut.rays, count), dtype=np.bool_)
    trip = round(cut.unambiguous_range_m / GATE_SPACING_M)
    if count <= trip:
        return folded
    slant_km = (FIRST_GATE_M + GATE_SPACING_M * np.arange(count)) / 1000.0
    power = np.full(folded.shape, -200.0, dtype=np.float32)
    power.reshape(-1)[echoes.places(count)] = (
        echoes.dbz - (20 * np.log10(slant_km)).astype(np.float32)[echoes.gate]
    )
    near, far = power[:, : count - trip], power[:, trip:]
    margin = np.float32(_FOLDING_MARGIN_DB)
    folded[:, trip:] = (far > -200) & (near > far + margin)
    folded[:, : count - trip] |= (near > -200) & (far > near + margin)
    return folded


def _reflectivity(_: _Sight, echoes: _Echoes) -> Floats:
    return echoes.dbz


def _velocity(sight: _Sight, echoes: _Echoes) -> Floats:
    """Away from the radar is positive: a wind that turns and grows with height, aliased by Nyquist."""
    drift, height = sight.radar.weather.drift, echoes.height_km
    with_drift = (0.5 + 0.13 * height) * 1000
    across = (0.4 - 0.08 * height) * 1000
    radians = np.radians(sight.rays.azimuth_deg)
    sine, cosine = np.sin(radians)[echoes.ray], np.cos(radians)[echoes.ray]
    east, north = np.float32(drift.east_kmps), np.float32(drift.north_kmps)
    radial = with_drift * (east * sine + north * cosine) + across * (east * cosine - north * sine)
    speed = (
        radial * np.float32(np.cos(np.radians(sight.cut.elevation_deg))) + np.float32(1.5) * echoes.texture
    )
    speed += np.float32(0.3) * _noise(sight.random, len(speed))
    around = np.float32(2 * sight.cut.nyquist_mps)
    aliased: Floats = speed - around * np.rint(speed / around)
    return aliased


def _width(sight: _Sight, echoes: _Echoes) -> Floats:
    """Wide in convection."""
    noise = np.abs(_noise(sight.random, len(echoes.dbz)))
    turbulence = np.where(echoes.kind == CONVECTIVE, np.float32(2.8), np.float32(1.2))
    width: Floats = turbulence + np.float32(0.5) * noise
    return width


def _differential_reflectivity(sight: _Sight, echoes: _Echoes) -> Floats:
    """Grows with reflectivity in rain, nearly 0 in snow, a peak where it melts; high for insects."""
    noise = _noise(sight.random, len(echoes.dbz))
    rain = np.clip((echoes.dbz - 15) * np.float32(0.06), 0, np.float32(3.5))
    value = np.where(echoes.height_km < MELTING_LEVEL_KM, rain, np.float32(0.1))
    value = value + np.where(echoes.kind == STRATIFORM, _melting(echoes.height_km), 0)
    value += np.float32(0.08) * noise
    zdr: Floats = np.where(echoes.kind == INSECTS, 4 + np.float32(1.5) * noise, value)
    return zdr


def _differential_phase(sight: _Sight, echoes: _Echoes) -> Floats:
    """The phase at the radar, and what the rain up to the gate adds."""
    in_rain = (echoes.height_km < MELTING_LEVEL_KM) & (echoes.kind != INSECTS)
    per_km = np.where(in_rain, np.minimum(10 ** ((echoes.dbz - 50) / 12), 4), 0)
    count = dict(sight.cut.gates)["PHI"]
    plane, places = np.zeros((sight.cut.rays, count), dtype=np.float32), echoes.places(count)
    plane.reshape(-1)[places] = per_km * np.float32(2 * GATE_SPACING_M / 1000)
    np.cumsum(plane, axis=1, out=plane)
    noise = np.float32(0.5) * _noise(sight.random, len(per_km))
    phase: Floats = 60 + plane.reshape(-1)[places] + noise
    return phase


def _correlation(sight: _Sight, echoes: _Echoes) -> Floats:
    """Near 1 in rain and snow, lower where snow melts, low for insects."""
    noise = _noise(sight.random, len(echoes.dbz))
    value = np.float32(0.985) + np.float32(0.003) * noise
    value -= np.where(echoes.kind == STRATIFORM, np.float32(0.07) * _melting(echoes.height_km), 0)
    correlation: Floats = np.where(echoes.kind == INSECTS, np.float32(0.55) + np.float32(0.1) * noise, value)
    return correlation


_WEATHER_VALUES = {
    "REF": _reflectivity,
    "VEL": _velocity,
    "SW": _width,
    "ZDR": _differential_reflectivity,
    "PHI": _differential_phase,
    "RHO": _correlation,
}


def _clutter_values(name: str, clutter: _Echoes, noise: Floats) -> Floats:
    """What the ground looks like: strong, still, and without any regular polarization."""
    middle, spread = {
        "VEL": (0.0, 0.2),
        "SW": (0.4, 0.2),
        "ZDR": (0.0, 2.5),
        "PHI": (180.0, 60.0),
        "RHO": (0.75, 0.1),
    }.get(name, (0.0, 0.0))
    if name == "REF":
        return clutter.dbz + noise
    if name == "CFP":
        return np.float32(10) + np.float32(0.5) * clutter.dbz
    return np.float32(middle) + np.float32(spread) * noise


@lru_cache(maxsize=1)
def _noise_table() -> Floats:
    return np.random.default_rng(1).standard_normal(_NOISE_VALUES, dtype=np.float32)


def _noise(random: np.random.Generator, count: int) -> Floats:
    """Normal deviates, a piece of one table: drawing them anew would cost half of a volume's time."""
    start = int(random.integers(_NOISE_VALUES - count))
    return _noise_table()[start : start + count]
