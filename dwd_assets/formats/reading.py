"""What is in one file, of the archive or as the server has it: known by its first bytes, not by its name.

GRIB2 and reports may be packed with bzip2 or LZ4. A name counts for CSV alone, whose station it tells: that of an
earlier version (`<path>.<12 digits>`) and that of a raw report are read as the name of the file they belong to.

What belongs here: a file's content in few numbers, and one series out of it. What does not: how that is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dwd_assets.formats import poi_forecast
from dwd_assets.formats.beob import Header, Row, parse, value
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib_facts import FieldFacts, facts
from dwd_assets.formats.gribwork import GribWorker
from dwd_assets.formats.kml import KmlTexts, check_document, read_texts
from dwd_assets.formats.kml_stream import PlacemarkCutter
from dwd_assets.formats.kmz import KmzCut, find_kml, inflate
from dwd_assets.formats.mosmix import StationForecast, read_definition, read_station
from dwd_assets.formats.mosmix import series as forecast_series
from dwd_assets.formats.mosmix_split import LONGEST_KML
from dwd_assets.formats.mosmix_units import meaning
from dwd_assets.formats.packing import unpack_bzip2, unpack_lz4

LONGEST_FILE = 1 << 30
"""Bytes that a file may have, and unpack to; a KMZ of all stations is read piece by piece, whatever its length."""

_GRIB, _BZIP2, _LZ4, _ZIP = b"GRIB", b"BZh", b"\x04\x22\x4d\x18", b"PK\x03\x04"
_VERSION = re.compile(r"\.[0-9a-f]{12}", re.ASCII)
_RAW_REPORT = re.compile(r"[A-Z0-9_]+-[0-9a-f]{64}\.csv", re.ASCII)
_REPORTS, _POI_FORECAST = "-BEOB.csv", "-MOSMIX.csv"
_ELEMENT = ("ExtendedData", "Forecast")


@dataclass(frozen=True, slots=True)
class Fields:
    """A GRIB file, its fields in order."""

    fields: tuple[FieldFacts, ...]


@dataclass(frozen=True, slots=True)
class AllStations:
    """A MOSMIX KMZ of many stations: how many, and what they have in common (elements are those of the first)."""

    stations: int
    issued: datetime
    steps: tuple[datetime, ...]
    elements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV of one station, `reports` or the historic `forecast`: its header, and its rows by their time (UTC)."""

    kind: str
    station: str
    header: Header
    rows: dict[datetime, Row]


@dataclass(frozen=True, slots=True)
class Series:
    """One element or column: times (UTC), each with its value, or none where that is missing.

    unit: as a CSV writes it; of a KMZ, which tells none, DWD's documents do, for the elements that are known here.
    """

    name: str
    unit: str | None
    values: tuple[tuple[datetime, float | None], ...]


Content = Fields | StationForecast | AllStations | Table


