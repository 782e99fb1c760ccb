"""Requests as they are on the wire, as far as they are plain: the whole head of one GET, and nothing behind it.

What is not exactly that is none of ours, and left to a server's own parser: whatever is let through here is read in
just one way (RFC 9112, sections 3 and 5). That it has a `Host` is not looked for, nor does httptools look for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from api.replies.reply import Header

FRAMING = frozenset(
    (b"connection", b"content-length", b"expect", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""Headers that change what follows on a connection; but for a `Connection` that is to be kept.

`Proxy-Connection` is in no standard, but httptools takes it for a `Connection`.
"""

_END = b"\r\n\r\n"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TARGET = re.compile(rb"/[!-~]*")
_REST = re.compile(rb"HTTP/1\.1\r\n(?:" + _TOKEN + rb":[\t -~\x80-\xff]*\r\n)+\r\n")

REMEMBERED = 1_024
"""How many heads are remembered, but for their targets: those that one browser sends differ in nothing else."""

REMEMBERED_BYTES = 2_048
"""How long such a head may be."""

MOST_FIELDS = 8
"""How many headers that matter a plain request may have: no browser sends half as many."""


def cut(request: bytes) -> tuple[bytes, bytes]:
    """What a request asks for, and what is behind that, if it is a GET; empty where it is none, or comes in pieces."""
    if not request.startswith(b"GET /") or not request.endswith(_END):
        return b"", b""
    target, _, rest = request[4:].partition(b" ")
    return target, rest


def ends_a_head(data: bytes) -> bool:
    """Whether what came from a client ends with the only end of a head that is in it."""
    return data.endswith(_END) and data.count(_END) == 1


class Fields:
    """Finds the headers of a request that matter."""

    def __init__(self, names: Collection[bytes]) -> None:
        self._names = frozenset(names)
        known = b"|".join(re.escape(name) for name in sorted(self._names | FRAMING))
        self._known = re.compile(rb"\n(" + known + rb"):([^\r]*)\r", re.IGNORECASE)
        self._remembered = lru_cache(maxsize=REMEMBERED)(self._read)

    def of(self, target: bytes, rest: bytes) -> tuple[Header, ...] | None:
        """Those of the names, in lower case, in order; none where the request, as it was cut, is no plain GET."""
        if _TARGET.fullmatch(target) is None:
            return None
        return self._remembered(rest) if len(rest) <= REMEMBERED_BYTES else self._read(rest)

    def _read(self, rest: bytes) -> tuple[Header, ...] | None:
        if _REST.fullmatch(rest) is None:
            return None
        found = self._known.findall(rest)
        if len(found) > MOST_FIELDS:
            return None
        found = [(name.lower(), value.strip(b" \t")) for name, value in found]
        mattering = tuple(_mattering(found))
        return mattering if all(name in self._names for name, _ in mattering) else None


def _mattering(found: list[Header]) -> Iterator[Header]:
    return (each for each in found if each[0] != b"connection" or each[1].lower() != b"keep-alive")
