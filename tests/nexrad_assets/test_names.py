from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexrad_assets.names import parse_product_name, parse_volume_name, product_file_name, scan_key
from nexrad_assets.radar import sites
from nexrad_assets.radar.sites import UnknownSite
from store.keys import SCAN_KEY, scan_day, scan_time
from tests.samples import SAMPLES, needs_samples

SITES = st.from_regex(r"[A-Z][A-Z0-9]{3}", fullmatch=True)
TIMES = st.datetimes(datetime(1991, 6, 5), datetime(2099, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
VERSIONS = st.none() | st.from_regex(r"V[0-9]{2}", fullmatch=True)
CODES = st.from_regex(r"[A-Z0-9]{3}", fullmatch=True)


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
        "PDT_N0H_2025_04_09_12_34_56",
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
    assert (name.site, name.time, name.suffix) == (site, time, version)
    assert name.scan_key == ("_".join(parts) if version else None)
    key = scan_key(site, time, version or "V01")
    assert key.split("_") == [*parts[:2], version or "V01"]
    assert SCAN_KEY.fullmatch(key)["site"] == site
    assert (scan_time(key), scan_day(key)) == (time, name.day)


@given(st.text(alphabet="KPDT0123456789_V.gzMZ\n", max_size=30))
@example("KPDT20250409_123456_V06")
def test_a_name_that_is_read_is_spelled_in_one_way_only(text):
    name = parse_volume_name(text)
    if name is not None:
        stem = f"{name.site}{name.time:%Y%m%d_%H%M%S}" + (f"_{name.suffix}" if name.suffix else "")
        assert text in {stem, f"{stem}.gz"}


@pytest.mark.parametrize(
    ("file_name", "key"),
    [
        ("LOT_DAA_2021_05_08_03_40_29", "KLOT20210508_034029_DAA"),
        ("PDT_HHC_2025_04_09_15_30_00", "KPDT20250409_153000_HHC"),
        ("JUA_N0B_2025_04_09_15_30_00", "TJUA20250409_153000_N0B"),
        ("HWA_N0B_2025_04_09_15_30_00", "PHWA20250409_153000_N0B"),
        ("GUA_N0B_2025_04_09_15_30_00", "PGUA20250409_153000_N0B"),
        ("LIX_N0B_2021_04_09_15_30_00", "KLIX20210409_153000_N0B"),
        ("HDC_N0B_2025_04_09_15_30_00", "KHDC20250409_153000_N0B"),
        ("JFK_TZ0_2025_04_09_15_30_00", "TJFK20250409_153000_TZ0"),
    ],
)
def test_names_of_products_give_the_key_of_their_site_by_table(file_name, key):
    name = parse_product_name(file_name)
    assert name.file_name == file_name
    assert name.scan_key == key


@pytest.mark.parametrize(
    "file_name",
    [
        "XXX_N0B_2025_04_09_15_30_00",
        "KPDT_N0B_2025_04_09_15_30_00",
        "FOP_N0B_2025_04_09_15_30_00",
        "PDT_N0_2025_04_09_15_30_00",
        "PDT_N0BX_2025_04_09_15_30_00",
        "PDT_n0b_2025_04_09_15_30_00",
        "PDT_N-B_2025_04_09_15_30_00",
        "pdt_N0B_2025_04_09_15_30_00",
        "PDT_N0B_2025_02_30_15_30_00",
        "PDT_N0B_2025_04_09_24_30_00",
        "PDT_N0B_2025_04_09_15_30_60",
        "PDT_N0B_0000_04_09_15_30_00",
        "PDT_N0B_2025_04_09_15_30",
        "PDT_N0B_2025_04_09_15_30_00.gz",
        "PDT_N0B_2025_04_09_15_30_00\n",
        "PDT_N0B_\u0662\u0660\u0662\u0665_04_09_15_30_00",
        "KPDT20250409_123456_V06",
        "index.html",
        "",
    ],
)
def test_what_is_no_product_of_a_known_site_has_no_name(file_name):
    assert parse_product_name(file_name) is None


@given(st.sampled_from(sorted(sites.sites())), CODES, TIMES)
def test_a_spelled_product_reads_back_and_its_key_is_of_the_store(site, code, time):
    file_name = product_file_name(site, code, time)
    name = parse_product_name(file_name)
    assert (name.site, name.suffix, name.time, name.file_name) == (site, code, time, file_name)
    assert name.scan_key == scan_key(site, time, code)
    assert SCAN_KEY.fullmatch(name.scan_key).groupdict() == {
        "site": site,
        "time": f"{time:%Y%m%d_%H%M%S}",
        "suffix": code,
    }


@given(st.sampled_from(["N0B", "DAA"]), TIMES, TIMES)
def test_the_names_of_a_sites_code_sort_by_time(code, one, other):
    first, second = (product_file_name("KPDT", code, time) for time in (one, other))
    assert (first < second) == (one < other)


@given(st.text(alphabet="PDTN0B12_", max_size=30))
@example("PDT_N0B_2021_12_11_12_11_12")
def test_a_product_that_is_read_is_spelled_in_one_way_only(text):
    name = parse_product_name(text)
    if name is not None:
        assert text == product_file_name(name.site, name.suffix, name.time)


def test_no_product_is_spelled_for_a_site_that_is_none():
    with pytest.raises(UnknownSite, match="KPDX"):
        product_file_name("KPDX", "N0B", datetime(2025, 4, 9, tzinfo=UTC))


@needs_samples
def test_every_sample_product_has_a_name_spelled_as_its_file():
    files = sorted((SAMPLES / "nexrad" / "level3").iterdir())
    assert files
    for path in files:
        name = parse_product_name(path.name)
        assert product_file_name(name.site, name.suffix, name.time) == path.name
