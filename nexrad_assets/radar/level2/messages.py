"""From an unpacked record to its messages: runs of like radials, patterns, and what could not be read.

Radials of one sweep have one length and one layout, so up to a whole record of them is checked and viewed
as one strided array: the cost is a few numpy calls a record, not Python work for every radial.
Source: ICD 2620002 (RDA/RPG), tables II (message header) and XVII (message 31).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIXED_MESSAGE_BYTES = 2432
MESSAGE_1, MESSAGE_5, MESSAGE_31 = 1, 5, 31
_VARIABLE = (29, MESSAGE_31)
_LAST_TYPE = 34
_MAX_FIXED_HALFWORDS = (FIXED_MESSAGE_BYTES - 12) // 2

_CTM = 12
_BODY = _CTM + 16
_RADIAL_HEADER = 32
_MAX_BLOCKS = 16
_RUN_LIMIT = 128  # a record holds 120 radials; in plain files longer runs save nothing
_VOLUME_HEADERS = (b"AR2V", b"ARCHIVE2")
_VOLUME_HEADER_BYTES = 24

RADIAL = np.dtype(
    {
        "names": [
            "station", "milliseconds", "day", "azimuth", "compression",
            "spacing", "status", "number", "elevation", "blocks",
        ],
        "formats": ["S4", ">u4", ">u2", ">f4", "u1", "u1", "u1", "u1", ">f4", ">u2"],
        "offsets": [28, 32, 36, 40, 44, 48, 49, 50, 52, 58],
    }
)  # fmt: skip
"""The radial header as it lies in a message, counted from the message's first byte."""

_MESSAGE_HEADER = struct.Struct(">HxB2xHI4x")
_MOMENT = struct.Struct(">x3s4xHhh4xxBff")
_VOLUME_BLOCK = struct.Struct(">8xffhH20xH")
_NYQUIST = struct.Struct(">16xH")
_MILLISECONDS_PER_DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class MomentBlock:
    """Where and how a moment lies in each message of a run; `start` counts from the message's first byte."""

    name: str
    start: int
    gates: int
    first_gate_m: int
    gate_spacing_m: int
    word_bytes: int
    scale: float
    offset: float

    @property
    def coding(self) -> tuple[int, int, int, float, float]:
        """What two blocks must share to be parts of one array."""
        return self.first_gate_m, self.gate_spacing_m, self.word_bytes, self.scale, self.offset


@dataclass(frozen=True, slots=True)
class VolumeBlock:
    """The volume constants: position of the antenna feed (metres above sea level) and the pattern number."""

    latitude_deg: float
    longitude_deg: float
    height_m: float
    vcp: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Consecutive radials of one layout, viewed where they lie.

    `heads` is of dtype `RADIAL`, shape (rays,); `rows` uint8 of shape (rays, message bytes).
    """

    heads: NDArray[Any]
    rows: NDArray[np.uint8]
    moments: tuple[MomentBlock, ...]
    volume: VolumeBlock | None
    nyquist_mps: float | None

    def part(self, start: int, stop: int) -> Run:
        """The radials from `start` up to `stop`."""
        return Run(self.heads[start:stop], self.rows[start:stop], self.moments, self.volume, self.nyquist_mps)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is not decoded here: its type, and its bytes from the first on.

    Of type 31 only those whose content makes no sense; of the fixed types only 1 and 5.
    """

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Garbage:
    """So many bytes in which no message was recognised."""

    size: int


@dataclass(frozen=True, slots=True)
class _Layout:
    same: NDArray[np.intp]
    moments: tuple[MomentBlock, ...]
    volume: VolumeBlock | None
    nyquist_mps: float | None


def messages(data: bytes, start: int, station: bytes) -> Iterator[Run | Message | Garbage]:
    """Walk the messages of one unpacked record, past bytes that are none.

    `station` is the four-letter id that every radial of message 31 carries, and by which they are found
    again; message 1 is found again at its fixed length.
    """
    at = start
    fixed = False
    while at + _BODY <= len(data):
        if data.startswith(_VOLUME_HEADERS, at):
            at += _VOLUME_HEADER_BYTES
            continue
        length, kind = _length_and_type(data, at)
        if length == 0:
            follows = at + FIXED_MESSAGE_BYTES if fixed else _find_radial(data, at + 1, station)
            follows = min(follows, len(data))
            yield Garbage(follows - at)
            at = follows
        elif at + length > len(data):
            break
        elif kind == MESSAGE_31:
            run = _run(data, at, length)
            yield run or Message(kind, data[at : at + length])
            at += length * (len(run.heads) if run else 1)
        else:
            fixed = fixed or kind == MESSAGE_1
            if kind in (MESSAGE_1, MESSAGE_5):
                yield Message(kind, data[at : at + length])
            at += length
    if data[at:].strip(b"\0"):
        yield Garbage(len(data) - at)


