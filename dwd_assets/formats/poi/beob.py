"""POI reports of Deutscher Wetterdienst: `<ID>-BEOB.csv`, hourly surface observations of one station.

A file is `;`-separated latin-1 text with LF line ends. Three header lines give each column's English name,
its unit (after the station's identifier) and its German name; the rows after them begin with a UTC date and
time, `DD.MM.YY;HH:MM`, newest first. Numbers have a decimal comma; `---` is a missing value.

What changes no value changes nothing that is read: CRLF line ends, a byte order mark (the text is UTF-8 then), blank
lines, trailing blanks, a trailing `;` on every line, a row that is repeated.

What belongs here: the bytes of one file and the number in a cell. What does not: how the rows of several
files make a day (`dwd_assets.formats.poi.beob_merge`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import islice

from dwd_assets.formats.errors import FormatError

MISSING = "---"
"""How a missing value is written."""

GAPS = frozenset({MISSING, ""})
"""Cells that hold no value. An empty one was not seen yet; it must not pass for a value if it comes."""

Column = tuple[str, str, int]
"""English name, unit, and which of the columns of that name and unit it is (0 for the first): what makes a column."""

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
_PLAIN = re.compile(r"(?:;(?:---|[+-]?\d+(?:,\d+)?))*", re.ASCII)
_TIME_LENGTH = 14
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = " \t\r"
_NAMED = 5
"""So many faults of a report are described; of the others the number is given."""


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

    @property
    def keys(self) -> tuple[Column, ...]:
        """What tells the columns from each other, wherever they are: one key for each of `columns`."""
        return _keys(self.lines[0], self.lines[1])

    def joined(self, others: Header, german: Header) -> Header:
        """A header with these columns in their order, then those that only `others` has, in theirs.

        The first two cells of each line, and the German name of a column that it has, are those of `german`, which is
        one of both.
        """
        known = set(self.keys)
        keys = (*self.keys, *(key for key in others.keys if key not in known))
        if keys == german.keys:
            return german
        names = others._german | self._german | german._german
        begins = (line.split(";")[:_TIME_CELLS] for line in german.lines)
        columns = ([key[0] for key in keys], [key[1] for key in keys], [names[key] for key in keys])
        first, second, third = (
            ";".join((*begin, *cells)) for begin, cells in zip(begins, columns, strict=True)
        )
        return Header((first, second, third))

    def placed(self, rows: Mapping[datetime, Row], header: Header) -> Mapping[datetime, Row]:
        """Rows under `header`, put under this one, which has all columns of that; `---` in the others."""
        if header.keys == self.keys:
            return rows
        known = {key: place for place, key in enumerate(header.keys)}
        places = [known.get(key) for key in self.keys]
        return {
            time: tuple(MISSING if place is None else row[place] for place in places)
            for time, row in rows.items()
        }

    @property
    def _german(self) -> dict[Column, str]:
        return dict(zip(self.keys, self.lines[2].split(";")[_TIME_CELLS:], strict=True))


@dataclass(frozen=True, slots=True)
class TextCell:
    """A cell that holds text in the place of a number: its row's time, its column's English name, and the text."""

    time: datetime
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one file says: `rows` by their time (UTC, aware), newest first as in the file.

    `station` is the identifier as the file's name has it, with the `_` that pad it to five characters. `texts` are
    the cells of `rows` that are neither a number nor a gap.
    """

    name: str
    station: str
    header: Header
    rows: Mapping[datetime, Row]
    texts: tuple[TextCell, ...] = ()

    @property
    def days(self) -> tuple[date, ...]:
        """The UTC days that the rows are of, in order."""
        return tuple(sorted({time.date() for time in self.rows}))


class HtmlPage(FormatError):  # noqa: N818 - reads as the state it reports
    """An HTML page (or XML) came in the place of a report."""


class DamagedReport(FormatError):  # noqa: N818 - reads as the state it reports
    """The header is whole, but not every row. `usable` holds the rows that are; the message describes the rest."""

    def __init__(self, told: str, usable: Report) -> None:
        super().__init__(told, usable)
        self.usable = usable

    def __str__(self) -> str:
        return str(self.args[0])


def parse(data: bytes, name: str, *, is_whole: bool = False) -> Report:
    """Read a report.

    `name` is its file name or a path that ends in it. Raises `HtmlPage`, `FormatError` where nothing can be used (no
    header, another station's file) and `DamagedReport` where some row cannot: a wrong number of cells, a bad time, a
    control character, a time that comes twice with different values, a last line without its line end. That line is
    taken if `is_whole`: the file is known to have no more bytes than these. Every other row is in
    `DamagedReport.usable`, also those after the fault: a row that stays bad for a day must not cost the rows around
    it. Of a time that comes twice, the upper row's values stand and the lower one's fill its gaps. A file cut right
    after a line end cannot be told from a shorter one: compare its length with what the server announced.
    """
    station = _station(name)
    text = _decoded(data)
    if text.lstrip()[:1] == "<":
        raise HtmlPage(f"{name}: an HTML page, not a report")
    *lines, rest = text.split("\n")
    if is_whole:
        lines, rest = [*lines, rest], ""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip(f"{_BLANKS};")]
    header = _header([line.rstrip(_BLANKS) for _, line in numbered[:_HEADER_LINES]], station, name)
    rows = _Rows(header)
    for number, line in islice(numbered, _HEADER_LINES, None):
        rows.take(number, line.rstrip(_BLANKS))
    if rest.strip(_BLANKS):
        rows.faults.append(f"line {len(lines) + 1}: cut, it has no line end")
    report = Report(name, station, header, rows.cells, tuple(rows.texts))
    if rows.faults:
        raise DamagedReport(f"{name}: {_some(rows.faults)}", report)
    return report


