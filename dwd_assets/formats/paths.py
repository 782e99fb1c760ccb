"""Where the archive keeps a file, below its base: the layout that readers of the archive rely on.

    weather/<model>/grib/<YYYYMMDDHH>/<field>/<name>.lz4
    weather/local_forecasts/mos/<YYYYMMDDHH>/<ID>-MOSMIX.kmz      (MOSMIX_L)
    weather/local_forecasts/mos_s/<YYYYMMDDHH>/<ID>-MOSMIX.kmz    (MOSMIX_S)
    weather/local_forecasts/poi/<YYYYMMDDHH>/<ID>-MOSMIX.csv      (historic)
    weather/weather_reports/poi/<YYYYMMDD>/<ID>-BEOB.csv

A field on the regular grid has the old tree's file name. One on the icosahedral grid has the name
`<model>_icosahedral_<type of level|single>_<run>_<hhhmm>_<level|2d>[_e<member>]_<field>.grib2`, with the v1 tree's
own type and value of the level, whichever tree it came from: the v1 tree's file names alone say little. Where the v1
tree has other folders between parameter and run (`wvl1/550/lvt1/150/lv1/120`), the type is `qualified` and the level
`wvl1-550+lvt1-150+lv1-120`.

Each path belongs to one key and each key to one path, also where a file system takes capitals for small letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from dwd_assets.formats.checks import MODEL, PARAMETER, check_run, checked, parse_run, run_text
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.levels import key_of_folders, v1_folders
from dwd_assets.formats.old_names import old_name, parse_old_name

_QUALIFIED = "qualified"

VERSION_DIGITS = 12
"""How many hexadecimal digits of its content's SHA-256 an earlier version carries."""

STATION = re.compile(r"[A-Z0-9][A-Z0-9_]{0,15}", re.ASCII)
"""A station's id, as a path can have it."""

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_VERSION = re.compile(rf"(?P<path>.+)\.(?P<digest>[0-9a-f]{{{VERSION_DIGITS}}})", re.ASCII)
_FIELD = re.compile(
    rf"weather/(?P<model>{MODEL})/grib/(?P<run>[0-9]{{10}})/(?P<field>{PARAMETER})/(?P<name>[^/]+)\.lz4",
    re.ASCII,
)
_STATION_FILE = re.compile(
    r"weather/(?P<folder>[a-z_]+/[a-z_]+)/(?P<time>[0-9]{8,10})/(?P<station>[A-Z0-9_]+)-(?P<kind>[A-Z]+\.[a-z]+)",
    re.ASCII,
)


MosmixProduct = Literal["L", "S"]
"""MOSMIX_L and MOSMIX_S."""

_MOSMIX_FOLDERS: dict[MosmixProduct, str] = {"L": "local_forecasts/mos", "S": "local_forecasts/mos_s"}
_MOSMIX_PRODUCTS = {folder: product for product, folder in _MOSMIX_FOLDERS.items()}


@dataclass(frozen=True, slots=True, order=True)
class MosmixKey:
    """One station's MOSMIX forecast: when it was issued (UTC), the station's id, and the product."""

    run: datetime
    station: str
    product: MosmixProduct = "L"


@dataclass(frozen=True, slots=True, order=True)
class PoiForecastKey:
    """One station's forecast as the server once had it beside the reports, read only from old archives."""

    run: datetime
    station: str


@dataclass(frozen=True, slots=True, order=True)
class ReportsKey:
    """One station's reports of one UTC day."""

    day: date
    station: str


ArchiveKey = FieldKey | MosmixKey | PoiForecastKey | ReportsKey
"""Whatever the archive keeps as a file."""


def archive_path(key: ArchiveKey) -> str:
    """Where a file is kept, relative to the archive's base.

    Raises `ValueError` for a key that has no such place: a station id or parameter of strange characters,
    a field that neither tree has.
    """
    match key:
        case MosmixKey():
            return (
                f"weather/{_MOSMIX_FOLDERS[key.product]}/{_run(key.run)}/{_station(key.station)}-MOSMIX.kmz"
            )
        case PoiForecastKey():
            return f"weather/local_forecasts/poi/{_run(key.run)}/{_station(key.station)}-MOSMIX.csv"
        case ReportsKey():
            return f"weather/weather_reports/poi/{_day(key.day)}/{_station(key.station)}-BEOB.csv"
        case FieldKey():
            name = old_name(key) if key.grid == "regular" else _icosahedral_name(key)
            return f"weather/{key.model}/grib/{run_text(key.run)}/{key.parameter}/{name}.lz4"


