"""Level 3 from the file to the lists: images, documents, refusals, batches, flags, and the life of all of them."""

import dataclasses
import io
import json
from collections import Counter
from datetime import date, datetime

import numpy as np
import pytest
from PIL import Image

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.names import parse_product_name
from nexrad_assets.pipeline import fetching, upkeep
from nexrad_assets.pipeline.context import levels
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.radar.level3.products import DEAD_CODES, MENUS, PRODUCTS, VECTORS
from nexrad_assets.sources.layouts import Level3Layout
from nexrad_assets.sources.source import open_source
from store import keys
from store.objects import StoreUnavailable
from store.radar import flags, lists
from tests.nexrad_assets.pipeline.faulty_store import Tapped, dying
from tests.nexrad_assets.pipeline.pipeline_world import DAY, TODAY, Bench, bench, local, quiet
from tests.nexrad_assets.radar.level3.product_files import NULL_DAA
from tests.nexrad_assets.snapshots import at
from tests.samples import LEVEL3, level3_files, needs_samples

__all__ = ["bench", "local"]

pytestmark = needs_samples

OLD = SiteDay(date(2021, 1, 31), "KTLX")
NOT_FOLLOWED = {"NCR", "N0M"}
DOCUMENTS = {"NST": "storms", "NMD": "mesocyclones", "NVW": "winds", "NHI": "hail"}


def live_run(bench, *codes, time="2025-04-09T11:50:00"):
    """Products of these codes arrive at one time, and a live run takes them; gives what was rendered."""
    for code in codes:
        bench.product_arrives(time, code)
    return bench.run(level=3)[1]


def counted(options, group):
    return {one["value"]: one["count"] for one in options[group] if one["count"]}


def pixels(bench, scan):
    """The image of a scan as RGBA."""
    (key,) = scans.object_keys(scan)
    return np.asarray(Image.open(io.BytesIO(bench.workshop.store.get(key).data)).convert("RGBA"))


class TestImages:
    def test_products_become_listed_scans_of_one_image_that_exists(self, bench):
        rendered = live_run(bench, "HHC", "N0H", "DAA", "EET")
        assert (rendered.rendered, rendered.images, rendered.failed) == (4, 4, {})
        listed = lists.all_lists(bench.window())
        assert listed == {
            "hydrometeor": {
                "KTLX20250409_115000_HHC": {"sweeps": 1},
                "KTLX20250409_115000_N0H": {"sweeps": 1},
            },
            "precipitation": {"KTLX20250409_115000_DAA": {"sweeps": 1}},
            "reflectivity": {},
        }
        for scan in bench.window():
            (image,) = scans.images(scan)
            assert image.name.startswith(f"{scan.key}_{next(iter(scan.layers))}_idx0.")
            assert bench.workshop.store.get(keys.image(3, scan.key, image.name)).data.startswith(b"\x89PNG")
            assert (scan.origin, scan.status) == ("live", "whole")
        assert len(bench.stored()) == 4

    def test_code_label_and_classes_are_in_the_metadata(self, local):
        live_run(local, "HHC")
        metadata = lists.sweep_metadata(local.scans()["KTLX20250409_115000_HHC"], "hydrometeor", 0)
        assert (metadata["site"], metadata["code"]) == ("KTLX", "HHC")
        assert metadata["label"] == "Hybrid hydrometeor classification"
        assert (metadata["codes"]["60"], metadata["codes"]["100"]) == ("rain", "hail")
        assert set(metadata["bounding_box_lon_lat"]) == {"nw", "ne", "se", "sw"}

    def test_a_null_product_is_a_listed_image_of_nothing(self, bench):
        key = bench.product_arrives("2025-04-09T11:50:00", "DAA", sample=NULL_DAA)
        bench.run(level=3)
        assert bench.listed() == [key]
        image = pixels(bench, bench.scans()[key])
        assert image.shape == (128, 128, 4)
        assert not image[..., 3].any()
        metadata = lists.sweep_metadata(bench.scans()[key], "precipitation", 0)
        assert (metadata["unit"], metadata["code"]) == ("inch", "DAA")

    def test_an_hour_of_rain_is_seen(self, local):
        live_run(local, "DAA")
        assert pixels(local, local.scans()["KTLX20250409_115000_DAA"])[..., 3].any()

    def test_reflectivity_of_level_3_is_in_the_snapshot_and_not_in_the_list_of_volumes(self, local):
        local.product_arrives("2025-04-09T11:50:00", "N0B", sample="AMX_N0B_2026_07_06_15_45_17")
        local.run(level=3)
        (scan,) = local.window()
        assert list(scan.layers) == ["reflectivity"]
        assert lists.all_lists([scan])["reflectivity"] == {}

    def test_every_real_file_of_a_followed_code_becomes_an_image_or_a_document(self, local):
        local.now = at("2026-08-01T00:00:00")
        source = open_source(str(LEVEL3), Level3Layout(local.workshop.settings.level3_products, DEAD_CODES))
        local.take_from(source, level=3)
        found = [parse_product_name(path.name) for path in level3_files()]
        expected = {name.scan_key for name in found if name.suffix not in NOT_FOLLOWED}
        shown = {}
        for site, day in sorted({(name.site, name.day) for name in found}):
            _, rendered = local.run(SiteDay(day, site), "day", level=3)
            assert rendered.failed == {}
            shown.update(local.scans(site, day))
        assert shown.keys() == expected
        for key, scan in shown.items():
            code = key.rpartition("_")[2]
            group = [] if code in VECTORS else [PRODUCTS[code].look.name]
            assert (list(scan.layers), list(scan.documents)) == (
                group,
                [DOCUMENTS[code]] if code in VECTORS else [],
            )


