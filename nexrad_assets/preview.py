"""A small copy of a stored image for Dagster's UI: a palette PNG of some kilobytes in a data URI."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.image import png

SIZE = 160
"""Pixels a side: 2 to 8 KB."""


def preview(image: bytes, size: int = SIZE) -> bytes:
    """A copy of one of our own palette PNGs, at most `size` pixels a side, of the same indices and palette.

    Every n-th pixel stands for its neighbours: indices are not to be averaged. Raises `ValueError` where
    the image is not an 8-bit palette PNG, all rows with filter None or all with Up.
    """
    rows, palette = _read(image)
    step = -(-(rows.shape[1] - 1) // size)
    plane = _unfiltered(rows[:, 0], rows[:, 1::step])[::step]
    small = np.zeros((plane.shape[0], plane.shape[1] + 1), np.uint8)
    small[:, 1:] = plane
    return png.encode(small, palette)


def as_markdown(image: bytes, words: str) -> str:
    """Markdown that shows a PNG inline, with `words` for who cannot see it."""
    return f"![{words}](data:image/png;base64,{base64.b64encode(image).decode('ascii')})"


def _read(image: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The rows, uint8 (height, width + 1) with filter types in column 0, and the palette, uint8 (256, 4)."""
    chunks: dict[bytes, bytes] = {}
    for kind, body in _chunks(image):
        chunks[kind] = chunks.get(kind, b"") + body
    try:
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
        rgb = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    except (KeyError, struct.error, zlib.error, ValueError) as fault:
        raise ValueError(f"not a whole palette PNG: {fault}") from fault
    if (depth, colour, interlace) != (8, 3, 0):
        raise ValueError("not an 8-bit palette PNG")
    palette = np.full((256, 4), 255, np.uint8)
    palette[: len(rgb), :3] = rgb
    alphas = np.frombuffer(chunks.get(b"tRNS", b""), np.uint8)
    palette[: len(alphas), 3] = alphas
    return rows, palette


def _unfiltered(filters: NDArray[np.uint8], columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The indices of some columns of a picture, by the filter types of its rows."""
    if (filters == png.NONE).all():
        return columns
    if (filters == png.UP).all():
        return np.add.accumulate(columns, axis=0, dtype=np.uint8)
    raise ValueError("not a palette PNG of one filter, None or Up")


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not image.startswith(png.SIGNATURE):
        raise ValueError("not a PNG")
    place = len(png.SIGNATURE)
    while place + 8 <= len(image):
        length, kind = struct.unpack_from(">I4s", image, place)
        yield kind, image[place + 8 : place + 8 + length]
        place += length + 12
