"""Runs of ensembles, and of models whose steps are not known beforehand but listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.opendata.addresses import parse_v1, v1_path
from dwd_assets.selection import Selection, parse_row
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.server import Plan
from dwd_assets.simulator.trees import V1Tree
from dwd_assets.simulator.world import File
from store.dwd import ledger
from store.posix import PosixStore
from tests.dwd_assets.fields.model_world import CATALOGUE, V1_FILES, World, opened, remember

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
LONG_WHOLE = NOON + timedelta(hours=5, minutes=30)
FIELDS = ("icon-eu/single/*",)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model(name: str) -> Catalogue:
    return Catalogue(
        name,
        parameters=(
            Parameter("t_2m", steps=every(60, 2)),
            Parameter("tot_prec", steps=every(30, 2)),
            Parameter("u", "pressure", 850, every(60, 2)),
            constant("clat"),
            constant("clon"),
        ),
        columns=5,
        rows=4,
    )


def short(catalogue: Catalogue) -> Catalogue:
    """The same model, whose runs end after an hour."""
    parameters = (
        replace(each, steps=tuple(step for step in each.steps if step <= 60)) for each in catalogue.parameters
    )
    return replace(catalogue, parameters=tuple(parameters))


EU = model("icon-eu")
EU_FILES, SHORT_FILES = 3 + 5 + 2, 2 + 3 + 2


@dataclass(frozen=True)
class Members:
    """A v1 tree whose every file is there for each member."""

    tree: V1Tree
    members: tuple[int, ...]

    def find(self, path: str, at: datetime) -> File | None:
        key = parse_v1(path)
        if key is None or key.member not in self.members:
            return None
        alone = v1_path(replace(key, member=None)).replace("%3A", ":")
        file = self.tree.find(alone, at)
        return None if file is None else replace(file, path=path)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        for file in self.tree.files("/weather/nwp/v1/", at):
            for member in self.members:
                path = file.path.replace("/s/PT", f"/e/{member:02d}/s/PT")
                if path.startswith(prefix):
                    yield replace(file, path=path)


def give_members(world: World, catalogue: Catalogue, members: range) -> None:
    tree = Members(V1Tree(FieldWriter(3, catalogue)), tuple(members))
    world.simulator.world._trees = (tree,)


def test_an_ensemble_is_archived_by_member_with_the_positions_that_each_of_them_has(local_store):
    eps = model("icon-d2-eps")
    fields = ("icon-d2-eps/single,pressure/*/0-2",)
    with opened(local_store, LONG_WHOLE, catalogue=eps, fields=fields, is_new=True) as world:
        give_members(world, eps, range(1, 21))
        world.archive(NOON, "icon-d2-eps")
        assert world.state(NOON, "icon-d2-eps") == "complete"
        keys = [parse_archive_path(path) for path in world.ledger(NOON, "icon-d2-eps").kept]
        assert len(keys) == (3 + 5 + 3 + 1 + 1) * 20
        assert {key.member for key in keys} == set(range(1, 21))
        world.audit(NOON, "icon-d2-eps")


def test_of_a_new_archive_the_steps_are_those_that_the_server_lists_and_are_not_verified(local_store):
    with opened(local_store, ALL_THERE, fields=FIELDS, catalogue=EU, is_new=True) as world:
        world.archive(NOON, "icon-eu")
        told = world.ledger(NOON, "icon-eu")
        assert len(told.kept) == EU_FILES
        assert told.missing == ()
        assert world.state(NOON, "icon-eu") == "partial"
        assert [line for line in told.warnings if line.startswith("not verified: no run of 12 UTC")]


def test_nine_parameters_at_quarter_hours_are_whole_with_all_their_steps(local_store):
    names = ("tot_prec", "rain_gsp", "snow_gsp", "aswdir_s", "aswdifd_s", "cape_ml", "clct", "pmsl", "td_2m")
    nine = Catalogue(
        parameters=(
            *(Parameter(name, steps=every(15, 2)) for name in names),
            constant("clat"),
            constant("clon"),
        ),
        columns=3,
        rows=3,
    )
    with opened(local_store, LONG_WHOLE, catalogue=nine, fields=("icon-d2/single/*",), is_new=True) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == 9 * 9 + 2


def test_a_run_whose_hour_is_new_is_whole_when_nothing_came_for_three_hours(local_store):
    start = NOON + timedelta(minutes=70)
    with opened(local_store, start, catalogue=EU, fields=FIELDS, is_new=True) as world:
        states = []
        while world.now < NOON + timedelta(hours=5, minutes=30):
            if "2026091612" in world.due("icon-eu"):
                world.archive(NOON, "icon-eu")
            states.append(world.state(NOON, "icon-eu"))
            world.simulator.clock.advance(timedelta(minutes=20))
        assert states[-1] == "complete"
        assert "complete" not in states[:11]  # until 3 h after the last file, which came at 14:00
        told = world.ledger(NOON, "icon-eu")
        assert len(told.kept) == EU_FILES
        assert told.warnings == ()
        world.audit(NOON, "icon-eu")


def test_a_run_is_whole_when_it_has_what_the_same_hour_had_before_and_lists_nothing_else(local_store):
    with opened(local_store, LONG_WHOLE, catalogue=EU, fields=FIELDS, is_new=True) as world:
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=100))
        assert "2026091712" in world.due("icon-eu")
        world.archive(NOON + DAY, "icon-eu")
        assert world.state(NOON + DAY, "icon-eu") == "partial"
        assert len(world.ledger(NOON + DAY, "icon-eu").missing) > 0
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=135))
        assert "2026091712" in world.due("icon-eu")
        world.archive(NOON + DAY, "icon-eu")
        assert world.state(NOON + DAY, "icon-eu") == "complete"
        assert "2026091712" not in world.due("icon-eu")


def test_another_hour_says_nothing_of_how_far_a_run_goes(local_store):
    """As with ICON-EU, whose runs of 00 UTC go on where those of 03 UTC end: each is known by its own hour."""
    with opened(local_store, LONG_WHOLE, catalogue=EU, fields=FIELDS, is_new=True) as world:
        remember(local_store, short(EU), hours=(9,))
        world.archive(NOON, "icon-eu")
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES
        assert world.state(NOON, "icon-eu") == "complete"


def test_steps_that_are_new_are_listed_kept_and_expected_from_then_on(local_store):
    with opened(local_store, ALL_THERE, catalogue=EU, fields=FIELDS, is_new=True) as world:
        remember(local_store, short(EU))
        world.archive(NOON, "icon-eu")
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES, "the run's own listing adds"
        assert world.state(NOON, "icon-eu") == "complete"
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=100))
        world.archive(NOON + DAY, "icon-eu")
        told = world.ledger(NOON + DAY, "icon-eu")
        assert len(told.kept) + len(told.missing) == EU_FILES


def test_while_it_uploads_a_run_that_goes_further_than_before_is_not_taken_for_whole(local_store):
    """All that earlier runs had is there, and more comes every few minutes: nothing may call it complete."""
    long = replace(EU, parameters=(Parameter("t_2m", steps=every(15, 4)), *EU.parameters[-2:]))
    fields = ("icon-eu/single/*",)
    with opened(
        local_store, NOON + timedelta(minutes=44), catalogue=long, fields=fields, is_new=True
    ) as world:
        remember(local_store, short(long))
        while world.now < NOON + timedelta(hours=2, minutes=9):
            world.archive(NOON, "icon-eu")
            assert world.state(NOON, "icon-eu") != "complete"
            world.simulator.clock.advance(timedelta(minutes=3))
        world.simulator.clock.turn(ALL_THERE)
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == 17 + 2


def test_a_step_that_is_gone_is_expected_until_three_runs_are_without_it(local_store):
    with opened(local_store, LONG_WHOLE, catalogue=short(EU), fields=FIELDS, is_new=True) as world:
        remember(local_store, EU)
        states = []
        for number in range(5):
            run = NOON + number * DAY
            world.simulator.clock.turn(run + timedelta(hours=5, minutes=30))
            world.archive(run, "icon-eu")
            told = world.ledger(run, "icon-eu")
            states.append((len(told.missing), len(told.unseen), told.expects_more))
        gone = EU_FILES - SHORT_FILES
        assert states == [(gone, gone, False)] * 3 + [(0, 0, False)] * 2, "three runs are remembered"


def test_steps_that_are_gone_keep_back_none_of_those_after_them(local_store):
    """Of a parameter that earlier runs had each quarter of an hour, the server has the full hours left."""
    quarters = replace(
        CATALOGUE, parameters=(Parameter("t_2m", steps=every(15, 4)), *CATALOGUE.parameters[1:])
    )
    with opened(local_store, NOON + timedelta(minutes=45), is_new=True) as world:
        remember(local_store, quarters)
        world.follow(NOON, until=NOON + timedelta(hours=5, minutes=30))
        assert len(world.ledger(NOON).kept) == V1_FILES
        assert world.ledger(NOON).unseen == world.ledger(NOON).missing
        assert len(world.ledger(NOON).missing) == 12


def test_a_run_that_has_not_started_is_asked_for_by_few_listings(local_store):
    with opened(
        local_store,
        NOON + timedelta(minutes=5),
        catalogue=EU,
        fields=("icon-eu/single,pressure/*",),
        is_new=True,
    ) as world:
        world.archive(NOON - timedelta(hours=3), "icon-eu")
        done = world.archive(NOON, "icon-eu")
        assert done.requests <= 8
        assert world.state(NOON, "icon-eu") == "waiting"


def test_a_run_that_could_not_be_listed_is_not_taken_for_whole_and_says_so(local_store):
    with opened(local_store, LONG_WHOLE, catalogue=EU, fields=FIELDS, is_new=True) as world:
        world.archive(NOON - timedelta(hours=3), "icon-eu")
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.PAGE, times=4)
        done = world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "partial"
        assert any("not listed" in line and "/p/T_2M/r/" in line for line in done.faults)
        assert any("not read: not listed" in line for line in world.ledger(NOON, "icon-eu").warnings)
        world.simulator.heal()
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES
        assert world.ledger(NOON, "icon-eu").warnings == ()


def test_a_folder_that_lists_nothing_though_files_of_it_came_proves_nothing(local_store):
    """Of two servers one may be behind: what it does not list may be more than it lacks."""
    with opened(local_store, NOON + timedelta(hours=1), catalogue=EU, fields=FIELDS, is_new=True) as world:
        world.archive(NOON, "icon-eu")
        assert any("/t_2m/" in path for path in world.ledger(NOON, "icon-eu").kept)
        world.simulator.clock.turn(LONG_WHOLE)
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.NOT_FOUND)
        done = world.archive(NOON, "icon-eu")
        (line,) = done.faults
        assert line.startswith(
            "icon-eu: files that are kept are not listed in /weather/nwp/v1/m/icon-eu/p/T_2M/r/2026-09-16T12"
        )
        assert world.state(NOON, "icon-eu") == "partial"
        world.simulator.heal()
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES


@pytest.mark.parametrize("fault", [Fault.UNREADABLE_ROWS, Fault.NAMELESS_ROW])
def test_a_row_of_a_runs_listing_that_cannot_be_read_is_named(local_store, fault):
    """A time that cannot be read costs no file; a name may be that of a file that nobody expects."""
    with opened(local_store, LONG_WHOLE, catalogue=EU, fields=FIELDS, is_new=True) as world:
        world.archive(NOON - timedelta(hours=3), "icon-eu")
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", fault)
        done = world.archive(NOON, "icon-eu")
        assert done.faults
        assert all("/p/T_2M/r/2026-09-16T12" in line and ": row " in line for line in done.faults)
        named = [line for line in world.ledger(NOON, "icon-eu").warnings if line.startswith("not read: ")]
        assert len(named) == len(done.faults)
        is_all = fault is Fault.UNREADABLE_ROWS
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES
        assert (world.state(NOON, "icon-eu") == "complete") == is_all
        world.simulator.heal()
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == EU_FILES


@pytest.mark.parametrize("folder", ["*/p/T_2M/r/2026-09-16T12:00/s/", "*/v1/m/icon-d2/p/"])
def test_a_name_that_could_not_be_read_once_is_looked_for_again(local_store, folder):
    """A new archive knows of no other run that has that file, or that parameter."""
    with opened(local_store, LONG_WHOLE, is_new=True) as world:
        world.simulator.fail(folder, Fault.NAMELESS_ROW, times=1)
        done = world.archive(NOON)
        assert done.faults
        assert world.state(NOON) == "partial"
        world.simulator.clock.advance(timedelta(minutes=20))
        assert world.archive(NOON).faults == ()
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_candidates_that_came_show_that_a_folder_without_rows_is_behind(local_store):
    """Only another hour is known: what it had is asked for, and what is not there yet is not in the folder either."""
    with opened(local_store, LONG_WHOLE - timedelta(hours=3), is_new=True) as world:
        world.archive(NOON - timedelta(hours=3))
        assert world.state(NOON - timedelta(hours=3)) == "complete"
        world.simulator.clock.turn(LONG_WHOLE)
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.NOT_FOUND)
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/PT00[34]*", Fault.NOT_FOUND)
        done = world.archive(NOON)
        assert any("are not listed in" in line for line in done.faults)
        assert world.state(NOON) == "partial"
        world.simulator.heal()
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_hours_that_are_added_to_the_selection_are_looked_for_in_a_run_that_was_complete(local_store):
    fewer = ("icon-d2/single,time-invariant/*/0-2",)
    with opened(local_store, LONG_WHOLE, fields=fewer, is_new=True) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
    with opened(local_store, LONG_WHOLE, is_new=True) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_hours_that_move_to_another_parameter_are_looked_for(local_store):
    """The same rows of hours, of other parameters: what was looked for is another thing."""
    first = ("icon-d2/single/*/0-2", "icon-d2/single/t_2m/0-4")
    then = ("icon-d2/single/*/0-2", "icon-d2/single/td_2m/0-4")
    for fields, longer in ((first, "t_2m"), (then, "td_2m")):
        with opened(local_store, LONG_WHOLE, fields=fields, is_new=True) as world:
            world.archive(NOON)
            assert world.state(NOON) == "complete"
            kept = [path for path in world.ledger(NOON).kept if f"/{longer}/" in path.lower()]
            assert len(kept) == 5
    with opened(local_store, NOON + DAY + timedelta(minutes=93), fields=then, is_new=True) as world:
        world.archive(NOON + DAY)
        assert world.state(NOON + DAY) != "complete"


def test_of_a_damaged_ledger_the_hours_that_were_not_looked_for_are(local_store):
    fewer = ("icon-d2/single,time-invariant/*/0-2",)
    with opened(local_store, LONG_WHOLE, fields=fewer, is_new=True) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
    with opened(local_store, LONG_WHOLE, is_new=True) as world:
        ledger.update(
            local_store,
            "icon-d2",
            "2026091612",
            lambda known: msgspec.structs.replace(known, listed_at=None, listed_series="", listings=0),
        )
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_a_person_may_ask_for_more_hours_than_are_selected(local_store):
    fewer = ("icon-d2/single,time-invariant/*/0-2",)
    with opened(local_store, LONG_WHOLE, fields=fewer, is_new=True) as world:
        world.archive(NOON)
        more = Selection((parse_row("icon-d2/single/t_2m/0-4"),))
        assert world.archive(NOON, wanted=more).fetched == 2
        assert world.state(NOON) == "complete"


def test_levels_that_no_row_wants_keep_no_run_from_being_known(local_store):
    """Another row wants the type of level, and another one the parameter."""
    fields = ("icon-d2/pressure:500/u", "icon-d2/single/t_2m")
    with opened(local_store, LONG_WHOLE, fields=fields, is_new=True) as world:
        world.archive(NOON)
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=135))
        world.archive(NOON + DAY)
        assert world.ledger(NOON + DAY).warnings == ()
        assert world.state(NOON + DAY) == "complete"
        assert not [path for path in world.asked() if "/lv1/85000/" in path and "/s/" in path]


@pytest.mark.parametrize("hours", [14, 20, 23])
def test_a_row_that_could_not_be_read_once_costs_no_file_that_nobody_expects(local_store, hours):
    """The run was complete but for that row; whether more is there is looked for while the server has the run."""
    longer = replace(CATALOGUE, parameters=(Parameter("t_2m", steps=every(60, 5)), *CATALOGUE.parameters[1:]))
    plan = Plan(catalogue=longer, lag=timedelta(minutes=2))
    fields = ("icon-d2/single,time-invariant/*",)
    with opened(local_store, NOON + timedelta(minutes=110), plan=plan, fields=fields, is_new=True) as world:
        remember(local_store, CATALOGUE)
        world.archive(NOON)
        assert len(world.ledger(NOON).kept) == V1_FILES
        assert world.ledger(NOON).missing == ()
        world.simulator.clock.turn(NOON + timedelta(hours=hours))
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.NAMELESS_ROW, times=1)
        world.follow(NOON, until=NOON + timedelta(hours=26))
        assert world.state(NOON) == "complete"
        assert len([path for path in world.ledger(NOON).kept if "/t_2m/" in path.lower()]) == 6


@pytest.mark.parametrize("fault", [Fault.NAMELESS_ROW, Fault.PAGE])
def test_a_listing_after_the_server_deleted_the_run_proves_nothing(local_store, fault):
    with opened(local_store, NOON + timedelta(hours=22), is_new=True) as world:
        remember(local_store, CATALOGUE)
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", fault, until=NOON + timedelta(hours=25))
        while world.now < NOON + timedelta(hours=28):
            world.archive(NOON)
            world.simulator.clock.advance(timedelta(minutes=20))
        assert world.state(NOON) not in {"complete", "unseen"}


def test_what_was_learned_of_fewer_hours_does_not_stand_for_more(local_store):
    """All that the earlier hours had is there, and a pause follows: nobody has looked how far such runs go."""
    start = NOON + timedelta(minutes=44)
    with opened(local_store, start, catalogue=EU, fields=FIELDS, is_new=True) as world:
        remember(local_store, EU, steps="0-1")
        states = []
        while world.now < NOON + timedelta(hours=5, minutes=30):
            world.archive(NOON, "icon-eu")
            states.append((world.state(NOON, "icon-eu"), len(world.ledger(NOON, "icon-eu").kept)))
            world.simulator.clock.advance(timedelta(minutes=3))
        assert len([kept for _, kept in states if kept == SHORT_FILES]) > 4, "there was a pause"
        assert {kept for state, kept in states if state == "complete"} == {EU_FILES}
        assert states[-1][0] == "complete"
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=135))
        world.archive(NOON + DAY, "icon-eu")
        assert world.state(NOON + DAY, "icon-eu") == "complete", "by then they are known"


def test_steps_that_earlier_runs_had_are_expected_though_more_hours_are_wanted(local_store):
    with opened(local_store, LONG_WHOLE, catalogue=short(EU), fields=FIELDS, is_new=True) as world:
        remember(local_store, EU, steps="0-2")
        world.archive(NOON, "icon-eu")
        told = world.ledger(NOON, "icon-eu")
        assert len(told.missing) == EU_FILES - SHORT_FILES
        assert [line for line in told.warnings if line.startswith("not verified: ")] == []


def test_fewer_hours_than_were_learned_are_known(local_store):
    fewer = ("icon-eu/single/*/0-1",)
    with opened(local_store, ALL_THERE, catalogue=EU, fields=fewer, is_new=True) as world:
        remember(local_store, EU)
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == SHORT_FILES


def test_a_parameter_that_a_person_asks_for_is_listed_at_once(local_store):
    with opened(local_store, NOON + timedelta(hours=3, minutes=10), is_new=True) as world:
        only = Selection((parse_row("icon-d2/single/t_2m"),))
        assert world.archive(NOON, wanted=only).fetched > 0
        world.simulator.clock.advance(timedelta(minutes=5))
        other = Selection((parse_row("icon-d2/single/vmax_10m"),))
        assert world.archive(NOON, wanted=other).fetched == 5


WHOLE = Catalogue(
    parameters=(
        *(Parameter(name, steps=every(60, 48)) for name in ("t_2m", "td_2m", "pmsl", "clct")),
        *(Parameter(name, steps=every(15, 48)) for name in ("tot_prec", "rain_gsp", "cape_ml")),
        constant("hsurf"),
        constant("clat"),
        constant("clon"),
    ),
    columns=3,
    rows=3,
)
"""ICON-D2's steps on a small grid."""
WHOLE_FILES = 4 * 49 + 3 * 193 + 2


