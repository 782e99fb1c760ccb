"""An array whose fields are read from the archive and decoded when they are indexed, one message at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from dwd_assets.cube.parts import AnyGrid, Part, Slot, decoded
from dwd_assets.formats.grib.grid import LatLonGrid
from store.objects import Store

Places = Mapping[tuple[int, ...], tuple[Slot, Part]]
"""By the indices of all axes but those of the grid, what is kept."""


class FieldArray(BackendArray):
    """float32 of shape (*lead, rows, columns) or (*lead, cells); NaN where a value is missing or no file is kept.

    May be indexed by several threads, and pickled into other processes, each of which has a decoder of its own. A file
    that cannot be read, or has another field than expected, raises `FormatError` that names it.
    """

    def __init__(self, store: Store, grid: AnyGrid, places: Places, lead: tuple[int, ...]) -> None:
        self._store = store
        self._grid = grid
        self._places = places
        self._lead = lead
        self.shape = (*lead, *grid_shape(grid))
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401 - as xarray's own arrays
        """The values at an indexer of xarray."""
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._outer
        )

    def _outer(self, key: tuple[int | slice | NDArray[np.integer], ...]) -> NDArray[np.float32]:
        """The values at one index, slice or array of indices for each axis."""
        lead, inner = key[: len(self._lead)], key[len(self._lead) :]
        chosen = [np.arange(size)[part] for size, part in zip(self._lead, lead, strict=True)]
        indices = [np.atleast_1d(each) for each in chosen]
        empty = np.full(grid_shape(self._grid), np.nan, np.float32)
        fields = [
            _cut(self._field(place, empty), inner) for place in product(*(map(int, each) for each in indices))
        ]
        shape = tuple(each.size for each in chosen if each.ndim)
        if not fields:
            return np.empty((*shape, *_cut(empty, inner).shape), np.float32)
        return np.stack(fields).reshape(*shape, *fields[0].shape)

    def _field(self, place: tuple[int, ...], empty: NDArray[np.float32]) -> NDArray[np.float32]:
        found = self._places.get(place)
        if found is None:
            return empty
        slot, part = found
        return decoded(part, slot, self._grid, self._store).reshape(empty.shape)


def grid_shape(grid: AnyGrid) -> tuple[int, ...]:
    """Rows and columns, or the number of cells."""
    return (grid.rows, grid.columns) if isinstance(grid, LatLonGrid) else (grid.cells,)


def _cut(
    values: NDArray[np.float32], key: Sequence[int | slice | NDArray[np.integer]]
) -> NDArray[np.float32]:
    # From the last axis on: an index takes its axis away.
    for axis in reversed(range(len(key))):
        values = values[(slice(None),) * axis + (key[axis],)]
    return values
