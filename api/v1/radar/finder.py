"""Finding images by time: in the live window, over a range of days page by page, or at a moment.

What belongs here: which days are read. What does not: what an image is told as.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from api.memory.cache import BoundedCache
from api.state.catalog import SiteView
from api.state.listing import EMPTY, Listing
from api.state.reading import Reader
from api.v1.radar.select import Frame, Place, Wanted, frames, newest
from store.radar.snapshot import Scan

LONGEST_SCAN = timedelta(minutes=30)
"""A sweep may begin so long after its scan: before a range's start, scans are looked at from this much earlier."""

DAYS_A_PAGE = 10
"""Days that a page reads at most: it may then be short, and the next one goes on."""

LIVE_PAGES = 64
"""Pages of live windows that are kept: every client polls the same ones."""

DAYS_BACK = 2
"""Days with scans that are read for a moment: what is older than these is nothing that was valid then."""


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when sweeps may begin, both included; without either, the live window."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether it is the live window."""
        return self.start is None and self.end is None

    def holds(self, frame: Frame) -> bool:
        """Whether an image is of this time."""
        moment = frame.first.start
        return (self.start is None or self.start <= moment) and (self.end is None or moment <= self.end)


@dataclass(frozen=True, slots=True)
class Page:
    """Images in order, the place after which the next page begins (none on the last), and what they are from."""

    frames: tuple[Frame, ...]
    after: Place | None
    serials: tuple[int, ...]


class Finder:
    """Finds images of a site."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._live: BoundedCache[Hashable, Page] = BoundedCache(LIVE_PAGES)

    async def view(self, site: str) -> SiteView | None:
        """The site as it is now, none where it has no data. Raises `NoState`."""
        return await self._reader.view(site)

    async def listing(self, site: str, view: SiteView | None, day: date | None) -> Listing:
        """The live window, or a day whole. Raises `NoState`."""
        if view is None:
            return EMPTY
        return view.window if day is None else await self._reader.day(site, view, day)

    async def page(
        self, site: str, view: SiteView | None, wanted: Wanted, span: Span, after: Place | None, limit: int
    ) -> Page:
        """Up to `limit` images after a place, oldest first. Raises `NoState`."""
        if view is None:
            return Page((), None, ())
        if span.live:
            return self._live_page(view.window, wanted, after, limit)
        days = _days(view, wanted.level, span, after)
        found: list[list[Frame]] = []
        serials: list[int] = []
        for read, day in enumerate(days):
            if read == DAYS_A_PAGE or sum(map(len, found)) > limit:
                page = _page(found, tuple(serials), span, after, limit)
                return page if page.after else Page(page.frames, _midnight(day), page.serials)
            listing = await self._reader.day(site, view, day)
            serials.append(listing.serial)
            found.append(_kept(frames(listing, wanted), span, after))
        return _page(found, tuple(serials), span, after, limit)

    def _live_page(self, window: Listing, wanted: Wanted, after: Place | None, limit: int) -> Page:
        key = (window.serial, wanted, after, limit)
        page = self._live.get(key)
        if page is None:
            page = _page([frames(window, wanted)], (window.serial,), Span(), after, limit)
            self._live.put(key, page)
        return page

    async def at(
        self, site: str, view: SiteView | None, wanted: Wanted, moment: datetime | None
    ) -> list[Frame]:
        """The newest image of each tilt that is wanted, none that begins after the moment; lowest tilt first.

        Without a moment, of the live window. Raises `NoState`.
        """
        listings = [one async for one in self._listings(site, view, moment, wanted.level)]
        found: dict[Place, Frame] = {}
        for each in wanted.each_tilt():
            frame = next(
                (one for one in (newest(frames(listing, each), moment) for listing in listings) if one), None
            )
            if frame is not None:
                found[frame.place] = frame
        return sorted(found.values(), key=lambda frame: (frame.tilt.angle_deg, frame.place))

    async def scans(self, site: str, view: SiteView | None, moment: datetime | None) -> list[Scan]:
        """The Level 3 scans that may be the newest at a moment, or of the live window. Raises `NoState`."""
        listings = [one async for one in self._listings(site, view, moment, 3)]
        return [scan for listing in listings for scan in listing.scans.values()]

    async def _listings(
        self, site: str, view: SiteView | None, moment: datetime | None, level: int
    ) -> AsyncIterator[Listing]:
        """Where the newest before a moment may be, newest first."""
        if view is None:
            return
        if moment is None:
            yield view.window
            return
        days = sorted((day for day in view.head.of_level(level) if day <= moment.date()), reverse=True)
        for day in days[:DAYS_BACK]:
            yield await self._reader.day(site, view, day)


def _days(view: SiteView, level: int, span: Span, after: Place | None) -> list[date]:
    """The days that may hold images of a span behind a place, oldest first."""
    first = None if span.start is None else (span.start - LONGEST_SCAN).date()
    if after is not None:
        first = max(first or after[0].date(), after[0].date())
    last = None if span.end is None else span.end.date()
    known = sorted(view.head.of_level(level))
    return [day for day in known if (first is None or first <= day) and (last is None or day <= last)]


def _kept(found: list[Frame], span: Span, after: Place | None) -> list[Frame]:
    return [frame for frame in found if span.holds(frame) and (after is None or frame.place > after)]


def _page(
    found: list[list[Frame]], serials: tuple[int, ...], span: Span, after: Place | None, limit: int
) -> Page:
    left = _kept([frame for day in found for frame in day], span, after)
    shown = tuple(left[:limit])
    return Page(shown, shown[-1].place if len(left) > limit else None, serials)


def _midnight(day: date) -> Place:
    """A place before everything of a day."""
    return datetime.combine(day, time(), UTC), "", -1
