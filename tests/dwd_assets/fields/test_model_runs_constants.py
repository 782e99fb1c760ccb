"""Constant fields of runs: stored once for each content."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.archive.storing import Archive
from dwd_assets.fields.constants import MOST_CONTENTS, Constants
from dwd_assets.formats.paths import parse_archive_path, version_path
from store import keys
from tests.dwd_assets.fields.model_world import CATALOGUE, V1_FILES, World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3)
LATER_THERE = LATER + timedelta(hours=2, minutes=15)
HSURF = "weather/icon-d2/grib/{}/hsurf/icon-d2_icosahedral_single_{}_00000_2d_hsurf.grib2.lz4"
BEFORE, AFTER = HSURF.format(2026091612, 2026091612), HSURF.format(2026091615, 2026091615)
ADDRESS = "/weather/nwp/v1/m/icon-d2/p/HSURF/r/2026-09-16T15:00/s/PT000H00M.grib2"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def constants(world: World, run: datetime) -> list[str]:
    return [
        path for path in world.ledger(run).kept if parse_archive_path(path).level_type == "time-invariant"
    ]


def test_on_a_folder_equal_constants_are_one_file(local_store):
    with opened(local_store, LATER_THERE) as world:
        world.archive(NOON)
        world.archive(LATER)
        inodes = [(local_store.root / path).stat().st_ino for path in (BEFORE, AFTER)]
        assert inodes[0] == inodes[1]
        assert len(constants(world, LATER)) == 3
        assert world.ledger(LATER).kept[AFTER].source.url.endswith(ADDRESS.replace(":00/", "%3A00/"))
        world.audit(LATER)


def test_as_pointers_equal_constants_are_named_by_the_ledger_alone(store):
    with opened(store, LATER_THERE, constants_as_pointers=True) as world:
        world.archive(NOON)
        world.archive(LATER)
        assert world.state(LATER) == "complete"
        kept = world.ledger(LATER).kept[AFTER]
        assert (kept.held_at, kept.stored_bytes) == (version_path(BEFORE, kept.sha256), 0)
        assert AFTER not in world.stored_files()
        assert len(world.stored_files()) == 2 * V1_FILES
        last = LATER + timedelta(hours=3)
        world.simulator.clock.turn(last + timedelta(hours=2, minutes=15))
        world.archive(last)
        assert len(world.stored_files()) == 3 * V1_FILES - 3
        world.audit(LATER)


def test_what_is_held_and_damaged_is_not_linked_to(local_store):
    with opened(local_store, LATER_THERE, constants_as_pointers=True) as world:
        world.archive(NOON)
        local_store.put(BEFORE, b"rotten")
        world.archive(LATER)
        assert world.ledger(LATER).kept[AFTER].held_at is None
        world.audit(LATER)
        last = LATER + timedelta(hours=3)
        world.simulator.clock.turn(last + timedelta(hours=2, minutes=15))
        world.archive(last)
        assert world.ledger(last).kept[HSURF.format(2026091618, 2026091618)].held_at.startswith(AFTER)


def test_constants_that_differ_are_each_stored(local_store):
    dated = replace(CATALOGUE, dated_constants=True)
    with opened(local_store, LATER_THERE, catalogue=dated) as world:
        world.archive(NOON)
        world.archive(LATER)
        contents = {world.ledger(run).kept[path].sha256 for run, path in ((NOON, BEFORE), (LATER, AFTER))}
        assert len(contents) == 2
        world.audit(LATER)


def test_a_pointer_stays_true_where_the_run_that_it_points_to_gets_another_constant(local_store):
    with opened(local_store, LATER_THERE, constants_as_pointers=True) as world:
        world.archive(NOON)
        world.archive(LATER)
        world.simulator.world.overwrite(ADDRESS.replace("T15", "T12"), world.now)
        world.simulator.clock.advance(timedelta(minutes=2))
        world.archive(NOON, recheck=True)
        assert world.ledger(NOON).kept[BEFORE].earlier
        world.audit(LATER)


def test_the_index_of_constants_that_differ_in_each_run_stays_small(local_store):
    key = parse_archive_path(BEFORE)
    for day in range(1, 29):
        index = Constants(Archive(local_store), "icon-d2", pointers=False)
        index.note(key, HSURF.format(f"202609{day:02}12", f"202609{day:02}12"), f"{day:064x}")
        index.tell()
    known = json.loads(local_store.get(keys.constants("icon-d2")).data)
    assert min(known.values()) == HSURF.format(2026092112, 2026092112)
    assert len(known) == MOST_CONTENTS


def test_a_pointer_whose_constant_is_overwritten_keeps_what_it_pointed_to(local_store):
    with opened(local_store, LATER_THERE, constants_as_pointers=True) as world:
        world.archive(NOON)
        world.archive(LATER)
        before = world.ledger(LATER).kept[AFTER]
        world.simulator.world.overwrite(ADDRESS, world.now)
        world.simulator.clock.advance(timedelta(minutes=2))
        world.archive(LATER, recheck=True)
        after = world.ledger(LATER).kept[AFTER]
        assert after.held_at is None
        assert [each.sha256 for each in after.earlier] == [before.sha256]
        assert local_store.head(version_path(AFTER, before.sha256)).size > 0
        world.audit(LATER)
        world.audit(NOON)
