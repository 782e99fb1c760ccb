"""POI reports of Deutscher Wetterdienst: `<ID>-BEOB.csv`, hourly surface observations of one station.

A file is `;`-separated latin-1 text with LF line ends. Three header lines give each column's English name,
its unit (after the station's identifier) and its German name; the rows after them begin with a UTC date and
time, `DD.MM.YY;HH:MM`, newest first. Numbers have a decimal comma; `---` is a missing value.

What belongs here: the bytes of one file and the number in a cell. What does not: how the rows of several
files make a day (`dwd_assets.formats.beob_merge`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from dwd_assets.formats.errors import FormatError

MISSING = "---"
"""How a missing value is written."""

GAPS = frozenset({MISSING, ""})
"""Cells that hold no value. An empty one was not seen yet; it must not pass for a value if it comes."""

Row = tuple[str, ...]
"""The cells after date and time, as text exactly as written: one for each of `Header.columns`."""

_HEADER_LINES = 3
_TIME_CELLS = 2
_TIME_COLUMNS = ["Datum", "Uhrzeit (UTC)"]
_NAME = re.compile(r"([A-Za-z0-9_]+)-BEOB\.csv", re.ASCII)
_TIME = re.compile(r"(\d\d)\.(\d\d)\.(\d\d);(\d\d):(\d\d)", re.ASCII)
_CENTURY = 2000
_TIMES_KNOWN = 4096  # all stations' reports have the same few
_NUMBER = re.compile(r"[+-]?\d+(?:,\d+)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Header:
    """The three header lines as they are written, without their line ends."""

    lines: tuple[str, str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The English column names, without those of date and time."""
        return tuple(self.lines[0].split(";")[_TIME_CELLS:])

    @property
    def units(self) -> tuple[str, ...]:
        """The unit of each of `columns`, as written: `Grad C`, `km/h`, `CODE_TABLE`."""
        return tuple(self.lines[1].split(";")[_TIME_CELLS:])


@dataclass(frozen=True, slots=True)
class Report:
    """What one file says: `rows` by their time (UTC, aware), newest first as in the file.

    `station` is the identifier as the file's name has it, with the `_` that pad it to five characters.
    """

    name: str
    station: str
    header: Header
    rows: Mapping[datetime, Row]

    @property
    def days(self) -> tuple[date, ...]:
        """The UTC days that the rows are of, in order."""
        return tuple(sorted({time.date() for time in self.rows}))


class DamagedReport(FormatError):  # noqa: N818 - reads as the state it reports
    """The header is whole, but not every row. `usable` holds the rows that are; the message tells the rest."""

    def __init__(self, told: str, usable: Report) -> None:
        super().__init__(told, usable)
        self.usable = usable

    def __str__(self) -> str:
        return str(self.args[0])


def parse(data: bytes, name: str) -> Report:
    """Read a report.

    `name` is its file name or a path that ends in it. Raises `FormatError` where nothing can be used (no
    header, an HTML page, another station's file) and `DamagedReport` where some row cannot: a wrong number
    of cells, a bad time, a control character, a last line without its line end, a time that comes twice
    with different values. Every other row is in `DamagedReport.usable`, also those after the fault: a row
    that stays bad for a day must not cost the rows around it. Of a time that comes twice, the upper row's
    values stand and the lower one's fill its gaps. A file cut right after a line end cannot be told from a
    shorter one: compare its length with what the server announced.
    """
    station = _station(name)
    if data.lstrip()[:1] == b"<":
        raise FormatError(f"{name}: an HTML page, not a report")
    *lines, rest = data.decode("latin-1").split("\n")
    header = _header(lines[:_HEADER_LINES], station, name)
    rows, faults = _rows(lines[_HEADER_LINES:], len(header.columns))
    if rest:
        faults.append(f"line {len(lines) + 1}: cut, it has no line end")
    report = Report(name, station, header, rows)
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise DamagedReport(f"{name}: {faults[0]}{more}", report)
    return report


