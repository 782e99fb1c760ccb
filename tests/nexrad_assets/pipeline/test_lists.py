"""What snapshots say: the live window, lists, options, sweep metadata."""

from collections import Counter
from datetime import date, timedelta

import pytest

from nexrad_assets.radar.level3.products import MENUS
from store.radar import lists
from store.radar.snapshot import DayHead, Head, LevelHead, Snapshot
from tests.nexrad_assets.snapshots import at, by_key, product, scan

NOW = at("2025-04-09T12:00:00")


def day_head(*, newest, live=None, level=2):
    live_at = None if live is None else at(live)
    return DayHead(1, {level: LevelHead(1, 1, newest=at(newest), newest_live=live_at)})


def keys_of(scans):
    return [one.key for one in scans]


def test_the_window_ends_with_the_newest_live_scan_and_is_oldest_first():
    scans = [scan("2025-04-09T11:30:00"), scan("2025-04-09T08:29:59"), scan("2025-04-09T08:30:00")]
    assert keys_of(lists.window(scans, NOW, 180)) == ["KPDT20250409_083000_V06", "KPDT20250409_113000_V06"]


def test_a_silent_radar_keeps_its_last_window():
    scans = [scan("2025-04-08T20:00:00"), scan("2025-04-08T18:00:00"), scan("2025-04-08T16:00:00")]
    assert len(lists.window(scans, NOW + timedelta(days=3), 180)) == 2


def test_an_old_backfill_beside_live_data_changes_nothing():
    live = [scan("2025-04-09T11:30:00"), scan("2025-04-09T11:00:00")]
    old = [scan("2013-05-20T20:00:00", origin="backfill")]
    assert lists.window(live + old, NOW, 180) == lists.window(live, NOW, 180)


def test_a_backfill_of_today_fills_holes_of_the_live_window():
    scans = [scan("2025-04-09T11:30:00"), scan("2025-04-09T11:00:00", origin="backfill")]
    assert len(lists.window(scans, NOW, 180)) == 2


def test_a_backfill_after_a_live_site_fell_silent_is_archive():
    scans = [scan("2025-04-05T11:00:00"), scan("2025-04-08T11:00:00", origin="backfill")]
    assert keys_of(lists.window(scans, NOW, 180)) == ["KPDT20250405_110000_V06"]


def test_the_days_of_the_window_are_those_that_can_hold_it():
    head = Head(
        "KPDT",
        1,
        days={
            "2013-05-20": day_head(newest="2013-05-20T23:58:00"),
            "2025-04-08": day_head(newest="2025-04-08T23:57:00", live="2025-04-08T23:57:00"),
            "2025-04-09": day_head(newest="2025-04-09T00:30:00", live="2025-04-09T00:30:00"),
        },
    )
    now = at("2025-04-09T00:31:00")
    assert lists.window_days(head, now, 180) == (date(2025, 4, 8), date(2025, 4, 9))
    assert lists.window_days(head, now, 20) == (date(2025, 4, 9),)


def test_a_site_with_backfills_alone_shows_the_end_of_its_newest_day():
    scans = [scan("2013-05-20T20:00:00", origin="backfill"), scan("2013-05-20T10:00:00", origin="backfill")]
    assert keys_of(lists.window(scans, NOW, 180)) == ["KPDT20130520_200000_V06"]


def test_a_scan_stamped_far_ahead_is_no_news():
    scans = [scan("2025-04-09T11:59:00"), scan("2025-04-09T12:30:00")]
    assert keys_of(lists.window(scans, NOW, 180)) == ["KPDT20250409_115900_V06"]


def test_a_scan_a_few_minutes_ahead_is_shown_but_does_not_move_the_window():
    scans = [scan("2025-04-09T12:05:00"), scan("2025-04-09T09:00:00")]
    assert len(lists.window(scans, NOW, 180)) == 2


def test_a_failed_scan_is_in_no_list():
    scans = [scan("2025-04-09T11:30:00", status="failed"), scan("2025-04-09T11:00:00")]
    assert keys_of(lists.window(scans, NOW, 180)) == ["KPDT20250409_110000_V06"]


def test_lists_have_every_product_and_count_tilts():
    assert lists.all_lists([scan("2025-04-09T11:00:00", tilts=9)]) == {
        "hydrometeor": {},
        "precipitation": {},
        "reflectivity": {"KPDT20250409_110000_V06": {"sweeps": 9}},
    }


