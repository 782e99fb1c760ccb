"""Archiving POI reports of a simulated server, held against days that are made of the raw files by plain rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from dwd_assets.archive.storing import Archive, BelowFloor
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.periods.context import Office
from dwd_assets.poi import report_pass
from dwd_assets.poi.report_pass import archive_reports, rebuild_day, reports_due
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Plan, Simulator
from dwd_assets.simulator.stations import STATIONS
from store.dwd import ledger, report_versions
from store.objects import Store, StoreUnavailable
from store.posix import PosixStore
from tests.dwd_assets.poi.report_world import (
    DAYS,
    FOLDER,
    HOUR,
    Dying,
    Oracle,
    Shelf,
    body,
    check_ledgers_against_files,
    hourly,
    ledgers,
    open_office,
    raw_reports,
    serving,
    stored_days,
    told_corrections,
)

START = datetime(2026, 9, 16, 12, 40, tzinfo=UTC)
TODAY, YESTERDAY = "20260916", "20260915"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(START, seed=4) as running:
        yield running


@pytest.fixture
def office(simulator: Simulator, local_store: Store) -> Iterator[Office]:
    with open_office(simulator, local_store) as opened:
        yield opened


@pytest.fixture
def lines() -> list[str]:
    return []


def said(*_: object) -> None:
    """Where nobody looks at the log."""


class Witness:
    """Everything that the server had at the times at which it was looked at."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.seen: dict[tuple[str, bytes], datetime] = {}

    def look(self) -> None:
        world = self.simulator.world
        for file in world.files(FOLDER, self.simulator.clock.now()):
            station = file.path.removeprefix(FOLDER).removesuffix("-BEOB.csv")
            self.seen.setdefault((station, world.content(file)), file.modified)

    def oracle(self) -> Oracle:
        return Oracle.of((station, modified, data) for (station, data), modified in self.seen.items())

    def time_of(self, station: str, data: bytes) -> datetime:
        return self.seen[station, data]


def path(station: str, day: str = TODAY) -> str:
    return f"{DAYS}{day}/{station}-BEOB.csv"


def asked_for(simulator: Simulator) -> list[str]:
    return [one.path.removeprefix(FOLDER) for one in simulator.requests if one.path.endswith(".csv")]


# --- what is due ---------------------------------------------------------------------------------------------


def test_today_is_due_until_all_that_changed_is_merged(simulator, office):
    (due,) = reports_due(office, simulator.clock.now(), print)
    assert (due.collection, due.period) == ("poi", TODAY)
    archive_reports(office, said)
    assert reports_due(office, simulator.clock.now(), print) == ()


def test_the_deadline_is_a_day_after_the_first_version_that_was_not_merged(simulator, office):
    archive_reports(office, said)
    merged = min(one.modified for one in report_versions.read(office.store).merged.values())
    simulator.clock.advance(timedelta(hours=20))
    (due,) = reports_due(office, simulator.clock.now(), print)
    assert due.deadline == merged + timedelta(hours=25)


def test_a_look_costs_one_request_and_writes_nothing(simulator, office):
    reports_due(office, simulator.clock.now(), print)
    assert [one.path for one in simulator.requests] == [FOLDER]
    assert list(office.store.list("")) == []


def test_a_file_that_is_not_settled_is_not_due(local_store):
    shelf = Shelf()
    shelf.put("10315", START, hourly("10315", START.replace(minute=0), lambda _: ("1", "2")))
    with (
        serving(shelf, START + timedelta(seconds=30)) as simulator,
        open_office(simulator, local_store) as office,
    ):
        assert reports_due(office, simulator.clock.now(), print) == ()
        archive_reports(office, said)
        assert asked_for(simulator) == []
        simulator.clock.advance(timedelta(seconds=31))
        assert len(reports_due(office, simulator.clock.now(), print)) == 1


def test_only_the_stations_that_are_named_are_fetched_padded_or_not(simulator, local_store):
    with open_office(simulator, local_store, report_stations=("10315", "K611")) as office:
        archive_reports(office, said)
    assert sorted(asked_for(simulator)) == ["10315-BEOB.csv", "K611_-BEOB.csv"]
    assert {station for station, _ in stored_days(local_store)} == {"10315", "K611_"}


@pytest.mark.parametrize("form", ["seconds", "minutes"])
def test_files_that_did_not_change_are_not_asked_for_again(local_store, form):
    with (
        Simulator(START, seed=4, plan=Plan(index_form=form)) as simulator,
        open_office(simulator, local_store) as office,
    ):
        archive_reports(office, said)
        asked = len(asked_for(simulator))
        archive_reports(office, said)
        assert asked == len(asked_for(simulator)) == len(STATIONS)


