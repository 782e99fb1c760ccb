"""A series as a table: CSV of RFC 4180 in UTF-8, a row for each valid time and point.

Columns: valid_time and run (UTC, ISO 8601), lead_minutes, point (a station's id, or the number of a point from 1),
latitude and longitude (degrees, as asked for), value, unit. A value is empty where the field has none, where the step
is missing and where its file cannot be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from api.v1.dwd.models import FieldSeries, SeriesTime
from api.v1.dwd.runs import start_of

CONTENT_TYPE = b"text/csv; charset=utf-8; header=present"

COLUMNS = ("valid_time", "run", "lead_minutes", "point", "latitude", "longitude", "value", "unit")

_Row = tuple[str | int | float | None, ...]


def table(series: FieldSeries) -> bytes:
    """The table, its rows by valid time and then in the order of the points."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(series))
    return text.getvalue().encode()


def _rows(series: FieldSeries) -> Iterator[_Row]:
    times: list[tuple[SeriesTime, int | None]] = [(time, index) for index, time in enumerate(series.times)]
    times += [(time, None) for time in series.missing]
    for time, index in sorted(times, key=lambda each: each[0].valid_time):
        for point in series.points:
            yield (
                _utc(time.valid_time),
                _utc(start_of(time.run)),
                time.lead_minutes,
                point.name,
                point.requested.latitude_deg,
                point.requested.longitude_deg,
                None if index is None else point.values[index],
                series.unit,
            )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
