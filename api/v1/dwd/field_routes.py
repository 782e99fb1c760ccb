"""The routes below `/v1/dwd` that decode fields: values at a point, and series at points and stations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.replies.answers import negotiated
from api.replies.conditional import headers_of
from api.replies.limits import Limit
from api.replies.problems import bad
from api.replies.reply import Body, Header
from api.v1.dwd import models
from api.v1.dwd.fields import places, points, series
from api.v1.dwd.fields.cell import Place
from api.v1.dwd.fields.series_table import CONTENT_TYPE, table
from api.v1.dwd.fields.steps import FieldAsked
from api.v1.dwd.service import LICENCE, MINUTES, Dwd, described
from api.v1.dwd.spelled import FirstTime, LastTime, Model, Parameter, PointRun, SeriesRun
from api.v1.routing import as_response
from dwd_assets.formats.fields import LevelType

Kind = Annotated[LevelType | None, Query(description="needed where the field is kept on several")]
LevelValue = Annotated[
    int | None, Query(ge=0, description="in hPa, m, or the server's count", examples=[850])
]
Member = Annotated[int | None, Query(ge=0, le=999, description="of an ensemble", examples=[1])]
Qualifiers = Annotated[
    str | None,
    Query(
        max_length=120,
        description="of a layer, a wavelength or another surface, as `qualifiers` of a file's field has them",
        examples=["wvl1/550"],
    ),
]
Step = Annotated[
    int | None,
    Query(
        ge=0, le=59_999, description="minutes after the run, as of its files; without it, all", examples=[60]
    ),
]
Format = Annotated[
    Literal["json", "csv"] | None,
    Query(description="without it, what `Accept` prefers: CSV for `text/csv`, else JSON"),
]

_VARIES: Header = (b"vary", b"Accept, Accept-Encoding")


def add(routes: APIRouter, dwd: Dwd, limiter: Limit) -> None:
    """Add the routes, which an address may ask only so often."""
    _add_point(routes, dwd, limiter)
    _add_series(routes, dwd, limiter)


def _add_point(routes: APIRouter, dwd: Dwd, limiter: Limit) -> None:
    @routes.get(
        "/point",
        dependencies=[Depends(limiter)],
        **described("dwdPoint", "A field of ICON at a point, over a run", models.PointSeries, 400, 404, 429),
    )
    async def show_point(  # noqa: PLR0913, PLR0917 - a parameter for each of the query's
        request: Request,
        lat: Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, examples=[52.13])],
        lon: Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False, examples=[7.7])],
        parameter: Parameter,
        run: PointRun = None,
        step: Step = None,
        model: Model = "icon-d2",
        level_type: Kind = None,
        level: LevelValue = None,
        member: Member = None,
        qualifiers: Qualifiers = None,
    ) -> Response:
        field = FieldAsked(model, parameter, level_type, level, member, qualifiers)
        asked = points.PointAsked(field, Place(lat, lon), run, step)
        document = await points.series(dwd.archive, dwd.fields, asked, dwd.clock())
        return dwd.send(request, document, MINUTES)


def _add_series(routes: APIRouter, dwd: Dwd, limiter: Limit) -> None:
    @routes.get(
        "/series",
        dependencies=[Depends(limiter)],
        **_described_series(),
    )
    async def show_series(  # noqa: PLR0913, PLR0917 - a parameter for each of the query's
        request: Request,
        parameter: Parameter,
        lat: Annotated[float | None, Query(ge=-90, le=90, allow_inf_nan=False, examples=[52.13])] = None,
        lon: Annotated[float | None, Query(ge=-180, le=180, allow_inf_nan=False, examples=[7.7])] = None,
        points: Annotated[
            str | None,
            Query(
                max_length=1200,
                description=f"`lat,lon` with `;` between them, at most {places.MOST_PLACES}",
                examples=["52.13,7.7;51.03,9.37"],
            ),
        ] = None,
        stations: Annotated[
            str | None,
            Query(
                max_length=500,
                description=f"ids with commas between them, at most {places.MOST_PLACES}; positions are those of "
                "the catalogue of stations",
                examples=["10315,01001"],
            ),
        ] = None,
        run: SeriesRun = None,
        step: Step = None,
        start: FirstTime = None,
        end: LastTime = None,
        model: Model = "icon-d2",
        level_type: Kind = None,
        level: LevelValue = None,
        member: Member = None,
        qualifiers: Qualifiers = None,
        format: Format = None,  # noqa: A002 - the query's name
    ) -> Response:
        if start is not None and end is not None and start > end:
            raise bad("start", "is later than end")
        if step is not None and run is None:
            raise bad("step", "needs run: the run that the step is of")
        named = await places.named(dwd.archive, places.PlacesAsked(lat, lon, points, stations))
        field = FieldAsked(model, parameter, level_type, level, member, qualifiers)
        asked = series.SeriesAsked(field, named, run, step, start, end)
        return _sent(dwd, request, await series.series(dwd.archive, dwd.fields, asked), format)


def _sent(dwd: Dwd, request: Request, document: models.FieldSeries, form: str | None) -> Response:
    """The series in the form that is asked for, or 304."""
    asked = headers_of(request.scope)
    is_table = form == "csv" if form else prefers_csv(asked.get(b"accept", b"").decode("latin-1"))
    body = (
        Body.encoded(table(document), CONTENT_TYPE)
        if is_table
        else Body.encoded(document.model_dump_json().encode())
    )
    return as_response(negotiated(body, asked, (MINUTES, LICENCE, dwd.stale, _VARIES)))


def prefers_csv(accept: str) -> bool:
    """Whether a field Accept (RFC 9110, section 12.5.1) prefers CSV to JSON; a tie or a wildcard is JSON."""
    weights = dict(map(_weight, accept.lower().split(",")))
    json_weight = max(weights.get(name, 0.0) for name in ("application/json", "application/*", "*/*"))
    return weights.get("text/csv", weights.get("text/*", 0.0)) > json_weight


def _weight(part: str) -> tuple[str, float]:
    """A media range and its weight, 0 where that cannot be read."""
    name, *parameters = (each.strip() for each in part.split(";"))
    weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0


def _described_series() -> dict[str, Any]:
    """What OpenAPI is to say of the route of series, which has two forms."""
    summary = "A field of ICON at points or stations over valid times, as JSON or CSV"
    route = described("dwdSeries", summary, models.FieldSeries, 400, 404, 429)
    schema = {"type": "string", "examples": [_EXAMPLE]}
    answers = route["responses"]
    answers[200] = {**answers[200], "content": {"text/csv": {"schema": schema}}}
    return route


_EXAMPLE = (
    "valid_time,run,lead_minutes,point,latitude,longitude,value,unit\r\n"
    "2026-11-21T04:00:00Z,2026-11-21T03:00:00Z,60,10315,52.13,7.7,281.25,K\r\n"
)
