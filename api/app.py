"""The HTTP API: `uvicorn api.app:app`, or `python -m api`.

Assembles, nothing else. From the outside in: `Envelope` (headers of every answer), `ShortPath` (the
contract's GET routes, as bytes), FastAPI (everything else, and the documentation of all).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from api import health, reference, writes
from api.catalog import Catalog, Clock, utc_now
from api.envelope import Envelope
from api.errors import ApiError
from api.flags import Flags
from api.flights import Flights
from api.legacy import Legacy
from api.opener import Opener
from api.pictures import Pictures
from api.settings import ApiSettings
from api.shortpath import ShortPath
from api.watcher import Watcher
from store.location import open_store
from store.objects import Store, StoreError

STORE_THREADS = 16
"""Reads of the store under way at once."""

FIRST_LOOK_S = 2.0
"""How long the start waits for the first look at the store; without an answer it goes on."""


def create_app(
    settings: ApiSettings | None = None, store: Store | None = None, clock: Clock = utc_now
) -> FastAPI:
    """The application: settings are of the environment where not given, and the store of the settings."""
    settings = settings or ApiSettings()
    opener = Opener(lambda: store or open_store(settings.store, settings.store_endpoint))
    poll_s = settings.poll_seconds or (2.0 if settings.store.startswith("s3://") else 1.0)
    catalog = Catalog(
        opener, settings.primary_site, settings.list_minutes, overdue_s=max(10.0, 5 * poll_s), clock=clock
    )
    flights = Flights(STORE_THREADS, catalog.away)
    flags = Flags(opener, flights)
    watcher = Watcher(catalog, poll_s)
    pictures = Pictures(opener, flights, settings.image_cache_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with suppress(StoreError):  # away: the watcher goes on trying; a wrong setting ends the start
            await run_in_threadpool(opener)
        await run_in_threadpool(watcher.start, FIRST_LOOK_S)
        yield
        await run_in_threadpool(watcher.stop)
        flights.close()

    app = _bare_app(lifespan)
    app.include_router(writes.router(settings, flags, watcher))
    app.include_router(health.router(catalog, clock))
    app.add_middleware(ShortPath, routes=Legacy(catalog, pictures, flags, flights, clock).routes())
    app.add_middleware(Envelope, origins=settings.origins)
    reference.describe(app)
    return app


def _bare_app(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """FastAPI with its documentation served from a package, and errors in our form."""
    app: FastAPI = FastAPIOffline(
        title="Radar and forecast data",
        version="1",
        description=(
            "Weather radar images in Web Mercator, their metadata and lists. Every GET route answers HEAD. "
            "Data: NOAA/NWS. Not for safety of life."
        ),
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.exception_handler(ApiError)(_refuse)
    app.exception_handler(HTTPException)(_refuse_as_framework)
    return app


async def _refuse(_: Request, error: ApiError) -> Response:
    reply = error.reply()
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in reply.headers}
    return Response(reply.body, reply.status, headers)


async def _refuse_as_framework(_: Request, error: HTTPException) -> Response:
    headers = {**(error.headers or {}), "cache-control": "no-store"}
    return JSONResponse({"error": error.detail}, error.status_code, headers)


app = create_app()
"""The application of the environment's settings."""
