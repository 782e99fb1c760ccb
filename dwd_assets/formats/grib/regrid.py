"""From ICON's triangles to a regular grid: each point takes the nearest cell.

What belongs here: which cell is nearest, and keeping the answer. What does not: GRIB
(`dwd_assets.formats.grib.worker`), and which grids there are (`dwd_assets.formats.target_grids`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dwd_assets.formats.grib.grid import LatLonGrid

EARTH_KM = 6371.229
"""The radius of ICON's sphere."""

REACH_CELLS = 1.5
"""How many cell sizes the nearest cell may be away; within the domain it is at most 0.9 (a triangle's corner)."""

_SAMPLES = 33
_NEIGHBOURS = 21
"""The size of cells is that of a circle round one of them which has so many others; of equilateral triangles it comes
out 0.6 % too large, and 21 has the least such error of the numbers below 30.
"""

_LAYOUT = 2
_DAMAGED = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CellCentres:
    """The middle of every cell: degrees, float64 of shape (cells,), and unit vectors, (cells, 3).

    reach_km: how far from its centre a cell is still the answer for a point.
    """

    lat_deg: Floats
    lon_deg: Floats
    units: Floats
    reach_km: float

    @staticmethod
    def of(clat_deg: ArrayLike, clon_deg: ArrayLike, cell_km: float | None = None) -> CellCentres:
        """From the values of CLAT and CLON. Raises `ValueError` where they are not positions of the same cells.

        cell_km: the side of a square as large as a cell, by default estimated from the positions.
        """
        lat, lon = (np.asarray(each, np.float64).ravel() for each in (clat_deg, clon_deg))
        if lat.size != lon.size or not lat.size:
            raise ValueError(f"{lat.size} latitudes and {lon.size} longitudes are not positions of cells")
        # Written so that NaN fails too.
        if not (bool((np.abs(lat) <= 90.0).all()) and bool((np.abs(lon) <= 360.0).all())):
            raise ValueError("latitudes or longitudes of cells are missing, or are no degrees")
        units = unit_vectors(lat, lon)
        return CellCentres(lat, lon, units, REACH_CELLS * (_cell_km(units) if cell_km is None else cell_km))

    def nearest(self, lat_deg: float, lon_deg: float) -> tuple[int, float]:
        """The nearest cell, in reach or not, and how far its centre is, in km."""
        cell = int(np.argmax(self.units @ unit_vectors(np.float64(lat_deg), np.float64(lon_deg))))
        return cell, distance_km(lat_deg, lon_deg, float(self.lat_deg[cell]), float(self.lon_deg[cell]))


def _cell_km(units: Floats) -> float:
    """The side of a square as large as a cell, the median over some; 0 of a single cell, which has no neighbours."""
    cells = len(units)
    near = min(_NEIGHBOURS, cells - 1)
    if not near:
        return 0.0
    samples = np.linspace(0, cells - 1, _SAMPLES).astype(int)
    # Of the cell itself one half is inside the circle, and of the furthest neighbour.
    areas = [np.pi * _neighbour_km(units, index, near) ** 2 / (near + 0.5) for index in samples]
    return float(np.sqrt(np.median(areas)))


