"""GRIB decoded by the worker, regridded and read at points, against eccodes and cfgrib in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib import grib_child
from dwd_assets.formats.grib.process import DecoderError
from dwd_assets.formats.grib.regrid import CellCentres, Regridding, nearest_cells
from dwd_assets.formats.grib.sections import framed, section, split
from dwd_assets.formats.grib.structure import scan
from dwd_assets.formats.grib.worker import FieldNames, GribWorker, OutsideDomain
from dwd_assets.formats.target_grids import TARGET_GRIDS
from tests.dwd_assets.formats.grib.complex_packing import PRIMARY, SECONDARY, complex_message
from tests.dwd_assets.formats.grib.grid_cells import (
    CELLS,
    cell_centres,
    great_circle_km,
    in_child,
    needs_cfgrib,
    needs_eccodes,
)
from tests.samples import SAMPLES, needs_samples

pytestmark = [needs_eccodes, needs_samples]

REGULAR = SAMPLES / "dwd/icon-d2/icon-d2_germany_regular-lat-lon_single-level_2022042600_000_2d_u_10m.grib2"
NATIVE = SAMPLES / "dwd/icon-d2/icon-d2_icosahedral_2t_2020072800_000.grib2"
CCSDS = SAMPLES / "dwd/icon-d2-v1/T_2M_2020-07-28T00_PT000H00M.made-ccsds.grib2"
EUROPE = SAMPLES / "dwd/icon-eu/icon-eu_europe_regular-lat-lon_single-level_2022050700_000_U_10M.grib2"

GRID = TARGET_GRIDS["icon-d2"]

ECCODES_VALUES = """
import sys
import eccodes as ec, numpy as np
ec.codes_grib_multi_support_on()
fields = []
with open(sys.argv[1], "rb") as file:
    while (handle := ec.codes_grib_new_from_file(file)) is not None:
        ec.codes_set(handle, "missingValue", 1e30)
        values = ec.codes_get_values(handle)
        values[values == 1e30] = np.nan
        fields.append(values)
np.save(sys.argv[2], np.stack(fields))
"""

ECCODES_KEYS = """
import json, sys
import eccodes as ec
names = sys.argv[2].split()
out = []
with open(sys.argv[1], "rb") as file:
    while (handle := ec.codes_grib_new_from_file(file)) is not None:
        keys = {}
        for space in ("ls", "mars", "time", "parameter", "vertical"):
            iterator = ec.codes_keys_iterator_new(handle, space)
            while ec.codes_keys_iterator_next(iterator):
                keys[ec.codes_keys_iterator_get_name(iterator)] = None
            ec.codes_keys_iterator_delete(iterator)
        for name in [*keys, *names]:
            keys[name] = ec.codes_get(handle, name, str) if ec.codes_is_defined(handle, name) else None
        out.append(keys)
print(json.dumps(out))
"""

ECCODES_NEAREST = """
import json, sys
import eccodes as ec
with open(sys.argv[1], "rb") as file:
    handle = ec.codes_grib_new_from_file(file)
    found = ec.codes_grib_find_nearest(handle, float(sys.argv[2]), float(sys.argv[3]))[0]
print(json.dumps({key: found[key] for key in ("lat", "lon", "value", "index")}))
"""

CFGRIB = """
import sys
import pyproj  # before eccodes: xarray imports it, and crashes then
import cfgrib, numpy as np
(field,) = cfgrib.open_dataset(sys.argv[1], indexpath="").data_vars.values()
np.savez(sys.argv[2], values=field.values, lat=field.latitude.values, lon=field.longitude.values,
         time=field.time.values.astype(str), name=field.attrs["GRIB_shortName"])
"""

CFGRIB_VALUES = """
import sys
import pyproj  # before eccodes: xarray imports it, and crashes then
import cfgrib, numpy as np
(field,) = cfgrib.open_dataset(sys.argv[1], indexpath="").data_vars.values()
np.save(sys.argv[2], field.values)
"""

REWRITE = """
import json, sys
import eccodes as ec, numpy as np
values = np.load(sys.argv[3])
with open(sys.argv[1], "rb") as file, open(sys.argv[2], "wb") as out:
    template = ec.codes_grib_new_from_file(file)
    for settings, row in zip(json.loads(sys.argv[4]), values):
        handle = ec.codes_clone(template)
        ec.codes_set(handle, "bitmapPresent", int(np.isnan(row).any()))
        ec.codes_set(handle, "missingValue", 1e30)
        for key, value in settings.items():
            ec.codes_set(handle, key, value)
        ec.codes_set_values(handle, np.where(np.isnan(row), 1e30, row))
        ec.codes_write(handle, out)
