"""Archiving the fields of model runs: which runs something can be fetched of, and fetching it.

What belongs here: runs and when they are due. What does not: the pass itself (`dwd_assets.fields.run_pass`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from dwd_assets.fields.catalogue import ModelCatalogue, read_catalogue
from dwd_assets.fields.expected import Expectations, Trees, address
from dwd_assets.fields.history import RunHistory, read_history
from dwd_assets.fields.retention import Retention, read_retention, run_hours
from dwd_assets.fields.run_pass import RunPass
from dwd_assets.fields.standing import GROWN, QUIET, UNVERIFIED
from dwd_assets.formats.checks import parse_run, run_text
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.opendata.settling import is_settled
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.probing import looks
from dwd_assets.periods.progress import GRACE, MOST_AHEAD, Done, Due, rest
from dwd_assets.selection import Selection
from store.dwd import ledger
from store.dwd.ledger import Failed, Ledger, Summary

_LOOKS_AT_ONCE = 8
"""Runs that are asked for at the same time: one after the other, a slow server would cost a sensor its minute."""

_LATE = 2 * GROWN
"""After so long, a run of which nothing was found is looked for by any of its fields, not only the first."""

_UNLISTED_RESTS = 3
"""A run of which more may have to be listed rests at most so many times as long as one that has just started, until
nothing new came for `GROWN`.
"""


def deadline(office: Office, model: str, run: datetime) -> datetime:
    """When the server deletes the first file of a run, by the number of runs that it was seen to keep."""
    return read_retention(office.store, model).deadline(run)


def runs_due(office: Office, model: str, now: datetime) -> tuple[Due, ...]:
    """The runs that are not complete and of which something can probably be fetched now, the soonest deleted first.

    That is where the next field that is expected is there and settled (a request or two, without a body), or where
    it is time to try again for what is missing, which is tried the more seldom the longer nothing came. A complete
    run costs no request. A run that cannot be asked for costs no other; where none is due then, that raises its
    `OpendataError`. Raises `StoreError`.
    """
    retention = read_retention(office.store, model)
    runs = recent_runs(retention, now)
    found = looks(runs, lambda run: is_due(office, retention, run, now), _LOOKS_AT_ONCE)
    due = [look.at for look in found if look.found]
    faults = [look.fault for look in found if look.fault is not None]
    if faults and not due:
        raise faults[0]
    return tuple(sorted(Due(retention.deadline(run), model, run_text(run)) for run in due))


def is_due(office: Office, retention: Retention, run: datetime, now: datetime) -> bool:
    """Whether something can probably be fetched of a run now. Raises `OpendataError`, `StoreError`."""
    summary = ledger.read_summary(office.store, retention.model, run_text(run))
    if summary is None and now >= retention.deadline(run):
        return False
    if summary is None or summary.looked_at is None:
        expected = _expected_keys(office, retention.model, run)
        first = expected if now >= run + _LATE else _earliest(expected)
        return _is_there(office, first, {}, now) if first else True
    return summary.state(now) != "complete" and _has_news(office, retention, run, summary, now)


def archive_run(
    office: Office,
    model: str,
    run: datetime,
    log: Log,
    wanted: Selection | None = None,
    *,
    recheck: bool = False,
    also: Iterable[str] = (),
) -> Done:
    """Fetch, verify and keep what there is of a run and is not kept yet; record in the ledger how the run stands.

    `wanted` is what is fetched instead of what the settings select, which the ledger goes on to expect. `recheck`:
    the server is asked for another version of everything that is kept; what it replaces is kept beside it. `also`:
    archive paths of fields that are asked for whether they are expected or not, and kept or not.
    After its deadline and the grace a run of which something is missing is asked for once more, and then costs no
    request; nor does one that has no ledger by its deadline. Raises `StoreError`, `BelowFloor` among them, after
    recording what came; what is wrong with a file, or with the server, is in the ledger. Raises
    `ValueError` for a run that is not a whole hour (UTC), or more than an hour in the future.
    """
    period = run_text(run)
    if parse_run(period) != run:
        raise ValueError(f"{run!r} is no whole hour, UTC")
    now = office.clock()
    if run > now + MOST_AHEAD:
        raise ValueError(f"{model} {period} is in the future: it is {now:%Y-%m-%d %H:%M} UTC")
    before = ledger.read(office.store, model, period)
    retention = read_retention(office.store, model)
    if _is_over(before, retention.deadline(run), now):
        if before.revision:  # the disk may have been full when the summary was to be written
            ledger.summarize_again(office.store, model, period)
        return Done(ledger.summary(before))
    return RunPass(office, before, run, retention, log, wanted).go(recheck=recheck, also=also)


def newest_run(model: str, now: datetime) -> datetime:
    """The run of a model that began last."""
    return now.replace(hour=now.hour - now.hour % run_hours(model), minute=0, second=0, microsecond=0)


def expected_paths(office: Office, model: str, run: datetime) -> tuple[str, ...]:
    """The archive paths that a run is expected to have, as far as that is known without asking the server."""
    return tuple(dict.fromkeys(archive_path(key) for key in _expected_keys(office, model, run)))


def knows_all(office: Office, model: str, run: datetime) -> bool:
    """Whether `expected_paths` are all that a run is to have, by earlier runs of the same hour."""
    expectations, catalogue, selection = _expectations(office, model, run)
    series = list(expectations.series(catalogue, selection))
    return bool(series) and not expectations.has_unknown(catalogue, selection)


def recent_runs(retention: Retention, now: datetime) -> Iterator[datetime]:
    """The runs that the server may have, the oldest first."""
    model = retention.model
    newest, hours = newest_run(model, now), timedelta(hours=run_hours(model))
    count = (now - newest + retention.deadline(newest) - newest + GRACE) // hours + 1
    for number in range(count, -1, -1):
        run = newest - number * hours
        if now < retention.deadline(run) + GRACE:
            yield run


def _is_over(before: Ledger, end: datetime, now: datetime) -> bool:
    """Whether the server is not to be asked for a run any more, which it deletes at `end`."""
    if now < end:
        return False
    if not before.revision or before.state(now) == "complete":
        return True
    is_asked = before.looked_at is not None and before.looked_at >= end
    return is_asked and now >= end + GRACE


def _has_news(office: Office, retention: Retention, run: datetime, summary: Summary, now: datetime) -> bool:
    """Whether there may be something to fetch, or to judge, of a run that was looked at and is not complete."""
    retry = timedelta(minutes=office.settings.fields_retry_minutes)
    if not summary.missing and not summary.failed and summary.kept:
        return _is_to_be_judged(summary, now, retry, retention.deadline(run))
    since = max(summary.newest or run, run)
    wait = rest(retry, since, retention.deadline(run), now)
    may_grow = summary.expects_more and now < since + GROWN
    if _has_rested(summary, now, min(wait, _UNLISTED_RESTS * retry) if may_grow else wait):
        return True
    known = ledger.read(office.store, retention.model, run_text(run))
    if _is_there(office, _next_fields(known), known.failed, now):
        return True
    # What may come is not to wait for that turn.
    any_of_it = list(_keys(known.missing)) if _has_rested(summary, now, retry) else []
    return _is_there(office, any_of_it, known.failed, now)


def _is_to_be_judged(summary: Summary, now: datetime, retry: timedelta, deadline: datetime) -> bool:
    """Whether it is time to see if a run has all, of which nothing is known to be missing.

    Where that cannot be seen, since some of it cannot be listed, the pauses get longer.
    """
    if summary.looked_at is None or summary.newest is None:
        return True
    if any(line.startswith(UNVERIFIED) for line in summary.warnings):
        pause = rest(_UNLISTED_RESTS * retry, summary.newest + GROWN, deadline, now)
        return now - summary.looked_at >= pause
    pause = rest(min(retry, QUIET), summary.newest + QUIET, deadline, now)
    return now - summary.newest >= QUIET and now - summary.looked_at >= pause


def _has_rested(summary: Summary, now: datetime, wait: timedelta) -> bool:
    """Whether a run that has started, or whose fields have to be listed, was looked at long enough ago."""
    has_begun = bool(summary.kept or summary.failed) or summary.expects_more
    return has_begun and summary.looked_at is not None and now - summary.looked_at >= wait


def _expected_keys(office: Office, model: str, run: datetime) -> list[FieldKey]:
    """What a run that was not looked at yet is to have by earlier runs, of other hours where need be."""
    expectations, catalogue, selection = _expectations(office, model, run)
    fields = (*expectations.of(catalogue, selection), *expectations.candidates(catalogue, selection))
    return [field.key for field in fields]


def _expectations(
    office: Office, model: str, run: datetime
) -> tuple[Expectations, ModelCatalogue, Selection]:
    settings = office.settings
    trees = Trees(settings.v1_tree, settings.old_tree)
    expectations = Expectations(RunHistory(read_history(office.store, model), run), trees)
    return expectations, read_catalogue(office.store, model), settings.selection.of_model(model)


def _next_fields(known: Ledger) -> list[FieldKey]:
    """Of what is missing: the step after the latest that is kept, or the first; what failed last of all."""
    latest = max((key.step_minutes for key in _keys(known.kept)), default=-1)
    missing = [path for path in known.missing if path not in known.failed]
    # A file that did not come at all waits for its next turn; of one that was bad, there may be another version.
    bad = [path for path in known.missing if path in known.failed and known.failed[path].etag is not None]
    keys = list(_keys(missing)) or list(_keys(bad))
    return _earliest([key for key in keys if key.step_minutes > latest]) or _earliest(keys)


def _earliest(keys: list[FieldKey]) -> list[FieldKey]:
    """The fields of the first step, those of the v1 tree if there are any."""
    first = min((key.step_minutes for key in keys), default=0)
    fields = [key for key in keys if key.step_minutes == first]
    return [key for key in fields if key.grid == "icosahedral"] or fields


def _is_there(office: Office, fields: list[FieldKey], failed: Mapping[str, Failed], now: datetime) -> bool:
    """Whether one of these fields, drawn anew each time, is on the server, settled, and no version known as bad.

    Drawn, because one that never comes must not be the one that is waited for. Raises `OpendataError`.
    """
    if not fields:
        return False
    drawn = random.Random(now.isoformat()).choice(fields)
    seen = office.client.look(address(drawn))
    if seen is None or (seen.version.modified is not None and not is_settled(seen.version.modified, now)):
        return False
    bad = failed.get(archive_path(drawn))
    return bad is None or bad.etag != seen.version.etag


def _keys(paths: Iterable[str]) -> Iterator[FieldKey]:
    for path in paths:
        key = parse_archive_path(path)
        if isinstance(key, FieldKey):
            yield key
