"""Upkeep of what is stored: copies of lists for people, retention, reconciling store and snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial

from nexrad_assets import live, scans
from nexrad_assets.pipeline import LEVEL, Log, Workshop, read_receipt
from nexrad_assets.reports import Listed, Reconciled, Retained, SiteDay
from store import keys, lists
from store.objects import ObjectInfo, ObjectMissing, Store
from store.snapshot import Scan, Snapshot

UNFINISHED = timedelta(hours=1)
"""An image that no snapshot lists may be of a scan about to be published, but not for this long."""

UNRENDERED = timedelta(days=1)
"""A raw file that was never rendered is let go after this."""


def write_lists(workshop: Workshop, partitions: Sequence[SiteDay], log: Log) -> tuple[Listed, ...]:
    """Write the copies of lists and options of each partition's site, once a site."""
    written: dict[str, Listed] = {}
    for partition in partitions:
        if partition.site not in written:
            written[partition.site] = _write_site_lists(workshop, partition)
            log(f"{partition.site}: {written[partition.site].scans} scans in the live window")
    return tuple(
        Listed(partition, written[partition.site].scans, written[partition.site].newest)
        for partition in partitions
    )


def _write_site_lists(workshop: Workshop, partition: SiteDay) -> Listed:
    site, store = partition.site, workshop.store
    shown = lists.window(_recent_scans(workshop, site), workshop.clock(), workshop.settings.list_minutes)
    for product, listed in lists.all_lists(shown).items():
        store.put(keys.list_copy(site, product), _json(listed), "application/json")
    store.put(keys.options_copy(site), _json(lists.options(shown)), "application/json")
    return Listed(partition, len(shown), shown[-1].start if shown else None)


def _recent_scans(workshop: Workshop, site: str) -> Iterator[Scan]:
    for day in lists.window_days(
        workshop.catalog.head(site), workshop.clock(), workshop.settings.list_minutes
    ):
        yield from workshop.catalog.snapshot(site, day).scans.values()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def retain(workshop: Workshop, sites: Iterable[str], log: Log) -> tuple[Retained, ...]:
    """Let go what the settings keep no longer: live scans, raw files, archived days."""
    return tuple(_retain_site(workshop, site, log) for site in sites)


def _retain_site(workshop: Workshop, site: str, log: Log) -> Retained:
    catalog, now = workshop.catalog, workshop.clock()
    days_with_live = [date.fromisoformat(name) for name, day in catalog.head(site).days.items() if day.live]
    snapshots = [catalog.snapshot(site, day) for day in days_with_live]
    reference = live.newest_live(snapshots, now)
    removed = [scan for snapshot in snapshots for scan in _let_go(workshop, snapshot, reference)]
    images = [key for scan in removed for key in scans.image_keys(scan)]
    workshop.store.delete(images)
    days = _drop_old_archive(workshop, site, now)
    result = Retained(
        site=site,
        reference=reference,
        scans_removed=len(removed),
        images_removed=len(images),
        raws_removed=_drop_raws(workshop, site, now),
        days_removed=days,
    )
    if removed or days or result.raws_removed:
        log(
            f"{site}: let go {result.scans_removed} scans with {result.images_removed} images, "
            f"{result.raws_removed} raw files, {days} archived days"
        )
    return result


def _let_go(workshop: Workshop, snapshot: Snapshot, reference: datetime | None) -> list[Scan]:
    """Take the expired scans out of a snapshot; gives them, so that their images can follow."""
    if reference is None:
        return []
    keep = timedelta(minutes=workshop.settings.keep_minutes)
    is_expired = partial(live.expired, reference=reference, keep=keep)
    gone: dict[str, Scan] = {}

    def kept(day: dict[str, Scan]) -> dict[str, Scan]:
        gone.clear()
        gone.update({key: scan for key, scan in day.items() if is_expired(scan)})
        return {key: scan for key, scan in day.items() if key not in gone}

    if any(is_expired(scan) for scan in snapshot.scans.values()):
        workshop.catalog.publish(snapshot.site, snapshot.day, kept)
    return list(gone.values())


