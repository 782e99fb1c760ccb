"""A day of reports with a hole says so: which hours have no row, why, and where the day's ledger is."""

from datetime import UTC, date, datetime, timedelta

import pytest

from api.v1.dwd import holes
from dwd_assets.formats.paths import ReportsKey, archive_path
from dwd_assets.poi import report_days
from store.dwd.ledger import Failed
from tests.api.v1.dwd.dwd_world import World

DAY = date(2025, 4, 8)
"""The day before that of the clock, whose time is noon."""

LATE = datetime(2025, 4, 9, 12, tzinfo=UTC)
ADDRESS = "/v1/dwd/stations/10315/reports"


@pytest.fixture
def world(posix):
    world = World(posix)
    world.keep_stations()
    return world


@pytest.fixture
def client(serve, world):
    return serve(rate_per_minute=0)


def at(day, hour):
    return f"{day}T{hour:02}:00:00Z"


def missing(client, query):
    return client.get(f"{ADDRESS}?{query}").json()["missing"]


def spans(found):
    return [(each["start"], each["end"], each["reason"]) for each in found]


def test_a_whole_day_misses_nothing(client, world):
    world.keep_reports(DAY, "10315")
    assert missing(client, f"start={DAY}&end={DAY}") == []


def test_hours_without_a_row_are_named_with_the_days_ledger(client, world):
    world.keep_reports(DAY, "10315", {0, 1, 9, 23})
    found = missing(client, f"start={DAY}&end={DAY}")
    assert spans(found) == [
        (at(DAY, 0), at(DAY, 1), "no_row"),
        (at(DAY, 9), at(DAY, 9), "no_row"),
        (at(DAY, 23), at(DAY, 23), "no_row"),
    ]
    assert {each["ledger_href"] for each in found} == {"/v1/dwd/runs/poi/20250408"}
    assert client.get(found[0]["ledger_href"]).json()["period"] == "20250408"


def test_hours_that_were_gone_before_they_were_fetched_have_the_ledgers_own_words(client, world):
    world.keep_reports(DAY, "10315", {3, 4, 5, 9})
    line = (
        f"{report_days.HOLE} the hours after 2025-04-08 02:00 and before 2025-04-08 06:00 UTC: 10315, K611_"
    )
    other = f"{report_days.HOLE} the hours before 2025-04-08 12:00 UTC: 10384, K611_"
    world.change("poi", "20250408", warnings=(other, line))
    found = missing(client, f"start={DAY}&end={DAY}")
    assert spans(found) == [(at(DAY, 3), at(DAY, 5), "not_fetched"), (at(DAY, 9), at(DAY, 9), "no_row")]
    assert found[0]["detail"] == line


def test_a_warning_that_does_not_name_all_its_stations_may_mean_this_one(client, world):
    world.keep_reports(DAY, "10315", {3})
    line = f"{report_days.HOLE} the hours before 2025-04-08 06:00 UTC: 40 stations, 10384, K611_ and others"
    world.change("poi", "20250408", warnings=(line,))
    assert spans(missing(client, f"start={DAY}&end={DAY}")) == [(at(DAY, 3), at(DAY, 3), "not_fetched")]


def test_the_words_that_a_hole_begins_with_are_those_of_the_archive():
    assert holes.HOLE == report_days.HOLE


def test_days_without_a_file_say_why(client, world):
    days = [DAY - timedelta(days=back) for back in (3, 2, 1, 0)]
    paths = [archive_path(ReportsKey(day, "10315")) for day in days]
    for day in days:
        world.keep_reports(day, "10384")
    world.change("poi", f"{days[1]:%Y%m%d}", missing=(paths[1],))
    failed = {paths[2]: Failed("line 7 has 4 cells", LATE)}
    world.change("poi", f"{days[2]:%Y%m%d}", missing=(paths[2],), failed=failed)
    path, _ = world.keep_reports(days[3], "10315")
    world.store.put(path, b"nothing of a report")
    page = client.get(f"{ADDRESS}?start={days[0]}&end={days[3]}").json()
    reasons = ["not_listed", "not_kept", "failed"]
    expected = [(at(day, 0), at(day, 23), reason) for day, reason in zip(days, reasons, strict=False)]
    assert spans(page["missing"])[:3] == expected
    assert page["missing"][2]["detail"] == "line 7 has 4 cells"
    hrefs = [f"/v1/dwd/runs/poi/{day:%Y%m%d}" for day in days[:3]]
    assert [each["ledger_href"] for each in page["missing"][:3]] == hrefs
    (unreadable,) = page["missing"][3:]
    assert spans([unreadable]) == [(at(DAY, 0), at(DAY, 23), "unreadable")]
    assert page["warnings"] == [f"{DAY}: {unreadable['detail']}"]


def test_days_that_the_archive_did_not_follow_are_one_span_without_a_ledger(client, world):
    world.keep_reports(DAY - timedelta(days=3), "10315")
    world.keep_reports(DAY, "10315")
    found = missing(client, f"start={DAY - timedelta(days=5)}&end={DAY}")
    assert spans(found) == [
        (at(DAY - timedelta(days=5), 0), at(DAY - timedelta(days=4), 23), "no_ledger"),
        (at(DAY - timedelta(days=2), 0), at(DAY - timedelta(days=1), 23), "no_ledger"),
    ]
    assert [each["ledger_href"] for each in found] == [None, None]


def test_hours_that_are_not_due_are_not_missing(client, world, clock):
    today = LATE.date()
    world.keep_reports(today, "10315", set(range(9, 24)))
    clock.now = LATE
    # At noon the report of 10 UTC is due, two hours after its time, that of 11 UTC is not.
    assert spans(missing(client, f"start={today}&end=2025-04-30")) == [
        (at(today, 9), at(today, 10), "no_row")
    ]
    clock.now = LATE.replace(hour=10, minute=59)
    assert missing(client, f"start={today}&end={today}") == []


def test_pages_report_each_missing_hour_once(client, world):
    world.keep_reports(DAY - timedelta(days=1), "10315", {5, 6, 23})
    world.keep_reports(DAY, "10315", {0, 12})
    query = f"{ADDRESS}?start={DAY - timedelta(days=1)}&end={DAY}"
    whole = client.get(f"{query}&limit=2000").json()
    paged, address, rows = [], f"{query}&limit=6", []
    while address:
        answer = client.get(address)
        rows += answer.json()["rows"]
        paged += answer.json()["missing"]
        following = answer.links.get("next")
        address = following and str(answer.url.join(following["url"]))

    def hours(found):
        for each in found:
            start, end = (datetime.fromisoformat(each[name]) for name in ("start", "end"))
            yield from (start + timedelta(hours=n) for n in range(int((end - start) / holes.AN_HOUR) + 1))

    assert list(hours(paged)) == list(hours(whole["missing"]))
    there = {datetime.fromisoformat(row["time"]) for row in rows}
    first = datetime(2025, 4, 7, tzinfo=UTC)
    assert set(hours(paged)) == {first + timedelta(hours=n) for n in range(48)} - there


def test_hours_after_the_last_look_at_the_server_are_not_kept(client, world):
    world.keep_reports(DAY, "10315", set(range(5, 24)))
    world.change("poi", "20250408", looked_at=datetime(2025, 4, 8, 7, 30, tzinfo=UTC))
    found = missing(client, f"start={DAY}&end={DAY}")
    assert spans(found) == [(at(DAY, 5), at(DAY, 6), "no_row"), (at(DAY, 7), at(DAY, 23), "not_kept")]
    assert "2025-04-08T07:30Z" in found[1]["detail"]
