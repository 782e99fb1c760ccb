"""The live sensor's steps, each without Dagster: list, diff, group, remember."""

import threading
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexrad_assets.levels.results import SiteDay
from nexrad_assets.pipeline import discovery
from nexrad_assets.pipeline.discovery import Look, Memory, Seen
from nexrad_assets.radar.sites import sites as all_sites
from tests.nexrad_assets.dagster_world import BROKEN, TODAY, at, range_tags, volume, world

__all__ = ["volume", "world"]

NOON = datetime(2026, 4, 9, 12, tzinfo=UTC)
NIGHT = datetime(2026, 4, 9, 2, 59, 59, tzinfo=UTC)
LONG_AGO = date(1991, 6, 5)
YESTERDAY = TODAY - timedelta(days=1)
NETWORK = sorted(all_sites())

memories = st.builds(
    Memory,
    begin=st.sampled_from(["", *NETWORK]),
    seen=st.dictionaries(
        st.builds(SiteDay, st.dates(), st.sampled_from(NETWORK)),
        st.builds(
            Seen,
            st.text("0123456789abcdef", max_size=12),
            st.integers(0, 50),
            st.floats(0, 4e9, allow_nan=False),
        ),
    ),
)


@given(memories)
def test_a_cursor_is_read_back_as_it_was_written(memory):
    assert discovery.read_memory(discovery.write_memory(memory)) == memory


@pytest.mark.parametrize(
    "cursor",
    [
        None,
        "",
        "{",
        "[]",
        '"x"',
        '{"seen": 3}',
        '{"seen": {"2026-04-09|KPDT": ["a"]}}',
        '{"seen": {"a|b": 1}}',
    ],
)
def test_a_malformed_cursor_restarts_from_nothing(cursor):
    assert discovery.read_memory(cursor) == Memory()


def test_by_day_only_today_is_looked_at():
    assert discovery.targets(["KTLX", "KPDT"], LONG_AGO, NOON) == (
        SiteDay(TODAY, "KPDT"),
        SiteDay(TODAY, "KTLX"),
    )


def test_until_three_in_the_morning_yesterday_is_looked_at_too():
    assert discovery.targets(["KPDT"], LONG_AGO, NIGHT) == (
        SiteDay(TODAY, "KPDT"),
        SiteDay(YESTERDAY, "KPDT"),
    )
    assert discovery.targets(["KPDT"], LONG_AGO, NIGHT + timedelta(seconds=1)) == (SiteDay(TODAY, "KPDT"),)


def test_a_day_before_the_first_partition_is_not_looked_at():
    assert discovery.targets(["KPDT"], TODAY, NIGHT) == (SiteDay(TODAY, "KPDT"),)


def test_looking_goes_on_where_the_budget_cut_and_comes_round_to_every_site():
    sites = [f"K{n:03}" for n in range(10)]
    memory, looked = Memory(), []
    for _ in range(5):
        wanted = discovery.targets(sites, LONG_AGO, NOON, memory.begin)
        done = wanted[:4]
        looked += [target.site for target in done]
        memory = discovery.remembered(memory, wanted, dict.fromkeys(done, Look("a", 0)), [], [], NOON)
    assert looked == [f"K{n % 10:03}" for n in range(20)]


def test_a_site_that_could_not_be_listed_does_not_hold_the_round_up():
    wanted = discovery.targets(["KLOT", "KPDT"], LONG_AGO, NOON)
    after = discovery.remembered(Memory(), wanted, {wanted[1]: Look("a", 0)}, [wanted[0]], [], NOON)
    assert after.begin == ""
    assert wanted[0] not in after.seen


def test_the_budget_cuts_a_look_that_hangs_and_keeps_what_was_done():
    release = threading.Event()
    wanted = [SiteDay(TODAY, site) for site in ("KLOT", "KPDT", "KTLX")]

    def one(target):
        if target.site == "KTLX":
            release.wait(10)
        return target.site

    began = time.monotonic()
    results, faults = discovery.look(wanted, one, workers=2, budget_s=0.3)
    took = time.monotonic() - began
    release.set()
    assert results == {wanted[0]: "KLOT", wanted[1]: "KPDT"}
    assert not faults
    assert took < 5


def test_no_more_sites_are_looked_at_at_once_than_there_are_workers():
    at_once, most, lock = 0, 0, threading.Lock()

    def one(_target):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    discovery.look([SiteDay(TODAY, site) for site in NETWORK[:20]], one, workers=3, budget_s=10)
    assert most == 3


def test_one_fault_leaves_the_other_sites_looked_at():
    def one(target):
        if target.site == "KPDT":
            raise OSError("unplugged")
        return target.site

    wanted = [SiteDay(TODAY, site) for site in ("KLOT", "KPDT")]
    results, faults = discovery.look(wanted, one, workers=2, budget_s=5)
    assert results == {wanted[0]: "KLOT"}
    assert str(faults[wanted[1]]) == "unplugged"


def test_a_new_volume_is_pending_until_it_is_rendered(world, volume):
    target = SiteDay(TODAY, "KPDT")
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, None).pending == 0
    world.drop("KPDT", at("11:50"), volume)
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, None).pending == 1
    world.run(range_tags("KPDT", "KPDT"))
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, None).pending == 0


def test_a_volume_sent_again_with_other_bytes_is_pending_again(world, volume):
    target = SiteDay(TODAY, "KPDT")
    world.drop("KPDT", at("11:50"), volume)
    world.run(range_tags("KPDT", "KPDT"))
    before = discovery.look_at(world.workshop, world.workshop.levels[2], target, None)
    world.drop("KPDT", at("11:50"), volume + b"x")
    after = discovery.look_at(world.workshop, world.workshop.levels[2], target, Seen(before.listing))
    assert (before.pending, after.pending) == (0, 1)


