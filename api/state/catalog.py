"""What the API knows of the store: the head index, the sites that are asked for, some days.

`refresh` is the one place that follows the store's changes; it runs in the watcher's thread. Requests read
what it left, without waiting and without locks: a site's view is replaced whole. What was not read
yet (another site, an archive day) is read by `load` and `day`, which block and belong in threads.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from api.memory.cache import BoundedCache
from api.state.listing import EMPTY, Listing
from api.state.opener import StoreSource
from store import keys
from store.objects import ObjectMissing, StoreError, StoreUnavailable
from store.radar import lists
from store.radar.snapshot import Head, HeadIndex, Scan, SiteHead, Snapshot, SnapshotError, decode

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

FAULTS = (StoreError, SnapshotError, ValueError)
"""How reading the store fails; `ValueError` is a day or key that is none."""

DAYS_BYTES = 64_000_000
"""Bound of the parsed days that are kept, by their bytes at rest (parsed, some four times that)."""

IDLE_S = 600.0
"""A site that no one asked for this long is followed no more."""

T = TypeVar("T", Head, HeadIndex, Snapshot)


def utc_now() -> datetime:
    """The time, as production reads it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site as requests see it: its days, and the live window.

    `line` is the index entry that it was made for, `begun` the order in which views were begun. Past
    `settled_at` the window depends on the clock no more.
    """

    line: SiteHead
    begun: int
    head: Head
    window: Listing
    made_at: datetime
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the store answers: seconds since it last did (none if never), and the fault if it does not.

    `stale` says that what is known may be older than what the store has.
    """

    answered_s: float | None
    fault: str | None
    stale: bool


@dataclass(frozen=True, slots=True)
class _Day:
    """A parsed day, with the revision by which the head named it."""

    revision: int
    listing: Listing


