"""Fetching several volumes at once, and trying again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from nexrad_assets.names import parse_volume_name
from nexrad_assets.sources.source import (
    BucketSource,
    RemoteFile,
    SourceMissing,
    SourceTooLarge,
    SourceUnavailable,
    fetch_all,
)
from store.retry import Retry
from tests.nexrad_assets.sources import faulty_s3
from tests.nexrad_assets.sources.faulty_s3 import BUCKET, FaultyS3

MIB = 1024 * 1024


def drop(_file: RemoteFile, _data: bytes) -> None:
    """Keep nothing."""


def volumes(count: int, size: int = 4) -> list[RemoteFile]:
    begin = datetime(2025, 4, 9, tzinfo=UTC)
    names = [
        parse_volume_name(f"KPDT{begin + timedelta(minutes=5 * n):%Y%m%d_%H%M%S}_V06") for n in range(count)
    ]
    return [RemoteFile(name, f"2025/04/09/KPDT/{name.file_name}", "tag", size, begin) for name in names]


@dataclass
class Counting:
    """A source that tells how many volumes were asked for, in which order, and at the same time."""

    delay_s: float = 0.0
    faults: dict[str, Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def list_day(self, site: str, day: date, since: datetime | None = None) -> tuple[RemoteFile, ...]:
        raise NotImplementedError

    def fetch(self, file: RemoteFile) -> bytes:
        with self.lock:
            self.asked.append(file.key)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay_s)
        with self.lock:
            self.now -= 1
        if file.key in self.faults:
            raise self.faults[file.key]
        return file.key.encode()


def settled(source: Counting) -> int:
    """How many volumes were asked for, once nothing is under way."""
    time.sleep(0.05)
    while source.now:
        time.sleep(0.01)
    return len(source.asked)


def test_volumes_come_in_the_order_asked_however_long_each_takes():
    many = volumes(20)
    kept = {}
    got = list(
        fetch_all(
            Counting(0.002),
            many,
            concurrency=4,
            size_limit_bytes=MIB,
            keep=lambda one, data: kept.update({one: data}),
        )
    )
    assert [one.file for one in got] == many
    assert kept == {volume: volume.key.encode() for volume in many}


def test_one_bad_file_does_not_stop_the_batch():
    many = volumes(5)
    fault = SourceMissing("gone")
    kept = []
    source = Counting(faults={many[1].key: fault})
    got = list(
        fetch_all(source, many, concurrency=2, size_limit_bytes=MIB, keep=lambda one, _data: kept.append(one))
    )
    assert [one.error for one in got] == [None, fault, None, None, None]
    assert set(kept) == {*many} - {many[1]}


def test_a_store_that_cannot_keep_a_file_ends_it():
    def full(_file, _data):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        list(fetch_all(Counting(), volumes(3), concurrency=2, size_limit_bytes=MIB, keep=full))


def test_a_fault_of_the_program_is_not_hidden():
    many = volumes(3)
    source = Counting(faults={many[1].key: TypeError("a bug")})
    with pytest.raises(TypeError, match="a bug"):
        list(fetch_all(source, many, concurrency=2, size_limit_bytes=MIB, keep=drop))


def test_a_volume_listed_as_too_large_is_not_asked_for():
    small, large = volumes(1)[0], volumes(2, size=MIB + 1)[1]
    source = Counting()
    got = list(fetch_all(source, [small, large], concurrency=2, size_limit_bytes=MIB, keep=drop))
    assert isinstance(got[1].error, SourceTooLarge)
    assert "1048577 bytes, above the limit of 1048576" in str(got[1].error)
    assert source.asked == [small.key]


def test_no_more_than_the_given_number_are_under_way_at_once():
    source = Counting(0.01)
    list(fetch_all(source, volumes(30), concurrency=3, size_limit_bytes=MIB, keep=drop))
    assert source.most == 3


def test_it_does_not_run_ahead_of_the_consumer():
    source = Counting()
    fetched = fetch_all(source, volumes(30), concurrency=3, size_limit_bytes=MIB, keep=drop)
    for taken in range(1, 6):
        next(fetched)
        assert settled(source) == 3 + taken - 1
    fetched.close()


def test_a_consumer_that_stops_early_leaves_nothing_running():
    source = Counting(0.01)
    fetched = fetch_all(source, volumes(30), concurrency=3, size_limit_bytes=MIB, keep=drop)
    next(fetched)
    fetched.close()
    assert source.now == 0
    assert len(source.asked) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("download")]


def test_no_volumes_are_no_work():
    assert list(fetch_all(Counting(), [], concurrency=3, size_limit_bytes=MIB, keep=drop)) == []


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with faulty_s3.running() as state:
        yield state


def test_a_batch_from_a_failing_server_brings_what_can_be_had(server):
    day = date(2025, 4, 9)
    server.objects = {volume.key: f"{n:05}".encode() * 1000 for n, volume in enumerate(volumes(12))}
    server.get_s = 0.03
    source = BucketSource(BUCKET, endpoint=server.endpoint, request_s=2.0, retry=Retry(sleep=lambda _: None))
    many = source.list_day("KPDT", day)
    del server.objects[many[4].key]
    server.faults += ["503", "cut", "reset", "shorter"]
    kept = {}
    got = list(
        fetch_all(
            source,
            many,
            concurrency=4,
            size_limit_bytes=MIB,
            keep=lambda one, data: kept.update({one.key: data}),
        )
    )
    assert [type(one.error) for one in got if one.error] == [SourceMissing]
    assert kept == server.objects
    assert 2 <= server.most_at_once <= 4


@dataclass
class Clock:
    """Time that passes only when someone waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def failing(times: int, error: Exception, clock: Clock | None = None, takes_s: float = 0.0):
    calls = []

    def action() -> int:
        calls.append(None)
        if clock:
            clock.now += takes_s
        if len(calls) <= times:
            raise error
        return len(calls)

    return action, calls


