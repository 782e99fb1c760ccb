"""Mesocyclones (NMD, message 141) as GeoJSON.

Positions and radii come from packet 20, ids from the label after it, tracks from packets 23 and 24, the
attributes from the tabular pages. Source: ICD 2620001 (RPG/Class 1 User), figures 3-6 and 3-14; kinds by the
type codes of packet 20 there.
"""

from __future__ import annotations

import re
from statistics import median
from typing import Any

from nexrad_assets.radar.level3.attributes import (
    KM_PER_NAUTICAL_MILE,
    bound,
    motion,
    number,
    present,
    search,
    table_lines,
    tokens,
)
from nexrad_assets.radar.level3.geojson import Antenna, Feature, point, track_lines
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.symbols import (
    CIRCULATION,
    CirculationMark,
    Tracks,
    circulation_marks,
    followed,
    labels,
    tracks,
)

UNITS = {
    "azimuth_deg": "degrees clockwise from true north, from the antenna",
    "range_km": "kilometres from the antenna",
    "radius_km": "kilometres",
    "strength_rank": "1 (weakest) to 25",
    "strength_rank_method": "low_topped or shallow, where the rank was found by those rules",
    "low_level_rotational_velocity_kt": "knots, of the lowest circulation",
    "low_level_gate_to_gate_velocity_kt": "knots, difference across the lowest circulation",
    "base_kft": "thousands of feet above the antenna",
    "base_bound": "< where the base is on the lowest tilt, and may lie lower",
    "depth_kft": "thousands of feet",
    "depth_bound": "> where the base is on the lowest tilt, and the depth may be more",
    "top_kft": "thousands of feet above the antenna, base and depth added, each of which is rounded",
    "storm_relative_depth_percent": "percent of the storm's depth",
    "max_rotational_velocity_kt": "knots",
    "max_rotational_velocity_height_kft": "thousands of feet above the antenna",
    "motion_from_deg": "degrees, the direction that the circulation comes from",
    "motion_toward_deg": "degrees, the direction that the circulation goes to",
    "speed_kt": "knots",
    "strength_index": "mesocyclone strength index",
    "minutes": "minutes after the valid time, one for each position of a forecast track; the product does "
    "not print its forecast interval, which is found from the distances and speeds of its circulations",
}

KINDS = {
    1: "extrapolated",
    3: "mesocyclone",
    9: "low_based",
    10: "elevated",
    11: "weak",
}
"""Type codes of packet 20 that are circulations: 9 and 10 have strength rank 5 or more, 11 less."""

_METHODS = {"L": "low_topped", "S": "shallow"}
_MEAN_MOTION = re.compile(r"Avg dir/spd:\s*([0-9]{1,3})/\s*([0-9]{1,3})")
_ROW = re.compile(
    r"(?P<ident>[0-9]{1,3}) [0-9]{1,3}/[0-9]{1,3} (?P<rank>[0-9]{1,2})(?P<method>[LS]?) "
    r"(?:(?P<storm>[A-Z][0-9]) )?(?P<rotation>[0-9]{1,3}) (?P<difference>[0-9]{1,3}) "
    r"(?P<base><?[0-9]{1,3}) (?P<depth>>?[0-9]{1,3}) (?P<relative>[0-9]{1,3}) "
    r"(?P<height>[0-9]{1,3}) (?P<most>[0-9]{1,3}) (?:(?P<tvs>[YN]) )?"
    r"(?:(?P<from>[0-9]{1,3})/(?P<speed>[0-9]{1,3}) )?(?P<index>[0-9]{1,5})"
)
_LEAST_SPEED_KT = 5
"""Below it the quarter-kilometre steps of the positions make the interval uncertain by a third."""

_Found = tuple[CirculationMark, str, Tracks]


def read_circulations(message: Message, antenna: Antenna) -> tuple[list[Feature], int]:
    """The features of a mesocyclone product, and how many of them are circulations.

    A circulation is a Point; its tracks are LineStrings where it has them. Raises `FormatError` for a
    damaged packet.
    """
    found = _circulations(message)
    rows = _rows(message)
    interval = _interval_min(found, rows)
    features = []
    for place, (mark, label, paths) in enumerate(found, start=1):
        ident = label or f"unnamed{place}"
        properties = present(
            {
                "kind": KINDS[mark.kind],
                "circulation_id": label or None,
                "radius_km": mark.radius_km,
                **rows.get(label, {}),
            }
        )
        features.append(point(antenna, ident, mark.here, properties))
        features.extend(track_lines(antenna, ident, mark.here, paths, interval))
    return features, len(found)


def overview(message: Message) -> dict[str, Any]:
    """What holds for all circulations: the least strength rank that is shown, and their mean movement."""
    found = search(message, _MEAN_MOTION)
    mean = {"mean_motion": motion(int(found[0]), int(found[1]))} if found else {}
    return {"minimum_strength_rank": message.halfwords[30], **mean}


def _circulations(message: Message) -> list[_Found]:
    found = []
    for mark, packets in followed(message.packets, CIRCULATION, circulation_marks):
        if mark.kind in KINDS:
            names = labels(packets)
            found.append((mark, names[0].text if names else "", tracks(packets)))
    return found


def _rows(message: Message) -> dict[str, dict[str, Any]]:
    matches = (_ROW.fullmatch(" ".join(tokens(line))) for line in table_lines(message))
    return {match["ident"]: _properties(match.groupdict()) for match in matches if match}


def _properties(row: dict[str, str | None]) -> dict[str, Any]:
    values = {name: number(text) for name, text in row.items() if text is not None}
    base, depth = values["base"], values["depth"]
    moves = motion(values["from"] or 0, values["speed"] or 0) if row["from"] else {}
    return present(
        {
            "storm_id": row["storm"],
            "strength_rank": values["rank"],
            "strength_rank_method": _METHODS.get(row["method"] or ""),
            "low_level_rotational_velocity_kt": values["rotation"],
            "low_level_gate_to_gate_velocity_kt": values["difference"],
            "base_kft": base,
            "base_bound": bound(row["base"] or ""),
            "depth_kft": depth,
            "depth_bound": bound(row["depth"] or ""),
            "top_kft": None if base is None or depth is None else base + depth,
            "storm_relative_depth_percent": values["relative"],
            "max_rotational_velocity_kt": values["most"],
            "max_rotational_velocity_height_kft": values["height"],
            "tornado_vortex_signature": None if row["tvs"] is None else row["tvs"] == "Y",
            **moves,
            "strength_index": values["index"],
        }
    )


def _interval_min(found: list[_Found], rows: dict[str, dict[str, Any]]) -> int | None:
    """The time between forecast positions: the median of distance by speed over the circulations that move."""
    steps = []
    for mark, label, paths in found:
        speed_kt = rows.get(label, {}).get("speed_kt", 0)
        if paths.forecast and speed_kt >= _LEAST_SPEED_KT:
            last = paths.forecast[-1]
            length_km = (
                (last.east_km - mark.here.east_km) ** 2 + (last.north_km - mark.here.north_km) ** 2
            ) ** 0.5
            steps.append(length_km / len(paths.forecast) / (speed_kt * KM_PER_NAUTICAL_MILE / 60.0))
    return round(median(steps)) or None if steps else None
