"""The radars: ids, names, positions.

The table beside this module is NOAA's public list of stations, made by `scripts/make_sites_table.py`: the
160 WSR-88D ids of the public buckets, and the FAA's 45 terminal Doppler radars (TDWR). KLIX became KHDC
when the radar moved from Slidell to Hammond; both are here, each at its own place. Where a volume tells
its position itself, that goes before the one here, which is for lists, maps and the volumes that do not.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, cast

Kind = Literal["WSR-88D", "TDWR"]


class UnknownSite(ValueError):  # noqa: N818 - reads as the state it reports
    """No radar has this id; the message names it, and ids that look like it."""


@dataclass(frozen=True, slots=True)
class Site:
    """One radar.

    `id` has four letters. `height_m` is that of the antenna's feed horn above mean sea level, except
    KHDC's, whose published figure is that of the ground.
    """

    id: str
    name: str
    latitude_deg: float
    longitude_deg: float
    height_m: float
    kind: Kind

    @property
    def short_id(self) -> str:
        """The three letters of Level 3 names: unique over all sites, but no rule leads back."""
        return self.id[1:]


@cache
def sites() -> Mapping[str, Site]:
    """All radars by their four-letter id, in the order of the ids."""
    with files(__package__).joinpath("sites.csv").open(encoding="ascii") as table:
        return MappingProxyType({row["id"]: _site(row) for row in csv.DictReader(table)})


def site(site_id: str) -> Site:
    """The radar of a four-letter id, in capitals. Raises `UnknownSite`."""
    try:
        return sites()[site_id]
    except KeyError:
        raise UnknownSite(_unknown(site_id, sites())) from None


def site_of_short_id(short_id: str) -> Site:
    """The radar of the three letters in a Level 3 name (`PDT`: KPDT, `JUA`: TJUA). Raises `UnknownSite`."""
    try:
        return _short_ids()[short_id]
    except KeyError:
        raise UnknownSite(_unknown(short_id, _short_ids())) from None


@cache
def _short_ids() -> Mapping[str, Site]:
    return {radar.short_id: radar for radar in sites().values()}


def _site(row: Mapping[str, str]) -> Site:
    return Site(
        id=row["id"],
        name=row["name"],
        latitude_deg=float(row["latitude_deg"]),
        longitude_deg=float(row["longitude_deg"]),
        height_m=float(row["height_m"]),
        kind=cast(Kind, row["kind"]),
    )


def _unknown(given: str, known: Mapping[str, Site]) -> str:
    close = difflib.get_close_matches(given.upper(), known, n=3, cutoff=0.5)
    hint = " or ".join(f"{match} ({known[match].name})" for match in close)
    return f"no radar site {given!r}" + (f"; did you mean {hint}?" if close else "")