"""

GRID_KEYS = """gridType Ni Nj latitudeOfFirstGridPointInDegrees longitudeOfFirstGridPointInDegrees
latitudeOfLastGridPointInDegrees longitudeOfLastGridPointInDegrees iDirectionIncrementInDegrees
jDirectionIncrementInDegrees scanningMode packingType bitsPerValue bitmapPresent numberOfMissing"""


PRODUCT_KEYS = """typeOfStatisticalProcessing lengthOfTimeRange perturbationNumber localDefinitionNumber
decimalScaleFactor forecastTime generatingProcessIdentifier typeOfFirstFixedSurface scaledValueOfFirstFixedSurface"""


@pytest.fixture(scope="module")
def worker():
    with GribWorker() as one:
        yield one


@pytest.fixture(scope="module")
def cells():
    return CellCentres.of(*cell_centres())


@pytest.fixture(scope="module")
def index():
    return nearest_cells(*cell_centres(), GRID)


@pytest.fixture(scope="module")
def regridding(index):
    return Regridding.of(index, CELLS, GRID)


def eccodes_values(path: Path, tmp_path: Path) -> np.ndarray:
    in_child(ECCODES_VALUES, path, tmp_path / "values.npy")
    return np.load(tmp_path / "values.npy")


def eccodes_keys(path: Path, names: str = "") -> list[dict]:
    return json.loads(in_child(ECCODES_KEYS, path, names))


def written(tmp_path: Path, rows: np.ndarray, settings: list[dict], template: Path = NATIVE) -> Path:
    """A file of fields on ICON-D2's triangles, written by eccodes."""
    np.save(tmp_path / "rows.npy", rows)
    path = tmp_path / "written.grib2"
    in_child(REWRITE, template, path, tmp_path / "rows.npy", json.dumps(settings))
    return path