def test_the_file_of_a_server_that_is_behind_is_not_taken_for_a_new_one(local_store):
    shelf = Shelf()
    new = START.replace(minute=30)
    shelf.put("10315", new, hourly("10315", START.replace(minute=0), lambda _: ("1", "2")))
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        archive_reports(office, said)
        shelf.put("10315", new - HOUR, hourly("10315", START.replace(minute=0) - HOUR, lambda _: ("0", "0")))
        assert reports_due(office, START, print) == ()
        shelf.put("10315", new - 30 * HOUR, body("10315", []))  # it was put back by a person
        assert len(reports_due(office, START, print)) == 1


# --- a day ---------------------------------------------------------------------------------------------------


def test_a_day_played_hour_by_hour_is_what_its_raw_reports_make(store):
    with (
        Simulator(START, seed=4, plan=Plan(stations=STATIONS[:3])) as simulator,
        open_office(simulator, store) as office,
    ):
        witness = Witness(simulator)
        for _ in range(40):
            witness.look()
            archive_reports(office, said)
            simulator.clock.advance(HOUR)
        oracle = witness.oracle()
        assert stored_days(store) == oracle.days
        assert len(oracle.corrections) > 20
        told = told_corrections(store)
        assert len(told) == len(set(told))
        assert set(told) == oracle.corrections
        assert Oracle.of(raw_reports(store, witness.time_of)).days == oracle.days
        check_ledgers_against_files(store)


def test_the_day_made_anew_from_the_raw_reports_is_the_same(simulator, office):
    for _ in range(14):
        archive_reports(office, said)
        simulator.clock.advance(HOUR)
    days, corrections = stored_days(office.store), told_corrections(office.store)
    done = rebuild_day(office, date(2026, 9, 16), said)
    assert done.fetched == done.changed == 0
    assert stored_days(office.store) == days
    assert told_corrections(office.store) == corrections
    office.store.delete([info.key for info in office.store.list(DAYS)])
    rebuild_day(office, date(2026, 9, 16), said)
    assert stored_days(office.store) == {key: rows for key, rows in days.items() if key[1].day == 16}
    assert told_corrections(office.store) == corrections


def test_an_outage_of_twenty_hours_loses_no_row(simulator, office):
    archive_reports(office, said)
    simulator.clock.advance(timedelta(hours=20))
    archive_reports(office, said)
    assert stored_days(office.store)["10315", date(2026, 9, 16)].keys() == {
        datetime(2026, 9, 16, hour, tzinfo=UTC) for hour in range(24)
    }
    assert all("no report covers" not in line for line in ledgers(office.store)[TODAY].warnings)
    simulator.clock.turn(datetime(2026, 9, 17, 9, 40, tzinfo=UTC))
    archive_reports(office, said)
    assert ledgers(office.store)[TODAY].state(simulator.clock.now()) == "complete"


def test_hours_that_no_report_covers_are_told_and_their_day_is_never_complete(simulator, office):
    archive_reports(office, said)
    simulator.clock.advance(timedelta(hours=30))
    archive_reports(office, said)
    told = ledgers(office.store)[TODAY]
    expected = (
        "no report covers the hours after 2026-09-16 12:00 and before 2026-09-16 18:00 UTC: 01001, 10315"
    )
    assert [line for line in told.warnings if line.startswith(expected)]
    assert told.state(simulator.clock.now()) == "partial"
    simulator.clock.advance(timedelta(days=2))
    assert told.state(simulator.clock.now()) == "lost"


def test_the_first_pass_of_an_archive_tells_that_yesterday_is_not_whole(simulator, office):
    archive_reports(office, said)
    told = ledgers(office.store)
    assert told[YESTERDAY].warnings[0].startswith("no report covers the hours before 2026-09-15 12:00 UTC")
    assert told[YESTERDAY].state(simulator.clock.now()) == "partial"
    assert told[TODAY].warnings == ()


def test_a_station_that_is_new_beside_others_leaves_no_hole(simulator, office):
    archive_reports(office, said)
    simulator.clock.advance(HOUR)
    before = ledgers(office.store)[YESTERDAY].warnings
    known = report_versions.read(office.store)
    fewer = {station: one for station, one in known.merged.items() if station != "10315"}
    report_versions.update(office.store, lambda _: report_versions.ReportVersions(fewer))
    archive_reports(office, said)
    assert ledgers(office.store)[YESTERDAY].warnings == before