def test_a_broken_volume_is_pending_no_more_once_the_snapshot_tells_of_it(world):
    target = SiteDay(TODAY, "KPDT")
    world.drop("KPDT", at("11:50"), BROKEN)
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, None).pending == 1
    world.run(range_tags("KPDT", "KPDT"))
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, None).pending == 0


def test_a_volume_older_than_the_window_is_not_pending(world, volume):
    world.drop("KPDT", at("05:00"), volume)
    world.drop("KPDT", at("11:50"), volume)
    assert (
        discovery.look_at(world.workshop, world.workshop.levels[2], SiteDay(TODAY, "KPDT"), None).pending == 1
    )


def test_a_volume_stamped_ahead_of_the_clock_is_looked_at_when_its_time_comes(world, volume):
    target = SiteDay(TODAY, "KPDT")
    world.drop("KPDT", at("12:30"), volume)
    early = discovery.look_at(world.workshop, world.workshop.levels[2], target, None)
    world.now = at("12:25")
    late = discovery.look_at(world.workshop, world.workshop.levels[2], target, Seen(early.listing))
    assert (early.pending, late.pending) == (0, 1)


def test_a_listing_that_was_settled_is_not_compared_again(world, volume):
    target = SiteDay(TODAY, "KPDT")
    world.drop("KPDT", at("11:50"), volume)
    listing = discovery.look_at(world.workshop, world.workshop.levels[2], target, None).listing
    # The snapshot lacks the volume: only a memory that is believed can say that nothing is pending.
    assert discovery.look_at(world.workshop, world.workshop.levels[2], target, Seen(listing)).pending == 0


def test_a_listing_is_asked_for_at_once_then_ever_more_patiently():
    look, seen, now, asked_at = Look("a", 1), None, NOON, []
    while len(asked_at) < 8:
        if discovery.is_due(look, seen, now):
            asked_at.append((now - NOON).total_seconds())
            seen = Seen("a", (seen.asked if seen else 0) + 1, now.timestamp())
        now += timedelta(seconds=30)
    gaps = [later - earlier for earlier, later in pairwise(asked_at)]
    assert asked_at[0] == 0
    assert gaps == [30, 60, 120, 240, 480, 900, 900]


def test_a_new_listing_ends_all_patience():
    assert discovery.is_due(Look("b", 1), Seen("a", 9, NOON.timestamp()), NOON)


def test_a_run_that_left_some_of_its_files_is_followed_by_the_next_at_once():
    assert discovery.is_due(Look("a", 1204), Seen("a", 1, NOON.timestamp(), pending=1404), NOON)
    assert not discovery.is_due(Look("a", 1404), Seen("a", 1, NOON.timestamp(), pending=1404), NOON)


def test_nothing_pending_is_never_due():
    assert not discovery.is_due(Look("a", 0), None, NOON)


def test_asking_is_counted_while_the_listing_is_the_same_and_from_one_for_a_new_one():
    target = SiteDay(TODAY, "KPDT")
    memory = Memory()
    for listing, times in (("a", 1), ("a", 2), ("b", 1)):
        memory = discovery.remembered(memory, [target], {target: Look(listing, 1)}, [], [target], NOON)
        assert memory.seen[target] == Seen(listing, times, NOON.timestamp(), 1)


def test_a_site_that_waits_patiently_keeps_its_memory():
    target = SiteDay(TODAY, "KPDT")
    memory = Memory(seen={target: Seen("a", 3, 5.0)})
    after = discovery.remembered(memory, [target], {target: Look("a", 1)}, [], [], NOON)
    assert after.seen == memory.seen


def test_what_is_looked_at_no_more_is_forgotten():
    kept, gone = SiteDay(TODAY, "KPDT"), SiteDay(YESTERDAY, "KPDT")
    memory = Memory("KPDT", {kept: Seen("a"), gone: Seen("b")})
    assert discovery.only(memory, [kept]) == Memory("KPDT", {kept: Seen("a")})


def test_a_block_has_twenty_sites_and_its_ask_goes_from_the_first_to_the_last_that_is_due():
    due = [SiteDay(TODAY, NETWORK[n]) for n in (39, 3, 17, 20)]
    asks = discovery.group(due, NETWORK)
    assert [(ask.first.site, ask.last.site) for ask in asks] == [
        (NETWORK[3], NETWORK[17]),
        (NETWORK[20], NETWORK[39]),
    ]
    assert [ask.block for ask in asks] == [f"2026-04-09|{NETWORK[0]}", f"2026-04-09|{NETWORK[20]}"]


@given(st.sets(st.sampled_from(NETWORK)), st.sets(st.sampled_from(NETWORK)))
def test_every_site_that_is_due_is_in_exactly_one_ask_of_its_day(today, yesterday):
    due = {SiteDay(TODAY, site) for site in today} | {SiteDay(YESTERDAY, site) for site in yesterday}
    asked = []
    for ask in discovery.group(due, NETWORK):
        assert ask.first.day == ask.last.day
        span = NETWORK[NETWORK.index(ask.first.site) : NETWORK.index(ask.last.site) + 1]
        assert len(span) <= discovery.BLOCK_SITES
        assert set(ask.sites) <= set(span)
        asked += [SiteDay(ask.first.day, site) for site in ask.sites]
    assert sorted(asked) == sorted(due)