def read_file(path: Path, worker: GribWorker) -> Content:
    """What a file holds. Raises `FormatError` that names it, `OSError`, and `DecoderError`."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            return _forecast(path)
    return _of_bytes(_bytes(path), path, worker)


def series(content: Content, name: str, wanted: str) -> Series:
    """One element or column of a file called `name`, in the file's order.

    Raises `FormatError`, naming the file, where it has no such series, or a cell of it holds no number.
    """
    match content:
        case StationForecast():
            if wanted not in content.elements:
                raise FormatError(_no_series(name, wanted, content.elements))
            known = meaning(wanted)
            return Series(wanted, None if known is None else known.unit, forecast_series(content, wanted))
        case Table():
            return _column(content, name, wanted)
        case AllStations():
            raise FormatError(
                f"{name}: has {content.stations} stations, a series is read from the file of one"
            )
        case _:
            raise FormatError(f"{name}: is GRIB, which has no elements or columns")


def _meant(path: Path) -> str:
    """The path of the file that a file is a version of, unpacked; of a raw report, the one it was fetched as."""
    name = path.name
    if _VERSION.fullmatch(path.suffix):
        name = path.stem
    name = name.removesuffix(".lz4").removesuffix(".bz2")
    if _RAW_REPORT.fullmatch(name):
        name = f"{name.partition('-')[0]}{_REPORTS}"
    return str(path.with_name(name))


def _bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > LONGEST_FILE:
        raise FormatError(f"{path}: {size} bytes, up to {LONGEST_FILE} are read")
    return path.read_bytes()


def _of_bytes(data: bytes, path: Path, worker: GribWorker) -> Content:
    name = str(path)
    if data.startswith(_BZIP2):
        data = unpack_bzip2(data, name, LONGEST_FILE)
    elif data.startswith(_LZ4):
        data = unpack_lz4(data, name, LONGEST_FILE)
    if data.startswith(_GRIB):
        return Fields(tuple(facts(field) for field in worker.values(data, name)))
    try:
        table = _table(data, _meant(path))
    except FormatError as fault:
        raise (fault if str(fault).startswith(f"{name}:") else FormatError(f"{name}: {fault}")) from fault
    if table is None:
        raise FormatError(f"{name}: {_impostor(data)}")
    return table


def _table(data: bytes, name: str) -> Table | None:
    """What a CSV of this name holds, none for another name."""
    if name.endswith(_POI_FORECAST):
        forecast = poi_forecast.parse(data, name)
        return Table("forecast", forecast.station, forecast.header, forecast.rows)
    if name.endswith(_REPORTS):
        report = parse(data, name)
        return Table("reports", report.station, report.header, dict(report.rows))
    return None


def _impostor(data: bytes) -> str:
    if not data:
        return "is empty"
    if data.lstrip()[:1] == b"<":
        return "an HTML page or XML, not a file of the archive"
    return f"neither GRIB, KMZ, {_REPORTS} nor {_POI_FORECAST}: begins with {data[:16]!r}"


def _forecast(path: Path) -> StationForecast | AllStations:
    many = _all_stations(path, str(path))
    return read_station(_bytes(path), str(path)) if many.stations == 1 else many


def _all_stations(path: Path, name: str) -> AllStations:
    """How many stations there are, and what is told of all; the KML is not held. Raises `FormatError`."""
    cutter = PlacemarkCutter(name)
    stations, first = 0, b""
    for piece in _placemarks(path, cutter, name):
        first = first or piece
        stations += 1
    if cutter.frame is None or not stations:
        raise FormatError(f"{name}: no Placemark in the KML")
    if cutter.inside:
        raise KmzCut(f"{name}: the KML ends within a Placemark")
    check_document((cutter.frame.head, cutter.rest()), f"{name}: without its Placemarks")
    whole = cutter.frame.head + first + cutter.frame.foot
    definition = read_definition(whole, name)
    found = read_texts(whole, name, frozenset({_ELEMENT}))
    return AllStations(stations, definition.issued, definition.steps, _elements(found))


def _placemarks(path: Path, cutter: PlacemarkCutter, name: str) -> Iterator[bytes]:
    with path.open("rb") as file:
        for chunk in inflate(file, find_kml(file, name), name, LONGEST_KML):
            yield from cutter.feed(chunk)


def _elements(found: KmlTexts) -> tuple[str, ...]:
    return tuple(attributes.get("elementName", "") for attributes in found.attributes[_ELEMENT])


def _column(table: Table, name: str, wanted: str) -> Series:
    """A column by its name, or by `name (unit)` where several have the name. Raises `FormatError`."""
    columns, units = table.header.columns, table.header.units
    named = [f"{column} ({unit})" for column, unit in zip(columns, units, strict=True)]
    places = [at for at, column in enumerate(columns) if wanted in {column, named[at]}]
    if not places:
        raise FormatError(_no_series(name, wanted, columns))
    if len({units[at] for at in places}) > 1:
        raise FormatError(
            f"{name}: {wanted!r} is ambiguous; choose from: {', '.join(named[at] for at in places)}"
        )
    at = places[0]
    try:
        values = tuple((time, value(row[at])) for time, row in table.rows.items())
    except FormatError as fault:
        raise FormatError(f"{name}: {wanted}: {fault}") from fault
    return Series(columns[at], units[at], values)


def _no_series(name: str, wanted: str, there: Iterable[str]) -> str:
    return f"{name}: has no {wanted!r}; it has {', '.join(there)}"
