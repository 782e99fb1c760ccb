"""The bucket source on a flat bucket of Level 3 products: a real S3 server, and one that fails as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.loaders import JSONFileLoader

from nexrad_assets.names import parse_product_name
from nexrad_assets.sources.layouts import Level3Layout
from nexrad_assets.sources.source import (
    BucketSource,
    FolderSource,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    open_source,
)
from store.retry import Retry
from tests.nexrad_assets.sources import faulty_s3
from tests.nexrad_assets.sources.faulty_s3 import BUCKET, FaultyS3
from tests.samples import SAMPLES, needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
DAY = date(2025, 4, 9)
NOON = datetime(2025, 4, 9, 12, tzinfo=UTC)
CODES = ("N0H", "DAA", "HHC")
KEY = "PDT_N0H_2025_04_09_11_58_00"


class Clock:
    """Seconds since 1970 that pass only when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now.timestamp()


read_model = JSONFileLoader.load_file


@cache
def model(path: str) -> Any:
    """What botocore knows of a service: megabytes of JSON, which else each client of each test reads anew."""
    return read_model(JSONFileLoader(), path)


@pytest.fixture(autouse=True)
def models_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda _, path: model(path))


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with faulty_s3.running() as state:
        state.objects[KEY] = b"a product"
        yield state


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def source(server: FaultyS3, clock: Clock) -> BucketSource:
    retry = Retry(sleep=lambda _: None)
    return BucketSource(
        BUCKET, Level3Layout(CODES), endpoint=server.endpoint, request_s=1.0, retry=retry, clock=clock
    )


def one_code(server: FaultyS3, **settings) -> BucketSource:
    retry = Retry(sleep=lambda _: None)
    return BucketSource(
        BUCKET, Level3Layout(("N0H",)), endpoint=server.endpoint, request_s=1.0, retry=retry, **settings
    )


def asked_for(server: FaultyS3) -> list[str]:
    """The prefixes that were listed since the last look, sorted."""
    prefixes = sorted(parse_qs(urlsplit(path).query)["prefix"][0] for path in server.asked)
    server.asked.clear()
    return prefixes


def keys(
    source: BucketSource, day: date = DAY, since: datetime | None = None, *, archive: bool = False
) -> list[str]:
    return [file.key for file in source.list_day("KPDT", day, since, archive=archive)]


def test_a_day_is_listed_and_fetched_as_the_bucket_has_it(source):
    (file,) = source.list_day("KPDT", DAY)
    assert file.name == parse_product_name(KEY)
    assert (file.key, file.size, file.etag) == (KEY, 9, faulty_s3.tag(b"a product"))
    assert file.modified == datetime(2025, 4, 9, 13, tzinfo=UTC)
    assert source.fetch(file) == b"a product"


def test_each_code_is_asked_for_by_its_own_prefix(source, server):
    source.list_day("KPDT", DAY)
    assert asked_for(server) == ["PDT_DAA_2025_04_09_", "PDT_HHC_2025_04_09_", "PDT_N0H_2025_04_09_"]


def test_products_of_all_codes_come_oldest_first_without_what_is_none(source, server):
    names = ["PDT_DAA_2025_04_09_11_58_00", "PDT_HHC_2025_04_09_00_00_00", "PDT_N0H_2025_04_09_12_04_00"]
    foreign = ["PDT_N0H_2025_04_09_12_00_00.gz", "PDT_N0H_2025_04_09_99_00_00", "PDT_N0H_2025_04_09_deep/x"]
    others = ["PDT_N1H_2025_04_09_12_00_00", "PDT_N0H_2025_04_10_12_00_00", "RTX_N0H_2025_04_09_12_00_00"]
    server.objects |= dict.fromkeys(names + foreign + others, b"x")
    assert keys(source) == [names[1], names[0], KEY, names[2]]


def test_since_is_where_the_listing_starts(source, server):
    server.objects |= {f"PDT_DAA_2025_04_09_{h:02}_00_00": b"x" for h in range(12)}
    assert keys(source, since=NOON - timedelta(hours=2)) == [
        "PDT_DAA_2025_04_09_10_00_00",
        "PDT_DAA_2025_04_09_11_00_00",
        KEY,
    ]
    assert {parse_qs(urlsplit(path).query)["start-after"][0][7:] for path in server.asked} == {
        "_2025_04_09_10_00_"
    }


