"""Rendering: every raw file that waits becomes images or vectors, and then a scan of its day's snapshot.

Any number of partitions at once, one report each. A file that cannot be read is recorded, the rest goes on; whatever
a snapshot lists is stored before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial, reduce

from nexrad_assets import scans
from nexrad_assets.levels import Level
from nexrad_assets.names import FileName
from nexrad_assets.raws import Receipt, read_receipt
from nexrad_assets.reports import Mode, Rendered, SiteDay
from nexrad_assets.scans import Recipe
from nexrad_assets.workshop import Log, Workshop
from store import flags, keys, lists
from store.objects import ObjectMissing
from store.snapshot import Origin, Scan


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
    `live`, the oldest first in mode `day`, which also makes an archive of what was live. The flags of the
    product groups that have news are raised.
    """
    waiting = {partition: tuple(_waiting(workshop, level, partition, mode)) for partition in partitions}
    order = sorted(
        (w for ws in waiting.values() for w in ws),
        key=lambda w: (w.name.time, w.key),
        reverse=mode == "live",
    )
    outcomes: dict[SiteDay, list[_Outcome]] = {partition: [] for partition in partitions}
    unpublished: dict[SiteDay, list[_Outcome]] = {partition: [] for partition in partitions}
    for done, outcome in enumerate(_render_each(workshop, level, order), start=1):
        partition = outcome.waiting.partition
        outcomes[partition].append(outcome)
        unpublished[partition].append(outcome)
        log(f"{_line(outcome)} ({done}/{len(order)})")
        if len(unpublished[partition]) >= level.together:
            _publish(workshop, partition, unpublished[partition])
    for partition in partitions:
        _publish(workshop, partition, unpublished[partition])
        _raise_flags(workshop, partition, outcomes[partition])
    number = level.number
    promoted = {
        p: workshop.catalog.keep_day(p.site, p.day, number) if mode == "day" else 0 for p in partitions
    }
    return tuple(_rendered(p, mode, len(waiting[p]), outcomes[p], promoted[p]) for p in partitions)


def _waiting(workshop: Workshop, level: Level, partition: SiteDay, mode: Mode) -> Iterator[_Waiting]:
    prefix = keys.raw_prefix(level.number, partition.site, partition.day)
    stored = {info.key for info in workshop.store.list(prefix)}
    known = scans.by_source(workshop.catalog.snapshot(partition.site, partition.day))
    for key in sorted(stored):
        name = level.parse(key.removeprefix(prefix))
        if name is None or keys.raw_receipt(key) not in stored:
            continue
        try:
            receipt = read_receipt(workshop.store, keys.raw_receipt(key))
        except ObjectMissing:
            continue
        waiting = _Waiting(partition, key, name, receipt)
        if mode == "live" and receipt.kept and not _is_recent(workshop, waiting):
            continue  # a day's run has fetched it, and will render it without holding up what is live
        if _is_due(receipt, known.get(receipt.source.key), level.recipe):
            yield waiting


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


def _publish(workshop: Workshop, partition: SiteDay, outcomes: list[_Outcome]) -> None:
    """List what is rendered in the day's snapshot, let its raw files go, and empty the list of outcomes."""
    made = [outcome.scan for outcome in outcomes if outcome.scan is not None]
    if made:
        workshop.catalog.publish(partition.site, partition.day, lambda day: reduce(scans.placed, made, day))
    if workshop.settings.raw_keep_minutes == 0:
        raws = [outcome.waiting.key for outcome in outcomes if outcome.scan is not None]
        workshop.store.delete([key for raw in raws for key in (keys.raw_receipt(raw), raw)])
    outcomes.clear()


def _raise_flags(workshop: Workshop, partition: SiteDay, outcomes: Iterable[_Outcome]) -> None:
    made = [outcome.scan for outcome in outcomes if outcome.scan is not None]
    news: dict[flags.Product, int] = {
        group: 1
        for group in flags.PRODUCTS
        if any(scan.level == lists.PRODUCTS[group] and group in scan.layers for scan in made)
    }
    if news:
        flags.merge(workshop.store, partition.site, news)


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


def _rendered(
    partition: SiteDay, mode: Mode, waiting: int, outcomes: Sequence[_Outcome], promoted: int
) -> Rendered:
    made = [outcome.scan for outcome in outcomes if outcome.scan is not None]
    shown = list(lists.listed(made))
    images = [image for scan in shown for image in scans.images(scan)]
    documents = [document for scan in shown for document in scan.documents.values()]
    newest = max(shown, key=lambda scan: (scan.start, bool(scan.layers)), default=None)
    return Rendered(
        partition=partition,
        mode=mode,
        waiting=waiting,
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