def test_over_all_passes_of_a_run_listings_are_a_tenth_of_its_files_at_most(local_store):
    """A whole run of ICON-D2's steps that is followed while it appears, the very first one of an archive too."""
    for is_new in (True, False):
        start = NOON + is_new * 2 * DAY + timedelta(minutes=45)
        run = start.replace(minute=0)
        with opened(
            local_store, start, catalogue=WHOLE, fields=("icon-d2/single/*",), is_new=is_new
        ) as world:
            while world.now < run + timedelta(hours=5, minutes=30):
                if f"{run:%Y%m%d%H}" in world.due():
                    world.archive(run)
                world.simulator.clock.advance(timedelta(minutes=5))
            told = world.ledger(run)
            assert world.state(run) == "complete"
            assert len(told.kept) == WHOLE_FILES
            listings = [each for each in world.simulator.requests if each.path.endswith("/")]
            of_run = [each for each in listings if f"{run:%Y-%m-%dT%H}" in each.path]
            assert 0 < len(of_run) <= 0.1 * len(told.kept)
            assert len(listings) <= 0.1 * len(told.kept)


MORE = replace(WHOLE, parameters=(Parameter("t_2m", steps=(*every(60, 48), 2850)), *WHOLE.parameters[1:]))
"""As if earlier runs had had one more step of T_2M."""


