"""Assets, one a collection, partitioned by its periods: green is whole, red is lost, grey is not whole yet.

A partition is materialized when everything that was expected of it is kept. Until then a run leaves an observation
with the numbers, and checks that warn; where the server has no more of what is missing, the run fails. What the server
was never seen to have remains a warning.
"""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg

from dwd_assets import checks, metadata
from dwd_assets.archive.storing import BelowFloor
from dwd_assets.kinds import repair
from dwd_assets.kinds.table import Collection
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import Done
from orchestration.runs import signs_of_life
from store.dwd import ledger
from store.objects import StoreError, StoreUnavailable

# A beta of some years by now; unfiltered, every start of a process prints it three times.
warnings.filterwarnings("ignore", message=".*`backfill_policy`", category=dg.BetaWarning)

POOL = "dwd_fetch"
GROUP = "dwd"

RETRIES = 3
FIRST_WAIT_S = 5.0

ONE_RUN_A_PARTITION = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

Outcome = dg.MaterializeResult | dg.AssetCheckResult  # type: ignore[type-arg]  # Dagster takes the bare class alone


def archive_asset(
    collection: Collection, partitions: dg.TimeWindowPartitionsDefinition
) -> dg.AssetsDefinition:
    """The asset of a collection."""
    asset = dg.AssetKey(collection.asset)

    @dg.asset(
        key=asset,
        partitions_def=partitions,
        backfill_policy=ONE_RUN_A_PARTITION,
        pool=POOL,
        group_name=GROUP,
        description=collection.description,
        deps=[] if collection.made_of is None else [collection.made_of],
        output_required=False,
        check_specs=checks.specs(asset),
    )
    def archived(context: dg.AssetExecutionContext, office: dg.ResourceParam[Office]) -> Iterator[Outcome]:
        period = context.partition_key
        with translated(context.retry_number), signs_of_life(context.log.info):
            own, *others = repair.archive(office, collection, period, office.telling(context.log.info))
            for other in others:
                tell_without_run(context.instance, asset, office, other)
            told = metadata.of_pass(own, ledger.read(office.store, collection.name, period), office.clock())
        yield from outcome(context, collection, own, told, office.clock())

    return archived


def outcome(
    context: dg.AssetExecutionContext,
    collection: Collection,
    done: Done,
    told: metadata.Metadata,
    now: datetime,
) -> Iterator[Outcome]:
    """What a pass means for its partition. Raises `dagster.Failure` where something is lost."""
    asset = dg.AssetKey(collection.asset)
    period, state = done.summary.period, done.summary.state(now)
    verdicts = checks.verdicts(asset, done.summary, now)
    if state == "complete":
        yield dg.MaterializeResult(asset_key=asset, metadata=told, check_results=verdicts)
        return
    context.log_event(dg.AssetObservation(asset_key=asset, partition=period, metadata=told))
    yield from verdicts
    if state == "lost" and collection.made_of is None:
        raise dg.Failure(
            f"{period}: {done.summary.missing} of {done.summary.expected} files are missing, and the server "
            "deletes what it has of them",
            metadata=told,
            allow_retries=False,
        )


@contextmanager
def translated(retry_number: int) -> Iterator[None]:
    """Let Dagster try again what the network may mend, and nothing else."""
    try:
        yield
    except BelowFloor as fault:
        raise dg.Failure(description=str(fault), allow_retries=False) from fault
    except (OpendataError, StoreUnavailable) as fault:
        wait_s = FIRST_WAIT_S * 2**retry_number * random.uniform(0.5, 1.5)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=wait_s) from fault
    except (StoreError, ValueError) as fault:
        raise dg.Failure(description=str(fault), allow_retries=False) from fault


def tell_without_run(instance: dg.DagsterInstance, asset: dg.AssetKey, office: Office, done: Done) -> None:
    """Materialize a period that a pass worked on beside its own, where it is whole now and was not before."""
    period, now = done.summary.period, office.clock()
    if done.summary.state(now) != "complete":
        return
    known = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[period]), limit=1
    )
    if known.records and not done.fetched:
        return
    told = metadata.of_pass(done, ledger.read(office.store, done.summary.collection, period), now)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key=asset, partition=period, metadata=told)
    )