def test_a_long_day_is_listed_over_its_pages(server):
    server.page = 100
    server.objects = {
        f"PDT_N0H_2025_04_09_{h:02}_{m:02}_00": b"x" for h in range(12) for m in range(0, 60, 2)
    }
    assert keys(one_code(server)) == sorted(server.objects)
    assert len(server.asked) == 4


def test_a_prefix_of_the_bucket_is_no_part_of_keys(server):
    server.objects = {f"mirror/level3/{key}": b"data" for key in (KEY, "PDT_N0H_2025_04_09_09_00_00")}
    source = open_source(f"s3://{BUCKET}/mirror/level3/", Level3Layout(CODES), server.endpoint)
    (file,) = source.list_day("KPDT", DAY, NOON - timedelta(hours=1))
    assert file.key == KEY
    assert source.fetch(file) == b"data"


def test_many_codes_are_listed_eight_at_a_time(server):
    server.list_s = 0.05
    codes = tuple(f"C{n:02}" for n in range(24))
    BucketSource(BUCKET, Level3Layout(codes), endpoint=server.endpoint).list_day("KPDT", DAY)
    assert len(server.asked) == 24
    assert 4 <= server.most_at_once <= 8


def test_no_codes_are_no_requests(server):
    assert BucketSource(BUCKET, Level3Layout(()), endpoint=server.endpoint).list_day("KPDT", DAY) == ()
    assert server.asked == []


