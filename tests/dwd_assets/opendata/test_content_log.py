"""The table of contents: streamed, filtered, and never trusted beyond its end."""

import bz2
import io
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dwd_assets.formats.errors import FormatError
from dwd_assets.opendata.content_log import ContentLog, LogEntry

LINES = [
    "./weather/nwp/icon-d2/grib/00/t_2m/a.grib2.bz2|877797|2026-09-16 00:44:01",
    "./weather/nwp/v1/m/icon-d2/p/T_2M/r/2026-09-16T00:00/s/PT000H00M.grib2|623040|2026-09-16 00:44:02",
    "./weather/weather_reports/poi/K611_-BEOB.csv|7343|2026-09-16 02:40:29",
]


def log(lines: list[str], **settings) -> ContentLog:
    text = "".join(line + "\n" for line in lines)
    return ContentLog(io.BytesIO(bz2.compress(text.encode())), "content.log.bz2", **settings)


def test_lines_become_files_with_time_in_utc():
    entries = list(log(LINES))
    assert entries[2] == LogEntry(
        "weather/weather_reports/poi/K611_-BEOB.csv", 7343, datetime(2026, 9, 16, 2, 40, 29, tzinfo=UTC)
    )
    assert [entry.size for entry in entries] == [877797, 623040, 7343]


def test_only_paths_below_the_prefix_are_given_and_all_lines_counted():
    contents = log(LINES, under="weather/nwp/v1/")
    assert [entry.size for entry in contents] == [623040]
    assert (contents.lines, contents.bad) == (3, 0)


def test_a_path_may_hold_bars_and_blanks():
    (entry,) = log(["./a|b c|12|2026-09-16 02:40:29"])
    assert (entry.path, entry.size) == ("a|b c", 12)


@pytest.mark.parametrize(
    "bad",
    [
        "weather/a|1|2026-09-16 02:40:29",
        "./a|-1|2026-09-16 02:40:29",
        "./a|1",
        "./a|1|2026-09-31 02:40:29",
        "./a|1|2026-09-16T02:40:29",
        "./|1|2026-09-16 02:40:29",
        "./a|1e3|2026-09-16 02:40:29",
        "",
        "<html>",
    ],
)
def test_a_bad_line_is_counted_and_shown_and_costs_no_other(bad: str):
    contents = log([LINES[0], bad, LINES[1]])
    assert [entry.size for entry in contents] == [877797, 623040]
    assert (contents.lines, contents.bad, contents.first_bad) == (3, 1, [bad])


def test_of_many_bad_lines_only_some_are_kept():
    contents = log(["x" * 1000] * 500)
    assert list(contents) == []
    assert contents.bad == 500
    assert len("".join(contents.first_bad)) <= 10 * 200


@pytest.mark.parametrize("part", [0.0, 0.00001, 0.5, 0.9999])
def test_a_stream_cut_anywhere_gives_its_whole_lines_and_then_the_fault(part: float):
    lines = [f"./weather/file{number:06d}|{number}|2026-09-16 02:40:29" for number in range(40_000)]
    packed = bz2.compress("".join(line + "\n" for line in lines).encode(), 1)
    entries = ContentLog(io.BytesIO(packed[: int(len(packed) * part)]), "content.log.bz2")
    sizes = []

    def exhaust() -> None:
        for entry in entries:
            sizes.append(entry.size)  # noqa: PERF401 - what came before the fault is kept

    fault = r"cut after \d+ bytes" if int(len(packed) * part) else "is empty"
    with pytest.raises(FormatError, match=rf"content\.log\.bz2: {fault}"):
        exhaust()
    assert sizes == list(range(len(sizes)))
    assert (len(sizes) > 10_000) == (part >= 0.5)


def test_a_stream_that_lacks_its_last_byte_is_cut_off():
    packed = bz2.compress("".join(line + "\n" for line in LINES).encode())
    with pytest.raises(FormatError, match="cut after"):
        list(ContentLog(io.BytesIO(packed[:-1]), "content.log.bz2"))


def test_a_flipped_bit_is_told():
    data = bytearray(bz2.compress(("\n".join(LINES) + "\n").encode()))
    data[len(data) // 2] ^= 1
    with pytest.raises(FormatError, match="damaged"):
        list(ContentLog(io.BytesIO(bytes(data)), "content.log.bz2"))


def test_a_page_instead_of_a_log_is_told():
    with pytest.raises(FormatError, match="damaged"):
        list(ContentLog(io.BytesIO(b"<html><body>Log in</body></html>"), "content.log.bz2"))


def test_several_streams_one_after_the_other_are_one_log():
    streams = b"".join(bz2.compress((line + "\n").encode()) for line in LINES)
    assert len(list(ContentLog(io.BytesIO(streams), "log"))) == 3
    with pytest.raises(FormatError):
        list(ContentLog(io.BytesIO(streams + b"rubbish"), "log"))
    with pytest.raises(FormatError):
        list(ContentLog(io.BytesIO(streams[:-3]), "log"))


def test_a_line_without_an_end_in_a_whole_stream_is_a_line():
    assert len(list(ContentLog(io.BytesIO(bz2.compress("\n".join(LINES).encode())), "log"))) == 3


def test_a_bomb_of_one_endless_line_is_refused():
    with pytest.raises(FormatError, match="no content log"):
        list(ContentLog(io.BytesIO(bz2.compress(bytes(50_000_000))), "log"))


MEMORY = """
import resource, sys
from dwd_assets.opendata.content_log import ContentLog
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[1], "rb") as stream:
    contents = ContentLog(stream, "log", under="weather/nwp/v1/m/icon-d2/p/T_2M/")
    count = sum(1 for _ in contents)
print(count, contents.lines, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_long_log_is_never_held_in_memory(tmp_path):
    """72 MB of lines need less than 20 MB above what the process has anyway."""
    packed = bz2.compress("".join(line + "\n" for line in LINES).encode() * 3000)
    (tmp_path / "log").write_bytes(packed * 100)
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "log"], capture_output=True, text=True, check=True
    )
    count, lines, grown_kb = map(int, run.stdout.split())
    assert (count, lines) == (300_000, 900_000)
    assert grown_kb < 20_000
