"""Documents that cannot be read: set aside, begun anew, and ledgers made again from what the store has.

A damaged document is kept in the quarantine. A ledger's is named by the one that takes its place; the next pass over
the period first reads what lies in the store, and asks the server for the rest. Of the others (what a model has, what
is known of reports, stations, constants) the next pass learns anew what it needs.

What belongs here: repairing documents. What does not: files that are damaged (`dwd_assets.archive.verifying`, a pass's
own look).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec

from dwd_assets.archive.storing import digest, plain_of
from dwd_assets.fields.expected import twin
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.kinds.table import REPORTS, Collection, begin
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import GRACE, SET_ASIDE, Done, Recorder
from dwd_assets.poi import report_pass
from store import keys
from store.dwd import damaged, ledger
from store.dwd.damaged import DamagedDocument
from store.dwd.ledger import DamagedLedger, Earlier, Kept, Ledger, Summary
from store.objects import ObjectInfo, ObjectMissing, Store

MOST_AT_ONCE = 8
"""Damaged documents that one piece of work mends on its way."""

FROM_STORE = "known from the store alone"
"""What is noted of a file that a ledger was told of when it was made again."""

_READERS = 8
_VERSION = re.compile(r"(?P<path>.+)\.(?P<digits>[0-9a-f]{12})", re.ASCII)

T = TypeVar("T")


def archive(office: Office, collection: Collection, period: str, log: Log) -> Sequence[Done]:
    """One pass over a period, as `Collection.archive` makes it, after mending what stands in its way."""

    def work() -> Sequence[Done]:
        if is_to_be_made_again(ledger.read(office.store, collection.name, period)):
            make_again(office, collection, period, log)
        return collection.archive(office, period, log)

    return mended(office, partial(collection.deadline, office), log, work)


def mended(office: Office, deadline: Callable[[str], datetime], log: Log, work: Callable[[], T]) -> T:
    """What comes of some work, done again after each damaged document that it met was set aside.

    `deadline` is that of a period of the collection. Raises what it met where there is too much of it.
    """
    for _ in range(MOST_AT_ONCE):
        try:
            return work()
        except DamagedLedger as fault:
            log(set_aside(office, deadline, fault))
        except DamagedDocument as fault:
            log(begin_anew(office, fault))
    return work()


def begin_anew(office: Office, fault: DamagedDocument) -> str:
    """Put a document that knows nothing in place of a damaged one, which is kept, and tell so. Raises `StoreError`."""
    kept_as = office.archive.quarantine(fault.key, fault.data)
    damaged.begin_anew(office.store, fault)
    return f"{fault}; kept as {kept_as}, and begun anew"


def set_aside(office: Office, deadline: Callable[[str], datetime], fault: DamagedLedger) -> str:
    """Put a ledger without files in place of a damaged one, which is kept, and tell so; a summary is made again.

    Nothing is changed where another process was faster. Raises `StoreError`.
    """
    path = keys.ledger(fault.collection, fault.period)
    kept_as = [path]

    def aside(data: bytes) -> None:
        kept_as[0] = office.archive.quarantine(path, data)

    def begun() -> Ledger:
        known = _known(office.store, fault)
        end = deadline(fault.period)
        return Ledger(
            fault.collection,
            fault.period,
            deadline=end,
            given_up=end + GRACE,
            expects_more=known is None or bool(known.missing) or known.expects_more,
            warnings=(*(known.warnings if known is not None else ()), f"{SET_ASIDE} {kept_as[0]}"),
        )

    if ledger.replace_damaged(office.store, fault.collection, fault.period, aside, begun) is None:
        ledger.summarize_again(office.store, fault.collection, fault.period)
        return f"{fault}; its ledger can be read"
    return f"{fault}; kept as {kept_as[0]}, and begun anew"


def is_to_be_made_again(known: Ledger) -> bool:
    """Whether a ledger was begun in place of a damaged one, and no pass was made since."""
    return known.looked_at is None and any(line.startswith(SET_ASIDE) for line in known.warnings)


def make_again(office: Office, collection: Collection, period: str, log: Log) -> Done:
    """Tell a period's ledger of all files that the store has of it and that it does not know; reads each of them.

    Of reports, the day is merged anew. Damaged files are left out, and what is missing is for a pass to find; of
    forecasts, those of the issue before that are not there are missing. Raises `StoreError`.
    """
    if collection.name == REPORTS:
        return report_pass.rebuild_day(office, begin(period).date(), log)
    known = ledger.read(office.store, collection.name, period)
    stored = _stored(office.store, _folder(collection, period))
    unknown = sorted(path for path in stored.files if path not in known.kept)
    failed: dict[str, str] = {}
    with Recorder(office.store, collection.name, period) as recorder, ThreadPoolExecutor(_READERS) as pool:
        for path, kept in zip(
            unknown, pool.map(lambda each: _read(office, stored, each), unknown), strict=True
        ):
            if isinstance(kept, Kept):
                recorder.kept(path, kept)
            else:
                failed[path] = kept
                log(f"{kept}; not told of")
        told = recorder.tell(lambda before: _expecting(office, collection, before))
    log(f"{collection.name} {period}: {len(unknown) - len(failed)} files told of from the store")
    return Done(ledger.summary(told), fetched=len(unknown) - len(failed), failed=failed)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store has of a period: files by path, and the earlier contents of each."""

    files: dict[str, ObjectInfo]
    earlier: dict[str, list[ObjectInfo]]


