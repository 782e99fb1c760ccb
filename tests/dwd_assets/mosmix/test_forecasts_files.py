"""Archiving forecasts: what is in the files, real ones and ones that are wrong in every way, and what becomes of it."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dwd_assets import checks, metadata
from dwd_assets.archive.storing import BelowFloor
from dwd_assets.formats.mosmix.forecasts import read_station
from dwd_assets.mosmix import all_stations, issue_pass
from dwd_assets.mosmix.issues import Issue, issues_within, station_of
from dwd_assets.simulator.stations import STATIONS
from store import keys
from store.dwd import ledger, stations
from store.objects import StoreError
from tests.dwd_assets.formats.mosmix.mosmix_files import BETWEEN, TAIL, document, head, kmz, placemark, simple
from tests.dwd_assets.mosmix.forecast_world import checked_ledger, kml_of, new_office, placemarks, stored
from tests.dwd_assets.opendata.faulty_http import FaultyHttp, serving
from tests.samples import SAMPLES, needs_samples

REAL_L = SAMPLES / "dwd" / "mosmix_l" / "MOSMIX_L_2023041209_P0036.kmz"
REAL_S = SAMPLES / "dwd" / "mosmix_s" / "MOSMIX_S_2020031309_240.kmz"

ISSUE = datetime(2026, 9, 16, 9, tzinfo=UTC)
NOW = ISSUE + timedelta(hours=3)
PERIOD = "2026091609"
ALL = Issue("L", ISSUE)
QUARANTINE = f"quarantine/{ALL.source}."


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server():
    with serving(FaultyHttp()) as running:
        yield running


class Hand:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def office(server, local_store, clock):
    opened = new_office(server.url, local_store, clock)
    yield opened
    opened.close()


def archive(office, server, data, issue=ALL, log=lambda line: None):
    server.files[issue.address] = data
    return issue_pass.archive_issue(office, issue.product, issue.time, log)


def is_due(office, issue=ALL):
    due = issue_pass.issues_due(office, issue.product, office.clock())
    return issue.period in [one.period for one in due]


def quarantined(store):
    return [info.key for info in store.list("quarantine/")]


@needs_samples
@pytest.mark.parametrize("product", ["L", "S"])
def test_a_real_file_is_kept_so_that_the_zip_reader_and_ours_read_what_dwd_wrote(
    office, server, store, product
):
    path, time = {
        "L": (REAL_L, datetime(2023, 4, 12, 9, tzinfo=UTC)),
        "S": (REAL_S, datetime(2020, 3, 13, 9, tzinfo=UTC)),
    }[product]
    on_backend = new_office(server.url, store, office.clock)
    done = archive(on_backend, server, path.read_bytes(), Issue(product, time))
    on_backend.close()

    assert done.fetched == 1
    (kept,) = checked_ledger(store, product, f"{time:%Y%m%d%H}").kept
    data = store.get(kept).data
    assert kml_of(data) == kml_of(path.read_bytes())
    forecast, wanted = read_station(data), read_station(path.read_bytes())
    assert (forecast.station, forecast.steps) == (wanted.station, wanted.steps)
    known = stations.read(store)[wanted.station]
    assert (known.name, known.longitude_deg, known.latitude_deg, known.height_m) == (
        wanted.name,
        wanted.longitude_deg,
        wanted.latitude_deg,
        wanted.height_m,
    )


@needs_samples
def test_a_real_single_file_is_kept_byte_for_byte(server, local_store, clock):
    issue = Issue("L", datetime(2023, 4, 12, 9, tzinfo=UTC))
    server.files[issue.single_address("P0036")] = REAL_L.read_bytes()
    office = new_office(server.url, local_store, clock, mosmix_stations=("P0036",))
    issue_pass.archive_issue(office, "L", issue.time, lambda line: None)
    office.close()
    assert local_store.get(issue.path("P0036")).data == REAL_L.read_bytes()


def test_a_station_without_a_readable_place_is_kept_catalogued_by_its_id_and_reported(
    office, server, local_store
):
    nowhere = placemark("10488", {"TTT": [1, 2, 3]}, at="somewhere")
    done = archive(office, server, kmz(document([nowhere, simple("P0036")])))
    line = "MOSMIX_L_2026091609.kmz: 1 stations without a readable name and position: 10488"
    assert (done.faults, done.failed) == ((line,), {})
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert (recorded.warnings[0], recorded.state(NOW)) == (f"not read: {line}", "complete")
    assert set(stored(local_store, "L", PERIOD)) == {"10488", "P0036"}
    known = stations.read(local_store)
    assert known["10488"].latitude_deg is None
    assert known["P0036"].latitude_deg == 51.97


def test_names_are_read_in_the_files_own_encoding(office, server, local_store):
    archive(office, server, kmz(document([placemark("10488", {"N": [1, 2, 3]}, "KÖLN &amp; BÖHL")])))
    assert stations.read(local_store)["10488"].name == "KÖLN & BÖHL"


HOPELESS = {
    "no KML inside": (kmz(b"hello", "readme.txt"), "no KML inside"),
    "a page in the ZIP": (kmz(b"<html><body>Not found</body></html>"), "instead of a KML"),
    "no station": (kmz(head() + TAIL), "no Placemark"),
    "empty": (b"", "empty"),
    "unpacked": (
        document([simple("10488")]),
        f"{ALL.name}: an unpacked KML, not a KMZ: the ZIP around it is missing",
    ),
    "an empty issue time": (
        kmz(document([simple("10488")]).replace(b"2026-09-16T09:00:00.000Z", b"")),
        f"{ALL.name}: IssueTime is empty (in ProductDefinition)",
    ),
    "no time steps": (kmz(head(steps=0) + simple("10488") + TAIL), "ForecastTimeSteps has no TimeStep"),
    "an encoding that nobody knows": (
        kmz(document([simple("10488")]).replace(b"ISO-8859-1", b"klingon")),
        "names an encoding that is not supported (unknown encoding: klingon)",
    ),
    "another issue": (
        kmz(head(issued=ISSUE - timedelta(hours=6)) + simple("10488") + TAIL),
        "holds the issue of 2026-09-16 03:00",
    ),
}


@pytest.mark.parametrize(("data", "fault"), HOPELESS.values(), ids=HOPELESS.keys())
def test_a_file_without_this_issues_stations_is_quarantined_and_named_in_one_line(
    office, server, local_store, clock, data, fault
):
    lines = []
    done = archive(office, server, data, log=lines.append)
    assert [fault in line for line in lines] == [False, True]
    assert fault in done.failed[ALL.source]
    assert [info.key for info in local_store.list("weather/")] == []
    (key,) = quarantined(local_store)
    assert key.startswith(QUARANTINE)
    assert local_store.get(key).data == data

    clock.now += timedelta(minutes=6)
    assert is_due(office)
    archive(office, server, kmz(document([simple("10488")])))
    assert checked_ledger(local_store, "L", PERIOD).state(NOW) == "complete"


def varied(number):
    """A station of its own values, so that the KMZ of many is not a few bytes."""
    values = [(number * 7919 + step * 104729) % 99991 / 100 for step in range(60)]
    return placemark(f"S{number:03d}", {"TTT": values, "N": values[::-1]})


MANY = kmz(document([varied(number) for number in range(20)]))


@pytest.mark.parametrize("length", [*range(0, len(MANY), 499), len(MANY) - 1])
def test_of_a_file_that_was_cut_nothing_is_published(office, server, local_store, length):
    done = archive(office, server, MANY[:length])
    assert list(done.failed) == [ALL.source]
    assert [info.key for info in local_store.list("weather/")] == []
    assert stations.read(local_store) == {}
    assert checked_ledger(local_store, "L", PERIOD).state(NOW) == "waiting"


@pytest.mark.parametrize("at", range(60, len(MANY) - 120, 499))
def test_of_a_file_with_a_flipped_bit_nothing_is_published(office, server, local_store, at):
    done = archive(office, server, MANY[:at] + bytes([MANY[at] ^ 0x10]) + MANY[at + 1 :])
    assert list(done.failed) == [ALL.source]
    assert [info.key for info in local_store.list("weather/")] == []


def test_a_file_too_large_for_the_quarantine_is_not_kept_and_that_is_told(
    office, server, local_store, monkeypatch
):
    monkeypatch.setattr(all_stations, "LONGEST_QUARANTINED", 1000)
    assert len(MANY) > 1000
    done = archive(office, server, MANY[:-1])
    assert "too many for the quarantine" in done.failed[ALL.source]
    assert quarantined(local_store) == []


MALFORMED = simple("10384").replace(b"</kml:Point>", b"")


def test_a_malformed_station_is_listed_as_failed_and_the_others_are_kept(office, server, local_store, clock):
    data = kmz(document([simple("10488"), MALFORMED, simple("P0036")]))
    done = archive(office, server, data)
    path = ALL.path("10384")
    assert list(done.failed) == [path]
    assert "not well-formed" in done.failed[path]
    told = checked_ledger(local_store, "L", PERIOD)
    assert (told.missing, list(told.failed), told.state(NOW)) == ((path,), [path], "partial")
    assert set(stored(local_store, "L", PERIOD)) == {"10488", "P0036"}

    clock.now += timedelta(minutes=6)
    before = server.methods.count("GET")
    assert not is_due(office)  # this very version is known to have no more
    assert server.methods.count("GET") == before
    server.files[ALL.address] = kmz(document([simple("10488"), simple("10384"), simple("P0036")]))
    assert is_due(office)
    archive(office, server, server.files[ALL.address])
    told = checked_ledger(local_store, "L", PERIOD)
    assert (told.missing, told.failed, told.state(NOW)) == ((), {}, "complete")


NAMELESS = {
    "no name": simple("X").replace(b"<kml:name>X</kml:name>", b""),
    "a strange name": simple("../../etc/passwd"),
    "small letters, which have no path": simple("k611"),
    "the KML ends within a station": simple("P0036")[:200],
}


@pytest.mark.parametrize("bad", NAMELESS.values(), ids=NAMELESS.keys())
def test_what_cannot_be_said_to_be_any_station_leaves_the_issue_incomplete_under_the_files_name(
    office, server, local_store, bad
):
    pieces = [simple("10488"), bad]
    whole = document(pieces)
    data = kmz(whole if bad.endswith(b"</kml:Placemark>") else whole[: -len(TAIL)])
    done = archive(office, server, data)
    assert list(done.failed) == [ALL.source]
    told = checked_ledger(local_store, "L", PERIOD)
    assert (told.missing, told.state(NOW)) == ((ALL.source,), "partial")
    assert set(stored(local_store, "L", PERIOD)) == {"10488"}


UNVERIFIED = "not verified: no earlier issue is known with whose stations those of the file could be compared"


def test_what_stands_between_stations_is_reported_as_not_read(office, server, local_store):
    data = kmz(document([simple("10488"), b"<kml:Folder/>" + simple("P0036")]))
    done = archive(office, server, data)
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert recorded.state(NOW) == "complete"
    at = data_at(data, b"<kml:Folder/>")
    line = (
        f"MOSMIX_L_2026091609.kmz: 1 times something else between stations: MOSMIX_L_2026091609.kmz: at byte {at}: "
        "between Placemarks b'<kml:Folder/>'"
    )
    assert done.faults == (line,)
    assert recorded.warnings == (f"not read: {line}", UNVERIFIED)


def test_what_could_not_be_read_is_in_dagsters_metadata_and_an_error_of_its_checks(
    office, server, local_store
):
    nowhere = placemark("10488", {"TTT": [1, 2, 3]}, at="somewhere")
    done = archive(office, server, kmz(document([nowhere])))
    shown = metadata.of_pass(done, ledger.read(local_store, "mosmix-l", PERIOD), NOW)
    (line,) = done.faults
    assert shown["not_read"].value == f"- {line}"
    assert f"- not read: {line}" in shown["strange"].value
    verdicts = checks.verdicts(dg.AssetKey("mosmix_forecasts"), done.summary, NOW)
    (sound,) = (each for each in verdicts if each.check_name == checks.SOUND)
    assert (sound.passed, sound.severity) == (False, dg.AssetCheckSeverity.ERROR)


def data_at(data, piece):
    """Where the blanks in front of a piece of a KML begin."""
    kml = kml_of(data)
    return len(kml[: kml.index(piece)].rstrip())


def test_of_a_station_that_comes_twice_both_are_kept_and_that_is_reported(office, server, local_store):
    first, second = simple("10488", 1.0), simple("10488", 2.0)
    done = archive(office, server, kmz(document([first, simple("P0036"), second])))
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert stored(local_store, "L", PERIOD)["10488"] == second
    (earlier,) = recorded.kept[ALL.path("10488")].earlier
    beside = kml_of(local_store.get(f"{ALL.path('10488')}.{earlier.sha256[:12]}").data)
    assert placemarks(beside) == {"10488": first}
    line = (
        "MOSMIX_L_2026091609.kmz: 1 stations came more than once; "
        "the last one is kept, the others beside it: 10488"
    )
    assert done.faults == (line,)
    assert recorded.warnings == (line, UNVERIFIED)


def issue_of(issue, stations, value=280.0):
    """The KMZ of all stations of an issue."""
    return kmz(head(issued=issue.time) + BETWEEN.join(simple(each, value) for each in stations) + TAIL)


def earlier_issues(count):
    """The issues before the one that is tested, the oldest first."""
    found = [ALL]
    for _ in range(count):
        found.append(found[-1].before)
    return found[:0:-1]


def test_stations_of_the_issue_before_that_do_not_come_are_missing_until_a_file_has_them(
    office, server, local_store, clock
):
    archive(office, server, issue_of(ALL.before, [f"S{number}" for number in range(9)]), ALL.before)
    half = issue_of(ALL, ["S3", "NEW"])
    done = archive(office, server, half)
    gone = [f"S{number}" for number in range(9) if number != 3]
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert (recorded.state(NOW), set(stored(local_store, "L", PERIOD))) == ("partial", {"S3", "NEW"})
    assert list(recorded.missing) == [ALL.path(station) for station in gone] == list(recorded.unseen)
    assert done.failed == {ALL.path(each): f"MOSMIX_L_2026091609.kmz: has no station {each}" for each in gone}
    assert recorded.warnings == (
        "8 of 9 expected stations are not in the file: S0, S1, S2, S4, S5 and 3 more",
    )
    clock.now += timedelta(minutes=6)
    assert not is_due(office), "this very version is known not to have them"
    server.files[ALL.address] = issue_of(ALL, [*gone, "S3", "NEW"])
    assert is_due(office)
    done = archive(office, server, server.files[ALL.address])
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert (recorded.state(NOW), recorded.missing, recorded.failed) == ("complete", (), {})
    assert (done.fetched, done.changed, done.failed, recorded.warnings) == (8, 0, {}, ())


def test_what_no_file_of_the_issue_ever_had_is_unseen_when_its_time_is_over(office, server, local_store):
    archive(office, server, issue_of(ALL.before, ["S1", "S2"]), ALL.before)
    archive(office, server, issue_of(ALL, ["S1"]))
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert recorded.state(ISSUE + timedelta(hours=50)) == "partial"
    assert recorded.state(ISSUE + timedelta(hours=51)) == "unseen"


def test_one_half_issue_does_not_lower_the_bar_and_four_in_a_row_do(office, server, local_store):
    first, *halves = earlier_issues(5)
    archive(office, server, issue_of(first, ["S1", "S2", "S3"]), first)
    for half in halves:
        archive(office, server, issue_of(half, ["S1"]), half)
        recorded = checked_ledger(local_store, "L", half.period)
        assert recorded.missing == (half.path("S2"), half.path("S3"))
    done = archive(office, server, issue_of(ALL, ["S1"]))
    assert done.summary.state(NOW) == "complete"
    assert checked_ledger(local_store, "L", PERIOD).warnings == ()


def test_a_station_that_was_damaged_in_the_issue_before_is_expected_all_the_same(office, server, local_store):
    damaged = simple("S2").replace(b"</kml:Point>", b"")
    old = head(issued=ALL.before.time) + simple("S1") + BETWEEN + damaged + TAIL
    archive(office, server, kmz(old), ALL.before)
    archive(office, server, issue_of(ALL, ["S1"]))
    assert checked_ledger(local_store, "L", PERIOD).missing == (ALL.path("S2"),)


def test_the_first_issue_of_an_archive_is_complete_and_says_that_nothing_verifies_its_stations(
    office, server, local_store
):
    done = archive(office, server, issue_of(ALL, ["S1"]))
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert (recorded.state(NOW), recorded.warnings, done.faults) == ("complete", (UNVERIFIED,), ())
    following = Issue("L", ISSUE + timedelta(hours=6))
    archive(office, server, issue_of(following, ["S1"]), following)
    assert checked_ledger(local_store, "L", following.period).warnings == ()


def test_stations_that_the_settings_name_are_expected_and_no_others(server, local_store, clock):
    named = new_office(server.url, local_store, clock, mosmix=("S",), mosmix_stations=("S1", "S2"))
    issue = Issue("S", ISSUE)
    archive(named, server, issue_of(issue.before, ["S1", "S2", "S3"]), issue.before)
    archive(named, server, issue_of(issue, ["S1", "S4"]), issue)
    recorded = checked_ledger(local_store, "S", PERIOD)
    assert (recorded.missing, list(recorded.kept)) == ((issue.path("S2"),), [issue.path("S1")])
    assert recorded.warnings == ("1 of 2 expected stations are not in the file: S2",)
    archive(named, server, issue_of(issue, ["S1", "S2", "S4"]), issue)
    named.close()
    recorded = checked_ledger(local_store, "S", PERIOD)
    assert (recorded.state(NOW), set(stored(local_store, "S", PERIOD))) == ("complete", {"S1", "S2"})


def test_a_station_that_is_kept_of_an_earlier_version_is_not_missing_and_that_is_a_warning(
    office, server, local_store
):
    archive(office, server, issue_of(ALL.before, ["S1", "S2"]), ALL.before)
    archive(office, server, issue_of(ALL, ["S1", "S2"]))
    done = archive(office, server, issue_of(ALL, ["S1"]))
    recorded = checked_ledger(local_store, "L", PERIOD)
    assert (recorded.state(NOW), done.failed) == ("complete", {})
    assert recorded.warnings == (
        "1 stations that are kept of an earlier version are not in the file now: S2",
    )


CASE = SAMPLES / "cases" / "dwd" / "MOSMIX_L_2026113015_two_of_five.kmz"


@needs_samples
def test_two_of_the_five_stations_of_the_issue_before_are_a_partial_issue_that_is_fetched_again(
    server, local_store, clock
):
    issue = Issue("L", datetime(2026, 11, 30, 15, tzinfo=UTC))
    clock.now = issue.time + timedelta(hours=3)
    office = new_office(server.url, local_store, clock)
    ids = [station.id for station in STATIONS]
    archive(office, server, issue_of(issue.before, ids), issue.before)
    archive(office, server, CASE.read_bytes(), issue)
    recorded = checked_ledger(local_store, "L", issue.period)
    assert recorded.state(clock.now) == "partial"
    assert set(stored(local_store, "L", issue.period)) == {"01001", "10315"}
    assert recorded.missing == tuple(issue.path(station) for station in ("10384", "10637", "K611"))
    clock.now += timedelta(minutes=6)
    assert not is_due(office, issue)
    server.files[issue.address] = issue_of(issue, ids)
    assert is_due(office, issue)
    archive(office, server, server.files[issue.address], issue)
    office.close()
    recorded = checked_ledger(local_store, "L", issue.period)
    assert (recorded.state(clock.now), recorded.warnings) == ("complete", ())
    assert set(stored(local_store, "L", issue.period)) == set(ids)


@pytest.mark.parametrize("transfer", ["unannounced", "gzip", "chunked"])
def test_a_file_whose_length_is_not_announced_is_kept_because_the_zip_has_an_end_of_its_own(
    office, server, local_store, transfer
):
    server.faults[ALL.address] = [transfer]
    done = archive(office, server, MANY)
    assert (done.failed, done.summary.state(NOW)) == ({}, "complete")
    assert stored(local_store, "L", PERIOD) == placemarks(kml_of(MANY))


@pytest.mark.parametrize("transfer", ["unannounced", "gzip", "chunked"])
def test_a_file_that_was_cut_without_an_announced_length_is_not_kept(office, server, local_store, transfer):
    server.faults[ALL.address] = [transfer]
    done = archive(office, server, MANY[: len(MANY) // 2])
    assert list(done.failed) == [ALL.source]
    assert stored(local_store, "L", PERIOD) == {}


@pytest.mark.parametrize("transfer", ["unannounced", "gzip", "chunked"])
def test_a_single_file_whose_length_is_not_announced_is_kept_whole_or_not_at_all(
    server, local_store, clock, transfer
):
    whole = kmz(document([simple("10488")]))
    server.files |= {ALL.single_address("10488"): whole, ALL.single_address("P0036"): whole[:-9]}
    server.faults |= {ALL.single_address(each): [transfer] for each in ("10488", "P0036")}
    named = new_office(server.url, local_store, clock, mosmix_stations=("10488", "P0036"))
    done = issue_pass.archive_issue(named, "L", ISSUE, lambda line: None)
    named.close()
    assert list(done.failed) == [ALL.path("P0036")]
    assert set(stored(local_store, "L", PERIOD)) == {"10488"}


def test_a_second_version_makes_a_version_of_the_stations_that_differ_and_touches_no_other(
    office, server, local_store
):
    archive(office, server, kmz(document([simple("10488"), simple("P0036", 1.0)])))
    untouched = local_store.head(ALL.path("10488")).etag
    done = archive(office, server, kmz(document([simple("10488"), simple("P0036", 2.0), simple("NEW")])))
    assert (done.fetched, done.changed) == (2, 1)
    assert local_store.head(ALL.path("10488")).etag == untouched
    told = checked_ledger(local_store, "L", PERIOD)
    assert [path for path, kept in told.kept.items() if kept.earlier] == [ALL.path("P0036")]
    assert len(told.kept) == 3


def test_a_station_that_a_second_version_has_no_more_stays_kept(office, server, local_store):
    archive(office, server, kmz(document([simple("10488"), simple("P0036")])))
    archive(office, server, kmz(document([simple("P0036")])))
    assert set(checked_ledger(local_store, "L", PERIOD).kept) == {ALL.path("10488"), ALL.path("P0036")}


def test_what_is_at_a_path_and_is_no_forecast_is_quarantined(office, server, local_store):
    local_store.put(ALL.path("10488"), b"half a file")
    archive(office, server, kmz(document([simple("10488")])))
    assert set(stored(local_store, "L", PERIOD)) == {"10488"}
    (key,) = quarantined(local_store)
    assert local_store.get(key).data == b"half a file"


def test_a_disk_that_fills_up_ends_the_pass_and_the_ledger_has_what_was_kept(
    office, server, local_store, monkeypatch
):
    monkeypatch.setattr(all_stations, "BATCH_FILES", 8)
    free = iter([1 << 40, 1 << 40])
    monkeypatch.setattr(type(local_store), "free_bytes", lambda _: next(free, 5))
    full = new_office(server.url, local_store, office.clock, floor_bytes=1000)
    server.files[ALL.address] = kmz(document([simple(f"S{number:03d}") for number in range(100)]))
    with pytest.raises(BelowFloor):
        issue_pass.archive_issue(full, "L", ISSUE, lambda line: None)
    full.close()
    told = checked_ledger(local_store, "L", PERIOD)
    assert told.state(NOW) != "complete"
    assert len(stored(local_store, "L", PERIOD)) < 100

    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert is_due(office)
    issue_pass.archive_issue(office, "L", ISSUE, lambda line: None)
    assert checked_ledger(local_store, "L", PERIOD).state(NOW) == "complete"
    assert len(stored(local_store, "L", PERIOD)) == 100


def test_a_temporary_folder_that_cannot_hold_the_file_ends_the_pass(office, server, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(StoreError, match=r"MOSMIX_L_2026091609\.kmz: .*absent does not hold it"):
        archive(office, server, MANY)


def test_nothing_is_left_in_the_temporary_folder(office, server, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for data in (MANY, MANY[:500], b""):
        archive(office, server, data)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("mosmix-")] == []


def test_a_summary_that_a_kill_kept_behind_its_ledger_is_mended_without_a_request(
    office, server, local_store
):
    archive(office, server, MANY)
    local_store.delete([keys.ledger_summary("mosmix-l", PERIOD)])
    before = len(server.asked)
    assert not is_due(office)
    assert ALL.address not in server.asked[before:]
    assert ledger.read_summary(local_store, "mosmix-l", PERIOD).kept == 20


@pytest.mark.parametrize("holds", ["another station", "another issue"])
def test_a_single_file_of_another_station_or_issue_is_not_kept(server, local_store, clock, holds):
    issued = ISSUE if holds == "another station" else ALL.before.time
    station = "P0036" if holds == "another station" else "10488"
    server.files[ALL.single_address("10488")] = kmz(head(issued=issued) + simple(station) + TAIL)
    office = new_office(server.url, local_store, clock, mosmix_stations=("10488",))
    done = issue_pass.archive_issue(office, "L", ISSUE, lambda line: None)
    office.close()
    assert "holds the forecast of" in done.failed[ALL.path("10488")]
    assert stored(local_store, "L", PERIOD) == {}
    assert len(quarantined(local_store)) == 1


@pytest.mark.parametrize(
    ("product", "now", "first", "last", "count"),
    [
        ("L", datetime(2026, 9, 16, 9, tzinfo=UTC), "2026091409", "2026091609", 9),
        ("L", datetime(2026, 9, 16, 8, 59, tzinfo=UTC), "2026091409", "2026091603", 8),
        ("L", datetime(2026, 9, 16, 0, 5, tzinfo=UTC), "2026091403", "2026091521", 8),
        ("S", datetime(2026, 9, 16, 0, 5, tzinfo=UTC), "2026091422", "2026091600", 27),
    ],
)
def test_the_issues_that_the_server_may_have(product, now, first, last, count):
    issues = issues_within(product, now)
    assert (issues[0].period, issues[-1].period, len(issues)) == (first, last, count)
    assert list(issues) == sorted(issues, key=lambda issue: issue.time)
    assert {issue.time.hour for issue in issues} <= ({3, 9, 15, 21} if product == "L" else set(range(24)))


def test_the_station_of_a_path_is_read_from_forecasts_alone():
    assert station_of(ALL.path("K611")) == "K611"
    assert station_of(Issue("S", ISSUE).path("K611")) == "K611"
    assert station_of(ALL.source) is None
    assert station_of("weather/weather_reports/poi/20260916/K611_-BEOB.csv") is None
