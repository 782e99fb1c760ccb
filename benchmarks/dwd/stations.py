"""Files of many stations for the server to have: one of all MOSMIX forecasts, and POI reports.

What belongs here: the input. What does not: measuring.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dwd_assets.formats.mosmix.forecasts import LONGEST_STATION
from dwd_assets.formats.mosmix.kmz import read_kml
from dwd_assets.mosmix.issues import Issue
from dwd_assets.simulator.reports import Reports
from dwd_assets.simulator.stations import Station
from tests.dwd_assets.formats.mosmix.mosmix_files import write_all_stations
from tests.samples import SAMPLES

FORECAST = SAMPLES / "dwd" / "mosmix_l" / "MOSMIX_L_2023041209_P0036.kmz"
ISSUED = datetime(2023, 4, 12, 9, tzinfo=UTC)
ISSUE_LOOKED_AT = ISSUED + timedelta(hours=3)
REPORTS_LOOKED_AT = datetime(2026, 9, 16, 12, 45, tzinfo=UTC)


def make_forecasts(root: Path, stations: int) -> int:
    """Write the file of all stations, made of a real station's; returns the bytes of its XML."""
    path = root / Issue("L", ISSUED).address.lstrip("/")
    path.parent.mkdir(parents=True)
    one = read_kml(FORECAST.read_bytes(), FORECAST.name, LONGEST_STATION)
    size = write_all_stations(path, one, stations)
    _date(path, ISSUED + timedelta(hours=2))
    return size


def make_reports(root: Path, stations: int) -> None:
    """Write the report of each station, as simulated for the time at which they are looked at."""
    named = tuple(Station(f"{10000 + number}", "SIMULATED", 8.0, 50.0, 100.0) for number in range(stations))
    for file in Reports(1, named).files("/", REPORTS_LOOKED_AT - timedelta(minutes=5)):
        path = root / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.build(0))
        _date(path, file.modified)


def _date(path: Path, modified: datetime) -> None:
    os.utime(path, (modified.timestamp(), modified.timestamp()))
