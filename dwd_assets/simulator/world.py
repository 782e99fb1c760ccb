"""The simulated server's files at any time: a function of the time, but for what was overwritten on demand."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol

_CONTENTS = 4096
_SIZES = 1 << 18


@dataclass(frozen=True, slots=True)
class File:
    """One version of a file: its decoded path from `/` on, time of change (UTC, whole seconds), and its content.

    Path, time and revision tell its bytes: `build` gives them for a revision, 0 if it was never overwritten.
    """

    path: str
    modified: datetime
    build: Callable[[int], bytes] = field(compare=False, repr=False)
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a folder: name, time of change, and bytes, or none for a folder."""

    name: str
    modified: datetime
    size: int | None


class Tree(Protocol):
    """A part of the server."""

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a decoded path at a time."""

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """All files at a time whose decoded paths begin with `prefix`, in any order."""


@dataclass(frozen=True, slots=True)
class _Overwriting:
    """When a file was overwritten, and what its time of change is since."""

    at: datetime
    modified: datetime


class World:
    """All trees of the server together; may be used from many threads."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self._trees = tuple(trees)
        self._overwritten: dict[str, list[_Overwriting]] = defaultdict(list)
        self._lock = threading.Lock()
        self._content = lru_cache(maxsize=_CONTENTS)(_built)
        self._sizes: dict[File, int] = {}

    def add(self, tree: Tree) -> None:
        """Take in a tree that is made of this world, before the world is used."""
        self._trees = (*self._trees, tree)

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a decoded path at a time, none where there is none."""
        found = (tree.find(path, at) for tree in self._trees)
        file = next((file for file in found if file is not None), None)
        return file and self._latest(file, at)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """All files at a time whose decoded paths begin with `prefix`, in no particular order."""
        return (self._latest(file, at) for tree in self._trees for file in tree.files(prefix, at))

    def folder(self, path: str, at: datetime) -> tuple[Entry, ...]:
        """What a folder (whose path ends with `/`) shows at a time, unordered; nothing if there is no such folder."""
        entries: dict[str, Entry] = {}
        for file in self.files(path, at):
            name, slash, _ = file.path[len(path) :].partition("/")
            before = entries.get(name)
            modified = file.modified if before is None else max(before.modified, file.modified)
            entries[name] = Entry(name, modified, None if slash else self.size(file))
        return tuple(entries.values())

    def content(self, file: File) -> bytes:
        """A file's bytes."""
        data = self._content(file)
        if len(self._sizes) >= _SIZES:
            self._sizes.clear()
        self._sizes[file] = len(data)
        return data

    def size(self, file: File) -> int:
        """The number of a file's bytes; they are made for that once."""
        size = self._sizes.get(file)
        return len(self.content(file)) if size is None else size

    def overwrite(self, path: str, at: datetime) -> None:
        """Put another content in the place of the file that is at a decoded path; without one, nothing happens."""
        file = self.find(path, at)
        if file is not None:
            later = max(at.replace(microsecond=0), file.modified + timedelta(seconds=1))
            with self._lock:
                self._overwritten[path].append(_Overwriting(at, later))

    def _latest(self, file: File, at: datetime) -> File:
        with self._lock:
            changes = [
                each
                for each in self._overwritten.get(file.path, ())
                if each.at <= at and each.modified > file.modified
            ]
        return replace(file, modified=changes[-1].modified, revision=len(changes)) if changes else file


def _built(file: File) -> bytes:
    return file.build(file.revision)


def may_hold(folder: str, prefix: str) -> bool:
    """Whether files below a folder can have paths that begin with `prefix`."""
    return folder.startswith(prefix) or prefix.startswith(folder)
