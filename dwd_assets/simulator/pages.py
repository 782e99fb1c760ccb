"""What the server makes of its files: autoindex pages and `content.log.bz2`.

Pages are laid out as nginx does (ngx_http_autoindex_module): folders first, each group by name, shown names of more
than 50 characters cut to 47, the rest in columns.
"""

from __future__ import annotations

import bz2
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal
from urllib.parse import quote

from dwd_assets.simulator.world import Entry, File, World

IndexForm = Literal["seconds", "minutes", "iso", "german", "rounded", "numeric", "half", "nameless"]
"""How the rows of pages are written.

seconds: as they are today; minutes: as older pages; iso, german: dates so written; rounded: sizes in K; numeric: months
as numbers, which cannot be read; half: every second row so; nameless: the last row's name cannot be read.
"""

LOG_NAME = "content.log.bz2"
LOG_FOLDERS = (
    "/weather/",
    "/weather/local_forecasts/",
    "/weather/nwp/",
    "/weather/weather_reports/",
)

_SHOWN, _CUT = 50, 47
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_GERMAN = ("Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez")


def index_page(folder: str, entries: Iterable[Entry], form: IndexForm) -> bytes:
    """The page of a folder, whose decoded path ends with `/`."""
    title = html.escape(f"Index of {folder}")
    ordered = sorted(entries, key=lambda entry: (entry.size is not None, entry.name))
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f'<h1>{title}</h1><hr><pre><a href="../">../</a>',
        *(_row(entry, _form_of_row(form, place, len(ordered))) for place, entry in enumerate(ordered)),
        "</pre><hr></body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines).encode()


def _form_of_row(form: IndexForm, place: int, rows: int) -> IndexForm:
    """How one of the rows of a page is written."""
    if form == "half":
        return "numeric" if place % 2 == 0 else "seconds"
    if form == "nameless":
        return "nameless" if place == rows - 1 else "seconds"
    return form


def _row(entry: Entry, form: IndexForm) -> str:
    name = entry.name if entry.size is not None else f"{entry.name}/"
    shown = name if len(name) <= _SHOWN else f"{name[:_CUT]}..>"
    gap = " " * (_SHOWN - len(shown))
    href = "%FF" if form == "nameless" else quote(name)  # which is no UTF-8
    return f'<a href="{href}">{html.escape(shown)}</a>{gap} {_time(entry.modified, form)}{_size(entry, form):>20}'


def _time(changed: datetime, form: IndexForm) -> str:
    # `%b` would write the month as the process's locale has it.
    match form:
        case "iso":
            return f"{changed:%Y-%m-%d %H:%M:%S}"
        case "numeric":
            return f"{changed:%d-%m-%Y %H:%M:%S}"
        case "german":
            return f"{changed:%d}-{_GERMAN[changed.month - 1]}-{changed:%Y %H:%M:%S}"
        case "minutes":
            return f"{changed:%d}-{_MONTHS[changed.month - 1]}-{changed:%Y %H:%M}"
    return f"{changed:%d}-{_MONTHS[changed.month - 1]}-{changed:%Y %H:%M:%S}"


def _size(entry: Entry, form: IndexForm) -> str:
    if entry.size is None:
        return "-"
    return f"{entry.size / 1024:.1f}K" if form == "rounded" else str(entry.size)


@dataclass(frozen=True, slots=True)
class ContentLogs:
    """The logs of `LOG_FOLDERS`, a tree in `world` itself: what that had at the last full ten minutes, but for logs."""

    world: World

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a path."""
        return next((file for file in self.files(path, at) if file.path == path), None)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """The logs below a prefix."""
        made = at.replace(minute=at.minute - at.minute % 10, second=0, microsecond=0)
        for folder in LOG_FOLDERS:
            path = f"{folder}{LOG_NAME}"
            if path.startswith(prefix):
                yield File(path, made, partial(self._content, folder, made))

    def _content(self, folder: str, made: datetime, _: int) -> bytes:
        files = sorted(self.world.files(folder, made), key=lambda file: file.path)
        lines = (
            f"./{file.path[len(folder) :]}|{self.world.size(file)}|{file.modified:%Y-%m-%d %H:%M:%S}\n"
            for file in files
            if not file.path.endswith(f"/{LOG_NAME}")
        )
        return bz2.compress("".join(lines).encode())
