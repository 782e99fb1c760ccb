"""Reading one POI report: what it says, cell by cell, and what is told of one that is damaged."""

import csv
import io
import pickle
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.poi.beob import (
    DamagedReport,
    Header,
    HtmlPage,
    TextCell,
    overlaid,
    parse,
    text,
    value,
)
from tests.samples import SAMPLES, needs_samples

NAME = "K611_-BEOB.csv"
HEADER = (
    "surface observations;Parameter description;cloud_cover_total;present_weather;relative_humidity\n"
    "K611_;Unit;%;CODE_TABLE;%\n"
    "Datum;Uhrzeit (UTC);Wolkenbedeckung;aktuelles Wetter;Relative Feuchte\n"
)
ROWS = "12.04.23;01:00;100;---;-0,5\n12.04.23;00:00;---;3;52\n11.04.23;23:00;75;2;49,4\n"
REAL = SAMPLES / "dwd" / "poi_beob" / "10315-BEOB.csv"


def at(day: int, hour: int) -> datetime:
    return datetime(2023, 4, day, hour, tzinfo=UTC)


def damaged(body: str, name: str = NAME) -> DamagedReport:
    with pytest.raises(DamagedReport) as caught:
        parse(body.encode("latin-1"), name)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{name}: ")
    return caught.value


def outcome(data: bytes, name: str) -> tuple[list | None, str]:
    """The rows that can be used, none without a header, and what is told of damage."""
    try:
        return [*parse(data, name).rows.items()], ""
    except DamagedReport as fault:
        return [*fault.usable.rows.items()], str(fault)
    except FormatError as fault:
        return None, str(fault)


def test_a_report_is_read_cell_by_cell_as_it_is_written():
    report = parse((HEADER + ROWS).encode(), NAME)
    assert report.station == "K611_"
    assert report.header.lines == tuple(HEADER.splitlines())
    assert report.header.columns == ("cloud_cover_total", "present_weather", "relative_humidity")
    assert report.header.units == ("%", "CODE_TABLE", "%")
    assert report.rows == {
        at(12, 1): ("100", "---", "-0,5"),
        at(12, 0): ("---", "3", "52"),
        at(11, 23): ("75", "2", "49,4"),
    }
    assert report.days == (date(2023, 4, 11), date(2023, 4, 12))


def test_a_path_may_stand_for_the_name_and_is_what_messages_tell():
    path = "weather/weather_reports/poi/20230412/K611_-BEOB.csv"
    assert parse((HEADER + ROWS).encode(), path).station == "K611_"
    assert damaged(HEADER + ROWS + "x", path).usable.name == path


def test_a_header_may_pad_the_station_otherwise_than_the_file_name():
    assert parse((HEADER + ROWS).replace("K611_", "K611").encode(), NAME).station == "K611_"


def test_letters_beyond_ascii_come_out_as_they_came_in():
    data = (HEADER.replace("Feuchte", "Feuchte \xc4\xe4\x85") + ROWS).encode("latin-1")
    report = parse(data, NAME)
    assert text(report.header, report.rows) == data


@needs_samples
def test_the_real_file_has_what_an_ordinary_csv_reader_finds_in_it():
    data = REAL.read_bytes()
    report = parse(data, REAL.name)
    names, units, _, *rows = csv.reader(io.StringIO(data.decode("latin-1")), delimiter=";")
    assert report.station == "10315"
    assert [*report.header.columns] == names[2:]
    assert [*report.header.units] == units[2:]
    assert len(report.header.columns) == 41
    assert len(report.rows) == 25
    times = [datetime.strptime(f"{day} {hour}Z", "%d.%m.%y %H:%M%z") for day, hour, *_ in rows]
    assert [(time, [*cells]) for time, cells in report.rows.items()] == [
        (time, cells) for time, (_, _, *cells) in zip(times, rows, strict=True)
    ]


