"""Comparing the ledger with the server's table of contents: what nobody expected, what changed, what was never there.

Fields are expected by computation and fetched once. A parameter that appeared in the middle of a run, or a file that
was replaced after it was kept, is found here, some times a day, in `/weather/nwp/content.log.bz2`. So is that a field
which is missing was never there: a table of contents that was made when the run had been whole for hours, and before
any of it was deleted, does not name it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from dwd_assets.fields import model_runs
from dwd_assets.fields.retention import read_retention
from dwd_assets.fields.standing import GROWN
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.kinds import repair
from dwd_assets.kinds.table import begin
from dwd_assets.opendata.addresses import NWP, parse_old, parse_v1
from dwd_assets.opendata.content_log import ContentLog, LogEntry
from dwd_assets.opendata.messages import NotModified, Request
from dwd_assets.opendata.settling import is_settled
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import Done
from store.dwd import ledger
from store.dwd.ledger import Kept, Ledger

CONTENT_LOG = f"{NWP}/content.log.bz2"
LONGEST_LOG = 1 << 30
"""Bytes, packed; it has 55 million."""


@dataclass(slots=True)
class Differences:
    """Of one run: archive paths of files that the server has and the ledger does not know, and of newer ones.

    listed: of those that the ledger misses. newest: when the last file of the run that is selected was written.
    """

    unknown: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What came of each run that was worked on, and what of the table of contents could not be read, a line each."""

    done: tuple[Done, ...]
    faults: tuple[str, ...]


def reconcile(office: Office, log: Log) -> Reconciled:
    """Look for differences of all models, and work on the runs that have some.

    What is missing and was never on the server is recorded in the ledgers, unless lines could not be read. Raises
    `OpendataError` and `FormatError` where the table of contents cannot be had, `StoreError`.
    """
    office.archive.check_floor()
    done: list[Done] = []
    unread: dict[str, None] = {}
    with _content_log(office) as (file, made_at):
        for model in office.settings.selection.models:
            work = partial(_reconciled, office, model, file, made_at, log, unread)
            done += repair.mended(office, partial(_deadline, office, model), log, work)
    for line in unread:
        log(line)
    return Reconciled(tuple(done), tuple(unread))


def differences(
    office: Office, model: str, content_log: Path, unread: dict[str, None] | None = None
) -> dict[datetime, Differences]:
    """What a table of contents has of a model's runs, beside what the ledger has, by run.

    Lines that cannot be read, and addresses that no key stands for, are added to `unread`.
    """
    found: defaultdict[datetime, Differences] = defaultdict(Differences)
    known: dict[datetime, _Known] = {}
    now = office.clock()
    for key, entry in _wanted(office, model, content_log, {} if unread is None else unread):
        if key.run not in known:
            known[key.run] = _Known.of(ledger.read(office.store, model, run_text(key.run)))
        _compare(found[key.run], known[key.run], archive_path(key), entry, now)
    return dict(found)


