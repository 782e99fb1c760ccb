"""The protocol, on every backend."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest

from store.objects import ObjectChanged, ObjectExists, ObjectInfo, ObjectMissing, Store

BODIES = [b"", b"\x00", bytes(range(256)) * 800]


def put_all(store: Store, *keys: str) -> None:
    for key in keys:
        store.put(key, key.encode())


def listed(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


@pytest.mark.parametrize("body", BODIES, ids=["empty", "one byte", "200 KB"])
def test_what_was_put_is_read_back_with_the_version_that_put_told(store: Store, body: bytes):
    told = store.put("a/b.bin", body)
    read = store.get("a/b.bin")
    assert read.data == body
    assert (read.info.key, read.info.size, read.info.etag) == ("a/b.bin", len(body), told.etag)
    assert told.size == len(body)


def test_get_head_and_list_tell_the_same_of_an_object(store: Store):
    store.put("a/b.bin", b"12345")
    assert [store.head("a/b.bin")] == [store.get("a/b.bin").info] == list(store.list("a/"))


@pytest.mark.parametrize("write", ["put", "create"])
def test_the_time_of_the_last_change_is_utc_and_about_now(store: Store, write: str):
    told = getattr(store, write)("a", b"1")
    for info in (told, store.head("a")):
        assert info.modified.tzinfo is not None
        assert info.modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - info.modified) < timedelta(seconds=30)


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("key", ["none", "a/none", "none/none", "a"])
def test_a_key_without_object_is_missing_and_named(store: Store, method: str, key: str):
    store.put("a/b", b"1")
    with pytest.raises(ObjectMissing, match=key):
        getattr(store, method)(key)


def test_put_overwrites_and_the_version_changes(store: Store):
    first = store.put("a", b"old")
    second = store.put("a", b"new")
    assert first.etag != second.etag
    assert store.get("a").data == b"new"


def test_create_writes_where_nothing_is(store: Store):
    told = store.create("a/b", b"mine")
    read = store.get("a/b")
    assert (read.data, read.info.etag) == (b"mine", told.etag)


@pytest.mark.parametrize("again", [b"theirs", b"mine"], ids=["other bytes", "the same bytes"])
def test_create_refuses_where_an_object_is_and_leaves_it(store: Store, again: bytes):
    before = store.create("a/b", b"mine")
    with pytest.raises(ObjectExists, match="a/b"):
        store.create("a/b", again)
    assert store.get("a/b").data == b"mine"
    assert store.head("a/b").etag == before.etag


def test_create_works_again_after_a_deletion(store: Store):
    store.create("a/b", b"1")
    store.delete(["a/b"])
    store.create("a/b", b"2")
    assert store.get("a/b").data == b"2"


@pytest.mark.parametrize("source", ["put", "create", "head", "get", "list"])
def test_replace_takes_the_version_that_any_method_told(store: Store, source: str):
    created = store.create("a", b"1")
    etag = {
        "create": lambda: created.etag,
        "put": lambda: store.put("a", b"1").etag,
        "head": lambda: store.head("a").etag,
        "get": lambda: store.get("a").info.etag,
        "list": lambda: next(store.list("")).etag,
    }[source]()
    told = store.replace("a", b"2", etag)
    read = store.get("a")
    assert (read.data, read.info.etag) == (b"2", told.etag)


def test_replace_chains_on_the_version_it_told(store: Store):
    etag = store.create("a", b"0").etag
    for number in range(1, 6):
        etag = store.replace("a", b"%d" % number, etag).etag
    assert store.get("a").data == b"5"


def test_replace_refuses_another_version_and_leaves_it(store: Store):
    stale = store.put("a", b"1").etag
    store.put("a", b"2")
    with pytest.raises(ObjectChanged, match="a"):
        store.replace("a", b"3", stale)
    assert store.get("a").data == b"2"


def test_replace_refuses_where_nothing_is(store: Store):
    etag = store.put("a/b", b"1").etag
    store.delete(["a/b"])
    with pytest.raises(ObjectChanged, match="a/b"):
        store.replace("a/b", b"2", etag)
    assert listed(store) == []


def test_replace_refuses_what_is_no_version_at_all(store: Store):
    store.put("a", b"1")
    with pytest.raises(ObjectChanged):
        store.replace("a", b"2", '"nonsense"')


def test_list_is_in_key_order_though_folders_sort_otherwise(store: Store):
    keys = [
        "b/c/d",
        "b/c.json",
        "b/c+1",
        "b/c-1",
        "b/c=1",
        "b/c0/x",
        "b/c_",
        "b/C",
        "a",
        "c",
        "b+",
        "b.d/x",
        "b0/x",
    ]
    put_all(store, *keys)
    assert listed(store) == sorted(keys)
    assert listed(store, "b/") == sorted(key for key in keys if key.startswith("b/"))


def test_list_gives_what_is_below_its_prefix_and_nothing_beside(store: Store):
    put_all(store, "a/b/1", "a/b/c/2", "a/bb/3", "a/b.4", "ab/5")
    assert listed(store, "a/b/") == ["a/b/1", "a/b/c/2"]
    assert listed(store, "a/b/c/") == ["a/b/c/2"]


@pytest.mark.parametrize("prefix", ["", "none/", "a/none/", "a/b/"])
def test_list_of_nothing_is_empty(store: Store, prefix: str):
    store.put("a/b", b"1")
    store.delete(["a/b"])
    assert listed(store, prefix) == []


def test_list_pages_through_more_objects_than_a_page_has(store: Store):
    keys = [f"many/{number:04}" for number in range(1203)]
    for key in keys:
        store.put(key, b"")
    assert listed(store, "many/") == keys


def test_list_is_an_iterator_that_may_be_left(store: Store):
    put_all(store, "a/1", "a/2", "b/1")
    assert isinstance(next(store.list("")), ObjectInfo)


def test_delete_removes_what_it_is_told_and_nothing_else(store: Store):
    put_all(store, "a/1", "a/2", "a/b/3", "c")
    store.delete(["a/1", "a/b/3"])
    assert listed(store) == ["a/2", "c"]
    with pytest.raises(ObjectMissing):
        store.get("a/1")


def test_delete_minds_neither_missing_keys_nor_repeats_nor_nothing(store: Store):
    put_all(store, "a/1")
    store.delete([])
    store.delete(key for key in ["none", "none/none", "a/1/below", "a", "a/1", "a/1"])
    assert listed(store) == []


def test_a_pickled_store_is_the_same_store(store: Store):
    store.put("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again.get("a").data == b"1"
    again.put("b", b"2")
    assert store.get("b").data == b"2"


@pytest.mark.parametrize("method", ["get", "head", "put", "create", "replace", "delete"])
def test_what_is_no_key_is_refused(store: Store, method: str):
    more = {"put": [b""], "create": [b""], "replace": [b"", "e"]}.get(method, [])
    for key in ("../up", "a//b", "", "a\x00b", "a\\b", "/a", "a/", ".hidden", "a/.b"):
        with pytest.raises(ValueError, match="not a key"):
            getattr(store, method)([key] if method == "delete" else key, *more)


def test_delete_refuses_a_bad_key_before_it_deletes_a_good_one(store: Store):
    store.put("a", b"1")
    with pytest.raises(ValueError, match="not a key"):
        store.delete(["a", "../b"])
    assert listed(store) == ["a"]


def test_what_is_no_prefix_is_refused_at_once(store: Store):
    for prefix in ("a", "../", "/", "a//", ".locks/"):
        with pytest.raises(ValueError, match="not a"):
            store.list(prefix)


@pytest.mark.parametrize("there", [None, b"before"])
def test_a_copy_has_the_bytes_whatever_was_there_before(store: Store, there: bytes | None):
    store.put("a/origin", b"bytes")
    if there is not None:
        store.put("b/copy", there)
    told = store.copy("a/origin", "b/copy")
    assert (told.key, told.size) == ("b/copy", 5)
    assert store.get("b/copy").data == b"bytes"
    assert listed(store) == ["a/origin", "b/copy"]


@pytest.mark.parametrize("written", ["a/origin", "b/copy"])
def test_a_copy_and_its_origin_change_apart(store: Store, written: str):
    store.put("a/origin", b"bytes")
    store.copy("a/origin", "b/copy")
    store.put(written, b"others")
    other = {"a/origin": "b/copy", "b/copy": "a/origin"}[written]
    assert (store.get(written).data, store.get(other).data) == (b"others", b"bytes")
    store.delete([written])
    assert store.get(other).data == b"bytes"


def test_a_copy_again_and_onto_itself_changes_nothing(store: Store):
    store.put("a/origin", b"bytes")
    for _ in range(2):
        store.copy("a/origin", "b/copy")
    store.copy("a/origin", "a/origin")
    assert [store.get(key).data for key in listed(store)] == [b"bytes", b"bytes"]


def test_a_copy_of_nothing_is_missing_and_leaves_what_was_there(store: Store):
    store.put("b/copy", b"before")
    with pytest.raises(ObjectMissing, match="a/origin"):
        store.copy("a/origin", "b/copy")
    assert store.get("b/copy").data == b"before"
    assert listed(store) == ["b/copy"]


def test_free_bytes_are_told_by_folders_alone(store: Store):
    free = store.free_bytes()
    assert (free is None) if "S3Store" in repr(store) else free > 1_000_000
