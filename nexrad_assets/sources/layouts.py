"""Where a bucket keeps the files of a level: which keys to list for a site's day, and how to read their names.

Level 2 has a folder for every day and site. Level 3 is flat, one bucket of nothing but names, sorted by site,
code and time; so there is one stretch of keys for each code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Protocol

from nexrad_assets.names import FileName, parse_product_name, parse_volume_name
from nexrad_assets.radar import sites


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of keys: those that begin with `prefix`, and only the ones past `after` where that is given.

    `subject` tells what is in it on whichever day (`PDT_N0H`), where a source may remember for a while that
    there was none; it is None where a source has to ask every time.
    """

    prefix: str
    after: str | None = None
    subject: str | None = None

    @property
    def folder(self) -> str:
        """The part of the prefix that names a folder, with its slash; empty in a flat bucket."""
        head, slash, _ = self.prefix.rpartition("/")
        return head + slash

    def holds(self, key: str) -> bool:
        """Whether a key lies in this stretch."""
        return key.startswith(self.prefix) and (self.after is None or key > self.after)


class Layout(Protocol):
    """The keys of one level."""

    def spans(
        self, site: str, day: date, since: datetime | None, *, archive: bool = False
    ) -> tuple[Span, ...]:
        """What to list for the files of a site and UTC day; files from before `since` may be left out.

        `archive` adds what only finished days have. Raises `UnknownSite`.
        """

    def parse(self, file_name: str) -> FileName | None:
        """Read the name of a file, below the folder of its span; None where it is none of this level."""


@dataclass(frozen=True, slots=True)
class Level2Layout:
    """Volumes, in a folder for every day and site: `2025/04/09/KPDT/KPDT20250409_123456_V06`."""

    def spans(
        self,
        site: str,
        day: date,
        since: datetime | None,  # noqa: ARG002
        *,
        archive: bool = False,  # noqa: ARG002
    ) -> tuple[Span, ...]:
        """The whole folder, which one request lists. See `Layout`."""
        return (Span(f"{day:%Y/%m/%d}/{sites.site(site).id}/"),)

    def parse(self, file_name: str) -> FileName | None:
        """See `Layout`."""
        return parse_volume_name(file_name)


LEVEL2: Layout = Level2Layout()


@dataclass(frozen=True, slots=True)
class Level3Layout:
    """Products of some codes, in no folder: `PDT_N0H_2025_04_09_12_34_56`.

    `dead_codes` are those of the archive alone.
    """

    codes: tuple[str, ...]
    dead_codes: tuple[str, ...] = ()

    def spans(
        self, site: str, day: date, since: datetime | None, *, archive: bool = False
    ) -> tuple[Span, ...]:
        """One span a code: most sites have but some of them, and a listing of all is years long."""
        short_id = sites.site(site).short_id
        codes = dict.fromkeys((*self.codes, *self.dead_codes)) if archive else self.codes
        return tuple(_product_span(f"{short_id}_{code}", day, since) for code in codes)

    def parse(self, file_name: str) -> FileName | None:
        """See `Layout`."""
        return parse_product_name(file_name)


def _product_span(subject: str, day: date, since: datetime | None) -> Span:
    prefix = f"{subject}_{day:%Y_%m_%d}_"
    if since is None:
        return Span(prefix, None, subject)
    # Without the seconds it sorts before every name of that minute, the one of `since` itself too.
    after = f"{subject}_{since.astimezone(UTC):%Y_%m_%d_%H_%M}_"
    return Span(prefix, after if after > prefix else None, subject)
