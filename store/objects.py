"""The Store protocol: objects by key, each put whole or not at all.

What belongs here: what any backend can do and how it fails. What does not: the layout of
keys (`store.keys`), what is inside an object, and any backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

MAX_KEY_BYTES = 1024
"""What S3 allows."""

MAX_SEGMENT_BYTES = 255
"""What file systems allow; held on every backend, so that a key works on all of them."""

SEGMENT = re.compile(rf"[A-Za-z0-9_@=+-][A-Za-z0-9._@=+-]{{0,{MAX_SEGMENT_BYTES - 1}}}")
"""What a key has between slashes (for `fullmatch`)."""


class StoreError(Exception):
    """The store could not do what was asked; the message names the key and the fault."""


class ObjectMissing(StoreError):  # noqa: N818 - reads as the state it reports
    """No object has this key."""


class ObjectExists(StoreError):  # noqa: N818
    """`create` found an object at this key."""


class ObjectChanged(StoreError):  # noqa: N818
    """`replace` found another version than the one it was told to replace, or none."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The backend did not answer, or refused; trying again later may work."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of an object: bytes, an opaque version tag, time (UTC) of its last change."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's bytes, with the version they belong to."""

    info: ObjectInfo
    data: bytes


class OpenObject(Protocol):
    """One version of an object, open to be read in pieces, until `close`; from several threads if need be."""

    @property
    def info(self) -> ObjectInfo:
        """The version that is read."""

    def read(self, start: int, length: int) -> bytes:
        """Exactly these bytes of this version. Raises `ObjectChanged` where it is not there any more.

        On a folder it stays readable, whatever happens to the object. Raises `ValueError` after `close`.
        """

    def close(self) -> None:
        """Let go of it, when a read that is under way has ended."""


def checked(key: str) -> str:
    """The key, if it is one. Raises `ValueError` that tells the rule it breaks.

    The rules are those of `Store`; a segment does not begin with a dot (backends keep such names for
    themselves), a key has at most `MAX_KEY_BYTES`, a segment at most `MAX_SEGMENT_BYTES`.
    """
    if len(key) > MAX_KEY_BYTES:
        raise ValueError(f"key of {len(key)} characters, {MAX_KEY_BYTES} are allowed: {key[:80]!r}...")
    for segment in key.split("/"):
        if SEGMENT.fullmatch(segment) is None:
            raise ValueError(f"{key!r} is not a key: {segment!r} is not a segment")
    return key


def checked_prefix(prefix: str) -> str:
    """The prefix, if it is empty or a key and `/`. Raises `ValueError`."""
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"{prefix!r} is not a prefix: it does not end with '/'")
    if prefix:
        checked(prefix[:-1])
    return prefix


class Store(Protocol):
    """A flat key space of whole objects, safe under concurrent readers and writers.

    A key is relative, `/`-separated, of `[A-Za-z0-9._@=+-]` segments, none of them empty or beginning
    with a dot; anything else raises `ValueError` before the backend is asked (`checked`). A reader sees
    an object's old bytes or its new bytes, never a mixture, also across a kill of the writer. Instances
    may be used from several threads, and pickled into child processes.
    """

    def get(self, key: str) -> StoredObject:
        """Read a whole object. Raises `ObjectMissing`."""

    def open(self, key: str) -> OpenObject:
        """Open an object to be read in pieces. Raises `ObjectMissing`."""

    def head(self, key: str) -> ObjectInfo:
        """Look at an object without reading it. Raises `ObjectMissing`."""

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write an object whatever was there before."""

    def create(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write an object where none is. Raises `ObjectExists`."""

    def replace(
        self, key: str, data: bytes, etag: str, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """Write an object in place of exactly the version `etag`. Raises `ObjectChanged`."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in key order; unfinished writes are not seen.

        `prefix` is empty or ends with `/`.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key that is not there is no error."""

    def copy(self, source: str, key: str) -> ObjectInfo:
        """Put the bytes of another object at `key`, whatever was there before. Raises `ObjectMissing`.

        On a folder both are then the same file (a hard link) until either is written anew; on S3 the server copies.
        """

    def free_bytes(self) -> int | None:
        """How many bytes more the backend takes; none where it does not say."""