def test_a_day_is_partial_until_two_hours_after_its_end(simulator, office):
    archive_reports(office, said)
    summary = ledger.read_summary(office.store, "poi", TODAY)
    assert (summary.kept, summary.missing, summary.expects_more) == (5, 0, True)
    assert summary.state(simulator.clock.now()) == "partial"
    simulator.clock.turn(datetime(2026, 9, 17, 1, 50, tzinfo=UTC))
    archive_reports(office, said)
    assert ledgers(office.store)[TODAY].state(simulator.clock.now()) == "partial"
    simulator.clock.turn(datetime(2026, 9, 17, 2, 50, tzinfo=UTC))
    archive_reports(office, said)
    assert ledgers(office.store)[TODAY].state(simulator.clock.now()) == "complete"


def test_a_pass_tells_of_both_days_and_what_it_cost(simulator, office):
    yesterday, today = archive_reports(office, said)
    assert (yesterday.summary.period, today.summary.period) == (YESTERDAY, TODAY)
    assert (yesterday.fetched, today.fetched) == (5, 5)
    assert (yesterday.requests, today.requests) == (0, 6)
    assert today.bytes_fetched == sum(one.body_bytes for one in simulator.requests if one.path != FOLDER)


def test_the_ledger_has_the_source_of_the_latest_report_in_a_file(simulator, office):
    archive_reports(office, said)
    kept = ledgers(office.store)[TODAY].kept[path("K611_")]
    assert kept.source.url == f"{simulator.url}{FOLDER}K611_-BEOB.csv"
    assert kept.as_of == kept.source.modified < kept.source.fetched_at == simulator.clock.now()
    assert kept.source.etag
    raw = f"raw_poi/{TODAY}/K611_-{kept.source.sha256}.csv.lz4"
    assert office.store.head(raw).size > 0


# --- what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault.TRUNCATED, "are offered where"),
        (Fault.CUT, "more expected"),
        (Fault.PAGE, "are offered where"),
        (Fault.UNAVAILABLE, "503"),
        (Fault.RESET, ""),
    ],
)
def test_a_file_that_does_not_come_is_told_and_costs_no_other(simulator, office, fault, told):
    simulator.fail("*/10315-BEOB.csv", fault, times=1)
    yesterday, today = archive_reports(office, said)
    assert list(today.failed) == [path("10315")]
    assert list(yesterday.failed) == [path("10315", YESTERDAY)]  # of which it had rows too
    assert told in today.failed[path("10315")]
    assert {station for station, _ in stored_days(office.store)} == {"01001", "10384", "10637", "K611_"}
    assert ledgers(office.store)[TODAY].missing == (path("10315"),)

    simulator.clock.advance(timedelta(minutes=4))  # it waits reports_retry_minutes, which are 5
    assert reports_due(office, simulator.clock.now(), print) == ()
    simulator.clock.advance(timedelta(minutes=2))
    assert len(reports_due(office, simulator.clock.now(), print)) == 1
    archive_reports(office, said)
    healed = ledgers(office.store)[TODAY]
    assert (len(healed.kept), healed.missing, healed.failed) == (5, (), {})


def test_a_file_that_is_listed_and_not_there_is_asked_for_in_the_next_pass(simulator, office):
    simulator.fail("*/10315-BEOB.csv", Fault.NOT_FOUND, times=1)
    *_, today = archive_reports(office, said)
    assert today.failed == {}
    assert len(reports_due(office, simulator.clock.now(), print)) == 1
    archive_reports(office, said)
    assert len(ledgers(office.store)[TODAY].kept) == 5


@pytest.mark.parametrize("fault", [Fault.PAGE, Fault.CUT, Fault.UNAVAILABLE, Fault.NOT_FOUND])
def test_without_a_listing_there_is_one_clear_error(simulator, office, fault):
    simulator.fail(FOLDER, fault)
    for action in (
        lambda: reports_due(office, simulator.clock.now(), print),
        lambda: archive_reports(office, said),
    ):
        with pytest.raises(OpendataError, match="weather_reports/poi"):
            action()


def test_a_file_overwritten_between_list_and_get_is_fetched_as_it_is_then(simulator, office):
    witness = Witness(simulator)
    simulator.fail("*/10315-BEOB.csv", Fault.OVERWRITTEN, times=1)
    archive_reports(office, said)
    simulator.clock.advance(timedelta(minutes=6))
    archive_reports(office, said)
    witness.look()
    assert stored_days(office.store) == witness.oracle().days


