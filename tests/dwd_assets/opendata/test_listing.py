"""Autoindex pages, real and made."""

import html
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.opendata.listing import Entry, parse_listing
from dwd_assets.opendata.settling import is_settled
from tests.samples import SAMPLES, needs_samples

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
REAL = SAMPLES / "dwd" / "index_html" / "dwd_opendata_index.html"
HEAD = "<html>\r\n<head><title>Index of /x/</title></head>\r\n<body>\r\n<h1>Index of /x/</h1><hr><pre>"
TAIL = "</pre><hr></body>\r\n</html>\r\n"
PARENT = '<a href="../">../</a>\r\n'


def page(*rows: str) -> bytes:
    return (HEAD + PARENT + "\r\n".join(rows) + TAIL).encode()


def row(name: str, time: str = "16-Sep-2026 02:40:29", size: str = "877797") -> str:
    """As nginx writes it: the shown name cut at 50 characters, then blanks."""
    shown = name if len(name) <= 50 else f"{name[:47]}..>"
    blanks = " " * (51 - len(shown))
    return f'<a href="{quote(name, safe="/")}">{html.escape(shown)}</a>{blanks}{time} {size:>19}'


def only(*rows: str) -> Entry:
    (entry,) = parse_listing(page(*rows), "page").entries
    return entry


class Hrefs(HTMLParser):
    """The addresses on a page, by the standard library's parser."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if tag == "a" and name == "href"]


@needs_samples
def test_every_row_of_the_real_page_is_read_under_its_full_name():
    data = REAL.read_bytes()
    oracle = Hrefs()
    oracle.feed(data.decode())
    listing = parse_listing(data, REAL.name)
    assert listing.unread == ()
    assert [entry.name for entry in listing.entries] == [
        unquote(href) for href in oracle.found if href != "../"
    ]
    assert all(entry.precision == MINUTE for entry in listing.entries)
    by_name = {entry.name: entry for entry in listing.entries}
    cut = by_name["10minutenwerte_extrema_wind_01766_20100101_20191231_hist.zip"]
    assert (cut.modified, cut.size) == (datetime(2020, 4, 9, 9, 16, tzinfo=UTC), 3661729)
    assert by_name["K611_-BEOB.csv"].size == 7343


def test_a_row_with_seconds_is_told_to_the_second():
    entry = only(row("00011-BEOB.csv"))
    assert entry == Entry("00011-BEOB.csv", datetime(2026, 9, 16, 2, 40, 29, tzinfo=UTC), SECOND, 877797)
    assert not entry.is_folder


def test_a_folder_has_no_size_and_loses_its_slash():
    entry = only(row("2026-09-16T00:00/", size="-"))
    assert (entry.name, entry.size, entry.is_folder) == ("2026-09-16T00:00", None, True)


def test_a_percent_encoded_name_is_decoded_once():
    assert only('<a href="a%3A%2525&amp;b.csv">a</a> 16-Sep-2026 02:40:29 1').name == "a:%25&b.csv"


@pytest.mark.parametrize("blank", [" ", "\t", "   \t ", "\r\n   ", "\n"])
def test_any_white_space_parts_the_columns(blank: str):
    text = f'<a href="f.csv">f.csv</a>{blank}16-Sep-2026{blank}02:40:29{blank}12{blank}'
    assert only(text).size == 12


def test_rows_need_no_line_of_their_own_and_tags_no_case():
    text = (
        HEAD.replace("pre", "PRE")
        + PARENT
        + "<A HREF='a'>a</A> 1-Sep-2026 02:40 1<a href='b'>b</a> 01-SEP-2026 02:40 2"
    )
    entries = parse_listing((text + TAIL.replace("pre", "PRE")).encode(), "page").entries
    assert [(entry.name, entry.size, entry.modified.day) for entry in entries] == [("a", 1, 1), ("b", 2, 1)]


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_is_read(month: int):
    assert only(row("f", f"01-{MONTHS[month - 1]}-2026 00:00:00")).modified.month == month


GERMAN = """
import calendar, locale, sys
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
from dwd_assets.opendata.listing import parse_listing
print(calendar.month_abbr[12], parse_listing(sys.stdin.buffer.read(), "page").entries[0].modified.month)
"""


def test_months_are_english_whatever_the_locale(tmp_path: Path):
    """In a process whose December is `Dez`: a locale made for it, where the machine has what that takes."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").is_file():
        pytest.skip("LOCALE ABSENT: no localedef, or no source of de_DE")
    made = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(tmp_path / "de_DE.UTF-8")]
    subprocess.run(made, check=True, capture_output=True)
    december = page(row("f", "01-Dec-2026 00:00"))
    environment = os.environ | {"LOCPATH": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", GERMAN], input=december, env=environment, capture_output=True, check=True
    )
    assert run.stdout.decode().split() == ["Dez", "12"]


