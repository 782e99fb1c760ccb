"""Days of POI reports: the rows of one station and one UTC day, gathered from reports that overlap.

Each report holds about 25 hours and is overwritten every hour; a value that comes late is filled into an
old row. So a day is merged by time, cell by cell:

- a value fills a gap, whichever of the two is older;
- where two values differ, the later report's stands, and the change is told as a `Correction`;
- a gap never erases a value, and a row that a later report does not have stays;
- text in a number's place is a gap, and written as one.

Columns are the same by name and unit, whatever their place. A day has all columns that its reports have: those that
are there keep their order, and new ones follow in the order in which they came; where a report has no such column,
its rows have gaps. A column whose unit changed is another one. Of German names the latest stands.

Which report is later, the caller says: `at` is the report's Last-Modified, or the time of its fetch where
the server told none, by the same rule for all reports of a day. Of two of the same time, the one merged
last counts as the later.

A `DayFile` knows the time of its latest report (`as_of`), not that of each cell. A report older than that
fills gaps and adds rows, and replaces nothing. Merging in order of time is therefore exact; after a report
that came out of order, `merge_all` over the day's kept reports is, in whatever order they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.poi.beob import Header, Report, Row, is_number, numbers, overlaid, parse, text


@dataclass(frozen=True, slots=True)
class DayFile:
    """One station's rows of one UTC day, by their time; `as_of` is the time of the latest report in it.

    A report that had no row of the day does not count. `as_of` is not in the file's bytes; where nobody kept
    it, it is none and every report counts as later.
    """

    day: date
    station: str
    header: Header
    rows: Mapping[datetime, Row]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Correction:
    """A value that a later report replaced by another one; `column` is the English name."""

    time: datetime
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Merged:
    """A day after merging, and the corrections, by time within each report.

    `changed` tells whether the file's bytes are others than before; a day without rows that was not there
    before has not changed.
    """

    day_file: DayFile
    corrections: tuple[Correction, ...]
    changed: bool


def merge(day: date, earlier: DayFile | None, report: Report, at: datetime) -> Merged:
    """The day with a report's rows of that day in it; `at` (aware) is the report's time.

    A report without such a row changes nothing, nor does the same report again. Raises `ValueError` where `earlier`
    is of another day or station.
    """
    if earlier is not None and (earlier.day, earlier.station) != (day, report.station):
        raise ValueError(f"{report.name}: merging {day} into {earlier.day} of station {earlier.station}")
    fresh = _fresh(day, report)
    if earlier is None or (fresh and not earlier.rows):
        return Merged(DayFile(day, report.station, report.header, fresh, at), (), bool(fresh))
    if not fresh:
        return Merged(earlier, (), changed=False)
    is_late = earlier.as_of is not None and at < earlier.as_of
    header = earlier.header.joined(report.header, earlier.header if is_late else report.header)
    old, new = header.placed(earlier.rows, earlier.header), header.placed(fresh, report.header)
    rows = _overlaid(new, old) if is_late else _overlaid(old, new)
    after = DayFile(day, earlier.station, header, rows, earlier.as_of if is_late else at)
    return Merged(after, tuple(_corrections(old, after)), _differ(earlier, after))


def stacked(below: DayFile, above: DayFile) -> DayFile:
    """One day over another of the same station: the values, columns and names of `above` come first.

    The later `as_of` counts.
    """
    header = above.header.joined(below.header, above.header)
    rows = _overlaid(header.placed(below.rows, below.header), header.placed(above.rows, above.header))
    as_of = max((one for one in (above.as_of, below.as_of) if one is not None), default=None)
    return DayFile(above.day, above.station, header, rows, as_of)


def merge_all(day: date, earlier: DayFile | None, reports: Iterable[tuple[datetime, Report]]) -> Merged:
    """The day with any number of reports in it, each with its time; the order they come in is of no account.

    Reports of the same time are taken in the order of their content. Raises `ValueError` as `merge` does, and where
    there is neither a day nor a report.
    """
    day_file, corrections = earlier, list[Correction]()
    for at, report in sorted(reports, key=_age):
        merged = merge(day, day_file, report, at)
        day_file = merged.day_file
        corrections += merged.corrections
    if day_file is None:
        raise ValueError(f"nothing to merge for {day}")
    return Merged(day_file, tuple(corrections), _differ(earlier, day_file))


def write(day_file: DayFile) -> bytes:
    """The file: three header lines, then the rows, newest first. Equal content gives equal bytes."""
    return text(day_file.header, day_file.rows)


def read(data: bytes, name: str, day: date, as_of: datetime | None = None) -> DayFile:
    """Read what `write` gave. Raises `FormatError` as `parse` does, and for a row of another day."""
    report = parse(data, name)
    strays = [other for other in report.days if other != day]
    if strays:
        raise FormatError(f"{name}: a row of {strays[0]} in the file of {day}")
    return DayFile(day, report.station, report.header, report.rows, as_of)


def _overlaid(lower: Mapping[datetime, Row], upper: Mapping[datetime, Row]) -> dict[datetime, Row]:
    return {**lower, **{time: overlaid(lower.get(time, row), row) for time, row in upper.items()}}


def _fresh(day: date, report: Report) -> dict[datetime, Row]:
    """A report's rows of a day; what is not a number is `---`."""
    strange = {cell.time for cell in report.texts}
    return {
        time: numbers(row) if time in strange or "" in row else row
        for time, row in report.rows.items()
        if time.date() == day
    }


def _corrections(before: Mapping[datetime, Row], after: DayFile) -> Iterator[Correction]:
    """What became of rows that are under the same header."""
    columns = after.header.columns
    for time, old in sorted(before.items()):
        new = after.rows[time]
        if new == old:
            continue
        for column, was, now in zip(columns, old, new, strict=True):
            if is_number(was) and was != now:
                yield Correction(time, column, was, now)


def _differ(before: DayFile | None, after: DayFile) -> bool:
    if before is None:
        return bool(after.rows)
    return (before.header, before.rows) != (after.header, after.rows)


def _age(dated: tuple[datetime, Report]) -> tuple[object, ...]:
    at, report = dated
    return at, report.header.lines, sorted(report.rows.items())
