"""Numbers that look random and are a function of what they are drawn for, on every machine."""

from __future__ import annotations

from hashlib import blake2b


def chance(*parts: object) -> int:
    """A number from 0 to 2**64 - 1 for these parts, told apart by their `str`."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
