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

IndexForm = Literal["seconds", "minutes"]
"""Whether pages tell seconds, as they do today, or not, as older ones."""

LOG_NAME = "content.log.bz2"
LOG_FOLDERS = (
    "/weather/",
    "/weather/local_forecasts/",
    "/weather/nwp/",
    "/weather/weather_reports/",
)

_SHOWN, _CUT = 50, 47
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def index_page(folder: str, entries: Iterable[Entry], form: IndexForm) -> bytes:
    """The page of a folder, whose decoded path ends with `/`."""
    title = html.escape(f"Index of {folder}")
    ordered = sorted(entries, key=lambda entry: (entry.size is not None, entry.name))
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f'<h1>{title}</h1><hr><pre><a href="../">../</a>',
        *(_row(entry, form) for entry in ordered),
        "</pre><hr></body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines).encode()


def _row(entry: Entry, form: IndexForm) -> str:
    name = entry.name if entry.size is not None else f"{entry.name}/"
    shown = name if len(name) <= _SHOWN else f"{name[:_CUT]}..>"
    gap = " " * (_SHOWN - len(shown))
    changed = entry.modified
    seconds = f":{changed:%S}" if form == "seconds" else ""
    # `%b` would write the month as the process's locale has it.
    time = f"{changed:%d}-{_MONTHS[changed.month - 1]}-{changed:%Y %H:%M}{seconds}"
    size = "-" if entry.size is None else entry.size
    return f'<a href="{quote(name)}">{html.escape(shown)}</a>{gap} {time}{size:>20}'


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
