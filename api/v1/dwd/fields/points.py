"""ICON at a point: a parameter over all steps of a run, or at one of them, at the nearest grid point."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.replies.errors import Unavailable
from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.fields.cell import Place
from api.v1.dwd.fields.steps import FieldAsked, StepFile, Steps, lacking, steps_of
from api.v1.dwd.fields.values import FieldReader, Found, Value
from api.v1.dwd.known import ledger_of, periods
from api.v1.dwd.models import Attribution, PointSeries, PointStep, Position, UnreadableFile
from store.dwd.ledger import State

RUNS_LOOKED_AT = 8
"""Without `run`, so many of the newest runs are looked at."""


@dataclass(frozen=True, slots=True)
class PointAsked:
    """What is asked for; without a run, the newest that has all steps; step: in minutes, None for all."""

    field: FieldAsked
    place: Place
    run: str | None = None
    step: int | None = None


async def series(archive: Archive, reader: FieldReader, asked: PointAsked, now: datetime) -> PointSeries:
    """The series at a point. Raises `NotFound`, `Unavailable`."""
    steps = await _steps(archive, asked, now)
    found = await reader.read(asked.field.model, steps.at(asked.step), [asked.place])
    return _shown(asked, steps, found, now)


async def _steps(archive: Archive, asked: PointAsked, now: datetime) -> Steps:
    """Of the newest run that has all steps of the field so far as is known, else of the one that has most."""
    best: Steps | None = None
    views = await _views(archive, asked.field.model, asked.run)
    for view in views:
        steps = await asyncio.to_thread(steps_of, view, asked.field)
        if steps is None:
            continue
        if asked.run is not None or steps.is_whole(now):
            return steps
        if best is None or len(steps.files) > len(best.files):
            best = steps
    if best is None:
        raise lacking(asked.field, views)
    return best


async def _views(archive: Archive, model: str, run: str | None) -> list[LedgerView]:
    if run is not None:
        return [await ledger_of(archive, model, run)]
    newest = (await periods(archive, model))[:RUNS_LOOKED_AT]
    views = [await archive.ledger(model, entry.period) for entry in newest]
    return [view for view in views if view is not None]


def _shown(asked: PointAsked, steps: Steps, found: Sequence[Found], now: datetime) -> PointSeries:
    values = {value.lead_minutes: value for each in found for at in each.values for value in at}
    unreadable = [UnreadableFile(path=each.file.path, reason=each.fault) for each in found if each.fault]
    chosen = [values[lead] for lead in sorted(values) if asked.step in {None, lead}]
    if not chosen and unreadable:
        raise Unavailable("none of the files of this field can be read")
    if not chosen:
        raise steps.no_step(asked.step or 0)
    return _document(asked, steps, chosen, unreadable, now)


def _document(
    asked: PointAsked, steps: Steps, values: list[Value], unreadable: list[UnreadableFile], now: datetime
) -> PointSeries:
    first = values[0]
    state: State = steps.view.ledger.state(now)
    return PointSeries(
        model=asked.field.model,
        run=steps.run,
        reference_time=first.reference_time,
        run_state=state,
        parameter=asked.field.parameter,
        level_type=steps.level.level_type,
        level=steps.level.level,
        qualifiers=steps.level.qualifiers,
        member=asked.field.member,
        unit=first.unit,
        grid=steps.grid,
        requested=Position(latitude_deg=asked.place.lat_deg, longitude_deg=asked.place.lon_deg),
        position=position(first.cell.lat_deg, first.cell.lon_deg),
        distance_km=round(first.cell.distance_km, 3),
        steps=[
            PointStep(
                lead_minutes=value.lead_minutes,
                valid_time=first.reference_time + timedelta(minutes=value.lead_minutes),
                value=value.value,
            )
            for value in values
        ],
        missing_steps=len(steps.missing),
        unreadable=unreadable,
        attribution=attribution(steps.files),
    )


def position(lat_deg: float, lon_deg: float) -> Position:
    """A position as documents show it."""
    return Position(latitude_deg=round(lat_deg, 6), longitude_deg=round(lon_deg, 6))


def attribution(files: Iterable[StepFile]) -> Attribution:
    """Credit for values of these files, which says if some of them were made here."""
    made_here = any(file.kept is not None and file.kept.made_from for file in files)
    return Attribution(
        changed=False,
        changes="the value of the nearest grid point, unchanged"
        + ("; put on the regular grid from the nearest triangle" if made_here else ""),
    )
