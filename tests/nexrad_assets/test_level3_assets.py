"""Level 3 as Dagster has it: range runs, metadata, checks, the copies of lists, ticks of its sensor."""

from datetime import timedelta

import dagster as dg
import pytest

from nexrad_assets import sensors
from nexrad_assets.commands.backfill import report_materialized
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.pipeline.upkeep import write_lists
from nexrad_assets.radar.sites import site
from nexrad_assets.simulator.products import simulate_products
from store import keys
from store.radar import flags
from tests.nexrad_assets.dagster_world import (
    FILES,
    NOW,
    PRODUCTS,
    RANGE_END,
    RANGE_START,
    SCAN_LIST,
    SMALL_PATTERN,
    SWEEPS,
    TODAY,
    Ticker,
    at,
    evaluation,
    leave_lying,
    make_world,
    range_tags,
    volume,
    world,
)

__all__ = ["volume", "world"]

BROKEN = b"no product"
KPDT = ("2026-04-09|KPDT", "2026-04-09|KPDT")


@pytest.fixture(scope="session")
def products() -> dict[str, bytes]:
    """The products of a simulated volume by their code; any time and site will do for them."""
    return simulate_products(site("KPDT"), NOW, 1, SMALL_PATTERN)


def run(world, first="KPDT", last="KPDT", **options):
    return world.run(range_tags(first, last, **options), level=3)


class TestRuns:
    def test_a_range_run_has_the_metadata_of_each_site_apart(self, world, products):
        for code in ("HHC", "DAA", "NST"):
            world.drop_product("KPDT", at("11:50"), code, products[code])
        world.drop_product("KTLX", at("11:55"), "N0H", products["N0H"])
        world.drop_product("KTLX", at("11:50"), "HHC", BROKEN)
        assert run(world, "KLOT", "KTLX").success
        fetched = {one: world.metadata_of(FILES, one) for one in ("KLOT", "KPDT", "KTLX")}
        assert {one: found["listed"] for one, found in fetched.items()} == {"KLOT": 0, "KPDT": 3, "KTLX": 2}
        assert {found["mode"] for found in fetched.values()} == {"live"}
        assert fetched["KPDT"]["bytes_fetched"] == sum(len(products[code]) for code in ("HHC", "DAA", "NST"))
        shown = world.metadata_of(PRODUCTS, "KPDT")
        assert (shown["rendered"], shown["images"], shown["documents"], shown["failed"]) == (3, 2, 1, 0)
        assert shown["newest_age_s"] == 10 * 60
        shown = world.metadata_of(PRODUCTS, "KTLX")
        assert (shown["rendered"], shown["images"], shown["documents"], shown["failed"]) == (1, 1, 0, 1)
        assert "TLX_HHC_2026_04_09_11_50_00: too short for a Level 3 product" in shown["failures"]
        assert world.metadata_of(SCAN_LIST, "KPDT")["scans"] == 3

    def test_the_newest_image_can_be_looked_at_and_is_linked_at_the_api(self, tmp_path, products):
        world = make_world(tmp_path, ("KPDT",), api_url="https://radar.example")
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        world.drop_product("KPDT", at("11:50"), "NST", products["NST"])
        run(world)
        shown = world.metadata_of(PRODUCTS, "KPDT")
        assert shown["image"] == "https://radar.example/data/3/KPDT20260409_115000_HHC_hydrometeor_idx0/png"
        assert "](data:image/png;base64," in shown["preview"]

    def test_only_a_run_tagged_live_leaves_out_what_is_older_than_the_window(self, world, products):
        for time in ("03:00", "11:50"):
            world.drop_product("KPDT", at(time), "HHC", products["HHC"])
        run(world)
        assert {key: scan.kept for key, scan in world.scans("KPDT").items()} == {
            "KPDT20260409_115000_HHC": False
        }
        run(world, live=False)
        assert {key: scan.kept for key, scan in world.scans("KPDT").items()} == {
            "KPDT20260409_030000_HHC": True,
            "KPDT20260409_115000_HHC": True,
        }

    def test_a_run_of_one_partition_works_as_well(self, world, products):
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        job = world.definitions.resolve_job_def("nexrad_live_level3")
        key = partition_key(SiteDay(TODAY, "KPDT"))
        assert job.execute_in_process(instance=world.instance, partition_key=key).success
        assert world.metadata_of(FILES, "KPDT")["mode"] == "day"
        assert list(world.scans("KPDT")) == ["KPDT20260409_115000_HHC"]

    def test_force_renders_again(self, world, products):
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        run(world)
        world.now = NOW + timedelta(minutes=1)
        config = {"ops": {FILES.to_python_identifier(): {"config": {"force": True}}}}
        world.run(range_tags("KPDT", "KPDT"), level=3, run_config=config)
        assert world.scans("KPDT")["KPDT20260409_115000_HHC"].published == world.now

    def test_the_copies_of_lists_are_written_after_a_run_of_either_level(self, world, products, volume):
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        run(world)
        assert world.metadata_of(SCAN_LIST, "KPDT")["scans"] == 1
        world.drop("KPDT", at("11:55"), volume)
        world.run(range_tags("KPDT", "KPDT"))
        assert world.metadata_of(SCAN_LIST, "KPDT")["scans"] == 2
        store = world.workshop.store
        assert b"KPDT20260409_115000_HHC" in store.get(keys.list_copy("KPDT", "hydrometeor")).data
        assert b"KPDT20260409_115500_V06" in store.get(keys.list_copy("KPDT", "reflectivity")).data
        assert flags.read(store, "KPDT").updates == {"reflectivity": 1, "hydrometeor": 1, "precipitation": 0}

    def test_a_missing_source_folder_of_products_fails_no_run_of_volumes(self, world, volume):
        (world.folder / "products").rmdir()
        world.drop("KPDT", at("11:50"), volume)
        assert world.run(range_tags("KPDT", "KPDT")).success
        assert not run(world).success


