"""ICON at points or stations over valid times: of one run, or for each valid time of the newest run that has it.

What belongs here: which files a series needs, and its document. What does not: the values in files (`values`)
and the same series as a table (`series_table`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.replies.errors import NotFound, Unavailable
from api.replies.problems import bad
from api.v1.dwd.archive import Archive, Entry, LedgerView
from api.v1.dwd.fields.cell import Place
from api.v1.dwd.fields.points import attribution
from api.v1.dwd.fields.steps import FieldAsked, StepFile, Steps, lacking, steps_of
from api.v1.dwd.fields.values import FieldReader, Found, Value
from api.v1.dwd.known import ledger_of, periods
from api.v1.dwd.models import FieldSeries, GridPoint, MissingStep, Position, SeriesPoint, SeriesTime
from api.v1.dwd.runs import start_of

MOST_STEPS = 400
"""Files that one request may need: valid times, each of one run."""

MOST_RUNS = 160
"""Runs that one request without `run` may need."""

EARLIER_RUNS = 8
"""Of the runs that start at or before the first valid time, so many of the newest are looked at."""

PLAN_S = 20.0
"""How long one request may read the ledgers of its runs."""

NOT_KEPT = "not kept"


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place with the name that it has in the answer: a station's id, or the number of a point from 1."""

    name: str
    place: Place
    station_name: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesAsked:
    """What is asked for. run: None for the newest run at each valid time. step: minutes, of one run alone.

    first, last: valid times (UTC), both included; None for whatever there is, `first` without a run: the newest run.
    """

    field: FieldAsked
    places: tuple[NamedPlace, ...]
    run: str | None = None
    step: int | None = None
    first: datetime | None = None
    last: datetime | None = None

    def takes(self, moment: datetime, lead_minutes: int) -> bool:
        """Whether a valid time at a step is asked for."""
        is_late_enough = self.first is None or moment >= self.first
        is_early_enough = self.last is None or moment <= self.last
        return is_late_enough and is_early_enough and self.step in {None, lead_minutes}


@dataclass(frozen=True, slots=True)
class Plan:
    """The files that a series needs, oldest run first, and those that it should have and that are not kept."""

    steps: Steps
    first: datetime | None
    files: tuple[StepFile, ...]
    missing: tuple[StepFile, ...]


async def series(archive: Archive, reader: FieldReader, asked: SeriesAsked) -> FieldSeries:
    """The series. Raises `NotFound`, `BadParameters` where it would need too many files, `Unavailable`."""
    plan = await _plan(archive, asked)
    if len(plan.files) > MOST_STEPS:
        raise bad(
            "start", f"{len(plan.files)} steps are asked for, at most {MOST_STEPS}: narrow start and end"
        )
    places = tuple(dict.fromkeys(each.place for each in asked.places))
    found = await reader.read(asked.field.model, plan.files, places)
    return _Assembly(asked, plan, places, found).document()


async def _plan(archive: Archive, asked: SeriesAsked) -> Plan:
    try:
        async with asyncio.timeout(PLAN_S):
            return await (_of_run(archive, asked, asked.run) if asked.run else _of_newest(archive, asked))
    except TimeoutError as fault:
        raise Unavailable(
            f"the ledgers of these runs were not read within {PLAN_S:g} s; ask again, or for a shorter range"
        ) from fault


async def _of_run(archive: Archive, asked: SeriesAsked, run: str) -> Plan:
    view = await ledger_of(archive, asked.field.model, run)
    steps = await asyncio.to_thread(steps_of, view, asked.field)
    if steps is None:
        raise lacking(asked.field, [view])
    files = _within(steps.at(asked.step), asked.first, asked.last)
    missing = tuple(file for file in steps.missing if asked.takes(file.valid_time, file.key.step_minutes))
    return Plan(steps, asked.first, _checked(files, steps, asked), missing)


async def _of_newest(archive: Archive, asked: SeriesAsked) -> Plan:
    """For each valid time the file of the newest run that has it; runs are looked at from the newest on."""
    entries = _started(await periods(archive, asked.field.model), asked)
    views: list[LedgerView] = []
    runs: list[Steps] = []
    first = asked.first
    earlier = 0
    for entry in entries:
        view = await archive.ledger(asked.field.model, entry.period)
        # The level of the newest run is that of all: without one in the request, another run could have another.
        level = runs[0].level if runs else None
        steps = None if view is None else await asyncio.to_thread(steps_of, view, asked.field, level)
        views += [] if view is None else [view]
        if steps is not None:
            runs.append(steps)
            first = first or start_of(steps.run)
        earlier += first is None or start_of(entry.period) <= first
        if earlier == EARLIER_RUNS:
            break
    if not runs:
        raise lacking(asked.field, views)
    return _newest(asked, runs, first)


def _started(entries: Sequence[Entry], asked: SeriesAsked) -> Sequence[Entry]:
    """The runs that start not after the last valid time. Raises `BadParameters` if too many start in the range."""
    started = [entry for entry in entries if asked.last is None or start_of(entry.period) <= asked.last]
    if not started:
        oldest = entries[-1].period
        raise NotFound(
            f"{asked.field.model} has no run before the end that is asked for; its oldest: {oldest}"
        )
    within = sum(asked.first is not None and start_of(entry.period) > asked.first for entry in started)
    if within > MOST_RUNS:
        raise bad("start", f"{within} runs start between start and end, at most {MOST_RUNS}: narrow them")
    return started


