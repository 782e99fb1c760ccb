"""MOSMIX of all stations, split into a KMZ per station, in one pass and little memory.

A station's KML is the head of the whole one (issue time, models, time steps), its Placemark and the end
tags, byte for byte: DWD's own single-station files have this form.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import Place, read_definition, read_place
from dwd_assets.formats.mosmix.kml import check_document, first_text
from dwd_assets.formats.mosmix.kml_stream import Frame, PlacemarkCutter
from dwd_assets.formats.mosmix.kmz import KmzCut, find_kml, inflate, pack

LONGEST_KML = 4 << 30
"""Bytes of KML that all stations may have: what a ZIP without ZIP64 can tell of. MOSMIX_L has 2 GB."""

STATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}", re.ASCII)
"""What a station's id may be (for `fullmatch`), since it becomes part of file names; DWD's have 3 to 5 characters."""

_PRODUCT = re.compile(r"MOSMIX(-SNOW)?_[A-Z]+(?=[_.])", re.ASCII)
_UNNAMED = "MOSMIX"
_DECLARATION = re.compile(rb"<\?xml[^>]*\?>")
_VALUES = re.compile(rb"<(?:[\w.-]+:)?ExtendedData[\s>].*</(?:[\w.-]+:)?ExtendedData\s*>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class StationKml:
    """One station out of many: its id, the issue time (UTC), the name of the KML and the KMZ that holds it.

    sha256 (hexadecimal), size: of the KML. place: none where the Placemark does not tell it.
    """

    station: str
    issued: datetime
    entry: str
    kmz: bytes = field(repr=False)
    sha256: str
    size: int
    place: Place | None


@dataclass(frozen=True, slots=True)
class Split:
    """What became of a KMZ of all stations.

    stations: the ids that were handed on, in the file's order. duplicates: those among them that came more
    than once, each time handed on. faults: everything that was not handed on, and why, a line each; a file
    that was cut off is told so, with the station it was cut off in. malformed: those faults that cost a station
    whose id can be read, by that. strays: those that cost none. damaged: bytes are known to be wrong, so that a
    station which was handed on may be wrong too.
    """

    issued: datetime
    stations: tuple[str, ...]
    duplicates: tuple[str, ...]
    faults: tuple[str, ...]
    damaged: bool
    malformed: Mapping[str, str]
    strays: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all that the file was to hold came, proved by its length and CRC-32, and was handed on."""
        return not self.faults


def verify(kmz: Path | BinaryIO, name: str | None = None) -> None:
    """Raise `FormatError` unless all of a KMZ came, proved by the length and CRC-32 of its KML.

    `KmzCut` where only its end is missing. Nothing is said of what is in the KML. `name` stands in messages.
    """
    with _opened(kmz, name) as (file, called):
        for _ in inflate(file, find_kml(file, called), called, LONGEST_KML):
            pass


def split(kmz: Path | BinaryIO, take: Callable[[StationKml], None], name: str | None = None) -> Split:
    """Hand each station of a KMZ on as a KMZ of its own, and tell what was handed on and what was not.

    `take` is called in the file's order, while the file is read. A station is handed on when it came whole
    and is well-formed; the length and CRC-32 of the file are known only at its end, so see `Split` before
    what was taken is believed, or `verify` the file first. A stream has to be seekable. Raises `FormatError`,
    and has handed nothing on, where no station was found: no KMZ, no KML inside, no Placemark in it. `name`
    stands in messages.
    """
    with _opened(kmz, name) as (file, called):
        return _Splitting(file, called).run(take)


@contextmanager
def _opened(kmz: Path | BinaryIO, name: str | None) -> Iterator[tuple[BinaryIO, str]]:
    if isinstance(kmz, Path):
        with kmz.open("rb") as file:
            yield file, name or str(kmz)
    else:
        yield kmz, name or str(getattr(kmz, "name", "a MOSMIX KMZ"))


