"""What a snapshot, a head and the head index hold, and their bytes at rest (JSON).

A snapshot is the truth about one site and UTC day. It is replaced by compare-and-swap after the images
that it lists are there, and before any image that it lists no more is deleted: so whatever a
snapshot lists exists. All times are UTC; angles are degrees, ranges kilometres.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal, TypeVar

import msgspec

from store.kinds import learned

SCHEMA = 1

Origin = Literal["live", "backfill"]
Status = Literal["whole", "partial", "failed"]
LonLat = tuple[float, float]


class Corners(msgspec.Struct, frozen=True):
    """The corners of an image, each `(longitude, latitude)`: a rectangle in EPSG:3857."""

    nw: LonLat
    ne: LonLat
    se: LonLat
    sw: LonLat


class SourceFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """The file that a scan was made from, as its source names it."""

    key: str
    etag: str
    size: int
    modified: datetime | None = None


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rendered sweep.

    `name` is the file name of its object, `sha256` and `size` (bytes) are of the PNG; `start` and
    `end` are the times of the sweep's first and last ray, `elevation_deg` its measured (median) angle,
    `azimuth_deg` that of its first ray, `sweep_number` its 1-based place in the volume, `canvas_km` the
    key of its corners, `range_km` how far over the ground its last gate reaches, `pixels` a side.
    """

    name: str
    sha256: str
    size: int
    start: datetime
    end: datetime
    sweep_number: int
    elevation_deg: float
    azimuth_deg: float
    canvas_km: int
    range_km: float
    pixels: int


class Tilt(msgspec.Struct, frozen=True):
    """A distinct elevation angle: `angle_deg` is what names it (commanded, else measured).

    `images` has at least one entry, in order of time; further ones are repeats within the volume
    (SAILS, MRLE).
    """

    angle_deg: float
    images: tuple[Image, ...]


class Layer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product of a scan; `tilts` from the lowest angle up, so a tilt's place is its `idx`.

    A palette index is a value: `value = index * scale + offset` in `unit`, or `values[index]` where the steps
    are uneven. The indices that `codes` names, and all below `first_value_index`, are no values but what it
    says: below threshold, range folded, a class. `value_range` is what the colour table `colours` spans.
    """

    unit: str
    scale: float
    offset: float
    first_value_index: int
    codes: dict[str, str]
    colours: str | None
    value_range: tuple[float, float]
    tilts: tuple[Tilt, ...]
    code: str | None = None
    """The product code in the menus (Level 3), none where a product has no codes."""
    label: str | None = None
    """What a person calls the product of this code."""
    values: tuple[float | None, ...] | None = None
    """The value of each index where they are not linear; none where an index is no value."""
    rungs: tuple[float, ...] | None = None
    """The values between which the table's colours are spread evenly, where that is not the range as a whole."""
    code_colours: dict[str, str] = {}
    """The colours (`#9c9c9c`) of indices that are flags or classes; of those not named, nothing is seen."""


class Document(msgspec.Struct, frozen=True):
    """Vectors of a scan as GeoJSON, or a profile as JSON: `count` features of `size` bytes in all.

    `name` is the file name of its object.
    """

    name: str
    sha256: str
    size: int
    count: int


