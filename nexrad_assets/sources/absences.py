"""What a site does not have, remembered for a while, so that it is not asked for at every look."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

LASTS = timedelta(minutes=15)
"""How long an absence is believed."""

PROOF = timedelta(hours=1)
"""How much of a day has to be empty: radars send each product every 4 to 12 minutes."""


@dataclass(frozen=True, slots=True)
class Absences:
    """The subjects of spans that had nothing, and when; may be used from several threads."""

    _seen: dict[str, datetime] = field(default_factory=dict)

    def believed(self, subject: str | None, now: datetime) -> bool:
        """Whether there was nothing of a subject a short while ago."""
        seen = None if subject is None else self._seen.get(subject)
        return seen is not None and abs(now - seen) < LASTS

    def note(self, subject: str | None, empty: bool, asked_from: datetime, now: datetime) -> None:
        """Take in what was found of a subject between `asked_from` and now."""
        if subject is None:
            return
        if not empty:
            self._seen.pop(subject, None)
        elif now - asked_from >= PROOF:
            self._seen[subject] = now


def asked_from(day: date, since: datetime | None) -> datetime:
    """From when on a listing of a UTC day looks: `since`, or the day's begin where that is later."""
    begin = datetime.combine(day, time(), UTC)
    return begin if since is None else max(begin, since)