class Catalog:
    """The last good state of the store, per site."""

    def __init__(
        self,
        store: StoreSource,
        primary_site: str,
        list_minutes: float,
        overdue_s: float = 10.0,
        clock: Clock = utc_now,
    ) -> None:
        """`overdue_s`: without an answer of the store for this long, what is known counts as stale."""
        self.primary_site = primary_site
        self.index: HeadIndex | None = None
        self._store = store
        self._minutes = list_minutes
        self._overdue_s = overdue_s
        self._clock = clock
        self._index_etag: str | None = None
        self._views: dict[str, SiteView] = {}
        self._asked: dict[str, float] = {}
        self._swap = threading.Lock()
        self._begun = itertools.count()
        self._days: BoundedCache[tuple[str, date], _Day] = BoundedCache(DAYS_BYTES)
        self._answered: float | None = None
        self._unavailable = False
        self._faults: dict[str, str] = {}

    # What requests read: no I/O, no locks.

    def known(self, site: str) -> bool:
        """Whether the site has a head; False also while the store was never read."""
        return self.index is not None and site in self.index.sites

    def away(self) -> bool:
        """Whether the last look at the store got no answer, or is under way for long."""
        overdue = self._answered is not None and time.monotonic() - self._answered > self._overdue_s
        return self._unavailable or overdue

    def view(self, site: str) -> SiteView | None:
        """The site's view, none where it is not followed yet."""
        view = self._views.get(site)
        if view is not None:
            self._asked[site] = time.monotonic()
        return view

    def still(self, site: str, begun: int) -> bool:
        """Whether a view of the site that was begun then is the one that requests see."""
        view = self.view(site)
        return view is not None and view.begun == begun

    def current(self, site: str, view: SiteView, day: date, listing: Listing) -> bool:
        """Whether a view has this listing: as its window, or as the day that its head names, and no earlier state."""
        return listing is view.window or listing is self.cached_day(site, view, day)

    def window(self, site: str) -> Listing | None:
        """The live window of a site, none where it is not followed; nobody is taken to have asked for it."""
        view = self._views.get(site)
        return None if view is None else view.window

    def health(self, site: str = "") -> Health:
        """Whether the store answers, and what it has of `site` can be read."""
        answered = None if self._answered is None else time.monotonic() - self._answered
        fault = self._faults.get(keys.HEAD_INDEX) or self._faults.get(site)
        return Health(answered, fault, fault is not None or answered is None or answered > self._overdue_s)

    def cached_day(self, site: str, view: SiteView, day: date, current: bool = True) -> Listing | None:
        """The day as it was read before, none where it was not; empty where the site has none.

        `current`: only where it is what the head names, and not an earlier state.
        """
        line = view.head.days.get(day.isoformat())
        if line is None:
            return EMPTY
        kept = self._days.get((site, day))
        if kept is None or (current and kept.revision != line.revision):
            return None
        return kept.listing

    # What blocks.

    def refresh(self) -> None:
        """Follow the store: read the head index and what changed of the sites that are asked for.

        A fault is recorded, and what is known stays.
        """
        try:
            index = self._read_index()
        except FAULTS as fault:
            self._unavailable = isinstance(fault, StoreUnavailable)
            self._record(keys.HEAD_INDEX, fault)
            return
        self._unavailable = False
        self._record(keys.HEAD_INDEX, None)
        self._answered = time.monotonic()
        self._forget(index)
        for site in sorted({self.primary_site, *self._views} & index.sites.keys()):
            self._follow(site, index.sites[site])
        self.index = index

    def load(self, site: str) -> SiteView:
        """Begin to follow a known site. Raises one of `FAULTS`, or `LookupError` where it is not known."""
        if self.index is None:
            raise LookupError("the store was never read")
        self._asked[site] = time.monotonic()
        return self._views.get(site) or self._build(site, self.index.sites[site])

    def day(self, site: str, view: SiteView, day: date, fresh: bool = False) -> Listing:
        """A UTC day of a site, whole; empty where it has none.

        `fresh` reads it again whatever the head says. Raises one of `FAULTS`.
        """
        line = view.head.days.get(day.isoformat())
        if line is None:
            return EMPTY
        try:
            return self._day(site, day, line.revision, fresh)
        except ObjectMissing:
            return EMPTY

    def head(self, site: str) -> Head:
        """The head of a site as it is now. Raises one of `FAULTS`."""
        return self._read(Head, keys.head(site))

    def _read_index(self) -> HeadIndex:
        try:
            etag = self._store().head(keys.HEAD_INDEX).etag
            if self.index is not None and etag == self._index_etag:
                return self.index
            found = self._store().get(keys.HEAD_INDEX)
        except ObjectMissing as fault:
            if self.index is not None and self.index.sites:
                # It is never deleted: the folder or bucket was taken away.
                raise StoreUnavailable(f"{keys.HEAD_INDEX} vanished") from fault
            return HeadIndex()
        index = decode(found.data, HeadIndex, keys.HEAD_INDEX)
        self._index_etag = found.info.etag
        return index

    def _forget(self, index: HeadIndex) -> None:
        """Drop the views of sites that are gone, or that no one asks for."""
        limit = time.monotonic() - IDLE_S
        for site in list(self._views):
            idle = site != self.primary_site and self._asked.get(site, 0.0) < limit
            if idle or site not in index.sites:
                self._views.pop(site, None)
                self._asked.pop(site, None)
                self._record(site, None)

    def _follow(self, site: str, line: SiteHead) -> None:
        """Bring a site's view up to the index, and up to the clock."""
        view = self._views.get(site)
        if view is not None and view.line == line and view.made_at >= view.settled_at:
            return
        try:
            self._build(site, line)
        except FAULTS as fault:
            self._record(site, fault)
        else:
            self._record(site, None)

    def _build(self, site: str, line: SiteHead) -> SiteView:
        """Make a view of what the store has now, and put it in place unless a later one is there."""
        begun = next(self._begun)
        previous = self._views.get(site)
        same_head = previous is not None and previous.line == line
        head = previous.head if previous and same_head else self._read(Head, keys.head(site))
        now = self._clock()
        scans = self._recent(site, head, now)
        window = Listing(lists.window(scans, now, self._minutes))
        if previous and same_head and previous.window.scans.keys() == window.scans.keys():
            window = previous.window
        window.prepare()
        settled = max((scan.start for scan in scans), default=now)
        view = SiteView(line, begun, head, window, now, max(settled, head.newest or settled))
        with self._swap:
            current = self._views.get(site)
            if current is None or current.begun < begun:
                self._views[site] = view
        return view

    def _recent(self, site: str, head: Head, now: datetime) -> list[Scan]:
        """The scans of the days that the live window may reach."""
        days = ((day, head.days[day.isoformat()]) for day in lists.window_days(head, now, self._minutes))
        listings = (self._day(site, day, line.revision) for day, line in days if line.scans)
        return [scan for listing in listings for scan in listing.scans.values()]

    def _day(self, site: str, day: date, revision: int, fresh: bool = False) -> Listing:
        kept = self._days.get((site, day))
        if kept is not None and kept.revision == revision and not fresh:
            return kept.listing
        key = keys.snapshot(site, day)
        data = self._store().get(key).data
        listing = Listing(lists.day_scans(decode(data, Snapshot, key)))
        self._days.put((site, day), _Day(revision, listing), len(data))
        return listing

    def _read(self, kind: type[T], key: str) -> T:
        return decode(self._store().get(key).data, kind, key)

    def _record(self, what: str, fault: Exception | None) -> None:
        """Note a fault, or that there is none; only changes are logged."""
        if fault is None:
            if self._faults.pop(what, None) is not None:
                log.info("%s can be read again", what)
            return
        if what not in self._faults:
            log.warning("%s cannot be read, the last good state stays: %s", what, fault)
        self._faults[what] = f"{what} cannot be read"
