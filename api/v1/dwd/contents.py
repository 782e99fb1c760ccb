"""Files of the archive as they are open: in pieces, as they are kept or unpacked, and what one pass over them finds.

No file is in memory as a whole but a KMZ, which is one station's: what is held of a file is a piece or two.
Everything here blocks, and is called in threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.kmz import find_kml, inflate, read_kml
from dwd_assets.formats.packing import unpack_lz4, unpack_lz4_chunks
from store.objects import OpenObject, StoreError

PIECE_BYTES = 1 << 20
"""How much of a file is read at a time."""

LONGEST_FILE = 1 << 30
LONGEST_KML = 32 << 20
LONGEST_DAY = 32 << 20
"""Bytes that a field and a station's forecast may unpack to, and that a day of reports may have."""

LZ4, KMZ = ".lz4", ".kmz"


@dataclass(frozen=True, slots=True)
class Form:
    """A file in one form: its bytes, and their SHA-256, hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file is as it is kept, and what its content is; the same where nothing is packed."""

    stored: Form
    content: Form


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file of the archive that is open: its path there, and what it was found to be."""

    path: str
    source: OpenObject
    facts: Facts

    @property
    def sha256(self) -> str:
        """The digest of its content."""
        return self.facts.content.sha256

    def close(self) -> None:
        """Close it, when a read that is under way has ended."""
        self.source.close()

    def form(self, unpacked: bool) -> Form:
        """Its size and digest in a form."""
        return self.facts.content if unpacked else self.facts.stored

    def pieces(self, unpacked: bool, part: slice | None = None) -> Iterator[bytes]:
        """Its bytes in a form, or a part of them.

        Raises `StoreError` and `FormatError` where it cannot be read on. Of the whole, the last piece comes only
        if the digest is still the one that was found.
        """
        form = self.form(unpacked)
        if part is None:
            return _checked(
                content(self.path, self.source) if unpacked else stored(self.source), form, self.path
            )
        if unpacked:
            return _cut(content(self.path, self.source), part)
        return stored(self.source, part)


class _Counted:
    """Takes the size and the digest of pieces on their way."""

    def __init__(self) -> None:
        self._size = 0
        self._digest = hashlib.sha256()

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces."""
        for piece in pieces:
            self._size += len(piece)
            self._digest.update(piece)
            yield piece

    @property
    def form(self) -> Form:
        """What went by so far."""
        return Form(self._size, self._digest.hexdigest())


def facts(path: str, source: OpenObject) -> Facts:
    """Read a file once, and tell what it is. Raises `StoreError`, `FormatError`."""
    at_rest, plain = _Counted(), _Counted()
    if not path.endswith((LZ4, KMZ)):
        _exhaust(at_rest.over(stored(source)))
        return Facts(at_rest.form, at_rest.form)
    _exhaust(plain.over(_unpacked(path, at_rest.over(stored(source)), source.info.size)))
    return Facts(at_rest.form, plain.form)


def stored(source: OpenObject, part: slice | None = None) -> Iterator[bytes]:
    """A file as it is kept, or a part of it. Raises `StoreError`."""
    start, stop = (0, source.info.size) if part is None else (part.start, part.stop)
    for place in range(start, stop, PIECE_BYTES):
        yield source.read(place, min(PIECE_BYTES, stop - place))


def content(path: str, source: OpenObject) -> Iterator[bytes]:
    """What is in a file. Raises `StoreError`, `FormatError`."""
    return _unpacked(path, stored(source), source.info.size)


def plain(path: str, data: bytes) -> bytes:
    """What is in a file whose bytes are there. Raises `FormatError`."""
    if path.endswith(LZ4):
        return unpack_lz4(data, path, LONGEST_FILE)
    if path.endswith(KMZ):
        return read_kml(data, path, LONGEST_KML)
    return data


def _unpacked(path: str, pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    if path.endswith(LZ4):
        return unpack_lz4_chunks(pieces, path, LONGEST_FILE)
    return _kml(path, pieces, size) if path.endswith(KMZ) else pieces


def _kml(path: str, pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The KML of a KMZ, whose directory is at its end."""
    if size > LONGEST_KML:
        raise FormatError(f"{path}: {size} bytes, longer than the KML in it may be")
    kmz = BytesIO(b"".join(pieces))
    yield from inflate(kmz, find_kml(kmz, path), path, LONGEST_KML)


def _cut(pieces: Iterator[bytes], part: slice) -> Iterator[bytes]:
    """A part of what pieces are together; what is before it is read, what is behind it is not."""
    place = 0
    for piece in pieces:
        wanted = piece[max(0, part.start - place) : part.stop - place]
        if wanted:
            yield wanted
        place += len(piece)
        if place >= part.stop:
            return


def _checked(pieces: Iterable[bytes], form: Form, path: str) -> Iterator[bytes]:
    counted, held = _Counted(), b""
    for piece in counted.over(pieces):
        if held:
            yield held
        held = piece
    if counted.form != form:
        raise StoreError(f"{path}: has other bytes than it was found to have")
    if held:
        yield held


def _exhaust(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass
