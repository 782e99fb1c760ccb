"""What a client is asked for, and what it answers with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_PATH = re.compile(r"/[!-\"$-~]*")


@dataclass(frozen=True, slots=True)
class Version:
    """Which bytes are at an address, as the server names them; either part may be missing."""

    etag: str | None = None
    modified: datetime | None = None


UNKNOWN = Version()


@dataclass(frozen=True, slots=True)
class Request:
    """A file to be asked for: its path on the server, percent-encoded, from `/` on.

    `size` is what a listing said, if one did. With the `known` version of an earlier answer the file comes only
    if it is another one by now; where it changed after `unchanged_since`, it is not there yet. More than
    `limit_bytes` are not taken.
    """

    path: str
    size: int | None = None
    known: Version = UNKNOWN
    limit_bytes: int = 256 << 20
    unchanged_since: datetime | None = None

    def __post_init__(self) -> None:
        if _PATH.fullmatch(self.path) is None:
            raise ValueError(f"{self.path!r} is no percent-encoded path from '/' on")


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came: bytes, their SHA-256 (hexadecimal), and the version they are.

    `is_proven`: that all of it came is known from its transfer (a length, the end mark of a chunked body or of gzip);
    without that, only a format with an end of its own can prove it.
    """

    path: str
    size: int
    sha256: str
    version: Version
    is_proven: bool = True


@dataclass(frozen=True, slots=True)
class Body:
    """A file that came whole, in memory."""

    received: Received
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Saved:
    """A file that came whole, in a temporary file that is the caller's to move or to remove."""

    received: Received
    file: Path


@dataclass(frozen=True, slots=True)
class NotModified:
    """The file is still the version that was known."""

    path: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server tells of a file without sending it; `size` where it was announced."""

    path: str
    size: int | None
    version: Version
