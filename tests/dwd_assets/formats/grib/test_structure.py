"""GRIB structure against eccodes, which runs in a process of its own (its PROJ clashes with pyproj's)."""

import importlib.util
import json
import struct
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.products import Surface
from dwd_assets.formats.grib.structure import scan
from tests.samples import SAMPLES, needs_samples

needs_eccodes = pytest.mark.skipif(
    importlib.util.find_spec("eccodes") is None, reason="PACKAGE ABSENT: eccodes"
)

CHILD = """
import json, sys
import eccodes as ec

def keys(handle):
    def get(name):
        if not ec.codes_is_defined(handle, name) or ec.codes_is_missing(handle, name):
            return None
        return ec.codes_get(handle, name, int)
    told = {name: get(name) for name in sys.argv[3].split()}
    ec.codes_set(handle, "stepUnits", "m")
    told["endStep"] = ec.codes_get(handle, "endStep", int)
    return told

written, path = json.loads(sys.argv[1]), sys.argv[2]
if written:
    with open(path, "wb") as file:
        for settings in written:
            handle = ec.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            for name, value in settings.items():
                if value is None:
                    ec.codes_set_missing(handle, name)
                else:
                    ec.codes_set(handle, name, value)
            if settings.get("packingType") == "grid_ccsds":
                ec.codes_set_values(handle, [float(n % 91) for n in range(496)])
            ec.codes_write(handle, file)
            ec.codes_release(handle)
out = []
with open(path, "rb") as file:
    while (handle := ec.codes_grib_new_from_file(file)) is not None:
        out.append(keys(handle))
        ec.codes_release(handle)
print(json.dumps(out))
"""
NAMES = """offset totalLength discipline centre dataDate dataTime gridDefinitionTemplateNumber numberOfDataPoints
productDefinitionTemplateNumber dataRepresentationTemplateNumber parameterCategory parameterNumber
typeOfFirstFixedSurface scaleFactorOfFirstFixedSurface scaledValueOfFirstFixedSurface
typeOfSecondFixedSurface scaleFactorOfSecondFixedSurface scaledValueOfSecondFixedSurface
perturbationNumber typeOfStatisticalProcessing"""

BASE = {"centre": 78, "dataDate": 20260806, "dataTime": 900}


