"""Syncs that writers share: none returns before a sync that began after its own write, and all learn of an error."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from store import syncing
from store.objects import StoreUnavailable
from store.syncing import SharedSyncs

PATIENCE_S = 20.0


@dataclass
class Disk:
    """Stands in for `os.fsync`: notes the syncs that begin, lets each go on when told, and fails as told."""

    begun: list[int] = field(default_factory=list)
    faults: dict[int, BaseException] = field(default_factory=dict)
    let_go: list[threading.Event] = field(default_factory=lambda: [threading.Event() for _ in range(10)])
    changed: threading.Condition = field(default_factory=threading.Condition)

    def fsync(self, descriptor: int) -> None:
        with self.changed:
            number = len(self.begun)
            self.begun.append(os.fstat(descriptor).st_ino)
            self.changed.notify_all()
        assert self.let_go[number].wait(PATIENCE_S)
        if number in self.faults:
            raise self.faults[number]

    def wait_for(self, syncs: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.begun) >= syncs, PATIENCE_S)

    def end(self) -> None:
        for event in self.let_go:
            event.set()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    one = Disk()
    monkeypatch.setattr(syncing.os, "fsync", one.fsync)
    yield one
    one.end()


@pytest.fixture
def pool(disk: Disk) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as running:
        yield running
        disk.end()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def all_asleep(pool: ThreadPoolExecutor, syncs: SharedSyncs, folder: int, callers: int) -> list[Future[None]]:
    """Callers that have all joined the sync which is to come."""
    joined = [pool.submit(syncs.sync, folder) for _ in range(callers)]
    while not all(each.running() for each in joined):
        time.sleep(0.001)
    time.sleep(0.2)
    assert not any(each.done() for each in joined)
    return joined


def test_those_who_ask_while_a_sync_is_under_way_share_the_next_one(disk, pool, folder):
    syncs = SharedSyncs()
    first = pool.submit(syncs.sync, folder)
    disk.wait_for(1)
    others = all_asleep(pool, syncs, folder, 4)
    disk.let_go[0].set()
    first.result(PATIENCE_S)
    disk.wait_for(2)
    assert not any(each.done() for each in others)  # the sync before does not count for them
    disk.let_go[1].set()
    for each in others:
        each.result(PATIENCE_S)
    assert len(disk.begun) == 2


def test_nobody_waits_for_another_folder(disk, pool, folder, tmp_path: Path):
    syncs = SharedSyncs()
    held = pool.submit(syncs.sync, folder)
    disk.wait_for(1)
    (tmp_path / "other").mkdir()
    other = os.open(tmp_path / "other", os.O_RDONLY)
    disk.let_go[1].set()
    pool.submit(syncs.sync, other).result(PATIENCE_S)
    os.close(other)
    assert not held.done()


def test_two_descriptors_of_a_folder_are_one_folder(disk, pool, folder, tmp_path: Path):
    syncs = SharedSyncs()
    first = pool.submit(syncs.sync, folder)
    disk.wait_for(1)
    again = os.open(tmp_path, os.O_RDONLY)
    others = [*all_asleep(pool, syncs, again, 2), *all_asleep(pool, syncs, folder, 2)]
    disk.end()
    for each in (first, *others):
        each.result(PATIENCE_S)
    os.close(again)
    assert len(disk.begun) == 2


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "a bad disk"), KeyboardInterrupt()])
def test_an_error_reaches_all_who_share_the_sync_and_no_one_else(disk, pool, folder, fault):
    syncs = SharedSyncs()
    disk.faults[1] = fault
    first = pool.submit(syncs.sync, folder)
    disk.wait_for(1)
    others = all_asleep(pool, syncs, folder, 4)
    disk.end()
    first.result(PATIENCE_S)
    errors = [each.exception(PATIENCE_S) for each in others]
    assert sum(error is fault for error in errors) == 1  # with whoever made it
    told = [error for error in errors if error is not fault]
    assert all(isinstance(error, OSError) and error.__cause__ is fault for error in told)
    assert {error.errno for error in told} == {fault.errno if isinstance(fault, OSError) else errno.EINTR}
    syncs.sync(folder)
    assert len(disk.begun) == 3


def test_a_forked_process_does_not_wait_for_the_syncs_of_its_parent(disk, pool, folder, monkeypatch):
    syncs = SharedSyncs()
    pool.submit(syncs.sync, folder)
    disk.wait_for(1)
    all_asleep(pool, syncs, folder, 1)

    def sync_in_child() -> None:
        monkeypatch.undo()
        syncs.sync(folder)

    child = multiprocessing.get_context("fork").Process(target=sync_in_child)
    child.start()
    child.join(PATIENCE_S)
    assert child.exitcode == 0


class Tape:
    """What the store asks of the disk: files and folders synced, names given, each from when to when."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ticks = itertools.count()
        self._fsync, self._link, self._mkdir = os.fsync, os.link, os.mkdir
        self.file_synced: dict[int, int] = {}
        self.folder_syncs: list[tuple[int, int, int]] = []
        self.linked: dict[str, tuple[int, int, int]] = {}
        self.made: list[tuple[int, int]] = []
        for name in ("fsync", "link", "mkdir"):
            monkeypatch.setattr(os, name, getattr(self, f"_noted_{name}"))

    def now(self) -> int:
        return next(self._ticks)

    def _noted_fsync(self, descriptor: int) -> None:
        inode, begun = os.fstat(descriptor).st_ino, self.now()
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            time.sleep(0.001)  # or there would be nobody to share it
            self._fsync(descriptor)
            self.folder_syncs.append((inode, begun, self.now()))
        else:
            self._fsync(descriptor)
            self.file_synced[inode] = self.now()

    def _noted_link(self, source: str, name: str, **where) -> None:
        begun, inode = self.now(), os.stat(source, dir_fd=where["src_dir_fd"]).st_ino
        self._link(source, name, **where)
        self.linked[name] = inode, begun, self.now()

    def _noted_mkdir(self, name: str, *, dir_fd: int) -> None:
        self._mkdir(name, dir_fd=dir_fd)
        self.made.append((os.fstat(dir_fd).st_ino, self.now()))

    def is_synced(self, folder: int, after: int, before: int) -> bool:
        """Whether a sync of a folder began and ended between two moments."""
        return any(
            inode == folder and begun > after and ended < before for inode, begun, ended in self.folder_syncs
        )


