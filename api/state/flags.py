"""The update flags of a site as requests see them: kept for a moment, read once for all who wait."""

from __future__ import annotations

import asyncio
import time

import msgspec

from api.memory.cache import BoundedCache
from api.memory.flights import Flights
from api.replies.errors import BadRequest, NoState, Unavailable
from api.replies.reply import Body
from api.state.opener import StoreSource
from store.objects import StoreError
from store.radar import flags

FRESH_S = 1.0
"""Flags that were read less than this ago are not read again."""

SITES_KEPT = 256

TURNS = 64
"""Locks that the sites share: enough that two busy sites rarely wait for each other, and no more than these."""


class Flags:
    """The flags of every site.

    A site's changes follow one another, and no read of the store overlaps one: the answer that came last is then
    also the newest, whichever thread was quicker.
    """

    def __init__(self, store: StoreSource, flights: Flights) -> None:
        self._store = store
        self._flights = flights
        self._known: BoundedCache[str, tuple[float, Body]] = BoundedCache(SITES_KEPT)
        self._turns = tuple(asyncio.Lock() for _ in range(TURNS))

    async def read(self, site: str) -> Body:
        """The flags of a site; `{}` where none were set.

        While the store is away, the flags that were read last; raises `NoState` where none were.
        """
        async with self._turn(site):
            known = self._known.get(site)
            if known is not None and time.monotonic() - known[0] < FRESH_S:
                return known[1]
            try:
                body = await self._flights.shared(
                    ("flags", site), lambda: Body.json(flags.read(self._store(), site) or {})
                )
            except StoreError as fault:
                if known is None:
                    raise NoState from fault
                return known[1]
            self._keep(site, body)
            return body

    async def merge(self, site: str, change: bytes) -> None:
        """Set the flags that `change` (JSON) names; the others stay, or are 0 where none were set.

        Raises `BadRequest` where it is not what `store.radar.flags.FlagSet` describes, `Unavailable` where the store
        does not take it.
        """
        updates = _checked(change).updates
        async with self._turn(site):
            try:
                body = await self._flights.alone(lambda: Body.json(flags.merge(self._store(), site, updates)))
            except StoreError as fault:
                raise Unavailable("the flags could not be stored; try again") from fault
            self._keep(site, body)

    def _turn(self, site: str) -> asyncio.Lock:
        return self._turns[hash(site) % TURNS]

    def _keep(self, site: str, body: Body) -> None:
        self._known.put(site, (time.monotonic(), body))


def _checked(change: bytes) -> flags.FlagSet:
    try:
        return flags.checked(change)
    except msgspec.ValidationError as fault:
        raise BadRequest(f"not a set of flags: {fault}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise BadRequest("the body is not JSON") from fault