def on_grid(cell_values: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.where(index >= 0, cell_values[index], np.nan).ravel()


@pytest.mark.parametrize(
    "path", [REGULAR, NATIVE, CCSDS, EUROPE], ids=["regular", "native", "ccsds", "europe"]
)
def test_values_are_those_of_eccodes_and_missing_ones_are_nan(worker, path, tmp_path):
    (field,) = worker.values(path.read_bytes(), path.name)
    (expected,) = eccodes_values(path, tmp_path)
    assert field.values.dtype == np.float32
    np.testing.assert_array_equal(field.values, expected.astype(np.float32))
    assert np.isnan(field.values).any() == (path != EUROPE)
    assert field.message == scan(path.read_bytes(), path.name)[0]


def test_names_and_grid_come_with_the_values(worker):
    (wind,) = worker.values(REGULAR.read_bytes(), "wind")
    (warmth,) = worker.values(CCSDS.read_bytes(), "warmth")
    assert (wind.short_name, wind.units, warmth.short_name, warmth.units) == ("10u", "m s**-1", "2t", "K")
    assert warmth.grid is None
    assert wind.grid is not None
    assert (wind.grid.columns, wind.grid.rows) == (1215, 746)


def test_a_regridded_field_is_on_the_served_grid_with_the_cells_own_values(
    worker, index, regridding, tmp_path
):
    path = tmp_path / "regridded.grib2"
    path.write_bytes(worker.regrid(CCSDS.read_bytes(), regridding, CCSDS.name))
    (native,) = eccodes_values(CCSDS, tmp_path)
    (regular,) = eccodes_values(path, tmp_path)
    np.testing.assert_array_equal(regular, on_grid(native, index))
    (keys,) = eccodes_keys(path, GRID_KEYS)
    assert {name: keys[name] for name in GRID_KEYS.split()} == {
        "gridType": "regular_ll",
        "Ni": "1215",
        "Nj": "746",
        "latitudeOfFirstGridPointInDegrees": "43.18",
        "longitudeOfFirstGridPointInDegrees": "356.06",
        "latitudeOfLastGridPointInDegrees": "58.08",
        "longitudeOfLastGridPointInDegrees": "20.34",
        "iDirectionIncrementInDegrees": "0.02",
        "jDirectionIncrementInDegrees": "0.02",
        "scanningMode": "64",
        "packingType": "grid_simple",
        "bitsPerValue": "16",
        "bitmapPresent": "1",
        "numberOfMissing": str(int(np.isnan(regular).sum())),
    }


def test_sections_but_grid_packing_and_values_are_the_inputs_and_the_grid_is_the_servers(worker, regridding):
    data = CCSDS.read_bytes()
    ((_, before),) = split(data, "before")
    ((_, after),) = split(worker.regrid(data, regridding, "x"), "after")
    ((_, served),) = split(REGULAR.read_bytes(), "served")
    assert (after.identification, after.local, after.product) == (
        before.identification,
        before.local,
        before.product,
    )
    assert after.grid == served.grid


def test_the_packing_of_the_input_does_not_change_the_output(worker, regridding):
    simple = worker.regrid(NATIVE.read_bytes(), regridding, "simple")
    assert worker.regrid(CCSDS.read_bytes(), regridding, "ccsds") == simple


@needs_cfgrib
def test_cfgrib_opens_a_regridded_field(worker, index, regridding, tmp_path):
    path = tmp_path / "regridded.grib2"
    path.write_bytes(worker.regrid(NATIVE.read_bytes(), regridding, NATIVE.name))
    in_child(CFGRIB, path, tmp_path / "read.npz")
    read = np.load(tmp_path / "read.npz")
    (native,) = eccodes_values(NATIVE, tmp_path)
    np.testing.assert_allclose(read["values"].ravel(), on_grid(native, index), rtol=1e-7)
    np.testing.assert_allclose(read["lat"], np.linspace(43.18, 58.08, 746), atol=1e-9)
    np.testing.assert_allclose(read["lon"] % 360, np.linspace(356.06, 380.34, 1215) % 360, atol=1e-9)
    assert (str(read["time"]), str(read["name"])) == ("2020-07-28T00:00:00.000000000", "2t")


PRODUCTS = [
    {"forecastTime": 15, "typeOfFirstFixedSurface": 100, "scaleFactorOfFirstFixedSurface": 0}
    | {"scaledValueOfFirstFixedSurface": 85_000},
    {"productDefinitionTemplateNumber": 11, "perturbationNumber": 7, "parameterCategory": 1}
    | {"parameterNumber": 52, "typeOfStatisticalProcessing": 1, "lengthOfTimeRange": 45},
    {"packingType": "grid_ccsds", "parameterNumber": 6, "forecastTime": 30},
    {"bitsPerValue": 0, "decimalScaleFactor": 2, "parameterNumber": 7},
]


def test_every_message_of_a_file_is_regridded_with_its_own_keys(worker, index, regridding, tmp_path):
    rows = np.random.default_rng(1).normal(280, 9, (len(PRODUCTS), CELLS))
    rows[1, ::50] = np.nan
    path = written(tmp_path, rows, PRODUCTS)
    out = tmp_path / "out.grib2"
    out.write_bytes(worker.regrid(path.read_bytes(), regridding, "x"))
    before, after = eccodes_keys(path, PRODUCT_KEYS), eccodes_keys(out, PRODUCT_KEYS)
    differ = {name for old, new in zip(before, after, strict=True) for name in old if old[name] != new[name]}
    assert differ <= {"gridType", "packingType"}
    assert before[1]["stepRange"] is not None
    assert [keys["decimalScaleFactor"] for keys in after] == ["0", "0", "0", "2"]
    expected = eccodes_values(path, tmp_path)
    for regular, native in zip(eccodes_values(out, tmp_path), expected, strict=True):
        np.testing.assert_allclose(regular, on_grid(native, index), rtol=1e-12)


def test_a_finer_packing_keeps_16_bits_of_its_range(worker, index, regridding, tmp_path):
    rows = np.linspace(-30.0, 70.0, CELLS)[None]
    rows[0, 5::11] = np.nan
    path = written(tmp_path, rows, [{"bitsPerValue": 24}])
    out = tmp_path / "out.grib2"
    out.write_bytes(worker.regrid(path.read_bytes(), regridding, "x"))
    (native,), (regular,) = eccodes_values(path, tmp_path), eccodes_values(out, tmp_path)
    step = 2.0 ** np.ceil(np.log2(100 / 65535))
    np.testing.assert_allclose(regular, on_grid(native, index), rtol=0, atol=step * 0.51)


@pytest.mark.parametrize("value", [0.0, 273.15, np.nan], ids=["zero", "constant", "all missing"])
def test_a_field_of_one_value_or_none_stays_one(worker, index, regridding, tmp_path, value):
    path = written(tmp_path, np.full((1, CELLS), value), [{}])
    out = tmp_path / "out.grib2"
    out.write_bytes(worker.regrid(path.read_bytes(), regridding, "x"))
    (native,), (regular,) = eccodes_values(path, tmp_path), eccodes_values(out, tmp_path)
    np.testing.assert_array_equal(regular, on_grid(native, index))
    assert out.stat().st_size < 120_000


@pytest.fixture(scope="module")
def gaps() -> np.ndarray:
    """Numbers for complex packing, some of them what stands for a missing value."""
    codes = np.random.default_rng(5).integers(0, SECONDARY, CELLS)
    codes[::7], codes[3::50] = PRIMARY, SECONDARY
    return codes


@pytest.mark.parametrize(("management", "missing"), [(0, ()), (1, (PRIMARY,)), (2, (PRIMARY, SECONDARY))])
def test_missing_values_of_complex_packing_are_missing(
    worker, index, regridding, cells, gaps, tmp_path, management, missing
):
    data = complex_message(NATIVE, gaps, management)
    path, out = tmp_path / "complex.grib2", tmp_path / "out.grib2"
    path.write_bytes(data)
    (field,), (expected,) = worker.values(data, "x"), eccodes_values(path, tmp_path)
    np.testing.assert_array_equal(field.values, expected.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(field.values), np.isin(gaps, missing))
    worker.check(data, "x")
    out.write_bytes(worker.regrid(data, regridding, "x"))
    (regular,) = eccodes_values(out, tmp_path)
    np.testing.assert_array_equal(np.isnan(regular), np.isnan(on_grid(expected, index)))
    np.testing.assert_allclose(regular, on_grid(expected, index), atol=2.0**-7)
    one = int(np.flatnonzero((gaps == PRIMARY) & (np.abs(cells.lat_deg - 50) < 1))[0])
    (point,) = worker.point(data, float(cells.lat_deg[one]), float(cells.lon_deg[one]), "x", cells)
    assert (point.index, point.value is None) == (one, management > 0)


COMPLEX = """
import sys
import eccodes as ec, numpy as np
values = np.load(sys.argv[3])
with open(sys.argv[1], "rb") as file:
    handle = ec.codes_grib_new_from_file(file)
for key, value in (("packingType", sys.argv[4]), ("missingValue", 1e30), ("bitmapPresent", 0),
                   ("missingValueManagementUsed", 1), ("bitsPerValue", 16)):
    ec.codes_set(handle, key, value)
ec.codes_set_values(handle, np.where(np.isnan(values), 1e30, values))
assert ec.codes_get(handle, "missingValueManagementUsed") == 1
with open(sys.argv[2], "wb") as out:
    ec.codes_write(handle, out)
"""


@needs_cfgrib
@pytest.mark.parametrize("packing", ["grid_complex", "grid_complex_spatial_differencing"])
def test_complex_packing_as_eccodes_writes_it_is_masked_as_in_cfgrib(worker, tmp_path, packing):
    values = np.random.default_rng(6).normal(
        9000, 999, CELLS
    )  # of these, some would be eccodes' default for missing
    values[::3], values[100:200_000] = 9999.0, np.nan
    np.save(tmp_path / "in.npy", values)
    path = tmp_path / "complex.grib2"
    in_child(COMPLEX, NATIVE, path, tmp_path / "in.npy", packing)
    (field,) = worker.values(path.read_bytes(), "x")
    (by_eccodes,) = eccodes_values(path, tmp_path)
    np.testing.assert_array_equal(field.values, by_eccodes.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(field.values), np.isnan(values))
    in_child(CFGRIB_VALUES, path, tmp_path / "read.npy")
    np.testing.assert_array_equal(field.values, np.load(tmp_path / "read.npy").ravel())


def test_padding_after_a_message_changes_no_value(worker):
    data = CCSDS.read_bytes()
    one, two = worker.values(data + bytes(77) + data + bytes(5), "padded")
    np.testing.assert_array_equal(one.values, worker.values(data, "x")[0].values)
    np.testing.assert_array_equal(two.values, one.values)


def test_fields_that_share_sections_and_a_bitmap_are_told_apart(worker, regridding, tmp_path):
    """Sections 4 to 7 may repeat within a message, and bitmap 254 is that of the field before."""
    ((_, one),) = split(NATIVE.read_bytes(), "one")
    product = bytearray(one.product)
    product[10] = 6  # dew point
    half = np.frombuffer(one.values[5:], ">u2") // 2
    again = (bytes(product), one.representation, section(6, bytes([254])), section(7, half.tobytes()))
    first = (one.identification, one.local, one.grid, one.product, one.representation, one.bitmap, one.values)
    data = framed(one.discipline, (*first, *again))
    (tmp_path / "two.grib2").write_bytes(data)
    expected = eccodes_values(tmp_path / "two.grib2", tmp_path)
    fields = worker.values(data, "two")
    assert [field.short_name for field in fields] == ["2t", "2d"]
    for field, values in zip(fields, expected, strict=True):
        np.testing.assert_array_equal(field.values, values.astype(np.float32))
    assert [field.product.number for field in scan(worker.regrid(data, regridding, "two"), "out")] == [0, 6]


def test_centres_written_as_clat_and_clon_come_back_as_the_same_index(worker, index, tmp_path):
    clat, clon = cell_centres()
    east = (clon + 180) % 360 - 180
    kinds = [
        {"discipline": 0, "parameterCategory": 191, "parameterNumber": number, "typeOfFirstFixedSurface": 1}
        | {"packingType": "grid_ccsds", "bitsPerValue": 24}
        for number in (1, 2)
    ]
    path = written(tmp_path, np.stack([clat, east]), kinds)
    read = [field.values for field in worker.values(path.read_bytes(), "CLAT, CLON")]
    again = nearest_cells(*read, GRID)
    differ = (again != index).mean()
    assert differ < 1e-4, "24 bits of 25 degrees are 0.2 m: only points between two cells may change"


def test_a_point_of_a_regular_grid_is_the_one_that_eccodes_finds(worker):
    for lat, lon in [(50.111, 8.683), (47.4561, 10.0), (51.0, -1.2345)]:
        (point,) = worker.point(REGULAR.read_bytes(), lat, lon, "x")
        told = json.loads(in_child(ECCODES_NEAREST, REGULAR, lat, lon))
        assert point.index == told["index"]
        assert (point.lat_deg, point.lon_deg % 360) == pytest.approx((told["lat"], told["lon"] % 360))
        assert point.value == pytest.approx(told["value"], rel=1e-6)
        away = great_circle_km(lat, lon, np.array(point.lat_deg), np.array(point.lon_deg))
        assert point.distance_km == pytest.approx(float(away), abs=1e-6)


def test_a_point_of_the_triangles_is_that_of_the_nearest_cell(worker, cells, tmp_path):
    (native,) = eccodes_values(CCSDS, tmp_path)
    lat, lon = 50.111, 8.683
    nearest = int(great_circle_km(lat, lon, *cell_centres()).argmin())
    (point,) = worker.point(CCSDS.read_bytes(), lat, lon, "x", cells)
    assert (point.index, point.value) == (nearest, pytest.approx(native[nearest], rel=1e-7))
    assert (point.lat_deg, point.lon_deg) == (cells.lat_deg[nearest], cells.lon_deg[nearest])


def test_a_point_without_a_value_has_none(worker):
    (point,) = worker.point(REGULAR.read_bytes(), 43.2, 356.1, "x")
    assert (point.value, point.index) == (None, 1 * 1215 + 2)


@pytest.mark.parametrize(
    ("lat", "lon"), [(43.16, 10.0), (58.10, 10.0), (50.0, 20.36), (50.0, -3.96), (-50.0, 10.0)]
)
def test_a_point_beyond_the_grid_is_outside(worker, cells, lat, lon):
    with pytest.raises(OutsideDomain):
        worker.point(REGULAR.read_bytes(), lat, lon, "x")


def test_a_point_out_of_reach_of_every_cell_is_outside(worker, cells):
    with pytest.raises(OutsideDomain, match="km from the nearest cell"):
        worker.point(CCSDS.read_bytes(), 43.18, -3.94, "x", cells)


def test_triangles_without_their_centres_have_no_points(worker):
    with pytest.raises(ValueError, match="542040 cells"):
        worker.point(CCSDS.read_bytes(), 50.0, 8.0, "x")
    with pytest.raises(ValueError, match="542040 cells"):
        worker.point(CCSDS.read_bytes(), 50.0, 8.0, "x", CellCentres.of([50.0], [8.0]))


def test_a_regular_file_or_another_number_of_cells_is_not_regridded(worker, index, regridding):
    with pytest.raises(FormatError, match=r"u\.grib2: 906390 points of grid template 0"):
        worker.regrid(REGULAR.read_bytes(), regridding, "u.grib2")
    with pytest.raises(FormatError, match=r"t\.grib2: 542040 points"):
        worker.regrid(CCSDS.read_bytes(), Regridding.of(index, CELLS + 1, GRID), "t.grib2")


def patched(data: bytes, number: int, offset: int, value: bytes) -> bytes:
    """The bytes with some of a section replaced."""
    ((_, parts),) = split(data, "x")
    start = data.index(
        bytes({3: parts.grid, 4: parts.product, 5: parts.representation, 7: parts.values}[number])[:40]
    )
    return data[: start + offset] + value + data[start + offset + len(value) :]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lambda: CCSDS.read_bytes()[:-9], "cut"),
        (lambda: b"", "is empty"),
        (lambda: patched(CCSDS.read_bytes(), 5, 9, b"\x27\x0f"), "eccodes cannot decode it: .*Error"),
        (lambda: patched(NATIVE.read_bytes(), 3, 6, b"\x7f\xff\xff\xff"), "a grid of 2147483647 points"),
    ],
    ids=["cut", "empty", "unknown packing", "too many points"],
)
def test_what_cannot_be_decoded_is_an_error_of_the_file(worker, data, told):
    with pytest.raises(FormatError, match=rf"^bad\.grib2: .*{told}"):
        worker.values(data(), "bad.grib2")
    assert worker.values(CCSDS.read_bytes(), "good")


