"""Rendering: every raw volume that waits becomes images, and then a scan of its day's snapshot.

Any number of partitions at once, one report each. A file that cannot be read is recorded, the rest goes on; an image
is stored before the snapshot that lists it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from nexrad_assets import scans
from nexrad_assets.names import parse_volume_name
from nexrad_assets.raws import Receipt, read_receipt
from nexrad_assets.reports import Mode, Rendered, SiteDay
from nexrad_assets.scans import LEVEL, Recipe
from nexrad_assets.workshop import Log, Workshop
from store import keys
from store.objects import ObjectMissing
from store.snapshot import Origin, Scan


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A raw file that waits to be rendered."""

    partition: SiteDay
    key: str
    receipt: Receipt

    @property
    def file_name(self) -> str:
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class _Outcome:
    waiting: _Waiting
    scan: Scan | None
    """None where the raw file was gone: another run has rendered it."""
    seconds: float


def render(
    workshop: Workshop, partitions: Sequence[SiteDay], mode: Mode, *, log: Log
) -> tuple[Rendered, ...]:
    """Render and publish every raw volume that waits in these partitions.

    Volumes are published one by one as they are done: the newest first in mode `live`, the oldest first in
    mode `day`, which also makes an archive of what was live.
    """
    waiting = {partition: tuple(_waiting(workshop, partition, mode)) for partition in partitions}
    order = sorted(
        (w for ws in waiting.values() for w in ws), key=lambda w: w.file_name[4:], reverse=mode == "live"
    )
    outcomes: dict[SiteDay, list[_Outcome]] = {partition: [] for partition in partitions}
    for done, outcome in enumerate(_render_each(workshop, order), start=1):
        outcomes[outcome.waiting.partition].append(outcome)
        log(f"{_line(outcome)} ({done}/{len(order)})")
    promoted = {p: workshop.catalog.keep_day(p.site, p.day) if mode == "day" else 0 for p in partitions}
    return tuple(_rendered(p, mode, len(waiting[p]), outcomes[p], promoted[p]) for p in partitions)


def _waiting(workshop: Workshop, partition: SiteDay, mode: Mode) -> Iterator[_Waiting]:
    prefix = keys.raw_prefix(LEVEL, partition.site, partition.day)
    stored = {info.key for info in workshop.store.list(prefix)}
    known = scans.by_source(workshop.catalog.snapshot(partition.site, partition.day))
    for key in sorted(stored):
        if keys.raw_receipt(key) not in stored:
            continue
        try:
            receipt = read_receipt(workshop.store, keys.raw_receipt(key))
        except ObjectMissing:
            continue
        waiting = _Waiting(partition, key, receipt)
        if mode == "live" and receipt.kept and not _is_recent(workshop, waiting):
            continue  # a day's run has fetched it, and will render it without holding up what is live
        if _is_due(receipt, known.get(receipt.source.key), workshop.recipe):
            yield waiting


def _is_recent(workshop: Workshop, waiting: _Waiting) -> bool:
    name = parse_volume_name(waiting.file_name)
    window = timedelta(minutes=workshop.settings.list_minutes)
    return name is not None and name.time >= workshop.clock() - window


def _is_due(receipt: Receipt, scan: Scan | None, recipe: Recipe) -> bool:
    if scan is None or scan.published < receipt.fetched:
        return True
    return scan.fingerprint != recipe.fingerprint(receipt.source.etag, receipt.source.size)


def _render_each(workshop: Workshop, order: Iterable[_Waiting]) -> Iterator[_Outcome]:
    if workshop.settings.jobs == 1:
        yield from (_render_one(workshop, waiting) for waiting in order)
        return
    with ThreadPoolExecutor(workshop.settings.jobs) as pool:
        yield from pool.map(lambda waiting: _render_one(workshop, waiting), order)


def _render_one(workshop: Workshop, waiting: _Waiting) -> _Outcome:
    began = time.monotonic()
    try:
        data = workshop.store.get(waiting.key).data
    except ObjectMissing:
        return _Outcome(waiting, None, 0.0)
    receipt = waiting.receipt
    origin: Origin = "live" if not receipt.kept or _is_recent(workshop, waiting) else "backfill"
    told = scans.Provenance(receipt.source, origin, receipt.kept, workshop.clock())
    made = scans.make(data, waiting.file_name, told, workshop.recipe, workshop.geometries)
    for key, png in made.images.items():
        workshop.store.put(key, png, "image/png")
    scan = made.scan
    workshop.catalog.publish(
        waiting.partition.site, waiting.partition.day, lambda day: scans.placed(day, scan)
    )
    if workshop.settings.raw_keep_minutes == 0:
        workshop.store.delete([keys.raw_receipt(waiting.key), waiting.key])
    return _Outcome(waiting, scan, time.monotonic() - began)


def _line(outcome: _Outcome) -> str:
    scan = outcome.scan
    if scan is None:
        return f"{outcome.waiting.file_name}: rendered by another run"
    if scan.status == "failed":
        return f"{outcome.waiting.file_name}: failed: {scan.reason}"
    images = scans.images(scan)
    size = sum(image.size for image in images)
    lacks = f"; lacks {'; '.join(scan.missing)}" if scan.missing else ""
    return f"{scan.key}: {len(images)} images, {size:,} bytes, {outcome.seconds:.1f} s{lacks}"


def _rendered(
    partition: SiteDay, mode: Mode, waiting: int, outcomes: Sequence[_Outcome], promoted: int
) -> Rendered:
    made = [outcome.scan for outcome in outcomes if outcome.scan is not None]
    shown = [scan for scan in made if scan.layers]
    images = [image for scan in shown for image in scans.images(scan)]
    newest = max(shown, key=lambda scan: scan.start, default=None)
    return Rendered(
        partition=partition,
        mode=mode,
        waiting=waiting,
        rendered=len(shown),
        images=len(images),
        bytes_written=sum(image.size for image in images),
        failed={scan.source.key: scan.reason or "" for scan in made if scan.status == "failed"},
        partial={scan.key: "; ".join(scan.missing) for scan in made if scan.status == "partial"},
        promoted=promoted,
        newest=None if newest is None else newest.start,
        newest_image=None if newest is None else scans.lowest_image(newest),
        seconds=round(sum(outcome.seconds for outcome in outcomes), 3),
    )
