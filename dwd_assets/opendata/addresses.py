"""Where the server keeps a field: its path in the old tree and in the v1 tree, and back.

Paths are absolute and percent-encoded, ready to be put behind a host. Both ways are computed, so that no listing
is needed: a file that is not there yet answers 404.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dwd_assets.formats.checks import MODEL, checked
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.levels import key_of_folders, v1_folders
from dwd_assets.formats.old_names import old_name, parse_old_name

NWP = "/weather/nwp"
"""The folder of both trees."""

_MIXED_CASE = {"echotopinm": "ECHOTOPinM"}
_OLD = re.compile(rf"{NWP}/{MODEL}/grib/[0-9]{{2}}/[^/]+/(?P<name>[^/]+)\.bz2", re.ASCII)
_V1 = re.compile(
    rf"{NWP}/v1/m/(?P<model>{MODEL})/p/(?P<parameter>[A-Za-z0-9_.]+)(?P<folders>(?:/[^/]+/[^/]+)*?)"
    r"/r/(?P<run>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00)(?:/e/(?P<member>[0-9]{2,3}))?"
    r"/s/PT(?P<hours>[0-9]{3})H(?P<minutes>[0-5][0-9])M\.grib2",
    re.ASCII,
)


def old_path(key: FieldKey) -> str:
    """A field's path in the old tree. Raises `ValueError` where the tree has no such field.

    The folder is the hour of the run alone, so that it holds two runs while one overwrites the other.
    """
    return f"{NWP}/{key.model}/grib/{key.run:%H}/{key.parameter}/{old_name(key)}.bz2"


def parse_old(path: str) -> FieldKey | None:
    """The key of a path of the old tree, none for anything else there."""
    match = _OLD.fullmatch(path)
    key = match and parse_old_name(match["name"])
    return key if key is not None and old_path(key) == path else None


def parameter_folder(parameter: str) -> str:
    """A parameter's folder in the v1 tree as it is spelled as a rule; the tree's own listing has the last word."""
    return _MIXED_CASE.get(parameter, parameter.upper())


def v1_path(key: FieldKey, folder: str | None = None) -> str:
    """A field's path in the v1 tree. Raises `ValueError` where the tree has no such field.

    `folder` is the parameter's folder as the server spells it, where a listing showed that.
    """
    checked(key)
    if key.grid != "icosahedral":
        raise ValueError(f"the v1 tree has the icosahedral grid alone, not {key}")
    folders = v1_folders(key)
    member = "" if key.member is None else f"/e/{key.member:02d}"
    hours, minutes = divmod(key.step_minutes, 60)
    return (
        f"{NWP}/v1/m/{key.model}/p/{folder or parameter_folder(key.parameter)}{'/' if folders else ''}{folders}"
        f"/r/{key.run:%Y-%m-%dT%H}%3A00{member}/s/PT{hours:03d}H{minutes:02d}M.grib2"
    )


def parse_v1(path: str) -> FieldKey | None:
    """The key of a path of the v1 tree, its colon encoded or not; None for anything else there.

    The parameter's folder may be spelled in any case. None also for what a key has no place for: names of folders
    and values that the tree was never seen to have, see `dwd_assets.formats.levels`.
    """
    decoded = path.replace("%3A", ":").replace("%3a", ":")
    match = _V1.fullmatch(decoded)
    if match is None:
        return None
    key = _v1_key(match)
    return key if key is not None and _is_v1(key, match["parameter"], decoded) else None


def _v1_key(match: re.Match[str]) -> FieldKey | None:
    parameter = match["parameter"].lower()
    step = int(match["hours"]) * 60 + int(match["minutes"])
    level = key_of_folders(parameter, step, match["folders"].removeprefix("/"))
    run = _run(match["run"])
    if level is None or run is None:
        return None
    level_type, value, qualifiers = level
    member = None if match["member"] is None else int(match["member"])
    return FieldKey(
        match["model"], run, parameter, level_type, value, step, member, "icosahedral", qualifiers
    )


def _run(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_v1(key: FieldKey, folder: str, decoded: str) -> bool:
    try:
        return v1_path(key, folder).replace("%3A", ":") == decoded
    except ValueError:
        return False
