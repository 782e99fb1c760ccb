"""Bytes against the key that they came for: real files, and simulated ones with one thing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dwd_assets.fields.verification import ALL_MISSING, check_field
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.old_names import parse_old_name
from dwd_assets.simulator.catalogue import Catalogue
from dwd_assets.simulator.fields import FieldWriter
from tests.samples import SAMPLES, needs_samples

RUN = datetime(2026, 9, 16, 12, tzinfo=UTC)
KEY = FieldKey("icon-d2", RUN, "t_2m", "single", None, 60, None, "icosahedral")
REGULAR = replace(KEY, grid="regular")
PRESSURE = replace(KEY, parameter="u", level_type="pressure", level=850)
CONSTANT = replace(KEY, parameter="hsurf", level_type="time-invariant", step_minutes=0)
WRITER = FieldWriter(1, Catalogue(columns=40, rows=30))


@pytest.fixture(scope="module")
def worker() -> Iterator[GribWorker]:
    with GribWorker() as running:
        yield running


def grib(key: FieldKey) -> bytes:
    return WRITER.grib(key, "simple" if key.grid == "regular" else "ccsds", 0)


@pytest.mark.parametrize(
    "key", [KEY, REGULAR, PRESSURE, CONSTANT], ids=lambda key: f"{key.parameter} {key.grid}"
)
def test_a_field_is_what_it_came_for(worker, key):
    assert check_field(grib(key), key, "f", worker).notes == ()


@needs_samples
@pytest.mark.parametrize("name", ["clct_mod", "u_10m"])
def test_real_files_of_the_old_tree_are_what_their_names_say(worker, name):
    (file,) = (SAMPLES / "dwd" / "icon-d2").glob(f"*regular*{name}.grib2")
    assert check_field(file.read_bytes(), parse_old_name(file.name), file.name, worker).notes == ()


@needs_samples
def test_a_real_field_of_the_triangles_is_decoded_and_right(worker):
    data = (SAMPLES / "dwd/icon-d2-v1/T_2M_2020-07-28T00_PT000H00M.made-ccsds.grib2").read_bytes()
    key = FieldKey(
        "icon-d2", datetime(2020, 7, 28, tzinfo=UTC), "t_2m", "single", None, 0, None, "icosahedral"
    )
    assert check_field(data, key, "f", worker).notes == ()
    with pytest.raises(FormatError, match="f: reference time is 2020-07-28"):
        check_field(data, replace(key, run=key.run + timedelta(hours=3)), "f", worker)


@pytest.mark.parametrize(
    ("came", "wanted", "told"),
    [
        (KEY, replace(KEY, run=RUN + timedelta(hours=3)), "reference time"),
        (KEY, replace(KEY, step_minutes=120), "step in minutes is 60"),
        (KEY, REGULAR, "grid template is 101"),
        (REGULAR, KEY, "grid template is 0"),
        (replace(REGULAR, step_minutes=120), REGULAR, "step in minutes is 120"),
        (PRESSURE, replace(PRESSURE, level=500), "level is Surface"),
    ],
)
def test_another_field_than_the_one_that_was_asked_for_is_refused(came, wanted, told):
    with pytest.raises(FormatError, match=f"f: {told}"):
        check_field(grib(came), wanted, "f", None)


def test_a_file_of_the_old_tree_holds_the_quarters_of_its_hour():
    quarters = [replace(REGULAR, parameter="tot_prec", step_minutes=step) for step in (60, 75, 90, 105, 120)]
    data = [grib(key) for key in quarters]
    assert check_field(b"".join(data[:4]), quarters[0], "f", None).notes == ()
    with pytest.raises(FormatError, match="step in minutes is 120"):
        check_field(b"".join(data), quarters[0], "f", None)


def test_a_constant_may_tell_another_time():
    assert WRITER.grib(CONSTANT, "ccsds", 0)
    assert check_field(grib(CONSTANT), replace(CONSTANT, run=RUN + timedelta(days=1)), "f", None).notes == ()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"<html>", "no GRIB message"),
        (grib(KEY)[:-1], "cut"),
        (grib(KEY) + b"\1", "no GRIB message"),
    ],
)
def test_what_is_no_grib_is_refused(data, told):
    with pytest.raises(FormatError, match=told):
        check_field(data, KEY, "f", None)


@pytest.mark.parametrize("packing", ["simple", "ccsds"])
def test_a_field_without_any_value_is_noted_and_needs_no_decoding(worker, packing, monkeypatch):
    nothing = np.zeros((30, 40), bool)
    monkeypatch.setattr(FieldWriter, "_mask", lambda self: nothing)
    data = WRITER.grib(REGULAR, packing, 0)
    assert check_field(data, REGULAR, "f", worker).notes == (ALL_MISSING,)


def test_values_that_cannot_be_decoded_are_refused(worker):
    """The structure of the message is whole; only its values are coded in a way that is none."""
    data = grib(KEY).replace(b"\x06\x20\x00\x80", b"\x06\x21\x00\x80", 1)  # blocks of 33 samples
    assert check_field(data, KEY, "f", None).notes == ()
    with pytest.raises(FormatError, match="eccodes cannot decode it"):
        check_field(data, KEY, "f", worker)
