"""Parameters of `/v1/dwd` as people spell them: each becomes the archive's own spelling, or a problem.

What belongs here: which spellings a parameter may have, for the OpenAPI document and for the check of a request.
What does not: whether the archive has what is named (`api.v1.dwd.known`), and the spellings themselves
(`dwd_assets.formats.spelling`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import Path, Query
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from dwd_assets.formats.spelling import parameter_name, parse_day, parse_period, parse_run_time, station_key

T = TypeVar("T")

_DAY = r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}"
_UTC = r"([Zz]|\+00:?00)?"
_COLLECTION = r"^[A-Za-z][A-Za-z0-9-]{0,59}$"
_STATION = r"^[A-Za-z0-9][A-Za-z0-9_]{0,15}$"
_PARAMETER = r"^[A-Za-z][A-Za-z0-9_.]{0,59}$"
_ONE_DAY = rf"^{_DAY}$"
_RUN = rf"^{_DAY}[Tt ]?[0-9]{{2}}(:?00(:?00(\.0+)?)?)?{_UTC}$"
_PERIOD = rf"^{_DAY}([Tt ]?[0-9]{{2}}(:?00(:?00(\.0+)?)?)?{_UTC})?$"
_MOMENT = rf"^{_DAY}([Tt ]?[0-9]{{2}}(:?[0-9]{{2}}(:?00(\.0+)?)?)?{_UTC})?$"

_FIRST_YEAR = 1900
_LAST_MINUTE = timedelta(hours=24) - timedelta(minutes=1)

_A_RUN = "must be a UTC hour, e.g. 2026-11-30T06, 2026-11-30T06:00Z or 2026113006"
_A_PERIOD = (
    "must be a UTC hour or, of reports, a UTC day, e.g. 2026-11-30T06, 2026113006 or 2026-11-30, 20261130"
)
_A_DAY = "must be a UTC day, e.g. 2026-11-30 or 20261130"
_A_MOMENT = "must be a UTC time or day, e.g. 2026-11-30T06:15Z, 2026113006 or 2026-11-30"
_A_STATION = "must be a station's id of up to 16 letters and digits, e.g. 10315, K611 or K611_"
_A_COLLECTION = "must be a model, mosmix-l, mosmix-s or poi: letters, digits and -, beginning with a letter"
_A_PARAMETER = (
    "must be a parameter's name, e.g. t_2m or T_2M: letters, digits, _ and ., beginning with a letter"
)


def _fit(text: str, pattern: str, allowed: str) -> str:
    """The text. Raises `PydanticCustomError` that says what is allowed unless it fits the documented pattern."""
    if re.fullmatch(pattern, text, re.ASCII) is None:
        raise _refusal(allowed)
    return text


def _refusal(allowed: str) -> PydanticCustomError:
    return PydanticCustomError("spelling", "{allowed}", {"allowed": allowed})


def _run(text: str) -> str:
    found = parse_run_time(_fit(text, _RUN, _A_RUN))
    if found is None:
        raise _refusal(_A_RUN)
    return found


def _period(text: str) -> str:
    found = parse_period(_fit(text, _PERIOD, _A_PERIOD))
    if found is None:
        raise _refusal(_A_PERIOD)
    return found


def _day(text: str) -> date:
    found = parse_day(_fit(text, _ONE_DAY, _A_DAY))
    if found is None:
        raise _refusal(_A_DAY)
    if found.year < _FIRST_YEAR:
        raise _refusal(f"is before {_FIRST_YEAR}")
    return found


def _moment(text: str) -> tuple[datetime, bool]:
    """A UTC time, and whether it is that of a whole day."""
    digits = re.sub(r"\D", "", _fit(text, _MOMENT, _A_MOMENT).replace("+00", ""))
    try:
        found = datetime.strptime(digits[:12].ljust(12, "0"), "%Y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError as fault:
        raise _refusal(_A_MOMENT) from fault
    if found.year < _FIRST_YEAR:
        raise _refusal(f"is before {_FIRST_YEAR}")
    return found, len(digits) == len("YYYYMMDD")


def _first(text: str) -> datetime:
    return _moment(text)[0]


def _last(text: str) -> datetime:
    moment, is_day = _moment(text)
    return moment + _LAST_MINUTE if is_day else moment


def _station(text: str) -> str:
    return station_key(_fit(text, _STATION, _A_STATION))


def _collection(text: str) -> str:
    return _fit(text, _COLLECTION, _A_COLLECTION).lower()


def _parameter(text: str) -> str:
    return parameter_name(_fit(text, _PARAMETER, _A_PARAMETER))


def station_ids(text: str) -> tuple[str, ...]:
    """Ids of stations with commas between them, each once, in their order. Raises `ValueError`."""
    return tuple(dict.fromkeys(_station(each.strip()) for each in text.split(",")))


def _optional(read: Callable[[str], T]) -> Callable[[str | None], T | None]:
    return lambda text: None if text is None else read(text)


def _string(pattern: str, *examples: str) -> WithJsonSchema:
    """The schema of a string, for the document alone: the refusal of a request says in words what is allowed."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Collection = Annotated[
    str,
    Path(description="a model, `mosmix-l`, `mosmix-s` or `poi`, in any case"),
    AfterValidator(_collection),
    _string(_COLLECTION, "icon-d2"),
]
OneCollection = Annotated[
    str | None,
    Query(description="without it, all"),
    BeforeValidator(_optional(_collection)),
    _string(_COLLECTION, "icon-d2"),
]
Model = Annotated[
    str,
    Query(description="a model, in any case"),
    AfterValidator(_collection),
    _string(_COLLECTION, "icon-d2"),
]
Period = Annotated[
    str,
    Path(
        description="a UTC hour, of reports a UTC day: `2026112103`, `2026-11-21T03:00Z`; `20261121`, `2026-11-21`"
    ),
    AfterValidator(_period),
    _string(_PERIOD, "2026112103", "2026-11-21T03:00Z"),
]
StationId = Annotated[
    str,
    Path(description="DWD's id; case, leading zeros and the `_` that pads an id do not matter"),
    AfterValidator(_station),
    _string(_STATION, "10315"),
]
OneStation = Annotated[
    str | None,
    Query(description="DWD's id, spelled as in the path of a station"),
    BeforeValidator(_optional(_station)),
    _string(_STATION, "10315"),
]
Parameter = Annotated[
    str,
    Query(description="a field, in any case"),
    AfterValidator(_parameter),
    _string(_PARAMETER, "t_2m"),
]
OneParameter = Annotated[
    str | None,
    Query(description="a field, in any case"),
    BeforeValidator(_optional(_parameter)),
    _string(_PARAMETER, "t_2m"),
]
PointRun = Annotated[
    str | None,
    Query(
        description="a UTC hour: `2026112103`, `2026-11-21T03:00Z`; without it, the newest run that has all steps of "
        "this field"
    ),
    BeforeValidator(_optional(_run)),
    _string(_RUN, "2026112103"),
]
SeriesRun = Annotated[
    str | None,
    Query(
        description="a UTC hour: `2026112103`, `2026-11-21T03:00Z`; without it, each value is of the newest run that "
        "has its valid time"
    ),
    BeforeValidator(_optional(_run)),
    _string(_RUN, "2026112103"),
]
Issue = Annotated[
    str | None,
    Query(description="a UTC hour: `2026112109`, `2026-11-21T09:00Z`; without it, the newest"),
    BeforeValidator(_optional(_run)),
    _string(_RUN, "2026112109"),
]
FirstDay = Annotated[
    date | None,
    Query(description="first UTC day; without it, the day before the last"),
    BeforeValidator(_optional(_day)),
    _string(_ONE_DAY, "2026-11-20"),
]
LastDay = Annotated[
    date | None,
    Query(description="last UTC day; without it, today"),
    BeforeValidator(_optional(_day)),
    _string(_ONE_DAY, "2026-11-21"),
]
FirstTime = Annotated[
    datetime | None,
    Query(
        description="first valid time (UTC), a day is its first minute; without it, that of the newest run"
    ),
    BeforeValidator(_optional(_first)),
    _string(_MOMENT, "2026-11-21T03:00Z"),
]
LastTime = Annotated[
    datetime | None,
    Query(description="last valid time (UTC), a day is its last minute; without it, the last that there is"),
    BeforeValidator(_optional(_last)),
    _string(_MOMENT, "2026-11-22"),
]
