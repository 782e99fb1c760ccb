"""Levels as the v1 tree spells them: a type of surface and a value in that surface's own unit.

The types are those of WMO code table 4.5 (FM 92 GRIB). Pressure is in Pa there and in hPa in a key. Soil depths
are in m there (`0.005`, `0.27`); a key has what the old tree's names have, which is a depth in cm, except
that 5 is the half centimetre of `T_SO` (the names give the scaled value without its scale factor).

What is constant has no type of its own in v1: which parameters are, is a table here.

Below a parameter the tree may also have a wavelength in nm (`wvl1/550`, ICON-ART), a second surface
(`lvt2/.../lv2/...`), and types of surface that are not in the table here. Such folders become the key's qualifiers.
"""

from __future__ import annotations

import re

from dwd_assets.formats.fields import QUALIFIED, FieldKey, LevelType

CONSTANTS = frozenset(
    {"clat", "clon", "elat", "elon", "vlat", "vlon", "rlat", "rlon", "hsurf", "hhl"}
    | {"fr_land", "fr_lake", "depth_lk", "soiltyp", "plcov", "lai", "rootdp"}
)
"""Parameters that the old tree calls time-invariant; each run has them once, at step 0."""

HALF_LEVELS = "hhl"
"""The one constant that has levels: the heights of the model's half levels."""

_TYPES: dict[LevelType, int] = {"reflectivity": 25, "pressure": 100, "height": 103, "soil": 106, "model": 150}
_NAMES = {number: name for name, number in _TYPES.items()}
_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DEPTH = re.compile(r"[0-9]{1,6}\.[0-9]{1,3}", re.ASCII)
_HALF_CENTIMETRE = ("0.005", 5)
_QUALIFIERS = re.compile(r"(?:[a-z]{1,8}[0-9]{0,2}/-?[0-9a-z][0-9a-z.]{0,15}/){1,6}", re.ASCII)
_LEVELS = re.compile(r"lvt1/(?P<type>[0-9]{1,3})/lv1/(?P<value>[0-9.]+)", re.ASCII)


def v1_folders(key: FieldKey) -> str:
    """What stands between a field's parameter and run in the v1 tree: "" or e.g. `lvt1/100/lv1/85000`.

    Raises `ValueError` for what the v1 tree cannot tell from another level.
    """
    if key.level_type in QUALIFIED:
        if key_of_folders(key.parameter, key.step_minutes, key.qualifiers) != (
            key.level_type,
            key.level,
            key.qualifiers,
        ):
            raise ValueError(f"{key.qualifiers!r} cannot be the qualifiers of {key}")
        return key.qualifiers
    level = v1_level(key)
    return "" if level is None else f"lvt1/{level[0]}/lv1/{level[1]}"


def key_of_folders(
    parameter: str, step_minutes: int, folders: str
) -> tuple[LevelType, int | None, str] | None:
    """Level type, level and qualifiers of a key, from what stands between parameter and run; None if not folders."""
    levels = _LEVELS.fullmatch(folders)
    known = None
    if not folders:
        known = key_level(parameter, step_minutes, None)
    elif levels is not None:
        known = key_level(parameter, step_minutes, (int(levels["type"]), levels["value"]))
    if known is not None:
        return *known, ""
    if _QUALIFIERS.fullmatch(f"{folders}/") is None:
        return None
    names = folders.split("/")[::2]
    if any(name.startswith("wvl") for name in names):
        return "wavelength", None, folders
    return ("layer" if "lvt2" in names else "other"), None, folders


def v1_level(key: FieldKey) -> tuple[int, str] | None:
    """The type and value of a key's level in the v1 tree, none where the tree names no level.

    Raises `ValueError` for what the v1 tree cannot tell from another level.
    """
    level = _spelled(key)
    if key_level(key.parameter, key.step_minutes, level) != (key.level_type, key.level):
        raise ValueError(f"the v1 tree cannot name the level of {key}")
    return level


def key_level(
    parameter: str, step_minutes: int, level: tuple[int, str] | None
) -> tuple[LevelType, int | None] | None:
    """The level type and level of a key, from what the v1 tree names; none for a level unknown here."""
    constant = parameter in CONSTANTS and step_minutes == 0
    if level is None:
        return ("time-invariant" if constant else "single"), None
    name = _NAMES.get(level[0])
    number = None if name is None else _number(name, level[1])
    if name is None or number is None:
        return None
    if constant and name == "model" and parameter == HALF_LEVELS:
        return "time-invariant", number
    return name, number


def _spelled(key: FieldKey) -> tuple[int, str] | None:
    if key.level is None or key.level_type == "single":
        return None
    if key.level_type == "time-invariant":
        return _TYPES["model"], str(key.level)
    return _TYPES[key.level_type], _value(key.level_type, key.level)


def _value(level_type: LevelType, level: int) -> str:
    if level_type == "pressure":
        return str(level * 100)
    if level_type == "soil":
        return _HALF_CENTIMETRE[0] if level == _HALF_CENTIMETRE[1] else f"{level / 100}"
    return str(level)


def _number(level_type: LevelType, value: str) -> int | None:
    if level_type == "soil":
        return _depth(value)
    if _WHOLE.fullmatch(value) is None:
        return None
    number = int(value)
    if level_type != "pressure":
        return number
    return number // 100 if number % 100 == 0 else None


def _depth(value: str) -> int | None:
    if value == _HALF_CENTIMETRE[0]:
        return _HALF_CENTIMETRE[1]
    if _DEPTH.fullmatch(value) is None:
        return None
    number = round(float(value) * 100)
    return number if f"{number / 100}" == value and number != _HALF_CENTIMETRE[1] else None
