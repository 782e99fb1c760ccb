"""What earlier runs of a model had, which shows what the next one is expected to have and what each field is.

- Steps: of each field (parameter, level, grid) its members and steps, by the hour of the run, since the runs of
  00 UTC may go further than those of 03 UTC. The last three runs of an hour that were seen whole count together: a
  step that was missing once does not stop being expected. What was wanted of them goes with it: of steps that nobody
  looked for, a run says nothing.
- Identity: the parameter numbers, statistical process, surfaces and intervals of each field, see
  `dwd_assets.fields.identity`.

What belongs here: these records, and learning from a run. What does not: what is made of them (`expected`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import msgspec

from dwd_assets.fields.identity import KnownField
from dwd_assets.formats.fields import FieldKey
from dwd_assets.selection import Hours, Selection, covers, parse_row
from store import cas, keys
from store.dwd.damaged import DamagedDocument
from store.kinds import learned
from store.objects import ObjectMissing, Store

RUNS_REMEMBERED = 3
"""Of each hour of the day, so many runs that were seen whole."""

Member = tuple[int | None, tuple[int, ...]]
"""A member (None of a deterministic run) and its steps in minutes, ascending."""

Pattern = tuple[Member, ...]


class Shape(msgspec.Struct, frozen=True):
    """Which members and steps the fields of a run had; by series, the index of its pattern: many have the same."""

    patterns: tuple[Pattern, ...] = ()
    series: dict[str, int] = {}


class SeenRun(msgspec.Struct, frozen=True):
    """A run that was seen whole, its shape by name, and the rows of the selection that was looked for.

    Without rows it is not known what was looked for, so that the run stands for no hours.
    """

    run: datetime
    shape: str
    rows: tuple[str, ...] = ()


@learned
class ModelHistory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was learned of a model.

    hours: by hour of the day (`"06"`), the runs that were seen whole, the latest last. shapes: those of these runs,
    by name. fields: by series, what a field of it is.
    """

    model: str
    hours: dict[str, tuple[SeenRun, ...]] = {}
    shapes: dict[str, Shape] = {}
    fields: dict[str, KnownField] = {}


def series_of(key: FieldKey) -> str:
    """The name of a field apart from run, step and member."""
    level = "" if key.level is None else str(key.level)
    return " ".join((key.parameter, key.level_type, level, key.grid, key.qualifiers)).rstrip()


def read_history(store: Store, model: str) -> ModelHistory:
    """What was learned of a model, nothing at first. Raises `StoreError`, `DamagedDocument` among them."""
    key = keys.model_history(model)
    try:
        return _decoded(store.get(key).data, model, key)
    except ObjectMissing:
        return ModelHistory(model)


def update_history(store: Store, model: str, change: Callable[[ModelHistory], ModelHistory]) -> ModelHistory:
    """Change what was learned, losing no other writer's change; returns it. Raises `StoreError`."""
    key = keys.model_history(model)
    result = ModelHistory(model)

    def encoded(before: bytes | None) -> bytes | None:
        nonlocal result
        known = ModelHistory(model) if before is None else _decoded(before, model, key)
        result = change(known)
        return None if result == known else msgspec.json.encode(result)

    cas.update(store, key, encoded)
    return result


def seen_whole(
    history: ModelHistory, run: datetime, fields: Iterable[FieldKey], selection: Selection
) -> ModelHistory:
    """The history after a run was seen whole with these fields, which are all that it has of the selection."""
    shape = _shape(fields)
    name = hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:16]
    hour = _hour(run)
    others = (each for each in history.hours.get(hour, ()) if each.run != run)
    seen = SeenRun(run, name, tuple(str(row) for row in selection.rows))
    latest = sorted((*others, seen), key=lambda each: each.run)[-RUNS_REMEMBERED:]
    hours = {**history.hours, hour: tuple(latest)}
    used = {each.shape for runs in hours.values() for each in runs}
    shapes = {key: each for key, each in {**history.shapes, name: shape}.items() if key in used}
    return msgspec.structs.replace(history, hours=hours, shapes=shapes)


