"""The ledger of the DWD archive: per run, issue or day what was expected, what is kept, what is missing and failed.

A period is a model's run, a MOSMIX issue (both `YYYYMMDDHH`) or a day of reports (`YYYYMMDD`); a collection is a
model's name, `mosmix-l`, `mosmix-s` or `poi`. Of each period there is one ledger, changed under compare-and-swap
after the files that it speaks of, so that what it lists is there; and a summary made of it, for lists of periods.
Files are named by their archive path, which is their key in the store.

What belongs here: what a ledger says, and changing it. What does not: what is expected, and which bytes are right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from store import cas, keys
from store.kinds import learned
from store.objects import ObjectMissing, Store, StoreError

State = Literal["waiting", "partial", "complete", "lost", "unseen"]
"""Nothing there yet; something missing or failed that may still come; all there; something missing or failed that will
not come; all there that the server was ever seen to have, and what else was expected will not come.
"""

Codec = Literal["none", "bzip2"]
"""How a file came from the server."""


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a file came from: the address and what came, before it was unpacked; times are UTC."""

    url: str
    fetched_at: datetime
    length: int
    sha256: str
    etag: str | None = None
    modified: datetime | None = None
    codec: Codec = "none"


class Earlier(msgspec.Struct, frozen=True, omit_defaults=True):
    """A content that another one replaced; it is kept beside the file, under the begin of its digest."""

    sha256: str
    size: int
    replaced_at: datetime
    source: Source | None = None


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """A verified file.

    sha256, size: of the content (the GRIB, the KML, the CSV), whatever packs it at rest. stored_bytes: at rest.
    source: none for what was made here, and then `made_from` has the paths it was made from. held_at: the key
    that holds the bytes where the path itself does not (a constant field stored once). notes: what is odd about it,
    in words. as_of: of a day of reports, the time of the latest report in it. grid: of a field on ICON's triangles,
    the number of the grid and the first digits of its UUID (`47-c6b12daa`).
    """

    sha256: str
    size: int
    stored_bytes: int
    kept_at: datetime
    source: Source | None = None
    made_from: tuple[str, ...] = ()
    held_at: str | None = None
    notes: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    as_of: datetime | None = None
    grid: str | None = None


class Failed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that came and was not what it should be: why, when last, how often, and which version that was.

    since: of reports, the time of the first one that failed and was not made up for; None if that is `at`.
    """

    reason: str
    at: datetime
    attempts: int = 1
    etag: str | None = None
    since: datetime | None = None


class Corrected(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value of a report that a later report replaced."""

    station: str
    time: datetime
    column: str
    before: str
    after: str
    at: datetime


