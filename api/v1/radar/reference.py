"""What OpenAPI is to say of the routes of `/v1` that FastAPI does not see: digest addresses, and events."""

from __future__ import annotations

from typing import Any

from api.paths import EVENTS
from api.replies.problems import documented
from api.v1.radar.files import DOCUMENTS, IMAGES

Json = dict[str, Any]

_NOT_MODIFIED = {"304": {"description": "The client has it already (`If-None-Match`)."}}
_STREAM = """id: 1795293730123
event: scans
data: {"site":"KPDT","level":2,"newest":"2026-11-21T20:42:10Z","keys":["KPDT20261121_204210_V06"]}

"""


def _file(name: str, summary: str, example: str, *types: str) -> Json:
    content = {media: {"schema": _schema(media)} for media in types}
    parameter = {
        "name": "file",
        "in": "path",
        "required": True,
        "description": "as `href` ends",
        "schema": {
            "type": "string",
            "pattern": r"^[A-Z0-9]{12}_[0-9]{6}_[A-Z0-9]{3}_[a-z0-9_]+\.[0-9a-f]{8}\.(png|geojson|json)$",
            "examples": [example],
        },
    }
    return _operation(
        name,
        summary,
        [parameter],
        {
            "200": {"description": "The whole; its content never changes.", "content": content},
            # No schema: a part of a JSON document is none.
            "206": {"description": "The range of it that was asked for."},
            **_NOT_MODIFIED,
        },
        (400, 404, 412, 416, 503),
    )


def _schema(media: str) -> Json:
    if media.startswith("image/"):
        return {"type": "string", "format": "binary", "contentMediaType": media}
    return {"type": "object"}


def _operation(
    name: str, summary: str, parameters: list[Json], answers: Json, refusals: tuple[int, ...]
) -> Json:
    told = {str(status): answer for status, answer in documented(*refusals).items()}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["radar"],
            "parameters": parameters,
            "responses": {**answers, **told},
        }
    }


PATHS: Json = {
    IMAGES: _file(
        "imageByDigest",
        "An image, named by its content",
        "KPDT20250409_123456_V06_reflectivity_idx0.0a1b2c3d.png",
        "image/png",
    ),
    DOCUMENTS: _file(
        "documentByDigest",
        "Vectors or a profile, named by their content",
        "KPDT20250409_153000_NST_storms.0a1b2c3d.geojson",
        "application/geo+json",
        "application/json",
    ),
    EVENTS: _operation(
        "events",
        "New scans, and the archive's progress, as they happen",
        [
            {
                "name": "site",
                "in": "query",
                "description": "Radars whose scans are told, with commas between them; without it, all.",
                "schema": {"type": "string", "examples": ["KPDT,KTLX"]},
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "The last event that was heard: what came since is told first, or `reset`.",
                "schema": {"type": "string", "examples": ["1795293730123"]},
            },
        ],
        {
            "200": {
                "description": "Server-sent events: `scans`, `archive`, `reset`.",
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM}},
            }
        },
        (400, 503),
    ),
}
"""The routes, by path."""
