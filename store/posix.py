"""The store on a folder of a POSIX file system.

An object is a file whose path is its key. A write goes to a temporary file of the same folder, which
is synced and then renamed (or linked) onto the name, so a reader opens the old file or the new one.
Whoever changes what a key has holds the same lock over that last step: a lock on one of a fixed number of
files in a hidden folder, never deleted, so that there is no race over a lock file itself. Readers lock nothing,
nor does `create`, which changes nothing that is there.

Below the root no symbolic link is followed, neither for the file nor for a folder on the way: each
segment is opened relative to its parent with `O_NOFOLLOW`. The root itself may be a link.

Unlike on S3, a key cannot be both an object and the folder of others (`a` and `a/b`): `StoreError`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import stat
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from store.objects import (
    SEGMENT,
    ObjectChanged,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    StoredObject,
    StoreError,
    StoreUnavailable,
    checked,
    checked_prefix,
)
from store.syncing import SharedSyncs

LOCK_TIMEOUT_S = 30.0
"""How long a writer waits for another's rename. A holder needs microseconds, unless it was stopped."""

_LOCKS = ".locks"
_LOCK_FILES = 256
_UNFINISHED = re.compile(r"\.unfinished-[0-9a-f]{32}", re.ASCII)
_FOLDER_ATTEMPTS = 1000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a FIFO must not hang us
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

