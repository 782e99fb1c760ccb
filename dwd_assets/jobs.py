"""Jobs: the live run of each collection, and the upkeep that no partition owns."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dwd_assets.assets import tell_without_run, translated
from dwd_assets.kinds.reconciling import reconcile
from dwd_assets.kinds.table import Collection, field_asset
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import MOST_UNREAD
from dwd_assets.tags import LOST, MODE_TAG, WHY_TAG
from orchestration.runs import UPKEEP, prune_routine_runs

KEEP_ROUTINE_RUNS = timedelta(days=1)
KEEP_RUNS_OF_LOSSES = timedelta(days=30)

UPKEEP_TAGS = {MODE_TAG: UPKEEP}


def live_job(asset: str) -> UnresolvedAssetJobDefinition:
    """The job of one asset; the sensor launches it for the period that is due, a person for any."""
    return dg.define_asset_job(
        live_job_name(asset),
        selection=dg.AssetSelection.assets(asset),
        description=f"One pass over a period of {asset}: fetches what is there, verifies and keeps it.",
    )


def live_job_name(asset: str) -> str:
    """The name of an asset's live job."""
    return f"dwd_live_{asset}"


def sensor_name(collection: Collection) -> str:
    """The name of a collection's sensor."""
    return f"dwd_due_{collection.asset}"


@dg.op
def compare_with_the_server(context: dg.OpExecutionContext, office: dg.ResourceParam[Office]) -> None:
    """Fetch fields that nobody expected, and those that were replaced after they were kept."""
    with translated(context.retry_number):
        reconciled = reconcile(office, office.telling(context.log.info))
    done = reconciled.done
    for one in done:
        asset = dg.AssetKey(field_asset(one.summary.collection))
        tell_without_run(context.instance, asset, office, one)
    context.add_output_metadata(
        {
            "runs": len(done),
            "fetched": sum(one.fetched for one in done),
            "changed": sum(one.changed for one in done),
            "failed": sum(len(one.failed) for one in done),
            "not_read": len(reconciled.faults),
        }
    )
    faults = (*reconciled.faults, *(fault for one in done for fault in one.faults))
    if faults:
        raise dg.Failure("; ".join(faults[:MOST_UNREAD]), allow_retries=False)


@dg.job(
    name="dwd_reconcile",
    description="Compares the ledger with the server's table of contents, and fetches what differs.",
    tags=UPKEEP_TAGS,
)
def reconcile_job() -> None:
    """One comparison of all models."""
    compare_with_the_server()


def _tells_of_loss(record: dg.RunRecord, now: datetime) -> bool:
    """Whether a run says that something is lost, which without it would not be seen of its partition any more."""
    return (
        record.dagster_run.tags.get(WHY_TAG) == LOST and now - record.create_timestamp < KEEP_RUNS_OF_LOSSES
    )


@dg.op
def forget_routine_runs_of_dwd(context: dg.OpExecutionContext) -> None:
    """Delete finished live and upkeep runs older than a day from Dagster's own storage; of losses, than a month."""
    now = datetime.now(UTC)
    pruned = prune_routine_runs(
        context.instance, MODE_TAG, now - KEEP_ROUTINE_RUNS, lambda record: _tells_of_loss(record, now)
    )
    context.log.info(f"{pruned} finished routine runs forgotten")
    context.add_output_metadata({"runs": pruned})


@dg.job(name="dwd_prune_runs", description="Forgets finished routine runs.", tags=UPKEEP_TAGS)
def prune_runs_job() -> None:
    """One pass over Dagster's own storage."""
    forget_routine_runs_of_dwd()