class TestOptions:
    def test_every_menu_is_there_and_reflectivity_has_its_one_entry(self):
        options = lists.options([scan("2025-04-09T11:00:00")], MENUS)
        assert list(options) == ["hydrometeor", "precipitation", "reflectivity"]
        assert options["reflectivity"] == [{"value": None, "label": None, "count": 0}]

    def test_codes_come_in_the_order_of_the_menu_with_counts_of_exactly_these_scans(self):
        scans = [product("2025-04-09T11:00:00", "HHC"), product("2025-04-09T11:05:00", "HHC")]
        scans += [product("2025-04-09T11:00:00", "N0H"), product("2025-04-09T11:00:00", "DAA")]
        options = lists.options(scans, MENUS)
        shown = [one["value"] for one in options["hydrometeor"]]
        assert shown == ["N0H", "N1H", "NAH", "NBH", "N2H", "N3H", "NXH", "NYH", "NZH", "HHC"]
        counts = {one["value"]: one["count"] for menu in options.values() for one in menu}
        assert {code for code, count in counts.items() if count} == {"HHC", "N0H", "DAA"}
        assert (counts["HHC"], counts["N0H"], counts["DAA"]) == (2, 1, 1)

    def test_a_dead_code_is_offered_only_where_a_scan_has_it(self):
        living = lists.options([product("2025-04-09T11:00:00", "DAA")], MENUS)
        assert not {"N1P", "N3P", "NTP", "DSP"} & {one["value"] for one in living["precipitation"]}
        archive = lists.options([product("2021-01-31T11:06:30", "N1P")], MENUS)["precipitation"]
        assert archive[0]["value"] == "N1P"
        assert archive[0]["count"] == 1

    def test_a_code_that_no_menu_knows_is_shown_last_under_its_own_label(self):
        strange = product("2025-04-09T11:00:00", "ZZH", group="hydrometeor", label="Something new")
        last = lists.options([strange], MENUS)["hydrometeor"][-1]
        assert last == {"value": "ZZH", "label": "Something new", "count": 1}

    def test_a_count_above_nothing_has_its_code_in_the_list(self):
        scans = [product("2025-04-09T11:00:00", code) for code in ("HHC", "N0H", "DAA", "DPR")]
        listed, options = lists.all_lists(scans), lists.options(scans, MENUS)
        for group in ("hydrometeor", "precipitation"):
            found = Counter(key.rpartition("_")[2] for key in listed[group])
            assert found == {one["value"]: one["count"] for one in options[group] if one["count"]}


class TestLevels:
    def test_reflectivity_of_level_3_is_not_in_the_list_of_level_2(self):
        both = [scan("2025-04-09T11:00:00"), product("2025-04-09T11:00:00", "N0B")]
        assert list(lists.all_lists(both)["reflectivity"]) == ["KPDT20250409_110000_V06"]

    def test_a_level_whose_source_fell_silent_keeps_its_own_last_window(self):
        scans = [scan("2025-04-09T06:00:00"), product("2025-04-09T11:55:00", "HHC")]
        assert len(lists.window(scans, NOW, 180)) == 2
        later = [*scans, product("2025-04-09T07:00:00", "HHC")]
        assert keys_of(lists.window(later, NOW, 180)) == [
            "KPDT20250409_060000_V06",
            "KPDT20250409_115500_HHC",
        ]

    def test_the_days_of_the_window_are_those_of_every_level(self):
        head = Head(
            "KPDT",
            1,
            days={
                "2025-04-07": day_head(newest="2025-04-07T20:00:00", live="2025-04-07T20:00:00", level=2),
                "2025-04-09": day_head(newest="2025-04-09T11:00:00", live="2025-04-09T11:00:00", level=3),
            },
        )
        assert lists.window_days(head, NOW, 180) == (date(2025, 4, 7), date(2025, 4, 9))


def test_a_day_is_complete_whatever_its_origin():
    one, two = scan("2013-05-20T00:01:00", origin="backfill"), scan("2013-05-20T23:57:00")
    snapshot = Snapshot("KPDT", date(2013, 5, 20), 1, by_key(two, one))
    assert lists.day_scans(snapshot) == (one, two)


def test_metadata_has_the_fields_of_the_contract():
    metadata = lists.sweep_metadata(scan("2025-04-09T11:00:00"), "reflectivity", 1)
    assert metadata["original_sweep_number"] == 2
    assert metadata["elevation_index"] == 2
    assert metadata["elevation_angle_degrees"] == 1.5
    assert metadata["azimuth_angle_degrees"] == 0.0
    assert metadata["bounding_box_lon_lat"] == {
        "nw": [-120.0, 46.0],
        "ne": [-117.0, 46.0],
        "se": [-117.0, 44.0],
        "sw": [-120.0, 44.0],
    }


@pytest.mark.parametrize(("product", "index"), [("velocity", 0), ("reflectivity", 9)])
def test_metadata_of_what_is_not_there_is_a_lookup_error(product, index):
    with pytest.raises(LookupError):
        lists.sweep_metadata(scan("2025-04-09T11:00:00"), product, index)
