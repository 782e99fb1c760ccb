"""What is derived from snapshots: the live window, scan lists, options, sweep metadata.

Pure functions of snapshots, shared by the pipeline (which writes copies for people) and the API (which
never reads those copies), so that both say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from store.radar.snapshot import Head, Image, LevelHead, Scan, Snapshot

LEVELS = (2, 3)

PRODUCTS: Mapping[str, int] = {"hydrometeor": 3, "precipitation": 3, "reflectivity": 2}
"""The product groups of the contract, in its order, with their level."""

AHEAD = timedelta(minutes=10)
"""A scan stamped further ahead of the clock than this is a radar's clock gone wrong, not news."""

ScanList = dict[str, dict[str, int]]


class MenuCode(Protocol):
    """A product code as menus offer it; one that is not `offered` is there only where scans have it."""

    @property
    def code(self) -> str:
        """The AWIPS code: `HHC`."""

    @property
    def label(self) -> str:
        """What a person calls it."""

    @property
    def offered(self) -> bool:
        """Whether the menu has it also without scans."""


Menus = Mapping[str, Sequence[MenuCode]]
"""The codes of each Level 3 product group, in the order of the menu."""


def listed(scans: Iterable[Scan]) -> Iterator[Scan]:
    """The scans that have something to show."""
    return (scan for scan in scans if scan.layers or scan.documents)


def window_end(scans: Iterable[Scan], now: datetime) -> datetime | None:
    """The reference of the live window: the earlier of now and the newest live scan.

    Without a live scan, the newest of any origin; without any, none. Scans stamped more than
    `AHEAD` of `now` do not count.
    """
    believable = [scan for scan in listed(scans) if scan.start <= now + AHEAD]
    live = [scan for scan in believable if scan.origin == "live"]
    newest = max((scan.start for scan in live or believable), default=None)
    return None if newest is None else min(newest, now)


def window(scans: Iterable[Scan], now: datetime, minutes: float) -> tuple[Scan, ...]:
    """The listed scans of the last `minutes`, oldest first: of each level up to the end of its own window.

    So a level whose source falls silent keeps its last window, whatever the other one does.
    """
    known = tuple(listed(scans))
    by_level = ([scan for scan in known if scan.level == level] for level in LEVELS)
    shown = (scan for of_level in by_level for scan in _level_window(of_level, now, minutes))
    return tuple(sorted(shown, key=lambda scan: (scan.start, scan.key)))


def _level_window(known: Sequence[Scan], now: datetime, minutes: float) -> Iterator[Scan]:
    end = window_end(known, now)
    if end is None:
        return iter(())
    begin = end - timedelta(minutes=minutes)
    return (scan for scan in known if begin <= scan.start <= end + AHEAD)


def window_days(head: Head, now: datetime, minutes: float) -> tuple[date, ...]:
    """The days whose snapshots can hold scans of the live window, oldest first.

    What the head says of each day and level suffices: its newest live scan, or the newest of any origin where
    no day has a live one, is where the window ends.
    """
    found = (_level_days(head.of_level(level), now, minutes) for level in LEVELS)
    return tuple(sorted({day for days in found for day in days}))


def _level_days(heads: Mapping[date, LevelHead], now: datetime, minutes: float) -> Iterable[date]:
    soon = now + AHEAD
    live = [one.newest_live for one in heads.values() if one.newest_live]
    newest = [one.newest for one in heads.values() if one.newest]
    believable = [stamp for stamp in live if stamp <= soon] or [stamp for stamp in newest if stamp <= soon]
    if not believable:
        return sorted(day for day, one in heads.items() if one.newest)[-2:]
    end = min(max(believable), now)
    begin = end - timedelta(minutes=minutes)
    return (day for day in heads if begin.date() <= day <= (end + AHEAD).date())


def day_scans(snapshot: Snapshot) -> tuple[Scan, ...]:
    """Every listed scan of a UTC day, oldest first."""
    return tuple(sorted(listed(snapshot.scans.values()), key=lambda scan: (scan.start, scan.key)))


