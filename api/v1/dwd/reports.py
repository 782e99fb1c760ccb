"""Reports of a station over days, from the day files of the archive: numbers instead of DWD's spelling of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from api.errors import Unavailable
from api.v1.dwd.archive import Archive
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.models import ReportColumn, ReportRow
from api.v1.dwd.runs import REPORTS
from api.v1.problems import bad
from dwd_assets.formats.beob import Column, value
from dwd_assets.formats.beob_merge import DayFile
from dwd_assets.formats.beob_merge import read as read_day
from dwd_assets.formats.errors import FormatError
from store import keys
from store.objects import StoreError

log = logging.getLogger(__name__)

DAYS_LOOKED_AT = 62
"""Ledgers of days that a page reads, at most; the next one goes on behind them."""

_UNITS: dict[str, str | None] = {"Grad C": "°C", "Grad": "°", "W/m2": "W/m²", "CODE_TABLE": None}
"""DWD's spelling of units, where it is not that of people."""


@dataclass(slots=True)
class Page:
    """What a page of reports holds; `after` is the time behind which the next one begins."""

    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[datetime, dict[Column, float | None]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    after: datetime | None = None

    def shown_columns(self) -> list[ReportColumn]:
        """The columns as they are shown."""
        return [
            ReportColumn(name=name, unit=_UNITS.get(unit, unit), source_unit=unit)
            for name, unit, _ in self.columns
        ]

    def shown_rows(self) -> list[ReportRow]:
        """The rows as they are shown, with a value for every column."""
        return [
            ReportRow(time=moment, values=[values.get(column) for column in self.columns])
            for moment, values in self.rows
        ]


async def page(
    archive: Archive,
    downloads: Downloads,
    station: str,
    days: tuple[date, date],
    names: Sequence[str],
    limit: int,
    after: datetime | None,
) -> Page:
    """Rows of a station, oldest first. Raises `BadParameters` for a column that no day has, `Unavailable`."""
    found = Page()
    first = days[0] if after is None else max(days[0], after.date())
    ahead = await _days(archive, first, days[1])
    known: set[str] = set()
    for day in ahead[:DAYS_LOOKED_AT]:
        day_file = await _day_file(archive, downloads, station, day, found.warnings)
        if day_file is None:
            continue
        known.update(day_file.header.columns)
        _take(found, day_file, names, limit, after)
        if found.after is not None:
            break
    else:
        if len(ahead) > DAYS_LOOKED_AT:
            # The next page is to have all of that day, and of the one before what is later than this: nothing.
            found.after = datetime.combine(ahead[DAYS_LOOKED_AT], time(), UTC) - timedelta(microseconds=1)
    strange = [name for name in names if name not in known]
    if known and strange:
        raise bad("columns", f"no day has {strange[0][:80]!r}; there are: {', '.join(sorted(known))}")
    return found


async def _days(archive: Archive, first: date, last: date) -> list[date]:
    """The days that have reports, in order."""
    named = (keys.parsed_day(entry.period) for entry in (await archive.index()).of(REPORTS))
    return sorted(day for day in named if day is not None and first <= day <= last)


async def _day_file(
    archive: Archive, downloads: Downloads, station: str, day: date, warnings: list[str]
) -> DayFile | None:
    view = await archive.ledger(REPORTS, keys.day_name(day))
    path = None if view is None else view.by_station.get(station.rstrip("_"))
    if view is None or path is None:
        return None
    try:
        return read_day(await downloads.content(path, view.ledger.kept[path]), path, day)
    except FormatError as fault:
        warnings.append(f"{day}: {fault}")
        return None
    except StoreError as fault:
        log.warning("%s cannot be read: %s", path, fault)
        raise Unavailable("the archive does not answer; try again") from fault


def _take(found: Page, day_file: DayFile, names: Sequence[str], limit: int, after: datetime | None) -> None:
    """Take the rows of a day, as many as the page has room for; then tell where the next one begins."""
    columns = day_file.header.keys
    wanted = _wanted(columns, names)
    found.columns += [column for column in wanted if column not in found.columns]
    for moment in sorted(each for each in day_file.rows if after is None or each > after):
        if len(found.rows) == limit:
            found.after = found.rows[-1][0]
            return
        cells = dict(zip(columns, day_file.rows[moment], strict=True))
        values = {column: _number(cells[column], moment, column, found.warnings) for column in wanted}
        found.rows.append((moment, values))


def _wanted(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """The columns with these names, in the order of the names; all without names."""
    if not names:
        return list(columns)
    return [column for name in names for column in columns if column[0] == name]


def _number(cell: str, moment: datetime, column: Column, warnings: list[str]) -> float | None:
    try:
        return value(cell)
    except FormatError as fault:
        warnings.append(f"{moment:%Y-%m-%dT%H:%MZ} {column[0]}: {fault}")
        return None
