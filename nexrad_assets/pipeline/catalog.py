"""The catalogue: snapshots, heads and the head index, changed by compare-and-swap in that order.

A change of a day is first in its snapshot, then in the site's head, then in the index that readers watch. A
kill in between leaves the later ones behind, never ahead; the next change or `mend` brings them up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TypeVar

import msgspec

from store import keys
from store.cas import update
from store.objects import ObjectMissing, Store
from store.radar.lists import LEVELS, listed
from store.radar.snapshot import (
    DayHead,
    Head,
    HeadIndex,
    LevelHead,
    Scan,
    SiteHead,
    Snapshot,
    SnapshotError,
    decode,
    encode,
    next_revision,
    ordered,
)

Scans = dict[str, Scan]
T = TypeVar("T", Snapshot, Head, HeadIndex)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The catalogue in a store; `clock` gives the time that revisions are made of."""

    store: Store
    clock: Callable[[], datetime]

    def snapshot(self, site: str, day: date) -> Snapshot:
        """The snapshot of a site and day; an empty one of revision 0 where there is none."""
        return self._read(keys.snapshot(site, day), Snapshot) or Snapshot(site, day, 0)

    def head(self, site: str) -> Head:
        """The head of a site; an empty one of revision 0 where there is none."""
        return self._read(keys.head(site), Head) or Head(site, 0)

    def index(self) -> HeadIndex:
        """The head index of all sites."""
        return self._read(keys.HEAD_INDEX, HeadIndex) or HeadIndex()

    def days(self, site: str, since: datetime | None = None) -> tuple[date, ...]:
        """The days that a site has a snapshot of (changed since then), by looking at what is stored."""
        prefix = keys.snapshot_prefix(site)
        named = (
            keys.parsed_day(info.key.removeprefix(prefix).removesuffix(".json"))
            for info in self.store.list(prefix)
            if since is None or info.modified >= since
        )
        return tuple(day for day in named if day is not None)

    def publish(self, site: str, day: date, change: Callable[[Scans], Scans]) -> Snapshot:
        """Change the scans of a day. `change` may be called again if another writer came first.

        The objects of every scan must be stored before. Returns the snapshot as it is afterwards;
        nothing is written where `change` changes nothing.
        """
        result = Snapshot(site, day, 0)
        key = keys.snapshot(site, day)

        def replaced(data: bytes | None) -> bytes | None:
            nonlocal result
            before = decode(data, Snapshot, key) if data is not None else Snapshot(site, day, 0)
            scans = ordered(change(dict(before.scans)))
            if scans == before.scans:
                result = before
                return None
            result = Snapshot(site, day, next_revision(before.revision, self.clock()), scans)
            return encode(result)

        if update(self.store, key, replaced) is not None:
            self._announce(site, {day: result})
        return result

    def keep_day(self, site: str, day: date, level: int) -> int:
        """Make archive of what a day has of a level; tells how many scans would have expired."""
        scans = self.snapshot(site, day).scans.values()
        expiring = sum(scan.level == level and not scan.kept for scan in scans)
        if expiring:
            self.publish(site, day, partial(_all_kept, level=level))
        return expiring

    def mend(self, site: str, since: datetime | None = None) -> bool:
        """Make a site's head and index line agree with its snapshots; tells whether they did not.

        With `since`, only the snapshots changed after it are read. A head or index that cannot be read is made
        anew; a snapshot is the truth, and never is.
        """
        index_dropped = self._drop_unreadable(keys.HEAD_INDEX, HeadIndex)
        if self._drop_unreadable(keys.head(site), Head) or index_dropped:
            since = None
        before = self.head(site)
        stored = {day.isoformat() for day in self.days(site)}
        changes: dict[date, Snapshot | None] = {
            date.fromisoformat(name): None for name in before.days if name not in stored
        }
        for day in self.days(site, since):
            snapshot = self.snapshot(site, day)
            if before.days.get(day.isoformat()) != (day_head(snapshot) if snapshot.scans else None):
                changes[day] = snapshot
        line = self.index().sites.get(site)
        lags = before.revision > 0 and (line is None or line.revision < before.revision)
        if changes or lags:
            self._announce(site, changes)
        return bool(changes) or lags

    def _announce(self, site: str, changes: Mapping[date, Snapshot | None]) -> None:
        head = self._update_head(site, changes)
        self._update_index(head)

    def _update_head(self, site: str, changes: Mapping[date, Snapshot | None]) -> Head:
        key = keys.head(site)
        result = Head(site, 0)

        def replaced(data: bytes | None) -> bytes:
            nonlocal result
            before = decode(data, Head, key) if data is not None else Head(site, 0)
            result = self._merged(before, changes)
            return encode(result)

        update(self.store, key, replaced)
        return result

    def _merged(self, head: Head, changes: Mapping[date, Snapshot | None]) -> Head:
        days = dict(head.days)
        for day, snapshot in changes.items():
            name = day.isoformat()
            known = days.get(name)
            if snapshot is None:
                days.pop(name, None)
            elif known is not None and known.revision > snapshot.revision:
                continue
            elif snapshot.scans:
                days[name] = day_head(snapshot)
            else:
                days.pop(name, None)
        return Head(
            site=head.site,
            revision=next_revision(head.revision, self.clock()),
            days=dict(sorted(days.items())),
        )

    def _update_index(self, head: Head) -> None:
        def replaced(data: bytes | None) -> bytes | None:
            index = decode(data, HeadIndex, keys.HEAD_INDEX) if data is not None else HeadIndex()
            known = index.sites.get(head.site)
            if known is not None and known.revision >= head.revision:
                return None
            line = SiteHead(head.revision, head.newest_of_levels())
            return encode(HeadIndex(dict(sorted({**index.sites, head.site: line}.items()))))

        update(self.store, keys.HEAD_INDEX, replaced)

    def _drop_unreadable(self, key: str, kind: type[T]) -> bool:
        try:
            self._read(key, kind)
        except SnapshotError:
            self.store.delete([key])
            return True
        return False

    def _read(self, key: str, kind: type[T]) -> T | None:
        try:
            return decode(self.store.get(key).data, kind, key)
        except ObjectMissing:
            return None


def _all_kept(scans: Scans, level: int) -> Scans:
    return {
        key: msgspec.structs.replace(scan, kept=True) if scan.level == level else scan
        for key, scan in scans.items()
    }


def day_head(snapshot: Snapshot) -> DayHead:
    """What a head says of a snapshot."""
    by_level = ((n, [scan for scan in snapshot.scans.values() if scan.level == n]) for n in LEVELS)
    return DayHead(snapshot.revision, {level: _level_head(scans) for level, scans in by_level if scans})


def _level_head(scans: Sequence[Scan]) -> LevelHead:
    shown = tuple(listed(scans))
    live = [scan.start for scan in shown if scan.origin == "live"]
    return LevelHead(
        scans=len(shown),
        expiring=sum(not scan.kept for scan in scans),
        newest=max((scan.start for scan in shown), default=None),
        newest_live=max(live, default=None),
    )
