"""The geometry of a canvas, computed once and kept: azimuth and ground range of every pixel.

Kept are the canvas's box and its eastern half: a canvas is symmetric about the antenna's meridian. Both quantities are
16-bit bins, finer than a gate: 0.0055 degrees, and 1/65535 of the canvas's range.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.image.mercator import NODE_SPACING_PX, Box, Canvas, Floats, box, plane_nodes

AZIMUTH_BINS = 65_536
RANGE_BINS = 65_535
BLOCK_ROWS = 16
BLOCK_COLUMNS = 64
"""Pixels of a block, the unit that is drawn or left empty."""

LEFT_BEHIND_S = 3600.0

LAYOUT = 4
"""Goes into the file name, so that another layout never reads these files."""

OPEN_CANVASES = 16
"""Memory maps held open at once: the canvases of a few sites."""


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Pixels of the eastern half, uint16 of shape (size, size / 2), column 0 next to the antenna.

    `azimuth` is a bin of `360 / AZIMUTH_BINS` degrees clockwise from north (a pixel of the western half
    has the bin `AZIMUTH_BINS - 1 - azimuth`), `ground` a bin of `range / RANGE_BINS`, or RANGE_BINS beyond the
    canvas's range. `blocks`, uint16 (4, rows of blocks, columns of blocks), has the lowest and highest azimuth
    and the lowest and highest ground bin of each block of pixels; of one wholly out of range the lowest is above
    the highest.
    """

    canvas: Canvas
    box: Box
    azimuth: NDArray[np.uint16]
    ground: NDArray[np.uint16]
    blocks: NDArray[np.uint16]


def azimuth_centres_deg() -> Floats:
    """The azimuth in the middle of each bin."""
    return (np.arange(AZIMUTH_BINS) + 0.5) * (360.0 / AZIMUTH_BINS)


def ground_centres_m(canvas: Canvas) -> Floats:
    """The ground range in the middle of each bin."""
    return (np.arange(RANGE_BINS) + 0.5) * (canvas.range_km * 1000.0 / RANGE_BINS)


def compute(canvas: Canvas) -> Geometry:
    """Solve the geometry of a canvas. Raises `ValueError` for an odd size, which has no two halves."""
    size, half = canvas.size, canvas.size // 2
    if size % 2:
        raise ValueError(f"an image must have an even number of pixels a side, not {size}")
    azimuth = np.zeros((size, half), np.uint16)
    ground = np.full((size, half), RANGE_BINS, np.uint16)
    by_column = _interpolated(plane_nodes(canvas), half, axis=2)
    for top in range(0, size, NODE_SPACING_PX):
        strip = slice(top, min(top + NODE_SPACING_PX, size))
        node = top // NODE_SPACING_PX
        rows = strip.stop - top
        east, north = _interpolated(by_column[:, node : node + 2], rows, axis=1)
        length = np.hypot(east, north)
        inside = length < canvas.range_km * 1000.0
        bins = np.arctan2(east, north) * (AZIMUTH_BINS / (2.0 * np.pi))
        azimuth[strip] = np.where(inside, np.minimum(bins, AZIMUTH_BINS - 1), 0)
        ground[strip] = np.where(inside, length * (RANGE_BINS / (canvas.range_km * 1000.0)), RANGE_BINS)
    return Geometry(canvas, box(canvas), azimuth, ground, _blocks(azimuth, ground))


def _blocks(azimuth: NDArray[np.uint16], ground: NDArray[np.uint16]) -> NDArray[np.uint16]:
    inside = ground < RANGE_BINS
    top = np.uint16(RANGE_BINS)
    bounds = (
        (np.where(inside, azimuth, top), np.minimum),
        (np.where(inside, azimuth, 0), np.maximum),
        (ground, np.minimum),
        (np.where(inside, ground, 0), np.maximum),
    )
    rows = np.arange(0, azimuth.shape[0], BLOCK_ROWS)
    columns = np.arange(0, azimuth.shape[1], BLOCK_COLUMNS)
    return np.stack([pick.reduceat(pick.reduceat(bins, rows, 0), columns, 1) for bins, pick in bounds])


