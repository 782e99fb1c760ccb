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
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from dwd_assets import mending, model_runs
from dwd_assets.collections import begin
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.office import Log, Office
from dwd_assets.opendata.addresses import NWP, parse_old, parse_v1
from dwd_assets.opendata.content_log import ContentLog, LogEntry
from dwd_assets.opendata.messages import NotModified, Request
from dwd_assets.opendata.settling import is_settled
from dwd_assets.progress import Done
from dwd_assets.run_pass import GROWN
from store import ledger
from store.ledger import Kept, Ledger

CONTENT_LOG = f"{NWP}/content.log.bz2"
LONGEST_LOG = 1 << 30
"""Bytes, packed; it has 55 million."""

OLDEST = timedelta(hours=30)
"""Runs that began before are on the server no more."""


@dataclass(slots=True)
class Differences:
    """Of one run: archive paths of files that the server has and the ledger does not know, and of newer ones.

    listed: of those that the ledger misses. newest: when the last file of the run that is selected was written.
    """

    unknown: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    newest: datetime | None = None


def reconcile(office: Office, log: Log) -> tuple[Done, ...]:
    """Look for differences of all models, and work on the runs that have some; gives what came of each.

    What is missing and was never on the server is told to the ledgers. Raises `OpendataError` and `FormatError` where
    the table of contents cannot be had, `StoreError`.
    """
    office.archive.check_floor()
    done: list[Done] = []
    with _content_log(office) as (file, made_at):
        for model in office.settings.selection.models:
            deadline = partial(_deadline, model)
            done += mending.mended(
                office, deadline, log, partial(_reconciled, office, model, file, made_at, log)
            )
    return tuple(done)


def differences(office: Office, model: str, content_log: Path) -> dict[datetime, Differences]:
    """What a table of contents has of a model's runs, beside what the ledger has, by run."""
    found: defaultdict[datetime, Differences] = defaultdict(Differences)
    known: dict[datetime, _Known] = {}
    now = office.clock()
    for key, entry in _wanted(office, model, content_log):
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
        if made_at is not None and _is_covered(model, run, found, made_at)
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
    office: Office, model: str, file: Path, made_at: datetime | None, log: Log
) -> tuple[Done, ...]:
    """What came of a model's runs."""
    found = differences(office, model, file)
    for run, paths in never_seen(office, model, found, made_at).items():
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
    for run in model_runs.recent_runs(model, now):
        summary = ledger.read_summary(office.store, model, run_text(run))
        if summary is not None and summary.missing and now < model_runs.deadline(model, run):
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


def _is_covered(model: str, run: datetime, found: Mapping[datetime, Differences], made_at: datetime) -> bool:
    """Whether a table of contents tells all that a run had: nothing came for hours, and nothing was deleted yet.

    Of a run that it does not name at all it does so where a later one has come to such an end.
    """
    if made_at >= model_runs.deadline(model, run):
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


def _deadline(model: str, period: str) -> datetime:
    return model_runs.deadline(model, begin(period))


def _wanted(office: Office, model: str, content_log: Path) -> Iterator[tuple[FieldKey, LogEntry]]:
    """The files of the trees that are followed, of runs that are there still, that the selection takes."""
    now, selection = office.clock(), office.settings.selection
    trees = []
    if office.settings.v1_tree:
        trees.append((f"v1/m/{model}/", parse_v1))
    if office.settings.old_tree:
        trees.append((f"{model}/grib/", parse_old))
    for under, parse in trees:
        with content_log.open("rb") as stream:
            for entry in ContentLog(stream, CONTENT_LOG, under):
                key = parse(f"{NWP}/{entry.path}")
                if (
                    key is not None
                    and now - OLDEST <= key.run <= now
                    and (parse is parse_v1 or key.grid == "regular")
                    and selection.takes(key)
                ):
                    yield key, entry


@contextmanager
def _content_log(office: Office) -> Iterator[tuple[Path, datetime | None]]:
    """The server's table of contents, and when it was made, where that is told."""
    with TemporaryDirectory(prefix="dwd-") as folder:
        answer = office.client.save(Request(CONTENT_LOG, limit_bytes=LONGEST_LOG), Path(folder))
        assert not isinstance(answer, NotModified), "no version was named"  # noqa: S101 - a matter of types
        yield answer.file, answer.received.version.modified
