"""Asset checks: what green means beyond "looked at". They read the snapshots.

They are evaluated by the step that renders, not by steps of their own: in a range run Dagster 1.13 goes through
every partition there is for each such step, 0.4 CPU seconds a check at 38,000 partitions. To check a day by
hand, materialize it: where nothing waits, nothing is rendered.

A check has one verdict a run, whatever partitions the run has. Dagster keeps the partition of a check
only in runs of a single one, so the verdict names those that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import dagster as dg

from nexrad_assets import metadata
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.pipeline.upkeep import missing_objects
from store.radar.lists import listed

MOST_NAMED = 20


READABLE = "a_file_was_readable"
OBJECTS = "everything_listed_exists"


def rendered_checks(level: int) -> list[dg.AssetCheckSpec]:
    """The checks of what is rendered of a level."""
    return [
        dg.AssetCheckSpec(
            READABLE,
            asset=metadata.RENDERED[level],
            blocking=True,
            description="Where files were listed, at least one could be read.",
        ),
        dg.AssetCheckSpec(
            OBJECTS,
            asset=metadata.RENDERED[level],
            description="Every image and document that a snapshot lists is in the store.",
        ),
    ]


def evaluated(
    workshop: Workshop, level: int, instance: dg.DagsterInstance, partitions: Iterable[SiteDay]
) -> list[dg.AssetCheckResult]:
    """The verdicts on the partitions of a run."""
    partitions = tuple(partitions)
    outcomes = {one: is_readable(workshop, level, one, _outcome(instance, level, one)) for one in partitions}
    return [readable_verdict(outcomes), objects_verdict(missing_of(workshop, partitions))]


def is_readable(
    workshop: Workshop, level: int, partition: SiteDay, fetched: Mapping[str, int]
) -> bool | None:
    """Whether a scan of the day can be shown; None where there is none to read.

    `fetched` are the counts of the newest fetching: a day of which nothing could be fetched has nothing in
    its snapshot, and is no more readable than one of broken files.
    """
    all_scans = workshop.catalog.snapshot(partition.site, partition.day).scans.values()
    scans = [scan for scan in all_scans if scan.level == level]
    if any(listed(scans)):
        return True
    wanted, failed = fetched.get(metadata.WANTED, 0), fetched.get(metadata.FAILED, 0)
    return False if scans or (wanted > 0 and failed >= wanted) else None


def readable_verdict(outcomes: Mapping[SiteDay, bool | None]) -> dg.AssetCheckResult:
    """Passed where no partition was unreadable. It blocks only where none was readable.

    One site's broken radar is a warning in a run of twenty sites: it must not hold up the others.
    """
    unreadable = [partition for partition, readable in outcomes.items() if readable is False]
    some = any(readable is True for readable in outcomes.values())
    return dg.AssetCheckResult(
        check_name=READABLE,
        passed=not unreadable,
        severity=dg.AssetCheckSeverity.WARN if some else dg.AssetCheckSeverity.ERROR,
        description=f"No file was readable of {_names(unreadable)}" if unreadable else None,
        metadata={"partitions": len(outcomes), "unreadable": [partition_key(p) for p in unreadable]},
    )


def missing_of(workshop: Workshop, partitions: Iterable[SiteDay]) -> dict[SiteDay, tuple[str, ...]]:
    """The listed objects of each partition that are not stored."""

    def one(partition: SiteDay) -> tuple[SiteDay, tuple[str, ...]]:
        snapshot = workshop.catalog.snapshot(partition.site, partition.day)
        return partition, missing_objects(workshop.store, snapshot)

    with ThreadPoolExecutor(workshop.settings.downloads) as pool:
        return dict(pool.map(one, partitions))


def objects_verdict(missing: Mapping[SiteDay, tuple[str, ...]]) -> dg.AssetCheckResult:
    """Passed where nothing is missing; the first missing objects are named."""
    lacking = {partition: objects for partition, objects in missing.items() if objects}
    gone = [key for objects in lacking.values() for key in objects]
    return dg.AssetCheckResult(
        check_name=OBJECTS,
        passed=not gone,
        description=f"{len(gone)} listed objects are missing of {_names(lacking)}" if gone else None,
        metadata={"partitions": len(missing), "missing": len(gone), "first_missing": gone[:MOST_NAMED]},
    )


def _outcome(instance: dg.DagsterInstance, level: int, partition: SiteDay) -> dict[str, int]:
    """The counts that the newest fetching of a partition reported; empty where there was none."""
    newest = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=metadata.RAW[level], asset_partitions=[partition_key(partition)]),
        limit=1,
    )
    event = newest.records[0].asset_materialization if newest.records else None
    values = {name: entry.value for name, entry in event.metadata.items()} if event is not None else {}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def _names(partitions: Iterable[SiteDay]) -> str:
    return ", ".join(partition_key(partition) for partition in partitions)
