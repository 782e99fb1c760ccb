"""The text tables of Level 3 products: columns of the display's pages, and fields of the tabular pages.

The tables are made for eyes and differ between the builds of the radar's software, so nothing here fails:
what cannot be read is None or missing, and costs no position. Source: ICD 2620001 (RPG/Class 1 User),
figure 3-6 for the blocks; the rows as real products print them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nexrad_assets.radar.level3.message import Message
from nexrad_assets.radar.level3.packets import FormatError, Packet
from nexrad_assets.radar.level3.symbols import Point, labels

KM_PER_NAUTICAL_MILE = 1.852

Number = int | float

_NUMBER = re.compile(r"-?[0-9]{1,5}(?:\.[0-9]{1,4})?")
_AROUND_SLASH = re.compile(r"\s*/\s*")
_AFTER_BOUND = re.compile(r"(?<=[<>])\s+")


@dataclass(frozen=True, slots=True)
class Bearing:
    """A position as the tables print it: whole degrees and whole nautical miles from the antenna."""

    azimuth_deg: Number
    range_nm: Number

    def distance_off(self, point: Point) -> float | None:
        """How far off a position is, in parts of what rounding explains; None where that is exceeded.

        Rounding explains half a degree and half a mile, and a quarter kilometre of the packet's own.
        """
        turn = (point.azimuth_deg - self.azimuth_deg + 180.0) % 360.0 - 180.0
        across_km = abs(turn) / 180.0 * 3.1416 * point.range_km
        along_km = abs(point.range_km - self.range_nm * KM_PER_NAUTICAL_MILE)
        across = across_km / (0.00873 * point.range_km + 0.25)
        along = along_km / (0.5 * KM_PER_NAUTICAL_MILE + 0.25)
        worse = max(across, along)
        return worse if worse <= 1.0 else None


def tokens(line: str) -> list[str]:
    """The fields of a line; `227/ 70` and `< 9` are one field each."""
    return _AFTER_BOUND.sub("", _AROUND_SLASH.sub("/", line)).split()


def number(text: str) -> Number | None:
    """A number without or with decimals, a leading `<` or `>` passed over; None for any other text."""
    digits = text.lstrip("<>")
    if not _NUMBER.fullmatch(digits):
        return None
    return float(digits) if "." in digits else int(digits)


def bound(text: str) -> str | None:
    """The `<` or `>` that a table prints where a value is only known to lie below or above the number."""
    return text[0] if text[:1] in ("<", ">") else None


def pair(text: str) -> tuple[Number, Number] | None:
    """Two numbers with a slash between them."""
    first, slash, second = text.partition("/")
    left, right = number(first), number(second)
    return (left, right) if slash and left is not None and right is not None else None


def bearing(text: str) -> Bearing | None:
    """A position of a table, `227/70`."""
    both = pair(text)
    return Bearing(*both) if both else None


def page_lines(page: tuple[Packet, ...]) -> list[str]:
    """The text lines of a page of the graphic alphanumeric block, from the top; none of a damaged page."""
    try:
        return [label.text for label in sorted(labels(page), key=lambda label: label.row)]
    except FormatError:
        return []


def page_row(lines: list[str], label: str, fields: int) -> list[list[str]]:
    """The columns of the row that begins with a label, each of a number of fields; none without it."""
    row = next((line.strip() for line in lines if line.strip().startswith(label)), label)
    found = tokens(row[len(label) :])
    return [found[at : at + fields] for at in range(0, len(found) - fields + 1, fields)]


def storm_columns(message: Message, rows: Mapping[str, int]) -> Iterator[dict[str, list[str]]]:
    """The storms of the graphic pages: fields by row label, the id under `STORM ID`.

    `rows` tells each label's number of fields. A row that has not one entry for each storm is left out.
    """
    for page in message.pages:
        lines = page_lines(page)
        idents = page_row(lines, "STORM ID", 1)
        entries = {label: page_row(lines, label, fields) for label, fields in rows.items()}
        whole = {label: columns for label, columns in entries.items() if len(columns) == len(idents)}
        for at, ident in enumerate(idents):
            yield {"STORM ID": ident, **{label: columns[at] for label, columns in whole.items()}}


def table_lines(message: Message) -> Iterator[str]:
    """Every line of the tabular block, page after page."""
    for page in message.tables:
        yield from page


def search(message: Message, pattern: re.Pattern[str]) -> tuple[str, ...] | None:
    """The groups of a pattern's first match in the tabular block; None where no line has it."""
    match = next(filter(None, map(pattern.search, table_lines(message))), None)
    return match.groups() if match else None


def motion(from_deg: Number, speed_kt: Number) -> dict[str, Number]:
    """The properties of a movement whose direction is the one it comes FROM, as the tables print it."""
    return {
        "motion_from_deg": from_deg,
        "motion_toward_deg": (from_deg + 180) % 360,
        "speed_kt": speed_kt,
    }


def present(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that have a value."""
    return {key: value for key, value in properties.items() if value is not None}
