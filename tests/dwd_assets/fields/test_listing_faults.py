"""Listings of a run that show less than the server has: never enough to call a run complete, or a field unseen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.fields.model_runs import archive_run
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Plan
from tests.dwd_assets.fields.model_world import opened, remember
from tests.dwd_assets.fields.test_model_runs_listed import give_members, model

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
DEADLINE = NOON + timedelta(hours=24, minutes=44)
FIELDS = ("icon-d2/single/*",)
NAMES = ("aod_dust", "aswdifd_s", "aswdir_s", "cape_ml", "t_2m", "vmax_10m")
SIX = Catalogue(
    parameters=(*(Parameter(name) for name in NAMES), constant("clat"), constant("clon")), columns=3, rows=3
)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def without(catalogue: Catalogue, *names: str) -> Catalogue:
    return replace(
        catalogue, parameters=tuple(each for each in catalogue.parameters if each.name not in names)
    )


@pytest.mark.parametrize(
    "learned", [None, without(SIX, *NAMES[:3], "vmax_10m")], ids=["new archive", "new parameter"]
)
def test_folders_that_a_run_lacks_keep_none_of_the_others_from_being_listed(local_store, learned):
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=SIX, fields=FIELDS, is_new=True
    ) as world:
        if learned is not None:
            remember(local_store, learned)
        for name in NAMES[:3]:
            world.simulator.fail(f"*/p/{name.upper()}/r/2026-09-16T12:00/s/*", Fault.NOT_FOUND)
        world.follow(NOON, until=NOON + timedelta(hours=8))
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == 3 * 5 + 2


def test_folders_that_cannot_be_read_cost_no_file_of_the_others(local_store):
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=SIX, fields=FIELDS, is_new=True
    ) as world:
        for name in NAMES[:3]:
            world.simulator.fail(f"*/p/{name.upper()}/r/2026-09-16T12:00/s/", Fault.PAGE)
        world.follow(NOON, until=NOON + timedelta(hours=12))
        assert world.state(NOON) == "partial"
        assert len(world.ledger(NOON).kept) == 3 * 5 + 2


@pytest.mark.parametrize("is_new", [True, False])
def test_a_folder_that_was_read_only_when_the_run_was_deleted_proves_nothing(local_store, is_new):
    """Nobody looks from the afternoon until a quarter of an hour after the deadline."""
    with opened(local_store, NOON + timedelta(hours=1), catalogue=SIX, fields=FIELDS, is_new=is_new) as world:
        files = "" if is_new else "*"
        world.simulator.fail(f"*/p/T_2M/r/2026-09-16T12:00/s/{files}", Fault.PAGE, until=DEADLINE)
        world.follow(NOON, until=NOON + timedelta(hours=5, minutes=30))
        assert world.state(NOON) == "partial"
        world.simulator.clock.turn(DEADLINE + timedelta(minutes=15))
        world.follow(NOON, until=DEADLINE + timedelta(hours=3))
        assert len(world.ledger(NOON).kept) == 5 * 5 + 2
        assert world.state(NOON) == "lost"


def test_a_folder_that_was_read_only_while_the_run_was_deleted_proves_nothing(local_store):
    """What it shows is fetched; nobody knows what it had before. Half a run stands for one that is half deleted."""
    with opened(
        local_store, NOON + timedelta(minutes=75), catalogue=SIX, fields=FIELDS, is_new=True
    ) as world:
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.PAGE)
        world.archive(NOON)
        settled = replace(world.office, clock=lambda: NOON + timedelta(hours=5, minutes=30))
        archive_run(settled, "icon-d2", NOON, world.lines.append)
        assert not any("/t_2m/" in path for path in world.ledger(NOON).kept)
        world.simulator.heal()
        last = DEADLINE + timedelta(minutes=10)
        done = archive_run(replace(world.office, clock=lambda: last), "icon-d2", NOON, world.lines.append)
        assert 0 < done.fetched < 5
        assert done.summary.state(last) == "partial"
        assert any("may have been there" in line for line in done.faults)


@pytest.mark.parametrize("fault", [Fault.NOT_FOUND, Fault.PAGE])
def test_a_member_that_cannot_be_listed_costs_no_other_and_is_missed(local_store, fault):
    eps, name = model("icon-d2-eps"), "icon-d2-eps"
    fields = ("icon-d2-eps/single,pressure/*/0-2",)
    start = NOON + timedelta(hours=5, minutes=30)
    with opened(local_store, start, catalogue=eps, fields=fields, is_new=True) as world:
        give_members(world, eps, range(1, 6))
        world.simulator.fail("*/2026-09-16T12:00/e/03/s/", fault)
        world.archive(NOON, name)
        assert world.state(NOON, name) == "partial"
        assert len(world.ledger(NOON, name).kept) == (3 + 5 + 3 + 1 + 1) * 4
        world.simulator.heal()
        world.archive(NOON, name)
        assert world.state(NOON, name) == "complete"
        assert len(world.ledger(NOON, name).kept) == (3 + 5 + 3 + 1 + 1) * 5


def test_a_listing_that_lacks_some_of_what_is_kept_proves_nothing(local_store):
    """Earlier runs had four hours, this one has six; the folders are those of a server that is behind."""
    longer = Catalogue(
        parameters=(Parameter("t_2m", steps=every(60, 6)), constant("clat"), constant("clon")),
        columns=3,
        rows=3,
    )
    plan = Plan(catalogue=longer, lag=timedelta(minutes=70))
    with opened(
        local_store, NOON + timedelta(minutes=45), catalogue=longer, plan=plan, fields=FIELDS, is_new=True
    ) as world:
        remember(
            local_store,
            replace(longer, parameters=(Parameter("t_2m", steps=every(60, 4)), *longer.parameters[1:])),
        )
        world.simulator.fail("*/r/2026-09-16T12:00/s/", Fault.OUT_OF_STEP, until=NOON + timedelta(hours=8))
        while world.now < NOON + timedelta(hours=8):
            world.follow(NOON, until=world.now + timedelta(minutes=5))
            assert world.state(NOON) != "complete" or len(world.ledger(NOON).kept) == 9
        world.follow(NOON, until=NOON + timedelta(hours=20))
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == 9


def test_a_constant_that_is_no_more_is_expected_for_three_runs(local_store):
    constants = Catalogue(
        parameters=(Parameter("t_2m"), constant("clat"), constant("clon"), constant("hsurf")),
        columns=3,
        rows=3,
    )
    fields = ("icon-d2/single,time-invariant/*",)
    start = NOON + timedelta(hours=5, minutes=30)
    with opened(local_store, start, catalogue=constants, fields=fields) as world:
        world.simulator.fail("*/p/HSURF/r/*/s/*", Fault.NOT_FOUND)
        missing = []
        for day in range(5):
            run = NOON + timedelta(days=day)
            world.simulator.clock.turn(run + timedelta(hours=5, minutes=30))
            world.archive(run)
            missing.append((len(world.ledger(run).missing), world.state(run)))
        assert [count for count, _ in missing] == [1, 1, 1, 0, 0]
        assert {state for count, state in missing if not count} == {"complete"}
