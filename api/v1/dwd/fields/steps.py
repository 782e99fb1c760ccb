"""Which files of a run hold a field: its parameter at one level, on one grid, step by step.

What belongs here: choosing among what a ledger lists. What does not: the values in the files (`values`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.replies.errors import NotFound
from api.v1.dwd.archive import LedgerView
from api.v1.dwd.known import unknown_parameter
from api.v1.dwd.runs import start_of
from dwd_assets.formats.fields import FieldKey, Grid, LevelType
from store.dwd.ledger import Kept

LEVELS_SHOWN = 40
STEPS_SHOWN = 60

_LATEST_MESSAGE = timedelta(minutes=59)
"""How long after its own step a file of the regular grid may have messages: it may hold quarters of an hour."""


@dataclass(frozen=True, slots=True)
class Level:
    """A type of level, and which; of a layer, a wavelength or another surface it is in the qualifiers."""

    level_type: LevelType
    level: int | None
    qualifiers: str = ""

    @staticmethod
    def of(key: FieldKey) -> Level:
        """That of a field."""
        return Level(key.level_type, key.level, key.qualifiers)

    def __str__(self) -> str:
        value = self.qualifiers if self.level is None else str(self.level)
        return f"{self.level_type} {value}".rstrip()


@dataclass(frozen=True, slots=True)
class FieldAsked:
    """A field as a request names it; what is None of level type, level and qualifiers is whatever there is."""

    model: str
    parameter: str
    level_type: LevelType | None = None
    level: int | None = None
    member: int | None = None
    qualifiers: str | None = None


@dataclass(frozen=True, slots=True)
class StepFile:
    """A file of a field: its path and step by its name, and what the ledger has of it; None if it is not kept."""

    path: str
    run: str
    key: FieldKey
    kept: Kept | None

    @property
    def valid_time(self) -> datetime:
        """The valid time of its first message (UTC)."""
        return start_of(self.run) + timedelta(minutes=self.key.step_minutes)

    def may_hold(self, first: datetime | None, last: datetime | None) -> bool:
        """Whether a message of it can be valid in a range: one of the regular grid may hold an hour."""
        end = self.valid_time + (_LATEST_MESSAGE if self.key.grid == "regular" else timedelta())
        is_early = first is not None and end < first
        return not is_early and (last is None or self.valid_time <= last)


@dataclass(frozen=True, slots=True)
class Steps:
    """The files of one field of one run on one grid, by step; `missing` are expected and not kept."""

    view: LedgerView
    level: Level
    grid: Grid
    files: tuple[StepFile, ...]
    missing: tuple[StepFile, ...]

    @property
    def run(self) -> str:
        """The run, `YYYYMMDDHH`."""
        return self.view.ledger.period

    def is_whole(self, now: datetime) -> bool:
        """Whether no step of the field is missing, and none will be added to what is expected."""
        ledger = self.view.ledger
        is_open = ledger.expects_more and (ledger.deadline is None or now < ledger.deadline)
        return not self.missing and not is_open

    def at(self, step: int | None) -> tuple[StepFile, ...]:
        """The files that can hold a step, all without one. Raises `NotFound` that names the steps there are."""
        if step is None:
            return self.files
        moment = start_of(self.run) + timedelta(minutes=step)
        found = tuple(file for file in self.files if file.may_hold(moment, moment))
        if not found:
            raise self.no_step(step)
        return found

    def no_step(self, step: int) -> NotFound:
        """The answer where no file holds a step."""
        if any(file.key.step_minutes == step for file in self.missing):
            return NotFound(f"step {step} of run {self.run} is expected and not kept")
        known = sorted({file.key.step_minutes for file in self.files})
        more = ", ..." if len(known) > STEPS_SHOWN else ""
        steps = ", ".join(map(str, known[:STEPS_SHOWN])) + more
        return NotFound(f"no step {step} (minutes) in run {self.run}; steps of its files: {steps}")


def steps_of(view: LedgerView, asked: FieldAsked, level: Level | None = None) -> Steps | None:
    """The files of a field on the grid that has more steps, the regular one if both have as many; None if no file.

    level: that of the files, in place of what is asked for.
    """
    there = levels(view, asked)
    level = _chosen(there, asked) if level is None else level
    if level not in there or level is None:
        return None
    grids: dict[Grid, list[StepFile]] = {"regular": [], "icosahedral": []}
    for file in _files(view, view.fields_of(asked.parameter), asked, level):
        grids[file.key.grid].append(file)
    grid: Grid = "regular" if len(grids["regular"]) >= len(grids["icosahedral"]) else "icosahedral"
    lost = _files(view, view.missing_fields_of(asked.parameter), asked, level)
    missing = _in_order(file for file in lost if file.key.grid == grid)
    return Steps(view, level, grid, _in_order(grids[grid]), missing)


def levels(view: LedgerView, asked: FieldAsked) -> set[Level]:
    """The levels that a run has of a parameter."""
    return {Level.of(key) for key in view.fields_of(asked.parameter).values() if key.member == asked.member}


def lacking(asked: FieldAsked, views: Collection[LedgerView]) -> NotFound:
    """The answer where none of some runs has the field: what it is that they do not have, and what they do."""
    found = {level for view in views for level in levels(view, asked)}
    if found:
        there = ", ".join(sorted(map(str, found))[:LEVELS_SHOWN])
        what = f"{asked.parameter} of {asked.model}"
        return NotFound(
            f"{what} is not kept at one such level; choose level_type and level (or qualifiers) from: {there}"
        )
    members = {key.member for view in views for key in view.fields_of(asked.parameter).values()}
    if members:
        numbers = sorted(member for member in members if member is not None)
        allowed = (
            f"choose member from: {', '.join(map(str, numbers[:LEVELS_SHOWN]))}" if numbers else "omit member"
        )
        named = "without a member" if asked.member is None else f"of member {asked.member}"
        return NotFound(f"no {asked.parameter} of {asked.model} {named}; {allowed}")
    if any(asked.parameter in view.parameters for view in views):
        return NotFound(f"{asked.parameter} of {asked.model} is expected and not kept")
    return unknown_parameter(asked.model, asked.parameter, views)


def _files(
    view: LedgerView, fields: Mapping[str, FieldKey], asked: FieldAsked, level: Level
) -> Iterator[StepFile]:
    return (
        StepFile(path, view.ledger.period, key, view.ledger.kept.get(path))
        for path, key in fields.items()
        if key.member == asked.member and Level.of(key) == level
    )


def _in_order(files: Iterable[StepFile]) -> tuple[StepFile, ...]:
    return tuple(sorted(files, key=lambda file: (file.key.step_minutes, file.path)))


def _chosen(found: set[Level], asked: FieldAsked) -> Level | None:
    """The level that is asked for, or the only one, or the single one; None if there is none, or several."""
    fitting = {
        each
        for each in found
        if asked.level_type in {None, each.level_type}
        and asked.level in {None, each.level}
        and asked.qualifiers in {None, each.qualifiers}
    }
    single = Level("single", None)
    if len(fitting) == 1:
        return fitting.pop()
    return single if single in fitting else None
