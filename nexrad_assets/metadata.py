"""What Dagster shows of a report: its counts by name, failures as a table, an image to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from nexrad_assets.levels.results import Collected, Listed, Rendered
from nexrad_assets.preview import as_markdown, preview
from store.objects import Store, StoreError

RAW = {2: dg.AssetKey("nexrad_level2_volumes"), 3: dg.AssetKey("nexrad_level3_files")}
"""The assets of fetched files, by level."""

RENDERED = {2: dg.AssetKey("nexrad_level2_sweeps"), 3: dg.AssetKey("nexrad_level3_products")}
"""The assets of what is made of them, by level."""

SCAN_LIST = dg.AssetKey("nexrad_scan_list")

WANTED = "wanted"
FAILED = "failed"

MOST_NAMED = 20
"""Failed files that are named; the log names all of them."""

Metadata = dict[str, dg.MetadataValue]


def of_collected(report: Collected) -> Metadata:
    """What fetching a day came to."""
    return {
        "mode": dg.MetadataValue.text(report.mode),
        "listed": dg.MetadataValue.int(report.listed),
        WANTED: dg.MetadataValue.int(report.wanted),
        "known": dg.MetadataValue.int(report.known),
        "stored": dg.MetadataValue.int(report.stored),
        FAILED: dg.MetadataValue.int(len(report.failed)),
        "quarantined": dg.MetadataValue.int(len(report.quarantined)),
        "bytes_fetched": dg.MetadataValue.int(report.bytes_fetched),
        "seconds": dg.MetadataValue.float(float(report.seconds)),
        **_named("failures", report.failed),
        **_named("quarantined_files", dict.fromkeys(report.quarantined, "stamped ahead of the clock")),
    }


def of_rendered(report: Rendered, store: Store, now: datetime, api_url: str | None) -> Metadata:
    """What rendering a day came to, with the newest lowest tilt to look at."""
    return {
        "mode": dg.MetadataValue.text(report.mode),
        "waiting": dg.MetadataValue.int(report.waiting),
        "rendered": dg.MetadataValue.int(report.rendered),
        "images": dg.MetadataValue.int(report.images),
        "documents": dg.MetadataValue.int(report.documents),
        FAILED: dg.MetadataValue.int(len(report.failed)),
        "partial": dg.MetadataValue.int(len(report.partial)),
        "promoted": dg.MetadataValue.int(report.promoted),
        "bytes_written": dg.MetadataValue.int(report.bytes_written),
        "seconds": dg.MetadataValue.float(float(report.seconds)),
        **_newest(report.newest, now),
        **_named("failures", report.failed),
        **_named("lacking", report.partial),
        **_picture(report.newest_image, store, api_url),
    }


def of_listed(report: Listed, now: datetime) -> Metadata:
    """What a site's lists hold."""
    return {"scans": dg.MetadataValue.int(report.scans), **_newest(report.newest, now)}


def _newest(newest: datetime | None, now: datetime) -> Metadata:
    if newest is None:
        return {}
    return {
        "newest": dg.MetadataValue.timestamp(newest),
        "newest_age_s": dg.MetadataValue.float(round((now - newest).total_seconds(), 1)),
    }


def _named(title: str, reasons: Mapping[str, str]) -> Metadata:
    """A Markdown list of files and reasons; nothing where there are none."""
    if not reasons:
        return {}
    lines = [f"- `{name}`: {reason}" for name, reason in list(reasons.items())[:MOST_NAMED]]
    if len(reasons) > MOST_NAMED:
        lines.append(f"- and {len(reasons) - MOST_NAMED} more")
    return {title: dg.MetadataValue.md("\n".join(lines))}


def _picture(key: str | None, store: Store, api_url: str | None) -> Metadata:
    if key is None:
        return {}
    path = image_path(key)
    link = dg.MetadataValue.url(f"{api_url.rstrip('/')}{path}") if api_url else dg.MetadataValue.path(path)
    try:
        small = preview(store.get(key).data)
    except (StoreError, ValueError):
        # Retention was quicker, or the store is away: the run is done all the same.
        return {"image": link}
    return {"image": link, "preview": dg.MetadataValue.md(as_markdown(small, key))}


def image_path(key: str) -> str:
    """Where the API serves the image of this object key: `/data/2/<key>_<product>_idx<n>/png`."""
    folder, _, name = key.rpartition("/")
    level = folder.removeprefix("plots_level")[:1]
    return f"/data/{level}/{name.split('.')[0]}/png"