def scan_list(scans: Iterable[Scan], product: str) -> ScanList:
    """`{key: {"sweeps": n}}` of one product, in the order of `scans`."""
    return {scan.key: {"sweeps": len(scan.layers[product].tilts)} for scan in scans if product in scan.layers}


def all_lists(scans: Iterable[Scan]) -> dict[str, ScanList]:
    """The lists of every product of the contract; a product without scans is there, and empty."""
    by_level: dict[int, list[Scan]] = {level: [] for level in LEVELS}
    for scan in scans:
        by_level[scan.level].append(scan)
    return {product: scan_list(by_level[level], product) for product, level in PRODUCTS.items()}


def options(scans: Iterable[Scan], menus: Menus) -> dict[str, list[dict[str, Any]]]:
    """The product-code options of the contract, with counts of exactly these scans.

    A code of a Level 3 group is there where it is offered, counted 0 where no scan has it, or where a scan has it;
    the contract's one reflectivity entry has no code and counts nothing.
    """
    scans = tuple(scans)
    groups = (product for product, level in PRODUCTS.items() if level == 3)
    coded = {product: _menu(scans, product, menus.get(product, ())) for product in groups}
    return {**coded, "reflectivity": [{"value": None, "label": None, "count": 0}]}


def _menu(scans: Iterable[Scan], product: str, menu: Sequence[MenuCode]) -> list[dict[str, Any]]:
    layers = [scan.layers[product] for scan in scans if scan.level == 3 and product in scan.layers]
    counts = Counter(layer.code for layer in layers if layer.code)
    labels = {layer.code: layer.label or layer.code for layer in layers if layer.code}
    labels.update({one.code: one.label for one in menu})
    shown = [one.code for one in menu if one.offered or counts[one.code]]
    others = sorted(counts.keys() - {one.code for one in menu})
    return [{"value": code, "label": labels[code], "count": counts[code]} for code in (*shown, *others)]


def sweep_metadata(scan: Scan, product: str, index: int, repeat: int = 0) -> dict[str, Any]:
    """The metadata JSON of one image: the contract's fields first, then ours.

    Raises `LookupError` where the scan has no such product, tilt or repeat.
    """
    layer = scan.layers[product]
    tilt = layer.tilts[index]
    image = tilt.images[repeat]
    corners = scan.corners[image.canvas_km]
    return {
        "original_sweep_number": image.sweep_number,
        "elevation_index": index + 1,
        "elevation_angle_degrees": image.elevation_deg,
        "azimuth_angle_degrees": image.azimuth_deg,
        "bounding_box_lon_lat": {
            "nw": list(corners.nw),
            "ne": list(corners.ne),
            "se": list(corners.se),
            "sw": list(corners.sw),
        },
        "site": scan.key[:4],
        "scan": scan.key,
        "product": product,
        "code": layer.code,
        "label": layer.label,
        "commanded_elevation_degrees": tilt.angle_deg,
        "valid_time": _stamp(image.start),
        "sweep_end": _stamp(image.end),
        "scan_start": _stamp(scan.start),
        "scan_end": _stamp(scan.end),
        "vcp": scan.vcp,
        "status": scan.status,
        "missing": list(scan.missing),
        "unit": layer.unit,
        "scale": layer.scale,
        "offset": layer.offset,
        "first_value_index": layer.first_value_index,
        "codes": layer.codes,
        "values": None if layer.values is None else list(layer.values),
        "colour_table": layer.colours,
        "value_range": list(layer.value_range),
        "code_colours": layer.code_colours,
        "colour_rungs": None if layer.rungs is None else list(layer.rungs),
        "canvas_range_km": image.canvas_km,
        "sweep_range_km": image.range_km,
        "pixels": image.pixels,
        "sha256": image.sha256,
        "bytes": image.size,
        "repeats": [_repeat(other) for other in tilt.images],
        "source": {"key": scan.source.key, "etag": scan.source.etag, "bytes": scan.source.size},
        "credit": "NOAA/NWS NEXRAD",
    }


def _repeat(image: Image) -> dict[str, Any]:
    return {"valid_time": _stamp(image.start), "sweep_number": image.sweep_number, "sha256": image.sha256}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