def _interpolated(nodes: Floats, pixels: int, axis: int) -> Floats:
    """Values at the centres of `pixels` pixels along an axis of nodes, linear between them."""
    place = (np.arange(pixels) + 0.5) / NODE_SPACING_PX
    before = place.astype(np.intp)
    shape = [1] * nodes.ndim
    shape[axis] = pixels
    weight = (place - before).reshape(shape)
    return nodes.take(before, axis) * (1.0 - weight) + nodes.take(before + 1, axis) * weight


@dataclass(eq=False)
class GeometryCache:
    """Geometries in files of a folder, memory-mapped; the least recently used go when it grows too large.

    Every file can be deleted at any time. Without a folder, geometries are kept in memory only.
    """

    folder: Path | None = None
    max_bytes: int = 2_000_000_000
    _open: OrderedDict[Canvas, Geometry] = field(default_factory=OrderedDict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def get(self, canvas: Canvas) -> Geometry:
        """The geometry of a canvas, from memory, from its file, or computed. Thread-safe."""
        with self._lock:
            geometry = self._open.pop(canvas, None) or self._load(canvas)
            self._open[canvas] = geometry
            while len(self._open) > OPEN_CANVASES:
                self._open.popitem(last=False)
            return geometry

    def _load(self, canvas: Canvas) -> Geometry:
        if self.folder is None:
            return compute(canvas)
        path = self.folder / f"{_name(canvas)}.geometry"
        stored = _map(path, canvas)
        if stored is not None:
            return stored
        geometry = compute(canvas)
        with suppress(OSError):  # a full or read-only disk costs time, not pictures
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, geometry)
            self._evict(keep=path)
        return geometry

    def _evict(self, keep: Path) -> None:
        files = sorted(
            ((path.stat(), path) for path in keep.parent.glob("*.geometry")),
            key=lambda file: file[0].st_mtime,
        )
        for left in keep.parent.glob(".*.part"):  # of a writer that was killed
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_S:
                left.unlink(missing_ok=True)
        excess = sum(stat.st_size for stat, _ in files) - self.max_bytes
        for stat, path in files:
            if excess <= 0:
                return
            if path != keep:
                path.unlink(missing_ok=True)
                excess -= stat.st_size


def _name(canvas: Canvas) -> str:
    exact = f"{LAYOUT} {canvas.latitude_deg!r} {canvas.longitude_deg!r} {canvas.range_km} {canvas.size}"
    return f"{canvas.range_km}km_{canvas.size}px_{hashlib.sha256(exact.encode()).hexdigest()[:16]}"


def _shapes(size: int) -> tuple[tuple[int, ...], ...]:
    """The arrays of a file, in order, as uint16: the box's three edges, azimuth, ground, blocks."""
    plane = (size, size // 2)
    return (12,), plane, plane, (4, -(-size // BLOCK_ROWS), -(-(size // 2) // BLOCK_COLUMNS))


def _map(path: Path, canvas: Canvas) -> Geometry | None:
    shapes = _shapes(canvas.size)
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    try:
        if path.stat().st_size != 2 * ends[-1]:
            return None
        flat = np.memmap(path, np.uint16, mode="r")
        os.utime(path)  # the time of the last use is what eviction goes by
    except OSError:
        return None
    parts = np.split(flat, ends[:-1])
    edges, azimuth, ground, blocks = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    return Geometry(canvas, Box(*edges.view(np.float64).tolist()), azimuth, ground, np.array(blocks))


def _write(path: Path, geometry: Geometry) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            edges = np.array([geometry.box.west, geometry.box.south, geometry.box.side])
            for part in (edges.view(np.uint16), geometry.azimuth, geometry.ground, geometry.blocks):
                part.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