def value(cell: str) -> float | None:
    """The number in a cell, in its column's unit; none where the value is missing.

    Raises `FormatError` for what is no number; the caller knows the file, and names it.
    """
    if cell in GAPS:
        return None
    if not is_number(cell):
        raise FormatError(f"{cell[:40]!r} is not a number")
    return float(cell.replace(",", "."))


@lru_cache(1 << 14)
def is_number(cell: str) -> bool:
    """Whether a cell holds a number, as DWD writes it."""
    return _NUMBER.fullmatch(cell) is not None


def overlaid(lower: Row, upper: Row) -> Row:
    """The numbers of the upper row, and where it has none, those of the lower one, which has as many cells.

    A cell that is a number in neither is `---`, unless both rows are the same.
    """
    if lower == upper:
        return upper
    return tuple(
        above if is_number(above) else (below if is_number(below) else MISSING)
        for below, above in zip(lower, upper, strict=True)
    )


def numbers(row: Row) -> Row:
    """A row with `---` in the place of everything that is not a number."""
    return tuple(cell if is_number(cell) else MISSING for cell in row)


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


def _decoded(data: bytes) -> str:
    """The text: latin-1, or UTF-8 after a byte order mark, if it is that and can be written as latin-1."""
    if not data.startswith(_BYTE_ORDER_MARK):
        return data.decode("latin-1")
    text = data.removeprefix(_BYTE_ORDER_MARK)
    try:
        return text.decode("utf-8").encode("latin-1").decode("latin-1")
    except UnicodeError:
        return text.decode("latin-1")


def _header(lines: Sequence[str], station: str, name: str) -> Header:
    if len(lines) < _HEADER_LINES:
        raise FormatError(f"{name}: no header: {len(lines)} whole lines of {_HEADER_LINES}")
    names, units, german = cells = [line.split(";") for line in lines]
    # That the times are UTC is said nowhere else in the file.
    if german[:_TIME_CELLS] != _TIME_COLUMNS:
        raise FormatError(f"{name}: no header: line 3 does not begin with {';'.join(_TIME_COLUMNS)!r}")
    if not len(names) == len(units) == len(german) > _TIME_CELLS:
        raise FormatError(f"{name}: header lines of {len(names)}, {len(units)} and {len(german)} cells")
    if any(map(_CONTROL.search, lines)):
        raise FormatError(f"{name}: a control character in the header")
    if units[0].rstrip("_") != station.rstrip("_"):
        raise FormatError(f"{name}: the report of another station: {units[0][:40]!r}")
    while len(names) > _TIME_CELLS + 1 and not any(line[-1] for line in cells):
        for line in cells:
            line.pop()
    return Header((";".join(names), ";".join(units), ";".join(german)))


class _Rows:
    """The rows of a report as they are read: whole ones, what is wrong with the others, and cells that are text."""

    def __init__(self, header: Header) -> None:
        self.cells: dict[datetime, Row] = {}
        self.faults: list[str] = []
        self.texts: list[TextCell] = []
        self._columns = header.columns

    def take(self, number: int, line: str) -> None:
        """Read a line, whose number in the file stands in faults."""
        is_plain = _PLAIN.fullmatch(line, _TIME_LENGTH) is not None
        try:
            time, row = _row(line, len(self._columns), is_plain=is_plain)
        except ValueError as fault:
            self.faults.append(f"line {number}: {fault}")
            return
        if not is_plain:
            self._note_texts(time, row)
        above = self.cells.get(time)
        if above is None:
            self.cells[time] = row
            return
        self.cells[time] = overlaid(row, above)
        if above != row and self.cells[time] != overlaid(above, row):
            self.faults.append(f"line {number}: {line[:_TIME_LENGTH]} again, with other values")

    def _note_texts(self, time: datetime, row: Row) -> None:
        for column, cell in zip(self._columns, row, strict=True):
            if cell not in GAPS and not is_number(cell):
                self.texts.append(TextCell(time, column, cell))


def _row(line: str, width: int, *, is_plain: bool) -> tuple[datetime, Row]:
    """A row's time and cells; `is_plain`: those are numbers and `---` alone. Raises `ValueError` on what is wrong."""
    cells = line.split(";")
    if not is_plain:
        cells = [cell.strip(" \t") for cell in cells]
        while len(cells) > width + _TIME_CELLS and not cells[-1]:
            cells.pop()  # behind a trailing `;`
    if len(cells) != width + _TIME_CELLS:
        raise ValueError(f"{len(cells)} cells, the header has {width + _TIME_CELLS} ({line[:_TIME_LENGTH]})")
    if not is_plain and any(map(_CONTROL.search, cells)):
        raise ValueError("a control character")
    return _time(f"{cells[0]};{cells[1]}"), tuple(cells[_TIME_CELLS:])


def _some(faults: Sequence[str]) -> str:
    more = len(faults) - _NAMED
    return "; ".join(faults[:_NAMED]) + (f" (and {more} more faults)" if more > 0 else "")


@lru_cache(_TIMES_KNOWN)
def _keys(names: str, units: str) -> tuple[Column, ...]:
    """The keys of the columns of two header lines."""
    found: dict[Column, None] = {}
    for name, unit in zip(names.split(";")[_TIME_CELLS:], units.split(";")[_TIME_CELLS:], strict=True):
        place = 0
        while (name, unit, place) in found:
            place += 1
        found[name, unit, place] = None
    return tuple(found)


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
