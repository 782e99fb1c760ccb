"""What is derived from snapshots: the live window, scan lists, options, sweep metadata.

Pure functions of snapshots, shared by the pipeline (which writes copies for people) and the API (which
never reads those copies), so that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from store.snapshot import Head, Image, Scan, Snapshot

PRODUCTS: Mapping[str, int] = {"hydrometeor": 3, "precipitation": 3, "reflectivity": 2}
"""The product groups of the contract, in its order, with their level."""

AHEAD = timedelta(minutes=10)
"""A scan stamped further ahead of the clock than this is a radar's clock gone wrong, not news."""

ScanList = dict[str, dict[str, int]]


def listed(scans: Iterable[Scan]) -> Iterator[Scan]:
    """The scans that have something to show."""
    return (scan for scan in scans if scan.layers)


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
    """The listed scans of the last `minutes` up to the window's end, oldest first."""
    known = tuple(listed(scans))
    end = window_end(known, now)
    if end is None:
        return ()
    begin = end - timedelta(minutes=minutes)
    inside = (scan for scan in known if begin <= scan.start <= end + AHEAD)
    return tuple(sorted(inside, key=lambda scan: (scan.start, scan.key)))


def window_days(head: Head, now: datetime, minutes: float) -> tuple[date, ...]:
    """The days whose snapshots can hold scans of the live window, oldest first.

    What the head says of each day suffices: its newest live scan, or the newest of any origin where no
    day has a live one, is where the window ends.
    """
    soon = now + AHEAD
    live = [day.newest_live for day in head.days.values() if day.newest_live]
    newest = [day.newest for day in head.days.values() if day.newest]
    believable = [stamp for stamp in live if stamp <= soon] or [stamp for stamp in newest if stamp <= soon]
    days = {date.fromisoformat(name) for name in head.days}
    if not believable:
        return tuple(sorted(days)[-2:])
    end = min(max(believable), now)
    begin = end - timedelta(minutes=minutes)
    return tuple(sorted(day for day in days if begin.date() <= day <= (end + AHEAD).date()))


def day_scans(snapshot: Snapshot) -> tuple[Scan, ...]:
    """Every listed scan of a UTC day, oldest first."""
    return tuple(sorted(listed(snapshot.scans.values()), key=lambda scan: (scan.start, scan.key)))


def scan_list(scans: Iterable[Scan], product: str) -> ScanList:
    """`{key: {"sweeps": n}}` of one product, in the order of `scans`."""
    return {scan.key: {"sweeps": len(scan.layers[product].tilts)} for scan in scans if product in scan.layers}


def all_lists(scans: Iterable[Scan]) -> dict[str, ScanList]:
    """The lists of every product of the contract; a product without scans is there, and empty."""
    scans = tuple(scans)
    return {product: scan_list(scans, product) for product in PRODUCTS}


def options(scans: Iterable[Scan]) -> dict[str, list[dict[str, Any]]]:
    """The product-code options of the menus, with counts of exactly these scans.

    Level 3 codes are those that the scans have; the contract's one reflectivity entry has no code and
    counts nothing.
    """
    coded: dict[str, dict[str, int]] = {product: {} for product in PRODUCTS if PRODUCTS[product] == 3}
    for scan in scans:
        for product in coded.keys() & scan.layers.keys():
            code = scan.layers[product].code or scan.key.rpartition("_")[2]
            coded[product][code] = coded[product].get(code, 0) + 1
    menus: dict[str, list[dict[str, Any]]] = {
        product: [{"value": code, "label": code, "count": count} for code, count in sorted(counts.items())]
        for product, counts in coded.items()
    }
    return {**menus, "reflectivity": [{"value": None, "label": None, "count": 0}]}


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
        "colour_table": layer.colours,
        "value_range": list(layer.value_range),
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
