"""How requests to `/v1` fail: RFC 9457 problem documents, with the id of the request.

What belongs here: the document, and from any fault to it. What does not: the errors of the routes at the root.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

from api.models import Document
from api.replies.envelope import REQUEST_ID
from api.replies.errors import ApiError, BadRequest
from api.replies.reply import Header, Reply

log = logging.getLogger(__name__)

PROBLEM_JSON = b"application/problem+json"

_BASE = "/v1/"


class FieldProblem(Document):
    """What is wrong with one part of a request."""

    name: str
    location: str = Field(description="`query`, `path`, `header` or `body`")
    message: str


class Problem(Document):
    """Why a request was not answered (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str = Field(description="as in the header X-Request-Id, and in the server's log")
    errors: list[FieldProblem] | None = Field(default=None, description="the parts that are at fault")


class BadParameters(BadRequest):
    """Parts of the request are none of this route, or are not what they should be."""

    def __init__(self, *fields: FieldProblem) -> None:
        super().__init__("; ".join(f"{field.name}: {field.message}" for field in fields))
        self.fields = fields


def bad(name: str, message: str, location: str = "query") -> BadParameters:
    """The error of one parameter."""
    return BadParameters(FieldProblem(name=name, location=location, message=message))


class TooManyRequests(ApiError):  # noqa: N818 - named as HTTP names it
    """An address asked for more than its share; `wait_s` seconds later it may ask again."""

    status = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many requests; ask again in {wait_s} s")
        self._wait_s = wait_s

    def headers(self) -> tuple[Header, ...]:
        """When to ask again."""
        return ((b"retry-after", b"%d" % self._wait_s),)


class _FrameworkError(ApiError):
    """What the framework refused."""

    def __init__(self, fault: HTTPException) -> None:
        super().__init__(str(fault.detail))
        self.status = fault.status_code
        self._headers = dict(fault.headers or {})

    def headers(self) -> tuple[Header, ...]:
        """Those that the framework gave."""
        return tuple(
            (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in self._headers.items()
        )


def concerns(scope: Scope) -> bool:
    """Whether a request is to `/v1`, and fails as told here."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).startswith(_BASE)


def reply_to(fault: Exception, scope: Scope) -> Reply:
    """The answer to a request that failed; what nobody foresaw is logged, and its message kept from the client."""
    error = _translated(fault)
    request_id = str(scope.get(REQUEST_ID, ""))
    if error is None:
        log.error("request %s: %s %r failed", request_id, scope["method"], scope["path"], exc_info=fault)
        error = ApiError("internal error")
    problem = Problem(
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=str(error),
        instance=scope["path"],
        request_id=request_id,
        errors=list(error.fields) if isinstance(error, BadParameters) else None,
    )
    common = ((b"content-type", PROBLEM_JSON), (b"cache-control", b"no-store"))
    return Reply(
        error.status, (*common, *error.headers()), problem.model_dump_json(exclude_none=True).encode()
    )


def _translated(fault: Exception) -> ApiError | None:
    match fault:
        case ApiError():
            return fault
        case RequestValidationError():
            return BadParameters(*(_field(each) for each in fault.errors()))
        case HTTPException():
            return _FrameworkError(fault)
    return None


def _field(told: Any) -> FieldProblem:  # noqa: ANN401 - as pydantic has it
    location, *names = (str(part) for part in told["loc"])
    return FieldProblem(name=".".join(names) or location, location=location, message=told["msg"])


def _documented(description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": description, "content": {PROBLEM_JSON.decode(): {"schema": schema}}}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI is to say of failures with these statuses, and of all others."""
    return {
        **{status: _documented(_REASONS[status]) for status in statuses},
        "default": _documented("Any other failure."),
    }


_REASONS = {
    400: "A parameter is none of this route, or not what it should be.",
    404: "Nothing is there.",
    412: "`If-Match` names other content.",
    416: "The range begins past the end.",
    429: "This address asked for more than its share; see `Retry-After`.",
    503: "The archive does not answer and nothing was read before, or this needs more time than one request may take; "
    "see `Retry-After`.",
}
