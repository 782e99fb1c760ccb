"""Rows that say which fields are archived: what they take, and how a wrong one is told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.fields import FieldKey
from dwd_assets.selection import Row, Selection, covers, parse_row

T_2M = FieldKey(
    "icon-d2", datetime(2026, 9, 16, 9, tzinfo=UTC), "t_2m", "single", None, 60, None, "icosahedral"
)
T_850 = replace(T_2M, parameter="t", level_type="pressure", level=850)
CLAT = replace(T_2M, parameter="clat", level_type="time-invariant", step_minutes=0)


def takes(text: str, key: FieldKey) -> bool:
    return Selection(tuple(parse_row(row) for row in text.split())).takes(key)


@pytest.mark.parametrize(
    ("rows", "key", "taken"),
    [
        ("icon-d2/single/*", T_2M, True),
        ("icon-d2/single/*", replace(T_2M, model="icon-d2-ruc"), False),
        ("icon-d2/single/*", T_850, False),
        ("icon-d2/single/*", CLAT, False),
        ("icon-d2/single,time-invariant/*", CLAT, True),
        ("icon-d2/single/t_2m", T_2M, True),
        ("icon-d2/single/td_2m,t_?m", T_2M, True),
        ("icon-d2/single/t_", T_2M, False),
        ("icon-d2/single/[!a-s]*", T_2M, True),
        ("icon-d2/pressure:500,850/t", T_850, True),
        ("icon-d2/pressure:500/t", T_850, False),
        ("icon-d2/pressure/t", T_850, True),
        ("icon-d2/single/*/0-1", T_2M, True),
        ("icon-d2/single/*/0-1", replace(T_2M, step_minutes=61), False),
        ("icon-d2/single/*/1-24", replace(T_2M, step_minutes=45), False),
        ("icon-d2/single/*/24-24", replace(T_2M, step_minutes=1440), True),
        ("icon-eu/single/* icon-d2/pressure/t icon-d2/single/t_2m", T_2M, True),
        ("icon-eu/single/* icon-d2/pressure/t", T_2M, False),
        ("icon-d2-eps/single/t_2m", replace(T_2M, model="icon-d2-eps", member=7), True),
        ("ICON-D2/Single/T_2M", T_2M, True),
    ],
)
def test_a_field_is_taken_if_a_row_wants_it(rows, key, taken):
    assert takes(rows, key) is taken


def test_run_member_and_grid_do_not_matter():
    other = replace(T_2M, run=datetime(2020, 1, 1, tzinfo=UTC), member=3, grid="regular")
    assert takes("icon-d2/single/t_2m", other)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("", "is not <model>/"),
        ("icon-d2", "is not <model>/"),
        ("icon-d2/single", "is not <model>/"),
        ("icon-d2/single/", "is not <model>/"),
        ("icon-d2//t_2m", "is not <model>/"),
        ("icon-d2/single/*/0-1/more", "is not <model>/"),
        ("../single/*", "is not a valid model"),
        ("icon d2/single/*", "is not a valid model"),
        ("icon-d2/surface/*", "'surface' are not valid level types; choose from height, layer, "),
        ("icon-d2/single,/*", "are not valid level types"),
        ("icon-d2/pressure:high/t", "'high' are not valid levels"),
        ("icon-d2/pressure:500,/t", "are not valid levels"),
        ("icon-d2/single/t_2m,", "are not valid parameters"),
        ("icon-d2/single/t$", "are not valid parameters"),
        ("icon-d2/single/*/24", "are not valid hours, e.g. 0-24"),
        ("icon-d2/single/*/24-0", "are not valid hours, e.g. 0-24"),
        ("icon-d2/single/*/0-1000", "are not valid hours, e.g. 0-24"),
        ("icon-d2/single/*/-1-4", "are not valid hours, e.g. 0-24"),
    ],
)
def test_a_wrong_row_is_told_with_the_part_that_is_wrong(row, told):
    with pytest.raises(ValueError, match=re.escape(told)) as fault:
        parse_row(row)
    assert repr(row) in str(fault.value)


@given(st.text(st.sampled_from("icon-d2/single,presure:850t_m*?[]!09 ٣\n"), max_size=40))
def test_any_text_is_a_row_or_a_clear_error(text):
    try:
        row, told = parse_row(text), ""
    except ValueError as fault:
        row, told = None, str(fault)
    assert (isinstance(row, Row) and all(row.parameters)) or repr(text) in told


@pytest.mark.parametrize(
    ("rows", "hours"),
    [
        ("icon-d2/single/*/0-3", ((0, 3),)),
        ("icon-d2/single/*", ((0, 999),)),
        ("icon-d2/single/*/0-3 icon-d2/single/t_2m/3-6", ((0, 6),)),
        ("icon-d2/single/*/4-6 icon-d2/single/t_2m/0-3", ((0, 3), (4, 6))),
        ("icon-d2/single/*/0-9 icon-d2/single/t_2m/2-3", ((0, 9),)),
        ("icon-d2/single/td_2m icon-d2/pressure/*", ()),
    ],
)
def test_the_hours_of_a_parameter_are_those_of_all_rows_that_take_it(rows, hours):
    selection = Selection(tuple(parse_row(row) for row in rows.split()))
    assert selection.hours_of(T_2M) == hours
    for step in range(0, 660, 15):
        is_within = any(first * 60 <= step <= last * 60 for first, last in hours)
        assert selection.takes(replace(T_2M, step_minutes=step)) is is_within


@pytest.mark.parametrize(
    ("hours", "wanted", "covered"),
    [
        (((0, 24),), ((0, 24),), True),
        (((0, 24),), ((0, 25),), False),
        (((0, 3), (4, 6)), ((0, 6),), False),  # 3:15 to 3:45 were not looked for
        (((0, 3), (4, 6)), ((1, 2), (4, 4)), True),
        ((), ((0, 1),), False),
        (((0, 1),), (), True),
    ],
)
def test_hours_cover_others_if_each_of_those_lies_within_one(hours, wanted, covered):
    assert covers(hours, wanted) is covered


_HOURS = st.tuples(st.integers(0, 999), st.integers(0, 999)).map(sorted).map("{0[0]}-{0[1]}".format)
_LEVELS = st.lists(st.integers(0, 1000), max_size=3).map(lambda levels: ",".join(map(str, levels)))


@given(
    st.sampled_from(["single", "pressure", "model,single"]),
    _LEVELS,
    st.sampled_from(["*", "t_2m,td_2m", "[!a-s]*"]),
    st.none() | _HOURS,
)
def test_a_row_is_read_from_its_own_text(types, levels, parameters, hours):
    row = parse_row(
        "/".join(filter(None, ("icon-d2", f"{types}:{levels}" if levels else types, parameters, hours)))
    )
    assert parse_row(str(row)) == row


def test_models_come_once_in_the_order_of_the_rows():
    rows = ("icon-eu/single/*", "icon-d2/single/*", "icon-eu/pressure:500/t")
    selection = Selection(tuple(map(parse_row, rows)))
    assert selection.models == ("icon-eu", "icon-d2")
    assert selection.of_model("icon-eu").models == ("icon-eu",)
    assert len(selection.of_model("icon-eu").rows) == 2
    assert selection.of_model("icon").rows == ()


def test_what_may_be_wanted_is_known_before_the_fields_are():
    selection = Selection(tuple(map(parse_row, ("icon-d2/single/t_*", "icon-eu/pressure:500/u"))))
    assert selection.takes_parameter("icon-d2", "t_g")
    assert not selection.takes_parameter("icon-d2", "u")
    assert selection.takes_level_type("icon-eu", "pressure")
    assert not selection.takes_level_type("icon-d2", "pressure")
