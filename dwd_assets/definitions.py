"""Dagster's code location `dwd_assets`: assembles, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dwd_assets.assets import archive_asset
from dwd_assets.jobs import live_job, prune_runs_job, reconcile_job
from dwd_assets.kinds.table import collections
from dwd_assets.partitions import partitions_of
from dwd_assets.periods.context import utc_now
from dwd_assets.resources import OfficeResource
from dwd_assets.schedules import upkeep_schedules
from dwd_assets.sensors import due_sensor
from dwd_assets.settings import DwdSettings


def build_definitions(
    resources: Mapping[str, Any] | None = None, settings: DwdSettings | None = None
) -> dg.Definitions:
    """The definitions of these settings (default: the environment's); `resources` go before our own."""
    settings = settings or DwdSettings()
    first = settings.first_day(utc_now().date())
    followed = collections(settings)
    jobs = {one.asset: live_job(one.asset) for one in followed}
    return dg.Definitions(
        assets=[archive_asset(one, partitions_of(one, first)) for one in followed],
        jobs=[*jobs.values(), prune_runs_job, reconcile_job],
        sensors=[due_sensor(one, jobs[one.asset], first, settings.live) for one in followed],
        schedules=upkeep_schedules(settings.live),
        resources={"office": OfficeResource(), **(resources or {})},
        executor=dg.in_process_executor,
    )


defs = build_definitions()