class Scan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A volume (Level 2) or product (Level 3), rendered or recorded as failed.

    `origin` says whether it was live when it was rendered, `kept` whether it is archive: retention leaves
    those alone. `fingerprint` says of which bytes and by which settings it was made (empty: to be made again);
    `missing` tells, in words, what
    a partial volume lacks; `reason` why a scan failed. `layers` are its images by product, `documents` its
    vectors by name. A failed scan has neither and is in no list.
    """

    key: str
    level: int
    start: datetime
    end: datetime
    origin: Origin
    status: Status
    source: SourceFile
    fingerprint: str
    published: datetime
    kept: bool = False
    vcp: int | None = None
    missing: tuple[str, ...] = ()
    reason: str | None = None
    corners: dict[int, Corners] = {}
    layers: dict[str, Layer] = {}
    documents: dict[str, Document] = {}


@learned
class Snapshot(msgspec.Struct, frozen=True):
    """Everything known of one site and UTC day; `scans` by key, oldest first.

    `revision` grows with every replacement, also across a deletion of the object.
    """

    site: str
    day: date
    revision: int
    scans: dict[str, Scan] = {}
    schema: int = SCHEMA


class LevelHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a head says of one level's scans of a day.

    How many are listed, how many (listed or failed) retention will let go, and when the newest listed ones began.
    """

    scans: int = 0
    expiring: int = 0
    newest: datetime | None = None
    newest_live: datetime | None = None


class DayHead(msgspec.Struct, frozen=True):
    """What a head says of one day: its snapshot's revision, and what the levels have."""

    revision: int
    levels: dict[int, LevelHead] = {}

    @property
    def scans(self) -> int:
        """How many scans are listed."""
        return sum(level.scans for level in self.levels.values())

    @property
    def newest(self) -> datetime | None:
        """When the newest listed scan began."""
        return max((level.newest for level in self.levels.values() if level.newest), default=None)


@learned
class Head(msgspec.Struct, frozen=True):
    """The days of one site, by ISO date."""

    site: str
    revision: int
    days: dict[str, DayHead] = {}
    schema: int = SCHEMA

    @property
    def newest(self) -> datetime | None:
        """When the newest listed scan of any level began."""
        return max((day.newest for day in self.days.values() if day.newest), default=None)

    def newest_of_levels(self) -> dict[int, datetime]:
        """When the newest listed scan of each level began."""
        newest: dict[int, datetime] = {}
        for day in self.days.values():
            for level, one in day.levels.items():
                if one.newest is not None:
                    newest[level] = max(newest.get(level, one.newest), one.newest)
        return newest

    def of_level(self, level: int) -> dict[date, LevelHead]:
        """What it says of one level, by the days that have any of it."""
        return {
            date.fromisoformat(name): d.levels[level] for name, d in self.days.items() if level in d.levels
        }

    def newest_live(self, level: int) -> datetime | None:
        """When the newest live scan of a level began."""
        found = (day.newest_live for day in self.of_level(level).values())
        return max((stamp for stamp in found if stamp), default=None)


class SiteHead(msgspec.Struct, frozen=True):
    """One site's line in the head index: its head's revision, and when the newest scan of each level began."""

    revision: int
    newest: dict[int, datetime] = {}


@learned
class HeadIndex(msgspec.Struct, frozen=True):
    """All sites that have a head."""

    sites: dict[str, SiteHead] = {}
    schema: int = SCHEMA


class SnapshotError(Exception):
    """Stored bytes are not what this version reads; the message names the object and the fault."""


T = TypeVar("T", Snapshot, Head, HeadIndex)


def encode(document: Snapshot | Head | HeadIndex) -> bytes:
    """The document's bytes at rest; the same document gives the same bytes."""
    return msgspec.json.encode(document)


def decode(data: bytes, kind: type[T], key: str) -> T:
    """Read a document of `kind`. Raises `SnapshotError`, which names `key`."""
    try:
        document = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise SnapshotError(f"{key}: not a {kind.__name__.lower()}: {fault}") from fault
    if document.schema > SCHEMA:
        raise SnapshotError(f"{key}: schema {document.schema} is newer than this version reads ({SCHEMA})")
    return document


def next_revision(previous: int, now: datetime) -> int:
    """A revision above `previous` that also outgrows a snapshot deleted before: epoch milliseconds."""
    return max(previous + 1, int(now.astimezone(UTC).timestamp() * 1000))


def ordered(scans: Mapping[str, Scan]) -> dict[str, Scan]:
    """The scans, oldest first; equal times by key."""
    return dict(sorted(scans.items(), key=lambda item: (item[1].start, item[0])))
