"""Cursors: where the next page begins, opaque to clients.

A cursor names the last thing of a page and not a number of things, so that pages neither skip nor repeat when new
things arrive.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from api.replies.problems import bad

_LONGEST = 1024


def cursor(kind: str, *place: str | float) -> str:
    """The cursor behind a place of a list of this kind."""
    return base64.urlsafe_b64encode(msgspec.json.encode([kind, *place])).rstrip(b"=").decode("ascii")


def place(kind: str, text: str | None, *types: type) -> tuple[str | float, ...] | None:
    """The place that `cursor` named, of these types; none without a cursor. Raises `BadParameters`."""
    if text is None:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = msgspec.json.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True), type=list[str | float]
        )
    except (ValueError, binascii.Error, msgspec.DecodeError) as fault:
        raise bad("cursor", "not a cursor that was given out") from fault
    shape = (str, *types)
    fits = len(found) == len(shape) and all(map(isinstance, found, shape))
    if len(text) > _LONGEST or not fits or found[0] != kind:
        raise bad("cursor", "not a cursor of this list")
    return tuple(found[1:])
