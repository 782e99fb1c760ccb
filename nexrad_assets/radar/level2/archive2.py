"""NEXRAD Level 2: from the bytes of an Archive II file to a `Volume`.

Message 31 (2008 to today; bzip2 records, gzip around them, or plain messages) is decoded here in numpy at
little more than the cost of bzip2; message 1 goes through Py-ART. Damage costs what it hits: the sweeps
that are whole (see `whole_sweeps`) are returned, and `Volume.missing` tells the rest.
Sources: ICD 2620010 (Archive II/User) for the file, ICD 2620002 (RDA/RPG) for the messages.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nexrad_assets.radar import sites
from nexrad_assets.radar.level2.bzip2_records import HEADER_BYTES, MAX_VOLUME_BYTES, Record, gunzip, records
from nexrad_assets.radar.level2.message5 import Pattern, read_pattern
from nexrad_assets.radar.level2.message31 import SweepBuilder, TooLargeError
from nexrad_assets.radar.level2.messages import (
    MESSAGE_1,
    MESSAGE_5,
    MESSAGE_31,
    Garbage,
    Message,
    Run,
    VolumeBlock,
    messages,
)
from nexrad_assets.radar.level2.pyart_reader import PyartError, read_messages
from nexrad_assets.radar.level2.whole_sweeps import Turn, whole_sweeps
from nexrad_assets.radar.volume import Volume, VolumeError

_NAME = re.compile(r"([A-Z][A-Z0-9]{3})(\d{8}_\d{6})(?:_(V\d\d))?", re.ASCII)
_SITE = re.compile(rb"[A-Z][A-Z0-9]{3}")
_TAPE = re.compile(rb"AR2V00(\d\d)|ARCHIVE2")
_LAST_DAY = 47_482  # 2099-12-31
_MESSAGE_HEADER_BYTES = 28
_MOST_FAULTS_TOLD = 20
_MAX_ITEMS = 65_536  # runs of radials, single messages or faults; message 1 has up to 7,000


@dataclass(frozen=True, slots=True)
class _Label:
    """What a file says of itself, in its header or else in its name."""

    site: str | None
    version: str
    start: datetime | None


@dataclass(slots=True)
class _Found:
    """What a walk through the file brought to light."""

    builder: SweepBuilder = field(default_factory=lambda: SweepBuilder(MAX_VOLUME_BYTES))
    faults: list[str] = field(default_factory=list)
    unread: dict[int, list[bytes]] = field(default_factory=lambda: {MESSAGE_1: [], MESSAGE_31: []})
    items: int = 0
    radials: int = 0
    station: str | None = None

    @property
    def pattern(self) -> Pattern | None:
        """The coverage pattern, where a message told it."""
        return self.builder.pattern


def read_volume(data: bytes, name: str) -> Volume:
    """Decode a Level 2 volume.

    `name` is the file's name: it is named in errors, and tells site, time and version where the header does
    not. Memory is bounded by the format's limits, whatever lengths the file claims. Raises `VolumeError`,
    in one line, where no whole sweep can be read.
    """
    unpacked, gzip_fault = gunzip(data)
    label = _label(unpacked, name)
    if len(unpacked) > MAX_VOLUME_BYTES:
        raise VolumeError(f"{name}: it unpacks past {MAX_VOLUME_BYTES} bytes")
    found = _walk(unpacked, label, name)
    faults = [*([gzip_fault] if gzip_fault else []), *found.faults]
    if found.radials:
        turns, volume, vcp = found.builder.turns, found.builder.volume, None
    else:
        turns, volume, vcp = _by_pyart(unpacked[:HEADER_BYTES], found, faults, name)
    sweeps, missing = whole_sweeps(turns, len(found.pattern.cuts) if found.pattern else None)
    missing = _told(faults + missing)
    if not sweeps:
        raise VolumeError(f"{name}: no whole sweep ({'; '.join(missing)})")
    site = label.site or found.station
    if site is None:
        raise VolumeError(f"{name}: neither its header, its name nor its radials tell the site")
    latitude, longitude, height = _position(volume, site, name)
    return Volume(
        site=site,
        version=label.version,
        start=label.start or datetime.fromtimestamp(float(sweeps[0].time_s[0]), UTC),
        vcp=_vcp(vcp, volume, found.pattern),
        latitude_deg=latitude,
        longitude_deg=longitude,
        height_m=height,
        sweeps=sweeps,
        missing=tuple(missing),
    )


def _label(data: bytes, name: str) -> _Label:
    """Read the volume header. Raises `VolumeError` where the bytes are no Archive II file."""
    tape = _TAPE.match(data)
    if tape is None:
        began = f"begins with {data[:12]!r}" if data else "is empty"
        raise VolumeError(f"{name}: not an Archive II volume: it {began}")
    if len(data) <= HEADER_BYTES:
        raise VolumeError(f"{name}: an Archive II header and nothing after it")
    day, milliseconds, station = struct.unpack_from(">II4s", data, 12)
    named = _NAME.search(name)
    site = _site(station) or (named[1] if named else None)
    version = named[3] if named and named[3] else f"V{(tape[1] or b'01').decode('ascii')}"
    return _Label(site, version, _start(day, milliseconds) or (_named_time(named[2]) if named else None))


def _site(station: bytes) -> str | None:
    """A radar's id, where the four bytes are one."""
    return station.decode("ascii") if _SITE.fullmatch(station) else None


