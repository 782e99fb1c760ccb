"""Reports that are written otherwise than before, cut, damaged, or came without a length: no row is lost in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial

import msgspec
import pytest

from dwd_assets.periods.context import Office
from dwd_assets.poi.report_pass import archive_reports, rebuild_day, reports_due
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.report_forms import ReportForm
from dwd_assets.simulator.server import Plan, Simulator
from dwd_assets.simulator.stations import STATIONS
from store import keys
from store.dwd import ledger, report_versions
from store.dwd.ledger import Failed, Ledger
from store.objects import Store, StoreUnavailable
from tests.dwd_assets.poi.report_world import (
    DAYS,
    FOLDER,
    HOUR,
    Oracle,
    Shelf,
    check_ledgers_against_files,
    hourly,
    ledgers,
    open_office,
    raw_reports,
    serving,
    stored_days,
    told_corrections,
    values,
)
from tests.samples import SAMPLES, needs_samples

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
START = NOON + timedelta(minutes=40)
AT = NOON + timedelta(minutes=30)
TODAY, YESTERDAY = "20261130", "20261129"
CASES = SAMPLES / "cases" / "dwd"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def shelf() -> Shelf:
    """What the server has: nothing yet."""
    return Shelf()


@pytest.fixture
def simulator(shelf: Shelf) -> Iterator[Simulator]:
    with serving(shelf, START) as running:
        yield running


@pytest.fixture
def office(simulator: Simulator, local_store: Store) -> Iterator[Office]:
    with open_office(simulator, local_store) as opened:
        yield opened


def said(*_: object) -> None:
    """Where nobody looks at the log."""


def path(day: str = TODAY, station: str = "10315") -> str:
    return f"{DAYS}{day}/{station}-BEOB.csv"


def cells(stamp: datetime) -> tuple[str, str]:
    return (str(stamp.hour), "1")


def put(shelf: Shelf, hours: int, data: bytes | None = None, station: str = "10315") -> bytes:
    """Put the report of so many hours after noon, or other bytes in its place."""
    data = hourly(station, NOON + hours * HOUR, cells) if data is None else data
    shelf.put(station, AT + hours * HOUR, data)
    return data


def state(store: Store, simulator: Simulator, day: str = TODAY) -> str:
    return ledgers(store)[day].state(simulator.clock.now())


# The header


@pytest.mark.parametrize(
    "form",
    [
        ReportForm(changes=((NOON, "added"),)),
        ReportForm(changes=((NOON, "removed"),)),
        ReportForm(changes=((NOON, "renamed"), (NOON + 5 * HOUR, "added"))),
        ReportForm(changes=((NOON, "reordered"), (NOON + 3 * HOUR, "unit"))),
        ReportForm(texts=60, line_end="\r\n", has_byte_order_mark=True, has_trailing_separator=True),
        ReportForm(doubled="same", has_trailing_separator=True),
    ],
    ids=["added", "removed", "renamed", "reordered", "text", "doubled"],
)
def test_however_reports_are_written_a_day_has_every_value_of_them_and_is_complete(local_store, form):
    begin = NOON.replace(hour=0, minute=40)
    plan = Plan(stations=STATIONS[1:3], report_form=form)
    with Simulator(begin, seed=5, plan=plan) as simulator, open_office(simulator, local_store) as office:
        sent: dict[tuple[str, bytes], datetime] = {}
        for _ in range(28):
            for file in simulator.world.files(FOLDER, simulator.clock.now()):
                station = file.path.removeprefix(FOLDER).removesuffix("-BEOB.csv")
                sent.setdefault((station, simulator.world.content(file)), file.modified)
            *_, today = archive_reports(office, said)
            assert today.failed == {}
            simulator.clock.advance(HOUR)
        oracle = Oracle.of((station, modified, data) for (station, data), modified in sent.items())
        assert stored_days(local_store) == oracle.days
        assert set(told_corrections(local_store)) == oracle.corrections
        assert len(oracle.days["10315", NOON.date()]) == 24
        assert state(local_store, simulator) == "complete"
        check_ledgers_against_files(local_store)
        # The same days come of the raw reports alone.
        before = {info.key: local_store.get(info.key).data for info in local_store.list(DAYS)}
        local_store.delete(list(before))
        for _, day in list(oracle.days):
            rebuild_day(office, day, said)
        assert {info.key: local_store.get(info.key).data for info in local_store.list(DAYS)} == before
        texts = [line for line in ledgers(local_store)[TODAY].warnings if line.startswith("not a number:")]
        assert bool(texts) == bool(form.texts)
        assert all("'/////'" in line and " UTC " in line for line in texts)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_columns_stand_in_the_order_of_the_reports_times_whichever_is_fetched_first(
    simulator, office, shelf, order
):
    headers = [("temperature", "rain"), ("snow", "rain"), ("wind", "temperature")]
    reports = [
        hourly(
            "10315", NOON - 3 * HOUR + number * HOUR, lambda _, n=number: (f"{n}", f"{n}"), columns=columns
        )
        for number, columns in enumerate(headers)
    ]
    for number in order:
        shelf.put("10315", AT - 30 * HOUR + number * HOUR, reports[number])
        archive_reports(office, said, recheck=True)
        simulator.clock.advance(timedelta(minutes=1))
    head = office.store.get(path()).data.decode().splitlines()[0]
    assert head.endswith("Parameter description;temperature;rain;snow;wind")


@needs_samples
def test_a_column_more_costs_no_row_and_the_day_can_be_complete(simulator, office, shelf):
    data = (CASES / "column_added/10315-BEOB.csv").read_bytes()
    plain = data.splitlines(keepends=True)
    fewer = b"".join(line.rpartition(b";")[0] + b"\n" for line in plain)
    shelf.put("10315", AT, fewer)
    simulator.clock.turn(datetime(2026, 11, 30, 16, 50, tzinfo=UTC))
    archive_reports(office, said)
    shelf.put("10315", datetime(2026, 11, 30, 16, 40, tzinfo=UTC), data)
    simulator.clock.advance(HOUR)
    *_, today = archive_reports(office, said)
    assert today.failed == {}
    for day, begin in ((TODAY, b"30.11.26"), (YESTERDAY, b"29.11.26")):
        rows = [line for line in plain[3:] if line.startswith(begin)]
        assert office.store.get(path(day)).data == b"".join([*plain[:3], *rows])
    shelf.put("10315", datetime(2026, 12, 1, 0, 40, tzinfo=UTC), b"".join([*plain[:3], later(plain)]))
    simulator.clock.turn(datetime(2026, 12, 1, 3, tzinfo=UTC))
    archive_reports(office, said)
    assert state(office.store, simulator) == "complete"
    assert len(stored_days(office.store)["10315", NOON.date()]) == 24


def later(lines: list[bytes]) -> bytes:
    """The rows of the 25 hours up to midnight, with the cells of one row."""
    rest = lines[3].split(b";", 2)[2]
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    return b"".join(f"{midnight - age * HOUR:%d.%m.%y;%H:%M};".encode() + rest for age in range(25))


@needs_samples
@pytest.mark.parametrize("case", ["crlf", "bom", "trailing"])
def test_the_spelling_of_a_report_changes_no_byte_of_its_days(simulator, office, shelf, case):
    data = (CASES / case / "10315-BEOB.csv").read_bytes()
    plain = [line.rstrip(b"\r\n;") + b"\n" for line in data.removeprefix(b"\xef\xbb\xbf").splitlines()]
    shelf.put("10315", datetime(2026, 11, 30, 16, 31, tzinfo=UTC), data)
    simulator.clock.turn(datetime(2026, 11, 30, 16, 40, tzinfo=UTC))
    *_, today = archive_reports(office, said)
    assert (today.failed, len(plain)) == ({}, 28)
    for day, begin in ((TODAY, b"30.11.26"), (YESTERDAY, b"29.11.26")):
        rows = [line for line in plain[3:] if line.startswith(begin)]
        assert office.store.get(path(day)).data == b"".join([*plain[:3], *rows])


@needs_samples
def test_a_doubled_row_with_other_values_counts_once_and_is_named(simulator, office, shelf):
    data = (CASES / "dup/10315-BEOB.csv").read_bytes()
    lines = data.splitlines(keepends=True)
    assert lines[3][:14] == lines[4][:14]
    shelf.put("10315", datetime(2026, 11, 30, 16, 31, tzinfo=UTC), data)
    simulator.clock.turn(datetime(2026, 11, 30, 16, 40, tzinfo=UTC))
    *_, today = archive_reports(office, said)
    assert "line 5: 30.11.26;16:00 again, with other values" in today.failed[path()]
    rows = [line for line in lines[3:] if line.startswith(b"30.11.26") and line is not lines[4]]
    assert office.store.get(path()).data == b"".join([*lines[:3], *rows])


@needs_samples
def test_text_in_a_numbers_place_never_replaces_a_value_and_is_named(simulator, office, shelf):
    data = (CASES / "text/10315-BEOB.csv").read_bytes()
    simulator.clock.turn(datetime(2026, 11, 30, 16, 40, tzinfo=UTC))
    shelf.put("10315", datetime(2026, 11, 30, 16, 10, tzinfo=UTC), data.replace(b"/////", b"3,5"))
    archive_reports(office, said)
    before = office.store.get(path()).data
    shelf.put("10315", datetime(2026, 11, 30, 16, 31, tzinfo=UTC), data)
    *_, today = archive_reports(office, said)
    assert office.store.get(path()).data == before
    (line,) = today.summary.warnings
    assert line == "not a number: 10315 2026-11-30 16:00 UTC cloud_cover_total: '/////'" or line.startswith(
        "no report"
    )
    assert any(data == raw for _, _, raw in raw_reports(office.store, lambda *_: AT))


# What cannot be read


def test_a_report_that_cannot_be_read_is_kept_raw_and_keeps_both_days_from_being_complete(
    simulator, office, shelf
):
    put(shelf, -1)
    put(shelf, -1, station="10384")
    archive_reports(office, said)
    strange = put(shelf, 0, hourly("10315", NOON, cells).replace(b"Datum;Uhrzeit (UTC)", b"Date;Time"))
    put(shelf, 0, station="10384")
    simulator.clock.advance(timedelta(minutes=5))
    yesterday, today = archive_reports(office, said)
    for done, day in ((yesterday, YESTERDAY), (today, TODAY)):
        assert list(done.failed) == [path(day)]
        assert "no header: line 3" in done.failed[path(day)]
        assert f"kept as raw_poi/{TODAY}/10315-" in done.failed[path(day)]
    assert strange in [raw for _, _, raw in raw_reports(office.store, lambda *_: AT)]
    arrivals = [one.station for one in report_versions.arrivals_of(office.store, NOON.date())]
    assert arrivals.count("10315") == 2
    assert list(office.store.list("quarantine/")) == []

    simulator.clock.advance(timedelta(minutes=6))
    archive_reports(office, said)  # it is the same: one more attempt, and no further arrival
    assert ledgers(office.store)[TODAY].failed[path()].attempts == 2
    assert len(list(report_versions.arrivals_of(office.store, NOON.date()))) == len(arrivals)

    put(shelf, 1)
    simulator.clock.advance(HOUR)
    archive_reports(office, said)  # a whole one that covers both days
    assert ledgers(office.store)[TODAY].failed == ledgers(office.store)[YESTERDAY].failed == {}
    assert NOON in stored_days(office.store)["10315", NOON.date()]


def test_a_page_in_the_place_of_a_report_is_quarantined_and_keeps_both_days_from_being_complete(
    simulator, office, shelf
):
    put(shelf, 0, b"<html>sorry</html>")
    yesterday, today = archive_reports(office, said)
    assert set(yesterday.failed) | set(today.failed) == {path(), path(YESTERDAY)}
    (bad,) = office.store.list("quarantine/")
    assert office.store.get(bad.key).data == b"<html>sorry</html>"
    assert list(office.store.list("raw_poi/")) == []


def test_a_day_of_failures_is_lost_and_not_complete(simulator, office, shelf):
    put(shelf, 0)
    put(shelf, 0, station="10384")
    archive_reports(office, said)
    simulator.clock.turn(NOON + timedelta(hours=20))
    put(shelf, 19)
    put(shelf, 19, station="10384")
    simulator.fail("*/10315-BEOB.csv", Fault.UNAVAILABLE)
    archive_reports(office, said)
    told = ledgers(office.store)[TODAY]
    assert (told.missing, told.state(simulator.clock.now())) == ((), "partial")
    simulator.clock.advance(timedelta(days=3))
    assert state(office.store, simulator) == "lost"


def test_a_row_that_stays_damaged_until_it_is_gone_keeps_its_day_from_being_complete(
    simulator, office, shelf
):
    put(shelf, -2)
    archive_reports(office, said)
    bad = f"{NOON:%d.%m.%y;%H:%M};12;1".encode()
    for hour in range(26):
        simulator.clock.turn(START + hour * HOUR)
        put(shelf, hour, hourly("10315", NOON + hour * HOUR, cells).replace(bad, bad + b";7"))
        archive_reports(office, said)
    told = ledgers(office.store)[TODAY]
    assert "3 cells" not in told.failed[path()].reason
    assert "5 cells, the header has 4 (30.11.26;12:00)" in told.failed[path()].reason
    assert told.state(simulator.clock.now()) == "partial"
    assert ledgers(office.store)["20261201"].failed == {}  # which has nothing of that row


def test_a_row_that_is_damaged_in_one_report_alone_is_made_up_for_by_the_next(simulator, office, shelf):
    put(shelf, -1)
    archive_reports(office, said)
    put(shelf, 0, hourly("10315", NOON, cells).replace(b"12:00;12;1", b"12:00;12"))
    archive_reports(office, said)
    assert set(ledgers(office.store)[YESTERDAY].failed) == {path(YESTERDAY)}
    put(shelf, 1)
    simulator.clock.advance(HOUR)
    archive_reports(office, said)
    assert ledgers(office.store)[TODAY].failed == ledgers(office.store)[YESTERDAY].failed == {}


def test_a_kill_before_a_damaged_report_is_merged_leaves_its_days_failed(
    simulator, office, shelf, monkeypatch
):
    def killed(*_: object) -> None:
        raise StoreUnavailable("killed")

    put(shelf, 0, hourly("10315", NOON, cells).replace(b"12:00;12;1", b"12:00;12"))
    monkeypatch.setattr("dwd_assets.poi.report_pass.take_in", killed)
    with pytest.raises(StoreUnavailable):
        archive_reports(office, said)
    assert {day: set(told.failed) for day, told in ledgers(office.store).items()} == {
        TODAY: {path()},
        YESTERDAY: {path(YESTERDAY)},
    }


def test_a_failure_is_no_failure_of_a_day_that_began_after_the_newest_row(simulator, office, shelf):
    simulator.clock.turn(datetime(2026, 12, 1, 0, 20, tzinfo=UTC))
    put(shelf, 10)
    archive_reports(office, said)
    shelf.put("10315", datetime(2026, 12, 1, 0, 15, tzinfo=UTC), hourly("10315", NOON + 11 * HOUR, cells))
    simulator.fail("*/10315-BEOB.csv", Fault.RESET, times=1)
    archive_reports(office, said)
    assert set(ledgers(office.store)["20261201"].failed) == {path("20261201")}
    simulator.clock.advance(timedelta(minutes=6))
    archive_reports(office, said)
    assert [one for each in ledgers(office.store).values() for one in each.failed] == []


# Rebuilding


def test_rebuilding_merges_kept_reports_that_no_reader_before_could_read(
    simulator, office, shelf, monkeypatch
):
    store = office.store
    put(shelf, -1)
    archive_reports(office, said)
    whole = hourly("10315", NOON, cells)
    strange = whole.replace(b"Datum;Uhrzeit (UTC)", b"Date;Time")
    put(shelf, 0, strange)
    simulator.clock.advance(timedelta(minutes=5))
    archive_reports(office, said)
    lines: list[str] = []
    done = rebuild_day(office, NOON.date(), lines.append)
    assert ["no header: line 3" in reason for reason in done.failed.values()] == [True]
    assert next(iter(done.failed)).startswith(f"raw_poi/{TODAY}/10315-")
    assert any("no header: line 3" in line for line in lines)
    assert NOON not in stored_days(store)["10315", NOON.date()]

    # As a later version of the reader, which knows these words.
    monkeypatch.setattr("dwd_assets.formats.poi.beob._TIME_COLUMNS", ["Date", "Time"])
    store.delete([info.key for info in store.list(DAYS)])
    rebuild_day(office, NOON.date(), said)
    assert NOON in stored_days(store)["10315", NOON.date()]
    assert ledgers(store)[TODAY].failed == {}


def test_rebuilding_merges_reports_that_were_kept_out_for_another_header(simulator, office, shelf):
    """As an archive of before has it: the raw report and its arrival, and a failure in the ledger."""
    store = office.store
    put(shelf, -1)
    archive_reports(office, said)
    before = {day: store.get(path(day)).data for day in (TODAY, YESTERDAY)}
    put(
        shelf, 0, hourly("10315", NOON, lambda at: (*cells(at), "7"), columns=("temperature", "rain", "snow"))
    )
    simulator.clock.advance(timedelta(minutes=5))
    archive_reports(office, said)
    after = {day: store.get(path(day)).data for day in (TODAY, YESTERDAY)}
    for day, data in before.items():
        store.put(path(day), data)
        fault = Failed("other columns than the day has: new: snow", simulator.clock.now())
        ledger.update(store, "poi", day, partial(failing, path(day), fault))
    for day in (TODAY, YESTERDAY):
        done = rebuild_day(office, keys.parsed_day(day), said)
        assert (done.fetched, done.failed, done.summary.failed) == (1, {}, 0)
        assert store.get(path(day)).data == after[day]


def failing(name: str, fault: Failed, known: Ledger) -> Ledger:
    return msgspec.structs.replace(known, failed={name: fault})


def test_rebuilding_merges_reports_from_the_quarantine_that_can_be_read_and_no_put_aside_day_file(
    simulator, office, shelf
):
    store = office.store
    put(shelf, -1)
    archive_reports(office, said)
    crlf = hourly("10384", NOON, cells).replace(b"\n", b"\r\n")
    for station, data in (
        ("10384", crlf),
        ("10637", b"<html></html>"),
        ("10315", store.get(path()).data.replace(b";11;1", b";99;1")),
    ):
        key = office.archive.quarantine(path(TODAY, station), data)
        stored_at = AT.timestamp()
        os.utime(store.root / key, (stored_at, stored_at))
    rebuild_day(office, NOON.date(), said)
    rows = values(stored_days(store)["10384", NOON.date()])
    assert rows == {NOON - age * HOUR: [str(12 - age), "1"] for age in range(13)}
    assert ["99", "1"] not in values(stored_days(store)["10315", NOON.date()]).values()
    assert ("10637", NOON.date()) not in stored_days(store)
    check_ledgers_against_files(store)


# Bodies without a length


@pytest.fixture
def unsized(shelf: Shelf, local_store: Store) -> Iterator[tuple[Simulator, Office]]:
    """A server whose listing has no exact sizes."""
    with (
        serving(shelf, START, index_form="rounded") as simulator,
        open_office(simulator, local_store) as office,
    ):
        yield simulator, office


def test_a_report_without_a_length_is_merged_and_makes_its_days_complete_when_it_comes_twice(unsized, shelf):
    simulator, office = unsized
    put(shelf, 0)
    simulator.fail("*.csv", Fault.NO_LENGTH)
    yesterday, today = archive_reports(office, said)
    assert "10315-BEOB.csv: came without a length" in today.failed[path()]
    assert "came without a length" in yesterday.failed[path(YESTERDAY)]
    assert len(stored_days(office.store)["10315", NOON.date()]) == 13
    assert [one.proof for one in report_versions.arrivals_of(office.store, NOON.date())] == ["none"]
    assert len(reports_due(office, simulator.clock.now(), said)) == 1  # at once
    *_, today = archive_reports(office, said)
    assert (
        today.failed == ledgers(office.store)[TODAY].failed == ledgers(office.store)[YESTERDAY].failed == {}
    )
    assert reports_due(office, simulator.clock.now(), said) == ()
    assert {one.proof for one in report_versions.arrivals_of(office.store, NOON.date())} == {"none", "twice"}


def test_a_report_that_is_cut_without_a_length_is_not_taken_for_whole(unsized, shelf):
    simulator, office = unsized
    data = put(shelf, 0)
    simulator.fail("*.csv", Fault.CUT_NO_LENGTH, times=1)
    simulator.fail("*.csv", Fault.NO_LENGTH)
    archive_reports(office, said)
    rows = data[: len(data) // 2].count(b"\n30.11.26;")
    assert len(stored_days(office.store)["10315", NOON.date()]) == rows - 1  # the last one is cut
    for _ in range(2):  # all of it, which is not what came before; and the same again
        assert set(ledgers(office.store)[TODAY].failed) == {path()}
        simulator.clock.advance(timedelta(minutes=6))
        archive_reports(office, said)
    assert ledgers(office.store)[TODAY].failed == {}
    assert len(stored_days(office.store)["10315", NOON.date()]) == 13


def test_a_later_report_with_a_length_makes_up_for_one_without(unsized, shelf):
    simulator, office = unsized
    put(shelf, -1)
    archive_reports(office, said)
    put(shelf, 0)
    simulator.fail("*.csv", Fault.NO_LENGTH, times=1)
    archive_reports(office, said)
    assert set(ledgers(office.store)[YESTERDAY].failed) == {path(YESTERDAY)}
    put(shelf, 1)
    simulator.clock.advance(HOUR)
    archive_reports(office, said)
    assert ledgers(office.store)[TODAY].failed == ledgers(office.store)[YESTERDAY].failed == {}


@pytest.mark.parametrize("fault", [Fault.GZIPPED, None])
def test_a_report_that_ends_by_its_transfer_is_whole(unsized, shelf, fault):
    simulator, office = unsized
    put(shelf, 0)
    if fault is not None:
        simulator.fail("*.csv", fault)
    *_, today = archive_reports(office, said)
    assert today.failed == {}
    assert [one.proof for one in report_versions.arrivals_of(office.store, NOON.date())] == ["transfer"]


def test_a_listed_size_proves_a_report_without_a_length(simulator, office, shelf):
    put(shelf, 0)
    simulator.fail("*.csv", Fault.NO_LENGTH)
    *_, today = archive_reports(office, said)
    assert today.failed == {}
    assert [one.proof for one in report_versions.arrivals_of(office.store, NOON.date())] == ["listed"]


@pytest.mark.parametrize("form", ["seconds", "rounded"])
def test_a_last_row_without_its_line_end_is_merged_only_where_the_listing_has_that_length(
    shelf, local_store, form
):
    put(shelf, 0, hourly("10315", NOON, cells)[:-1])
    with serving(shelf, START, index_form=form) as simulator, open_office(simulator, local_store) as office:
        yesterday, _ = archive_reports(office, said)
    is_proven = form == "seconds"
    assert bool(yesterday.failed) != is_proven
    assert (NOON - 24 * HOUR in stored_days(local_store)["10315", date(2026, 11, 29)]) == is_proven
