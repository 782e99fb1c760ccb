"""The routes of the radar half of `/v1`: what each takes and answers; what there is, the modules beside tell.

Bodies are made once for what was asked and the state of the store that they were made of; age and staleness are in
headers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.fast.polled import ENTRY_BYTES, Document, Holds, Polled
from api.memory.cache import BoundedCache
from api.replies.answers import negotiated
from api.replies.conditional import Asked, headers_of
from api.replies.errors import NotFound, Unavailable
from api.replies.limits import Limit
from api.replies.problems import bad, documented
from api.replies.reply import JSON, VARIES, Body, Header, Reply
from api.state.ages import within_a_second
from api.state.catalog import Catalog, Clock, SiteView
from api.state.images import Pictures
from api.state.reading import Reader
from api.v1 import paging
from api.v1.radar import models, shown
from api.v1.radar.finder import Finder, Span
from api.v1.radar.place import LonLat
from api.v1.radar.planes import Planes
from api.v1.radar.select import Frame, Place, Wanted
from api.v1.radar.site_list import SiteList
from api.v1.radar.values import Values
from api.v1.routing import Route, as_response
from nexrad_assets.radar.image.products import PRODUCTS as LEVEL2
from nexrad_assets.radar.level3.products import PRODUCTS as CODED
from nexrad_assets.radar.sites import UnknownSite
from nexrad_assets.radar.sites import site as site_of
from store import keys
from store.objects import ObjectMissing
from store.radar.snapshot import Scan

BODIES_BYTES = 64_000_000
"""Bound of the answers that are kept, in all encodings."""

GEOJSON = b"application/geo+json"

_SOON: Header = (b"cache-control", b"public, max-age=2, stale-while-revalidate=5")

_GROUPS = dict.fromkeys([*LEVEL2, *(coded.look.name for coded in CODED.values())])
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
_YEARS = range(1990, 2200)
_CURSOR = paging.cursor("scans", "2026-11-21T20:42:10+00:00", "KPDT20261121_204210_V06", 0.0)
_MOST_TILTS = 30
_STEEPEST_DEG = 90.0
_IMAGE = re.compile(
    rf"(?P<key>{keys.SCAN_KEY.pattern})_(?P<product>[a-z][a-z0-9_]{{0,39}}?)_idx(?P<index>0|[1-9]\d{{0,2}})",
    re.ASCII,
)

SiteId = Annotated[
    str | None,
    Query(
        pattern="^[A-Z][A-Z0-9]{3}$", description="a radar; without it, the primary site", examples=["KPDT"]
    ),
]
ProductId = Annotated[
    str, Query(pattern="^[a-z][a-z0-9_]{0,39}$", description="a product group", examples=["reflectivity"])
]
Code = Annotated[
    str | None,
    Query(
        pattern="^[A-Z0-9]{3}$",
        description="a Level 3 code; without it, Level 2, or all codes of a group that Level 2 has not",
        examples=["HHC"],
    ),
]
Tilts = Annotated[
    str,
    Query(
        max_length=300,
        description="angles in degrees with commas between them; of each the tilt within 0.25 degrees. Without it, "
        "the lowest tilt",
        examples=["0.5"],
    ),
]
Moment = Annotated[
    str | None,
    Query(
        pattern=_MOMENT, description="RFC 3339; a `+` must be written %2B", examples=["2026-11-21T20:42:00Z"]
    ),
]
Day = Annotated[
    str | None, Query(description="a UTC day; without it, the live window", examples=["2026-11-21"])
]

_FRESHNESS = {
    "X-Data-Age": {"schema": {"type": "integer"}, "description": "Seconds since the newest scan began."},
    "X-Data-Stale": {
        "schema": {"type": "string", "enum": ["true", "false"]},
        "description": "Whether the store does not answer, so that this is what was read before.",
    },
}


class GeoJson(JSONResponse):
    """A response with the media type of RFC 7946."""

    media_type = GEOJSON.decode()


@dataclass(slots=True)
class Radar:
    """What the routes ask."""

    catalog: Catalog
    finder: Finder
    sites: SiteList
    values: Values
    clock: Clock
    planes: Planes
    polled: Polled
    bodies: BoundedCache[Hashable, Body] = field(default_factory=lambda: BoundedCache(BODIES_BYTES))

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        reader: Reader,
        pictures: Pictures,
        plane_cache_bytes: int,
        clock: Clock,
        polled: Polled,
    ) -> Radar:
        """Everything on one store."""
        planes = Planes(pictures, plane_cache_bytes)
        return cls(catalog, Finder(reader), SiteList(catalog, reader), Values(planes), clock, planes, polled)

    @property
    def caches(self) -> Mapping[str, BoundedCache[Any, Any]]:
        """What is kept in memory, by name."""
        return {"planes": self.planes.cache, "documents": self.bodies, "polled": self.polled.cache}

    def close(self) -> None:
        """End the threads."""
        self.planes.close()

    def site(self, asked: str | None) -> str:
        """The site that is asked for. Raises `BadParameters` where no radar has this id, and none has data."""
        site = asked or self.catalog.primary_site
        if not self.catalog.known(site):
            try:
                site_of(site)
            except UnknownSite as fault:
                raise bad("site", str(fault)) from fault
        return site

    def body(self, key: Hashable, make: Callable[[], BaseModel], content_type: bytes = JSON) -> Body:
        """The document that `key` stands for, made where it is not kept."""
        kept = self.bodies.get(key)
        if kept is None:
            kept = Body.encoded(make().model_dump_json().encode(), content_type)
            self.bodies.put(key, kept, ENTRY_BYTES + kept.weight)
        return kept

    def holds(self, site: str, view: SiteView | None) -> Holds | None:
        """The way to tell whether a view is what requests of a site see; none where there is nothing to see.

        It does not hold the view: that would be kept for as long as the address of an answer is.
        """
        if view is None:
            return None
        begun = view.begun
        return lambda: self.catalog.still(site, begun)

    def send(
        self, request: Request, body: Body, site: str = "", *further: Header, holds: Holds | None = None
    ) -> Response:
        """A document, or 304; with how old and how stale what is known of a site is.

        While `holds` says so, it is what the same address gives.
        """

        def answer(asked: Asked) -> Reply:
            still = None if holds is None else within_a_second(self.clock, holds)
            return negotiated(body, asked, (_SOON, VARIES, *further, *self._freshness(site)), still)

        if holds is not None:
            self.polled.keep(request.scope, Document(answer, holds, body.weight))
        return as_response(answer(headers_of(request.scope)))

    def _freshness(self, site: str) -> Iterator[Header]:
        """The headers that change with time."""
        index = self.catalog.index
        lines = {} if index is None else index.sites
        known = lines.values() if not site else filter(None, [lines.get(site)])
        newest = max((moment for line in known for moment in line.newest.values()), default=None)
        if newest is not None:
            yield b"x-data-age", b"%d" % max(0, int((self.clock() - newest).total_seconds()))
        yield b"x-data-stale", b"true" if self.catalog.health(site).stale else b"false"


def router(radar: Radar, limit: Limit) -> APIRouter:
    """The routes of one application."""
    routes = APIRouter(prefix="/v1", tags=["radar"], route_class=Route)
    _add_menus(routes, radar)
    _add_scans(routes, radar)
    _add_latest(routes, radar)
    _add_feature(routes, radar)
    _add_vectors(routes, radar)
    _add_value(routes, radar, limit)
    return routes


def _add_menus(routes: APIRouter, radar: Radar) -> None:
    @routes.get("/sites", **_told("sites", "All radars, and what there is of each", models.Sites))
    async def list_sites(request: Request) -> Response:
        body = await radar.sites.body()
        return radar.send(request, body, holds=lambda: radar.sites.current is body)

    @routes.get(
        "/products",
        **_told("products", "Products, what their indices mean, and colours", models.Products, 400),
    )
    async def list_products(request: Request, site: SiteId = None, day: Day = None) -> Response:
        if site is None:
            if day is not None:
                raise bad("day", "is of a site: `site` is missing")
            return radar.send(request, radar.body("products", lambda: shown.products(None, None)))
        radar.site(site)
        view = await radar.finder.view(site)
        listing = await radar.finder.listing(site, view, None if day is None else _day(day))
        body = radar.body(("products", site, listing.serial), lambda: shown.products(listing, site))
        return radar.send(request, body, site, holds=radar.holds(site, view) if day is None else None)


def _add_scans(routes: APIRouter, radar: Radar) -> None:
    @routes.get("/scans", **_told("scans", "Images of a product, oldest first", models.Scans, 400))
    async def list_scans(  # noqa: PLR0913, PLR0917 - a parameter for each of the query's
        request: Request,
        product: ProductId,
        site: SiteId = None,
        code: Code = None,
        tilt: Tilts = "",
        start: Moment = None,
        end: Moment = None,
        at: Moment = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        cursor: Annotated[
            str | None, Query(max_length=1024, description="as `next` has it", examples=[_CURSOR])
        ] = None,
    ) -> Response:
        place = _place(cursor)
        named = radar.site(site)
        wanted = _wanted(product, code, tilt)
        view = await radar.finder.view(named)
        if at is not None:
            if start or end or cursor:
                raise bad("at", "stands alone: without `start`, `end` and `cursor`")
            found = await radar.finder.at(named, view, wanted, _moment("at", at))
            return radar.send(
                request,
                _scans(radar, request, view, wanted, tuple(found), tuple(map(_identity, found))),
                named,
            )
        span = Span(_moment("start", start), _moment("end", end))
        if span.start and span.end and span.start > span.end:
            raise bad("start", "is later than end")
        page = await radar.finder.page(named, view, wanted, span, place, limit)
        following = None if page.after is None else _address_of_next(request, page.after)
        body = _scans(radar, request, view, wanted, page.frames, page.serials, following)
        link = () if following is None else ((b"link", f'<{following}>; rel="next"'.encode("ascii")),)
        holds = radar.holds(named, view) if span.live else None
        return radar.send(request, body, named, *link, holds=holds)


def _add_latest(routes: APIRouter, radar: Radar) -> None:
    @routes.get("/latest", **_told("latest", "The newest image of a product", models.Latest, 400))
    async def show_latest(
        request: Request,
        product: ProductId,
        site: SiteId = None,
        code: Code = None,
        tilt: Annotated[
            float | None,
            Query(ge=-5, le=90, allow_inf_nan=False, description="without it, the lowest", examples=[0.5]),
        ] = None,
    ) -> Response:
        named = radar.site(site)
        wanted = _wanted(product, code, "" if tilt is None else str(tilt))
        view = await radar.finder.view(named)
        found = await radar.finder.at(named, view, wanted, None)
        base = _base(request)
        newest = found[-1] if found else None

        def document() -> models.Latest:
            return models.Latest(scan=None if newest is None else shown.scan_image(newest, base))

        body = radar.body(("latest", base, _identity(newest)), document)
        return radar.send(request, body, named, holds=radar.holds(named, view))


def _add_feature(routes: APIRouter, radar: Radar) -> None:
    @routes.get(
        "/scans/{image}",
        response_class=GeoJson,
        **_told("scan", "An image as a GeoJSON feature", models.ScanFeature, 400, 404),
    )
    async def show_scan(
        request: Request,
        image: Annotated[
            str,
            Path(
                max_length=100,
                description="`image` of a scan",
                examples=["KPDT20250409_123456_V06_reflectivity_idx0"],
            ),
        ],
    ) -> Response:
        match = _IMAGE.fullmatch(image)
        if match is None:
            raise bad("image", "not an image name: <key>_<product>_idx<n>", "path")
        try:
            day = keys.scan_day(match["key"])
        except ValueError as fault:
            raise bad("image", "the key names no time", "path") from fault
        site = match["key"][:4]
        view = await radar.finder.view(site)
        frame = None
        for which in (None, day):
            listing = await radar.finder.listing(site, view, which)
            frame = frame or _frame(listing.scans, match["key"], match["product"], int(match["index"]))
        if frame is None:
            raise _gone(radar, site)
        base, found = _base(request), frame
        body = radar.body(("scan", base, _identity(found)), lambda: shown.feature(found, base), GEOJSON)
        return radar.send(request, body, site)


def _add_vectors(routes: APIRouter, radar: Radar) -> None:
    @routes.get(
        "/vectors",
        **_told("vectors", "The newest storm cells, circulations, hail and winds", models.Vectors, 400),
    )
    async def list_vectors(request: Request, site: SiteId = None, at: Moment = None) -> Response:
        named = radar.site(site)
        view = await radar.finder.view(named)
        moment = _moment("at", at)
        scans = await radar.finder.scans(named, view, moment)
        document = shown.vectors(scans, moment, _base(request))
        identity = tuple(one.href for one in document.documents)
        body = radar.body(("vectors", identity), lambda: document)
        return radar.send(request, body, named, holds=radar.holds(named, view) if moment is None else None)


def _add_value(routes: APIRouter, radar: Radar, limit: Limit) -> None:
    @routes.get(
        "/value",
        dependencies=[Depends(limit)],
        **_told("value", "A product's values at a point, of every tilt of a scan", models.Values, 400, 429),
    )
    async def show_value(
        request: Request,
        product: ProductId,
        lon: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False, examples=[-118.5])],
        lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, examples=[45.9])],
        site: SiteId = None,
        code: Code = None,
        at: Moment = None,
    ) -> Response:
        named = radar.site(site)
        wanted = _wanted(product, code, "")
        view = await radar.finder.view(named)
        moment = _moment("at", at)
        found = await radar.finder.at(named, view, wanted, moment)
        document = models.Values(point=None, values=[], scan=None)
        if found:
            try:
                document = await radar.values.at(found[-1], LonLat(lon, lat), moment)
            except ObjectMissing as fault:
                raise Unavailable("the scan was replaced meanwhile; try again") from fault
        return radar.send(request, Body.encoded(document.model_dump_json().encode()), named)


def _told(name: str, summary: str, model: type[BaseModel], *refusals: int) -> dict[str, Any]:
    """What OpenAPI is to say of a document's route."""
    return {
        "operation_id": name,
        "summary": summary,
        "response_model": model,
        "responses": {
            200: {"headers": _FRESHNESS},
            304: {"description": "The client has it already (`If-None-Match`)."},
            **documented(*refusals, 412, 503),
        },
    }


