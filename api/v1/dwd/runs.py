"""Runs, issues and days of the archive: lists of them, and one with what it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from api.v1.dwd.archive import Archive, Entry, Place, place_of
from api.v1.dwd.known import periods
from api.v1.dwd.models import (
    CorrectedValue,
    FailedFile,
    Run,
    RunDetail,
    RunKind,
    SourceServer,
    unchanged,
)
from store.dwd.ledger import Ledger, Source, State, Summary, summary

SHOWN = 100
"""How many missing, failed and corrected things a run shows."""

LOOKED_AT = 500
"""Periods that a page of one state looks at, at most: it may then be short, and the next one goes on."""

REPORTS = "poi"


async def newest(
    archive: Archive,
    collection: str | None,
    state: State | None,
    limit: int,
    after: Place | None,
    now: datetime,
) -> tuple[list[Summary], Place | None]:
    """A page of summaries, newest first, and the place after which the next one begins.

    Raises `NotFound` for a collection that the archive does not have, `Unavailable`.
    """
    entries = (await archive.index()).entries if collection is None else await periods(archive, collection)
    left = [entry for entry in entries if after is None or entry.place < after]
    if state is None:
        page = left[:limit]
        return await archive.summaries(page), _end(page, left)
    found: list[Summary] = []
    for begin in range(0, min(len(left), LOOKED_AT), limit):
        for each in await archive.summaries(left[begin : begin + limit]):
            if each.state(now) != state:
                continue
            found.append(each)
            if len(found) == limit:
                end = place_of(each.collection, each.period)
                return found, end if end > left[-1].place else None
    return found, _end(left[:LOOKED_AT], left)


def _end(page: list[Entry], left: list[Entry]) -> Place | None:
    return page[-1].place if page and len(page) < len(left) else None


def run(told: Summary, now: datetime, base: str) -> Run:
    """A summary as it is shown."""
    minutes_left = told.minutes_left(now)
    href = f"{base}/runs/{told.collection}/{told.period}"
    return Run(
        collection=told.collection,
        period=told.period,
        kind=kind_of(told.collection),
        start=start_of(told.period),
        state=told.state(now),
        expected=told.expected,
        kept=told.kept,
        missing=told.missing,
        failed=told.failed,
        changed=told.changed,
        corrections=told.corrections,
        bytes_kept=told.bytes_kept,
        expects_more=told.expects_more,
        # Whole minutes: the document, and with it its entity tag, is another one once a minute and no oftener.
        minutes_left=None if minutes_left is None else int(minutes_left),
        deadline=told.deadline,
        looked_at=told.looked_at,
        warnings=list(told.warnings),
        revision=told.revision,
        href=href,
        files_href=f"{href}/files",
    )


def detail(ledger: Ledger, now: datetime, base: str) -> RunDetail:
    """A ledger as it is shown: without its files."""
    sources = [kept.source for kept in ledger.kept.values() if kept.source is not None]
    failures = sorted(ledger.failed.items())[:SHOWN]
    return RunDetail(
        **run(summary(ledger), now, base).model_dump(),
        missing_paths=list(ledger.missing[:SHOWN]),
        failures=[
            FailedFile(path=path, reason=fault.reason, at=fault.at, attempts=fault.attempts, etag=fault.etag)
            for path, fault in failures
        ],
        latest_corrections=[
            CorrectedValue(
                station=each.station,
                time=each.time,
                column=each.column,
                before=each.before,
                after=each.after,
                at=each.at,
            )
            for each in sorted(ledger.corrections, key=lambda each: each.at, reverse=True)[:SHOWN]
        ],
        sources=_servers(sources),
        made_here=sum(bool(kept.made_from) for kept in ledger.kept.values()),
        attribution=unchanged("counts of an archive; DWD's files themselves are unchanged"),
    )


def _servers(sources: Iterable[Source]) -> list[SourceServer]:
    times: dict[str, list[datetime]] = {}
    for source in sources:
        parts = urlsplit(source.url)
        times.setdefault(f"{parts.scheme}://{parts.netloc}", []).append(source.fetched_at)
    return [
        SourceServer(server=server, files=len(at), first_fetched_at=min(at), last_fetched_at=max(at))
        for server, at in sorted(times.items())
    ]


def kind_of(collection: str) -> RunKind:
    """What the periods of a collection are."""
    if collection == REPORTS:
        return "day"
    return "issue" if collection.startswith("mosmix-") else "run"


def start_of(period: str) -> datetime:
    """When a period begins. Raises `ValueError`."""
    return datetime.strptime(period.ljust(10, "0"), "%Y%m%d%H").replace(tzinfo=UTC)