@dataclass(frozen=True, slots=True)
class RunHistory:
    """What earlier runs say of one run: the steps of the same hour of the day, and of other hours."""

    history: ModelHistory
    run: datetime
    _merged: dict[tuple[str, ...], Pattern] = field(default_factory=dict)
    _hours: dict[tuple[tuple[str, ...], str], Hours] = field(default_factory=dict)
    """What was looked for, by the rows and the series: many runs have the same rows."""

    def was_seen_whole(self, wanted: Iterable[tuple[FieldKey, Hours]]) -> bool:
        """Whether this run itself was seen whole before, when these hours of these series were looked for."""
        rows = next((each.rows for each in self._same_hour if each.run == self.run), None)
        return rows is not None and all(
            covers(self._looked_for(rows, series_of(key), key), hours) for key, hours in wanted
        )

    def pattern(self, key: FieldKey) -> Pattern | None:
        """Members and steps that a series had in the last runs of the same hour; None if none of them had it."""
        return self._of(series_of(key), self._same_hour)

    def knows(self, key: FieldKey, selection: Selection) -> bool:
        """Whether `pattern` has all wanted steps of a series: one of these runs was looked through for them."""
        return self._knows(key, selection, self._same_hour)

    def elsewhere(self, key: FieldKey) -> Pattern | None:
        """Members and steps that a series had at any hour: what may be asked for where `pattern` does not have all."""
        return self._of(series_of(key), self._all_hours())

    def knows_elsewhere(self, key: FieldKey, selection: Selection) -> bool:
        """Whether some run of any hour was looked through for all steps of a series that are wanted."""
        return self._knows(key, selection, self._all_hours())

    def lacked(self, key: FieldKey, selection: Selection) -> bool:
        """Whether as many runs of the same hour as are remembered were looked through for a series in vain."""
        series, wanted, shapes = series_of(key), selection.hours_of(key), self.history.shapes
        return len(self._same_hour) == RUNS_REMEMBERED and all(
            series not in shapes[each.shape].series
            and covers(self._looked_for(each.rows, series, key), wanted)
            for each in self._same_hour
        )

    @property
    def _same_hour(self) -> tuple[SeenRun, ...]:
        return self.history.hours.get(_hour(self.run), ())

    def _all_hours(self) -> Iterator[SeenRun]:
        return (each for runs in self.history.hours.values() for each in runs)

    def _knows(self, key: FieldKey, selection: Selection, runs: Iterable[SeenRun]) -> bool:
        series, wanted = series_of(key), selection.hours_of(key)
        return any(
            series in self.history.shapes[each.shape].series
            and covers(self._looked_for(each.rows, series, key), wanted)
            for each in runs
        )

    def _looked_for(self, rows: tuple[str, ...], series: str, key: FieldKey) -> Hours:
        found = self._hours.get((rows, series))
        if found is None:
            found = self._hours[rows, series] = _selection(rows).hours_of(key)
        return found

    def _of(self, series: str, runs: Iterable[SeenRun]) -> Pattern | None:
        shapes = self.history.shapes
        names = sorted({each.shape for each in runs if series in shapes[each.shape].series})
        if not names:
            return None
        cached = tuple(f"{name} {shapes[name].series[series]}" for name in names)
        if cached not in self._merged:
            found = (shapes[name].patterns[shapes[name].series[series]] for name in names)
            self._merged[cached] = _pattern(
                (member, step) for pattern in found for member, steps in pattern for step in steps
            )
        return self._merged[cached]


@lru_cache(maxsize=64)
def _selection(rows: tuple[str, ...]) -> Selection:
    return Selection(tuple(parse_row(row) for row in rows))


def _hour(run: datetime) -> str:
    return f"{run:%H}"


def _shape(fields: Iterable[FieldKey]) -> Shape:
    steps = defaultdict[str, list[tuple[int | None, int]]](list)
    for key in fields:
        steps[series_of(key)].append((key.member, key.step_minutes))
    patterns: dict[Pattern, int] = {}
    series = {
        name: patterns.setdefault(_pattern(found), len(patterns)) for name, found in sorted(steps.items())
    }
    return Shape(tuple(patterns), series)


def _pattern(found: Iterable[tuple[int | None, int]]) -> Pattern:
    steps: Mapping[int | None, set[int]] = defaultdict(set)
    for member, step in found:
        steps[member].add(step)
    members = sorted(steps, key=lambda member: -1 if member is None else member)
    return tuple((member, tuple(sorted(steps[member]))) for member in members)


def _decoded(data: bytes, model: str, key: str) -> ModelHistory:
    try:
        found = msgspec.json.decode(data, type=ModelHistory)
        for rows in {each.rows for runs in found.hours.values() for each in runs}:
            _selection(rows)
    except ValueError as fault:  # of JSON, of its text, of a row
        empty = msgspec.json.encode(ModelHistory(model))
        raise DamagedDocument(f"is not a history of a model: {fault}", key, data, empty) from fault
    return found