def test_every_write_that_returned_was_synced_then_named_then_its_folder_synced(local_store, monkeypatch):
    tape = Tape(monkeypatch)
    returned: dict[str, int] = {}

    def write(number: int) -> None:
        local_store.create(f"days/{number % 2}/{number}", b"row")
        returned[f"{number}"] = tape.now()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(200)))
    folders = [(local_store.root / "days" / name).stat().st_ino for name in "01"]
    for name, end in returned.items():
        inode, link_begun, link_ended = tape.linked[name]
        assert tape.file_synced[inode] < link_begun
        assert tape.is_synced(folders[int(name) % 2], link_ended, end)
    assert len([one for one in tape.folder_syncs if one[0] in folders]) < len(returned)


def test_every_folder_that_a_write_made_is_synced_into_its_parent_before_it_returns(local_store, monkeypatch):
    tape = Tape(monkeypatch)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: local_store.create(f"raw/{number}/a", b"row"), range(100)))
    end = tape.now()
    assert len(tape.made) == 101
    assert all(tape.is_synced(parent, made, end) for parent, made in tape.made)


def test_a_write_whose_folder_cannot_be_synced_is_no_write_that_returned(local_store, monkeypatch):
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            time.sleep(0.05)
            raise OSError(errno.EIO, "a bad disk")
        fsync(descriptor)

    local_store.put("a/warm", b"")
    monkeypatch.setattr(os, "fsync", failing)
    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(local_store.create, f"a/{number}", b"1") for number in range(8)]
    for number, each in enumerate(written):
        with pytest.raises(StoreUnavailable, match=rf"a/{number}: .*a bad disk"):
            each.result()
