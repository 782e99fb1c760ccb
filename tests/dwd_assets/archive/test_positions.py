"""Positions of a grid's cells: which CLAT and CLON are found, in which run, and what is said if none are."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwd_assets.archive import positions
from dwd_assets.archive.positions import (
    KeptFile,
    NoPositions,
    Positions,
    find_positions,
    grid_of_note,
    native_grid,
)
from dwd_assets.archive.storing import Archive, Content
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.grid import NativeGrid
from dwd_assets.formats.paths import archive_path
from dwd_assets.periods.progress import Recorder
from dwd_assets.simulator.catalogue import Catalogue
from dwd_assets.simulator.fields import FieldWriter
from store import keys
from store.dwd import ledger
from store.dwd.ledger import Kept

RUN = datetime(2026, 11, 30, 6, tzinfo=UTC)
PERIOD = "2026113006"
WRITER = FieldWriter(5, Catalogue())
GRID = NativeGrid(47, 1, b"simulated cells.".hex(), 61 * 38)

grids = st.builds(
    NativeGrid,
    st.integers(0, 2**24 - 1),
    st.integers(0, 255),
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.integers(0, 2**32 - 1),
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@pytest.fixture(autouse=True)
def _nothing_read_yet(monkeypatch):
    monkeypatch.setattr(positions, "_GRIDS", {})


def key(name: str, run: datetime = RUN) -> FieldKey:
    kind = "time-invariant" if name in {"clat", "clon"} else "single"
    return FieldKey("icon-d2", run, name, kind, None, 0, None, "icosahedral")


def keep(store, name: str, run: datetime = RUN, uuid: bytes = b"simulated cells.") -> KeptFile:
    grib = WRITER.grib(key(name, run), "ccsds", 0).replace(b"simulated cells.", uuid)
    path = archive_path(key(name, run))
    kept = Archive(store).keep(path, Content.packed(grib), None, None, run)
    with Recorder(store, "icon-d2", f"{run:%Y%m%d%H}") as recorder:
        recorder.kept(path, kept)
    return KeptFile(path, kept)


def keep_both(store, run: datetime = RUN, uuid: bytes = b"simulated cells.") -> Positions:
    return Positions(GRID, *(keep(store, name, run, uuid) for name in ("clat", "clon")))


def find(store) -> Positions:
    return find_positions(store, ledger.read(store, "icon-d2", PERIOD), GRID)


@given(grids, digests, digests)
def test_the_note_of_a_made_file_names_the_grid_of_its_positions(grid, latitude, longitude):
    files = [KeptFile("x", Kept(sha256, 1, 1, RUN)) for sha256 in (latitude, longitude)]
    note = Positions(grid, *files).note
    assert grid_of_note(note) == grid
    assert grid_of_note(note[:-1]) is grid_of_note(f"{note} ") is None


def test_the_runs_own_positions_go_first_then_those_of_the_nearest_run(store):
    far = keep_both(store, RUN - timedelta(days=1), b"simulated cells.")
    keep(store, "t_2m")
    assert find(store) == far
    near = keep_both(store, RUN + timedelta(hours=3))
    assert find(store) == near
    own = keep_both(store)
    assert find(store) == own


def test_latitudes_and_longitudes_of_two_grids_are_not_taken_together(local_store):
    keep(local_store, "clat")
    keep(local_store, "clon", uuid=b"of another grid.")
    with pytest.raises(NoPositions, match=rf"those kept are of grid 47\.1, UUID {b'of another grid.'.hex()}"):
        find(local_store)


def test_a_damaged_file_is_named_and_another_runs_whole_one_is_taken(local_store):
    own = keep_both(local_store)
    path = own.latitude.path
    local_store.put(path, local_store.get(path).data[:-9])
    with pytest.raises(NoPositions, match=rf"{path}: cut"):
        find(local_store)
    other = keep_both(local_store, RUN - timedelta(hours=3))
    assert find(local_store) == other


def test_a_damaged_ledger_of_another_run_costs_nothing(local_store):
    keep(local_store, "t_2m")
    other = keep_both(local_store, RUN - timedelta(hours=6))
    keep(local_store, "t_2m", RUN - timedelta(hours=3))
    local_store.put(keys.ledger("icon-d2", "2026113003"), b"{")
    assert find(local_store) == other


def test_a_file_with_fields_on_two_grids_has_none():
    one = WRITER.grib(key("t_2m"), "ccsds", 0)
    assert native_grid(one * 2, "x") == GRID
    with pytest.raises(
        FormatError, match=r"^x: has fields on several grids: grid 47\.1, UUID 6f66.*; grid 47\.1, UUID 7369"
    ):
        native_grid(one + one.replace(b"simulated cells.", b"of another grid."), "x")
    regular = WRITER.grib(replace(key("t_2m"), grid="regular"), "simple", 0)
    with pytest.raises(FormatError, match="grid template 0 is not that of triangles"):
        native_grid(regular, "x")