def parse_archive_path(path: str) -> ArchiveKey | None:
    """The key of a path of the archive, none for anything else; an earlier version's path has none."""
    key = _parse_station_file(path) or _parse_field(path)
    try:
        return key if key is not None and archive_path(key) == path else None
    except ValueError:
        return None


def version_path(path: str, sha256: str) -> str:
    """Where an earlier content of a path is kept: the path and the begin of the content's SHA-256 (64 digits)."""
    if _SHA256.fullmatch(sha256) is None:
        raise ValueError(f"{sha256!r} is not a SHA-256 in small hexadecimal digits")
    return f"{path}.{sha256[:VERSION_DIGITS]}"


def parse_version_path(path: str) -> tuple[ArchiveKey, str] | None:
    """The key of an earlier version and its 12 digits, none for anything else."""
    match = _VERSION.fullmatch(path)
    key = match and parse_archive_path(match["path"])
    return (key, match["digest"]) if match is not None and key is not None else None


def _run(run: datetime) -> str:
    check_run(run)
    return run_text(run)


def _day(day: date) -> str:
    if day.year < 1000:
        raise ValueError(f"{day} is not of a year of four digits")
    return f"{day.year}{day.month:02}{day.day:02}"


def _station(station: str) -> str:
    if STATION.fullmatch(station) is None:
        raise ValueError(f"{station!r} is not a station id")
    return station


def _parse_station_file(path: str) -> ArchiveKey | None:
    match = _STATION_FILE.fullmatch(path)
    if match is None:
        return None
    station = match["station"]
    if match["folder"] == "weather_reports/poi":
        first_hour = parse_run(match["time"] + "00")
        return None if first_hour is None else ReportsKey(first_hour.date(), station)
    run = parse_run(match["time"])
    if run is None:
        return None
    product = _MOSMIX_PRODUCTS.get(match["folder"])
    return PoiForecastKey(run, station) if product is None else MosmixKey(run, station, product)


def _icosahedral_name(key: FieldKey) -> str:
    checked(key)
    level_type, value = _type_and_value(key)
    member = () if key.member is None else (f"e{key.member:02d}",)
    hours, minutes = divmod(key.step_minutes, 60)
    step = f"{hours:03d}{minutes:02d}"
    parts = (key.model, "icosahedral", level_type, run_text(key.run), step, value, *member, key.parameter)
    return "_".join(parts) + ".grib2"


def _parse_field(path: str) -> FieldKey | None:
    match = _FIELD.fullmatch(path)
    if match is None:
        return None
    return parse_old_name(match["name"]) or _parse_icosahedral_name(match)


def _parse_icosahedral_name(folders: re.Match[str]) -> FieldKey | None:
    # The folders say model, run and field, so that a field that looks like a member and a field is not one.
    model, run_digits, field = (re.escape(folders[part]) for part in ("model", "run", "field"))
    match = re.fullmatch(
        rf"{model}_icosahedral_(?P<type>single|{_QUALIFIED}|[0-9]{{1,3}})_{run_digits}_(?P<hours>[0-9]{{3}})(?P<minutes>[0-5][0-9])"
        rf"_(?P<level>2d|[0-9.]+|[0-9a-z.+-]+)(?:_e(?P<member>[0-9]{{2,3}}))?_{field}\.grib2",
        folders["name"],
        re.ASCII,
    )
    run = parse_run(folders["run"])
    if match is None or run is None:
        return None
    step = int(match["hours"]) * 60 + int(match["minutes"])
    level = key_of_folders(folders["field"], step, _folders_of(match["type"], match["level"]))
    if level is None:
        return None
    level_type, value, qualifiers = level
    member = None if match["member"] is None else int(match["member"])
    return FieldKey(
        folders["model"], run, folders["field"], level_type, value, step, member, "icosahedral", qualifiers
    )


def _type_and_value(key: FieldKey) -> tuple[str, str]:
    """The type of level and the level as a name of the archive has them."""
    folders = v1_folders(key)
    if not folders:
        return "single", "2d"
    words = folders.split("/")
    if key.qualifiers:
        pairs = zip(words[::2], words[1::2], strict=True)
        return _QUALIFIED, "+".join(f"{name}-{value}" for name, value in pairs)
    return words[1], words[3]


def _folders_of(level_type: str, value: str) -> str:
    """What `_type_and_value` was made of."""
    if level_type == "single":
        return "" if value == "2d" else "-"
    if level_type == _QUALIFIED:
        return "/".join(pair.replace("-", "/", 1) for pair in value.split("+"))
    return f"lvt1/{level_type}/lv1/{value}"
