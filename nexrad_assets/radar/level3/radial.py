"""Level 3 rasters on rays: from a message to gate codes, their meaning and where they lie.

What belongs here: packets 16, AF1F and 28, gate spacing by product, null products. What does not: raster
packets on a square grid (composite reflectivity), contours and vectors.
Sources: ICD 2620001 (RPG/Class 1 User), table III (resolution), table V (halfword 30), figures 3-10, 3-11c.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level3.coding import Coding, coding_of
from nexrad_assets.radar.level3.generic import read_generic
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.packets import (
    DIGITAL_RADIALS,
    GENERIC,
    RADIALS_HEADER,
    RAY_HEADER,
    RUN_LENGTH_RADIALS,
    FormatError,
    Packet,
    check_shape,
    name,
)
from nexrad_assets.radar.volume import VolumeError

_STORM_TOTAL = 138
_PRECIPITATION_RANGE_M = 230_000.0
_SPACING_M: Mapping[int, float] = {
    **dict.fromkeys((19, 27, 56, 94, 134, 135), 1000.0),
    **dict.fromkeys((99, 153, 154, 155, 159, 161, 163, 165), 250.0),
    **dict.fromkeys((170, 172, 173, 174, 175, 176, 177), 250.0),
    **dict.fromkeys((78, 79, 80, 169, 171), 2000.0),
    _STORM_TOTAL: 2000.0,
}
_TILTS = (19, 27, 56, 94, 99, 153, 154, 155, 159, 161, 163, 165)
_WITH_NULL_FLAG = (169, 170, 171, 172, 173, 175)
_DRY = (2, 4, 5)
_UNAVAILABLE: Mapping[int, str] = {
    1: "no accumulation available after a gap",
    3: "no accumulation data for its time span",
    6: "no accumulation of the full hour, its data could not be read",
    7: "no accumulation of the full hour, too much of it is missing",
}
_NULL_RAYS = 360
_RASTER_PACKETS = (DIGITAL_RADIALS, RUN_LENGTH_RADIALS, GENERIC)


@dataclass(frozen=True, slots=True, eq=False)
class RadialProduct:
    """A product's raster, rays in the order they were sent.

    `codes` has shape (rays, gates): uint8, or uint16 of message 176; a ray with fewer gates is filled with
    code 0. `start_deg` is each ray's START edge clockwise from north, `width_deg` its width (float32).
    Rays may overlap by a degree (messages 78-80, 169): the later covers the earlier. `first_edge_m` is the
    slant range to the near edge of the first gate. `elevation_deg` is None for a product of the whole
    volume. `is_null` marks a product that says in words that nothing fell: its codes are zeros.
    """

    message: Message
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    start_deg: NDArray[np.float32]
    width_deg: NDArray[np.float32]
    gate_spacing_m: float
    first_edge_m: float
    elevation_deg: float | None
    coding: Coding
    is_null: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Raster:
    codes: NDArray[np.uint8] | NDArray[np.uint16]
    start_deg: NDArray[np.float32]
    width_deg: NDArray[np.float32]
    gate_spacing_m: float
    first_edge_m: float


def read_radial(message: Message) -> RadialProduct:
    """Decode the raster of a product.

    Raises `VolumeError`, in one line that names file, product and message code, for a product that is no
    raster on rays, and for one that tells that its data are not available (halfword 30: not the same as dry).
    """
    try:
        return _read(message)
    except FormatError as error:
        product = f"{message.awips} (message {message.code})" if message.awips else f"message {message.code}"
        raise VolumeError(f"{message.file_name}: {product}: {error}") from error


def _read(message: Message) -> RadialProduct:
    if message.code not in _SPACING_M:
        raise FormatError("not a product with a raster on rays")
    is_null = _is_null(message)
    raster = _dry(message) if is_null else _decode(message)
    if not np.all((raster.width_deg >= 0) & (raster.width_deg <= 360) & (np.abs(raster.start_deg) <= 360)):
        raise FormatError("its rays begin or end beyond a circle")
    return RadialProduct(
        message=message,
        codes=raster.codes,
        start_deg=raster.start_deg,
        width_deg=raster.width_deg,
        gate_spacing_m=raster.gate_spacing_m,
        first_edge_m=raster.first_edge_m,
        elevation_deg=message.halfwords[30] / 10.0 if message.code in _TILTS else None,
        coding=coding_of(message),
        is_null=is_null,
    )


def _is_null(message: Message) -> bool:
    """Whether a product is null because nothing fell; the low byte of halfword 30 tells (table V)."""
    flag = message.halfwords[30] & 0xFF if message.code in _WITH_NULL_FLAG else 0
    if flag == 0:
        return False
    if flag not in _DRY:
        raise FormatError(f"{_UNAVAILABLE.get(flag, 'null for a reason unknown')} (null product flag {flag})")
    return True


def _dry(message: Message) -> _Raster:
    spacing = _SPACING_M[message.code]
    codes = np.zeros((_NULL_RAYS, round(_PRECIPITATION_RANGE_M / spacing)), np.uint8)
    start = np.arange(_NULL_RAYS, dtype=np.float32)
    return _Raster(codes, start, np.ones_like(start), spacing, 0.0)


def _decode(message: Message) -> _Raster:
    packet = next((packet for packet in message.packets if packet.code in _RASTER_PACKETS), None)
    if packet is None:
        codes = sorted({name(packet.code) for packet in message.packets})
        raise FormatError(f"no raster on rays among its packets ({', '.join(codes) or 'none'})")
    if packet.code == GENERIC:
        return _generic(packet)
    return _radials(packet, message.code)


def _generic(packet: Packet) -> _Raster:
    radials = read_generic(packet.data)
    return _Raster(
        radials.codes,
        radials.start_deg,
        radials.width_deg,
        radials.gate_spacing_m,
        radials.first_centre_m - radials.gate_spacing_m / 2.0,
    )


def _radials(packet: Packet, code: int) -> _Raster:
    first, gates, _i, _j, _scale, rays = RADIALS_HEADER.unpack_from(packet.data)
    check_shape(rays, gates)
    run_length = packet.code == RUN_LENGTH_RADIALS
    found = list(_rays(packet.data, 2 if run_length else 1))
    parts = [part for _, _, part in found]
    spacing = _spacing_m(code, gates)
    return _Raster(
        _run_length_codes(parts, gates) if run_length else _byte_codes(parts, gates),
        np.array([start for start, _, _ in found], np.float32) / np.float32(10.0),
        np.array([width for _, width, _ in found], np.float32) / np.float32(10.0),
        spacing,
        first * spacing,
    )


def _spacing_m(code: int, gates: int) -> float:
    """Gate spacing; the packet's own scale factor is a cosine, a pixel size or metres, by product."""
    if code == _STORM_TOTAL:  # always to 230 km, at a resolution on which descriptions differ
        return _PRECIPITATION_RANGE_M / gates
    return _SPACING_M[code]


