"""What an HTTP answer means: a file and its version, or an error of the family.

Status and header semantics are those of RFC 9110; message lengths those of RFC 9112, section 6.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import BinaryIO

import httpx

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
    Untrusted,
)
from dwd_assets.opendata.messages import Received, Request, Seen, Version

_PAGE_BYTES = 1 << 16

_OWN_FAULTS = frozenset({408, 500, 502, 504})
"""Statuses by which a server, or a proxy before it, says that trying again may help."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what httpx raises as errors of the family."""
    try:
        yield
    except httpx.TimeoutException as fault:
        raise TimedOut(f"{url}: {_words(fault)}") from fault
    except httpx.TransportError as fault:
        if _is_distrust(fault):
            raise Untrusted(f"{url}: {_words(fault)}") from fault
        raise Unavailable(f"{url}: {_words(fault)}") from fault


def pieces(answer: httpx.Response, url: str, total_s: float, clock: Callable[[], float]) -> Iterator[bytes]:
    """The body as it comes, until `total_s` from now. Raises `TimedOut`, `Truncated`."""
    end = clock() + total_s
    try:
        for piece in answer.iter_raw():
            yield piece
            if clock() > end:
                raise TimedOut(f"{url}: not all of it came within {total_s:g} s")
    except httpx.RemoteProtocolError as fault:
        raise Truncated(f"{url}: {_words(fault)}") from fault


def drain(body: Iterator[bytes]) -> None:
    """Read the page that comes with an error, if it is a short one, so that its connection can be kept."""
    size = 0
    with suppress(OpendataError, httpx.TransportError):  # the status tells more
        for piece in body:
            size += len(piece)
            if size > _PAGE_BYTES:
                return


def receive(
    request: Request, url: str, answer: httpx.Response, body: Iterator[bytes], sink: BinaryIO
) -> Received:
    """Take in a file, checked against what was announced, what was listed, and the limit.

    Raises `Encoded`, `TooLarge`, `NotAsListed` (before the body is read, where the announced length tells), and
    `Truncated`. That as many bytes come as were announced is seen to by h11 (see `pieces`).
    """
    _check_offer(request, url, answer.headers)
    digest = hashlib.sha256()
    size = 0
    for piece in body:
        size += len(piece)
        if size > request.limit_bytes:
            raise TooLarge(f"{url}: more than the limit of {request.limit_bytes} bytes")
        digest.update(piece)
        sink.write(piece)
    if request.size is not None and size != request.size:
        raise NotAsListed(f"{url}: {size} bytes came where {request.size} were listed")
    return Received(request.path, size, digest.hexdigest(), _version(answer.headers))


def seen(path: str, answer: httpx.Response) -> Seen:
    """What the head of an answer tells of a file."""
    return Seen(path, _announced_bytes(answer.headers), _version(answer.headers))


def refusal(answer: httpx.Response, url: str) -> OpendataError:
    """The error that a status other than 200 stands for."""
    status = answer.status_code
    told = f"{url}: the server answered {status} {answer.reason_phrase}".rstrip()
    if status in {404, 410, 412}:  # 412: it changed just now
        return NotYet(told)
    if status in {429, 503}:
        return Busy(told, _retry_after_s(answer.headers))
    return Unavailable(told) if status in _OWN_FAULTS else Refused(told)


def _check_offer(request: Request, url: str, headers: httpx.Headers) -> None:
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Encoded(f"{url}: came encoded as {encoding[:40]!r}, which was not asked for")
    announced = _announced_bytes(headers)
    if announced is None:
        if request.size is None and not _is_chunked(headers):
            raise Truncated(f"{url}: no length was announced, so nobody can tell whether all of it came")
        return
    if announced > request.limit_bytes:
        raise TooLarge(f"{url}: {announced} bytes, above the limit of {request.limit_bytes}")
    if request.size is not None and announced != request.size:
        raise NotAsListed(f"{url}: {announced} bytes are offered where {request.size} were listed")


def _announced_bytes(headers: httpx.Headers) -> int | None:
    length = headers.get("content-length", "")
    return None if _is_chunked(headers) or not length else int(length)


def _is_chunked(headers: httpx.Headers) -> bool:
    return "chunked" in headers.get("transfer-encoding", "").lower()


def _version(headers: httpx.Headers) -> Version:
    etag = headers.get("etag", "")
    return Version(etag if etag and etag.isascii() else None, _date(headers.get("last-modified", "")))


def _retry_after_s(headers: httpx.Headers) -> float | None:
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


def _is_distrust(fault: BaseException | None) -> bool:
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _words(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}".removesuffix(": ")
