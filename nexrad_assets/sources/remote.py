"""What every source has in common: how a listed file is described, and one family of errors.

The rest of the package takes these names from `nexrad_assets.sources.source`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from nexrad_assets.names import FileName


class SourceError(Exception):
    """A source could not do what was asked; the message names the file or the place, and the fault."""


class SourceMissing(SourceError):  # noqa: N818 - reads as the state it reports
    """The file, bucket or folder is not there."""


class SourceRefused(SourceError):  # noqa: N818
    """The source does not let us in."""


class SourceTooLarge(SourceError):  # noqa: N818
    """The file is larger than the limit; none of it was read."""


class SourceChanged(SourceError):  # noqa: N818
    """The file is another one than was listed; the next listing tells of it."""


class SourceTruncated(SourceError):  # noqa: N818
    """What arrived, or is offered, is not of the length that was listed."""


class SourceUnavailable(SourceError):  # noqa: N818
    """The source did not answer, in time or in order; trying again later may work."""


TRANSIENT = (SourceTruncated, SourceUnavailable)
"""What is worth another attempt."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as a source lists it: `size` in bytes, `modified` in UTC, `etag` opaque.

    `key` is the path below the bucket (and its prefix) or the folder.
    """

    name: FileName
    key: str
    etag: str
    size: int
    modified: datetime


class Source(Protocol):
    """Lists and fetches the files of one level; may be used from several threads."""

    def list_day(
        self, site: str, day: date, since: datetime | None = None, *, archive: bool = False
    ) -> tuple[RemoteFile, ...]:
        """The files of a site that began on a UTC day, oldest first; empty where there are none.

        What is no file of the level (`_MDM`, `.001`, `.Z`) or lies in the wrong place is left out. `since`
        only saves work: files from before it may be left out. `archive` asks for what a finished day may hold,
        too: products that nobody makes any more. Raises `UnknownSite`, `SourceError`.
        """

    def fetch(self, file: RemoteFile) -> bytes:
        """A file's bytes, exactly as it was listed. Raises `SourceError`."""


def oldest_first(found: Iterable[RemoteFile], site: str, day: date) -> tuple[RemoteFile, ...]:
    """The files of a site and UTC day, by time and key."""
    mine = (file for file in found if file.name.site == site and file.name.day == day)
    return tuple(sorted(mine, key=lambda file: (file.name.time, file.key)))


def check_listed(file: RemoteFile, where: str, size: int, etag: str) -> None:
    """Raise `SourceTruncated` or `SourceChanged` where what is offered is not what was listed."""
    if size != file.size:
        raise SourceTruncated(f"{where}: {size} bytes are offered where {file.size} were listed")
    if etag != file.etag:
        raise SourceChanged(f"{where}: was replaced after it was listed ({file.etag} is now {etag})")


def check_length(file: RemoteFile, where: str, data: bytes) -> bytes:
    """The data; raises `SourceTruncated` where not all of it came."""
    if len(data) != file.size:
        raise SourceTruncated(f"{where}: {len(data)} bytes came of {file.size}")
    return data
