"""From what is asked for to an answer: documents in the encoding that the client takes, bytes whole or in part."""

from __future__ import annotations

from collections.abc import Callable

from api.replies.conditional import Asked, byte_range, gzip_wanted, not_modified
from api.replies.reply import Body, Header, Reply, Still


def negotiated(
    body: Body, asked: Asked, headers: tuple[Header, ...], still: Callable[[bytes], Still] | None = None
) -> Reply:
    """A document in the encoding that the client takes, or 304; `still` makes the way to the bytes that are sent.

    Raises `PreconditionFailed`.
    """
    chosen = body.chosen(gzip_wanted(asked.get(b"accept-encoding", b"")))
    again = None if still is None else still(chosen.data)
    whole = Reply(200, (*headers, *chosen.headers), chosen.data, again)
    if not_modified(asked, chosen.etag):
        return Reply(304, (*headers, (b"etag", chosen.etag)), whole=whole)
    return whole


def partial(
    data: bytes,
    content_type: bytes,
    etag: bytes,
    headers: tuple[Header, ...],
    asked: Asked,
    still: Still | None = None,
) -> Reply:
    """Some bytes, or the part of them that is asked for; `still` tells of the whole. Raises `RangeNotSatisfiable`."""
    headers = (*headers, (b"content-type", content_type))
    part = byte_range(asked, etag, len(data))
    if part is None:
        return Reply(200, headers, data, still)
    place = b"bytes %d-%d/%d" % (part.start, part.stop - 1, len(data))
    return Reply(206, (*headers, (b"content-range", place)), data[part])
