"""Days of DWD's server, played through the mechanism that the sensors use: an outage, and the end of the old tree.

What is kept in the end is also opened by other programs: `lz4`, `bzip2`, eccodes in a process of its own, a zip reader.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dwd_assets.archive.verifying import verify_period
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.periods.progress import Due
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.report_forms import ReportForm
from dwd_assets.simulator.server import OLD_TREE_ENDS, Plan, Simulator
from store.dwd import ledger
from store.posix import PosixStore
from tests.dwd_assets.fault_world import (
    CATALOGUE,
    NEW_RUN_TAKES,
    PLAN,
    Audit,
    Staff,
    Truth,
    check_days,
    expected_fields,
    new_office,
    served,
)

MORNING = datetime(2026, 9, 15, 6, 12, tzinfo=UTC)
TICK = timedelta(minutes=15)
PASS_TAKES = timedelta(seconds=40)
OUTAGE = timedelta(hours=20)

ECCODES = """
import json, sys
import eccodes
for line in sys.stdin:
    with open(line.strip(), "rb") as file:
        told = []
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            keys = {key: eccodes.codes_get(handle, key, int) for key in
                    ("dataDate", "dataTime", "startStep", "endStep", "numberOfDataPoints")}
            told.append(keys | {"values": len(eccodes.codes_get_values(handle))})
            eccodes.codes_release(handle)
    print(json.dumps(told), flush=True)
"""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@dataclass
class Play:
    """A server whose day goes by, and an archive that follows it: what was due, and what was worked on, in order."""

    simulator: Simulator
    staff: Staff
    store: PosixStore
    passes: list[tuple[datetime, Due]] = field(default_factory=list)
    refused: list[tuple[datetime, str, str]] = field(default_factory=list)
    seen: dict[tuple[datetime, str], tuple[Due, ...]] = field(default_factory=dict)
    """All that was due at a look, by its time and collection."""

    @property
    def now(self) -> datetime:
        return self.simulator.clock.now()

    def until(self, end: datetime) -> None:
        """Look for what is due, and make a pass over the first of it, as each collection's sensor does."""
        while self.now < end:
            self.simulator.clock.advance(TICK)
            for collection in self.staff.collections:
                try:
                    due = collection.due(self.staff.office, self.now, print)
                except OpendataError as fault:
                    self.refused.append((self.now, collection.name, str(fault)))
                    continue
                assert list(due) == sorted(due)
                if due:
                    self.seen[self.now, collection.name] = tuple(due)
                    self.passes.append((self.now, due[0]))
                    self.staff.make_pass(collection, due[0].period)
                    self.simulator.clock.advance(PASS_TAKES)

    def state(self, collection: str, period: str) -> str:
        return ledger.read(self.store, collection, period).state(self.now)

    def states(self, collection: str) -> dict[str, str]:
        """The state of each period that the ledger knows."""
        names = (info.key.rpartition("/")[2] for info in self.store.list(f"ledger/periods/{collection}/"))
        periods = [name.removesuffix(".json") for name in names]
        return {period: self.state(collection, period) for period in periods}

    def audit(self, never_came: Callable[[str], bool] = lambda path: False) -> Audit:
        """Everything in the store, by the tests' own audit and by the product's."""
        truth, settings = Truth(self.simulator), self.staff.office.settings
        found = Audit(self.store, truth, settings, never_came=never_came).go()
        assert found.faults == []
        for told in found.ledgers():
            assert verify_period(self.store, told.collection, told.period).faults == ()
        return found


@contextmanager
def playing(folder: Path, start: datetime, plan: Plan, **settings: object) -> Iterator[Play]:
    store = PosixStore(folder / "store")
    with Simulator(start, seed=11, plan=plan) as simulator:
        office = new_office(simulator.url, store, simulator.clock.now, **settings)
        try:
            yield Play(simulator, Staff(simulator, office), store)
        finally:
            office.close()


def asleep(play: Play) -> None:
    """The archive is down."""
    play.simulator.clock.advance(OUTAGE)


def cut_off(play: Play) -> None:
    """The server is away."""
    end = play.now + OUTAGE
    play.simulator.fail("*", Fault.UNAVAILABLE, until=end)
    play.until(end)
    refused = {name for _, name, told in play.refused if "503" in told}
    assert refused >= {
        "icon-d2",
        "poi",
    }  # in words where nothing is due; MOSMIX has the ledger of the issue say it
    issues = [ledger.read(play.store, "mosmix-l", period) for period in play.states("mosmix-l")]
    assert any("503" in fault.reason for issue in issues for fault in issue.failed.values())


