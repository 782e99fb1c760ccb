"""What an HTTP answer means: a file and its version, or an error of the family.

Status and header semantics are those of RFC 9110; message lengths those of RFC 9112, section 6.
"""

from __future__ import annotations

import hashlib
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import BinaryIO

from urllib3 import BaseHTTPResponse, HTTPHeaderDict
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
)
from urllib3.exceptions import TimeoutError as TimeoutFault

from dwd_assets.opendata.errors import (
    Busy,
    Encoded,
    NotAsListed,
    NotYet,
    OpendataError,
    Refused,
    TimedOut,
    TooLarge,
    Truncated,
    Unavailable,
    Unsettled,
    Untrusted,
)
from dwd_assets.opendata.messages import Received, Request, Seen, Version

_PAGE_BYTES = 1 << 16
_PIECE_BYTES = 1 << 16
_STEP_BYTES = 1 << 20
"""How much of a packed body is unpacked at a time."""

_GZIP = 16
"""Added to zlib's window bits: a gzip header and trailer."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_OWN_FAULTS = frozenset({408, 500, 502, 504})
"""Statuses by which a server, or a proxy before it, says that trying again may help."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what urllib3 raises as errors of the family."""
    try:
        yield
    except HTTPError as fault:
        raise _kind(fault)(f"{url}: {_words(fault)}") from fault


def pieces(answer: BaseHTTPResponse, url: str, total_s: float, clock: Callable[[], float]) -> Iterator[bytes]:
    """The body as it comes, until `total_s` from now. Raises `TimedOut`, `Truncated`."""
    end = clock() + total_s
    try:
        while piece := answer.read1(_PIECE_BYTES):  # what is there: `read` would wait for so many bytes
            yield piece
            if clock() > end:
                raise TimedOut(f"{url}: not all of it came within {total_s:g} s")
    except ProtocolError as fault:
        if isinstance(_beneath(fault), OSError):
            raise  # the connection broke, whatever was announced
        raise Truncated(f"{url}: {_words(fault)}") from fault


def drain(body: Iterator[bytes]) -> None:
    """Read the page that comes with an error, if it is a short one, so that its connection can be kept."""
    size = 0
    with suppress(OpendataError, HTTPError):  # the status tells more
        for piece in body:
            size += len(piece)
            if size > _PAGE_BYTES:
                return


def receive(
    request: Request, url: str, answer: BaseHTTPResponse, body: Iterator[bytes], sink: BinaryIO
) -> Received:
    """Take in a file, checked against what was announced, what was listed, and the limit.

    A body that was packed with gzip for the transfer is unpacked. Raises `Encoded`, `TooLarge`, `NotAsListed` (before
    the body is read, where the announced length shows that), and `Truncated`. That as many bytes come as were announced
    is seen to by urllib3 (see `pieces`). Where nothing was announced, `Received.is_proven` is false.
    """
    is_packed = _check_offer(request, url, answer.headers)
    digest = hashlib.sha256()
    size = 0
    for piece in _unpacked(body, url) if is_packed else body:
        size += len(piece)
        if size > request.limit_bytes:
            raise TooLarge(f"{url}: more than the limit of {request.limit_bytes} bytes")
        digest.update(piece)
        sink.write(piece)
    if request.size is not None and size != request.size:
        raise NotAsListed(f"{url}: {size} bytes came where {request.size} were listed")
    is_proven = is_packed or request.size is not None or _is_bounded(url, answer.headers)
    return Received(request.path, size, digest.hexdigest(), _version(answer.headers), is_proven)


def seen(path: str, url: str, answer: BaseHTTPResponse) -> Seen:
    """What the head of an answer tells of a file."""
    return Seen(path, _announced_bytes(url, answer.headers), _version(answer.headers))


