"""What a file holds, in lines for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
import numpy as np

from dwd_assets.formats.grib.facts import FieldFacts
from dwd_assets.formats.mosmix.forecasts import StationForecast
from dwd_assets.formats.reading import AllStations, Content, Fields, Series, Table, UnpackedKml


def lines(name: str, content: Content) -> Iterator[str]:
    """A file in lines; the first one tells its kind."""
    match content:
        case Fields():
            yield f"{name}: GRIB2, {_count(content.fields, 'field')}"
            yield from (line for field in content.fields for line in _field(field))
        case StationForecast():
            yield f"{name}: MOSMIX forecast of one station"
            yield f"  station   {content.station} {content.name}"
            place = f"{content.latitude_deg:g} N {content.longitude_deg:g} E, {content.height_m:g} m"
            yield f"  position  {place}"
            yield from _forecast(content.issued, content.steps, tuple(content.elements))
        case AllStations():
            yield f"{name}: MOSMIX forecast of {content.stations} stations"
            yield from _forecast(content.issued, content.steps, content.elements)
        case UnpackedKml():
            yield from lines(f"{name}: an unpacked KML, not a KMZ", content.forecast)
        case Table():
            yield f"{name}: {'reports' if content.kind == 'reports' else 'forecast (CSV)'} of one station"
            yield from _table(content)


def series_lines(name: str, series: Series) -> Iterator[str]:
    """A series in lines: a time (UTC) and a value each, `-` where that is missing."""
    unit = f" ({series.unit})" if series.unit else ""
    yield f"{name}: {series.name}{unit}, {_count(series.values, 'value')}"
    for time, value in series.values:
        yield f"{time:%Y-%m-%dT%H:%MZ}  {'-' if value is None else format(value, '.10g')}"


def data(name: str, content: Content) -> bytes:
    """A file as one line of JSON."""
    return msgspec.json.encode({"file": name, **_data(content)})


def series_data(name: str, series: Series) -> bytes:
    """A series as one line of JSON."""
    return msgspec.json.encode(
        {"file": name, "series": series.name, "unit": series.unit, "values": series.values}
    )


def _field(field: FieldFacts) -> Iterator[str]:
    quantity = "/".join(map(str, field.quantity))
    yield f"  {field.name} ({field.units}), quantity {quantity}, on {field.level}{_member(field)}"
    yield f"    run {_time(field.reference_time)}, {_step(field)}{f', {field.statistics}' if field.statistics else ''}"
    yield f"    {field.grid}; {field.packing}"
    values = f"    {field.points} points, {field.missing} missing"
    if field.lowest is None:
        yield values
    else:
        yield f"{values}; min {field.lowest:.6g}, mean {field.mean:.6g}, max {field.highest:.6g} {field.units}"


def _member(field: FieldFacts) -> str:
    return "" if field.member is None else f", member {field.member}"


def _step(field: FieldFacts) -> str:
    if field.step_minutes is None:
        return "step unknown"
    hours, minutes = divmod(field.step_minutes, 60)
    return f"step {hours}:{minutes:02d}"


def _forecast(issued: datetime, steps: Sequence[datetime], elements: Sequence[str]) -> Iterator[str]:
    yield f"  issued    {_time(issued)}"
    yield f"  steps     {len(steps)}, {_time(steps[0])} to {_time(steps[-1])}"
    yield f"  elements  {len(elements)}: {' '.join(elements)}"


def _table(table: Table) -> Iterator[str]:
    yield f"  station   {table.station}"
    if table.rows:
        yield f"  rows      {len(table.rows)}, {_time(min(table.rows))} to {_time(max(table.rows))}"
    else:
        yield "  rows      0"
    yield f"  columns   {len(table.header.columns)}:"
    named = zip(table.header.columns, table.header.units, strict=True)
    yield from (f"    {column} ({unit})" for column, unit in named)


def _data(content: Content) -> dict[str, object]:
    match content:
        case Fields():
            return {"kind": "grib2", "fields": content.fields}
        case StationForecast():
            place = {name: getattr(content, name) for name in ("latitude_deg", "longitude_deg", "height_m")}
            counts = {name: int(np.isfinite(row).sum()) for name, row in content.elements.items()}
            return {
                "kind": "mosmix",
                "station": content.station,
                "name": content.name,
                **place,
                "issued": content.issued,
                "steps": content.steps,
                "elements": counts,
            }
        case AllStations():
            return {"kind": "mosmix-all-stations", **msgspec.to_builtins(content)}
        case UnpackedKml():
            return {**_data(content.forecast), "is_packed": False}
        case Table():
            return {
                "kind": content.kind,
                "station": content.station,
                "columns": dict(zip(content.header.columns, content.header.units, strict=True)),
                "rows": len(content.rows),
                "first": min(content.rows, default=None),
                "last": max(content.rows, default=None),
            }


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
