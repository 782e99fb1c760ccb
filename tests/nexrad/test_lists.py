"""What snapshots say: the live window, lists, options, sweep metadata."""

from datetime import date, timedelta

import pytest

from store import lists
from store.snapshot import DayHead, Head, Snapshot
from tests.nexrad.snapshots import at, by_key, scan

NOW = at("2025-04-09T12:00:00")


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
            "2013-05-20": DayHead(1, 200, 0, newest=at("2013-05-20T23:58:00")),
            "2025-04-08": DayHead(
                1, 9, 9, newest=at("2025-04-08T23:57:00"), newest_live=at("2025-04-08T23:57:00")
            ),
            "2025-04-09": DayHead(
                1, 1, 1, newest=at("2025-04-09T00:30:00"), newest_live=at("2025-04-09T00:30:00")
            ),
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


def test_options_have_every_menu():
    assert lists.options([scan("2025-04-09T11:00:00")]) == {
        "hydrometeor": [],
        "precipitation": [],
        "reflectivity": [{"value": None, "label": None, "count": 0}],
    }


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