def _neighbour_km(units: Floats, index: int, near: int) -> float:
    """How far the neighbour of a cell is that is the `near`-th in distance."""
    apart = 1.0 - units @ units[index]  # half the square of the chord
    apart[index] = np.inf
    reach = max(float(apart.min()), np.finfo(float).eps)
    while np.count_nonzero(apart <= reach) < near:
        reach *= 4.0
    found = np.sort(apart[apart <= reach])[near - 1]
    return EARTH_KM * float(np.sqrt(2.0 * max(found, 0.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Regridding:
    """An index of nearest cells, ready to take from fields of `cells` values to the points of `grid`.

    inside: which points of the grid have a cell, bool of shape (points,). taken: their cells, in the grid's order.
    """

    grid: LatLonGrid
    cells: int
    inside: NDArray[np.bool_]
    taken: NDArray[np.intp]

    @staticmethod
    def of(index: NDArray[np.int32], cells: int, grid: LatLonGrid) -> Regridding:
        """From what `nearest_cells` gives for so many cells. Raises `ValueError` where it is of another grid."""
        if index.shape != (grid.rows, grid.columns) or not -1 <= index.min() <= index.max() < cells:
            raise ValueError(f"an index of shape {index.shape} does not lead from {cells} cells to the grid")
        flat = index.ravel()
        inside = flat >= 0
        return Regridding(grid, cells, inside, flat[inside].astype(np.intp))

    def take(
        self, numbers: NDArray[np.uint16], present: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """The numbers of the grid's points that have one, and which points these are.

        `numbers`, and `present` where not every cell has a value, are of shape (cells,).
        """
        taken = numbers.take(self.taken)
        if present is None:
            return taken, self.inside
        there = present.take(self.taken)
        mask = self.inside.copy()
        mask[self.inside] = there
        return taken[there], mask


def unit_vectors(lat_deg: ArrayLike, lon_deg: ArrayLike) -> Floats:
    """Positions on the unit sphere, with a last axis of three."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def distance_km(lat_deg: float, lon_deg: float, other_lat_deg: float, other_lon_deg: float) -> float:
    """Along the great circle (haversine formula)."""
    lat, lon, other_lat, other_lon = np.radians([lat_deg, lon_deg, other_lat_deg, other_lon_deg])
    chord = np.sin((other_lat - lat) / 2) ** 2
    chord += np.cos(lat) * np.cos(other_lat) * np.sin((other_lon - lon) / 2) ** 2
    return float(2 * EARTH_KM * np.arcsin(np.sqrt(chord)))


def axes_deg(grid: LatLonGrid) -> tuple[Floats, Floats]:
    """Latitudes of the rows and longitudes of the columns of a grid; the first longitude is below 180."""
    first_lon = grid.first_lon - (360_000_000 if grid.first_lon >= 180_000_000 else 0)
    lat = (grid.first_lat + grid.lat_step * np.arange(grid.rows)) / 1e6
    lon = (first_lon + grid.lon_step * np.arange(grid.columns)) / 1e6
    return lat, lon


def nearest_cells(clat_deg: ArrayLike, clon_deg: ArrayLike, grid: LatLonGrid) -> NDArray[np.int32]:
    """The cell nearest to each point of a grid, int32 of shape (rows, columns); -1 where none is in reach.

    `clat_deg` and `clon_deg` are the values of CLAT and CLON, each of shape (cells,). Raises `ValueError` where
    they are not positions.
    """
    # Half a second to import, which only a grid that was never seen should cost.
    from scipy.spatial import cKDTree  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415

    cells = CellCentres.of(clat_deg, clon_deg)
    # An unbalanced tree is built in half the time, and asked as fast.
    tree = cKDTree(cells.units, compact_nodes=False, balanced_tree=False)
    lat, lon = np.meshgrid(*axes_deg(grid), indexing="ij")
    reach = 2 * np.sin(cells.reach_km / EARTH_KM / 2)
    _, found = tree.query(unit_vectors(lat, lon), distance_upper_bound=reach)
    return np.where(found == tree.n, -1, found).astype(np.int32)


def kept_nearest_cells(
    clat_deg: ArrayLike, clon_deg: ArrayLike, grid: LatLonGrid, folder: Path
) -> NDArray[np.int32]:
    """`nearest_cells`, computed once: kept in a file of `folder` that is named by the grid, CLAT and CLON.

    The folder is made if need be; its files are safe to delete, and a damaged one is computed again.
    """
    file = folder / f"nearest-cells-{_digest(clat_deg, clon_deg, grid)}.npz"
    with suppress(*_DAMAGED), np.load(file, allow_pickle=False) as kept:
        index = kept["index"]
        if index.shape == (grid.rows, grid.columns) and index.dtype == np.int32:
            return np.asarray(index, np.int32)
    index = nearest_cells(clat_deg, clon_deg, grid)
    _keep(file, index)
    return index


def _digest(clat_deg: ArrayLike, clon_deg: ArrayLike, grid: LatLonGrid) -> str:
    digest = hashlib.sha256(f"{_LAYOUT} {grid} {REACH_CELLS}".encode())
    for each in (clat_deg, clon_deg):
        digest.update(np.ascontiguousarray(each, np.float64).tobytes())
    return digest.hexdigest()[:32]


def _keep(file: Path, index: NDArray[np.int32]) -> None:
    """Write under another name and rename, so that no one reads half an index; zip files have a checksum."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".unfinished-", suffix=".npz", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as unfinished:
            np.savez(unfinished, index=index)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
