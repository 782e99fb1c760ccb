from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from nexrad_assets.radar.sites import UnknownSite
from nexrad_assets.sources.layouts import LEVEL2 as LAYOUT
from nexrad_assets.sources.source import (
    FolderSource,
    SourceChanged,
    SourceMissing,
    SourceTruncated,
    SourceUnavailable,
    open_source,
)
from tests.samples import LEVEL2, needs_samples

DAY = date(2025, 4, 9)
NOW = 1_744_203_600.0  # 2025-04-09 13:00 UTC
FIRST, SECOND = "KPDT20250409_123456_V06", "KPDT20250409_124011_V06"


def put(
    root: Path, name: str, data: bytes = b"volume", *, prefix: str = "2025/04/09/KPDT", age_s: float = 60
) -> Path:
    path = root / prefix / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (NOW - age_s, NOW - age_s))
    return path


def listed(source: FolderSource) -> list[str]:
    return [volume.name.file_name for volume in source.list_day("KPDT", DAY)]


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    root = tmp_path / "bucket"
    root.mkdir()
    return FolderSource(root, clock=lambda: NOW)


@needs_samples
def test_a_real_day_is_listed_and_fetched_as_it_lies_in_the_folder():
    source = open_source(str(LEVEL2), LAYOUT)
    (volume,) = source.list_day("KLBB", date(2016, 6, 1))
    path = LEVEL2 / "2016/06/01/KLBB/KLBB20160601_150025_V06"
    assert volume.key == "2016/06/01/KLBB/KLBB20160601_150025_V06"
    assert volume.name.scan_key == "KLBB20160601_150025_V06"
    assert volume.size == path.stat().st_size
    assert volume.modified.timestamp() == pytest.approx(path.stat().st_mtime)
    assert source.fetch(volume) == path.read_bytes()


def test_volumes_come_oldest_first(source):
    for name in (SECOND, "KPDT20250409_000000.gz", FIRST):
        put(source.root, name)
    assert listed(source) == ["KPDT20250409_000000.gz", FIRST, SECOND]


def test_what_is_no_volume_is_left_out(source):
    for name in (FIRST + "_MDM", FIRST + ".001", "KPDT20070409_123456.Z", "README", FIRST + ".part"):
        put(source.root, name)
    (source.root / "2025/04/09/KPDT" / SECOND).mkdir()
    put(source.root, FIRST)
    assert listed(source) == [FIRST]


def test_volumes_of_another_site_or_day_are_left_out(source):
    for name in ("KRTX20250409_123456_V06", "KPDT20250408_123456_V06", "FOP120250409_123456_V06"):
        put(source.root, name)
    assert listed(source) == []


def test_a_day_that_is_not_there_is_empty(source):
    assert source.list_day("KPDT", DAY) == ()


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceMissing, match="nowhere does not exist"):
        FolderSource(tmp_path / "nowhere").list_day("KPDT", DAY)


def test_a_site_that_is_none_is_refused(source):
    with pytest.raises(UnknownSite, match="KPDX"):
        source.list_day("KPDX", DAY)


@pytest.mark.parametrize(
    ("age_s", "names"), [(0.0, []), (1.9, []), (2.0, [FIRST]), (-1.0, []), (-30.0, [FIRST])]
)
def test_a_file_that_may_still_grow_is_left_for_later(source, age_s, names):
    put(source.root, FIRST, age_s=age_s)
    assert listed(source) == names


def test_the_tag_changes_with_size_and_with_time(source):
    tags = set()
    for data, age_s in ((b"one", 60), (b"other", 60), (b"other", 50)):
        put(source.root, FIRST, data, age_s=age_s)
        tags.add(source.list_day("KPDT", DAY)[0].etag)
    assert len(tags) == 3


def test_times_are_utc(source):
    put(source.root, FIRST)
    (volume,) = source.list_day("KPDT", DAY)
    assert volume.modified == datetime.fromtimestamp(NOW - 60, UTC)
    assert volume.name.time == datetime(2025, 4, 9, 12, 34, 56, tzinfo=UTC)


def test_a_file_that_became_shorter_since_is_not_taken(source):
    path = put(source.root, FIRST, b"whole volume")
    (volume,) = source.list_day("KPDT", DAY)
    path.write_bytes(b"half")
    with pytest.raises(SourceTruncated, match=f"{FIRST}: 4 bytes are offered where 12 were listed"):
        source.fetch(volume)


def test_a_file_that_was_replaced_since_is_not_taken(source):
    put(source.root, FIRST, b"whole volume")
    (volume,) = source.list_day("KPDT", DAY)
    put(source.root, FIRST, b"other volume", age_s=30)
    with pytest.raises(SourceChanged, match=FIRST):
        source.fetch(volume)


def test_a_file_that_went_since_is_missing(source):
    path = put(source.root, FIRST)
    (volume,) = source.list_day("KPDT", DAY)
    path.unlink()
    with pytest.raises(SourceMissing, match=FIRST):
        source.fetch(volume)


def test_links_inside_the_folder_are_followed(source):
    real = put(source.root, FIRST, prefix="elsewhere")
    link = source.root / "2025/04/09/KPDT" / FIRST
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    (volume,) = source.list_day("KPDT", DAY)
    assert source.fetch(volume) == b"volume"


def test_a_link_out_of_the_folder_is_no_volume(source, tmp_path):
    secret = put(tmp_path / "outside", FIRST)
    link = source.root / "2025/04/09/KPDT" / FIRST
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)
    assert listed(source) == []


def test_a_day_that_is_a_link_out_of_the_folder_is_empty(source, tmp_path):
    outside = put(tmp_path / "outside", FIRST).parent
    (source.root / "2025/04/09").mkdir(parents=True)
    (source.root / "2025/04/09/KPDT").symlink_to(outside)
    assert listed(source) == []


def test_a_listed_file_that_became_a_link_outwards_is_not_read(source, tmp_path):
    path = put(source.root, FIRST)
    (volume,) = source.list_day("KPDT", DAY)
    secret = shutil.move(path, tmp_path / "secret")
    path.symlink_to(secret)
    with pytest.raises(SourceMissing):
        source.fetch(volume)


def test_a_link_to_itself_is_nothing(source):
    loop = source.root / "2025/04/09/KPDT"
    loop.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    assert listed(source) == []


def test_what_cannot_be_listed_is_an_error_with_its_name(source):
    (source.root / "2025").write_text("a file where a year should be")
    with pytest.raises(SourceUnavailable, match="2025/04/09/KPDT: cannot be listed"):
        source.list_day("KPDT", DAY)


@pytest.mark.parametrize("location", ["http://host/bucket", "s3://", "gs://bucket"])
def test_other_locations_are_refused(location):
    with pytest.raises(ValueError, match="neither"):
        open_source(location, LAYOUT)
