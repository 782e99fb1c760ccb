"""Values of GRIB files, decoded by a process that has eccodes to itself.

What belongs here: what is wanted of a field, whole, at a point, or on the regular grid. What does not: the process
(`dwd_assets.formats.grib.process`), the grid's nearest cells (`dwd_assets.formats.grib.regrid`), GRIB's sections.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grib_child import COUNT, NAMES, NUMBERS, REQUEST, VALUES
from dwd_assets.formats.grib.grid import (
    LAT_LON_TEMPLATE,
    UNSTRUCTURED_TEMPLATE,
    LatLonGrid,
    read_lat_lon,
)
from dwd_assets.formats.grib.process import DecoderProcess
from dwd_assets.formats.grib.regrid import CellCentres, Regridding, distance_km
from dwd_assets.formats.grib.sections import Sections, bitmap_section, framed, present, split
from dwd_assets.formats.grib.simple import Scale, fitted_scale, numbers, own_scale, packed_sections
from dwd_assets.formats.grib.structure import GribMessage

REQUEST_S = 30.0
"""How long a field may take; 10 to 15 ms are usual for ICON-D2."""

MAX_POINTS = 10_000_000
"""The largest grid that is decoded; a constant field of any size is a few bytes. The global ICON has 2.9 million."""


_Coded = TypeVar("_Coded", np.float32, np.uint16)


class OutsideDomain(LookupError):  # noqa: N818 - reads as the state it reports
    """No point of the grid is near the one that was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldValues:
    """A decoded field.

    message: its keys. short_name, units: eccodes' names, `unknown` where it has none. grid: of even steps, or none
    (ICON's triangles). values: float32 of shape (points,) in the grid's order, NaN where missing.
    """

    message: GribMessage
    short_name: str
    units: str
    grid: LatLonGrid | None
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What eccodes calls a field; `unknown` where it has no name. standard_name: of the CF conventions."""

    short_name: str
    name: str
    units: str
    standard_name: str


@dataclass(frozen=True, slots=True)
class PointValue:
    """The value of the cell or grid point nearest to a position, none where missing, and where that is."""

    message: GribMessage
    short_name: str
    units: str
    index: int
    lat_deg: float
    lon_deg: float
    distance_km: float
    value: float | None


class GribWorker:
    """A decoder in a process of its own, begun with `with` or the first request; several threads may ask it.

    All methods raise `FormatError`, naming the file, for bytes that are not whole GRIB messages or cannot be
    decoded, also where the decoder crashes or takes longer than `request_s` over them; the next request finds a
    new process. `DecoderError` where it cannot be started at all.
    """

    def __init__(self, request_s: float = REQUEST_S) -> None:
        self._process = DecoderProcess(request_s)

    @property
    def pid(self) -> int | None:
        """The decoder's process, if it was started."""
        return self._process.pid

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the decoder's process."""
        self._process.close()

    def values(self, data: bytes, name: str) -> tuple[FieldValues, ...]:
        """Every field of a file, in order."""
        return tuple(self._values(message, sections, name) for message, sections in split(data, name))

    def names(self, data: bytes, name: str) -> tuple[FieldNames, ...]:
        """What every field of a file is called, in order; no value is decoded."""
        answers = (self._process.ask(*_request(NAMES, sections), name) for _, sections in split(data, name))
        return tuple(FieldNames(*answer.text.split("\t")) for answer in answers)

    def check(self, data: bytes, name: str) -> None:
        """Decode every field of a file and give nothing back: what cannot be decoded raises."""
        for message, sections in split(data, name):
            mask = _checked_bitmap(message, sections, name)
            there = message.grid_points if mask is None else int(np.count_nonzero(mask))
            if there:
                decoded = self._process.ask(*_request(COUNT, sections), name).text
                if int(decoded) != there:
                    raise FormatError(f"{name}: {decoded} values decoded for {there} points")

    def point(
        self, data: bytes, lat_deg: float, lon_deg: float, name: str, cells: CellCentres | None = None
    ) -> tuple[PointValue, ...]:
        """The nearest value of every field of a file, in order.

        `cells` are the centres of a grid of triangles, whose files do not tell them; a regular grid needs none.
        Raises `OutsideDomain` for a point further than half a step beyond a regular grid, or out of reach of
        every cell; `ValueError` where `cells` are missing or of another grid.
        """
        return tuple(_at(field, lat_deg, lon_deg, cells) for field in self.values(data, name))

    def regrid(self, data: bytes, regridding: Regridding, name: str) -> bytes:
        """A file on the grid of `regridding`: each point has the value of its nearest cell.

        Everything but grid, packing and values is taken over byte for byte, in the same order, a message for each
        field. Values are those of the cell, to the last bit where it had up to 16; in finer or other packings,
        nearest to them in 16 bits. Raises `FormatError` also for fields that are not on `regridding.cells` triangles.
        """
        return b"".join(
            self._regridded(message, sections, regridding, name) for message, sections in split(data, name)
        )

    def _values(self, message: GribMessage, sections: Sections, name: str) -> FieldValues:
        mask = _checked_bitmap(message, sections, name)
        grid = read_lat_lon(sections.grid, name) if message.grid_template == LAT_LON_TEMPLATE else None
        answer = self._process.ask(*_request(VALUES, sections), name)
        values = _spread(np.frombuffer(answer.array, np.float32), mask, message, name)
        short_name, units = answer.text.split("\t")
        return FieldValues(message, short_name, units, grid, values)

    def _regridded(
        self, message: GribMessage, sections: Sections, regridding: Regridding, name: str
    ) -> bytes:
        if message.grid_template != UNSTRUCTURED_TEMPLATE or message.grid_points != regridding.cells:
            raise FormatError(
                f"{name}: {message.grid_points} points of grid template {message.grid_template},"
                f" the nearest cells are for {regridding.cells} triangles"
            )
        mask = _checked_bitmap(message, sections, name)
        coded, scale, mask = self._numbers(message, sections, mask, name)
        taken, inside = regridding.take(coded, mask)
        representation, packed = packed_sections(taken, scale)
        bitmap = bitmap_section(inside)
        return framed(
            sections.discipline,
            (
                *(sections.identification, sections.local, regridding.grid.section(), sections.product),
                *(representation, bitmap, packed),
            ),
        )

    def _numbers(
        self, message: GribMessage, sections: Sections, mask: NDArray[np.bool_] | None, name: str
    ) -> tuple[NDArray[np.uint16], Scale, NDArray[np.bool_] | None]:
        """The field as 16-bit numbers of a scale, its own if it has one, and which points have a value."""
        scale = own_scale(sections.representation, message.data_template)
        if scale is not None:
            answer = self._process.ask(*_request(NUMBERS, sections, scale), name)
            return _spread(np.frombuffer(answer.array, np.uint16), mask, message, name), scale, mask
        values = self._values(message, sections, name).values
        there = ~np.isnan(values)
        scale = fitted_scale(values[there], name)
        return numbers(np.nan_to_num(values, copy=False, nan=scale.reference), scale), scale, there