def _start(day: int, milliseconds: int) -> datetime | None:
    """Modified Julian day (1 is 1970-01-01) and milliseconds; None where they are no time."""
    if not (1 <= day <= _LAST_DAY and milliseconds <= 86_400_000):
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day - 1, milliseconds=milliseconds)


def _named_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _walk(data: bytes, label: _Label, name: str) -> _Found:
    """Go through all records and messages. Raises `VolumeError` where they would fill the memory."""
    found = _Found(station=label.site)
    try:
        for record in records(data):
            if record.fault:
                found.faults.append(record.fault)
            for item in _messages(record, found):
                _take(item, record, found)
        found.builder.finish()
    except TooLargeError as error:
        raise VolumeError(f"{name}: {error}") from error
    found.faults += found.builder.faults
    return found


def _messages(record: Record, found: _Found) -> Iterator[Run | Message | Garbage]:
    station = found.station.encode("ascii") if found.station else b"\0no site\0"
    return messages(record.data, record.start, station)


def _take(item: Run | Message | Garbage, record: Record, found: _Found) -> None:
    """Sort one thing found in a record. Raises `TooLargeError`."""
    found.items += 1
    if found.items > _MAX_ITEMS:
        raise TooLargeError(f"it has more than {_MAX_ITEMS} radials or faults")
    if isinstance(item, Run):
        found.radials += len(item.heads)
        found.station = found.station or _site(item.heads["station"][0])
        found.builder.add(item)
    elif isinstance(item, Garbage):
        found.faults.append(f"record {record.number} has {item.size} unreadable bytes")
    elif item.kind == MESSAGE_5:
        found.builder.pattern = read_pattern(item.data[_MESSAGE_HEADER_BYTES:]) or found.builder.pattern
    elif not found.radials:
        found.unread[item.kind].append(item.data)
    elif item.kind == MESSAGE_31:
        found.faults.append(f"record {record.number} has an unreadable radial")


def _by_pyart(
    header: bytes, found: _Found, faults: list[str], name: str
) -> tuple[list[Turn], VolumeBlock | None, int | None]:
    """Let Py-ART read the radials that are not read here. Raises `VolumeError` where there are none."""
    unread = found.unread[MESSAGE_1] or found.unread[MESSAGE_31]
    if not unread:
        told = "; ".join(_told(faults)) or "no radials in it"
        raise VolumeError(f"{name}: nothing to read ({told})")
    try:
        read = read_messages(header, unread)
    except PyartError as error:
        raise VolumeError(f"{name}: {error}") from error
    return read.turns, read.volume, read.vcp


def _told(faults: list[str]) -> list[str]:
    """Each fault once, and not more than can be read."""
    unique = list(dict.fromkeys(faults))
    rest = len(unique) - _MOST_FAULTS_TOLD
    return [*unique[:_MOST_FAULTS_TOLD], f"and {rest} faults more"] if rest > 0 else unique


def _vcp(by_pyart: int | None, volume: VolumeBlock | None, pattern: Pattern | None) -> int | None:
    told = by_pyart or (volume.vcp if volume else 0)
    return told or (pattern.number if pattern else None)


def _position(volume: VolumeBlock | None, site: str, name: str) -> tuple[float, float, float]:
    """Where the antenna is: as the file tells, else by the table of sites.

    Terminal radars tell degrees a thousand times too small and a wrong height; message 1 tells nothing.
    """
    if volume and 1.0 <= abs(volume.latitude_deg) <= 90.0 and 1.0 <= abs(volume.longitude_deg) <= 180.0:
        return volume.latitude_deg, volume.longitude_deg, volume.height_m
    try:
        known = sites.site(site)
    except sites.UnknownSite as fault:
        raise VolumeError(f"{name}: it does not tell where its radar is, and there is {fault}") from fault
    return known.latitude_deg, known.longitude_deg, known.height_m
