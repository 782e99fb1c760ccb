"""When a file that the server lists may be believed.

Two servers answer to the name, slightly out of step, and a file is listed while it is being written.
"""

from __future__ import annotations

from datetime import datetime, timedelta

SETTLE = timedelta(seconds=60)
"""How long a file must have been unchanged."""


def is_settled(modified: datetime, now: datetime, precision: timedelta = timedelta(seconds=1)) -> bool:
    """Whether a file last changed at `modified` is old enough to be trusted at `now` (both with a zone).

    `precision` is the unit that `modified` was cut to: a listing without seconds may tell a time that is almost
    a minute too early. A server's clock ahead of ours dates files into the future: the same care.
    """
    latest = modified + precision - timedelta(seconds=1)
    return now - latest >= SETTLE or modified - now >= SETTLE
