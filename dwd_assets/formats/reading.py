"""What is in one file, of the archive or as the server has it: known by its first bytes, not by its name.

A KML is read with or without the ZIP that makes it a KMZ.

GRIB2 and reports may be packed with bzip2 or LZ4. A name counts for CSV alone, whose station it tells: that of an
earlier version (`<path>.<12 digits>`) and that of a raw report are read as the name of the file they belong to.

What belongs here: a file's content in few numbers, and one series out of it. What does not: how that is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.facts import FieldFacts, facts
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.mosmix.forecasts import StationForecast, read_definition, read_station_kml
from dwd_assets.formats.mosmix.forecasts import series as forecast_series
from dwd_assets.formats.mosmix.kml import KmlTexts, check_document, read_texts
from dwd_assets.formats.mosmix.kml_stream import PlacemarkCutter
from dwd_assets.formats.mosmix.kmz import LONGEST_BEGIN, KmzCut, find_kml, inflate, is_kml
from dwd_assets.formats.mosmix.split import LONGEST_KML, begun_name
from dwd_assets.formats.mosmix.units import meaning
from dwd_assets.formats.packing import unpack_bzip2, unpack_lz4
from dwd_assets.formats.poi import forecast_csv
from dwd_assets.formats.poi.beob import Header, Row, parse, value
from dwd_assets.formats.spelling import nearest, station_key

LONGEST_FILE = 1 << 30
"""Bytes that a file may have, and unpack to; a KMZ of all stations is read piece by piece, whatever its length."""

_GRIB, _BZIP2, _LZ4, _ZIP = b"GRIB", b"BZh", b"\x04\x22\x4d\x18", b"PK\x03\x04"
_VERSION = re.compile(r"\.[0-9a-f]{12}", re.ASCII)
_RAW_REPORT = re.compile(r"[A-Z0-9_]+-[0-9a-f]{64}\.csv", re.ASCII)
_REPORTS, _POI_FORECAST = "-BEOB.csv", "-MOSMIX.csv"
_ELEMENT = ("ExtendedData", "Forecast")
_READ_BYTES = 1 << 20


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
class UnpackedKml:
    """A MOSMIX KML that is not in a ZIP, which the archive and the server have none of."""

    forecast: StationForecast | AllStations


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


Content = Fields | StationForecast | AllStations | UnpackedKml | Table


def read_file(path: Path, worker: GribWorker, station: str | None = None) -> Content:
    """What a file holds; of a MOSMIX file of many stations, with `station`, the forecast of that one.

    Raises `FormatError` that names the file, also if it does not have the station, `OSError`, and `DecoderError`.
    """
    with path.open("rb") as file:
        begin = file.read(LONGEST_BEGIN)
    if begin.startswith(_ZIP):
        return _forecast(path, station)
    if is_kml(begin):
        return UnpackedKml(_forecast(path, station))
    content = _of_bytes(_bytes(path), path, worker)
    if station is not None:
        _check_station(content, str(path), station)
    return content


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
                f"{name}: has {content.stations} stations; a series is of one: name the station"
            )
        case UnpackedKml():
            return series(content.forecast, name, wanted)
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
        forecast = forecast_csv.parse(data, name)
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


def _check_station(content: Content, name: str, station: str) -> None:
    """Raise `FormatError` unless the file of one station is that station's."""
    if not isinstance(content, Table):
        raise FormatError(f"{name}: is GRIB, which has no stations")
    if station_key(content.station) != station_key(station):
        raise FormatError(f"{name}: has no station {station!r}; it has {content.station}")


def _forecast(path: Path, station: str | None) -> StationForecast | AllStations:
    """The forecast of one station, if there is one or it is named, or what there is to say of all.

    The KML is read to its end, and not held. Raises `FormatError`.
    """
    name = str(path)
    cutter = PlacemarkCutter(name)
    found = _Placemarks(None if station is None else station_key(station))
    for piece in _placemarks(path, cutter, name):
        found.take(piece)
    if cutter.frame is None or not found.count:
        raise FormatError(f"{name}: no Placemark in the KML")
    if cutter.inside:
        raise KmzCut(f"{name}: the KML ends within a Placemark")
    check_document((cutter.frame.head, cutter.rest()), f"{name}: without its Placemarks")
    piece = found.first if station is None else found.wanted(name, station)
    whole = cutter.frame.head + piece + cutter.frame.foot
    if station is not None or found.count == 1:
        return read_station_kml(whole, name)
    definition = read_definition(whole, name)
    texts = read_texts(whole, name, frozenset({_ELEMENT}))
    return AllStations(found.count, definition.issued, definition.steps, _elements(texts))


@dataclass(slots=True)
class _Placemarks:
    """The Placemarks of a KML as they come: how many, the first, and those of the station with a key."""

    key: str | None
    count: int = 0
    first: bytes = b""
    ids: set[str] = field(default_factory=set)
    found: list[bytes] = field(default_factory=list)

    def take(self, piece: bytes) -> None:
        """Count a Placemark, and hold it if it is the first one or of the station."""
        self.count += 1
        self.first = self.first or piece
        name = None if self.key is None else begun_name(piece)
        if name is not None:
            self.ids.add(name)
            if station_key(name) == self.key:
                self.found.append(piece)

    def wanted(self, name: str, station: str) -> bytes:
        """The station's Placemark. Raises `FormatError` that names the nearest ids unless there is one."""
        if len(self.found) > 1:
            raise FormatError(f"{name}: has the station {station} {len(self.found)} times")
        if not self.found:
            near = ", ".join(nearest(self.key or station, self.ids))
            there = f"it has {', '.join(self.ids)}" if self.count == 1 else f"it has {self.count} others"
            raise FormatError(
                f"{name}: has no station {station!r}; {there}{f', nearest: {near}' if near else ''}"
            )
        return self.found[0]


def _placemarks(path: Path, cutter: PlacemarkCutter, name: str) -> Iterator[bytes]:
    with path.open("rb") as file:
        for chunk in _kml(file, name):
            yield from cutter.feed(chunk)


def _kml(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of a KML, out of its KMZ or as they are."""
    if file.read(len(_ZIP)) == _ZIP:
        yield from inflate(file, find_kml(file, name), name, LONGEST_KML)
        return
    file.seek(0)
    while chunk := file.read(_READ_BYTES):
        yield chunk


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
