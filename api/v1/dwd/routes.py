"""The routes below `/v1/dwd`: what each takes and answers; what there is to tell, the modules beside tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel

from api.replies import Header
from api.v1 import paging
from api.v1.documents import send
from api.v1.dwd import files, models, reports, runs, stations
from api.v1.dwd.archive import Archive, Link
from api.v1.dwd.downloads import OTHER_TYPE, TYPES, Downloads
from api.v1.dwd.forecasts import Forecasts
from api.v1.dwd.points import Asked, Points
from api.v1.dwd.sending import file_response
from api.v1.limits import Limit
from api.v1.problems import bad, documented
from api.v1.routing import Route
from dwd_assets.formats.checks import parse_run
from dwd_assets.formats.fields import LevelType
from store.keys import parsed_day
from store.ledger import State

PREFIX = "/v1/dwd"

LICENCE: Header = (b"link", f'<{models.LICENCE}>; rel="license"'.encode("ascii"))
_SOON: Header = (b"cache-control", b"public, max-age=10, stale-while-revalidate=60")
_MINUTES: Header = (b"cache-control", b"public, max-age=60, stale-while-revalidate=600")
_FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")

_COLLECTION = r"^[a-z][a-z0-9-]{0,59}$"
_PERIOD = r"^[0-9]{8}([0-9]{2})?$"
_RUN = r"^[0-9]{10}$"
_STATION = r"^[A-Z0-9][A-Z0-9_]{0,15}$"
_PARAMETER = r"^[a-z][a-z0-9_.]{0,59}$"
_FIRST_YEAR = 1900
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

Cursor = Annotated[
    str | None,
    Query(
        max_length=1024,
        description="`next_cursor` of the page before",
        examples=[paging.cursor("runs", "2026112103", "icon-d2")],
    ),
]
Collection = Annotated[
    str,
    Path(pattern=_COLLECTION, description="a model, `mosmix-l`, `mosmix-s` or `poi`", examples=["icon-d2"]),
]
Period = Annotated[
    str,
    Path(pattern=_PERIOD, description="`YYYYMMDDHH`, of reports `YYYYMMDD`", examples=["2026112103"]),
]
StationId = Annotated[str, Path(pattern=_STATION, description="DWD's id", examples=["10315"])]
Parameter = Annotated[str, Query(pattern=_PARAMETER, description="a field", examples=["t_2m"])]

_STALE = {
    "X-Data-Stale": {
        "schema": {"type": "string", "enum": ["true", "false"]},
        "description": "Whether the archive did not answer, so that this is what was read before.",
    }
}


@dataclass(frozen=True, slots=True)
class Dwd:
    """What the routes ask."""

    archive: Archive
    downloads: Downloads
    forecasts: Forecasts
    points: Points
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, archive: Archive, clock: Callable[[], datetime]) -> Dwd:
        """Everything on one archive."""
        downloads = Downloads(archive)
        return cls(archive, downloads, Forecasts(archive, downloads), Points(archive, downloads), clock)

    def close(self) -> None:
        """End the decoder and the threads."""
        self.points.close()
        self.downloads.close()
        self.archive.link.flights.close()

    def send(
        self, request: Request, document: BaseModel, holds: Header, next_cursor: str | None = None
    ) -> Response:
        """A document of DWD's data, or 304."""
        stale = (b"x-data-stale", b"true" if self.archive.link.away else b"false")
        return send(request, document, (holds, LICENCE, stale), next_cursor)


def router(dwd: Dwd, limit: Limit) -> APIRouter:
    """The routes of one application."""
    routes = APIRouter(prefix=PREFIX, tags=["DWD archive"], route_class=Route)
    _add_runs(routes, dwd)
    _add_files(routes, dwd)
    _add_stations(routes, dwd)
    _add_series(routes, dwd, limit)
    return routes


