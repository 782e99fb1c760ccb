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
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs

from api.fast.shortpath import Ask, ShortRoute
from api.replies.answers import negotiated, partial
from api.replies.conditional import Asked, not_modified
from api.replies.errors import ApiError, BadRequest, NoState, NotFound, Unavailable
from api.replies.reply import PNG, VARIES, Body, Header, Reply
from api.state.ages import within_a_second
from api.state.catalog import Catalog, Clock
from api.state.flags import Flags
from api.state.images import NAMES, Pictures, entity_tag, object_key
from api.state.listing import EMPTY, Listing
from api.state.reading import Reader
from store import keys
from store.objects import ObjectMissing
from store.radar.snapshot import Image, Scan

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


class _Chosen(NamedTuple):
    """What a list is asked of: a site's days or live window, and when the view that has the window was begun."""

    site: str
    listing: Listing
    begun: int | None


class Legacy:
    """Answers the contract's GET routes."""

    def __init__(
        self, catalog: Catalog, reader: Reader, pictures: Pictures, flags: Flags, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._pictures = pictures
        self._reader = reader
        self._flags = flags
        self._clock = clock

    def routes(self) -> dict[str, ShortRoute]:
        """The routes, by what their addresses begin with."""
        return {
            "list-all": ShortRoute(self._list_all, "/list-all/"),
            "list": ShortRoute(self._list, "/list/{level}/{product}/"),
            "code": ShortRoute(self._code, "/code/"),
            "flag": ShortRoute(self._flag, "/flag/", left_to_fastapi=frozenset({"POST"})),
            "data": ShortRoute(self._data, "/data/{level}/{image}/{form}"),
        }

    async def _list_all(self, ask: Ask) -> Reply:
        chosen = await self._asked_listing(ask)
        return self._answer(chosen.listing.all_lists, chosen, ask.headers, chosen.listing.newest)

    async def _list(self, ask: Ask) -> Reply:
        level = _choice(LEVELS, ask.segments[0], "level must be 2 or 3")
        if not _PRODUCT.fullmatch(ask.segments[1]):
            raise BadRequest("not a product name")
        chosen = await self._asked_listing(ask)
        body = chosen.listing.product_list(level, ask.segments[1])
        return self._answer(body, chosen, ask.headers, chosen.listing.newest_of(level))

    async def _code(self, ask: Ask) -> Reply:
        chosen = await self._asked_listing(ask)
        options = chosen.listing.options
        if options is None:
            raise NotFound("no product codes yet")
        return self._answer(options, chosen, ask.headers, chosen.listing.newest_of(3))

    async def _flag(self, ask: Ask) -> Reply:
        site = asked_site(ask.query, self._catalog.primary_site)
        return negotiated(await self._flags.read(site), ask.headers, (_FLAG_CACHE, VARIES))

    async def _data(self, ask: Ask) -> Reply:
        address, extension = _address(*ask.segments)
        begun, listing, scan, image = await self._find(address)
        if extension == "json":
            body = listing.metadata(scan, address.product, address.index)
            return negotiated(body, ask.headers, (_DATA_CACHE, VARIES, *self._modified(scan.published)))
        try:
            return await self._png(address, scan, image, ask.headers, begun)
        except ObjectMissing:
            # Rendered again, or removed, since the day was read.
            _, _, scan, image = await self._find(address, fresh=True)
        try:
            return await self._png(address, scan, image, ask.headers, None)
        except ObjectMissing as fault:
            raise self._gone(address.site) from fault

    async def _png(
        self, address: Address, scan: Scan, image: Image, asked: Asked, begun: int | None
    ) -> Reply:
        """The image; it may be answered again while the view that was begun then stands."""
        etag = entity_tag(image.sha256)
        modified = self._modified(scan.published)
        headers = (_DATA_CACHE, _RANGES, (b"etag", etag), *modified)
        if not_modified(asked, etag):
            return Reply(304, headers)
        key = object_key(address.level, address.scan_key, image.name)
        data = await self._pictures.read(key, image)
        if begun is None or not modified:
            return partial(data, PNG, etag, headers, asked)
        still = self._pictures.still(key, image, lambda: self._catalog.still(address.site, begun))
        return partial(data, PNG, etag, headers, asked, still)

    async def _asked_listing(self, ask: Ask) -> _Chosen:
        """The site that `?site=` or the setting names, with its live window or the day of `?day=`."""
        site = asked_site(ask.query, self._catalog.primary_site)
        day = _asked_day(ask.query)
        view = await self._reader.view(site)
        if view is None:
            return _Chosen(site, EMPTY, None)
        if day is None:
            return _Chosen(site, view.window, view.begun)
        return _Chosen(site, await self._reader.day(site, view, day), None)

    async def _find(self, address: Address, fresh: bool = False) -> tuple[int | None, Listing, Scan, Image]:
        """What the snapshots list at an address, and when the view that says so was begun: none if none says so yet.

        Raises `NotFound`, or `Unavailable`.
        """
        try:
            view = await self._reader.view(address.site)
            if view is None:
                raise NotFound("no such image")
            listing = view.window
            found = None if fresh else address.of(listing)
            if found is None:
                listing = await self._reader.day(address.site, view, address.day, fresh)
                found = address.of(listing)
        except NoState as fault:
            raise Unavailable("the store does not answer; try again") from fault
        if found is None:
            raise self._gone(address.site)
        current = not fresh and self._catalog.current(address.site, view, address.day, listing)
        return view.begun if current else None, listing, *found

    def _gone(self, site: str) -> ApiError:
        """What to say of an image that is not there: while the store is away, nothing is known to be gone."""
        if self._catalog.health(site).stale:
            return Unavailable("the store does not answer; try again")
        return NotFound("no such image")

    def _answer(self, body: Body, chosen: _Chosen, asked: Asked, newest: datetime | None) -> Reply:
        """A list or menu, whose freshness is told by headers: its bytes change only when the data do."""
        site, listing, begun = chosen
        headers: list[Header] = [_LIST_CACHE, VARIES, *self._modified(listing.published)]
        if newest is not None:
            age_s = max(0, int((self._clock() - newest).total_seconds()))
            headers.append((b"x-data-age", b"%d" % age_s))
        headers.append((b"x-data-stale", b"true" if self._catalog.health(site).stale else b"false"))
        if begun is None:
            return negotiated(body, asked, tuple(headers))
        still = within_a_second(self._clock, lambda: self._catalog.still(site, begun))
        return negotiated(body, asked, tuple(headers), still)

    def _modified(self, published: datetime | None) -> tuple[Header, ...]:
        """`Last-Modified`, unless it would lie ahead of `Date`."""
        if published is None or published > self._clock():
            return ()
        return ((b"last-modified", http_date(published)),)


@lru_cache(maxsize=1024)
def http_date(moment: datetime) -> bytes:
    """A time as HTTP's headers have it."""
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


@lru_cache(maxsize=NAMES)
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
