"""What the work on one site and UTC day came to: counted once, shown in logs, in Dagster and by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

Mode = Literal["live", "day"]
"""`live` handles the files of the live window, `day` the whole UTC day."""


@dataclass(frozen=True, slots=True, order=True)
class SiteDay:
    """One partition: a site and a UTC day."""

    day: date
    site: str


@dataclass(frozen=True, slots=True)
class Collected:
    """Fetching one site and day: counts of files, bytes fetched, seconds spent.

    `listed` files are in the source that day, `wanted` of them in scope, `known` already rendered from these
    very bytes by these settings, `stored` fetched now (or found fetched), `failed` maps a file to why it could
    not be fetched, `quarantined` are stamped too far ahead of the clock.
    """

    partition: SiteDay
    mode: Mode
    listed: int = 0
    wanted: int = 0
    known: int = 0
    stored: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    quarantined: tuple[str, ...] = ()
    bytes_fetched: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rendered:
    """Rendering one site and day: counts of files, images, documents of vectors and their bytes, seconds of work.

    `failed` maps a file to why nothing could be read of it, `partial` to what it lacks; `promoted` scans were live
    and are now kept as archive; `newest` is the time of the newest scan published now, `newest_image` its
    lowest tilt's object key.
    """

    partition: SiteDay
    mode: Mode
    waiting: int = 0
    rendered: int = 0
    images: int = 0
    documents: int = 0
    bytes_written: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    partial: Mapping[str, str] = field(default_factory=dict)
    promoted: int = 0
    newest: datetime | None = None
    newest_image: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Listed:
    """The copies of a site's lists and options: how many scans they name, and the newest of them."""

    partition: SiteDay
    scans: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Retained:
    """One retention pass over one site: what was removed, and the references that decided, by level."""

    site: str
    references: Mapping[int, datetime] = field(default_factory=dict)
    scans_removed: int = 0
    objects_removed: int = 0
    raws_removed: int = 0
    days_removed: int = 0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One reconciliation of one site: objects that no snapshot lists, listed ones that are gone, heads mended."""

    site: str
    orphans_removed: int = 0
    missing: tuple[str, ...] = ()
    head_mended: bool = False
