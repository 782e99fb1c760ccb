"""File names of the old tree: the field's whole key in one name, spelled a little differently by each model.

`icon-d2_germany_regular-lat-lon_single-level_2022042600_000_2d_u_10m.grib2`: model, region, grid, level type,
run, step in hours, level (`2d` where there is one), parameter. Outside the icon-d2 family there is no `2d`, and a
constant has neither step nor (where there is one level) a level; deterministic models outside it write the
parameter in capitals. An ensemble's file holds all members, so its key names none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dwd_assets.formats.checks import MODEL, PARAMETER, checked, parse_run, run_text
from dwd_assets.formats.fields import FieldKey, Grid, LevelType

_LEVEL_TYPES: dict[LevelType, str] = {
    "single": "single-level",
    "pressure": "pressure-level",
    "model": "model-level",
    "soil": "soil-level",
    "time-invariant": "time-invariant",
}
_LEVEL_NAMES = {text: name for name, text in _LEVEL_TYPES.items()}
_GRIDS: dict[Grid, str] = {"regular": "regular-lat-lon", "icosahedral": "icosahedral"}
_GRID_NAMES = {text: name for name, text in _GRIDS.items()}
_NAME = re.compile(
    rf"(?P<model>{MODEL})_[a-z]+_(?P<grid>[a-z-]+)_(?P<type>[a-z-]+)_(?P<run>[0-9]{{10}})_(?P<rest>.+)\.grib2",
    re.ASCII,
)
_REST = re.compile(
    rf"(?:(?P<first>[0-9]{{1,5}})_)??(?:(?P<level>2d|[0-9]{{1,5}})_)?(?P<parameter>{PARAMETER})",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How the names of one model are written."""

    region: str
    grids: tuple[Grid, ...] = ("icosahedral",)
    capitals: bool = False
    full: bool = False
    """Step and level in every name, `2d` or 0 where there is one level."""


_SPELLINGS = {
    "icon": _Spelling("global", capitals=True),
    "icon-eps": _Spelling("global"),
    "icon-eu": _Spelling("europe", ("regular",), capitals=True),
    "icon-eu-eps": _Spelling("europe"),
    "icon-d2": _Spelling("germany", ("regular", "icosahedral"), full=True),
    "icon-d2-eps": _Spelling("germany", full=True),
}

OLD_MODELS = frozenset(_SPELLINGS)
"""The models of the old tree."""


def old_name(key: FieldKey) -> str:
    """A field's file name in the old tree, without `.bz2`. Raises `ValueError` where the tree has no such field."""
    checked(key)
    spelling = _SPELLINGS.get(key.model)
    level_type = _LEVEL_TYPES.get(key.level_type)
    if spelling is None or level_type is None or key.grid not in spelling.grids:
        raise ValueError(f"the old tree has no such model, level type or grid: {key}")
    if key.member is not None or key.step_minutes % 60:
        raise ValueError(f"the old tree has whole hours, and all members in one file: {key}")
    parameter = key.parameter.upper() if spelling.capitals else key.parameter
    parts = (key.model, spelling.region, _GRIDS[key.grid], level_type, run_text(key.run))
    return "_".join((*parts, *_step_and_level(key, spelling), parameter)) + ".grib2"


def parse_old_name(name: str) -> FieldKey | None:
    """The key of a file name of the old tree (without `.bz2`), none for any other name."""
    match = _NAME.fullmatch(name)
    rest = match and _REST.fullmatch(match["rest"])
    if match is None or rest is None:
        return None
    run = parse_run(match["run"])
    level_type = _LEVEL_NAMES.get(match["type"])
    grid = _GRID_NAMES.get(match["grid"])
    if run is None or level_type is None or grid is None:
        return None
    step, level = _hours_and_level(rest, level_type)
    key = FieldKey(match["model"], run, rest["parameter"].lower(), level_type, level, step * 60, None, grid)
    return key if _is_spelled(key, name) else None


def _step_and_level(key: FieldKey, spelling: _Spelling) -> tuple[str, ...]:
    step = f"{key.step_minutes // 60:03d}"
    if key.level_type == "time-invariant":
        if key.level == 0:
            raise ValueError(f"the old tree's level 0 of a constant means that there are none: {key}")
        if spelling.full:
            return step, str(key.level or 0)
        return () if key.level is None else (str(key.level),)
    if key.level is None:
        return (step, "2d") if spelling.full else (step,)
    return step, str(key.level)


def _hours_and_level(rest: re.Match[str], level_type: LevelType) -> tuple[int, int | None]:
    """Step in hours and level, as the numbers before the parameter say; 0 for what is not said."""
    numbers = [int(text) for text in (rest["first"], rest["level"]) if text not in {None, "2d"}]
    if level_type == "single":
        return sum(numbers[:1]), None
    if level_type == "time-invariant":
        return 0, sum(numbers[-1:]) or None
    return sum(numbers[:-1]), sum(numbers[-1:])


def _is_spelled(key: FieldKey, name: str) -> bool:
    try:
        return old_name(key) == name
    except ValueError:
        return False
