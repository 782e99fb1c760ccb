"""Grids as section 3 of a GRIB message describes them: even steps of latitude and longitude, and ICON's triangles.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, grid definition templates 3.0 and 3.101, flag tables
3.3 and 3.4.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from dwd_assets.formats.errors import FormatError

LAT_LON_TEMPLATE = 0
UNSTRUCTURED_TEMPLATE = 101

_TEMPLATE = struct.Struct(">IBBIBBHB15sIIIIIIBIIIIB")
_NATIVE = struct.Struct(">IBBIBBHB3sB16s")
"""Section 3 with template 3.101: octets 16 to 18, 19 and 20 to 35 identify the grid."""

_SPHERE_6371229_M = 6
_INCREMENTS_GIVEN = 0x30
_MISSING = 0xFFFFFFFF
_SOUTH_TO_NORTH = 0x40
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class LatLonGrid:
    """Points at even steps: rows from the first latitude on, each from the first longitude eastwards.

    In millionths of a degree; a negative `lat_step` goes south.
    """

    columns: int
    rows: int
    first_lat: int
    first_lon: int
    lat_step: int
    lon_step: int

    @property
    def points(self) -> int:
        """Number of points."""
        return self.rows * self.columns

    def nearest(self, lat_deg: float, lon_deg: float) -> int | None:
        """Index of the nearest point; none beyond half a step outside of the grid."""
        row = math.floor((lat_deg * _MICRO - self.first_lat) / self.lat_step + 0.5)
        column = math.floor(
            ((lon_deg * _MICRO - self.first_lon) / self.lon_step + 0.5) % self._round_the_earth
        )
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            return None
        return row * self.columns + column

    def position(self, index: int) -> tuple[float, float]:
        """Latitude and longitude (-180 to 180) of a point, in degrees."""
        row, column = divmod(index, self.columns)
        lon = (self.first_lon + column * self.lon_step) / _MICRO
        return (self.first_lat + row * self.lat_step) / _MICRO, (lon + 180.0) % 360.0 - 180.0

    def section(self) -> bytes:
        """Section 3, byte for byte as the server's regular files have it; for grids that go north."""
        last_lat = self.first_lat + (self.rows - 1) * self.lat_step
        last_lon = (self.first_lon + (self.columns - 1) * self.lon_step) % (360 * _MICRO)
        return _TEMPLATE.pack(
            *(_TEMPLATE.size, 3, 0, self.points, 0, 0, LAT_LON_TEMPLATE),
            *(_SPHERE_6371229_M, b"\xff" * 15, self.columns, self.rows, 0, _MISSING),
            *(_signed(self.first_lat), self.first_lon, _INCREMENTS_GIVEN, _signed(last_lat), last_lon),
            *(self.lon_step, self.lat_step, _SOUTH_TO_NORTH),
        )

    @property
    def _round_the_earth(self) -> float:
        return 360 * _MICRO / self.lon_step


def read_lat_lon(section: bytes | memoryview, name: str) -> LatLonGrid:
    """The grid of a section 3 of template 3.0.

    Raises `FormatError` where it is too short, of uneven steps, or in another order than rows of eastward points.
    """
    if len(section) < _TEMPLATE.size:
        raise FormatError(f"{name}: section 3 of {len(section)} bytes, template 0 has {_TEMPLATE.size}")
    *head, columns, rows, angle, _, lat1, lon1, _, lat2, lon2, _, _, order = _TEMPLATE.unpack(
        section[: _TEMPLATE.size]
    )
    if order & ~_SOUTH_TO_NORTH or angle not in {0, _MISSING}:
        raise FormatError(f"{name}: scanning mode {order}, basic angle {angle} of a grid are not read")
    if columns * rows != head[3] or min(columns, rows) < 2:
        raise FormatError(f"{name}: {columns} columns, {rows} rows and {head[3]} points are no even grid")
    first_lat, last_lat = _value(lat1), _value(lat2)
    first_lon = _value(lon1)
    lat_step, lat_rest = divmod(last_lat - first_lat, rows - 1)
    lon_step, lon_rest = divmod((_value(lon2) - first_lon) % (360 * _MICRO), columns - 1)
    if lat_rest or lon_rest or not lat_step or not lon_step or (lat_step > 0) != bool(order):
        raise FormatError(f"{name}: steps of {lat_step} and {lon_step} do not lead to the grid's last point")
    return LatLonGrid(columns, rows, first_lat, first_lon, lat_step, lon_step)


@dataclass(frozen=True, slots=True, order=True)
class NativeGrid:
    """Which grid of triangles a field is on; a section 3 of template 3.101 has no positions.

    number: of the grid used, as its centre counts (47 is ICON-D2's R19B07). reference: number of the grid in
    reference, 1 for the centres of triangles, 2 for their corners, 3 for the middles of their edges (ICON). uuid: of
    the horizontal grid, 32 lower-case hexadecimal digits. cells: how many points a field of it has.
    """

    number: int
    reference: int
    uuid: str
    cells: int

    def __str__(self) -> str:
        """The grid as messages name it."""
        return f"grid {self.number}.{self.reference}, UUID {self.uuid}, {self.cells} cells"


def read_native_grid(section: bytes | memoryview, name: str) -> NativeGrid:
    """The grid of a section 3 of template 3.101.

    Raises `FormatError` if the section has another template or is shorter than this one.
    """
    if len(section) < _NATIVE.size:
        raise FormatError(
            f"{name}: section 3 has {len(section)} bytes, with template {UNSTRUCTURED_TEMPLATE} it has {_NATIVE.size}"
        )
    *_, points, _, _, template, _, number, reference, uuid = _NATIVE.unpack(section[: _NATIVE.size])
    if template != UNSTRUCTURED_TEMPLATE:
        raise FormatError(
            f"{name}: grid template {template} is not that of triangles, {UNSTRUCTURED_TEMPLATE}"
        )
    return NativeGrid(int.from_bytes(number), reference, uuid.hex(), points)


def _value(coded: int) -> int:
    """A 32-bit number of sign and magnitude."""
    return -(coded & 0x7FFFFFFF) if coded >> 31 else coded


def _signed(value: int) -> int:
    return value if value >= 0 else -value | 0x80000000
