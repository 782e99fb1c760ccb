"""Fields of one run as an xarray Dataset: axes, coordinates, and attributes after the CF conventions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.core import indexing

from dwd_assets.archive.positions import Positions, find_positions
from dwd_assets.cube.arrays import FieldArray, grid_shape
from dwd_assets.cube.choice import Field
from dwd_assets.cube.parts import AnyGrid, Contents, Slot, contents, worker
from dwd_assets.formats.checks import parse_run
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import LevelType
from dwd_assets.formats.grib.grid import LatLonGrid
from dwd_assets.formats.grib.regrid import axes_deg
from dwd_assets.formats.levels import v1_level
from store.dwd.ledger import Ledger
from store.objects import Store

Centres = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Latitudes and longitudes in degrees, each of shape (cells,)."""

_CENTRES: dict[tuple[str, str], Centres] = {}
"""By the contents of CLAT and CLON; the last ones that were read."""

_MOST_CENTRES = 4

LICENCE = "Deutscher Wetterdienst, CC BY 4.0"

_UNKNOWN = "unknown"
_METHODS = {0: "mean", 1: "sum", 2: "maximum", 3: "minimum"}
"""Code table 4.10 in the words of the CF conventions, appendix E."""

_LEVELS: dict[LevelType, dict[str, str]] = {
    "pressure": {"standard_name": "air_pressure", "units": "hPa", "positive": "down"},
    "height": {"standard_name": "height", "long_name": "height above ground", "units": "m", "positive": "up"},
    "model": {"standard_name": "model_level_number", "units": "1", "positive": "down"},
    "soil": {
        "long_name": "number of the soil level as the archive names it",
        "units": "1",
        "positive": "down",
    },
    "reflectivity": {"long_name": "threshold of reflectivity", "units": "dBZ"},
    "time-invariant": {"long_name": "half level of the model", "units": "1", "positive": "down"},
}


