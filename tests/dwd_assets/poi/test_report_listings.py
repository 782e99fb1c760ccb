"""Which reports are asked for: listings with rows that cannot be read, and stations that are named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dwd_assets import checks
from dwd_assets.commands import fetch
from dwd_assets.kinds.table import reports_collection
from dwd_assets.periods.context import Office
from dwd_assets.poi.report_pass import archive_reports, reports_due
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Plan, Simulator
from store.dwd import ledger
from tests.dwd_assets.poi.report_world import (
    FOLDER,
    HOUR,
    Shelf,
    hourly,
    ledgers,
    open_office,
    serving,
    stored_days,
)
from tests.samples import SAMPLES, needs_samples

NOW = datetime(2026, 11, 30, 16, 40, tzinfo=UTC)
TODAY, YESTERDAY = "20261130", "20261129"
NAMES = ("01001", "10315", "10384", "10637", "K611_")
MINUTES_30 = timedelta(minutes=30)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def shelf() -> Shelf:
    """Reports of five stations, an hour old."""
    shelf = Shelf()
    put_all(shelf, NOW)
    return shelf


def put_all(shelf: Shelf, now: datetime) -> None:
    newest = now.replace(minute=0)
    for station in NAMES:
        shelf.put(
            station, now - timedelta(minutes=10), hourly(station, newest, lambda at: (str(at.hour), "1"))
        )


def said(*_: object) -> None:
    """Where nobody looks at the log."""


def row(name: str, changed: str = "30-Nov-2026 16:30:00", size: str = "1000") -> str:
    return f'<a href="{name}">{name}</a>   {changed}   {size}'


def page(*rows: str) -> bytes:
    head = f'<html><head><title>Index of {FOLDER}</title></head><body><pre><a href="../">../</a>\r\n'
    return (head + "\r\n".join(rows) + "\r\n</pre></body></html>").encode()


def asked_for(simulator: Simulator) -> list[str]:
    return [
        one.path.removeprefix(FOLDER).removesuffix("-BEOB.csv")
        for one in simulator.requests
        if one.path != FOLDER
    ]


def fetched(office: Office) -> tuple[int, list[str], list[str]]:
    """The exit status of `dwd fetch poi`, and what it says on both ways."""
    lines, complaints = list[str](), list[str]()
    collection = reports_collection(office.settings)
    return fetch.fetch(office, collection, None, lines.append, complaints.append), lines, complaints


@needs_samples
def test_a_listing_with_dates_that_cannot_be_read_is_an_error_and_costs_no_station(local_store, shelf):
    index = (SAMPLES / "cases/dwd/poi_index_unreadable_dates.html").read_bytes()
    with serving(shelf, NOW, index) as simulator, open_office(simulator, local_store) as office:
        status, _, complaints = fetched(office)
        assert status == 1
        for station in NAMES:
            assert any(f"{station}-BEOB.csv" in line and "30-11-2026 16:" in line for line in complaints)
        assert {station for station, _ in stored_days(local_store)} == set(NAMES)
        assert sum(line.startswith("not read: ") for line in ledgers(local_store)[TODAY].warnings) == 5
        summary = ledger.read_summary(local_store, "poi", TODAY)
        results = checks.verdicts(dg.AssetKey("poi_reports"), summary, NOW)
        assert dg.AssetCheckSeverity.ERROR in {one.severity for one in results if not one.passed}


def test_an_undated_file_is_asked_for_each_half_hour_with_the_version_that_is_known(local_store, shelf):
    with (
        serving(shelf, NOW, index_form="numeric") as simulator,
        open_office(simulator, local_store) as office,
    ):
        archive_reports(office, said)
        simulator.clock.advance(MINUTES_30 - timedelta(seconds=1))
        archive_reports(office, said)
        assert sorted(asked_for(simulator)) == sorted(NAMES)
        assert reports_due(office, simulator.clock.now(), said) == ()

        simulator.clock.advance(timedelta(seconds=1))
        assert len(reports_due(office, simulator.clock.now(), said)) == 1
        archive_reports(office, said)
        assert len(asked_for(simulator)) == 10
        assert {one.status for one in simulator.requests[-5:]} == {304}
        archive_reports(office, said)  # that they did not change was seen now
        assert len(asked_for(simulator)) == 10

        simulator.clock.advance(MINUTES_30)
        put_all(shelf, NOW + HOUR)
        archive_reports(office, said)
        assert all(
            NOW.replace(minute=0) + HOUR in rows
            for (_, day), rows in stored_days(local_store).items()
            if day == NOW.date()
        )


def test_an_index_without_dates_loses_no_row_of_a_day(local_store):
    with (
        Simulator(NOW.replace(hour=0), seed=3, plan=Plan(index_form="numeric")) as simulator,
        open_office(simulator, local_store) as office,
    ):
        while simulator.clock.now() < NOW.replace(hour=0) + timedelta(hours=27):
            archive_reports(office, said)
            simulator.clock.advance(MINUTES_30)
        days = stored_days(local_store)
        assert all(len(days[station, NOW.date()]) == 24 for station in NAMES)
        told = ledgers(local_store)[TODAY]
        assert told.state(simulator.clock.now()) == "complete"  # all was asked for
        assert not any(line.startswith("not read:") for line in told.warnings)
        assert sum(line.startswith("not read:") for line in ledgers(local_store)["20261201"].warnings) == 5


def test_rows_that_cannot_be_read_are_given_to_the_log_of_what_is_due_and_warned_of_until_they_can(
    local_store, shelf
):
    with serving(shelf, NOW) as simulator, open_office(simulator, local_store) as office:
        simulator.fail(FOLDER, Fault.UNREADABLE_ROWS, times=2)
        lines: list[str] = []
        assert len(reports_due(office, NOW, lines.append)) == 1
        assert [name for name in NAMES if any(name in line for line in lines)] == ["01001", "10384", "K611_"]
        *_, today = archive_reports(office, said)
        assert list(today.faults) == lines
        assert [f"not read: {line}" for line in lines] == list(ledgers(local_store)[TODAY].warnings)
        assert len(asked_for(simulator)) == 5
        simulator.clock.advance(timedelta(minutes=6))
        *_, today = archive_reports(office, said)
        assert today.faults == ledgers(local_store)[TODAY].warnings == ()


def test_a_row_without_a_name_keeps_both_days_from_being_complete_while_it_is_listed(local_store, shelf):
    start = datetime(2026, 11, 30, 0, 50, tzinfo=UTC)
    with Simulator(start, seed=3) as simulator, open_office(simulator, local_store) as office:
        archive_reports(office, said)
        simulator.clock.turn(datetime(2026, 11, 30, 22, tzinfo=UTC))
        archive_reports(office, said)
        simulator.clock.turn(datetime(2026, 12, 1, 3, tzinfo=UTC))
        simulator.fail(FOLDER, Fault.NAMELESS_ROW, times=1)
        *_, today = archive_reports(office, said)
        assert "a row without a name that can be read" in today.faults[0]
        assert "%FF" in today.faults[0]
        assert ledgers(local_store)[TODAY].state(simulator.clock.now()) == "partial"
        assert ledgers(local_store)["20261201"].expects_more
        archive_reports(office, said)
        assert ledgers(local_store)[TODAY].state(simulator.clock.now()) == "complete"


@pytest.mark.parametrize("name", ["k611_-beob.csv", "X-BEOB.csv.gz", "10315-MOSMIX.csv", "BEOB/"])
def test_what_is_listed_and_is_no_report_is_reported(local_store, shelf, name):
    is_folder = name.endswith("/")
    index = page(
        row("10384-BEOB.csv", size=str(len(shelf.reports["10384"][1]))),
        row(name, size="-" if is_folder else "7"),
    )
    with serving(shelf, NOW, index) as simulator, open_office(simulator, local_store) as office:
        status, _, complaints = fetched(office)
        assert status == 1
        assert any(f"'{name.removesuffix('/')}' is not the name of a report" in line for line in complaints)
        assert asked_for(simulator) == ["10384"]
        assert "is not the name of a report" in ledgers(local_store)[TODAY].warnings[0]


@pytest.mark.parametrize("form", ["iso", "german", "rounded"])
def test_other_forms_of_a_listing_are_read_and_what_did_not_change_is_not_asked_for(local_store, shelf, form):
    with serving(shelf, NOW, index_form=form) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said)
        assert (today.faults, today.failed) == ((), {})
        archive_reports(office, said)
        assert sorted(asked_for(simulator)) == sorted(NAMES)
        put_all(shelf, NOW + HOUR)
        simulator.clock.advance(HOUR)
        archive_reports(office, said)
        assert len(asked_for(simulator)) == 10


def test_a_rounded_size_is_no_size_to_check(local_store, shelf):
    index = page(row("10315-BEOB.csv", size="3.4M"), row("10384-BEOB.csv", size="12"))
    with serving(shelf, NOW, index) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said)
    assert [key.rpartition("/")[2] for key in today.failed] == ["10384-BEOB.csv"]
    assert {station for station, _ in stored_days(local_store)} == {"10315"}


def test_an_undated_file_that_is_not_there_is_a_failure(local_store):
    shelf = Shelf()
    put_all(shelf, NOW)
    index = page(row("10999-BEOB.csv", "yesterday"))
    with serving(shelf, NOW, index) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said)
        assert [key.rpartition("/")[2] for key in today.failed] == ["10999-BEOB.csv"]
        assert "404" in next(iter(today.failed.values()))


def test_an_undated_file_that_changes_just_now_is_left_to_the_next_pass(local_store, shelf):
    with (
        serving(shelf, NOW, index_form="numeric") as simulator,
        open_office(simulator, local_store) as office,
    ):
        archive_reports(office, said)
        simulator.clock.advance(HOUR)
        put_all(shelf, NOW + HOUR + timedelta(minutes=10) - timedelta(seconds=30))
        *_, today = archive_reports(office, said)
        assert today.failed == {}
        assert {one.status for one in simulator.requests[-5:]} == {412}
        simulator.clock.advance(timedelta(seconds=31))
        archive_reports(office, said)
        assert {one.status for one in simulator.requests[-5:]} == {200}


# Stations that are named


def test_only_stations_that_are_named_are_asked_for_and_the_others_stay_expected(local_store, shelf):
    with serving(shelf, NOW) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said, only=frozenset({"10315", "K611"}))
        assert sorted(asked_for(simulator)) == ["10315", "K611_"]
        assert (today.summary.kept, today.summary.missing, today.faults) == (2, 3, ())
        archive_reports(office, said, only=frozenset({"10315"}))
        assert len(asked_for(simulator)) == 2
        archive_reports(office, said)
        assert sorted(asked_for(simulator)[2:]) == ["01001", "10384", "10637"]


def test_a_station_beside_those_of_the_settings_is_fetched_and_not_expected(local_store, shelf):
    with (
        serving(shelf, NOW) as simulator,
        open_office(simulator, local_store, report_stations=("10315",)) as office,
    ):
        archive_reports(office, said, only=frozenset({"10384"}))
        assert asked_for(simulator) == ["10384"]
        assert [one.rpartition("/")[2] for one in ledgers(local_store)[TODAY].missing] == ["10315-BEOB.csv"]


def test_a_station_that_is_named_and_not_listed_is_a_fault(local_store, shelf):
    with serving(shelf, NOW) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said, only=frozenset({"10315", "99999"}))
    assert today.faults == (f"99999: no such station is listed in {FOLDER}",)


def test_checking_again_asks_without_a_condition_and_finds_another_content_of_the_same_version(
    local_store, shelf
):
    with serving(shelf, NOW) as simulator, open_office(simulator, local_store) as office:
        archive_reports(office, said)
        modified, data = shelf.reports["10315"]
        shelf.put("10315", modified, data.replace(b";16:00;16;1", b";16:00;17;1"))
        archive_reports(office, said)
        assert len(asked_for(simulator)) == 5
        *_, today = archive_reports(office, said, only=frozenset({"10315"}), recheck=True)
        assert asked_for(simulator)[5:] == ["10315"]
        assert simulator.requests[-1].status == 200
        assert (today.fetched, today.changed) == (1, 1)
        archive_reports(office, said, recheck=True)
        assert len(asked_for(simulator)) == 11