def accumulated(template: int, minutes: int, process: int = 1) -> dict:
    end = datetime(2026, 8, 6, 9 + minutes // 60, minutes % 60, tzinfo=UTC)
    return {
        "productDefinitionTemplateNumber": template,
        "parameterCategory": 1,
        "parameterNumber": 52,
        "typeOfFirstFixedSurface": 1,
        "indicatorOfUnitOfTimeRange": 0,
        "forecastTime": 0,
        "typeOfStatisticalProcessing": process,
        "indicatorOfUnitForTimeRange": 0,
        "lengthOfTimeRange": minutes,
        "yearOfEndOfOverallTimeInterval": end.year,
        "monthOfEndOfOverallTimeInterval": end.month,
        "dayOfEndOfOverallTimeInterval": end.day,
        "hourOfEndOfOverallTimeInterval": end.hour,
        "minuteOfEndOfOverallTimeInterval": end.minute,
        "secondOfEndOfOverallTimeInterval": 0,
    }


def level(surface: int, factor: int, value: int, prefix: str = "First") -> dict:
    return {
        f"typeOf{prefix}FixedSurface": surface,
        f"scaleFactorOf{prefix}FixedSurface": factor,
        f"scaledValueOf{prefix}FixedSurface": value,
    }


WRITTEN = [
    level(103, 0, 2) | {"indicatorOfUnitOfTimeRange": 1, "forecastTime": 48},
    level(100, 0, 85000) | {"indicatorOfUnitOfTimeRange": 0, "forecastTime": 15},
    level(100, -2, 850) | {"parameterNumber": 3},
    level(106, 3, 5) | {"discipline": 2},
    level(106, 2, 27) | level(106, 2, 81, "Second") | {"discipline": 2, "parameterCategory": 3},
    {"genVertHeightCoords": 1} | level(150, 0, 65) | level(150, 0, 66, "Second") | {"NV": 6, "nlev": 66},
    {"typeOfFirstFixedSurface": 1, "packingType": "grid_ccsds"},
    {"indicatorOfUnitOfTimeRange": 13, "forecastTime": 5400},
    {"indicatorOfUnitOfTimeRange": 11, "forecastTime": 3},
    {"productDefinitionTemplateNumber": 1, "perturbationNumber": 20} | level(103, 0, 2),
    {"productDefinitionTemplateNumber": 2, "forecastTime": 3},
    {"productDefinitionTemplateNumber": 15, "forecastTime": 3},
    accumulated(8, 725),
    accumulated(8, 720, process=0),
    accumulated(11, 65) | {"perturbationNumber": 7},
    accumulated(12, 300, process=2),
    {"productDefinitionTemplateNumber": 32, "NB": 2, "forecastTime": 6},
    {"productDefinitionTemplateNumber": 33, "NB": 1, "perturbationNumber": 9, "forecastTime": 6},
    {"productDefinitionTemplateNumber": 40, "constituentType": 5, "forecastTime": 2} | level(100, 0, 50000),
    {"productDefinitionTemplateNumber": 41, "constituentType": 5, "perturbationNumber": 3},
    accumulated(42, 120),
    accumulated(43, 120) | {"perturbationNumber": 4},
]


def asked(path, written=()) -> list[dict]:
    """What eccodes tells of a file's messages, written first where there is something to write."""
    settings = json.dumps([BASE | settings for settings in written])
    answer = subprocess.run(
        [sys.executable, "-c", CHILD, settings, str(path), NAMES], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def value(factor: int | None, scaled: int | None) -> float | None:
    return None if factor is None or scaled is None else pytest.approx(scaled * 10.0**-factor)


def agrees(message, told) -> None:
    reference = datetime.strptime(f"{told['dataDate']}{told['dataTime']:04d}", "%Y%m%d%H%M")
    product = message.product
    assert message.reference_time == reference.replace(tzinfo=UTC)
    assert (message.offset, message.length) == (told["offset"], told["totalLength"])
    assert (message.discipline, message.centre) == (told["discipline"], told["centre"])
    assert (product.category, product.number) == (told["parameterCategory"], told["parameterNumber"])
    assert product.template == told["productDefinitionTemplateNumber"]
    assert message.grid_template == told["gridDefinitionTemplateNumber"]
    assert message.data_template == told["dataRepresentationTemplateNumber"]
    assert message.grid_points == told["numberOfDataPoints"]
    assert message.step_minutes == told["endStep"]
    assert (product.member, product.process) == (
        told["perturbationNumber"],
        told["typeOfStatisticalProcessing"],
    )
    for surface, prefix in ((product.first, "First"), (product.second, "Second")):
        if told[f"typeOf{prefix}FixedSurface"] in {None, 255}:
            assert surface is None
        else:
            scale = told[f"scaleFactorOf{prefix}FixedSurface"]
            scaled = told[f"scaledValueOf{prefix}FixedSurface"]
            assert (surface.type, surface.value) == (
                told[f"typeOf{prefix}FixedSurface"],
                value(scale, scaled),
            )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A file of many kinds of messages that eccodes wrote, and what eccodes tells of it."""
    path = tmp_path_factory.mktemp("grib") / "written.grib2"
    told = asked(path, WRITTEN)
    return path.read_bytes(), told


@needs_eccodes
def test_every_kind_of_message_is_read_as_eccodes_reads_it(written):
    data, told = written
    messages = scan(data, "written.grib2")
    assert len(messages) == len(told) == len(WRITTEN)
    for message, keys in zip(messages, told, strict=True):
        agrees(message, keys)


@needs_eccodes
def test_depths_of_half_a_centimetre_are_exact_and_ranges_are_in_minutes(written):
    messages = scan(written[0], "written.grib2")
    assert messages[3].product.first == Surface(106, 0.005)
    assert messages[2].product.first == Surface(100, 85000.0)
    assert (messages[12].product.range_minutes, messages[12].product.forecast_minutes) == (725, 0)
    assert messages[12].product.end_time == datetime(2026, 8, 6, 21, 5, tzinfo=UTC)


@needs_samples
@needs_eccodes
def test_real_files_are_read_as_eccodes_reads_them(tmp_path):
    files = sorted((SAMPLES / "dwd").glob("icon-*/*.grib2"))
    assert len(files) >= 5
    together = tmp_path / "together.grib2"
    together.write_bytes(b"".join(path.read_bytes() for path in files))
    messages, told = scan(together.read_bytes(), together.name), asked(together)
    assert len(messages) == len(told) == len(files)
    for message, keys in zip(messages, told, strict=True):
        agrees(message, keys)


@needs_samples
def test_four_real_messages_in_one_file_are_four_fields():
    raw = (SAMPLES / "dwd" / "icon-d2-v1" / "T_2M_2020-07-28T00_PT000H00M.made-ccsds.grib2").read_bytes()
    messages = scan(raw * 4, "four.grib2")
    assert [message.offset for message in messages] == [number * len(raw) for number in range(4)]
    assert {message.data_template for message in messages} == {42}


def section(number: int, body: bytes) -> bytes:
    return struct.pack(">IB", len(body) + 5, number) + body


def message_of(*sections: bytes, discipline: int = 0, edition: int = 2) -> bytes:
    body = b"".join(sections)
    return struct.pack(">4sHBBQ", b"GRIB", 0, discipline, edition, len(body) + 20) + body + b"7777"


IDENTIFICATION = section(1, struct.pack(">HHBBBHBBBBBBB", 78, 255, 19, 1, 1, 2026, 8, 6, 9, 0, 0, 0, 1))
GRID = section(3, struct.pack(">BIBBH", 0, 4, 0, 0, 101) + bytes(21))
PRODUCT = section(4, struct.pack(">HHBB", 0, 0, 0, 0) + bytes(6) + b"\1" + bytes(16))
VALUES = section(5, struct.pack(">IH", 4, 0) + bytes(10)) + section(6, b"\xff") + section(7, b"data")
SMALL = message_of(IDENTIFICATION, GRID, PRODUCT, VALUES)


def test_a_message_with_repeated_sections_has_several_fields():
    other = section(4, struct.pack(">HHBB", 0, 0, 2, 3) + bytes(6) + b"\1" + bytes(16))
    fields = scan(message_of(IDENTIFICATION, GRID, PRODUCT, VALUES, other, VALUES), "two.grib2")
    assert [(field.product.category, field.product.number) for field in fields] == [(0, 0), (2, 3)]
    assert {field.offset for field in fields} == {0}


def test_a_template_unknown_here_keeps_category_and_number_and_has_no_step():
    unknown = section(4, struct.pack(">HHBB", 0, 4321, 19, 7))
    (field,) = scan(message_of(IDENTIFICATION, GRID, unknown, VALUES), "local.grib2")
    assert (field.product.template, field.product.category, field.product.number) == (4321, 19, 7)
    assert field.step_minutes is None


def test_a_unit_of_time_without_fixed_minutes_gives_no_step():
    monthly = section(4, struct.pack(">HHBB", 0, 0, 0, 0) + bytes(6) + b"\3" + bytes(16))
    assert scan(message_of(IDENTIFICATION, GRID, monthly, VALUES), "month.grib2")[0].step_minutes is None


def test_a_negative_forecast_time_is_read_by_sign_and_magnitude():
    back = section(4, struct.pack(">HHBB6sBI", 0, 0, 0, 0, bytes(6), 1, 0x80000003) + bytes(12))
    assert scan(message_of(IDENTIFICATION, GRID, back, VALUES), "back.grib2")[0].step_minutes == -180


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_message_cut_anywhere_is_refused(length):
    with pytest.raises(FormatError, match=r"^small\.grib2: "):
        scan(SMALL[:length], "small.grib2")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"<html><body>404", r"at byte 0: no GRIB message, but b'<html>"),
        (SMALL + b"\0\0\n", rf"at byte {len(SMALL) + 2}: no GRIB message, but b'\\n'"),
        (SMALL + b"\0" + SMALL[:-1], rf"at byte {len(SMALL) + 1}: cut"),
        (b"\0" + SMALL, r"at byte 0: no GRIB message, but b'\\x00GRIB"),
        (
            SMALL + bytes(3) + b"GRIB\0\0\1\1",
            rf"at byte {len(SMALL) + 3}: GRIB edition 1; only edition 2 is read",
        ),
        (SMALL + b"<!--" + SMALL, rf"at byte {len(SMALL)}: no GRIB message"),
        (
            SMALL + SMALL[:-1],
            rf"at byte {len(SMALL)}: cut: {len(SMALL) - 1} bytes of a message of {len(SMALL)}",
        ),
        (message_of(IDENTIFICATION, edition=1), "at byte 0: GRIB edition 1; only edition 2 is read"),
        (b"GRIB\0\0\1\1", "at byte 0: GRIB edition 1; only edition 2 is read"),
        (SMALL[:8] + bytes(8) + SMALL[16:], "a message of 0 bytes cannot be"),
        (SMALL[:8] + b"\xff" * 8 + SMALL[16:], "cut: "),
        (SMALL[:-4] + b"7778", rf"at byte {len(SMALL) - 4}: no 7777"),
        (message_of(IDENTIFICATION, GRID, VALUES), "section 5 after section 3"),
        (message_of(GRID, PRODUCT, VALUES), "section 3 after section 0"),
        (message_of(IDENTIFICATION, GRID, PRODUCT), "ends after section 4"),
        (message_of(), "ends after section 0"),
        (message_of(IDENTIFICATION, GRID, PRODUCT, VALUES, b"\0\0"), "2 bytes after section 7"),
        (message_of(IDENTIFICATION, struct.pack(">IB", 0, 3) + bytes(20)), "section 3 of 0 bytes"),
        (
            message_of(IDENTIFICATION, struct.pack(">IB", 999, 3) + bytes(20)),
            "section 3 of 999 bytes, 25 are left",
        ),
        (
            message_of(IDENTIFICATION, section(3, struct.pack(">BIBBH", 0, 4, 99, 1, 0)), PRODUCT, VALUES),
            "section 3 lists 99 octets of rows in fewer",
        ),
        (message_of(section(1, bytes(16)), GRID, PRODUCT, VALUES), "0-0-0 0:0:0 is no time"),
        (message_of(IDENTIFICATION, GRID, section(4, bytes(4)), VALUES), "no category and number"),
        (
            message_of(IDENTIFICATION, GRID, section(4, bytes(20)), VALUES),
            "section 4 of 25 bytes, template 0 has 34",
        ),
        (
            message_of(IDENTIFICATION, GRID.replace(b"\0\0\0\4", b"\0\0\0\3"), PRODUCT, VALUES),
            "4 values on a grid of 3 points",
        ),
    ],
)
def test_what_is_no_whole_message_is_refused_and_the_byte_named(data, told):
    with pytest.raises(FormatError, match=told) as fault:
        scan(data, "field.grib2")
    assert str(fault.value).startswith("field.grib2: ")
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("zeros", [1, 3, 4, 511, 100_000])
def test_zero_bytes_after_a_message_are_padding(zeros):
    padded = SMALL + bytes(zeros)
    (field,) = scan(padded, "padded.grib2")
    assert (field.offset, field.length) == (0, len(SMALL))
    fields = scan(padded + padded + SMALL, "padded.grib2")
    assert [field.offset for field in fields] == [0, len(padded), 2 * len(padded)]
    assert {field.length for field in fields} == {len(SMALL)}


@needs_eccodes
def test_an_edition_1_file_of_eccodes_is_named_as_one(tmp_path):
    path = tmp_path / "one.grib1"
    script = "import eccodes as ec, sys; handle = ec.codes_grib_new_from_samples('regular_ll_sfc_grib1');"
    script += "ec.codes_write(handle, open(sys.argv[1], 'wb'))"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    whole = path.read_bytes()
    for data in (whole, whole[:8], whole[:100]):
        with pytest.raises(FormatError, match=r"^one: at byte 0: GRIB edition 1; only edition 2 is read$"):
            scan(data, "one")


def test_any_byte_changed_to_any_value_is_read_or_refused_but_never_breaks_the_reader():
    refused = 0
    for at in range(len(SMALL)):
        for changed in (0, 1, 127, 128, 255):
            try:
                scan(SMALL[:at] + bytes([changed]) + SMALL[at + 1 :], "field.grib2")
            except FormatError:
                refused += 1
    assert refused > 4 * 20  # at least what each byte of "GRIB", the length and "7777" is needed for


@given(st.binary(max_size=200))
def test_arbitrary_bytes_after_a_true_head_are_refused(tail):
    with pytest.raises(FormatError):
        scan(b"GRIB\0\0\0\2" + struct.pack(">Q", 16 + len(tail)) + tail, "field.grib2")
