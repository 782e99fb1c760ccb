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

    A palette index is a value: `value = index * scale + offset` in `unit`, but for indices below
    `first_value_index`, which mean what `codes` says (0 below threshold or no data, 1 range folded).
    `value_range` is what the colour table `colours` spans.
    """

    unit: str
    scale: float
    offset: float
    first_value_index: int
    codes: dict[str, str]
    colours: str
    value_range: tuple[float, float]
    tilts: tuple[Tilt, ...]
    code: str | None = None
    """The product code in the menus (Level 3), none where a product has no codes."""


class Scan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A volume (Level 2) or product (Level 3), rendered or recorded as failed.

    `origin` says whether it was live when it was rendered, `kept` whether it is archive: retention leaves
    those alone. `fingerprint` says of which bytes and by which settings it was made (empty: to be made again);
    `missing` tells, in words, what
    a partial volume lacks; `reason` why a scan failed. A failed scan has no layers and is in no list.
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


class Snapshot(msgspec.Struct, frozen=True):
    """Everything known of one site and UTC day; `scans` by key, oldest first.

    `revision` grows with every replacement, also across a deletion of the object.
    """

    site: str
    day: date
    revision: int
    scans: dict[str, Scan] = {}
    schema: int = SCHEMA


class DayHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a head says of one day.

    The snapshot's revision, how many scans are listed, how many (listed or failed) retention will let go, and the
    newest listed ones.
    """

    revision: int
    scans: int
    expiring: int
    newest: datetime | None = None
    newest_live: datetime | None = None


class Head(msgspec.Struct, frozen=True):
    """The days of one site, by ISO date, and its newest listed scan."""

    site: str
    revision: int
    days: dict[str, DayHead] = {}
    newest: datetime | None = None
    newest_live: datetime | None = None
    schema: int = SCHEMA


class SiteHead(msgspec.Struct, frozen=True):
    """One site's line in the head index."""

    revision: int
    newest: datetime | None = None


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
