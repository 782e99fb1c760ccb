"""Routine runs of a Dagster instance: which are under way, which are lost, which can be forgotten.

A code location marks its routine runs by a tag of its own, whose value says what they are for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqliteEventLogStorage

LIVE = "live"
"""What follows a source."""

UPKEEP = "upkeep"
"""What keeps things tidy."""

UNDER_WAY = (
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)

SILENT = timedelta(minutes=5)
"""A live run says something more often, if need be by `signs_of_life`. One that did not has no process any more."""

SIGN_OF_LIFE_S = 60.0

PRUNE_AT_ONCE = 200


def live_runs(instance: DagsterInstance, mode_tag: str, job_name: str | None = None) -> list[RunRecord]:
    """The live runs of a code location (of a job, or of all) that are queued or running."""
    under_way = RunsFilter(job_name=job_name, tags={mode_tag: LIVE}, statuses=list(UNDER_WAY))
    return list(instance.get_run_records(under_way))


def end_lost_runs(instance: DagsterInstance, mode_tag: str, now: datetime) -> list[str]:
    """Mark live runs as failed whose process is gone; gives their ids.

    The default launcher cannot look after its processes: after a reboot a run would be `STARTED` for ever, and
    what it was to do, as well as its place in the queue, taken.
    """
    lost = [record for record in live_runs(instance, mode_tag) if _is_silent(instance, record, now)]
    for record in lost:
        minutes = int(SILENT.total_seconds() // 60)
        instance.report_run_failed(
            record.dagster_run, f"No event for {minutes} minutes: the process is gone."
        )
    return [record.dagster_run.run_id for record in lost]


@contextmanager
def signs_of_life(log: Callable[[str], None], every_s: float | None = None) -> Iterator[None]:
    """Log a line now and then while work goes on that may be silent for long, so that its run is not taken for lost."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(SIGN_OF_LIFE_S if every_s is None else every_s):
            log("still at work")

    teller = threading.Thread(target=tell, name="signs-of-life", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _is_silent(instance: DagsterInstance, record: RunRecord, now: datetime) -> bool:
    run = record.dagster_run
    started = record.start_time
    if run.status is not DagsterRunStatus.STARTED or started is None:
        return False
    if now.timestamp() - started < SILENT.total_seconds():
        return False
    page = instance.get_records_for_run(run.run_id, limit=1, ascending=False)
    last = max((found.timestamp for found in page.records), default=started)
    return now.timestamp() - last >= SILENT.total_seconds()


def is_under_way(instance: DagsterInstance, job_name: str) -> bool:
    """Whether a run of the job is queued or running: a slow pass is not overtaken by the next."""
    return instance.get_runs_count(RunsFilter(job_name=job_name, statuses=list(UNDER_WAY))) > 0


def prune_routine_runs(
    instance: DagsterInstance,
    mode_tag: str,
    before: datetime,
    spares: Callable[[RunRecord], bool] | None = None,
) -> int:
    """Forget a code location's finished live and upkeep runs created before a time; tells how many.

    A run that `spares` says yes to stays, with what it tells of its partition.

    Their events and captured output go too. A partition whose newest materialization goes with them is
    reported again without a run, with the same metadata, so that it stays green and its counts can be read.
    """
    pruned, spared = 0, None
    while records := _prunable(instance, mode_tag, before, spared):
        run_ids = []
        for record in records:
            if spares is not None and spares(record):
                spared = record.dagster_run.run_id
            else:
                run_ids.append(record.dagster_run.run_id)
        for event in _last_words(instance, run_ids):
            instance.report_runless_asset_event(event)
        for run_id in run_ids:
            _forget(instance, run_id)
        pruned += len(run_ids)
    return pruned


def _prunable(
    instance: DagsterInstance, mode_tag: str, before: datetime, spared: str | None
) -> list[RunRecord]:
    """The oldest runs that can be forgotten, of those after the last that was spared."""
    finished = RunsFilter(
        tags={mode_tag: [LIVE, UPKEEP]}, statuses=list(FINISHED_STATUSES), created_before=before
    )
    return list(instance.get_run_records(finished, limit=PRUNE_AT_ONCE, ascending=True, cursor=spared))


def _last_words(instance: DagsterInstance, run_ids: Iterable[str]) -> Iterator[dg.AssetMaterialization]:
    """The materializations of runs (oldest first) that are the newest of their asset and partition."""
    newest: dict[tuple[dg.AssetKey, str], tuple[str, dg.AssetMaterialization]] = {}
    for run_id in run_ids:
        for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = entry.asset_materialization
            if event is not None and event.partition is not None:
                newest[event.asset_key, event.partition] = (run_id, event)
    for (asset, partition), (run_id, event) in newest.items():
        kept = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[partition]), limit=1
        )
        if any(record.run_id == run_id for record in kept.records):
            yield event


def _forget(instance: DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    with suppress(NotImplementedError):
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        # SQLite has a file a run, which deleting its rows leaves at its full size.
        shard = Path(storage.path_for_shard(run_id))
        for path in (shard, shard.with_name(f"{shard.name}-wal"), shard.with_name(f"{shard.name}-shm")):
            path.unlink(missing_ok=True)
