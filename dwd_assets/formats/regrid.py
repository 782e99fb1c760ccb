"""ICON-D2 from its triangles to the regular grid of 0.02 degrees: each point takes the nearest cell.

What belongs here: which cell is nearest, and keeping the answer. What does not: GRIB (`dwd_assets.formats.gribwork`).
The grid is that of the server's files `icon-d2_germany_regular-lat-lon_*`.
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

from dwd_assets.formats.grib_grid import LatLonGrid

GRID = LatLonGrid(1215, 746, 43_180_000, 356_060_000, 20_000, 20_000)
"""43.18 to 58.08 N, 356.06 to 20.34 E."""

EARTH_KM = 6371.229
"""The radius of ICON's sphere."""

CELL_KM = 2.08
"""The side of a square as large as a cell of ICON-D2 (R19B07)."""

REACH_CELLS = 1.5
"""How many cell sizes the nearest cell may be away; within the domain it is at most 0.9 (a triangle's corner)."""

_LAYOUT = 1
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
    def of(clat_deg: ArrayLike, clon_deg: ArrayLike, cell_km: float = CELL_KM) -> CellCentres:
        """From the values of CLAT and CLON. Raises `ValueError` where they are not positions of the same cells."""
        lat, lon = (np.asarray(each, np.float64).ravel() for each in (clat_deg, clon_deg))
        if lat.size != lon.size or not lat.size:
            raise ValueError(f"{lat.size} latitudes and {lon.size} longitudes are not positions of cells")
        # Written so that NaN fails too.
        if not (bool((np.abs(lat) <= 90.0).all()) and bool((np.abs(lon) <= 360.0).all())):
            raise ValueError("latitudes or longitudes of cells are missing, or are no degrees")
        return CellCentres(lat, lon, unit_vectors(lat, lon), REACH_CELLS * cell_km)

    def nearest(self, lat_deg: float, lon_deg: float) -> tuple[int, float]:
        """The nearest cell, in reach or not, and how far its centre is, in km."""
        cell = int(np.argmax(self.units @ unit_vectors(np.float64(lat_deg), np.float64(lon_deg))))
        return cell, distance_km(lat_deg, lon_deg, float(self.lat_deg[cell]), float(self.lon_deg[cell]))


@dataclass(frozen=True, slots=True, eq=False)
class Regridding:
    """An index of nearest cells, ready to take from fields of `cells` values.

    inside: which points of the grid have a cell, bool of shape (points,). taken: their cells, in the grid's order.
    """

    cells: int
    inside: NDArray[np.bool_]
    taken: NDArray[np.intp]

    @staticmethod
    def of(index: NDArray[np.int32], cells: int) -> Regridding:
        """From what `nearest_cells` gives for so many cells. Raises `ValueError` where it is of another grid."""
        if index.shape != (GRID.rows, GRID.columns) or not -1 <= index.min() <= index.max() < cells:
            raise ValueError(f"an index of shape {index.shape} does not lead from {cells} cells to the grid")
        flat = index.ravel()
        inside = flat >= 0
        return Regridding(cells, inside, flat[inside].astype(np.intp))

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


def grid_axes_deg() -> tuple[Floats, Floats]:
    """Latitudes (746,) from south to north and longitudes (1215,) from west to east, 356.06 to 380.34."""
    lat = (GRID.first_lat + GRID.lat_step * np.arange(GRID.rows)) / 1e6
    lon = (GRID.first_lon + GRID.lon_step * np.arange(GRID.columns)) / 1e6
    return lat, lon


def nearest_cells(clat_deg: ArrayLike, clon_deg: ArrayLike) -> NDArray[np.int32]:
    """The cell nearest to each point of the grid, int32 of shape (746, 1215); -1 where none is in reach.

    `clat_deg` and `clon_deg` are the values of CLAT and CLON, each of shape (cells,). Raises `ValueError` where
    they are not positions.
    """
    # Half a second to import, which only a grid that was never seen should cost.
    from scipy.spatial import cKDTree  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415

    cells = CellCentres.of(clat_deg, clon_deg)
    # An unbalanced tree is built in half the time, and asked as fast.
    tree = cKDTree(cells.units, compact_nodes=False, balanced_tree=False)
    lat, lon = np.meshgrid(*grid_axes_deg(), indexing="ij")
    reach = 2 * np.sin(cells.reach_km / EARTH_KM / 2)
    _, found = tree.query(unit_vectors(lat, lon), distance_upper_bound=reach)
    return np.where(found == tree.n, -1, found).astype(np.int32)


def kept_nearest_cells(clat_deg: ArrayLike, clon_deg: ArrayLike, folder: Path) -> NDArray[np.int32]:
    """`nearest_cells`, computed once: kept in a file of `folder` that is named by what CLAT and CLON have in them.

    The folder is made if need be; its files are safe to delete, and a damaged one is computed again.
    """
    file = folder / f"nearest-cells-{_digest(clat_deg, clon_deg)}.npz"
    with suppress(*_DAMAGED), np.load(file, allow_pickle=False) as kept:
        index = kept["index"]
        if index.shape == (GRID.rows, GRID.columns) and index.dtype == np.int32:
            return np.asarray(index, np.int32)
    index = nearest_cells(clat_deg, clon_deg)
    _keep(file, index)
    return index


def _digest(clat_deg: ArrayLike, clon_deg: ArrayLike) -> str:
    digest = hashlib.sha256(f"{_LAYOUT} {GRID} {CELL_KM} {REACH_CELLS}".encode())
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