@dataclass(frozen=True, slots=True)
class Axes:
    """Steps in minutes, levels and members that a cube has; no levels or members if no field has several."""

    steps: tuple[int, ...]
    levels: tuple[int, ...]
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A field, what its files have, and the places of those that are missing."""

    field: Field
    contents: Contents
    missing: frozenset[Slot]

    @property
    def slots(self) -> frozenset[Slot]:
        """What is kept or missing."""
        return self.missing.union(self.contents.parts)


def build(
    store: Store, known: Ledger, fields: Sequence[Field], members: tuple[int, ...] | None, now: datetime
) -> xr.Dataset:
    """A Dataset whose values are decoded when they are asked for, of fields that are on the same grid.

    Decoded at once are CLAT and CLON, once in a process. Raises `FormatError` that names the file, `ValueError` if
    fields do not fit into one Dataset; `StoreError`, `DecoderError`.
    """
    variables = [_variable(field, store, members) for field in fields]
    grid = _same_grid(variables)
    axes = Axes(
        tuple(
            sorted(
                {slot.step_minutes for each in variables if not each.field.is_constant for slot in each.slots}
            )
        ),
        _numbers(slot.level for each in variables for slot in each.slots),
        _numbers(slot.member for each in variables for slot in each.slots),
    )
    data = {each.field.parameter: _data(each, axes, store) for each in variables}
    coords = {
        **_times(known, axes),
        **_levels(variables, axes),
        **_members(axes),
        **_places(store, known, grid),
    }
    return xr.Dataset(data, coords, _attributes(known, variables, grid, now))


def _variable(field: Field, store: Store, members: tuple[int, ...] | None) -> Variable:
    found = contents(field, store)
    if members is not None and not field.is_constant:
        parts = {slot: part for slot, part in found.parts.items() if slot.member in members}
        if {slot.member for slot in parts} < set(members):
            there = ", ".join(map(str, _numbers(slot.member for slot in found.parts))) or "none"
            raise ValueError(
                f"{field.parameter}: not all members {list(members)} are kept; there are {there}"
            )
        found = Contents(parts, found.grid, found.names, found.message)
    missing = frozenset(Slot(key.step_minutes, key.level, key.member) for key in field.missing)
    return Variable(field, found, missing)


def _same_grid(variables: Sequence[Variable]) -> AnyGrid:
    first = variables[0]
    for other in variables[1:]:
        if other.contents.grid != first.contents.grid:
            raise ValueError(
                f"{other.field.parameter} is on another grid than {first.field.parameter}, open them apart:"
                f" {other.contents.grid}, and {first.contents.grid}"
            )
    return first.contents.grid


def _numbers(there: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(sorted({each for each in there if each is not None}))


def _data(variable: Variable, axes: Axes, store: Store) -> xr.Variable:
    """A field over its own axes of those that the cube has."""
    slots, grid = variable.slots, variable.contents.grid
    lead: dict[str, tuple[int, ...]] = {}
    if not variable.field.is_constant:
        lead["step"] = axes.steps
    if any(slot.level is not None for slot in slots):
        lead["level"] = axes.levels
    if any(slot.member is not None for slot in slots):
        lead["number"] = axes.members
    places = {
        tuple(axis.index(_along(slot, name)) for name, axis in lead.items()): (slot, part)
        for slot, part in variable.contents.parts.items()
    }
    sizes = tuple(map(len, lead.values()))
    array = indexing.LazilyIndexedArray(FieldArray(store, grid, places, sizes))
    dims = (*lead, *(("latitude", "longitude") if isinstance(grid, LatLonGrid) else ("cell",)))
    chunks = dict(zip(dims, (*(1 for _ in lead), *grid_shape(grid)), strict=True))
    return xr.Variable(dims, array, _field_attributes(variable, axes), {"preferred_chunks": chunks})


def _along(slot: Slot, axis: str) -> int:
    value = {"step": slot.step_minutes, "level": slot.level, "number": slot.member}[axis]
    if value is None:
        raise ValueError(f"files with and without a {axis} cannot be in one cube")
    return value


def _field_attributes(variable: Variable, axes: Axes) -> dict[str, str | int]:
    names, message = variable.contents.names, variable.contents.message
    standard = names.standard_name.removeprefix(_UNKNOWN)
    attributes: dict[str, str | int] = {
        "long_name": names.name,
        "units": names.units,
        "standard_name": standard,
    }
    attributes = {key: text for key, text in attributes.items() if text not in {_UNKNOWN, ""}}
    attributes |= {"long_name": attributes.get("long_name", variable.field.parameter)}
    attributes |= _cell_methods(variable)
    attributes |= {
        "GRIB_shortName": names.short_name,
        "GRIB_discipline": message.discipline,
        "GRIB_parameterCategory": message.product.category,
        "GRIB_parameterNumber": message.product.number,
        "level_type": variable.field.level_type,
        "missing_steps": _spelled(slot.step_minutes for slot in variable.missing),
        "missing_files": "\n".join(sorted(variable.field.missing.values())),
    }
    if not variable.field.is_constant:
        own = {slot.step_minutes for slot in variable.slots}
        attributes["absent_steps"] = _spelled(step for step in axes.steps if step not in own)
    return attributes


def _cell_methods(variable: Variable) -> dict[str, str]:
    """How values sum up the time before their steps, as the last step's message says."""
    product = variable.contents.message.product
    method = _METHODS.get(-1 if product.process is None else product.process)
    if method is None:
        return {}
    if product.forecast_minutes == 0:
        return {"cell_methods": f"step: {method} (comment: since the start of the run)"}
    return {"cell_methods": f"step: {method} (interval: {product.range_minutes} minutes)"}


def _spelled(steps: Iterable[int]) -> str:
    """Steps as the server spells them, with blanks between them; empty if there are none."""
    return " ".join(f"PT{step // 60:03d}H{step % 60:02d}M" for step in sorted(set(steps)))


def _times(known: Ledger, axes: Axes) -> dict[str, xr.Variable]:
    run = np.datetime64(_run(known).replace(tzinfo=None), "ns")
    coords = {
        "time": xr.Variable(
            (), run, {"standard_name": "forecast_reference_time", "long_name": "start of the run"}
        )
    }
    if axes.steps:
        steps = np.array(axes.steps, "timedelta64[m]").astype("timedelta64[ns]")
        names = {"standard_name": "forecast_period", "long_name": "time since the start of the run"}
        coords["step"] = xr.Variable("step", steps, names)
        coords["valid_time"] = xr.Variable(
            "step", run + steps, {"standard_name": "time", "long_name": "time"}
        )
    return coords


