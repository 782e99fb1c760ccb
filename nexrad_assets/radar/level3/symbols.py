"""Symbols on a Level 3 map: what the display packets of points, labels, tracks and barbs hold.

What belongs here: packets 1, 2, 4, 8, 12, 15, 19, 20, 23, 24, 25 and 26, each as plain values. What does
not: which product draws them, and where on Earth they lie. Source: ICD 2620001 (RPG/Class 1 User),
section 3.3, by packet code; the special graphic symbols (12, 15, 19, 20, 23 to 26) are figure 3-14. Positions
are sent in quarter kilometres east and north of the antenna; a packet may hold several symbols of its kind.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from nexrad_assets.radar.level3.packets import FormatError, Packet, name, split_packets

WIND_BARB = 4
TVS = 12
STORM_ID = 15
HAIL = 19
CIRCULATION = 20
PAST_TRACK = 23
FORECAST_TRACK = 24
SLOW_STORM = 25
ETVS = 26

_SPECIAL_SYMBOL = 2
_PLAIN_TEXTS = (1, _SPECIAL_SYMBOL)
_COLOURED_TEXT = 8
_KM_PER_UNIT = 0.25

_POINT = struct.Struct(">hh")
_NAMED = struct.Struct(">hh2s")
_HAIL = struct.Struct(">hhhhh")
_CIRCULATION = struct.Struct(">hhHH")
_BARB = struct.Struct(">Hhhhh")

Symbol = TypeVar("Symbol")


@dataclass(frozen=True, slots=True)
class Point:
    """A position in the radar's plane, in kilometres east and north of the antenna."""

    east_km: float
    north_km: float

    @property
    def azimuth_deg(self) -> float:
        """Degrees clockwise from true north, 0 up to 360."""
        return math.degrees(math.atan2(self.east_km, self.north_km)) % 360.0

    @property
    def range_km(self) -> float:
        """Distance from the antenna."""
        return math.hypot(self.east_km, self.north_km)


@dataclass(frozen=True, slots=True)
class StormId:
    """Where a storm cell is, and its two-character id."""

    here: Point
    ident: str


@dataclass(frozen=True, slots=True)
class HailMark:
    """The hail algorithm's estimate for one cell: probabilities of any and of severe hail, largest stone.

    Percentages are negative where the cell lies beyond the algorithm's range; `size_in` is whole inches.
    """

    here: Point
    poh_percent: int
    posh_percent: int
    size_in: int


@dataclass(frozen=True, slots=True)
class CirculationMark:
    """A point feature: `kind` is the ICD's type code (9 to 11 are circulations), `radius_km` its attribute."""

    here: Point
    kind: int
    radius_km: float


@dataclass(frozen=True, slots=True)
class Label:
    """A text and where it begins, in the display's own units (a map's, or pixels of a chart or page)."""

    column: int
    row: int
    text: str


@dataclass(frozen=True, slots=True)
class Barb:
    """A wind of the time-height chart: its pixel, the direction it blows from, its speed in knots."""

    column: int
    row: int
    from_deg: int
    speed_kt: int


@dataclass(frozen=True, slots=True)
class Tracks:
    """Where a feature was, latest first, and will be, earliest first; its current position is in neither.

    `slow` tells that the circle of a storm slower than the least speed stands in place of a forecast.
    """

    past: tuple[Point, ...]
    forecast: tuple[Point, ...]
    slow: bool


def storm_ids(packet: Packet) -> list[StormId]:
    """The storms that a packet 15 names. Raises `FormatError` where an id is no ASCII text."""
    return [StormId(_point(i, j), _ascii(text)) for i, j, text in _records(packet, _NAMED)]


def hail_marks(packet: Packet) -> list[HailMark]:
    """The hail estimates of a packet 19."""
    return [HailMark(_point(i, j), poh, posh, size) for i, j, poh, posh, size in _records(packet, _HAIL)]


def circulation_marks(packet: Packet) -> list[CirculationMark]:
    """The point features of a packet 20."""
    return [
        CirculationMark(_point(i, j), kind, radius * _KM_PER_UNIT)
        for i, j, kind, radius in _records(packet, _CIRCULATION)
    ]


def points(packet: Packet) -> list[Point]:
    """The bare positions of a packet 12 or 26."""
    return [_point(i, j) for i, j in _records(packet, _POINT)]


def barbs(packet: Packet) -> list[Barb]:
    """The winds of a packet 4, whose colour (the class of the fit's error) is passed over."""
    return [Barb(i, j, direction, speed) for _, i, j, direction, speed in _records(packet, _BARB)]


def labels(packets: Iterable[Packet]) -> list[Label]:
    """The texts among packets (codes 1, 2 and 8). Raises `FormatError` where one is no ASCII text."""
    return [
        _label(packet) for packet in packets if packet.code in _PLAIN_TEXTS or packet.code == _COLOURED_TEXT
    ]


def followed(
    packets: Iterable[Packet], code: int, read: Callable[[Packet], list[Symbol]]
) -> list[tuple[Symbol, list[Packet]]]:
    """The symbols of one packet code, each with the packets that follow it up to the next: its own."""
    found: list[tuple[Symbol, list[Packet]]] = []
    for packet in packets:
        if packet.code == code:
            found.extend((symbol, []) for symbol in read(packet))
        elif found:
            found[-1][1].append(packet)
    return found


def tracks(packets: Iterable[Packet]) -> Tracks:
    """Past and forecast positions from the packets 23 and 24 of one feature."""
    inner = [(packet.code, one) for packet in packets for one in _inside(packet)]
    return Tracks(
        past=tuple(_marks(one for outer, one in inner if outer == PAST_TRACK)),
        forecast=tuple(_marks(one for outer, one in inner if outer == FORECAST_TRACK)),
        slow=any(one.code == SLOW_STORM for _, one in inner),
    )


def _inside(packet: Packet) -> Iterator[Packet]:
    if packet.code in (PAST_TRACK, FORECAST_TRACK):
        yield from split_packets(packet.data[2:], packet.layer)


def _marks(packets: Iterable[Packet]) -> Iterator[Point]:
    """The positions marked by special symbols; the line through them (packet 6) tells nothing more."""
    for packet in packets:
        if packet.code == _SPECIAL_SYMBOL:
            mark = _label(packet)
            yield _point(mark.column, mark.row)


def _label(packet: Packet) -> Label:
    start = 4 if packet.code == _COLOURED_TEXT else 2
    if len(packet.data) < start + _POINT.size:
        raise FormatError(f"packet {name(packet.code)} is too short for a text: {len(packet.data)} bytes")
    column, row = _POINT.unpack_from(packet.data, start)
    return Label(column, row, _ascii(packet.data[start + _POINT.size :]))


def _records(packet: Packet, layout: struct.Struct) -> Iterator[tuple[Any, ...]]:
    body = packet.data[2:]
    if len(body) % layout.size:
        raise FormatError(f"packet {name(packet.code)} holds {len(body)} bytes, no multiple of {layout.size}")
    return layout.iter_unpack(body)


def _point(i: int, j: int) -> Point:
    return Point(i * _KM_PER_UNIT, j * _KM_PER_UNIT)


def _ascii(text: bytes) -> str:
    try:
        return text.decode("ascii").strip(" \0")
    except UnicodeDecodeError as error:
        raise FormatError(f"a label is no text: {text[:20]!r}") from error
