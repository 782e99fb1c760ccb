"""The write routes: flags, and the nudge. Both need the write token."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api import models
from api.contract.routes import asked_site
from api.reference import openapi
from api.replies.errors import BadRequest, TooLarge, Unauthorized
from api.settings import ApiSettings
from api.state.flags import Flags
from api.state.watcher import Watcher

BEARER = HTTPBearer(scheme_name="writeToken", auto_error=False)
_REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": models.Error, "description": "No write token, or another."}
}
_FLAG_REQUEST: dict[str, Any] = {
    "parameters": [openapi.SITE],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FlagSet"}}},
    },
}


class TokenRequired:
    """A dependency that lets pass who bears the token; without a token set, no one."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def __call__(
        self, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> None:
        """Raise `Unauthorized` unless the credentials are the token."""
        given = credentials.credentials.encode("latin-1") if credentials else b""
        if self._token is None or not hmac.compare_digest(given, self._token.encode("utf-8")):
            raise Unauthorized("this needs the write token")


def router(settings: ApiSettings, flags: Flags, watcher: Watcher) -> APIRouter:
    """The write routes of one application."""
    routes = APIRouter(tags=["writing"], dependencies=[Depends(TokenRequired(settings.token))])

    @routes.post(
        "/flag/",
        operation_id="setFlags",
        summary="Set update flags",
        responses={
            **_REFUSED,
            400: {"model": models.Error, "description": "Not a set of flags."},
            413: {"model": models.Error, "description": "The body is over the limit."},
            503: {"model": models.Error, "description": "The store did not take it."},
        },
        openapi_extra=_FLAG_REQUEST,
    )
    async def set_flags(request: Request) -> models.FlagsUpdated:
        site = asked_site(request.scope["query_string"], settings.primary_site)
        await flags.merge(site, await read_body(request, settings.body_limit_bytes))
        return models.FlagsUpdated(message=f"flags of {site} updated")

    @routes.post(
        "/nudge/",
        operation_id="nudge",
        summary="Look at the store now",
        status_code=202,
        responses=_REFUSED,
    )
    async def nudge() -> models.Nudged:
        watcher.nudge()
        return models.Nudged()

    return routes


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, up to `limit` bytes. Raises `TooLarge`, and `BadRequest` where it is empty."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise TooLarge(f"the body is over {limit} bytes")
    if not body:
        raise BadRequest("the body is empty")
    return bytes(body)