def test_a_backfill_by_command_is_told_to_dagster_as_of_its_own_level(world, products):
    world.drop_product("KPDT", at("03:00"), "HHC", products["HHC"])
    level, partition = world.workshop.levels[3], SiteDay(TODAY, "KPDT")
    (collected,) = collect(world.workshop, level, [partition], "day", log=print)
    (rendered,) = render(world.workshop, level, [partition], "day", log=print)
    (listed,) = write_lists(world.workshop, [partition], log=print)
    assert report_materialized(world.instance, world.workshop, 3, collected, rendered, listed)
    assert world.metadata_of(FILES, "KPDT")["listed"] == 1
    assert world.metadata_of(PRODUCTS, "KPDT")["images"] == 1
    assert world.instance.get_latest_materialization_event(SWEEPS) is None


class TestChecks:
    def test_a_day_of_broken_products_alone_fails_and_blocks_what_follows(self, world):
        world.drop_product("KPDT", at("11:50"), "HHC", BROKEN)
        result = run(world)
        assert not result.success
        found = evaluation(result, "a_file_was_readable")
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert found.asset_key == PRODUCTS
        assert not result.asset_materializations_for_node("nexrad_scan_list")

    def test_readable_volumes_do_not_hide_that_no_product_is(self, world, volume):
        world.drop("KPDT", at("11:50"), volume)
        world.run(range_tags("KPDT", "KPDT"))
        world.drop_product("KPDT", at("11:50"), "HHC", BROKEN)
        assert not evaluation(run(world), "a_file_was_readable").passed

    def test_vectors_alone_are_readable(self, world, products):
        world.drop_product("KPDT", at("11:50"), "NST", products["NST"])
        assert evaluation(run(world), "a_file_was_readable").passed

    def test_a_day_without_products_is_green(self, world):
        result = run(world)
        assert result.success
        assert all(one.passed for one in result.get_asset_check_evaluations())

    @pytest.mark.parametrize("code", ["HHC", "NST"])
    def test_a_listed_image_or_document_that_is_gone_is_found(self, world, products, code):
        world.drop_product("KPDT", at("11:50"), code, products[code])
        run(world)
        store = world.workshop.store
        (gone,) = (info.key for info in store.list(keys.images_prefix(3, "KPDT", TODAY)))
        store.delete([gone])
        found = evaluation(run(world), "everything_listed_exists")
        assert not found.passed
        assert found.metadata["first_missing"].value == [gone]


