"""Sensors, one a collection: each asks for a run of the period that the server deletes first, when it has news.

A period whose run brought nothing lets the others go first: it may lack what never comes, or fail each time.

A loss is told, by a run of its period, when nothing that may still be fetched waits for its turn.

One run of a collection at a time: it has the client's connections to itself, and what is due next is known when
it has ended.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import dagster as dg
import msgspec
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import PRIORITY_TAG

from dwd_assets.archive.storing import BelowFloor
from dwd_assets.jobs import live_job_name, sensor_name
from dwd_assets.kinds.repair import begin_anew, set_aside
from dwd_assets.kinds.table import Collection, begin
from dwd_assets.kinds.unattended import begin_unattended
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.partitions import recent_periods
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import MOST_UNREAD, Due
from dwd_assets.tags import DUE, LOST, MODE_TAG, WHY_TAG
from orchestration.runs import LIVE, end_lost_runs, is_under_way
from store.dwd import ledger
from store.dwd.damaged import DamagedDocument
from store.dwd.ledger import DamagedLedger, State
from store.kinds import learned

PRIORITY = "1"
"""In Dagster's queue: before backfills, after radar volumes."""

LOOK_BACK = timedelta(days=4)
"""Periods that ended before are not looked at for what was lost."""

SHORTEST_INTERVAL_S = 15


@learned
class Memory(msgspec.Struct, frozen=True):
    """What a sensor remembers between ticks.

    settled: periods of which nothing more is to be told. asked: those that had their turn since all others had
    theirs, and how many of their files were kept then. overdue: periods that are to be told of although they are
    from before `LOOK_BACK`.
    """

    settled: tuple[str, ...] = ()
    asked: dict[str, int] = {}
    overdue: tuple[str, ...] = ()


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
    try:
        return _looked(context, office, collection, first, memory)
    except DamagedLedger as fault:
        told = set_aside(office, partial(collection.deadline, office), fault)
        context.log.warning(told)
        if collection.made_of is None and begin(fault.period).date() >= first:
            return _asked(fault.period, memory, DUE)
        return _nothing(told, memory)
    except DamagedDocument as fault:
        told = begin_anew(office, fault)
        context.log.warning(told)
        return _nothing(told, memory)


def _looked(
    context: dg.SensorEvaluationContext, office: Office, collection: Collection, first: date, memory: Memory
) -> dg.SensorResult:
    """What comes of a look at the ledgers and the server. Raises `OpendataError`, `StoreError`."""
    now = office.clock()
    lost: Sequence[str] = ()
    unread: list[str] = []
    if collection.made_of is None:
        begun = begin_unattended(office, collection, now)
        if begun:
            context.log.warning(f"Nobody looked at {', '.join(begun)} while the server had them")
        lost, memory = newly_lost(office, collection, memory, now, first, begun)
    try:
        office.archive.check_floor()
        found = collection.due(office, now, unread.append)
        due = [one for one in found if begin(one.period).date() >= first]
    except (BelowFloor, OpendataError) as fault:
        if lost:
            return _told(lost[0], memory)
        if isinstance(fault, BelowFloor):
            return _nothing(f"paused: {fault}", memory)
        raise

    for line in unread:
        context.log.error(line)

    def kept(period: str) -> int:
        return _kept(office, collection, period)

    if lost and not any(_has_turn(one, memory, kept) for one in due):
        return _told(lost[0], memory)
    if not due:
        return _nothing("; ".join((collection.idle(), *unread[:MOST_UNREAD])), memory)
    following, memory = next_turn(due, memory, kept, now)
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
        if _has_turn(one, memory, kept):
            return one, msgspec.structs.replace(memory, asked={**asked, one.period: kept(one.period)})
    return due[0], msgspec.structs.replace(memory, asked={due[0].period: kept(due[0].period)})


def newly_lost(
    office: Office,
    collection: Collection,
    memory: Memory,
    now: datetime,
    first: date,
    begun: Sequence[str] = (),
) -> tuple[Sequence[str], Memory]:
    """Periods that are given up with something missing, to be told by a run of theirs, once; of `begun` ones too.

    The memory knows which are settled, and which are not although they are from long ago.
    """
    lost: list[str] = []
    settled: list[str] = []
    recent = recent_periods(collection, now, LOOK_BACK)
    watched = sorted({*recent, *memory.overdue, *begun})
    for period in watched:
        if begin(period).date() < first:
            continue
        state = "complete" if period in memory.settled else _state(office, collection, period, now)
        if state == "complete":
            settled.append(period)
        elif state in {"lost", "unseen"}:
            lost.append(period)
    overdue = [each for each in watched if each not in recent and each not in settled]
    overdue = [each for each in overdue if begin(each).date() >= first]
    return lost, msgspec.structs.replace(memory, settled=tuple(settled), overdue=tuple(overdue))


def _has_turn(one: Due, memory: Memory, kept: Callable[[str], int]) -> bool:
    """Whether a period had no turn in this round, or has more files than then."""
    return kept(one.period) > memory.asked.get(one.period, -1)


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


def _told(period: str, memory: Memory) -> dg.SensorResult:
    """Ask for the run that tells of a loss, which is settled then."""
    settled = tuple(sorted({*memory.settled, period}))
    return _asked(period, msgspec.structs.replace(memory, settled=settled), LOST)


def _asked(period: str, memory: Memory, why: str) -> dg.SensorResult:
    # No run key: Dagster never launches one twice, and a period is worked on many times.
    request = dg.RunRequest(partition_key=period, tags={MODE_TAG: LIVE, PRIORITY_TAG: PRIORITY, WHY_TAG: why})
    return dg.SensorResult(run_requests=[request], cursor=msgspec.json.encode(memory).decode())


def _nothing(reason: str, memory: Memory) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=msgspec.json.encode(memory).decode())
