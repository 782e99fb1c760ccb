"""The work itself, without Dagster: fetch, render, publish.

Each step does one thing for any number of partitions and gives one report a partition. A bad file is recorded
and the rest goes on; an image is stored before the snapshot that lists it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec

from nexrad_assets import live, scans
from nexrad_assets.catalog import Catalog
from nexrad_assets.names import parse_volume_name
from nexrad_assets.radar.geometry import GeometryCache
from nexrad_assets.radar.products import PRODUCTS
from nexrad_assets.reports import Collected, Mode, Rendered, SiteDay
from nexrad_assets.scans import Recipe
from nexrad_assets.settings import NexradSettings
from nexrad_assets.source import Level2Source, SourceError, SourceVolume, fetch_all, open_source
from store import keys
from store.location import open_store
from store.objects import ObjectMissing, Store
from store.snapshot import Origin, Scan, SnapshotError, SourceFile

Log = Callable[[str], None]

LEVEL = 2


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the work needs: settings, where to read and to write, the clock, the kept geometries."""

    settings: NexradSettings
    store: Store
    source: Level2Source
    clock: Callable[[], datetime] = utc_now
    geometries: GeometryCache = field(default_factory=GeometryCache)

    @property
    def catalog(self) -> Catalog:
        """The catalogue in the store."""
        return Catalog(self.store, self.clock)

    @property
    def recipe(self) -> Recipe:
        """How images are made, as the settings say."""
        return recipe(self.settings)


def open_workshop(settings: NexradSettings, clock: Callable[[], datetime] = utc_now) -> Workshop:
    """Open store and source as the settings name them."""
    return Workshop(
        settings=settings,
        store=open_store(settings.store, settings.store_endpoint),
        source=open_source(settings.source, settings.source_endpoint, settings.source_signed),
        clock=clock,
        geometries=GeometryCache(settings.geometry_cache, settings.geometry_cache_bytes),
    )


def recipe(settings: NexradSettings) -> Recipe:
    """The recipe that the settings ask for."""
    products = (
        replace(
            PRODUCTS[name],
            colours=settings.colours or PRODUCTS[name].colours,
            value_range=settings.value_range or PRODUCTS[name].value_range,
        )
        for name in settings.products
    )
    return Recipe(tuple(products), settings.image_size)


class Receipt(msgspec.Struct, frozen=True):
    """What is known of a fetched raw file: its source, when it was fetched, and whether for keeps.

    A live run may render what a day's run has fetched: the receipt, not the run, says what becomes of it.
    """

    source: SourceFile
    fetched: datetime
    kept: bool = False


@dataclass(slots=True)
class _Plan:
    """What a listing and a snapshot leave to fetch."""

    partition: SiteDay
    mode: Mode
    selection: live.Selection
    listed: int
    to_fetch: tuple[SourceVolume, ...]
    fetched: int = 0
    bytes_fetched: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def report(self, known: int) -> Collected:
        return Collected(
            partition=self.partition,
            mode=self.mode,
            listed=self.listed,
            wanted=len(self.selection.wanted),
            known=known,
            stored=self.fetched,
            failed=self.failed,
            quarantined=tuple(volume.name.file_name for volume in self.selection.quarantined),
            bytes_fetched=self.bytes_fetched,
            seconds=round(self.seconds, 3),
        )


def collect(
    workshop: Workshop, partitions: Sequence[SiteDay], mode: Mode, *, log: Log, force: bool = False
) -> tuple[Collected, ...]:
    """Fetch the raw volumes that are not rendered yet from these very bytes by these settings.

    Raises `SourceError` only where no partition could be listed; a single one that could not is
    reported as failed.
    """
    if mode == "day":
        for partition in partitions:  # before anything of the day expires while the rest is fetched
            _keep(workshop.catalog, partition)
    plans, unlisted = _plan_all(workshop, partitions, mode, force, log)
    if unlisted and not plans:
        raise next(iter(unlisted.values()))
    _fetch(workshop, plans, log, force)
    failed = {
        partition: Collected(partition, mode, failed={"listing": str(fault)})
        for partition, fault in unlisted.items()
    }
    done = {
        partition: plan.report(known=len(plan.selection.wanted) - len(plan.to_fetch))
        for partition, plan in plans.items()
    }
    return tuple(done.get(partition) or failed[partition] for partition in partitions)


