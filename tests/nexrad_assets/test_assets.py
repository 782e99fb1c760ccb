"""Runs of the real job over real files, in this process: what Dagster is told, and what is stored."""

from datetime import timedelta

import dagster as dg
import pytest

from nexrad_assets import assets
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.metadata import image_path
from nexrad_assets.partitions import partition_key
from nexrad_assets.sources.source import SourceMissing, SourceUnavailable
from store import keys
from store.objects import StoreUnavailable
from tests.nexrad_assets.dagster_world import (
    BROKEN,
    NOW,
    SCAN_LIST,
    SWEEPS,
    TODAY,
    VOLUMES,
    at,
    evaluation,
    make_world,
    range_tags,
    volume,
    world,
)

__all__ = ["volume", "world"]

YESTERDAY = TODAY - timedelta(days=1)


def test_a_range_run_of_sites_has_the_metadata_of_each_site_apart(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    world.drop("KTLX", at("11:40"), volume)
    world.drop("KTLX", at("11:45"), volume)
    assert world.run(range_tags("KLOT", "KTLX")).success
    listed = {site: world.metadata_of(VOLUMES, site)["listed"] for site in ("KLOT", "KPDT", "KTLX")}
    assert listed == {"KLOT": 0, "KPDT": 1, "KTLX": 2}
    assert world.metadata_of(SWEEPS, "KTLX")["rendered"] == 2
    assert world.metadata_of(SWEEPS, "KTLX")["newest_age_s"] == 15 * 60
    assert world.metadata_of(SCAN_LIST, "KPDT")["scans"] == 1


def test_a_run_of_one_partition_works_as_well(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    job = world.definitions.resolve_job_def("nexrad_live_level2")
    key = partition_key(SiteDay(TODAY, "KPDT"))
    assert job.execute_in_process(instance=world.instance, partition_key=key).success
    assert set(world.scans("KPDT")) == {"KPDT20260409_115000_V06"}
    assert world.metadata_of(VOLUMES, "KPDT")["mode"] == "day"


def test_only_a_run_tagged_live_leaves_out_what_is_older_than_the_window(world, volume):
    world.drop("KPDT", at("03:00"), volume)
    world.drop("KPDT", at("11:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    assert {key: (scan.origin, scan.kept) for key, scan in world.scans("KPDT").items()} == {
        "KPDT20260409_115000_V06": ("live", False)
    }
    world.run(range_tags("KPDT", "KPDT", live=False))
    assert {key: (scan.origin, scan.kept) for key, scan in world.scans("KPDT").items()} == {
        "KPDT20260409_030000_V06": ("backfill", True),
        "KPDT20260409_115000_V06": ("live", True),
    }


def test_a_day_without_volumes_is_green_with_zero_volumes(world):
    result = world.run(range_tags("KPDT", "KPDT", YESTERDAY, live=False))
    assert result.success
    assert world.metadata_of(VOLUMES, "KPDT", YESTERDAY)["listed"] == 0
    assert all(one.passed for one in result.get_asset_check_evaluations())


def test_a_second_run_does_nothing_and_a_forced_one_does_all_again(world, volume):
    world.drop("KPDT", at("11:50"), volume)
    tags = range_tags("KPDT", "KPDT")
    world.run(tags)
    first = world.scans("KPDT")["KPDT20260409_115000_V06"].published
    world.now = NOW + timedelta(minutes=1)
    world.run(tags)
    assert world.metadata_of(VOLUMES, "KPDT")["known"] == 1
    assert world.scans("KPDT")["KPDT20260409_115000_V06"].published == first
    world.run(tags, run_config={"ops": {VOLUMES.to_python_identifier(): {"config": {"force": True}}}})
    assert world.scans("KPDT")["KPDT20260409_115000_V06"].published == world.now


def test_a_broken_volume_is_told_of_and_the_others_go_on(world, volume):
    world.drop("KPDT", at("11:45"), BROKEN)
    world.drop("KPDT", at("11:50"), volume)
    result = world.run(range_tags("KPDT", "KPDT"))
    assert result.success
    shown = world.metadata_of(SWEEPS, "KPDT")
    assert (shown["rendered"], shown["failed"]) == (1, 1)
    assert "KPDT20260409_114500_V06" in shown["failures"]
    assert evaluation(result, "a_file_was_readable").passed


def test_a_day_of_broken_volumes_alone_fails_the_check_and_blocks_what_follows(world):
    world.drop("KPDT", at("11:45"), BROKEN)
    world.drop("KPDT", at("11:50"), BROKEN)
    result = world.run(range_tags("KPDT", "KPDT"))
    assert not result.success
    found = evaluation(result, "a_file_was_readable")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "2026-04-09|KPDT" in found.description
    assert not result.asset_materializations_for_node("nexrad_scan_list")


def test_a_site_of_broken_volumes_does_not_block_its_neighbours_in_the_run(world, volume):
    world.drop("KPDT", at("11:50"), BROKEN)
    world.drop("KTLX", at("11:50"), volume)
    result = world.run(range_tags("KLOT", "KTLX"))
    assert result.success
    found = evaluation(result, "a_file_was_readable")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.metadata["unreadable"].value == ["2026-04-09|KPDT"]
    assert world.metadata_of(SCAN_LIST, "KTLX")["scans"] == 1


def test_a_day_of_which_nothing_could_be_fetched_fails_the_check(tmp_path, volume):
    world = make_world(tmp_path, ("KPDT",), max_volume_bytes=1000)
    world.drop("KPDT", at("11:50"), volume)
    result = world.run(range_tags("KPDT", "KPDT"))
    assert world.metadata_of(VOLUMES, "KPDT")["failed"] == 1
    assert not evaluation(result, "a_file_was_readable").passed


def test_a_listed_image_that_is_gone_is_found_in_every_partition_of_the_run(world, volume):
    for site in ("KPDT", "KTLX"):
        world.drop(site, at("11:50"), volume)
    world.run(range_tags("KLOT", "KTLX"))
    store = world.workshop.store
    gone = [info.key for info in store.list(keys.images_prefix(2, "KTLX", TODAY))]
    store.delete(gone)
    result = world.run(range_tags("KLOT", "KTLX"))
    found = evaluation(result, "everything_listed_exists")
    assert not found.passed
    assert found.metadata["first_missing"].value == gone
    assert "2026-04-09|KTLX" in found.description
    assert "KPDT" not in found.description


def test_the_newest_image_can_be_looked_at_and_is_linked_at_the_api(tmp_path, volume):
    world = make_world(tmp_path, ("KPDT",), api_url="https://radar.example/")
    world.drop("KPDT", at("11:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    shown = world.metadata_of(SWEEPS, "KPDT")
    assert shown["image"] == "https://radar.example/data/2/KPDT20260409_115000_V06_reflectivity_idx0/png"
    assert "](data:image/png;base64," in shown["preview"]
    assert len(shown["preview"]) < 20_000


def test_without_an_api_the_image_is_named_by_its_path():
    key = "plots_level2/KPDT/20260409/KPDT20260409_115000_V06_reflectivity_idx3.0a1b2c3d.png"
    assert image_path(key) == "/data/2/KPDT20260409_115000_V06_reflectivity_idx3/png"


def test_a_missing_source_folder_fails_at_once(world):
    (world.folder / "source").rmdir()
    result = world.run(range_tags("KPDT", "KPDT"))
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "does not exist" in failure.step_failure_data.error.message + str(failure.step_failure_data.error)


@pytest.mark.parametrize("fault", [SourceUnavailable("slow"), StoreUnavailable("slow")])
def test_what_the_network_may_mend_is_tried_again_with_growing_patience(fault):
    waits = []
    for attempt in range(3):
        with pytest.raises(dg.RetryRequested) as asked, assets.translated(attempt):
            raise fault
        assert asked.value.max_retries == assets.RETRIES
        waits.append(asked.value.seconds_to_wait)
    for attempt, wait in enumerate(waits):
        assert 0.5 <= wait / (assets.FIRST_WAIT_S * 2**attempt) <= 1.5


def test_what_is_wrong_for_good_is_not_tried_again():
    with pytest.raises(dg.Failure) as failure, assets.translated(0):
        raise SourceMissing("no such bucket")
    assert failure.value.allow_retries is False


def test_a_fault_of_the_program_is_left_as_it_is():
    with pytest.raises(ZeroDivisionError), assets.translated(0):
        1 / 0  # noqa: B018
