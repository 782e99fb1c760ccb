"""Dagster's code location `nexrad_assets`: assembles, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from nexrad_assets.assets import level_assets, scan_list_asset
from nexrad_assets.jobs import LIVE_JOBS, check_bucket_job, prune_runs_job, reconcile_job, retention_job
from nexrad_assets.partitions import days_and_sites
from nexrad_assets.pipeline.context import utc_now
from nexrad_assets.resources import WorkshopResource
from nexrad_assets.schedules import upkeep_schedules
from nexrad_assets.sensors import live_sensor
from nexrad_assets.settings import NexradSettings
from store.radar.lists import LEVELS


def build_definitions(
    resources: Mapping[str, Any] | None = None, settings: NexradSettings | None = None
) -> dg.Definitions:
    """The definitions of these settings (default: the environment's); `resources` go before our own.

    Raises `TooManyPartitions` where the settings ask for more days and sites than Dagster bears.
    """
    settings = settings or NexradSettings()
    today = utc_now().date()
    partitions = days_and_sites(settings.sites, settings.start_date(today), today)
    return dg.Definitions(
        assets=[
            *(asset for level in LEVELS for asset in level_assets(level, partitions)),
            scan_list_asset(partitions),
        ],
        jobs=[*LIVE_JOBS.values(), retention_job, reconcile_job, prune_runs_job, check_bucket_job],
        sensors=[
            live_sensor(2, settings.live),
            live_sensor(3, settings.live and bool(settings.level3_products)),
        ],
        schedules=upkeep_schedules(settings.live),
        resources={"workshop": WorkshopResource(), **(resources or {})},
        # A process a step costs 3.6 CPU seconds a run, for nothing: the steps follow one another.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
