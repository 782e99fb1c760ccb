"""The short way for what is asked for most: from the address to bytes, ahead of FastAPI's routing.

A short route is a fixed first segment, some variable ones and perhaps a closing slash. It answers GET
(`Envelope` turns HEAD into GET). Without its closing slash it redirects; other methods are refused
unless the route leaves them to FastAPI.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from api.conditional import Asked
from api.errors import ApiError, MethodNotAllowed, NotFound
from api.replies import Reply

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of a short route: its variable segments (decoded), query string and headers."""

    segments: tuple[str, ...]
    query: bytes
    headers: Asked


@dataclass(frozen=True, slots=True)
class ShortRoute:
    """A route: what answers it, how many variable segments it has, which methods FastAPI answers."""

    answer: Callable[[Ask], Awaitable[Reply]]
    variables: int = 0
    closing_slash: bool = True
    left_to_fastapi: frozenset[str] = frozenset()


class ShortPath:
    """ASGI middleware that answers short routes, by their first segment, and hands on the rest."""

    def __init__(self, app: ASGIApp, routes: Mapping[str, ShortRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a short route, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        before, *segments = path.split("/")
        route = self._routes.get(segments[0]) if segments and not before else None
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            reply = await _reply(route, tuple(segments[1:]), scope)
        except ApiError as error:
            reply = error.reply()
        if reply is None:
            await self._app(scope, receive, send)
        else:
            await reply.send(send)


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
    return await route.answer(Ask(segments, scope["query_string"], _headers(scope)))


def _with_slash(scope: Scope) -> Reply:
    """A redirect to the same address with a slash, relative so that it holds behind any proxy prefix."""
    last = scope["path"].rpartition("/")[2]
    if not _PLAIN.fullmatch(last):
        raise NotFound("no such address")
    query = scope["query_string"]
    location = last.encode("ascii") + b"/" + (b"?" + query if query else b"")
    return Reply(308, ((b"location", location),))


def _headers(scope: Scope) -> Asked:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers
