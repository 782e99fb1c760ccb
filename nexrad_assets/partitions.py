"""Partitions of NEXRAD assets: a UTC day and a site, which is the bucket's own prefix.

What belongs here: which days and sites there are, and how a partition's key is spelled. Nothing else spells one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import dagster as dg

from nexrad_assets.reports import SiteDay

DAY = "day"
SITE = "site"

MAX_CELLS = 100_000
"""Days times sites that Dagster's UI counts in about a second."""

FIRST_DAY = date(1991, 6, 5)
"""The first day of the public bucket."""

FEW_SITES = 7
"""This many sites have room for every day since `FIRST_DAY`."""


class TooManyPartitions(Exception):  # noqa: N818 - reads as the state it reports
    """The settings ask for more days times sites than `MAX_CELLS`; the message names them."""


def first_day(sites: Sequence[str], start: date | None, today: date) -> date:
    """The first day that is a partition: `start`, else the bucket's first or, of many sites, this year's.

    Yesterday is always a partition by default, so that on New Year's Day its last volumes still have a place.
    """
    if start is not None:
        return start
    return FIRST_DAY if len(sites) <= FEW_SITES else (today - timedelta(days=1)).replace(month=1, day=1)


def days_and_sites(sites: Sequence[str], start: date | None, today: date) -> dg.MultiPartitionsDefinition:
    """Every UTC day from the first to today, for each site. Raises `TooManyPartitions`."""
    sites = sorted(set(sites))
    first = first_day(sites, start, today)
    days = (today - first).days + 1
    if days * len(sites) > MAX_CELLS:
        raise TooManyPartitions(
            f"{days:,} days since {first} times {len(sites)} sites are {days * len(sites):,} partitions, above "
            f"{MAX_CELLS:,}: set NEXRAD_START_DATE to a later day or name fewer sites in NEXRAD_SITES"
        )
    return dg.MultiPartitionsDefinition(
        {
            # Without the end offset a day becomes a partition when it is over.
            DAY: dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1),
            SITE: dg.StaticPartitionsDefinition(sites),
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
