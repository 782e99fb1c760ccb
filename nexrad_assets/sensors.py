"""The live sensor: asks for one range run a day and block of sites that have volumes to render.

A sensor and not declarative automation, which turns scattered sites into many runs and skips yesterday, where
the volumes begun just before midnight arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PRIORITY_TAG,
)

from nexrad_assets import discovery
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline import Workshop
from nexrad_assets.reports import SiteDay
from nexrad_assets.runs import BLOCK_TAG, LIVE, MODE_TAG, end_lost_runs, live_runs

INTERVAL_S = 30
BUDGET_S = 20.0
"""Of the 60 s that Dagster gives a tick."""


def live_sensor(job: dg.UnresolvedAssetJobDefinition, live: bool) -> dg.SensorDefinition:
    """The sensor over `job`, running by itself only where the settings say live."""

    @dg.sensor(
        name="nexrad_live_volumes",
        job=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING if live else dg.DefaultSensorStatus.STOPPED,
        description="Lists the sites' volumes of today and asks for one live run a block of sites with news.",
    )
    def nexrad_live_volumes(
        context: dg.SensorEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.SensorResult:
        return tick(context, workshop)

    return nexrad_live_volumes


def tick(context: dg.SensorEvaluationContext, workshop: Workshop) -> dg.SensorResult:
    """One look at every site whose block has no live run under way."""
    now, sites = workshop.clock(), workshop.settings.sites
    for run_id in end_lost_runs(context.instance, now):
        context.log.warning(f"Live run {run_id} was lost and is marked as failed")
    busy = {record.dagster_run.tags.get(BLOCK_TAG) for record in live_runs(context.instance)}
    memory = discovery.read_memory(context.cursor)
    wanted = discovery.targets(sites, first_day, now, memory.begin)
    free = [target for target in wanted if discovery.block_of(target, sites) not in busy]
    looks, faults = discovery.look(
        free, lambda target: discovery.look_at(workshop, target, memory.seen.get(target)), workshop.settings.downloads, BUDGET_S
    )
    _report(context, faults)
    due = [target for target, found in looks.items() if discovery.is_due(found, memory.seen.get(target), now)]
    asks = discovery.group(due, sites)
    after = discovery.remembered(memory, free, looks, faults, due, now)
    words = f"{len(looks)} of {len(wanted)} sites and days looked at, {len(busy)} blocks under way: nothing to render"
    return dg.SensorResult(
        run_requests=[run_request(ask) for ask in asks],
        skip_reason=None if asks else words,
        cursor=discovery.write_memory(after),
    )