def _drop_old_archive(workshop: Workshop, site: str, now: datetime) -> int:
    keep_days = workshop.settings.archive_keep_days
    if keep_days is None:
        return 0
    old = [day for day in workshop.catalog.days(site) if day < now.date() - timedelta(days=keep_days)]
    for day in old:
        remove_day(workshop, site, day)
    return len(old)


def remove_day(workshop: Workshop, site: str, day: date) -> int:
    """Remove a whole day of a site, archived or live: catalogue first, then images; tells how many images."""
    workshop.catalog.forget_day(site, day)
    images = [info.key for info in workshop.store.list(keys.images_prefix(LEVEL, site, day))]
    workshop.store.delete(images)
    return len(images)


def _drop_raws(workshop: Workshop, site: str, now: datetime) -> int:
    old: list[str] = []
    for info in workshop.store.list(keys.raw_site_prefix(LEVEL, site)):
        if keys.is_receipt(info.key):
            continue
        receipt = keys.raw_receipt(info.key)
        if _raw_is_old(workshop, info, receipt, now):
            old += [receipt, info.key]
    workshop.store.delete(old)
    return len(old) // 2


def _raw_is_old(workshop: Workshop, info: ObjectInfo, receipt_key: str, now: datetime) -> bool:
    if now - info.modified > UNRENDERED and now - info.modified > _raw_keep(workshop):
        return True
    try:
        receipt = read_receipt(workshop.store, receipt_key)
    except ObjectMissing:
        return False
    site, day = keys.raw_site_day(info.key)
    known = scans.by_source(workshop.catalog.snapshot(site, day)).get(receipt.source.key)
    rendered = known is not None and known.published >= receipt.fetched
    return rendered and now - receipt.fetched > _raw_keep(workshop)


def _raw_keep(workshop: Workshop) -> timedelta:
    return timedelta(minutes=workshop.settings.raw_keep_minutes)


def reconcile(
    workshop: Workshop, sites: Iterable[str], log: Log, since: datetime | None = None
) -> tuple[Reconciled, ...]:
    """Make store, snapshots, heads and index agree, after kills and by-hand deletions.

    Images that no snapshot lists are removed once they are old enough to be no one's work; listed
    images that are gone are named; heads and index lines that lag are mended. With `since`, only the days
    whose snapshot or images changed after it are looked at.
    """
    return tuple(_reconcile_site(workshop, site, log, since) for site in sites)


def _reconcile_site(workshop: Workshop, site: str, log: Log, since: datetime | None) -> Reconciled:
    mended = workshop.catalog.mend(site, since)
    orphans: list[str] = []
    missing: list[str] = []
    for day, images in _images_by_day(workshop.store, site).items():
        if since is None or any(info.modified >= since for info in images):
            listed = _listed_images(workshop.catalog.snapshot(site, day))
            oldest = workshop.clock() - UNFINISHED
            orphans += [info.key for info in images if info.key not in listed and info.modified < oldest]
    for day in workshop.catalog.days(site, since):
        missing += missing_images(workshop.store, workshop.catalog.snapshot(site, day))
    workshop.store.delete(orphans)
    if mended or orphans or missing:
        log(
            f"{site}: {len(orphans)} unlisted images removed, {len(missing)} listed images missing, "
            f"head {'mended' if mended else 'whole'}"
        )
    return Reconciled(site, len(orphans), tuple(sorted(missing)), mended)


def _images_by_day(store: Store, site: str) -> dict[date, list[ObjectInfo]]:
    prefix = keys.images_site_prefix(LEVEL, site)
    days: dict[date, list[ObjectInfo]] = {}
    for info in store.list(prefix):
        days.setdefault(keys.day_of(info.key.removeprefix(prefix)[:8]), []).append(info)
    return days


def _listed_images(snapshot: Snapshot) -> set[str]:
    return {key for scan in snapshot.scans.values() for key in scans.image_keys(scan)}


def missing_images(store: Store, snapshot: Snapshot) -> tuple[str, ...]:
    """The images that a snapshot lists and the store does not have."""
    prefix = keys.images_prefix(LEVEL, snapshot.site, snapshot.day)
    stored = {info.key for info in store.list(prefix)}
    return tuple(sorted(_listed_images(snapshot) - stored))
