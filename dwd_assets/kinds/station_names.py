"""Stations that a person names: checked against those that the archive and the server know.

What belongs here: which ids a command is for. What does not: how ids are spelled (`dwd_assets.formats.spelling`).
"""

from __future__ import annotations

from collections.abc import Iterable

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.paths import STATION
from dwd_assets.formats.spelling import nearest, station_key
from dwd_assets.mosmix.issues import FOLDER as FORECASTS
from dwd_assets.opendata.errors import Unavailable
from dwd_assets.opendata.listing import UnreadRow, parse_listing
from dwd_assets.opendata.messages import Body, Request
from dwd_assets.periods.context import Office
from dwd_assets.poi.report_pass import FOLDER as REPORTS
from store.dwd import stations

_SINGLE_STATIONS = f"{FORECASTS}/MOSMIX_L/single_stations/"
"""A folder for each station; MOSMIX_S, whose only file is that of all stations, has the same ones."""

_REPORT = "-BEOB.csv"


def existing_stations(office: Office, collection: str, names: Iterable[str]) -> frozenset[str]:
    """Return the ids of stations that a person names, in the form in which ids are compared.

    `collection` is `poi` or one of MOSMIX. What neither the archive's catalogue nor the settings have is looked for in
    the server's list of stations, at the cost of one request. Raises `ValueError` that names the nearest ids for a
    station that is not there either, `OpendataError` if there is no list, `StoreError`.
    """
    wanted = {station_key(name): name for name in names}
    for key, name in wanted.items():
        if STATION.fullmatch(key) is None:
            raise ValueError(f"{name!r} is not a valid station id: letters and digits, e.g. 10315 or P0036")
    settings = office.settings
    known = {*stations.read(office.store), *settings.mosmix_stations, *settings.report_stations}
    keys = set(map(station_key, known))
    if wanted.keys() <= keys:
        return frozenset(wanted)
    listed, unread = _listed(office, collection)
    keys |= listed
    unknown = [_described(name, key, keys) for key, name in wanted.items() if key not in keys]
    if unknown:
        rows = "".join(f"; not read: {row}" for row in unread)
        raise ValueError(f"{'; '.join(unknown)}: not among the stations of {collection} on the server{rows}")
    return frozenset(wanted)


def _described(name: str, key: str, keys: Iterable[str]) -> str:
    """An unknown station with the ids that are most like it."""
    found = nearest(key, keys) or nearest(name, keys)
    return f"unknown station {name!r}" + (f" (nearest: {', '.join(found)})" if found else "")


def _listed(office: Office, collection: str) -> tuple[frozenset[str], tuple[UnreadRow, ...]]:
    """The stations that the server lists, in the form in which ids are compared, and rows without a readable name.

    Raises `OpendataError`.
    """
    folder = REPORTS if collection == "poi" else _SINGLE_STATIONS
    answer = office.client.read(Request(folder))
    try:
        listing = parse_listing(answer.data if isinstance(answer, Body) else b"", folder)
    except FormatError as fault:
        raise Unavailable(str(fault)) from fault
    suffix = _REPORT if collection == "poi" else ""
    keys = frozenset(
        station_key(entry.name.removesuffix(suffix))
        for entry in listing.entries
        if entry.name.endswith(suffix)
    )
    return keys, tuple(row for row in listing.unread if row.name is None)
