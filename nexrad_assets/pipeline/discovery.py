"""Finding out which sites have files that are not rendered yet: list, diff, group, request. No Dagster.

The truth is in the snapshots: a file is news until a snapshot holds it, rendered or failed, by these very
bytes and settings. What is remembered from tick to tick only saves looking twice; to lose it loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.levels.scans import Recipe
from nexrad_assets.levels.table import Level
from nexrad_assets.pipeline import live_window
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.sources.source import RemoteFile
from store.radar.lists import AHEAD

BLOCK_SITES = 20
"""Sites that one live run handles at most: 0.9 s of Dagster's own work, against 20 times 0.25 s."""

YESTERDAY_UNTIL_HOUR = 3
"""Volumes begun at 23:5x are in yesterday's folder, and arrive after midnight."""

FIRST_PATIENCE_S = 30.0
LONGEST_PATIENCE_S = 900.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of a site and day: a digest of its listing, how often and when a run was asked for.

    `asked` is 0 where that listing held nothing to do; `when` is in seconds since 1970; `pending` is how many files
    waited then.
    """

    listing: str
    asked: int = 0
    when: float = 0.0
    pending: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What one tick leaves to the next: where to begin (a site, or empty), and what was seen."""

    begin: str = ""
    seen: Mapping[SiteDay, Seen] = field(default_factory=dict)


def read_memory(cursor: str | None) -> Memory:
    """The memory in a sensor's cursor; an empty one where the cursor is none or malformed."""
    try:
        document = json.loads(cursor or "{}")
        seen = {
            _target(name): Seen(str(s[0]), int(s[1]), float(s[2]), int(s[3]))
            for name, s in document.get("seen", {}).items()
        }
        return Memory(str(document.get("begin", "")), seen)
    except (ValueError, TypeError, LookupError, AttributeError):
        return Memory()


def write_memory(memory: Memory) -> str:
    """The memory as a sensor's cursor."""
    seen: dict[str, Any] = {
        f"{target.day.isoformat()}|{target.site}": [s.listing, s.asked, s.when, s.pending]
        for target, s in sorted(memory.seen.items())
    }
    return json.dumps({"begin": memory.begin, "seen": seen}, separators=(",", ":"))


def _target(name: str) -> SiteDay:
    day, _, site = name.partition("|")
    return SiteDay(date.fromisoformat(day), site)


def targets(sites: Iterable[str], first: date, now: datetime, begin: str = "") -> tuple[SiteDay, ...]:
    """What to list, in this order: of each site today and, early in the day, yesterday; `begin` comes first.

    Days before `first` are no partitions, and left out.
    """
    today = now.astimezone(UTC).date()
    days = [today] if now.astimezone(UTC).hour >= YESTERDAY_UNTIL_HOUR else [today, today - timedelta(days=1)]
    ordered = sorted(set(sites))
    rotated = [site for site in ordered if site >= begin] + [site for site in ordered if site < begin]
    return tuple(SiteDay(day, site) for site in rotated for day in days if day >= first)


def block_of(target: SiteDay, sites: Iterable[str]) -> str:
    """The block that a site and day belong to, named by the day and the block's first site."""
    ordered = sorted(set(sites))
    first = ordered.index(target.site) // BLOCK_SITES * BLOCK_SITES
    return f"{target.day.isoformat()}|{ordered[first]}"


def look(
    wanted: Sequence[SiteDay], one: Callable[[SiteDay], T], workers: int, budget_s: float
) -> tuple[dict[SiteDay, T], dict[SiteDay, Exception]]:
    """Do `one` for every target in order, `workers` at a time, for `budget_s`; gives results and faults.

    Targets that the budget leaves out are in neither.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="look")
    try:
        futures = {pool.submit(one, target): target for target in wanted}
        done, _ = wait(futures, timeout=budget_s)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    results: dict[SiteDay, T] = {}
    faults: dict[SiteDay, Exception] = {}
    for future in done:
        fault = future.exception()
        if fault is None:
            results[futures[future]] = future.result()
        elif isinstance(fault, Exception):
            faults[futures[future]] = fault
        else:
            raise fault
    return results, faults


@dataclass(frozen=True, slots=True)
class Look:
    """What a site and day were found to have: its listing's digest, and how many files wait for a run."""

    listing: str
    pending: int


