"""Content negotiation, preconditions and ranges (RFC 9110, sections 12.5.3, 13 and 14).

Pure functions of request headers. Modification dates are not compared: a list may change without a
newer scan, so only entity tags say whether it did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope

from api.replies.errors import PreconditionFailed, RangeNotSatisfiable

Asked = Mapping[bytes, bytes]
"""Request headers: lower-case names; repeated fields joined by commas."""

_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(rb"(\d*)-(\d*)")
_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def headers_of(scope: Scope) -> Asked:
    """The headers of an ASGI request."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


@lru_cache(maxsize=256)
def gzip_wanted(accept_encoding: bytes) -> bool:
    """Whether `Accept-Encoding` takes gzip, and does not like the plain bytes better."""
    qualities = dict(
        _coding(part) for part in accept_encoding.decode("latin-1").lower().split(",") if part.strip()
    )
    best = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return best > 0 and best >= qualities.get("identity", 0.0)


def _coding(part: str) -> tuple[str, float]:
    """One coding and its weight; a weight that is none counts as 0."""
    name, *parameters = (piece.strip() for piece in part.split(";"))
    if not parameters:
        return name, 1.0
    match = _QUALITY.fullmatch(parameters[0])
    return name, float(match[1]) if match else 0.0


def not_modified(asked: Asked, etag: bytes) -> bool:
    """Whether the client has these bytes already (`If-None-Match`, weak comparison).

    Raises `PreconditionFailed` where `If-Match` names other bytes (strong comparison).
    """
    match = asked.get(b"if-match")
    if match is not None and match.strip() != b"*" and etag not in _TAG.findall(match):
        raise PreconditionFailed("the content is another than If-Match names")
    none_match = asked.get(b"if-none-match")
    if none_match is None:
        return False
    return none_match.strip() == b"*" or etag in (tag.removeprefix(b"W/") for tag in _TAG.findall(none_match))


def byte_range(asked: Asked, etag: bytes, size: int) -> slice | None:
    """The one range that is asked for and holds, none where the whole is to be sent.

    A range that is malformed, of another unit, one of several, or for other content (`If-Range`; a date
    never matches) is ignored. Raises `RangeNotSatisfiable` where it begins past the end.
    """
    field = asked.get(b"range")
    if field is None or asked.get(b"if-range", etag).strip() != etag:
        return None
    unit, _, specs = field.partition(b"=")
    wanted = [spec for part in specs.split(b",") if (spec := part.strip(b" \t"))]
    match = _RANGE.fullmatch(wanted[0]) if unit.strip().lower() == b"bytes" and len(wanted) == 1 else None
    if match is None or wanted[0] == b"-":
        return None
    return _span(_number(match[1]), _number(match[2]), size)


def _span(first: int | None, last: int | None, size: int) -> slice | None:
    if first is None:
        if not last or not size:
            raise RangeNotSatisfiable(size)
        return slice(max(0, size - last), size)
    if last is not None and last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable(size)
    return slice(first, size if last is None else min(last + 1, size))


def _number(digits: bytes) -> int | None:
    """The number, cut to 20 digits: longer than any object, and no work for `int`."""
    return int(digits.lstrip(b"0")[:20] or b"0") if digits else None
