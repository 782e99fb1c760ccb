"""The live sensors, one a level: each asks for one range run a day and block of sites with files to render.

A sensor and not declarative automation, which turns scattered sites into many runs and skips yesterday, where
the scans begun just before midnight arrive.
"""

from collections.abc import Mapping

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PRIORITY_TAG,
)

from nexrad_assets.jobs import LIVE_JOBS
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.levels.table import Level
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline import discovery
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.tags import BLOCK_TAG, MODE_TAG
from orchestration.runs import LIVE, end_lost_runs, live_runs

INTERVAL_S = {2: 30, 3: 120}
"""Seconds between two looks, by level: Level 3 takes a request a code."""

PRIORITY = {2: "2", 3: "1"}
"""Of live runs in Dagster's queue: all before backfills, volumes before products."""

BUDGET_S = 20.0
"""Of the 60 s that Dagster gives a tick."""


def live_sensor(level: int, live: bool) -> dg.SensorDefinition:
    """The sensor of a level's live job, running by itself only where the settings say live."""

    @dg.sensor(
        name=f"nexrad_live_level{level}",
        job=LIVE_JOBS[level],
        minimum_interval_seconds=INTERVAL_S[level],
        default_status=dg.DefaultSensorStatus.RUNNING if live else dg.DefaultSensorStatus.STOPPED,
        description=f"Lists the sites' Level {level} files of today; asks for one live run a block with news.",
    )
    def nexrad_live(
        context: dg.SensorEvaluationContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.SensorResult:
        return tick(context, workshop, workshop.levels[level])

    return nexrad_live


def tick(context: dg.SensorEvaluationContext, workshop: Workshop, level: Level) -> dg.SensorResult:
    """Look at every site whose block has no live run under way, and ask for the runs that are due.

    Raises the first fault where no site could be listed, so that the tick shows as failed.
    """
    now, sites = workshop.clock(), workshop.settings.sites
    for run_id in end_lost_runs(context.instance, MODE_TAG, now):
        context.log.warning(f"Live run {run_id} had no process any more and is marked as failed")
    busy = {
        record.dagster_run.tags.get(BLOCK_TAG)
        for record in live_runs(context.instance, MODE_TAG, LIVE_JOBS[level.number].name)
    }
    first = workshop.settings.start_date(now.date())
    memory = discovery.read_memory(context.cursor)
    wanted = discovery.targets(sites, first, now, memory.begin)
    memory = discovery.only(memory, wanted)
    free = [target for target in wanted if discovery.block_of(target, sites) not in busy]
    looks, faults = discovery.look(
        free,
        lambda target: discovery.look_at(workshop, level, target, memory.seen.get(target)),
        workers=workshop.settings.downloads,
        budget_s=BUDGET_S,
    )
    _tell(context, faults)
    if faults and not looks:
        raise next(iter(faults.values()))
    due = [target for target, found in looks.items() if discovery.is_due(found, memory.seen.get(target), now)]
    asks = discovery.group(due, sites)
    seen = f"{len(looks)} of {len(wanted)} sites and days looked at"
    return dg.SensorResult(
        run_requests=[run_request(ask, level.number) for ask in asks],
        skip_reason=None if asks else f"{seen}, {len(busy)} blocks under way: nothing to render",
        cursor=discovery.write_memory(discovery.remembered(memory, free, looks, faults, due, now)),
    )


def run_request(ask: discovery.Ask, level: int) -> dg.RunRequest:
    """The range run that an ask means: tags alone, since a run request has no field for a range.

    Without a run key: Dagster never launches a key twice, and a volume whose run failed must be asked for
    again. The snapshots and the block's tag keep a run from being asked for twice at once.
    """
    return dg.RunRequest(
        tags={
            ASSET_PARTITION_RANGE_START_TAG: partition_key(ask.first),
            ASSET_PARTITION_RANGE_END_TAG: partition_key(ask.last),
            MODE_TAG: LIVE,
            BLOCK_TAG: ask.block,
            PRIORITY_TAG: PRIORITY[level],
        }
    )


def _tell(context: dg.SensorEvaluationContext, faults: Mapping[SiteDay, Exception]) -> None:
    for target, fault in sorted(faults.items(), key=lambda item: item[0]):
        context.log.warning(f"{target.site} {target.day}: not looked at: {fault}")
