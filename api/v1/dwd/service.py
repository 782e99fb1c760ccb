"""What the routes below `/v1/dwd` have in common: what they ask, how they answer, and what OpenAPI says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel

from api.replies.problems import documented
from api.replies.reply import Header
from api.v1 import paging
from api.v1.documents import send
from api.v1.dwd import models
from api.v1.dwd.archive import Archive
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.fields.values import FieldReader
from api.v1.dwd.forecasts import Forecasts

PREFIX = "/v1/dwd"

LICENCE: Header = (b"link", f'<{models.LICENCE}>; rel="license"'.encode("ascii"))
SOON: Header = (b"cache-control", b"public, max-age=10, stale-while-revalidate=60")
MINUTES: Header = (b"cache-control", b"public, max-age=60, stale-while-revalidate=600")
FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")

Cursor = Annotated[
    str | None,
    Query(
        max_length=1024,
        description="`next_cursor` of the page before",
        examples=[paging.cursor("runs", "2026112103", "icon-d2")],
    ),
]

_STALE = {
    "X-Data-Stale": {
        "schema": {"type": "string", "enum": ["true", "false"]},
        "description": "Whether the archive did not answer, so that this is what was read before.",
    }
}


@dataclass(frozen=True, slots=True)
class Dwd:
    """What the routes ask."""

    archive: Archive
    downloads: Downloads
    forecasts: Forecasts
    fields: FieldReader
    clock: Callable[[], datetime]

    @classmethod
    def of(cls, archive: Archive, clock: Callable[[], datetime]) -> Dwd:
        """Everything on one archive."""
        downloads = Downloads(archive)
        return cls(archive, downloads, Forecasts(archive, downloads), FieldReader(archive, downloads), clock)

    def close(self) -> None:
        """End the decoder and the threads."""
        self.fields.close()
        self.downloads.close()
        self.archive.link.flights.close()

    @property
    def stale(self) -> Header:
        """Whether the archive did not answer when it was last asked."""
        return (b"x-data-stale", b"true" if self.archive.link.away else b"false")

    def send(
        self, request: Request, document: BaseModel, holds: Header, next_cursor: str | None = None
    ) -> Response:
        """A document of DWD's data, or 304."""
        return send(request, document, (holds, LICENCE, self.stale), next_cursor)


def base(request: Request) -> str:
    """What addresses in documents begin with, behind a proxy's prefix too."""
    return f"{request.scope.get('root_path', '')}{PREFIX}"


def described(name: str, summary: str, model: type[BaseModel], *refusals: int) -> dict[str, Any]:
    """What OpenAPI is to say of a document's route."""
    return {
        "operation_id": name,
        "summary": summary,
        "response_model": model,
        "responses": {
            200: {"headers": _STALE},
            304: {"description": "The client has it already (`If-None-Match`)."},
            **documented(*refusals, 412, 503),
        },
    }
