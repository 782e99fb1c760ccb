"""Comparing the ledger with the server's table of contents."""

from __future__ import annotations

import bz2
from dataclasses import replace as replace_plain
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dwd_assets.archive.storing import BelowFloor
from dwd_assets.fields.model_runs import expected_paths
from dwd_assets.formats.paths import version_path
from dwd_assets.kinds.reconciling import Differences, Reconciled, never_seen, reconcile
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.pages import ContentLogs
from store.dwd import ledger
from tests.dwd_assets.fields.model_world import CATALOGUE, V1_FILES, World, opened, remember

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=2, minutes=30)
T_2M = "weather/icon-d2/grib/2026091612/t_2m/icon-d2_icosahedral_single_2026091612_00100_2d_t_2m.grib2.lz4"
T_2M_ADDRESS = "/weather/nwp/v1/m/icon-d2/p/T_2M/r/2026-09-16T12:00/s/PT001H00M.grib2"
PERIOD = "2026091612"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_where_nothing_differs_one_file_is_asked_for(local_store):
    with opened(local_store, LATER) as world:
        world.work_off()
        before = len(world.simulator.requests)
        assert reconcile(world.office, world.lines.append) == Reconciled((), ())
        assert [each.path for each in world.simulator.requests[before:]] == ["/weather/nwp/content.log.bz2"]


def test_a_replaced_file_is_fetched_and_the_earlier_content_is_kept(store):
    with opened(store, LATER) as world:
        world.work_off()
        earlier = world.ledger(NOON).kept[T_2M]
        world.simulator.world.overwrite(T_2M_ADDRESS, world.now)
        world.simulator.clock.advance(timedelta(minutes=20))
        before = len(world.simulator.requests)
        (done,) = reconcile(world.office, world.lines.append).done
        assert (done.fetched, done.changed, done.summary.period) == (1, 1, "2026091612")
        kept = world.ledger(NOON).kept[T_2M]
        assert kept.sha256 != earlier.sha256
        assert [one.sha256 for one in kept.earlier] == [earlier.sha256]
        assert store.head(version_path(T_2M, earlier.sha256)).size == earlier.stored_bytes
        world.audit(NOON)
        assert len(world.simulator.requests) - before <= 4
        assert reconcile(world.office, world.lines.append) == Reconciled((), ())


def test_fields_that_came_when_nobody_expected_more_are_fetched(local_store):
    """The server rested for half an hour between two steps that no earlier run had."""
    slow = replace_plain(CATALOGUE, last=timedelta(hours=5))
    short = [
        replace_plain(each, steps=tuple(step for step in each.steps if step <= 60))
        for each in slow.parameters
    ]
    with opened(local_store, NOON + timedelta(hours=2, minutes=2), catalogue=slow, is_new=True) as world:
        remember(local_store, replace_plain(slow, parameters=tuple(short)))
        world.archive(NOON)
        whole = world.ledger(NOON)
        assert whole.state(world.now) == "complete"
        world.simulator.clock.turn(NOON + timedelta(hours=6))
        (done,) = (
            one for one in reconcile(world.office, world.lines.append).done if one.summary.period == PERIOD
        )
        after = world.ledger(NOON)
        assert done.fetched == V1_FILES - len(whole.kept) > 0
        assert len(after.kept) == V1_FILES
        assert after.state(world.now) == "complete"
        world.audit(NOON)


def test_a_line_that_cannot_be_read_is_reported_and_proves_nothing(local_store, monkeypatch):
    def spoiled(self, folder, made, revision):
        plain = bz2.decompress(content(self, folder, made, revision))
        lines = b"./v1/m/icon-d2/p/T_2M/r/2026-09-16T12:00/s/PT1H.grib2|12|2026-09-16 13:00:00\n"
        return bz2.compress(b"./v1/m/icon-d2/p/T_2M|many|today\n" + plain + lines)

    content = ContentLogs._content
    monkeypatch.setattr(ContentLogs, "_content", spoiled)
    with opened(local_store, LATER) as world:
        world.archive(NOON)
        lacks(world, T_2M.replace("_t_2m.", "_u_10m.").replace("/t_2m/", "/u_10m/"))
        world.simulator.clock.turn(NOON + timedelta(hours=8))
        found = reconcile(world.office, world.lines.append)
        assert any("1 of " in line and "p/T_2M|many|today" in line for line in found.faults)
        assert any(
            line.endswith(
                "no key stands for /weather/nwp/v1/m/icon-d2/p/T_2M/r/2026-09-16T12:00/s/PT1H.grib2"
            )
            for line in found.faults
        )
        assert world.ledger(NOON).unseen == ()


def test_a_table_of_contents_that_cannot_be_had_is_the_callers_fault(local_store):
    with opened(local_store, LATER) as world:
        world.simulator.fail("*content.log.bz2", Fault.UNAVAILABLE)
        with pytest.raises(OpendataError, match=r"content\.log\.bz2"):
            reconcile(world.office, world.lines.append)


def test_below_the_floor_nothing_is_asked_for(local_store):
    with opened(local_store, LATER, floor_bytes=1 << 60) as world:
        with pytest.raises(BelowFloor):
            reconcile(world.office, world.lines.append)
        assert not world.simulator.requests


def test_a_field_that_the_server_never_listed_is_told_as_never_seen_and_not_as_lost(local_store):
    with opened(local_store, LATER) as world:
        world.archive(NOON)
        lacks(world, T_2M.replace("_t_2m.", "_u_10m.").replace("/t_2m/", "/u_10m/"))
        world.simulator.clock.turn(NOON + timedelta(hours=4))
        reconcile(world.office, world.lines.append)
        assert world.ledger(NOON).unseen == (), "something may still come"
        world.simulator.clock.turn(NOON + timedelta(hours=8))
        reconcile(world.office, world.lines.append)
        told = world.ledger(NOON)
        assert told.unseen == told.missing != ()
        assert told.state(world.now) == "partial", "it is asked for as long as it may come"
        assert told.state(told.given_up) == "unseen"


def test_a_field_that_the_server_lists_and_that_never_came_is_lost(local_store):
    with opened(local_store, LATER) as world:
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        world.archive(NOON)
        world.simulator.clock.turn(NOON + timedelta(hours=8))
        reconcile(world.office, world.lines.append)
        told = world.ledger(NOON)
        assert (told.missing, told.unseen) == ((T_2M.replace("_00100_", "_00400_"),), ())
        assert told.state(told.given_up) == "lost"


def test_of_a_run_that_the_server_does_not_list_at_all_nothing_was_seen_if_a_later_one_is_whole(local_store):
    with opened(local_store, LATER) as world:
        world.archive(NOON)
        run = NOON - timedelta(hours=3)
        expected = expected_paths(world.office, "icon-d2", run)
        ledger.update(local_store, "icon-d2", "2026091609", lambda known: replace(known, missing=expected))
        made = NOON + timedelta(hours=8)
        whole = {NOON: Differences(newest=NOON + timedelta(hours=2))}
        world.simulator.clock.turn(made)
        assert never_seen(world.office, "icon-d2", whole, made)[run] == tuple(sorted(expected))
        growing = {NOON: Differences(newest=made - timedelta(hours=1))}
        assert run not in never_seen(world.office, "icon-d2", growing, made)
        assert run not in never_seen(world.office, "icon-d2", whole, None)


def lacks(world: World, path: str) -> None:
    """Have the ledger of noon's run expect a file more than the server makes."""
    ledger.update(
        world.store, "icon-d2", "2026091612", lambda known: replace(known, missing=(*known.missing, path))
    )