def test_an_html_page_as_long_as_the_report_goes_to_quarantine(local_store, lines):
    shelf = Shelf()
    shelf.put("10315", START - HOUR, b"<html>sorry</html>")
    shelf.put("10384", START - HOUR, hourly("10384", START - 2 * HOUR, lambda _: ("1", "2")))
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, lines.append)
        assert "an HTML page, not a report; kept as quarantine/" in today.failed[path("10315")]
        assert today.failed[path("10315")] in lines
        (bad,) = local_store.list("quarantine/")
        assert local_store.get(bad.key).data == b"<html>sorry</html>"
        assert {station for station, _ in stored_days(local_store)} == {"10384"}
        simulator.clock.advance(timedelta(minutes=6))
        archive_reports(office, said)
        assert ledgers(local_store)[TODAY].failed[path("10315")].attempts == 2


def test_the_usable_rows_of_a_damaged_report_are_merged_and_it_is_fetched_again(local_store):
    shelf = Shelf()
    newest = START.replace(minute=0)
    whole = hourly("10315", newest, lambda stamp: (str(stamp.hour), "1"))
    shelf.put("10315", START - timedelta(minutes=10), whole.replace(b";11:00;11;1", b";11:00;11,1"))
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said)
        assert "line 5: 3 cells" in today.failed[path("10315")]
        rows = stored_days(local_store)["10315", newest.date()]
        assert len(rows) == 12
        assert newest - HOUR not in rows
        told = ledgers(local_store)[TODAY]
        assert (set(told.kept), set(told.failed)) == ({path("10315")}, {path("10315")})

        shelf.put("10315", START - timedelta(minutes=10), whole)
        simulator.clock.advance(timedelta(minutes=6))
        archive_reports(office, said)
        assert len(stored_days(local_store)["10315", newest.date()]) == 13
        assert ledgers(local_store)[TODAY].failed == {}


def test_rows_of_the_future_stay_out(local_store):
    shelf = Shelf()
    rows = [(START.replace(year=2036, minute=0), ("9", "9")), (START.replace(minute=0), ("1", "2"))]
    shelf.put("10315", START - timedelta(minutes=10), body("10315", rows))
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        *_, today = archive_reports(office, said)
    assert "2036-09-16 12:00, which is in the future" in today.failed[path("10315")]
    assert list(ledgers(local_store)) == [YESTERDAY, TODAY]


def test_a_station_that_vanishes_keeps_its_files_and_is_told(local_store):
    shelf = Shelf()
    for station in ("10315", "10384"):
        shelf.put(
            station,
            START - timedelta(minutes=10),
            hourly(station, START.replace(minute=0), lambda _: ("1", "2")),
        )
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        archive_reports(office, said)
        del shelf.reports["10315"]
        simulator.clock.advance(HOUR)
        archive_reports(office, said)
        assert "no longer on the server: 10315" in ledgers(local_store)[TODAY].warnings
        assert local_store.head(path("10315")).size
        shelf.put(
            "10315",
            START + timedelta(minutes=50),
            hourly("10315", START.replace(minute=0) + HOUR, lambda _: ("1", "2")),
        )
        simulator.clock.advance(timedelta(minutes=10))
        archive_reports(office, said)
        assert ledgers(local_store)[TODAY].warnings == ()


def test_a_station_that_is_named_and_not_listed_is_missing(simulator, local_store):
    with open_office(simulator, local_store, report_stations=("10315", "K999")) as office:
        archive_reports(office, said)
    assert ledgers(local_store)[TODAY].missing == (path("K999_"),)


def test_a_station_that_fell_silent_before_the_day_is_not_expected_of_it(local_store):
    shelf = Shelf()
    shelf.put(
        "10315",
        START - timedelta(days=3),
        hourly("10315", START.replace(minute=0) - timedelta(days=3), lambda _: ("1", "2")),
    )
    with serving(shelf, START) as simulator, open_office(simulator, local_store) as office:
        archive_reports(office, said)
    told = ledgers(local_store)
    assert (told[TODAY].missing, told[YESTERDAY].missing) == ((), ())
    assert list(told["20260913"].kept) == [path("10315", "20260913")]


