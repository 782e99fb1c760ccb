"""The archive's files themselves: exactly what a ledger lists, verified before the first byte is sent.

A path of a request is never joined to anything: it is parsed to a key, looked up in the ledger of that key's period,
and what the ledger says is read. The one exception is the historic `-MOSMIX.csv`, which no ledger knows.

A file that is sent is open from its verification on to its last byte, so that nothing which comes to its place
meanwhile is sent as a part of it.

What belongs here: which file it is. What does not: its bytes (`contents`), HTTP (`sending`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from api.memory.cache import BoundedCache
from api.memory.flights import Flights
from api.replies.errors import NotFound, Unavailable
from api.v1.dwd import contents
from api.v1.dwd.archive import Archive
from api.v1.dwd.contents import KMZ, LONGEST_DAY, LZ4, Facts, Form, OpenFile
from api.v1.dwd.runs import REPORTS
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import (
    ArchiveKey,
    MosmixKey,
    PoiForecastKey,
    ReportsKey,
    parse_archive_path,
    parse_version_path,
    version_path,
)
from dwd_assets.formats.poi.beob_merge import read as read_day
from store.dwd.ledger import Kept
from store.objects import ObjectMissing, OpenObject, StoreError

log = logging.getLogger(__name__)

BYTES_KEPT = 64_000_000
"""Bound of the files that are kept in memory for whoever decodes them."""

FACTS_KEPT = 10_000
"""Files of which it is remembered what they were found to be, so that a range of one reads no more than that."""

UNPACKINGS = 4
"""Files that are unpacked and verified at the same time."""

TYPES = {
    ".grib2": b"application/x-grib2",
    ".kmz": b"application/vnd.google-earth.kmz",
    ".kml": b"application/vnd.google-earth.kml+xml",
    ".csv": b"text/csv; charset=iso-8859-1",
}
"""Media types by how a name ends."""

OTHER_TYPE = b"application/octet-stream"
"""The media type of what is packed."""


class _Found(Protocol):
    """A file that was read, or is open."""

    @property
    def sha256(self) -> str: ...

    def close(self) -> None: ...


F = TypeVar("F", bound=_Found)


@dataclass(frozen=True, slots=True)
class _Whole:
    """A file as it is kept, and the digest of its content."""

    sha256: str
    data: bytes

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a path means: the path of the file, its key, and of an earlier content the digits of its digest."""

    path: str
    key: ArchiveKey
    digits: str | None

    @property
    def collection(self) -> str:
        """The collection whose ledger lists it."""
        match self.key:
            case FieldKey():
                return self.key.model
            case MosmixKey():
                return f"mosmix-{self.key.product.lower()}"
        return REPORTS

    @property
    def period(self) -> str:
        """The period whose ledger lists it."""
        return f"{self.key.day:%Y%m%d}" if isinstance(self.key, ReportsKey) else run_text(self.key.run)


@dataclass(frozen=True, slots=True)
class Download:
    """A verified file to be sent, and then closed."""

    file: OpenFile
    unpacked: bool
    name: str
    immutable: bool

    @property
    def form(self) -> Form:
        """Its bytes, as they are sent."""
        return self.file.form(self.unpacked)

    @property
    def size(self) -> int:
        """How many bytes there are of it."""
        return self.form.size

    @property
    def content_type(self) -> bytes:
        """What it is."""
        return TYPES.get(self.name[self.name.rfind(".") :], OTHER_TYPE)

    @property
    def etag(self) -> bytes:
        """Its strong tag, of exactly these bytes."""
        content, sent = self.file.sha256, self.form.sha256
        # Of bytes that are packed, the content's digest alone does not tell who packed them.
        return f'"{content if sent == content else f"{content}-{sent[:12]}"}"'.encode("ascii")

    @property
    def digest(self) -> bytes:
        """Its digest, as `Repr-Digest` (RFC 9530) has it."""
        return b"sha-256=:%s:" % base64.b64encode(bytes.fromhex(self.form.sha256))

    def pieces(self, part: slice | None) -> Iterator[bytes]:
        """Its bytes, or a part of them; each step blocks. Raises `StoreError`, `FormatError`."""
        return self.file.pieces(self.unpacked, part)

    def close(self) -> None:
        """Close it, when a read that is under way has ended."""
        self.file.close()


