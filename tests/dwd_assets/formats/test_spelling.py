"""Spellings that people use: times, stations, parameters, and names that are nearly right."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.spelling import (
    nearest,
    parameter_name,
    parse_day,
    parse_period,
    parse_run_time,
    station_key,
)

WIDE = chr(0xFF11)
"""A digit that is not ASCII."""

RUNS = [
    "2026112106",
    "2026-11-21T06",
    "2026-11-21t06",
    "2026-11-21T06Z",
    "2026-11-21T06:00",
    "2026-11-21T06:00Z",
    "2026-11-21T06:00+00:00",
    "2026-11-21T06:00:00Z",
    "2026-11-21T06:00:00.000Z",
    "2026-11-21 06:00",
    "2026-11-21 06",
    "20261121T06",
    "20261121T0600Z",
    " 2026112106 ",
]
DAYS = ["20261121", "2026-11-21", " 2026-11-21 "]
NEITHER = [
    "",
    "x",
    "2026",
    "202611",
    "2026-11",
    "2026-1121",
    "202611-21",
    "2026-11-21T6",
    "2026-11-21T06:30",
    "2026-11-21T06:00:01Z",
    "2026-11-21T06:00+01:00",
    "2026-11-21Z",
    "2026112124",
    "20261131",
    "2026-02-29",
    "0999010100",
    "21.11.2026",
    WIDE + "0261121",
    "2026112106\n0",
    "20261121060",
]


@pytest.mark.parametrize("text", RUNS)
def test_every_spelling_of_a_whole_hour_is_that_run(text):
    assert parse_period(text) == parse_run_time(text) == "2026112106"
    assert parse_day(text) is None


@pytest.mark.parametrize("text", DAYS)
def test_every_spelling_of_a_day_is_that_day(text):
    assert parse_period(text) == "20261121"
    assert parse_day(text) == date(2026, 11, 21)
    assert parse_run_time(text) is None


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_neither_a_whole_hour_in_utc_nor_a_day_is_none(text):
    assert (parse_period(text), parse_run_time(text), parse_day(text)) == (None, None, None)


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_isoformat_of_a_whole_hour_and_its_date_are_read_back(moment):
    hour = moment.replace(minute=0, second=0, microsecond=0)
    assert parse_run_time(hour.isoformat()) == f"{hour:%Y%m%d%H}"
    assert parse_day(hour.date().isoformat()) == hour.date()
    is_whole = (moment.minute, moment.second, moment.microsecond) == (0, 0, 0)
    assert (parse_period(moment.isoformat()) is not None) == is_whole


@given(st.text())
def test_a_period_is_returned_in_its_own_spelling_again(text):
    period = parse_period(text)
    assert period is None or parse_period(period) == period


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("1001", "01001"),
        ("01001", "01001"),
        ("10315", "10315"),
        ("k611", "K611"),
        ("K611_", "K611"),
        ("p0036", "P0036"),
        (" 10315 ", "10315"),
        ("123456", "123456"),
        ("ea_b", "EA_B"),
        ("", ""),
        (WIDE + "001", WIDE + "001"),
    ],
)
def test_a_stations_id_is_compared_in_one_form(text, key):
    assert station_key(text) == key
    assert station_key(key) == key


def test_a_parameter_is_spelled_in_lower_case():
    assert parameter_name(" T_2M ") == "t_2m"


STATIONS = ("01001", "10315", "10384", "10637", "K611", "P0036")


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("103", STATIONS, ("10315", "10384", "10637")),
        ("10351", ("10315", "P0036"), ("10315",)),
        ("k61", STATIONS, ("K611",)),
        ("icond2", ("icon", "icon-d2", "icon-d2-eps", "poi"), ("icon-d2", "icon", "icon-d2-eps")),
        ("t_2", ("t_2m", "td_2m", "tot_prec"), ("t_2m", "td_2m")),
        ("MOSMIX", ("mosmix-l", "mosmix-s", "poi"), ("mosmix-l", "mosmix-s")),
        ("zzzzz", STATIONS, ()),
        ("", STATIONS, ()),
        (" ", STATIONS, ()),
        ("x", (), ()),
    ],
)
def test_the_nearest_names_are_those_that_begin_alike_or_are_similar(name, known, found):
    assert nearest(name, known) == found


def test_no_more_names_are_returned_than_wanted():
    assert nearest("1", [f"1{number:04}" for number in range(50)], 2) == ("10000", "10001")
