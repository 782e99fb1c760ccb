"""How asking the server fails: one class per kind, each message names the address and the fault."""

from __future__ import annotations


class OpendataError(Exception):
    """The server, or the way to it, did not give the file; the message names the address and the fault."""


class NotYet(OpendataError):  # noqa: N818 - reads as the state it reports
    """Nothing is at the address: not yet, or no more. Right after a listing it is common: two servers answer."""


class Unsettled(NotYet):
    """The file changed a moment ago: another version than the one before is on its way."""


class Busy(OpendataError):  # noqa: N818
    """The server asks for patience; `retry_after_s` is how long, where it says so."""

    def __init__(self, told: str, retry_after_s: float | None = None) -> None:
        super().__init__(told)
        self.retry_after_s = retry_after_s


class Unavailable(OpendataError):  # noqa: N818
    """No connection, one that broke, or an error of the server's own."""


class TimedOut(OpendataError):  # noqa: N818
    """No connection, no further byte or not the whole file within the time allowed."""


class Truncated(OpendataError):  # noqa: N818
    """Fewer bytes came than were announced."""


class NotAsListed(OpendataError):  # noqa: N818
    """The file is of another length than the listing said: cut at its source, or another version."""


class Encoded(OpendataError):  # noqa: N818
    """The body came packed by other means than gzip, which was not asked for: a page of someone on the way."""


class TooLarge(OpendataError):  # noqa: N818
    """The file is larger than the request's limit."""


class Refused(OpendataError):  # noqa: N818
    """The server gave an answer that no repetition will change."""


class Untrusted(OpendataError):  # noqa: N818
    """The server's certificate is not to be trusted."""


TRANSIENT = (Busy, Unavailable, TimedOut, Truncated, NotAsListed, Encoded)
"""What is worth another attempt at once. `NotYet` is for the next cycle."""
