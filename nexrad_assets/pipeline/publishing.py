"""Publishing: what a run has rendered goes into the snapshots of its days, in batches, and raises flags.

A volume is published at once. Many small files share a rewrite of their day's snapshot, but none waits long: what
is rendered and not published is lost work when a run is killed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from nexrad_assets.levels import scans
from nexrad_assets.levels.results import Mode, SiteDay
from nexrad_assets.levels.table import Level
from nexrad_assets.pipeline.context import Log, Workshop
from store import keys
from store.objects import StoreError, StoreUnavailable
from store.radar import flags, lists
from store.radar.snapshot import Scan, SnapshotError

WAITS_S: Mapping[Mode, float] = {"live": 10.0, "day": 60.0}
"""How long the first scan of a batch waits for the others."""


@dataclass(slots=True)
class _Batch:
    """Scans to publish together, with the raw files that they were made of."""

    begun: float
    made: list[Scan] = field(default_factory=list)
    raws: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Publisher:
    """Publishes the scans of some days as they come.

    `left` is how many are still to come of each day. A day whose snapshot is damaged does not hold up the
    others: its fault is in `faults`.
    """

    workshop: Workshop
    left: Counter[SiteDay]
    level: Level
    mode: Mode
    log: Log
    clock: Callable[[], float] = time.monotonic
    faults: dict[SiteDay, SnapshotError] = field(default_factory=dict)
    _batches: dict[SiteDay, _Batch] = field(default_factory=dict)

    def add(self, partition: SiteDay, raw_key: str, scan: Scan | None) -> None:
        """Take a rendered scan (none where another run was faster), and publish what is due."""
        now = self.clock()
        self.left[partition] -= 1
        if scan is not None:
            batch = self._batches.setdefault(partition, _Batch(now))
            batch.made.append(scan)
            batch.raws.append(raw_key)
        for day, waiting in list(self._batches.items()):
            is_full = len(waiting.made) >= self.level.batch(self.mode) or self.left[day] <= 0
            if is_full or now - waiting.begun >= WAITS_S[self.mode]:
                self._publish(day, self._batches.pop(day))

    def _publish(self, partition: SiteDay, batch: _Batch) -> None:
        """List scans in their day's snapshot, raise the flags of their groups, let their raw files go."""
        catalog, site = self.workshop.catalog, partition.site
        # Raised before, flags outlive a store that goes away after the snapshot is written: what is published is
        # not rendered again. Raised after, too, in case someone lowered them in between.
        raise_flags(self.workshop, site, batch.made, self.log)
        try:
            catalog.publish(site, partition.day, partial(scans.placed, made=batch.made))
        except SnapshotError as fault:
            self.faults[partition] = fault
            self.log(f"{site} {partition.day}: not published: {fault}")
            return
        raise_flags(self.workshop, site, batch.made, self.log)
        if self.workshop.settings.raw_keep_minutes == 0:
            self.workshop.store.delete([key for raw in batch.raws for key in (keys.raw_receipt(raw), raw)])
        if not self.level.told_singly:
            self.log(f"{site} {partition.day}: {len(batch.made)} published, {self.left[partition]} to come")


def raise_flags(workshop: Workshop, site: str, made: Sequence[Scan], log: Log) -> None:
    """Raise the flags of the product groups that have live news; an archive is none.

    Flags that cannot be changed, a damaged object say, do not hold up the images; a store that is away does, so that
    the run is repeated.
    """
    news: dict[flags.Product, int] = {
        group: 1 for group in flags.PRODUCTS if any(_is_news(scan, group) for scan in made)
    }
    if not news:
        return
    try:
        flags.merge(workshop.store, site, news)
    except StoreUnavailable:
        raise
    except StoreError as fault:
        log(f"{site}: no flags raised: {fault}")


def _is_news(scan: Scan, group: flags.Product) -> bool:
    return scan.origin == "live" and scan.level == lists.PRODUCTS[group] and group in scan.layers
