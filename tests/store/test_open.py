"""Objects that are open: read in pieces, always of the version that was opened."""

import threading
import time

import pytest

from store.objects import ObjectChanged, ObjectMissing, StoreError
from store.posix import PosixStore

KEY = "weather/a/file"
OLD = bytes(range(256)) * 2000
NEW = OLD[::-1]


def test_pieces_in_any_order_are_those_of_the_object(store):
    store.put(KEY, OLD)
    opened = store.open(KEY)
    assert (opened.info, opened.info.size) == (store.head(KEY), len(OLD))
    assert opened.read(300_000, 1000) == OLD[300_000:301_000]
    assert opened.read(0, len(OLD)) == OLD
    assert (opened.read(len(OLD) - 1, 1), opened.read(7, 0)) == (OLD[-1:], b"")
    opened.close()


def test_what_is_not_there_cannot_be_opened(store):
    with pytest.raises(ObjectMissing, match="no/such"):
        store.open("no/such")
    with pytest.raises(ValueError, match="not a key"):
        store.open("../outside")


def test_nothing_is_read_beyond_the_end_or_after_the_close(store):
    store.put(KEY, OLD)
    opened = store.open(KEY)
    with pytest.raises(StoreError, match=KEY):
        opened.read(len(OLD) - 5, 10)
    opened.close()
    with pytest.raises(ValueError, match="closed"):
        opened.read(0, 1)


@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_an_open_file_stays_what_it_was(local_store, change):
    local_store.put(KEY, OLD)
    opened = local_store.open(KEY)
    assert opened.read(0, 1000) == OLD[:1000]
    local_store.delete([KEY]) if change == "deleted" else local_store.put(KEY, NEW)
    assert opened.read(1000, len(OLD) - 1000) == OLD[1000:]
    opened.close()


@pytest.mark.s3
@pytest.mark.parametrize("change", ["replaced", "deleted"])
def test_of_an_object_that_changed_nothing_more_is_read(s3_store, change):
    s3_store.put(KEY, OLD)
    opened = s3_store.open(KEY)
    assert opened.read(0, 1000) == OLD[:1000]
    s3_store.delete([KEY]) if change == "deleted" else s3_store.put(KEY, NEW)
    with pytest.raises(ObjectChanged, match=KEY):
        opened.read(1000, 1000)


def test_a_folder_or_a_link_is_no_object_to_open(tmp_path):
    local = PosixStore(tmp_path / "store")
    local.put("folder/file", OLD)
    (tmp_path / "secret").write_bytes(b"secret")
    (local.root / "link").symlink_to(tmp_path / "secret")
    for key in ("folder", "link"):
        with pytest.raises(ObjectMissing):
            local.open(key)


def test_a_close_waits_for_the_read_that_is_under_way(local_store, monkeypatch):
    local_store.put(KEY, OLD)
    opened = local_store.open(KEY)
    reading = threading.Event()
    from store import posix

    pread = posix.os.pread

    def slow(*arguments):
        reading.set()
        time.sleep(0.2)
        return pread(*arguments)

    monkeypatch.setattr(posix.os, "pread", slow)
    read = []
    thread = threading.Thread(target=lambda: read.append(opened.read(0, len(OLD))))
    thread.start()
    assert reading.wait(5)
    opened.close()
    thread.join()
    assert read == [OLD]
