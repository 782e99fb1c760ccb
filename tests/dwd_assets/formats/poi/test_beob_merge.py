"""Making a day of overlapping reports, held against a dict of dicts that knows nothing of the product's."""

import itertools
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.poi.beob import Report, parse
from dwd_assets.formats.poi.beob_merge import Correction, DayFile, merge, merge_all, read, stacked, write
from tests.samples import SAMPLES, needs_samples

DAY = date(2024, 2, 29)
MIDNIGHT = datetime(2024, 2, 29, tzinfo=UTC)
NAME = "K611_-BEOB.csv"
COLUMNS = ("temperature", "humidity", "rain")
UNITS = ("Grad C", "%", "mm")
GERMAN = ("Temperatur", "Feuchte", "Regen")
REAL = SAMPLES / "dwd" / "poi_beob" / "10315-BEOB.csv"

Rows = list[tuple[int, tuple[str, ...]]]  # hour after MIDNIGHT, cells


def body(rows: Rows, columns=COLUMNS, units=UNITS, german=GERMAN, station="K611_") -> bytes:
    lines = [
        ("surface observations", "Parameter description", *columns),
        (station, "Unit", *units),
        ("Datum", "Uhrzeit (UTC)", *german),
    ]
    for hour, cells in rows:
        stamp = MIDNIGHT + timedelta(hours=hour)
        lines.append((stamp.strftime("%d.%m.%y"), stamp.strftime("%H:%M"), *cells))
    return "".join(";".join(line) + "\n" for line in lines).encode("latin-1")


def report(*rows, **header) -> Report:
    return parse(body([*rows], **header), NAME)


def at(hour: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hour)


def cells_of(day_file: DayFile) -> dict[int, tuple[str, ...]]:
    return {int((stamp - MIDNIGHT) / timedelta(hours=1)): cells for stamp, cells in day_file.rows.items()}


def day_of(*reports: Report) -> DayFile:
    return merge_all(DAY, None, [(at(hour), each) for hour, each in enumerate(reports)]).day_file


class Oracle:
    """The day as {hour: {column: cell}}; reports are taken in the order of their time."""

    def __init__(self) -> None:
        self.cells: dict[int, dict[str, str]] = {}
        self.corrections: list[tuple[int, str, str, str]] = []

    def take(self, rows: Rows) -> None:
        found = []
        for hour, row in {hour: row for hour, row in rows if 0 <= hour < 24}.items():
            known = self.cells.setdefault(hour, dict.fromkeys(COLUMNS, "---"))
            for place, (column, cell) in enumerate(zip(COLUMNS, row, strict=True)):
                if cell == "---":
                    continue
                if known[column] not in {"---", cell}:
                    found.append((hour, place, column, known[column], cell))
                known[column] = cell
        self.corrections += [(hour, *rest) for hour, _, *rest in sorted(found)]

    def file(self) -> bytes:
        newest_first = sorted(self.cells.items(), reverse=True)
        return body([(hour, tuple(known[column] for column in COLUMNS)) for hour, known in newest_first])


cell = st.sampled_from(["---", "---", "0", "-0,7", "12,4", "100"])
row = st.tuples(st.sampled_from([-2, -1, 0, 1, 12, 22, 23, 24, 25]), st.tuples(cell, cell, cell))
some_rows = st.lists(row, max_size=8, unique_by=lambda each: each[0])
repeated = st.builds(lambda rows, again: rows + rows[:again], some_rows, st.integers(0, 3))
many = st.lists(repeated, min_size=1, max_size=6)


@given(many)
def test_a_day_is_what_a_plain_dict_of_dicts_makes_of_the_reports(bodies):
    oracle, day_file, corrections = Oracle(), None, []
    for hour, rows in enumerate(bodies):
        oracle.take(rows)
        merged = merge(DAY, day_file, report(*rows), at(hour))
        assert merged.changed == (
            bool(merged.day_file.rows) if day_file is None else write(merged.day_file) != write(day_file)
        )
        # as it is in production: the file is written, and read again at the next report
        as_of = merged.day_file.as_of
        day_file = read(write(merged.day_file), NAME, DAY, as_of)
        corrections += merged.corrections
    assert write(day_file) == oracle.file()
    assert corrections == [Correction(at(hour), *rest) for hour, *rest in oracle.corrections]


@given(many, st.randoms(use_true_random=False))
def test_many_reports_make_the_same_day_in_whatever_order_they_are_given(bodies, random):
    oracle = Oracle()
    for rows in bodies:
        oracle.take(rows)
    dated = [(at(hour), report(*rows)) for hour, rows in enumerate(bodies)]
    random.shuffle(dated)
    merged = merge_all(DAY, None, dated)
    assert write(merged.day_file) == oracle.file()
    assert merged.corrections == tuple(Correction(at(hour), *rest) for hour, *rest in oracle.corrections)