def test_damaged_bytes_are_values_or_an_error_of_the_file_and_never_the_end(worker, regridding):
    whole = CCSDS.read_bytes()
    random = np.random.default_rng(11)
    refused = 0
    for near in [160] * 60 + [len(whole)] * 20:
        data = bytearray(whole)
        for place in random.integers(16, near, 3):
            data[place] = random.integers(256)
        try:
            worker.regrid(bytes(data), regridding, "damaged.grib2")
        except FormatError as fault:
            assert str(fault).startswith("damaged.grib2: ")  # noqa: PT017
            refused += 1
    assert 0 < refused < 80
    assert worker.values(whole, "good")


def test_a_worker_that_was_killed_is_replaced():
    with GribWorker() as worker:
        expected = worker.values(CCSDS.read_bytes(), "x")[0].values
        before = worker.pid
        os.kill(before, signal.SIGKILL)
        np.testing.assert_array_equal(worker.values(CCSDS.read_bytes(), "x")[0].values, expected)
        assert worker.pid != before


def test_a_worker_that_hangs_is_an_error_in_time_and_is_replaced():
    with GribWorker(request_s=6.0) as worker:  # what is decoded has to come within it on a busy machine too
        worker.values(CCSDS.read_bytes(), "x")
        os.kill(worker.pid, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(FormatError, match=r"^slow\.grib2: not decoded within 6 s"):
            worker.values(CCSDS.read_bytes(), "slow.grib2")
        assert time.monotonic() - begin < 30
        assert worker.values(CCSDS.read_bytes(), "x")


def test_an_interrupted_request_does_not_answer_the_next_one():
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with GribWorker() as worker:
            worker.values(CCSDS.read_bytes(), "x")
            stopped = worker.pid
            os.kill(stopped, signal.SIGSTOP)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(KeyboardInterrupt):
                worker.values(CCSDS.read_bytes(), "x")
            assert not Path(f"/proc/{stopped}").exists()
            assert worker.values(REGULAR.read_bytes(), "y")[0].short_name == "10u"
    finally:
        signal.signal(signal.SIGALRM, before)


def child_program(tmp_path: Path, monkeypatch, source: str) -> None:
    """Let workers start another program than theirs, which may run theirs as `CHILD`."""
    program = tmp_path / "child.py"
    program.write_text(f"import os, runpy, signal, sys\nCHILD = {grib_child.__file__!r}\n{source}")
    monkeypatch.setattr(grib_child, "__file__", str(program))


def test_a_file_that_the_decoder_dies_of_is_an_error_of_the_file(tmp_path, monkeypatch):
    dies = "module = runpy.run_path(CHILD)\nimport socket\nchannel = socket.socket(fileno=int(sys.argv[1]))\n"
    dies += "channel.sendall(module['ANSWER'].pack(module['DONE'], 0, 0))\nchannel.recv(100)\n"
    dies += "os.kill(os.getpid(), signal.SIGSEGV)\n"
    child_program(tmp_path, monkeypatch, dies)
    with (
        GribWorker() as worker,
        pytest.raises(FormatError, match=r"^x\.grib2: the decoder died of it: SIGSEGV"),
    ):
        worker.values(CCSDS.read_bytes(), "x.grib2")


def test_without_eccodes_no_file_is_blamed(tmp_path, monkeypatch):
    absent = "sys.modules['eccodes'] = None\nrunpy.run_path(CHILD, run_name='__main__')\n"
    child_program(tmp_path, monkeypatch, absent)
    with GribWorker() as worker, pytest.raises(DecoderError, match=r"has no eccodes: .*eccodes"):
        worker.values(CCSDS.read_bytes(), "x")


def test_a_decoder_that_does_not_start_is_no_error_of_the_file(tmp_path, monkeypatch):
    child_program(tmp_path, monkeypatch, "sys.exit(3)\n")
    with GribWorker() as worker, pytest.raises(DecoderError, match="did not start: exit code 3"):
        worker.values(CCSDS.read_bytes(), "x")


def test_a_closed_worker_has_no_process_and_starts_another_when_asked():
    worker = GribWorker()
    assert worker.pid is None
    with worker:
        first = worker.pid
        assert worker.values(CCSDS.read_bytes(), "x")
    assert not Path(f"/proc/{first}").exists()
    assert worker.values(CCSDS.read_bytes(), "x")
    worker.close()
    assert worker.pid is None


def test_several_threads_get_their_own_answers(worker):
    paths = [CCSDS, REGULAR] * 6
    barrier = threading.Barrier(4)

    def size(path: Path) -> int:
        barrier.wait(30)
        return worker.values(path.read_bytes(), path.name)[0].values.size

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(size, paths)) == [CELLS, 906_390] * 6


