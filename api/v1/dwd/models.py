"""The documents of `/v1/dwd`. Times are UTC; further fields may be added."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.models import Document
from dwd_assets.formats.fields import Grid, LevelType
from store.dwd.ledger import Codec, State

CREDIT = "Deutscher Wetterdienst (DWD), CC BY 4.0"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"

RunKind = Literal["run", "issue", "day"]
"""A run of a model, an issue of MOSMIX, a day of reports."""


MissingReason = Literal[
    "no_ledger", "not_listed", "not_kept", "failed", "unreadable", "not_fetched", "no_row"
]
"""Why an hour has no report."""


class Attribution(Document):
    """Whose data these are, and what was done to them."""

    credit: str = CREDIT
    licence: str = LICENCE
    changed: bool = Field(description="whether a value is another than the one that DWD published")
    changes: str = Field(description="what was done to the data, in words")


class Run(Document):
    """A run, issue or day in numbers."""

    collection: str = Field(examples=["icon-d2"])
    period: str = Field(description="`YYYYMMDDHH`, of reports `YYYYMMDD`", examples=["2026112103"])
    kind: RunKind
    start: datetime
    state: State = Field(
        description="`waiting`: nothing yet; `partial`: something missing may still come; `complete`; `lost`: "
        "something missing that will not come; `unseen`: what is missing was never seen on the server"
    )
    expected: int
    kept: int
    missing: int
    failed: int
    changed: int = Field(description="files whose content was replaced; the earlier ones are kept")
    corrections: int = Field(description="values of reports that a later report replaced")
    bytes_kept: int = Field(description="as they are at rest, packed")
    expects_more: bool = Field(description="the list of what is expected may still grow")
    minutes_left: int | None = Field(description="whole minutes until the server deletes what is missing")
    deadline: datetime | None
    looked_at: datetime | None
    warnings: list[str]
    revision: int
    href: str
    files_href: str


class Runs(Document):
    """Runs, issues and days, newest first."""

    items: list[Run]
    next_cursor: str | None
    attribution: Attribution


class FailedFile(Document):
    """A file that came and was not what it should be."""

    path: str
    reason: str
    at: datetime
    attempts: int
    etag: str | None


class CorrectedValue(Document):
    """A value of a report that a later report replaced, as DWD spells them."""

    station: str
    time: datetime
    column: str
    before: str
    after: str
    at: datetime


class SourceServer(Document):
    """Where the kept files came from, and when."""

    server: str = Field(examples=["https://opendata.dwd.de"])
    files: int
    first_fetched_at: datetime
    last_fetched_at: datetime


class RunDetail(Run):
    """A run with what is missing and what failed, of each the first hundred."""

    missing_paths: list[str]
    failures: list[FailedFile]
    latest_corrections: list[CorrectedValue]
    sources: list[SourceServer]
    made_here: int = Field(description="files that were made of others")
    attribution: Attribution


class FileSource(Document):
    """Where a file came from, and what came before it was unpacked."""

    url: str
    fetched_at: datetime
    length: int
    sha256: str
    etag: str | None
    modified: datetime | None
    codec: Codec


class EarlierContent(Document):
    """A content that another one replaced."""

    sha256: str
    size: int
    replaced_at: datetime
    source: FileSource | None
    href: str


class FieldName(Document):
    """Which field a file holds."""

    parameter: str = Field(examples=["t_2m"])
    level_type: LevelType
    level: int | None
    step_minutes: int
    member: int | None
    grid: Grid
    qualifiers: str = Field(
        description="of a layer, a wavelength or another surface: folders of the v1 tree, else empty",
        examples=["", "wvl1/550"],
    )


class ArchiveFile(Document):
    """A file that is kept; `sha256` and `size` are of its content, `stored_bytes` as it is at rest."""

    path: str
    sha256: str
    size: int
    stored_bytes: int
    kept_at: datetime
    field: FieldName | None = Field(description="of a GRIB file")
    station: str | None = Field(description="of a forecast or of reports")
    source: FileSource | None = Field(description="none for what was made here")
    made_from: list[str]
    as_of: datetime | None = Field(description="of a day of reports, the time of the latest report in it")
    notes: list[str]
    earlier: list[EarlierContent]
    href: str = Field(description="the file; with `?unpacked=true` its content")


class Files(Document):
    """Files of one run, issue or day, by path."""

    items: list[ArchiveFile]
    next_cursor: str | None
    attribution: Attribution


class StationPlace(Document):
    """A station of forecasts or reports; `distance_km` from the point that was asked for."""

    id: str = Field(examples=["10315"])
    name: str
    latitude_deg: float | None
    longitude_deg: float | None
    height_m: float | None
    distance_km: float | None
    reports_href: str
    forecast_href: str


class Stations(Document):
    """Stations by id, or the nearest first."""

    items: list[StationPlace]
    next_cursor: str | None
    attribution: Attribution


class ReportColumn(Document):
    """A column of reports: English name, unit for people, unit as DWD writes it."""

    name: str = Field(examples=["dry_bulb_temperature_at_2_meter_above_ground"])
    unit: str | None = Field(description="none for codes of a table", examples=["°C"])
    source_unit: str = Field(examples=["Grad C"])


class ReportRow(Document):
    """An hour's values, one for each column; none where missing."""

    time: datetime
    values: list[float | None]


