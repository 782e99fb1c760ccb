"""Which files of a run a cube is made of: the run, its parameters at their levels, of which members, on which grid.

What belongs here: finding that in ledgers, and saying what there is where something is not found. What does not:
what is in the files (`dwd_assets.cube.parts`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from dwd_assets.archive.positions import KeptFile
from dwd_assets.formats.checks import parse_run
from dwd_assets.formats.fields import FieldKey, Grid, LevelType
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.formats.spelling import nearest, parameter_name, parse_run_time
from store import keys
from store.dwd import ledger
from store.dwd.ledger import Ledger
from store.objects import Store

LATEST = "latest"
"""The run that stands for the newest complete one."""

LEVEL_TYPES: tuple[LevelType, ...] = get_args(LevelType)
GRIDS: tuple[Grid, ...] = get_args(Grid)

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a cube is to have; None is what the run has: its one type of level, all levels, all members, its grid."""

    parameters: tuple[str, ...]
    level_type: LevelType | None = None
    levels: tuple[int, ...] | None = None
    members: tuple[int, ...] | None = None
    grid: Grid | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """The files of one parameter of a run, at one type of level and on one grid.

    files: what is kept, by key. missing: what is expected and not kept. failed: of the missing, the reasons by path.
    """

    parameter: str
    level_type: LevelType
    grid: Grid
    files: Mapping[FieldKey, KeptFile]
    missing: Mapping[FieldKey, str]
    failed: Mapping[str, str]

    @property
    def is_constant(self) -> bool:
        """Whether it has no steps."""
        return self.level_type == "time-invariant"


def find_run(store: Store, model: str, run: str, now: datetime) -> Ledger:
    """The ledger of a run, in any spelling of its time or `latest`: the newest that is complete.

    Raises `ValueError`, naming the runs that there are, if there is none such; `StoreError`.
    """
    if run == LATEST:
        return _latest(store, model, now)
    period = parse_run_time(run)
    if period is None:
        raise ValueError(
            f"run={run!r} is not a whole hour in UTC, e.g. 2026113006 or 2026-11-30T06:00Z, nor {LATEST!r}"
        )
    known = ledger.read(store, model, period)
    if not known.kept and not known.missing:
        raise ValueError(f"the archive has no run {period} of {model}; {_runs_near(store, model, period)}")
    return known


def find_fields(known: Ledger, wanted: Wanted) -> tuple[Field, ...]:
    """The files of each parameter, all on one grid. Raises `ValueError`, naming what there is, if one has none such."""
    paths = _by_parameter(known)
    if not wanted.parameters:
        raise ValueError(f"parameter= is empty; {_run(known)} has {', '.join(sorted(paths)) or 'no fields'}")
    chosen = {}
    for name in dict.fromkeys(map(parameter_name, wanted.parameters)):
        if name not in paths:
            raise ValueError(f"{_run(known)} has no parameter {name!r}; {_alike(name, paths)}")
        fields = [key for path in paths[name] if isinstance(key := parse_archive_path(path), FieldKey)]
        chosen[name] = _narrowed(known, name, fields, wanted)
    grid = _grid(known, chosen, wanted)
    return tuple(
        _field(known, name, [key for key in fields if key.grid == grid]) for name, fields in chosen.items()
    )


def _latest(store: Store, model: str, now: datetime) -> Ledger:
    seen = []
    for period in reversed(_periods(store, model)):
        summary = ledger.read_summary(store, model, period)
        state = "no summary" if summary is None else summary.state(now)
        if state == "complete":
            return ledger.read(store, model, period)
        seen.append(f"{period} ({state})")
    if not seen:
        raise ValueError(f"the archive has no runs of {model!r}; {_alike(model, _models(store), 'models')}")
    newest = ", ".join(seen[:_SHOWN])
    raise ValueError(f"no run of {model} is complete; name one with run=, the newest are {newest}")


def _periods(store: Store, model: str) -> list[str]:
    names = (info.key.rpartition("/")[2] for info in store.list(keys.ledger_summaries_prefix(model)))
    return sorted(name.partition(".")[0] for name in names)


def _models(store: Store) -> set[str]:
    """The models that have ledgers; of other collections the periods are days, or issues of MOSMIX."""
    names = {
        info.key.removeprefix(keys.LEDGER_SUMMARIES).partition("/")[0]
        for info in store.list(keys.LEDGER_SUMMARIES)
    }
    return {name for name in names if name != "poi" and not name.startswith("mosmix-")}


def _runs_near(store: Store, model: str, period: str) -> str:
    periods = _periods(store, model)
    if not periods:
        return f"it has no runs of {model!r}; {_alike(model, _models(store), 'models')}"
    at = parse_run(period)
    runs = [each for each in map(parse_run, periods) if each is not None]
    close = sorted(runs, key=lambda each: abs(each - at)) if at is not None else runs
    return (
        f"the nearest are {', '.join(f'{each:%Y%m%d%H}' for each in close[:3])}, the newest is {periods[-1]}"
    )


def _run(known: Ledger) -> str:
    return f"{known.collection} {known.period}"


