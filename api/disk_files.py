"""Files that the kernel can send by itself: what was read last from a store on a disk of this machine.

`sendfile` hands the kernel's own pages of a file to the network, where a write copies bytes that the processor has not
seen for a while: for an image of 300 KB, a third of what sending it costs. It would wait for a file system that is a
network's, and takes longer from one in memory, so files of those are left alone.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Hashable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from api.cache import BoundedCache
from store.objects import Store
from store.posix import PosixStore

LEAST_BYTES = 65_536
"""From which size on a file is worth a system call of its own."""

MOST_FILES = 1_024
"""How many files are held open, where the process may have eight times as many."""

DISKS = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"))
"""File systems whose pages are the kernel's, and come from a disk of this machine."""

_MOUNTS = Path("/proc/self/mountinfo")


class DiskFile:
    """An open file, closed when nobody has it any more; so no one sends from a descriptor that was closed meanwhile."""

    __slots__ = ("_modified_ns", "descriptor", "size")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.size = status.st_size
        self._modified_ns = status.st_mtime_ns

    def __del__(self) -> None:
        os.close(self.descriptor)

    def is_untouched(self) -> bool:
        """Whether nobody wrote into it since it was read; our own writers put another file in its place instead."""
        status = os.fstat(self.descriptor)
        return status.st_size == self.size and status.st_mtime_ns == self._modified_ns


class Content(NamedTuple):
    """Bytes, and a file that holds the same, if there is one."""

    data: bytes
    file: DiskFile | None = None


class DiskFiles:
    """Reads objects, and holds the files open that were read last."""

    def __init__(self) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._held: BoundedCache[Hashable, DiskFile] = BoundedCache(min(MOST_FILES, allowed // 8))

    def read(self, store: Store, key: str) -> Content:
        """The object at `key`. Raises what the store raises."""
        if not isinstance(store, PosixStore):
            return Content(store.get(key).data)
        opened = store.open(key)
        try:
            data = opened.read(0, opened.info.size)
            return Content(data, _held(opened.descriptor) if len(data) >= LEAST_BYTES else None)
        finally:
            opened.close()

    def keep(self, place: Hashable, file: DiskFile) -> None:
        """Hold a file open under a name."""
        self._held.put(place, file)

    def get(self, place: Hashable) -> DiskFile | None:
        """The file of that name."""
        return self._held.get(place)


def _held(descriptor: int) -> DiskFile | None:
    """A file of its own for what is open, if it is one on a disk; none also where no more may be open."""
    with suppress(OSError):
        status = os.fstat(descriptor)
        if _is_on_disk(status.st_dev):
            return DiskFile(os.dup(descriptor), status)
    return None


@lru_cache(maxsize=16)
def _is_on_disk(device: int) -> bool:
    """Whether a file system is one of `DISKS`, by what the kernel says is mounted (proc(5)), if it does."""
    name = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return False
    return any(mount[2] == name and mount[mount.index("-") + 1] in DISKS for mount in mounts)
