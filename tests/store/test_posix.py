"""The folder backend: kills, links, foreign files, full and absent folders."""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from store import posix
from store.objects import ObjectChanged, ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from store.posix import PosixStore
from tests.store.workers import is_whole, start

KILLS = 12


def files_below(root: Path) -> set[str]:
    """Every file and folder that is there, but for the locks."""
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    return {name for name in found if not name.startswith(".locks")}


def test_a_killed_writer_leaves_whole_objects_and_nothing_visible(local_store: PosixStore):
    for _ in range(KILLS):
        writer = start("write_for_ever", local_store, "a/")
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(random.uniform(0.0, 0.05))
        writer.kill()
        writer.communicate()
        for info in local_store.list(""):
            assert is_whole(local_store.get(info.key).data), info
            assert posix.SEGMENT.fullmatch(info.key.rpartition("/")[2])
        local_store.put("a/0/0", b"00000000")  # no lock survives its holder
    local_store.sweep_unfinished(0)
    assert not [name for name in files_below(local_store.root) if ".unfinished" in name]


def leave_unfinished(store: PosixStore, folder: str) -> Path:
    """What a writer killed in the middle leaves behind."""
    path = store.root / folder / f".unfinished-{'0' * 32}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    return path


def test_unfinished_files_are_not_seen(local_store: PosixStore):
    leave_unfinished(local_store, "a/b")
    local_store.put("a/c", b"1")
    assert [info.key for info in local_store.list("")] == ["a/c"]


def test_the_sweep_removes_old_unfinished_files_and_their_empty_folders_only(local_store: PosixStore):
    old = [leave_unfinished(local_store, folder) for folder in ("a/b", "a", "c/d/e")]
    for path in old:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    young = leave_unfinished(local_store, "young")
    local_store.put("a/kept", b"1")
    assert local_store.sweep_unfinished(3600) == 3
    assert files_below(local_store.root) == {"a", "a/kept", "young", f"young/{young.name}"}


def test_a_write_leaves_no_temporary_file(local_store: PosixStore):
    etag = local_store.create("a/b", b"1").etag
    local_store.replace("a/b", b"2", etag)
    local_store.put("a/b", b"3")
    for failing in (lambda: local_store.create("a/b", b"4"), lambda: local_store.replace("a/b", b"4", etag)):
        with pytest.raises((ObjectExists, ObjectChanged)):
            failing()
    assert files_below(local_store.root) == {"a", "a/b"}


def test_delete_prunes_empty_folders_up_to_the_root_and_no_others(local_store: PosixStore):
    for key in ("a/b/c/1", "a/b/2", "d/3"):
        local_store.put(key, b"")
    local_store.delete(["a/b/c/1", "d/3"])
    assert files_below(local_store.root) == {"a", "a/b", "a/b/2"}
    local_store.delete(["a/b/2"])
    assert files_below(local_store.root) == set()
    assert local_store.root.is_dir()


def test_a_writer_whose_folder_is_removed_under_it_makes_it_again(local_store: PosixStore, monkeypatch):
    descend = PosixStore._descend
    removed = []

    def descend_then_lose_the_folder(self, segments, *, make=False):
        folder = descend(self, segments, make=make)
        if tuple(segments) == ("a", "b") and len(removed) < 3:
            removed.append(segments)
            (self.root / "a" / "b").rmdir()
            (self.root / "a").rmdir()
        return folder

    monkeypatch.setattr(PosixStore, "_descend", descend_then_lose_the_folder)
    local_store.put("a/b/c", b"1")
    assert len(removed) == 3
    assert local_store.get("a/b/c").data == b"1"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the store, with something worth protecting."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "secret").write_bytes(b"secret")
    (folder / "sub" / "secret").write_bytes(b"secret")
    return folder


def linked(store: PosixStore, outside: Path) -> PosixStore:
    """Links in the store that lead out of it: a file, a folder, one that leads nowhere."""
    store.put("inside/real", b"1")
    (store.root / "inside" / "file").symlink_to(outside / "secret")
    (store.root / "inside" / "folder").symlink_to(outside)
    (store.root / "inside" / "nowhere").symlink_to(outside / "nothing-there")
    return store


@pytest.mark.parametrize(
    "key", ["inside/file", "inside/folder/secret", "inside/folder/sub/secret", "inside/nowhere"]
)
def test_what_a_link_leads_to_is_not_read(local_store: PosixStore, outside: Path, key: str):
    linked(local_store, outside)
    for method in (local_store.get, local_store.head):
        with pytest.raises(ObjectMissing, match=key):
            method(key)


