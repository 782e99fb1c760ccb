"""Rendering: every raw file that waits becomes images or vectors, and then a scan of its day's snapshot.

Any number of partitions at once, one report each. A file that cannot be read is recorded, the rest goes on; whatever
a snapshot lists is stored before it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import Mode, Rendered, SiteDay
from nexrad_assets.levels.scans import Recipe
from nexrad_assets.levels.table import Level
from nexrad_assets.names import FileName
from nexrad_assets.pipeline.context import Log, Workshop
from nexrad_assets.pipeline.publishing import Publisher
from nexrad_assets.pipeline.raw_files import Receipt, read_receipt
from store import keys
from store.objects import ObjectMissing
from store.radar import lists
from store.radar.snapshot import Origin, Scan, SnapshotError


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A raw file that waits to be rendered."""

    partition: SiteDay
    key: str
    name: FileName
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class _Outcome:
    waiting: _Waiting
    scan: Scan | None
    """None where the raw file was gone: another run has rendered it."""
    seconds: float


def render(
    workshop: Workshop, level: Level, partitions: Sequence[SiteDay], mode: Mode, *, log: Log
) -> tuple[Rendered, ...]:
    """Render and publish every raw file of a level that waits in these partitions.

    What is done is published, a volume at once and small files some together: the newest first in mode
    `live`, the oldest first in mode `day`, which also makes an archive of what was live. Raises
    `SnapshotError` only where no partition could be dealt with; a single one that could not is reported.
    """
    waiting, faults = _all_waiting(workshop, level, partitions, mode)
    order = sorted(
        (w for ws in waiting.values() for w in ws),
        key=lambda w: (w.name.time, w.key),
        reverse=mode == "live",
    )
    outcomes: dict[SiteDay, list[_Outcome]] = {partition: [] for partition in partitions}
    left = Counter({partition: len(found) for partition, found in waiting.items()})
    publisher = Publisher(workshop, left, level, mode, log)
    for done, outcome in enumerate(_render_each(workshop, level, order), start=1):
        partition = outcome.waiting.partition
        outcomes[partition].append(outcome)
        if level.told_singly or _is_failed(outcome):
            log(f"{_line(outcome)} ({done}/{len(order)})")
        publisher.add(partition, outcome.waiting.key, outcome.scan)
    faults.update(publisher.faults)
    if faults and len(faults) == len(partitions):
        raise next(iter(faults.values()))
    return tuple(
        _faulty(p, mode, faults[p]) if p in faults else _rendered(workshop, level, p, mode, outcomes[p])
        for p in partitions
    )


def _all_waiting(
    workshop: Workshop, level: Level, partitions: Sequence[SiteDay], mode: Mode
) -> tuple[dict[SiteDay, tuple[_Waiting, ...]], dict[SiteDay, SnapshotError]]:
    """What waits in each partition, and the faults of those whose snapshot cannot be read."""
    waiting: dict[SiteDay, tuple[_Waiting, ...]] = {}
    faults: dict[SiteDay, SnapshotError] = {}
    with ThreadPoolExecutor(workshop.settings.downloads) as pool:
        for partition in partitions:
            try:
                waiting[partition] = _waiting(workshop, level, partition, mode, pool)
            except SnapshotError as fault:
                faults[partition] = fault
    return waiting, faults


def _waiting(
    workshop: Workshop, level: Level, partition: SiteDay, mode: Mode, pool: ThreadPoolExecutor
) -> tuple[_Waiting, ...]:
    prefix = keys.raw_prefix(level.number, partition.site, partition.day)
    stored = {info.key for info in workshop.store.list(prefix)}
    if not stored:
        return ()
    known = scans.by_source(workshop.catalog.snapshot(partition.site, partition.day))

    def one(key: str) -> _Waiting | None:
        name = level.parse(key.removeprefix(prefix))
        if name is None or keys.raw_receipt(key) not in stored:
            return None
        try:
            receipt = read_receipt(workshop.store, keys.raw_receipt(key))
        except ObjectMissing:
            return None
        waiting = _Waiting(partition, key, name, receipt)
        if mode == "live" and receipt.kept and not _is_recent(workshop, waiting):
            return None  # a day's run has fetched it, and will render it without holding up what is live
        return waiting if _is_due(receipt, known.get(receipt.source.key), level.recipe) else None

    return tuple(waiting for waiting in pool.map(one, sorted(stored)) if waiting is not None)


