"""The nearest cell of each point of the regular grid, against great-circle distances to every cell."""

from pathlib import Path

import numpy as np
import pytest

from dwd_assets.formats.grib import regrid
from dwd_assets.formats.grib.regrid import (
    EARTH_KM,
    CellCentres,
    Regridding,
    axes_deg,
    kept_nearest_cells,
    nearest_cells,
    unit_vectors,
)
from dwd_assets.formats.target_grids import TARGET_GRIDS
from tests.dwd_assets.formats.grib.grid_cells import CELLS, cell_centres, cells_around, great_circle_km

GRID = TARGET_GRIDS["icon-d2"]
EUROPE = TARGET_GRIDS["icon-eu"]


@pytest.fixture(scope="module")
def index():
    return nearest_cells(*cell_centres(), GRID)


@pytest.fixture
def few():
    """A patch of cells round 50 N 10 E."""
    lat, lon = np.meshgrid(np.arange(49.9, 50.1, 0.018), np.arange(9.9, 10.1, 0.03), indexing="ij")
    return lat.ravel(), lon.ravel()


@pytest.fixture(scope="module")
def reach_km():
    return CellCentres.of(*cell_centres()).reach_km


def test_every_sampled_point_has_the_cell_that_brute_force_finds(index, reach_km):
    lat, lon = axes_deg(GRID)
    clat, clon = cell_centres()
    random = np.random.default_rng(3)
    outside = 0
    for row, column in zip(random.integers(0, 746, 60), random.integers(0, 1215, 60), strict=True):
        near = cells_around(lat[row], clat)
        away = great_circle_km(lat[row], lon[column], clat[near], clon[near])
        if index[row, column] < 0:
            outside += 1
            assert away.min() > reach_km
        else:
            (found,) = away[near == index[row, column]]
            assert found == pytest.approx(away.min(), abs=1e-6)
            assert away.min() <= reach_km
    assert 1 <= outside <= 30


def test_the_edge_of_the_domain_is_where_no_cell_is_in_reach(index, reach_km):
    """Points on both sides of the edge, where a random sample has few."""
    lat, lon = axes_deg(GRID)
    clat, clon = cell_centres()
    inside = index >= 0
    edge = np.argwhere(inside[:, 1:] != inside[:, :-1])
    for row, column in edge[:: len(edge) // 20]:
        for each in (column, column + 1):
            near = cells_around(lat[row], clat)
            nearest = great_circle_km(lat[row], lon[each], clat[near], clon[near]).min()
            assert (nearest <= reach_km) == inside[row, each]


def test_the_index_has_the_shape_of_the_served_grid_and_bare_corners(index):
    assert (index.shape, index.dtype) == ((746, 1215), np.int32)
    assert index.max() < CELLS
    assert index[0, 0] == index[-1, 0] == index[0, -1] == index[-1, -1] == -1
    assert 0.02 < (index < 0).mean() < 0.3


def test_the_axes_are_those_of_the_served_grid():
    lat, lon = axes_deg(GRID)
    np.testing.assert_allclose(lat, np.linspace(43.18, 58.08, 746), rtol=0, atol=1e-9)
    np.testing.assert_allclose(lon, np.linspace(-3.94, 20.34, 1215), rtol=0, atol=1e-9)


def test_longitudes_west_of_greenwich_may_be_negative_or_above_180():
    lat = np.full(20, 50.0)
    lon = np.linspace(-0.2, 0.2, 20)
    np.testing.assert_array_equal(nearest_cells(lat, lon, GRID), nearest_cells(lat, lon % 360.0, GRID))
    assert (nearest_cells(lat, lon, GRID) >= 0).sum() > 30


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ([50.0], [10.0, 10.1]),
        ([], []),
        ([np.nan], [10.0]),
        ([50.0], [np.nan]),
        ([95.0], [10.0]),
        ([50.0], [1e3]),
    ],
)
def test_what_is_no_position_is_refused(lat, lon):
    with pytest.raises(ValueError, match="cells"):
        nearest_cells(lat, lon, GRID)


def test_the_index_is_computed_once_for_the_same_cells(few, tmp_path: Path, monkeypatch):
    first = kept_nearest_cells(*few, GRID, tmp_path / "made")
    monkeypatch.setattr(regrid, "nearest_cells", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(kept_nearest_cells(*few, GRID, tmp_path / "made"), first)
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_other_cells_have_another_index(few, tmp_path: Path):
    lat, lon = few
    first = kept_nearest_cells(lat, lon, GRID, tmp_path)
    moved = kept_nearest_cells(lat[::-1], lon[::-1], GRID, tmp_path)
    assert (first != moved).any()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "emptied", "changed", "of another shape"])
