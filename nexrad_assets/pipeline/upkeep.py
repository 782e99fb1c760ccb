"""Upkeep of what is stored: copies of lists for people, retention, reconciling store and snapshots."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TypeVar

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import Listed, Reconciled, Retained, SiteDay
from nexrad_assets.pipeline import live_window
from nexrad_assets.pipeline.context import Log, Workshop
from nexrad_assets.pipeline.raw_files import read_receipt
from nexrad_assets.radar.level3.products import MENUS
from store import keys
from store.objects import ObjectInfo, ObjectMissing, Store, StoreError
from store.posix import PosixStore
from store.radar import lists
from store.radar.snapshot import Head, Scan, Snapshot, SnapshotError

Report = TypeVar("Report", Retained, Reconciled)

UNFINISHED = timedelta(hours=1)
"""An object that no snapshot lists may be of a scan about to be published, but not for this long."""

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
    store.put(keys.options_copy(site), _json(lists.options(shown, MENUS)), "application/json")
    return Listed(partition, len(shown), shown[-1].start if shown else None)


def _recent_scans(workshop: Workshop, site: str) -> Iterator[Scan]:
    for day in lists.window_days(
        workshop.catalog.head(site), workshop.clock(), workshop.settings.list_minutes
    ):
        yield from workshop.catalog.snapshot(site, day).scans.values()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def retain(workshop: Workshop, sites: Iterable[str], log: Log) -> tuple[Retained, ...]:
    """Let go what the settings keep no longer: live scans, raw files, archived days.

    A site that cannot be dealt with does not hold up the others: its fault is raised at the end.
    """
    return _each_site(sites, lambda site: _retain_site(workshop, site, log), log)


def _each_site(sites: Iterable[str], work: Callable[[str], Report], log: Log) -> tuple[Report, ...]:
    done: list[Report] = []
    faults: list[StoreError | SnapshotError] = []
    for site in sites:
        try:
            done.append(work(site))
        except (StoreError, SnapshotError) as fault:
            faults.append(fault)
            log(f"{site}: {fault}")
    if faults:
        raise faults[0]
    return tuple(done)


def _retain_site(workshop: Workshop, site: str, log: Log) -> Retained:
    now = workshop.clock()
    head = workshop.catalog.head(site)
    newest = ((level, head.newest_live(level)) for level in lists.LEVELS)
    references = {level: min(stamp, now) for level, stamp in newest if stamp is not None}
    scans_removed, objects_removed = _drop_expired(workshop, head, references)
    result = Retained(
        site=site,
        references=references,
        scans_removed=scans_removed,
        objects_removed=objects_removed,
        raws_removed=sum(_drop_raws(workshop, level, site, now) for level in lists.LEVELS),
        days_removed=_drop_old_archive(workshop, head, now),
    )
    if scans_removed or result.days_removed or result.raws_removed:
        log(
            f"{site}: let go {scans_removed} scans with {objects_removed} objects, "
            f"{result.raws_removed} raw files, {result.days_removed} archived days"
        )
    return result


def _drop_expired(workshop: Workshop, head: Head, references: Mapping[int, datetime]) -> tuple[int, int]:
    """Take out what each level keeps no longer, reckoned from its own newest live scan."""
    keep = timedelta(minutes=workshop.settings.keep_minutes)

    def goes(scan: Scan) -> bool:
        reference = references.get(scan.level)
        return reference is not None and live_window.expired(scan, reference, keep)

    days = {day for level in references for day, one in head.of_level(level).items() if one.expiring}
    gone = [_take_out(workshop, head.site, day, goes) for day in sorted(days)]
    return sum(one[0] for one in gone), sum(one[1] for one in gone)


def _take_out(workshop: Workshop, site: str, day: date, goes: Callable[[Scan], bool]) -> tuple[int, int]:
    """Take scans out of a day, then delete their objects; gives how many of both."""
    gone: dict[str, Scan] = {}

    def kept(scans_of_day: dict[str, Scan]) -> dict[str, Scan]:
        gone.clear()
        gone.update({key: scan for key, scan in scans_of_day.items() if goes(scan)})
        return {key: scan for key, scan in scans_of_day.items() if key not in gone}

    workshop.catalog.publish(site, day, kept)
    return len(gone), _delete_unlisted(
        workshop, site, day, [k for s in gone.values() for k in scans.object_keys(s)]
    )


def _delete_unlisted(workshop: Workshop, site: str, day: date, objects: Collection[str]) -> int:
    """Delete objects, but for those that the day lists now: another run may have published them again."""
    if not objects:
        return 0
    listed = _listed_objects(workshop.catalog.snapshot(site, day))
    unlisted = [key for key in objects if key not in listed]
    workshop.store.delete(unlisted)
    return len(unlisted)


def _drop_old_archive(workshop: Workshop, head: Head, now: datetime) -> int:
    """End the archive of days past their time: what was live is live again, and the rest goes."""
    keep_days = workshop.settings.archive_keep_days
    if keep_days is None:
        return 0
    last = now.date() - timedelta(days=keep_days)
    dropped = 0
    for day in (date.fromisoformat(name) for name in head.days):
        before = workshop.catalog.snapshot(head.site, day) if day < last else None
        if before is None or not any(scan.kept for scan in before.scans.values()):
            continue
        after = workshop.catalog.publish(head.site, day, scans.without_archive)
        _delete_unlisted(workshop, head.site, day, _listed_objects(before) - _listed_objects(after))
        dropped += 1
    return dropped


def remove_day(workshop: Workshop, site: str, day: date) -> tuple[int, int]:
    """Remove a day of a site, archived or live; gives how many scans and objects went."""
    return _take_out(workshop, site, day, lambda _scan: True)


def _drop_raws(workshop: Workshop, level: int, site: str, now: datetime) -> int:
    listed = workshop.store.list(keys.raw_site_prefix(level, site))
    raws = sorted((info for info in listed if not keys.is_receipt(info.key)), key=lambda info: info.key)
    old: list[str] = []
    for (_, day), of_day in groupby(raws, key=lambda info: keys.raw_site_day(info.key)):
        old += _old_raws(workshop, site, day, tuple(of_day), now)
    workshop.store.delete([key for raw in old for key in (keys.raw_receipt(raw), raw)])
    return len(old)


def _old_raws(
    workshop: Workshop, site: str, day: date, raws: Sequence[ObjectInfo], now: datetime
) -> Iterator[str]:
    """The raw files of a day that have served: rendered, or never going to be, and kept long enough."""
    keep = timedelta(minutes=workshop.settings.raw_keep_minutes)
    known = scans.by_source(workshop.catalog.snapshot(site, day))
    for info in raws:
        is_given_up = now - info.modified > max(UNRENDERED, keep)
        if is_given_up or _has_served(workshop.store, info.key, known, now - keep):
            yield info.key


def _has_served(store: Store, raw_key: str, known: Mapping[str, Scan], before: datetime) -> bool:
    """Whether a raw file is rendered, and was fetched before a time."""
    try:
        receipt = read_receipt(store, keys.raw_receipt(raw_key))
    except ObjectMissing:
        return False
    scan = known.get(receipt.source.key)
    return scan is not None and scan.published >= receipt.fetched and receipt.fetched < before


def reconcile(
    workshop: Workshop, sites: Iterable[str], log: Log, since: datetime | None = None
) -> tuple[Reconciled, ...]:
    """Make store, snapshots, heads and index agree, after kills and by-hand deletions.

    Objects that no snapshot lists are removed once they are old enough to be no one's work; scans of which a
    listed object is gone are listed no more and due to be made again; heads and index lines that lag are mended.
    With `since`, only the days changed after it are looked at; without, also what killed writers left is removed.
    A site that cannot be dealt with does not hold up the others: its fault is raised at the end.
    """
    if since is None and isinstance(workshop.store, PosixStore):
        workshop.store.sweep_unfinished(UNFINISHED.total_seconds())
    return _each_site(sites, lambda site: _reconcile_site(workshop, site, log, since), log)


def _reconcile_site(workshop: Workshop, site: str, log: Log, since: datetime | None) -> Reconciled:
    catalog = workshop.catalog
    mended = catalog.mend(site, since)
    orphans = 0
    missing: list[str] = []
    for day in _days_to_reconcile(workshop, site, since):
        stored = _stored(workshop.store, site, day)
        orphans += _delete_orphans(workshop, site, day, stored.values())
        missing += _give_up_lost(workshop, site, day, stored)
    if mended or orphans or missing:
        log(
            f"{site}: {orphans} unlisted objects removed, {len(missing)} listed ones missing, "
            f"head {'mended' if mended else 'whole'}"
        )
    return Reconciled(site, orphans, tuple(sorted(missing)), mended)


def _days_to_reconcile(workshop: Workshop, site: str, since: datetime | None) -> list[date]:
    """The days with a snapshot or objects; with `since`, those changed or begun after it."""
    days = set(workshop.catalog.days(site, since))
    if since is None:
        prefixes = (keys.images_site_prefix(level, site) for level in lists.LEVELS)
        folders = (keys.image_day(info.key) for prefix in prefixes for info in workshop.store.list(prefix))
        return sorted(days | {day for day, _ in groupby(folders) if day is not None})
    today = workshop.clock().date()
    return sorted(days | {since.date() + timedelta(days=n) for n in range((today - since.date()).days + 1)})


def _delete_orphans(workshop: Workshop, site: str, day: date, stored: Iterable[ObjectInfo]) -> int:
    oldest = workshop.clock() - UNFINISHED
    return _delete_unlisted(workshop, site, day, [info.key for info in stored if info.modified < oldest])


def _give_up_lost(workshop: Workshop, site: str, day: date, stored: Collection[str]) -> list[str]:
    """List no more what has lost an object, so that it is made again; gives the lost objects."""
    snapshot = workshop.catalog.snapshot(site, day)
    # Looked at again one by one: a scan may have been published since the objects were listed.
    lost = [
        key for key in _listed_objects(snapshot) if key not in stored and not _exists(workshop.store, key)
    ]
    if lost:
        workshop.catalog.publish(
            site, day, lambda scans_of_day: scans.to_be_made_again(scans_of_day, set(lost))
        )
    return lost


def _exists(store: Store, key: str) -> bool:
    try:
        store.head(key)
    except ObjectMissing:
        return False
    return True


def _listed_objects(snapshot: Snapshot) -> set[str]:
    return {key for scan in snapshot.scans.values() for key in scans.object_keys(scan)}


def missing_objects(store: Store, snapshot: Snapshot) -> tuple[str, ...]:
    """The objects that a snapshot lists and the store does not have."""
    stored = _stored(store, snapshot.site, snapshot.day)
    return tuple(sorted(_listed_objects(snapshot) - stored.keys()))


def _stored(store: Store, site: str, day: date) -> dict[str, ObjectInfo]:
    """What is stored of the scans of a day, by key."""
    prefixes = (keys.images_prefix(level, site, day) for level in lists.LEVELS)
    return {info.key: info for prefix in prefixes for info in store.list(prefix)}