LONGEST = {"draw": lambda low, high: high}


def test_waits_double_up_to_the_longest():
    clock = Clock()
    retry = Retry(attempts=7, first_wait_s=1, longest_wait_s=8, clock=clock, sleep=clock.sleep, **LONGEST)
    action, _ = failing(6, SourceUnavailable("away"))
    assert retry.run(action, (SourceUnavailable,)) == 7
    assert clock.waits == [1, 2, 4, 8, 8, 8]


def test_waits_are_drawn_from_nothing_to_the_bound():
    drawn = []
    retry = Retry(
        attempts=3,
        first_wait_s=1,
        sleep=lambda _: None,
        draw=lambda low, high: drawn.append((low, high)) or 0,
    )
    action, _ = failing(2, SourceUnavailable("away"))
    retry.run(action, (SourceUnavailable,))
    assert drawn == [(0, 1), (0, 2)]


def test_the_last_error_goes_on_when_attempts_are_used_up():
    clock = Clock()
    action, calls = failing(9, SourceUnavailable("away"))
    with pytest.raises(SourceUnavailable, match="away"):
        Retry(attempts=4, clock=clock, sleep=clock.sleep).run(action, (SourceUnavailable,))
    assert len(calls) == 4


def test_no_attempt_begins_when_time_is_up():
    clock = Clock()
    action, calls = failing(9, SourceUnavailable("away"), clock, takes_s=50)
    retry = Retry(attempts=9, total_s=120, first_wait_s=1, clock=clock, sleep=clock.sleep, **LONGEST)
    with pytest.raises(SourceUnavailable):
        retry.run(action, (SourceUnavailable,))
    assert len(calls) == 3  # begun at 0, 51 and 103 s; the next would begin at 157 s


def test_what_is_not_transient_is_not_tried_again():
    action, calls = failing(9, SourceMissing("gone"))
    with pytest.raises(SourceMissing):
        Retry().run(action, (SourceUnavailable,))
    assert len(calls) == 1
