"""The documents of `/v1/dwd`. Times are UTC; further fields may be added."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.models import Document
from dwd_assets.formats.fields import Grid, LevelType
from store.ledger import Codec, State

CREDIT = "Deutscher Wetterdienst (DWD), CC BY 4.0"
LICENCE = "https://creativecommons.org/licenses/by/4.0/"

RunKind = Literal["run", "issue", "day"]
"""A run of a model, an issue of MOSMIX, a day of reports."""


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


class Reports(Document):
    """Reports of a station, oldest first."""

    station: str
    start: date
    end: date
    columns: list[ReportColumn]
    rows: list[ReportRow]
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
    """A station's forecast; without `element`, what elements it has."""

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
    elements: list[Element] = Field(description="all that there are, where none was asked for")
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
    """A parameter at the grid point nearest to a position, over all steps that are kept."""

    model: str
    run: str
    reference_time: datetime
    run_state: State
    parameter: str
    level_type: LevelType
    level: int | None
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


def unchanged(changes: str) -> Attribution:
    """Credit for values that are DWD's."""
    return Attribution(changed=False, changes=changes)