def _run(known: Ledger) -> datetime:
    run = parse_run(known.period)
    if run is None:
        raise ValueError(f"{known.collection} {known.period} is not a run of a model")
    return run


def _levels(variables: Sequence[Variable], axes: Axes) -> dict[str, xr.Variable]:
    """The level's own number, and of soil its depth too, which the number does not say."""
    if not axes.levels:
        return {}
    kinds = {
        each.field.level_type for each in variables if any(slot.level is not None for slot in each.slots)
    }
    if len(kinds) > 1:
        raise ValueError(f"levels of several types, open them apart: {', '.join(sorted(kinds))}")
    kind = kinds.pop()
    coords = {"level": xr.Variable("level", np.array(axes.levels), {**_LEVELS[kind]})}
    if kind == "soil":
        depths = {
            key.level: float(named[1])
            for each in variables
            for key in each.field.files
            if (named := v1_level(key)) is not None
        }
        names = {
            "standard_name": "depth",
            "long_name": "depth below ground",
            "units": "m",
            "positive": "down",
        }
        metres = np.array([depths.get(level, np.nan) for level in axes.levels])
        coords["depth"] = xr.Variable("level", metres, names)
    return coords


def _members(axes: Axes) -> dict[str, xr.Variable]:
    names = {"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"}
    return {"number": xr.Variable("number", np.array(axes.members), names)} if axes.members else {}


def _places(store: Store, known: Ledger, grid: AnyGrid) -> dict[str, xr.Variable]:
    """Latitude and longitude: of rows and columns, or of the middle of each cell."""
    north = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
    east = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}
    if isinstance(grid, LatLonGrid):
        rows, columns = axes_deg(grid)
        return {
            "latitude": xr.Variable("latitude", rows, north),
            "longitude": xr.Variable("longitude", columns, east),
        }
    lat, lon = _centres(find_positions(store, known, grid), store)
    return {"latitude": xr.Variable("cell", lat, north), "longitude": xr.Variable("cell", lon, east)}


def _centres(positions: Positions, store: Store) -> Centres:
    """Latitudes and longitudes of the cells, decoded once in a process."""
    name = positions.latitude.kept.sha256, positions.longitude.kept.sha256
    known = _CENTRES.get(name)
    if known is None:
        files = positions.latitude, positions.longitude
        lat, lon = (worker().values(file.read(store), file.path)[0].values for file in files)
        for values, file, most in ((lat, files[0], 90.0), (lon, files[1], 360.0)):
            if not bool((np.abs(values) <= most).all()):  # so that NaN fails too
                raise FormatError(f"{file.path}: positions of cells are missing, or are not degrees")
            values.flags.writeable = False  # all datasets of the process share them
        while len(_CENTRES) >= _MOST_CENTRES:
            _CENTRES.pop(next(iter(_CENTRES)), None)
        known = _CENTRES[name] = (lat, lon)
    return known


def _attributes(
    known: Ledger, variables: Sequence[Variable], grid: AnyGrid, now: datetime
) -> dict[str, str | int]:
    model, run = known.collection.upper(), _run(known)
    attributes: dict[str, str | int] = {
        "Conventions": "CF-1.11",
        "title": f"{model}, run of {run:%Y-%m-%dT%H:%MZ}",
        "institution": "Deutscher Wetterdienst",
        "source": f"{model} forecast, opendata.dwd.de",
        "licence": LICENCE,
        "history": _history(variables),
        "state": known.state(now),
        "warnings": "\n".join(known.warnings),
        "failed_files": "\n".join(
            f"{path}: {reason}" for each in variables for path, reason in sorted(each.field.failed.items())
        ),
        "ledger_revision": known.revision,
        "grid": variables[0].field.grid,
    }
    if not isinstance(grid, LatLonGrid):
        attributes |= {"number_of_grid_used": grid.number, "uuidOfHGrid": grid.uuid}
    return attributes


def _history(variables: Sequence[Variable]) -> str:
    """What was done to the values of Deutscher Wetterdienst."""
    files = [file for each in variables for file in each.field.files.values()]
    made = [file for file in files if file.kept.made_from]
    if not made:
        return "values as published by Deutscher Wetterdienst"
    notes = "; ".join(sorted({note for file in made for note in file.kept.notes})) or "regridded here"
    return (
        f"{len(made)} of {len(files)} files: {notes}; values otherwise as published by Deutscher Wetterdienst"
    )
