"""What there is to tell as events: new scans, and how far the periods of the DWD archive are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.events.streaming import Broadcaster, Event
from api.replies.errors import ApiError
from api.state.catalog import FAULTS, Catalog, Clock
from api.state.listing import Listing
from api.v1.dwd.archive import Archive, Entry
from store.dwd.ledger import Summary
from store.objects import StoreError
from store.radar.snapshot import HeadIndex

log = logging.getLogger(__name__)

KEYS_TOLD = 50
"""New keys that an event names, the newest: who missed more reads the lists."""

PERIODS_TOLD = 50
ARCHIVE_POLL_S = 10.0

LEVELS = (2, 3)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was told of a site: the newest scan of each level, and when each listed scan was published.

    `scans` is none of a site that nobody asks for: its scans are not read.
    """

    newest: Mapping[int, datetime]
    scans: Mapping[str, datetime] | None


class ScanFeed:
    """Tells what changed between two looks at the catalog. Called in the watcher's thread."""

    def __init__(self, catalog: Catalog, broadcaster: Broadcaster) -> None:
        self._catalog = catalog
        self._broadcaster = broadcaster
        self._seen: dict[str, _Seen] | None = None

    def look(self) -> None:
        """Tell what is new since the last look; at the first one, nothing."""
        index = self._catalog.index
        if index is None:
            return
        for site in self._broadcaster.sites & index.sites.keys():
            self._follow(site)
        before, self._seen = self._seen, {site: self._now(site, index) for site in index.sites}
        if before is not None:
            self._broadcaster.tell(self._changes(before))

    def _follow(self, site: str) -> None:
        """Have the scans of a site read, as if someone asked for its list."""
        if self._catalog.view(site) is not None:
            return
        try:
            self._catalog.load(site)
        except (*FAULTS, LookupError) as fault:
            log.warning("%s cannot be followed: %s", site, fault)

    def _now(self, site: str, index: HeadIndex) -> _Seen:
        window = self._catalog.window(site)
        return _Seen(index.sites[site].newest, None if window is None else _published(window))

    def _changes(self, before: Mapping[str, _Seen]) -> Iterator[Event]:
        for site, now in (self._seen or {}).items():
            earlier = before.get(site, _Seen({}, None))
            for level in LEVELS:
                keys = _new_keys(earlier, now, self._catalog.window(site), level)
                newest = now.newest.get(level)
                if newest is not None and (keys or newest != earlier.newest.get(level)):
                    yield Event("scans", _told(site, level, newest, keys), site)


def _published(window: Listing) -> dict[str, datetime]:
    return {scan.key: scan.published for scan in window.scans.values()}


def _new_keys(earlier: _Seen, now: _Seen, window: Listing | None, level: int) -> list[str]:
    """Scans that are new or were replaced, oldest first; where none were read before, those that began since."""
    if now.scans is None or window is None:
        return []
    of_level = [scan for scan in window.scans.values() if scan.level == level]
    if earlier.scans is None:
        since = earlier.newest.get(level)
        return [scan.key for scan in of_level if since is None or scan.start > since][-KEYS_TOLD:]
    known = earlier.scans
    return [scan.key for scan in of_level if known.get(scan.key) != scan.published][-KEYS_TOLD:]


def _told(site: str, level: int, newest: datetime, keys: Iterable[str]) -> dict[str, Any]:
    return {"site": site, "level": level, "newest": newest, "keys": list(keys)}


class ArchiveFeed:
    """Tells of periods whose summary changed, while someone listens."""

    def __init__(self, archive: Archive, broadcaster: Broadcaster, clock: Clock) -> None:
        self._archive = archive
        self._broadcaster = broadcaster
        self._clock = clock
        self._seen: frozenset[Entry] | None = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            if self._broadcaster.clients:
                try:
                    await self._look()
                except (ApiError, StoreError, ValueError) as fault:
                    log.debug("the archive cannot be looked at: %s", fault)
            await asyncio.sleep(ARCHIVE_POLL_S)

    async def _look(self) -> None:
        entries = (await self._archive.index()).entries
        seen = frozenset(entries)
        if self._seen is not None:
            changed = [entry for entry in entries if entry not in self._seen][:PERIODS_TOLD]
            told = await self._archive.summaries(changed)
            self._broadcaster.tell([Event("archive", self._told(one)) for one in told])
        self._seen = seen

    def _told(self, summary: Summary) -> dict[str, Any]:
        return {
            "collection": summary.collection,
            "period": summary.period,
            "state": summary.state(self._clock()),
            "kept": summary.kept,
            "expected": summary.expected,
        }
