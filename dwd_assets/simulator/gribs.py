"""GRIB messages, edition 2, made of nothing: small, whole and readable by any GRIB library.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2; templates 3.0 (latitude and longitude), 3.101
(unstructured), 4.0 and 4.8, 5.0 (simple packing) and 5.42 (CCSDS). Lossless coding: CCSDS 121.0-B, of which only
the option without compression is written: four bits of 1 before each block of samples as they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dwd_assets.simulator.catalogue import NO_SURFACE, Quantity, Surface

Packing = Literal["simple", "ccsds"]

_OFFENBACH = 78
_BITS = 16
_BLOCK = 32
_CCSDS = struct.pack(">BBH", 0b0110, _BLOCK, 128)  # three-byte and MSB flags, block size, reference interval
_MODEL_LEVEL = 150
_VERTICAL_GRID = struct.pack(">ff16s", 65.0, 4.0, b"simulated levels")
"""What follows the template of a field on model levels: how many there are, and which vertical grid that is."""

_MISSING_EARTH = b"\xff" * 15
_LATITUDE, _LONGITUDE = 43_180_000, 356_060_000  # micro-degrees of ICON-D2's regular grid
_HEIGHT, _WIDTH = 14_900_000, 24_280_000


@dataclass(frozen=True, slots=True)
class NativeGrid:
    """A grid of triangles: its number, and its UUID of 16 bytes."""

    number: int
    uuid: bytes


OLD_GRID = NativeGrid(47, b"simulated cells.")
NEW_GRID = NativeGrid(99, b"other sim. cells")
"""A grid, and the one that takes its place."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one message holds.

    run: UTC. surface: of `quantity` if it has one of its own, else the level. codes: uint16 of shape (rows, columns)
    or (cells,), south to north. mask: of the same shape, true where there is a value; none where all have one.
    """

    quantity: Quantity
    surface: Surface
    run: datetime
    step_minutes: int
    codes: NDArray[np.uint16]
    mask: NDArray[np.bool_] | None
    packing: Packing
    grid: NativeGrid = OLD_GRID


def message(field: Field) -> bytes:
    """The field as one GRIB message."""
    codes = (field.codes if field.mask is None else field.codes[field.mask]).ravel()
    body = b"".join(
        (
            _section(1, _identification(field.run)),
            _section(3, _grid(field)),
            _section(4, _product(field)),
            _section(5, _representation(field, codes.size)),
            _section(6, b"\xff" if field.mask is None else b"\0" + np.packbits(field.mask).tobytes()),
            _section(7, codes.astype(">u2").tobytes() if field.packing == "simple" else _blocks(codes)),
        )
    )
    head = struct.pack(">4sHBBQ", b"GRIB", 0xFFFF, field.quantity.discipline, 2, 16 + len(body) + 4)
    return head + body + b"7777"


def _section(number: int, content: bytes) -> bytes:
    return struct.pack(">IB", 5 + len(content), number) + content


def _time(moment: datetime) -> bytes:
    return struct.pack(
        ">HBBBBB", moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
    )


def _identification(run: datetime) -> bytes:
    return struct.pack(">HHBBB", _OFFENBACH, 255, 19, 1, 1) + _time(run) + b"\0\1"


def _grid(field: Field) -> bytes:
    codes, native = field.codes, field.grid
    if codes.ndim == 1:
        cells = struct.pack(">B3sB16s", 6, native.number.to_bytes(3), 1, native.uuid)
        return struct.pack(">BIBBH", 0, codes.size, 0, 0, 101) + cells
    rows, columns = codes.shape
    east, north = _WIDTH // (columns - 1), _HEIGHT // (rows - 1)
    last_longitude = (_LONGITUDE + east * (columns - 1)) % 360_000_000
    return b"".join(
        (
            struct.pack(">BIBBHB", 0, codes.size, 0, 0, 0, 6),
            _MISSING_EARTH,
            struct.pack(">IIII", columns, rows, 0, 0xFFFFFFFF),
            struct.pack(">IIB", _LATITUDE, _LONGITUDE, 0x30),
            struct.pack(">IIIIB", _LATITUDE + north * (rows - 1), last_longitude, east, north, 0x40),
        )
    )


def _product(field: Field) -> bytes:
    quantity = field.quantity
    is_range = quantity.process is not None
    begin = 0 if is_range else field.step_minutes
    vertical = _VERTICAL_GRID if field.surface[0] == _MODEL_LEVEL else b""
    content = struct.pack(
        ">HHBBBBBHBBI",
        len(vertical) // 4,
        8 if is_range else 0,
        quantity.category,
        quantity.number,
        2,
        0,
        11,
        0,
        0,
        0,
        begin,
    )
    content += struct.pack(">BBIBBI", *field.surface, *NO_SURFACE)
    if quantity.process is None:
        return content + vertical
    end = _time(field.run + timedelta(minutes=field.step_minutes))
    return (
        content
        + end
        + struct.pack(">BIBBBIBI", 1, 0, quantity.process, 2, 0, field.step_minutes, 0, 0)
        + vertical
    )


def _representation(field: Field, values: int) -> bytes:
    exponent = field.quantity.exponent
    coded = exponent if exponent >= 0 else 0x8000 | -exponent
    template = 0 if field.packing == "simple" else 42
    content = struct.pack(">IHfHHBB", values, template, field.quantity.lowest, coded, 0, _BITS, 0)
    return content if field.packing == "simple" else content + _CCSDS


def _blocks(codes: NDArray[np.uint16]) -> bytes:
    """Samples in blocks of 32 that say that they are not compressed."""
    padded = np.pad(codes, (0, -codes.size % _BLOCK), mode="edge").astype(">u2").reshape(-1, _BLOCK)
    bits = np.unpackbits(padded.view(np.uint8), axis=1)
    return np.packbits(np.pad(bits, ((0, 0), (4, 0)), constant_values=1)).tobytes()
