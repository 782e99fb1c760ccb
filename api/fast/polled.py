"""Documents that clients ask for again and again: ahead of FastAPI, while what they were made of stands.

To check a query and to find a route takes FastAPI longer than everything else about such an answer. So the address
of an answer is kept with the way to give it again; headers that change with time are made anew each time.

What belongs here: addresses and whether their answers hold. What does not: what an answer is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from api.fast.hot import HotAnswers
from api.fast.shortpath import ROUTE
from api.memory.cache import BoundedCache
from api.replies import problems
from api.replies.conditional import Asked, headers_of
from api.replies.errors import ApiError
from api.replies.reply import Reply

KEPT_BYTES = 32_000_000
"""Bound of what is kept, with the documents that it holds; most of those are held elsewhere too."""

ENTRY_BYTES = 2_000
"""What an entry weighs beside its document and its query: clients can invent addresses without end."""

Holds = Callable[[], bool]
"""Whether an answer is still the one to give."""

Address = tuple[str, str, bytes]
"""A proxy's prefix, the path and the query: what an answer depends on beside the request's headers."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document's answer to request headers, whether that is still the one to give, and what it weighs."""

    answer: Callable[[Asked], Reply]
    holds: Holds
    weight: int


class Polled:
    """Documents by their addresses."""

    def __init__(self) -> None:
        self.cache: BoundedCache[Address, tuple[str, Document]] = BoundedCache(KEPT_BYTES)

    def keep(self, scope: Scope, document: Document) -> None:
        """Keep the document that a route of FastAPI gives to a request."""
        weight = ENTRY_BYTES + len(scope["query_string"]) + document.weight
        self.cache.put(_address(scope), (scope["route"].path, document), weight)

    def find(self, scope: Scope) -> tuple[str, Document] | None:
        """The route and the document that a request would get, none where that is not known."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        kept = self.cache.get(_address(scope))
        return kept if kept is not None and kept[1].holds() else None


class PolledDocuments:
    """ASGI middleware that gives what `polled` keeps, and hands on the rest."""

    def __init__(self, app: ASGIApp, polled: Polled, hot: HotAnswers) -> None:
        self._app = app
        self._polled = polled
        self._hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give a document that still holds, or hand the request on."""
        found = self._polled.find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE], document = found
        try:
            reply = document.answer(headers_of(scope))
        except ApiError as error:
            reply = problems.reply_to(error, scope)
        self._hot.learn(scope, reply, scope[ROUTE])
        await reply.send(send)


def _address(scope: Scope) -> Address:
    return scope.get("root_path", ""), scope["path"], scope["query_string"]
