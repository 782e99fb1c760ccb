from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexrad_assets.definitions import build_definitions
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.partitions import (
    MAX_CELLS,
    TooManyPartitions,
    days_and_sites,
    partition_key,
    site_day,
    site_days,
)
from nexrad_assets.settings import NexradSettings

TODAY = datetime.now(UTC).date()
site_ids = st.from_regex(r"[A-Z][A-Z0-9]{3}", fullmatch=True)


@given(st.dates(date(1991, 6, 5), date(2100, 1, 1)), site_ids)
def test_a_key_is_read_back_as_the_day_and_site_it_was_made_of(day, site):
    assert site_day(partition_key(SiteDay(day, site))) == SiteDay(day, site)


def test_a_key_is_spelled_as_dagster_spells_it():
    partitions = days_and_sites(["KPDT"], TODAY, TODAY)
    assert partitions.get_partition_keys() == [partition_key(SiteDay(TODAY, "KPDT"))]


def test_a_malformed_key_is_refused():
    with pytest.raises(ValueError, match="9999"):
        site_day("9999|KPDT")


def test_today_is_a_partition_and_tomorrow_is_not():
    partitions = days_and_sites(["KPDT"], TODAY - timedelta(days=3), TODAY)
    assert partitions.has_partition_key(partition_key(SiteDay(TODAY, "KPDT")))
    assert not partitions.has_partition_key(partition_key(SiteDay(TODAY + timedelta(days=1), "KPDT")))


def test_a_range_of_one_day_is_the_sites_between_its_ends_in_the_sorted_list():
    partitions = days_and_sites(["KTLX", "KLOT", "KPDT", "KLBB"], TODAY, TODAY)
    ends = dg.PartitionKeyRange(partition_key(SiteDay(TODAY, "KLOT")), partition_key(SiteDay(TODAY, "KTLX")))
    keys = partitions.get_partition_keys_in_range(ends)
    assert [one.site for one in site_days(keys)] == ["KLOT", "KPDT", "KTLX"]


def test_the_most_partitions_that_are_borne_are_counted_as_dagster_counts_them():
    first = TODAY - timedelta(days=9)
    assert len(days_and_sites(["KLOT", "KPDT"], first, TODAY).get_partition_keys()) == 20


def test_one_partition_above_the_limit_is_refused_and_the_settings_named():
    first = TODAY - timedelta(days=MAX_CELLS // 20 - 1)
    sites = [f"K{n:03}" for n in range(20)]
    days_and_sites(sites, first, TODAY)
    with pytest.raises(TooManyPartitions, match=r"100,020 partitions.*NEXRAD_START_DATE.*NEXRAD_SITES"):
        days_and_sites(sites, first - timedelta(days=1), TODAY)


def test_definitions_of_too_many_partitions_do_not_load():
    settings = NexradSettings(_env_file=None, sites=("all",), start_day=date(2013, 1, 1))
    with pytest.raises(TooManyPartitions, match="NEXRAD_START_DATE"):
        build_definitions(settings=settings)
