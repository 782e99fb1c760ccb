"""Syncing folders when many write into the same one: those who wait for it share a sync.

What belongs here: when a folder's names are on the disk. What does not: what is written (`store.posix`).
"""

from __future__ import annotations

import errno
import os
import threading


class SharedSyncs:
    """Syncs folders; all who asked for the same folder before a sync of it began share that one.

    May be used from many threads. A process that is forked begins with none under way.
    """

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[tuple[int, int], _Turn] = {}

    def sync(self, folder: int) -> None:
        """Return when every name that a folder (a descriptor) had before this call is on the disk. Raises `OSError`.

        An error of a shared sync is raised for all who share it.
        """
        status = os.fstat(folder)
        key = status.st_dev, status.st_ino  # whoever waits has the folder open: no other can get its number
        with self._lock:
            latest = self._latest.get(key)
            leads = latest is None or latest.has_begun
            mine = self._latest[key] = _Turn() if latest is None or leads else latest
        if leads:
            self._lead(folder, key, mine, latest)
        else:
            mine.wait()

    def _lead(self, folder: int, key: tuple[int, int], mine: _Turn, before: _Turn | None) -> None:
        """Sync for all who join until the sync before this one has ended."""
        try:
            if before is not None:
                before.ended.wait()
            with self._lock:
                mine.has_begun = True
            os.fsync(folder)
        except BaseException as fault:
            mine.fault = fault
            raise
        finally:
            with self._lock:
                if self._latest[key] is mine:
                    del self._latest[key]
            mine.ended.set()


class _Turn:
    """One sync of a folder: whether more may join, and how it ended."""

    def __init__(self) -> None:
        self.has_begun = False
        self.ended = threading.Event()
        self.fault: BaseException | None = None

    def wait(self) -> None:
        """Wait for the end. Raises `OSError` where whoever syncs could not."""
        self.ended.wait()
        if isinstance(self.fault, OSError):
            raise OSError(self.fault.errno, self.fault.strerror) from self.fault
        if self.fault is not None:
            raise OSError(errno.EINTR, f"syncing its folder was broken off: {self.fault!r}") from self.fault
