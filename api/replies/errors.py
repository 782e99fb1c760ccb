"""What can go wrong in a request, and how each is answered: small JSON bodies `{"error": "..."}`.

Errors are never stored by caches: the existing frontend takes a cached error body for an image.
"""

from __future__ import annotations

import msgspec

from api.replies.reply import JSON, Header, Reply

RETRY_AFTER_S = 2
"""What `Retry-After` says when the store is away: about one look at the head index."""


class ApiError(Exception):
    """A request that cannot be answered as asked; the message is shown to the client."""

    status = 500

    def headers(self) -> tuple[Header, ...]:
        """Further headers of the answer."""
        return ()

    def body(self) -> bytes:
        """The JSON body of the answer."""
        return msgspec.json.encode({"error": str(self)})

    def reply(self) -> Reply:
        """The whole answer."""
        common = ((b"content-type", JSON), (b"cache-control", b"no-store"))
        return Reply(self.status, (*common, *self.headers()), self.body())


class BadRequest(ApiError):  # noqa: N818 - named as HTTP names them
    """The address or the body is not what this route reads."""

    status = 400


class Unauthorized(ApiError):  # noqa: N818
    """A write without the right token."""

    status = 401

    def headers(self) -> tuple[Header, ...]:
        """The challenge of RFC 6750."""
        return ((b"www-authenticate", b'Bearer realm="write"'),)


class NotFound(ApiError):  # noqa: N818
    """Nothing is there."""

    status = 404


class MethodNotAllowed(ApiError):  # noqa: N818
    """The route knows no such method."""

    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__("method not allowed")
        self._allowed = allowed

    def headers(self) -> tuple[Header, ...]:
        """The methods that the route knows."""
        return ((b"allow", self._allowed.encode("ascii")),)


class PreconditionFailed(ApiError):  # noqa: N818
    """`If-Match` names other content than there is."""

    status = 412


class TooLarge(ApiError):  # noqa: N818
    """The request body is over the limit."""

    status = 413


class RangeNotSatisfiable(ApiError):  # noqa: N818
    """`Range` begins past the end of a representation of `size` bytes."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(f"the range begins past the end: {size} bytes")
        self._size = size

    def headers(self) -> tuple[Header, ...]:
        """The length there is."""
        return ((b"content-range", b"bytes */%d" % self._size), (b"accept-ranges", b"bytes"))


class Unavailable(ApiError):  # noqa: N818
    """The store does not answer, or what it gave is not what its snapshot says."""

    status = 503

    def headers(self) -> tuple[Header, ...]:
        """When to ask again."""
        return ((b"retry-after", b"%d" % RETRY_AFTER_S),)


class NoState(Unavailable):
    """Nothing was ever read of what is asked for: `{}`, the one body that the frontend's poll survives."""

    def __init__(self) -> None:
        super().__init__("the store does not answer, and nothing was read before; try again")

    def body(self) -> bytes:
        """An empty object."""
        return b"{}"
