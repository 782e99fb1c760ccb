"""Reading every kept file again, and comparing it with what its ledger says.

What belongs here: which bytes are not what the ledger tells of. What does not: mending them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from dwd_assets.archive.storing import digest, plain_of
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.paths import version_path
from store.dwd import ledger
from store.dwd.ledger import Kept, Ledger
from store.objects import ObjectMissing, Store

READERS = 8
"""Files that are read at the same time; each is held whole."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that is not what its ledger says: its key in the store, and what is wrong."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a period's files came to: how many were read, their bytes at rest, and the faults among them."""

    files: int
    bytes_read: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a ledger says of one object: the path it is of, the digest of its content, and its key."""

    path: str
    sha256: str
    key: str
    is_earlier: bool = False


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found: bytes at rest of an object that is in order or of another content, and a fault."""

    claim: _Claim
    size: int = 0
    fault: Fault | None = None


def verify_period(store: Store, collection: str, period: str) -> Verified:
    """Read all files of a period, earlier versions too. Raises `StoreError`.

    A file may be replaced while it is looked at, and a kill leaves one that the ledger was not told of: it is no
    fault where the content that the ledger tells of lies beside it, as the archive keeps it before it replaces a
    file. A day of reports has no such versions: while it is being merged it may be told as damaged.
    """
    files, size, suspects = 0, 0, []
    for checked in _in_order(
        lambda claim: _read(store, claim), _claims(ledger.read(store, collection, period))
    ):
        files += 1
        size += checked.size
        if checked.fault is not None:
            suspects.append(checked)
    return Verified(files, size, _confirmed(store, collection, period, suspects))


def _claims(known: Ledger) -> Iterator[_Claim]:
    for path, kept in known.kept.items():
        yield _claim(path, kept)
        for earlier in kept.earlier:
            yield _Claim(path, earlier.sha256, version_path(path, earlier.sha256), is_earlier=True)


def _claim(path: str, kept: Kept) -> _Claim:
    return _Claim(path, kept.sha256, kept.held_at or path)


def _read(store: Store, claim: _Claim) -> _Checked:
    try:
        found = store.get(claim.key)
        sha256 = digest(plain_of(claim.path, found.data))
    except ObjectMissing:
        return _Checked(claim, fault=Fault(claim.key, "missing"))
    except FormatError as fault:
        return _Checked(claim, fault=Fault(claim.key, f"damaged: {fault}"))
    if sha256 == claim.sha256:
        return _Checked(claim, len(found.data))
    told = (
        f"damaged: its content has the SHA-256 {sha256[:12]}..., the ledger says {claim.sha256[:12]}...; "
        f"written {found.info.modified:%Y-%m-%d %H:%M:%S} UTC"
    )
    return _Checked(claim, len(found.data), Fault(claim.key, told))


def _confirmed(store: Store, collection: str, period: str, suspects: Iterable[_Checked]) -> tuple[Fault, ...]:
    """The faults that are still there by the ledger as it is now."""
    suspects = tuple(suspects)
    if not suspects:
        return ()
    now = ledger.read(store, collection, period).kept
    again = _in_order(lambda suspect: _again(store, suspect, now.get(suspect.claim.path)), suspects)
    return tuple(fault for fault in again if fault is not None)


def _again(store: Store, suspect: _Checked, now: Kept | None) -> Fault | None:
    claim = suspect.claim
    if claim.is_earlier or now is None:
        return suspect.fault
    checked = _read(store, _claim(claim.path, now))
    if checked.fault is not None and checked.size and _is_beside(store, checked.claim):
        return None
    return checked.fault


def _is_beside(store: Store, claim: _Claim) -> bool:
    """Whether the content that a path should have is kept as an earlier version."""
    beside = _Claim(claim.path, claim.sha256, version_path(claim.path, claim.sha256))
    return _read(store, beside).fault is None


def _in_order(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Do work on all items, a few at a time and no more results waiting than that."""
    under_way: deque[Future[B]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) >= 2 * READERS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