@needs_samples
def test_the_real_file_is_written_again_to_the_byte():
    data = REAL.read_bytes()
    report = parse(data, REAL.name)
    assert text(report.header, dict(reversed(report.rows.items()))) == data


@needs_samples
def test_every_cell_of_the_real_file_is_a_number_or_missing():
    report = parse(REAL.read_bytes(), REAL.name)
    newest = dict(zip(report.header.columns, next(iter(report.rows.values())), strict=True))
    temperature = "dry_bulb_temperature_at_2_meter_above_ground"
    assert value(newest[temperature]) == 9.2
    assert dict(zip(report.header.columns, report.header.units, strict=True))[temperature] == "Grad C"
    assert value(newest["evaporation/evapotranspiration_last_24_hours"]) is None
    missing = sum(value(cell) is None for cells in report.rows.values() for cell in cells)
    assert missing == REAL.read_bytes().count(b";---")


@needs_samples
def test_the_real_file_cut_anywhere_gives_whole_rows_or_none_and_tells_of_the_cut():
    data = REAL.read_bytes()
    whole = [*parse(data, REAL.name).rows.items()]
    for length in range(len(data)):
        part = data[:length]
        rows, told = outcome(part, REAL.name)
        if part.count(b"\n") < 3:
            assert rows is None
            assert "no header" in told
        else:
            assert rows == whole[: part.count(b"\n") - 3]
            assert ("cut" in told) == (not part.endswith(b"\n"))


def test_a_value_cut_short_is_not_taken_for_a_value():
    fault = damaged(HEADER + ROWS[:-2])
    assert "line 6: cut" in str(fault)
    assert list(fault.usable.rows) == [at(12, 1), at(12, 0)]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("12.04.23;02:00;100;---", "line 4: 4 cells, the header has 5"),
        ("12.04.23;02:00;100;---;1;2", "line 4: 6 cells, the header has 5"),
        ("31.04.23;02:00;100;---;1", "line 4: '31.04.23;02:00' is not a time: day"),
        ("12.04.23;24:00;100;---;1", "line 4: '12.04.23;24:00' is not a time: hour"),
        ("12.04.2023;02:00;100;---;1", "line 4: '12.04.2023;02:00' is not a time"),
        ("12.04.23;2:00;100;---;1", "line 4: '12.04.23;2:00' is not a time"),
        ("12.04.23;02:00;\0;---;1", "line 4: a control character"),
        ("12.04.23;02:00;1;\r;1", "line 4: a control character"),
    ],
)
def test_a_bad_row_is_told_and_costs_no_other(row, told):
    fault = damaged(f"{HEADER}{row}\n{ROWS}")
    assert told in str(fault)
    assert fault.usable == parse((HEADER + ROWS).encode(), NAME)


def test_five_faults_are_described_and_the_number_of_the_others_is_given():
    told = str(damaged(f"{HEADER}x\n{ROWS}y\nz"))
    assert [told.count(f"line {number}: ") for number in (4, 8, 9)] == [1, 1, 1]
    many = str(damaged(HEADER + "x\n" * 7 + ROWS))
    assert many.count("line ") == 5
    assert many.endswith("(and 2 more faults)")


def test_a_row_that_comes_twice_is_one():
    assert parse((HEADER + ROWS + ROWS).encode(), NAME) == parse((HEADER + ROWS).encode(), NAME)


def test_two_rows_of_a_time_fill_each_others_gaps():
    body = f"{HEADER}12.04.23;01:00;100;---;---\n12.04.23;01:00;---;3;---\n"
    assert parse(body.encode(), NAME).rows == {at(12, 1): ("100", "3", "---")}


