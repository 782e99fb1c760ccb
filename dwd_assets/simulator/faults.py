"""What goes wrong, on which paths, how often and when."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase


class Fault(StrEnum):
    """One way in which an answer is not what it should be."""

    NOT_FOUND = "404, whatever the listing says"
    UNAVAILABLE = "503"
    SLOW = "the answer begins late"
    TRUNCATED = "the first half of the file, announced as if it were all"
    CUT = "half of the announced bytes, then the end of the connection"
    FLIPPED = "one bit in the middle is another"
    PAGE = "an HTML page with status 200"
    OVERWRITTEN = "the file is overwritten just before it is read, and stays so"
    OUT_OF_STEP = "every second answer is by a server that is behind"
    WRONG_PARAMETER = "the field of another parameter"
    TWO_MESSAGES = "the field twice, as two messages"
    HALF_ISSUE = "of a KMZ of all stations: a whole KMZ of the first half of the stations"
    RESET = "the connection is reset instead of an answer"
    UNREADABLE_ROWS = "every second row of a listing has a time that cannot be read"
    NAMELESS_ROW = "the last row of a listing has a name that cannot be read"
    NO_LENGTH = "all of the file, without its length; the end of the connection is its end"
    CUT_NO_LENGTH = "half of the file, without its length; the end of the connection is its end"
    GZIPPED = "the file is packed with gzip for the transfer"


@dataclass(slots=True)
class Rule:
    """A fault on the decoded paths that match a shell pattern, whose `*` also stands for `/`.

    It meets so many requests as `left` says, all if none, between `since` and `until` of the simulated time.
    """

    pattern: str
    fault: Fault
    left: int | None
    since: datetime | None
    until: datetime | None
    met: int = 0

    def holds(self, path: str, at: datetime) -> bool:
        """Whether the fault meets a request for a path at a time."""
        if self.left == 0 or not fnmatchcase(path, self.pattern):
            return False
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class FaultBook:
    """The rules, the oldest first; may be used from many threads."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> None:
        """Take in a rule."""
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def meet(self, path: str, at: datetime) -> Fault | None:
        """The fault that a request meets, of the first rule that holds; counted there.

        Of the requests that a rule on servers out of step holds for, the first, third, fifth ... meet it.
        """
        with self._lock:
            rule = next((rule for rule in self._rules if rule.holds(path, at)), None)
            if rule is None:
                return None
            rule.met += 1
            rule.left = None if rule.left is None else rule.left - 1
            spared = rule.fault is Fault.OUT_OF_STEP and rule.met % 2 == 0
            return None if spared else rule.fault
