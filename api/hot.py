"""Images that were asked for before: ahead of every other middleware, the answer as it was given then.

An image takes the network longer than us only where nothing is decided about it again. So an answer that has not
changed is kept with the way to tell so (`Reply.still`), and goes out whenever a request asks for no more than its
address. All other requests are handed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from api.cache import BoundedCache
from api.envelope import Envelope, new_request_id
from api.replies import Header, Reply, Still

Count = Callable[[str, str, int, int, float], None]
"""Takes an answer into account: route, method, status, bytes, seconds."""

ANSWERS = 8_192
"""How many addresses are remembered; their bytes are those of `Pictures`, under its bound."""

DECIDING = frozenset((b"range", b"if-range", b"if-match", b"if-none-match", b"x-request-id", b"origin"))
"""Request headers on which an image's answer depends; but for an `If-None-Match` of just the tag that it has."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer but for its body and request id, the same for who has the body, and the route that gave it."""

    etag: bytes
    whole: tuple[Header, ...]
    unchanged: tuple[Header, ...]
    still: Still
    route: str


class HotAnswers:
    """Answers by their addresses, as they were on the wire."""

    def __init__(self) -> None:
        self._kept: BoundedCache[bytes, Kept] = BoundedCache(ANSWERS)

    def learn(self, scope: Scope, reply: Reply, route: str) -> None:
        """Keep the answer to a request, if it is one that holds on."""
        address = scope.get("raw_path")
        if reply.still is None or not address or scope["query_string"]:
            return
        (etag,) = (value for name, value in reply.headers if name == b"etag")
        unchanged = tuple(header for header in reply.headers if header[0] != b"content-type")
        self._kept.put(address, Kept(etag, reply.whole_headers, unchanged, reply.still, route))

    def find(self, scope: Scope) -> tuple[Kept, bool] | None:
        """What is kept for a request that asks for no more than its address, and whether the client has it already."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            return None
        kept = self._kept.get(scope.get("raw_path") or b"")
        if kept is None:
            return None
        known = False
        for name, value in scope["headers"]:
            if name == b"if-none-match" and value == kept.etag:
                known = True
            elif name in DECIDING:
                return None
        return kept, known


class Hot:
    """ASGI middleware that gives kept answers, with the headers of `Envelope`, and counts them."""

    def __init__(self, envelope: Envelope, answers: HotAnswers, count: Count) -> None:
        self._app: ASGIApp = envelope
        self._always = envelope.always
        self._answers = answers
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a kept answer that still holds, or hand the request on."""
        began = time.perf_counter()
        found = self._answers.find(scope)
        body = None if found is None else found[0].still()
        if found is None or body is None:
            await self._app(scope, receive, send)
            return
        kept, known = found
        status, own, body = (304, kept.unchanged, b"") if known else (200, kept.whole, body)
        headers = [*own, (b"x-request-id", new_request_id()), *self._always]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._count(kept.route, "GET", status, len(body), time.perf_counter() - began)
