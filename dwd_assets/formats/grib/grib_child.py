"""The process that decodes GRIB: run as a program, it imports eccodes and nothing of this project.

eccodes carries a PROJ of its own, and crashes in a process that has pyproj or rasterio as well. What belongs here:
the messages between the two processes, and what eccodes is asked. `dwd_assets.formats.grib.process` is the other end.

A request is `REQUEST` and a GRIB message of one field; an answer is `ANSWER`, a text (UTF-8) and an array of native
byte order. The first answer comes unasked: eccodes' version, or why it cannot be imported.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

REQUEST = struct.Struct(">BQddd")
"""What is wanted, length of the message, and of `NUMBERS`: reference, factor before and factor after it."""

ANSWER = struct.Struct(">BIQ")
"""`DONE` or `FAULT`, length of the text, length of the array."""

VALUES, NUMBERS, COUNT, NAMES = 0, 1, 2, 3
"""Wanted: float32 values, with the text `short name <tab> units`; or uint16 `(value * before - reference) * after`;
or, decoded all the same, how many values there are, as the text; or, without decoding a value, what eccodes calls
the field: its short name, name, units and CF standard name, with tabs between them.

Of the points that the bitmap says have a value, in their order, NaN where complex packing has a missing value of its
own (`VALUES` alone; `NUMBERS` is not for such packing): to spread them over a grid costs eccodes 5 ms, and numpy a
tenth.
"""

DONE, FAULT = 0, 1

_CODED = "codedValues"
_OWN_MISSING = "missingValueManagementUsed"
"""Octet 23 of data representation templates 5.2 and 5.3, code table 5.5: 1 and 2 are one and two missing values."""

_NO_VALUE = 1e300
"""What eccodes gives for a missing value, for which its default, 9999, may also be a value."""


def serve(channel: socket.socket) -> None:
    """Answer requests until the other end closes."""
    try:
        import eccodes  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    except (ImportError, OSError, RuntimeError) as fault:
        _answer(channel, FAULT, f"{type(fault).__name__}: {fault}", b"")
        return
    faults = (eccodes.CodesInternalError, ValueError, MemoryError)
    _answer(channel, DONE, eccodes.codes_get_api_version(), b"")
    while head := _received(channel, REQUEST.size):
        wanted, length, *scale = REQUEST.unpack(head)
        message = _received(channel, length)
        try:
            text, array = _answered(eccodes, wanted, message, *scale)
        except faults as fault:
            _answer(channel, FAULT, f"{type(fault).__name__}: {fault}", b"")
        else:
            _answer(channel, DONE, text, array.data.cast("B"))


def _answered(
    eccodes: ModuleType, wanted: int, message: bytearray, reference: float, before: float, after: float
) -> tuple[str, NDArray[np.float32] | NDArray[np.uint16]]:
    if wanted == NAMES:
        return _names(eccodes, message), np.empty(0, np.float32)
    if wanted == NUMBERS:
        return _numbers(eccodes, message, reference, before, after)
    text, values = _values(eccodes, message)
    return (text, values) if wanted == VALUES else (str(values.size), values[:0])


def _names(eccodes: ModuleType, message: bytearray) -> str:
    handle = eccodes.codes_new_from_message(bytes(message))
    try:
        return "\t".join(
            eccodes.codes_get(handle, key, str) for key in ("shortName", "name", "units", "cfName")
        )
    finally:
        eccodes.codes_release(handle)


def _values(eccodes: ModuleType, message: bytearray) -> tuple[str, NDArray[np.float32]]:
    handle = eccodes.codes_new_from_message(bytes(message))
    try:
        text = "\t".join(eccodes.codes_get(handle, key, str) for key in ("shortName", "units"))
        return text, _decoded(eccodes, handle).astype(np.float32)
    finally:
        eccodes.codes_release(handle)


def _decoded(eccodes: ModuleType, handle: int) -> NDArray[np.float64]:
    """The coded values, NaN where the packing itself says that one is missing."""
    is_own = eccodes.codes_is_defined(handle, _OWN_MISSING) and eccodes.codes_get(handle, _OWN_MISSING, int)
    if is_own:
        eccodes.codes_set(handle, "missingValue", _NO_VALUE)
    values: NDArray[np.float64] = eccodes.codes_get_double_array(handle, _CODED)
    if is_own:
        values[values == _NO_VALUE] = np.nan
    return values


def _numbers(
    eccodes: ModuleType, message: bytearray, reference: float, before: float, after: float
) -> tuple[str, NDArray[np.uint16]]:
    handle = eccodes.codes_new_from_message(bytes(message))
    try:
        scaled = eccodes.codes_get_double_array(handle, _CODED)
    finally:
        eccodes.codes_release(handle)
    if before != 1.0:
        scaled *= before
    scaled -= reference
    scaled *= after
    return "", np.rint(scaled, out=scaled).astype(np.uint16)


def _received(channel: socket.socket, length: int) -> bytearray:
    """So many bytes, or none where the other end closed."""
    data = bytearray(length)
    view, got = memoryview(data), 0
    while got < length:
        more = channel.recv_into(view[got:])
        if not more:
            return bytearray()
        got += more
    return data


def _answer(channel: socket.socket, status: int, text: str, array: bytes | memoryview) -> None:
    coded = text.encode()
    channel.sendall(ANSWER.pack(status, len(coded), len(array)) + coded)
    channel.sendall(array)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal interrupts all; the parent closes when it ends
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        serve(parent)
