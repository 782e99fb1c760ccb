"""The short routes in OpenAPI: FastAPI does not see them, so they are described here.

Every GET route answers HEAD as well, without a body.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import models
from api.replies.problems import Problem
from api.v1.radar import reference as radar

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"

SITE: Json = {
    "name": "site",
    "in": "query",
    "description": "A radar site; without it, the primary site.",
    "schema": {"type": "string", "pattern": "^[A-Z][A-Z0-9]{3}$", "examples": ["KPDT"]},
}
_DAY: Json = {
    "name": "day",
    "in": "query",
    "description": "A UTC day, whole; without it, the live window.",
    "schema": {"type": "string", "format": "date", "examples": ["2025-04-09"]},
}
_LEVEL: Json = {
    "name": "level",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "enum": [2, 3]},
}
_IMAGE: Json = {
    "name": "image",
    "in": "path",
    "required": True,
    "description": "`<key>_<product>_idx<n>`, `n` below the scan's `sweeps`.",
    "schema": {
        "type": "string",
        "pattern": "^[A-Z][A-Z0-9]{3}[0-9]{8}_[0-9]{6}_[A-Z0-9]{3}_[a-z][a-z0-9_]*_idx[0-9]{1,3}$",
        "examples": ["KPDT20250409_123456_V06_reflectivity_idx0"],
    },
}
_PRODUCT: Json = {
    "name": "product",
    "in": "path",
    "required": True,
    "schema": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]{1,40}$",
        "examples": ["reflectivity", "hydrometeor", "precipitation"],
    },
}

_REASONS = {
    304: "The client has it already (`If-None-Match`).",
    400: "The address is none of this route.",
    404: "Nothing is there.",
    412: "`If-Match` names other content.",
    416: "The range begins past the end.",
    503: "The store does not answer, and nothing was read before.",
}


def _content(model: type[BaseModel]) -> Json:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _operation(name: str, summary: str, parameters: list[Json], answers: Json, *refusals: int) -> Json:
    """An operation: `answers` by status, and refusals with an `Error` body."""
    responses: Json = {**answers, "304": {"description": _REASONS[304]}}
    for status in refusals:
        responses[str(status)] = {"description": _REASONS[status], "content": _content(models.Error)}
    responses["503"] = {
        "description": _REASONS[503],
        "content": {"application/json": {"schema": {"type": "object"}}},
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    }
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["one site"],
            "parameters": parameters,
            "responses": dict(sorted(responses.items())),
        }
    }


def _document(model: type[BaseModel]) -> Json:
    first_line = (model.__doc__ or "").partition("\n")[0]
    return {"200": {"description": first_line, "content": _content(model)}}


def _png(description: str) -> Json:
    schema = {"type": "string", "format": "binary", "contentMediaType": "image/png"}
    return {"description": description, "content": {"image/png": {"schema": schema}}}


PATHS: Json = {
    "/list-all/": _operation(
        "listAll", "The scans of every product", [SITE, _DAY], _document(models.AllLists), 400, 412
    ),
    "/list/{level}/{product}/": _operation(
        "listProduct",
        "The scans of one product",
        [_LEVEL, _PRODUCT, SITE, _DAY],
        _document(models.ScanList),
        400,
        412,
    ),
    "/code/": _operation(
        "productCodes", "The menus of product codes", [SITE, _DAY], _document(models.Options), 400, 404, 412
    ),
    "/flag/": _operation("readFlags", "The update flags", [SITE], _document(models.FlagSet), 400, 412),
    "/data/{level}/{image}/png": _operation(
        "image",
        "An image, in Web Mercator between the corners of its metadata",
        [_LEVEL, _IMAGE],
        {"200": _png("The image."), "206": _png("The range of it that was asked for.")},
        400,
        404,
        412,
        416,
    ),
    "/data/{level}/{image}/json": _operation(
        "metadata", "An image's metadata", [_LEVEL, _IMAGE], _document(models.SweepMetadata), 400, 404, 412
    ),
    **radar.PATHS,
}

_MODELS = (
    models.AllLists,
    models.ScanList,
    models.Options,
    models.FlagSet,
    models.SweepMetadata,
    models.Error,
    Problem,
)


def describe(app: FastAPI) -> None:
    """Let the application's OpenAPI document hold the short routes beside its own."""

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _merged(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's way to extend the document


def _merged(app: FastAPI) -> Json:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(model, "serialization") for model in _MODELS], ref_template=_REFERENCE
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, schema in definitions["$defs"].items():
        schemas.setdefault(name, schema)
    for name, example in _examples().items():
        schemas[name]["examples"] = [example]
    own = document["paths"]
    document["paths"] = {
        path: {**PATHS.get(path, {}), **own.get(path, {})}
        for path in [*PATHS, *(p for p in own if p not in PATHS)]
    }
    return document


def _examples() -> dict[str, Json]:
    """An answer of each model, as a server gives it on simulated data, with lists cut short."""
    examples: dict[str, Json] = json.loads(
        files(__package__).joinpath("examples.json").read_text(encoding="utf-8")
    )
    return examples
