"""What every answer carries: a request id, CORS, security headers; and HEAD, OPTIONS, the last resort.

CORS headers are sent whether or not the request has an `Origin`: an image that a browser cached for an
`<img>` must serve a later `fetch` as well.
"""

from __future__ import annotations

import logging
import random
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.replies.errors import ApiError
from api.replies.reply import Header, Reply

log = logging.getLogger(__name__)

EXPOSED = (
    "ETag, Content-Disposition, Content-Range, Link, Repr-Digest, Retry-After, X-Request-Id, X-Data-Age, "
    "X-Data-Stale"
)
"""Answer headers that scripts of other origins may read."""

METHODS = "GET, HEAD, POST, OPTIONS"
ASKED = "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Range, X-Request-Id"
PREFLIGHT_S = 7200
"""How long a browser may remember a preflight; Chromium takes no more."""

REQUEST_ID = "radar.request_id"
"""Where an ASGI scope has the request's id, for whoever answers with it."""

HEAD = "radar.head"
"""What an ASGI scope has where the request was HEAD: it is answered as GET, and the body left out."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def new_request_id() -> bytes:
    """An id for a request: a name, no secret, which spares a system call."""
    return b"%016x" % random.getrandbits(64)


def for_anyone(origins: tuple[str, ...]) -> bool:
    """Whether these allowed origins are all there are."""
    return "*" in origins


def always(origins: tuple[str, ...]) -> tuple[Header, ...]:
    """The headers of every answer, where these origins are allowed."""
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"timing-allow-origin", b"*"),
        (b"access-control-expose-headers", EXPOSED.encode("ascii")),
        (b"access-control-allow-origin", b"*") if for_anyone(origins) else (b"vary", b"Origin"),
    )


class Envelope:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode("latin-1") for origin in origins)
        self._anyone = for_anyone(origins)
        self._always = always(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer OPTIONS, and every other request by the application within."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sealed = _Sealed(send, self._headers(scope), bodiless=scope["method"] == "HEAD")
        scope = {**scope, REQUEST_ID: sealed.request_id}
        if scope["method"] == "OPTIONS":
            await _options().send(sealed)
            return
        try:
            await self._app(_as_get(scope) if scope["method"] == "HEAD" else scope, receive, sealed)
        except Exception:
            log.exception("request %s: %s %r failed", sealed.request_id, scope["method"], scope["path"])
            if sealed.started:
                raise
            await ApiError("internal error").reply().send(sealed)

    def _headers(self, scope: Scope) -> tuple[Header, ...]:
        request_id = origin = None
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
            elif name == b"origin":
                origin = value
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = new_request_id()
        headers: tuple[Header, ...] = ((b"x-request-id", request_id), *self._always)
        if origin is not None and not self._anyone and origin in self._origins:
            headers = (*headers, (b"access-control-allow-origin", origin))
        return headers


class _Sealed:
    """A `send` that adds headers to the answer, and leaves out its body where there is to be none."""

    def __init__(self, send: Send, headers: tuple[Header, ...], bodiless: bool) -> None:
        self._send = send
        self._headers = headers
        self._bodiless = bodiless
        self.started = False

    @property
    def request_id(self) -> str:
        """The id of the request, as logs and clients see it."""
        return self._headers[0][1].decode("ascii")

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message["headers"], *self._headers]
        elif self._bodiless and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)


def _as_get(scope: Scope) -> Scope:
    """The request as a GET of the whole: `Range` means something to GET alone (RFC 9110, section 14.2)."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
    return {**scope, "method": "GET", "headers": headers, HEAD: True}


def _options() -> Reply:
    return Reply(
        204,
        (
            (b"allow", METHODS.encode("ascii")),
            (b"access-control-allow-methods", METHODS.encode("ascii")),
            (b"access-control-allow-headers", ASKED.encode("ascii")),
            (b"access-control-max-age", b"%d" % PREFLIGHT_S),
        ),
    )