def _known(store: Store, fault: DamagedLedger) -> Summary | None:
    """What the summary says of a period whose ledger is damaged, none where it is damaged too."""
    try:
        return ledger.read_summary(store, fault.collection, fault.period)
    except DamagedLedger:
        return None


def _folder(collection: Collection, period: str) -> str:
    """Where the files of a run or an issue lie."""
    folders = {"mosmix-l": "weather/local_forecasts/mos/", "mosmix-s": "weather/local_forecasts/mos_s/"}
    return f"{folders.get(collection.name, f'weather/{collection.name}/grib/')}{period}/"


def _stored(store: Store, folder: str) -> _Stored:
    found = _Stored({}, {})
    for info in store.list(folder):
        version = _VERSION.fullmatch(info.key)
        if parse_archive_path(info.key) is not None:
            found.files[info.key] = info
        elif version is not None:
            found.earlier.setdefault(version["path"], []).append(info)
    return found


def _read(office: Office, stored: _Stored, path: str) -> Kept | str:
    """What a ledger is to say of a stored file, or what is wrong with it."""
    try:
        found = office.store.get(path)
        plain = plain_of(path, found.data)
    except ObjectMissing:
        return f"{path}: gone"
    except FormatError as fault:
        return str(fault)
    return Kept(
        sha256=digest(plain),
        size=len(plain),
        stored_bytes=len(found.data),
        kept_at=found.info.modified,
        made_from=_made_from(office, stored, path),
        notes=(FROM_STORE,),
        earlier=tuple(_earlier(office.store, stored, path)),
    )


def _earlier(store: Store, stored: _Stored, path: str) -> Iterator[Earlier]:
    for info in stored.earlier.get(path, ()):
        try:
            plain = plain_of(path, store.get(info.key).data)
        except (ObjectMissing, FormatError):
            continue
        yield Earlier(digest(plain), len(plain), info.modified)


def _made_from(office: Office, stored: _Stored, path: str) -> tuple[str, ...]:
    """What a file on the regular grid was made from, if it may have been: then the server's would still replace it."""
    key = parse_archive_path(path)
    if not office.settings.regular_grid or not isinstance(key, FieldKey) or key.grid != "regular":
        return ()
    source = archive_path(twin(key))
    return (source,) if source in stored.files else ()


def _expecting(office: Office, collection: Collection, before: Ledger) -> Ledger:
    """Of forecasts, whose list comes with their file alone, the ledger with what the issue before makes expect."""
    if not collection.name.startswith("mosmix-"):
        return before
    expected, _ = collection.unattended(office, before.period)
    return msgspec.structs.replace(before, missing=tuple(sorted(set(expected) - before.kept.keys())))