@given(many)
def test_merging_a_report_again_changes_nothing(bodies):
    day_file = day_of(*(report(*rows) for rows in bodies))
    once = merge(DAY, day_file, report(*bodies[-1]), at(len(bodies)))
    twice = merge(DAY, once.day_file, report(*bodies[-1]), at(len(bodies)))
    assert (twice.day_file, twice.corrections, twice.changed) == (once.day_file, (), False)
    assert write(twice.day_file) == write(once.day_file)


@given(many, repeated)
def test_a_report_that_comes_late_adds_rows_and_fills_gaps_and_replaces_nothing(bodies, late):
    before = day_of(*(report(*rows) for rows in bodies))
    merged = merge(DAY, before, report(*late), at(-1))
    oracle = Oracle()
    oracle.take(late)
    oracle.take([*cells_of(before).items()])
    assert write(merged.day_file) == oracle.file()
    assert merged.corrections == ()
    assert not before.rows or merged.day_file.as_of == before.as_of


@given(st.lists(repeated, min_size=2, max_size=4))
def test_reports_of_one_time_make_one_day_whichever_is_given_first(bodies):
    days = {
        write(merge_all(DAY, None, [(at(0), report(*rows)) for rows in order]).day_file)
        for order in itertools.permutations(bodies)
    }
    assert len(days) == 1


def test_a_late_value_fills_its_gap_and_is_no_correction():
    before = day_of(report((1, ("---", "50", "---"))))
    merged = merge(DAY, before, report((1, ("3,4", "50", "---"))), at(5))
    assert cells_of(merged.day_file) == {1: ("3,4", "50", "---")}
    assert (merged.corrections, merged.changed) == ((), True)


def test_another_value_replaces_and_is_told_as_a_correction():
    before = day_of(report((1, ("3,4", "50", "0")), (2, ("1", "1", "1"))))
    merged = merge(DAY, before, report((1, ("3,5", "50", "0,2")), (2, ("1", "1", "1"))), at(5))
    assert cells_of(merged.day_file)[1] == ("3,5", "50", "0,2")
    assert merged.corrections == (
        Correction(at(1), "temperature", "3,4", "3,5"),
        Correction(at(1), "rain", "0", "0,2"),
    )


def test_of_two_reports_of_one_time_the_one_merged_last_counts_as_the_later():
    before = merge(DAY, None, report((1, ("3,4", "50", "0"))), at(5)).day_file
    merged = merge(DAY, before, report((1, ("3,5", "50", "0"))), at(5))
    assert merged.corrections == (Correction(at(1), "temperature", "3,4", "3,5"),)


@pytest.mark.parametrize("gap", ["---", ""])
def test_a_gap_never_erases_a_value_and_a_missing_row_stays(gap):
    before = day_of(report((1, ("3,4", "50", "0")), (2, ("1", "1", "1"))))
    merged = merge(DAY, before, report((1, (gap, "50", gap))), at(5))
    assert write(merged.day_file) == write(before)
    assert not merged.changed


def test_a_row_of_midnight_is_of_the_day_that_begins():
    rows = report((-1, ("a", "", "")), (0, ("b", "", "")), (23, ("c", "", "")), (24, ("d", "", "")))
    assert rows.days == (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1))
    found = {day.day: list(merge(day, None, rows, at(0)).day_file.rows) for day in rows.days}
    assert found == {28: [at(-1)], 29: [at(0), at(23)], 1: [at(24)]}


def test_a_day_of_which_a_report_has_no_row_is_left_as_it_is():
    before = day_of(report((1, ("3,4", "50", "0"))))
    other = report((30, ("1", "1", "1")), units=("K", "%", "mm"))
    assert merge(DAY, before, other, at(30)).day_file is before
    assert not merge(DAY, None, other, at(30)).changed


def test_columns_that_change_at_midnight_stop_neither_day():
    old = report((23, ("1", "1", "1")))
    new = report((24, ("2", "2")), columns=("a", "b"), units=("", ""), german=("A", "B"))
    for day, rows in ((DAY, {at(23)}), (DAY + timedelta(days=1), {at(24)})):
        merged = merge_all(day, None, [(at(24), new), (at(23), old)])
        assert set(merged.day_file.rows) == rows


