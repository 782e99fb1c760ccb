"""Reading sites and days as requests need them: from what the catalog knows, else from the store, once for all."""

from __future__ import annotations

from datetime import date

from api.memory.flights import Flights
from api.replies.errors import NoState
from api.state.catalog import FAULTS, Catalog, SiteView
from api.state.listing import Listing
from store.radar.snapshot import Head, SiteHead


class Reader:
    """Gives views and days; while the store is away, as they were read last."""

    def __init__(self, catalog: Catalog, flights: Flights) -> None:
        self._catalog = catalog
        self._flights = flights

    async def view(self, site: str) -> SiteView | None:
        """The site's view, none where it has no data. Raises `NoState` where nothing can be known."""
        if self._catalog.index is None:
            raise NoState
        if not self._catalog.known(site):
            return None
        view = self._catalog.view(site)
        if view is not None:
            return view
        try:
            return await self._flights.shared(("site", site), lambda: self._catalog.load(site))
        except (*FAULTS, LookupError) as fault:
            raise NoState from fault

    async def head(self, site: str, line: SiteHead) -> Head:
        """The days of a site, of which the index has `line`. Raises `NoState`."""
        try:
            return await self._flights.shared(("head", site, line.revision), lambda: self._catalog.head(site))
        except FAULTS as fault:
            raise NoState from fault

    async def day(self, site: str, view: SiteView, day: date, fresh: bool = False) -> Listing:
        """A UTC day of a site; while it cannot be read, as it was read before. Raises `NoState`."""
        kept = None if fresh else self._catalog.cached_day(site, view, day)
        if kept is not None:
            return kept
        try:
            return await self._flights.shared(
                ("day", site, day, fresh), lambda: self._catalog.day(site, view, day, fresh)
            )
        except FAULTS as fault:
            earlier = self._catalog.cached_day(site, view, day, current=False)
            if earlier is None:
                raise NoState from fault
            return earlier
