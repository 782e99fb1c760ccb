from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexrad_assets.names import product_file_name
from nexrad_assets.radar.sites import UnknownSite
from nexrad_assets.sources.layouts import LEVEL2 as LEVEL2_LAYOUT
from nexrad_assets.sources.layouts import Level3Layout, Span
from tests.samples import LEVEL2, level2_files, needs_samples

DAY = date(2025, 4, 9)
MOMENTS = st.datetimes(datetime(2025, 4, 7), datetime(2025, 4, 12), timezones=st.just(UTC))


def test_level_2_has_one_folder_a_site_and_day():
    (span,) = LEVEL2_LAYOUT.spans("KPDT", DAY, None)
    assert (span.prefix, span.folder, span.after) == ("2025/04/09/KPDT/", "2025/04/09/KPDT/", None)


def test_level_3_has_one_prefix_a_code_in_no_folder():
    spans = Level3Layout(("N0H", "DAA")).spans("TJUA", DAY, None)
    assert [span.prefix for span in spans] == ["JUA_N0H_2025_04_09_", "JUA_DAA_2025_04_09_"]
    assert {(span.folder, span.after) for span in spans} == {("", None)}


def test_codes_that_died_are_asked_for_in_archives_alone():
    layout = Level3Layout(("DAA",), dead_codes=("N1P", "DAA"))
    live = layout.spans("KPDT", DAY, None)
    assert [span.subject for span in live] == ["PDT_DAA"]
    archive = layout.spans("KPDT", DAY, None, archive=True)
    assert [span.subject for span in archive] == ["PDT_DAA", "PDT_N1P"]


@pytest.mark.parametrize("layout", [LEVEL2_LAYOUT, Level3Layout(("N0H",)), Level3Layout(())])
def test_a_site_that_is_none_has_no_keys(layout):
    with pytest.raises(UnknownSite, match="KPDX"):
        layout.spans("KPDX", DAY, None)


@given(MOMENTS, MOMENTS)
def test_no_file_from_since_on_is_left_out_and_none_of_the_minutes_before_is_listed(moment, since):
    (span,) = Level3Layout(("N0H",)).spans("KPDT", DAY, since)
    held = span.holds(product_file_name("KPDT", "N0H", moment))
    if moment.date() != DAY or moment < since - timedelta(minutes=1):
        assert not held
    elif moment.replace(microsecond=0) >= since.replace(microsecond=0):
        assert held


def test_since_may_be_of_any_time_zone():
    since = datetime(2025, 4, 9, 1, 30, tzinfo=timezone(timedelta(hours=-5)))
    (span,) = Level3Layout(("N0H",)).spans("KPDT", DAY, since)
    assert span.after == "PDT_N0H_2025_04_09_06_30_"


def test_a_span_holds_what_begins_with_its_prefix_and_sorts_past_after():
    span = Span("a/b_", after="a/b_5")
    assert [key for key in ("a/b_4", "a/b_5", "a/b_50", "a/b_6", "a/c", "b_6") if span.holds(key)] == [
        "a/b_50",
        "a/b_6",
    ]


@needs_samples
def test_the_sample_volumes_lie_where_their_names_say():
    files = level2_files()
    assert files
    for path in files:
        name = LEVEL2_LAYOUT.parse(path.name)
        (span,) = LEVEL2_LAYOUT.spans(name.site, name.day, None)
        assert path.relative_to(LEVEL2).as_posix() == span.prefix + path.name
