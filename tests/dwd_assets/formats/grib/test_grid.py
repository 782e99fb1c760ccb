"""Grids of even steps: their points, and section 3."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grid import LatLonGrid, NativeGrid, read_lat_lon, read_native_grid
from dwd_assets.formats.grib.regrid import axes_deg
from dwd_assets.formats.grib.sections import split
from dwd_assets.formats.target_grids import TARGET_GRIDS
from tests.dwd_assets.formats.grib.grid_cells import in_child, needs_eccodes
from tests.samples import SAMPLES, needs_samples

GRID = TARGET_GRIDS["icon-d2"]
ROUND = LatLonGrid(2880, 1441, -90_000_000, 0, 125_000, 125_000)
SOUTHWARD = LatLonGrid(5, 3, 52_000_000, 350_000_000, -1_000_000, 5_000_000)

ECCODES_GRID = """
import json, sys
import eccodes as ec
section = bytes.fromhex(sys.argv[1])
handle = ec.codes_grib_new_from_samples("regular_ll_sfc_grib2")
message = ec.codes_get_message(handle)
offset = 16
while message[offset + 4] != 3:
    offset += int.from_bytes(message[offset : offset + 4], "big")
old = int.from_bytes(message[offset : offset + 4], "big")
handle = ec.codes_new_from_message(message[:offset] + section + message[offset + old :])
keys = ("Ni", "Nj", "numberOfDataPoints", "shapeOfTheEarth", "iScansNegatively", "jScansPositively")
places = ("latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint", "latitudeOfLastGridPoint",
          "longitudeOfLastGridPoint", "iDirectionIncrement", "jDirectionIncrement")
print(json.dumps([ec.codes_get(handle, key, int) for key in keys + places]))
"""

NATIVE_FILES = [
    SAMPLES / "dwd/icon-d2/icon-d2_icosahedral_2t_2020072800_000.grib2",
    SAMPLES / "cases/dwd/VMAX_10M_served_as_T_2M.grib2",
]

SERVED = [
    (
        "icon-d2",
        SAMPLES / "dwd/icon-d2/icon-d2_germany_regular-lat-lon_single-level_2022042600_000_2d_u_10m.grib2",
    ),
    (
        "icon-eu",
        SAMPLES / "dwd/icon-eu/icon-eu_europe_regular-lat-lon_single-level_2022050700_000_U_10M.grib2",
    ),
]

ECCODES_NATIVE = """
import json, sys
import eccodes as ec
with open(sys.argv[1], "rb") as file:
    handle = ec.codes_grib_new_from_file(file)
