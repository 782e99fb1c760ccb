"""The update flags of a site: read through, and changed by checked merges."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from api.cache import BoundedCache
from api.errors import BadRequest, NoState, Unavailable
from api.flights import Flights
from api.opener import StoreSource
from api.replies import Body
from store import cas, keys
from store.objects import ObjectMissing, StoreError

log = logging.getLogger(__name__)

Product = Literal["reflectivity", "hydrometeor", "precipitation"]

ORDER: tuple[Product, ...] = ("reflectivity", "hydrometeor", "precipitation")
"""The products, in the order in which the contract shows their flags."""

FRESH_S = 1.0
"""Flags that were read less than this ago are not read again."""

SITES_KEPT = 256


class FlagSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"updates": {"reflectivity": 1, ...}}`: whether each product is to be updated."""

    updates: dict[Product, Annotated[int, msgspec.Meta(ge=0, le=1)] | bool]


class Flags:
    """The flags of every site."""

    def __init__(self, store: StoreSource, flights: Flights) -> None:
        self._store = store
        self._flights = flights
        self._known: BoundedCache[str, tuple[float, Body]] = BoundedCache(SITES_KEPT)

    async def read(self, site: str) -> Body:
        """The flags of a site; `{}` where none were set.

        While the store is away, the flags that were read last; raises `NoState` where none were.
        """
        known = self._known.get(site)
        if known is not None and time.monotonic() - known[0] < FRESH_S:
            return known[1]
        try:
            body = await self._flights.shared(("flags", site), lambda: self._fetch(site))
        except StoreError as fault:
            if known is None:
                raise NoState from fault
            return known[1]
        self._keep(site, body)
        return body

    async def merge(self, site: str, change: bytes) -> None:
        """Set the flags that `change` (JSON) names; the others stay, or are 0 where none were set.

        Raises `BadRequest` where it is not what `FlagSet` describes, `Unavailable` where the store does not
        take it.
        """
        updates = _checked(change).updates
        try:
            body = await self._flights.alone(lambda: self._write(site, updates))
        except StoreError as fault:
            raise Unavailable("the flags could not be stored; try again") from fault
        self._keep(site, body)

    def _keep(self, site: str, body: Body) -> None:
        self._known.put(site, (time.monotonic(), body))

    def _fetch(self, site: str) -> Body:
        key = keys.flags(site)
        try:
            return Body.json(_whole(_stored(self._store().get(key).data, key).updates))
        except ObjectMissing:
            return Body.json({})

    def _write(self, site: str, updates: Mapping[Product, int]) -> Body:
        key = keys.flags(site)
        written = FlagSet({})

        def change(before: bytes | None) -> bytes:
            nonlocal written
            current = _stored(before, key).updates if before is not None else {}
            written = _whole({**current, **updates})
            return msgspec.json.encode(written)

        cas.update(self._store(), key, change)
        return Body.json(written)


def _whole(updates: Mapping[Product, int]) -> FlagSet:
    """The flags of all products as 0 or 1; those that are not set are 0."""
    return FlagSet({product: int(updates.get(product, 0)) for product in ORDER})


def _checked(change: bytes) -> FlagSet:
    try:
        return msgspec.json.decode(change, type=FlagSet)
    except msgspec.ValidationError as fault:
        raise BadRequest(f"not a set of flags: {fault}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise BadRequest("the body is not JSON") from fault


def _stored(data: bytes, key: str) -> FlagSet:
    """Flags as they are stored. Raises `StoreError` where they are not."""
    try:
        return msgspec.json.decode(data, type=FlagSet)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise StoreError(f"{key}: not a set of flags: {fault}") from fault