@pytest.mark.parametrize("prefix", ["", "inside/", "inside/folder/", "inside/folder/sub/"])
def test_what_a_link_leads_to_is_not_listed(local_store: PosixStore, outside: Path, prefix: str):
    linked(local_store, outside)
    expected = ["inside/real"] if prefix in {"", "inside/"} else []
    assert [info.key for info in local_store.list(prefix)] == expected


@pytest.mark.parametrize("method", ["put", "create", "replace"])
@pytest.mark.parametrize(
    "key",
    ["inside/file", "inside/folder/new", "inside/folder/sub/secret", "inside/nowhere", "inside/nowhere/x"],
)
def test_nothing_is_written_through_a_link(local_store: PosixStore, outside: Path, method: str, key: str):
    linked(local_store, outside)
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    with suppress(StoreError):
        getattr(local_store, method)(key, b"evil", *(["etag"] if method == "replace" else []))
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_nothing_is_deleted_nor_swept_through_a_link(local_store: PosixStore, outside: Path):
    linked(local_store, outside)
    (outside / f".unfinished-{'1' * 32}").write_bytes(b"")
    local_store.delete(["inside/folder/secret", "inside/folder/sub/secret", "inside/file"])
    assert local_store.sweep_unfinished(-1) == 0
    assert {path.name for path in outside.rglob("*")} == {
        "secret",
        "sub",
        f".unfinished-{'1' * 32}",
    }


def test_a_lock_area_that_is_a_link_is_refused(local_store: PosixStore, outside: Path):
    (local_store.root / ".locks").symlink_to(outside)
    with pytest.raises(StoreError, match="a/b"):
        local_store.put("a/b", b"1")
    assert {path.name for path in outside.iterdir()} == {"secret", "sub"}


