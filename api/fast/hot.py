"""What was asked for before: ahead of every other middleware, the answer as it was given then.

An image takes the network longer than us only where nothing is decided about it again. So an answer that has not
changed is kept with the way to tell so (`Reply.still`), and goes out whenever a request asks for no more than its
address; a document's, in the same coding, and for a second (`api.state.ages`). All other requests are handed on.

`Hot` answers ASGI requests. `Hot.answer` answers requests as they are on the wire, for a server that asks it before it
reads them (`api.fast.direct`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from starlette.types import ASGIApp, Receive, Scope, Send

from api.fast import heads
from api.memory.cache import BoundedCache
from api.memory.disk_files import Content
from api.replies.envelope import always, for_anyone, new_request_id
from api.replies.reply import VARIES, Header, Reply, Still

Count = Callable[[str, str, int, int, float], None]
"""Takes an answer into account: route, method, status, bytes, seconds."""

KEPT_BYTES = 32_000_000
"""Bound of what is remembered, with the documents; the bytes of images are those of `Pictures`, under its bound."""

ENTRY_BYTES = 2_500
"""What an answer weighs beside its address and its document: two heads, most of all."""

DECIDING = frozenset((b"range", b"if-range", b"if-match", b"if-none-match", b"x-request-id"))
"""Request headers on which an answer depends; but for an `If-None-Match` of just the tag that it has."""

ORIGIN = b"origin"
"""The header on which it depends where not all origins are allowed."""

CODING = b"accept-encoding"
"""The header on which a document's answer depends, which says so."""

_OF_A_BODY = frozenset((b"content-type", b"content-encoding"))

Address = tuple[bytes, tuple[bytes, ...] | None]
"""What is asked for as it is on the wire, and of a document the codings that are taken."""

_NOTHING = Content(b"")

_STATUS = {200: b"HTTP/1.1 200 OK\r\n", 304: b"HTTP/1.1 304 Not Modified\r\n"}


@dataclass(frozen=True, slots=True)
class Head:
    """A status and headers, but for the date and the request id; `lines` are the headers as they are on the wire."""

    status: int
    headers: tuple[Header, ...]
    lines: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer but for its body, the same for who has the body, and the route that gave it."""

    etag: bytes
    whole: Head
    unchanged: Head
    still: Still
    route: str


class HotAnswers:
    """Answers by their addresses, as they were on the wire."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._always = always(origins)
        self._matters = DECIDING | {CODING} | (frozenset() if for_anyone(origins) else {ORIGIN})
        self._fields = heads.Fields(self._matters)
        self._kept: BoundedCache[Address, Kept] = BoundedCache(KEPT_BYTES)

    def learn(self, scope: Scope, reply: Reply, route: str) -> None:
        """Keep the answer to a request, if it is one that holds on; of a 304, the whole one."""
        reply = reply.whole or reply
        target, is_document = _target(scope), VARIES in reply.headers
        if reply.still is None or not target or (scope["query_string"] and not is_document):
            return
        address = target, _codings(scope["headers"]) if is_document else None
        (etag,) = (value for name, value in reply.headers if name == b"etag")
        known = self._kept.get(address)
        if known is not None and known.etag == etag and known.still() is not None:
            return
        unchanged = [header for header in reply.headers if header[0] not in _OF_A_BODY]
        whole = self._head(200, reply.whole_headers)
        kept = Kept(etag, whole, self._head(304, unchanged), reply.still, route)
        weight = ENTRY_BYTES + len(target) + sum(map(len, address[1] or ()))
        weight += len(reply.body) if is_document else 0
        self._kept.put(address, kept, weight)

    def find(self, scope: Scope) -> tuple[Kept, bool] | None:
        """What is kept for a request that asks for no more than its address, and whether the client has it already."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        return self._found(_target(scope), [each for each in scope["headers"] if each[0] in self._matters])

    def find_head(self, request: bytes) -> tuple[Kept, bool] | None:
        """The same for a request as it is on the wire; none also for anything but the whole head of a plain GET."""
        target, rest = heads.cut(request)
        fields = self._fields.of(target, rest)
        return None if fields is None else self._found(target, fields)

    def _found(self, target: bytes, fields: Sequence[Header]) -> tuple[Kept, bool] | None:
        kept = self._kept.get((target, None)) or self._kept.get((target, _codings(fields)))
        if kept is None:
            return None
        known = False
        for name, value in fields:
            if name == CODING:
                continue
            if name != b"if-none-match" or value != kept.etag:
                return None
            known = True
        return kept, known

    def _head(self, status: int, headers: Iterable[Header]) -> Head:
        own = (*headers, *self._always)
        return Head(status, own, b"".join(b"%b: %b\r\n" % header for header in own) + b"\r\n")


def _target(scope: Scope) -> bytes:
    """What a request asks for, as it is on the wire; empty where that is not known."""
    path: bytes = scope.get("raw_path") or b""
    query: bytes = scope["query_string"]
    return path + b"?" + query if path and query else path


def _codings(headers: Iterable[Header]) -> tuple[bytes, ...]:
    return tuple(value for name, value in headers if name == CODING)


class Hot:
    """ASGI middleware that gives kept answers, with the headers of `Envelope`, and counts them."""

    def __init__(self, app: ASGIApp, answers: HotAnswers, count: Count) -> None:
        self._app = app
        self._answers = answers
        self._count = count
        self._second = 0
        self._date = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a kept answer that still holds, or hand the request on."""
        began = time.perf_counter()
        found = self._given(self._answers.find(scope))
        if found is None:
            await self._app(scope, receive, send)
            return
        kept, head, (body, _) = found
        headers = [*head.headers, (b"x-request-id", new_request_id())]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._count(kept.route, "GET", head.status, len(body), time.perf_counter() - began)

    def answer(self, request: bytes) -> tuple[bytes, Content] | None:
        """Head and content of a kept answer to a request as it is on the wire; none where another has to read it."""
        began = time.perf_counter()
        found = self._given(self._answers.find_head(request))
        if found is None:
            return None
        kept, head, content = found
        first = b"%bdate: %b\r\nx-request-id: %b\r\n%b" % (
            *(_STATUS[head.status], self._now(), new_request_id()),
            head.lines,
        )
        self._count(kept.route, "GET", head.status, len(content.data), time.perf_counter() - began)
        return first, content

    @staticmethod
    def _given(found: tuple[Kept, bool] | None) -> tuple[Kept, Head, Content] | None:
        """What to send of what was found, none where it holds no more."""
        if found is None:
            return None
        kept, known = found
        content = kept.still()
        if content is None:
            return None
        return (kept, kept.unchanged, _NOTHING) if known else (kept, kept.whole, content)

    def _now(self) -> bytes:
        """The time as `Date` has it, made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode("ascii")
        return self._date
