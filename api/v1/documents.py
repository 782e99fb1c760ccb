"""Sending documents of `/v1`: strong entity tag, 304, gzip, how long they hold, and the licence of what is in them."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel

from api.replies.answers import negotiated
from api.replies.conditional import headers_of
from api.replies.reply import VARIES, Body, Header
from api.v1.routing import as_response


def send(
    request: Request,
    document: BaseModel,
    headers: tuple[Header, ...],
    next_cursor: str | None = None,
) -> Response:
    """A document, or 304; with the address of the next page, relative so that it holds behind any proxy."""
    body = Body.json(msgspec.Raw(document.model_dump_json().encode()))
    further = () if next_cursor is None else ((b"link", _next(request, next_cursor)),)
    return as_response(negotiated(body, headers_of(request.scope), (*headers, *further, VARIES)))


def _next(request: Request, next_cursor: str) -> bytes:
    query = {**request.query_params, "cursor": next_cursor}
    return f'<?{urlencode(query)}>; rel="next"'.encode("ascii")
