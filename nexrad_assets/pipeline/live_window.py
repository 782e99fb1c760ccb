"""What is live: which files a run should handle, and which scans retention lets go. Pure rules.

The reference of every window is the earlier of the clock and the site's newest live scan, so a radar that
falls silent keeps its last window; a file stamped far ahead of the clock is no reference for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexrad_assets.levels.results import Mode
from nexrad_assets.sources.source import RemoteFile
from store.radar.lists import AHEAD
from store.radar.snapshot import Scan


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a listing that a run handles, and those stamped too far ahead of the clock."""

    wanted: tuple[RemoteFile, ...]
    quarantined: tuple[RemoteFile, ...]


def listed_since(now: datetime, newest_live: datetime | None, window: timedelta) -> datetime | None:
    """From when on a listing is wanted in mode `live`, on the hour; none where nothing was live yet."""
    if newest_live is None:
        return None
    return (min(now, newest_live) - window).replace(minute=0, second=0, microsecond=0)


def select(
    files: Sequence[RemoteFile],
    mode: Mode,
    *,
    now: datetime,
    newest_live: datetime | None,
    window: timedelta,
) -> Selection:
    """Choose from a day's listing: in mode `day` all of it, in mode `live` the last `window`.

    `newest_live` is the newest live scan of the site and level of any day, or none.
    """
    files = one_a_scan(files)
    believable = tuple(file for file in files if file.name.time <= now + AHEAD)
    ahead = tuple(file for file in files if file.name.time > now + AHEAD)
    if mode == "day" or not believable:
        return Selection(believable, ahead)
    newest = max(file.name.time for file in believable)
    reference = min(now, max(newest, newest_live or newest))
    return Selection(tuple(f for f in believable if f.name.time >= reference - window), ahead)


def one_a_scan(files: Sequence[RemoteFile]) -> tuple[RemoteFile, ...]:
    """The files, oldest first, without doubles: of those of one scan (one of them packed, say) the largest."""
    by_scan: dict[tuple[datetime, str], RemoteFile] = {}
    for file in sorted(files, key=lambda file: (file.size, file.key)):
        by_scan[file.name.time, file.name.suffix or ""] = file
    return tuple(by_scan[scan] for scan in sorted(by_scan))


def expired(scan: Scan, reference: datetime, keep: timedelta) -> bool:
    """Whether retention lets a scan go: only what is not kept, older than `keep` before the reference."""
    return not scan.kept and scan.start < reference - keep