def _alike(name: str, known: Iterable[str], what: str = "parameters") -> str:
    """Names like one that is not known, else those that there are."""
    names = sorted(known)
    if close := nearest(name, names):
        return f"similar: {', '.join(close)}"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{what}: {', '.join(names[:_SHOWN]) or 'none'}{more}"


def _by_parameter(known: Ledger) -> dict[str, list[str]]:
    """Paths of what is kept or expected, by the folder of their parameter."""
    paths: dict[str, list[str]] = defaultdict(list)
    for path in (*known.kept, *known.missing):
        parts = path.split("/")
        if len(parts) == 6:
            paths[parts[4]].append(path)
    return paths


def _narrowed(known: Ledger, name: str, fields: Sequence[FieldKey], wanted: Wanted) -> list[FieldKey]:
    """The keys at the level type, levels and members that are wanted, on any grid."""
    level_type = _level_type(known, name, fields, wanted)
    here = [key for key in fields if key.level_type == level_type]
    if level_type == "time-invariant" and all(key.level is None for key in here):
        return here
    here = _of(here, "level", wanted.levels, f"{_run(known)}: {name} at {level_type} levels")
    return _of(here, "member", wanted.members, f"{_run(known)}: {name}")


def _level_type(known: Ledger, name: str, fields: Sequence[FieldKey], wanted: Wanted) -> LevelType:
    """The type of level: the one that is wanted, the only one, the one that has the levels, or `single`."""
    levels: dict[LevelType, set[int | None]] = defaultdict(set)
    for key in fields:
        levels[key.level_type].add(key.level)
    if len(levels) == 1 and "time-invariant" in levels:
        return "time-invariant"
    if wanted.level_type is not None:
        if wanted.level_type not in levels:
            raise ValueError(
                f"{_run(known)}: {name} has no level_type={wanted.level_type!r}; it has {', '.join(sorted(levels))}"
            )
        return wanted.level_type
    if len(levels) == 1:
        return next(iter(levels))
    fitting = [kind for kind, there in levels.items() if wanted.levels and there.issuperset(wanted.levels)]
    if len(fitting) == 1:
        return fitting[0]
    if "single" in levels and not wanted.levels:
        return "single"
    raise ValueError(
        f"{_run(known)}: {name} has several types of levels, name one: level_type={sorted(levels)}"
    )


def _of(fields: list[FieldKey], part: str, wanted: tuple[int, ...] | None, what: str) -> list[FieldKey]:
    """Those of wanted levels or members. Raises `ValueError` if one of these is not there."""
    there = {getattr(key, part) for key in fields}
    if wanted is None or there == {None}:
        if wanted and part == "level":
            raise ValueError(f"{what}: there is one level alone, without a number; leave out level=")
        return fields  # of files that hold all members, the messages name them
    absent = sorted(set(wanted) - there)
    if absent:
        numbers = ", ".join(map(str, sorted(each for each in there if each is not None)))
        raise ValueError(f"{what}: no {part} {', '.join(map(str, absent))}; there are {numbers}")
    return [key for key in fields if getattr(key, part) in wanted]


def _grid(known: Ledger, chosen: Mapping[str, Sequence[FieldKey]], wanted: Wanted) -> Grid:
    """The grid that is wanted, else the one that has more hours, the regular one if both have as many."""
    hours: dict[Grid, dict[str, set[FieldKey]]] = {grid: defaultdict(set) for grid in GRIDS}
    for name, fields in chosen.items():
        for key in fields:
            # A regular file has all steps of its hour, so that files cannot be compared.
            hour = replace(key, step_minutes=key.step_minutes // 60 * 60)
            hours[key.grid][name].update({hour} if archive_path(key) in known.kept else ())
    fitting = [grid for grid in GRIDS if hours[grid].keys() == chosen.keys()]
    if wanted.grid is not None and wanted.grid not in fitting:
        lacking = ", ".join(sorted(chosen.keys() - hours[wanted.grid].keys()))
        raise ValueError(
            f"{_run(known)}: {lacking} not on the {wanted.grid} grid; leave out grid= to take what is kept"
        )
    if not fitting:
        raise ValueError(
            f"{_run(known)}: no grid has all of {', '.join(chosen)}; open each grid's parameters apart"
        )
    if wanted.grid is not None:
        return wanted.grid
    kept = {grid: sum(len(each) for each in hours[grid].values()) for grid in fitting}
    return max(fitting, key=lambda grid: (kept[grid], grid == "regular"))


def _field(known: Ledger, name: str, fields: Sequence[FieldKey]) -> Field:
    files, missing, failed = {}, {}, {}
    for key in fields:
        path = archive_path(key)
        if path in known.kept:
            files[key] = KeptFile(path, known.kept[path])
        else:
            missing[key] = path
        if path in known.failed:
            failed[path] = known.failed[path].reason
    if not files:
        reasons = f" ({next(iter(failed.values()))})" if failed else ""
        raise ValueError(
            f"{_run(known)}: {name} is expected, and none of its {len(missing)} files is kept{reasons}"
        )
    return Field(name, fields[0].level_type, fields[0].grid, files, missing, failed)
