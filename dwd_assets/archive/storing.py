"""Putting verified files where the archive keeps them, and losing none that was there.

The archive path holds the newest verified content; one that it replaces is kept beside it as
`<path>.<begin of its SHA-256>`, written before. Bytes that are not what their format says go to `quarantine/`.

What belongs here: bytes at rest. What does not: what a file should contain (`dwd_assets.formats`), and the ledger.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import LONGEST_STATION
from dwd_assets.formats.mosmix.kmz import read_kml
from dwd_assets.formats.packing import pack_lz4, unpack_lz4
from dwd_assets.formats.paths import version_path
from store import keys
from store.dwd.ledger import Earlier, Kept, Source
from store.objects import ObjectChanged, ObjectExists, ObjectMissing, Store, StoreError

LONGEST_FILE = 1 << 30
"""Bytes that any file of the archive may unpack to."""

_ATTEMPTS = 20
_LZ4 = ".lz4"
_KMZ = ".kmz"


class BelowFloor(StoreError):  # noqa: N818 - reads as the state it reports
    """The disk has less free than the floor: nothing more is fetched."""


@dataclass(frozen=True, slots=True)
class Content:
    """A verified file: its bytes at rest, and the SHA-256 (hexadecimal) and length of what is in them."""

    stored: bytes
    sha256: str
    size: int

    @classmethod
    def packed(cls, plain: bytes) -> Content:
        """A file that the archive packs with LZ4."""
        return cls(pack_lz4(plain), digest(plain), len(plain))

    @classmethod
    def plain(cls, data: bytes) -> Content:
        """A file that the archive keeps as it is."""
        return cls(data, digest(data), len(data))

    @classmethod
    def kmz(cls, kmz: bytes, name: str) -> Content:
        """A KMZ, told apart by its KML: its own bytes depend on who packed it. Raises `FormatError`."""
        kml = read_kml(kmz, name, LONGEST_STATION)
        return cls(kmz, digest(kml), len(kml))


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def plain_of(path: str, stored: bytes) -> bytes:
    """What is in a file of the archive whose path (without a version's digits) is `path`. Raises `FormatError`."""
    if path.endswith(_LZ4):
        return unpack_lz4(stored, path, LONGEST_FILE)
    if path.endswith(_KMZ):
        return read_kml(stored, path, LONGEST_STATION)
    return stored


@dataclass(frozen=True, slots=True)
class _There:
    """What is at a path: the version of the object, none where there is none; its content, none of a damaged one."""

    etag: str | None
    content: Content | None


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of the archive in a store; with less than `floor_bytes` free on its disk it takes none."""

    store: Store
    floor_bytes: int = 0

    def check_floor(self) -> None:
        """Raise `BelowFloor` where the disk has too little left, `StoreError` where it does not say."""
        free = self.store.free_bytes()
        if free is not None and free < self.floor_bytes:
            raise BelowFloor(
                f"{free / 1e9:.2f} GB free, less than the {self.floor_bytes / 1e9:.2f} GB of STORE_FREE_FLOOR_BYTES: "
                "nothing more is fetched"
            )

    def keep(
        self, path: str, content: Content, source: Source | None, before: Kept | None, now: datetime
    ) -> Kept:
        """Put a verified content at its path, and tell what the ledger is to say of it.

        `before` is what the ledger says so far. What the path holds is looked at, not believed: after a kill
        it may be ahead of the ledger, and another process may be at work on it. A content that the server had before
        the one that is kept (of two servers, one is behind) is kept beside it. Nothing is written where the content
        is there. Raises `StoreError`; whatever the store does, the path then holds the old content or the new one,
        and the old one is kept.
        """
        if before is not None and before.sha256 != content.sha256 and _is_behind(source, before.source):
            self._keep_beside(path, content.sha256, content.stored)
            return msgspec.structs.replace(
                before, earlier=_with(before.earlier, Earlier(content.sha256, content.size, now, source))
            )
        earlier = () if before is None else _followed(before, content.sha256, now)
        there = self._put(path, content)
        stored = content.stored
        if there is not None and there.sha256 == content.sha256:
            stored = there.stored  # who packed it may have packed it otherwise
        elif there is not None:
            earlier = _with(earlier, Earlier(there.sha256, there.size, now))
        return Kept(
            sha256=content.sha256,
            size=content.size,
            stored_bytes=len(stored),
            kept_at=before.kept_at if before is not None and before.sha256 == content.sha256 else now,
            source=source,
            earlier=earlier,
        )

    def put(self, path: str, content: Content) -> None:
        """Put a content at its path in place of what it grew out of, which is not kept. Raises `StoreError`."""
        self.store.put(path, content.stored)

    def holds(self, path: str, sha256: str, *, key: str | None = None) -> bool:
        """Whether a path, or another key for it, holds this content, read and verified. Raises `StoreError`."""
        try:
            return digest(plain_of(path, self.store.get(key or path).data)) == sha256
        except (ObjectMissing, FormatError):
            return False

    def keep_beside(self, path: str, content: Content) -> str:
        """Keep a content beside its path, as an earlier one is kept; returns where. Raises `StoreError`."""
        self._keep_beside(path, content.sha256, content.stored)
        return version_path(path, content.sha256)

    def move_beside(self, path: str) -> None:
        """Take away what is at a path, which is not what should be there, and keep it beside. Raises `StoreError`."""
        there = self._there(path)
        if there.content is not None:
            self._keep_beside(path, there.content.sha256, there.content.stored)
        if there.etag is not None:
            self.store.delete([path])

    def quarantine(self, path: str, data: bytes) -> str:
        """Keep bytes that came for a path and are not what should be there; tells where. Raises `StoreError`."""
        key = keys.quarantined(path, digest(data))
        self.store.put(key, data)
        return key

    def _put(self, path: str, content: Content) -> Content | None:
        """Put a content in place of exactly what was looked at and kept beside it; gives what that was, if anything.

        Nothing is written where it is there.
        """
        for _ in range(_ATTEMPTS):
            there = self._there(path)
            if there.content is not None:
                if there.content.sha256 == content.sha256:
                    return there.content
                self._keep_beside(path, there.content.sha256, there.content.stored)
            try:
                if there.etag is None:
                    self.store.create(path, content.stored)
                else:
                    self.store.replace(path, content.stored, there.etag)
            except (ObjectExists, ObjectChanged):
                continue  # another fetcher was faster: what it put there is to be kept too
            return there.content
        raise StoreError(f"{path}: not changed: other writers were faster {_ATTEMPTS} times in a row")

    def _there(self, path: str) -> _There:
        """What is at a path; bytes that are no such file go to quarantine."""
        try:
            found = self.store.get(path)
        except ObjectMissing:
            return _There(None, None)
        try:
            plain = plain_of(path, found.data)
        except FormatError:
            self.quarantine(path, found.data)
            return _There(found.info.etag, None)
        return _There(found.info.etag, Content(found.data, digest(plain), len(plain)))

    def _keep_beside(self, path: str, sha256: str, stored: bytes) -> None:
        beside = version_path(path, sha256)
        with suppress(ObjectExists):
            self.store.create(beside, stored)


def _is_behind(source: Source | None, kept: Source | None) -> bool:
    """Whether a file is older on the server than the one that is kept."""
    if source is None or kept is None or source.modified is None or kept.modified is None:
        return False
    return source.modified < kept.modified


def _followed(before: Kept, sha256: str, now: datetime) -> tuple[Earlier, ...]:
    """The earlier contents of a file when this content follows."""
    if before.sha256 == sha256:
        return before.earlier
    return _with(before.earlier, Earlier(before.sha256, before.size, now, before.source))


def _with(earlier: tuple[Earlier, ...], another: Earlier) -> tuple[Earlier, ...]:
    return earlier if another.sha256 in {each.sha256 for each in earlier} else (*earlier, another)
