"""The Level 3 products of a simulated volume: reflectivity, hydrometeor classes, rain, storm tracks.

All come from the same weather as the Level 2 volume. The lowest tilt is the volume's own, gate for gate;
classes follow from what its gates measure, rain from the storms of the hour, tracks from the cells. Same
seed, site, time and pattern: same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar import beam
from nexrad_assets.radar.volume import Sweep, Volume
from nexrad_assets.simulator.coverage import VCP_212, CoveragePattern
from nexrad_assets.simulator.level3_writer import (
    Description,
    Radials,
    Source,
    block_product,
    date_and_s,
    float_halfwords,
    radial_product,
    text_product,
)
from nexrad_assets.simulator.rain_accumulation import GATES, RAYS, hour_of_rain
from nexrad_assets.simulator.storm_tracks import storm_tracks, track_blocks
from nexrad_assets.simulator.storms import MELTING_LEVEL_KM, storm_cells, storm_drift
from nexrad_assets.simulator.volumes import RadarSite, simulate, volume_end

Floats = NDArray[np.floating]
Codes = NDArray[np.uint8]

RANGE_FOLDED = 150

_GATE_M = 250.0
_REFLECTIVITY_GATES = 1840
_CLASS_GATES = 1200
_VOLUME_NUMBERS = 80
_SEQUENCE_NUMBERS = 32_767
_PRODUCT_DELAY_S = 2
_BIOLOGICAL, _CLUTTER, _WET_SNOW = 10, 20, 50
_WARM_DBZ = np.array([45.0, 55.0, 60.0, 65.0])
_WARM_CLASSES = np.array([60, 70, 100, 110, 120], dtype=np.uint8)
_COLD_DBZ = np.array([15.0, 40.0, 55.0])
_COLD_CLASSES = np.array([30, 40, 90, 100], dtype=np.uint8)
_MELTING_LAYER_KM = 1.0
_MELTING, _ONE_KIND = 0.87, 0.96
_LEAST_RAIN = 0.1
_NOTHING_SINCE = 5
"""The null product flag of "no precipitation detected since" (ICD 2620001, message 170)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Scan:
    """A volume's lowest tilts and what its products say of it."""

    source: Source
    seed: int
    pattern: CoveragePattern
    tilts: tuple[_Tilt, ...]

    @property
    def end(self) -> datetime:
        """When the antenna has finished the volume."""
        return volume_end(self.source.start, self.pattern)

    def describe(self, awips: str, made: datetime, halfwords: dict[int, int]) -> Description:
        """The description of a product of this volume."""
        message, heading = _MESSAGES[awips]
        volumes = int(self.source.start.timestamp()) // self.pattern.cadence_s
        sequence = (volumes * len(PRODUCTS) + PRODUCTS.index(awips)) % _SEQUENCE_NUMBERS + 1
        made += timedelta(seconds=_PRODUCT_DELAY_S)
        return Description(awips, message, heading, made, sequence, halfwords)


@dataclass(frozen=True, slots=True, eq=False)
class _Tilt:
    """A low tilt: its sweep, and seconds from the volume's start to the end of it and of its split cut."""

    sweep: Sweep
    ends_s: float
    split_ends_s: float

    @property
    def angle_tenths(self) -> int:
        """The commanded elevation in tenths of a degree."""
        return round((self.sweep.commanded_deg or 0.0) * 10.0)


def simulate_products(
    site: RadarSite, start: datetime, seed: int, pattern: CoveragePattern = VCP_212
) -> dict[str, bytes]:
    """The files of the products of the volume that a site begins at `start`, by AWIPS code.

    Raises `ValueError` where `start` has no time zone.
    """
    scan = _scan(site, start, seed, pattern)
    return {awips: make(scan) for awips, make in _MAKERS.items()}


def hydrometeor_class(dbz: Floats, correlation: Floats, height_km: Floats) -> Codes:
    """The class of echoes (codes of message 165) by reflectivity, correlation and height above the radar.

    What correlates badly is no weather: ground where it is strong, else animals. Near the melting level
    a correlation that is only lowered is melting snow. All else is rain or hail below that level, ice above it.
    """
    warm = _WARM_CLASSES[np.searchsorted(_WARM_DBZ, dbz, side="right")]
    cold = _COLD_CLASSES[np.searchsorted(_COLD_DBZ, dbz, side="right")]
    classes = np.where(height_km < MELTING_LEVEL_KM, warm, cold)
    mixed = np.abs(height_km - MELTING_LEVEL_KM) < _MELTING_LAYER_KM
    classes[mixed & (correlation < _ONE_KIND)] = _WET_SNOW
    foreign = correlation < np.where(mixed, _MELTING, _ONE_KIND)
    classes[foreign] = np.where(dbz[foreign] >= 25.0, _CLUTTER, _BIOLOGICAL)
    return classes.astype(np.uint8)


# The tilts that the products are made of.


