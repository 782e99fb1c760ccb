"""The bucket source, against a real S3 server and against one that fails as it is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from nexrad_assets.sources.layouts import LEVEL2 as LAYOUT
from nexrad_assets.sources.source import (
    BucketSource,
    SourceChanged,
    SourceMissing,
    SourceRefused,
    SourceTruncated,
    SourceUnavailable,
    open_source,
)
from store.retry import Retry
from tests.nexrad_assets.sources import faulty_s3
from tests.nexrad_assets.sources.faulty_s3 import BUCKET, FaultyS3
from tests.samples import LEVEL2, needs_samples

DAY = date(2025, 4, 9)
PREFIX = "2025/04/09/KPDT/"
KEY = PREFIX + "KPDT20250409_123456_V06"
DATA = bytes(range(256)) * 40


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with faulty_s3.running() as state:
        state.objects[KEY] = DATA
        yield state


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def source(server: FaultyS3, waits: list[float]) -> BucketSource:
    return BucketSource(BUCKET, endpoint=server.endpoint, request_s=1.0, retry=Retry(sleep=waits.append))


def listed_then(source: BucketSource, server: FaultyS3, *faults: str):
    (volume,) = source.list_day("KPDT", DAY)
    server.asked.clear()
    server.faults.extend(faults)
    return volume


def test_a_day_is_listed_as_the_bucket_has_it(source):
    (volume,) = source.list_day("KPDT", DAY)
    assert (volume.key, volume.size, volume.etag) == (KEY, len(DATA), faulty_s3.tag(DATA))
    assert volume.modified == datetime(2025, 4, 9, 13, tzinfo=UTC)
    assert source.fetch(volume) == DATA


def test_only_volumes_of_the_site_and_day_are_listed_oldest_first(source, server):
    names = ["KPDT20250409_000000_V06", "KPDT20250409_000000_V06_MDM", "KPDT20250409_000100_V06.001"]
    names += [
        "KPDT20250409_000200.Z",
        "KPDT20250408_235959_V06",
        "FOP120250409_000000_V06",
        "deep/KPDT20250409_000001_V06",
    ]
    server.objects |= {PREFIX + name: b"x" for name in names}
    server.objects["2025/04/09/KPDTX/KPDT20250409_000009_V06"] = b"x"
    assert [v.name.file_name for v in source.list_day("KPDT", DAY)] == [
        "KPDT20250409_000000_V06",
        "KPDT20250409_123456_V06",
    ]


def test_a_long_day_is_listed_over_its_pages(source, server):
    server.page = 100
    server.objects |= {
        f"{PREFIX}KPDT20250409_{h:02}{m:02}00_V06": b"x" for h in range(12) for m in range(0, 60, 2)
    }
    volumes = source.list_day("KPDT", DAY)
    assert len(volumes) == 361
    assert list(volumes) == sorted(volumes, key=lambda volume: volume.name.time)
    assert len(server.asked) == 4


def test_a_day_without_objects_is_empty(source):
    assert source.list_day("KPDT", date(2025, 4, 10)) == ()


def test_an_anonymous_request_has_no_signature_whatever_the_environment(server, source, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STOREKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store-secret")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    again = BucketSource(BUCKET, endpoint=server.endpoint, retry=Retry(attempts=1))
    again.list_day("KPDT", DAY)
    assert "authorization" not in server.headers[-1]


def test_a_signed_request_uses_the_credentials_of_the_environment(server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "STOREKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store-secret")
    open_source(f"s3://{BUCKET}", LAYOUT, server.endpoint, signed=True).list_day("KPDT", DAY)
    assert "Credential=STOREKEY/" in server.headers[-1]["authorization"]


def test_a_prefix_of_the_bucket_is_no_part_of_keys(server):
    server.objects = {f"mirror/level2/{KEY}": DATA}
    source = open_source(f"s3://{BUCKET}/mirror/level2/", LAYOUT, server.endpoint)
    (volume,) = source.list_day("KPDT", DAY)
    assert volume.key == KEY
    assert source.fetch(volume) == DATA


@pytest.mark.parametrize("fault", ["503", "500", "429", "reset", "slow"])
def test_what_passes_by_itself_is_tried_again(source, server, fault):
    volume = listed_then(source, server, fault)
    assert source.fetch(volume) == DATA
    assert len(server.asked) == 2


def test_a_listing_is_tried_again_too(source, server):
    server.faults += ["503", "reset"]
    assert len(source.list_day("KPDT", DAY)) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize("fault", ["cut", "shorter"])
def test_a_body_that_is_too_short_is_tried_again(source, server, fault):
    volume = listed_then(source, server, fault)
    assert source.fetch(volume) == DATA
    assert len(server.asked) == 2


def test_a_body_that_stays_too_short_is_an_error_that_says_so(source, server):
    volume = listed_then(source, server, *["shorter"] * 9)
    with pytest.raises(SourceTruncated, match=f"{KEY}: 5120 bytes are offered where 10240 were listed"):
        source.fetch(volume)
    assert len(server.asked) == 4


def test_a_server_that_stays_away_is_given_up_after_four_attempts(source, server, waits):
    volume = listed_then(source, server, *["503"] * 9)
    with pytest.raises(SourceUnavailable, match=KEY):
        source.fetch(volume)
    assert len(server.asked) == 4
    assert len(waits) == 3


def test_a_slow_answer_is_given_up_in_time(server):
    source = BucketSource(BUCKET, endpoint=server.endpoint, request_s=0.3, retry=Retry(attempts=1))
    volume = listed_then(source, server, "slow")
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable):
        source.fetch(volume)
    assert time.monotonic() - begun < 1.5


def test_an_object_that_went_is_missing_at_once(source, server):
    volume = listed_then(source, server, "404")
    with pytest.raises(SourceMissing, match=KEY):
        source.fetch(volume)
    assert len(server.asked) == 1


def test_an_object_that_was_replaced_is_not_taken_for_the_one_listed(source, server):
    volume = listed_then(source, server, "replaced")
    with pytest.raises(SourceChanged, match="was replaced"):
        source.fetch(volume)
    assert len(server.asked) == 1


def test_a_refused_object_is_told_with_its_name_and_not_asked_for_again(source, server):
    volume = listed_then(source, server, "403")
    with pytest.raises(SourceRefused, match=f"anonymous access was refused for {KEY}"):
        source.fetch(volume)
    assert len(server.asked) == 1


def test_a_refused_listing_is_told_with_the_bucket_and_not_asked_for_again(source, server):
    server.faults.append("403")
    with pytest.raises(
        SourceRefused, match=f"s3://{BUCKET} at {server.endpoint}: anonymous access was refused"
    ):
        source.list_day("KPDT", DAY)
    assert len(server.asked) == 1


@pytest.fixture
def samples_bucket(s3_server) -> str:
    bucket = s3_server.new_bucket()
    for path in ("2016/06/01/KLBB/KLBB20160601_150025_V06", "2014/01/01/KTLX/KTLX20140101_000624_V06.gz"):
        s3_server.client().put_object(Bucket=bucket, Key=path, Body=(LEVEL2 / path).read_bytes())
    s3_server.client().put_object(Bucket=bucket, Key="2016/06/01/KLBB/KLBB20160601_150025_V06_MDM", Body=b"x")
    return bucket


@needs_samples
@pytest.mark.s3
def test_real_volumes_come_whole_from_a_real_server(s3_server, samples_bucket, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    source = open_source(f"s3://{samples_bucket}", LAYOUT, s3_server.endpoint, signed=True)
    (volume,) = source.list_day("KLBB", date(2016, 6, 1))
    assert source.fetch(volume) == (LEVEL2 / volume.key).read_bytes()
    (volume,) = source.list_day("KTLX", date(2014, 1, 1))
    assert source.fetch(volume) == (LEVEL2 / volume.key).read_bytes()


@needs_samples
@pytest.mark.s3
def test_a_real_server_that_wants_a_signature_refuses_us_without(s3_server, samples_bucket):
    source = open_source(f"s3://{samples_bucket}", LAYOUT, s3_server.endpoint)
    with pytest.raises(SourceRefused, match="anonymous access was refused"):
        source.list_day("KLBB", date(2016, 6, 1))


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_missing(s3_server, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SourceMissing, match="no-such-bucket"):
        open_source("s3://no-such-bucket", LAYOUT, s3_server.endpoint, signed=True).list_day(
            "KLBB", date(2016, 6, 1)
        )