@pytest.mark.parametrize(
    ("header", "cells", "columns", "units", "rows"),
    [
        (
            {"columns": ("rain", "humidity", "temperature"), "units": ("mm", "%", "Grad C")},
            ("0", "50", "3,5"),
            "temperature humidity rain",
            "Grad C;%;mm",
            {1: ("3,4", "50", "0"), 2: ("3,5", "50", "0")},
        ),
        (
            {"columns": ("temperature", "dew", "rain")},
            ("3,5", "1", "0"),
            "temperature humidity rain dew",
            "Grad C;%;mm;%",
            {1: ("3,4", "50", "0", "---"), 2: ("3,5", "---", "0", "1")},
        ),
        (
            {"units": ("K", "%", "mm")},
            ("276,6", "50", "0"),
            "temperature humidity rain temperature",
            "Grad C;%;mm;K",
            {1: ("3,4", "50", "0", "---"), 2: ("---", "50", "0", "276,6")},
        ),
        (
            {"columns": ("rain",), "units": ("mm",), "german": ("Regen",)},
            ("7",),
            "temperature humidity rain",
            "Grad C;%;mm",
            {1: ("3,4", "50", "0"), 2: ("---", "---", "7")},
        ),
        (
            {"columns": ("rain", "rain"), "units": ("mm", "mm"), "german": ("Regen", "Regen 2")},
            ("7", "8"),
            "temperature humidity rain rain",
            "Grad C;%;mm;mm",
            {1: ("3,4", "50", "0", "---"), 2: ("---", "---", "7", "8")},
        ),
    ],
    ids=["reordered", "renamed", "other unit", "removed", "doubled"],
)
def test_a_day_has_the_columns_of_all_its_reports(header, cells, columns, units, rows):
    before = day_of(report((1, ("3,4", "50", "0"))))
    merged = merge(DAY, before, report((2, cells), **header), at(5))
    assert merged.day_file.header.lines[0].split(";")[2:] == columns.split()
    assert merged.day_file.header.lines[1].endswith(f";Unit;{units}")
    assert cells_of(merged.day_file) == rows
    assert merged.corrections == ()
    again = read(write(merged.day_file), NAME, DAY, at(5))
    assert again == merged.day_file
    assert not merge(DAY, again, report((2, cells), **header), at(5)).changed


def test_a_value_that_comes_in_another_place_or_changes_there_is_the_same_columns():
    before = day_of(report((1, ("3,4", "50", "0"))))
    turned = report((1, ("0", "51", "3,4")), columns=COLUMNS[::-1], units=UNITS[::-1], german=GERMAN[::-1])
    merged = merge(DAY, before, turned, at(5))
    assert merged.corrections == (Correction(at(1), "humidity", "50", "51"),)
    assert cells_of(merged.day_file) == {1: ("3,4", "51", "0")}


POOL = [("a", "m"), ("b", "m"), ("a", "K"), ("c", ""), ("b", "m")]
headers = st.lists(st.sampled_from(range(len(POOL))), min_size=1, max_size=5, unique=True)
drifting = st.lists(
    headers.flatmap(
        lambda places: st.tuples(
            st.just(places),
            st.dictionaries(st.integers(-2, 5), st.tuples(*[cell] * len(places)), min_size=1, max_size=4),
        )
    ),
    min_size=1,
    max_size=5,
)


def drifted(places: list[int], rows: dict[int, tuple[str, ...]], number: int) -> Report:
    columns = [POOL[place] for place in places]
    return report(
        *sorted(rows.items(), reverse=True),
        columns=tuple(name for name, _ in columns),
        units=tuple(unit for _, unit in columns),
        german=tuple(f"{name} {number}" for name, _ in columns),
    )


def plain_day(reports: list[tuple[list[int], dict[int, tuple[str, ...]]]]) -> list[list[str]]:
    """The lines of the day's file, cells apart: by plain rules, from (column, occurrence) to cells and names."""
    names: dict[tuple[str, str, int], str] = {}
    cells: dict[int, dict[tuple[str, str, int], str]] = {}
    for number, (places, rows) in enumerate(reports):
        keys = []
        for place in places:
            keys.append((*POOL[place], sum(key[:2] == POOL[place] for key in keys)))
        of_day = {hour: row for hour, row in rows.items() if hour >= 0}
        for key in keys if of_day else ():
            names[key] = f"{key[0]} {number}"
        for hour, row in of_day.items():
            known = cells.setdefault(hour, {})
            known.update({key: cell for key, cell in zip(keys, row, strict=True) if cell != "---"})
    return [
        [name for name, _, _ in names],
        [unit for _, unit, _ in names],
        [*names.values()],
        *([cells[hour].get(key, "---") for key in names] for hour in sorted(cells, reverse=True)),
    ]