@pytest.mark.parametrize(
    ("learned", "steps"),
    [(WHOLE, None), (MORE, None), (None, None), (WHOLE, "0-24")],
    ids=["known", "an expected step never comes", "new archive", "more hours than earlier"],
)
def test_a_folder_that_is_unreadable_for_as_long_as_the_run_is_there_costs_few_listings(
    local_store, learned, steps
):
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=WHOLE, fields=("icon-d2/single/*",), is_new=True
    ) as world:
        if learned is not None:
            remember(local_store, learned, steps=steps)
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.PAGE)
        world.follow(NOON, until=NOON + timedelta(hours=27))
        assert world.state(NOON) == "partial"
        listings = [each for each in world.simulator.requests if each.path.endswith("/")]
        assert len(listings) <= 0.1 * len(world.ledger(NOON).kept)


@pytest.mark.parametrize(
    ("dropped", "count"),
    [
        ("T_2M/r/2026-09-16T12:00/s/PT005H00M", 1),
        ("T_2M/r/2026-09-16T12:00/s/PT01[3-6]H00M", 4),
        ("*/r/2026-09-16T12:00/s/PT005H", 4 + 3 * 4),
        ("*/r/2026-09-16T12:00/s/PT000H00M", 4 + 3 + 2),
    ],
    ids=["a step", "several steps", "an hour of all parameters", "the first step of all parameters"],
)
def test_steps_that_the_server_dropped_cost_no_other_step_though_nothing_can_be_listed(
    local_store, dropped, count
):
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=WHOLE, fields=("icon-d2/single/*",)
    ) as world:
        world.simulator.fail(f"*/p/{dropped}*", Fault.NOT_FOUND)
        world.simulator.fail("*/r/2026-09-16T12:00/s/", Fault.PAGE)
        world.follow(NOON, until=NOON + timedelta(hours=23))
        assert len(world.ledger(NOON).missing) == count
        assert len(world.ledger(NOON).kept) == WHOLE_FILES - count
        assert world.state(NOON) == "partial"