def test_the_decoder_has_eccodes_to_itself(worker):
    worker.values(CCSDS.read_bytes(), "x")
    libraries = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "libeccodes" in libraries
    assert not [name for name in ("/pyproj", "/rasterio", "/scipy/", "/grpc") if name in libraries]


PARENT = """
import os, signal, sys
import pyproj
from dwd_assets.formats.grib.worker import GribWorker
worker = GribWorker()
worker.values(open(sys.argv[1], "rb").read(), "x")
pyproj.Transformer.from_crs(4326, 3857).transform(50, 8)
assert "eccodes" not in sys.modules
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_parent_may_use_pyproj_and_takes_the_worker_with_it_when_killed():
    command = [sys.executable, "-c", PARENT, str(CCSDS)]
    parent = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    worker = Path(f"/proc/{int(parent.stdout)}")
    deadline = time.monotonic() + 10
    while worker.exists() and "(zombie)" not in (worker / "status").read_text():
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.05)


@pytest.mark.parametrize("path", [REGULAR, NATIVE], ids=["regular", "native"])
def test_names_are_those_of_eccodes(worker, path):
    (names,) = worker.names(path.read_bytes(), path.name)
    (keys,) = eccodes_keys(path, "shortName name units cfName")
    assert names == FieldNames(keys["shortName"], keys["name"], keys["units"], keys["cfName"])
    ((short, units),) = [(field.short_name, field.units) for field in worker.values(path.read_bytes(), "x")]
    assert (names.short_name, names.units) == (short, units)
