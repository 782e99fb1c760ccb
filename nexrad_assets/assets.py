"""Assets by day and site: of each level the raw files and what is rendered of them, and the scan lists.

Each is a thin wrapper: it hands the partitions of its run to the work, and the reports of the work to
Dagster. A run may have one partition, or a range of a day's sites.
"""

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from nexrad_assets import checks, metadata
from nexrad_assets.levels.results import Collected, Listed, Mode, Rendered, SiteDay
from nexrad_assets.partitions import partition_key, site_days
from nexrad_assets.pipeline import upkeep
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.sources.source import SourceError, SourceUnavailable
from nexrad_assets.tags import MODE_TAG
from orchestration.runs import LIVE
from store.objects import StoreError, StoreUnavailable
from store.radar.snapshot import SnapshotError

# A beta of some years by now; unfiltered, every start of a process prints it three times.
warnings.filterwarnings("ignore", message=".*`backfill_policy`", category=dg.BetaWarning)

FETCH_POOL = "nexrad_fetch"
RENDER_POOL = "nexrad_render"

RETRIES = 3
FIRST_WAIT_S = 5.0

ONE_RUN_A_PARTITION = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)

HOPELESS = (SourceError, StoreError, SnapshotError, ValueError)
"""Faults that the same run would meet again."""


DESCRIPTIONS = {
    2: (
        "Raw Level 2 volumes, fetched whole where they are not rendered yet.",
        "Every tilt as a georeferenced palette PNG, and the snapshot that lists them.",
    ),
    3: (
        "Raw Level 3 files of the followed products, fetched where they are not rendered yet.",
        "Every product as a georeferenced palette PNG or as GeoJSON, and the snapshot that lists them.",
    ),
}
"""What Dagster says of a level's raw files, and of what is made of them."""


class FetchConfig(dg.Config):
    """How to fetch."""

    force: bool = Field(default=False, description="Fetch and render again what is there already.")


def level_assets(level: int, partitions: dg.MultiPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The assets of one level over these days and sites: its files, and what is rendered of them."""
    of_files, of_rendered = DESCRIPTIONS[level]

    @dg.asset(
        key=metadata.RAW[level],
        partitions_def=partitions,
        backfill_policy=ONE_RUN_A_PARTITION,
        pool=FETCH_POOL,
        group_name=f"nexrad_level{level}",
        description=of_files,
    )
    def files(
        context: dg.AssetExecutionContext, config: FetchConfig, workshop: dg.ResourceParam[Workshop]
    ) -> None:
        with translated(context.retry_number):
            reports = collect(
                workshop,
                workshop.levels[level],
                _partitions(context),
                mode_of(context),
                force=config.force,
                log=context.log.info,
            )
        for report in reports:
            _tell(context, report, metadata.of_collected(report))
        context.log.info(_fetched_in_all(reports))

    @dg.asset(
        key=metadata.RENDERED[level],
        deps=[metadata.RAW[level]],
        partitions_def=partitions,
        backfill_policy=ONE_RUN_A_PARTITION,
        pool=RENDER_POOL,
        check_specs=checks.rendered_checks(level),
        group_name=f"nexrad_level{level}",
        description=of_rendered,
    )
    def rendered(
        context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster takes the bare class alone
        partitions = _partitions(context)
        with translated(context.retry_number):
            reports = render(
                workshop, workshop.levels[level], partitions, mode_of(context), log=context.log.info
            )
            verdicts = checks.evaluated(workshop, level, context.instance, partitions)
        now, api_url = workshop.clock(), workshop.settings.api_url
        for report in reports:
            _tell(context, report, metadata.of_rendered(report, workshop.store, now, api_url))
        context.log.info(_rendered_in_all(reports))
        return dg.MaterializeResult(check_results=verdicts)

    return [files, rendered]


def scan_list_asset(partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of the copies of lists, which follow what is rendered of any level."""

    @dg.asset(
        key=metadata.SCAN_LIST,
        deps=list(metadata.RENDERED.values()),
        partitions_def=partitions,
        backfill_policy=ONE_RUN_A_PARTITION,
        group_name="nexrad_lists",
        description="Copies of each site's scan lists and options, for people who read the store.",
    )
    def nexrad_scan_list(context: dg.AssetExecutionContext, workshop: dg.ResourceParam[Workshop]) -> None:
        with translated(context.retry_number):
            reports = upkeep.write_lists(workshop, _partitions(context), log=context.log.info)
        for report in reports:
            _tell(context, report, metadata.of_listed(report, workshop.clock()))

    return nexrad_scan_list


def mode_of(context: dg.AssetExecutionContext) -> Mode:
    """What the run handles: the live window where its tags say so, else whole days."""
    return "live" if context.run.tags.get(MODE_TAG) == LIVE else "day"


@contextmanager
def translated(retry_number: int) -> Iterator[None]:
    """Let Dagster try again what the network may mend, and nothing else.

    Not a retry policy: that would also sleep and repeat over a fault of the program or the settings.
    """
    try:
        yield
    except (SourceUnavailable, StoreUnavailable) as fault:
        wait_s = FIRST_WAIT_S * 2**retry_number * random.uniform(0.5, 1.5)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=wait_s) from fault
    except HOPELESS as fault:
        raise dg.Failure(description=str(fault), allow_retries=False) from fault


def _partitions(context: dg.AssetExecutionContext) -> tuple[SiteDay, ...]:
    return site_days(context.partition_keys)


def _tell(
    context: dg.AssetExecutionContext, report: Collected | Rendered | Listed, shown: metadata.Metadata
) -> None:
    context.add_asset_metadata(shown, partition_key=partition_key(report.partition))


def _fetched_in_all(reports: Sequence[Collected]) -> str:
    return (
        f"{len(reports)} partitions: {sum(r.listed for r in reports)} files listed, "
        f"{sum(r.wanted for r in reports)} wanted, {sum(r.known for r in reports)} known, "
        f"{sum(r.stored for r in reports)} stored ({sum(r.bytes_fetched for r in reports):,} bytes), "
        f"{sum(len(r.failed) for r in reports)} failed"
    )


def _rendered_in_all(reports: Sequence[Rendered]) -> str:
    return (
        f"{len(reports)} partitions: {sum(r.rendered for r in reports)} of "
        f"{sum(r.waiting for r in reports)} files rendered to {sum(r.images for r in reports)} images "
        f"and {sum(r.documents for r in reports)} documents "
        f"({sum(r.bytes_written for r in reports):,} bytes), {sum(len(r.failed) for r in reports)} failed"
    )
