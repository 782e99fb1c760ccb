"""`nexrad backfill` and `nexrad remove`: whole days of a site, by the same functions that Dagster runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from nexrad_assets.levels.results import Collected, Listed, Rendered, SiteDay
from nexrad_assets.levels.table import Level
from nexrad_assets.pipeline.context import Workshop, open_workshop
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.pipeline.upkeep import remove_day, write_lists
from nexrad_assets.radar.sites import UnknownSite, site
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sources.source import SourceError
from store.objects import StoreError
from store.radar.snapshot import SnapshotError

if TYPE_CHECKING:
    from dagster import DagsterInstance


def backfill(site_id: str, days: Sequence[date], level: int = 2, *, force: bool = False) -> int:
    """Fetch, render and publish a level's days of a site; gives the exit status, 1 if anything failed.

    With `DAGSTER_HOME` set, each day that is a partition is reported to that instance as materialized.
    """
    try:
        partitions = [SiteDay(day, site(site_id).id) for day in days]
        workshop = open_workshop(NexradSettings())
    except (UnknownSite, SourceError, StoreError, ValueError) as fault:
        return _failed(str(fault))
    failures = 0
    for partition in partitions:
        try:
            failures += _backfill_day(workshop, workshop.levels[level], partition, force)
        except (SourceError, StoreError, SnapshotError) as fault:
            failures += _failed(f"{partition.site} {partition.day}: {fault}")
    return 1 if failures else 0


def remove(site_id: str, day: date) -> int:
    """Remove a day of a site from the store; gives the exit status."""
    try:
        settings = NexradSettings()
        scans, objects = remove_day(open_workshop(settings), site(site_id).id, day)
    except (UnknownSite, SourceError, StoreError, SnapshotError, ValueError) as fault:
        return _failed(str(fault))
    print(f"{site_id} {day}: {scans} scans with {objects} objects removed")
    return 0


def _failed(message: str) -> int:
    print(f"nexrad: {message}", file=sys.stderr)
    return 1


def _backfill_day(workshop: Workshop, level: Level, partition: SiteDay, force: bool) -> int:
    (collected,) = collect(workshop, level, [partition], "day", log=print, force=force)
    (rendered,) = render(workshop, level, [partition], "day", log=print)
    (listed,) = write_lists(workshop, [partition], log=print)
    print(
        f"{partition.site} {partition.day}: {collected.listed} {level.files} listed, {collected.known} known, "
        f"{rendered.rendered} rendered with {rendered.images} images and {rendered.documents} documents "
        f"({rendered.bytes_written:,} bytes)"
    )
    for name, reason in {**collected.failed, **rendered.failed}.items():
        print(f"FAILED {reason if name in reason else f'{name}: {reason}'}")
    if os.environ.get("DAGSTER_HOME"):
        _report(workshop, level.number, collected, rendered, listed)
    return len(collected.failed) + len(rendered.failed)


def _report(workshop: Workshop, level: int, collected: Collected, rendered: Rendered, listed: Listed) -> None:
    from dagster import DagsterInstance  # noqa: PLC0415 - two CPU seconds that a backfill without Dagster saves

    try:
        with DagsterInstance.get() as instance:
            report_materialized(instance, workshop, level, collected, rendered, listed)
    except Exception as fault:  # noqa: BLE001 - the day is stored, whatever Dagster's own database says
        _failed(f"the day is stored, but Dagster could not be told: {type(fault).__name__}: {fault}")


def report_materialized(
    instance: DagsterInstance,
    workshop: Workshop,
    level: int,
    collected: Collected,
    rendered: Rendered,
    listed: Listed,
) -> bool:
    """Tell a Dagster instance, without a run, what became of a day; tells whether the day is a partition."""
    import dagster as dg  # noqa: PLC0415

    from nexrad_assets import metadata  # noqa: PLC0415
    from nexrad_assets.partitions import days_and_sites, partition_key  # noqa: PLC0415

    settings, now = workshop.settings, workshop.clock()
    key = partition_key(collected.partition)
    if not days_and_sites(settings.sites, settings.start_date(now.date()), now.date()).has_partition_key(key):
        return False
    told = {
        metadata.RAW[level]: metadata.of_collected(collected),
        metadata.RENDERED[level]: metadata.of_rendered(rendered, workshop.store, now, settings.api_url),
        metadata.SCAN_LIST: metadata.of_listed(listed, now),
    }
    for asset, words in told.items():
        event = dg.AssetMaterialization(asset_key=asset, partition=key, metadata=words)
        instance.report_runless_asset_event(event)
    return True
