"""The VAD wind profile (NVW, message 48): winds by height above the radar, as plain JSON.

The newest profile comes from the tabular pages, which list every fit; the last profiles, at the chart's
heights, from the wind barbs (packet 4) of the time-height chart, whose times and heights are the labels
(packet 8) along its axes. Source: ICD 2620001 (RPG/Class 1 User), section 3.3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from nexrad_assets.radar.level3.attributes import Number, number, present, table_lines, tokens
from nexrad_assets.radar.level3.geojson import stamp
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.symbols import WIND_BARB, Barb, Label, barbs, labels

UNITS = {
    "height_ft": "feet above mean sea level",
    "height_m": "metres above mean sea level",
    "direction_deg": "degrees, the direction that the wind blows from",
    "speed_kt": "knots",
    "speed_mps": "metres a second",
    "u_mps": "metres a second toward the east",
    "v_mps": "metres a second toward the north",
    "vertical_velocity_cms": "centimetres a second, upward",
    "rms_kt": "knots, error of the fit",
    "divergence_per_s": "1/s",
    "slant_range_nm": "nautical miles",
    "elevation_deg": "degrees",
}

_FIELDS = 10
_M_PER_FOOT = 0.3048
_MPS_PER_KNOT = 1852.0 / 3600.0
_CLOCK = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9])")
_KFT = re.compile(r"[0-9]{1,2}")
_ALTITUDE = re.compile(r"[0-9]{3}")


def read_levels(message: Message) -> list[dict[str, Any]]:
    """The fits of the newest profile, lowest first; two fits of one height keep the table's order."""
    rows = (tokens(line) for line in table_lines(message))
    levels = (_level(fields) for fields in rows if len(fields) == _FIELDS and _ALTITUDE.fullmatch(fields[0]))
    return sorted((level for level in levels if level is not None), key=lambda level: level["height_ft"])


def read_history(message: Message) -> list[dict[str, Any]]:
    """The profiles of the time-height chart, oldest first, each with its time and levels, lowest first.

    The newest is the current one. Raises `FormatError` for a damaged packet.
    """
    texts = labels(message.packets)
    times = [label for label in texts if _CLOCK.fullmatch(label.text)]
    heights = [label for label in texts if _KFT.fullmatch(label.text)]
    winds = [barb for packet in message.packets if packet.code == WIND_BARB for barb in barbs(packet)]
    if not times or not heights:
        return []
    profiles: dict[datetime, list[dict[str, Any]]] = {
        _moment(label.text, message.volume_time): [] for label in times
    }
    for barb in winds:
        moment = _moment(_nearest_column(times, barb).text, message.volume_time)
        profiles[moment].append(_chart_level(int(_nearest_row(heights, barb).text) * 1000, barb))
    return [
        {"time": stamp(moment), "levels": sorted(levels, key=lambda level: level["height_ft"])}
        for moment, levels in sorted(profiles.items())
    ]


def _level(fields: Sequence[str]) -> dict[str, Any] | None:
    """A row of the table: ALT (100 ft), U, V (m/s), W (cm/s), DIR, SPD, RMS (kt), DIV, SRNG, ELEV."""
    hundreds, u, v, w, direction, speed, rms, divergence, slant_range, elevation = map(number, fields)
    if hundreds is None or direction is None or speed is None:
        return None
    optional = {
        "u_mps": u,
        "v_mps": v,
        "vertical_velocity_cms": w,
        "rms_kt": rms,
        "divergence_per_s": None if divergence is None else round(divergence / 1000.0, 8),
        "slant_range_nm": slant_range,
        "elevation_deg": elevation,
    }
    return {**_wind(hundreds * 100, direction, speed), **present(optional)}


def _chart_level(height_ft: int, barb: Barb) -> dict[str, Any]:
    speed_mps = barb.speed_kt * _MPS_PER_KNOT
    return {
        **_wind(height_ft, barb.from_deg, barb.speed_kt),
        # Adding zero makes a negative zero a plain one.
        "u_mps": round(-speed_mps * math.sin(math.radians(barb.from_deg)), 1) + 0.0,
        "v_mps": round(-speed_mps * math.cos(math.radians(barb.from_deg)), 1) + 0.0,
    }


def _wind(height_ft: Number, from_deg: Number, speed_kt: Number) -> dict[str, Any]:
    return {
        "height_ft": height_ft,
        "height_m": round(height_ft * _M_PER_FOOT),
        "direction_deg": from_deg,
        "speed_kt": speed_kt,
        "speed_mps": round(speed_kt * _MPS_PER_KNOT, 1),
    }


def _nearest_column(marks: Sequence[Label], barb: Barb) -> Label:
    return min(marks, key=lambda mark: abs(mark.column - barb.column))


def _nearest_row(marks: Sequence[Label], barb: Barb) -> Label:
    return min(marks, key=lambda mark: abs(mark.row - barb.row))


def _moment(clock: str, volume_time: datetime) -> datetime:
    """The last time before or at the volume's that shows this hour and minute."""
    moment = volume_time.replace(hour=int(clock[:2]), minute=int(clock[2:]), second=0, microsecond=0)
    return moment if moment <= volume_time else moment - timedelta(days=1)
