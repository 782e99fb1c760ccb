"""Sensors, one a collection: each asks for a run of the period that the server deletes first, when it has news.

One run of a collection at a time: it has the client's connections to itself, and what is due next is known when
it has ended.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import dagster as dg
import msgspec
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import PRIORITY_TAG

from dwd_assets.archive import BelowFloor
from dwd_assets.collections import Collection, begin
from dwd_assets.jobs import live_job_name, sensor_name
from dwd_assets.office import Office
from dwd_assets.partitions import recent_periods
from dwd_assets.runs import MODE_TAG
from orchestration.runs import LIVE, end_lost_runs, is_under_way
from store import ledger
from store.ledger import State

PRIORITY = "1"
"""In Dagster's queue: before backfills, after radar volumes."""

LOOK_BACK = timedelta(days=4)
"""Periods that ended before are not looked at for what was lost."""

SHORTEST_INTERVAL_S = 15


class Memory(msgspec.Struct, frozen=True):
    """What a sensor remembers between ticks: periods of which nothing more is to be told."""

    settled: tuple[str, ...] = ()


def due_sensor(
    collection: Collection, job: UnresolvedAssetJobDefinition, first: date, live: bool
) -> dg.SensorDefinition:
    """The sensor of a collection's live job, running by itself only where the settings say live."""

    @dg.sensor(
        name=sensor_name(collection),
        job=job,
        minimum_interval_seconds=max(SHORTEST_INTERVAL_S, round(collection.wait_s)),
        default_status=dg.DefaultSensorStatus.RUNNING if live else dg.DefaultSensorStatus.STOPPED,
        description="Asks for a run of the period that has news, of several the one that the server deletes first.",
    )
    def due(context: dg.SensorEvaluationContext, office: dg.ResourceParam[Office]) -> dg.SensorResult:
        return tick(context, office, collection, first)

    return due


def tick(
    context: dg.SensorEvaluationContext, office: Office, collection: Collection, first: date
) -> dg.SensorResult:
    """Look what is due, unless a run is under way or the disk is too full."""
    now = office.clock()
    for run_id in end_lost_runs(context.instance, MODE_TAG, now):
        context.log.warning(f"Live run {run_id} had no process any more and is marked as failed")
    memory = _memory(context.cursor)
    if is_under_way(context.instance, live_job_name(collection.asset)):
        return _nothing("a run is under way", memory)
    if collection.made_of is None:
        lost, memory = newly_lost(office, collection, memory, now)
        if lost:
            return _asked(lost[0], memory, "lost")
    try:
        office.archive.check_floor()
    except BelowFloor as fault:
        return _nothing(f"paused: {fault}", memory)
    due = [one for one in collection.due(office, now) if begin(one.period).date() >= first]
    if not due:
        return _nothing("nothing new on the server", memory)
    context.log.info(f"{len(due)} periods are due; {due[0].period} goes first, until {due[0].deadline}")
    return _asked(due[0].period, memory, "due")


def newly_lost(
    office: Office, collection: Collection, memory: Memory, now: datetime
) -> tuple[Sequence[str], Memory]:
    """Periods whose deadline has passed with something missing, to be told by a run of theirs, once."""
    lost: list[str] = []
    settled: list[str] = []
    for period in recent_periods(collection, now, LOOK_BACK):
        state = "complete" if period in memory.settled else _state(office, collection, period, now)
        if state == "lost" and not lost:
            lost.append(period)
        if state == "complete" or period in lost:
            settled.append(period)
    return lost, Memory(tuple(settled))


def _state(office: Office, collection: Collection, period: str, now: datetime) -> State | None:
    """How far a period is; none where nobody has looked at it."""
    summary = ledger.read_summary(office.store, collection.name, period)
    return None if summary is None else summary.state(now)


def _memory(cursor: str | None) -> Memory:
    try:
        return msgspec.json.decode(cursor or "{}", type=Memory)
    except msgspec.DecodeError:
        return Memory()


def _asked(period: str, memory: Memory, why: str) -> dg.SensorResult:
    # No run key: Dagster never launches one twice, and a period is worked on many times.
    request = dg.RunRequest(
        partition_key=period, tags={MODE_TAG: LIVE, PRIORITY_TAG: PRIORITY, "dwd/why": why}
    )
    return dg.SensorResult(run_requests=[request], cursor=msgspec.json.encode(memory).decode())


def _nothing(reason: str, memory: Memory) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=msgspec.json.encode(memory).decode())