def _newest(asked: SeriesAsked, runs: Sequence[Steps], first: datetime | None) -> Plan:
    chosen: dict[datetime, StepFile] = {}
    lost: dict[datetime, StepFile] = {}
    for steps in runs:
        for file in _within(steps.files, first, asked.last):
            chosen.setdefault(file.valid_time, file)
        for file in steps.missing:
            if (first is None or file.valid_time >= first) and asked.takes(file.valid_time, 0):
                lost.setdefault(file.valid_time, file)
    files = sorted(chosen.values(), key=lambda file: (file.run, file.key.step_minutes))
    missing = tuple(lost[moment] for moment in sorted(lost) if moment not in chosen)
    return Plan(runs[0], first, _checked(files, runs[0], asked), missing)


def _within(files: Iterable[StepFile], first: datetime | None, last: datetime | None) -> list[StepFile]:
    return [file for file in files if file.may_hold(first, last)]


def _checked(files: Sequence[StepFile], steps: Steps, asked: SeriesAsked) -> tuple[StepFile, ...]:
    """The files. Raises `NotFound`, which says what there is, if there are none."""
    if not files:
        times = [file.valid_time for file in steps.files]
        raise NotFound(
            f"no {asked.field.parameter} of {asked.field.model} is kept between start and end; run {steps.run} has "
            f"valid times from {_utc(times[0])} to {_utc(times[-1])}"
        )
    return tuple(files)


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


class _Assembly:
    """Puts values in the order of their valid times; where several files have one, the newest run's holds."""

    def __init__(
        self, asked: SeriesAsked, plan: Plan, places: Sequence[Place], found: Sequence[Found]
    ) -> None:
        self._asked, self._plan, self._places = asked, plan, places
        self._faulty = [(each.file, each.fault) for each in found if each.fault is not None]
        self._times: dict[datetime, SeriesTime] = {}
        self._values: dict[datetime, tuple[Value, ...]] = {}
        self._files: dict[datetime, StepFile] = {}
        self._units = {value.unit for each in found for at in each.values for value in at}
        for each in found:  # from the oldest run on
            self._take(each)

    def document(self) -> FieldSeries:
        """The series. Raises `NotFound` if no message is of a time that is asked for, `Unavailable`."""
        self._check()
        asked, steps = self._asked, self._plan.steps
        order = sorted(self._times)
        return FieldSeries(
            model=asked.field.model,
            parameter=asked.field.parameter,
            level_type=steps.level.level_type,
            level=steps.level.level,
            qualifiers=steps.level.qualifiers,
            member=asked.field.member,
            unit=next(iter(self._units)),
            run=asked.run,
            times=[self._times[moment] for moment in order],
            points=[self._point(place, order) for place in asked.places],
            missing=self._missing(),
            attribution=attribution(self._files.values()),
        )

    def _check(self) -> None:
        if not self._times and self._faulty:
            raise Unavailable("none of the files of this field can be read")
        if not self._times and self._asked.step is not None:
            raise self._plan.steps.no_step(self._asked.step)
        if not self._times:
            raise NotFound("no file of this field has a value of a time between start and end")
        if len(self._units) != 1:
            units = ", ".join(sorted(map(str, self._units)))
            raise bad("start", f"files of this field have several units: {units}; narrow start and end")

    def _take(self, found: Found) -> None:
        start = start_of(found.file.run)
        for values in zip(*found.values, strict=True):
            lead = values[0].lead_minutes
            moment = start + timedelta(minutes=lead)
            is_in_range = self._plan.first is None or moment >= self._plan.first
            if is_in_range and self._asked.takes(moment, lead):
                self._times[moment] = SeriesTime(valid_time=moment, run=found.file.run, lead_minutes=lead)
                self._values[moment] = values
                self._files[moment] = found.file

    def _point(self, named: NamedPlace, order: Sequence[datetime]) -> SeriesPoint:
        index = self._places.index(named.place)
        return SeriesPoint(
            name=named.name,
            station_name=named.station_name,
            requested=Position(latitude_deg=named.place.lat_deg, longitude_deg=named.place.lon_deg),
            grid_points=self._grid_points(index, order),
            values=[self._values[moment][index].value for moment in order],
        )

    def _grid_points(self, index: int, order: Sequence[datetime]) -> list[GridPoint]:
        found: dict[tuple[str, float, float, float], dict[str, None]] = {}
        for moment in order:
            cell, file = self._values[moment][index].cell, self._files[moment]
            name = (file.key.grid, round(cell.lat_deg, 6), round(cell.lon_deg, 6), round(cell.distance_km, 3))
            found.setdefault(name, {})[file.run] = None
        return [
            GridPoint(
                grid="regular" if grid == "regular" else "icosahedral",
                latitude_deg=lat,
                longitude_deg=lon,
                distance_km=km,
                runs=sorted(runs),
            )
            for (grid, lat, lon, km), runs in found.items()
        ]

    def _missing(self) -> list[MissingStep]:
        lost = [(file, NOT_KEPT) for file in self._plan.missing] + self._faulty
        return [
            MissingStep(
                valid_time=file.valid_time,
                run=file.run,
                lead_minutes=file.key.step_minutes,
                path=file.path,
                reason=reason,
            )
            for file, reason in sorted(lost, key=lambda each: (each[0].valid_time, each[0].run))
            if file.valid_time not in self._times
        ]
