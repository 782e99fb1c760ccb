"""Level 3 products that are points, tracks and profiles, as documents: GeoJSON, or JSON for the winds.

Which message codes are such, and the way from a message to a document. Source of the codes: ICD 2620001
(RPG/Class 1 User), table III.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nexrad_assets.radar.level3 import cells, hail, mesocyclones, tornadoes, wind
from nexrad_assets.radar.level3.geojson import Antenna, collection, description
from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.packets import FormatError
from nexrad_assets.radar.volume import VolumeError

VECTOR_CODES: Mapping[int, str] = {
    48: "winds",
    58: "storms",
    59: "hail",
    61: "tornadoes",
    141: "mesocyclones",
}
"""Message code to the name of its document."""

MAX_COUNT = 1_000
"""Of cells, circulations and so on: ten times what the format allows of storms."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A product as JSON.

    `content` is a GeoJSON FeatureCollection (RFC 7946) whose own members tell product, times, units and
    credit, or for `winds` an object with the same members, `levels` and `history`; equal messages give
    equal content. `count` is the number of cells, circulations, estimates, signatures or levels; 0 where
    the radar found none.
    """

    name: str
    content: dict[str, Any]
    count: int


def read_vectors(message: Message, latitude_deg: float, longitude_deg: float) -> Document:
    """The document of a vector product; the position is that of the antenna.

    Raises `VolumeError`, which names the file, where the message is none of `VECTOR_CODES` or a packet of
    it is damaged. A text table that cannot be read costs its attributes alone.
    """
    read = _READERS.get(message.code)
    if read is None:
        raise VolumeError(f"{message.file_name}: message {message.code} is no vector product")
    try:
        content, count = read(message, Antenna(latitude_deg, longitude_deg))
    except FormatError as error:
        raise VolumeError(f"{message.file_name}: {error}") from error
    if count > MAX_COUNT:
        raise VolumeError(
            f"{message.file_name}: claims {count} {VECTOR_CODES[message.code]}, more than {MAX_COUNT}"
        )
    return Document(VECTOR_CODES[message.code], content, count)


def _about(message: Message, units: Mapping[str, str]) -> dict[str, Any]:
    return description(message, VECTOR_CODES[message.code], units)


def _storms(message: Message, antenna: Antenna) -> tuple[dict[str, Any], int]:
    features, count = cells.read_cells(message, antenna)
    about = {**_about(message, cells.UNITS), **cells.mean_motion(message)}
    return collection(about, features), count


def _mesocyclones(message: Message, antenna: Antenna) -> tuple[dict[str, Any], int]:
    features, count = mesocyclones.read_circulations(message, antenna)
    about = {**_about(message, mesocyclones.UNITS), **mesocyclones.overview(message)}
    return collection(about, features), count


def _hail(message: Message, antenna: Antenna) -> tuple[dict[str, Any], int]:
    features, count = hail.read_hail(message, antenna)
    about = {**_about(message, hail.UNITS), **hail.temperature_levels(message)}
    return collection(about, features), count


def _tornadoes(message: Message, antenna: Antenna) -> tuple[dict[str, Any], int]:
    features, count = tornadoes.read_signatures(message, antenna)
    return collection(_about(message, tornadoes.UNITS), features), count


def _winds(message: Message, antenna: Antenna) -> tuple[dict[str, Any], int]:
    levels = wind.read_levels(message)
    position = {"latitude": antenna.latitude_deg, "longitude": antenna.longitude_deg}
    about = {**_about(message, wind.UNITS), "antenna": position}
    return {**about, "levels": levels, "history": wind.read_history(message)}, len(levels)


_READERS: Mapping[int, Callable[[Message, Antenna], tuple[dict[str, Any], int]]] = {
    48: _winds,
    58: _storms,
    59: _hail,
    61: _tornadoes,
    141: _mesocyclones,
}
