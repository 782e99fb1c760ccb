"""The routes that existing frontends use: lists, options, flags, images and metadata of one site.

Each answers from one snapshot of the site. Nothing of an address becomes a path: it is looked up in
what the snapshots list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qs

from api.catalog import FAULTS, Catalog, Clock, SiteView
from api.conditional import Asked, byte_range, gzip_wanted, not_modified
from api.errors import ApiError, BadRequest, NoState, NotFound, Unavailable
from api.flags import Flags
from api.flights import Flights
from api.listing import EMPTY, Listing
from api.pictures import Pictures
from api.replies import PNG, Body, Header, Reply
from api.shortpath import Ask, ShortRoute
from store import keys
from store.objects import ObjectMissing
from store.snapshot import Image, Scan

SITE = re.compile(r"[A-Z][A-Z0-9]{3}", re.ASCII)
LEVELS = {"2": 2, "3": 3}
EXTENSIONS = ("png", "json")

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PRODUCT = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_NAME = re.compile(
    rf"(?P<key>{keys.SCAN_KEY.pattern})_(?P<product>[a-z][a-z0-9_]{{0,39}}?)_idx(?P<index>0|[1-9]\d{{0,2}})",
    re.ASCII,
)

_LIST_CACHE = (b"cache-control", b"max-age=2, stale-while-revalidate=5")
"""Nothing newer exists within a look at the store (2 s); a page that polls every 10 s is never shown a
stale list, since 7 s lie behind both."""
_DATA_CACHE = (b"cache-control", b"max-age=60, stale-while-revalidate=3600")
_FLAG_CACHE = (b"cache-control", b"no-cache")
_VARY = (b"vary", b"Accept-Encoding")
_RANGES = (b"accept-ranges", b"bytes")


@dataclass(frozen=True, slots=True)
class Address:
    """An image's place in the contract: `/data/<level>/<key>_<product>_idx<index>/...`."""

    level: int
    scan_key: str
    day: date
    product: str
    index: int

    @property
    def site(self) -> str:
        """The site, as the key spells it."""
        return self.scan_key[:4]

    def of(self, listing: Listing) -> tuple[Scan, Image] | None:
        """What a listing has here."""
        return listing.image(self.level, self.scan_key, self.product, self.index)


