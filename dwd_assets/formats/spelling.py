"""The spellings that people use for times, stations and parameters, and the nearest known name to one that is unknown.

What belongs here: pure functions for what is typed, on a command line or in a query. What does not: which periods a
collection has, and which names are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from difflib import get_close_matches

_PERIOD = re.compile(
    r"(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
    r"(?:[T ]?(?P<hour>[0-9]{2})(?::?00(?::?00(?:\.0+)?)?)?(?:Z|\+00:?00)?)?",
    re.ASCII | re.IGNORECASE,
)
_FIRST_YEAR = 1000
_STATION_DIGITS = 5
_CLOSE = 0.6
"""`difflib`'s own default: how similar two names are at least, from 0 to 1."""


def parse_period(text: str) -> str | None:
    """Return `YYYYMMDDHH` or `YYYYMMDD` for any accepted spelling of a whole hour (UTC) or of a day.

    Accepted are the digits alone and ISO 8601: `2026112106`, `2026-11-21T06`, `2026-11-21T06:00Z`,
    `2026-11-21 06:00`, `20261121`, `2026-11-21`. Returns None if it is not a time, not a whole hour, or not in UTC.
    """
    match = _PERIOD.fullmatch(text.strip())
    if match is None or int(match["year"]) < _FIRST_YEAR:
        return None
    digits = match["year"] + match["month"] + match["day"] + (match["hour"] or "")
    try:
        datetime.strptime(digits, "%Y%m%d%H" if match["hour"] else "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return digits


def parse_run_time(text: str) -> str | None:
    """Return `YYYYMMDDHH` for any accepted spelling of a whole hour (UTC), see `parse_period`; else None."""
    period = parse_period(text)
    return period if period is not None and len(period) == len("YYYYMMDDHH") else None


def parse_day(text: str) -> date | None:
    """Return the day for any accepted spelling of one, see `parse_period`; else None."""
    period = parse_period(text)
    if period is None or len(period) != len("YYYYMMDD"):
        return None
    return date(int(period[:4]), int(period[4:6]), int(period[6:]))


def station_key(text: str) -> str:
    """Return a station's id in the form in which ids are compared.

    Upper case, without the `_` that pads the ids of reports, and of digits at least five, with leading zeros:
    `1001` is `01001`, `k611_` is `K611`.
    """
    name = text.strip().upper().rstrip("_")
    return name.zfill(_STATION_DIGITS) if name.isascii() and name.isdigit() else name


def parameter_name(text: str) -> str:
    """Return a parameter's name as the archive spells it: in lower case, without blanks around it."""
    return text.strip().lower()


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Return the known names that are most like an unknown one, the nearest first, at most `most` of them.

    Names that begin with it come first, the shortest before the others, then names that are similar to it (`difflib`).
    Case does not matter. Empty if none is similar.
    """
    spelled = {each.casefold(): each for each in sorted(known)}
    wanted = name.strip().casefold()
    if not wanted:
        return ()
    beginning = sorted(
        (each for each in spelled if each.startswith(wanted)), key=lambda each: (len(each), each)
    )
    similar = get_close_matches(wanted, spelled, most, _CLOSE)
    return tuple(spelled[each] for each in dict.fromkeys((*beginning, *similar)))[:most]