def test_of_two_rows_that_contradict_each_other_the_upper_stands_and_it_is_told():
    fault = damaged(f"{HEADER}12.04.23;01:00;100;---;1\n12.04.23;01:00;90;3;1\n")
    assert "line 5: 12.04.23;01:00 again, with other values" in str(fault)
    assert fault.usable.rows == {at(12, 1): ("100", "3", "1")}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "no header: 0 whole lines of 3"),
        ("\0" * 5000, "no header: 0 whole lines of 3"),
        (HEADER[:-1], "no header: 2 whole lines of 3"),
        ("<html>\n<head><title>503</title></head>\n<body>\n</body>\n", "an HTML page"),
        ("\n <!DOCTYPE html>\n\n\n\n", "an HTML page"),
        (ROWS, "no header: line 3"),
        (HEADER.split("\n", 1)[1] + ROWS, "no header: line 3"),
        (HEADER.replace("(UTC)", "(MEZ)") + ROWS, "no header: line 3"),
        (HEADER.replace("K611_;Unit;%;", "K611_;Unit;") + ROWS, "header lines of 5, 4 and 5 cells"),
        ("a;b\nK611_;Unit\nDatum;Uhrzeit (UTC)\n", "header lines of 2, 2 and 2 cells"),
        (HEADER.replace("K611_;Unit", "K611_;\0Unit") + ROWS, "a control character in the header"),
        (HEADER.replace("K611_", "10315") + ROWS, "the report of another station: '10315'"),
    ],
)
def test_a_body_without_its_own_header_is_refused_whole(body, told):
    with pytest.raises(FormatError, match=f"^{NAME}: ") as caught:
        parse(body.encode("latin-1"), NAME)
    assert told in str(caught.value)
    assert not isinstance(caught.value, DamagedReport)


@pytest.mark.parametrize(
    "name", ["10315.csv", "-BEOB.csv", "10315-BEOB.csv.bz2", "LATEST", "1\u0661-BEOB.csv"]
)
def test_a_file_of_another_name_is_no_report(name):
    with pytest.raises(FormatError, match="not the name of a report"):
        parse((HEADER + ROWS).encode(), name)


def test_what_is_told_of_damage_survives_the_way_between_processes():
    fault = damaged(HEADER + ROWS + "x")
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.usable) == (str(fault), fault.usable)


@given(st.integers(-(10**6), 10**6), st.integers(0, 3))
def test_a_decimal_comma_is_read_as_a_number(digits, places):
    number = digits / 10**places
    assert value(f"{number:.{places}f}".replace(".", ",")) == number


@pytest.mark.parametrize("cell", ["---", ""])
def test_a_missing_value_is_none(cell):
    assert value(cell) is None


@pytest.mark.parametrize("cell", ["--", "1.5", "1,", ",5", "nan", "inf", "1e3", "1_0", " 1", "\u0661"])
def test_what_is_no_number_is_refused(cell):
    with pytest.raises(FormatError, match="is not a number"):
        value(cell)


# Spellings that change nothing


SPELLINGS = {
    "padded cells": lambda plain: b"".join(
        line.replace(b";", b" ; ") if number > 2 else line
        for number, line in enumerate(plain.splitlines(keepends=True))
    ),
    "repeated row": lambda plain: plain + plain.splitlines(keepends=True)[-1],
    "trailing": lambda plain: plain.replace(b"\n", b";\n"),
    "blanks": lambda plain: plain.replace(b"\n", b" \t\n"),
    "crlf": lambda plain: plain.replace(b"\n", b"\r\n"),
    "blank lines": lambda plain: plain.replace(b"\n", b"\n\n \n"),
    "blank lines before": lambda plain: b"\n" + plain,
    "blank end": lambda plain: plain + b" \t",
    "mark": lambda plain: b"\xef\xbb\xbf" + plain.decode("latin-1").encode(),
}
"""In the order in which they may be applied one after the other."""


