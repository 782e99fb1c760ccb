"""What is known of the POI reports that came: which version of each station's file was merged last, and from where.

`ReportVersions` is one object, which tells which stations' files on the server are new. An `Intake` is a batch of
reports: it is written before the first of them is kept, stays open until all of them are merged and the ledgers told,
and is then kept with the day as the provenance of its raw reports. One that a killed process left open names what is
to be merged again.

What belongs here: these objects, and changing them. What does not: reports, and how they are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Literal, TypeVar

import msgspec

from store import cas, keys
from store.dwd.damaged import DamagedDocument
from store.dwd.ledger import Corrected, Source
from store.kinds import learned
from store.objects import ObjectMissing, Store

Proof = Literal["listed", "transfer", "twice", "none"]
"""How it is known that all of a report came: it is as long as it was listed; its transfer has an end of its own (a
length, the end mark of a chunked body or of gzip); it came twice, the same bytes each time; or it is not known.
"""


class MergedVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a station's file that is in the archive.

    modified: as the server told it, size: in bytes. newest: the time of its newest row, none where it had no row.
    seen_at: when the server was last seen to have no later one. All times are UTC.
    """

    modified: datetime
    size: int
    seen_at: datetime
    etag: str | None = None
    newest: datetime | None = None


class FailedVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a station's file that did not come, or not whole, or could not be read.

    modified, size: as the server listed it, None and 0 where the listing does not say. at: when it was tried.
    sha256: of what came, None if nothing did. is_unproven: it can be read, and is not known to be all of the file.
    """

    modified: datetime | None
    size: int
    at: datetime
    sha256: str | None = None
    is_unproven: bool = False


@learned
class ReportVersions(msgspec.Struct, frozen=True):
    """By station, the version that was merged last, and the one that failed since."""

    merged: dict[str, MergedVersion] = {}
    failed: dict[str, FailedVersion] = {}


class Arrival(msgspec.Struct, frozen=True, omit_defaults=True):
    """A report that came: the station, as its file's name has it, and the source, whose digest names the raw report.

    proof: how it is known that all of it came.
    """

    station: str
    source: Source
    proof: Proof = "listed"

    @property
    def raw_key(self) -> str:
        """Where the raw report is kept."""
        return keys.raw_report(self.source.fetched_at.date(), self.station, self.source.sha256)


@learned
class Intake(msgspec.Struct, frozen=True, omit_defaults=True):
    """A batch of reports, and the values that merging them was found to correct."""

    arrivals: tuple[Arrival, ...]
    corrections: tuple[Corrected, ...] = ()


S = TypeVar("S", ReportVersions, Intake)


def read(store: Store) -> ReportVersions:
    """What is known, nothing at first. Raises `StoreError`, `DamagedDocument` among them."""
    try:
        return _decoded(store.get(keys.REPORTS_KNOWN).data, ReportVersions(), keys.REPORTS_KNOWN)
    except ObjectMissing:
        return ReportVersions()


def update(store: Store, change: Callable[[ReportVersions], ReportVersions]) -> None:
    """Change what is known, losing no other writer's change. Raises `StoreError`."""

    def encoded(before: bytes | None) -> bytes | None:
        known = ReportVersions()
        if before is not None:
            known = _decoded(before, known, keys.REPORTS_KNOWN)
        after = change(known)
        return None if after == known else msgspec.json.encode(after)

    cas.update(store, keys.REPORTS_KNOWN, encoded)


def open_intake(store: Store, name: str, intake: Intake) -> None:
    """Tell which reports are about to be kept and merged. Raises `StoreError`."""
    store.put(keys.open_report_intake(name), msgspec.json.encode(intake))


def close_intake(store: Store, name: str, intake: Intake) -> None:
    """Keep an intake that is merged with the days on which its reports were fetched. Raises `StoreError`."""
    for day in sorted({arrival.source.fetched_at.date() for arrival in intake.arrivals}):
        store.put(keys.report_intake(day, name), msgspec.json.encode(intake))
    store.delete([keys.open_report_intake(name)])


def open_intakes(store: Store) -> Iterator[tuple[str, Intake]]:
    """Names and contents of the intakes that are not closed, the oldest first. Raises `StoreError`."""
    for key, intake in _intakes(store, keys.OPEN_REPORT_INTAKES):
        yield key.removeprefix(keys.OPEN_REPORT_INTAKES).removesuffix(".json"), intake


def arrivals_of(store: Store, day: date) -> Iterator[Arrival]:
    """The reports that were fetched on a day, those of open intakes too; some may come twice. Raises `StoreError`."""
    # The open ones first: one that is closed meanwhile is then seen among the others.
    for prefix in (keys.OPEN_REPORT_INTAKES, keys.report_intakes_prefix(day)):
        for _, intake in _intakes(store, prefix):
            yield from (one for one in intake.arrivals if one.source.fetched_at.date() == day)


def _intakes(store: Store, prefix: str) -> Iterator[tuple[str, Intake]]:
    for info in store.list(prefix):
        try:
            data = store.get(info.key).data
        except ObjectMissing:  # closed meanwhile
            continue
        yield info.key, _decoded(data, Intake(()), info.key)


def _decoded(data: bytes, empty: S, key: str) -> S:
    try:
        return msgspec.json.decode(data, type=type(empty))
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        told = f"not what is known of reports: {fault}"
        raise DamagedDocument(told, key, data, msgspec.json.encode(empty)) from fault
