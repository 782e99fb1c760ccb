"""The numbers in simulated fields: a function of seed, field and revision, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from dwd_assets.formats.fields import QUALIFIED, FieldKey
from dwd_assets.formats.levels import v1_level
from dwd_assets.simulator.catalogue import ACCUMULATION, POSITIONS, QUANTITIES, Catalogue, Quantity, Surface
from dwd_assets.simulator.chance import chance
from dwd_assets.simulator.gribs import NEW_GRID, OLD_GRID, Field, NativeGrid, Packing, message

_TOP = 1 << 16

_FULL_MINUTES = 48 * 60
"""After how long an accumulated field fills the range of its quantity."""

_CONSTANTS_RUN = datetime(2021, 2, 10, tzinfo=UTC)
"""What constants tell as their time where that is not the run's."""

_SOUTH, _NORTH, _WEST, _EAST = 43.18, 58.08, -3.94, 20.34


@dataclass(frozen=True, slots=True)
class FieldWriter:
    """Writes any field of a catalogue; runs from `new_grid_from` on are on another grid of triangles."""

    seed: int
    catalogue: Catalogue
    new_grid_from: datetime | None = None

    def grib(self, key: FieldKey, packing: Packing, revision: int) -> bytes:
        """The field as a GRIB message; another revision has other values, except of a position."""
        quantity = QUANTITIES[key.parameter]
        is_constant = key.level_type == "time-invariant"
        dated = key if self.catalogue.dated_constants or not is_constant else _undated(key)
        mask = self._mask() if key.grid == "regular" else None
        codes = self._codes(_undated(key) if is_constant else key, key.run, revision)
        surface, grid = _surface(key, quantity), self.grid_of(key.run)
        return message(Field(quantity, surface, dated.run, key.step_minutes, codes, mask, packing, grid))

    def grid_of(self, run: datetime) -> NativeGrid:
        """The grid of triangles that a run is on."""
        is_new = self.new_grid_from is not None and run >= self.new_grid_from
        return NEW_GRID if is_new else OLD_GRID

    def _codes(self, key: FieldKey, run: datetime, revision: int) -> NDArray[np.uint16]:
        """Even slopes up and down, from 0 to 65535; shape (rows, columns) or (cells,)."""
        rows, columns = np.mgrid[: self.catalogue.rows, : self.catalogue.columns]
        if key.parameter in POSITIONS:
            return self._positions(key.parameter, run, rows, columns)
        is_sum = QUANTITIES[key.parameter].process == ACCUMULATION
        # Of the place and time alone, so that both grids and both trees tell the same weather.
        qualifiers = [key.qualifiers] if key.qualifiers else []
        drawn = chance(self.seed, key.parameter, key.level, *qualifiers, key.run, revision)
        north, east, offset = (drawn >> shift & 0xFFFF for shift in (0, 16, 32))
        phase = offset + (0 if is_sum else key.step_minutes * 97)
        slope = rows * (north % 4096 + 512) + columns * (east % 4096 + 512) + phase
        wave = np.abs(slope % (2 * _TOP - 2) - (_TOP - 1))
        if is_sum:
            wave = wave * min(key.step_minutes, _FULL_MINUTES) // _FULL_MINUTES
        codes: NDArray[np.uint16] = wave.astype(np.uint16)
        return codes if key.grid == "regular" else self._on_cells(codes, run)

    def _on_cells(self, codes: NDArray[np.uint16], run: datetime) -> NDArray[np.uint16]:
        """The codes of the cells of a run's grid: those of the new grid are the same in the opposite order."""
        flat = codes.ravel()
        return flat if self.grid_of(run) == OLD_GRID else flat[::-1]

    def _positions(
        self, parameter: str, run: datetime, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.uint16]:
        """Degrees of each cell, of which there is one at every point of the regular grid, as codes."""
        latitude = _SOUTH + (_NORTH - _SOUTH) * rows.ravel() / (self.catalogue.rows - 1)
        longitude = _WEST + (_EAST - _WEST) * columns.ravel() / (self.catalogue.columns - 1)
        quantity = QUANTITIES[parameter]
        degrees = latitude if parameter == "clat" else longitude
        codes = np.rint((degrees - quantity.lowest) / 2.0**quantity.exponent).astype(np.uint16)
        return self._on_cells(codes, run)

    def _mask(self) -> NDArray[np.bool_]:
        """True but for two corners, a sixth of the grid: what a turned model domain leaves free."""
        rows, columns = np.mgrid[: self.catalogue.rows, : self.catalogue.columns]
        diagonal = (rows / (self.catalogue.rows - 1)) + (columns / (self.catalogue.columns - 1))
        inside: NDArray[np.bool_] = (diagonal >= 0.41) & (diagonal <= 1.59)
        return inside


_OWN_SURFACE = {"single", "time-invariant", *QUALIFIED}


def _undated(key: FieldKey) -> FieldKey:
    return replace(key, run=_CONSTANTS_RUN)


def _surface(key: FieldKey, quantity: Quantity) -> Surface:
    """The surface of a field: its level's, in the unit of code table 4.5, or the quantity's own."""
    level = None if key.level_type in _OWN_SURFACE else v1_level(key)
    if level is None:
        return quantity.surface
    surface, value = level
    whole, _, decimals = value.partition(".")
    return surface, len(decimals), int(whole + decimals)
