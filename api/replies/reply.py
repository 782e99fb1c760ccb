"""Whole answers as bytes: what the short path and the last-resort error handler send.

A `Body` is a document in each encoding that it is served in, computed once and sent many times.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from starlette.types import Send

from api.memory.disk_files import Content

Header = tuple[bytes, bytes]

Still = Callable[[], Content | None]
"""The content of an earlier answer while a request without conditions would get the same; none where it is unknown."""

Answer = Callable[[bytes], tuple[bytes, Content] | None]
"""Head and content of the answer to a request as it is on the wire, none where another has to read it."""

JSON = b"application/json"
PNG = b"image/png"

VARIES: Header = (b"vary", b"Accept-Encoding")
"""Of a document in the encoding that a client takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, ready to be sent; `Content-Length` is added on sending, except to a 204 or 304."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    still: Still | None = field(default=None, compare=False)
    """Whether the same may be answered again, where that is known."""
    whole: Reply | None = field(default=None, compare=False)
    """Of a 304, the answer that one who does not have the document gets, where that is known."""

    @property
    def whole_headers(self) -> tuple[Header, ...]:
        """The headers as they are sent."""
        if self.status in (204, 304):  # RFC 9110, section 8.6
            return self.headers
        return (*self.headers, (b"content-length", b"%d" % len(self.body)))

    async def send(self, send: Send) -> None:
        """Send the answer as ASGI messages."""
        headers = list(self.whole_headers)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True, slots=True)
class Representation:
    """A document's bytes in one encoding, with the strong entity tag of exactly these bytes."""

    data: bytes
    etag: bytes
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A JSON document: as it is, and compressed where that is shorter.

    The tag of the plain bytes is their SHA-256; that of the compressed bytes has a suffix, since one strong
    tag may not name two byte strings (RFC 9110, section 8.8.3.3).
    """

    plain: Representation
    compressed: Representation | None

    @classmethod
    def json(cls, document: object) -> Body:
        """The body of a JSON document; equal documents give equal bytes."""
        return cls.encoded(msgspec.json.encode(document))

    @classmethod
    def encoded(cls, data: bytes, content_type: bytes = JSON) -> Body:
        """The body of a document whose bytes are there."""
        digest = hashlib.sha256(data).hexdigest()
        packed = gzip.compress(data, compresslevel=6, mtime=0)
        shorter = len(packed) < len(data)
        return cls(
            _representation(data, content_type, f'"{digest}"'),
            _representation(packed, content_type, f'"{digest}-gzip"', (b"content-encoding", b"gzip"))
            if shorter
            else None,
        )

    @property
    def weight(self) -> int:
        """Bytes of all encodings."""
        return len(self.plain.data) + (len(self.compressed.data) if self.compressed else 0)

    def chosen(self, gzip_wanted: bool) -> Representation:
        """The representation for a client that does or does not take gzip."""
        return self.compressed if gzip_wanted and self.compressed else self.plain


def _representation(data: bytes, content_type: bytes, etag: str, *headers: Header) -> Representation:
    tag = etag.encode("ascii")
    return Representation(data, tag, ((b"content-type", content_type), (b"etag", tag), *headers))
