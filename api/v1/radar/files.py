"""Images and vector documents by their digest: addresses whose content never changes.

Short routes, ahead of FastAPI. An address is looked up in what the snapshots list, so that nothing of it becomes a
path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

from api.fast.shortpath import Ask, ShortRoute
from api.replies.answers import partial
from api.replies.conditional import not_modified
from api.replies.errors import ApiError, NoState, NotFound, Unavailable
from api.replies.problems import bad
from api.replies.reply import PNG, Header, Reply
from api.state.catalog import Catalog
from api.state.images import NAMES, Pictures, entity_tag, object_key
from api.state.listing import Listing
from api.state.reading import Reader
from store import keys
from store.objects import ObjectMissing
from store.radar.snapshot import Document, Image, Scan

FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")

IMAGES = "/v1/images/{file}"
DOCUMENTS = "/v1/documents/{file}"

_RANGES: Header = (b"accept-ranges", b"bytes")
_KEY = rf"(?P<key>{keys.SCAN_KEY.pattern})"
_IMAGE = re.compile(
    rf"{_KEY}_(?P<product>[a-z][a-z0-9_]{{0,39}}?)_idx(?P<index>0|[1-9]\d{{0,2}})\.[0-9a-f]{{8}}\.png",
    re.ASCII,
)
_DOCUMENT = re.compile(
    rf"{_KEY}_(?P<name>[a-z][a-z0-9_]{{0,39}})\.[0-9a-f]{{8}}\.(?P<form>geojson|json)", re.ASCII
)
_TYPES = {"geojson": b"application/geo+json", "json": b"application/json"}

Listed = Callable[[Listing], tuple[Scan, Image | Document] | None]
"""Looks an address up in a listing."""


class Files:
    """Answers the digest addresses."""

    def __init__(self, catalog: Catalog, reader: Reader, pictures: Pictures) -> None:
        self._catalog = catalog
        self._reader = reader
        self._pictures = pictures

    def routes(self) -> dict[str, ShortRoute]:
        """The routes, by what their addresses begin with."""
        return {
            "v1/images": ShortRoute(self._image, IMAGES),
            "v1/documents": ShortRoute(self._document, DOCUMENTS),
        }

    async def _image(self, ask: Ask) -> Reply:
        name, match = _checked(ask, _IMAGE)

        def listed(listing: Listing) -> tuple[Scan, Image] | None:
            return _listed_image(listing, match["key"], match["product"], int(match["index"]), name)

        return await self._answer(ask, match["key"], name, listed, PNG)

    async def _document(self, ask: Ask) -> Reply:
        name, match = _checked(ask, _DOCUMENT)

        def listed(listing: Listing) -> tuple[Scan, Document] | None:
            scan = listing.scans.get(match["key"])
            found = None if scan is None else scan.documents.get(match["name"])
            return (scan, found) if scan and found and found.name == name else None

        return await self._answer(ask, match["key"], name, listed, _TYPES[match["form"]])

    async def _answer(self, ask: Ask, scan_key: str, name: str, listed: Listed, content_type: bytes) -> Reply:
        begun, scan, found = await self._find(scan_key, listed)
        etag = entity_tag(found.sha256)
        headers = (FOR_EVER, _RANGES, (b"etag", etag))
        if not_modified(ask.headers, etag):
            return Reply(304, headers)
        key = object_key(scan.level, scan.key, name)
        try:
            data = await self._pictures.read(key, found)
        except ObjectMissing as fault:
            raise self._gone(scan_key[:4]) from fault
        if begun is None:
            return partial(data, content_type, etag, headers, ask.headers)
        still = self._pictures.still(key, found, lambda: self._catalog.still(scan_key[:4], begun))
        return partial(data, content_type, etag, headers, ask.headers, still)

    async def _find(self, scan_key: str, listed: Listed) -> tuple[int | None, Scan, Image | Document]:
        """What the live window, else the day, lists at an address, and when the view that says so was begun.

        That is none where what was listed before had to do. Raises `NotFound`, `Unavailable`.
        """
        site, day = scan_key[:4], _day(scan_key)
        try:
            view = await self._reader.view(site)
            if view is None:
                raise NotFound("nothing is there")
            listing = view.window
            found = listed(listing)
            if found is None:
                listing = await self._reader.day(site, view, day)
                found = listed(listing)
        except NoState as fault:
            raise Unavailable(str(fault)) from fault
        if found is None:
            raise self._gone(site)
        return view.begun if self._catalog.current(site, view, day, listing) else None, *found

    def _gone(self, site: str) -> ApiError:
        """What to say of what is not there: while the store is away, nothing is known to be gone."""
        if self._catalog.health(site).stale:
            return Unavailable("the store does not answer; try again")
        return NotFound("nothing is there; the lists have what there is now")


def _checked(ask: Ask, names: re.Pattern[str]) -> tuple[str, re.Match[str]]:
    """The file's name, taken apart. Raises `NotFound`, `BadParameters`."""
    if ask.query:
        raise bad(ask.query.decode("latin-1").partition("=")[0][:80], "unknown; there are: none")
    match = names.fullmatch(ask.segments[0])
    if match is None:
        raise NotFound("nothing has such a name")
    return ask.segments[0], match


@lru_cache(maxsize=NAMES)
def _day(scan_key: str) -> date:
    try:
        return keys.scan_day(scan_key)
    except ValueError as fault:
        raise NotFound("nothing has such a name") from fault


def _listed_image(
    listing: Listing, scan_key: str, product: str, index: int, name: str
) -> tuple[Scan, Image] | None:
    scan = listing.scans.get(scan_key)
    layer = None if scan is None else scan.layers.get(product)
    if scan is None or layer is None or index >= len(layer.tilts):
        return None
    found = (image for image in layer.tilts[index].images if image.name == name)
    image = next(found, None)
    return None if image is None else (scan, image)
