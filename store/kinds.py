"""Kinds of documents, made ready for many threads."""

from __future__ import annotations

from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def learned(kind: type[S]) -> type[S]:
    """The same class, whose fields msgspec knows: a decorator for what is decoded.

    Otherwise it learns them with the first document, and version 0.22 crashes the process where two threads read
    the first one at once: the second finds fields that the first has not filled in yet.
    """
    msgspec.json.Decoder(kind)
    return kind