def _is_recent(workshop: Workshop, waiting: _Waiting) -> bool:
    return waiting.name.time >= workshop.clock() - timedelta(minutes=workshop.settings.list_minutes)


def _is_due(receipt: Receipt, scan: Scan | None, recipe: Recipe) -> bool:
    if scan is None or scan.published < receipt.fetched:
        return True
    return scan.fingerprint != recipe.fingerprint(receipt.source.etag, receipt.source.size)


def _render_each(workshop: Workshop, level: Level, order: Iterable[_Waiting]) -> Iterator[_Outcome]:
    one = partial(_render_one, workshop, level)
    if workshop.settings.jobs == 1:
        yield from map(one, order)
        return
    with ThreadPoolExecutor(workshop.settings.jobs) as pool:
        yield from pool.map(one, order)


def _render_one(workshop: Workshop, level: Level, waiting: _Waiting) -> _Outcome:
    """Render a file and store what it gives; what lists it comes later."""
    began = time.monotonic()
    try:
        data = workshop.store.get(waiting.key).data
    except ObjectMissing:
        return _Outcome(waiting, None, 0.0)
    receipt = waiting.receipt
    origin: Origin = "live" if not receipt.kept or _is_recent(workshop, waiting) else "backfill"
    told = scans.Provenance(receipt.source, origin, receipt.kept, workshop.clock())
    made = scans.make(data, waiting.name, told, level.recipe, workshop.geometries)
    for key, (content, media_type) in made.objects.items():
        workshop.store.put(key, content, media_type)
    return _Outcome(waiting, made.scan, time.monotonic() - began)


def _is_failed(outcome: _Outcome) -> bool:
    return outcome.scan is not None and outcome.scan.status == "failed"


def _line(outcome: _Outcome) -> str:
    scan = outcome.scan
    if scan is None:
        return f"{outcome.waiting.name.file_name}: rendered by another run"
    if scan.status == "failed":
        return f"{outcome.waiting.name.file_name}: failed: {scan.reason}"
    if scan.documents:
        told = ", ".join(f"{one.count} {name}" for name, one in scan.documents.items())
        return f"{scan.key}: {told}, {outcome.seconds:.1f} s"
    images = scans.images(scan)
    size = sum(image.size for image in images)
    lacks = f"; lacks {'; '.join(scan.missing)}" if scan.missing else ""
    return f"{scan.key}: {len(images)} images, {size:,} bytes, {outcome.seconds:.1f} s{lacks}"


def _faulty(partition: SiteDay, mode: Mode, fault: SnapshotError) -> Rendered:
    return Rendered(partition, mode, failed={"snapshot": str(fault)})


def _rendered(
    workshop: Workshop, level: Level, partition: SiteDay, mode: Mode, outcomes: Sequence[_Outcome]
) -> Rendered:
    promoted = 0
    if mode == "day":
        promoted = workshop.catalog.keep_day(partition.site, partition.day, level.number)
    made = [outcome.scan for outcome in outcomes if outcome.scan is not None]
    shown = list(lists.listed(made))
    images = [image for scan in shown for image in scans.images(scan)]
    documents = [document for scan in shown for document in scan.documents.values()]
    newest = max(shown, key=lambda scan: (scan.start, bool(scan.layers)), default=None)
    return Rendered(
        partition=partition,
        mode=mode,
        waiting=len(outcomes),
        rendered=len(shown),
        images=len(images),
        documents=len(documents),
        bytes_written=sum(image.size for image in images) + sum(document.size for document in documents),
        failed={scan.source.key: scan.reason or "" for scan in made if scan.status == "failed"},
        partial={scan.key: "; ".join(scan.missing) for scan in made if scan.status == "partial"},
        promoted=promoted,
        newest=None if newest is None else newest.start,
        newest_image=None if newest is None else scans.lowest_image(newest),
        seconds=round(sum(outcome.seconds for outcome in outcomes), 3),
    )
