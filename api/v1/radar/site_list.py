"""All radars, with what there is of each: from the table of sites, the head index and the sites' heads."""

from __future__ import annotations

import asyncio
from datetime import date

from api.replies.errors import NoState
from api.replies.reply import Body
from api.state.catalog import Catalog
from api.state.reading import Reader
from api.v1.radar import models
from nexrad_assets.radar.sites import Site, sites
from store.radar.snapshot import HeadIndex, SiteHead

DAYS_SHOWN = 400


class SiteList:
    """The list of sites, made anew when the head index changes."""

    def __init__(self, catalog: Catalog, reader: Reader) -> None:
        self._catalog = catalog
        self._reader = reader
        self._days: dict[str, tuple[int, list[date]]] = {}
        self._made: tuple[HeadIndex, Body] | None = None

    @property
    def current(self) -> Body | None:
        """The document of the head index that there is now, none where it was not made."""
        return self._made[1] if self._made is not None and self._made[0] is self._catalog.index else None

    async def body(self) -> Body:
        """The document. Raises `NoState` where the store was never read."""
        index = self._catalog.index
        if index is None:
            raise NoState
        if self._made is None or self._made[0] is not index:
            read = await asyncio.gather(*(self._follow(site, line) for site, line in index.sites.items()))
            body = Body.encoded(self._document(index).model_dump_json().encode())
            if not all(read):
                return body
            self._made = index, body
        return self._made[1]

    async def _follow(self, site: str, line: SiteHead) -> bool:
        """Bring the days of a site up to the index; what was known stays where that cannot be read."""
        known = self._days.get(site)
        if known is not None and known[0] == line.revision:
            return True
        try:
            head = await self._reader.head(site, line)
        except NoState:
            return False
        found = (date.fromisoformat(name) for name, day in head.days.items() if day.scans)
        self._days[site] = line.revision, sorted(found, reverse=True)[:DAYS_SHOWN]
        return True

    def _document(self, index: HeadIndex) -> models.Sites:
        return models.Sites(
            sites=[self._shown(site, index.sites.get(site.id)) for site in sites().values()],
            primary=self._catalog.primary_site,
        )

    def _shown(self, site: Site, line: SiteHead | None) -> models.Site:
        name, _, state = site.name.rpartition(", ")
        newest = {} if line is None else line.newest
        return models.Site(
            id=site.id,
            name=name or state,
            state=state if name else None,
            longitude_deg=site.longitude_deg,
            latitude_deg=site.latitude_deg,
            height_m=site.height_m,
            kind=site.kind,
            newest={str(level): moment for level, moment in sorted(newest.items())},
            days=[] if line is None else self._days.get(site.id, (0, []))[1],
        )
