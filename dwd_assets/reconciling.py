"""Comparing the ledger with the server's table of contents: what nobody expected, and what changed since.

Fields are expected by computation and fetched once. A parameter that appeared in the middle of a run, or a file that
was replaced after it was kept, is found here, some times a day, in `/weather/nwp/content.log.bz2`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from dwd_assets import model_runs
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path
from dwd_assets.office import Log, Office
from dwd_assets.opendata.addresses import NWP, parse_old, parse_v1
from dwd_assets.opendata.content_log import ContentLog, LogEntry
from dwd_assets.opendata.messages import NotModified, Request
from dwd_assets.opendata.settling import is_settled
from dwd_assets.progress import Done
from store import ledger
from store.ledger import Ledger

CONTENT_LOG = f"{NWP}/content.log.bz2"
LONGEST_LOG = 1 << 30
"""Bytes, packed; it has 55 million."""

OLDEST = timedelta(hours=30)
"""Runs that began before are on the server no more."""


@dataclass(slots=True)
class Differences:
    """Of one run: archive paths of files that the server has and the ledger does not know, and of newer ones."""

    unknown: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)


def reconcile(office: Office, log: Log) -> tuple[Done, ...]:
    """Look for differences of all models, and work on the runs that have some; gives what came of each.

    Raises `OpendataError` and `FormatError` where the table of contents cannot be had, `StoreError`.
    """
    office.archive.check_floor()
    done = []
    with _content_log(office) as file:
        for model in office.settings.selection.models:
            for run, found in sorted(differences(office, model, file).items()):
                log(
                    f"{model} {run:%Y-%m-%d %H}: {len(found.unknown)} unknown files, {len(found.newer)} newer"
                )
                also = (*found.unknown, *found.newer)
                done.append(model_runs.archive_run(office, model, run, log, also=also))
    return tuple(done)


def differences(office: Office, model: str, content_log: Path) -> dict[datetime, Differences]:
    """What a table of contents has of a model's runs that the ledger has not, by run."""
    found: defaultdict[datetime, Differences] = defaultdict(Differences)
    known: dict[datetime, Ledger] = {}
    for key, entry in _wanted(office, model, content_log):
        if key.run not in known:
            known[key.run] = ledger.read(office.store, model, f"{key.run:%Y%m%d%H}")
        path = archive_path(key)
        kept = known[key.run].kept.get(path)
        if kept is None:
            if path not in known[key.run].missing:
                found[key.run].unknown.append(path)
        elif (
            kept.source is not None
            and kept.source.modified is not None
            and kept.source.modified < entry.modified
        ):
            found[key.run].newer.append(path)
    return dict(found)


def _wanted(office: Office, model: str, content_log: Path) -> Iterator[tuple[FieldKey, LogEntry]]:
    """The settled files of the trees that are followed, of runs that are there still, that the selection takes."""
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
                    and is_settled(entry.modified, now)
                ):
                    yield key, entry


@contextmanager
def _content_log(office: Office) -> Iterator[Path]:
    with TemporaryDirectory(prefix="dwd-") as folder:
        answer = office.client.save(Request(CONTENT_LOG, limit_bytes=LONGEST_LOG), Path(folder))
        assert not isinstance(answer, NotModified), "no version was named"  # noqa: S101 - a matter of types
        yield answer.file