_SYNCS = SharedSyncs()
"""Of all stores of the process: a store itself can be pickled."""

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A written and synced temporary file: the descriptor of its folder, its name, its status."""

    folder: int
    name: str
    status: os.stat_result


class PosixStore:
    """A `Store` on a folder, which is made if it is not there.

    Stores on the same folder respect each other across threads and processes, where the file system has
    `flock` and nanosecond time stamps. Raises `StoreUnavailable` where the folder cannot be made or used.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        with _faults(str(self.root)):
            self.root.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"PosixStore({str(self.root)!r})"

    def get(self, key: str) -> StoredObject:
        """Read a whole object. Raises `ObjectMissing`."""
        with self._opened(key) as (descriptor, status):
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read()
            if len(data) != status.st_size:
                raise StoreError(f"{key}: {len(data)} bytes read of {status.st_size}")
            return StoredObject(_info(key, status), data)

    def open(self, key: str) -> OpenFile:
        """Open an object to be read in pieces, which it remains whatever is put in its place."""
        with _faults(key):
            descriptor = self._descriptor(key)
            try:
                return OpenFile(descriptor, key, _file_status(descriptor, key))
            except BaseException:
                os.close(descriptor)
                raise

    def head(self, key: str) -> ObjectInfo:
        """Look at an object without reading it. Raises `ObjectMissing`."""
        with self._opened(key) as (_, status):
            return _info(key, status)

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:  # noqa: ARG002 - a file has none
        """Write an object whatever was there before."""

        def overwrite(new: _Unfinished, name: str) -> None:
            with self._locked(key):
                os.rename(new.name, name, src_dir_fd=new.folder, dst_dir_fd=new.folder)

        return self._write(key, data, overwrite)

    def create(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:  # noqa: ARG002
        """Write an object where none is. Raises `ObjectExists`."""

        # Without the key's lock, which keeps a version from changing between a look at it and a rename. A link
        # looks and names in one step, and fails wherever a holder of the lock can have found a version: to all
        # of them it is as if it had come before they looked or after they were done.
        def link(new: _Unfinished, name: str) -> None:
            try:
                os.link(new.name, name, src_dir_fd=new.folder, dst_dir_fd=new.folder, follow_symlinks=False)
            except FileExistsError as fault:
                if _is_in_the_way(new.folder, name):
                    raise
                raise ObjectExists(f"{key}: exists") from fault

        return self._write(key, data, link)

    def replace(
        self,
        key: str,
        data: bytes,
        etag: str,
        content_type: str = "application/octet-stream",  # noqa: ARG002
    ) -> ObjectInfo:
        """Write an object in place of exactly the version `etag`. Raises `ObjectChanged`."""

        def swap(new: _Unfinished, name: str) -> None:
            with self._locked(key):
                current = _current(new.folder, name)
                if current is None or _etag(current) != etag:
                    there = "nothing" if current is None else _etag(current)
                    raise ObjectChanged(f"{key}: expected version {etag}, found {there}")
                os.rename(new.name, name, src_dir_fd=new.folder, dst_dir_fd=new.folder)

        return self._write(key, data, swap)

    def copy(self, source: str, key: str) -> ObjectInfo:
        """Make `key` a hard link of another object's file. Raises `ObjectMissing`."""
        *origin, original = checked(source).split("/")
        linked = f".unfinished-{uuid.uuid4().hex}"

        def relink(new: _Unfinished, name: str) -> None:
            try:
                with _closing(self._descend(origin)) as folder:
                    os.link(original, linked, src_dir_fd=folder, dst_dir_fd=new.folder, follow_symlinks=False)
            except OSError as fault:
                if fault.errno in _ABSENT:
                    raise ObjectMissing(f"{source}: not there") from fault
                raise
            try:
                if _current(new.folder, linked) is None:
                    raise ObjectMissing(f"{source}: not there (something else than a file is)")
                with self._locked(key):
                    os.rename(linked, name, src_dir_fd=new.folder, dst_dir_fd=new.folder)
            finally:
                with suppress(OSError):  # renamed away; of two names of one file, rename leaves both
                    os.unlink(linked, dir_fd=new.folder)

        self._write(key, b"", relink)
        return self.head(key)

    def free_bytes(self) -> int | None:
        """How many bytes the file system has left for us."""
        with _faults(str(self.root)):
            status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in key order; unfinished writes are not seen.

        Lazy: at most one folder's names are held per level. An object that is written or deleted
        meanwhile is seen or not. `prefix` is empty or ends with `/`.
        """
        checked_prefix(prefix)
        return self._listed(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, and folders that are empty then; a key that is not there is no error."""
        paths = [tuple(checked(key).split("/")) for key in keys]
        for path in paths:
            self._remove(path)
        for folders in {path[:-1] for path in paths}:
            self._prune(folders)

    def sweep_unfinished(self, older_than_s: float) -> int:
        """Remove temporary files that a killed writer left, and return how many.

        Only those last written more than `older_than_s` ago go: choose it far above the longest write,
        since a writer whose temporary file is taken away fails.
        """
        before_ns = time.time_ns() - int(older_than_s * 1e9)
        with _faults(str(self.root)):
            stale = tuple(_stale(self._descend(()), (), before_ns))
        for path in stale:
            self._remove(path)
        for folders in {path[:-1] for path in stale}:
            self._prune(folders)
        return len(stale)

    def _open_root(self) -> int:
        try:
            return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as fault:
            raise StoreUnavailable(f"{self.root}: the store's folder: {fault.strerror}") from fault

    def _descend(self, segments: Sequence[str], *, make: bool = False) -> int:
        """A descriptor of a folder below the root. Raises `OSError` where there is none."""
        folder = self._open_root()
        try:
            for segment in segments:
                inner = _made(folder, segment) if make else os.open(segment, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
        except BaseException:
            os.close(folder)
            raise
        return folder

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, os.stat_result]]:
        """A descriptor of an object's file, and its status. Raises `ObjectMissing`."""
        with _faults(key):
            descriptor = self._descriptor(key)
            try:
                yield descriptor, _file_status(descriptor, key)
            finally:
                os.close(descriptor)

    def _descriptor(self, key: str) -> int:
        *folders, name = checked(key).split("/")
        try:
            with _closing(self._descend(folders)) as folder:
                return os.open(name, _READ, dir_fd=folder)
        except OSError as fault:
            if fault.errno in _ABSENT:
                raise ObjectMissing(f"{key}: not there") from fault
            raise

    def _write(self, key: str, data: bytes, publish: Callable[[_Unfinished, str], None]) -> ObjectInfo:
        """Write and sync a temporary file, then let `publish` give it its name."""
        *folders, name = checked(key).split("/")
        with _faults(key), self._unfinished(folders, data) as new:
            publish(new, name)
            _SYNCS.sync(new.folder)  # the name; folders made on the way were synced by `_made`
        return _info(key, new.status)

    @contextmanager
    def _unfinished(self, folders: Sequence[str], data: bytes) -> Iterator[_Unfinished]:
        name = f".unfinished-{uuid.uuid4().hex}"
        folder, descriptor = self._new_file(folders, name)
        try:
            with _closing(descriptor):
                status = _filled(descriptor, data)
            yield _Unfinished(folder, name, status)
        finally:
            with suppress(OSError):  # renamed away, or left for the sweep
                os.unlink(name, dir_fd=folder)
            os.close(folder)

    def _new_file(self, folders: Sequence[str], name: str) -> tuple[int, int]:
        """Descriptors of a folder and of a new file in it, which keeps `delete` from pruning the folder."""
        for _ in range(_FOLDER_ATTEMPTS):
            with suppress(FileNotFoundError):  # the folder was pruned while we were on the way
                folder = self._descend(folders, make=True)
                try:
                    return folder, os.open(name, _WRITE, 0o666, dir_fd=folder)
                except BaseException:
                    os.close(folder)
                    raise
        raise StoreUnavailable(f"{'/'.join(folders)}: the folder is deleted again and again")

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        with _closing(self._descend((_LOCKS,), make=True)) as locks:
            descriptor = os.open(f"{zlib.crc32(key.encode()) % _LOCK_FILES:02x}", _LOCK, 0o666, dir_fd=locks)
        with _closing(descriptor):
            _acquire(descriptor, key)
            try:
                yield
            finally:
                # not left to close(): a process forked meanwhile holds the descriptor too
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _remove(self, path: Sequence[str]) -> None:
        key = "/".join(path)
        with _faults(key):
            try:
                with _closing(self._descend(path[:-1])) as folder, self._locked(key):
                    os.unlink(path[-1], dir_fd=folder)
            except OSError as fault:
                if fault.errno not in _ABSENT | {errno.EISDIR}:
                    raise

    def _prune(self, folders: Sequence[str]) -> None:
        """Remove a folder and those above it as far as they are empty."""
        for depth in range(len(folders) - 1, -1, -1):
            try:
                with _closing(self._descend(folders[:depth])) as parent:
                    os.rmdir(folders[depth], dir_fd=parent)
            except OSError:  # not empty, or gone already; a folder too many harms nobody
                return

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        with _faults(prefix or str(self.root)):
            try:
                folder = self._descend(prefix.split("/")[:-1])
            except OSError as fault:
                if fault.errno in _ABSENT:
                    return
                raise
            yield from _walk(folder, prefix)


