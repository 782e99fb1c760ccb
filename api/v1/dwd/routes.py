"""The routes below `/v1/dwd`: what each takes and answers; what there is to tell, the modules beside tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.replies.limits import Limit
from api.replies.problems import bad, documented
from api.v1 import paging
from api.v1.dwd import field_routes, files, models, reports, runs, stations
from api.v1.dwd.archive import Archive, Link
from api.v1.dwd.downloads import OTHER_TYPE, TYPES
from api.v1.dwd.forecasts import USUAL
from api.v1.dwd.known import ledger_of
from api.v1.dwd.sending import file_response
from api.v1.dwd.service import FOR_EVER, LICENCE, MINUTES, PREFIX, SOON, Cursor, Dwd, base, described
from api.v1.dwd.spelled import (
    Collection,
    FirstDay,
    Issue,
    LastDay,
    OneCollection,
    OneParameter,
    OneStation,
    Period,
    StationId,
)
from api.v1.routing import Route
from store.dwd.ledger import State


def router(dwd: Dwd, limit: Limit) -> APIRouter:
    """The routes of one application."""
    routes = APIRouter(prefix=PREFIX, tags=["DWD archive"], route_class=Route)
    _add_runs(routes, dwd)
    _add_files(routes, dwd)
    _add_stations(routes, dwd)
    _add_station_series(routes, dwd, limit)
    field_routes.add(routes, dwd, limit)
    return routes


def _add_runs(routes: APIRouter, dwd: Dwd) -> None:
    @routes.get("/runs", **described("dwdRuns", "Runs, issues and days, newest first", models.Runs, 400, 404))
    async def list_runs(
        request: Request,
        collection: OneCollection = None,
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
        return dwd.send(request, document, SOON, following)

    @routes.get(
        "/runs/{collection}/{period}",
        **described("dwdRun", "One run, issue or day, with what it lacks", models.RunDetail, 400, 404),
    )
    async def show_run(request: Request, collection: Collection, period: Period) -> Response:
        view = await ledger_of(dwd.archive, collection, period)
        return dwd.send(request, runs.detail(view.ledger, dwd.clock(), base(request)), SOON)

    @routes.get(
        "/runs/{collection}/{period}/files",
        **described("dwdFiles", "The files of a run, issue or day, by path", models.Files, 400, 404),
    )
    async def list_files(
        request: Request,
        collection: Collection,
        period: Period,
        parameter: OneParameter = None,
        step: Annotated[
            int | None, Query(ge=0, le=59_999, description="minutes after the run", examples=[60])
        ] = None,
        station: OneStation = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        cursor: Cursor = None,
    ) -> Response:
        after = paging.place("files", cursor, str)
        view = await ledger_of(dwd.archive, collection, period)
        wanted = files.Wanted(parameter, step, station)
        await files.check(dwd.archive, view, wanted)
        items, end = files.page(view, wanted, limit, None if after is None else str(after[0]), base(request))
        following = None if end is None else paging.cursor("files", end)
        document = models.Files(
            items=items,
            next_cursor=following,
            attribution=models.unchanged("packed anew; made of other files where `made_from` names them"),
        )
        return dwd.send(request, document, SOON, following)


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
        return file_response(request.scope, file, (FOR_EVER if file.immutable else MINUTES, LICENCE))


def _add_stations(routes: APIRouter, dwd: Dwd) -> None:
    @routes.get(
        "/stations", **described("dwdStations", "Stations by id, or nearest first", models.Stations, 400)
    )
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
        point = None if near is None else stations.parse_point(near, "near")
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
        return dwd.send(request, document, MINUTES, following)


def _add_station_series(routes: APIRouter, dwd: Dwd, limiter: Limit) -> None:
    limited = [Depends(limiter)]

    @routes.get(
        "/stations/{station}/reports",
        dependencies=limited,
        **described(
            "dwdReports",
            "Reports of a station over days, oldest first, and the hours that are missing",
            models.Reports,
            *(400, 404, 429),
        ),
    )
    async def show_reports(
        request: Request,
        station: StationId,
        start: FirstDay = None,
        end: LastDay = None,
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
        now = dwd.clock()
        asked = reports.Asked(
            station, *_days(start, end, now.date()), _listed(columns), limit, _moment(cursor)
        )
        page = await reports.page(dwd.archive, dwd.downloads, asked)
        following = None if page.after is None else paging.cursor("reports", page.after.isoformat())
        document = models.Reports(
            station=station,
            start=asked.first,
            end=asked.last,
            columns=page.shown_columns(),
            rows=page.shown_rows(),
            missing=page.missing(asked, now, base(request)),
            warnings=page.warnings,
            next_cursor=following,
            attribution=models.unchanged("hourly files merged into days; values as published"),
        )
        return dwd.send(request, document, MINUTES, following)

    @routes.get(
        "/stations/{station}/forecast",
        dependencies=limited,
        **described("dwdForecast", "A station's MOSMIX forecast", models.Forecast, 400, 404, 429),
    )
    async def show_forecast(
        request: Request,
        station: StationId,
        element: Annotated[
            str | None,
            Query(
                max_length=2000,
                description="with commas between them; `*` for all; without it, the usual ones "
                f"({', '.join(USUAL)}) and a list of all",
                examples=["TTT", "*"],
            ),
        ] = None,
        issue: Issue = None,
        product: Literal["L", "S"] = "L",
    ) -> Response:
        document = await dwd.forecasts.forecast(station, product, issue, _listed(element), base(request))
        return dwd.send(request, document, MINUTES)


def new(link: Link, clock: Callable[[], datetime]) -> Dwd:
    """Everything on one store."""
    return Dwd.of(Archive(link), clock)


def _binary(description: str) -> dict[str, Any]:
    content = {}
    for content_type in (OTHER_TYPE, *TYPES.values()):
        media = content_type.decode("ascii").partition(";")[0]
        content[media] = {"schema": {"type": "string", "format": "binary", "contentMediaType": media}}
    return {"description": description, "content": content}


def _listed(text: str | None) -> tuple[str, ...]:
    """Names with commas between them, each once; none without a text."""
    return tuple(dict.fromkeys(name for each in (text or "").split(",") if (name := each.strip())))


def _days(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    last = last or today
    first = first or last - timedelta(days=1)
    if first > last:
        raise bad("start", "is later than end")
    return first, last


def _moment(cursor: str | None) -> datetime | None:
    place = paging.place("reports", cursor, str)
    if place is None:
        return None
    try:
        return datetime.fromisoformat(str(place[0])).astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        raise bad("cursor", "not a cursor of this list") from fault
