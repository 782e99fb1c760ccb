"""Sensors, one a collection: each asks for a run of the period that the server deletes first, when it has news.

A period whose run brought nothing lets the others go first: it may lack what never comes, or fail each time.

One run of a collection at a time: it has the client's connections to itself, and what is due next is known when
it has ended.
"""

from collections.abc import Callable, Sequence
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
from dwd_assets.progress import Due
from dwd_assets.runs import DUE, LOST, MODE_TAG, WHY_TAG
from orchestration.runs import LIVE, end_lost_runs, is_under_way
from store import ledger
from store.ledger import State

PRIORITY = "1"
"""In Dagster's queue: before backfills, after radar volumes."""

LOOK_BACK = timedelta(days=4)
"""Periods that ended before are not looked at for what was lost."""

SHORTEST_INTERVAL_S = 15


class Memory(msgspec.Struct, frozen=True):
    """What a sensor remembers between ticks.

    settled: periods of which nothing more is to be told. asked: those that had their turn since all others had
    theirs, and how many of their files were kept then.
    """

    settled: tuple[str, ...] = ()
    asked: dict[str, int] = {}


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
        lost, memory = newly_lost(office, collection, memory, now, first)
        if lost:
            return _asked(lost[0], memory, LOST)
    try:
        office.archive.check_floor()
    except BelowFloor as fault:
        return _nothing(f"paused: {fault}", memory)
    due = [one for one in collection.due(office, now) if begin(one.period).date() >= first]
    if not due:
        return _nothing("nothing new on the server", memory)
    following, memory = next_turn(due, memory, lambda period: _kept(office, collection, period), now)
    context.log.info(f"{len(due)} periods are due; {following.period} goes first, until {following.deadline}")
    return _asked(following.period, memory, DUE)


def next_turn(
    due: Sequence[Due], memory: Memory, kept: Callable[[str], int], now: datetime
) -> tuple[Due, Memory]:
    """Of what is due, the first that had no turn in this round or has more files than then, or else all begin anew.

    `kept` tells how many files a period has.
    """
    asked = {period: files for period, files in memory.asked.items() if begin(period) >= now - LOOK_BACK}
    for one in due:
        files = kept(one.period)
        if files > asked.get(one.period, -1):
            return one, msgspec.structs.replace(memory, asked={**asked, one.period: files})
    return due[0], msgspec.structs.replace(memory, asked={due[0].period: kept(due[0].period)})


def newly_lost(
    office: Office, collection: Collection, memory: Memory, now: datetime, first: date
) -> tuple[Sequence[str], Memory]:
    """Periods whose deadline has passed with something missing, to be told by a run of theirs, once."""
    lost: list[str] = []
    settled: list[str] = []
    for period in recent_periods(collection, now, LOOK_BACK):
        if begin(period).date() < first:
            continue
        state = "complete" if period in memory.settled else _state(office, collection, period, now)
        if state == "lost" and not lost:
            lost.append(period)
        if state == "complete" or period in lost:
            settled.append(period)
    return lost, msgspec.structs.replace(memory, settled=tuple(settled))


def _kept(office: Office, collection: Collection, period: str) -> int:
    """How many files of a period are kept."""
    summary = ledger.read_summary(office.store, collection.name, period)
    return 0 if summary is None else summary.kept


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
    request = dg.RunRequest(partition_key=period, tags={MODE_TAG: LIVE, PRIORITY_TAG: PRIORITY, WHY_TAG: why})
    return dg.SensorResult(run_requests=[request], cursor=msgspec.json.encode(memory).decode())


def _nothing(reason: str, memory: Memory) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=msgspec.json.encode(memory).decode())
