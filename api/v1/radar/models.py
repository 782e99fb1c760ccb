"""The documents of the radar half of `/v1`. Times are UTC, angles degrees, ranges kilometres; fields may be added."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.models import BoundingBox, Corner, Document, Source

ATTRIBUTION = "NOAA/NWS NEXRAD, rendered here. Not for safety of life."

Level = Literal[2, 3]
VectorKind = Literal["storm_tracks", "mesocyclones", "hail", "tornadoes", "wind_profile"]
Rgba = tuple[int, int, int, int]


class Site(Document):
    """A radar, and what there is of it."""

    id: str
    name: str
    state: str | None = Field(description="or country, as the National Weather Service abbreviates it")
    longitude_deg: float
    latitude_deg: float
    height_m: float = Field(description="of the antenna, above mean sea level")
    kind: Literal["WSR-88D", "TDWR"]
    newest: dict[str, datetime] = Field(description="when the newest scan began, by level")
    days: list[date] = Field(description="UTC days that have scans, newest first, at most 400")


class Sites(Document):
    """All radars, by id; those without data have nothing newest and no days."""

    sites: list[Site]
    primary: str = Field(description="the site that requests without `site` speak of")
    attribution: str = ATTRIBUTION


class Legend(Document):
    """What the indices of a palette mean, and their colours."""

    scale: float = Field(description="value = index * scale + offset, unless `values` has it")
    offset: float
    first_value_index: int = Field(description="lower indices mean what `codes` says")
    values: list[float | None] | None = Field(description="the value of each index, where steps are uneven")
    codes: dict[str, str] = Field(description="indices that are no amounts: flags, classes")
    value_range: tuple[float, float] = Field(description="what the colour table spans")
    colours: list[Rgba] = Field(description="red, green, blue and alpha of the 256 indices")


class Product(Document):
    """A product (of Level 3, of one code) as a menu shows it."""

    id: str = Field(examples=["reflectivity"])
    level: Level
    code: str | None = Field(description="the product code (Level 3)", examples=["HHC"])
    group: str
    label: str
    unit: str
    count: int | None = Field(description="scans in the live window or day; none without `site`")
    tilts: list[float] = Field(description="angles that were seen, lowest first; none of what has no angle")
    legend: Legend | None = Field(description="of the newest scan; none where there is none")


class Products(Document):
    """Products in menu order."""

    site: str | None
    products: list[Product]
    attribution: str = ATTRIBUTION


class RepeatedImage(Document):
    """A further image of the same tilt within the volume (SAILS, MRLE)."""

    valid_time: datetime
    sweep_number: int
    sha256: str
    bytes: int
    href: str


class ScanImage(Document):
    """One image: a product of a scan at a tilt."""

    image: str = Field(examples=["KPDT20250409_123456_V06_reflectivity_idx0"])
    key: str = Field(description="of the scan", examples=["KPDT20250409_123456_V06"])
    site: str
    product: str
    code: str | None
    level: Level
    idx: int = Field(description="rank of the tilt, lowest angle first")
    tilt_deg: float = Field(description="the angle that names the tilt: commanded, else measured")
    elevation_deg: float = Field(description="as measured")
    tilts: int = Field(description="how many tilts the scan has of this product")
    valid_time: datetime = Field(description="start of the sweep")
    scan_start: datetime
    scan_end: datetime
    vcp: int | None
    status: Literal["whole", "partial"]
    missing: list[str]
    sha256: str
    bytes: int
    pixels: int = Field(description="a side")
    canvas_km: int
    range_km: float = Field(description="over the ground, to where the last gate ends")
    corners: BoundingBox
    href: str = Field(description="the image; its content never changes")
    repeats: list[RepeatedImage]
    documents: dict[str, str] = Field(description="addresses of vectors of the same scan, by code")


class Scans(Document):
    """Images of one product, oldest first."""

    scans: list[ScanImage]
    next: str | None = Field(description="address of the next page; a page may be short and have one")
    newest: datetime | None = Field(description="when the newest scan of this level began")
    attribution: str = ATTRIBUTION


class Latest(Document):
    """The newest image of a product in the live window."""

    scan: ScanImage | None
    attribution: str = ATTRIBUTION


class Link(Document):
    """An address and what is there."""

    rel: str
    href: str
    type: str


class ScanProperties(ScanImage):
    """An image with its source."""

    sweep_number: int = Field(description="1-based place of the sweep in the volume")
    source: Source
    links: list[Link]


class Polygon(Document):
    """A GeoJSON polygon."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: list[list[Corner]]


class ScanFeature(Document):
    """An image as a GeoJSON feature: where it lies, and what it is."""

    type: Literal["Feature"] = "Feature"
    id: str
    geometry: Polygon
    properties: ScanProperties
    attribution: str = ATTRIBUTION


class VectorDocument(Document):
    """A document of storm cells, circulations, hail, signatures or winds."""

    name: str = Field(description="the product code", examples=["NST"])
    kind: VectorKind
    valid_time: datetime = Field(description="start of the volume scan")
    key: str = Field(examples=["KPDT20250409_153000_NST"])
    href: str
    count: int
    bytes: int


class Vectors(Document):
    """The newest document of each kind, none later than the time that was asked for."""

    documents: list[VectorDocument]
    attribution: str = ATTRIBUTION


class Point(Document):
    """A place, and as the radar sees it."""

    lon: float
    lat: float
    azimuth_deg: float = Field(description="from the antenna, clockwise from north")
    ground_range_km: float = Field(description="along the WGS84 geodesic")


class TiltValue(Document):
    """What a tilt has at a point."""

    tilt_deg: float
    elevation_deg: float = Field(description="as measured")
    idx: int
    index: int | None = Field(description="palette index of the pixel; none outside of the image")
    value: float | None
    meaning: str | None = Field(
        description="in words, where it is no amount: `range folded`, a class, `out of range`"
    )
    step: float | None = Field(description="between two indices; none where steps are uneven")
    unit: str
    beam_height_above_radar_m: float | None = Field(
        description="of the beam's centre, 4/3 earth radius, at the measured angle; none without an angle"
    )
    beam_height_above_sea_m: float | None
    valid_time: datetime


class ValueScan(Document):
    """The scan that was read."""

    key: str
    site: str
    product: str
    code: str | None
    level: Level
    scan_start: datetime
    scan_end: datetime
    vcp: int | None


class Values(Document):
    """A product's values at a point, of every tilt of one scan, lowest first."""

    point: Point | None = Field(description="none where there is no scan")
    values: list[TiltValue]
    scan: ValueScan | None
    attribution: str = ATTRIBUTION
