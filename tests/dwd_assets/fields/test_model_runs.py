"""Archiving model runs from a real (simulated) server: what is kept, when, and what the ledger says."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dwd_assets.archive.storing import BelowFloor
from dwd_assets.fields.model_runs import archive_run, runs_due
from dwd_assets.fields.retention import Retention, run_hours
from dwd_assets.fields.standing import QUIET
from dwd_assets.formats.paths import parse_archive_path, version_path
from dwd_assets.opendata.settling import SETTLE
from dwd_assets.periods.progress import GRACE
from dwd_assets.selection import Selection, parse_row
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Plan
from store import keys
from tests.dwd_assets.fields.model_world import CATALOGUE, OLD_FILES, V1_FILES, World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
"""The last file of the run came ten minutes ago."""

DELETED = Retention("icon-d2", 8).deadline(NOON)
"""When the server deletes the first file of the run."""

RETRY = timedelta(minutes=5)
POSITIONS = (constant("clat"), constant("clon"))
T_2M = "weather/icon-d2/grib/2026091612/t_2m/icon-d2_icosahedral_single_2026091612_00100_2d_t_2m.grib2.lz4"
T_2M_ADDRESS = "/weather/nwp/v1/m/icon-d2/p/T_2M/r/2026-09-16T12:00/s/PT001H00M.grib2"
OLD_NAME = "icon-d2_germany_regular-lat-lon_single-level_2026091612_001_2d_t_2m.grib2"
OLD_T_2M = f"weather/icon-d2/grib/2026091612/t_2m/{OLD_NAME}.lz4"
OLD_T_2M_ADDRESS = f"/weather/nwp/icon-d2/grib/12/t_2m/{OLD_NAME}.bz2"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


# A run as it should be


def test_a_run_of_both_trees_is_archived_whole_and_costs_nothing_more(store):
    with opened(store, ALL_THERE, old_tree=True) as world:
        done = world.archive(NOON)
        assert (done.fetched, done.failed, done.changed) == (V1_FILES + OLD_FILES, {}, 0)
        assert done.summary.state(world.now) == "complete"
        assert (done.summary.kept, done.summary.missing) == (V1_FILES + OLD_FILES, 0)
        assert world.stored_files() == set(world.ledger(NOON).kept)
        world.audit(NOON)
        before = len(world.simulator.requests)
        assert "2026091612" not in world.due()
        assert not [each for each in world.simulator.requests[before:] if "2026-09-16T12" in each.path]
        assert world.archive(NOON).requests == 0


def test_a_run_that_is_in_the_future_is_refused_and_leaves_no_ledger(local_store):
    with opened(local_store, NOON - timedelta(hours=1, minutes=1), is_new=True) as world:
        with pytest.raises(
            ValueError, match=r"icon-d2 2026091612 is in the future: it is 2026-09-16 10:59 UTC"
        ):
            world.archive(NOON)
        assert (world.simulator.requests, list(local_store.list(""))) == ((), [])
    with opened(local_store, NOON - timedelta(hours=1)) as world:
        assert world.archive(NOON).fetched == 0, "a clock may be behind"


def test_each_file_says_where_it_came_from(local_store):
    with opened(local_store, ALL_THERE, old_tree=True) as world:
        world.archive(NOON)
        v1, old = (world.ledger(NOON).kept[path] for path in (T_2M, OLD_T_2M))
        assert v1.source.url == world.simulator.url + T_2M_ADDRESS.replace(":00/", "%3A00/")
        assert (v1.source.codec, old.source.codec) == ("none", "bzip2")
        assert v1.source.sha256 == v1.sha256
        assert v1.source.length == v1.size
        assert old.source.sha256 != old.sha256
        assert old.source.fetched_at == old.kept_at == world.now
        assert v1.source.etag.startswith('"')
        assert NOON < v1.source.modified < world.now


@pytest.mark.parametrize("old_tree", [False, True])
def test_a_run_that_appears_bit_by_bit_is_followed_and_ends_complete(local_store, old_tree):
    with opened(local_store, NOON + timedelta(minutes=30), old_tree=old_tree) as world:
        world.work_off()
        before = len(world.simulator.requests)
        passes = looks = 0
        while world.now < ALL_THERE + timedelta(minutes=1):
            looks += 1
            if world.due() == ["2026091612"]:
                done = world.archive(NOON)
                passes += 1
                assert done.failed == {}
                modified = [kept.source.modified for kept in world.ledger(NOON).kept.values()]
                assert all(world.now - each >= SETTLE for each in modified)
            if world.now < NOON + timedelta(minutes=119):
                assert world.state(NOON) != "complete"
            world.simulator.clock.advance(timedelta(minutes=2))
        assert world.state(NOON) == "complete"
        assert world.ledger(NOON).warnings == ()
        world.audit(NOON)
        asked = world.simulator.requests[before:]
        in_vain = [each for each in asked if each.method == "GET" and each.status == 404]
        assert passes >= 5
        assert len(in_vain) <= (8 if old_tree else 4) * passes
        assert len([each for each in asked if each.method == "HEAD"]) <= looks


def test_a_run_that_has_not_begun_costs_one_look_and_no_listing(local_store):
    with opened(local_store, NOON + timedelta(minutes=20)) as world:
        world.archive(NOON - timedelta(hours=3))
        before = len(world.simulator.requests)
        assert "2026091612" not in world.due()
        looks = [each for each in world.simulator.requests[before:] if "2026-09-16T12" in each.path]
        assert [each.method for each in looks] == ["HEAD"]


def test_a_pass_over_a_run_that_has_not_begun_gives_up_after_three(local_store):
    with opened(local_store, NOON + timedelta(minutes=20)) as world:
        world.archive(NOON - timedelta(hours=3))
        done = world.archive(NOON)
        assert done.requests == 3
        assert done.summary.state(world.now) == "waiting"
        assert done.summary.missing == V1_FILES


def test_files_that_are_too_young_are_left_for_later(local_store):
    with opened(local_store, NOON + timedelta(minutes=44, seconds=30)) as world:
        done = world.archive(NOON)
        assert (done.fetched, done.failed) == (0, {})
        assert world.stored_files() == set()
        world.simulator.clock.advance(timedelta(minutes=1))
        assert "2026091612" in world.due()
        assert world.archive(NOON).fetched > 0


# Two trees


def test_over_the_switch_from_the_old_tree_to_v1_nothing_is_lost(local_store):
    switch = NOON + timedelta(minutes=80)
    with opened(
        local_store, NOON + timedelta(minutes=30), plan=Plan(CATALOGUE, old_tree_until=switch), old_tree=True
    ) as world:
        runs = [NOON, NOON + timedelta(hours=3)]
        world.work_off()
        while world.now < runs[-1] + timedelta(hours=2, minutes=45):
            for period in world.due():
                world.archive(next(run for run in runs if f"{run:%Y%m%d%H}" == period))
            world.simulator.clock.advance(timedelta(minutes=9))
        assert [world.state(run) for run in runs] == ["complete"] * 2
        grids = [{parse_archive_path(path).grid for path in world.ledger(run).kept} for run in runs]
        assert grids == [{"regular", "icosahedral"}, {"icosahedral"}]
        assert any("the old tree is gone" in line for line in world.ledger(NOON).warnings)
        for run in runs:
            world.audit(run)
            paths = map(parse_archive_path, world.ledger(run).kept)
            assert sum(key.grid == "icosahedral" for key in paths) == V1_FILES


def test_the_old_tree_alone_that_ends_leaves_a_hole_that_is_told(local_store):
    switch = NOON + timedelta(minutes=80)
    plan = Plan(CATALOGUE, old_tree_until=switch)
    with opened(local_store, switch, plan=plan, old_tree=True, v1_tree=False) as world:
        world.archive(NOON)
        assert world.state(NOON) == "waiting"


def test_two_servers_out_of_step_cost_time_and_no_file(local_store):
    with opened(local_store, NOON + timedelta(minutes=46)) as world:
        world.archive(NOON - timedelta(hours=3))
        world.simulator.fail("/weather/nwp/*", Fault.OUT_OF_STEP)
        while world.now < ALL_THERE + timedelta(minutes=20):
            assert world.archive(NOON).failed == {}
            world.simulator.clock.advance(timedelta(minutes=5))
        assert world.state(NOON) == "complete"
        world.audit(NOON)


# What goes wrong


@pytest.mark.parametrize(
    ("pattern", "path", "fault", "told"),
    [
        (T_2M_ADDRESS, T_2M, Fault.NOT_FOUND, None),
        (T_2M_ADDRESS, T_2M, Fault.UNAVAILABLE, "503"),
        (T_2M_ADDRESS, T_2M, Fault.RESET, "disconnected|reset|Read"),
        (T_2M_ADDRESS, T_2M, Fault.CUT, "more expected"),
        (T_2M_ADDRESS, T_2M, Fault.TRUNCATED, "cut: "),
        (T_2M_ADDRESS, T_2M, Fault.PAGE, "no GRIB message"),
        (OLD_T_2M_ADDRESS, OLD_T_2M, Fault.TRUNCATED, "before the end of its bzip2 stream"),
        (OLD_T_2M_ADDRESS, OLD_T_2M, Fault.PAGE, "not bzip2"),
        (OLD_T_2M_ADDRESS, OLD_T_2M, Fault.FLIPPED, "bzip2"),
    ],
    ids=str,
)
def test_one_bad_file_costs_no_other_and_is_had_when_the_server_is_well(
    local_store, pattern, path, fault, told
):
    is_old = path == OLD_T_2M
    with opened(local_store, ALL_THERE, old_tree=is_old, v1_tree=not is_old) as world:
        world.simulator.fail(pattern, fault)
        done = world.archive(NOON)
        missing = set(world.ledger(NOON).missing)
        assert path in missing
        assert all("/t_2m/" in each for each in missing)
        assert world.state(NOON) == "partial"
        assert path not in world.stored_files()
        if told is None:
            assert done.failed == {}
        else:
            _check_told(world, done.failed, path, told)
        assert "2026091612" not in world.due()
        world.simulator.heal()
        world.simulator.clock.advance(RETRY)
        assert "2026091612" in world.due()
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert world.ledger(NOON).failed == {}
        world.audit(NOON)


def _check_told(world: World, failed, path: str, told: str) -> None:
    assert list(failed) == [path]
    assert re.search(told, failed[path])
    assert world.ledger(NOON).failed[path].reason == failed[path]
    assert any(path in line and re.search(told, line) for line in world.lines)


def test_bytes_that_are_no_field_go_to_quarantine(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail(T_2M_ADDRESS, Fault.PAGE)
        world.archive(NOON)
        (held,) = local_store.list("quarantine/")
        assert held.key.startswith(f"quarantine/{T_2M}.")
        assert b"Wartungsarbeiten" in local_store.get(held.key).data


def test_a_version_known_bad_does_not_come_again_until_it_is_time(local_store):
    with opened(local_store, ALL_THERE, old_tree=True) as world:
        world.simulator.fail(OLD_T_2M_ADDRESS, Fault.FLIPPED)
        world.archive(NOON)
        world.archive(NOON)
        again = [each for each in world.simulator.requests if "2026091612_001_2d_t_2m" in each.path]
        assert [each.status for each in again] == [200, 304]
        assert world.ledger(NOON).failed[OLD_T_2M].attempts == 1
        world.simulator.clock.advance(RETRY)
        world.archive(NOON)
        assert world.ledger(NOON).failed[OLD_T_2M].attempts == 2
        world.simulator.clock.advance(timedelta(seconds=1))
        world.simulator.heal()
        world.simulator.world.overwrite(OLD_T_2M_ADDRESS, world.now)
        world.simulator.clock.advance(timedelta(minutes=2))
        assert world.archive(NOON).fetched == 1  # another ETag: taken although it is not yet time
        world.simulator.clock.advance(QUIET)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        world.audit(NOON)


def test_a_server_that_is_down_is_not_asked_for_everything(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON - timedelta(hours=3))
        world.simulator.fail("*", Fault.UNAVAILABLE)
        before = len(world.simulator.requests)
        done = world.archive(NOON)
        assert 1 <= done.requests <= 12
        assert len(world.simulator.requests) - before <= 2 * done.requests
        assert done.summary.state(world.now) == "waiting"
        world.simulator.heal()
        assert "2026091612" in world.due()


def test_a_file_that_was_overwritten_is_kept_in_both_versions(store):
    with opened(store, ALL_THERE) as world:
        world.archive(NOON)
        before = world.ledger(NOON).kept[T_2M]
        world.simulator.world.overwrite(T_2M_ADDRESS, world.now)
        world.simulator.clock.advance(timedelta(minutes=2))
        done = world.archive(NOON, recheck=True)
        assert (done.fetched, done.changed) == (1, 1)
        after = world.ledger(NOON).kept[T_2M]
        assert after.sha256 != before.sha256
        assert [each.sha256 for each in after.earlier] == [before.sha256]
        assert store.head(version_path(T_2M, before.sha256)).size == before.stored_bytes
        world.audit(NOON)
        assert world.state(NOON) == "complete"


def test_a_recheck_of_what_is_the_same_transfers_nothing(local_store):
    with opened(local_store, ALL_THERE, old_tree=True) as world:
        world.archive(NOON)
        before = len(world.simulator.requests)
        done = world.archive(NOON, recheck=True)
        asked = world.simulator.requests[before:]
        assert {each.status for each in asked} == {304}
        assert len(asked) == done.requests == V1_FILES + OLD_FILES
        assert (done.fetched, done.bytes_fetched) == (0, 0)


def test_a_file_overwritten_between_listing_and_getting_is_the_later_one(local_store):
    with opened(local_store, ALL_THERE, old_tree=True) as world:
        world.simulator.fail("*T_2M*PT002H00M*", Fault.OVERWRITTEN, times=1)
        world.archive(NOON)
        assert world.state(NOON) == "partial"  # it is too young
        world.simulator.clock.advance(QUIET)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        world.audit(NOON)


def test_a_kept_file_with_another_version_that_is_too_young_is_named_until_that_version_is_kept(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON)
        world.simulator.fail(T_2M_ADDRESS, Fault.OVERWRITTEN, times=1)
        done = world.archive(NOON, recheck=True)
        assert (done.fetched, done.failed) == (0, {})
        assert [line for line in world.lines if T_2M in line] == [
            f"{T_2M}: another version came to the server a moment ago; the earlier one is kept"
        ]
        (warning,) = world.ledger(NOON).warnings
        assert warning.startswith("1 kept files have another version on the server")
        assert warning.endswith(T_2M)
        world.audit(NOON)
        world.simulator.clock.advance(2 * SETTLE)
        assert world.archive(NOON, recheck=True).changed == 1
        assert world.ledger(NOON).warnings == ()
        world.audit(NOON)


@pytest.mark.parametrize("fault", [Fault.NO_LENGTH, Fault.GZIPPED])
@pytest.mark.parametrize("old_tree", [False, True])
def test_files_without_a_length_or_packed_on_the_way_prove_their_own_end(local_store, fault, old_tree):
    with opened(local_store, ALL_THERE, old_tree=old_tree, v1_tree=not old_tree) as world:
        world.simulator.fail("*grib2*", fault)
        done = world.archive(NOON)
        assert (done.failed, done.faults) == ({}, ())
        assert world.state(NOON) == "complete"
        world.audit(NOON)


@pytest.mark.parametrize(
    ("old_tree", "address", "path"), [(False, T_2M_ADDRESS, T_2M), (True, OLD_T_2M_ADDRESS, OLD_T_2M)]
)
def test_half_a_file_without_a_length_is_refused(local_store, old_tree, address, path):
    with opened(local_store, ALL_THERE, old_tree=old_tree, v1_tree=not old_tree) as world:
        world.simulator.fail(address, Fault.CUT_NO_LENGTH)
        done = world.archive(NOON)
        assert list(done.failed) == [path]
        assert world.state(NOON) == "partial"
        world.simulator.heal()
        world.simulator.clock.advance(RETRY)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        world.audit(NOON)


# The disk


def test_below_the_floor_nothing_is_fetched_and_the_ledger_says_what_is_missing(local_store):
    with opened(local_store, ALL_THERE, floor_bytes=1 << 60) as world:
        with pytest.raises(BelowFloor):
            world.archive(NOON)
        assert world.stored_files() == set()
        assert len(world.ledger(NOON).missing) == V1_FILES


def test_a_disk_that_fills_up_meanwhile_ends_the_pass_after_telling_what_came(local_store):
    catalogue = replace(
        CATALOGUE,
        parameters=(
            Parameter("t_2m", steps=every(60, 48)),
            Parameter("tot_prec", steps=every(15, 48)),
            *POSITIONS,
        ),
    )
    with opened(local_store, ALL_THERE, catalogue=catalogue, fields=("icon-d2/single/*",)) as world:
        free = iter([100, 100])
        local_store.free_bytes = lambda: next(free, 1)
        object.__setattr__(world.office.archive, "floor_bytes", 10)
        with pytest.raises(BelowFloor):
            world.archive(NOON)
        kept = world.ledger(NOON).kept
        assert 64 <= len(kept) <= 160
        assert world.stored_files() == set(kept)
        assert world.state(NOON) == "partial"
        del local_store.free_bytes
        object.__setattr__(world.office.archive, "floor_bytes", 0)
        world.archive(NOON)
        assert world.state(NOON) == "complete"


# After an outage


def test_after_twenty_hours_everything_that_the_server_has_is_recovered_the_oldest_first(local_store):
    with opened(local_store, NOON + timedelta(hours=2)) as world:
        world.archive(NOON)
        world.simulator.clock.advance(timedelta(hours=20))
        done = world.work_off()
        runs = [NOON + timedelta(hours=3 * number) for number in range(8)]  # the server has eight
        assert done == [f"{run:%Y%m%d%H}" for run in runs]
        assert world.state(runs.pop()) == "partial"  # it began a quarter of an hour ago
        for run in runs:
            assert world.state(run) == "complete"
            world.audit(run)
        assert world.due() == []


def test_after_a_longer_outage_each_run_that_is_still_there_is_recovered(local_store):
    """Down to the one whose last minutes these are."""
    start = NOON + timedelta(hours=3, minutes=40)
    with opened(local_store, start) as world:
        there = {path.split("/r/")[1][:13] for path in _v1_files(world) if "/T_2M/" in path}
        world.work_off()
        complete = {f"{run:%Y-%m-%dT%H}" for run in _runs_before(start) if world.state(run) == "complete"}
        assert len(there) == 8
        assert complete == there


def _v1_files(world: World) -> list[str]:
    return [file.path for file in world.simulator.world.files("/weather/nwp/v1/", world.now)]


def _runs_before(at: datetime) -> list[datetime]:
    return [
        NOON + timedelta(hours=3 * number)
        for number in range(-10, 10)
        if NOON + timedelta(hours=3 * number) < at
    ]


def test_a_run_that_the_server_deleted_is_asked_for_once_more_and_then_costs_no_request(local_store):
    with opened(local_store, NOON + timedelta(minutes=60)) as world:
        world.archive(NOON)
        assert world.state(NOON) == "partial"
        world.simulator.clock.turn(DELETED)
        assert world.state(NOON) == "partial", "not before the server was asked again"
        world.simulator.clock.advance(GRACE)
        assert world.state(NOON) == "lost"
        assert world.archive(NOON).requests > 0
        before = len(world.simulator.requests)
        assert world.archive(NOON).summary.state(world.now) == "lost"
        assert "2026091612" not in world.due()
        assert not [each for each in world.simulator.requests[before:] if "09-16T12" in each.path]


def test_a_file_that_is_there_still_after_the_deadline_is_fetched(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        world.archive(NOON)
        last = DELETED + timedelta(minutes=30)
        late = replace(world.office, clock=lambda: last)
        assert archive_run(late, "icon-d2", NOON, world.lines.append).fetched == 0
        world.simulator.heal()
        assert "2026091612" in [due.period for due in runs_due(late, "icon-d2", last)]
        done = archive_run(late, "icon-d2", NOON, world.lines.append)
        assert (done.fetched, done.summary.state(last)) == (1, "complete")


def test_a_summary_that_a_full_disk_left_behind_does_not_make_a_complete_run_due_for_ever(local_store):
    with opened(local_store, NOON + timedelta(hours=1)) as world:
        world.archive(NOON)
        key = keys.ledger_summary("icon-d2", "2026091612")
        stale = local_store.get(key).data
        world.simulator.clock.turn(ALL_THERE)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        local_store.put(key, stale)
        world.simulator.clock.turn(DELETED + timedelta(minutes=1))
        assert "2026091612" in world.due()
        world.archive(NOON)
        assert "2026091612" not in world.due()


def test_a_run_from_before_the_archive_began_is_not_asked_for_after_its_deadline(local_store):
    with opened(local_store, DELETED + timedelta(minutes=10)) as world:
        assert "2026091612" not in world.due()
        assert world.archive(NOON).requests == 0
        assert not world.ledger(NOON).revision


def test_what_never_comes_is_asked_for_less_and_less_often_and_once_more_before_the_deadline(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        passes = []
        end = DELETED + GRACE
        while world.now < end:
            if "2026091612" in world.due():
                passes.append(world.now)
                world.archive(NOON)
            world.simulator.clock.advance(timedelta(minutes=10))
        pauses = [later - earlier for earlier, later in pairwise(passes)]
        assert len(passes) < 60, "of 150 looks"
        assert max(pauses) > timedelta(hours=1)
        assert DELETED - max(each for each in passes if each < DELETED) < (timedelta(minutes=40))
        assert any(each >= DELETED for each in passes)


def test_what_comes_late_is_fetched_at_the_next_look_however_seldom_it_is_asked_for(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        world.archive(NOON)
        world.simulator.clock.advance(timedelta(hours=10))
        world.archive(NOON)
        world.simulator.clock.advance(timedelta(minutes=6))
        assert "2026091612" not in world.due()
        world.simulator.heal()
        assert "2026091612" in world.due()


# What is wanted


def test_one_can_fetch_what_the_settings_do_not_ask_for(local_store):
    with opened(local_store, ALL_THERE) as world:
        wanted = Selection((parse_row("icon-d2/pressure:850/u/1-2"),))
        done = world.archive(NOON, wanted=wanted)
        assert done.fetched == 2 + 2
        told = world.ledger(NOON)
        keys = [parse_archive_path(path) for path in told.kept]
        assert {key.level for key in keys if key.level_type != "time-invariant"} == {850}
        assert {key.parameter for key in keys} == {"u", "clat", "clon"}, (
            "what it needs to be read comes with it"
        )
        assert len(told.missing) == V1_FILES - 2
        assert told.state(world.now) == "partial"
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES + 2
        world.audit(NOON)


def test_levels_are_listed_where_they_are_wanted_alone(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON)
        assert not [path for path in world.asked() if "/lvt1/100/" in path]
    with opened(local_store, ALL_THERE, fields=("icon-d2/pressure/*/0-4",)) as world:
        world.archive(NOON)
        assert len(world.ledger(NOON).kept) == V1_FILES + 2 * 5
        listed = [path for path in world.asked() if path.endswith("/")]
        assert "/weather/nwp/v1/m/icon-d2/p/U/lvt1/100/lv1/" in listed
        assert not [path for path in listed if "/T_2M/" in path]


def test_hourly_runs_of_another_model_are_reached_by_a_row(local_store):
    ruc = Catalogue(
        "icon-d2-ruc",
        run_hours=1,
        parameters=(Parameter("t_2m"), Parameter("tot_prec", steps=every(5, 4)), *POSITIONS),
        columns=7,
        rows=5,
        first=timedelta(minutes=20),
        last=timedelta(minutes=50),
    )
    with opened(
        local_store, ALL_THERE, catalogue=ruc, fields=("icon-d2-ruc/single,time-invariant/*/0-4",)
    ) as world:
        assert run_hours("icon-d2-ruc") == 1
        for number in range(3):
            run = NOON - timedelta(hours=number)
            world.archive(run, "icon-d2-ruc")
            assert world.state(run, "icon-d2-ruc") == "complete"
            assert len(world.ledger(run, "icon-d2-ruc").kept) == 5 + 49 + 2
            world.audit(run, "icon-d2-ruc")


# Listings


def test_listings_are_few_and_small_for_each_new_file(local_store):
    """A larger model, its very first run, when every parameter has to be found: the budget of the v1 tree."""
    names = ("t_2m", "td_2m", "vmax_10m", "pmsl")
    catalogue = Catalogue(
        parameters=(
            *(Parameter(name, steps=every(60, 48)) for name in names),
            Parameter("tot_prec", steps=every(15, 48)),
            *(Parameter("t", "pressure", level, every(60, 48)) for level in (500, 700, 850)),
            constant("hsurf"),
            constant("fr_land"),
            *POSITIONS,
        ),
        columns=4,
        rows=4,
    )
    with opened(
        local_store, ALL_THERE, catalogue=catalogue, fields=("icon-d2/single,time-invariant/*",), is_new=True
    ) as world:
        done = world.archive(NOON)
        assert done.fetched == 4 * 49 + 193 + 4
        listings = [each for each in world.simulator.requests if each.path.endswith("/")]
        assert len(listings) / done.fetched <= 0.1
        assert sum(each.body_bytes for each in listings) / done.fetched <= 2000
        before = len(world.simulator.requests)
        again = world.archive(NOON - timedelta(hours=3))
        assert again.fetched == done.fetched
        listings = [each for each in world.simulator.requests[before:] if each.path.endswith("/")]
        assert len(listings) <= 0.1 * again.fetched
        assert world.ledger(NOON - timedelta(hours=3)).listings <= 0.1 * again.fetched


def test_a_catalogue_that_cannot_be_listed_now_is_the_one_that_is_kept(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON)
        later = NOON + timedelta(hours=3)
        world.simulator.clock.turn(later + timedelta(minutes=135))
        world.simulator.fail("*/p/", Fault.UNAVAILABLE)
        world.archive(later)
        assert world.state(later) == "complete"
        assert any("the catalogue that is kept is used" in line for line in world.lines)


def test_a_catalogue_that_was_never_listed_leaves_the_run_open(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail("*/p/", Fault.PAGE, times=1)
        world.archive(NOON)
        assert world.state(NOON) == "waiting"
        assert world.ledger(NOON).expects_more
        world.archive(NOON)
        assert world.state(NOON) == "complete"


def test_a_parameter_that_could_not_be_listed_is_not_forgotten(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.simulator.fail("*/p/T_2M/", Fault.NOT_FOUND, times=1)
        world.simulator.fail("*/p/TD_2M/", Fault.PAGE, times=1)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_a_new_parameter_is_found_in_the_run_that_brings_it(local_store):
    before = replace(
        CATALOGUE, parameters=tuple(each for each in CATALOGUE.parameters if each.name != "td_2m")
    )
    with opened(local_store, ALL_THERE, catalogue=before) as world:
        world.archive(NOON)
        assert len(world.ledger(NOON).kept) == V1_FILES - 5
    later = NOON + timedelta(hours=3)
    with opened(local_store, later + timedelta(minutes=60)) as world:
        world.archive(later)
        assert world.state(later) == "partial"
        world.simulator.clock.turn(later + timedelta(hours=2, minutes=15))
        world.archive(later)
        assert world.state(later) == "complete"
        assert len(world.ledger(later).kept) == V1_FILES


# Warnings


def test_a_parameter_that_is_not_listed_any_more_is_warned_of_once(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON)
    fewer = replace(
        CATALOGUE, parameters=tuple(each for each in CATALOGUE.parameters if each.name != "td_2m")
    )
    later = NOON + timedelta(hours=3)
    with opened(local_store, later + timedelta(hours=5, minutes=15), catalogue=fewer) as world:
        world.archive(later)
        assert world.state(later) == "complete"
        assert world.ledger(later).warnings == ("td_2m: the server does not list it any more",)
        last = later + timedelta(hours=3)
        world.archive(last)
        assert world.state(last) == "complete"
        assert world.ledger(last).warnings == ()


def test_a_parameter_that_a_run_lacks_is_warned_of_and_stays_expected(local_store):
    later = NOON + timedelta(hours=3)
    with opened(local_store, later + timedelta(hours=2, minutes=15)) as world:
        world.archive(NOON)
        world.simulator.fail("*/p/TD_2M/r/2026-09-16T15*", Fault.NOT_FOUND)
        world.archive(later)
        assert world.state(later) == "partial"
        assert world.ledger(later).warnings == ("td_2m: none of its 5 icosahedral fields came",)
        assert len(world.ledger(later).missing) == 5


def test_three_lacking_parameters_do_not_hide_the_others(local_store):
    later = NOON + timedelta(hours=3)
    with opened(local_store, later + timedelta(hours=2, minutes=15)) as world:
        world.archive(NOON)
        for name in ("T_2M", "TD_2M", "TOT_PREC"):
            world.simulator.fail(f"*/p/{name}/r/2026-09-16T15*", Fault.NOT_FOUND)
        for _ in range(12):
            world.simulator.clock.advance(RETRY)
            world.archive(later)
        kept = {parse_archive_path(path).parameter for path in world.ledger(later).kept}
        assert kept == {"vmax_10m", "hsurf", "clat", "clon"}
        assert len(world.ledger(later).warnings) == 3


def test_a_field_without_any_value_is_kept_noted_and_warned_of(local_store, monkeypatch):
    import numpy as np

    from dwd_assets.simulator.fields import FieldWriter

    def nothing(self):
        return np.zeros((self.catalogue.rows, self.catalogue.columns), bool)

    monkeypatch.setattr(FieldWriter, "_mask", nothing)
    with opened(local_store, ALL_THERE, old_tree=True, v1_tree=False) as world:
        world.archive(NOON)
        assert world.ledger(NOON).kept[OLD_T_2M].notes == ("all values are missing",)
        assert "t_2m: all values are missing in 5 fields" in world.ledger(NOON).warnings
        assert world.state(NOON) == "complete"


# A server that is slow, or answers for some runs only


def test_a_slow_server_is_asked_for_all_runs_at_once(local_store):
    plan = Plan(catalogue=CATALOGUE, lag=timedelta(minutes=2), slow_s=1.0)
    with opened(local_store, NOON + timedelta(hours=20), plan=plan) as world:
        world.archive(NOON)
        world.simulator.fail("*", Fault.SLOW)
        begun_s = time.monotonic()
        assert len(world.due()) >= 6
        assert time.monotonic() - begun_s < 5


def test_runs_that_cannot_be_asked_for_do_not_hide_older_ones(local_store):
    with opened(local_store, NOON + timedelta(hours=20)) as world:
        world.archive(NOON)
        world.simulator.fail("*2026-09-17T*", Fault.UNAVAILABLE)
        assert world.due()[:2] == ["2026091609", "2026091615"]