def _plan_all(
    workshop: Workshop, partitions: Sequence[SiteDay], mode: Mode, force: bool, log: Log
) -> tuple[dict[SiteDay, _Plan], dict[SiteDay, SourceError | SnapshotError]]:
    plans: dict[SiteDay, _Plan] = {}
    unlisted: dict[SiteDay, SourceError | SnapshotError] = {}

    def one(partition: SiteDay) -> None:
        try:
            plan = plans[partition] = _plan(workshop, partition, mode, force)
            log(
                f"{partition.site} {partition.day}: {plan.listed} volumes listed, {len(plan.to_fetch)} to fetch"
            )
        except (SourceError, SnapshotError) as fault:
            unlisted[partition] = fault
            log(f"{partition.site} {partition.day}: not listed: {fault}")

    with ThreadPoolExecutor(workshop.settings.downloads) as pool:
        list(pool.map(one, partitions))
    return plans, unlisted


def _plan(workshop: Workshop, partition: SiteDay, mode: Mode, force: bool) -> _Plan:
    began = time.monotonic()
    volumes = workshop.source.list_day(partition.site, partition.day)
    catalog = workshop.catalog
    selection = live.select(
        volumes,
        mode,
        now=workshop.clock(),
        newest_live=catalog.head(partition.site).newest_live,
        window=timedelta(minutes=workshop.settings.list_minutes),
    )
    known = scans.by_source(catalog.snapshot(partition.site, partition.day))
    wanted = tuple(v for v in selection.wanted if force or not _is_known(v, known, workshop.recipe))
    return _Plan(partition, mode, selection, len(volumes), wanted, seconds=time.monotonic() - began)


def _is_known(volume: SourceVolume, known: Mapping[str, Scan], recipe: Recipe) -> bool:
    scan = known.get(volume.key)
    return scan is not None and scan.fingerprint == recipe.fingerprint(volume.etag, volume.size)


def _fetch(workshop: Workshop, plans: Mapping[SiteDay, _Plan], log: Log, force: bool) -> None:
    """Fetch what all plans want, through one bounded pool."""
    began = time.monotonic()
    wanted: dict[SourceVolume, _Plan] = {}
    for plan in plans.values():
        for volume in plan.to_fetch:
            if not force and _is_fetched(workshop, plan, volume):
                plan.fetched += 1
            else:
                wanted[volume] = plan
    settings = workshop.settings
    for got in fetch_all(
        workshop.source, wanted, concurrency=settings.downloads, size_limit_bytes=settings.max_volume_bytes
    ):
        plan, name = wanted[got.volume], got.volume.name.file_name
        if got.data is None:
            plan.failed[name] = str(got.error)
            log(f"{name}: not fetched: {got.error}")
            continue
        _keep_raw(workshop, plan, got.volume, got.data)
        plan.fetched += 1
        plan.bytes_fetched += len(got.data)
        log(f"{name}: fetched {len(got.data):,} bytes")
        plan.seconds = time.monotonic() - began


def _raw_key(partition: SiteDay, file_name: str) -> str:
    return keys.raw(LEVEL, partition.site, partition.day, file_name)


def _is_fetched(workshop: Workshop, plan: _Plan, volume: SourceVolume) -> bool:
    key = _raw_key(plan.partition, volume.name.file_name)
    try:
        receipt = read_receipt(workshop.store, keys.raw_receipt(key))
        if receipt.source.etag != volume.etag or workshop.store.head(key).size != volume.size:
            return False
    except ObjectMissing:
        return False
    if plan.mode == "day" and not receipt.kept:
        _put_receipt(workshop.store, key, msgspec.structs.replace(receipt, kept=True))
    return True


def _keep_raw(workshop: Workshop, plan: _Plan, volume: SourceVolume, data: bytes) -> None:
    key = _raw_key(plan.partition, volume.name.file_name)
    source = SourceFile(volume.key, volume.etag, volume.size, volume.modified)
    workshop.store.put(key, data)
    _put_receipt(workshop.store, key, Receipt(source, workshop.clock(), kept=plan.mode == "day"))


def _put_receipt(store: Store, raw_key: str, receipt: Receipt) -> None:
    store.put(keys.raw_receipt(raw_key), msgspec.json.encode(receipt), "application/json")


def read_receipt(store: Store, key: str) -> Receipt:
    """Read what is known of a raw file. Raises `ObjectMissing`."""
    return msgspec.json.decode(store.get(key).data, type=Receipt)


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
    promoted = {p: _keep(workshop.catalog, p) if mode == "day" else 0 for p in partitions}
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


def _keep(catalog: Catalog, partition: SiteDay) -> int:
    """Make archive of what a day has; tells how many scans would have expired."""
    before = catalog.snapshot(partition.site, partition.day)
    expiring = sum(not scan.kept for scan in before.scans.values())
    if expiring:
        catalog.publish(partition.site, partition.day, scans.as_archive)
    return expiring


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
