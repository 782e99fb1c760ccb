"""What `/readyz` tells of the archive: quick, and never a failure."""

from __future__ import annotations

import asyncio
import logging
import time

from api.models import ArchiveReadiness, NewestPeriod
from api.state.catalog import Clock
from api.v1.dwd.archive import Archive
from store.dwd.ledger import Summary
from store.settings import ArchiveSettings

log = logging.getLogger(__name__)

FRESH_S = 5.0
PATIENCE_S = 0.5
"""How long an answer waits for the archive; the look goes on, and the next answer has what it found."""

NOTHING_YET = "the archive was not read yet"


class ArchiveHealth:
    """The newest look at the archive."""

    def __init__(self, archive: Archive, settings: ArchiveSettings, clock: Clock) -> None:
        self._archive = archive
        self._floor = settings.free_floor_bytes
        self._clock = clock
        self._told = ArchiveReadiness(
            fault=NOTHING_YET, free_bytes=None, floor_bytes=self._floor, paused=False, newest=[]
        )
        self._at = float("-inf")
        self._look: asyncio.Task[None] | None = None

    async def told(self) -> ArchiveReadiness:
        """What is known, looked at anew where it is older than `FRESH_S`."""
        if time.monotonic() - self._at < FRESH_S:
            return self._told
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_now())
        await asyncio.wait((self._look,), timeout=PATIENCE_S)
        return self._told

    async def _look_now(self) -> None:
        fault, free, newest = None, self._told.free_bytes, self._told.newest
        try:
            free = await self._archive.link.read(
                "free bytes", lambda: self._archive.link.store().free_bytes()
            )
            newest = await self._newest()
        except Exception as error:  # noqa: BLE001 - whatever it is, that is what readiness is to tell
            log.warning("the archive cannot be looked at: %s", error)
            fault = str(error)
        self._told = ArchiveReadiness(
            fault=fault,
            free_bytes=free,
            floor_bytes=self._floor,
            paused=free is not None and free < self._floor,
            newest=newest,
        )
        self._at = time.monotonic()

    async def _newest(self) -> list[NewestPeriod]:
        collections = (await self._archive.index()).collections
        found = await self._archive.summaries(entries[0] for entries in collections.values())
        return [self._period(each) for each in found]

    def _period(self, summary: Summary) -> NewestPeriod:
        return NewestPeriod(
            collection=summary.collection,
            period=summary.period,
            state=summary.state(self._clock()),
            kept=summary.kept,
            missing=summary.missing,
            failed=summary.failed,
            looked_at=summary.looked_at,
        )