def test_an_anonymous_listing_has_no_signature_whatever_the_environment(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STOREKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store-secret")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert keys(one_code(server)) == [KEY]
    assert "authorization" not in server.headers[-1]


def test_a_signed_listing_uses_the_credentials_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STOREKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store-secret")
    assert keys(one_code(server, signed=True)) == [KEY]
    assert "Credential=STOREKEY/" in server.headers[-1]["authorization"]


@pytest.mark.parametrize("fault", ["503", "500", "429", "reset", "slow", "cut", "shorter", "empty", "page"])
def test_a_listing_that_fails_and_may_pass_by_itself_is_tried_again(server, fault):
    server.faults.append(fault)
    assert keys(one_code(server)) == [KEY]
    assert len(server.asked) == 2


def test_a_page_that_fails_begins_the_listing_anew_and_doubles_nothing(server):
    server.page = 1
    server.objects["PDT_N0H_2025_04_09_12_00_00"] = b"x"
    server.faults += ["ok", "503"]
    assert keys(one_code(server)) == sorted(server.objects)
    assert len(server.asked) == 4


def test_a_server_that_stays_away_is_given_up_after_four_attempts(server):
    server.faults += ["503"] * 9
    with pytest.raises(SourceUnavailable, match=f"s3://{BUCKET} at {server.endpoint}: PDT_N0H_2025_04_09_:"):
        one_code(server).list_day("KPDT", DAY)
    assert len(server.asked) == 4


def test_an_answer_that_is_no_listing_is_told(server):
    server.faults += ["page"] * 4
    with pytest.raises(SourceUnavailable, match="PDT_N0H_2025_04_09_: the answer is no listing"):
        one_code(server).list_day("KPDT", DAY)


def test_a_refused_listing_is_told_and_not_asked_for_again(server):
    server.faults.append("403")
    with pytest.raises(SourceRefused, match=r"anonymous access was refused for PDT_N0H_2025_04_09_"):
        one_code(server).list_day("KPDT", DAY)
    assert len(server.asked) == 1


def test_the_first_fault_ends_the_listing_of_all_codes(server):
    server.list_s = 0.2
    server.faults += ["403"]
    codes = tuple(f"C{n:02}" for n in range(40))
    with pytest.raises(SourceRefused):
        BucketSource(BUCKET, Level3Layout(codes), endpoint=server.endpoint).list_day("KPDT", DAY)
    assert len(server.asked) < 40


def test_what_was_absent_for_an_hour_is_asked_for_again_after_a_quarter(source, server, clock):
    since = NOON - timedelta(hours=1)
    everything = [f"PDT_{code}_2025_04_09_" for code in sorted(CODES)]
    assert keys(source, since=since) == [KEY]
    assert asked_for(server) == everything
    clock.now += timedelta(minutes=14)
    assert keys(source, since=since) == [KEY]
    assert asked_for(server) == ["PDT_N0H_2025_04_09_"]
    clock.now += timedelta(minutes=1)
    keys(source, since=since)
    assert asked_for(server) == everything


def test_less_than_an_hour_proves_no_absence(source, server):
    for since in (NOON - timedelta(minutes=59), NOON + timedelta(hours=1)):
        keys(source, since=since)
        keys(source, since=since)
        assert len(asked_for(server)) == 6


def test_the_hours_before_midnight_prove_nothing_of_the_new_day(source, server, clock):
    clock.now = datetime(2025, 4, 9, 0, 30, tzinfo=UTC)
    for _ in range(2):
        keys(source, since=clock.now - timedelta(hours=3))
        assert len(asked_for(server)) == 3


def test_an_absence_is_of_one_site(source, server):
    keys(source, since=NOON - timedelta(hours=1))
    server.asked.clear()
    source.list_day("KRTX", DAY, NOON - timedelta(hours=1))
    assert len(asked_for(server)) == 3


def test_a_day_gone_by_is_asked_in_full_and_proves_nothing_of_today(source, server, clock):
    clock.now = NOON + timedelta(days=1)
    for _ in range(2):
        keys(source, since=NOON - timedelta(hours=6))
        assert len(asked_for(server)) == 3
    keys(source, date(2025, 4, 10), since=clock.now - timedelta(hours=2))
    assert len(asked_for(server)) == 3


def test_an_archive_is_asked_for_in_full_and_what_it_has_is_absent_no_more(source, server):
    since = NOON - timedelta(hours=1)
    keys(source, since=since)
    server.asked.clear()
    server.objects["PDT_DAA_2025_04_09_11_59_00"] = b"x"
    assert len(keys(source, archive=True)) == 2
    assert len(asked_for(server)) == 3
    assert len(keys(source, since=since)) == 2
    assert asked_for(server) == ["PDT_DAA_2025_04_09_", "PDT_N0H_2025_04_09_"]


def test_a_listing_that_failed_proves_no_absence(source, server):
    server.faults += ["403"] * 3
    with pytest.raises(SourceRefused):
        keys(source, since=NOON - timedelta(hours=1))
    server.asked.clear()
    assert keys(source, since=NOON - timedelta(hours=1)) == [KEY]
    assert len(asked_for(server)) == 3


@pytest.fixture
def signed(s3_server, monkeypatch) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def samples_bucket(s3_server) -> str:
    bucket = s3_server.new_bucket()
    for path in LEVEL3.iterdir():
        s3_server.client().put_object(Bucket=bucket, Key=path.name, Body=path.read_bytes())
    return bucket


@needs_samples
@pytest.mark.s3
def test_a_real_server_and_a_folder_give_the_same_files(s3_server, samples_bucket, signed):
    names = [parse_product_name(path.name) for path in LEVEL3.iterdir()]
    layout = Level3Layout(tuple(sorted({name.suffix for name in names})))
    bucket = open_source(f"s3://{samples_bucket}", layout, s3_server.endpoint, signed=True)
    folder = FolderSource(LEVEL3, layout)
    seen = 0
    for site, day in sorted({(name.site, name.day) for name in names}):
        listed, lying = bucket.list_day(site, day), folder.list_day(site, day)
        assert [(file.name, file.key, file.size) for file in listed] == [
            (file.name, file.key, file.size) for file in lying
        ]
        assert [bucket.fetch(file) for file in listed] == [folder.fetch(file) for file in lying]
        seen += len(listed)
    assert seen == len(names)


@needs_samples
@pytest.mark.s3
def test_a_real_server_starts_where_since_says(s3_server, samples_bucket, signed):
    source = open_source(
        f"s3://{samples_bucket}", Level3Layout(("DAA", "DTA")), s3_server.endpoint, signed=True
    )
    files = source.list_day("KLOT", date(2021, 5, 8), datetime(2021, 5, 8, 3, 47, tzinfo=UTC))
    assert [file.key for file in files] == ["LOT_DTA_2021_05_08_03_47_25"]


@pytest.mark.s3
def test_a_real_server_that_wants_a_signature_refuses_us_without(s3_server):
    source = open_source(f"s3://{s3_server.new_bucket()}", Level3Layout(CODES), s3_server.endpoint)
    with pytest.raises(SourceRefused, match="anonymous access was refused"):
        source.list_day("KLOT", date(2021, 5, 8))


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_missing(s3_server, signed):
    source = open_source("s3://no-such-bucket", Level3Layout(CODES), s3_server.endpoint, signed=True)
    with pytest.raises(SourceMissing, match="no-such-bucket"):
        source.list_day("KLOT", date(2021, 5, 8))
