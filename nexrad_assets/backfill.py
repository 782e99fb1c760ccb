"""`nexrad backfill`: whole days of a site by the same functions that Dagster runs, for days of any age."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from nexrad_assets.pipeline import Workshop, collect, open_workshop, render
from nexrad_assets.reports import Collected, Rendered, SiteDay
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sites import UnknownSite, site
from nexrad_assets.source import SourceError
from nexrad_assets.upkeep import write_lists
from store.objects import StoreError

if TYPE_CHECKING:
    from dagster import DagsterInstance


def backfill(site_id: str, days: Sequence[date], *, force: bool = False) -> int:
    """Fetch, render and publish days of a site; gives the exit status, 1 if anything failed.

    With `DAGSTER_HOME` set, each day that is a partition is reported to that instance as materialized.
    """
    try:
        workshop = open_workshop(NexradSettings())
        partitions = [SiteDay(day, site(site_id).id) for day in days]
        failures = sum(_backfill_day(workshop, partition, force) for partition in partitions)
    except (UnknownSite, SourceError, StoreError, ValueError) as fault:
        print(f"nexrad: {fault}", file=sys.stderr)
        return 1
    return 1 if failures else 0


def _backfill_day(workshop: Workshop, partition: SiteDay, force: bool) -> int:
    (collected,) = collect(workshop, [partition], "day", log=print, force=force)
    (rendered,) = render(workshop, [partition], "day", log=print)
    write_lists(workshop, [partition], log=print)
    print(
        f"{partition.site} {partition.day}: {collected.listed} volumes listed, {collected.known} known, "
        f"{rendered.rendered} rendered with {rendered.images} images ({rendered.bytes_written:,} bytes)"
    )
    for name, reason in {**collected.failed, **rendered.failed}.items():
        print(f"FAILED {reason if name in reason else f'{name}: {reason}'}")
    if os.environ.get("DAGSTER_HOME"):
        _report(partition, collected, rendered)
    return len(collected.failed) + len(rendered.failed)


def _report(partition: SiteDay, collected: Collected, rendered: Rendered) -> None:
    from dagster import DagsterInstance  # noqa: PLC0415 - two CPU seconds that a backfill without Dagster saves

    with DagsterInstance.get() as instance:
        report_materialized(instance, partition, collected, rendered)


def report_materialized(
    instance: DagsterInstance, partition: SiteDay, collected: Collected, rendered: Rendered
) -> bool:
    """Tell a Dagster instance, without a run, that a day is there; tells whether it is a partition."""
    import dagster as dg  # noqa: PLC0415

    from nexrad_assets.definitions import defs  # noqa: PLC0415
    from nexrad_assets.partitions import partition_key  # noqa: PLC0415

    key = partition_key(partition)
    counts = {
        "listed": collected.listed,
        "stored": collected.stored,
        "failed": len(collected.failed) + len(rendered.failed),
        "rendered": rendered.rendered,
        "images": rendered.images,
        "bytes": rendered.bytes_written,
        "mode": "day, by command",
    }
    definitions = [asset for asset in defs.resolve_all_asset_specs() if asset.partitions_def is not None]
    known = [spec for spec in definitions if spec.partitions_def.has_partition_key(key)]
    for spec in known:
        event = dg.AssetMaterialization(asset_key=spec.key, partition=key, metadata=counts)
        instance.report_runless_asset_event(event)
    return bool(known)
