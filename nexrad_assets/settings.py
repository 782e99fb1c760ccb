"""Settings of the NEXRAD pipeline, beside those it shares with the API (`store.settings`).

Each is a variable of the environment or a line of a `.env` file; `.env.example` has them all. A wrong value
stops the program where it starts, with the variable's name.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import NoDecode

from nexrad_assets.radar import sites as table
from nexrad_assets.radar.image import colours as colour_tables
from nexrad_assets.radar.image.products import PRODUCTS
from nexrad_assets.radar.level3.products import CODES, DEAD_CODES
from nexrad_assets.sources.source import PUBLIC_LEVEL2, PUBLIC_LEVEL3
from store.settings import ALL_SITES, Names, StoreSettings, split_names

FIRST_DAY = date(1991, 6, 5)
"""The first day of the public bucket."""

FEW_SITES = 7
"""For this many sites every day since `FIRST_DAY` is within what Dagster bears (100,000 partitions)."""

MEBIBYTE = 1024 * 1024

NO_CODES = "NONE"


def _usable_cores() -> int:
    """The cores that this process may use; all of the machine's where the system does not tell (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class NexradSettings(StoreSettings):
    """What is fetched from where, what is kept how long, and how it is rendered.

    After reading, `sites` has valid four-letter ids, at least one: those of `NEXRAD_SITES` (commas between
    them, three letters where that is enough, or `all`), else the primary site and `RADAR_SITE_L3`.
    Raises `pydantic.ValidationError`.
    """

    source: str = Field(default=PUBLIC_LEVEL2, validation_alias="NEXRAD_SOURCE")
    """Where Level 2 volumes come from: `s3://bucket[/prefix]`, or a folder laid out as the public bucket."""

    source_endpoint: str | None = Field(default=None, validation_alias="NEXRAD_SOURCE_ENDPOINT")
    """The address of the source's S3 server, where it is not Amazon's."""

    source_signed: bool = Field(default=False, validation_alias="NEXRAD_SOURCE_SIGNED")
    """Whether requests to the source use the credentials of the environment; the public bucket needs none."""

    level3_source: str = Field(default=PUBLIC_LEVEL3, validation_alias="NEXRAD_LEVEL3_SOURCE")
    """Where Level 3 products come from: `s3://bucket[/prefix]`, or a folder of files named as in the bucket."""

    level3_endpoint: str | None = Field(default=None, validation_alias="NEXRAD_LEVEL3_ENDPOINT")
    """The address of that source's S3 server, where it is not Amazon's."""

    level3_signed: bool = Field(default=False, validation_alias="NEXRAD_LEVEL3_SIGNED")
    """Whether requests to that source use the credentials of the environment."""

    level3_products: Names = Field(default=CODES, validation_alias="NEXRAD_LEVEL3_PRODUCTS")
    """The codes of the Level 3 products that are fetched; `none` fetches none. Unset: all that we know, and of
    archived days also those that nobody makes any more."""

    level3_site: str | None = Field(default=None, validation_alias="RADAR_SITE_L3")
    """The replaced system's Level 3 site: one of the sites where `NEXRAD_SITES` is not set."""

    live: bool = Field(default=False, validation_alias="NEXRAD_LIVE")
    """Whether sensors and schedules run from the start."""

    start_day: date | None = Field(default=None, validation_alias="NEXRAD_START_DATE", ge=FIRST_DAY)
    """The first day that is a partition; see `start_date`."""

    keep_minutes: float = Field(
        default=240, gt=0, validation_alias=AliasChoices("NEXRAD_KEEP_MINUTES", "CLEANUP_WINDOW_MINUTES")
    )
    """How long live scans are kept; at least as long as they are listed."""

    archive_keep_days: int | None = Field(default=None, ge=1, validation_alias="NEXRAD_ARCHIVE_KEEP_DAYS")
    """How many days backfilled days are kept; unset: for ever."""

    raw_keep_minutes: float = Field(default=0, ge=0, validation_alias="NEXRAD_RAW_KEEP_MINUTES")
    """How long raw volumes are kept beyond rendering."""

    products: Names = Field(default=("reflectivity",), validation_alias="NEXRAD_PRODUCTS")
    """The Level 2 products that are rendered."""

    image_size: int = Field(default=2700, ge=64, le=8192, multiple_of=2, validation_alias="NEXRAD_IMAGE_SIZE")
    """Width and height of images, in pixels; even."""

    colours: str | None = Field(default=None, validation_alias="NEXRAD_COLOURS")
    """The colour table of all Level 2 products; unset: each product's own."""

    value_range: Annotated[tuple[float, float] | None, NoDecode] = Field(
        default=None, validation_alias="NEXRAD_VALUE_RANGE"
    )
    """Lowest and highest value of the Level 2 colour table, `-20,60`; unset: each product's own."""

    jobs: int = Field(default_factory=lambda: min(4, _usable_cores()), ge=1, validation_alias="NEXRAD_JOBS")
    """How many files a run renders at the same time; 1 starts nothing beside the run itself."""

    downloads: int = Field(default=4, ge=1, le=64, validation_alias="NEXRAD_DOWNLOADS")
    """How many requests to the source a run has under way at the same time."""

    max_volume_bytes: int = Field(default=64 * MEBIBYTE, gt=0, validation_alias="NEXRAD_MAX_VOLUME_BYTES")
    """A file larger than this, as the source has it, is not fetched (storms make 13 million bytes)."""

    geometry_cache: Path = Field(default=Path("data/geometry"), validation_alias="NEXRAD_GEOMETRY_CACHE")
    """A folder for computed geometries; it may be deleted at any time."""

    geometry_cache_bytes: int = Field(
        default=2_000_000_000, ge=0, validation_alias="NEXRAD_GEOMETRY_CACHE_BYTES"
    )
    """How large that folder may grow."""

    api_url: str | None = Field(default=None, validation_alias="NEXRAD_API_URL")
    """Where people reach the API: with it, pictures in Dagster's pages are links."""

    @field_validator("products", mode="before")
    @classmethod
    def _products_apart(cls, value: object) -> object:
        names = split_names(value)
        return value if names is None else names

    @field_validator("products")
    @classmethod
    def _products_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in PRODUCTS]
        if unknown or not names:
            raise ValueError(
                f"{', '.join(unknown) or 'nothing'} is no product; there are {', '.join(PRODUCTS)}"
            )
        return tuple(dict.fromkeys(names))

    @field_validator("level3_products", mode="before")
    @classmethod
    def _codes_apart(cls, value: object) -> object:
        codes = split_names(value)
        if codes is None:
            return value
        wanted = [str(code).upper() for code in codes]
        return () if wanted == [NO_CODES] else tuple(dict.fromkeys(wanted))

    @field_validator("level3_products")
    @classmethod
    def _codes_known(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in codes if code not in (*CODES, *DEAD_CODES)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is no product code; there are {', '.join(CODES)}")
        return codes

    @field_validator("colours")
    @classmethod
    def _colours_known(cls, name: str | None) -> str | None:
        if name is not None and name not in colour_tables.names():
            raise ValueError(f"{name!r} is no colour table; there are {', '.join(colour_tables.names())}")
        return name

    @field_validator("value_range", mode="before")
    @classmethod
    def _range_apart(cls, value: object) -> object:
        bounds = split_names(value)
        return value if bounds is None else bounds

    @field_validator("value_range")
    @classmethod
    def _range_rises(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not (math.isfinite(bounds[1] - bounds[0]) and bounds[0] < bounds[1]):
            raise ValueError("the lowest value comes first, then a higher one, as in -20,60")
        return bounds

    @model_validator(mode="after")
    def _sites_known(self) -> Self:
        self.primary_site = _site("NEXRAD_PRIMARY_SITE (or RADAR_SITE_L2)", self.primary_site)
        if self.sites == (ALL_SITES,):
            self.sites = tuple(table.sites())
        elif self.sites:
            self.sites = _unique(_site("NEXRAD_SITES", name) for name in self.sites)
            self._primary_site_followed()
        else:
            level3 = _site("RADAR_SITE_L3", self.level3_site) if self.level3_site else self.primary_site
            self.sites = _unique((self.primary_site, level3))
        return self

    def _primary_site_followed(self) -> None:
        if self.primary_site not in self.sites:
            raise ValueError(
                f"NEXRAD_PRIMARY_SITE (or RADAR_SITE_L2) is {self.primary_site}, which NEXRAD_SITES "
                f"({','.join(self.sites)}) does not name: the API would speak of a site that nobody fetches"
            )

    @model_validator(mode="after")
    def _kept_while_listed(self) -> Self:
        if self.keep_minutes < self.list_minutes:
            raise ValueError(
                f"NEXRAD_KEEP_MINUTES (or CLEANUP_WINDOW_MINUTES) is {self.keep_minutes:g}, less than the "
                f"{self.list_minutes:g} of NEXRAD_LIST_MINUTES (or PROCESSING_WINDOW_MINUTES): what is "
                "listed must be kept"
            )
        return self

    @property
    def names_level3_products(self) -> bool:
        """Whether someone has chosen the codes of Level 3."""
        return "level3_products" in self.model_fields_set

    def start_date(self, today: date) -> date:
        """The first day that is a partition: as set, else the bucket's first or, of many sites, this year's.

        On New Year's Day it is still last year's, so that the last volumes of yesterday have a place.
        """
        if self.start_day is not None:
            return self.start_day
        if len(self.sites) <= FEW_SITES:
            return FIRST_DAY
        return (today - timedelta(days=1)).replace(month=1, day=1)


def _site(variable: str, name: str) -> str:
    """The four-letter id of a site named by three or four letters."""
    name = name.strip().upper()
    try:
        return (table.site_of_short_id(name) if len(name) == 3 else table.site(name)).id
    except table.UnknownSite as fault:
        raise ValueError(f"{variable}: {fault}") from fault


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
