"""The ledger in lines for a terminal, and as JSON: the newest periods of each collection, and one period whole."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec

from dwd_assets.archive.storing import Archive
from store import keys
from store.dwd import ledger
from store.dwd.ledger import DamagedLedger, Ledger, Summary
from store.objects import Store

_COLUMNS = (
    f"{'PERIOD':10}  {'STATE':8}  {'KEPT':>13}  {'MISSING':>7}  {'FAILED':>6}  {'CHANGED':>7}  {'GB':>8}"
    f"  {'MIN LEFT':>8}  LOOKED AT"
)


def recorded(store: Store, collection: str | None = None) -> Iterator[tuple[str, str]]:
    """The collection and period of each ledger, by collection, the oldest period first. Raises `StoreError`."""
    prefix = keys.LEDGER_SUMMARIES if collection is None else keys.ledger_summaries_prefix(collection)
    for info in store.list(prefix):
        name, _, file = info.key.removeprefix(keys.LEDGER_SUMMARIES).partition("/")
        yield name, file.removesuffix(".json")


def newest(store: Store, collection: str | None, limit: int) -> Mapping[str, tuple[Summary, ...]]:
    """The newest so many periods of one collection, or of each, the newest first. Raises `StoreError`."""
    periods: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=limit))
    for name, period in recorded(store, collection):
        periods[name].append(period)
    found = {
        name: tuple(_summary(store, name, period) for period in reversed(of_it))
        for name, of_it in periods.items()
    }
    return {name: tuple(each for each in of_it if each is not None) for name, of_it in found.items()}


def set_aside(store: Store, collection: str | None = None) -> tuple[str, ...]:
    """Where the ledgers are that could not be read, of one collection or of all. Raises `StoreError`."""
    return tuple(info.key for info in store.list(keys.damaged_ledgers_prefix(collection)))


def damage(store: Store, collection: str | None = None) -> Iterator[str]:
    """A line for each ledger that could not be read. Raises `StoreError`."""
    for key in set_aside(store, collection):
        yield f"damaged ledger, set aside: {key}"


def table(summaries: Mapping[str, Iterable[Summary]], now: datetime) -> Iterator[str]:
    """The lines of several collections' periods."""
    for name, of_it in summaries.items():
        yield name
        yield f"  {_COLUMNS}"
        for each in of_it:
            yield f"  {_row(each, now)}"


def free_space(archive: Archive) -> str:
    """How much the disk has left, against the floor. Raises `StoreError`."""
    free = archive.store.free_bytes()
    if free is None:
        return "free: the store does not say"
    floor = f"{archive.floor_bytes / 1e9:.2f} GB of STORE_FREE_FLOOR_BYTES"
    if free < archive.floor_bytes:
        return f"free: {free / 1e9:.2f} GB, less than the {floor}: nothing more is fetched"
    return f"free: {free / 1e9:.2f} GB; fetching pauses below the {floor}"


def period_lines(known: Ledger, now: datetime) -> Iterator[str]:
    """All that is known of a period but for the files that are well."""
    summary = ledger.summary(known)
    yield f"{known.collection} {known.period}: {verdict(summary, now)}"
    yield f"looked at: {_time(known.looked_at)}; the server deletes it: {_time(known.deadline)}"
    never_seen = known.never_seen
    yield from _section("missing", (path for path in known.missing if path not in never_seen))
    yield from _section("never seen on the server", sorted(never_seen))
    yield from _section(
        "failed",
        (
            f"{path}: {fault.reason} (attempt {fault.attempts}, {_time(fault.at)})"
            for path, fault in known.failed.items()
        ),
    )
    yield from _section("strange", known.warnings)
    yield from _section(
        "noted", (f"{path}: {note}" for path, kept in known.kept.items() for note in kept.notes)
    )
    yield from _section(
        "changed",
        (
            f"{path}: {each.sha256[:12]} until {_time(each.replaced_at)}"
            for path, kept in known.kept.items()
            for each in kept.earlier
        ),
    )
    yield from _section(
        "corrected",
        (
            f"{each.station} {_time(each.time)} {each.column}: {each.before} to {each.after} ({_time(each.at)})"
            for each in known.corrections
        ),
    )


def verdict(summary: Summary, now: datetime) -> str:
    """A period in one line."""
    left = summary.minutes_left(now)
    parts = [
        f"{summary.state(now)}: {_kept(summary)} files kept",
        f"{summary.missing} missing",
        *((f"{summary.unseen} of them never seen on the server",) if summary.unseen else ()),
        f"{summary.failed} failed",
        f"{summary.changed} changed",
        *((f"{summary.corrections} values corrected",) if summary.corrections else ()),
        f"{summary.bytes_kept / 1e9:.3f} GB",
        *((f"{left:.0f} minutes left",) if left is not None else ()),
    ]
    return ", ".join(parts)


def newest_data(
    summaries: Mapping[str, Iterable[Summary]], archive: Archive, now: datetime, collection: str | None = None
) -> bytes:
    """Several collections' periods, damaged ledgers and the free space as JSON. Raises `StoreError`."""
    return msgspec.json.encode(
        {
            "collections": {name: [_data(each, now) for each in of_it] for name, of_it in summaries.items()},
            "set_aside": set_aside(archive.store, collection),
            "free_bytes": archive.store.free_bytes(),
            "floor_bytes": archive.floor_bytes,
        }
    )


def period_data(known: Ledger, now: datetime) -> bytes:
    """A ledger as JSON, with what follows from it and the time."""
    summary = ledger.summary(known)
    numbers = {
        "bytes_kept": summary.bytes_kept,
        "state": summary.state(now),
        "minutes_left": summary.minutes_left(now),
    }
    return msgspec.json.encode({**msgspec.to_builtins(known), **numbers})


def _summary(store: Store, collection: str, period: str) -> Summary | None:
    """The summary of a period; of a damaged one the ledger tells, unless that is damaged too."""
    try:
        return ledger.read_summary(store, collection, period)
    except DamagedLedger:
        with suppress(DamagedLedger):
            return ledger.summary(ledger.read(store, collection, period))
        return None


def _data(summary: Summary, now: datetime) -> dict[str, object]:
    """A summary with what follows from it and the time."""
    return {
        **msgspec.to_builtins(summary),
        "state": summary.state(now),
        "expected": summary.expected,
        "minutes_left": summary.minutes_left(now),
    }


def _row(summary: Summary, now: datetime) -> str:
    left = summary.minutes_left(now)
    return (
        f"{summary.period:10}  {summary.state(now):8}  {_kept(summary):>13}  {summary.missing:7}"
        f"  {summary.failed:6}  {summary.changed:7}  {summary.bytes_kept / 1e9:8.3f}"
        f"  {'-' if left is None else format(left, '.0f'):>8}  {_time(summary.looked_at)}"
    )


def _kept(summary: Summary) -> str:
    """`25/28`; with a `+` where more may be expected."""
    return f"{summary.kept}/{summary.expected}{'+' if summary.expects_more else ''}"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A title with the number of its lines, and these; nothing where there are none."""
    lines = tuple(lines)
    if lines:
        yield f"{title} ({len(lines)}):"
        yield from (f"  {line}" for line in lines)


def _time(time: datetime | None) -> str:
    return "unknown" if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"