def _scan(site: RadarSite, start: datetime, seed: int, pattern: CoveragePattern) -> _Scan:
    """The lowest tilts, turned as in the whole volume: a sweep depends on its number, not on later ones."""
    lowest = _lowest_tilts(pattern)
    low = replace(pattern, cuts=pattern.cuts[: max(lowest) + 1])
    volume = simulate(site, start, seed, low)
    tilts = tuple(_tilt(volume, pattern, index) for index in lowest)
    return _Scan(_source(volume, pattern), seed, pattern, tilts)


def _lowest_tilts(pattern: CoveragePattern) -> list[int]:
    """The first cut with polarization of each of the two lowest angles, lowest first."""
    first: dict[int, int] = {}
    for index, cut in enumerate(pattern.cuts):
        if "RHO" in dict(cut.gates):
            first.setdefault(cut.angle_code, index)
    return [first[angle] for angle in sorted(first)[:2]]


def _tilt(volume: Volume, pattern: CoveragePattern, index: int) -> _Tilt:
    starts, cuts = pattern.cut_starts_s(), pattern.cuts
    ends = [begin + cut.turn_s for begin, cut in zip(starts, cuts, strict=True)]
    split = index + 1 < len(cuts) and cuts[index + 1].angle_code == cuts[index].angle_code
    return _Tilt(volume.sweeps[index], ends[index], ends[index + split])


def _source(volume: Volume, pattern: CoveragePattern) -> Source:
    number = int(volume.start.timestamp()) // pattern.cadence_s % _VOLUME_NUMBERS + 1
    return Source(
        volume.site,
        volume.latitude_deg,
        volume.longitude_deg,
        volume.height_m,
        volume.start,
        pattern.number,
        pattern.clear_air,
        number,
    )


def _delta_time(seconds: float) -> int:
    """Halfword 50 of products of one tilt: seconds since the volume's start, and "no supplemental scan"."""
    return round(seconds) << 5


def _ray_starts(sweep: Sweep) -> NDArray[np.int64]:
    """Where each ray begins, in tenths of a degree: half a spacing before its centre."""
    edges = np.rint((sweep.azimuth_deg.astype(np.float64) - sweep.spacing_deg / 2.0) * 10.0)
    return edges.astype(np.int64) % 3600


def _codes(sweep: Sweep, name: str, gates: int) -> NDArray[np.uint16]:
    """A moment's codes of shape (rays, gates), its first gate the one at the antenna."""
    moment = sweep.moments[name]
    skipped = round(moment.first_gate_m / _GATE_M - 0.5)
    codes = np.zeros((len(moment.codes), gates), dtype=np.uint16)
    kept = moment.codes[:, : gates - skipped]
    codes[:, skipped : skipped + kept.shape[1]] = kept
    return codes


def _by_degree(sweep: Sweep, gates: int) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.uint16]]:
    """Rays of one degree: where each begins, and codes of reflectivity and correlation.

    Of two rays of half a degree the stronger one speaks, gate by gate.
    """
    starts = _ray_starts(sweep)
    reflectivity, correlation = _codes(sweep, "REF", gates), _codes(sweep, "RHO", gates)
    if sweep.spacing_deg == 1.0:
        return starts, reflectivity, correlation
    first = int(sweep.azimuth_deg[0] * 2.0) % 2
    order = np.roll(np.arange(len(starts)), -first)
    left, right = order[0::2], order[1::2]
    stronger = reflectivity[right] > reflectivity[left]
    return (
        starts[left],
        np.where(stronger, reflectivity[right], reflectivity[left]),
        np.where(stronger, correlation[right], correlation[left]),
    )


def _classes(sweep: Sweep) -> tuple[NDArray[np.int64], Codes]:
    """Where each ray of one degree begins, and the classes of its gates, shape (360, 1200)."""
    starts, reflectivity, correlation = _by_degree(sweep, _CLASS_GATES)
    classes = np.zeros(reflectivity.shape, dtype=np.uint8)
    classes[reflectivity == 1] = RANGE_FOLDED
    ray, gate = np.nonzero((reflectivity > 1) & (correlation > 1))
    slant_m = (np.arange(_CLASS_GATES) + 0.5) * _GATE_M
    height_km = beam.height_m(slant_m, sweep.commanded_deg or 0.0) / 1000.0
    ref, rho = sweep.moments["REF"], sweep.moments["RHO"]
    dbz = (reflectivity[ray, gate] - ref.offset) / ref.scale
    classes[ray, gate] = hydrometeor_class(
        dbz, (correlation[ray, gate] - rho.offset) / rho.scale, height_km[gate]
    )
    return starts, classes


# The products.


def _super_resolution_reflectivity(scan: _Scan) -> bytes:
    """Message 153: the lowest tilt's codes as they are, 0.5 dB each from -32 dBZ at code 2."""
    tilt = scan.tilts[0]
    codes = _codes(tilt.sweep, "REF", _REFLECTIVITY_GATES).astype(np.uint8)
    strongest = (int(codes.max()) - 66) // 2 if codes.max() > 1 else -33
    halfwords = {29: 1, 30: tilt.angle_tenths, 31: -320, 32: 5, 33: 254}
    halfwords |= {47: strongest, 50: _delta_time(tilt.ends_s)}
    made = scan.source.start + timedelta(seconds=round(tilt.ends_s))
    return radial_product(
        scan.source, scan.describe("N0B", made, halfwords), Radials(_ray_starts(tilt.sweep), codes, 999)
    )


