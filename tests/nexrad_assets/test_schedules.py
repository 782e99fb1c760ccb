"""Schedules and the upkeep jobs that they launch, on a real instance and store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.schedules import cron_string_iterator

from nexrad_assets import schedules
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.partitions import partition_key
from nexrad_assets.tags import MODE_TAG
from orchestration.runs import LIVE, prune_routine_runs
from store import keys
from tests.nexrad_assets.dagster_world import (
    NOW,
    SCAN_LIST,
    SWEEPS,
    TODAY,
    VOLUMES,
    at,
    range_tags,
    volume,
    world,
)

__all__ = ["volume", "world"]


def run_upkeep(world, job, config=None):
    result = world.definitions.resolve_job_def(job).execute_in_process(
        instance=world.instance, run_config=config or {}
    )
    assert result.success
    return result


def images(world, site):
    return {info.key for info in world.workshop.store.list(keys.images_site_prefix(2, site))}


@pytest.mark.parametrize(("live", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_schedules_run_by_themselves_only_where_the_settings_say_live(live, status):
    assert {one.default_status.value for one in schedules.upkeep_schedules(live)} == {status}


@pytest.mark.parametrize(
    ("job", "times"),
    [
        ("nexrad_retention", [(0, 0), (0, 10), (0, 20)]),
        ("nexrad_reconcile", [(0, 25), (1, 25), (2, 25)]),
        ("nexrad_prune_runs", [(4, 45), (28, 45), (52, 45)]),
    ],
)
def test_upkeep_is_due_at_its_times_of_the_utc_day(job, times):
    (schedule,) = (one for one in schedules.upkeep_schedules(True) if one.job_name == job)
    midnight = datetime(2026, 4, 9, tzinfo=UTC)
    ticks = cron_string_iterator(midnight.timestamp(), schedule.cron_schedule, schedule.execution_timezone)
    expected = [midnight + timedelta(hours=hour, minutes=minute) for hour, minute in times]
    assert [next(ticks) for _ in expected] == expected


def test_everything_is_reconciled_once_a_day(world):
    (schedule,) = (one for one in schedules.upkeep_schedules(True) if one.job_name == "nexrad_reconcile")
    whole = []
    for hour in range(24):
        due = datetime(2026, 4, 9, hour, 25, tzinfo=UTC)
        context = dg.build_schedule_context(world.instance, scheduled_execution_time=due)
        (request,) = schedule.evaluate_tick(context).run_requests
        whole.append(request.run_config["ops"]["make_agree"]["config"]["whole"])
    assert whole == [hour == schedules.WHOLE_RECONCILE_HOUR for hour in range(24)]


def test_a_pass_that_is_still_under_way_is_not_overtaken(world):
    (schedule,) = (one for one in schedules.upkeep_schedules(True) if one.job_name == "nexrad_retention")
    context = dg.build_schedule_context(world.instance, scheduled_execution_time=NOW)
    run = world.instance.create_run_for_job(world.definitions.resolve_job_def("nexrad_retention"))
    assert schedule.evaluate_tick(context).run_requests == []
    world.instance.report_run_failed(run)
    assert len(schedule.evaluate_tick(context).run_requests) == 1


def test_retention_lets_go_live_scans_and_leaves_backfilled_ones(world, volume):
    world.drop("KPDT", at("04:00"), volume)
    world.drop("KTLX", at("04:00"), volume)
    world.now = at("04:10")
    world.run(range_tags("KPDT", "KPDT"))
    world.run(range_tags("KTLX", "KTLX", live=False))
    world.now = NOW
    for site in ("KPDT", "KTLX"):
        world.drop(site, at("11:50"), volume)
    world.run(range_tags("KPDT", "KTLX"))
    run_upkeep(world, "nexrad_retention")
    assert set(world.scans("KPDT")) == {"KPDT20260409_115000_V06"}
    assert set(world.scans("KTLX")) == {"KTLX20260409_040000_V06", "KTLX20260409_115000_V06"}
    assert len(images(world, "KPDT")) == 1


def test_a_site_taken_out_of_the_settings_is_still_kept_in_order(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    world.workshop.settings.sites = ("KLOT",)
    listed = next(iter(images(world, "KPDT")))
    world.workshop.store.delete([listed])
    result = run_upkeep(world, "nexrad_reconcile", reconcile(whole=True))
    warnings = [event.message for event in world.instance.all_logs(result.run_id) if event.level == 30]
    assert any(listed in message for message in warnings)


def reconcile(*, whole):
    return {"ops": {"make_agree": {"config": {"whole": whole}}}}


def test_pruning_forgets_routine_runs_and_keeps_partitions_green(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    first = world.run(range_tags("KPDT", "KPDT")).run_id
    world.drop("KPDT", at("11:55"), volume)
    second = world.run(range_tags("KLOT", "KPDT")).run_id
    upkeep = run_upkeep(world, "nexrad_retention").run_id
    by_hand = world.run(range_tags("KTLX", "KTLX", live=False)).run_id
    before = {
        (asset, site): world.metadata_of(asset, site)
        for asset in (VOLUMES, SWEEPS, SCAN_LIST)
        for site in ("KLOT", "KPDT")
    }
    assert prune_routine_runs(world.instance, MODE_TAG, datetime.now(UTC) + timedelta(minutes=1)) == 3

    assert [run.run_id for run in world.instance.get_runs()] == [by_hand]
    shards = {path.stem for path in (world.folder / "dagster").rglob("*.db")}
    assert by_hand in shards
    assert not shards & {first, second, upkeep}
    after = {(asset, site): world.metadata_of(asset, site) for asset, site in before}
    assert after == before
    green = world.instance.get_materialized_partitions(SWEEPS)
    assert green == {partition_key(SiteDay(TODAY, site)) for site in ("KLOT", "KPDT", "KTLX")}


def test_pruning_spares_what_is_young_or_not_finished(world):
    young = world.run(range_tags("KPDT", "KPDT")).run_id
    unfinished = world.instance.create_run_for_job(
        world.definitions.resolve_job_def("nexrad_live_level2"), tags={MODE_TAG: LIVE}
    ).run_id
    assert prune_routine_runs(world.instance, MODE_TAG, datetime.now(UTC) - timedelta(days=1)) == 0
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert prune_routine_runs(world.instance, MODE_TAG, later) == 1
    assert [run.run_id for run in world.instance.get_runs()] == [unfinished]
    assert young != unfinished


def test_pruning_frees_the_disk(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    tags = range_tags("KPDT", "KPDT")
    for _ in range(5):
        world.run(tags)
    before = size_of(world.folder / "dagster" / "history")
    prune_routine_runs(world.instance, MODE_TAG, datetime.now(UTC) + timedelta(minutes=1))
    assert size_of(world.folder / "dagster" / "history") < before / 2


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
