"""Folders as the server shows them: nginx autoindex pages.

A row is `<a href="NAME">SHOWN NAME</a>   16-Sep-2026 02:40:29   877797`; a folder's name ends with `/` and its
size is `-`. Shown names are cut at about 50 characters. Older pages tell no seconds. Times are UTC, as nginx writes
them unless told otherwise (ngx_http_autoindex_module, `autoindex_localtime`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from dwd_assets.formats.errors import FormatError

_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
"""strptime's `%b` would read the names of the process's locale."""

_TITLE = re.compile(r"<(title|h1)>\s*Index of\s", re.IGNORECASE)
_ROWS = re.compile(r"<pre>(.*?)</pre>", re.IGNORECASE | re.DOTALL)
_ANCHOR = re.compile(r"<a\s+", re.IGNORECASE)
_ROW = re.compile(
    r"""href=(["'])(?P<href>[^"']*)\1\s*>[^<]*</a\s*>\s*
    (?P<day>\d{1,2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{4})\s+(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d))?\s+
    (?P<size>\d+|-)\s*""",
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_PARENT = re.compile(r"""href=(["'])\.\./\1""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder: its name in full, time of its last change (UTC), and a file's exact bytes.

    `size` is None for a folder. `precision` is what the page cuts times to: a second or a minute.
    """

    name: str
    modified: datetime
    precision: timedelta
    size: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.size is None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a page lists, in its order; `unread` are rows that are none, as they stand there."""

    entries: tuple[Entry, ...]
    unread: tuple[str, ...]


def parse_listing(page: bytes, name: str) -> Listing:
    """The listing that a page is; `name` stands in errors.

    A row that cannot be read costs no other row. Raises `FormatError` for a page that is no listing, and for
    one that was cut off.
    """
    text = page.decode("utf-8", errors="replace")
    if _TITLE.search(text) is None:
        raise FormatError(f"{name}: no listing, but {_begin(text)}")
    rows = _ROWS.search(text)
    if rows is None:
        raise FormatError(f"{name}: the listing was cut off after {len(page)} bytes")
    entries, unread = [], []
    for row in _rows(rows[1]):
        entry = _entry(row)
        if entry is None:
            unread.append(f"<a {row.strip()}")
        else:
            entries.append(entry)
    return Listing(tuple(entries), tuple(unread))


def _rows(text: str) -> Iterator[str]:
    _, *rows = _ANCHOR.split(text)
    return (row for row in rows if _PARENT.match(row) is None)


def _entry(row: str) -> Entry | None:
    match = _ROW.fullmatch(row)
    if match is None:
        return None
    try:
        name = unquote(html.unescape(match["href"]), errors="strict")
        modified = _time(match)
    except ValueError:
        return None
    is_folder = match["size"] == "-"
    if is_folder != name.endswith("/") or not _is_name(name.removesuffix("/")):
        return None
    precision = timedelta(seconds=1) if match["second"] else timedelta(minutes=1)
    size = None if is_folder else int(match["size"])
    return Entry(name.removesuffix("/"), modified, precision, size)


def _time(match: re.Match[str]) -> datetime:
    """The row's time. Raises `ValueError` where there is no such time."""
    month = _MONTHS.get(match["month"].capitalize())
    if month is None:
        raise ValueError(f"no month {match['month']!r}")
    numbers = (int(match[part] or 0) for part in ("day", "hour", "minute", "second"))
    day, hour, minute, second = numbers
    return datetime(int(match["year"]), month, day, hour, minute, second, tzinfo=UTC)


def _is_name(name: str) -> bool:
    """Whether it is one segment of a path, and not a way out of the folder."""
    return name not in {"", ".", ".."} and not re.search(r"[/\x00-\x1f\x7f]", name)


def _begin(text: str) -> str:
    return repr(" ".join(text[:200].split())[:60])
