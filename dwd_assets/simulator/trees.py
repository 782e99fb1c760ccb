"""The two trees of a model: the old one by the hour of the run, and v1, which keeps the last eight runs."""

from __future__ import annotations

import bz2
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from dwd_assets.formats.fields import FieldKey, Grid
from dwd_assets.opendata.addresses import NWP, old_path, parse_old, parse_v1, v1_path
from dwd_assets.simulator.catalogue import Catalogue, Parameter
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.world import File, may_hold

KEPT_RUNS = 8
"""How many runs v1 has as a rule: with the first file of the next one, the oldest goes."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OldTree:
    """`/weather/nwp/<model>/grib/HH/`: each file stands until that of the same hour of the next day replaces it.

    From `until` on the tree is gone.
    """

    writer: FieldWriter
    until: datetime

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a path, if the run in its name is the one that is there."""
        key = parse_old(path)
        parameter = None if key is None else _parameter(self.writer, key)
        if key is None or parameter is None or at >= self.until or key.run.hour % self._run_hours:
            return None
        if key.grid not in parameter.grids or key.step_minutes not in _whole_hours(parameter):
            return None
        file = self._file(parameter, key.grid, key.step_minutes, key.run.hour, at)
        return file if file.path == path else None

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """All files below a prefix."""
        model = self.writer.catalogue.model
        if at >= self.until:
            return
        for hour in range(0, 24, self._run_hours):
            for parameter in self.writer.catalogue.parameters:
                if may_hold(f"{NWP}/{model}/grib/{hour:02d}/{parameter.name}/", prefix):
                    yield from self._of(parameter, hour, prefix, at)

    @property
    def _run_hours(self) -> int:
        return self.writer.catalogue.run_hours

    def _of(self, parameter: Parameter, hour: int, prefix: str, at: datetime) -> Iterator[File]:
        for grid in parameter.grids:
            for step in _whole_hours(parameter):
                file = self._file(parameter, grid, step, hour, at)
                if file.path.startswith(prefix):
                    yield file

    def _file(self, parameter: Parameter, grid: Grid, step: int, hour: int, at: datetime) -> File:
        """The newest file of a place in the tree."""
        delay = self.writer.catalogue.delay(parameter, step)
        run = (at - delay).replace(hour=hour, minute=0, second=0, microsecond=0)
        run -= _DAY if run + delay > at else timedelta(0)
        key = _key(self.writer, parameter, run, step, grid)
        return File(old_path(key), run + delay, partial(self._content, parameter, key))

    def _content(self, parameter: Parameter, key: FieldKey, revision: int) -> bytes:
        """All steps within the file's hour, one message each."""
        hour = range(key.step_minutes, key.step_minutes + 60)
        keys = (replace(key, step_minutes=step) for step in parameter.steps if step in hour)
        return bz2.compress(b"".join(self.writer.grib(each, "simple", revision) for each in keys))


@dataclass(frozen=True, slots=True)
class V1Tree:
    """`/weather/nwp/v1/m/<model>/`: one file a step, on the icosahedral grid, packed inside the GRIB."""

    writer: FieldWriter
    kept_runs: Callable[[datetime], int] = lambda _: KEPT_RUNS

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a path, if it is there yet and its run is still kept."""
        key = parse_v1(path)
        parameter = None if key is None else _parameter(self.writer, key)
        if key is None or parameter is None or key.member is not None:
            return None
        if key.run not in self._runs(at) or key.step_minutes not in parameter.steps:
            return None
        file = self._file(parameter, key.run, key.step_minutes)
        return file if file.modified <= at and file.path == path else None

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """All files below a prefix."""
        runs = self._runs(at)
        for parameter in self.writer.catalogue.parameters:
            first = self._file(parameter, runs[0], 0).path
            if may_hold(first.partition("/r/")[0] + "/r/", prefix):
                for run in runs:
                    of_run = self._file(parameter, run, 0).path
                    if may_hold(of_run.partition("/s/")[0] + "/s/", prefix):
                        yield from self._of(parameter, run, prefix, at)

    def _runs(self, at: datetime) -> tuple[datetime, ...]:
        newest = self.writer.catalogue.begun_run(at)
        between = timedelta(hours=self.writer.catalogue.run_hours)
        return tuple(newest - between * age for age in range(self.kept_runs(at)))

    def _of(self, parameter: Parameter, run: datetime, prefix: str, at: datetime) -> Iterator[File]:
        for step in parameter.steps:
            file = self._file(parameter, run, step)
            if file.modified <= at and file.path.startswith(prefix):
                yield file

    def _file(self, parameter: Parameter, run: datetime, step: int) -> File:
        key = _key(self.writer, parameter, run, step, "icosahedral")
        path = v1_path(key).replace("%3A", ":")
        modified = run + self.writer.catalogue.delay(parameter, step)
        return File(path, modified, partial(self.writer.grib, key, "ccsds"))


def other_parameter(catalogue: Catalogue, path: str) -> str | None:
    """The path of another parameter's field of the same run and step, in the same tree; None if there is none."""
    old = parse_old(path)
    key = old or parse_v1(path)
    if key is None:
        return None
    for each in catalogue.parameters:
        has_step = key.step_minutes in (each.steps if old is None else _whole_hours(each))
        is_alike = each.is_constant == (key.level_type == "time-invariant") and key.grid in (
            *each.grids,
            *_V1,
        )
        if each.name != key.parameter and has_step and is_alike and (old is None or key.grid in each.grids):
            found = replace(
                key,
                parameter=each.name,
                level_type=each.level_type,
                level=each.level,
                qualifiers=each.qualifiers,
            )
            return v1_path(found).replace("%3A", ":") if old is None else old_path(found)
    return None


_V1: tuple[Grid, ...] = ("icosahedral",)


def _whole_hours(parameter: Parameter) -> tuple[int, ...]:
    return tuple(step for step in parameter.steps if step % 60 == 0)


def _parameter(writer: FieldWriter, key: FieldKey) -> Parameter | None:
    """The entry of the catalogue that a key is of."""
    if key.model != writer.catalogue.model:
        return None
    wanted = (key.parameter, key.level_type, key.level, key.qualifiers)
    every = writer.catalogue.parameters
    return next(
        (each for each in every if (each.name, each.level_type, each.level, each.qualifiers) == wanted), None
    )


def _key(writer: FieldWriter, parameter: Parameter, run: datetime, step: int, grid: Grid) -> FieldKey:
    model = writer.catalogue.model
    return FieldKey(
        model,
        run,
        parameter.name,
        parameter.level_type,
        parameter.level,
        step,
        None,
        grid,
        parameter.qualifiers,
    )
