"""The nearest cell of each point of the regular grid, against great-circle distances to every cell."""

from pathlib import Path

import numpy as np
import pytest

from dwd_assets.formats import regrid
from dwd_assets.formats.regrid import (
    GRID,
    CellCentres,
    Regridding,
    grid_axes_deg,
    kept_nearest_cells,
    nearest_cells,
)
from tests.dwd.grid_cells import CELLS, cell_centres, cells_around, great_circle_km

REACH_KM = 1.5 * 2.08


@pytest.fixture(scope="module")
def index():
    return nearest_cells(*cell_centres())


@pytest.fixture
def few():
    """A patch of cells round 50 N 10 E."""
    lat, lon = np.meshgrid(np.arange(49.9, 50.1, 0.018), np.arange(9.9, 10.1, 0.03), indexing="ij")
    return lat.ravel(), lon.ravel()


def test_every_sampled_point_has_the_cell_that_brute_force_finds(index):
    lat, lon = grid_axes_deg()
    clat, clon = cell_centres()
    random = np.random.default_rng(3)
    outside = 0
    for row, column in zip(random.integers(0, 746, 60), random.integers(0, 1215, 60), strict=True):
        near = cells_around(lat[row], clat)
        away = great_circle_km(lat[row], lon[column], clat[near], clon[near])
        if index[row, column] < 0:
            outside += 1
            assert away.min() > REACH_KM
        else:
            (found,) = away[near == index[row, column]]
            assert found == pytest.approx(away.min(), abs=1e-6)
            assert away.min() <= REACH_KM
    assert 1 <= outside <= 30


def test_the_edge_of_the_domain_is_where_no_cell_is_in_reach(index):
    """Points on both sides of the edge, where a random sample has few."""
    lat, lon = grid_axes_deg()
    clat, clon = cell_centres()
    inside = index >= 0
    edge = np.argwhere(inside[:, 1:] != inside[:, :-1])
    for row, column in edge[:: len(edge) // 20]:
        for each in (column, column + 1):
            near = cells_around(lat[row], clat)
            nearest = great_circle_km(lat[row], lon[each], clat[near], clon[near]).min()
            assert (nearest <= REACH_KM) == inside[row, each]


def test_the_index_has_the_shape_of_the_served_grid_and_bare_corners(index):
    assert (index.shape, index.dtype) == ((746, 1215), np.int32)
    assert index.max() < CELLS
    assert index[0, 0] == index[-1, 0] == index[0, -1] == index[-1, -1] == -1
    assert 0.02 < (index < 0).mean() < 0.3


def test_the_axes_are_those_of_the_served_grid():
    lat, lon = grid_axes_deg()
    np.testing.assert_allclose(lat, np.linspace(43.18, 58.08, 746), rtol=0, atol=1e-9)
    np.testing.assert_allclose(lon, np.linspace(356.06, 380.34, 1215), rtol=0, atol=1e-9)


def test_longitudes_west_of_greenwich_may_be_negative_or_above_180():
    lat = np.full(20, 50.0)
    lon = np.linspace(-0.2, 0.2, 20)
    np.testing.assert_array_equal(nearest_cells(lat, lon), nearest_cells(lat, lon % 360.0))
    assert (nearest_cells(lat, lon) >= 0).sum() > 30


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
        nearest_cells(lat, lon)


def test_the_index_is_computed_once_for_the_same_cells(few, tmp_path: Path, monkeypatch):
    first = kept_nearest_cells(*few, tmp_path / "made")
    monkeypatch.setattr(regrid, "nearest_cells", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(kept_nearest_cells(*few, tmp_path / "made"), first)
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_other_cells_have_another_index(few, tmp_path: Path):
    lat, lon = few
    first = kept_nearest_cells(lat, lon, tmp_path)
    moved = kept_nearest_cells(lat[::-1], lon[::-1], tmp_path)
    assert (first != moved).any()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "emptied", "changed", "of another shape"])
def test_a_damaged_index_is_computed_again(few, tmp_path: Path, damage):
    first = kept_nearest_cells(*few, tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    if damage == "of another shape":
        np.savez(file, index=np.zeros((2, 3), np.int32))
    else:
        middle = len(whole) // 2
        changed = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        file.write_bytes({"cut": whole[:-1000], "emptied": b"", "changed": changed}[damage])
    np.testing.assert_array_equal(kept_nearest_cells(*few, tmp_path), first)
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["index"], first)


def test_a_write_that_fails_leaves_nothing(few, tmp_path: Path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        kept_nearest_cells(*few, tmp_path)
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
    regridding = Regridding.of(index, 3)
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
        Regridding.of(index, 3)


def test_the_grid_is_906390_points():
    assert GRID.points == 906_390
