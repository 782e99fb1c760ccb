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

from api.memory.cache import BoundedCache
from store.objects import Store
from store.posix import OpenFile, PosixStore

LEAST_BYTES = 131_072
"""From which size on a file is sent by itself: up to 130 KB a write took as long, before the file was looked at."""

MOST_FILES = 1_024
"""How many files are held open, where the process may have eight times as many."""

DISKS = frozenset((b"ext3", b"ext4", b"xfs"))
"""File systems whose pages are the kernel's, come from a disk of this machine, and are told to be there or not."""

_MOUNTS = Path("/proc/self/mountinfo")
_A_BYTE = bytearray(1)


class DiskFile:
    """An open file, closed when nobody has it any more; so no one sends from a descriptor that was closed meanwhile."""

    __slots__ = ("_modified_ns", "descriptor", "size")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        """`status` is what it had before it was read."""
        self.descriptor = descriptor
        self.size = status.st_size
        self._modified_ns = status.st_mtime_ns

    def __del__(self) -> None:
        os.close(self.descriptor)

    def is_at_hand(self) -> bool:
        """Whether it is as it was read, and its ends are in memory, so that to send it waits for no disk.

        Our own writers put another file in its place; whoever writes into it while it is sent changes what is sent.
        """
        try:
            status = os.fstat(self.descriptor)
            if status.st_size != self.size or status.st_mtime_ns != self._modified_ns:
                return False
            for place in (0, self.size - 1):
                os.preadv(self.descriptor, [_A_BYTE], place, os.RWF_NOWAIT)
        except OSError:  # also BlockingIOError: not in memory
            return False
        return True

    def is_deleted(self) -> bool:
        """Whether it has no name any more: what it takes of the disk is free once it is closed."""
        try:
            return os.fstat(self.descriptor).st_nlink == 0
        except OSError:
            return True


class Content(NamedTuple):
    """Bytes, and a file that holds the same, if there is one."""

    data: bytes
    file: DiskFile | None = None


class DiskFiles:
    """Reads objects, and holds the files open that were read last, where they are sent (`are_sent`)."""

    def __init__(self) -> None:
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._held: BoundedCache[Hashable, DiskFile] = BoundedCache(min(MOST_FILES, allowed // 8))
        self.are_sent = False

    def read(self, store: Store, key: str) -> Content:
        """The object at `key`. Raises what the store raises."""
        if not self.are_sent or not isinstance(store, PosixStore):
            return Content(store.get(key).data)
        opened = store.open(key)
        try:
            data = opened.read(0, opened.status.st_size)
            return Content(data, _disk_file(opened) if len(data) >= LEAST_BYTES else None)
        finally:
            opened.close()

    def keep(self, place: Hashable, file: DiskFile) -> None:
        """Hold a file open under a name."""
        self._held.put(place, file)

    def get(self, place: Hashable) -> DiskFile | None:
        """The file of that name, if one is held."""
        return self._held.get(place)

    def forget_deleted(self) -> None:
        """Close the files that were deleted; for a thread of its own."""
        for place, file in self._held.items():
            if file.is_deleted():
                self._held.drop(place)


def _disk_file(opened: OpenFile) -> DiskFile | None:
    """A file of its own for what is open, if it is one on a disk; none also where no more may be open."""
    with suppress(OSError):
        if _is_on_disk(opened.status.st_dev):
            return DiskFile(os.dup(opened.descriptor), opened.status)
    return None


@lru_cache(maxsize=16)
def _is_on_disk(device: int) -> bool:
    """Whether a file system is one of `DISKS`, by what the kernel says is mounted (proc(5)). Raises `OSError`."""
    name = b"%d:%d" % (os.major(device), os.minor(device))
    mounts = [line.split(b" ") for line in _MOUNTS.read_bytes().split(b"\n") if line]
    return any(mount[2] == name and mount[mount.index(b"-") + 1] in DISKS for mount in mounts)
