"""Fetching: which files of a day are wanted and not rendered yet, and getting them into the store.

Any number of partitions at once, one report each. A file that cannot be fetched is recorded, and the rest goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import Collected, Mode, SiteDay
from nexrad_assets.levels.scans import Recipe
from nexrad_assets.levels.table import Level
from nexrad_assets.pipeline import live_window
from nexrad_assets.pipeline.context import Log, Workshop
from nexrad_assets.pipeline.raw_files import Receipt, put_receipt, raw_key, read_receipt
from nexrad_assets.sources.source import RemoteFile, SourceError, fetch_all
from store import keys
from store.objects import ObjectMissing
from store.radar.snapshot import Scan, SnapshotError, SourceFile

MOST_AT_ONCE = 200
"""Files of a site that a live run fetches, the newest: after an outage the first images come soon, the rest later."""

TOLD_EVERY = 100
"""Of many small files not each one is logged."""


@dataclass(slots=True)
class _Plan:
    """What a listing and a snapshot leave to fetch."""

    partition: SiteDay
    mode: Mode
    selection: live_window.Selection
    listed: int
    known: int
    to_fetch: tuple[RemoteFile, ...]
    fetched: int = 0
    bytes_fetched: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def report(self) -> Collected:
        return Collected(
            partition=self.partition,
            mode=self.mode,
            listed=self.listed,
            wanted=len(self.selection.wanted),
            known=self.known,
            stored=self.fetched,
            failed=self.failed,
            quarantined=tuple(file.name.file_name for file in self.selection.quarantined),
            bytes_fetched=self.bytes_fetched,
            seconds=round(self.seconds, 3),
        )


def collect(
    workshop: Workshop,
    level: Level,
    partitions: Sequence[SiteDay],
    mode: Mode,
    *,
    log: Log,
    force: bool = False,
) -> tuple[Collected, ...]:
    """Fetch the raw files of a level that are not rendered yet from these very bytes by these settings.

    Raises `SourceError` only where no partition could be listed; a single one that could not is
    reported as failed.
    """
    if mode == "day":
        for partition in partitions:  # before anything of the day expires while the rest is fetched
            workshop.catalog.keep_day(partition.site, partition.day, level.number)
    plans, unlisted = _plan_all(workshop, level, partitions, mode, force, log)
    if unlisted and not plans:
        raise next(iter(unlisted.values()))
    _fetch(workshop, level, plans, log, force)
    failed = {
        partition: Collected(partition, mode, failed={"listing": str(fault)})
        for partition, fault in unlisted.items()
    }
    done = {partition: plan.report() for partition, plan in plans.items()}
    return tuple(done.get(partition) or failed[partition] for partition in partitions)


def _plan_all(
    workshop: Workshop, level: Level, partitions: Sequence[SiteDay], mode: Mode, force: bool, log: Log
) -> tuple[dict[SiteDay, _Plan], dict[SiteDay, SourceError | SnapshotError]]:
    plans: dict[SiteDay, _Plan] = {}
    unlisted: dict[SiteDay, SourceError | SnapshotError] = {}

    def one(partition: SiteDay) -> None:
        try:
            plan = plans[partition] = _plan(workshop, level, partition, mode, force)
            log(
                f"{partition.site} {partition.day}: {plan.listed} {level.files} listed, "
                f"{len(plan.to_fetch)} to fetch"
            )
        except (SourceError, SnapshotError) as fault:
            unlisted[partition] = fault
            log(f"{partition.site} {partition.day}: not listed: {fault}")

    with ThreadPoolExecutor(workshop.settings.downloads) as pool:
        list(pool.map(one, partitions))
    return plans, unlisted


def _plan(workshop: Workshop, level: Level, partition: SiteDay, mode: Mode, force: bool) -> _Plan:
    began = time.monotonic()
    catalog, now = workshop.catalog, workshop.clock()
    newest_live = catalog.head(partition.site).newest_live(level.number)
    window = timedelta(minutes=workshop.settings.list_minutes)
    since = live_window.listed_since(now, newest_live, window) if mode == "live" else None
    files = level.source.list_day(partition.site, partition.day, since, archive=mode == "day")
    selection = live_window.select(files, mode, now=now, newest_live=newest_live, window=window)
    known = scans.by_source(catalog.snapshot(partition.site, partition.day))
    news = tuple(file for file in selection.wanted if force or not _is_known(file, known, level.recipe))
    return _Plan(
        partition=partition,
        mode=mode,
        selection=selection,
        listed=len(files),
        known=len(selection.wanted) - len(news),
        to_fetch=news[-MOST_AT_ONCE:] if mode == "live" else news,
        seconds=time.monotonic() - began,
    )


def _is_known(file: RemoteFile, known: Mapping[str, Scan], recipe: Recipe) -> bool:
    scan = known.get(file.key)
    return scan is not None and scan.fingerprint == recipe.fingerprint(file.etag, file.size)


def _fetch(workshop: Workshop, level: Level, plans: Mapping[SiteDay, _Plan], log: Log, force: bool) -> None:
    """Fetch what all plans want and put it into the store, through one bounded pool."""
    began = time.monotonic()
    planned = {file: plan for plan in plans.values() for file in plan.to_fetch}
    there = set() if force else _already_fetched(workshop, level, planned)
    for file in there:
        planned[file].fetched += 1
    wanted = {file: plan for file, plan in planned.items() if file not in there}
    settings = workshop.settings
    for done, got in enumerate(
        fetch_all(
            level.source,
            wanted,
            concurrency=settings.downloads,
            size_limit_bytes=settings.max_volume_bytes,
            keep=lambda file, data: _keep_raw(workshop, level, wanted[file], file, data),
        ),
        start=1,
    ):
        plan, name = wanted[got.file], got.file.name.file_name
        plan.seconds = time.monotonic() - began
        if got.error is not None:
            plan.failed[name] = str(got.error)
            log(f"{name}: not fetched: {got.error}")
            continue
        plan.fetched += 1
        plan.bytes_fetched += got.file.size
        if level.told_singly:
            log(f"{name}: fetched {got.file.size:,} bytes")
        elif done % TOLD_EVERY == 0 or done == len(wanted):
            log(f"{done} of {len(wanted)} {level.files} fetched")


def _already_fetched(
    workshop: Workshop, level: Level, planned: Mapping[RemoteFile, _Plan]
) -> set[RemoteFile]:
    """The files that wait in the store already, by these very bytes."""
    with ThreadPoolExecutor(workshop.settings.downloads) as pool:
        known = pool.map(lambda file: _is_fetched(workshop, level, planned[file], file), planned)
        return {file for file, is_there in zip(planned, known, strict=True) if is_there}


def _is_fetched(workshop: Workshop, level: Level, plan: _Plan, file: RemoteFile) -> bool:
    key = raw_key(level.number, plan.partition, file.name.file_name)
    try:
        receipt = read_receipt(workshop.store, keys.raw_receipt(key))
        if receipt.source.etag != file.etag or workshop.store.head(key).size != file.size:
            return False
    except ObjectMissing:
        return False
    if plan.mode == "day" and not receipt.kept:
        put_receipt(workshop.store, key, msgspec.structs.replace(receipt, kept=True))
    return True


def _keep_raw(workshop: Workshop, level: Level, plan: _Plan, file: RemoteFile, data: bytes) -> None:
    key = raw_key(level.number, plan.partition, file.name.file_name)
    source = SourceFile(file.key, file.etag, file.size, file.modified)
    workshop.store.put(key, data)
    put_receipt(workshop.store, key, Receipt(source, workshop.clock(), kept=plan.mode == "day"))