class _Splitting:
    """The state of one `split`."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.entry = find_kml(file, name)
        self.chunks = inflate(file, self.entry, name, LONGEST_KML)
        self.cutter = PlacemarkCutter(name)
        self.placemarks = 0
        self.stations: list[str] = []
        self.faults: list[str] = []
        self.malformed: dict[str, str] = {}
        self.hashed_head: hashlib._Hash | None = None
        self.broken: FormatError | None = None

    def run(self, take: Callable[[StationKml], None]) -> Split:
        """Hand on all that come whole. Raises `FormatError` where none was found, and whatever `take` does."""
        issued: datetime | None = None
        for piece in self._pieces():
            self.placemarks += 1
            frame = self._frame()
            issued = issued or read_definition(frame.head + frame.foot, self.name).issued
            where = f"{self.name}: Placemark {self.placemarks}"
            try:
                station = _station(frame, piece, where)
            except FormatError as fault:
                self._note(piece, str(fault))
            else:
                take(self._packed(station, issued, frame, piece))
                self.stations.append(station)
        if issued is None:
            raise self.broken or FormatError(f"{self.name}: no Placemark in the KML")
        return self._told(issued)

    def _pieces(self) -> Iterator[bytes]:
        """The whole Placemarks; afterwards, what kept the others from coming is in `broken`."""
        try:
            for chunk in self.chunks:
                yield from self.cutter.feed(chunk)
            self._check_rest()
        except FormatError as fault:
            self.broken = fault

    def _check_rest(self) -> None:
        if self.cutter.inside:
            raise KmzCut(f"{self.name}: the KML ends within a Placemark")
        check_document((self._frame().head, self.cutter.rest()), f"{self.name}: without its Placemarks")

    def _frame(self) -> Frame:
        if self.cutter.frame is None:
            raise FormatError(f"{self.name}: no Placemark in the KML")
        return self.cutter.frame

    def _note(self, piece: bytes, fault: str) -> None:
        """Note a Placemark that is not handed on."""
        self.faults.append(fault)
        station = begun_name(piece)
        if station is not None and STATION.fullmatch(station):
            self.malformed.setdefault(station, fault)

    def _packed(self, station: str, issued: datetime, frame: Frame, piece: bytes) -> StationKml:
        product = _PRODUCT.match(self.entry.name)
        entry = f"{product[0] if product else _UNNAMED}_{issued:%Y%m%d%H}_{station}.kml"
        parts = (frame.head, piece, frame.foot)
        return StationKml(
            station=station,
            issued=issued,
            entry=entry,
            kmz=pack(entry, parts, issued),
            sha256=self._sha256(parts),
            size=sum(len(part) for part in parts),
            place=_place(frame.head, piece, entry),
        )

    def _sha256(self, parts: tuple[bytes, bytes, bytes]) -> str:
        """The digest of all parts; that of the head, which all stations share, is made once."""
        head, piece, foot = parts
        if self.hashed_head is None:
            self.hashed_head = hashlib.sha256(head)
        digest = self.hashed_head.copy()
        digest.update(piece)
        digest.update(foot)
        return digest.hexdigest()

    def _told(self, issued: datetime) -> Split:
        faults = [*self.faults, *self.cutter.strays]
        if self.broken is not None:
            faults.append(f"{self.broken}; {self._where()}")
        duplicates = tuple(station for station, times in Counter(self.stations).items() if times > 1)
        damaged = self.broken is not None and not isinstance(self.broken, KmzCut)
        return Split(
            issued=issued,
            stations=tuple(self.stations),
            duplicates=duplicates,
            faults=tuple(faults),
            damaged=damaged,
            malformed=MappingProxyType(dict(self.malformed)),
            strays=tuple(self.cutter.strays),
        )

    def _where(self) -> str:
        """How far the file came, for messages: after how many Placemarks, and in which one it ended."""
        after = f"{self.placemarks} Placemarks came whole"
        if not self.cutter.inside:
            return after
        begun = begun_name(self.cutter.rest())
        station = "not named yet" if begun is None else repr(begun)
        return f"{after}, number {self.placemarks + 1} ({station}) did not"


def begun_name(piece: bytes) -> str | None:
    """The name in a Placemark, or in a piece of one, that is not known to be well-formed; None if there is none."""
    begun = re.search(rb"<(?:[\w.-]+:)?name>([^<]*)</", piece)
    return begun[1].strip().decode("latin-1") if begun else None


def _place(head: bytes, piece: bytes, name: str) -> Place | None:
    """The place in a well-formed Placemark, read without the values, which are nearly all of it."""
    declared = _DECLARATION.match(head)
    encoding = declared[0] if declared else b""
    try:
        return read_place(encoding + _VALUES.sub(b"", piece, count=1), name)
    except FormatError:
        return None


def _station(frame: Frame, piece: bytes, where: str) -> str:
    """The id in a Placemark. Raises `FormatError` for what is no id, and for what is not well-formed."""
    station = first_text((frame.head, piece, frame.foot), where, watched=1, place=("Placemark", "name"))
    if STATION.fullmatch(station) is None:
        raise FormatError(f"{where}: {station[:40]!r} is no station")
    return station
