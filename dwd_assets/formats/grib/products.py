"""What section 4 of a GRIB message says: which product, when, at which level, of which member.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, product definition templates 4.x and code tables
4.4 (units of time), 4.5 (surfaces), 4.10 (statistical processes). Templates differ in where the same parts stand;
`_LAYOUTS` has those that ICON fields use. Of any other template only category and number are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from dwd_assets.formats.errors import FormatError

NO_SURFACE = 255
"""The type of a surface that is missing (code table 4.5)."""

_MINUTES = {0: 1, 1: 60, 2: 24 * 60, 10: 3 * 60, 11: 6 * 60, 12: 12 * 60}
_SECONDS = 13
_MISSING_BYTE = 0xFF
_MISSING_WORD = 0xFFFFFFFF
_BAND_OCTETS = 11


@dataclass(frozen=True, slots=True)
class Surface:
    """A fixed surface: its type (code table 4.5) and its value in the type's own unit, if it has one."""

    type: int
    value: float | None


@dataclass(frozen=True, slots=True)
class Product:
    """The product definition of a field.

    template: code table 4.0. category, number: code tables 4.1 and 4.2, within the message's discipline.
    forecast_minutes: from the reference time to the field, or to the begin of the time it covers.
    first, second: the surfaces it is on or between. member: of an ensemble.
    process, range_minutes, end_time: of statistics over time, the outermost process (code table 4.10: 0 average,
    1 accumulation, 2 maximum, 3 minimum), the time it covers, and when that ends (UTC).
    None is what the template has not, or what has no value.
    """

    template: int
    category: int
    number: int
    forecast_minutes: int | None = None
    first: Surface | None = None
    second: Surface | None = None
    member: int | None = None
    process: int | None = None
    range_minutes: int | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """The first octet of each part of a template (0 where it has none), and its whole length."""

    octets: int
    time: int = 18
    surfaces: int = 23
    member: int = 0
    statistics: int = 0
    bands: int = 0


_LAYOUTS = {
    0: _Layout(34),  # at a point in time
    1: _Layout(37, member=36),
    2: _Layout(36),  # derived from all members
    8: _Layout(58, statistics=35),  # over a time
    11: _Layout(61, member=36, statistics=38),
    12: _Layout(60, statistics=37),
    15: _Layout(37),  # over an area
    32: _Layout(23, surfaces=0, bands=23),  # simulated satellite data
    33: _Layout(26, surfaces=0, bands=23, member=25),
    40: _Layout(36, time=20, surfaces=25),  # chemical constituents
    41: _Layout(39, time=20, surfaces=25, member=38),
    42: _Layout(60, time=20, surfaces=25, statistics=37),
    43: _Layout(63, time=20, surfaces=25, member=38, statistics=40),
}


def read_product(section: bytes, name: str) -> Product:
    """Read the bytes of section 4; `name` is what faults begin with. Raises `FormatError` where it is too short."""
    (template,) = struct.unpack_from(">H", section, 7)  # octets 8-9
    if len(section) < 11:
        raise FormatError(f"{name}: section 4 of {len(section)} bytes has no category and number")
    category, number = section[9], section[10]
    layout = _LAYOUTS.get(template)
    if layout is None:
        return Product(template, category, number)
    shift = _BAND_OCTETS * section[layout.bands - 1] if layout.bands and len(section) >= layout.bands else 0
    if len(section) < layout.octets + shift:
        needed = layout.octets + shift
        raise FormatError(f"{name}: section 4 of {len(section)} bytes, template {template} has {needed}")
    process, range_minutes, end_time = _statistics(section, layout.statistics, name)
    return Product(
        template,
        category,
        number,
        _minutes(section, layout.time),
        _surface(section, layout.surfaces) if layout.surfaces else None,
        _surface(section, layout.surfaces + 6) if layout.surfaces else None,
        section[layout.member + shift - 1] if layout.member else None,
        process,
        range_minutes,
        end_time,
    )


def read_time(data: bytes, start: int, name: str) -> datetime:
    """The UTC time in seven octets at an index of `data`. Raises `FormatError` where no such time is."""
    year, month, day, hour, minute, second = struct.unpack_from(">HBBBBB", data, start)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as fault:
        told = f"{year}-{month}-{day} {hour}:{minute}:{second}"
        raise FormatError(f"{name}: {told} is no time: {fault}") from fault


def _minutes(section: bytes, octet: int) -> int | None:
    """A unit of time (code table 4.4) and a number of it, as minutes; none for what is no whole number of them."""
    unit, coded = struct.unpack_from(">BI", section, octet - 1)
    amount = -(coded & 0x7FFFFFFF) if coded >> 31 else coded
    if unit == _SECONDS:
        return amount // 60 if amount % 60 == 0 else None
    return amount * _MINUTES[unit] if unit in _MINUTES else None


def _surface(section: bytes, octet: int) -> Surface | None:
    """Type, scale factor (sign and magnitude) and scaled value of a surface."""
    surface_type, factor, scaled = struct.unpack_from(">BBI", section, octet - 1)
    if surface_type == NO_SURFACE:
        return None
    if factor == _MISSING_BYTE or scaled == _MISSING_WORD:
        return Surface(surface_type, None)
    digits = -(factor & 0x7F) if factor >> 7 else factor
    # Divided or multiplied by a whole power of ten: 5 and 3 give 0.005 itself, not the nearest of 5 * 0.001.
    return Surface(surface_type, scaled / 10**digits if digits >= 0 else float(scaled * 10**-digits))


def _statistics(section: bytes, octet: int, name: str) -> tuple[int | None, int | None, datetime | None]:
    """Process, minutes covered and end of the time covered; the first range is the outermost."""
    if not octet:
        return None, None, None
    end_time = read_time(section, octet - 1, f"{name}: end of the time covered")
    return section[octet + 11], _minutes(section, octet + 14), end_time