def _hydrometeors(scan: _Scan) -> bytes:
    """Message 165: the classes of the lowest tilt."""
    tilt = scan.tilts[0]
    starts, classes = _classes(tilt.sweep)
    halfwords = {29: 1, 30: tilt.angle_tenths, 36: 255, 50: _delta_time(tilt.split_ends_s)}
    made = scan.source.start + timedelta(seconds=round(tilt.split_ends_s))
    return radial_product(scan.source, scan.describe("N0H", made, halfwords), Radials(starts, classes, 999))


def _hybrid_hydrometeors(scan: _Scan) -> bytes:
    """Message 177: the classes of the lowest tilt, and of the next one where the ground hides the weather."""
    hybrid, *above = (_by_sector(*_classes(tilt.sweep)) for tilt in scan.tilts)
    for classes in above:
        hybrid = np.where(hybrid == _CLUTTER, classes, hybrid)
    halfwords = float_halfwords(1.0, 31) | {36: 255, 47: 9, 48: 10_000, 49: scan.tilts[-1].angle_tenths}
    radials = Radials(np.arange(RAYS) * 10, hybrid[:, :GATES], 1000)
    return radial_product(scan.source, scan.describe("HHC", scan.end, halfwords), radials)


def _by_sector(starts: NDArray[np.int64], classes: Codes) -> Codes:
    """Rays in the order of their degree: row 0 is the one nearest to 0 to 1 degrees."""
    ordered = np.zeros_like(classes)
    ordered[(starts + 5) // 10 % RAYS] = classes
    return ordered


def _one_hour_accumulation(scan: _Scan) -> bytes:
    """Message 170: hundredths of an inch, scaled so that code 1 is 0.1 and 255 the most that fell.

    An hour without rain is a null product: a flag, and a line of text in place of the data.
    """
    end = scan.end.replace(second=0, microsecond=0)
    rain = hour_of_rain(scan.seed, scan.source.site, end, clear_air=scan.pattern.clear_air)
    date, seconds = date_and_s(end)
    halfwords = {36: 255, 37: 1, 48: date, 49: seconds // 60}
    most = float(rain.max())
    if most < 2.0 * _LEAST_RAIN:
        return _null_accumulation(scan, end, halfwords)
    scale = float(np.float32(254.0 / (most - _LEAST_RAIN)))
    offset = float(np.float32(1.0 - _LEAST_RAIN * scale))
    codes = np.where(rain < _LEAST_RAIN, 0, np.clip(np.rint(rain * scale + offset), 1, 255)).astype(np.uint8)
    halfwords |= float_halfwords(scale, 31) | float_halfwords(offset, 33) | {47: round(most / 10.0)}
    radials = Radials(np.arange(RAYS) * 10, codes, 250)
    return radial_product(scan.source, scan.describe("DAA", scan.end, halfwords), radials)


def _null_accumulation(scan: _Scan, end: datetime, halfwords: dict[int, int]) -> bytes:
    """The product of a dry hour, as real radars send it: scale 1, offset 0, no data."""
    since = end - timedelta(hours=1)
    told = f"{since.month}/{since.day}/{since.year} {since:%H:%M} Z"
    halfwords |= {30: _NOTHING_SINCE} | float_halfwords(1.0, 31)
    description = scan.describe("DAA", scan.end, halfwords)
    return text_product(scan.source, description, f"No precipitation detected since {told}")


def _storm_tracks(scan: _Scan) -> bytes:
    """Message 58: where the storm cells are, were and will be."""
    source, cadence_s = scan.source, scan.pattern.cadence_s
    cells = storm_cells(scan.seed, source.site, source.start.timestamp())
    drift = storm_drift(scan.seed, source.site)
    tracks = [] if scan.pattern.clear_air else storm_tracks(cells, drift, cadence_s)
    return block_product(source, scan.describe("NST", scan.end, {47: len(tracks)}), track_blocks(tracks))


_MESSAGES = {
    "N0B": (153, "SDUS5"),
    "N0H": (165, "SDUS8"),
    "HHC": (177, "SDUS8"),
    "DAA": (170, "SDUS8"),
    "NST": (58, "SDUS3"),
}
_MAKERS: dict[str, Callable[[_Scan], bytes]] = {
    "N0B": _super_resolution_reflectivity,
    "N0H": _hydrometeors,
    "HHC": _hybrid_hydrometeors,
    "DAA": _one_hour_accumulation,
    "NST": _storm_tracks,
}
PRODUCTS = tuple(_MAKERS)
"""AWIPS codes of the products that a simulated volume has."""
