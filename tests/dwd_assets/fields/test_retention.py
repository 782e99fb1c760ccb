"""How many runs the server keeps: asked, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.fields.model_runs import deadline, recent_runs, runs_due
from dwd_assets.fields.retention import Retention, read_retention, write_retention
from dwd_assets.simulator.server import Plan
from store.dwd.damaged import DamagedDocument
from store.keys import retention
from tests.dwd_assets.fields.model_world import CATALOGUE, World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
FIRST_FILE = timedelta(minutes=44)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def confirm(world: World) -> None:
    """A smaller number counts when it is seen again."""
    world.simulator.clock.advance(timedelta(hours=1))
    world.archive(NOON)


@pytest.mark.parametrize(
    ("model", "hours"),
    [("icon", 24), ("icon-eu-eps", 24), ("icon-d2-ruc", 24), ("icon-d2", 24), ("aicon", 24)],
)
def test_before_the_server_was_asked_public_reports_stand_in(local_store, model, hours):
    assert read_retention(local_store, model).deadline(NOON) == NOON + timedelta(hours=hours) + FIRST_FILE


def test_one_listing_a_model_and_day_says_how_many_runs_are_kept(local_store):
    plan = Plan(catalogue=CATALOGUE, kept_runs=4)
    with opened(local_store, ALL_THERE, plan=plan) as world:
        assert deadline(world.office, "icon-d2", NOON) == NOON + timedelta(hours=24) + FIRST_FILE
        world.archive(NOON)
        assert deadline(world.office, "icon-d2", NOON) == NOON + timedelta(hours=24) + FIRST_FILE
        confirm(world)
        assert deadline(world.office, "icon-d2", NOON) == NOON + timedelta(hours=12) + FIRST_FILE
        assert world.ledger(NOON).deadline == NOON + timedelta(hours=12) + FIRST_FILE
        world.simulator.clock.advance(timedelta(hours=3))
        world.archive(NOON + timedelta(hours=3))
        assert len([path for path in world.asked() if path.endswith("/r/")]) == 3, "once more after a change"
        world.simulator.clock.advance(timedelta(hours=24))
        world.archive(NOON + timedelta(hours=27))
        assert len([path for path in world.asked() if path.endswith("/r/")]) == 4


def test_what_is_rescued_first_follows_what_the_server_keeps(local_store):
    """Of a server that keeps four runs, those that it has are due, the one that it deletes first before the others."""
    plan = Plan(catalogue=CATALOGUE, kept_runs=4)
    with opened(local_store, ALL_THERE, plan=plan) as world:
        world.archive(NOON)
        confirm(world)
        world.simulator.clock.advance(timedelta(hours=8))
        due = runs_due(world.office, "icon-d2", world.now)
        assert [each.period for each in due] == ["2026091615", "2026091618", "2026091621"]
        assert due[0].deadline == NOON + timedelta(hours=15) + FIRST_FILE
        runs = list(recent_runs(read_retention(local_store, "icon-d2"), world.now))
        assert runs[0] > NOON - timedelta(hours=6)


def test_a_number_that_changed_is_confirmed_after_an_hour_and_one_that_did_not_after_a_day():
    known = Retention("icon-d2", 8).listed(8, NOON)
    assert not known.is_to_be_asked(NOON + timedelta(hours=23))
    assert known.is_to_be_asked(NOON + timedelta(hours=24))
    fewer = known.listed(2, NOON + timedelta(hours=24))
    assert fewer.runs == 8, "a server in maintenance may list fewer for a while"
    assert fewer.is_to_be_asked(NOON + timedelta(hours=25))
    assert fewer.listed(8, NOON + timedelta(hours=25)).runs == 8
    again = fewer.listed(2, NOON + timedelta(hours=25))
    assert again.runs == 2
    assert again.is_to_be_asked(NOON + timedelta(hours=26))
    settled = again.listed(2, NOON + timedelta(hours=26))
    assert not settled.is_to_be_asked(NOON + timedelta(hours=28))
    first = Retention("icon-d2", 8).listed(1, NOON)
    assert (first.runs, first.is_to_be_asked(NOON + timedelta(hours=1))) == (8, True)
    more = known.listed(12, NOON + timedelta(hours=24))
    assert (more.runs, more.is_to_be_asked(NOON + timedelta(hours=25))) == (12, True)
    assert known.listed(0, NOON + timedelta(hours=25)) == known, "an empty folder says nothing"


def test_a_shorter_retention_is_noticed_and_runs_are_lost_no_later_than_they_are(local_store):
    plan = Plan(catalogue=CATALOGUE, fewer_runs_from=ALL_THERE + timedelta(hours=5), fewer_runs=3)
    with opened(local_store, ALL_THERE, plan=plan) as world:
        world.archive(NOON)
        world.simulator.clock.advance(timedelta(hours=25))
        run = NOON + timedelta(hours=24)
        world.archive(run)
        world.simulator.clock.advance(timedelta(hours=1))
        world.archive(run)
        assert deadline(world.office, "icon-d2", run) == run + timedelta(hours=9) + FIRST_FILE
        assert world.ledger(run).deadline == run + timedelta(hours=9) + FIRST_FILE


def test_a_damaged_record_is_named(local_store):
    write_retention(local_store, Retention("icon-d2", 8, NOON))
    local_store.put(retention("icon-d2"), b"nonsense")
    with pytest.raises(
        DamagedDocument, match=r"ledger/retention/icon-d2\.json: is not a record of retention"
    ):
        read_retention(local_store, "icon-d2")
