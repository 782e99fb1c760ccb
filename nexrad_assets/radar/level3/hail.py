"""Hail estimates of storm cells (NHI, message 59) as GeoJSON.

Positions and probabilities come from packet 19, which names no storm; ids and the size in steps of a
quarter inch come from the display's pages, joined by azimuth and range. Source: ICD 2620001 (RPG/Class 1
User), figures 3-6 and 3-14.
"""

from __future__ import annotations

import re
from typing import Any

from nexrad_assets.radar.level3.attributes import bearing, bound, number, present, search, storm_columns
from nexrad_assets.radar.level3.geojson import Antenna, Feature, point
from nexrad_assets.radar.level3.joining import Printed, join
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.symbols import HAIL, HailMark, hail_marks

UNITS = {
    "azimuth_deg": "degrees clockwise from true north, from the antenna",
    "range_km": "kilometres from the antenna",
    "posh_percent": "percent, probability of severe hail; absent beyond the algorithm's range",
    "poh_percent": "percent, probability of hail; absent beyond the algorithm's range",
    "max_hail_size_in": "inches, largest expected stone; 0 is none or less than the smallest step",
    "max_hail_size_bound": "< or > where the size lies below or above the number",
    "freezing_level_kft": "thousands of feet above mean sea level, 0 degrees Celsius",
    "minus_20_level_kft": "thousands of feet above mean sea level, -20 degrees Celsius",
}

_ROWS = {"AZ/RAN": 1, "MAX HAIL SIZE": 1}
_LEVELS = {
    "freezing_level_kft": re.compile(r"([0-9]{1,2}\.[0-9]) \(KFT\) HEIGHT \(0 DEG CELSIUS\)"),
    "minus_20_level_kft": re.compile(r"([0-9]{1,2}\.[0-9]) \(KFT\) HEIGHT \(-20 DEG CELSIUS\)"),
}


def read_hail(message: Message, antenna: Antenna) -> tuple[list[Feature], int]:
    """The Points of a hail product, one for each cell, and their number.

    Raises `FormatError` for a damaged packet.
    """
    marks = [mark for packet in message.packets if packet.code == HAIL for mark in hail_marks(packet)]
    rows = join([mark.here for mark in marks], _printed(message))
    features = [
        _feature(mark, row, antenna, place)
        for place, (mark, row) in enumerate(zip(marks, rows, strict=True), start=1)
    ]
    return features, len(features)


def temperature_levels(message: Message) -> dict[str, Any]:
    """The heights of the 0 and -20 degree levels that the estimates rest on, where the product tells them."""
    found = {name: search(message, pattern) for name, pattern in _LEVELS.items()}
    return {name: number(groups[0]) for name, groups in found.items() if groups}


def _feature(mark: HailMark, row: dict[str, Any], antenna: Antenna, place: int) -> Feature:
    known = 0 <= mark.posh_percent <= 100 and 0 <= mark.poh_percent <= 100
    measured = {
        "posh_percent": mark.posh_percent if known else None,
        "poh_percent": mark.poh_percent if known else None,
        "max_hail_size_in": mark.size_in if known else None,
    }
    properties = present({"kind": "hail", **measured, **row})
    return point(antenna, row.get("storm_id", f"unnamed{place}"), mark.here, properties)


def _printed(message: Message) -> list[Printed]:
    rows = []
    for column in storm_columns(message, _ROWS):
        (where,) = column.get("AZ/RAN", [""])
        (size,) = column.get("MAX HAIL SIZE", [""])
        at = bearing(where)
        if at is not None:
            properties = {
                "storm_id": column["STORM ID"][0],
                "max_hail_size_in": number(size),
                "max_hail_size_bound": bound(size) if number(size) is not None else None,
            }
            rows.append(Printed(at, present(properties)))
    return rows
