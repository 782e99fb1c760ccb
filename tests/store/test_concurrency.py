"""Several processes and threads on the same objects, on every backend."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.cas import update
from store.objects import ObjectExists, ObjectInfo, ObjectMissing, Store, StoreError
from tests.store.workers import is_whole, start, uniform

PROCESSES = 8
UPDATES = 25


def test_update_loses_no_change_of_eight_processes(store: Store):
    names = [f"p{number}" for number in range(PROCESSES)]
    workers = [start("count", store, "tally", str(UPDATES), name) for name in names]
    assert [worker.wait(120) for worker in workers] == [0] * PROCESSES
    assert json.loads(store.get("tally").data) == dict.fromkeys(names, UPDATES)


def test_update_loses_no_change_of_threads_of_one_process(store: Store):
    def add(_: int) -> ObjectInfo | None:
        return update(store, "tally", lambda current: b"%d" % (int(current or 0) + 1))

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(add, range(100)))
    assert int(store.get("tally").data) == 100
    assert len({info.etag for info in written if info}) == 100


def test_of_many_creators_exactly_one_succeeds(store: Store):
    begin = str(time.time() + 1.0)
    workers = [start("create_once", store, "a/b", begin, f"p{number}") for number in range(4)]
    outputs = [worker.communicate(timeout=60)[0].decode().strip() for worker in workers]
    winners = [output for output in outputs if output]
    assert winners == [store.get("a/b").data.decode()]


def test_a_reader_beside_a_writer_sees_only_whole_objects_and_never_none(store: Store):
    store.put("a/b", uniform(0, 1))
    writer = start("replace_for_ever", store, "a/b")
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        versions: dict[str, bytes] = {}
        end = time.monotonic() + 2
        while time.monotonic() < end:
            read = store.get("a/b")
            assert is_whole(read.data)
            assert read.info.size == len(read.data)
            assert versions.setdefault(read.info.etag, read.data) == read.data
            assert [info.key for info in store.list("a/")] == ["a/b"]
    finally:
        writer.kill()
        writer.communicate()
    assert len(versions) > 10


def test_update_creates_then_changes_then_leaves(store: Store):
    assert update(store, "a", lambda current: b"first" if current is None else b"wrong") is not None
    told = update(store, "a", lambda current: (current or b"") + b", second")
    assert told is not None
    assert store.get("a").data == b"first, second"
    assert update(store, "a", lambda _: None) is None
    assert update(store, "none", lambda _: None) is None
    assert store.head("a").etag == told.etag
    with pytest.raises(ObjectMissing):
        store.head("none")


def test_update_gives_up_with_a_clear_error_when_others_are_always_faster(local_store: Store):
    calls = []

    def too_slow(current: bytes | None) -> bytes:
        calls.append(current)
        local_store.put("a/b", b"%d" % len(calls))
        return b"mine"

    with pytest.raises(StoreError, match=r"a/b: not changed.*5 times"):
        update(local_store, "a/b", too_slow, attempts=5)
    assert calls == [None, b"1", b"2", b"3", b"4"]


def test_update_lets_a_fault_of_the_change_through_and_writes_nothing(local_store: Store):
    with pytest.raises(ZeroDivisionError):
        update(local_store, "a", lambda _: b"%d" % (1 // 0))
    assert list(local_store.list("")) == []


def test_update_survives_a_deletion_in_between(local_store: Store):
    local_store.put("a", b"1")
    seen = []

    def change(current: bytes | None) -> bytes:
        seen.append(current)
        if len(seen) == 1:
            local_store.delete(["a"])
        return b"2"

    update(local_store, "a", change)
    assert seen == [b"1", None]
    assert local_store.get("a").data == b"2"


def test_writers_and_deleters_of_one_folder_do_not_trip_over_each_other(store: Store):
    stop = threading.Event()
    faults: list[StoreError] = []

    def churn(name: str) -> None:
        while not stop.is_set():
            key = f"deep/er/{name}"
            try:
                store.create(key, b"1")
                store.delete([key])
            except StoreError as fault:
                faults.append(fault)
                return

    threads = [threading.Thread(target=churn, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        list(store.list(""))
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert list(store.list("")) == []


def test_create_after_losing_tells_who_was_first(store: Store):
    store.create("a", b"1")
    with pytest.raises(ObjectExists, match="a"):
        store.create("a", b"1")
