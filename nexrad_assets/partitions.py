"""Partitions of NEXRAD assets: a UTC day and a site, which is the bucket's own prefix.

What belongs here: which days and sites there are, and how a partition's key is spelled; nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import dagster as dg

from nexrad_assets.levels.results import SiteDay

DAY = "day"
SITE = "site"

MAX_CELLS = 100_000
"""Days times sites that Dagster's UI counts in about a second."""


class TooManyPartitions(Exception):  # noqa: N818 - reads as the state it reports
    """The settings ask for more days times sites than `MAX_CELLS`; the message names them."""


def days_and_sites(sites: Iterable[str], first: date, today: date) -> dg.MultiPartitionsDefinition:
    """Every UTC day from `first` to today, for each site. Raises `TooManyPartitions`."""
    names = sorted(set(sites))
    days = (today - first).days + 1
    if days * len(names) > MAX_CELLS:
        raise TooManyPartitions(
            f"{days:,} days since {first} times {len(names)} sites are {days * len(names):,} partitions, "
            f"above {MAX_CELLS:,}: set NEXRAD_START_DATE to a later day, or name fewer sites in NEXRAD_SITES"
        )
    return dg.MultiPartitionsDefinition(
        {
            # Without the end offset a day becomes a partition when it is over.
            DAY: dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1),
            SITE: dg.StaticPartitionsDefinition(names),
        }
    )


def partition_key(partition: SiteDay) -> dg.MultiPartitionKey:
    """`2025-04-09|KPDT`."""
    return dg.MultiPartitionKey({DAY: partition.day.isoformat(), SITE: partition.site})


def site_day(key: str) -> SiteDay:
    """The site and day that a partition's key spells. Raises `ValueError`."""
    day, _, site = key.partition("|")
    return SiteDay(date.fromisoformat(day), site)


def site_days(keys: Iterable[str]) -> tuple[SiteDay, ...]:
    """The sites and days of several keys, in their order."""
    return tuple(site_day(key) for key in keys)