@given(drifting, st.randoms(use_true_random=False))
def test_whatever_the_headers_are_a_day_is_the_same_in_whatever_order_its_reports_come(drawn, random):
    dated = [(at(hour), drifted(*each, hour)) for hour, each in enumerate(drawn)]
    shuffled = random.sample(dated, len(dated))
    exact = merge_all(DAY, None, shuffled).day_file
    expected = plain_day(drawn)
    found = [line.split(";")[2:] for line in write(exact).decode().splitlines()]
    assert found == expected or (not exact.rows and len(expected) == 3)
    as_they_came = None
    for when, one in shuffled:
        as_they_came = merge(DAY, as_they_came, one, when).day_file
    assert write(stacked(as_they_came, exact)) == write(exact)


def test_text_never_replaces_a_value_and_a_later_number_replaces_it():
    text = report((1, ("/////", "50", "0")))
    before = day_of(report((1, ("3,4", "---", "0"))))
    kept = merge(DAY, before, text, at(5)).day_file
    assert cells_of(kept) == {1: ("3,4", "50", "0")}
    first = day_of(text)
    assert cells_of(first) == {1: ("---", "50", "0")}
    merged = merge(DAY, first, report((1, ("3,4", "50", "0"))), at(5))
    assert (cells_of(merged.day_file), merged.corrections) == ({1: ("3,4", "50", "0")}, ())


def test_a_german_name_may_change_and_the_later_one_is_kept():
    spelt = report((2, ("1", "1", "1")), german=("Lufttemperatur", "Feuchte", "Regen"))
    before = day_of(report((1, ("3,4", "50", "0"))))
    merged = merge(DAY, before, spelt, at(5))
    assert merged.day_file.header == spelt.header
    assert merge(DAY, before, spelt, at(-5)).day_file.header == before.header
    assert merge(DAY, before, replace(spelt, rows=report((1, ("3,4", "50", "0"))).rows), at(5)).changed


def test_a_padded_identifier_keeps_its_padding():
    day_file = day_of(report((1, ("3,4", "50", "0"))))
    assert day_file.station == "K611_"
    assert b"\nK611_;Unit;" in write(day_file)


def test_the_file_of_an_archive_without_reports_is_taken_as_older_than_all():
    found = read(body([(1, ("3,4", "50", "0"))]), f"20240229/{NAME}", DAY)
    assert found.as_of is None
    merged = merge(DAY, found, report((1, ("3,5", "50", "0"))), at(-1000))
    assert merged.corrections == (Correction(at(1), "temperature", "3,4", "3,5"),)


def test_a_row_of_another_day_is_not_read_into_a_day():
    with pytest.raises(FormatError, match=f"{NAME}: a row of 2024-03-01 in the file of 2024-02-29"):
        read(body([(24, ("1", "1", "1")), (1, ("1", "1", "1"))]), NAME, DAY)


def test_days_and_stations_are_not_mixed():
    before = day_of(report((1, ("3,4", "50", "0"))))
    other = parse(body([(1, ("1", "1", "1"))], station="10315"), "10315-BEOB.csv")
    with pytest.raises(ValueError, match="station K611_"):
        merge(DAY, before, other, at(5))
    with pytest.raises(ValueError, match="merging 2024-03-01 into 2024-02-29"):
        merge(DAY + timedelta(days=1), before, report((25, ("1", "1", "1"))), at(5))


def test_nothing_makes_no_day():
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_all(DAY, None, [])


@needs_samples
def test_the_real_file_becomes_two_days_that_hold_its_very_lines():
    data = REAL.read_bytes()
    lines = data.splitlines(keepends=True)
    real = parse(data, REAL.name)
    assert real.days == (date(2023, 4, 11), date(2023, 4, 12))
    for day, stamp in zip(real.days, (b"11.04.23", b"12.04.23"), strict=True):
        day_file = merge(day, None, real, at(0)).day_file
        of_the_day = [line for line in lines[3:] if line.startswith(stamp)]
        assert write(day_file) == b"".join(lines[:3] + of_the_day)
        assert len(of_the_day) in {12, 13}


@needs_samples
def test_an_hour_of_all_stations_is_merged_in_three_seconds_of_processor_time():
    data = REAL.read_bytes()
    names = [f"{number:05}-BEOB.csv" for number in range(970)]
    bodies = [data.replace(b"\n10315;", f"\n{name[:5]};".encode()) for name in names]
    later = [each.replace(b";9,2;---;81;", b";9,3;---;81;") for each in bodies]
    begun = time.process_time()
    for name, first, second in zip(names, bodies, later, strict=True):
        old, new = parse(first, name), parse(second, name)
        for day in old.days:
            earlier = write(merge(day, None, old, at(0)).day_file)
            merged = merge(day, read(earlier, name, day, at(0)), new, at(1))
            assert len(write(merged.day_file)) == len(earlier)
            assert len(merged.corrections) == (day.day == 12)
    # Twice an hour's work: each day is made, written, read and merged with a second report.
    assert time.process_time() - begun < 3
