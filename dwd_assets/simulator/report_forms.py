"""Ways in which report files may be written: other columns from a time on, and other text of the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from dwd_assets.simulator.report_columns import COLUMNS, NEW_COLUMN

HeaderChange = Literal["added", "removed", "renamed", "reordered", "unit"]
"""A column comes before all others; the visibility goes; the temperature has another name; all columns stand in the
opposite order; the temperature is in Kelvin.
"""

TEXT = "/////"
"""What stands in a number's place where `ReportForm.texts` says so."""

_TEMPERATURE = "dry_bulb_temperature_at_2_meter_above_ground"
_RENAMED = "air_temperature_at_2_meter_above_ground"
_REMOVED = "horizontal_visibility"
_KELVIN_TENTHS = 2732


@dataclass(frozen=True, slots=True)
class SimulatedColumn:
    """A column: English name, unit, German name; `drawn` is the name whose values it has, with `added_tenths`."""

    name: str
    unit: str
    german: str
    drawn: str
    added_tenths: int = 0


@dataclass(frozen=True, slots=True)
class ReportForm:
    """How report files are written.

    changes: changes of the header, each in the files that are written at its time or later. doubled: whether the newest
    row comes twice, with the same or with other values. texts: of so many cells, one is text while its row is the
    newest; 0 for none. The others change no value.
    """

    changes: tuple[tuple[datetime, HeaderChange], ...] = ()
    line_end: Literal["\n", "\r\n"] = "\n"
    has_byte_order_mark: bool = False
    has_trailing_separator: bool = False
    doubled: Literal["no", "same", "other"] = "no"
    texts: int = 0

    def columns(self, written: datetime) -> tuple[SimulatedColumn, ...]:
        """The columns of a file that is written at a time."""
        columns = tuple(SimulatedColumn(*column, column[0]) for column in COLUMNS)
        for since, change in self.changes:
            if written >= since:
                columns = _changed(columns, change)
        return columns

    def spelled(self, plain: bytes) -> bytes:
        """The bytes of a file, given those of a plain one."""
        header, rows = plain.splitlines()[:3], plain.splitlines()[3:]
        if self.doubled != "no":
            rows.insert(1, rows[0] if self.doubled == "same" else _other(rows[0]))
        end = (b";" if self.has_trailing_separator else b"") + self.line_end.encode()
        mark = b"\xef\xbb\xbf" if self.has_byte_order_mark else b""
        return mark + b"".join(line + end for line in (*header, *rows))


def _changed(columns: tuple[SimulatedColumn, ...], change: HeaderChange) -> tuple[SimulatedColumn, ...]:
    match change:
        case "added":
            return (SimulatedColumn(*NEW_COLUMN, NEW_COLUMN[0]), *columns)
        case "removed":
            return tuple(each for each in columns if each.drawn != _REMOVED)
        case "reordered":
            return columns[::-1]
        case "renamed":
            return tuple(_temperature(each, name=_RENAMED) for each in columns)
        case "unit":
            return tuple(_temperature(each, unit="K", added_tenths=_KELVIN_TENTHS) for each in columns)


def _temperature(column: SimulatedColumn, **changed: object) -> SimulatedColumn:
    """The same column, but for the temperature, which is changed."""
    return replace(column, **changed) if column.drawn == _TEMPERATURE else column  # type: ignore[arg-type]


def _other(row: bytes) -> bytes:
    """The row with another number in the place of its first one."""
    cells = row.split(b";")
    place = next(at for at, cell in enumerate(cells) if at > 1 and cell != b"---")
    return b";".join((*cells[:place], b"99", *cells[place + 1 :]))
