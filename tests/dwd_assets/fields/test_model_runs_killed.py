"""A kill at any write of a pass: what the ledger says stays true, and the next pass makes the run whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dwd_assets.archive.storing import Archive
from store.dwd import ledger
from store.objects import Store
from tests.dwd_assets.fields.model_world import V1_FILES, World, opened
from tests.nexrad_assets.pipeline.faulty_store import Tapped

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def dying_at(store: Store, number: int) -> Tapped:
    """A store whose process dies before its `number`-th write, after which it writes nothing more."""
    written: list[str] = []

    def before(key: str) -> None:
        written.append(key)
        if len(written) >= number:
            raise Killed(key)

    return Tapped(store, before)


def killed_at(world: World, store: Store, number: int) -> bool:
    """Whether a pass was killed at a write; the office has its own store again then."""
    object.__setattr__(world.office, "archive", Archive(dying_at(store, number)))
    try:
        world.archive(NOON)
    except Killed:
        return True
    finally:
        object.__setattr__(world.office, "archive", Archive(store))
    return False


def check_true(world: World, store: Store) -> None:
    """The ledger names nothing that is not there, and nothing else is called complete."""
    world.audit(NOON)
    assert world.stored_files() >= set(world.ledger(NOON).kept)
    if world.state(NOON) == "complete":
        assert len(world.ledger(NOON).kept) == V1_FILES


def test_kills_at_any_write_lose_and_invent_nothing(store):
    """One world: each pass goes on where the one before was killed."""
    with opened(store, ALL_THERE) as world:
        kills = 0
        for number in (1, 2, 3, 5, 8, 13, 21, 34):
            kills += killed_at(world, store, number)
            check_true(world, store)
        assert kills >= 4
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        check_true(world, store)
        assert world.stored_files() == set(world.ledger(NOON).kept)


@pytest.mark.parametrize("number", [2, 30, V1_FILES + 2, V1_FILES + 3, V1_FILES + 4])
def test_a_kill_once_costs_no_file(local_store, number):
    with opened(local_store, ALL_THERE) as world:
        assert killed_at(world, local_store, number)
        check_true(world, local_store)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        assert all(kept.earlier == () for kept in world.ledger(NOON).kept.values())
        check_true(world, local_store)


@pytest.mark.parametrize("number", [14, 24])
def test_a_kill_after_some_files_were_told_leaves_no_run_that_looks_whole(local_store, monkeypatch, number):
    monkeypatch.setattr("dwd_assets.periods.progress.BATCH_FILES", 4)
    monkeypatch.setattr("dwd_assets.periods.progress.LONGEST_PAUSE_S", 0.0)
    # With more connections, all of these writes may be under way before anything of them is told.
    with opened(local_store, ALL_THERE, connections=1) as world:
        assert killed_at(world, local_store, number)
        assert world.ledger(NOON).kept
        assert world.state(NOON) == "partial"
        world.archive(NOON)
        assert world.state(NOON) == "complete"


def test_a_pass_leaves_missing_what_another_one_found_missing_meanwhile(local_store):
    """Two passes over a run at once: the one that ends last may know less of the run."""
    other = "weather/icon-d2/grib/2026091612/new/icon-d2_icosahedral_single_2026091612_00000_2d_new.grib2.lz4"
    told: list[str] = []

    def before(key: str) -> None:
        if key.endswith(".lz4") and not told:
            told.append(key)
            ledger.update(
                local_store,
                "icon-d2",
                "2026091612",
                lambda known: msgspec.structs.replace(known, missing=(*known.missing, other)),
            )

    with opened(local_store, ALL_THERE) as world:
        object.__setattr__(world.office, "archive", Archive(Tapped(local_store, before)))
        world.archive(NOON)
        assert told
        assert world.ledger(NOON).missing == (other,)
        assert world.state(NOON) == "partial"