def _rays(data: bytes, unit_bytes: int) -> Iterator[tuple[int, int, bytes]]:
    """Start and width in 0.1 degree, and the gates as sent, of each ray."""
    at = RADIALS_HEADER.size
    while at < len(data):
        size, start, width = RAY_HEADER.unpack_from(data, at)
        at += RAY_HEADER.size
        yield start, width, data[at : at + size * unit_bytes]
        at += size * unit_bytes


def _byte_codes(parts: list[bytes], gates: int) -> NDArray[np.uint8]:
    """Rays of one byte a gate; an odd number of gates is sent with a byte more."""
    codes = np.zeros((len(parts), gates), np.uint8)
    for row, part in zip(codes, parts, strict=True):
        row[: len(part)] = np.frombuffer(part, np.uint8, min(len(part), gates))
    return codes


def _run_length_codes(parts: list[bytes], gates: int) -> NDArray[np.uint8]:
    """Rays of runs: four bits of length and four of code. Gates past the announced number are dropped."""
    runs = np.frombuffer(b"".join(parts), np.uint8)
    lengths = runs >> 4
    ends = np.cumsum(lengths, dtype=np.int64)
    last = np.cumsum([len(part) for part in parts])
    bounds = np.concatenate(([0], ends))[np.concatenate(([0], last))]
    flat = np.repeat(runs & 0x0F, lengths)
    row = np.repeat(np.arange(len(parts)), np.diff(bounds))
    column = np.arange(len(flat)) - bounds[row]
    kept = column < gates
    codes = np.zeros((len(parts), gates), np.uint8)
    codes[row[kept], column[kept]] = flat[kept]
    return codes
