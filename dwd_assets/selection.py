"""Which fields of which models are archived: rows as `icon-d2/single,time-invariant/*`.

A row is `<model>/<level types>[:<levels>]/<parameters>[/<hours>]`:

- level types: one or more of those of `dwd_assets.formats.fields.LevelType`, with commas between them; `layer`,
  `wavelength` and `other` are fields below folders that no level stands for;
- levels: numbers as a `FieldKey` has them (hPa of pressure levels), with commas; all where none are named;
- parameters: names or shell patterns, with commas, in small letters;
- hours: `<first>-<last>` after the run, all where none are named.

What a field needs to be read goes with it: CLAT and CLON of the cells of ICON's triangles, HHL with model levels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import get_args

from dwd_assets.formats.checks import MODEL
from dwd_assets.formats.fields import FieldKey, LevelType

_PATTERN = re.compile(r"[a-z0-9_.*?\[\]!-]+", re.ASCII)
_MODEL = re.compile(MODEL, re.ASCII)
_LEVEL_TYPES = frozenset(get_args(LevelType))

_ALL_HOURS = (0, 999)
"""What a row without hours wants: as far as a row can name."""

POSITIONS = ("clat", "clon")
"""Where the cells of a grid of triangles are: without them a field on it cannot be put on a map."""

HEIGHTS = "hhl"
"""The heights of model levels."""


Hours = tuple[tuple[int, int], ...]
"""Intervals of hours after the run, each with its first and its last."""


@dataclass(frozen=True, slots=True)
class Row:
    """Fields of one model that are wanted; empty `levels` are all of them, `hours` the first and the last."""

    model: str
    level_types: frozenset[LevelType]
    levels: frozenset[int]
    parameters: tuple[str, ...]
    hours: tuple[int, int] | None = None

    def __str__(self) -> str:
        """The text of the row, see `parse_row`."""
        levels = ",".join(str(level) for level in sorted(self.levels))
        of_levels = ",".join(sorted(self.level_types)) + (f":{levels}" if levels else "")
        hours = () if self.hours is None else (f"{self.hours[0]}-{self.hours[1]}",)
        return "/".join((self.model, of_levels, ",".join(self.parameters), *hours))

    def takes_parameter(self, parameter: str) -> bool:
        """Whether fields of a parameter may be wanted."""
        return any(fnmatchcase(parameter, pattern) for pattern in self.parameters)

    def takes_series(self, key: FieldKey) -> bool:
        """Whether fields of a parameter and level are wanted, at whatever step."""
        return (
            key.model == self.model
            and key.level_type in self.level_types
            and (not self.levels or key.level is None or key.level in self.levels)
            and self.takes_parameter(key.parameter)
        )

    def takes(self, key: FieldKey) -> bool:
        """Whether a field is wanted; its run and member do not matter."""
        first, last = self.hours or _ALL_HOURS
        return first * 60 <= key.step_minutes <= last * 60 and self.takes_series(key)


@dataclass(frozen=True, slots=True)
class Selection:
    """All rows together: a field is wanted that any of them wants."""

    rows: tuple[Row, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are wanted, in the order of the rows."""
        return tuple(dict.fromkeys(row.model for row in self.rows))

    def of_model(self, model: str) -> Selection:
        """The rows of one model."""
        return Selection(tuple(row for row in self.rows if row.model == model))

    def with_needs(self) -> Selection:
        """The same rows, and what their fields need to be read."""
        needs = tuple(
            Row(model, frozenset({"time-invariant"}), frozenset(), self._needs(model))
            for model in self.models
        )
        return Selection((*self.rows, *(row for row in needs if row not in self.rows)))

    def takes_parameter(self, model: str, parameter: str) -> bool:
        """Whether fields of a model's parameter may be wanted."""
        return any(row.model == model and row.takes_parameter(parameter) for row in self.rows)

    def takes_level_type(self, model: str, level_type: LevelType) -> bool:
        """Whether fields of a type of level may be wanted."""
        return any(row.model == model and level_type in row.level_types for row in self.rows)

    def takes(self, key: FieldKey) -> bool:
        """Whether a field is wanted; its run and member do not matter."""
        return any(row.takes(key) for row in self.rows)

    def hours_of(self, key: FieldKey) -> Hours:
        """The hours that are wanted of a parameter and level, as intervals that do not touch, ascending."""
        found: list[tuple[int, int]] = []
        for first, last in sorted(row.hours or _ALL_HOURS for row in self.rows if row.takes_series(key)):
            if found and first <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], last)
            else:
                found.append((first, last))
        return tuple(found)

    def _needs(self, model: str) -> tuple[str, ...]:
        has_model_levels = any(row.model == model and "model" in row.level_types for row in self.rows)
        return (*POSITIONS, HEIGHTS) if has_model_levels else POSITIONS


def covers(hours: Hours, wanted: Hours) -> bool:
    """Whether each of the wanted intervals lies in one of the others."""
    return all(any(first <= begin and end <= last for first, last in hours) for begin, end in wanted)


def parse_row(text: str) -> Row:
    """The row that a text means. Raises `ValueError` that names the part."""
    parts = text.strip().lower().split("/")
    if len(parts) not in {3, 4} or not all(parts):
        raise ValueError(f"{text!r} is not <model>/<level types>[:<levels>]/<parameters>[/<hours>]")
    model, of_levels, parameters, *hours = parts
    if _MODEL.fullmatch(model) is None:
        raise ValueError(f"{text!r}: {model!r} is not a valid model")
    types, _, levels = of_levels.partition(":")
    patterns = tuple(parameters.split(","))
    if not all(_PATTERN.fullmatch(pattern) for pattern in patterns):
        raise ValueError(f"{text!r}: {parameters!r} are not valid parameters")
    return Row(model, _types(types, text), _levels(levels, text), patterns, _hours(hours, text))


def _types(types: str, text: str) -> frozenset[LevelType]:
    names = frozenset(types.split(","))
    if not names <= _LEVEL_TYPES:
        raise ValueError(
            f"{text!r}: {types!r} are not valid level types; choose from {', '.join(sorted(_LEVEL_TYPES))}"
        )
    return names  # type: ignore[return-value]  # checked just now


def _levels(levels: str, text: str) -> frozenset[int]:
    try:
        return frozenset(int(level) for level in levels.split(",")) if levels else frozenset()
    except ValueError as fault:
        raise ValueError(f"{text!r}: {levels!r} are not valid levels") from fault


def _hours(hours: list[str], text: str) -> tuple[int, int] | None:
    if not hours:
        return None
    match = re.fullmatch(r"(\d{1,3})-(\d{1,3})", hours[0], re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"{text!r}: {hours[0]!r} are not valid hours, e.g. 0-24")
    return int(match[1]), int(match[2])