class Downloads:
    """Reads, opens and verifies files of the archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kept: BoundedCache[tuple[str, str], _Whole] = BoundedCache(BYTES_KEPT)
        self._facts: BoundedCache[tuple[str, str, str], Facts] = BoundedCache(FACTS_KEPT)
        self._unpackings = Flights(UNPACKINGS, lambda: False)

    def close(self) -> None:
        """End the threads."""
        self._unpackings.close()

    async def open(self, path: str, unpacked: bool) -> Download:
        """A file of the archive, to be sent. Raises `NotFound`, `Unavailable`."""
        place = parse_place(path)
        if place is None:
            raise NotFound("not a path of the archive")
        file = await self._verified(place)
        return Download(file, unpacked, _file_name(place, unpacked), place.digits is not None)

    async def at_rest(self, path: str, kept: Kept) -> bytes:
        """A file that a ledger lists, as it is kept. Raises `StoreError`, `FormatError`."""
        known = self._kept.get((path, kept.sha256))
        if known is None:
            known = await self._listed(self._read, path, kept.sha256, kept.held_at or path)
            self._kept.put((path, known.sha256), known, len(known.data))
        return known.data

    async def content(self, path: str, kept: Kept) -> bytes:
        """What is in a file that a ledger lists, unpacked. Raises `StoreError`, `FormatError`."""
        return await asyncio.to_thread(contents.plain, path, await self.at_rest(path, kept))

    async def _verified(self, place: Place) -> OpenFile:
        if isinstance(place.key, PoiForecastKey):
            return await self._unlisted(place)
        try:
            return await self._listed(self._open, place.path, *await self._asked(place, fresh=False))
        except (StoreError, FormatError):
            listed = await self._asked(place, fresh=True)
        try:
            return await self._listed(self._open, place.path, *listed)
        except (StoreError, FormatError) as fault:
            raise _unreadable(place.path, fault) from fault

    async def _asked(self, place: Place, fresh: bool) -> tuple[str, str]:
        """The digest of the content that is asked for, and the key that holds it. Raises `NotFound`."""
        view = await self._archive.ledger(place.collection, place.period, fresh)
        kept = None if view is None else view.ledger.kept.get(place.path)
        if kept is None:
            raise NotFound("the archive does not list this file")
        if place.digits is None:
            return kept.sha256, kept.held_at or place.path
        for earlier in kept.earlier:
            if earlier.sha256.startswith(place.digits):
                return earlier.sha256, version_path(place.path, earlier.sha256)
        raise NotFound("the archive lists no such earlier content")

    async def _listed(
        self, read: Callable[[str, str], Awaitable[F]], path: str, sha256: str, held_at: str
    ) -> F:
        """A content by its digest, from where it is held, or from beside it where another one just came there."""
        found = None
        try:
            found = await read(path, held_at)
        except ObjectMissing:
            if held_at != path:
                raise
        if found is not None and found.sha256 == sha256:
            return found
        # The archive changes a file before its ledger, and keeps the earlier content beside it.
        return await self._beside(read, path, sha256, found)

    async def _beside(
        self, read: Callable[[str, str], Awaitable[F]], path: str, sha256: str, found: F | None
    ) -> F:
        try:
            beside = await read(path, version_path(path, sha256))
        except (StoreError, FormatError) as fault:
            # A day of reports grows in place, and what it grew out of is in it.
            is_grown = found is not None and isinstance(parse_archive_path(path), ReportsKey)
            if found is not None and is_grown and isinstance(fault, ObjectMissing):
                return found
            _close(found)
            raise
        _close(found)
        if beside.sha256 != sha256:
            beside.close()
            raise FormatError(f"{path}: holds {beside.sha256[:12]}, the ledger says {sha256[:12]}")
        return beside

    async def _unlisted(self, place: Place) -> OpenFile:
        try:
            return await self._open(place.path, place.path)
        except ObjectMissing as fault:
            raise NotFound("the archive does not have this file") from fault
        except (StoreError, FormatError) as fault:
            raise _unreadable(place.path, fault) from fault

    async def _read(self, path: str, held_at: str) -> _Whole:
        """A file as a whole, verified."""
        link = self._archive.link
        stored = await link.read(("file", held_at), lambda: link.store().get(held_at).data)
        digest = await self._unpackings.alone(lambda: _digest(path, stored))
        return _Whole(digest, stored)

    async def _open(self, path: str, held_at: str) -> OpenFile:
        """A file that is open, verified."""
        link = self._archive.link
        # The key is of nobody else: who shared an open file could find it closed by another.
        source = await link.read(object(), lambda: link.store().open(held_at))
        version = (path, held_at, source.info.etag)
        facts = self._facts.get(version)
        if facts is None:
            try:
                facts = await self._unpackings.shared(version, lambda: _facts(path, source))
            except (StoreError, FormatError):
                source.close()
                raise
            self._facts.put(version, facts)
        return OpenFile(path, source, facts)


def parse_place(path: str) -> Place | None:
    """What a path of the archive means, none for anything else."""
    key = parse_archive_path(path)
    if key is not None:
        return Place(path, key, None)
    version = parse_version_path(path)
    return None if version is None else Place(path.rpartition(".")[0], *version)


def _unreadable(path: str, fault: Exception) -> Unavailable:
    log.warning("%s cannot be read as its ledger says: %s", path, fault)
    return Unavailable("the archive does not answer, or does not hold what its ledger says")


def _close(found: _Found | None) -> None:
    if found is not None:
        found.close()


def _digest(path: str, stored: bytes) -> str:
    """The digest of what is in a file, which was read whole. Raises `FormatError`."""
    plain = contents.plain(path, stored)
    _check_day(path, plain)
    return hashlib.sha256(plain).hexdigest()


def _facts(path: str, source: OpenObject) -> Facts:
    """What an open file is. Raises `StoreError`, `FormatError`."""
    if isinstance(parse_archive_path(path), ReportsKey):
        if source.info.size > LONGEST_DAY:
            raise FormatError(f"{path}: {source.info.size} bytes, longer than a day of reports may be")
        _check_day(path, source.read(0, source.info.size))
    return contents.facts(path, source)


def _check_day(path: str, plain: bytes) -> None:
    """Raise `FormatError` for a day of reports that is none: its digest need not be the ledger's."""
    key = parse_archive_path(path)
    if isinstance(key, ReportsKey):
        read_day(plain, path, key.day)


def _file_name(place: Place, unpacked: bool) -> str:
    """The name to save under; of an earlier content with its digits, before what tells the format."""
    name = place.path.rpartition("/")[2]
    if unpacked:
        name = name.removesuffix(LZ4)
        name = f"{name.removesuffix(KMZ)}.kml" if name.endswith(KMZ) else name
    return name if place.digits is None else f"{place.digits}-{name}"