@pytest.mark.parametrize("outage", [asleep, cut_off])
def test_after_an_outage_of_twenty_hours_all_that_the_server_had_is_complete(tmp_path, outage):
    with playing(tmp_path, MORNING, Plan(catalogue=CATALOGUE)) as play:
        play.until(MORNING + timedelta(hours=5))
        outage(play)
        back = play.now
        had = [
            (each, period)
            for each in play.staff.collections
            for period in served(each, back, PLAN, NEW_RUN_TAKES)
        ]
        play.until(back + timedelta(hours=6))
        found = play.audit()
        late = [
            (each, period)
            for each in play.staff.collections
            for period in served(each, play.now, PLAN, NEW_RUN_TAKES)
        ]
        wanted = {(each.name, period) for each, period in had + late if each.hours is not None}
        assert wanted <= found.complete
        assert ("poi", "20260915") in found.complete
        assert "lost" not in play.states("icon-d2").values()
        assert not ledger.read(play.store, "poi", "20260915").warnings
        check_days(play.store, caught_up(play))
        assert_oldest_first(play, back)
        agree_with_other_programs(play, tmp_path)


def caught_up(play: Play) -> Truth:
    truth = Truth(play.simulator)
    truth.follow()
    return truth


def assert_oldest_first(play: Play, back: datetime) -> None:
    """Of each collection, what the server had when it was back is worked on in the order in which it deletes it."""
    for collection in ("icon-d2", "mosmix-l"):
        rescued = [due.deadline for at, due in play.passes if at >= back and due.collection == collection]
        first = list(dict.fromkeys(rescued))
        assert len(first) >= 3
        assert first == sorted(first)


# A week in which everything changes

DAYS = 7 if os.environ.get("DWD_SOAK") else 3
WEEK_STARTS = OLD_TREE_ENDS - timedelta(days=DAYS - 1, minutes=18)


def test_a_week_with_every_change_ends_without_a_hole_and_the_most_endangered_run_was_always_first(tmp_path):
    """The end of the old tree, another grid, other columns of reports, and an outage of twenty hours.

    Three days in the suite, seven with `DWD_SOAK` set.
    """
    changes = ((WEEK_STARTS + timedelta(hours=16), "added"), (WEEK_STARTS + timedelta(hours=44), "unit"))
    plan = Plan(
        catalogue=CATALOGUE,
        new_grid_from=WEEK_STARTS + timedelta(hours=12),
        report_form=ReportForm(changes=changes),
    )
    with playing(tmp_path, WEEK_STARTS, plan) as play:
        play.until(WEEK_STARTS + timedelta(hours=22))
        had = whole(play, plan)
        asleep(play)
        back = play.now
        had |= whole(play, plan)
        while play.now < OLD_TREE_ENDS + timedelta(hours=23):
            play.until(play.now + timedelta(hours=6))
            had |= whole(play, plan)
        play.until(play.now + timedelta(hours=6))
        found = play.audit(lambda path: comes_at(path, plan) >= OLD_TREE_ENDS - HALF_AN_HOUR)
        assert had - found.complete == set()
        for collection in ("icon-d2", "mosmix-l", "poi"):
            states = play.states(collection)
            assert "lost" not in {
                state for period, state in states.items() if period >= f"{WEEK_STARTS:%Y%m%d}"
            }
        check_days(play.store, caught_up(play))
        assert_oldest_first(play, back)
        assert_first_is_most_endangered(play)
        grids = {kept.grid for told in found.ledgers() for kept in told.kept.values()} - {None}
        assert {grid.partition("-")[0] for grid in grids} == {"47", "99"}


def whole(play: Play, plan: Plan) -> set[tuple[str, str]]:
    """What the server has whole now, long enough to be known to be whole."""
    return {
        (each.name, period)
        for each in play.staff.collections
        if each.hours is not None
        for period in served(each, play.now, plan, NEW_RUN_TAKES)
    }


def assert_first_is_most_endangered(play: Play) -> None:
    """Of what was due at a look, the one that the server deletes first was worked on."""
    assert play.passes
    for at, due in play.passes:
        others = play.seen[at, due.collection]
        assert due.deadline == min(each.deadline for each in others)


# Other programs


def agree_with_other_programs(play: Play, folder: Path) -> None:
    """`lz4` and eccodes on every field, `bzip2` on what the server gave, a zip reader on every forecast."""
    copies = folder / "copies"
    shutil.copytree(play.store.root / "weather", copies)
    packed = sorted(copies.rglob("*.lz4"))
    assert len(packed) > 400
    ran("lz4", "-t", "-q", "-m", *packed)
    ran("lz4", "-d", "-q", "-m", "--rm", *packed)
    decoded_by_eccodes([path.with_suffix("") for path in packed], copies)
    forecasts = sorted(copies.rglob("*.kmz"))
    assert forecasts
    assert [path for path in forecasts if zipfile.ZipFile(path).testzip() is not None] == []
    given = list(bzip2_files(play, folder / "given"))
    assert given
    ran("bzip2", "-t", *given)
    ran("bzip2", "-d", *given)
    for path in given:
        plain = path.with_suffix("").read_bytes()
        (kept,) = copies.rglob(path.with_suffix("").name)
        assert kept.read_bytes() == plain


