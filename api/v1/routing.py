"""Routes of `/v1`: query parameters are those that a route names, once each, and every fault is a problem document."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.replies.errors import NotFound
from api.replies.problems import BadParameters, FieldProblem, reply_to
from api.replies.reply import Reply

FAULTS_TOLD = 20
"""Of wrong query parameters, of which a request can have thousands."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Route(APIRoute):
    """A route of `/v1`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, between a check of the query and the translation of faults."""
        handle = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))

        async def answer(request: Request) -> Response:
            try:
                _check_path(request.scope["path"])
                _check_query(request, known)
                return await handle(request)
            except Exception as fault:  # noqa: BLE001 - the last resort: logged and answered
                return as_response(reply_to(fault, request.scope))

        return answer


def as_response(reply: Reply) -> Response:
    """A whole answer in the framework's form."""
    response = Response(status_code=reply.status)
    response.body = reply.body
    response.raw_headers = list(reply.headers)
    if reply.status != 304:
        response.raw_headers.append((b"content-length", b"%d" % len(reply.body)))
    return response


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query_names(each)


def _check_path(path: str) -> None:
    """Raise `NotFound` for control characters: the framework's patterns overlook a line end behind the path."""
    if _CONTROL.search(path):
        raise NotFound("no such address")


def _check_query(request: Request, known: frozenset[str]) -> None:
    """Raise `BadParameters` for names that the route has not, and for those given more than once."""
    names = [name for name, _ in request.query_params.multi_items()]
    told = ", ".join(sorted(known)) or "none"
    faults = {name: f"unknown; there are: {told}" for name in names if name not in known}
    faults |= {name: "given more than once" for name in known if names.count(name) > 1}
    if faults:
        fields = (
            FieldProblem(name=name[:80], location="query", message=message)
            for name, message in islice(faults.items(), FAULTS_TOLD)
        )
        raise BadParameters(*fields)
