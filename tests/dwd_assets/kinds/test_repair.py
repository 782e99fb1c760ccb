"""A document that cannot be read costs no other one, is kept, and is made again of what store and server have."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from dwd_assets.archive.storing import digest
from dwd_assets.commands import main, status
from dwd_assets.fields.catalogue import read_catalogue
from dwd_assets.formats.paths import version_path
from dwd_assets.kinds import repair
from dwd_assets.kinds.table import Collection, collections
from dwd_assets.mosmix import issue_pass
from dwd_assets.periods.progress import SET_ASIDE
from dwd_assets.simulator.faults import Fault
from store import keys
from store.dwd import ledger
from store.dwd.damaged import DamagedDocument
from store.dwd.ledger import DamagedLedger
from store.objects import StoreError
from tests.dwd_assets.fields.model_world import V1_FILES, World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
PERIOD = "2026091612"
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
KEY = keys.ledger("icon-d2", PERIOD)
TORN = b'{"collection":"icon-d2","peri'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def world(local_store) -> Iterator[World]:
    with opened(local_store, ALL_THERE, mosmix=("L",)) as world:
        yield world


def of(world: World, name: str = "icon-d2") -> Collection:
    return next(one for one in collections(world.office.settings) if one.name == name)


def worked_on(world: World, period: str = PERIOD, name: str = "icon-d2"):
    return repair.archive(world.office, of(world, name), period, world.lines.append)[0]


def set_aside(world: World) -> list[str]:
    return list(status.set_aside(world.store))


def test_a_damaged_ledger_names_its_period(local_store):
    local_store.put(KEY, TORN)
    with pytest.raises(DamagedLedger, match=KEY) as raised:
        ledger.read(local_store, "icon-d2", PERIOD)
    assert (raised.value.key, raised.value.collection, raised.value.period) == (KEY, "icon-d2", PERIOD)


def test_a_pass_over_a_damaged_ledger_keeps_the_document_and_tells_of_what_the_store_has(world):
    before = worked_on(world).summary
    kept = world.ledger(NOON).kept
    world.store.put(KEY, TORN)
    asked = len(world.simulator.requests)
    done = worked_on(world)
    assert (done.summary.state(world.now), done.summary.kept) == ("complete", before.kept)
    after = world.ledger(NOON)
    assert {path: one.sha256 for path, one in after.kept.items()} == {
        path: one.sha256 for path, one in kept.items()
    }
    assert after.revision > before.revision
    (aside,) = set_aside(world)
    assert world.store.get(aside).data == TORN
    assert f"{SET_ASIDE} {aside}" in after.warnings
    assert any(aside in line for line in world.lines)
    files = [each for each in world.simulator.requests[asked:] if each.path.endswith(".grib2")]
    assert files == [], "what the store has is not fetched again"


def test_what_the_store_has_not_is_fetched_when_a_damaged_ledger_is_made_again(world):
    worked_on(world)
    gone = sorted(world.stored_files())[:3]
    world.store.delete(gone)
    world.store.put(min(world.stored_files()), b"no file")
    world.store.put(KEY, TORN)
    assert worked_on(world).fetched == 4
    world.store.head(gone[0])
    assert world.state(NOON) == "complete"


def test_earlier_versions_are_known_again(world):
    worked_on(world)
    path = next(path for path in sorted(world.stored_files()) if "t_2m" in path)
    world.store.copy(min(world.stored_files()), version_path(path, "ab" * 32))
    world.store.put(KEY, TORN)
    worked_on(world)
    assert len(world.ledger(NOON).kept[path].earlier) == 1


def test_after_the_server_deleted_the_run_it_is_whole_again_from_the_store_alone(world):
    worked_on(world)
    world.store.put(KEY, TORN)
    world.simulator.clock.turn(NOON + timedelta(days=3))
    assert worked_on(world).summary.state(world.now) == "complete"


def test_an_issue_that_is_on_the_server_no_more_is_whole_again_from_the_store_alone(world):
    issue = NOON - timedelta(hours=3)
    for time in (issue - timedelta(hours=6), issue):
        issue_pass.archive_issue(world.office, "L", time, world.lines.append)
    kept = set(ledger.read(world.store, "mosmix-l", "2026091609").kept)
    world.store.put(keys.ledger("mosmix-l", "2026091609"), b"")
    world.simulator.clock.turn(issue + timedelta(days=4))
    assert worked_on(world, "2026091609", "mosmix-l").summary.state(world.now) == "complete"
    assert set(ledger.read(world.store, "mosmix-l", "2026091609").kept) == kept


def test_a_damaged_summary_is_written_again_and_nothing_set_aside(world):
    worked_on(world)
    world.store.put(keys.ledger_summary("icon-d2", PERIOD), b"nonsense")
    due = repair.mended(
        world.office,
        partial(of(world).deadline, world.office),
        world.lines.append,
        lambda: of(world).due(world.office, world.now, print),
    )
    assert PERIOD not in [one.period for one in due]
    assert ledger.read_summary(world.store, "icon-d2", PERIOD).kept == V1_FILES
    assert set_aside(world) == []


def test_a_store_that_does_not_answer_is_not_taken_for_a_damaged_ledger(world):
    def away() -> None:
        raise StoreError("away")

    with pytest.raises(StoreError, match="away"):
        repair.mended(world.office, partial(of(world).deadline, world.office), world.lines.append, away)


def test_a_sound_ledger_that_another_process_put_there_meanwhile_stays(world):
    worked_on(world)
    before = world.ledger(NOON)
    fault = DamagedLedger("told", KEY, "icon-d2", PERIOD)
    repair.set_aside(world.office, partial(of(world).deadline, world.office), fault)
    assert world.ledger(NOON) == before
    assert set_aside(world) == []


def test_the_command_makes_a_ledger_again_and_the_status_names_the_damaged_one(world, monkeypatch, capsys):
    worked_on(world)
    world.store.put(KEY, TORN)
    store = str(world.store.root)
    assert main.main(["rebuild", "--store", store, "icon-d2", PERIOD]) == 0
    assert f"{V1_FILES} files written" in capsys.readouterr().out
    assert len(world.ledger(NOON).kept) == V1_FILES
    assert main.main(["status", "--store", store]) == 0
    assert f"damaged ledger, set aside: quarantine/{KEY}." in capsys.readouterr().out
    assert main.main(["rebuild", "--store", store, "poi", PERIOD]) == 2


def test_a_file_that_did_not_come_is_still_missing_afterwards(world):
    world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
    worked_on(world)
    world.store.put(KEY, TORN)
    assert worked_on(world).summary.missing == 1


# Documents of which nothing is lost that could not be learned again

REMEMBERED = {
    "what the model has": ("icon-d2", PERIOD, keys.model_catalogue("icon-d2")),
    "constants": ("icon-d2", PERIOD, keys.constants("icon-d2")),
    "stations": ("mosmix-l", "2026091609", keys.STATIONS),
    "reports": ("poi", "20260916", keys.REPORTS_KNOWN),
}


@pytest.mark.parametrize(("name", "period", "key"), REMEMBERED.values(), ids=list(REMEMBERED))
def test_what_cannot_be_read_of_what_was_known_is_kept_and_learned_again(world, name, period, key):
    worked_on(world, period, name)
    known, stored = world.store.get(key).data, contents(world)
    kept = set(ledger.read(world.store, name, period).kept)
    damaged = known[: len(known) // 2]
    world.store.put(key, damaged)
    world.store.delete([keys.ledger(name, period), keys.ledger_summary(name, period)])
    worked_on(world, period, name)
    assert set(ledger.read(world.store, name, period).kept) == kept
    assert contents(world) == stored
    assert len(world.store.get(key).data) == len(known)
    aside = keys.quarantined(key, digest(damaged))
    assert world.store.get(aside).data == damaged
    assert sum(aside in line for line in world.lines) == 1


def contents(world: World) -> dict[str, bytes]:
    return {path: world.store.get(path).data for path in world.stored_files()}


def test_a_batch_of_reports_that_cannot_be_read_stops_no_later_one(world):
    torn = keys.open_report_intake("20260916T113000-1")
    world.store.put(torn, TORN)
    worked_on(world, "20260916", "poi")
    assert ledger.read(world.store, "poi", "20260916").kept
    assert [info.key for info in world.store.list(keys.OPEN_REPORT_INTAKES)] == []
    assert world.store.get(keys.quarantined(torn, digest(TORN))).data == TORN


def test_what_another_process_put_in_place_of_a_damaged_document_meanwhile_stays(world):
    key = keys.model_catalogue("icon-d2")
    world.store.put(key, TORN)
    with pytest.raises(DamagedDocument, match=key) as raised:
        read_catalogue(world.store, "icon-d2")
    worked_on(world)
    before = world.store.get(key).data
    repair.begin_anew(world.office, raised.value)
    assert world.store.get(key).data == before
