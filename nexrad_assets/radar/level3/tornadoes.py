"""Tornado vortex signatures (NTV, message 61) as GeoJSON.

Positions come from packets 12 (TVS) and 26 (elevated TVS), the attributes from the tabular pages, joined by
azimuth and range. Source: ICD 2620001 (RPG/Class 1 User), figures 3-6 and 3-14. A signature is an algorithm's
detection of strong shear between neighbouring gates, no tornado report.
"""

from __future__ import annotations

from typing import Any

from nexrad_assets.radar.level3.attributes import bearing, bound, number, pair, present, table_lines, tokens
from nexrad_assets.radar.level3.geojson import Antenna, Feature, point
from nexrad_assets.radar.level3.joining import Printed, join
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.symbols import ETVS, TVS, points

UNITS = {
    "azimuth_deg": "degrees clockwise from true north, from the antenna",
    "range_km": "kilometres from the antenna",
    "mean_delta_velocity_kt": "knots, mean over the depth",
    "low_level_delta_velocity_kt": "knots, on the lowest tilt of the signature",
    "max_delta_velocity_kt": "knots",
    "max_delta_velocity_height_kft": "thousands of feet above the antenna",
    "depth_kft": "thousands of feet",
    "depth_bound": "> where the signature reaches the lowest or highest tilt, and may be deeper",
    "base_kft": "thousands of feet above the antenna",
    "base_bound": "< where the base is on the lowest tilt, and may lie lower",
    "top_kft": "thousands of feet above the antenna",
    "top_bound": "> where the top is on the highest tilt, and may lie higher",
    "max_shear_per_s": "1/s",
    "max_shear_height_kft": "thousands of feet above the antenna",
}

_KINDS = {TVS: "TVS", ETVS: "ETVS"}
_FIELDS = 9


def read_signatures(message: Message, antenna: Antenna) -> tuple[list[Feature], int]:
    """The Points of a tornado vortex signature product, and their number.

    Raises `FormatError` for a damaged packet.
    """
    features: list[Feature] = []
    for code, kind in _KINDS.items():
        marks = [mark for packet in message.packets if packet.code == code for mark in points(packet)]
        for place, (mark, row) in enumerate(
            zip(marks, join(marks, _printed(message, kind)), strict=True), start=1
        ):
            features.append(point(antenna, f"{kind}{place}", mark, {"kind": kind, **row}))
    return features, len(features)


def _printed(message: Message, kind: str) -> list[Printed]:
    rows = []
    for line in table_lines(message):
        fields = tokens(line)
        at = bearing(fields[2]) if len(fields) == _FIELDS and fields[0] == kind else None
        if at is not None:
            rows.append(Printed(at, _properties(fields)))
    return rows


def _properties(fields: list[str]) -> dict[str, Any]:
    """The fields after the kind: id, position, AVGDV, LLDV, MXDV/height, depth, base/top, MXSHR/height."""
    _, storm, _, average, low, most, depth, extent, shear = fields
    strongest, shearing = pair(most), pair(shear)
    base, _, top = extent.partition("/")
    return present(
        {
            "storm_id": storm,
            "mean_delta_velocity_kt": number(average),
            "low_level_delta_velocity_kt": number(low),
            "max_delta_velocity_kt": strongest[0] if strongest else None,
            "max_delta_velocity_height_kft": strongest[1] if strongest else None,
            "depth_kft": number(depth),
            "depth_bound": bound(depth),
            "base_kft": number(base),
            "base_bound": bound(base),
            "top_kft": number(top),
            "top_bound": bound(top),
            "max_shear_per_s": round(shearing[0] / 1000.0, 4) if shearing else None,
            "max_shear_height_kft": shearing[1] if shearing else None,
        }
    )
