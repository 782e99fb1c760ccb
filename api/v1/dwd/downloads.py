"""The archive's files themselves: exactly what a ledger lists, verified before the first byte is sent.

A path of a request is never joined to anything: it is parsed to a key, looked up in the ledger of that key's period,
and what the ledger says is read. The one exception is the historic `-MOSMIX.csv`, which no ledger knows.

What belongs here: bytes. What does not: HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from dataclasses import dataclass

from api.cache import BoundedCache
from api.errors import NotFound, Unavailable
from api.v1.dwd.archive import Archive
from api.v1.dwd.runs import REPORTS
from dwd_assets.formats.beob_merge import read as read_day
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.kmz import read_kml
from dwd_assets.formats.packing import unpack_lz4
from dwd_assets.formats.paths import (
    ArchiveKey,
    MosmixKey,
    PoiForecastKey,
    ReportsKey,
    parse_archive_path,
    parse_version_path,
    version_path,
)
from store.ledger import Kept
from store.objects import ObjectMissing, StoreError

log = logging.getLogger(__name__)

LONGEST_FILE = 1 << 30
LONGEST_KML = 32 << 20
"""Bytes that a field and a station's forecast may unpack to."""

BYTES_KEPT = 64_000_000
"""Bound of the files that are kept in memory, so that one that is fetched in ranges is read once."""

UNPACKINGS = 4
"""Files that are unpacked and verified at the same time."""

_LZ4, _KMZ = ".lz4", ".kmz"
_TYPES = {
    ".grib2": b"application/x-grib2",
    ".kmz": b"application/vnd.google-earth.kmz",
    ".kml": b"application/vnd.google-earth.kml+xml",
    ".csv": b"text/csv; charset=iso-8859-1",
}
_OTHER_TYPE = b"application/octet-stream"


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
    """Verified bytes to be sent. etag: strong, of exactly these bytes. digest: of them too (RFC 9530)."""

    data: bytes
    name: str
    content_type: bytes
    etag: bytes
    digest: bytes
    immutable: bool


class Downloads:
    """Reads and verifies files of the archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._kept: BoundedCache[tuple[str, str], bytes] = BoundedCache(BYTES_KEPT)
        self._turns = asyncio.Semaphore(UNPACKINGS)

    async def read(self, path: str, unpacked: bool) -> Download:
        """A file of the archive. Raises `NotFound`, `Unavailable`."""
        place = parse_place(path)
        if place is None:
            raise NotFound("not a path of the archive")
        sha256, stored = await self._verified(place)
        async with self._turns:
            return await asyncio.to_thread(_download, place, sha256, stored, unpacked)

    async def at_rest(self, path: str, kept: Kept) -> bytes:
        """A file that a ledger lists, as it is kept. Raises `StoreError`, `FormatError`."""
        return (await self._listed(path, kept.sha256, kept.held_at or path))[1]

    async def content(self, path: str, kept: Kept) -> bytes:
        """What is in a file that a ledger lists, unpacked. Raises `StoreError`, `FormatError`."""
        return await asyncio.to_thread(_plain, path, await self.at_rest(path, kept))

    async def _verified(self, place: Place) -> tuple[str, bytes]:
        """The digest of a file's content, and its bytes at rest."""
        if isinstance(place.key, PoiForecastKey):
            return await self._unlisted(place)
        try:
            return await self._listed(place.path, *await self._asked(place, fresh=False))
        except (StoreError, FormatError):
            listed = await self._asked(place, fresh=True)
        try:
            return await self._listed(place.path, *listed)
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

    async def _listed(self, path: str, sha256: str, held_at: str) -> tuple[str, bytes]:
        """A content by its digest, from where it is held, or from beside it where another one just came there."""
        kept = self._kept.get((path, sha256))
        if kept is not None:
            return sha256, kept
        try:
            found, stored = await self._read(path, held_at)
        except ObjectMissing:
            if held_at != path:
                raise
            found, stored = "", b""
        if found != sha256:
            # The archive changes a file before its ledger, and keeps the earlier content beside it.
            found, stored = await self._beside(path, sha256, found, stored)
        self._kept.put((path, found), stored, len(stored))
        return found, stored

    async def _beside(self, path: str, sha256: str, found: str, stored: bytes) -> tuple[str, bytes]:
        try:
            beside, earlier = await self._read(path, version_path(path, sha256))
        except ObjectMissing:
            # A day of reports grows in place, and what it grew out of is in it.
            if found and isinstance(parse_archive_path(path), ReportsKey):
                return found, stored
            raise
        if beside != sha256:
            raise FormatError(f"{path}: holds {beside[:12]}, the ledger says {sha256[:12]}")
        return beside, earlier

    async def _unlisted(self, place: Place) -> tuple[str, bytes]:
        try:
            return await self._read(place.path, place.path)
        except ObjectMissing as fault:
            raise NotFound("the archive does not have this file") from fault
        except (StoreError, FormatError) as fault:
            raise _unreadable(place.path, fault) from fault

    async def _read(self, path: str, held_at: str) -> tuple[str, bytes]:
        link = self._archive.link
        stored = await link.read(("file", held_at), lambda: link.store().get(held_at).data)
        async with self._turns:
            return await asyncio.to_thread(_digest, path, stored), stored


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


def _plain(path: str, stored: bytes) -> bytes:
    if path.endswith(_LZ4):
        return unpack_lz4(stored, path, LONGEST_FILE)
    if path.endswith(_KMZ):
        return read_kml(stored, path, LONGEST_KML)
    return stored


def _digest(path: str, stored: bytes) -> str:
    """The digest of what is in a file, which was read whole. Raises `FormatError`."""
    plain = _plain(path, stored)
    key = parse_archive_path(path)
    if isinstance(key, ReportsKey):
        read_day(plain, path, key.day)
    return hashlib.sha256(plain).hexdigest()


def _download(place: Place, sha256: str, stored: bytes, unpacked: bool) -> Download:
    data = _plain(place.path, stored) if unpacked else stored
    digest = hashlib.sha256(data)
    # A strong tag is of bytes: of those that are packed, the content's digest alone does not tell who packed them.
    tag = sha256 if digest.hexdigest() == sha256 else f"{sha256}-{digest.hexdigest()[:12]}"
    name = _file_name(place, unpacked)
    return Download(
        data=data,
        name=name,
        content_type=_TYPES.get(name[name.rfind(".") :], _OTHER_TYPE),
        etag=f'"{tag}"'.encode("ascii"),
        digest=b"sha-256=:%s:" % base64.b64encode(digest.digest()),
        immutable=place.digits is not None,
    )


def _file_name(place: Place, unpacked: bool) -> str:
    """The name to save under; of an earlier content with its digits, before what tells the format."""
    name = place.path.rpartition("/")[2]
    if unpacked:
        name = name.removesuffix(_LZ4)
        name = f"{name.removesuffix(_KMZ)}.kml" if name.endswith(_KMZ) else name
    return name if place.digits is None else f"{place.digits}-{name}"
