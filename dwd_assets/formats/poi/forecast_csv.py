"""The forecast of one station beside the reports, `<ID>-MOSMIX.csv`, which the server no longer has.

Old archives do, below `weather/local_forecasts/poi/<YYYYMMDDHH>/`. A file is laid out as a report is (see
`dwd_assets.formats.poi.beob`), its rows in order of time. Nobody can fetch one again, so that it is read with more
patience: line ends of either kind, and a last line without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.poi.beob import Header, Row

_NAME = re.compile(r"([A-Za-z0-9_-]+)-MOSMIX\.csv", re.ASCII)
_HEADER_LINES = 3
_TIME_CELLS = 2


@dataclass(frozen=True, slots=True)
class PoiForecast:
    """What a file says: the station of its name, and its rows by their time (UTC), in its order."""

    station: str
    header: Header
    rows: dict[datetime, Row]


def parse(data: bytes, name: str) -> PoiForecast:
    """Read a file whose name or path is `name`. Raises `FormatError` that names the line."""
    match = _NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise FormatError(f"{name}: not the name of a forecast, which is <ID>-MOSMIX.csv")
    lines = data.decode("latin-1").replace("\r\n", "\n").removesuffix("\n").split("\n")
    header = _header(lines, name)
    numbered = enumerate(lines[_HEADER_LINES:], _HEADER_LINES + 1)
    rows = [_row(line, header, f"{name}: line {number}") for number, line in numbered]
    if len(dict(rows)) != len(rows):
        raise FormatError(f"{name}: {len(rows)} rows of {len(dict(rows))} times")
    return PoiForecast(match[1], header, dict(rows))


def _header(lines: list[str], name: str) -> Header:
    if len(lines) <= _HEADER_LINES:
        raise FormatError(f"{name}: {len(lines)} lines, no forecast below a header of {_HEADER_LINES}")
    widths = {line.count(";") + 1 for line in lines[:_HEADER_LINES]}
    if len(widths) != 1 or min(widths) <= _TIME_CELLS:
        raise FormatError(f"{name}: no header: its lines have {', '.join(map(str, sorted(widths)))} cells")
    return Header((lines[0], lines[1], lines[2]))


def _row(line: str, header: Header, where: str) -> tuple[datetime, Row]:
    cells = line.split(";")
    wanted = len(header.columns) + _TIME_CELLS
    if len(cells) != wanted:
        raise FormatError(f"{where}: {len(cells)} cells, the header has {wanted}")
    begin = ";".join(cells[:_TIME_CELLS])
    try:
        time = datetime.strptime(begin, "%d.%m.%y;%H:%M").replace(tzinfo=UTC)
    except ValueError as fault:
        raise FormatError(f"{where}: {begin[:40]!r} is not a time") from fault
    return time, tuple(cells[_TIME_CELLS:])
