"""MOSMIX point forecasts of one station, from DWD's KMZ.

Source: DWD's point forecast extension of KML, `pointforecast_dwd_extension_V1_0.xsd`. Elements keep DWD's names
and units (`MetElementDefinition.xml`: SI, so `TTT` is in K and `PPPP` in Pa).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.kml import KmlTexts, read_texts
from dwd_assets.formats.mosmix.kmz import read_kml

LONGEST_STATION = 32 << 20
"""Bytes of KML that one station may have; MOSMIX_L has 0.34 MB."""

_ISSUED = ("ProductDefinition", "IssueTime")
_STEP = ("ForecastTimeSteps", "TimeStep")
_MISSING = ("FormatCfg", "DefaultUndefSign")
_STATION = ("Placemark", "name")
_NAME = ("Placemark", "description")
_POSITION = ("Point", "coordinates")
_ELEMENT = ("ExtendedData", "Forecast")
_VALUES = ("Forecast", "value")

_DEFINITION_PLACES = frozenset({_ISSUED, _STEP, _MISSING})
_STATION_PLACES = frozenset({_STATION, _NAME, _POSITION, _ELEMENT, _VALUES})

_PLACE_PLACES = frozenset({_NAME, _POSITION})

_UNLESS_SAID = "-"


@dataclass(frozen=True, slots=True)
class Definition:
    """What all stations of a KML have in common: issue and forecast times (UTC), the sign of a missing value."""

    issued: datetime
    steps: tuple[datetime, ...]
    missing_sign: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a station is: its name as DWD spells it, decimal degrees, metres above sea level."""

    name: str
    longitude_deg: float
    latitude_deg: float
    height_m: float


@dataclass(frozen=True, slots=True, eq=False)
class StationForecast:
    """A forecast for one station.

    station: DWD's id (`10488`, `P0036`). name: as DWD spells it, not unique. Position: decimal degrees and
    metres above sea level. issued, steps: UTC. elements: by DWD's name, read-only float64 of shape
    (steps,), NaN where missing.
    """

    station: str
    name: str
    longitude_deg: float
    latitude_deg: float
    height_m: float
    issued: datetime
    steps: tuple[datetime, ...]
    elements: Mapping[str, NDArray[np.float64]]


def read_station(kmz: bytes, name: str = "a MOSMIX KMZ") -> StationForecast:
    """The forecast in a single station's KMZ, which is called `name` in messages.

    Raises `FormatError` unless the KMZ is whole and holds one station with a number or the missing sign for
    each element and time step.
    """
    return read_station_kml(read_kml(kmz, name, LONGEST_STATION), name)


def read_station_kml(kml: bytes, name: str) -> StationForecast:
    """The forecast in a KML of a single station, which is called `name` in messages.

    Raises `FormatError` unless it is whole and holds one station with a number or the missing sign for each element
    and time step.
    """
    found = read_texts(kml, name, wanted=_DEFINITION_PLACES | _STATION_PLACES)
    definition = _definition(found, name)
    station = _only(found, _STATION, name)
    longitude, latitude, height = _position(_only(found, _POSITION, name), name)
    return StationForecast(
        station=station,
        name=_only(found, _NAME, name),
        longitude_deg=longitude,
        latitude_deg=latitude,
        height_m=height,
        issued=definition.issued,
        steps=definition.steps,
        elements=_elements(found, definition, name),
    )


def series(forecast: StationForecast, element: str) -> tuple[tuple[datetime, float | None], ...]:
    """One element over time: each time step (UTC) with its value, or none where that is missing.

    Raises `KeyError` where the forecast has no such element.
    """
    values = forecast.elements[element].tolist()
    return tuple(
        (step, None if math.isnan(value) else value)
        for step, value in zip(forecast.steps, values, strict=True)
    )


def read_definition(kml: bytes, name: str) -> Definition:
    """What a MOSMIX KML says of all its stations, of which it need not have any. Raises `FormatError`."""
    return _definition(read_texts(kml, name, _DEFINITION_PLACES), name)


def read_place(placemark: bytes, name: str) -> Place:
    """The place in a Placemark, which may be without its document and its values. Raises `FormatError`."""
    found = read_texts(placemark, name, _PLACE_PLACES, namespaces=False)
    return Place(_only(found, _NAME, name), *_position(_only(found, _POSITION, name), name))


def _definition(found: KmlTexts, name: str) -> Definition:
    steps = tuple(_moment(text, name) for text in found.texts[_STEP])
    if not steps:
        raise FormatError(f"{name}: ForecastTimeSteps has no TimeStep")
    for earlier, later in pairwise(steps):
        if later <= earlier:
            raise FormatError(f"{name}: the time step {later.isoformat()} comes after {earlier.isoformat()}")
    sign = _only(found, _MISSING, name) if found.texts[_MISSING] else _UNLESS_SAID
    return Definition(_moment(_only(found, _ISSUED, name), name), steps, sign)


def _only(found: KmlTexts, place: tuple[str, str], name: str) -> str:
    """The text of an element that a document has to have once. Raises `FormatError`."""
    texts, (parent, element) = found.texts[place], place
    if not texts:
        raise FormatError(f"{name}: no {element} in {parent}")
    if len(texts) > 1:
        raise FormatError(f"{name}: {len(texts)} times {element} in {parent}; it must be there once")
    if not texts[0]:
        raise FormatError(f"{name}: {element} is empty (in {parent})")
    return texts[0]


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as fault:
        raise FormatError(f"{name}: {text[:40]!r} is no time") from fault
    if moment.tzinfo is None:
        raise FormatError(f"{name}: {text!r} does not tell its time zone")
    return moment.astimezone(UTC)


def _position(text: str, name: str) -> tuple[float, float, float]:
    """Longitude, latitude, height (OGC 07-147r2, section 16.9)."""
    try:
        longitude, latitude, height = (float(part) for part in text.split(","))
    except ValueError as fault:
        raise FormatError(f"{name}: {text[:60]!r} is no longitude,latitude,height") from fault
    if not (abs(longitude) <= 180 and abs(latitude) <= 90 and math.isfinite(height)):
        raise FormatError(f"{name}: {text[:60]!r} is no place on Earth")
    return longitude, latitude, height


def _elements(found: KmlTexts, definition: Definition, name: str) -> Mapping[str, NDArray[np.float64]]:
    labels = [attributes.get("elementName", "") for attributes in found.attributes[_ELEMENT]]
    rows = found.texts[_VALUES]
    if len(rows) != len(labels) or not all(labels):
        raise FormatError(f"{name}: {len(labels)} elements, {len(rows)} rows of values, or one has no name")
    if not labels or len(set(labels)) != len(labels):
        raise FormatError(f"{name}: {len(labels)} elements of {len(set(labels))} names")
    return MappingProxyType(
        {
            label: _row(row.split(), definition, f"{name}: {label}")
            for label, row in zip(labels, rows, strict=True)
        }
    )


def _row(words: list[str], definition: Definition, where: str) -> NDArray[np.float64]:
    if len(words) != len(definition.steps):
        raise FormatError(f"{where}: {len(words)} values for {len(definition.steps)} time steps")
    missing = definition.missing_sign
    try:
        row = np.array([math.nan if word == missing else float(word) for word in words], np.float64)
    except ValueError as fault:
        raise FormatError(f"{where}: {fault}") from fault
    if np.count_nonzero(np.isfinite(row)) != len(words) - words.count(missing):
        raise FormatError(f"{where}: a value is not finite")
    row.flags.writeable = False
    return row