def test_a_damaged_index_is_computed_again(few, tmp_path: Path, damage):
    first = kept_nearest_cells(*few, GRID, tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    if damage == "of another shape":
        np.savez(file, index=np.zeros((2, 3), np.int32))
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes({"cut": whole[:-1000], "emptied": b"", "changed": changed}[damage])
    np.testing.assert_array_equal(kept_nearest_cells(*few, GRID, tmp_path), first)
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["index"], first)


def test_a_write_that_fails_leaves_nothing(few, tmp_path: Path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        kept_nearest_cells(*few, GRID, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_nearest_cell_of_one_point_is_the_one_that_brute_force_finds():
    clat, clon = cell_centres()
    cells = CellCentres.of(clat, clon)
    for lat, lon in [(50.12, 8.68), (47.0, -0.001), (54.3, 359.9), (30.0, 60.0)]:
        away = great_circle_km(lat, lon, clat, clon)
        cell, told = cells.nearest(lat, lon)
        assert away[cell] == pytest.approx(away.min(), abs=1e-3)
        assert told == pytest.approx(away[cell], abs=1e-6)


def test_taking_leaves_out_points_without_a_cell_and_cells_without_a_value():
    index = np.full((746, 1215), -1, np.int32)
    index[0, :4] = [2, 0, 1, 2]
    regridding = Regridding.of(index, 3, GRID)
    numbers = np.array([10, 11, 12], np.uint16)
    taken, mask = regridding.take(numbers, None)
    assert (taken.tolist(), np.flatnonzero(mask).tolist()) == ([12, 10, 11, 12], [0, 1, 2, 3])
    taken, mask = regridding.take(numbers, np.array([True, True, False]))
    assert (taken.tolist(), np.flatnonzero(mask).tolist()) == ([10, 11], [1, 2])
    assert regridding.take(numbers, None)[1].sum() == 4


@pytest.mark.parametrize(("shape", "highest"), [((746, 1215), 3), ((1215, 746), 2)])
def test_an_index_of_other_cells_or_another_grid_is_refused(shape, highest):
    index = np.full(shape, highest, np.int32)
    with pytest.raises(ValueError, match="3 cells"):
        Regridding.of(index, 3, GRID)


def test_the_grid_is_906390_points():
    assert GRID.points == 906_390


def triangles(side_km: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of equilateral triangles of a side, in rows round 50 N 10 E, on a plane that touches the sphere there."""
    row, column = (each.ravel() for each in np.mgrid[:rows, :rows])
    up = (row + column) % 2 == 0
    x = (column - rows / 2) * side_km / 2
    y = (row - rows / 2 + np.where(up, 1 / 3, 2 / 3)) * side_km * np.sqrt(3) / 2
    lat = 50 + np.degrees(y / EARTH_KM)
    return lat, 10 + np.degrees(x / EARTH_KM) / np.cos(np.radians(lat))


@pytest.mark.parametrize("side_km", [3.156, 9.9, 40.0])
def test_the_size_of_cells_is_read_off_their_positions(side_km):
    cells = CellCentres.of(*triangles(side_km, 120))
    area = np.sqrt(3) / 4 * side_km**2
    assert cells.reach_km == pytest.approx(1.5 * np.sqrt(area), rel=0.02)


def test_the_size_of_cells_like_those_of_icon_d2_is_that_of_their_box():
    """655,000 of them are spread over the box, by `cell_centres`; ICON-D2's own are 2.08 km."""
    box = EARTH_KM**2 * np.radians(24.4) * np.diff(np.sin(np.radians([43.1, 58.15])))[0]
    assert CellCentres.of(*cell_centres()).reach_km == pytest.approx(1.5 * np.sqrt(box / 655_000), rel=0.03)


def test_a_single_cell_reaches_nowhere_else():
    assert CellCentres.of([50.0], [8.0]).reach_km == 0.0


def test_the_grid_of_icon_eu_takes_its_nearest_cells_too():
    clat, clon = triangles(40.0, 60)
    index = nearest_cells(clat, clon, EUROPE)
    assert index.shape == (657, 1097)
    lat, lon = axes_deg(EUROPE)
    reach = CellCentres.of(clat, clon).reach_km
    points = np.argwhere(index >= 0)
    assert len(points) > 5000
    for row, column in points[:: len(points) // 40]:
        away = great_circle_km(lat[row], lon[column], clat, clon)
        assert away[index[row, column]] == pytest.approx(away.min(), abs=1e-6)
        assert away.min() <= reach
    distance = EARTH_KM * np.arccos(unit_vectors(clat, clon) @ unit_vectors(30.0, -20.0)).min()
    assert distance > reach
    assert index[8, 56] == -1


def test_the_same_cells_have_an_index_for_each_grid(few, tmp_path: Path):
    shapes = {kept_nearest_cells(*few, grid, tmp_path).shape for grid in (GRID, EUROPE, GRID)}
    assert shapes == {(746, 1215), (657, 1097)}
    assert len(list(tmp_path.iterdir())) == 2