def _scans(
    radar: Radar,
    request: Request,
    view: SiteView | None,
    wanted: Wanted,
    found: tuple[Frame, ...],
    state: Hashable,
    following: str | None = None,
) -> Body:
    """The document of some images; beside what was asked for it depends on `state` alone."""
    base = _base(request)
    newest = None if view is None else view.line.newest.get(wanted.level)
    asked = hashlib.sha256(request.scope["query_string"]).digest()  # which may be as long as a head may

    def document() -> models.Scans:
        shown_scans = [shown.scan_image(frame, base) for frame in found]
        return models.Scans(scans=shown_scans, next=following, newest=newest)

    return radar.body(("scans", base, asked, newest, state), document)


def _identity(frame: Frame | None) -> Hashable:
    """What an image's description depends on."""
    return None if frame is None else (frame.scan.key, frame.scan.published, frame.product, frame.index)


def _base(request: Request) -> str:
    root: str = request.scope.get("root_path", "")
    return root


def _address_of_next(request: Request, after: Place) -> str:
    moment, key, index = after
    cursor = paging.cursor("scans", moment.isoformat(), key, float(index))
    return f"{_base(request)}/v1/scans?{urlencode({**request.query_params, 'cursor': cursor})}"


def _place(cursor: str | None) -> Place | None:
    found = paging.place("scans", cursor, str, str, float)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(str(found[0]))
        return moment.astimezone(UTC), str(found[1]), int(found[2])
    except (ValueError, OverflowError) as fault:
        raise bad("cursor", "not a cursor of this list") from fault


