"""Folders as the server shows them: nginx autoindex pages.

A row is `<a href="NAME">SHOWN NAME</a>   16-Sep-2026 02:40:29   877797`; a folder's name ends with `/` and its
size is `-`. Shown names are cut at about 50 characters. Older pages have no seconds. Times are UTC, as nginx writes
them unless set otherwise (ngx_http_autoindex_module, `autoindex_localtime`). ISO dates, German month names and
rounded sizes (`3.4M`), which other servers and settings write, are read too.
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
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
    "jän": 1, "mär": 3, "mrz": 3, "mai": 5, "okt": 10, "dez": 12,
}  # fmt: skip
"""English and German; strptime's `%b` would read the names of the process's locale."""

_TITLE = re.compile(r"<(title|h1)>\s*Index of\s", re.IGNORECASE)
_ROWS = re.compile(r"<pre>(.*?)</pre>", re.IGNORECASE | re.DOTALL)
_ANCHOR = re.compile(r"<a\s+", re.IGNORECASE)
_NAMED = re.compile(
    r"""href=(["'])(?P<href>[^"']*)\1\s*>[^<]*</a\s*>\s*(?P<rest>.*?)\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_REST = re.compile(
    r"""(?:(?P<day>[0-9]{1,2})(?:-|\.?\s+)(?P<month>[A-Za-zäÄ]{3,9})\.?(?:-|\s+)(?P<year>[0-9]{4})
        |(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2}))
    (?:\s+|T)(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2})(\.[0-9]+)?)?(Z|\s*UTC)?\s+
    (?P<size>-|[0-9]+|[0-9]+(?:[.,][0-9]+)?\s?[KMGT]i?B?)""",
    re.IGNORECASE | re.VERBOSE,
)
_PARENT = re.compile(r"""href=(["'])\.\./\1""", re.IGNORECASE)
_SHOWN_BYTES = 160


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder: its name in full, time of its last change (UTC), and a file's exact bytes.

    `modified` is None where the row's time could not be read (the row is then in `Listing.unread` too). `size` is
    None for a folder, and where the page rounds it or it could not be read. `precision` is what the page cuts times
    to: a second or a minute.
    """

    name: str
    modified: datetime | None
    precision: timedelta
    size: int | None
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class UnreadRow:
    """A row that could not be read, or not all of it; `name` is None where not even that could."""

    name: str | None
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Listing:
    """What a page lists, in its order, and the rows that could not be read whole, which are errors.

    A row whose name can be read is among `entries` all the same: what it names can be asked for.
    """

    entries: tuple[Entry, ...]
    unread: tuple[UnreadRow, ...]


def parse_listing(page: bytes, name: str) -> Listing:
    """The listing that a page is; `name` stands in errors.

    A row that cannot be read costs no other row. Raises `FormatError` for a page that is not a listing, and for
    one that was cut off.
    """
    text = _decoded(page)
    if _TITLE.search(text) is None:
        raise FormatError(f"{name}: not a listing: {_begin(text)}")
    rows = _ROWS.search(text)
    if rows is None:
        raise FormatError(f"{name}: the listing was cut off after {len(page)} bytes")
    entries: list[Entry] = []
    unread: list[UnreadRow] = []
    for row in _rows(rows[1]):
        entry, is_whole = _entry(row)
        if entry is not None:
            entries.append(entry)
        if not is_whole:
            shown = " ".join(f"<a {row}".split())[:_SHOWN_BYTES]
            unread.append(UnreadRow(None if entry is None else entry.name, f"{name}: row {shown!r}"))
    return Listing(tuple(entries), tuple(unread))


def _decoded(page: bytes) -> str:
    """The text of a page, which names no encoding: UTF-8, or else latin-1, which every byte is a character of."""
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError:
        return page.decode("latin-1")


def _rows(text: str) -> Iterator[str]:
    before, *rows = _ANCHOR.split(text)
    if before.strip():
        yield before
    yield from (row for row in rows if _PARENT.match(row) is None)


def _entry(row: str) -> tuple[Entry | None, bool]:
    """What a row names, None where its name cannot be read, and whether all of the row could be read."""
    named = _NAMED.fullmatch(row)
    name = None if named is None else _name(named["href"])
    if named is None or name is None:
        return None, False
    is_folder = name.endswith("/")
    label = name.removesuffix("/")
    rest = _REST.fullmatch(named["rest"])
    modified = None if rest is None else _time(rest)
    if rest is None or modified is None or (rest["size"] == "-") != is_folder:
        return Entry(label, None, timedelta(minutes=1), None, is_folder), False
    precision = timedelta(seconds=1) if rest["second"] else timedelta(minutes=1)
    size = int(rest["size"]) if rest["size"].isdecimal() else None
    return Entry(label, modified, precision, size, is_folder), True


def _time(match: re.Match[str]) -> datetime | None:
    """The row's time; None if there is no such time."""
    try:
        if match["iso"]:
            day = datetime.fromisoformat(match["iso"])
        else:
            month = _MONTHS[match["month"][:3].lower()]
            day = datetime(int(match["year"]), month, int(match["day"]))
        return day.replace(
            hour=int(match["hour"]), minute=int(match["minute"]), second=int(match["second"] or 0), tzinfo=UTC
        )
    except (ValueError, KeyError):
        return None


def _name(href: str) -> str | None:
    """The name in an address, a folder's with its `/`; None unless it is one segment of a path below the folder."""
    try:
        name = unquote(html.unescape(href), errors="strict")
    except ValueError:
        return None
    label = name.removesuffix("/")
    is_segment = label not in {"", ".", ".."} and not re.search(r"[/\x00-\x1f\x7f]", label)
    return name if is_segment and href[0] not in "?#" else None


def _begin(text: str) -> str:
    return repr(" ".join(text[:200].split())[:60])
