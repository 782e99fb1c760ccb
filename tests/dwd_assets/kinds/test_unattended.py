"""That no period is forgotten: one that was on the server while nobody looked gets a ledger that says it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dwd_assets.kinds import unattended
from dwd_assets.kinds.table import Collection, collections
from dwd_assets.kinds.unattended import begin_unattended, read_followed
from dwd_assets.mosmix import issue_pass
from dwd_assets.periods.progress import UNATTENDED
from dwd_assets.simulator.faults import Fault
from store import keys
from store.dwd import ledger
from store.dwd.ledger import Kept
from tests.dwd_assets.fields.model_world import V1_FILES, World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
KEPT = Kept(sha256="0" * 64, size=1, stored_bytes=1, kept_at=NOON)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def world(local_store) -> Iterator[World]:
    with opened(local_store, ALL_THERE, mosmix=("L",)) as world:
        yield world


def of(world: World, name: str = "icon-d2") -> Collection:
    return next(one for one in collections(world.office.settings) if one.name == name)


def begun(world: World, name: str = "icon-d2") -> list[str]:
    return list(begin_unattended(world.office, of(world, name), world.now))


def recorded(world: World, name: str = "icon-d2") -> list[str]:
    return [
        info.key.rpartition("/")[2].removesuffix(".json")
        for info in world.store.list(keys.ledger_summaries_prefix(name))
    ]


def keep_one(world: World, name: str, period: str, path: str) -> None:
    ledger.update(
        world.store, name, period, lambda before: msgspec.structs.replace(before, kept={path: KEPT})
    )


def test_runs_that_lay_within_an_outage_get_ledgers_that_say_what_was_expected(world):
    world.archive(NOON)
    assert begun(world) == []
    world.simulator.clock.turn(NOON + timedelta(hours=40))
    periods = ["2026091615", "2026091618", "2026091621", "2026091700", "2026091703"]
    assert begun(world) == periods, "those whose deadlines passed"
    assert recorded(world) == ["2026091612", *periods]
    for period in periods[:3]:
        told = ledger.read(world.store, "icon-d2", period)
        assert (len(told.missing), told.expects_more, told.warnings) == (V1_FILES, False, (UNATTENDED,))
        assert all(f"/{period}/" in path for path in told.missing)
        assert told.state(told.given_up) == "lost"
    assert begun(world) == [], "each once"


def test_a_run_of_the_outage_that_is_asked_for_once_more_stays_lost_and_says_why(world):
    world.archive(NOON)
    world.simulator.clock.turn(NOON + timedelta(hours=34))
    begun(world)
    run = NOON + timedelta(hours=3)
    assert world.archive(run).requests > 0
    told = world.ledger(run)
    assert (told.state(world.now), len(told.missing)) == ("lost", V1_FILES)
    assert UNATTENDED in told.warnings
    assert world.archive(run).requests == 0, "it is asked for once"


def test_a_fresh_archive_has_lost_nothing_that_was_before_it_began(world):
    assert begun(world) == []
    assert recorded(world) == []
    world.archive(NOON)
    assert begun(world) == []
    assert recorded(world) == ["2026091612"]
    assert read_followed(world.store, "icon-d2").since == "2026091612"


def test_a_later_backfill_of_an_earlier_period_does_not_make_the_archive_begin_earlier(world):
    world.archive(NOON)
    begun(world)
    keep_one(world, "icon-d2", "2026090100", "weather/a")
    world.simulator.clock.turn(NOON + timedelta(hours=28))
    assert begun(world) == ["2026091615"][: world.now >= NOON + timedelta(hours=27, minutes=44)]
    assert recorded(world)[:2] == ["2026090100", "2026091612"]


def test_after_a_long_outage_only_so_many_ledgers_are_begun_at_once_and_none_is_forgotten(world, monkeypatch):
    monkeypatch.setattr(unattended, "MOST_AT_ONCE", 4)
    world.archive(NOON)
    world.simulator.clock.turn(NOON + timedelta(days=3))
    found: list[str] = []
    while some := begun(world):
        assert len(some) <= 4
        found += some
    assert found[0] == "2026091615"
    assert found == sorted(set(found))
    assert len(found) == 15
    assert {ledger.read_summary(world.store, "icon-d2", each).state(world.now) for each in found[:14]} == {
        "lost"
    }


def test_a_record_of_what_is_followed_that_cannot_be_read_is_found_out_anew(world):
    world.archive(NOON)
    begun(world)
    world.store.put(keys.ledgers_followed("icon-d2"), b"{")
    world.simulator.clock.turn(NOON + timedelta(hours=28))
    assert begun(world) == ["2026091615"]
    assert read_followed(world.store, "icon-d2").since == "2026091612"


def test_issues_and_days_of_an_outage_expect_the_stations_of_the_one_before(world):
    keep_one(world, "mosmix-l", "2026091403", "weather/local_forecasts/mos/2026091403/10315-MOSMIX.kmz")
    keep_one(world, "poi", "20260912", "weather/weather_reports/poi/20260912/10315-BEOB.csv")
    assert begun(world, "mosmix-l") == ["2026091409"]
    assert begun(world, "poi") == ["20260913", "20260914"]
    issue, day = (
        ledger.read(world.store, *each) for each in (("mosmix-l", "2026091409"), ("poi", "20260914"))
    )
    assert issue.missing == ("weather/local_forecasts/mos/2026091409/10315-MOSMIX.kmz",)
    assert day.missing == ("weather/weather_reports/poi/20260914/10315-BEOB.csv",)
    assert issue.expects_more
    assert day.expects_more


def test_a_backfill_of_single_stations_from_before_the_archive_began_loses_nothing(local_store):
    early = datetime(2026, 9, 1, 3, tzinfo=UTC)
    with opened(local_store, ALL_THERE, mosmix_stations=("10315", "10488")) as world:
        done = issue_pass.archive_issue(world.office, "L", early, world.lines.append)
        assert done.summary.revision == 0
        assert recorded(world, "mosmix-l") == []


def test_single_stations_of_which_some_still_came_are_no_loss_of_the_others(local_store):
    issue = datetime(2026, 9, 16, 3, tzinfo=UTC)
    with opened(local_store, ALL_THERE, mosmix_stations=("10315", "10488")) as world:
        world.simulator.fail("*_10488.kmz", Fault.NOT_FOUND)
        late = replace(world.office, clock=lambda: issue + timedelta(hours=49))
        done = issue_pass.archive_issue(late, "L", issue, world.lines.append)
        told = ledger.read(local_store, "mosmix-l", done.summary.period)
        assert (len(told.kept), told.missing) == (1, ())
        assert told.state(issue + timedelta(days=9)) == "complete"
        assert any("1 stations did not come" in line for line in told.warnings)
