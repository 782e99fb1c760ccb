"""Merging POI reports into day files of a real store, in whatever order they come."""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dwd_assets.archive.storing import Archive
from dwd_assets.periods.context import Office
from dwd_assets.poi.report_days import Came, came, take_in
from dwd_assets.poi.report_pass import rebuild_day
from dwd_assets.settings import DwdSettings
from store.dwd.ledger import Source
from store.objects import Store
from store.posix import PosixStore
from tests.dwd_assets.poi.report_world import (
    DAYS,
    HOUR,
    Oracle,
    body,
    check_ledgers_against_files,
    hourly,
    stored_days,
    told_corrections,
    values,
)
from tests.samples import SAMPLES, needs_samples

REAL = SAMPLES / "dwd" / "poi_beob" / "10315-BEOB.csv"
MIDNIGHT = datetime(2026, 9, 16, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(hours=23)


def said(*_: object) -> None:
    """Where nobody looks at the log."""


def office_on(store: Store, now: datetime = NOW) -> Office:
    known = DwdSettings(_env_file=None, archive="unused", connections=2)
    return Office(known, Archive(store), client=None, clock=lambda: now)


def arrived(data: bytes, modified: datetime | None, fetched: datetime = NOW, station: str = "10315") -> Came:
    sha256 = hashlib.sha256(data).hexdigest()
    source = Source(f"http://server/{station}-BEOB.csv", fetched, len(data), sha256, modified=modified)
    return came(station, source, data)


cell = st.sampled_from(["---", "0", "-0,7", "12,4"])
rows = st.dictionaries(st.integers(-3, 20), st.tuples(cell, cell), min_size=1, max_size=8)
reports = st.lists(rows, min_size=1, max_size=6)


def dated(many: list[dict[int, tuple[str, str]]]) -> list[tuple[datetime, bytes]]:
    """Reports with their times, an hour apart."""
    return [
        (
            MIDNIGHT + (number + 1) * HOUR,
            body("10315", [(MIDNIGHT + hour * HOUR, one[hour]) for hour in sorted(one, reverse=True)]),
        )
        for number, one in enumerate(many)
    ]


def oracle_of(many: list[tuple[datetime, bytes]]) -> Oracle:
    return Oracle.of(("10315", modified, data) for modified, data in many)


@given(reports)
@settings(max_examples=25, deadline=None)
def test_reports_merged_one_by_one_are_what_plain_rules_make_of_them(many):
    oracle = oracle_of(dated(many))
    with tempfile.TemporaryDirectory() as folder:
        store = PosixStore(Path(folder))
        for modified, data in dated(many):
            take_in(office_on(store), [arrived(data, modified)], {}, said)
        assert stored_days(store) == oracle.days
        assert set(told_corrections(store)) == oracle.corrections
        check_ledgers_against_files(store)


@given(reports.flatmap(lambda many: st.tuples(st.just(many), st.permutations(range(len(many))))))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_reports_that_came_out_of_order_come_to_the_same(drawn):
    many, order = drawn
    oracle = oracle_of(dated(many))
    with tempfile.TemporaryDirectory() as folder:
        store = PosixStore(Path(folder))
        for number in order:
            modified, data = dated(many)[number]
            take_in(office_on(store), [arrived(data, modified)], {}, said)
        assert stored_days(store) == oracle.days
        for day in (MIDNIGHT.date(), (MIDNIGHT - HOUR).date()):
            rebuild_day(office_on(store), day, said)
        assert stored_days(store) == oracle.days
        assert set(told_corrections(store)) == oracle.corrections
        check_ledgers_against_files(store)


@needs_samples
def test_a_real_report_becomes_the_files_of_its_two_days_byte_for_byte(local_store):
    data = REAL.read_bytes()
    modified = datetime(2023, 4, 12, 11, 28, tzinfo=UTC)
    header, lines = data.splitlines(keepends=True)[:3], data.splitlines(keepends=True)[3:]
    assert len(lines) == 25
    for _ in range(2):  # the second time changes nothing
        take_in(office_on(local_store, modified + HOUR), [arrived(data, modified, modified + HOUR)], {}, said)
        for name, begin in (("20230412", b"12.04.23"), ("20230411", b"11.04.23")):
            stored = local_store.get(f"{DAYS}{name}/10315-BEOB.csv").data
            assert stored == b"".join([*header, *(line for line in lines if line.startswith(begin))])


def test_the_same_report_again_writes_no_file(local_store):
    def written() -> object:
        data = hourly("10315", MIDNIGHT + 20 * HOUR, lambda _: ("1", "---"))
        take_in(office_on(local_store), [arrived(data, NOW - HOUR)], {}, said)
        return local_store.head(f"{DAYS}20260916/10315-BEOB.csv")

    assert written() == written()


def test_a_report_without_a_time_counts_from_when_it_was_fetched(local_store):
    older = hourly("10315", MIDNIGHT + 20 * HOUR, lambda _: ("1", "1"))
    newer = hourly("10315", MIDNIGHT + 20 * HOUR, lambda _: ("2", "---"))
    take_in(office_on(local_store), [arrived(newer, None, NOW)], {}, said)
    take_in(office_on(local_store), [arrived(older, None, NOW - HOUR)], {}, said)
    assert values(stored_days(local_store)["10315", MIDNIGHT.date()])[MIDNIGHT] == ["2", "1"]


def test_a_report_from_the_future_does_not_outlast_the_ones_that_follow(local_store):
    take_in(
        office_on(local_store),
        [arrived(hourly("10315", MIDNIGHT, lambda _: ("1", "1")), NOW + 9 * HOUR)],
        {},
        said,
    )
    follower = arrived(hourly("10315", MIDNIGHT, lambda _: ("2", "2")), NOW + HOUR, NOW + HOUR)
    take_in(office_on(local_store), [follower], {}, said)
    assert values(stored_days(local_store)["10315", MIDNIGHT.date()])[MIDNIGHT] == ["2", "2"]


def test_a_cell_that_no_raw_report_has_survives_making_the_day_anew(local_store):
    key = f"{DAYS}20260916/10315-BEOB.csv"
    local_store.put(key, body("10315", [(MIDNIGHT + HOUR, ("7", "7")), (MIDNIGHT, ("7", "7"))]))
    take_in(office_on(local_store), [arrived(body("10315", [(MIDNIGHT, ("1", "---"))]), NOW)], {}, said)
    rebuild_day(office_on(local_store), MIDNIGHT.date(), said)
    rows = values(stored_days(local_store)["10315", MIDNIGHT.date()])
    assert rows == {MIDNIGHT: ["1", "7"], MIDNIGHT + HOUR: ["7", "7"]}


def test_a_damaged_raw_report_is_put_aside_and_the_day_made_of_the_others(local_store):
    for hour in (1, 2, 3):
        report = hourly("10315", MIDNIGHT + hour * HOUR, lambda stamp: (str(stamp.hour), "1"))
        take_in(office_on(local_store), [arrived(report, MIDNIGHT + hour * HOUR)], {}, said)
    before = stored_days(local_store)
    raw = next(iter(local_store.list("raw_poi/")))
    local_store.put(raw.key, b"nonsense")
    rebuild_day(office_on(local_store), MIDNIGHT.date(), said)
    assert stored_days(local_store) == before
    assert len(list(local_store.list("quarantine/raw_poi/"))) == 1


@pytest.mark.parametrize("writers", [6])
def test_writers_at_the_same_time_lose_no_row_of_each_other(store, writers):
    """Each has one row; that the ledger tells of the file as it is then is up to the last."""

    def write(hour: int) -> None:
        one = arrived(
            body("10315", [(MIDNIGHT + hour * HOUR, (str(hour), "1"))]), NOW - (writers - hour) * HOUR
        )
        take_in(office_on(store), [one], {}, said)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    rows = values(stored_days(store)["10315", MIDNIGHT.date()])
    assert rows == {MIDNIGHT + hour * HOUR: [str(hour), "1"] for hour in range(writers)}


class Overtaken:
    """A store in which, just before a ledger is first written, another pass merges its report and tells."""

    def __init__(self, store: Store, other: Came) -> None:
        self._store, self._other = store, other
        self._is_over = False

    def __getattr__(self, name: str) -> object:
        found = getattr(self._store, name)
        if name not in {"create", "replace"}:
            return found

        def write(key: str, *arguments: object, **named: object) -> object:
            if key.startswith("ledger/periods/") and not self._is_over:
                self._is_over = True
                take_in(office_on(self._store), [self._other], {}, said)
            return found(key, *arguments, **named)

        return write


def test_a_pass_that_was_overtaken_does_not_tell_the_ledger_of_what_is_there_no_more(store):
    """What is overtaken wrote its file, and tells of it when the other one has merged on top and told."""
    first = arrived(body("10315", [(MIDNIGHT, ("1", "1"))]), NOW - 2 * HOUR)
    second = arrived(body("10315", [(MIDNIGHT + HOUR, ("2", "2"))]), NOW - HOUR)
    take_in(office_on(Overtaken(store, second)), [first], {}, said)
    rows = values(stored_days(store)["10315", MIDNIGHT.date()])
    assert rows == {MIDNIGHT: ["1", "1"], MIDNIGHT + HOUR: ["2", "2"]}
    check_ledgers_against_files(store)