def test_a_damaged_day_file_is_put_aside_and_made_anew(simulator, office, lines):
    for _ in range(3):
        archive_reports(office, said)
        simulator.clock.advance(HOUR)
    witness = Witness(simulator)
    before = stored_days(office.store)
    data = office.store.get(path("10315")).data
    office.store.put(path("10315"), data[: len(data) // 2])
    office.store.put(path("10384"), b"\x00" * 100)
    office.store.delete([path("K611_")])
    archive_reports(office, lines.append)
    witness.look()
    after = stored_days(office.store)
    for station in ("10315", "10384", "K611_"):
        assert after[station, START.date()].keys() >= before[station, START.date()].keys()
    assert len(list(office.store.list(f"quarantine/{DAYS}"))) == 2
    assert any("quarantine" in line and "10384" in line for line in lines)
    days = {}
    office.store.delete([info.key for info in office.store.list(DAYS)])
    rebuild_day(office, START.date(), said)
    days = stored_days(office.store)
    assert days == {key: rows for key, rows in after.items() if key[1] == START.date()}


def test_below_the_floor_nothing_is_fetched(simulator, local_store, monkeypatch):
    with open_office(simulator, local_store) as office:
        full = Office(office.settings, Archive(local_store, floor_bytes=1 << 62), office.client, office.clock)
        with pytest.raises(BelowFloor):
            archive_reports(full, said)
    assert simulator.requests == ()


class SlowKeeping:
    """A store that takes the first raw report only once the server was asked for more files than make a batch."""

    def __init__(self, store: Store, simulator: Simulator, batch: int) -> None:
        self._store, self._simulator, self._batch = store, simulator, batch

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    def create(self, key: str, *arguments: object):
        end = time.monotonic() + 20
        while key.startswith("raw_poi/") and len(asked_for(self._simulator)) <= self._batch:
            assert time.monotonic() < end, "nothing is fetched beside merging"
            time.sleep(0.005)
        return self._store.create(key, *arguments)


def test_the_next_files_are_fetched_while_those_before_are_merged(simulator, local_store, monkeypatch):
    monkeypatch.setattr(report_pass, "BATCH_FILES", 2)
    with open_office(simulator, SlowKeeping(local_store, simulator, 2), connections=1) as office:
        archive_reports(office, said)
    assert len(stored_days(local_store)) == 2 * len(STATIONS)
    check_ledgers_against_files(local_store)


# --- a kill at any write -------------------------------------------------------------------------------------


KILLS = 64


class Trials:
    """Trials one after the other, each with a store of its own and on days of its own of one running server."""

    def __init__(self, simulator: Simulator, office: Office) -> None:
        self.simulator, self.office = simulator, office

    def archive(self, store: Store) -> None:
        archive_reports(replace(self.office, archive=Archive(store)), said)

    def killed_at(self, store: Store, write: int, after: bool, hours: int) -> bool:
        """Kill the second pass at a write, go on after some hours, and check it; tells if it was killed."""
        clock, witness = self.simulator.clock, Witness(self.simulator)
        dying = Dying(store, write, after=after)
        clock.advance(3 * DAY)
        witness.look()
        self.archive(store)
        clock.advance(6 * HOUR)
        witness.look()
        try:
            self.archive(dying)
        except StoreUnavailable:
            assert dying.is_dead
        clock.advance(hours * HOUR)
        witness.look()
        self.archive(store)
        self.check(store, witness)
        clock.advance((18 - hours) * HOUR)
        return dying.is_dead

    def check(self, store: Store, witness: Witness) -> None:
        """What is there comes of the raw reports that are kept, and nothing is left to be done."""
        oracle = Oracle.of(raw_reports(store, witness.time_of))
        assert stored_days(store) == oracle.days
        told = told_corrections(store)
        assert len(told) == len(set(told))
        assert set(told) == oracle.corrections
        check_ledgers_against_files(store)
        assert list(report_versions.open_intakes(store)) == []
        assert (
            reports_due(replace(self.office, archive=Archive(store)), self.simulator.clock.now(), print) == ()
        )


@pytest.fixture
def trials(local_store: Store) -> Iterator[Trials]:
    with (
        Simulator(START, seed=9, plan=Plan(stations=STATIONS[1:3])) as simulator,
        open_office(simulator, local_store) as office,
    ):
        yield Trials(simulator, office)


@pytest.mark.parametrize("hours", [0, 3], ids=["same reports", "later reports"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_write_loses_nothing_and_tells_no_correction_twice(trials, tmp_path, after, hours):
    for write in range(KILLS):
        if not trials.killed_at(PosixStore(tmp_path / str(write)), write, after, hours):
            break
    assert 15 < write < KILLS - 1  # each of them was tried


def test_a_kill_while_the_next_files_are_fetched_loses_nothing(trials, tmp_path, monkeypatch):
    monkeypatch.setattr(report_pass, "BATCH_FILES", 1)
    for write in range(2, KILLS, 4):
        if not trials.killed_at(PosixStore(tmp_path / str(write)), write, after=False, hours=3):
            break
    assert 20 < write < KILLS - 1


@pytest.mark.s3
def test_a_kill_loses_nothing_on_s3(trials, s3_server):
    for write in range(3, 18, 3):
        store = s3_server.store(s3_server.new_bucket())
        assert trials.killed_at(store, write, after=False, hours=3)
