"""What the native decoder does not read, read by Py-ART: message 1 (1991 to 2008), and its site table.

Importing the package `pyart` costs 5 CPU seconds and 225 MB; its two modules that are needed here depend
on numpy alone, by their own word, and are loaded by themselves. Nothing is loaded before it is needed.
"""

from __future__ import annotations

import importlib.util
import struct
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level2.messages import VolumeBlock
from nexrad_assets.radar.level2.whole_sweeps import MAX_TURNS, Turn, boundaries, end_mark
from nexrad_assets.radar.volume import Moment, Sweep

_MOMENTS = ("REF", "VEL", "SW", "ZDR", "PHI", "RHO", "CFP")
_MAX_GATES = 1840
_SECONDS_PER_DAY = 86_400.0
_MESSAGE_1_DEG = 180.0 / 32768.0
_STATUS = 0x7F
_FAULTS = (ArithmeticError, LookupError, NameError, OSError, TypeError, ValueError, struct.error)

Radial = dict[str, Any]


class PyartError(Exception):
    """Py-ART could not make sense of the messages either."""


@dataclass(frozen=True, slots=True)
class PyartVolume:
    """What Py-ART's reader found; position is not in message 1."""

    turns: list[Turn]
    vcp: int | None
    volume: VolumeBlock | None


def read_messages(volume_header: bytes, messages: Iterable[bytes]) -> PyartVolume:
    """Read radial messages of one type (1 or 31), each with its 12 bytes before the message header.

    Raises `PyartError`.
    """
    stream = bytearray(b"".join(messages))
    stream[:12] = bytes(12)  # Py-ART tells plain from packed files by two of these bytes
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = _module("nexrad_level2").NEXRADLevel2File(BytesIO(volume_header + stream))
        return _volume(file.radial_records)
    except _FAULTS as error:
        raise PyartError(f"Py-ART finds no radials in it ({error!r})") from error


@cache
def _module(name: str) -> ModuleType:
    """One module file of Py-ART, without the rest of the package."""
    package = importlib.util.find_spec("pyart")
    if package is None or package.origin is None:
        raise PyartError("Py-ART is not installed")
    path = Path(package.origin).parent / "io" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_pyart_{name}", path)
    if spec is None or spec.loader is None:
        raise PyartError(f"Py-ART has no {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _volume(radials: Sequence[Radial]) -> PyartVolume:
    heads = [radial["msg_header"] for radial in radials]
    statuses = np.array([_status(head) for head in heads])
    numbers = np.array([head["elevation_number"] for head in heads])
    cuts = [0, *boundaries(numbers, statuses), len(radials)]
    if len(cuts) > MAX_TURNS:
        raise PyartError(f"it has more than {MAX_TURNS} turns")
    turns = [
        Turn(_sweep(radials[start:stop]), end_mark(int(statuses[stop - 1]))) for start, stop in pairwise(cuts)
    ]
    block = radials[0].get("VOL")
    if block is None:
        return PyartVolume(turns, heads[0].get("vcp") or None, None)
    height = float(block["height"] + block["feedhorn_height"])
    return PyartVolume(turns, block["vcp"], VolumeBlock(block["lat"], block["lon"], height, block["vcp"]))


def _status(head: dict[str, Any]) -> int:
    """The radial status, which Py-ART calls `radial_spacing` in message 31."""
    return int(head["radial_status"] if "radial_status" in head else head["radial_spacing"]) & _STATUS


def _sweep(radials: Sequence[Radial]) -> Sweep:
    heads = [radial["msg_header"] for radial in radials]
    message_1 = "radial_status" in heads[0]
    scale = _MESSAGE_1_DEG if message_1 else 1.0
    days = np.array([head["collect_date"] for head in heads], np.float64)
    milliseconds = np.array([head["collect_ms"] for head in heads], np.float64)
    nyquist = (heads[0] if message_1 else radials[0]["RAD"])["nyquist_vel"]
    return Sweep(
        number=int(heads[0]["elevation_number"]),
        azimuth_deg=np.array([head["azimuth_angle"] * scale for head in heads], np.float32),
        elevation_deg=np.array([head["elevation_angle"] * scale for head in heads], np.float32),
        time_s=(days - 1.0) * _SECONDS_PER_DAY + milliseconds / 1000.0,
        spacing_deg=0.5 if heads[0].get("azimuth_resolution") == 1 else 1.0,
        commanded_deg=None,
        nyquist_mps=nyquist / 100.0 if nyquist > 0 else None,
        moments={name: _moment(name, radials) for name in _MOMENTS if any(name in r for r in radials)},
    )


def _moment(name: str, radials: Sequence[Radial]) -> Moment:
    first = next(radial[name] for radial in radials if name in radial)
    blocks = [radial.get(name) for radial in radials]
    rows: list[NDArray[Any] | None] = [
        block["data"][:_MAX_GATES] if block and _coding(block) == _coding(first) else None for block in blocks
    ]
    gates = max(len(row) for row in rows if row is not None)
    codes = np.zeros((len(rows), gates), np.uint8 if first["data"].itemsize == 1 else np.uint16)
    for ray, row in enumerate(rows):
        if row is not None:
            codes[ray, : len(row)] = row
    start, spacing = _signed(first["first_gate"]), float(first["gate_spacing"])
    return Moment(name, codes, float(first["scale"]), float(first["offset"]), start, spacing)


def _coding(block: dict[str, Any]) -> tuple[Any, ...]:
    return (*(block[key] for key in ("first_gate", "gate_spacing", "scale", "offset")), block["data"].dtype)


def _signed(metres: int) -> float:
    """A range that Py-ART may read unsigned."""
    return float(metres - 65536 if metres >= 32768 else metres)
