"""Archiving forecasts from a server that plays DWD's: what is due, faults, kills, outages, versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.archive.storing import BelowFloor
from dwd_assets.formats.checks import parse_run
from dwd_assets.formats.mosmix.forecasts import read_station
from dwd_assets.mosmix import issue_pass
from dwd_assets.mosmix.issues import Issue
from dwd_assets.periods.progress import Due
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Simulator
from dwd_assets.simulator.stations import STATIONS
from store import keys
from store.dwd import ledger, stations
from store.objects import StoreError
from tests.dwd_assets.mosmix.forecast_world import (
    MortalStore,
    checked_ledger,
    kml_of,
    new_office,
    placemarks,
    stored,
)

ISSUE = datetime(2026, 9, 16, 9, tzinfo=UTC)
PERIOD = "2026091609"
SETTLED = ISSUE + timedelta(minutes=87)
MOS = "/weather/local_forecasts/mos"
ADDRESS = {
    "L": f"{MOS}/MOSMIX_L/all_stations/kml/MOSMIX_L_{PERIOD}.kmz",
    "S": f"{MOS}/MOSMIX_S/all_stations/kml/MOSMIX_S_{PERIOD}_240.kmz",
}
IDS = {station.id for station in STATIONS}
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Simulator]:
    with Simulator(SETTLED, seed=4) as running:
        yield running


@pytest.fixture
def opened(server):
    """Opens offices at the server, and closes them."""
    offices = []

    def office(store, **settings):
        offices.append(new_office(server.url, store, server.clock.now, **settings))
        return offices[-1]

    yield office
    for each in offices:
        each.close()


def archive(office, product="L", issue=ISSUE):
    return issue_pass.archive_issue(office, product, issue, lambda line: None)


def served(server, product="L"):
    """What the server has of the issue, by station."""
    at = server.clock.now()
    return placemarks(kml_of(server.world.content(server.world.find(ADDRESS[product], at))))


def archived(store):
    """All keys that are no ledger's."""
    return [info.key for info in store.list("") if not info.key.startswith("ledger/")]


def periods(due):
    return [one.period for one in due]