def _add_runs(routes: APIRouter, dwd: Dwd) -> None:
    @routes.get("/runs", **_told("dwdRuns", "Runs, issues and days, newest first", models.Runs, 400))
    async def list_runs(
        request: Request,
        collection: Annotated[
            str | None, Query(pattern=_COLLECTION, description="without it, all", examples=["icon-d2"])
        ] = None,
        state: State | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: Cursor = None,
    ) -> Response:
        after = paging.place("runs", cursor, str, str)
        now = dwd.clock()
        place = None if after is None else (str(after[0]), str(after[1]))
        found, end = await runs.newest(dwd.archive, collection, state, limit, place, now)
        following = None if end is None else paging.cursor("runs", *end)
        document = models.Runs(
            items=[runs.run(each, now, base(request)) for each in found],
            next_cursor=following,
            attribution=models.unchanged("counts of an archive; DWD's files themselves are unchanged"),
        )
        return dwd.send(request, document, _SOON, following)

    @routes.get(
        "/runs/{collection}/{period}",
        **_told("dwdRun", "One run, issue or day, with what it lacks", models.RunDetail, 400, 404),
    )
    async def show_run(request: Request, collection: Collection, period: Period) -> Response:
        view = await runs.ledger_of(dwd.archive, collection, _checked_period(period))
        return dwd.send(request, runs.detail(view.ledger, dwd.clock(), base(request)), _SOON)

    @routes.get(
        "/runs/{collection}/{period}/files",
        **_told("dwdFiles", "The files of a run, issue or day, by path", models.Files, 400, 404),
    )
    async def list_files(
        request: Request,
        collection: Collection,
        period: Period,
        parameter: Annotated[str | None, Query(pattern=_PARAMETER, examples=["t_2m"])] = None,
        step: Annotated[
            int | None, Query(ge=0, le=59_999, description="minutes after the run", examples=[60])
        ] = None,
        station: Annotated[str | None, Query(pattern=_STATION, examples=["10315"])] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Cursor = None,
    ) -> Response:
        after = paging.place("files", cursor, str)
        view = await runs.ledger_of(dwd.archive, collection, _checked_period(period))
        wanted = files.Wanted(parameter, step, station)
        items, end = files.page(view, wanted, limit, None if after is None else str(after[0]), base(request))
        following = None if end is None else paging.cursor("files", end)
        document = models.Files(
            items=items,
            next_cursor=following,
            attribution=models.unchanged("packed anew; made of other files where `made_from` names them"),
        )
        return dwd.send(request, document, _SOON, following)


def _add_files(routes: APIRouter, dwd: Dwd) -> None:
    @routes.get(
        "/files/{path:path}",
        operation_id="dwdFile",
        summary="A file of the archive, packed as it is kept",
        response_class=Response,
        responses={
            200: _binary("The file; with `unpacked=true` what is in it."),
            206: {"description": "The range of it that was asked for."},
            304: {"description": "The client has it already."},
            **documented(400, 404, 412, 416, 503),
        },
    )
    async def download(
        request: Request,
        path: Annotated[
            str,
            Path(
                description="as `path` of a run's files has it; of an earlier content, with its digits",
                examples=["weather/weather_reports/poi/20261121/10315-BEOB.csv"],
            ),
        ],
        unpacked: Annotated[bool, Query(description="the GRIB, KML or CSV itself")] = False,
    ) -> Response:
        file = await dwd.downloads.open(path, unpacked)
        return file_response(request.scope, file, (_FOR_EVER if file.immutable else _MINUTES, LICENCE))


def _add_stations(routes: APIRouter, dwd: Dwd) -> None:
    @routes.get("/stations", **_told("dwdStations", "Stations by id, or nearest first", models.Stations, 400))
    async def list_stations(
        request: Request,
        bbox: Annotated[
            str | None, Query(max_length=100, description="west,south,east,north", examples=["5,47,16,56"])
        ] = None,
        near: Annotated[
            str | None, Query(max_length=60, description="lat,lon", examples=["52.1,7.7"])
        ] = None,
        name: Annotated[str | None, Query(min_length=1, max_length=60, examples=["Münster"])] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Cursor = None,
    ) -> Response:
        after = paging.place("stations", cursor, float, str)
        box = None if bbox is None else stations.parse_box(bbox)
        point = None if near is None else stations.parse_point(near)
        known = (await dwd.archive.stations()).values()
        place = None if after is None else (float(after[0]), str(after[1]))
        found = stations.select(known, box, point, name, place)
        following = paging.cursor("stations", *found[limit - 1][0]) if len(found) > limit else None
        document = models.Stations(
            items=[
                stations.shown(station, None if point is None else distance, base(request))
                for (distance, _), station in found[:limit]
            ],
            next_cursor=following,
            attribution=models.unchanged("gathered from forecasts and reports"),
        )
        return dwd.send(request, document, _MINUTES, following)


