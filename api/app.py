"""The HTTP API: `uvicorn api.app:app`, or `python -m api`.

Assembles, nothing else. From the outside in: `Hot` (images that were asked for before), `Envelope` (headers of every
answer), `Measured` (counts), `ShortPath` (the contract's GET routes and what has a digest in its address, as bytes),
`PolledDocuments` (documents of `/v1` that were asked for before), FastAPI (everything else, and the documentation of
all). They are around FastAPI, not in it: what FastAPI does ahead of any middleware takes as long as all of an image's
answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route as StarletteRoute
from starlette.types import Receive, Scope, Send

from api import viewer_files
from api.contract import writes
from api.contract.routes import Legacy
from api.events.feeds import ArchiveFeed, ScanFeed
from api.events.streaming import Broadcaster, Stream, end_with_the_process
from api.fast.hot import Hot, HotAnswers
from api.fast.polled import Polled, PolledDocuments
from api.fast.shortpath import ShortPath
from api.memory.disk_files import DiskFiles
from api.memory.flights import Flights
from api.ops import health, metrics
from api.ops.metrics import Measured, Metrics, State
from api.paths import EVENTS
from api.reference import openapi
from api.replies import problems
from api.replies.envelope import Envelope
from api.replies.errors import ApiError
from api.replies.limits import Limit
from api.replies.reply import Answer
from api.settings import ApiSettings
from api.state.catalog import Catalog, Clock, utc_now
from api.state.flags import Flags
from api.state.images import Pictures
from api.state.opener import Opener
from api.state.reading import Reader
from api.state.watcher import Watcher
from api.v1.dwd import routes
from api.v1.dwd.archive import Link
from api.v1.dwd.health import ArchiveHealth
from api.v1.radar.files import Files
from api.v1.radar.routes import Radar
from api.v1.radar.routes import router as radar_router
from api.v1.routing import as_response
from store.location import open_store
from store.objects import Store, StoreError

STORE_THREADS = 16
"""Reads of the store under way at once."""

FIRST_LOOK_S = 2.0
"""How long the start waits for the first look at the store; without an answer it goes on."""


class Api:
    """The ASGI application: what FastAPI answers, and what is answered ahead of it."""

    def __init__(self, fastapi: FastAPI, front: Hot, files: DiskFiles) -> None:
        self.fastapi = fastapi
        self._front = front
        self._files = files

    def answers(self) -> Answer:
        """What answers requests on the wire, for a server that sends files: they are held open from now on."""
        self._files.are_sent = True
        return self._front.answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or live through a lifespan."""
        await self._front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document of all routes."""
        return self.fastapi.openapi()


def create_app(
    settings: ApiSettings | None = None,
    store: Store | None = None,
    clock: Clock = utc_now,
    archive: Store | None = None,
) -> Api:
    """The application: settings are of the environment where not given, and the stores of the settings.

    The DWD archive is in `archive`; where that is not given, in `store` if that is.
    """
    settings = settings or ApiSettings()
    opener = Opener(lambda: store or open_store(settings.store, settings.store_endpoint))
    poll_s = settings.poll_seconds or (2.0 if settings.store.startswith("s3://") else 1.0)
    catalog = Catalog(
        opener, settings.primary_site, settings.list_minutes, overdue_s=max(10.0, 5 * poll_s), clock=clock
    )
    flights = Flights(STORE_THREADS, catalog.away)
    flags = Flags(opener, flights)
    broadcaster = Broadcaster(settings.event_clients, settings.heartbeat_seconds)
    pictures = Pictures(opener, flights, settings.image_cache_bytes)
    feed = ScanFeed(catalog, broadcaster)
    watcher = Watcher(catalog, poll_s, (feed.look, pictures.files.forget_deleted))
    reader = Reader(catalog, flights)
    polled = Polled()
    radar = Radar.of(catalog, reader, pictures, settings.plane_cache_bytes, clock, polled)
    dwd = routes.new(_archive_link(settings, opener, catalog, store, archive), clock)
    limit = Limit(settings.rate_per_minute, settings.trusted_proxies)
    counted = Metrics()
    caches = {"images": pictures.cache, **radar.caches}
    counted.registry.register(State(catalog, clock, caches, lambda: broadcaster.clients))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with suppress(StoreError):  # away: the watcher goes on trying; a wrong setting ends the start
            await run_in_threadpool(opener)
        broadcaster.start()
        await run_in_threadpool(watcher.start, FIRST_LOOK_S)
        archive_feed = asyncio.create_task(ArchiveFeed(dwd.archive, broadcaster, clock).run())
        signals_back = end_with_the_process(broadcaster)
        yield
        signals_back()
        broadcaster.close()
        archive_feed.cancel()
        await run_in_threadpool(watcher.stop)
        radar.close()
        flights.close()
        await run_in_threadpool(dwd.close)

    app = _bare_app(lifespan)
    app.include_router(writes.router(settings, flags, watcher))
    app.include_router(health.router(catalog, clock, ArchiveHealth(dwd.archive, settings, clock)))
    app.include_router(metrics.router(counted))
    app.include_router(viewer_files.router())
    app.include_router(radar_router(radar, limit))
    app.include_router(routes.router(dwd, limit))
    app.router.routes.append(StarletteRoute(EVENTS, Stream(broadcaster), include_in_schema=False))
    legacy = Legacy(catalog, reader, pictures, flags, clock)
    files = Files(catalog, reader, pictures)
    openapi.describe(app)
    hot = HotAnswers(settings.origins)
    short = ShortPath(PolledDocuments(app, polled, hot), {**legacy.routes(), **files.routes()}, hot)
    envelope = Envelope(Measured(short, counted), settings.origins)
    return Api(app, Hot(envelope, hot, counted.count), pictures.files)


def _bare_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """FastAPI with its documentation served from a package, and errors in our form."""
    app: FastAPI = FastAPIOffline(
        title="Radar and forecast data",
        version="1",
        description=(
            "Weather radar images in Web Mercator, their metadata and lists. Every GET route answers HEAD. "
            "Below `/v1`, errors are problem documents (RFC 9457), and unknown query parameters are refused. "
            "Data: NOAA/NWS; Deutscher Wetterdienst (DWD), CC BY 4.0. Not for safety of life."
        ),
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.exception_handler(ApiError)(_refuse)
    app.exception_handler(HTTPException)(_refuse_as_framework)
    app.exception_handler(Exception)(_leave_to_the_envelope)
    return app


def _archive_link(
    settings: ApiSettings, opener: Opener, catalog: Catalog, store: Store | None, archive: Store | None
) -> Link:
    """The way to the archive's store; to the very one of the images where it is there."""
    if archive is not None:
        return Link(Opener(lambda: archive))
    if store is not None or settings.archive_location == settings.store:
        return Link(opener, catalog.away)
    return Link(Opener(lambda: open_store(settings.archive_location, settings.store_endpoint)))


async def _refuse(_: Request, error: ApiError) -> Response:
    reply = error.reply()
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in reply.headers}
    return Response(reply.body, reply.status, headers)


async def _leave_to_the_envelope(_: Request, error: Exception) -> Response:
    raise error


async def _refuse_as_framework(request: Request, error: HTTPException) -> Response:
    if problems.concerns(request.scope):
        return as_response(problems.reply_to(error, request.scope))
    headers = {**(error.headers or {}), "cache-control": "no-store"}
    return JSONResponse({"error": error.detail}, error.status_code, headers)


app = create_app()
"""The application of the environment's settings."""
