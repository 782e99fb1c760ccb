"""Which field is asked for next: simulated answers, no server."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.fields.expected import Field
from dwd_assets.fields.order import StepOrder
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path

RUN = datetime(2026, 9, 16, 12, tzinfo=UTC)
OLD, YOUNG = timedelta(hours=1), timedelta(minutes=2)


def field(parameter: str, step: int) -> Field:
    key = FieldKey("icon-d2", RUN, parameter, "single", None, step, None, "icosahedral")
    return Field(key, archive_path(key))


def run(parameters: int, steps: range) -> list[Field]:
    return [field(f"p{number}", step) for number in range(parameters) for step in steps]


def played(
    fields: list[Field],
    is_there: Callable[[FieldKey], bool],
    age: timedelta,
    at_once: int = 1,
    passed: int = -1,
) -> tuple[list[FieldKey], list[FieldKey]]:
    """What came and what was asked for in vain, with so many requests under way, answered in their order."""
    order = StepOrder(fields, random.Random(1), passed)
    under_way: list[FieldKey] = []
    came, absent = [], []
    while True:
        while len(under_way) < at_once and (each := order.next()) is not None:
            under_way.append(each.key)
        if not under_way:
            return came, absent
        key = under_way.pop(0)
        if is_there(key):
            came.append(key)
            order.came(key, age)
        else:
            absent.append(key)
            order.absent(key)


@pytest.mark.parametrize("at_once", [1, 20])
@pytest.mark.parametrize("age", [OLD, YOUNG])
def test_all_that_is_there_is_asked_for_once_and_by_step(at_once, age):
    fields = run(10, range(0, 600, 60))
    came, absent = played(fields, lambda key: True, age, at_once)
    assert sorted(came) == sorted(each.key for each in fields)
    assert absent == []
    assert [key.step_minutes for key in came] == sorted(key.step_minutes for key in came)


@pytest.mark.parametrize("at_once", [1, 20])
def test_a_run_that_has_not_begun_is_asked_for_three_times(at_once):
    came, absent = played(run(60, range(0, 600, 60)), lambda key: False, YOUNG, at_once)
    assert came == []
    assert len(absent) == 3


@pytest.mark.parametrize("at_once", [1, 20])
def test_a_run_that_is_half_there_is_asked_for_three_times_beyond(at_once):
    came, absent = played(run(60, range(0, 600, 60)), lambda key: key.step_minutes < 300, YOUNG, at_once)
    assert len(came) == 60 * 5
    assert len(absent) == 3


def test_of_an_old_run_all_connections_are_used_at_once():
    """Nothing is waited for, once one of its files has come."""
    order = StepOrder(run(12, range(0, 600, 60)), random.Random(1))
    first = order.next()
    assert first is not None
    order.came(first.key, OLD)
    assert len([order.next() for _ in range(40)]) == 40
    assert None not in [order.next() for _ in range(40)]


def test_of_a_young_run_three_are_asked_for_before_more_is_known():
    order = StepOrder(run(20, range(0, 600, 60)), random.Random(1))
    handed = [order.next() for _ in range(4)]
    assert handed[3] is None
    assert None not in handed[:3]


def test_of_a_young_run_a_parameter_waits_for_its_step_before():
    order = StepOrder(run(1, range(0, 600, 60)), random.Random(1))
    first = order.next()
    assert order.next() is None
    order.came(first.key, YOUNG)
    assert order.next().key.step_minutes == 60


def test_of_a_step_that_is_there_in_part_few_are_asked_for_in_vain():
    """Twelve of sixty are there: what came is what more is asked for."""
    fields = run(60, range(0, 600, 60))
    there = {f"p{number}" for number in range(0, 60, 5)}
    came, absent = played(
        fields,
        lambda key: key.step_minutes == 0 or (key.step_minutes == 60 and key.parameter in there),
        YOUNG,
        20,
    )
    assert len(came) >= 60
    assert len(absent) <= 3 + len(came) - 60


def test_a_parameter_that_is_absent_is_not_asked_for_again():
    came, absent = played(run(10, range(0, 600, 60)), lambda key: key.parameter != "p3", YOUNG)
    assert len(came) == 9 * 10
    assert len(absent) == 1


def test_a_few_quarter_hour_parameters_that_end_do_not_end_the_others():
    quarters = [field(f"q{number}", step) for number in range(3) for step in range(0, 600, 15)]
    came, absent = played(
        [*run(10, range(0, 600, 60)), *quarters],
        lambda key: not key.parameter.startswith("q") or key.step_minutes < 60,
        YOUNG,
    )
    assert len(came) == 10 * 10 + 3 * 4
    assert len(absent) == 3


def test_what_lacks_of_steps_that_were_there_does_not_end_the_pass():
    lacking = run(4, range(0, 600, 60))
    others = [field("other", step) for step in range(60, 600, 60)]
    came, _ = played([*lacking, *others], lambda key: key.parameter == "other", YOUNG, passed=0)
    assert len(came) == len(others)


def test_one_step_that_was_dropped_keeps_back_none_of_those_that_the_run_has_passed():
    fields = run(10, range(0, 600, 60))
    gap = fields[5].key
    came, absent = played(fields, lambda key: key != gap, YOUNG, passed=540)
    assert len(came) == len(fields) - 1
    assert absent == [gap]


def test_a_parameter_that_is_gone_costs_two_requests_a_pass():
    came, absent = played(run(10, range(0, 600, 60)), lambda key: key.parameter != "p3", YOUNG, passed=540)
    assert len(came) == 9 * 10
    assert len(absent) == 2


def test_a_run_that_ended_too_early_costs_few_requests_a_pass():
    """Sixty parameters of twenty members, none of whose steps came, long after they should have been there."""
    keys = [
        replace(each.key, member=member) for each in run(60, range(0, 600, 60)) for member in range(1, 21)
    ]
    fields = [Field(key, archive_path(key)) for key in keys]
    came, absent = played(fields, lambda key: False, YOUNG, at_once=20, passed=540)
    assert came == []
    assert len(absent) <= 32 + 20


def test_parameters_that_lag_keep_back_none_of_the_next_steps_of_others():
    lagging = [field(f"l{number}", step) for number in range(50) for step in range(60, 600, 60)]
    others = [field(f"p{number}", step) for number in range(10) for step in range(120, 600, 60)]
    came, _ = played(
        [*lagging, *others],
        lambda key: key.parameter.startswith("p") and key.step_minutes == 120,
        YOUNG,
        passed=60,
    )
    assert len(came) == 10


def test_among_parameters_that_are_gone_one_that_lacks_a_step_is_found():
    fields = [*run(100, range(0, 600, 60)), *(field("alive", step) for step in range(0, 600, 60))]
    found = []
    for number in range(40):
        order = StepOrder(fields, random.Random(number), 540)
        while (each := order.next()) is not None:
            if each.key.parameter == "alive" and each.key.step_minutes != 0:
                found.append(number)
                order.came(each.key, YOUNG)
            else:
                order.absent(each.key)
    assert len(set(found)) > 4
    assert len([number for number in found if number == found[0]]) == 9


def test_a_parameter_that_lags_is_not_asked_for_steps_that_nothing_has_reached():
    lagging = [field("lagging", step) for step in range(120, 600, 60)]
    others = [field(f"p{number}", step) for number in range(5) for step in range(240, 600, 60)]
    _, absent = played(
        [*lagging, *others],
        lambda key: key.parameter != "lagging" and key.step_minutes < 360,
        YOUNG,
        passed=180,
    )
    assert {key.step_minutes for key in absent if key.parameter == "lagging"} <= {120, 180}


@given(
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(0, 7),
    st.sets(st.integers(0, 11)),
    st.sets(st.tuples(st.integers(0, 11), st.integers(0, 5))),
    st.integers(1, 20),
)
def test_whatever_is_there_comes_in_the_end(parameters, steps, frontier, lacking, dropped, at_once):
    """Pass after pass, with whatever parameters and steps lacking: nothing that the server has is given up.

    After a pass that brought nothing, the run is taken to have passed all its steps, as is done when it is old.
    """
    fields = run(parameters, range(0, steps * 60, 60))

    def is_there(key: FieldKey) -> bool:
        number, step = int(key.parameter[1:]), key.step_minutes // 60
        return step < frontier and number not in lacking and (number, step) not in dropped

    wanted = {each.key for each in fields if is_there(each.key)}
    kept: set[FieldKey] = set()
    passed = -1
    for number in range(400):
        if kept == wanted:
            return
        order = StepOrder([each for each in fields if each.key not in kept], random.Random(number), passed)
        before = len(kept)
        while (each := order.next()) is not None:
            if is_there(each.key):
                kept.add(each.key)
                order.came(each.key, YOUNG)
            else:
                order.absent(each.key)
        latest = max((key.step_minutes for key in kept), default=-1)
        passed = latest if len(kept) > before else steps * 60
    assert kept == wanted


def test_a_server_that_breaks_down_is_left_alone():
    order = StepOrder(run(60, range(0, 600, 60)), random.Random(1))
    asked = 0
    while (each := order.next()) is not None:
        asked += 1
        order.failed(each.key, by_server=True)
    assert asked == 8


def test_bad_files_do_not_count_as_a_breakdown():
    order = StepOrder(run(60, range(1)), random.Random(1))
    asked = 0
    while (each := order.next()) is not None:
        asked += 1
        order.failed(each.key, by_server=False)
    assert asked == 60
