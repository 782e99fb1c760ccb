"""Whether the process is up, and whether it has fresh data."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api import models
from api.state.catalog import Catalog, Clock
from api.v1.dwd.health import ArchiveHealth
from store.radar.snapshot import SiteHead


def router(catalog: Catalog, clock: Clock, archive: ArchiveHealth) -> APIRouter:
    """The health routes of one application."""
    routes = APIRouter(tags=["health"])

    @routes.get("/livez", operation_id="alive", summary="Whether the process is up")
    async def livez(response: Response) -> models.Alive:
        response.headers["cache-control"] = "no-store"
        return models.Alive()

    @routes.get(
        "/readyz",
        operation_id="ready",
        summary="Whether the store answers, and the age of the newest scan",
        responses={503: {"model": models.Readiness, "description": "The store is away, or never answered."}},
    )
    async def readyz(response: Response) -> models.Readiness:
        readiness = _readiness(catalog, clock, await archive.told())
        response.headers["cache-control"] = "no-store"
        if not readiness.ready:
            response.status_code = 503
        return readiness

    return routes


def _readiness(catalog: Catalog, clock: Clock, archive: models.ArchiveReadiness) -> models.Readiness:
    health = catalog.health()
    sites = catalog.index.sites if catalog.index is not None else {}
    scans = [scan for site, line in sites.items() if (scan := _newest(site, line, clock)) is not None]
    return models.Readiness(
        ready=not health.stale,
        store_answered_s=health.answered_s,
        fault=health.fault,
        sites=len(sites),
        newest=max(scans, key=lambda scan: scan.time, default=None),
        primary=next((scan for scan in scans if scan.site == catalog.primary_site), None),
        archive=archive,
    )


def _newest(site: str, line: SiteHead, clock: Clock) -> models.NewestScan | None:
    if not line.newest:
        return None
    newest = max(line.newest.values())
    age_s = (clock() - newest).total_seconds()
    return models.NewestScan(site=site, time=newest, age_s=age_s, levels=line.newest)