def _add_series(routes: APIRouter, dwd: Dwd, limiter: Limit) -> None:
    limited = [Depends(limiter)]

    @routes.get(
        "/stations/{station}/reports",
        dependencies=limited,
        **_told("dwdReports", "Reports of a station over days, oldest first", models.Reports, 400, 429),
    )
    async def show_reports(
        request: Request,
        station: StationId,
        start: Annotated[
            str | None,
            Query(description="first UTC day; without it, the day before the last", examples=["2026-11-20"]),
        ] = None,
        end: Annotated[
            str | None, Query(description="last UTC day; without it, today", examples=["2026-11-21"])
        ] = None,
        columns: Annotated[
            str | None,
            Query(
                max_length=4000,
                description="English names with commas between them; without it, all",
                examples=["dry_bulb_temperature_at_2_meter_above_ground"],
            ),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=2000)] = 200,
        cursor: Cursor = None,
    ) -> Response:
        days = _days(start, end, dwd.clock().date())
        names = tuple(dict.fromkeys(name.strip() for name in columns.split(","))) if columns else ()
        page = await reports.page(dwd.archive, dwd.downloads, station, days, names, limit, _moment(cursor))
        following = None if page.after is None else paging.cursor("reports", page.after.isoformat())
        document = models.Reports(
            station=station,
            start=days[0],
            end=days[1],
            columns=page.shown_columns(),
            rows=page.shown_rows(),
            warnings=page.warnings,
            next_cursor=following,
            attribution=models.unchanged("hourly files merged into days; values as published"),
        )
        return dwd.send(request, document, _MINUTES, following)

    @routes.get(
        "/stations/{station}/forecast",
        dependencies=limited,
        **_told("dwdForecast", "A station's MOSMIX forecast", models.Forecast, 400, 404, 429),
    )
    async def show_forecast(
        request: Request,
        station: StationId,
        element: Annotated[
            str | None,
            Query(
                max_length=2000,
                description="with commas between them; without it, the elements are listed",
                examples=["TTT"],
            ),
        ] = None,
        issue: Annotated[
            str | None, Query(pattern=_RUN, description="without it, the newest", examples=["2026112109"])
        ] = None,
        product: Literal["L", "S"] = "L",
    ) -> Response:
        names = tuple(dict.fromkeys(name.strip() for name in element.split(","))) if element else ()
        document = await dwd.forecasts.forecast(station, product, issue, names, base(request))
        return dwd.send(request, document, _MINUTES)

    @routes.get(
        "/point",
        dependencies=limited,
        **_told("dwdPoint", "A field of ICON at a point, over a run", models.PointSeries, 400, 404, 429),
    )
    async def show_point(  # noqa: PLR0913, PLR0917 - a parameter for each of the query's
        request: Request,
        lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, examples=[52.13])],
        lon: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False, examples=[7.7])],
        parameter: Parameter,
        run: Annotated[
            str | None,
            Query(
                pattern=_RUN,
                description="without it, the newest that has all steps of this field",
                examples=["2026112103"],
            ),
        ] = None,
        model: Annotated[str, Query(pattern=_COLLECTION)] = "icon-d2",
        level_type: Annotated[
            LevelType | None, Query(description="needed where the field is kept on several")
        ] = None,
        level: Annotated[
            int | None, Query(ge=0, description="in hPa, m, or the server's count", examples=[850])
        ] = None,
        member: Annotated[int | None, Query(ge=0, le=999, description="of an ensemble", examples=[1])] = None,
    ) -> Response:
        asked = Asked(lat, lon, model, parameter, run, level_type, level, member)
        return dwd.send(request, await dwd.points.series(asked, dwd.clock()), _MINUTES)


def base(request: Request) -> str:
    """What addresses in documents begin with, behind a proxy's prefix too."""
    return f"{request.scope.get('root_path', '')}{PREFIX}"


def new(link: Link, clock: Callable[[], datetime]) -> Dwd:
    """Everything on one store."""
    return Dwd.of(Archive(link), clock)


def _told(name: str, summary: str, model: type[BaseModel], *refusals: int) -> dict[str, Any]:
    """What OpenAPI is to say of a document's route."""
    return {
        "operation_id": name,
        "summary": summary,
        "response_model": model,
        "responses": {
            200: {"headers": _STALE},
            304: {"description": "The client has it already (`If-None-Match`)."},
            **documented(*refusals, 412, 503),
        },
    }


def _binary(description: str) -> dict[str, Any]:
    content = {}
    for content_type in (OTHER_TYPE, *TYPES.values()):
        media = content_type.decode("ascii").partition(";")[0]
        content[media] = {"schema": {"type": "string", "format": "binary", "contentMediaType": media}}
    return {"description": description, "content": content}


def _checked_period(period: str) -> str:
    known = parsed_day(period) if len(period) == 8 else parse_run(period)
    if known is None:
        raise bad("period", "no such time: YYYYMMDDHH, of reports YYYYMMDD", "path")
    return period


def _days(start: str | None, end: str | None, today: date) -> tuple[date, date]:
    last = today if end is None else _day("end", end)
    first = last - timedelta(days=1) if start is None else _day("start", start)
    if first > last:
        raise bad("start", "is later than end")
    return first, last


def _day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError as fault:
        raise bad(name, "wanted is a UTC day like 2026-11-21") from fault
    if day.year < _FIRST_YEAR:
        raise bad(name, f"is before {_FIRST_YEAR}")
    return day


def _moment(cursor: str | None) -> datetime | None:
    place = paging.place("reports", cursor, str)
    if place is None:
        return None
    try:
        return datetime.fromisoformat(str(place[0])).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise bad("cursor", "not a cursor of this list") from fault