def look_at(workshop: Workshop, level: Level, target: SiteDay, seen: Seen | None) -> Look:
    """List a site and day, and count what its snapshot lacks. Raises `SourceError` and `StoreError`.

    Where nothing was to do and the listing is the same still, the snapshot is not read.
    """
    now, recipe = workshop.clock(), level.recipe
    window = timedelta(minutes=workshop.settings.list_minutes)
    newest_live = workshop.catalog.head(target.site).newest_live(level.number)
    since = live_window.listed_since(now, newest_live, window)
    listed = level.source.list_day(target.site, target.day, since)
    listing = digest(listed, recipe, now)
    if seen == Seen(listing):
        return Look(listing, 0)
    selection = live_window.select(listed, "live", now=now, newest_live=newest_live, window=window)
    known = scans.by_source(workshop.catalog.snapshot(target.site, target.day))
    made = {key: scan.fingerprint for key, scan in known.items()}
    return Look(listing, sum(made.get(f.key) != recipe.fingerprint(f.etag, f.size) for f in selection.wanted))


def digest(listed: Iterable[RemoteFile], recipe: Recipe, now: datetime) -> str:
    """What a listing is known by: its believable files with their bytes, and how images are made."""
    lines = sorted(f"{f.key} {f.etag} {f.size}" for f in listed if f.name.time <= now + AHEAD)
    return hashlib.sha256("\n".join((recipe.fingerprint("", 0), *lines)).encode()).hexdigest()[:12]


def is_due(look: Look, seen: Seen | None, now: datetime) -> bool:
    """Whether to ask for a run: at once for a new listing, then ever more patiently for the same one.

    So a run that failed is asked for again by the next tick, one that has left some for the next run too, and a
    file that cannot be fetched is not asked for twice a minute for ever.
    """
    if look.pending == 0:
        return False
    if seen is None or seen.listing != look.listing or seen.asked == 0 or look.pending < seen.pending:
        return True
    patience = min(FIRST_PATIENCE_S * 2.0 ** min(seen.asked - 1, 10), LONGEST_PATIENCE_S)
    return (now.timestamp() - seen.when) >= patience


@dataclass(frozen=True, slots=True)
class Ask:
    """A run to ask for: of one day, the sites from `first` to `last` in the sorted list, all of one block."""

    block: str
    first: SiteDay
    last: SiteDay
    sites: tuple[str, ...]


def group(due: Iterable[SiteDay], sites: Iterable[str]) -> tuple[Ask, ...]:
    """One ask a day and block, the newest day first, from the first to the last site that is due."""
    known = tuple(sites)
    asks = []
    ordered = sorted(due, key=lambda target: (-target.day.toordinal(), target.site))
    for block, members in groupby(ordered, key=lambda target: block_of(target, known)):
        found = tuple(members)
        asks.append(Ask(block, found[0], found[-1], tuple(target.site for target in found)))
    return tuple(asks)


def only(memory: Memory, wanted: Iterable[SiteDay]) -> Memory:
    """The memory without what is not looked at any more: days gone by, sites taken out of the settings."""
    kept = {target: memory.seen[target] for target in wanted if target in memory.seen}
    return replace(memory, seen=kept)


def remembered(
    memory: Memory,
    wanted: Sequence[SiteDay],
    looks: Mapping[SiteDay, Look],
    faults: Iterable[SiteDay],
    asked: Iterable[SiteDay],
    now: datetime,
) -> Memory:
    """The memory for the next tick: what was seen and asked for, and where the budget cut `wanted`."""
    seen = dict(memory.seen)
    seen.update({target: Seen(found.listing) for target, found in looks.items() if found.pending == 0})
    for target in asked:
        before, listing = seen.get(target), looks[target].listing
        times = before.asked if before is not None and before.listing == listing else 0
        seen[target] = Seen(listing, times + 1, now.timestamp(), looks[target].pending)
    answered = {*looks, *faults}
    return Memory(next((target.site for target in wanted if target not in answered), ""), seen)
