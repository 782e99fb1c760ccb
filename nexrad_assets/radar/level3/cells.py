"""Storm cells and their tracks (NST, message 58) as GeoJSON.

Positions come from packets 15, 23 and 24, the attributes from the display's pages, which hold the 36
strongest cells; the tabular pages hold fewer. Source: ICD 2620001 (RPG/Class 1 User), figures 3-6
and 3-14.
"""

from __future__ import annotations

import re
from typing import Any

from nexrad_assets.radar.level3.attributes import motion, number, pair, present, search, storm_columns
from nexrad_assets.radar.level3.geojson import Antenna, Feature, point, track_lines
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.packets import Packet
from nexrad_assets.radar.level3.symbols import STORM_ID, StormId, followed, storm_ids, tracks

UNITS = {
    "azimuth_deg": "degrees clockwise from true north, from the antenna",
    "range_km": "kilometres from the antenna",
    "motion_from_deg": "degrees, the direction that the cell comes from",
    "motion_toward_deg": "degrees, the direction that the cell goes to",
    "speed_kt": "knots",
    "forecast_error_nm": "nautical miles, error of the previous forecast for this scan",
    "mean_error_nm": "nautical miles, mean error of the cell's forecasts so far",
    "max_reflectivity_dbz": "dBZ",
    "max_reflectivity_height_kft": "thousands of feet above the antenna",
    "minutes": "minutes after the valid time, one for each position of a forecast track",
}

_ROWS = {"FCST MVT": 1, "ERR/MEAN": 1, "DBZM HGT": 2}
_INTERVAL = re.compile(r"\b([0-9]{1,3})\s+\(MIN\)\s+FORECAST INTERVAL")
_MEAN_MOTION = re.compile(r"AVG SPEED\s+([0-9]{1,3}) KTS\s+AVG DIRECTION\s+([0-9]{1,3}) DEG")
_NEW = "NEW"


def read_cells(message: Message, antenna: Antenna) -> tuple[list[Feature], int]:
    """The features of a storm tracking product, and how many of them are cells.

    A cell is a Point; its past track and its forecast are LineStrings where it has them. Raises
    `FormatError` for a damaged packet.
    """
    found = followed(message.packets, STORM_ID, storm_ids)
    attributes = _attributes(message)
    interval = search(message, _INTERVAL)
    minutes = int(interval[0]) if interval else None
    features = [
        feature
        for storm, own in found
        for feature in _features(storm, own, attributes.get(storm.ident, {}), antenna, minutes)
    ]
    return features, len(found)


def mean_motion(message: Message) -> dict[str, Any]:
    """The mean movement of all cells, where the product tells it."""
    found = search(message, _MEAN_MOTION)
    return {"mean_motion": motion(int(found[1]), int(found[0]))} if found else {}


def _features(
    storm: StormId,
    packets: list[Packet],
    attributes: dict[str, Any],
    antenna: Antenna,
    interval_min: int | None,
) -> list[Feature]:
    paths = tracks(packets)
    properties = {
        "kind": "cell",
        "storm_id": storm.ident,
        **({"nearly_stationary": True} if paths.slow else {}),
        **attributes,
    }
    return [
        point(antenna, storm.ident, storm.here, properties),
        *track_lines(antenna, storm.ident, storm.here, paths, interval_min),
    ]


def _attributes(message: Message) -> dict[str, dict[str, Any]]:
    return {column["STORM ID"][0]: _properties(column) for column in storm_columns(message, _ROWS)}


def _properties(column: dict[str, list[str]]) -> dict[str, Any]:
    (movement,) = column.get("FCST MVT", [""])
    (errors,) = column.get("ERR/MEAN", [""])
    dbz, height = column.get("DBZM HGT", ["", ""])
    moved, missed = pair(movement), pair(errors)
    return present(
        {
            "new": True if movement == _NEW else False if moved else None,
            **(motion(*moved) if moved else {}),
            # A new cell had no forecast; the product prints its errors as zero.
            "forecast_error_nm": missed[0] if missed and moved else None,
            "mean_error_nm": missed[1] if missed and moved else None,
            "max_reflectivity_dbz": number(dbz),
            "max_reflectivity_height_kft": number(height),
        }
    )