@learned
class Ledger(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one period; see the module.

    missing: expected paths that are not kept, `failed` ones among them. expects_more: the list of what is expected
    may still grow. deadline: when the server deletes the first of it, as far as that is known. given_up: until when
    the server is asked all the same, so that what is missing is lost from then on; none: from the deadline on.
    revision: counts changes. warnings: what is odd about the period as a whole, a line each. unseen: of the missing,
    what a list of all that the server had, made after the period was whole there, does not name. listed_at: when the
    server's own listing of all of the period was read last; listed_series: a digest of what that listing looked for;
    unlisted: what of it could not be listed or read since; listings: requests for it, over all passes.
    """

    collection: str
    period: str
    revision: int = 0
    looked_at: datetime | None = None
    deadline: datetime | None = None
    expects_more: bool = False
    kept: dict[str, Kept] = {}
    missing: tuple[str, ...] = ()
    failed: dict[str, Failed] = {}
    warnings: tuple[str, ...] = ()
    corrections: tuple[Corrected, ...] = ()
    given_up: datetime | None = None
    unseen: tuple[str, ...] = ()
    listed_at: datetime | None = None
    listed_series: str = ""
    unlisted: tuple[str, ...] = ()
    listings: int = 0

    @property
    def never_seen(self) -> frozenset[str]:
        """The missing files that the server was never seen to have."""
        return frozenset(self.unseen).intersection(self.missing)

    @property
    def failed_besides(self) -> frozenset[str]:
        """What failed and is not missing: another version of a kept file, or what has no path of its own."""
        return frozenset(self.failed).difference(self.missing)

    def state(self, now: datetime) -> State:
        """How far it is."""
        counts = len(self.kept), len(self.missing), len(self.never_seen), len(self.failed_besides)
        return _state(counts, self.expects_more, self.given_up or self.deadline, now)


@learned
class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ledger in numbers; `changed` are files that have earlier contents, `bytes_kept` those at rest.

    unseen: of the missing. failed_besides: of the failed, those that are not missing. newest: when the last file was
    kept.
    """

    collection: str
    period: str
    revision: int
    kept: int
    missing: int
    failed: int
    changed: int
    bytes_kept: int
    expects_more: bool = False
    corrections: int = 0
    warnings: tuple[str, ...] = ()
    looked_at: datetime | None = None
    deadline: datetime | None = None
    given_up: datetime | None = None
    unseen: int = 0
    newest: datetime | None = None
    failed_besides: int = 0

    @property
    def expected(self) -> int:
        """Files that are to be there in the end, as far as that is known."""
        return self.kept + self.missing

    def state(self, now: datetime) -> State:
        """How far it is."""
        counts = self.kept, self.missing, self.unseen, self.failed_besides
        return _state(counts, self.expects_more, self.given_up or self.deadline, now)

    def minutes_left(self, now: datetime) -> float | None:
        """Minutes until the server deletes the first of what is missing; none where nothing is, or nobody knows."""
        if self.deadline is None or not (self.missing or self.expects_more):
            return None
        return max(0.0, (self.deadline - now).total_seconds() / 60)


class DamagedLedger(StoreError):  # noqa: N818 - reads as the state it reports
    """The object at `key`, of one period, is no ledger, or no summary; the message names both."""

    def __init__(self, told: str, key: str, collection: str, period: str) -> None:
        super().__init__(told)
        self.key, self.collection, self.period = key, collection, period


S = TypeVar("S", Ledger, Summary)


def read(store: Store, collection: str, period: str) -> Ledger:
    """The ledger of a period, an empty one where there is none. Raises `StoreError`, `DamagedLedger` among them."""
    try:
        data = store.get(keys.ledger(collection, period)).data
    except ObjectMissing:
        return Ledger(collection, period)
    return _decoded(data, Ledger, collection, period)


def read_summary(store: Store, collection: str, period: str) -> Summary | None:
    """The summary of a period, none where there is none. Raises `StoreError`, `DamagedLedger` among them."""
    try:
        return _decoded(store.get(keys.ledger_summary(collection, period)).data, Summary, collection, period)
    except ObjectMissing:
        return None


def update(store: Store, collection: str, period: str, change: Callable[[Ledger], Ledger]) -> Ledger:
    """Change a ledger, losing no other writer's change, then its summary; return what it is then.

    `change` may be called several times. Nothing is written where it changes nothing. Raises `StoreError`.
    """
    key = keys.ledger(collection, period)
    result = Ledger(collection, period)

    def encoded(before: bytes | None) -> bytes | None:
        nonlocal result
        current = (
            _first(store, collection, period)
            if before is None
            else _decoded(before, Ledger, collection, period)
        )
        result = change(current)
        if result == current and before is not None:
            return None
        result = msgspec.structs.replace(result, revision=current.revision + 1)
        return msgspec.json.encode(result)

    cas.update(store, key, encoded)
    _summarize(store, result)
    return result


def replace_damaged(
    store: Store, collection: str, period: str, aside: Callable[[bytes], None], after: Callable[[], Ledger]
) -> Ledger | None:
    """Put what `after` makes in place of a ledger that cannot be read, which `aside` is given before.

    None where it can be read. Raises `StoreError`.
    """
    key = keys.ledger(collection, period)
    result: Ledger | None = None

    def encoded(before: bytes | None) -> bytes | None:
        nonlocal result
        result = None
        if before is None or _is_sound(before, collection, period):
            return None
        aside(before)
        known = _known_revision(store, keys.ledger_summary(collection, period))
        result = msgspec.structs.replace(after(), revision=known + 1)
        return msgspec.json.encode(result)

    cas.update(store, key, encoded)
    if result is not None:
        _summarize(store, result)
    return result


def summarize_again(store: Store, collection: str, period: str) -> None:
    """Write the summary of a period again where it is damaged or out of date; without a ledger there is to be none.

    Raises `StoreError`, `DamagedLedger` where the ledger is damaged too.
    """
    known = read(store, collection, period)
    if known.revision:
        _summarize(store, known)
    else:
        store.delete([keys.ledger_summary(collection, period)])


def summary(ledger: Ledger) -> Summary:
    """A ledger in numbers."""
    return Summary(
        collection=ledger.collection,
        period=ledger.period,
        revision=ledger.revision,
        kept=len(ledger.kept),
        missing=len(ledger.missing),
        failed=len(ledger.failed),
        changed=sum(bool(kept.earlier) for kept in ledger.kept.values()),
        bytes_kept=sum(kept.stored_bytes for kept in ledger.kept.values()),
        expects_more=ledger.expects_more,
        corrections=len(ledger.corrections),
        warnings=ledger.warnings,
        looked_at=ledger.looked_at,
        deadline=ledger.deadline,
        given_up=ledger.given_up,
        unseen=len(ledger.never_seen),
        failed_besides=len(ledger.failed_besides),
        newest=max((kept.kept_at for kept in ledger.kept.values()), default=None),
    )


def _first(store: Store, collection: str, period: str) -> Ledger:
    """A ledger to begin with; in place of one that was lost it goes on counting, or its summary would stay."""
    known = _known_revision(store, keys.ledger_summary(collection, period))
    return Ledger(collection, period, revision=known)


def _known_revision(store: Store, key: str) -> int:
    """The revision that a summary is of; 0 where there is none, or a damaged one."""
    try:
        return _summarized(store.get(key).data)
    except ObjectMissing:
        return 0


def _summarize(store: Store, ledger: Ledger) -> None:
    """Write the summary of a ledger, unless that of a later revision is there."""
    key = keys.ledger_summary(ledger.collection, ledger.period)

    def newer(before: bytes | None) -> bytes | None:
        if before is not None and _summarized(before) >= ledger.revision:
            return None
        return msgspec.json.encode(summary(ledger))

    cas.update(store, key, newer)


def _summarized(data: bytes) -> int:
    """The revision that a summary is of; 0 of a damaged one, which is only a copy and is written anew."""
    try:
        return msgspec.json.decode(data, type=Summary).revision
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def _state(
    counts: tuple[int, int, int, int], expects_more: bool, end: datetime | None, now: datetime
) -> State:
    """How far it is with so many files kept, missing, of these never seen, and failed besides.

    `end` is when it is given up.
    """
    kept, missing, unseen, failed = counts
    if not missing and not expects_more and not failed and kept:
        return "complete"
    if end is not None and now >= end:
        return "unseen" if missing and missing == unseen and not expects_more and not failed else "lost"
    return "partial" if kept else "waiting"


def _is_sound(data: bytes, collection: str, period: str) -> bool:
    try:
        _decoded(data, Ledger, collection, period)
    except DamagedLedger:
        return False
    return True


def _decoded(data: bytes, kind: type[S], collection: str, period: str) -> S:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        key = (keys.ledger if kind is Ledger else keys.ledger_summary)(collection, period)
        raise DamagedLedger(f"{key}: not what a ledger is: {fault}", key, collection, period) from fault