@given(st.sets(st.sampled_from(list(SPELLINGS)), min_size=1))
def test_spellings_change_nothing_alone_and_together(chosen):
    plain = (HEADER.replace("Feuchte", "Feuchte \xe4\xf6") + ROWS).encode("latin-1")
    data = plain
    for name, spelled in SPELLINGS.items():
        data = spelled(data) if name in chosen else data
    report = parse(data, NAME)
    assert report == parse(plain, NAME)
    assert text(report.header, report.rows) == plain


def test_a_mark_before_what_latin_1_cannot_write_is_still_read():
    data = b"\xef\xbb\xbf" + (HEADER.replace("Feuchte", "Feuchte \u20ac") + ROWS).encode()
    report = parse(data, NAME)
    assert report.rows == parse((HEADER + ROWS).encode(), NAME).rows
    assert text(report.header, report.rows) == data.removeprefix(b"\xef\xbb\xbf")


def test_a_last_row_without_its_line_end_is_taken_where_no_byte_of_the_file_is_missing():
    whole = parse((HEADER + ROWS).encode(), NAME)
    assert parse((HEADER + ROWS)[:-1].encode(), NAME, is_whole=True) == whole
    assert "line 6: cut, it has no line end" in str(damaged((HEADER + ROWS)[:-1]))
    with pytest.raises(DamagedReport, match="line 6: 3 cells"):
        parse((HEADER + ROWS).encode()[: -len(";2;49,4\n")], NAME, is_whole=True)


def test_a_mark_before_a_page_does_not_make_it_a_report():
    with pytest.raises(HtmlPage):
        parse(b"\xef\xbb\xbf<html></html>", NAME)


def test_a_value_behind_a_trailing_separator_is_a_cell_too_many():
    fault = damaged(f"{HEADER}12.04.23;02:00;100;---;1;7\n{ROWS}".replace("\n", ";\n", 3))
    assert "line 4: 6 cells, the header has 5 (12.04.23;02:00)" in str(fault)


def test_cells_with_text_in_a_numbers_place_are_named():
    report = parse((HEADER + ROWS.replace("75", "/////").replace("52", "1.5")).encode(), NAME)
    assert report.texts == (
        TextCell(at(12, 0), "relative_humidity", "1.5"),
        TextCell(at(11, 23), "cloud_cover_total", "/////"),
    )
    assert report.rows[at(11, 23)] == ("/////", "2", "49,4")


@pytest.mark.parametrize(
    ("lower", "upper", "row"),
    [
        (("1",), ("2",), ("2",)),
        (("1",), ("/////",), ("1",)),
        (("/////",), ("2",), ("2",)),
        (("1",), ("",), ("1",)),
        (("/////",), ("---",), ("---",)),
        (("---",), ("/////",), ("---",)),
    ],
)
def test_a_number_stands_over_text_and_gaps_whichever_is_above(lower, upper, row):
    assert overlaid(lower, upper) == row


# Columns


def header(names: str, units: str, german: str) -> Header:
    return Header((f"a;b;{names}", f"10315;Unit;{units}", f"Datum;Uhrzeit (UTC);{german}"))


def test_columns_are_told_from_each_other_by_name_unit_and_occurrence():
    assert header("t;t;t;p", "K;C;K;", "1;2;3;4").keys == (
        ("t", "K", 0),
        ("t", "C", 0),
        ("t", "K", 1),
        ("p", "", 0),
    )


def test_a_joined_header_keeps_its_order_and_appends_what_is_new():
    old, new = header("t;p;t", "K;hPa;K", "T;P;T2"), header("w;t;t", "m/s;C;K", "Wind;Grad;Temperatur")
    joined = old.joined(new, new)
    assert joined == header("t;p;t;w;t", "K;hPa;K;m/s;C", "Temperatur;P;T2;Wind;Grad")
    assert old.joined(new, old) == header("t;p;t;w;t", "K;hPa;K;m/s;C", "T;P;T2;Wind;Grad")
    assert joined.placed({at(1, 1): ("5", "20", "293")}, new) == {at(1, 1): ("293", "---", "---", "5", "20")}