def ran(program: str, *arguments: str | Path) -> None:
    found = shutil.which(program)
    assert found is not None, f"{program}: not installed"
    subprocess.run([found, *arguments], check=True, timeout=60)


def decoded_by_eccodes(gribs: list[Path], root: Path) -> None:
    """Each GRIB has the run, the step and as many values as its path and the ledger say."""
    names = "".join(f"{path}\n" for path in gribs)
    done = subprocess.run(
        [sys.executable, "-c", ECCODES], input=names, capture_output=True, text=True, check=True, timeout=120
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(gribs)
    for path, line in zip(gribs, answers, strict=True):
        key = parse_archive_path(f"weather/{path.relative_to(root)}.lz4")
        assert isinstance(key, FieldKey)
        for message in json.loads(line):
            assert message["values"] == message["numberOfDataPoints"] == CATALOGUE.columns * CATALOGUE.rows
            if key.level_type != "time-invariant":
                assert message["dataDate"] == int(f"{key.run:%Y%m%d}")
                assert message["dataTime"] == key.run.hour * 100


def bzip2_files(play: Play, folder: Path) -> Iterator[Path]:
    """What the server has now in its old tree and the archive kept, as files."""
    folder.mkdir()
    kept = {info.key for info in play.store.list("weather/")}
    for file in play.simulator.world.files("/weather/nwp/icon-d2/grib/", play.now):
        name = file.path.rpartition("/")[2]
        key = file.path.split("/")[-2]
        run = name.split("_")[4] if "regular" in name else ""
        if f"weather/icon-d2/grib/{run}/{key}/{name.removesuffix('.bz2')}.lz4" in kept:
            (folder / name).write_bytes(play.simulator.world.content(file))
            yield folder / name


# The end of the old tree


@pytest.mark.parametrize("last", [timedelta(hours=2), timedelta(hours=5)])
def test_the_end_of_the_old_tree_leaves_no_hole(tmp_path, last):
    """Where files come until five hours after a run, half of the last run of the old tree never comes there."""
    start = OLD_TREE_ENDS - timedelta(hours=17, minutes=55)
    plan = Plan(catalogue=replace(CATALOGUE, last=last))
    with playing(tmp_path, start, plan, mosmix=(), reports=False) as play:
        play.until(OLD_TREE_ENDS + timedelta(hours=15))
        found = play.audit(lambda path: comes_at(path, plan) >= OLD_TREE_ENDS - HALF_AN_HOUR)
        whole = list(runs(start, play.now - last - HALF_AN_HOUR))
        assert {("icon-d2", f"{run:%Y%m%d%H}") for run in whole} <= found.complete
        for run in whole:
            check_run(play, run)
        assert "lost" not in play.states("icon-d2").values()
        halves = [run for run in whole if 0 < len(lacking(play, run)) < OLD_FILES]
        assert bool(halves) == (last > timedelta(hours=3))


OLD_FILES = 3 * 5 + 1

HALF_AN_HOUR = timedelta(minutes=30)
"""What comes so short before the tree ends may be missed."""


def runs(since: datetime, until: datetime) -> Iterator[datetime]:
    """The runs of which the first file comes after a time, and which begin before another."""
    run = since.replace(hour=since.hour - since.hour % 3, minute=0)
    while run <= until:
        yield run
        run += timedelta(hours=3)


def comes_at(path: str, plan: Plan) -> datetime:
    """When a field's file is on the server; those of the old tree that never come, after its end."""
    key = parse_archive_path(path)
    assert isinstance(key, FieldKey)
    if key.grid != "regular":
        return datetime.min.replace(tzinfo=UTC)
    (parameter,) = (each for each in plan.catalogue.parameters if each.name == key.parameter)
    return key.run + plan.catalogue.delay(parameter, key.step_minutes)


def check_run(play: Play, run: datetime) -> None:
    """All triangles are kept, and what the old tree had in time; what it had not is no loss, but told."""
    told = ledger.read(play.store, "icon-d2", f"{run:%Y%m%d%H}")
    assert told.missing == ()
    assert told.failed == {}
    never = lacking(play, run)
    assert [
        path for path in never if comes_at(path, play.simulator.plan) < OLD_TREE_ENDS - HALF_AN_HOUR
    ] == []
    gone = f"the old tree is gone: {len(never)} fields are kept on the icosahedral grid alone"
    assert told.warnings == ((gone,) if never else ())


def lacking(play: Play, run: datetime) -> set[str]:
    """The fields of a run that are not kept."""
    told = ledger.read(play.store, "icon-d2", f"{run:%Y%m%d%H}")
    return set(expected_fields(play.simulator, run, play.staff.office.settings)) - set(told.kept)