def value(cell: str) -> float | None:
    """The number in a cell, in its column's unit; none where the value is missing.

    Raises `FormatError` for what is no number; the caller knows the file, and names it.
    """
    if cell in GAPS:
        return None
    if _NUMBER.fullmatch(cell) is None:
        raise FormatError(f"{cell[:40]!r} is not a number")
    return float(cell.replace(",", "."))


def overlaid(lower: Row, upper: Row) -> Row:
    """The upper row, its gaps filled from the lower one, which has as many cells."""
    if lower == upper:
        return upper
    return tuple(below if above in GAPS else above for below, above in zip(lower, upper, strict=True))


def text(header: Header, rows: Mapping[datetime, Row]) -> bytes:
    """The bytes of a file with these rows, newest first whatever order they come in."""
    lines = [*header.lines]
    lines += (f"{_written(time)};{';'.join(rows[time])}" for time in sorted(rows, reverse=True))
    return "".join(f"{line}\n" for line in lines).encode("latin-1")


def _station(name: str) -> str:
    match = _NAME.fullmatch(name.rpartition("/")[2])
    if match is None:
        raise FormatError(f"{name}: not the name of a report, which is <ID>-BEOB.csv")
    return match[1]


def _header(lines: Sequence[str], station: str, name: str) -> Header:
    if len(lines) < _HEADER_LINES:
        raise FormatError(f"{name}: no header: {len(lines)} whole lines of {_HEADER_LINES}")
    names, units, german = (line.split(";") for line in lines)
    # That the times are UTC is said nowhere else in the file.
    if german[:_TIME_CELLS] != _TIME_COLUMNS:
        raise FormatError(f"{name}: no header: line 3 does not begin with {';'.join(_TIME_COLUMNS)!r}")
    if not len(names) == len(units) == len(german) > _TIME_CELLS:
        raise FormatError(f"{name}: header lines of {len(names)}, {len(units)} and {len(german)} cells")
    if any(map(_CONTROL.search, lines)):
        raise FormatError(f"{name}: a control character in the header")
    if units[0].rstrip("_") != station.rstrip("_"):
        raise FormatError(f"{name}: the report of another station: {units[0][:40]!r}")
    return Header((lines[0], lines[1], lines[2]))


def _rows(lines: Iterable[str], width: int) -> tuple[dict[datetime, Row], list[str]]:
    """The rows that are whole, of `width` cells after the time, and what is wrong with the others."""
    rows: dict[datetime, Row] = {}
    faults = []
    for number, line in enumerate(lines, _HEADER_LINES + 1):
        try:
            time, cells = _row(line, width)
        except ValueError as fault:
            faults.append(f"line {number}: {fault}")
            continue
        above = rows.get(time, cells)
        rows[time] = overlaid(cells, above)
        if above != cells and rows[time] != overlaid(above, cells):
            faults.append(f"line {number}: {line[:14]} again, with other values")
    return rows, faults


def _row(line: str, width: int) -> tuple[datetime, Row]:
    """A row's time and cells. Raises `ValueError` that tells what is wrong with it."""
    day, *cells = line.split(";")
    if len(cells) != width + 1:
        raise ValueError(f"{len(cells) + 1} cells, the header has {width + _TIME_CELLS}")
    if _CONTROL.search(line):
        raise ValueError("a control character")
    return _time(f"{day};{cells[0]}"), tuple(cells[1:])


@lru_cache(_TIMES_KNOWN)
def _written(time: datetime) -> str:
    return f"{time:%d.%m.%y;%H:%M}"


@lru_cache(_TIMES_KNOWN)
def _time(written: str) -> datetime:
    match = _TIME.fullmatch(written)
    if match is None:
        raise ValueError(f"{written[:40]!r} is not a time")
    day, month, year, hour, minute = map(int, match.groups())
    try:
        return datetime(_CENTURY + year, month, day, hour, minute, tzinfo=UTC)
    except ValueError as fault:
        raise ValueError(f"{written!r} is not a time: {fault}") from fault