class OpenFile:
    """A file that is open; its descriptor is closed with it, or when it is forgotten."""

    def __init__(self, descriptor: int, key: str, status: os.stat_result) -> None:
        """`status` is what the file had when it was opened."""
        self.info = _info(key, status)
        self.status = status
        self._file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - until `close`
        self._turn = threading.Lock()

    @property
    def descriptor(self) -> int:
        """Of the file, until `close`."""
        return self._file.fileno()

    def read(self, start: int, length: int) -> bytes:
        """Exactly these bytes. Raises `StoreError` where the file was cut short in place."""
        pieces, place = [], start
        with self._turn, _faults(self.info.key):
            while place < start + length:
                piece = os.pread(self._file.fileno(), start + length - place, place)
                if not piece:
                    raise StoreError(f"{self.info.key}: ends at byte {place}, not {self.info.size}")
                pieces.append(piece)
                place += len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file, when a read that is under way has ended."""
        with self._turn:
            self._file.close()


@contextmanager
def _faults(what: str) -> Iterator[None]:
    """Translate what the file system says, naming the key (or folder) that was asked for."""
    try:
        yield
    except OSError as fault:
        if fault.errno in _IN_THE_WAY:
            raise StoreError(f"{what}: a file, folder or symbolic link is in the way: {fault}") from fault
        raise StoreUnavailable(f"{what}: {fault}") from fault


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _made(parent: int, segment: str) -> int:
    """A descriptor of a folder in `parent`, made (and its name synced) where there is none."""
    try:
        return os.open(segment, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(segment, dir_fd=parent)
        _SYNCS.sync(parent)
        return os.open(segment, _FOLDER, dir_fd=parent)


def _filled(descriptor: int, data: bytes) -> os.stat_result:
    """Write and sync a whole new file, and return its status."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    # The file system's own stamps tick every few milliseconds, and an inode number is used again as soon
    # as it is free: without this, a version two writes later could have the same etag.
    now_ns = time.time_ns()
    os.utime(descriptor, ns=(now_ns, now_ns))
    os.fsync(descriptor)
    return os.fstat(descriptor)


def _acquire(descriptor: int, key: str) -> None:
    """Take the lock, looking again at random intervals of some milliseconds."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"{key}: locked by another writer for {LOCK_TIMEOUT_S:g} s") from fault
            time.sleep(random.uniform(0.0002, 0.002))
        else:
            return


def _file_status(descriptor: int, key: str) -> os.stat_result:
    """The status of an open file. Raises `ObjectMissing` where it is something else."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ObjectMissing(f"{key}: not there (something else than a file is)")
    return status


def _current(folder: int, name: str) -> os.stat_result | None:
    """The status of the file that has this name; none if there is none, or something else than a file."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _is_in_the_way(folder: int, name: str) -> bool:
    """Whether something else than a file has this name; not if nothing has it (any more)."""
    try:
        return not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    modified = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    return ObjectInfo(key, status.st_size, _etag(status), modified)


def _walk(folder: int, prefix: str) -> Iterator[ObjectInfo]:
    """The objects in and below a folder, in key order; closes `folder`."""
    with _closing(folder):
        for name in _names(folder):
            if name.endswith("/"):
                inner = _inner(folder, name[:-1])
                if inner is not None:
                    yield from _walk(inner, prefix + name)
            else:
                status = _current(folder, name)
                if status is not None:
                    yield _info(prefix + name, status)


def _names(folder: int) -> Iterable[str]:
    """What a folder holds that could be (part of) a key, in key order; folders end with `/`."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name + "/" * entry.is_dir(follow_symlinks=False)
            for entry in entries
            if SEGMENT.fullmatch(entry.name)
        )


def _inner(folder: int, name: str) -> int | None:
    """A descriptor of a folder within a folder; none if it is gone."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as fault:
        if fault.errno in _ABSENT:
            return None
        raise


def _stale(folder: int, path: tuple[str, ...], before_ns: int) -> Iterator[tuple[str, ...]]:
    """Paths of the temporary files last written before `before_ns`, in and below a folder; closes it."""
    with _closing(folder):
        for name in os.listdir(folder):
            status = _current(folder, name) if _UNFINISHED.fullmatch(name) else None
            if status is not None and status.st_mtime_ns < before_ns:
                yield (*path, name)
        for name in _names(folder):
            inner = _inner(folder, name[:-1]) if name.endswith("/") else None
            if inner is not None:
                yield from _stale(inner, (*path, name[:-1]), before_ns)