class Legacy:
    """Answers the contract's GET routes."""

    def __init__(
        self, catalog: Catalog, pictures: Pictures, flags: Flags, flights: Flights, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._pictures = pictures
        self._flags = flags
        self._flights = flights
        self._clock = clock

    def routes(self) -> dict[str, ShortRoute]:
        """The routes, by their first segment."""
        return {
            "list-all": ShortRoute(self._list_all),
            "list": ShortRoute(self._list, variables=2),
            "code": ShortRoute(self._code),
            "flag": ShortRoute(self._flag, left_to_fastapi=frozenset({"POST"})),
            "data": ShortRoute(self._data, variables=3, closing_slash=False),
        }

    async def _list_all(self, ask: Ask) -> Reply:
        site, listing = await self._asked_listing(ask)
        return self._answer(listing.all_lists, site, listing, ask.headers, listing.newest)

    async def _list(self, ask: Ask) -> Reply:
        level = _choice(LEVELS, ask.segments[0], "level must be 2 or 3")
        if not _PRODUCT.fullmatch(ask.segments[1]):
            raise BadRequest("not a product name")
        site, listing = await self._asked_listing(ask)
        body = listing.product_list(level, ask.segments[1])
        return self._answer(body, site, listing, ask.headers, listing.newest_of(level))

    async def _code(self, ask: Ask) -> Reply:
        site, listing = await self._asked_listing(ask)
        if listing.options is None:
            raise NotFound("no product codes yet")
        return self._answer(listing.options, site, listing, ask.headers, listing.newest_of(3))

    async def _flag(self, ask: Ask) -> Reply:
        site = asked_site(ask.query, self._catalog.primary_site)
        return _negotiated(await self._flags.read(site), ask.headers, (_FLAG_CACHE, _VARY))

    async def _data(self, ask: Ask) -> Reply:
        address, extension = _address(*ask.segments)
        listing, scan, image = await self._find(address)
        if extension == "json":
            body = listing.metadata(scan, address.product, address.index)
            return _negotiated(body, ask.headers, (_DATA_CACHE, _VARY, *self._modified(scan.published)))
        try:
            return await self._png(address, scan, image, ask.headers)
        except ObjectMissing:
            # Rendered again, or removed, since the day was read.
            _, scan, image = await self._find(address, fresh=True)
        try:
            return await self._png(address, scan, image, ask.headers)
        except ObjectMissing as fault:
            raise self._gone(address.site) from fault

    async def _png(self, address: Address, scan: Scan, image: Image, asked: Asked) -> Reply:
        etag = f'"{image.sha256}"'.encode("ascii")
        headers = (_DATA_CACHE, _RANGES, (b"etag", etag), *self._modified(scan.published))
        if not_modified(asked, etag):
            return Reply(304, headers)
        key = keys.image(address.level, address.scan_key, image.name)
        return _partial(await self._pictures.read(key, image), etag, headers, asked)

    async def _asked_listing(self, ask: Ask) -> tuple[str, Listing]:
        """The site that `?site=` or the setting names, with its live window or the day of `?day=`."""
        site = asked_site(ask.query, self._catalog.primary_site)
        day = _asked_day(ask.query)
        view = await self._view(site)
        if view is None:
            return site, EMPTY
        return site, view.window if day is None else await self._day(site, view, day)

    async def _view(self, site: str) -> SiteView | None:
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

    async def _day(self, site: str, view: SiteView, day: date, fresh: bool = False) -> Listing:
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

    async def _find(self, address: Address, fresh: bool = False) -> tuple[Listing, Scan, Image]:
        """What the snapshots list at an address. Raises `NotFound`, or `Unavailable`."""
        try:
            view = await self._view(address.site)
            if view is None:
                raise NotFound("no such image")
            listing = view.window
            found = None if fresh else address.of(listing)
            if found is None:
                listing = await self._day(address.site, view, address.day, fresh)
                found = address.of(listing)
        except NoState as fault:
            raise Unavailable("the store does not answer; try again") from fault
        if found is None:
            raise self._gone(address.site)
        return listing, *found

    def _gone(self, site: str) -> ApiError:
        """What to say of an image that is not there: while the store is away, nothing is known to be gone."""
        if self._catalog.health(site).stale:
            return Unavailable("the store does not answer; try again")
        return NotFound("no such image")

    def _answer(
        self, body: Body, site: str, listing: Listing, asked: Asked, newest: datetime | None
    ) -> Reply:
        """A list or menu, whose freshness is told by headers: its bytes change only when the data do."""
        headers: list[Header] = [_LIST_CACHE, _VARY, *self._modified(listing.published)]
        if newest is not None:
            age_s = max(0, int((self._clock() - newest).total_seconds()))
            headers.append((b"x-data-age", b"%d" % age_s))
        headers.append((b"x-data-stale", b"true" if self._catalog.health(site).stale else b"false"))
        return _negotiated(body, asked, tuple(headers))

    def _modified(self, published: datetime | None) -> tuple[Header, ...]:
        """`Last-Modified`, unless it would lie ahead of `Date`."""
        if published is None or published > self._clock():
            return ()
        return ((b"last-modified", _http_date(published)),)


@lru_cache(maxsize=1024)
def _http_date(moment: datetime) -> bytes:
    return format_datetime(moment.astimezone(UTC), usegmt=True).encode("ascii")


def asked_site(query: bytes, primary: str) -> str:
    """The site that a query asks for, else the primary one. Raises `BadRequest`."""
    site = _parameter(query, "site")
    if site is None:
        return primary
    if not SITE.fullmatch(site):
        raise BadRequest("site must be a four-letter id like KPDT")
    return site


def _asked_day(query: bytes) -> date | None:
    day = _parameter(query, "day")
    if day is None:
        return None
    try:
        return date.fromisoformat(day if _DAY.fullmatch(day) else "")
    except ValueError as fault:
        raise BadRequest("day must be a UTC day like 2025-04-09") from fault


def _parameter(query: bytes, name: str) -> str | None:
    """The one value of a query parameter; others are none of ours and are ignored."""
    if not query:
        return None
    try:
        values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=50).get(name, [])
    except ValueError as fault:
        raise BadRequest("too many query parameters") from fault
    if len(values) > 1:
        raise BadRequest(f"{name} is given more than once")
    return values[0] if values else None


T = TypeVar("T")


def _choice(choices: Mapping[str, T], name: str, otherwise: str) -> T:
    if name not in choices:
        raise BadRequest(otherwise)
    return choices[name]


def _address(level: str, name: str, extension: str) -> tuple[Address, str]:
    """What an image's address says. Raises `BadRequest`."""
    number = _choice(LEVELS, level, "level must be 2 or 3")
    if extension not in EXTENSIONS:
        raise BadRequest("the last part must be png or json")
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadRequest("not an image name: <key>_<product>_idx<n>")
    try:
        day = keys.scan_day(match["key"])
    except ValueError as fault:
        raise BadRequest("the key names no time") from fault
    return Address(number, match["key"], day, match["product"], int(match["index"])), extension


def _negotiated(body: Body, asked: Asked, headers: tuple[Header, ...]) -> Reply:
    """A document in the encoding that the client takes, or 304."""
    chosen = body.chosen(gzip_wanted(asked.get(b"accept-encoding", b"")))
    if not_modified(asked, chosen.etag):
        return Reply(304, (*headers, (b"etag", chosen.etag)))
    return Reply(200, (*headers, *chosen.headers), chosen.data)


def _partial(data: bytes, etag: bytes, headers: tuple[Header, ...], asked: Asked) -> Reply:
    """An image, or the part of it that is asked for."""
    headers = (*headers, (b"content-type", PNG))
    part = byte_range(asked, etag, len(data))
    if part is None:
        return Reply(200, headers, data)
    place = b"bytes %d-%d/%d" % (part.start, part.stop - 1, len(data))
    return Reply(206, (*headers, (b"content-range", place)), data[part])