def _length_and_type(data: bytes, at: int) -> tuple[int, int]:
    """The bytes of the message at `at`, or 0 where none is recognised, and its type."""
    halfwords, kind, day, milliseconds = _MESSAGE_HEADER.unpack_from(data, at + _CTM)
    sent = day > 0 and milliseconds <= _MILLISECONDS_PER_DAY
    if kind in _VARIABLE:
        return (_CTM + 2 * halfwords if sent and halfwords > _RADIAL_HEADER else 0), kind
    empty = not data[at + _CTM : at + _BODY].strip(b"\0")
    recognised = empty or (sent and kind < _LAST_TYPE and halfwords <= _MAX_FIXED_HALFWORDS)
    return (FIXED_MESSAGE_BYTES if recognised else 0), kind


def _find_radial(data: bytes, start: int, station: bytes) -> int:
    """Where the next radial begins, or the end of the data."""
    found = data.find(station, start + _BODY)
    while found >= 0:
        at = found - _BODY
        length, kind = _length_and_type(data, at)
        if kind == MESSAGE_31 and length:
            return at
        found = data.find(station, found + 1)
    return len(data)


def _run(data: bytes, at: int, length: int) -> Run | None:
    """The longest run of like radials from `at` on; None where the first one makes no sense."""
    count = min((len(data) - at) // length, _RUN_LIMIT)
    heads = np.ndarray((count,), RADIAL, data, at, (length,))
    sensible = _sensible(heads)
    if not sensible[0]:
        return None
    try:
        layout = _layout(data[at : at + length], int(heads["blocks"][0]))
    except struct.error:
        return None
    rows = np.ndarray((count, length), np.uint8, data, at)
    alike = sensible & (rows[:, layout.same] == rows[0, layout.same]).all(axis=1)
    rays = count if alike.all() else int(alike.argmin())
    return Run(heads[:rays], rows[:rays], layout.moments, layout.volume, layout.nyquist_mps)


def _sensible(heads: NDArray[Any]) -> NDArray[np.bool_]:
    """Which radial headers hold values that a radar can send."""
    azimuth, elevation = heads["azimuth"], heads["elevation"]
    return np.asarray(
        (azimuth >= 0.0)
        & (azimuth <= 360.0)
        & (((elevation >= -10.0) & (elevation <= 91.0)) | ((elevation >= 350.0) & (elevation <= 360.0)))
        & (heads["number"] > 0)
        & (heads["day"] > 0)
        & (heads["milliseconds"] <= _MILLISECONDS_PER_DAY)
        & (heads["compression"] == 0)
        & ((heads["spacing"] == 1) | (heads["spacing"] == 2)),
        dtype=np.bool_,
    )


def _layout(message: bytes, blocks: int) -> _Layout:
    """What the block pointers of a radial lead to. Raises `struct.error` where they lead outside it."""
    pointers = struct.unpack_from(f">{min(blocks, _MAX_BLOCKS)}I", message, _BODY + _RADIAL_HEADER)
    moments: list[MomentBlock] = []
    volume: VolumeBlock | None = None
    nyquist: float | None = None
    same = [range(_CTM, _CTM + 4), range(_BODY + 30, _BODY + _RADIAL_HEADER + 4 * len(pointers))]
    for at in (_BODY + pointer for pointer in pointers if pointer):
        kind = message[at : at + 4]
        if len(kind) < 4:
            raise struct.error("a block pointer leads outside its message")
        same.append(range(at, at + 4))
        if kind == b"RVOL":
            volume = _volume_block(message, at)
        elif kind == b"RRAD":
            nyquist = _NYQUIST.unpack_from(message, at)[0] / 100.0 or None
        elif kind.startswith(b"D") and (moment := _moment_block(message, at)):
            moments.append(moment)
            same += [range(at + 8, at + 14), range(at + 19, at + 28)]
    return _Layout(np.concatenate([np.asarray(part) for part in same]), tuple(moments), volume, nyquist)


def _volume_block(message: bytes, at: int) -> VolumeBlock:
    latitude, longitude, site_height, feed_height, vcp = _VOLUME_BLOCK.unpack_from(message, at)
    return VolumeBlock(latitude, longitude, float(site_height + feed_height), vcp)


def _moment_block(message: bytes, at: int) -> MomentBlock | None:
    """The moment block at `at`; None for a coding that the format does not know."""
    name, gates, first, spacing, bits, scale, offset = _MOMENT.unpack_from(message, at)
    start = at + _MOMENT.size
    if bits not in (8, 16) or start + gates * bits // 8 > len(message) or not gates or spacing <= 0:
        return None
    if not name.isalnum() and not name.strip().isalnum():
        return None
    if not (math.isfinite(scale) and math.isfinite(offset) and scale > 0.0):
        return None
    return MomentBlock(name.decode("ascii").strip(), start, gates, first, spacing, bits // 8, scale, offset)