class TestWhatIsTaken:
    def test_a_live_run_handles_the_live_window_alone_and_a_day_run_the_day(self, local):
        for time in ("08:00", "11:50"):
            local.product_arrives(f"2025-04-09T{time}:00", "HHC")
        collected, _ = local.run(level=3)
        assert (collected.listed, collected.wanted, collected.stored) == (2, 1, 1)
        collected, _ = local.run(mode="day", level=3)
        assert (collected.wanted, collected.known, collected.stored) == (2, 1, 1)
        assert {key: (one.origin, one.kept) for key, one in local.scans().items()} == {
            "KTLX20250409_080000_HHC": ("backfill", True),
            "KTLX20250409_115000_HHC": ("live", True),
        }

    def test_a_live_run_takes_the_newest_and_leaves_the_rest_to_the_next(self, local, monkeypatch):
        monkeypatch.setattr(fetching, "MOST_AT_ONCE", 2)
        for minute in (10, 20, 30, 40, 50):
            local.product_arrives(f"2025-04-09T11:{minute}:00", "HHC")
        first, _ = local.run(level=3)
        assert (first.wanted, first.known, first.stored) == (5, 0, 2)
        assert sorted(local.scans()) == ["KTLX20250409_114000_HHC", "KTLX20250409_115000_HHC"]
        second, _ = local.run(level=3)
        assert (second.wanted, second.known, second.stored) == (5, 2, 2)
        third, _ = local.run(level=3)
        assert (third.known, third.stored, len(local.scans())) == (4, 1, 5)

    def test_what_is_known_is_neither_fetched_nor_rendered_again(self, bench):
        live_run(bench, "HHC", "NST")
        assert bench.raws(level=3) == []
        collected, rendered = bench.run(level=3)
        assert (collected.known, collected.stored, rendered.waiting) == (2, 0, 0)

    def test_the_same_product_with_other_bytes_is_rendered_again(self, local):
        local.product_arrives("2025-04-09T11:50:00", "DAA", sample=NULL_DAA)
        local.run(level=3)
        before = pixels(local, local.scans()["KTLX20250409_115000_DAA"])
        live_run(local, "DAA")
        after = pixels(local, local.scans()["KTLX20250409_115000_DAA"])
        assert not before[..., 3].any()
        assert after[..., 3].any()
        assert local.missing() == []

    def test_dead_codes_are_taken_from_archive_days_alone(self, local):
        local.product_arrives("2025-04-09T11:50:00", "N1P")
        assert local.run(level=3)[0].listed == 0
        live_run(local, "HHC", time="2025-04-09T11:40:00")
        assert local.run(level=3)[0].listed == 1
        options = lists.options(local.window(), MENUS)
        assert "N1P" not in {one["value"] for one in options["precipitation"]}
        local.product_arrives("2021-01-31T11:06:30", "N1P")
        local.run(OLD, "day", level=3)
        shown = lists.day_scans(local.workshop.catalog.snapshot("KTLX", OLD.day))
        assert counted(lists.options(shown, MENUS), "precipitation") == {"N1P": 1}
        assert pixels(local, shown[0])[..., 3].any()

    def test_only_the_codes_of_the_settings_are_followed(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", level3_products="HHC,NST")
        live_run(bench, "HHC", "N0H", "DAA", "NST", "NVW")
        assert set(bench.scans()) == {"KTLX20250409_115000_HHC", "KTLX20250409_115000_NST"}

    def test_a_product_begun_before_midnight_is_served_after_it(self, bench):
        bench.product_arrives("2025-04-08T23:57:00", "HHC")
        bench.product_arrives("2025-04-09T00:01:00", "HHC")
        bench.now = at("2025-04-09T00:05:00")
        bench.run(SiteDay(date(2025, 4, 8), "KTLX"), level=3)
        bench.run(level=3)
        assert bench.listed() == ["KTLX20250408_235700_HHC", "KTLX20250409_000100_HHC"]


REFUSED = {
    "garbage": (b"this is no product at all", "too short for a Level 3 product"),
    "empty": (b"", "too short for a Level 3 product"),
    "a volume": (b"AR2V0006.001" + bytes(500), "not a Level 3 product"),
}


class TestRefusals:
    @pytest.mark.parametrize("what", REFUSED)
    def test_what_is_no_product_is_recorded_with_its_reason_and_the_rest_goes_on(self, local, what):
        data, reason = REFUSED[what]
        key = local.product_arrives("2025-04-09T11:45:00", "N0H", data=data)
        rendered = live_run(local, "HHC")
        assert rendered.rendered == 1
        ((source, told),) = rendered.failed.items()
        assert source == "TLX_N0H_2025_04_09_11_45_00"
        assert told.startswith(f"{source}: {reason}")
        assert (local.scans()[key].status, local.scans()[key].reason) == ("failed", told)
        assert local.listed() == ["KTLX20250409_115000_HHC"]

    @pytest.mark.parametrize(
        ("code", "sample"),
        [
            ("N0H", "BMX_NCR_2015_01_02_02_05_00"),
            ("HHC", "AMX_DAA_2026_07_10_04_57_17"),
            ("N0H", "AMX_N0B_2026_07_06_15_45_17"),
            ("NST", "LOT_HHC_2021_01_31_11_06_30"),
            ("HHC", "AMX_NST_2026_07_10_04_57_17"),
        ],
    )
    def test_one_product_under_the_name_of_another_is_not_shown_as_that(self, local, code, sample):
        local.product_arrives("2025-04-09T11:50:00", code, sample=sample)
        _, rendered = local.run(level=3)
        ((source, told),) = rendered.failed.items()
        assert told.startswith(f"{source}: named {code}, but holds {sample[4:7]} (message ")
        assert local.listed() == []

    def test_it_is_recorded_once_and_not_tried_again_until_its_bytes_change(self, bench):
        bench.product_arrives("2025-04-09T11:50:00", "HHC", data=b"garbage")
        bench.run(level=3)
        collected, rendered = bench.run(level=3)
        assert (collected.known, collected.stored, rendered.waiting) == (1, 0, 0)
        assert len(bench.scans()) == 1
        assert live_run(bench, "HHC").rendered == 1
        assert bench.scans()["KTLX20250409_115000_HHC"].reason is None

    def test_newer_bytes_that_cannot_be_read_take_nothing_away(self, local):
        live_run(local, "HHC", "NST")
        for code in ("HHC", "NST"):
            local.product_arrives("2025-04-09T11:50:00", code, data=b"rubbish")
        local.run(level=3)
        assert local.listed() == ["KTLX20250409_115000_HHC", "KTLX20250409_115000_NST"]
        assert local.missing() == []


class TestDocuments:
    @pytest.mark.parametrize("code", DOCUMENTS)
    def test_vectors_are_stored_as_json_that_tells_units_times_and_scan(self, bench, code):
        key = bench.product_arrives("2025-04-09T11:50:00", code)
        _, rendered = bench.run(level=3)
        assert (rendered.rendered, rendered.documents, rendered.images) == (1, 1, 0)
        (document,) = bench.scans()[key].documents.values()
        stored = bench.workshop.store.get(keys.image(3, key, document.name))
        content = json.loads(stored.data)
        assert (content["site"], content["scan"]) == ("KTLX", key)
        assert len(stored.data) == document.size
        assert content["units"]
        assert datetime.fromisoformat(content["volume_time"]).tzinfo is not None
        if code == "NVW":
            assert len(content["levels"]) == document.count > 0
        else:
            assert content["type"] == "FeatureCollection"
            assert document.count > 0

    def test_they_are_in_the_window_but_in_no_list_and_no_count(self, local):
        live_run(local, *DOCUMENTS)
        assert len(local.listed()) == len(DOCUMENTS)
        assert lists.all_lists(local.window()) == {"hydrometeor": {}, "precipitation": {}, "reflectivity": {}}
        options = lists.options(local.window(), MENUS)
        assert all(one["count"] == 0 for menu in options.values() for one in menu)

    def test_an_old_one_that_nothing_lists_is_removed_and_a_young_one_left(self, local):
        live_run(local, "NST")
        stray = f"{keys.images_prefix(3, 'KTLX', DAY)}KTLX20250409_115000_NST_storms.deadbeef.geojson"
        assert local.orphans_removed_of(stray) == (0, 1)
        assert local.missing() == []
        assert len(local.stored()) == 1

    def test_a_listed_one_that_is_gone_is_named_and_made_again(self, local):
        live_run(local, "NST", "HHC")
        (gone,) = (key for key in local.stored() if key.endswith(".geojson"))
        local.workshop.store.delete([gone])
        (told,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert told.missing == (gone,)
        assert local.listed() == ["KTLX20250409_115000_HHC"]
        local.run(level=3)
        assert local.listed() == ["KTLX20250409_115000_HHC", "KTLX20250409_115000_NST"]
        assert local.missing() == []

    def test_retention_lets_them_go_with_the_images_of_their_time(self, bench):
        bench.now = at("2025-04-09T07:40:00")
        live_run(bench, "NST", "NVW", "HHC", time="2025-04-09T07:30:00")
        bench.now = at("2025-04-09T12:00:00")
        live_run(bench, "NST", "HHC")
        assert bench.retain()["KTLX"].scans_removed == 3
        assert {scan.start.hour for scan in bench.scans().values()} == {11}
        assert {key.rpartition("/")[2][:19] for key in bench.stored()} == {"KTLX20250409_115000"}
        assert bench.missing() == []


def batch(bench, count):
    """So many products of different minutes."""
    for minute in range(count):
        bench.product_arrives(f"2025-04-09T11:{minute:02}:00", "DAA", sample=NULL_DAA)


class TestBatches:
    def test_small_files_share_a_rewrite_of_their_days_snapshot(self, local):
        written = Counter()
        local.write_to(Tapped(local.workshop.store, lambda key: written.update([key])))
        batch(local, 40)
        local.run(level=3)
        assert len(local.scans()) == 40
        assert written[keys.snapshot("KTLX", DAY)] == 2

    def test_a_kill_between_storing_and_publishing_loses_nothing(self, bench):
        store = bench.workshop.store
        batch(bench, 3)
        bench.product_arrives("2025-04-09T11:50:00", "NST")
        bench.write_to(dying(store, "snapshots/"))
        with pytest.raises(StoreUnavailable, match="killed before snapshots/KTLX"):
            bench.run(level=3)
        assert (bench.scans(), len(bench.stored()), len(bench.raws(level=3))) == ({}, 4, 8)
        bench.write_to(store)
        collected, rendered = bench.run(level=3)
        assert (collected.bytes_fetched, rendered.rendered) == (0, 4)
        assert len(bench.listed()) == len(bench.stored()) == 4
        assert bench.missing() == bench.raws(level=3) == []

    def test_what_was_published_before_a_kill_is_listed_whole_and_not_made_again(self, bench):
        store = bench.workshop.store
        batch(bench, 5)
        bench.change_level(3, together=2)
        bench.write_to(dying(store, "snapshots/", after=1))
        with pytest.raises(StoreUnavailable):
            bench.run(level=3)
        assert len(bench.listed()) == 2
        assert bench.missing() == []
        bench.write_to(store)
        _, rendered = bench.run(level=3)
        assert rendered.rendered == 3
        assert len(bench.listed()) == 5
        assert bench.missing() == []

    @pytest.mark.parametrize("lagging", ["heads/KTLX", keys.HEAD_INDEX])
    def test_a_kill_after_the_snapshot_is_brought_up_by_the_next_reconciliation(self, local, lagging):
        store = local.workshop.store
        batch(local, 3)
        local.write_to(dying(store, lagging))
        with pytest.raises(StoreUnavailable):
            local.run(level=3)
        local.write_to(store)
        (told,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert told.head_mended
        assert len(local.listed()) == 3
        assert "KTLX" in local.workshop.catalog.index().sites

    def test_each_partition_of_a_run_gets_what_is_its_own(self, local):
        batch(local, 3)
        local.product_arrives("2025-04-09T11:50:00", "HHC", site="KDMX")
        partitions = [SiteDay(DAY, "KDMX"), TODAY]
        collect(local.workshop, local.level3, partitions, "live", log=quiet)
        done = render(local.workshop, local.level3, partitions, "live", log=quiet)
        assert [one.rendered for one in done] == [1, 3]
        assert list(local.scans("KDMX")) == ["KDMX20250409_115000_HHC"]
        assert len(local.scans("KTLX")) == 3


def raised(bench):
    """The groups whose flag is up."""
    found = flags.read(bench.workshop.store, "KTLX")
    return set() if found is None else {group for group, value in found.updates.items() if value}


class TestFlags:
    @pytest.mark.parametrize(
        ("codes", "groups"),
        [
            (("HHC",), {"hydrometeor"}),
            (("DAA",), {"precipitation"}),
            (("N0H", "DTA"), {"hydrometeor", "precipitation"}),
            (("NST", "NVW", "EET", "N0S"), set()),
        ],
    )
    def test_the_groups_with_news_are_raised_and_no_other(self, bench, codes, groups):
        live_run(bench, *codes)
        assert raised(bench) == groups

    def test_reflectivity_of_level_3_raises_no_flag_of_the_volumes(self, local):
        local.product_arrives("2025-04-09T11:50:00", "N0B", sample="AMX_N0B_2026_07_06_15_45_17")
        local.run(level=3)
        assert raised(local) == set()

    def test_a_volume_raises_reflectivity(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        assert raised(local) == {"reflectivity"}

    def test_a_run_without_news_leaves_a_lowered_flag_down(self, local):
        live_run(local, "HHC")
        flags.merge(local.workshop.store, "KTLX", {"hydrometeor": 0})
        local.run(level=3)
        assert raised(local) == set()
        live_run(local, "HHC", time="2025-04-09T11:55:00")
        assert raised(local) == {"hydrometeor"}

    def test_a_refused_product_is_no_news(self, local):
        local.product_arrives("2025-04-09T11:50:00", "HHC", data=b"garbage")
        local.run(level=3)
        assert raised(local) == set()

    def test_a_frontends_reset_between_reading_and_writing_is_not_lost(self, bench):
        store = bench.workshop.store
        flags.merge(store, "KTLX", {"reflectivity": 1, "precipitation": 1})
        resets = [{"reflectivity": 0}]

        def reset_meanwhile(key):
            if key == keys.flags("KTLX") and resets:
                flags.merge(store, "KTLX", resets.pop())

        bench.write_to(Tapped(store, reset_meanwhile))
        live_run(bench, "HHC")
        assert resets == []
        assert raised(bench) == {"hydrometeor", "precipitation"}

    def test_what_is_published_is_flagged_although_a_later_batch_fails(self, local):
        batch(local, 4)
        local.change_level(3, together=2)
        store = local.workshop.store
        local.write_to(dying(store, "snapshots/", after=1))
        with pytest.raises(StoreUnavailable):
            local.run(level=3)
        local.write_to(store)
        assert len(local.listed()) == 2
        assert raised(local) == {"precipitation"}

    def test_flags_that_are_damaged_hold_up_no_images(self, local):
        local.workshop.store.put(keys.flags("KTLX"), b"{ damaged")
        local.change_level(3, together=1)
        assert live_run(local, "HHC", "N0H").rendered == 2
        assert len(local.listed()) == 2
        assert local.workshop.store.get(keys.flags("KTLX")).data == b"{ damaged"


class TestBothLevels:
    def test_each_keeps_the_last_window_of_its_own(self, bench):
        bench.now = at("2025-04-09T05:00:00")
        bench.arrives("2025-04-09T04:55:00")
        bench.run()
        bench.now = at("2025-04-09T12:00:00")
        live_run(bench, "HHC")
        assert bench.listed() == ["KTLX20250409_045500_V06", "KTLX20250409_115000_HHC"]
        assert bench.retain()["KTLX"].scans_removed == 0
        bench.now = at("2025-04-09T17:00:00")
        bench.arrives("2025-04-09T16:55:00")
        bench.run()
        assert bench.retain()["KTLX"].scans_removed == 1
        assert bench.listed() == ["KTLX20250409_115000_HHC", "KTLX20250409_165500_V06"]
        assert bench.missing() == []

    @pytest.mark.parametrize("archived", [2, 3])
    def test_a_day_run_of_one_makes_no_archive_of_the_other(self, local, archived):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        live_run(local, "HHC", "NST")
        local.run(mode="day", level=archived)
        assert {scan.level: scan.kept for scan in local.scans().values()} == {
            archived: True,
            5 - archived: False,
        }

    def test_the_end_of_a_levels_time_spares_the_archive_of_the_other(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        live_run(local, "HHC")
        local.run(mode="day")
        local.now = at("2025-04-09T20:00:00")
        live_run(local, "HHC", time="2025-04-09T19:55:00")
        local.retain()
        assert list(local.scans()) == ["KTLX20250409_115000_V06", "KTLX20250409_195500_HHC"]

    def test_a_removed_day_leaves_nothing_of_either(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        live_run(local, "HHC", "NST")
        assert upkeep.remove_day(local.workshop, "KTLX", DAY) == (3, 7)
        assert local.stored(2) == local.stored(3) == set()

    def test_newest_first_is_no_order_of_a_list_whatever_comes_first(self, local):
        for time in ("11:55", "11:40", "11:50"):
            live_run(local, "HHC", time=f"2025-04-09T{time}:00")
            local.arrives(f"2025-04-09T{time}:30")
            local.run()
        for keys_of_group in lists.all_lists(local.window()).values():
            assert list(keys_of_group) == sorted(keys_of_group)


class TestCopies:
    def read(self, bench, key):
        return json.loads(bench.workshop.store.get(key).data)

    def test_options_agree_with_the_lists_beside_them(self, bench):
        live_run(bench, "HHC", "N0H", "DAA", "NST", time="2025-04-09T11:40:00")
        live_run(bench, "HHC", "DTA")
        bench.product_arrives("2025-04-09T11:55:00", "N1H", data=b"garbage")
        bench.run(level=3)
        (told,) = upkeep.write_lists(bench.workshop, [TODAY], quiet)
        assert told.scans == 6
        options = self.read(bench, keys.options_copy("KTLX"))
        for group in ("hydrometeor", "precipitation"):
            listed = self.read(bench, keys.list_copy("KTLX", group))
            codes = Counter(key.rpartition("_")[2] for key in listed)
            assert counted(options, group) == codes
            assert codes.total() > 0
        assert [one["value"] for one in options["hydrometeor"]] == [
            *("N0H", "N1H", "NAH", "NBH", "N2H", "N3H", "NXH", "NYH", "NZH", "HHC")
        ]
        assert options["reflectivity"] == [{"value": None, "label": None, "count": 0}]
        assert all(one["label"] for group in ("hydrometeor", "precipitation") for one in options[group])

    def test_they_follow_what_retention_lets_go(self, local):
        local.now = at("2025-04-09T07:40:00")
        live_run(local, "DAA", time="2025-04-09T07:30:00")
        local.now = at("2025-04-09T12:00:00")
        live_run(local, "HHC")
        local.retain()
        upkeep.write_lists(local.workshop, [TODAY], quiet)
        options = self.read(local, keys.options_copy("KTLX"))
        assert self.read(local, keys.list_copy("KTLX", "precipitation")) == {}
        assert counted(options, "precipitation") == {}
        assert counted(options, "hydrometeor") == {"HHC": 1}


def test_another_image_size_renders_products_again_and_leaves_no_old_image_listed(local):
    live_run(local, "HHC", "NST")
    settings = local.workshop.settings.model_copy(update={"image_size": 256})
    sources = (local.workshop.levels[level].source for level in (2, 3))
    local.workshop = dataclasses.replace(local.workshop, settings=settings, levels=levels(settings, *sources))
    assert local.run(level=3)[1].rendered == 2
    (image,) = (image for scan in local.window() for image in scans.images(scan))
    assert image.pixels == 256
    assert local.missing() == []
