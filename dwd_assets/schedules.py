"""Schedules of the upkeep, running by themselves only where the settings say live."""

from __future__ import annotations

import dagster as dg

from dwd_assets.jobs import prune_runs_job, reconcile_job
from orchestration.runs import is_under_way


def upkeep_schedules(live: bool) -> list[dg.ScheduleDefinition]:
    """Comparing with the server every six hours, pruning every night."""
    return [_schedule(reconcile_job, "40 */6 * * *", live), _schedule(prune_runs_job, "55 4 * * *", live)]


def _schedule(job: dg.JobDefinition, cron: str, live: bool) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        should_execute=lambda context: not is_under_way(context.instance, job.name),
        default_status=dg.DefaultScheduleStatus.RUNNING if live else dg.DefaultScheduleStatus.STOPPED,
    )