@pytest.mark.parametrize("product", ["L", "S"])
def test_an_issue_ends_complete_with_a_file_for_each_station(opened, server, store, product):
    done = archive(opened(store), product)

    assert stored(store, product, PERIOD) == served(server, product)
    told = checked_ledger(store, product, PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert len(told.kept) == done.fetched == len(IDS)
    assert (done.changed, done.failed, done.requests) == (0, {}, 1)
    assert done.summary == ledger.summary(told)
    source = {kept.source for kept in told.kept.values()}
    assert {(one.url, one.length) for one in source} == {(server.url + ADDRESS[product], done.bytes_fetched)}
    for path in told.kept:
        forecast = read_station(store.get(path).data, path)
        assert forecast.issued == ISSUE
        assert forecast.station in path


def test_the_catalogue_has_the_places_of_all_stations_of_an_issue(opened, local_store):
    archive(opened(local_store))
    wanted = {
        one.id: (one.id, one.name, one.longitude_deg, one.latitude_deg, one.height_m) for one in STATIONS
    }
    known = stations.read(local_store)
    assert {
        name: (one.id, one.name, one.longitude_deg, one.latitude_deg, one.height_m)
        for name, one in known.items()
    } == wanted


def test_an_issue_is_due_when_its_file_is_there_and_settled(opened, local_store):
    with Simulator(ISSUE + 84 * MINUTE) as early:
        office = new_office(early.url, local_store, early.clock.now)
        due = lambda: periods(issue_pass.issues_due(office, "L", early.clock.now()))  # noqa: E731
        assert due()[-1] == "2026091603"
        early.clock.turn(ISSUE + 85 * MINUTE + timedelta(seconds=30))
        assert due()[-1] == "2026091603"
        assert archive(office).fetched == 0
        assert archived(local_store) == []
        early.clock.turn(ISSUE + 86 * MINUTE)
        assert due()[-1] == PERIOD
        assert all(asked.method == "HEAD" or asked.path == ADDRESS["L"] for asked in early.requests)
        office.close()


@pytest.mark.parametrize(("product", "count"), [("L", 8), ("S", 24)])
def test_all_that_the_server_has_is_due_the_oldest_first(opened, local_store, server, product, count):
    due = issue_pass.issues_due(opened(local_store), product, server.clock.now())
    assert len(due) == count
    assert list(due) == sorted(due)
    assert due[-1].period == ("2026091609" if product == "L" else "2026091610")
    hours = 48 if product == "L" else 24
    assert due[0] == Due(
        parse_run(due[0].period) + timedelta(hours=hours), f"mosmix-{product.lower()}", due[0].period
    )


def test_a_complete_issue_costs_no_request_and_another_one_at_most(opened, local_store, server):
    office = opened(local_store)
    for due in issue_pass.issues_due(office, "L", server.clock.now()):
        archive(office, issue=parse_run(due.period))
    before = len(server.requests)
    assert issue_pass.issues_due(office, "L", server.clock.now()) == ()
    asked = [request.path for request in server.requests[before:]]
    assert len(asked) == len(set(asked)) <= 2  # older than what the server keeps
    assert not any("LATEST" in request.path for request in server.requests)


def test_an_issue_that_has_not_come_is_known_to_be_waited_for_and_then_to_be_lost(
    opened, local_store, server
):
    server.fail(ADDRESS["L"], Fault.NOT_FOUND)
    issue_pass.issues_due(opened(local_store), "L", server.clock.now())
    told = ledger.read_summary(local_store, "mosmix-l", PERIOD)
    assert told.state(server.clock.now()) == "waiting"
    assert told.minutes_left(server.clock.now()) == pytest.approx(48 * 60 - 87)
    assert told.state(ISSUE + timedelta(hours=48)) == "waiting", (
        "it is asked for once more before it is given up"
    )
    assert told.state(ISSUE + timedelta(hours=51)) == "lost"


def test_an_issue_from_before_the_archive_began_is_not_called_lost(opened, local_store, server):
    issue_pass.issues_due(opened(local_store), "L", server.clock.now())
    summaries = [info.key for info in local_store.list(keys.ledger_summaries_prefix("mosmix-l"))]
    assert len(summaries) == 8


@pytest.mark.parametrize("product", ["L", "S"])
def test_half_an_issue_is_partial_and_complete_once_the_server_has_all_of_it(
    opened, local_store, server, product
):
    office = opened(local_store)
    issue = Issue(product, ISSUE)
    archive(office, product, issue.before.time)
    server.fail(f"*/all_stations/kml/{issue.name}", Fault.HALF_ISSUE)
    assert PERIOD in periods(issue_pass.issues_due(office, product, server.clock.now()))
    archive(office, product)
    told = checked_ledger(local_store, product, PERIOD)
    assert told.state(server.clock.now()) == "partial"
    assert set(stored(local_store, product, PERIOD)) == {"01001", "10315"}
    assert told.missing == tuple(issue.path(station) for station in ("10384", "10637", "K611"))

    server.clock.advance(6 * MINUTE)
    assert PERIOD not in periods(issue_pass.issues_due(office, product, server.clock.now()))
    server.heal()
    assert PERIOD in periods(issue_pass.issues_due(office, product, server.clock.now()))
    done = archive(office, product)
    told = checked_ledger(local_store, product, PERIOD)
    assert (told.state(server.clock.now()), told.failed, done.changed) == ("complete", {}, 0)
    assert stored(local_store, product, PERIOD) == served(server, product)


BAD = {
    Fault.PAGE: "a page or XML instead of a ZIP",
    Fault.TRUNCATED: "the rest did not come",
    Fault.FLIPPED: "",
    Fault.CUT: ADDRESS["L"],
    Fault.UNAVAILABLE: "503",
    Fault.RESET: ADDRESS["L"],
}
CAME = {Fault.PAGE, Fault.TRUNCATED, Fault.FLIPPED}


@pytest.mark.parametrize("fault", list(BAD), ids=lambda fault: fault.name)
def test_a_fault_publishes_nothing_is_named_and_mended_by_the_next_pass(opened, local_store, server, fault):
    office = opened(local_store)
    server.fail(ADDRESS["L"], fault)
    done = archive(office)

    (reason,) = done.failed.values()
    assert BAD[fault] in reason
    assert "\n" not in reason
    quarantined = archived(local_store)
    assert len(quarantined) == (fault in CAME)
    assert all(key.startswith(f"quarantine{ADDRESS['L']}.") for key in quarantined)
    told = checked_ledger(local_store, "L", PERIOD)
    assert list(told.failed) == [ADDRESS["L"][1:]]
    assert told.state(server.clock.now()) == "waiting"

    server.heal()
    assert PERIOD not in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    server.clock.advance(5 * MINUTE)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    archive(office)
    told = checked_ledger(local_store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert told.failed == {}
    assert stored(local_store, "L", PERIOD) == served(server)


def test_attempts_that_fail_are_counted_and_never_end(opened, local_store, server):
    office = opened(local_store)
    server.fail(ADDRESS["L"], Fault.UNAVAILABLE)
    for attempt in range(1, 5):
        issue_pass.issues_due(office, "L", server.clock.now())
        assert ledger.read(local_store, "mosmix-l", PERIOD).failed[ADDRESS["L"][1:]].attempts == attempt
        server.clock.advance(5 * MINUTE)


def test_a_server_that_is_away_is_asked_a_few_times_and_every_issue_in_turn(opened, local_store, server):
    office = opened(local_store)
    server.fail("*", Fault.RESET)
    for _ in range(3):
        before = len(server.requests)
        assert issue_pass.issues_due(office, "L", server.clock.now()) == ()
        assert 1 <= len({asked.path for asked in server.requests[before:]}) <= 3
    assert len({asked.path for asked in server.requests}) == 9
    assert len(list(local_store.list(keys.ledger_summaries_prefix("mosmix-l")))) == 8
    server.heal()
    server.clock.advance(6 * MINUTE)
    assert len(issue_pass.issues_due(office, "L", server.clock.now())) == 8


def test_an_issue_that_cannot_be_asked_for_does_not_hold_up_the_others(opened, local_store, server):
    office = opened(local_store)
    server.fail(ADDRESS["L"].replace(PERIOD, "2026091*"), Fault.UNAVAILABLE, times=3)
    assert len(issue_pass.issues_due(office, "L", server.clock.now())) < 8
    assert len(issue_pass.issues_due(office, "L", server.clock.now())) >= 5


def test_a_file_that_is_gone_between_look_and_fetch_is_no_failure(opened, local_store, server):
    server.fail(ADDRESS["L"], Fault.NOT_FOUND, times=1)
    done = archive(opened(local_store))
    assert (done.failed, done.fetched, archived(local_store)) == ({}, 0, [])
    assert done.summary.state(server.clock.now()) != "complete"


@pytest.mark.parametrize("after", [False, True], ids=["before the put", "after the put"])
@pytest.mark.parametrize("dies_at", [1, 3, 5])
def test_a_kill_in_the_middle_leaves_nothing_false_and_the_next_pass_completes(
    opened, server, store, dies_at, after
):
    with pytest.raises(StoreError):
        archive(opened(MortalStore(store, dies_at, after)))
    told = checked_ledger(store, "L", PERIOD)
    assert told.state(server.clock.now()) != "complete"
    assert stored(store, "L", PERIOD).items() <= served(server).items()

    office = opened(store)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    archive(office)
    told = checked_ledger(store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert not any(kept.earlier for kept in told.kept.values())
    assert stored(store, "L", PERIOD) == served(server)
    assert set(stations.read(store)) == IDS


@pytest.mark.parametrize("product", ["L", "S"])
def test_after_an_outage_all_that_the_server_still_has_is_recovered_the_oldest_first(
    opened, local_store, server, product
):
    office = opened(local_store)

    def recover():
        due = issue_pass.issues_due(office, product, server.clock.now())
        for one in due:
            archive(office, product, parse_run(one.period))
        return periods(due)

    first = recover()
    server.clock.advance(timedelta(hours=20))
    second = recover()
    assert len(second) == {"L": 3, "S": 20}[product]
    assert second == sorted(second)
    assert not set(first) & set(second)
    assert recover() == []
    for period in (*first, *second):
        assert checked_ledger(local_store, product, period).state(parse_run(period)) == "complete"
        assert set(stored(local_store, product, period)) == IDS


def test_a_second_version_of_an_issue_is_kept_and_the_first_one_beside_it(opened, server, store):
    office = opened(store)
    archive(office)
    first = served(server)
    server.world.overwrite(ADDRESS["L"], server.clock.now())
    server.clock.advance(2 * MINUTE)
    done = archive(office)

    assert (done.fetched, done.changed) == (len(IDS), len(IDS))
    assert stored(store, "L", PERIOD) == served(server) != first
    told = checked_ledger(store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    for path, kept in told.kept.items():
        (earlier,) = kept.earlier
        inside = placemarks(kml_of(store.get(f"{path}.{earlier.sha256[:12]}").data))
        assert inside.items() <= first.items()
    everything = {info.key: info.etag for info in store.list("weather/")}
    again = archive(office)
    assert (again.fetched, again.changed) == (0, 0)
    assert {info.key: info.etag for info in store.list("weather/")} == everything


def test_a_kill_within_a_second_version_leaves_the_issue_incomplete_until_all_of_it_is_there(
    opened, local_store, server
):
    archive(opened(local_store))
    first = served(server)
    server.world.overwrite(ADDRESS["L"], server.clock.now())
    server.clock.advance(2 * MINUTE)
    with pytest.raises(StoreError):
        archive(opened(MortalStore(local_store, 3, after=False)))
    assert checked_ledger_of_unfinished(local_store, server) == "partial"
    assert stored(local_store, "L", PERIOD).items() <= first.items() | served(server).items()

    office = opened(local_store)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    archive(office)
    told = checked_ledger(local_store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert stored(local_store, "L", PERIOD) == served(server)
    assert {len(kept.earlier) for kept in told.kept.values()} == {1}


def checked_ledger_of_unfinished(store, server):
    """The state that is told; the store may be ahead of the entries, each of which is kept at its path or beside."""
    told = ledger.read(store, "mosmix-l", PERIOD)
    for path, kept in told.kept.items():
        at = [store.get(path).data]
        with suppress(StoreError):
            at.append(store.get(f"{path}.{kept.sha256[:12]}").data)
        assert kept.size in {len(kml_of(data)) for data in at}
    return told.state(server.clock.now())


def test_a_damaged_second_version_costs_nothing_of_the_first(opened, local_store, server):
    office = opened(local_store)
    archive(office)
    first = stored(local_store, "L", PERIOD)
    server.world.overwrite(ADDRESS["L"], server.clock.now())
    server.clock.advance(2 * MINUTE)
    server.fail(ADDRESS["L"], Fault.FLIPPED)
    done = archive(office)
    assert list(done.failed) == [ADDRESS["L"][1:]]
    assert stored(local_store, "L", PERIOD) == first
    assert checked_ledger(local_store, "L", PERIOD).state(server.clock.now()) == "partial"
    server.heal()
    archive(office)
    assert checked_ledger(local_store, "L", PERIOD).state(server.clock.now()) == "complete"


def test_below_the_floor_nothing_is_asked_for(opened, local_store, server):
    with pytest.raises(BelowFloor, match="STORE_FREE_FLOOR_BYTES"):
        archive(opened(local_store, floor_bytes=1 << 60))
    assert server.requests == ()


def test_a_time_that_is_no_issue_is_refused(opened, local_store):
    with pytest.raises(ValueError, match="whole hour"):
        archive(opened(local_store), issue=ISSUE.replace(minute=30))


SHORT = ("10315", "K611")


def single(station):
    return f"{MOS}/MOSMIX_L/single_stations/{station}/kml/MOSMIX_L_{PERIOD}_{station}.kmz"


def test_a_short_list_of_stations_is_fetched_from_their_own_files(opened, server, store):
    office = opened(store, mosmix_stations=SHORT)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    done = archive(office)
    assert {asked.path for asked in server.requests if asked.method == "GET"} == {
        single(station) for station in SHORT
    }
    assert (done.fetched, done.requests) == (2, 2)
    told = checked_ledger(store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert stored(store, "L", PERIOD) == {station: served(server)[station] for station in SHORT}
    assert set(stations.read(store)) == set(SHORT)
    for station in SHORT:
        at = server.world.find(single(station), server.clock.now())
        assert store.get(f"weather/local_forecasts/mos/{PERIOD}/{station}-MOSMIX.kmz").data == (
            server.world.content(at)
        )
    again = archive(office)
    assert (again.fetched, again.bytes_fetched) == (0, 0)
    assert [asked.status for asked in server.requests[-2:]] == [304, 304]


def test_a_single_file_that_is_not_settled_is_left_for_another_pass(opened, local_store, server):
    office = opened(local_store, mosmix_stations=SHORT)
    server.world.overwrite(single("K611"), server.clock.now())
    server.clock.advance(timedelta(seconds=30))
    done = archive(office)
    assert (done.fetched, done.failed) == (1, {})
    assert set(stored(local_store, "L", PERIOD)) == {"10315"}
    assert done.summary.state(server.clock.now()) == "partial"
    server.clock.advance(MINUTE)
    assert archive(office).summary.state(server.clock.now()) == "complete"


def test_of_a_product_without_single_files_a_short_list_is_taken_out_of_all(opened, local_store, server):
    done = archive(opened(local_store, mosmix_stations=SHORT), "S")
    assert done.summary.state(server.clock.now()) == "complete"
    assert stored(local_store, "S", PERIOD) == {station: served(server, "S")[station] for station in SHORT}


@pytest.mark.parametrize("product", ["L", "S"])
def test_a_station_that_is_nowhere_is_missing_and_costs_no_other(opened, local_store, server, product):
    office = opened(local_store, mosmix_stations=("10315", "99999"))
    done = archive(office, product)
    assert set(stored(local_store, product, PERIOD)) == {"10315"}
    told = checked_ledger(local_store, product, PERIOD)
    assert told.state(server.clock.now()) == "partial"
    (missing,) = told.missing
    assert missing.endswith(f"{PERIOD}/99999-MOSMIX.kmz")
    assert len(done.failed) == (product == "S")
    server.clock.advance(6 * MINUTE)
    is_due = PERIOD in periods(issue_pass.issues_due(office, product, server.clock.now()))
    assert is_due == (product == "L")  # of the file of all stations it is known that nothing more is in it


@pytest.mark.parametrize("fault", list(BAD), ids=lambda fault: fault.name)
def test_a_fault_of_one_single_file_costs_no_other(opened, local_store, server, fault):
    office = opened(local_store, mosmix_stations=SHORT)
    server.fail(single("10315"), fault)
    done = archive(office)
    path = f"weather/local_forecasts/mos/{PERIOD}/10315-MOSMIX.kmz"
    assert list(done.failed) == [path]
    assert set(stored(local_store, "L", PERIOD)) == {"K611"}
    assert [key for key in archived(local_store) if key.startswith(f"quarantine/{path}.")] == [
        key for key in archived(local_store) if "quarantine" in key
    ]
    assert any("quarantine" in key for key in archived(local_store)) == (fault in CAME)
    told = checked_ledger(local_store, "L", PERIOD)
    assert (list(told.failed), told.missing) == ([path], (path,))

    server.heal()
    server.clock.advance(6 * MINUTE)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
    assert archive(office).requests == 1
    told = checked_ledger(local_store, "L", PERIOD)
    assert told.state(server.clock.now()) == "complete"
    assert told.failed == {}


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_kill_among_single_files_leaves_nothing_false(opened, server, store, dies_at):
    with pytest.raises(StoreError):
        archive(opened(MortalStore(store, dies_at, after=True), mosmix_stations=SHORT))
    assert checked_ledger(store, "L", PERIOD).state(server.clock.now()) != "complete"
    archive(opened(store, mosmix_stations=SHORT))
    assert checked_ledger(store, "L", PERIOD).state(server.clock.now()) == "complete"
    assert set(stored(store, "L", PERIOD)) == set(SHORT)


def test_a_kill_after_a_single_file_was_told_leaves_no_issue_that_looks_whole(
    opened, server, local_store, monkeypatch
):
    monkeypatch.setattr("dwd_assets.periods.progress.BATCH_FILES", 1)
    monkeypatch.setattr("dwd_assets.periods.progress.LONGEST_PAUSE_S", 0.0)
    with pytest.raises(StoreError):
        archive(opened(MortalStore(local_store, 2, after=False), mosmix_stations=SHORT))
    told = ledger.read(local_store, "mosmix-l", PERIOD)
    assert (len(told.kept), len(told.missing)) == (1, 1)
    assert told.state(server.clock.now()) == "partial"


def test_a_file_that_is_bad_each_time_is_fetched_more_and_more_seldom_and_a_new_one_at_once(
    opened, local_store, server
):
    office = opened(local_store)
    server.fail(ADDRESS["L"], Fault.FLIPPED)
    passes = 0
    for _ in range(96):
        if PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now())):
            archive(office)
            passes += 1
        server.clock.advance(5 * MINUTE)
    assert 5 <= passes <= 24, "of 96 looks in eight hours"
    server.heal()
    server.world.overwrite(ADDRESS["L"], server.clock.now())
    server.clock.advance(2 * MINUTE)
    assert PERIOD in periods(issue_pass.issues_due(office, "L", server.clock.now()))