def test_the_root_itself_may_be_a_link(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    PosixStore(tmp_path / "link").put("a", b"1")
    assert PosixStore(tmp_path / "real").get("a").data == b"1"


def test_files_with_foreign_names_are_not_listed(local_store: PosixStore):
    local_store.put("a/real", b"1")
    for name in ("with space", ".hidden", "é", "back\\slash"):
        (local_store.root / "a" / name).write_bytes(b"")
    (local_store.root / "a" / ".folder").mkdir()
    (local_store.root / "a" / ".folder" / "file").write_bytes(b"")
    assert [info.key for info in local_store.list("")] == ["a/real"]


def test_what_is_no_file_neither_hangs_a_reader_nor_is_listed(local_store: PosixStore):
    os.mkfifo(local_store.root / "pipe")
    with pytest.raises(ObjectMissing, match="pipe"):
        local_store.get("pipe")
    assert list(local_store.list("")) == []


def test_an_object_in_the_way_of_a_folder_is_told(local_store: PosixStore):
    local_store.put("a/b", b"1")
    for key in ("a", "a/b/c"):
        for method in (local_store.put, local_store.create):
            with pytest.raises(StoreError, match=f"{key}: .*in the way"):
                method(key, b"2")
    assert files_below(local_store.root) == {"a", "a/b"}


def test_versions_written_in_quick_succession_with_the_same_size_differ(local_store: PosixStore):
    etags = [local_store.put("a", b"%04d" % number).etag for number in range(200)]
    assert len(set(etags)) == 200


def test_a_version_has_the_clocks_nanoseconds_not_the_tick_of_the_file_system(local_store, monkeypatch):
    monkeypatch.setattr(posix.time, "time_ns", lambda: 1_700_000_000_123_456_789)
    local_store.put("a", b"1")
    assert (local_store.root / "a").stat().st_mtime_ns == 1_700_000_000_123_456_789


def test_a_listing_bears_that_everything_vanishes_meanwhile(local_store: PosixStore):
    keys = [f"{folder}/{number}" for folder in "abc" for number in range(5)]
    for key in keys:
        local_store.put(key, b"")
    listing = local_store.list("")
    assert next(listing).key == "a/0"
    local_store.delete(keys)
    assert list(listing) == []


def test_a_listing_reads_no_folder_before_it_gets_there(local_store: PosixStore):
    for key in ("a/1", "b/1"):
        local_store.put(key, b"")
    listing = local_store.list("")
    assert next(listing).key == "a/1"
    local_store.put("b/0", b"")
    assert [info.key for info in listing] == ["b/0", "b/1"]


def test_a_folder_that_is_gone_is_unavailable_rather_than_empty(local_store: PosixStore):
    local_store.root.rmdir()
    for ask in (
        lambda: local_store.get("a"),
        lambda: list(local_store.list("")),
        lambda: local_store.put("a", b""),
    ):
        with pytest.raises(StoreUnavailable, match=str(local_store.root)):
            ask()


def test_a_root_that_is_a_file_is_told_at_once(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file"):
        PosixStore(tmp_path / "file")


def test_a_full_disk_is_unavailable_leaves_the_old_bytes_and_no_temporary_file(local_store, monkeypatch):
    local_store.put("a/b", b"old")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(posix.os, "write", full)
        with pytest.raises(StoreUnavailable, match=r"a/b.*No space left"):
            local_store.put("a/b", b"new")
    assert local_store.get("a/b").data == b"old"
    assert files_below(local_store.root) == {"a", "a/b"}


def test_partial_writes_of_the_system_are_continued(local_store: PosixStore, monkeypatch):
    write = os.write
    monkeypatch.setattr(posix.os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
    local_store.put("a", bytes(range(100)))
    assert local_store.get("a").data == bytes(range(100))


def test_a_lock_held_for_too_long_is_unavailable(local_store: PosixStore, monkeypatch):
    monkeypatch.setattr(posix, "LOCK_TIMEOUT_S", 0.2)
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with local_store._locked("a/b"):
            holding.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait()
    try:
        with pytest.raises(StoreUnavailable, match="a/b: locked"):
            local_store.put("a/b", b"1")
    finally:
        done.set()
        holder.join()
    local_store.put("a/b", b"1")


def test_a_put_between_check_and_rename_of_a_replace_is_not_lost(local_store: PosixStore, monkeypatch):
    """The put must wait for the lock, or the replace would overwrite what it never saw."""
    etag = local_store.put("a", b"old").etag
    current = posix._current
    putter = threading.Thread(target=local_store.put, args=("a", b"put"))

    def look_and_dawdle(folder: int, name: str):
        status = current(folder, name)
        if not putter.is_alive():
            putter.start()
            time.sleep(0.2)
        return status

    monkeypatch.setattr(posix, "_current", look_and_dawdle)
    local_store.replace("a", b"replaced", etag)
    putter.join()
    assert local_store.get("a").data == b"put"


def test_a_create_waits_for_no_lock(local_store: PosixStore, monkeypatch):
    monkeypatch.setattr(posix, "LOCK_TIMEOUT_S", 0.2)
    with local_store._locked("a/b"):
        local_store.create("a/b", b"1")
        with pytest.raises(ObjectExists):
            local_store.create("a/b", b"2")
    assert local_store.get("a/b").data == b"1"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_create_between_check_and_rename_of_a_replace_is_before_or_after_it(
    local_store: PosixStore, monkeypatch, is_there: bool
):
    """Without the lock that the replace holds: where that found a version there is none to be made, else it fails."""
    etag = local_store.put("a", b"old").etag
    if not is_there:
        local_store.delete(["a"])
    current, told = posix._current, []

    def look_and_create(folder: int, name: str):
        status = current(folder, name)
        try:
            told.append(local_store.create("a", b"created").etag)
        except ObjectExists:
            told.append(None)
        return status

    monkeypatch.setattr(posix, "_current", look_and_create)
    if is_there:
        local_store.replace("a", b"replaced", etag)
        assert told == [None]
    else:
        with pytest.raises(ObjectChanged, match="found nothing"):
            local_store.replace("a", b"replaced", etag)
        assert told == [local_store.head("a").etag]
    assert local_store.get("a").data == (b"replaced" if is_there else b"created")


def test_a_create_that_meets_an_object_tells_so_even_if_that_is_deleted_at_once(local_store, monkeypatch):
    local_store.put("a/b", b"1")
    link = os.link

    def link_and_lose(*arguments, **more) -> None:
        try:
            link(*arguments, **more)
        except FileExistsError:
            local_store.delete(["a/b"])
            raise

    monkeypatch.setattr(posix.os, "link", link_and_lose)
    with pytest.raises(ObjectExists, match="a/b"):
        local_store.create("a/b", b"2")


def test_what_is_written_is_synced_before_it_has_its_name_and_its_folder_after(local_store, monkeypatch):
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def seen_fsync(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        calls.append("sync folder" if is_folder else "sync file")
        fsync(descriptor)

    def seen_rename(*arguments, **more) -> None:
        calls.append("rename")
        rename(*arguments, **more)

    local_store.put("warm", b"")
    monkeypatch.setattr(posix.os, "fsync", seen_fsync)
    monkeypatch.setattr(posix.os, "rename", seen_rename)
    local_store.put("a/b/c", b"1")
    assert calls == ["sync folder", "sync folder", "sync file", "rename", "sync folder"]


def test_descriptors_are_all_closed(local_store: PosixStore):
    def use() -> None:
        local_store.put("a/b", b"1")
        local_store.get("a/b")
        for failing in (lambda: local_store.create("a/b", b""), lambda: local_store.get("a/none/x")):
            with pytest.raises(StoreError):
                failing()
        next(local_store.list(""))
        local_store.delete(["a/b", "x/y"])

    use()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        use()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