class TestTicks:
    def test_it_asks_for_one_run_from_the_first_to_the_last_site_with_news(self, world, products):
        for name in ("KLOT", "KTLX"):
            world.drop_product(name, at("11:50"), "HHC", products["HHC"])
        (request,) = Ticker(world, level=3).tick().run_requests
        assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (
            "2026-04-09|KLOT",
            "2026-04-09|KTLX",
        )

    def test_the_run_that_was_asked_for_leaves_nothing_to_ask_for(self, world, products):
        ticker = Ticker(world, level=3)
        for code in ("HHC", "NST"):
            world.drop_product("KPDT", at("11:50"), code, products[code])
        world.drop_product("KPDT", at("11:50"), "DAA", BROKEN)
        (request,) = ticker.tick().run_requests
        world.run(request.tags, level=3)
        for _ in range(3):
            world.now += timedelta(minutes=2)
            assert ticker.ranges() == []
        world.drop_product("KPDT", at("11:55"), "HHC", products["HHC"])
        assert ticker.ranges() == [KPDT]

    def test_a_block_whose_run_is_under_way_is_left_alone_until_it_has_ended(self, world, products):
        ticker = Ticker(world, level=3)
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        (request,) = ticker.tick().run_requests
        under_way = leave_lying(world, request.tags, level=3)
        world.drop_product("KPDT", at("11:55"), "HHC", products["HHC"])
        result = ticker.tick()
        assert not result.run_requests
        assert "1 blocks under way" in result.skip_reason.skip_message
        world.instance.report_run_canceled(under_way)
        assert ticker.ranges() == [KPDT]

    @pytest.mark.parametrize("waiting", [2, 3])
    def test_a_run_of_one_level_holds_up_no_run_of_the_other(self, world, products, volume, waiting):
        world.drop("KPDT", at("11:50"), volume)
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        other = 5 - waiting
        (request,) = Ticker(world, level=other).tick().run_requests
        leave_lying(world, request.tags, level=other)
        assert Ticker(world, level=waiting).ranges() == [KPDT]
        assert Ticker(world, level=other).ranges() == []

    def test_products_are_no_news_to_the_sensor_of_volumes(self, world, products):
        world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
        assert Ticker(world, level=2).ranges() == []

    def test_each_sensor_asks_its_own_job(self, world):
        repository = world.definitions.get_repository_def()
        asked = {one.name: (one.job_name, one.minimum_interval_seconds) for one in repository.sensor_defs}
        assert asked == {
            f"nexrad_live_level{level}": (f"nexrad_live_level{level}", sensors.INTERVAL_S[level])
            for level in (2, 3)
        }


def test_retention_and_reconciliation_run_over_both_levels(world, products, volume):
    world.now = at("04:00")
    world.drop("KPDT", at("03:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    for code in ("HHC", "NST"):
        world.drop_product("KPDT", at("03:50"), code, products[code])
    run(world)
    world.now = NOW
    world.drop("KPDT", at("11:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    world.drop_product("KPDT", at("11:50"), "HHC", products["HHC"])
    run(world)
    done = world.definitions.resolve_job_def("nexrad_retention").execute_in_process(instance=world.instance)
    assert done.success
    assert list(world.scans("KPDT")) == ["KPDT20260409_115000_HHC", "KPDT20260409_115000_V06"]
    store = world.workshop.store
    kept = {
        info.key.rpartition("/")[2][:19] for level in (2, 3) for info in store.list(f"plots_level{level}/")
    }
    assert kept == {"KPDT20260409_115000"}
    (gone,) = (info.key for info in store.list(keys.images_prefix(3, "KPDT", TODAY)))
    store.delete([gone])
    reconcile = world.definitions.resolve_job_def("nexrad_reconcile")
    config = {"ops": {"make_agree": {"config": {"whole": True}}}}
    assert reconcile.execute_in_process(instance=world.instance, run_config=config).success
    assert world.scans("KPDT")["KPDT20260409_115000_HHC"].status == "failed"
    run(world)
    assert world.scans("KPDT")["KPDT20260409_115000_HHC"].status == "whole"