class MissingHours(Document):
    """Hours that were due and have no report; `start` and `end` are the first and the last of them."""

    start: datetime
    end: datetime
    reason: MissingReason = Field(
        description="`no_ledger`: the archive did not follow that day; `not_listed`: the day's ledger neither has nor "
        "expects a file of the station; `not_kept`: the file is expected and not kept; `failed`: it came and was not "
        "right; `unreadable`: it is kept and cannot be read; `not_fetched`: the rows were gone from the server before "
        "they were fetched; `no_row`: the file has no row of the hour"
    )
    detail: str
    ledger_href: str | None = Field(description="the day's ledger; null where there is none")


class Reports(Document):
    """Reports of a station, oldest first."""

    station: str
    start: date
    end: date
    columns: list[ReportColumn]
    rows: list[ReportRow]
    missing: list[MissingHours] = Field(
        description="hours of the asked days up to the last row of this page, or to now, that have no row"
    )
    warnings: list[str] = Field(description="cells that hold no number, days that cannot be read")
    next_cursor: str | None
    attribution: Attribution


class Element(Document):
    """An element of MOSMIX."""

    element: str = Field(examples=["TTT"])
    unit: str | None = Field(description="`1` for pure numbers, none where not known", examples=["K"])
    description: str | None


class ElementSeries(Element):
    """An element over time: a value for each of `times`, none where missing."""

    values: list[float | None]


class Forecast(Document):
    """A station's forecast: series of the elements that are asked for; without `element`, of the usual ones."""

    station: str
    name: str
    latitude_deg: float
    longitude_deg: float
    height_m: float
    product: Literal["L", "S"]
    issue: str
    issued: datetime
    times: list[datetime]
    series: list[ElementSeries]
    elements: list[Element] = Field(description="without `element`, all that the forecast has; else empty")
    file_href: str
    attribution: Attribution


class Position(Document):
    """Decimal degrees."""

    latitude_deg: float
    longitude_deg: float


class PointStep(Document):
    """A field's value; none where the field has none there."""

    lead_minutes: int
    valid_time: datetime
    value: float | None


class UnreadableFile(Document):
    """A file that could not be decoded."""

    path: str
    reason: str


class PointSeries(Document):
    """A parameter at the grid point nearest to a position, over all steps that are kept, or at one of them."""

    model: str
    run: str
    reference_time: datetime
    run_state: State
    parameter: str
    level_type: LevelType
    level: int | None
    qualifiers: str = Field(description="of a layer, a wavelength or another surface, else empty")
    member: int | None
    unit: str | None
    grid: Grid
    requested: Position
    position: Position = Field(description="the grid point, or the middle of the triangle")
    distance_km: float
    steps: list[PointStep]
    missing_steps: int = Field(description="steps of this field that are expected and not kept")
    unreadable: list[UnreadableFile]
    attribution: Attribution


class SeriesTime(Document):
    """A valid time, and the run that its values are of; `lead_minutes` after that run."""

    valid_time: datetime
    run: str = Field(examples=["2026112103"])
    lead_minutes: int


class GridPoint(Position):
    """The grid point, or the middle of the triangle, that the values of some runs are of."""

    grid: Grid
    distance_km: float
    runs: list[str]


class SeriesPoint(Document):
    """A point or station, with a value for each of `times`: null where the field has none there."""

    name: str = Field(description="the station's id, or the number of the point, from 1", examples=["10315"])
    station_name: str | None = Field(description="null for a point")
    requested: Position
    grid_points: list[GridPoint] = Field(description="several if the grid is another one in some of the runs")
    values: list[float | None]


class MissingStep(SeriesTime):
    """A valid time that should be in the series and is not."""

    path: str
    reason: str = Field(description="`not kept`, or why the file cannot be read")


class FieldSeries(Document):
    """A parameter at points or stations over valid times, each of one run."""

    model: str
    parameter: str
    level_type: LevelType
    level: int | None
    qualifiers: str = Field(description="of a layer, a wavelength or another surface, else empty")
    member: int | None
    unit: str | None
    run: str | None = Field(
        description="the run that was asked for; null: of each time the newest that has it"
    )
    times: list[SeriesTime]
    points: list[SeriesPoint]
    missing: list[MissingStep]
    attribution: Attribution


def unchanged(changes: str) -> Attribution:
    """Credit for values that are DWD's."""
    return Attribution(changed=False, changes=changes)
