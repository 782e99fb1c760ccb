"""The documents that the API answers, as OpenAPI shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from store.dwd.ledger import State

Corner = tuple[float, float]
"""Longitude and latitude in degrees."""


class Document(BaseModel):
    """A document; further fields may be added to it."""

    model_config = ConfigDict(frozen=True)


class Sweeps(Document):
    """How many tilts a scan has: its images are `idx0` to `idx<sweeps - 1>`, lowest angle first."""

    sweeps: int


class ScanList(RootModel[dict[str, Sweeps]]):
    """Scans by key, oldest first."""


class AllLists(Document):
    """The scan lists of every product."""

    hydrometeor: dict[str, Sweeps]
    precipitation: dict[str, Sweeps]
    reflectivity: dict[str, Sweeps]


class Option(Document):
    """A product code of a menu; a count of 0 has nothing to show."""

    value: str | None
    label: str | None
    count: int


class Options(Document):
    """The menus of product codes, in menu order."""

    hydrometeor: list[Option]
    precipitation: list[Option]
    reflectivity: list[Option]


class BoundingBox(Document):
    """The corners of an image: a rectangle in Web Mercator (EPSG:3857)."""

    nw: Corner
    ne: Corner
    se: Corner
    sw: Corner


class Repeat(Document):
    """A further image of the same tilt within the volume."""

    valid_time: datetime
    sweep_number: int
    sha256: str


class Source(Document):
    """The file that a scan was made from."""

    key: str
    etag: str
    bytes: int


class SweepMetadata(Document):
    """Where and when an image is, and what its palette indices mean."""

    original_sweep_number: int = Field(description="1-based place of the sweep in the volume")
    elevation_index: int = Field(description="1-based rank of the tilt, lowest angle first")
    elevation_angle_degrees: float
    azimuth_angle_degrees: float
    bounding_box_lon_lat: BoundingBox
    site: str
    scan: str
    product: str
    code: str | None = Field(description="the product code (Level 3)")
    label: str | None = Field(description="what a person calls the product of this code")
    commanded_elevation_degrees: float
    valid_time: datetime
    sweep_end: datetime
    scan_start: datetime
    scan_end: datetime
    vcp: int | None
    status: Literal["whole", "partial"]
    missing: list[str]
    unit: str
    scale: float = Field(description="value = index * scale + offset, unless `values` has it")
    offset: float
    first_value_index: int = Field(description="lower palette indices mean what `codes` says")
    codes: dict[str, str] = Field(description="palette indices that are no amounts: flags, classes")
    values: list[float | None] | None = Field(description="the value of each index, where steps are uneven")
    code_colours: dict[str, str] = Field(description="colours of flags and classes that are seen")
    colour_table: str | None = Field(description="the table of amounts, none where there are classes alone")
    value_range: tuple[float, float] = Field(description="what the colour table spans")
    colour_rungs: list[float] | None = Field(
        description="values between which its colours are spread evenly, where not over the whole range"
    )
    canvas_range_km: int
    sweep_range_km: float
    pixels: int
    sha256: str
    bytes: int
    repeats: list[Repeat]
    source: Source
    credit: str


class FlagSet(Document):
    """Whether each product is to be updated: 0 or 1."""

    updates: dict[Literal["reflectivity", "hydrometeor", "precipitation"], Literal[0, 1]] | None = None


class FlagsUpdated(Document):
    """The flags were stored."""

    updated: Literal[True] = True
    message: str


class Nudged(Document):
    """The store is being looked at."""

    nudged: Literal[True] = True


class Alive(Document):
    """The process is up."""

    alive: Literal[True] = True


class NewestScan(Document):
    """The newest listed scan of a site; `age_s` in seconds, `levels` the newest of each level."""

    site: str
    time: datetime
    age_s: float
    levels: dict[int, datetime]


class NewestPeriod(Document):
    """The newest run, issue or day of a collection of the DWD archive."""

    collection: str
    period: str
    state: State
    kept: int
    missing: int
    failed: int
    looked_at: datetime | None


class ArchiveReadiness(Document):
    """Whether the DWD archive can be read, and whether it takes more."""

    fault: str | None
    free_bytes: int | None = Field(description="of its disk, none where the store does not say")
    floor_bytes: int = Field(description="with less free, nothing more is fetched")
    paused: bool
    newest: list[NewestPeriod] = Field(description="of each collection; none where nothing was archived")


class Readiness(Document):
    """Whether the store answers, and how old the newest data are."""

    ready: bool
    store_answered_s: float | None = Field(description="seconds since the store last answered")
    fault: str | None
    sites: int
    newest: NewestScan | None = Field(description="of all sites")
    primary: NewestScan | None = Field(description="of the site that is shown without ?site=")
    archive: ArchiveReadiness = Field(description="says nothing of `ready`: the images do without it")


class Error(Document):
    """Why a request was not answered."""

    error: str
