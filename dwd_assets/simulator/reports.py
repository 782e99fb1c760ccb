"""POI reports: one file a station, written anew each hour, with rows of 25 hours that still change.

A value may come some hours late, and one that came may be corrected later: the next files have it in an old row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

from dwd_assets.formats.poi.beob import MISSING, Header, Row, text
from dwd_assets.simulator.chance import chance
from dwd_assets.simulator.report_forms import TEXT, ReportForm, SimulatedColumn
from dwd_assets.simulator.stations import Station
from dwd_assets.simulator.world import File, may_hold

FOLDER = "/weather/weather_reports/poi/"

ROWS = 25
WRITTEN_MINUTES = 25
"""When in an hour the first file of that hour is written; the others follow within ten minutes."""

_HOUR = timedelta(hours=1)
_ID_LENGTH = 5

_NEVER_ONE_IN, _LATE_ONE_IN, _CORRECTED_ONE_IN = 3, 12, 40
_LATEST_HOURS = 20

_chance = lru_cache(maxsize=1 << 16)(chance)
"""The same cell is drawn for 25 files in turn, and for each reader anew."""


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of some stations, written in some form."""

    seed: int
    stations: tuple[Station, ...]
    form: ReportForm = field(default_factory=ReportForm)

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a path."""
        return next((file for file in self.files(path, at) if file.path == path), None)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """The files of all stations below a prefix."""
        if may_hold(FOLDER, prefix):
            files = (self._file(station, at) for station in self.stations)
            yield from (file for file in files if file.path.startswith(prefix))

    def value(
        self, station: Station, hour: datetime, column: SimulatedColumn, written: datetime, revision: int = 0
    ) -> str:
        """A cell as a file that is written at a time has it."""
        if _chance(self.seed, station.id, column.drawn) % _NEVER_ONE_IN == 0:
            return MISSING
        drawn = _chance(self.seed, station.id, hour, column.drawn)
        age_hours = (written - hour) // _HOUR
        late_hours = 1 + (drawn >> 8) % 6 if drawn % _LATE_ONE_IN == 0 else 0
        if age_hours < late_hours:
            return MISSING
        if self.form.texts and age_hours == 0 and (drawn >> 24) % self.form.texts == 0:
            return TEXT
        corrected_hours = late_hours + 1 + (drawn >> 16) % (_LATEST_HOURS - late_hours - 1)
        is_corrected = (drawn >> 4) % _CORRECTED_ONE_IN == 0 and age_hours >= corrected_hours
        tenths = (drawn >> 32) % 800 - 200 + is_corrected * 7 + revision * (age_hours == 0)
        return _decimal(tenths + column.added_tenths)

    def _file(self, station: Station, at: datetime) -> File:
        identifier = station.id.ljust(_ID_LENGTH, "_")
        past = timedelta(minutes=WRITTEN_MINUTES, seconds=chance(self.seed, station.id) % 600)
        hour = (at - past).replace(minute=0, second=0, microsecond=0)
        build = partial(self._content, station, identifier, hour + past)
        return File(f"{FOLDER}{identifier}-BEOB.csv", hour + past, build)

    def _content(self, station: Station, identifier: str, written: datetime, revision: int) -> bytes:
        columns = self.form.columns(written)
        newest = written.replace(minute=0, second=0)
        rows: dict[datetime, Row] = {}
        for age in range(ROWS):
            hour = newest - age * _HOUR
            rows[hour] = tuple(self.value(station, hour, each, written, revision) for each in columns)
        return self.form.spelled(text(_header(identifier, columns), rows))


def _header(identifier: str, columns: tuple[SimulatedColumn, ...]) -> Header:
    names = ";".join(each.name for each in columns)
    units = ";".join(each.unit for each in columns)
    german = ";".join(each.german for each in columns)
    return Header(
        (
            f"surface observations;Parameter description;{names}",
            f"{identifier};Unit;{units}",
            f"Datum;Uhrzeit (UTC);{german}",
        )
    )


def _decimal(tenths: int) -> str:
    """A number as the reports write it: a decimal comma, and no zero after it."""
    whole, rest = divmod(abs(tenths), 10)
    sign = "-" if tenths < 0 else ""
    return f"{sign}{whole},{rest}" if rest else f"{sign}{whole}"
