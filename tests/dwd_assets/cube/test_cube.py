"""Runs opened as xarray Datasets, on both grids, from a folder and an S3 server; values against eccodes and cfgrib."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xarray as xr

from dwd_assets.archive.storing import Archive, Content
from dwd_assets.cube import dataset as cube_dataset
from dwd_assets.cube.backend import DwdBackendEntrypoint
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib import grib_child
from dwd_assets.formats.grib.process import DecoderProcess
from dwd_assets.formats.paths import archive_path
from dwd_assets.periods.progress import Recorder
from dwd_assets.simulator.catalogue import Catalogue
from dwd_assets.simulator.fields import FieldWriter
from store.dwd import ledger
from store.dwd.ledger import Failed, Kept, Source
from store.objects import Store
from store.posix import PosixStore
from tests.dwd_assets.fields import model_world
from tests.dwd_assets.formats.grib.grid_cells import in_child, needs_cfgrib, needs_eccodes
from tests.dwd_assets.formats.grib.test_worker import CFGRIB, ECCODES_VALUES

pytestmark = needs_eccodes

RUN = datetime(2026, 11, 30, 6, tzinfo=UTC)
PERIOD = "2026113006"
AT = datetime(2026, 11, 30, 9, tzinfo=UTC)
ROWS, COLUMNS = 9, 13
WRITER = FieldWriter(5, Catalogue(columns=COLUMNS, rows=ROWS))
HOURS = range(0, 49 * 60, 60)
REPOSITORY = Path(__file__).parents[3]


def native(parameter: str, step: int = 0, level: int | None = None, run: datetime = RUN, **other) -> FieldKey:
    level_type = other.pop("level_type", "single" if level is None else "pressure")
    key = FieldKey("icon-d2", run, parameter, level_type, level, step, None, "icosahedral")
    return replace(key, **other)


def regular(parameter: str, step: int = 0, **other) -> FieldKey:
    return native(parameter, step, grid="regular", **other)


def positions(run: datetime = RUN) -> list[FieldKey]:
    return [native(name, run=run, level_type="time-invariant") for name in ("clat", "clon")]


def written(key: FieldKey) -> bytes:
    return WRITER.grib(key, "simple" if key.grid == "regular" else "ccsds", 0)


@dataclass
class World:
    """An archive, where it is for xarray, and the GRIB that it was given."""

    store: Store
    location: str
    endpoint: str | None = None

    def keep(self, *keys: FieldKey, data: bytes | None = None, **notes) -> Kept:
        for key in keys:
            grib = written(key) if data is None else data
            source = None if notes else Source("http://x/", AT, len(grib), "0" * 64)
            path = archive_path(key)
            kept = Archive(self.store).keep(path, Content.packed(grib), source, None, AT)
            kept = msgspec.structs.replace(kept, **notes)
            with Recorder(self.store, key.model, f"{key.run:%Y%m%d%H}") as recorder:
                recorder.kept(path, kept)
        return kept

    def change(self, model: str = "icon-d2", **changes) -> None:
        ledger.update(self.store, model, PERIOD, lambda known: msgspec.structs.replace(known, **changes))

    def open(self, parameter: str | list[str] = "t_2m", **options) -> xr.Dataset:
        options = {"run": PERIOD, "store_endpoint": self.endpoint} | options
        return xr.open_dataset(self.location, engine=DwdBackendEntrypoint, parameter=parameter, **options)


@pytest.fixture(params=["posix", pytest.param("s3", marks=pytest.mark.s3)])
def any_world(request, monkeypatch, tmp_path) -> World:
    if request.param == "posix":
        return World(PosixStore(tmp_path / "store"), str(tmp_path / "store"))
    server = request.getfixturevalue("s3_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    bucket = server.new_bucket()
    return World(server.store(bucket, "archive/"), f"s3://{bucket}/archive", server.endpoint)


@pytest.fixture
def world(tmp_path) -> World:
    return World(PosixStore(tmp_path / "store"), str(tmp_path / "store"))


@pytest.fixture
def asked(monkeypatch) -> Counter:
    """How often the decoder is asked for what, from now on."""
    counts: Counter = Counter()
    names = {getattr(grib_child, name): name for name in ("VALUES", "NUMBERS", "COUNT", "NAMES")}
    ask = DecoderProcess.ask

    def counted(self, request, message, name):
        counts[names[grib_child.REQUEST.unpack(request)[0]]] += 1
        return ask(self, request, message, name)

    monkeypatch.setattr(DecoderProcess, "ask", counted)
    monkeypatch.setattr(cube_dataset, "_CENTRES", {})
    return counts


def by_eccodes(tmp_path: Path, *gribs: bytes) -> np.ndarray:
    """The values of all messages, as eccodes decodes them in a process of its own, float32."""
    (tmp_path / "in.grib2").write_bytes(b"".join(gribs))
    in_child(ECCODES_VALUES, tmp_path / "in.grib2", tmp_path / "out.npy")
    return np.load(tmp_path / "out.npy").astype(np.float32)


@pytest.mark.parametrize("grid", ["regular", "icosahedral"])
def test_a_run_is_a_cube_with_the_values_of_eccodes(any_world, tmp_path, grid):
    keys = [native("t_2m", step, grid=grid) for step in (0, 60, 120)]
    any_world.keep(*positions(), *keys)
    with any_world.open(chunks=None) as ds:
        assert ds.sizes == (
            {"step": 3, "latitude": ROWS, "longitude": COLUMNS}
            if grid == "regular"
            else {"step": 3, "cell": ROWS * COLUMNS}
        )
        expected = by_eccodes(tmp_path, *map(written, keys)).reshape(ds.t_2m.shape)
        np.testing.assert_array_equal(ds.t_2m.values, expected)
        assert np.isnan(ds.t_2m.values).any() == (grid == "regular")
        assert ds.t_2m.dtype == np.float32
        assert ds.step.values.tolist() == [hour * 3_600_000_000_000 for hour in range(3)]
        assert ds.time.values == np.datetime64("2026-11-30T06:00")
        assert ds.valid_time.values[2] == np.datetime64("2026-11-30T08:00")
        assert ds.valid_time.dims == ("step",)
        assert (ds.attrs["grid"], ds.attrs["state"], ds.attrs["warnings"]) == (grid, "complete", "")


@pytest.mark.s3
def test_the_endpoint_of_a_bucket_may_come_from_the_settings(s3_server, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv("STORE_ENDPOINT" if name == "AWS_ENDPOINT_URL" else name, value)
    bucket = s3_server.new_bucket()
    world = World(s3_server.store(bucket), f"s3://{bucket}")
    world.keep(regular("t_2m"))
    assert world.open().t_2m.notnull().any()


def test_cells_have_the_positions_that_eccodes_reads(world, tmp_path):
    world.keep(*positions(), native("t_2m"))
    ds = world.open()
    lat, lon = by_eccodes(tmp_path, *map(written, positions()))
    np.testing.assert_array_equal(ds.latitude.values, lat)
    np.testing.assert_array_equal(ds.longitude.values, lon)
    assert ds.latitude.dims == ds.longitude.dims == ("cell",)
    assert ds.attrs["uuidOfHGrid"] == b"simulated cells.".hex()


def lines_of_the_docs(location: str) -> str:
    """The example of docs/archive.md, of another archive; by the class, as this process must not load all engines."""
    text = (REPOSITORY / "docs/archive.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert len(list(filter(None, text.splitlines()))) == 5
    return text.replace('".demo/store"', repr(location)).replace('"dwd"', DwdBackendEntrypoint.__name__)


def test_what_was_fetched_from_a_server_is_a_cube(tmp_path, capsys):
    store = PosixStore(tmp_path / "store")
    with model_world.opened(store, RUN + timedelta(hours=4), v1_tree=True) as served:
        served.archive(RUN)
    ds = xr.open_dataset(str(tmp_path / "store"), engine=DwdBackendEntrypoint, parameter=["t_2m", "tot_prec"])
    assert ds.sizes == {"step": 17, "cell": model_world.CATALOGUE.rows * model_world.CATALOGUE.columns}
    assert ds.t_2m.notnull().all("cell").values.sum() == 5
    assert ds.tot_prec.notnull().all()
    assert (ds.tot_prec.diff("step") >= 0).all()
    exec(lines_of_the_docs(str(tmp_path / "store")), {"DwdBackendEntrypoint": DwdBackendEntrypoint})
    assert capsys.readouterr().out.startswith("<xarray.Dataset>")
    assert (ds.latitude.values.min(), ds.latitude.values.max()) == pytest.approx((43.18, 58.08), abs=1e-3)


@needs_cfgrib
def test_a_regular_field_is_as_cfgrib_opens_it(world, tmp_path):
    world.keep(regular("t_2m", 60))
    (tmp_path / "one.grib2").write_bytes(written(regular("t_2m", 60)))
    in_child(CFGRIB, tmp_path / "one.grib2", tmp_path / "read.npz")
    read = np.load(tmp_path / "read.npz")
    one = world.open().t_2m.isel(step=0)
    np.testing.assert_array_equal(one.values, read["values"])
    np.testing.assert_allclose(one.latitude, read["lat"], atol=1e-9)
    np.testing.assert_allclose(one.longitude % 360, read["lon"] % 360, atol=1e-9)
    assert (np.diff(one.longitude) > 0).all()
    assert np.datetime_as_string(one.time.values, "ns") == str(read["time"])
    assert one.attrs["GRIB_shortName"] == str(read["name"])


def test_attributes_say_what_a_field_is_and_whose(world):
    world.keep(*(regular(name, step) for name in ("t_2m", "tot_prec", "vmax_10m") for step in (0, 60)))
    ds = world.open(["t_2m", "tot_prec", "vmax_10m"])
    assert ds.t_2m.attrs["standard_name"] == "air_temperature"
    assert (ds.t_2m.attrs["units"], ds.t_2m.attrs["GRIB_shortName"]) == ("K", "2t")
    numbers = [
        ds.t_2m.attrs[f"GRIB_{name}"] for name in ("discipline", "parameterCategory", "parameterNumber")
    ]
    assert numbers == [0, 0, 0]
    assert "cell_methods" not in ds.t_2m.attrs
    assert ds.tot_prec.attrs["cell_methods"] == "step: sum (comment: since the start of the run)"
    assert ds.vmax_10m.attrs["cell_methods"].startswith("step: maximum")
    assert ds.attrs["licence"] == "Deutscher Wetterdienst, CC BY 4.0"
    assert ds.attrs["history"] == "values as published by Deutscher Wetterdienst"


def test_files_that_were_made_here_are_named_as_changed(world):
    source = f"{archive_path(native('t_2m', 0))}#0123456789ab"
    world.keep(regular("t_2m", 0), made_from=(source,), notes=("regridded here: nearest cell",))
    world.keep(regular("t_2m", 60))
    history = world.open().attrs["history"]
    assert history.startswith("1 of 2 files: regridded here: nearest cell; values otherwise as published")


@pytest.mark.parametrize(("grid", "positions_read"), [("regular", 0), ("icosahedral", 2)])
def test_opening_a_run_of_49_steps_decodes_no_field_and_reading_a_step_decodes_one(
    world, asked, monkeypatch, grid, positions_read
):
    world.keep(*positions(), *(native("t_2m", step, grid=grid) for step in HOURS))
    read: list[str] = []
    get = PosixStore.get
    monkeypatch.setattr(PosixStore, "get", lambda self, key: read.append(key) or get(self, key))
    ds = world.open()
    assert ds.sizes["step"] == 49
    assert asked == Counter(NAMES=1, VALUES=positions_read)
    assert len([key for key in read if "/t_2m/" in key]) == 3
    asked.clear()
    world.open()
    assert asked == Counter(NAMES=1), "positions are decoded once in a process"
    asked.clear()
    read.clear()
    ds.t_2m.sel(step=np.timedelta64(7, "h")).load()
    assert (asked, read) == (Counter(VALUES=1), [archive_path(native("t_2m", 420, grid=grid))])
    asked.clear()
    ds.t_2m.isel(step=[3, 30], **{ds.t_2m.dims[-1]: 5}).load()
    assert asked == Counter(VALUES=2)


INDEXERS = [
    {"step": 1},
    {"step": -1, "latitude": 4},
    {"step": slice(None, None, -2), "latitude": slice(2, 7, 2)},
    {"step": [2, 0], "latitude": [8, 1, 1], "longitude": slice(3, 3)},
    {"latitude": 0, "longitude": [5, 2]},
    {"step": slice(0, 0)},
    {"latitude": xr.DataArray([1, 2, 3], dims="way"), "longitude": xr.DataArray([4, 4, 0], dims="way")},
    {"step": xr.DataArray([2, 0], dims="way"), "longitude": xr.DataArray([12, 1], dims="way")},
]


@pytest.mark.parametrize("indexer", INDEXERS, ids=str)
def test_any_index_gives_what_numpy_gives_of_the_whole(world, indexer):
    world.keep(*(regular("t_2m", step) for step in (0, 60, 120)))
    whole = world.open().t_2m.load()
    part = world.open().t_2m.isel(indexer)
    xr.testing.assert_identical(part.load(), whole.isel(indexer))


def test_a_missing_step_is_nan_and_named(world):
    world.keep(*(regular("t_2m", step) for step in (0, 120)))
    missing, late = archive_path(regular("t_2m", 60)), archive_path(regular("t_2m", 180))
    failed = {missing: Failed("cut: 7 bytes", AT)}
    world.change(
        missing=(late, missing), failed=failed, deadline=AT + timedelta(days=9000), warnings=("odd",)
    )
    ds = world.open()
    assert np.isnan(ds.t_2m.values).all(axis=(1, 2)).tolist() == [False, True, False, True]
    assert ds.t_2m.attrs["missing_steps"] == "PT001H00M PT003H00M"
    assert ds.t_2m.attrs["missing_files"].split("\n") == [missing, late]
    assert (ds.attrs["state"], ds.attrs["warnings"]) == ("partial", "odd")
    assert ds.attrs["failed_files"] == f"{missing}: cut: 7 bytes"


def test_steps_that_another_variable_alone_has_are_named_as_absent_and_not_as_missing(world):
    world.keep(
        *positions(), native("t_2m", 0), native("t_2m", 60), native("hsurf", level_type="time-invariant")
    )
    world.keep(*(native("tot_prec", step) for step in (0, 15, 30, 45, 60)))
    ds = world.open(["t_2m", "tot_prec", "hsurf"])
    assert np.isnan(ds.t_2m.values).all(axis=1).tolist() == [False, True, True, True, False]
    assert not np.isnan(ds.tot_prec.values).any()
    assert (ds.t_2m.attrs["missing_steps"], ds.t_2m.attrs["absent_steps"]) == (
        "",
        "PT000H15M PT000H30M PT000H45M",
    )
    assert ds.hsurf.dims == ("cell",)
    assert not np.isnan(ds.hsurf.values).any()


@pytest.mark.parametrize("made_here", [False, True])
def test_a_file_with_the_quarters_of_an_hour_is_four_steps(world, tmp_path, asked, made_here):
    quarters = [[regular("tot_prec", hour + step) for step in (0, 15, 30, 45)] for hour in (0, 60)]
    for hour in quarters:
        sources = tuple(f"{archive_path(replace(key, grid='icosahedral'))}#0123456789ab" for key in hour)
        world.keep(
            hour[0], data=b"".join(map(written, hour)), **({"made_from": sources} if made_here else {})
        )
    ds = world.open("tot_prec")
    expected = by_eccodes(tmp_path, *(written(key) for hour in quarters for key in hour))
    np.testing.assert_array_equal(ds.tot_prec.values, expected.reshape(ds.tot_prec.shape))
    asked.clear()
    ds = world.open("tot_prec").isel(step=5).load()
    assert asked == Counter(NAMES=1, VALUES=1)
    assert ds.step.values == np.timedelta64(75, "m")


def test_levels_are_an_axis_and_a_single_one_is_a_coordinate(world, tmp_path):
    keys = [native("u", step, level) for step in (0, 60) for level in (500, 850)]
    world.keep(*positions(), *keys)
    ds = world.open("u")
    assert ds.u.dims == ("step", "level", "cell")
    assert ds.level.values.tolist() == [500, 850]
    assert ds.level.attrs["units"] == "hPa"
    np.testing.assert_array_equal(ds.u.values, by_eccodes(tmp_path, *map(written, keys)).reshape(2, 2, -1))
    one = world.open("u", level=850)
    assert one.u.dims == ("step", "cell")
    assert one.level.item() == 850
    np.testing.assert_array_equal(one.u.values, ds.u.sel(level=850).values)
    assert world.open("u", level=[850]).u.sizes["level"] == 1


def test_soil_levels_have_their_depth_beside_the_number(world):
    world.keep(*positions(), *(native("t_so", 0, level, level_type="soil") for level in (5, 2, 54)))
    ds = world.open("t_so")
    assert dict(zip(ds.level.values.tolist(), ds.depth.values.tolist(), strict=True)) == {
        2: 0.02,
        5: 0.005,
        54: 0.54,
    }


def with_member(grib: bytes, member: int) -> bytes:
    """The message with product definition template 4.1 in place of 4.0, written by eccodes."""
    return bytes.fromhex(in_child(AS_MEMBER, grib.hex(), member).strip())


AS_MEMBER = """
import sys
import eccodes as ec
handle = ec.codes_new_from_message(bytes.fromhex(sys.argv[1]))
ec.codes_set(handle, "productDefinitionTemplateNumber", 1)
ec.codes_set(handle, "perturbationNumber", int(sys.argv[2]))
print(ec.codes_get_message(handle).hex())
"""


@pytest.mark.parametrize("in_one_file", [False, True])
def test_members_are_an_axis_also_where_one_file_has_all(world, tmp_path, in_one_file):
    eps = [replace(key, model="icon-d2-eps") for key in positions()]
    world.keep(*eps[:1], data=written(positions()[0]))
    world.keep(*eps[1:], data=written(positions()[1]))
    gribs = {}
    for step in (0, 60):
        for member in (1, 2):
            plain = WRITER.grib(native("t_2m", step + 120 * member), "ccsds", 0)  # other values for each
            plain = in_step(plain, step)
            gribs[step, member] = with_member(plain, member)
    for step in (0, 60):
        key = native("t_2m", step, model="icon-d2-eps")
        if in_one_file:
            world.keep(key, data=gribs[step, 1] + gribs[step, 2])
        else:
            for member in (1, 2):
                world.keep(replace(key, member=member), data=gribs[step, member])
    ds = world.open(model="icon-d2-eps")
    assert ds.t_2m.dims == ("step", "number", "cell")
    expected = by_eccodes(tmp_path, *gribs.values()).reshape(2, 2, -1)
    assert len(np.unique(expected[:, :, 0])) == 4
    np.testing.assert_array_equal(ds.t_2m.values, expected)
    np.testing.assert_array_equal(world.open(model="icon-d2-eps", member=2).t_2m.values, expected[:, 1])
    with pytest.raises(ValueError, match=r"member.* 7.*there are 1, 2|all members \[2, 7\] .*there are 1, 2"):
        world.open(model="icon-d2-eps", member=[2, 7])


def in_step(grib: bytes, step: int) -> bytes:
    return bytes.fromhex(in_child(AS_STEP, grib.hex(), step).strip())


AS_STEP = """
import sys
import eccodes as ec
handle = ec.codes_new_from_message(bytes.fromhex(sys.argv[1]))
ec.codes_set(handle, "forecastTime", int(sys.argv[2]))
print(ec.codes_get_message(handle).hex())
"""


def test_the_run_is_found_in_any_spelling_and_latest_is_the_newest_complete(world):
    hours = [RUN - timedelta(hours=3), RUN, RUN + timedelta(hours=3)]
    world.keep(*(regular("t_2m", run=run) for run in hours))
    newest = f"{hours[2]:%Y%m%d%H}"
    missing = (archive_path(regular("t_2m", 60, run=hours[2])),)
    ledger.update(
        world.store, "icon-d2", newest, lambda known: msgspec.structs.replace(known, missing=missing)
    )
    for run in (
        "latest",
        PERIOD,
        int(PERIOD),
        "2026-11-30T06:00Z",
        "2026-11-30 06",
        RUN,
        np.datetime64("2026-11-30T06", "ns"),
    ):
        assert world.open(run=run).time.values == np.datetime64("2026-11-30T06:00")
    assert world.open(run=newest).attrs["title"] == "ICON-D2, run of 2026-11-30T09:00Z"


def test_without_a_complete_run_latest_names_those_that_there_are(world):
    world.keep(regular("t_2m"))
    world.change(expects_more=True, deadline=AT + timedelta(days=9000))
    with pytest.raises(ValueError, match=r"no run of icon-d2 is complete; .* 2026113006 \(partial\)"):
        world.open(run="latest")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"parameter": "t_2n"}, r"icon-d2 2026113006 has no parameter 't_2n'; similar: t_2m"),
        ({"parameter": []}, r"parameter= is empty; icon-d2 2026113006 has hsurf, t_2m, u"),
        (
            {"run": "2026113007"},
            r"no run 2026113007 of icon-d2; the nearest are 2026113006, the newest is 2026113006",
        ),
        ({"run": "yesterday"}, r"run='yesterday' is not a whole hour in UTC, e.g. 2026113006"),
        ({"run": "2026-11-30"}, r"is not a whole hour"),
        (
            {"model": "icon-d3"},
            r"no run 2026113006 of icon-d3; it has no runs of 'icon-d3'; similar: icon-d2",
        ),
        ({"model": "icon-d3", "run": "latest"}, r"no runs of 'icon-d3'; similar: icon-d2"),
        (
            {"parameter": "u", "level": 900},
            r"icon-d2 2026113006: u at pressure levels: no level 900; there are 500, 850",
        ),
        ({"level": 2}, r"t_2m at single levels: there is one level alone"),
        (
            {"level_type": "presure"},
            r"level_type='presure' is not valid; allowed: single, .*did you mean 'pressure'",
        ),
        ({"level_type": "pressure"}, r"t_2m has no level_type='pressure'; it has single"),
        ({"grid": "icosahedral"}, r"t_2m not on the icosahedral grid"),
        ({"grid": "regula"}, r"grid='regula' is not valid; .*did you mean 'regular'"),
        ({"parameter": ["t_2m", "u"]}, r"no grid has all of t_2m, u"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_what_is(world, options, told):
    world.keep(regular("t_2m"), *(native("u", 0, level) for level in (500, 850)))
    world.keep(native("hsurf", level_type="time-invariant"))
    with pytest.raises(ValueError, match=told):
        world.open(**({"parameter": "t_2m"} | options))


def test_a_folder_that_does_not_exist_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        xr.open_dataset(str(tmp_path / "nowhere"), engine=DwdBackendEntrypoint, parameter="t_2m")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("damaged", "checksum|LZ4|damaged"),
        ("gone", "not in the store"),
        ("replaced", "another content than the ledger"),
    ],
)
def test_a_file_that_is_not_what_the_ledger_says_is_an_error_that_names_it_and_others_are_read(
    world, fault, told
):
    world.keep(*(regular("t_2m", step) for step in HOURS))
    ds = world.open()
    path = archive_path(regular("t_2m", 600))
    whole = world.store.get(path).data
    if fault == "gone":
        world.store.delete([path])
    else:
        other = Content.packed(written(regular("t_2m", 660))).stored
        world.store.put(
            path, whole[:-60] + bytes([whole[-60] ^ 1]) + whole[-59:] if fault == "damaged" else other
        )
    with pytest.raises(FormatError, match=rf"{path}: .*({told})"):
        ds.t_2m.isel(step=10).load()
    assert not np.isnan(ds.t_2m.isel(step=11).values).all()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            lambda: written(regular("t_2m", 180)),
            r"message 1 is Slot\(step_minutes=180.*should be Slot\(step_minutes=120",
        ),
        (lambda: written(regular("t_2m", 120)) * 2, "has 2 messages, 1 were expected"),
        (
            lambda: FieldWriter(5, Catalogue(columns=5, rows=7)).grib(regular("t_2m", 120), "simple", 0),
            "on another grid",
        ),
        (lambda: written(native("t_2m", 120)), "on another grid"),
    ],
    ids=["other step", "two messages", "other size", "triangles"],
)
def test_a_file_with_another_field_than_its_place_is_an_error(world, data, told):
    world.keep(*(regular("t_2m", step) for step in (0, 60, 180)))
    world.keep(regular("t_2m", 120), data=data())
    ds = world.open()
    with pytest.raises(FormatError, match=told):
        ds.t_2m.load()
    assert ds.t_2m.isel(step=[0, 1, 3]).load().notnull().any()


OTHER_GRID = b"other grid of 16"


def test_positions_of_another_grid_are_not_used_and_those_of_another_run_are(world):
    wrong = [written(key).replace(b"simulated cells.", OTHER_GRID) for key in positions()]
    for key, data in zip(positions(), wrong, strict=True):
        world.keep(key, data=data)
    world.keep(native("t_2m"))
    with pytest.raises(
        FormatError,
        match=f"CLAT and CLON of grid .*{b'simulated cells.'.hex()}.*those kept are of grid .*{OTHER_GRID.hex()}",
    ):
        world.open()
    world.keep(*positions(RUN - timedelta(hours=6)))
    assert world.open().sizes["cell"] == ROWS * COLUMNS


def test_without_positions_triangles_are_an_error_that_says_so(world):
    world.keep(native("t_2m"))
    with pytest.raises(
        FormatError, match=r"icon-d2 2026113006: CLAT and CLON of grid .* are needed.*none are kept"
    ):
        world.open()


def test_a_cube_goes_through_netcdf_unchanged(world, tmp_path):
    world.keep(*positions(), *(native("u", step, level) for step in (0, 60) for level in (500, 850)))
    world.change(missing=(archive_path(native("u", 120, 500)),))
    ds = world.open("u")
    ds.to_netcdf(tmp_path / "cube.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "cube.nc", engine="netcdf4", decode_timedelta=True) as read:
        xr.testing.assert_allclose(read.load(), ds.load())
        assert read.attrs["state"] == ds.attrs["state"]


def test_dask_has_a_chunk_a_field_and_computes_the_same(world):
    pytest.importorskip("dask")
    world.keep(*positions(), *(native("u", step, level) for step in (0, 60, 120) for level in (500, 850)))
    ds = world.open("u", chunks={})
    assert ds.u.chunks == ((1, 1, 1), (1, 1), (ROWS * COLUMNS,))
    np.testing.assert_array_equal(ds.u.mean("step").values, world.open("u").u.load().mean("step").values)


CHILD = """
import pickle, sys
import numpy as np
ds = pickle.load(sys.stdin.buffer)
np.save(sys.stdout.buffer, ds.t_2m.values)
"""


def test_an_opened_cube_can_be_read_in_other_processes_forked_or_not(world):
    world.keep(*(regular("t_2m", step) for step in (0, 60)))
    ds = world.open(cache=False)
    expected = ds.t_2m.values
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps(ds),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    (Path(world.location).parent / "read.npy").write_bytes(child.stdout)
    np.testing.assert_array_equal(np.load(Path(world.location).parent / "read.npy"), expected)
    context = get_context("fork")
    queue = context.SimpleQueue()
    forked = context.Process(target=lambda: queue.put(ds.t_2m.values))
    forked.start()
    np.testing.assert_array_equal(ds.t_2m.values, expected)
    np.testing.assert_array_equal(queue.get(), expected)
    forked.join(60)
    assert forked.exitcode == 0


ENGINE = """
import importlib.metadata as metadata, json, sys
(found,) = metadata.entry_points(group="xarray.backends", name="dwd")
import pyproj  # before eccodes: xarray loads all engines, cfgrib's before those that import pyproj, and crashes then
import xarray as xr
import dwd_assets
print(json.dumps([found.value, dwd_assets.__file__, "dwd" in xr.backends.list_engines()]))
ds = xr.open_dataset(sys.argv[1], engine="dwd", parameter="t_2m", run="2026113006")
assert ds.sizes["step"] == 1 and ds.t_2m.notnull().any()
"""


def engine_found(location: str, *path: Path) -> Path:
    """Open an archive by the engine's name in a process that has these folders first on its path; where the code is."""
    paths = os.pathsep.join(map(str, path))
    command = [sys.executable, "-P", "-c", ENGINE, location]
    child = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=path[0],
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert child.returncode == 0, child.stderr
    value, file, is_listed = json.loads(child.stdout)
    assert value == "dwd_assets.cube.backend:DwdBackendEntrypoint"
    assert is_listed
    return Path(file)


def test_xarray_lists_the_engine_that_the_project_declares(world, tmp_path):
    world.keep(regular("t_2m"))
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["entry-points"]
    info = tmp_path / "declared" / "radar_forecast_backend-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: radar-forecast-backend\nVersion: 0.1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in declared["xarray.backends"].items())
    (info / "entry_points.txt").write_text(f"[xarray.backends]\n{lines}")
    engine_found(world.location, tmp_path / "declared", REPOSITORY)


@pytest.mark.skipif(
    int(metadata.version("setuptools").partition(".")[0]) < 77,
    reason="PACKAGE TOO OLD: setuptools, 77 builds wheels",
)
def test_an_installed_wheel_has_the_engine(world, tmp_path):
    world.keep(regular("t_2m"))
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for name in ("bzip2", "store", "orchestration", "dwd_assets"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.md"):
        shutil.copy(REPOSITORY / name, source)
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", *options, "--wheel-dir", tmp_path / "wheels", source], check=True)
    (wheel,) = (tmp_path / "wheels").iterdir()
    subprocess.run([*pip, "install", *options, "--target", site, wheel], check=True)
    assert engine_found(world.location, site).is_relative_to(site)