@pytest.mark.parametrize(
    "bad",
    [
        '<a href="..%2f..%2fetc">f</a> 16-Sep-2026 02:40:29 1',
        '<a href="a/b">f</a> 16-Sep-2026 02:40:29 1',
        '<a href="./">f</a> 16-Sep-2026 02:40:29 -',
        '<a href="">f</a> 16-Sep-2026 02:40:29 1',
        '<a href="a%00b">f</a> 16-Sep-2026 02:40:29 1',
        '<a href="a%ff">f</a> 16-Sep-2026 02:40:29 1',
        '<a href="https://example.org/">f</a> 16-Sep-2026 02:40:29 -',
        '<a href="?C=N;O=D">Name</a>',
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_costs_no_other(bad: str):
    listing = parse_listing(page(row("before"), bad, row("after")), "page")
    assert [entry.name for entry in listing.entries] == ["before", "after"]
    assert len(listing.unread) == 1
    assert listing.unread[0].name is None
    assert " ".join(bad.split())[:100] in str(listing.unread[0]).replace("\\'", "'")


@pytest.mark.parametrize(
    "bad",
    [
        row("f", "31-Sep-2026 02:40:29"),
        row("f", "16-Xxx-2026 02:40:29"),
        row("f", "16-Sep-2026 25:40:29"),
        row("f", "16-09-2026 02:40:29"),
        row("f", size="-"),
        row("f", size="68 kilobytes"),
        '<a href="f">f</a>',
    ],
)
def test_a_row_of_which_only_the_name_can_be_read_is_an_error_and_keeps_its_name(bad: str):
    listing = parse_listing(page(row("before"), bad, row("after")), "https://x/y/")
    assert [(entry.name, entry.modified is None, entry.size) for entry in listing.entries] == [
        ("before", False, 877797),
        ("f", True, None),
        ("after", False, 877797),
    ]
    (unread,) = listing.unread
    assert unread.name == "f"
    assert str(unread).startswith("https://x/y/: row ")
    assert " ".join(bad.split())[:60] in str(unread)


@needs_samples
def test_an_index_of_unreadable_dates_names_every_row():
    data = (SAMPLES / "cases" / "dwd" / "poi_index_unreadable_dates.html").read_bytes()
    listing = parse_listing(data, "https://x/poi/")
    assert [entry.name for entry in listing.entries] == [each.name for each in listing.unread]
    assert len(listing.unread) == 5
    assert "01001-BEOB.csv" in str(listing.unread[0])
    assert "30-11-2026 16:34:06" in str(listing.unread[0])


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("2026-11-30 16:34", datetime(2026, 11, 30, 16, 34, tzinfo=UTC)),
        ("2026-11-30 16:34:06", datetime(2026, 11, 30, 16, 34, 6, tzinfo=UTC)),
        ("2026-11-30T16:34:06Z", datetime(2026, 11, 30, 16, 34, 6, tzinfo=UTC)),
        ("30-Dez-2026 16:34", datetime(2026, 12, 30, 16, 34, tzinfo=UTC)),
        ("01-Mai-2026 16:34:06", datetime(2026, 5, 1, 16, 34, 6, tzinfo=UTC)),
        ("01-Mär-2026 16:34", datetime(2026, 3, 1, 16, 34, tzinfo=UTC)),
        ("01-Mrz-2026 16:34", datetime(2026, 3, 1, 16, 34, tzinfo=UTC)),
        ("01. Oktober 2026 16:34", datetime(2026, 10, 1, 16, 34, tzinfo=UTC)),
    ],
)
def test_iso_dates_and_german_months_are_read(time: str, read: datetime):
    assert only(row("f", time)).modified == read


@pytest.mark.parametrize("size", ["3.4M", "877K", "1,2G", "3.4 MiB", "12k"])
def test_a_rounded_size_is_read_and_is_not_taken_for_exact(size: str):
    listing = parse_listing(page(row("f", size=size)), "page")
    assert listing.unread == ()
    assert listing.entries[0].size is None
    assert not listing.entries[0].is_folder


def test_an_empty_folder_is_a_listing():
    assert parse_listing(page(), "page").entries == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"<html><body>Log in</body></html>", b"\x1f\x8b\x08", b"GRIB\x00", b"<pre>x</pre>", b"\xff" * 300],
)
def test_what_is_no_listing_is_refused_by_name(data: bytes):
    with pytest.raises(FormatError, match=r"https://x/y/: not a listing"):
        parse_listing(data, "https://x/y/")


def test_a_page_cut_anywhere_is_refused():
    whole = page(row("a"), row("b"))
    for length in range(whole.index(b"</pre>") + len("</pre>")):
        with pytest.raises(FormatError):
            parse_listing(whole[:length], "page")


NAMES = st.text(st.characters(exclude_categories=["C"], exclude_characters="/"), min_size=1).filter(
    lambda name: name not in {".", ".."}
)


@given(
    st.lists(
        st.tuples(
            NAMES,
            st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
            st.integers(0, 10**12) | st.none(),
        )
    )
)
def test_whatever_nginx_lists_is_read_back(files: list[tuple[str, datetime, int | None]]):
    entries = tuple(
        Entry(name, time.replace(microsecond=0), SECOND, size, size is None) for name, time, size in files
    )
    rows = [
        row(
            entry.name + "/" * entry.is_folder,
            entry.modified.strftime("%d-%b-%Y %H:%M:%S"),
            "-" if entry.size is None else str(entry.size),
        )
        for entry in entries
    ]
    listing = parse_listing(page(*rows), "page")
    assert (listing.entries, listing.unread) == (entries, ())


@pytest.mark.parametrize(
    ("age_s", "precision", "settled"),
    [
        (59, SECOND, False),
        (60, SECOND, True),
        (118, MINUTE, False),
        (119, MINUTE, True),
        (-1, SECOND, False),
        (-60, SECOND, True),
    ],
)
def test_a_file_is_trusted_when_its_last_change_is_a_minute_away(
    age_s: int, precision: timedelta, settled: bool
):
    modified = datetime(2026, 9, 16, 2, 40, tzinfo=UTC)
    assert is_settled(modified, modified + timedelta(seconds=age_s), precision) is settled