def _wanted(product: str, code: str | None, tilts: str) -> Wanted:
    if product not in _GROUPS:
        raise bad("product", f"no such product; there are {', '.join(_GROUPS)}")
    level = 2 if code is None and product in LEVEL2 else 3
    return Wanted(product, level, code, _angles(tilts))


def _angles(tilts: str) -> tuple[float, ...]:
    if not tilts:
        return ()
    try:
        angles = tuple(dict.fromkeys(float(tilt) for tilt in tilts.split(",")))
    except ValueError as fault:
        raise bad("tilt", "wanted are angles in degrees, with commas between them") from fault
    if len(angles) > _MOST_TILTS or not all(abs(angle) <= _STEEPEST_DEG for angle in angles):
        raise bad("tilt", f"wanted are at most {_MOST_TILTS} angles up to {_STEEPEST_DEG:g} degrees")
    return angles


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise bad(name, "wanted is a time like 2026-11-21T20:42:00Z") from fault
    if moment.year not in _YEARS:
        raise bad(name, f"is not between {_YEARS.start} and {_YEARS.stop}")
    return moment


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError as fault:
        raise bad("day", "wanted is a UTC day like 2026-11-21") from fault


def _frame(scans: Mapping[str, Scan], key: str, product: str, index: int) -> Frame | None:
    scan = scans.get(key)
    if scan is None or product not in scan.layers or index >= len(scan.layers[product].tilts):
        return None
    return Frame(scan, product, index)


def _gone(radar: Radar, site: str) -> NotFound | Unavailable:
    if radar.catalog.health(site).stale:
        return Unavailable("the store does not answer; try again")
    return NotFound("no such image; the lists have what there is now")
