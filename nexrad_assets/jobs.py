"""Jobs: the live run of each level's assets, and the upkeep that no partition owns."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from nexrad_assets import metadata
from nexrad_assets.pipeline import bucket_check, upkeep
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.tags import MODE_TAG
from orchestration.runs import UPKEEP, prune_routine_runs
from store.radar.lists import LEVELS
from store.s3 import S3Store

LOOK_BACK = timedelta(hours=3)
"""What the hourly reconciling looks at: the days changed within this."""

KEEP_ROUTINE_RUNS = timedelta(days=1)

UPKEEP_TAGS = {MODE_TAG: UPKEEP}


class ReconcileConfig(dg.Config):
    """How much to reconcile."""

    whole: bool = Field(
        default=False, description="Look at every day, not at the recently changed ones alone."
    )


LIVE_JOBS = {
    level: dg.define_asset_job(
        f"nexrad_live_level{level}",
        selection=dg.AssetSelection.assets(metadata.RAW[level], metadata.RENDERED[level], metadata.SCAN_LIST),
        description=f"Fetches, renders and lists the Level {level} files of the run's days and sites.",
    )
    for level in LEVELS
}
"""The live sensors launch them; a person may for any partitions, and then for whole days."""


@dg.op
def let_go(context: dg.OpExecutionContext, workshop: dg.ResourceParam[Workshop]) -> None:
    """Remove live scans, raw files and archived days that the settings keep no longer."""
    done = upkeep.retain(workshop, sites_of(workshop), log=context.log.info)
    context.add_output_metadata(
        {
            "sites": len(done),
            "scans_removed": sum(one.scans_removed for one in done),
            "objects_removed": sum(one.objects_removed for one in done),
            "raws_removed": sum(one.raws_removed for one in done),
            "days_removed": sum(one.days_removed for one in done),
        }
    )


@dg.op
def make_agree(
    context: dg.OpExecutionContext, config: ReconcileConfig, workshop: dg.ResourceParam[Workshop]
) -> None:
    """Make objects, snapshots, heads and the head index agree."""
    since = None if config.whole else workshop.clock() - LOOK_BACK
    done = upkeep.reconcile(workshop, sites_of(workshop), log=context.log.info, since=since)
    missing = [image for one in done for image in one.missing]
    for image in missing:
        context.log.warning(f"{image}: listed, but not in the store")
    context.add_output_metadata(
        {
            "sites": len(done),
            "orphans_removed": sum(one.orphans_removed for one in done),
            "heads_mended": sum(one.head_mended for one in done),
            "missing": len(missing),
        }
    )


@dg.op
def forget_routine_runs(context: dg.OpExecutionContext) -> None:
    """Delete finished live and upkeep runs older than a day from Dagster's own storage."""
    pruned = prune_routine_runs(context.instance, MODE_TAG, datetime.now(UTC) - KEEP_ROUTINE_RUNS)
    context.log.info(f"{pruned} finished routine runs forgotten")
    context.add_output_metadata({"runs": pruned})


@dg.op
def try_bucket(context: dg.OpExecutionContext, workshop: dg.ResourceParam[Workshop]) -> None:
    """Try the store's conditional writes, and look at the settings of its bucket if it is one."""
    store = workshop.store
    ignored = bucket_check.ignored_conditions(store)
    advice: tuple[str, ...] = ()
    if isinstance(store, S3Store):
        from dagster_aws.s3 import S3Resource  # noqa: PLC0415 - brings boto3, which no other run needs

        endpoint = workshop.settings.store_endpoint
        advice = bucket_check.advice(S3Resource(endpoint_url=endpoint).get_client(), store.bucket)
    for words in advice:
        context.log.warning(words)
    context.add_output_metadata({"ignored_conditions": list(ignored), "advice": list(advice)})
    if ignored:
        raise dg.Failure(
            f"The store ignores {'; '.join(ignored)}: updates would be lost", allow_retries=False
        )


@dg.job(name="nexrad_check_bucket", description="Tells whether the store's bucket is fit for it.")
def check_bucket_job() -> None:
    """One look at the store; by hand, when it is set up."""
    try_bucket()


@dg.job(name="nexrad_retention", description="Lets go what the settings keep no longer.", tags=UPKEEP_TAGS)
def retention_job() -> None:
    """One pass of retention over all sites."""
    let_go()


@dg.job(name="nexrad_reconcile", description="Makes images, snapshots, heads, index agree.", tags=UPKEEP_TAGS)
def reconcile_job() -> None:
    """One reconciliation of all sites."""
    make_agree()


@dg.job(name="nexrad_prune_runs", description="Forgets finished routine runs.", tags=UPKEEP_TAGS)
def prune_runs_job() -> None:
    """One pass over Dagster's own storage."""
    forget_routine_runs()


def sites_of(workshop: Workshop) -> tuple[str, ...]:
    """The sites of the settings, and those that only the store knows still."""
    return tuple(sorted({*workshop.settings.sites, *workshop.catalog.index().sites}))
