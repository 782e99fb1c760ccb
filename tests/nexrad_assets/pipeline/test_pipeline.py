"""Fetch, render, publish, keep and let go: the whole pipeline on real volumes, a folder source and a store.

Real volumes are given other times by their file's name; what they hold stays what the radar sent.
"""

import dataclasses
import os
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from nexrad_assets.levels.results import SiteDay
from nexrad_assets.pipeline import upkeep
from nexrad_assets.pipeline.context import levels
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.sources.source import SourceError
from store import keys
from store.radar import lists
from store.radar.snapshot import SnapshotError
from tests.nexrad_assets.pipeline.pipeline_world import (
    DAY,
    GEOMETRIES,
    NOW,
    SMALL,
    TODAY,
    Bench,
    bench,
    local,
    quiet,
)
from tests.nexrad_assets.snapshots import at
from tests.samples import LEVEL2, needs_samples

__all__ = ["bench", "local"]

pytestmark = needs_samples

CUT = "2022/03/05/KDMX/KDMX20220305_232324_V06"


class TestALiveRun:
    def test_a_volume_becomes_a_listed_scan_whose_images_exist(self, bench):
        bench.arrives("2025-04-09T11:50:00")
        collected, rendered = bench.run()
        assert (collected.listed, collected.stored, rendered.rendered, rendered.images) == (1, 1, 1, 5)
        assert bench.listed() == ["KTLX20250409_115000_V06"]
        (scan,) = bench.scans().values()
        for key in (
            keys.image(2, scan.key, tilt.images[0].name) for tilt in scan.layers["reflectivity"].tilts
        ):
            assert bench.workshop.store.get(key).data.startswith(b"\x89PNG")
        assert (scan.origin, scan.status, scan.vcp) == ("live", "whole", 32)

    def test_it_handles_the_live_window_alone(self, local):
        local.arrives("2025-04-09T08:00:00")
        local.arrives("2025-04-09T11:50:00")
        collected, _ = local.run()
        assert (collected.listed, collected.wanted) == (2, 1)

    def test_what_is_known_is_not_fetched_again(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        collected, rendered = local.run()
        assert (collected.known, collected.stored, rendered.waiting) == (1, 0, 0)

    def test_a_volume_sent_again_with_other_bytes_is_rendered_again(self, local):
        local.arrives("2025-04-09T11:50:00", CUT)
        local.run()
        before = local.scans()["KTLX20250409_115000_V06"]
        local.arrives("2025-04-09T11:50:00")
        local.run()
        after = local.scans()["KTLX20250409_115000_V06"]
        assert (before.status, after.status) == ("partial", "whole")
        assert len(after.layers["reflectivity"].tilts) == 5
        assert local.missing() == []

    def test_another_image_size_renders_again(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        settings = local.workshop.settings.model_copy(update={"image_size": 256})
        sources = (local.workshop.levels[level].source for level in (2, 3))
        local.workshop = dataclasses.replace(
            local.workshop, settings=settings, levels=levels(settings, *sources)
        )
        _, rendered = local.run()
        assert rendered.rendered == 1
        assert {image.pixels for tilt in one_layer(local).tilts for image in tilt.images} == {256}

    def test_force_renders_what_is_known(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.now += timedelta(minutes=1)
        collected, rendered = local.run(force=True)
        assert (collected.stored, rendered.rendered) == (1, 1)

    def test_force_renders_what_is_known_also_where_raw_volumes_are_kept(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", raw_keep_minutes=60)
        bench.arrives("2025-04-09T11:50:00")
        bench.run()
        bench.now += timedelta(minutes=1)
        _, rendered = bench.run(force=True)
        assert rendered.rendered == 1

    def test_a_fault_of_the_program_is_tried_again(self, local, monkeypatch):
        local.arrives("2025-04-09T11:50:00")
        with monkeypatch.context() as patched:
            patched.setattr("nexrad_assets.levels.scans.render.render", lambda *_: 1 / 0)
            _, rendered = local.run()
        assert "a fault of this program" in next(iter(rendered.failed.values()))
        _, rendered = local.run()
        assert rendered.rendered == 1

    def test_raw_volumes_are_not_kept_beyond_rendering(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        assert local.raws() == []

    def test_one_stamped_far_ahead_is_quarantined_until_its_time_has_come(self, local):
        name = local.arrives("2025-04-09T12:20:00")
        local.arrives("2025-04-09T11:50:00")
        collected, _ = local.run()
        assert collected.quarantined == (name,)
        assert local.listed() == ["KTLX20250409_115000_V06"]
        local.now += timedelta(minutes=30)
        local.run()
        assert len(local.listed()) == 2


def one_layer(bench):
    (scan,) = bench.scans().values()
    return scan.layers["reflectivity"]


class TestBadFiles:
    def test_one_bad_file_is_recorded_and_the_rest_goes_on(self, local):
        bad = local.arrives("2025-04-09T11:40:00", data=b"this is no volume")
        local.arrives("2025-04-09T11:50:00")
        _, rendered = local.run()
        assert rendered.rendered == 1
        ((source, reason),) = rendered.failed.items()
        assert source.endswith(bad)
        assert "not an Archive II volume" in reason
        assert local.scans()["KTLX20250409_114000_V06"].status == "failed"
        assert local.listed() == ["KTLX20250409_115000_V06"]

    def test_it_is_not_tried_again_until_its_bytes_change(self, local):
        local.arrives("2025-04-09T11:40:00", data=b"this is no volume")
        local.run()
        collected, rendered = local.run()
        assert (collected.known, rendered.waiting) == (1, 0)
        local.arrives("2025-04-09T11:40:00")
        _, rendered = local.run()
        assert rendered.rendered == 1

    def test_newer_bytes_that_cannot_be_read_take_nothing_away(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.arrives("2025-04-09T11:50:00", data=b"rubbish")
        local.run()
        assert local.listed() == ["KTLX20250409_115000_V06"]
        assert local.missing() == []

    def test_a_cut_volume_gives_its_whole_sweeps_and_says_what_is_missing(self, local):
        local.arrives("2025-04-09T11:50:00", CUT)
        _, rendered = local.run()
        assert "no end of volume" in rendered.partial["KTLX20250409_115000_V06"]
        assert len(one_layer(local).tilts) == 2

    def test_a_file_larger_than_the_limit_is_not_fetched(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", max_volume_bytes=1000)
        name = bench.arrives("2025-04-09T11:50:00")
        collected, _ = bench.run()
        assert name in collected.failed


class TestDays:
    def test_a_volume_begun_before_midnight_is_served_after_it(self, bench):
        yesterday = SiteDay(date(2025, 4, 8), "KTLX")
        bench.arrives("2025-04-08T23:57:00")
        bench.arrives("2025-04-09T00:01:00")
        bench.now = at("2025-04-09T00:05:00")
        bench.run(yesterday)
        bench.run()
        assert bench.listed() == ["KTLX20250408_235700_V06", "KTLX20250409_000100_V06"]

    def test_yesterdays_run_does_not_bring_back_what_retention_let_go(self, local):
        yesterday = SiteDay(date(2025, 4, 8), "KTLX")
        for begun in ("2025-04-08T21:00:00", "2025-04-08T23:57:00", "2025-04-09T02:50:00"):
            local.arrives(begun)
        local.now = at("2025-04-08T23:59:00")
        local.run(yesterday)
        local.now = at("2025-04-09T02:55:00")
        local.run()
        local.retain()
        collected, _ = local.run(yesterday)
        assert collected.wanted == 1
        assert "KTLX20250408_210000_V06" not in local.scans(day=yesterday.day)

    def test_a_day_without_objects_is_no_failure(self, local):
        collected, rendered = local.run(SiteDay(date(2001, 1, 1), "KTLX"), "day")
        assert (collected.listed, rendered.rendered) == (0, 0)

    def test_nothing_to_list_at_all_is_a_source_error(self, local):
        class Away:
            def list_day(self, site, day, since=None, *, archive=False):
                raise SourceError("the source is away")

        local.take_from(Away())
        with pytest.raises(SourceError, match="away"):
            collect(local.workshop, local.level2, [TODAY], "live", log=quiet)

    def test_one_site_that_cannot_be_listed_does_not_stop_the_others(self, local):
        real = local.level2.source

        class HalfAway:
            def list_day(self, site, day, since=None, *, archive=False):
                if site == "KDMX":
                    raise SourceError("KDMX cannot be listed")
                return real.list_day(site, day, since, archive=archive)

            fetch = real.fetch

        local.arrives("2025-04-09T11:50:00")
        local.take_from(HalfAway())
        bad, good = collect(local.workshop, local.level2, [SiteDay(DAY, "KDMX"), TODAY], "live", log=quiet)
        assert bad.failed == {"listing": "KDMX cannot be listed"}
        assert good.stored == 1


class TestRetention:
    def test_live_scans_go_after_four_hours_with_their_images(self, bench):
        bench.arrives("2025-04-09T07:30:00")
        bench.now = at("2025-04-09T07:40:00")
        bench.run()
        bench.arrives("2025-04-09T11:50:00")
        bench.now = NOW
        bench.run()
        assert bench.retain()["KTLX"].scans_removed == 1
        assert list(bench.scans()) == ["KTLX20250409_115000_V06"]
        prefix = keys.images_site_prefix(2, "KTLX")
        assert {info.key.split("/")[-1][:23] for info in bench.workshop.store.list(prefix)} == {
            "KTLX20250409_115000_V06"
        }
        assert bench.missing() == []

    def test_a_radar_that_falls_silent_keeps_its_last_window(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.now += timedelta(days=4)
        assert local.retain()["KTLX"].scans_removed == 0
        assert local.listed() == ["KTLX20250409_115000_V06"]

    def test_a_backfilled_day_stays_and_changes_no_default_list(self, bench):
        bench.arrives("2025-04-09T11:50:00")
        bench.run()
        old = SiteDay(date(2013, 5, 20), "KTLX")
        before = bench.listed()
        for hour in (1, 12, 23):
            bench.arrives(f"2013-05-20T{hour:02}:00:00")
        _, rendered = bench.run(old, "day")
        assert rendered.rendered == 3
        assert bench.listed() == before
        assert bench.retain()["KTLX"].scans_removed == 0
        shown = lists.day_scans(bench.workshop.catalog.snapshot("KTLX", old.day))
        assert [scan.start.hour for scan in shown] == [1, 12, 23]

    def test_a_backfill_makes_archive_of_what_was_live(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.run(mode="day")
        assert [(scan.origin, scan.kept) for scan in local.scans().values()] == [("live", True)]
        local.arrives("2025-04-09T23:50:00")
        local.now = at("2025-04-09T23:55:00")
        local.run()
        local.retain()
        assert len(local.scans()) == 2

    def test_a_backfill_loses_nothing_to_a_retention_that_runs_meanwhile(self, local):
        local.arrives("2025-04-09T08:01:00")
        local.now = at("2025-04-09T08:05:00")
        local.run()
        local.now = at("2025-04-09T12:00:00")
        local.arrives("2025-04-09T11:58:00")
        local.run()
        collect(local.workshop, local.level2, [TODAY], "day", log=quiet)
        local.arrives("2025-04-09T12:05:00")
        local.now = at("2025-04-09T12:10:00")
        local.run()
        local.retain()
        render(local.workshop, local.level2, [TODAY], "day", log=quiet)
        assert len(local.scans()) == 3

    def test_what_a_backfill_fetched_stays_archive_whoever_renders_it(self, local):
        for hour in (1, 2, 11):
            local.arrives(f"2025-04-09T{hour:02}:55:00")
        collect(local.workshop, local.level2, [TODAY], "day", log=quiet)
        local.run()
        local.retain()
        render(local.workshop, local.level2, [TODAY], "day", log=quiet)
        assert {scan.start.hour: scan.kept for scan in local.scans().values()} == {1: True, 2: True, 11: True}

    def test_a_backfill_of_today_just_after_midnight_keeps_the_default_list(self, local):
        for begun in (
            "2025-04-08T22:00:00",
            "2025-04-08T23:50:00",
            "2025-04-09T00:30:00",
            "2025-04-09T01:00:00",
        ):
            local.arrives(begun)
            local.now = at(begun) + timedelta(minutes=2)
            local.run(SiteDay(at(begun).date(), "KTLX"))
        before = local.listed()
        assert len(before) == 4
        local.run(mode="day")
        assert local.listed() == before

    def test_the_end_of_an_archive_spares_a_silent_radars_last_window(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", archive_keep_days=7)
        bench.arrives("2025-04-09T11:50:00")
        bench.run()
        bench.run(mode="day")
        bench.now += timedelta(days=9)
        bench.retain()
        assert bench.listed() == ["KTLX20250409_115000_V06"]

    def test_failed_live_scans_go_too(self, local):
        local.arrives("2025-04-08T23:58:00", data=b"rubbish")
        local.now = at("2025-04-08T23:59:00")
        local.run(SiteDay(date(2025, 4, 8), "KTLX"))
        local.arrives("2025-04-09T11:50:00")
        local.now = NOW
        local.run()
        local.retain()
        assert local.scans(day=date(2025, 4, 8)) == {}

    def test_one_damaged_snapshot_does_not_hold_up_the_other_sites(self, local):
        local.workshop.store.put(keys.snapshot("KDMX", DAY), b"{ damaged")
        local.workshop.store.put(keys.head("KDMX"), b"{ damaged")
        local.arrives("2025-04-09T07:30:00")
        local.now = at("2025-04-09T07:40:00")
        local.run()
        local.arrives("2025-04-09T11:50:00")
        local.now = NOW
        bad, good = collect(local.workshop, local.level2, [SiteDay(DAY, "KDMX"), TODAY], "live", log=quiet)
        assert "KDMX" in bad.failed["listing"]
        assert good.stored == 1
        render(local.workshop, local.level2, [TODAY], "live", log=quiet)
        with pytest.raises(SnapshotError, match="KDMX"):
            upkeep.retain(local.workshop, ["KDMX", "KTLX"], quiet)
        assert list(local.scans()) == ["KTLX20250409_115000_V06"]

    def test_a_removed_day_leaves_nothing(self, local):
        local.arrives("2013-05-20T01:00:00")
        old = SiteDay(date(2013, 5, 20), "KTLX")
        local.run(old, "day")
        assert upkeep.remove_day(local.workshop, "KTLX", old.day) == (1, 5)
        assert list(local.workshop.store.list(keys.images_site_prefix(2, "KTLX"))) == []
        assert local.workshop.catalog.head("KTLX").days == {}

    def test_archived_days_go_only_when_a_setting_says_so(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", archive_keep_days=30)
        for day in ("2013-05-20", "2025-04-01"):
            bench.arrives(f"{day}T01:00:00")
            bench.run(SiteDay(date.fromisoformat(day), "KTLX"), "day")
        assert bench.retain()["KTLX"].days_removed == 1
        assert list(bench.workshop.catalog.head("KTLX").days) == ["2025-04-01"]
        kept = {
            info.key.split("/")[2] for info in bench.workshop.store.list(keys.images_site_prefix(2, "KTLX"))
        }
        assert kept == {"20250401"}

    def test_raw_volumes_are_kept_as_long_as_the_setting_says(self, local_store, tmp_path):
        bench = Bench(local_store, tmp_path / "source", raw_keep_minutes=60)
        bench.arrives("2025-04-09T11:50:00")
        bench.run()
        bench.retain()
        assert len(bench.raws()) == 2
        bench.now += timedelta(minutes=61)
        assert bench.retain()["KTLX"].raws_removed == 1
        assert bench.raws() == []

    def test_of_two_empty_sweeps_with_equal_bytes_one_goes_and_the_other_stays(self, local):
        local.arrives("2025-04-09T07:30:00")
        local.now = at("2025-04-09T07:40:00")
        local.run()
        local.arrives("2025-04-09T11:50:00")
        local.now = NOW
        local.run()
        digests = [
            {image.sha256 for tilt in scan.layers["reflectivity"].tilts for image in tilt.images}
            for scan in local.scans().values()
        ]
        assert digests[0] == digests[1]
        local.retain()
        assert len(local.scans()) == 1
        assert local.missing() == []


class TestReconciling:
    def test_images_that_nothing_lists_go_when_they_are_old(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        stray = f"{keys.images_prefix(2, 'KTLX', DAY)}KTLX20250409_115000_V06_reflectivity_idx0.deadbeef.png"
        assert local.orphans_removed_of(stray) == (0, 1)
        assert local.missing() == []

    def test_a_listed_image_that_is_gone_is_named_and_its_scan_made_again(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        gone = next(info.key for info in local.workshop.store.list(keys.images_prefix(2, "KTLX", DAY)))
        local.workshop.store.delete([gone])
        (told,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert told.missing == (gone,)
        assert local.listed() == []
        local.run()
        assert local.listed() == ["KTLX20250409_115000_V06"]
        assert local.missing() == []

    @pytest.mark.parametrize("key", [keys.head("KTLX"), keys.HEAD_INDEX])
    def test_a_damaged_head_or_index_is_made_anew(self, local, key):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.workshop.store.put(key, b"{ damaged")
        (told,) = upkeep.reconcile(
            local.workshop, ["KTLX"], quiet, since=datetime.now(UTC) + timedelta(hours=1)
        )
        assert told.head_mended
        assert local.listed() == ["KTLX20250409_115000_V06"]
        assert "KTLX" in local.workshop.catalog.index().sites

    def test_stray_objects_do_not_stop_it(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        for stray in ("snapshots/KTLX/old.json", "plots_level2/KTLX/readme.txt", "plots_level2/KTLX/x/y.png"):
            local.workshop.store.put(stray, b"stray")
        (told,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert told.missing == ()

    def test_the_hourly_one_looks_at_what_changed(self, local):
        local.arrives("2013-05-20T01:00:00")
        local.run(SiteDay(date(2013, 5, 20), "KTLX"), "day")
        gone = next(info.key for info in local.workshop.store.list(keys.images_site_prefix(2, "KTLX")))
        local.workshop.store.delete([gone])
        local.now = datetime.now(UTC)
        (recent,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet, since=local.now + timedelta(hours=1))
        (changed,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet, since=local.now - timedelta(hours=1))
        assert (recent.missing, changed.missing) == ((), (gone,))

    def test_what_killed_writers_left_is_removed(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        root = local.workshop.store.root
        left = root / "plots_level2" / f".unfinished-{0:032x}"
        left.write_bytes(b"half")
        os.utime(left, (1.0e9, 1.0e9))
        upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert not left.exists()

    def test_a_head_that_lags_is_mended(self, local):
        local.arrives("2025-04-09T11:50:00")
        local.run()
        local.workshop.store.delete([keys.head("KTLX"), keys.HEAD_INDEX])
        (told,) = upkeep.reconcile(local.workshop, ["KTLX"], quiet)
        assert told.head_mended
        assert local.listed() == ["KTLX20250409_115000_V06"]
        assert "KTLX" in local.workshop.catalog.index().sites


def test_copies_of_lists_for_people_say_what_the_window_holds(local):
    import json

    local.arrives("2025-04-09T11:50:00")
    local.run()
    upkeep.write_lists(local.workshop, [TODAY], quiet)
    store = local.workshop.store
    copy = json.loads(store.get(keys.list_copy("KTLX", "reflectivity")).data)
    assert copy == {"KTLX20250409_115000_V06": {"sweeps": 5}}
    assert json.loads(store.get(keys.options_copy("KTLX")).data)["reflectivity"][0]["count"] == 0


def test_images_of_a_published_scan_hold_the_gates_of_the_volume(local):
    """From the file to the store: a pixel's index is the code of the gate below it."""
    import io

    from PIL import Image

    from nexrad_assets.radar.image.products import REFLECTIVITY
    from nexrad_assets.radar.image.render import jobs
    from nexrad_assets.radar.image.render import render as render_job
    from nexrad_assets.radar.level2.archive2 import read_volume

    local.arrives("2025-04-09T11:50:00")
    local.run()
    (scan,) = local.scans().values()
    volume = read_volume((LEVEL2 / SMALL).read_bytes(), "KTLX20140101_000624_V06.gz")
    for job, tilt in zip(jobs(volume, REFLECTIVITY), one_layer(local).tilts, strict=True):
        stored = local.workshop.store.get(keys.image(2, scan.key, tilt.images[0].name)).data
        direct = render_job(job, 128, GEOMETRIES).png
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(stored))), np.asarray(Image.open(io.BytesIO(direct)))
        )
