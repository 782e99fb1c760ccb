from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexrad_assets.names import day_prefix, parse_volume_name
from store.keys import SCAN_KEY, scan_day, scan_time
from tests.samples import LEVEL2, level2_files, needs_samples

SITES = st.from_regex(r"[A-Z][A-Z0-9]{3}", fullmatch=True)
TIMES = st.datetimes(datetime(1991, 6, 5), datetime(2099, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
VERSIONS = st.none() | st.from_regex(r"V[0-9]{2}", fullmatch=True)


@pytest.mark.parametrize(
    ("file_name", "key"),
    [
        ("KPDT20250409_123456_V06", "KPDT20250409_123456_V06"),
        ("KTLX20140101_000624_V06.gz", "KTLX20140101_000624_V06"),
        ("KTLX20100501_000444_V03.gz", "KTLX20100501_000444_V03"),
        ("TJFK20250409_123456_V08", "TJFK20250409_123456_V08"),
        ("KLOT19950413_132143.gz", None),
        ("KLOT19950413_132143", None),
    ],
)
def test_names_of_every_era_give_their_key(file_name, key):
    name = parse_volume_name(file_name)
    assert name.file_name == file_name
    assert name.scan_key == key


def test_a_key_without_a_version_comes_when_the_header_tells_it():
    name = parse_volume_name("KLOT19950413_132143.gz").with_version("V01")
    assert name.scan_key == "KLOT19950413_132143_V01"
    assert name.file_name == "KLOT19950413_132143.gz"


def test_the_version_of_a_name_stays_whatever_the_header_says():
    assert parse_volume_name("KPDT20250409_123456_V06").with_version("V08").version == "V06"


def test_what_is_no_version_is_refused():
    with pytest.raises(ValueError, match=r"KLOT19950413_132143\.gz: 'V1' is not a version"):
        parse_volume_name("KLOT19950413_132143.gz").with_version("V1")


@pytest.mark.parametrize(
    "file_name",
    [
        "KPDT20250409_123456_V06_MDM",
        "KPDT20250409_123456_MDM",
        "KPDT20250409_123456_V06.001",
        "KPDT20070409_123456.Z",
        "KPDT20250409_123456_V06.gz.001",
        "KPDT20250409_123456_V06.bz2",
        "KPDT20250409_123456_V06.gz\n",
        "KPDT20250409_123456_V06\n",
        ".KPDT20250409_123456_V06",
        "KPDT20250409_123456_V6",
        "KPDT20250409_123456_HHC",
        "KPDT20250230_123456_V06",
        "KPDT20250409_243456_V06",
        "KPDT20250409_123460_V06",
        "KPDT\u0662\u0660\u0662\u0665\u0660\u0664\u0660\u0669_123456_V06",
        "kpdt20250409_123456_V06",
        "NWS_NEXRAD_NXL2DPBL_KPDT_20250409.tar",
        "index.html",
        "",
    ],
)
def test_what_is_no_volume_has_no_name(file_name):
    assert parse_volume_name(file_name) is None


@given(SITES, TIMES, VERSIONS, st.booleans())
def test_a_spelled_name_reads_back_and_its_key_has_exactly_three_parts(site, time, version, packed):
    parts = [f"{site}{time:%Y%m%d}", f"{time:%H%M%S}", *([version] if version else [])]
    name = parse_volume_name("_".join(parts) + (".gz" if packed else ""))
    assert (name.site, name.time, name.version) == (site, time, version)
    key = name.with_version("V01").scan_key
    assert key.split("_") == [*parts[:2], version or "V01"]
    assert SCAN_KEY.fullmatch(key)["site"] == site
    assert (scan_time(key), scan_day(key)) == (time, name.day)


@given(st.text(alphabet="KPDT0123456789_V.gzMZ\n", max_size=30))
@example("KPDT20250409_123456_V06")
def test_a_name_that_is_read_is_spelled_in_one_way_only(text):
    name = parse_volume_name(text)
    if name is not None:
        stem = f"{name.site}{name.time:%Y%m%d_%H%M%S}" + (f"_{name.version}" if name.version else "")
        assert text in {stem, f"{stem}.gz"}


def test_a_day_is_a_prefix_of_the_bucket():
    assert day_prefix("KPDT", date(2025, 4, 9)) == "2025/04/09/KPDT/"


@needs_samples
def test_the_samples_lie_where_their_names_say():
    files = level2_files()
    assert files
    for path in files:
        name = parse_volume_name(path.name)
        assert path.relative_to(LEVEL2).as_posix() == day_prefix(name.site, name.day) + path.name
