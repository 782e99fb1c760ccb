"""Schedules of the upkeep, running by themselves only where the settings say live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg

from nexrad_assets.jobs import prune_runs_job, reconcile_job, retention_job
from orchestration.runs import is_under_way

WHOLE_RECONCILE_HOUR = 3


def upkeep_schedules(live: bool) -> list[dg.ScheduleDefinition]:
    """Retention every ten minutes, reconciling every hour (once a day of everything), pruning every night."""
    return [
        _schedule(retention_job, "*/10 * * * *", live),
        _schedule(reconcile_job, "25 * * * *", live, reconcile_config),
        _schedule(prune_runs_job, "45 4 * * *", live),
    ]


def reconcile_config(context: dg.ScheduleEvaluationContext) -> dict[str, Any]:
    """Once a day everything is looked at, else what changed recently."""
    whole = context.scheduled_execution_time.hour == WHOLE_RECONCILE_HOUR
    return {"ops": {"make_agree": {"config": {"whole": whole}}}}


def _schedule(
    job: dg.JobDefinition,
    cron: str,
    live: bool,
    config: Callable[[dg.ScheduleEvaluationContext], dict[str, Any]] | None = None,
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        run_config_fn=config,
        should_execute=lambda context: not is_under_way(context.instance, job.name),
        default_status=dg.DefaultScheduleStatus.RUNNING if live else dg.DefaultScheduleStatus.STOPPED,
    )