@pytest.mark.parametrize("fault", [Fault.NAMELESS_ROW, Fault.PAGE])
def test_a_folder_that_stays_unreadable_is_not_listed_for_ever(local_store, fault):
    """Until the server deletes the run it is partial; what could be listed is not listed again."""
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=WHOLE, fields=("icon-d2/single/*",)
    ) as world:
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", fault)
        world.follow(NOON, until=NOON + timedelta(hours=23))
        assert world.state(NOON) == "partial"
        assert len(world.ledger(NOON).kept) == WHOLE_FILES
        listings = [each for each in world.simulator.requests if each.path.endswith("/")]
        of_run = [each.path for each in listings if "2026-09-16T12" in each.path]
        assert len(of_run) <= 0.1 * WHOLE_FILES
        assert max(of_run.count(path) for path in set(of_run) if "/T_2M/" not in path) == 1
        world.simulator.heal()
        while world.state(NOON) != "complete":
            assert world.now < NOON + timedelta(hours=24), "there is a turn before the server deletes it"
            if "2026091612" in world.due():
                world.archive(NOON)
            world.simulator.clock.advance(timedelta(minutes=5))


def test_a_command_alone_and_passes_that_follow_the_run_agree(tmp_path):
    """Nine parameters of quarter hours: what one pass finds by itself is what was found bit by bit."""
    quarters = ("tot_prec", "rain_gsp", "snow_gsp", "cape_ml", "aswdir_s", "aswdifd_s")
    catalogue = Catalogue(
        parameters=(
            Parameter("t_2m", steps=every(60, 3)),
            *(Parameter(name, steps=every(15, 3)) for name in quarters),
            constant("clat"),
            constant("clon"),
        ),
        columns=3,
        rows=3,
    )
    kept = []
    for start, ticks in ((NOON + timedelta(minutes=45), 60), (LONG_WHOLE, 1)):
        store = PosixStore(tmp_path / str(ticks))
        with opened(store, start, catalogue=catalogue, fields=("icon-d2/single/*",), is_new=True) as world:
            for _ in range(ticks):
                world.archive(NOON)
                world.simulator.clock.advance(timedelta(minutes=5))
            assert world.state(NOON) == "complete"
            kept.append(set(world.ledger(NOON).kept))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 4 + 6 * 13 + 2
