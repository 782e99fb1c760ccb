"""Partitions of the archive's assets: runs, issues and days in time, keyed as the ledger spells them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from dwd_assets.kinds.table import Collection, begin


def partitions_of(collection: Collection, first: date) -> dg.TimeWindowPartitionsDefinition:
    """Every period of a collection from a day on, up to the one that has begun."""
    hours = (0,) if collection.hours is None else collection.hours
    start = datetime.combine(first, time(hours[0]), UTC)
    return dg.TimeWindowPartitionsDefinition(
        start=start.strftime(collection.spelling),
        cron_schedule=f"0 {','.join(map(str, hours))} * * *",
        fmt=collection.spelling,
        timezone="UTC",
        # Without it a run becomes a partition when the next one begins.
        end_offset=1,
    )


def recent_periods(collection: Collection, now: datetime, back: timedelta) -> tuple[str, ...]:
    """The periods of a collection that began within a time before `now`, the oldest first."""
    oldest = now - back
    periods = collection.periods_between(oldest.strftime(collection.spelling), now)
    return tuple(period for period in periods if begin(period) >= oldest)