def _request(wanted: int, sections: Sections, scale: Scale | None = None) -> tuple[bytes, bytes]:
    message = sections.message()
    factors = (0.0, 0.0, 0.0) if scale is None else (scale.reference, 10.0**scale.decimal, 2.0**-scale.binary)
    return REQUEST.pack(wanted, len(message), *factors), message


def _checked_bitmap(message: GribMessage, sections: Sections, name: str) -> NDArray[np.bool_] | None:
    if not 0 < message.grid_points <= MAX_POINTS:
        raise FormatError(f"{name}: a grid of {message.grid_points} points, up to {MAX_POINTS} are decoded")
    return present(sections, message.grid_points, name)


def _spread(
    coded: NDArray[_Coded], mask: NDArray[np.bool_] | None, message: GribMessage, name: str
) -> NDArray[_Coded]:
    """Values of the points that have one, over all points; the others are NaN, or 0 among whole numbers."""
    there = message.grid_points if mask is None else int(np.count_nonzero(mask))
    if coded.size != there:
        raise FormatError(f"{name}: {coded.size} values decoded for {there} points")
    if mask is None:
        return coded
    missing = np.nan if coded.dtype.kind == "f" else 0
    spread = np.full(mask.size, missing, coded.dtype)
    spread[mask] = coded
    return spread


def _at(field: FieldValues, lat_deg: float, lon_deg: float, cells: CellCentres | None) -> PointValue:
    index, lat, lon, away = _nearest(field, lat_deg, lon_deg, cells)
    value = float(field.values[index])
    return PointValue(
        field.message,
        field.short_name,
        field.units,
        index,
        lat,
        lon,
        away,
        None if math.isnan(value) else value,
    )


def _nearest(
    field: FieldValues, lat_deg: float, lon_deg: float, cells: CellCentres | None
) -> tuple[int, float, float, float]:
    """Index, position and distance in km."""
    if field.grid is not None:
        index = field.grid.nearest(lat_deg, lon_deg)
        if index is None:
            raise OutsideDomain(f"{lat_deg}, {lon_deg} is outside of the grid")
        lat, lon = field.grid.position(index)
        return index, lat, lon, distance_km(lat_deg, lon_deg, lat, lon)
    if cells is None or cells.lat_deg.size != field.values.size:
        raise ValueError(f"positions of {field.values.size} cells are needed")
    index, away = cells.nearest(lat_deg, lon_deg)
    if away > cells.reach_km:
        raise OutsideDomain(f"{lat_deg}, {lon_deg} is {away:.1f} km from the nearest cell")
    return index, float(cells.lat_deg[index]), float(cells.lon_deg[index]), away