keys = ("numberOfGridUsed", "numberOfGridInReference", "numberOfDataPoints")
print(json.dumps([*(ec.codes_get(handle, key, int) for key in keys), ec.codes_get(handle, "uuidOfHGrid", str)]))
"""

northward = st.builds(
    LatLonGrid,
    columns=st.integers(2, 1000),
    rows=st.integers(2, 1000),
    first_lat=st.integers(-90_000_000, 80_000_000),
    first_lon=st.integers(0, 359_999_999),
    lat_step=st.integers(1, 10_000),
    lon_step=st.integers(1, 300_000),
)


@given(northward)
def test_a_grid_is_read_as_it_was_written(grid):
    assert read_lat_lon(grid.section(), "x") == grid


@given(northward, st.data())
def test_the_nearest_point_to_a_points_own_position_is_itself(grid, data):
    index = data.draw(st.integers(0, grid.points - 1))
    assert grid.nearest(*grid.position(index)) == index


@needs_eccodes
def test_eccodes_reads_the_written_section():
    grid = LatLonGrid(11, 21, -33_000_000, 359_000_000, 250_000, 500_000)
    told = json.loads(in_child(ECCODES_GRID, grid.section().hex()))
    assert told == [11, 21, 231, 6, 0, 1, -33_000_000, 359_000_000, -28_000_000, 4_000_000, 500_000, 250_000]


def test_a_grid_round_the_earth_has_no_edge():
    assert ROUND.nearest(-90.0, 359.95) == ROUND.nearest(-90.0, -0.05) == 0
    assert ROUND.nearest(-90.0, 359.9) == 2879


def test_half_a_step_beyond_the_edge_is_still_the_edge_and_more_is_outside():
    assert GRID.nearest(43.1701, 356.0501) == 0
    assert GRID.nearest(43.1699, 356.06) is None
    assert GRID.nearest(43.18, 356.0499) is None
    assert GRID.nearest(58.0899, 20.3499) == GRID.points - 1
    assert GRID.nearest(58.0901, 20.34) is None
    assert GRID.nearest(58.08, 20.3501) is None


def test_rows_may_go_south():
    assert SOUTHWARD.nearest(51.1, -4.0) == 5 + 1
    assert SOUTHWARD.position(6) == (51.0, -5.0)


def test_longitudes_are_told_from_minus_180_to_180():
    assert GRID.position(0) == pytest.approx((43.18, -3.94))
    assert GRID.position(GRID.points - 1) == pytest.approx((58.08, 20.34))


@pytest.mark.parametrize(
    ("offset", "value", "told"),
    [
        (71, b"\x00", "do not lead"),  # to the north, told as southward
        (71, b"\x80", "scanning mode 128"),
        (38, b"\x00\x00\x00\x07", "basic angle 7"),
        (30, b"\x00\x00\x04\xbe", "no even grid"),
        (30, b"\xff\xff\xff\xff", "no even grid"),
        (55, b"\x02\x92\xdf\xe0", "do not lead"),  # last latitude is the first
        (59, b"\x01\x36\x5d\x21", "do not lead"),
    ],
)
def test_a_grid_of_another_order_or_that_contradicts_itself_is_refused(offset, value, told):
    section = GRID.section()
    with pytest.raises(FormatError, match=rf"^x\.grib2: .*{told}"):
        read_lat_lon(section[:offset] + value + section[offset + len(value) :], "x.grib2")


def test_a_short_section_is_refused():
    with pytest.raises(FormatError, match=r"x: section 3 of 71 bytes"):
        read_lat_lon(GRID.section()[:71], "x")


@needs_eccodes
@needs_samples
@pytest.mark.parametrize("path", NATIVE_FILES, ids=["icon-d2", "made"])
def test_the_grid_of_triangles_is_the_one_that_eccodes_reads(path):
    ((_, sections),) = split(path.read_bytes(), path.name)
    number, reference, cells, uuid = json.loads(in_child(ECCODES_NATIVE, path))
    assert read_native_grid(sections.grid, "x") == NativeGrid(number, reference, uuid, cells)


@needs_samples
def test_the_grid_of_icon_d2_is_number_47_of_its_cells():
    ((_, sections),) = split(NATIVE_FILES[0].read_bytes(), "x")
    grid = read_native_grid(sections.grid, "x")
    assert (grid.number, grid.reference, grid.cells) == (47, 1, 542_040)
    assert str(grid) == "grid 47.1, UUID c6b12daa91ad64045b26c1b6452a2a20, 542040 cells"


@given(
    st.integers(0, 0xFFFFFF),
    st.integers(0, 255),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
)
def test_each_octet_of_the_grid_of_triangles_counts(number, reference, uuid, cells):
    section = (
        struct.pack(">IBBIBBHB", 35, 3, 0, cells, 0, 0, 101, 6)
        + number.to_bytes(3)
        + bytes([reference])
        + uuid
    )
    assert read_native_grid(memoryview(section), "x") == NativeGrid(number, reference, uuid.hex(), cells)


def test_a_grid_of_another_template_or_a_short_one_is_not_one_of_triangles():
    with pytest.raises(FormatError, match=r"^x: grid template 0 is not that of triangles, 101"):
        read_native_grid(GRID.section(), "x")
    with pytest.raises(FormatError, match=r"^x: section 3 has 34 bytes, with template 101 it has 35"):
        read_native_grid(GRID.section()[:34], "x")


def test_axes_are_the_positions_of_rows_and_columns():
    for grid in (GRID, SOUTHWARD, ROUND, LatLonGrid(4, 2, 0, 180_000_000, 1_000_000, 90_000_000)):
        lat, lon = axes_deg(grid)
        assert (lat.shape, lon.shape) == ((grid.rows,), (grid.columns,))
        assert lon[0] == pytest.approx(grid.position(0)[1])
        assert (lon[1:] > lon[:-1]).all()
        for row, column in ((0, 0), (grid.rows - 1, grid.columns - 1), (1, 2)):
            expected = grid.position(row * grid.columns + column)
            assert (lat[row], (lon[column] + 180) % 360 - 180) == pytest.approx(expected)


@needs_samples
@pytest.mark.parametrize(("model", "path"), SERVED, ids=["icon-d2", "icon-eu"])
def test_the_grids_that_are_regridded_to_are_those_of_the_servers_files_byte_for_byte(model, path):
    ((_, sections),) = split(path.read_bytes(), path.name)
    assert read_lat_lon(sections.grid, path.name) == TARGET_GRIDS[model]
    assert TARGET_GRIDS[model].section() == bytes(sections.grid)
