"""The stations of the simulated server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Station:
    """A place with forecasts and reports: id, name, decimal degrees, metres above sea level."""

    id: str
    name: str
    longitude_deg: float
    latitude_deg: float
    height_m: float


STATIONS = (
    Station("01001", "JAN MAYEN", -8.67, 70.94, 10.0),
    Station("10315", "MUENSTER/OSNABR.", 7.7, 52.13, 48.0),
    Station("10384", "BERLIN-TEMPELHOF", 13.4, 52.47, 48.0),
    Station("10637", "FRANKFURT/MAIN", 8.6, 50.05, 112.0),
    Station("K611", "SIMULATED HILL", 9.5, 51.25, 231.0),
)
"""A few; the last one's id is shorter than five characters."""
