"""Ticks of the live sensor against a real instance, its runs executed or left lying as each test says."""

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterRunStatus

from nexrad_assets import sensors
from nexrad_assets.radar.sites import sites
from nexrad_assets.sources.source import SourceError
from nexrad_assets.tags import BLOCK_TAG, MODE_TAG
from orchestration import runs
from tests.nexrad_assets.dagster_world import (
    BROKEN,
    NOW,
    RANGE_END,
    RANGE_START,
    Ticker,
    at,
    leave_lying,
    make_world,
    volume,
    world,
)

__all__ = ["volume", "world"]


def test_nothing_new_asks_for_nothing_and_says_so(world):
    result = Ticker(world).tick()
    assert not result.run_requests
    assert "3 of 3 sites and days looked at" in result.skip_reason.skip_message


def test_one_run_is_asked_for_from_the_first_to_the_last_site_with_news(world, volume):
    for site in ("KLOT", "KTLX"):
        world.drop(site, at("11:50"), volume)
    (request,) = Ticker(world).tick().run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-04-09|KLOT", "2026-04-09|KTLX")
    assert request.partition_key is None
    assert request.run_key is None


def test_the_run_that_was_asked_for_leaves_nothing_to_ask_for(world, volume):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:50"), volume)
    (request,) = ticker.tick().run_requests
    assert world.run(request.tags).success
    assert ticker.ranges() == []


def test_news_of_both_days_after_midnight_makes_a_run_a_day(world, volume):
    world.now = at("00:20")
    world.drop("KPDT", at("00:10"), volume)
    world.drop("KPDT", at("00:10") - timedelta(minutes=15), volume)
    assert Ticker(world).ranges() == [("2026-04-09|KPDT",) * 2, ("2026-04-08|KPDT",) * 2]


def test_a_block_whose_run_is_under_way_is_left_alone_until_it_has_ended(world, volume):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:50"), volume)
    (request,) = ticker.tick().run_requests
    run = leave_lying(world, request.tags)
    world.drop("KPDT", at("11:55"), volume)
    result = ticker.tick()
    assert not result.run_requests
    assert "1 blocks under way" in result.skip_reason.skip_message
    world.instance.report_run_canceled(run)
    assert ticker.ranges() == [("2026-04-09|KPDT", "2026-04-09|KPDT")]


def test_a_run_that_failed_is_asked_for_again_by_the_next_tick(world, volume):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:50"), volume)
    (request,) = ticker.tick().run_requests
    run = leave_lying(world, request.tags)
    world.instance.report_run_failed(run)
    world.now += timedelta(seconds=sensors.INTERVAL_S[2])
    assert ticker.ranges() == [("2026-04-09|KPDT", "2026-04-09|KPDT")]


def test_a_broken_volume_is_asked_for_once(world):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:50"), BROKEN)
    (request,) = ticker.tick().run_requests
    world.run(request.tags)
    for _ in range(3):
        world.now += timedelta(minutes=1)
        assert ticker.ranges() == []


def test_a_volume_that_cannot_be_fetched_is_asked_for_ever_more_rarely(tmp_path, volume):
    world = make_world(tmp_path, ("KPDT",), max_volume_bytes=1000)
    world.drop("KPDT", at("11:50"), volume)
    ticker, asked = Ticker(world), 0
    for _ in range(20):
        requests = ticker.tick().run_requests
        asked += len(requests)
        world.now += timedelta(seconds=30)
    assert asked == 5


def test_a_malformed_cursor_asks_for_what_is_not_rendered_and_for_nothing_else(world, volume):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:40"), volume)
    (request,) = ticker.tick().run_requests
    world.run(request.tags)
    world.drop("KTLX", at("11:50"), volume)
    ticker.cursor = '{"seen": "nonsense'
    assert ticker.ranges() == [("2026-04-09|KTLX", "2026-04-09|KTLX")]


def test_a_tick_that_can_list_nothing_fails_and_keeps_its_cursor(world):
    ticker = Ticker(world)
    ticker.tick()
    before = ticker.cursor
    (world.folder / "source").rmdir()
    with pytest.raises(SourceError, match="does not exist"):
        ticker.tick()
    assert ticker.cursor == before


def test_a_live_run_without_a_process_is_ended_and_its_block_asked_for_again(world, volume):
    ticker = Ticker(world)
    world.drop("KPDT", at("11:50"), volume)
    (request,) = ticker.tick().run_requests
    run = leave_lying(world, request.tags, started=True)
    began = datetime.fromtimestamp(world.instance.get_run_record_by_id(run.run_id).start_time, UTC)
    assert runs.end_lost_runs(world.instance, MODE_TAG, began + runs.SILENT - timedelta(seconds=1)) == []
    assert runs.end_lost_runs(world.instance, MODE_TAG, began + runs.SILENT + timedelta(seconds=60)) == [
        run.run_id
    ]
    assert world.instance.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE
    world.now = NOW + timedelta(minutes=1)
    assert [one.tags[BLOCK_TAG] for one in ticker.tick().run_requests] == ["2026-04-09|KLOT"]


def test_twenty_one_sites_with_news_make_two_runs(tmp_path, volume):
    network = tuple(sorted(sites())[:21])
    world = make_world(tmp_path, network)
    for site in network:
        world.drop(site, at("11:50"), b"AR2V0006.001")
    assert Ticker(world).ranges() == [
        (f"2026-04-09|{network[0]}", f"2026-04-09|{network[19]}"),
        (f"2026-04-09|{network[20]}", f"2026-04-09|{network[20]}"),
    ]