def never_seen(
    office: Office, model: str, found: Mapping[datetime, Differences], made_at: datetime | None
) -> dict[datetime, tuple[str, ...]]:
    """What the ledgers miss that a table of contents, made at a time, proves never to have been there, by run.

    Only of runs that it can speak of: see `_is_covered`.
    """
    return {
        run: tuple(sorted(_sought(office, known) - found.get(run, Differences()).listed))
        for run, known in _unwhole(office, model)
        if made_at is not None and _is_covered(office, model, run, found, made_at)
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """A ledger, with what it misses as a set."""

    kept: Mapping[str, Kept]
    missing: frozenset[str]

    @classmethod
    def of(cls, known: Ledger) -> _Known:
        return cls(known.kept, frozenset(known.missing))


def _reconciled(
    office: Office, model: str, file: Path, made_at: datetime | None, log: Log, unread: dict[str, None]
) -> tuple[Done, ...]:
    """What came of a model's runs. Lines that cannot be read prove nothing of what is not named."""
    before = len(unread)
    found = differences(office, model, file, unread)
    proof = made_at if len(unread) == before else None
    for run, paths in never_seen(office, model, found, proof).items():
        _tell_unseen(office, model, run, paths, log)
    done = []
    for run, each in sorted(found.items()):
        if each.unknown or each.newer:
            log(f"{model} {run:%Y-%m-%d %H}: {len(each.unknown)} unknown files, {len(each.newer)} newer")
            also = (*each.unknown, *each.newer)
            done.append(model_runs.archive_run(office, model, run, log, also=also))
    return tuple(done)


def _compare(found: Differences, known: _Known, path: str, entry: LogEntry, now: datetime) -> None:
    """Note what a file of the table of contents is to the ledger."""
    found.newest = entry.modified if found.newest is None else max(found.newest, entry.modified)
    kept = known.kept.get(path)
    if path in known.missing:
        found.listed.add(path)
    elif not is_settled(entry.modified, now):
        return
    elif kept is None:
        found.unknown.append(path)
    elif kept.source is not None and (kept.source.modified or entry.modified) < entry.modified:
        found.newer.append(path)


def _unwhole(office: Office, model: str) -> Iterator[tuple[datetime, Ledger]]:
    """The runs that the server may have of which the ledger misses something."""
    now = office.clock()
    retention = read_retention(office.store, model)
    for run in model_runs.recent_runs(retention, now):
        summary = ledger.read_summary(office.store, model, run_text(run))
        if summary is not None and summary.missing and now < retention.deadline(run):
            yield run, ledger.read(office.store, model, run_text(run))


def _sought(office: Office, known: Ledger) -> frozenset[str]:
    """What a ledger misses that would have been found: fields that are selected, of a tree that is followed."""
    settings, selection = office.settings, office.settings.selection
    keys = ((path, parse_archive_path(path)) for path in known.missing)
    return frozenset(
        path
        for path, key in keys
        if isinstance(key, FieldKey)
        and (settings.old_tree if key.grid == "regular" else settings.v1_tree)
        and selection.takes(key)
    )


def _is_covered(
    office: Office, model: str, run: datetime, found: Mapping[datetime, Differences], made_at: datetime
) -> bool:
    """Whether a table of contents tells all that a run had: nothing came for hours, and nothing was deleted yet.

    Of a run that it does not name at all it does so where a later one has come to such an end.
    """
    if made_at >= model_runs.deadline(office, model, run):
        return False
    ended = [
        each
        for each, one in found.items()
        if each >= run and one.newest is not None and one.newest + GROWN <= made_at
    ]
    return run in ended or (run not in found and bool(ended))


def _tell_unseen(office: Office, model: str, run: datetime, paths: tuple[str, ...], log: Log) -> None:
    """Tell a run's ledger which of its missing files were never on the server."""
    period = run_text(run)
    ledger.update(office.store, model, period, lambda before: msgspec.structs.replace(before, unseen=paths))
    if paths:
        log(f"{model} {period}: {len(paths)} missing files were never seen on the server")


def _deadline(office: Office, model: str, period: str) -> datetime:
    return model_runs.deadline(office, model, begin(period))


def _wanted(
    office: Office, model: str, content_log: Path, unread: dict[str, None]
) -> Iterator[tuple[FieldKey, LogEntry]]:
    """The files of the trees that are followed, of runs that are there still, that the selection takes."""
    now, selection = office.clock(), office.settings.selection
    oldest = next(model_runs.recent_runs(read_retention(office.store, model), now), now)
    trees = []
    if office.settings.v1_tree:
        trees.append((f"v1/m/{model}/", parse_v1))
    if office.settings.old_tree:
        trees.append((f"{model}/grib/", parse_old))
    for under, parse in trees:
        with content_log.open("rb") as stream:
            lines = ContentLog(stream, CONTENT_LOG, under)
            for entry in lines:
                key = parse(f"{NWP}/{entry.path}")
                if key is None:
                    unread[f"{model}: no key stands for {NWP}/{entry.path}"] = None
                elif (
                    oldest <= key.run <= now
                    and (parse is parse_v1 or key.grid == "regular")
                    and selection.takes(key)
                ):
                    yield key, entry
        if lines.bad:
            unread[_bad_lines(lines)] = None


def _bad_lines(lines: ContentLog) -> str:
    """How many lines of a table of contents could not be read, and the first of them."""
    return f"{CONTENT_LOG}: {lines.bad} of {lines.lines} lines could not be read, the first: {lines.first_bad[0]!r}"


@contextmanager
def _content_log(office: Office) -> Iterator[tuple[Path, datetime | None]]:
    """The server's table of contents, and when it was made, where that is told."""
    with TemporaryDirectory(prefix="dwd-") as folder:
        answer = office.client.save(Request(CONTENT_LOG, limit_bytes=LONGEST_LOG), Path(folder))
        assert not isinstance(answer, NotModified), "no version was named"  # noqa: S101 - a matter of types
        yield answer.file, answer.received.version.modified
