"""The short way for what is asked for most: from the address to bytes, ahead of FastAPI's routing.

A short route is one or two fixed segments, some variable ones and perhaps a closing slash. It answers GET
(`Envelope` turns HEAD into GET). Without its closing slash it redirects; other methods are refused
unless the route leaves them to FastAPI.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from api.fast.hot import HotAnswers
from api.replies import problems
from api.replies.conditional import Asked, headers_of
from api.replies.errors import ApiError, MethodNotAllowed, NotFound
from api.replies.reply import Reply

ROUTE = "radar.route"
"""Where an ASGI scope has the template of the short route that answers it."""

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a short route: its variable segments (decoded), query string and headers."""

    segments: tuple[str, ...]
    query: bytes
    headers: Asked


@dataclass(frozen=True, slots=True)
class ShortRoute:
    """A route: what answers it, how its addresses look, which methods FastAPI answers."""

    answer: Callable[[Ask], Awaitable[Reply]]
    template: str
    left_to_fastapi: frozenset[str] = frozenset()
    variables: int = field(init=False)
    closing_slash: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", self.template.count("{"))
        object.__setattr__(self, "closing_slash", self.template.endswith("/"))


class ShortPath:
    """ASGI middleware that answers short routes, by the fixed part of their address, and hands on the rest."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, ShortRoute], hot: HotAnswers) -> None:
        self._app = app
        self._routes = routes
        self._hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a short route, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        route, segments = self._route(path)
        if route is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = route.template
        try:
            reply = await _reply(route, segments, scope)
        except ApiError as error:
            reply = problems.reply_to(error, scope) if problems.concerns(scope) else error.reply()
        if reply is None:
            await self._app(scope, receive, send)
            return
        self._hot.learn(scope, reply, route.template)
        await reply.send(send)

    def _route(self, path: str) -> tuple[ShortRoute | None, tuple[str, ...]]:
        """The route of an address and its variable segments, none where it is FastAPI's."""
        before, *segments = path.split("/")
        if before or not segments:
            return None, ()
        route = self._routes.get(segments[0])
        if route is not None:
            return route, tuple(segments[1:])
        return self._routes.get("/".join(segments[:2])), tuple(segments[2:])


async def _reply(route: ShortRoute, segments: tuple[str, ...], scope: Scope) -> Reply | None:
    """The answer of a route, none where it is FastAPI's to give."""
    if b"%2f" in scope.get("raw_path", b"").lower():
        raise NotFound("no such address")
    if route.closing_slash:
        if len(segments) == route.variables:
            return _with_slash(scope)
        if not segments or segments[-1]:
            raise NotFound("no such address")
        segments = segments[:-1]
    if len(segments) != route.variables:
        raise NotFound("no such address")
    method = scope["method"]
    if method in route.left_to_fastapi:
        return None
    if method != "GET":
        raise MethodNotAllowed(", ".join(["GET", "HEAD", "OPTIONS", *sorted(route.left_to_fastapi)]))
    return await route.answer(Ask(segments, scope["query_string"], headers_of(scope)))


def _with_slash(scope: Scope) -> Reply:
    """A redirect to the same address with a slash, relative so that it holds behind any proxy prefix."""
    last = scope["path"].rpartition("/")[2]
    if not _PLAIN.fullmatch(last):
        raise NotFound("no such address")
    query = scope["query_string"]
    location = last.encode("ascii") + b"/" + (b"?" + query if query else b"")
    return Reply(308, ((b"location", location),))
