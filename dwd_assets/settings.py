"""Settings of the DWD archive, from the environment or a `.env` file.

Names of the replaced crawler are taken where ours are not set (`.env.example` lists both).
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from dwd_assets.formats.paths import STATION, MosmixProduct
from dwd_assets.formats.target_grids import TARGET_GRIDS
from dwd_assets.opendata.client import BASE_URL
from dwd_assets.selection import Selection, parse_row
from store.settings import ArchiveSettings, Names, split_names

LogLevel = Literal["trace", "debug", "info", "warn", "error", "fatal"]
"""Of the least that is logged; the first and the last are the replaced crawler's."""

DEFAULT_FIELDS = ("icon-d2/single,time-invariant/*",)
"""What the replaced crawler kept: every single-level field of ICON-D2."""

NONE = "none"


class DwdSettings(ArchiveSettings):
    """What is archived, from where, how kindly and how often."""

    live: bool = Field(default=False, validation_alias="DWD_LIVE")
    """Whether sensors and schedules run from the start."""

    server: str = Field(default=BASE_URL, validation_alias="DWD_SERVER")
    """The server's address, without a path."""

    contact: str | None = Field(default=None, validation_alias="DWD_CONTACT")
    """An address that the user agent names beside the project."""

    connections: int = Field(default=16, ge=1, le=64, validation_alias="DWD_CONNECTIONS")
    """How many connections to the server a process has at most."""

    requests_per_s: float = Field(default=50.0, gt=0, validation_alias="DWD_REQUESTS_PER_SECOND")
    """How many requests a second a process makes at most, in the long run."""

    fields: Annotated[tuple[str, ...], NoDecode] = Field(
        default=DEFAULT_FIELDS, validation_alias="DWD_FIELDS"
    )
    """Rows of `dwd_assets.selection`, with spaces or semicolons between them."""

    v1_tree: bool = Field(default=True, validation_alias="DWD_V1_TREE")
    """Whether fields come from `/weather/nwp/v1/`."""

    old_tree: bool = Field(default=False, validation_alias="DWD_OLD_TREE")
    """Whether fields on the regular grid come from `/weather/nwp/<model>/grib/`, as long as that is there."""

    regular_grid: bool = Field(default=False, validation_alias="DWD_REGULAR_GRID")
    """Whether fields of ICON-D2 and ICON-EU that come on triangles are also kept on the regular grid that each model
    had in the old tree (0.02 and 0.0625 degrees), if `fields` selects single-level or constant ones of the model.
    """

    geometry_cache: Path = Field(default=Path("data/dwd-geometry"), validation_alias="DWD_GEOMETRY_CACHE")
    """A folder on this machine for the nearest cell of each point of these grids; safe to delete."""

    constants_as_pointers: bool = Field(default=False, validation_alias="DWD_CONSTANTS_AS_POINTERS")
    """Whether a constant field that is kept already is named by the ledger alone (on S3, a copy else)."""

    mosmix: Annotated[tuple[MosmixProduct, ...], NoDecode] = Field(
        default=("L",), validation_alias="DWD_MOSMIX"
    )
    """The MOSMIX products that are archived."""

    mosmix_stations: Names = Field(default=(), validation_alias="DWD_MOSMIX_STATIONS")
    """Stations whose single files are fetched instead of the file of all stations; unset: all stations."""

    reports: bool = Field(default=True, validation_alias="DWD_REPORTS")
    """Whether POI reports are archived."""

    report_stations: Names = Field(default=(), validation_alias="DWD_REPORT_STATIONS")
    """Stations whose reports are archived; unset: all."""

    start_day: date | None = Field(default=None, validation_alias="DWD_START_DATE")
    """The first day that is a partition; unset: the first of the year that it was a week ago."""

    fields_wait_minutes: float = Field(
        default=1,
        gt=0,
        validation_alias=AliasChoices("DWD_FIELDS_WAIT_MINUTES", "ICON_D2_COMPLETE_CYCLE_WAIT_MINUTES"),
    )
    """Between two looks for fields."""

    fields_retry_minutes: float = Field(
        default=5,
        gt=0,
        validation_alias=AliasChoices("DWD_FIELDS_RETRY_MINUTES", "ICON_D2_CRAWL_RETRY_WAIT_MINUTES"),
    )
    """Before fields that failed or did not come are asked for again."""

    forecasts_wait_minutes: float = Field(
        default=5,
        gt=0,
        validation_alias=AliasChoices("DWD_FORECASTS_WAIT_MINUTES", "FORECAST_COMPLETE_CYCLE_WAIT_MINUTES"),
    )
    """Between two looks for forecasts."""

    forecasts_retry_minutes: float = Field(
        default=5,
        gt=0,
        validation_alias=AliasChoices("DWD_FORECASTS_RETRY_MINUTES", "FORECAST_CRAWL_RETRY_WAIT_MINUTES"),
    )
    """Before forecasts that failed are asked for again."""

    reports_wait_minutes: float = Field(
        default=10,
        gt=0,
        validation_alias=AliasChoices("DWD_REPORTS_WAIT_MINUTES", "REPORT_COMPLETE_CYCLE_WAIT_MINUTES"),
    )
    """Between two looks for reports."""

    reports_retry_minutes: float = Field(
        default=5,
        gt=0,
        validation_alias=AliasChoices("DWD_REPORTS_RETRY_MINUTES", "REPORT_CRAWL_RETRY_WAIT_MINUTES"),
    )
    """Before reports that failed are asked for again."""

    log_level: LogLevel = Field(default="info", validation_alias=AliasChoices("DWD_LOG_LEVEL", "LOG_LEVEL"))
    """The least that is logged: debug, info, warn, error; the replaced crawler's trace and fatal are taken too."""

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("fields", mode="before")
    @classmethod
    def _rows_apart(cls, value: object) -> object:
        if isinstance(value, str):
            rows = value.replace(";", " ").split()
            if not rows:
                raise ValueError("DWD_FIELDS is empty; name rows, or set it to none to archive no fields")
            return () if rows == [NONE] else tuple(rows)
        return value

    @field_validator("fields")
    @classmethod
    def _rows_known(cls, rows: tuple[str, ...]) -> tuple[str, ...]:
        for row in rows:
            parse_row(row)
        return rows

    @field_validator("mosmix", mode="before")
    @classmethod
    def _products_apart(cls, value: object) -> object:
        names = split_names(value)
        if names is None:
            return value
        wanted = tuple(dict.fromkeys(str(name).upper().removeprefix("MOSMIX_") for name in names))
        return () if wanted == (NONE.upper(),) else wanted

    @field_validator("mosmix_stations", "report_stations", mode="before")
    @classmethod
    def _stations_apart(cls, value: object) -> object:
        names = split_names(value)
        return value if names is None else tuple(dict.fromkeys(str(name).upper() for name in names))

    @field_validator("mosmix_stations", "report_stations")
    @classmethod
    def _stations_named(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        strange = [name for name in names if STATION.fullmatch(name) is None]
        if strange:
            raise ValueError(f"{', '.join(strange)}: no station's id")
        return names

    @model_validator(mode="after")
    def _a_tree_is_followed(self) -> Self:
        if self.fields and not (self.v1_tree or self.old_tree):
            raise ValueError("DWD_V1_TREE and DWD_OLD_TREE are both off: DWD_FIELDS=none archives no fields")
        return self

    @model_validator(mode="after")
    def _a_model_can_be_regridded(self) -> Self:
        if self.regular_grid and not TARGET_GRIDS.keys() & set(self.selection.models):
            raise ValueError(
                f"DWD_REGULAR_GRID is on, and DWD_FIELDS selects no model that has a regular grid:"
                f" {', '.join(TARGET_GRIDS)}"
            )
        return self

    @property
    def selection(self) -> Selection:
        """The fields that are selected, and what they need to be read."""
        return Selection(tuple(parse_row(row) for row in self.fields)).with_needs()

    def first_day(self, today: date) -> date:
        """The first day that is a partition."""
        # Not of this year from its first second on: the server still has what began before.
        return self.start_day or (today - timedelta(days=7)).replace(month=1, day=1)