def refusal(answer: BaseHTTPResponse, url: str) -> OpendataError:
    """The error that a status other than 200 stands for."""
    status = answer.status
    told = f"{url}: the server answered {status} {answer.reason or ''}".rstrip()
    if status == HTTPStatus.PRECONDITION_FAILED:
        return Unsettled(told)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return NotYet(told)
    if status in _REDIRECTS:
        target = answer.headers.get("location", "")
        return Refused(
            f"{told}, a redirect to {target[:200] or 'nowhere'}; redirects are not followed: set DWD_SERVER"
        )
    if status in {429, 503}:
        return Busy(told, _retry_after_s(answer.headers))
    return Unavailable(told) if status in _OWN_FAULTS else Refused(told)


def _check_offer(request: Request, url: str, headers: HTTPHeaderDict) -> bool:
    """Check what the head of an answer announces; whether the body is packed with gzip."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    is_packed = encoding in {"gzip", "x-gzip"}
    if not is_packed and encoding not in {"", "identity"}:
        raise Encoded(
            f"{url}: came encoded as {encoding[:40]!r}, which was not asked for; only gzip is unpacked"
        )
    announced = _announced_bytes(url, headers)
    if announced is None:
        return is_packed
    if announced > request.limit_bytes:
        raise TooLarge(f"{url}: {announced} bytes, above the limit of {request.limit_bytes}")
    # The length of a packed body is not that of the file.
    if not is_packed and request.size is not None and announced != request.size:
        raise NotAsListed(f"{url}: {announced} bytes are offered where {request.size} were listed")
    return is_packed


def _is_bounded(url: str, headers: HTTPHeaderDict) -> bool:
    """Whether the transfer itself says where the body ends (RFC 9112, section 6.3)."""
    return _is_chunked(headers) or _announced_bytes(url, headers) is not None


def _unpacked(body: Iterator[bytes], url: str) -> Iterator[bytes]:
    """The content of a gzip body (RFC 1952), in pieces. Raises `Truncated` unless it is whole by its own trailer."""
    inflater = zlib.decompressobj(zlib.MAX_WBITS | _GZIP)
    try:
        for piece in body:
            yield inflater.decompress(piece, _STEP_BYTES)
            while inflater.unconsumed_tail:
                yield inflater.decompress(inflater.unconsumed_tail, _STEP_BYTES)
    except zlib.error as fault:
        raise Truncated(f"{url}: the gzip of its transfer is damaged: {fault}") from fault
    if not inflater.eof or inflater.unused_data:
        raise Truncated(f"{url}: the gzip of its transfer was cut off, or is followed by something else")


def _announced_bytes(url: str, headers: HTTPHeaderDict) -> int | None:
    length = headers.get("content-length", "")
    if _is_chunked(headers) or not length:
        return None
    if not (length.isascii() and length.isdecimal()):
        raise Unavailable(f"{url}: {length[:40]!r} was announced, which is no length")
    return int(length)


def _is_chunked(headers: HTTPHeaderDict) -> bool:
    return "chunked" in headers.get("transfer-encoding", "").lower()


def _version(headers: HTTPHeaderDict) -> Version:
    etag = headers.get("etag", "")
    return Version(etag if etag and etag.isascii() else None, _date(headers.get("last-modified", "")))


def _retry_after_s(headers: HTTPHeaderDict) -> float | None:
    """How long the server asks to wait; a date is taken against the server's own clock."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return float(asked)
    until, now = _date(asked), _date(headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)


def _kind(fault: HTTPError) -> type[OpendataError]:
    """The class of the error that one of urllib3's stands for."""
    if _is_distrust(fault):
        return Untrusted
    told = _beneath(fault) if isinstance(fault, ProxyError) else fault
    is_late = isinstance(told, TimeoutFault) and not isinstance(told, NewConnectionError)
    return TimedOut if is_late else Unavailable


def _is_distrust(fault: BaseException | None) -> bool:
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _beneath(fault: Exception) -> Exception:
    """What one of urllib3's errors tells of, where that is another error: its last argument."""
    last = fault.args[-1] if fault.args else None
    return last if isinstance(last, Exception) else fault


def _words(fault: Exception) -> str:
    told = _beneath(fault)
    name, words = type(told).__name__, str(told).partition("\n")[0]
    return words if words.startswith(name) else f"{name}: {words}".removesuffix(": ")
