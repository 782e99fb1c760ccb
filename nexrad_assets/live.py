"""What is live: which volumes a run should handle, and which scans retention lets go. Pure rules.

The reference of every window is the earlier of the clock and the site's newest live scan, so a radar that
falls silent keeps its last window; a volume stamped far ahead of the clock is no reference for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nexrad_assets.reports import Mode
from nexrad_assets.source import SourceVolume
from store.lists import AHEAD
from store.snapshot import Scan


@dataclass(frozen=True, slots=True)
class Selection:
    """The volumes of a listing that a run handles, and those stamped too far ahead of the clock."""

    wanted: tuple[SourceVolume, ...]
    quarantined: tuple[SourceVolume, ...]


def select(
    volumes: Sequence[SourceVolume],
    mode: Mode,
    *,
    now: datetime,
    newest_live: datetime | None,
    window: timedelta,
) -> Selection:
    """Choose from a day's listing: in mode `day` all of it, in mode `live` the last `window`.

    `newest_live` is the site's newest live scan of any day, or none.
    """
    volumes = one_a_scan(volumes)
    believable = tuple(volume for volume in volumes if volume.name.time <= now + AHEAD)
    ahead = tuple(volume for volume in volumes if volume.name.time > now + AHEAD)
    if mode == "day" or not believable:
        return Selection(believable, ahead)
    newest = max(volume.name.time for volume in believable)
    reference = min(now, max(newest, newest_live or newest))
    return Selection(tuple(v for v in believable if v.name.time >= reference - window), ahead)


def one_a_scan(volumes: Sequence[SourceVolume]) -> tuple[SourceVolume, ...]:
    """The volumes, oldest first, without doubles: of files with one time (one of them packed, say) the largest."""
    by_time: dict[datetime, SourceVolume] = {}
    for volume in sorted(volumes, key=lambda volume: (volume.size, volume.key)):
        by_time[volume.name.time] = volume
    return tuple(by_time[moment] for moment in sorted(by_time))


def expired(scan: Scan, reference: datetime, keep: timedelta) -> bool:
    """Whether retention lets a scan go: only what is not kept, older than `keep` before the reference."""
    return not scan.kept and scan.start < reference - keep
