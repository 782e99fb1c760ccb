"""Reports of a station over days, from the day files of the archive: numbers instead of DWD's spelling of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from api.replies.errors import Unavailable
from api.replies.problems import bad
from api.v1.dwd.archive import Archive
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.holes import AN_HOUR, DUE, Day, missing_hours
from api.v1.dwd.known import station
from api.v1.dwd.models import MissingHours, ReportColumn, ReportRow
from api.v1.dwd.runs import REPORTS
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.poi.beob import Column, value
from dwd_assets.formats.poi.beob_merge import DayFile
from dwd_assets.formats.poi.beob_merge import read as read_day
from dwd_assets.formats.spelling import nearest
from store import keys
from store.objects import StoreError

log = logging.getLogger(__name__)

DAYS_LOOKED_AT = 62
"""Ledgers of days that a page reads, at most; the next one goes on behind them."""

_UNITS: dict[str, str | None] = {"Grad C": "°C", "Grad": "°", "W/m2": "W/m²", "CODE_TABLE": None}
"""DWD's spelling of units, where it is not that of people."""


@dataclass(slots=True)
class Page:
    """What a page of reports holds; `after` is the time behind which the next one begins.

    days: what was read for it, in order.
    """

    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[datetime, dict[Column, float | None]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    days: list[Day] = field(default_factory=list)
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

    def missing(self, asked: Asked, now: datetime, base: str) -> list[MissingHours]:
        """The hours that this page covers, as far as they are due, and that have no row."""
        last = min(datetime.combine(asked.last, time(23), UTC), _hour(now - DUE))
        if self.after is not None:
            last = min(last, _hour(self.after))
        return missing_hours(asked.station, self.days, asked.begin, last, base)


@dataclass(frozen=True, slots=True)
class Asked:
    """A page of reports: of a station (by `station_key`), from the first to the last UTC day.

    names: of columns, all if empty. limit: rows at most. after: the time of the last row of the page before.
    """

    station: str
    first: date
    last: date
    names: tuple[str, ...]
    limit: int
    after: datetime | None = None

    @property
    def begin(self) -> datetime:
        """The first hour of the page."""
        begin = datetime.combine(self.first, time(), UTC)
        return begin if self.after is None else max(begin, _hour(self.after) + AN_HOUR)


async def page(archive: Archive, downloads: Downloads, asked: Asked) -> Page:
    """Rows of a station, oldest first.

    Raises `BadParameters` for a column that no day has, `NotFound` for a station that is not known, `Unavailable`.
    """
    found = Page()
    ahead = await _days(archive, asked.begin.date(), asked.last)
    known: set[str] = set()
    for day in ahead[:DAYS_LOOKED_AT]:
        day_file = await _day_file(archive, downloads, asked.station, day, found)
        if day_file is None:
            continue
        known.update(day_file.header.columns)
        _take(found, day_file, asked)
        if found.after is not None:
            break
    else:
        if len(ahead) > DAYS_LOOKED_AT:
            # The next page is to have all of that day, and of the one before what is later than this: nothing.
            found.after = datetime.combine(ahead[DAYS_LOOKED_AT], time(), UTC) - timedelta(microseconds=1)
    await _check_station(archive, asked.station, found)
    _check_columns(asked.names, known)
    return found


async def _check_station(archive: Archive, name: str, found: Page) -> None:
    """Raise `NotFound` for a station that neither the catalogue nor a day that was read nor the newest day knows."""
    newest = (await archive.index()).of(REPORTS)[:1]
    views = [await archive.ledger(REPORTS, entry.period) for entry in newest]
    await station(archive, name, [*(day.view for day in found.days), *(view for view in views if view)])


def _check_columns(names: Sequence[str], known: Collection[str]) -> None:
    strange = [name for name in names if name not in known]
    if known and strange:
        near = ", ".join(nearest(strange[0], known)) or ", ".join(sorted(known))
        raise bad("columns", f"no day has {strange[0][:80]!r}; choose from: {near}")


async def _days(archive: Archive, first: date, last: date) -> list[date]:
    """The days that have reports, in order."""
    named = (keys.parsed_day(entry.period) for entry in (await archive.index()).of(REPORTS))
    return sorted(day for day in named if day is not None and first <= day <= last)


async def _day_file(
    archive: Archive, downloads: Downloads, name: str, day: date, found: Page
) -> DayFile | None:
    """A station's day, noted among the days of the page; None if it has none that can be read."""
    view = await archive.ledger(REPORTS, keys.day_name(day))
    if view is None:
        return None
    path = view.by_station.get(name)
    day_file, fault = None, None
    if path is not None:
        try:
            day_file = read_day(await downloads.content(path, view.ledger.kept[path]), path, day)
        except FormatError as error:
            fault = str(error)
            found.warnings.append(f"{day}: {fault}")
        except StoreError as error:
            log.warning("%s cannot be read: %s", path, error)
            raise Unavailable("the archive does not answer; try again") from error
    hours = frozenset() if day_file is None else frozenset(map(_hour, day_file.rows))
    found.days.append(Day(day, view, hours, fault))
    return day_file


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _take(found: Page, day_file: DayFile, asked: Asked) -> None:
    """Take the rows of a day, as many as the page has room for, and note where the next page begins."""
    columns = day_file.header.keys
    wanted = _wanted(columns, asked.names)
    found.columns += [column for column in wanted if column not in found.columns]
    for moment in sorted(each for each in day_file.rows if asked.after is None or each > asked.after):
        if len(found.rows) == asked.limit:
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
