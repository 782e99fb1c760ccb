"""The folder source on a flat folder of Level 3 products."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from nexrad_assets.radar.sites import UnknownSite
from nexrad_assets.sources.layouts import Level3Layout
from nexrad_assets.sources.source import FolderSource, SourceMissing, open_source
from tests.samples import SAMPLES, needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
DAY = date(2025, 4, 9)
NOW = 1_744_203_600.0  # 2025-04-09 13:00 UTC
CODES = ("N0H", "DAA")


def put(root: Path, *names: str, age_s: float = 60) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
        os.utime(root / name, (NOW - age_s, NOW - age_s))


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    root = tmp_path / "bucket"
    root.mkdir()
    return FolderSource(root, Level3Layout(CODES), clock=lambda: NOW)


def listed(source: FolderSource, site: str = "KPDT", since: datetime | None = None) -> list[str]:
    return [file.key for file in source.list_day(site, DAY, since)]


@needs_samples
def test_a_real_day_is_listed_and_fetched_as_it_lies_in_the_folder():
    source = open_source(str(LEVEL3), Level3Layout(("DTA", "DAA", "N0H", "N0B")))
    files = source.list_day("KLOT", date(2021, 5, 8))
    assert [file.key for file in files] == ["LOT_DAA_2021_05_08_03_40_29", "LOT_DTA_2021_05_08_03_47_25"]
    assert [file.name.scan_key for file in files] == ["KLOT20210508_034029_DAA", "KLOT20210508_034725_DTA"]
    assert [source.fetch(file) for file in files] == [(LEVEL3 / file.key).read_bytes() for file in files]


def test_products_come_oldest_first_and_by_name_where_times_are_equal(source):
    put(source.root, "PDT_N0H_2025_04_09_12_00_00", "PDT_DAA_2025_04_09_12_05_00")
    put(source.root, "PDT_DAA_2025_04_09_12_00_00", "PDT_N0H_2025_04_09_00_00_00")
    assert listed(source) == [
        "PDT_N0H_2025_04_09_00_00_00",
        "PDT_DAA_2025_04_09_12_00_00",
        "PDT_N0H_2025_04_09_12_00_00",
        "PDT_DAA_2025_04_09_12_05_00",
    ]


def test_other_sites_days_codes_and_files_are_left_out(source):
    put(source.root, "RTX_N0H_2025_04_09_12_00_00", "PDT_N0H_2025_04_08_12_00_00")
    put(source.root, "PDT_N1H_2025_04_09_12_00_00", "PDT_N0H_2025_04_09_12_00_00.part")
    put(source.root, "PDT_N0H_2025_04_09_25_00_00", "PDT_N0H_2025_04_09_", "README")
    put(source.root, "2025/04/09/PDT_N0H_2025_04_09_12_00_00")
    (source.root / "PDT_N0H_2025_04_09_13_00_00").mkdir()
    put(source.root, "PDT_N0H_2025_04_09_12_00_01")
    assert listed(source) == ["PDT_N0H_2025_04_09_12_00_01"]


def test_sites_are_found_by_table(source):
    put(source.root, *(f"{short}_N0H_2025_04_09_12_00_00" for short in ("JUA", "HWA", "LIX", "HDC")))
    for site in ("TJUA", "PHWA", "KLIX", "KHDC"):
        (file,) = source.list_day(site, DAY)
        assert (file.name.site, file.key[:3]) == (site, site[1:])


def test_files_from_before_since_are_left_out(source):
    names = [
        f"PDT_{code}_2025_04_09_{clock}" for clock in ("11_59_59", "12_30_00", "12_30_01") for code in CODES
    ]
    put(source.root, *names)
    assert set(listed(source, since=datetime(2025, 4, 9, 12, 30, tzinfo=UTC))) == set(names[2:])
    assert set(listed(source, since=datetime(2025, 4, 8, 23, 30, tzinfo=UTC))) == set(names)


def test_a_file_that_may_still_grow_waits(source):
    put(source.root, "PDT_N0H_2025_04_09_12_00_00", age_s=1.9)
    put(source.root, "PDT_N0H_2025_04_09_12_06_00", age_s=2.1)
    assert listed(source) == ["PDT_N0H_2025_04_09_12_06_00"]


def test_links_are_followed_inside_the_folder_and_never_out_of_it(source, tmp_path):
    put(source.root, "deep/real")
    put(tmp_path, "outside")
    (source.root / "PDT_N0H_2025_04_09_12_00_00").symlink_to(source.root / "deep" / "real")
    (source.root / "PDT_N0H_2025_04_09_12_01_00").symlink_to(tmp_path / "outside")
    (source.root / "PDT_N0H_2025_04_09_12_02_00").symlink_to(source.root / "gone")
    loop = source.root / "PDT_N0H_2025_04_09_12_03_00"
    loop.symlink_to(loop)
    (file,) = source.list_day("KPDT", DAY)
    assert file.key == "PDT_N0H_2025_04_09_12_00_00"
    assert source.fetch(file) == b"deep/real"


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceMissing, match="nowhere does not exist"):
        FolderSource(tmp_path / "nowhere", Level3Layout(CODES)).list_day("KPDT", DAY)


def test_a_site_that_is_none_is_refused(source):
    with pytest.raises(UnknownSite, match="KPDX"):
        source.list_day("KPDX", DAY)


def test_no_codes_are_no_files(source):
    put(source.root, "PDT_N0H_2025_04_09_12_00_00")
    assert FolderSource(source.root, Level3Layout(()), clock=lambda: NOW).list_day("KPDT", DAY) == ()


def test_a_folder_of_many_files_is_listed_without_a_look_at_each(source):
    for site in ("PDT", "RTX", "OTX", "ATX"):
        for n in range(5000):
            code, second = f"C{n % 50:02}", n // 50
            name = f"{site}_{code}_2025_04_09_12_{second // 60:02}_{second % 60:02}"
            os.close(os.open(source.root / name, os.O_CREAT | os.O_WRONLY))
    codes = tuple(f"C{n:02}" for n in range(45))
    many = FolderSource(source.root, Level3Layout(codes), clock=lambda: time.time() + 60)
    begun = time.process_time()
    files = many.list_day("KPDT", DAY, datetime(2025, 4, 9, 12, 1, tzinfo=UTC))
    assert len(files) == 45 * 40
    assert time.process_time() - begun < 0.5
