"""Runs on the regular grid: which files are made of what is kept, what they hold, and what they never replace."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from dwd_assets.archive.storing import Archive, BelowFloor, Content, plain_of
from dwd_assets.fields.regular_grid import outlook, regrid_run
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.sections import split
from dwd_assets.formats.grib.structure import scan
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.paths import archive_path, version_path
from dwd_assets.formats.target_grids import TARGET_GRIDS
from dwd_assets.kinds.table import RegularLooks, collections
from dwd_assets.opendata.client import Client
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import Done, Recorder
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.catalogue import Catalogue, Parameter, every
from dwd_assets.simulator.fields import FieldWriter
from store.dwd import ledger
from store.dwd.ledger import Kept, Source
from tests.dwd_assets.fields.model_world import remember
from tests.dwd_assets.formats.grib.grid_cells import (
    CELLS,
    cell_centres,
    cells_around,
    great_circle_km,
    in_child,
    needs_cfgrib,
    needs_eccodes,
)
from tests.dwd_assets.formats.grib.test_worker import (
    CCSDS,
    CFGRIB,
    REGULAR,
    eccodes_keys,
    eccodes_values,
    written,
)
from tests.samples import needs_samples

pytestmark = needs_eccodes

RUN = datetime(2026, 9, 16, 12, tzinfo=UTC)
PERIOD = "2026091612"
EARLIER = RUN - timedelta(hours=6)
AT = datetime(2026, 9, 16, 14, tzinfo=UTC)
QUARTERS = (0, 15, 30, 45)
WRITER = FieldWriter(5, Catalogue(columns=244, rows=150))
"""A cell each tenth of a degree: one point in about twenty has one in reach."""


def native(parameter: str, step_minutes: int = 0, run: datetime = RUN, level_type="single") -> FieldKey:
    return FieldKey("icon-d2", run, parameter, level_type, None, step_minutes, None, "icosahedral")


def regular(parameter: str, step_minutes: int = 0, level_type="single") -> str:
    return archive_path(replace(native(parameter, step_minutes, RUN, level_type), grid="regular"))


def constant(parameter: str, run: datetime = RUN) -> FieldKey:
    return native(parameter, 0, run, "time-invariant")


POSITIONS = (constant("clat"), constant("clon"))


@dataclass
class World:
    """An archive, and what is done with it."""

    office: Office
    now: datetime = AT
    model: str = "icon-d2"
    lines: list[str] = field(default_factory=list)

    def keep(self, key: FieldKey, data: bytes | None = None, revision: int = 0) -> Kept:
        """Keep a field as if it had been fetched."""
        grib = WRITER.grib(key, "ccsds", revision) if data is None else data
        path, period = archive_path(key), f"{key.run:%Y%m%d%H}"
        source = Source("http://x/", AT, len(grib), "0" * 64, modified=AT + timedelta(minutes=revision))
        before = self.ledger(period).kept.get(path)
        kept = self.office.archive.keep(path, Content.packed(grib), source, before, AT)
        self.tell(path, kept, period)
        return kept

    def keep_all(self, *keys: FieldKey) -> None:
        for key in keys:
            self.keep(key)

    def tell(self, path: str, kept: Kept, period: str = PERIOD) -> None:
        with Recorder(self.office.store, self.model, period) as recorder:
            recorder.kept(path, kept)

    def change(self, change: Callable[[ledger.Ledger], ledger.Ledger]) -> None:
        ledger.update(self.office.store, self.model, PERIOD, change)

    def ledger(self, period: str = PERIOD) -> ledger.Ledger:
        return ledger.read(self.office.store, self.model, period)

    def content(self, path: str) -> bytes:
        return plain_of(path, self.office.store.get(path).data)

    def regrid(self) -> Done:
        return regrid_run(self.office, self.model, RUN, self.lines.append)

    def made(self) -> set[str]:
        return {path for path, kept in self.ledger().kept.items() if kept.made_from}


STEPS = Catalogue(
    parameters=(
        *(Parameter(name, steps=every(60, 48)) for name in ("t_2m", "td_2m", "u_10m", "v_10m", "relhum_2m")),
        Parameter("tot_prec", steps=every(15, 48)),
    )
)
"""What runs of every hour had before."""


@pytest.fixture(scope="module")
def worker():
    with GribWorker() as one:
        yield one


@pytest.fixture(scope="module")
def geometry(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("geometry")


@pytest.fixture
def new_world(worker, geometry):
    with Client("http://127.0.0.1:9") as client:

        def new(on, **changed) -> World:
            settings = DwdSettings(_env_file=None, geometry_cache=geometry, fields_retry_minutes=5, **changed)
            world = World(Office(settings, Archive(on), client, lambda: world.now, worker))
            for model in ("icon-d2", "icon-eu"):
                remember(on, replace(STEPS, model=model))
            return world

        yield new


@pytest.fixture
def world(new_world, local_store) -> World:
    return new_world(local_store)


def steps(data: bytes) -> list[int | None]:
    return [message.step_minutes for message in scan(data, "made")]


def test_every_single_level_field_gets_its_regular_file_and_nothing_else_does(new_world, store):
    world = new_world(store)
    world.keep_all(*POSITIONS, constant("hsurf"), native("t_2m", 0), native("t_2m", 60))
    world.keep_all(*(native("tot_prec", minutes) for minutes in (*QUARTERS, 60, 75, 90, 105, 120)))
    world.keep(replace(native("u"), level_type="pressure", level=850))
    done = world.regrid()
    made = {
        *(regular("t_2m", 0), regular("t_2m", 60), regular("tot_prec", 0), regular("tot_prec", 60)),
        regular("hsurf", 0, "time-invariant"),
    }
    assert (done.fetched, done.failed, world.made()) == (5, {}, made)
    assert steps(world.content(regular("tot_prec", 60))) == [60, 75, 90, 105]
    assert world.ledger().missing == ()
    assert done.summary == ledger.summary(world.ledger())


def test_what_is_made_says_of_what_and_how(world):
    lat, lon, warm = world.keep(POSITIONS[0]), world.keep(POSITIONS[1]), world.keep(native("t_2m"))
    world.regrid()
    kept = world.ledger().kept[regular("t_2m")]
    assert kept.source is None
    assert kept.made_from == (f"{archive_path(native('t_2m'))}#{warm.sha256[:12]}",)
    (note,) = kept.notes
    assert note == (
        f"regridded here: nearest cell of CLAT {lat.sha256[:12]} and CLON {lon.sha256[:12]},"
        f" grid 47.1, UUID {b'simulated cells.'.hex()}, 36600 cells"
    )
    assert kept.size == len(world.content(regular("t_2m")))


def test_a_second_pass_makes_nothing_and_writes_nothing(world):
    world.keep_all(*POSITIONS, native("t_2m"), native("tot_prec", 0))
    world.regrid()
    before = {info.key: info.etag for info in world.office.store.list("")}
    done = world.regrid()
    assert (done.fetched, done.summary.revision) == (0, world.ledger().revision)
    assert {info.key: info.etag for info in world.office.store.list("")} == before


@pytest.mark.parametrize("late", QUARTERS)
def test_an_hour_waits_for_each_of_its_quarters_and_has_them_in_order(world, late):
    world.keep_all(*POSITIONS, *(native("tot_prec", minutes) for minutes in QUARTERS if minutes != late))
    assert world.regrid().fetched == 0
    world.keep(native("tot_prec", late))
    assert world.regrid().fetched == 1
    assert steps(world.content(regular("tot_prec"))) == list(QUARTERS)


def test_an_hour_waits_for_steps_that_only_the_servers_listing_told_of(world):
    world.keep_all(*POSITIONS, native("t_2m", 60))
    finer = archive_path(native("t_2m", 90))
    world.change(lambda known: msgspec.structs.replace(known, missing=(finer,)))
    assert world.regrid().fetched == 0
    world.keep(native("t_2m", 90))
    world.regrid()
    assert steps(world.content(regular("t_2m", 60))) == [60, 90]


def test_a_file_of_the_server_is_never_replaced_by_a_made_one(world):
    world.keep_all(*POSITIONS, native("t_2m", 0), native("t_2m", 60))
    real = WRITER.grib(replace(native("t_2m"), grid="regular"), "simple", 0)
    world.keep(replace(native("t_2m"), grid="regular"), real)
    assert world.regrid().fetched == 1
    assert world.content(regular("t_2m")) == real
    world.keep(native("t_2m"), revision=1)
    assert world.regrid().fetched == 0
    assert world.content(regular("t_2m")) == real


def test_a_file_that_is_expected_of_the_server_is_made_only_when_it_can_come_no_more(world):
    world.keep_all(*POSITIONS, native("t_2m", 0), native("t_2m", 60))
    awaited, deadline = (regular("t_2m", 60),), AT + timedelta(hours=22)
    world.change(lambda known: msgspec.structs.replace(known, missing=awaited, deadline=deadline))
    world.regrid()
    assert world.made() == {regular("t_2m", 0)}
    world.now = deadline
    world.regrid()
    assert world.made() == {regular("t_2m", 0), regular("t_2m", 60)}
    assert world.ledger().missing == ()


def test_a_file_of_the_server_that_comes_later_takes_the_place_and_the_made_one_is_kept_beside(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    world.regrid()
    path, made = regular("t_2m"), world.ledger().kept[regular("t_2m")]
    regridded = world.content(path)
    real = WRITER.grib(replace(native("t_2m"), grid="regular"), "simple", 0)
    kept = world.keep(replace(native("t_2m"), grid="regular"), real)
    assert (kept.made_from, kept.notes, kept.source is None) == ((), (), False)
    assert [earlier.sha256 for earlier in kept.earlier] == [made.sha256]
    assert world.content(path) == real
    assert plain_of(path, world.office.store.get(version_path(path, made.sha256)).data) == regridded
    assert world.regrid().fetched == 0
    assert world.content(path) == real


def test_a_field_that_changed_is_regridded_again_and_the_earlier_result_is_kept_beside(world):
    world.keep_all(*POSITIONS, native("t_2m"), native("t_2m", 60))
    world.regrid()
    path, first = regular("t_2m"), world.ledger().kept[regular("t_2m")]
    world.keep(native("t_2m"), revision=1)
    done = world.regrid()
    assert (done.fetched, done.changed) == (1, 1)
    kept = world.ledger().kept[path]
    assert kept.sha256 != first.sha256
    assert [earlier.sha256 for earlier in kept.earlier] == [first.sha256]
    world.office.store.head(version_path(path, first.sha256))


def test_other_cells_of_the_same_run_make_the_files_anew(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    world.regrid()
    before = world.ledger().kept[regular("t_2m")]
    turned = replace(WRITER, catalogue=replace(WRITER.catalogue, columns=150, rows=244))
    world.keep_all(POSITIONS[1])
    for key in POSITIONS:
        world.keep(key, turned.grib(key, "ccsds", 0))
    assert world.regrid().changed == 1
    assert world.ledger().kept[regular("t_2m")].sha256 != before.sha256


def test_a_file_that_the_ledger_does_not_know_is_left_as_it_is(world):
    world.keep_all(*POSITIONS, native("t_2m"), native("t_2m", 60))
    real = Content.packed(WRITER.grib(replace(native("t_2m"), grid="regular"), "simple", 0))
    world.office.store.put(regular("t_2m"), real.stored)
    done = world.regrid()
    assert done.fetched == 1
    assert "left as it is" in done.failed[regular("t_2m")]
    assert world.office.store.get(regular("t_2m")).data == real.stored


def test_a_file_stored_before_a_kill_is_taken_into_the_ledger(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    world.regrid()
    made = world.ledger().kept
    forgotten = {path: kept for path, kept in made.items() if not kept.made_from}
    world.change(lambda known: msgspec.structs.replace(known, kept=forgotten))
    assert world.regrid().failed == {}
    assert world.ledger().kept == made


def test_cells_of_the_nearest_run_serve_where_the_run_has_none(world):
    world.keep_all(*(constant(name, run) for name in ("clat", "clon") for run in (EARLIER,)))
    world.keep(constant("clat", RUN - timedelta(hours=3)))
    world.keep(native("t_2m"))
    assert world.regrid().fetched == 1


def test_a_constant_that_only_the_ledger_names_is_read_where_it_is_held(world):
    world.keep_all(*(constant(name, EARLIER) for name in ("clat", "clon", "hsurf")))
    for name in ("clat", "clon", "hsurf"):
        held_at = archive_path(constant(name, EARLIER))
        kept = world.ledger(f"{EARLIER:%Y%m%d%H}").kept[held_at]
        world.tell(archive_path(constant(name)), msgspec.structs.replace(kept, held_at=held_at))
    assert world.regrid().fetched == 1
    assert world.made() == {regular("hsurf", 0, "time-invariant")}


def test_without_cells_nothing_is_made_and_their_grid_is_named(world):
    world.keep_all(native("t_2m"), native("t_2m", 60), POSITIONS[0])
    done = world.regrid()
    told = f"icon-d2 {PERIOD}: CLAT and CLON of grid 47.1, UUID {b'simulated cells.'.hex()}, 36600 cells are needed"
    assert (done.fetched, list(done.failed)) == (0, [regular("t_2m"), regular("t_2m", 60)])
    assert all(reason.startswith(told) for reason in done.failed.values())
    assert len([line for line in world.lines if line.startswith(told)]) == 1
    assert world.ledger().failed == {}, "it is no fault of the fields"
    assert outlook(world.office, world.ledger()).reasons == (done.failed[regular("t_2m")],)


def test_cells_that_are_not_near_the_grid_are_named_and_make_no_empty_files(world):
    world.keep_all(POSITIONS[1], native("t_2m"))
    world.keep(POSITIONS[0], WRITER.grib(POSITIONS[1], "ccsds", 0))
    done = world.regrid()
    assert "no cell is near the grid" in done.failed[regular("t_2m")]
    assert done.failed[regular("t_2m")].startswith(archive_path(POSITIONS[0]))
    assert world.made() == set()


OTHER = b"other cells of it"[:16]


def of_other_grid(data: bytes) -> bytes:
    """The same field of a grid with another UUID, and as many cells."""
    assert data.count(b"simulated cells.") == 1
    return data.replace(b"simulated cells.", OTHER)


def test_each_field_takes_the_positions_of_its_own_grid(world, tmp_path):
    turned = replace(WRITER, catalogue=replace(WRITER.catalogue, columns=150, rows=244))
    for key in (constant("clat", EARLIER), constant("clon", EARLIER)):
        world.keep(key, of_other_grid(turned.grib(key, "ccsds", 0)))
    world.keep_all(*POSITIONS, native("t_2m"))
    world.keep(native("td_2m"), of_other_grid(WRITER.grib(native("td_2m"), "ccsds", 0)))
    assert (world.regrid().failed, len(world.made())) == ({}, 2)
    for name, writer, uuid in (("t_2m", WRITER, b"simulated cells."), ("td_2m", turned, OTHER)):
        (note,) = world.ledger().kept[regular(name)].notes
        assert f"UUID {uuid.hex()}" in note
        files = [tmp_path / f"{each}.grib2" for each in ("made", "cells", "lat", "lon")]
        files[0].write_bytes(world.content(regular(name)))
        files[1].write_bytes(world.content(archive_path(native(name))))
        for file, key in zip(files[2:], POSITIONS, strict=True):
            file.write_bytes(writer.grib(key, "ccsds", 0))
        values, cells, lat, lon = (eccodes_values(file, tmp_path)[0] for file in files)
        assert_nearest(values, cells, lat, lon, TARGET_GRIDS["icon-d2"])
    assert world.regrid().fetched == 0


def assert_nearest(values, cells, lat, lon, grid, some: int = 25) -> None:
    """Some of the points that have a value have that of the cell at the least great-circle distance."""
    points = np.flatnonzero(~np.isnan(values))
    for point in np.random.default_rng(3).choice(points, some):
        at = divmod(int(point), grid.columns)
        at_lat, at_lon = (
            (grid.first_lat + grid.lat_step * at[0]) / 1e6,
            (grid.first_lon + grid.lon_step * at[1]) / 1e6,
        )
        away = great_circle_km(at_lat, at_lon, lat, lon)
        assert values[point] in cells[away <= away.min() + 1e-4]


def test_positions_of_another_grid_are_never_used(world):
    for key in POSITIONS:
        world.keep(key, of_other_grid(WRITER.grib(key, "ccsds", 0)))
    world.keep(native("t_2m"))
    (reason,) = world.regrid().failed.values()
    assert f"CLAT and CLON of grid 47.1, UUID {b'simulated cells.'.hex()}" in reason
    assert f"those kept are of grid 47.1, UUID {OTHER.hex()}" in reason
    world.keep(constant("clat", EARLIER))
    world.keep(constant("clon", EARLIER))
    assert world.regrid().fetched == 1


def test_icon_eu_is_made_on_its_own_grid_under_its_old_names(new_world, local_store, tmp_path):
    world = new_world(local_store)
    world.model = "icon-eu"
    keys = [replace(key, model="icon-eu") for key in (*POSITIONS, native("t_2m", 180), constant("hsurf"))]
    world.keep_all(*keys)
    assert world.regrid().failed == {}
    folder = f"weather/icon-eu/grib/{PERIOD}"
    made = f"{folder}/t_2m/icon-eu_europe_regular-lat-lon_single-level_{PERIOD}_003_T_2M.grib2.lz4"
    assert world.made() == {
        made,
        f"{folder}/hsurf/icon-eu_europe_regular-lat-lon_time-invariant_{PERIOD}_HSURF.grib2.lz4",
    }
    files = [tmp_path / f"{each}.grib2" for each in ("made", "cells", "lat", "lon")]
    for file, path in zip(files, (made, *map(archive_path, (keys[2], keys[0], keys[1]))), strict=True):
        file.write_bytes(world.content(path))
    values, cells, lat, lon = (eccodes_values(file, tmp_path)[0] for file in files)
    assert values.size == 1097 * 657
    assert_nearest(values, cells, lat, lon, TARGET_GRIDS["icon-eu"])


def test_a_model_without_a_regular_grid_is_refused_with_those_that_have_one(world):
    with pytest.raises(ValueError, match="'icon-eps' has no regular grid; allowed: icon-d2, icon-eu"):
        regrid_run(world.office, "icon-eps", RUN, world.lines.append)


def reasons(world: World) -> tuple[str, ...]:
    """Why files are not made, which is logged too."""
    world.lines.clear()
    given = world.regrid().reasons
    assert [line.partition(" on the regular grid: ")[2] for line in world.lines if ": " in line][
        -len(given) :
    ] == [*given]
    return given


def test_what_waits_is_named_with_what_it_waits_for(world):
    world.keep_all(*POSITIONS, native("tot_prec", 0), native("tot_prec", 30), native("t_2m", 0))
    world.change(lambda known: msgspec.structs.replace(known, missing=(archive_path(native("t_2m", 60)),)))
    waiting = "tot_prec of hour 000 waits for 000:15 000:45; t_2m of hour 001 waits for 001:00"
    assert reasons(world) == (f"hours that wait for fields (2): {waiting}",)


def test_the_servers_own_files_are_the_reason_why_none_are_made(world):
    world.keep_all(*POSITIONS, native("t_2m"), native("tot_prec", 15))
    for name in ("t_2m", "tot_prec"):
        key = replace(native(name), grid="regular")
        world.keep(key, WRITER.grib(key, "simple", 0))
    assert reasons(world) == (f"files of the server's own (2): {regular('t_2m')}; {regular('tot_prec')}",)


def test_files_that_the_server_may_still_have_are_waited_for_until_a_time(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    awaited, deadline = (regular("t_2m"),), AT + timedelta(hours=22)
    world.change(lambda known: msgspec.structs.replace(known, missing=awaited, deadline=deadline))
    assert reasons(world) == (
        f"files expected from the server until 2026-09-17T12:00Z (1): {regular('t_2m')}",
    )
    assert outlook(world.office, world.ledger()).again_at == deadline


def test_a_run_that_is_not_there_is_a_fault_that_says_so(world):
    done = world.regrid()
    told = f"no such run: the archive has no ledger of icon-d2 {PERIOD}"
    assert (done.failed, done.reasons) == ({f"icon-d2 {PERIOD}": told}, (told,))
    assert world.ledger().revision == 0, "and none is made"


def test_a_selection_without_fields_to_regrid_is_a_fault_that_says_so(new_world, local_store):
    world = new_world(local_store, fields="icon-d2/pressure/u")
    world.keep(replace(native("u"), level_type="pressure", level=850))
    assert reasons(world) == ("DWD_FIELDS selects no single-level or time-invariant fields of icon-d2",)
    world.office.settings.fields = ("icon-d2/single/t_2m",)
    assert reasons(world) == ("no single-level or time-invariant field on triangles is kept or expected",)


def test_when_all_is_made_that_is_said(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    assert world.regrid().reasons == ()
    world.lines.clear()
    assert world.regrid().reasons == ()
    assert world.lines == [f"icon-d2 {PERIOD} on the regular grid: all files are made"]


class Looks:
    """The looks of a sensor at the runs of a world."""

    def __init__(self, world: World) -> None:
        self.world, self.looks = world, RegularLooks(world.model)

    def due(self) -> list[str]:
        return [
            due.period for due in self.looks.due(self.world.office, self.world.now, self.world.lines.append)
        ]


def test_a_look_says_why_nothing_is_due(world):
    looks = Looks(world)
    assert (looks.due(), looks.looks.idle()) == ([], "no run of icon-d2 of the last 2 days is in the archive")
    world.keep_all(native("tot_prec", 0))
    assert looks.due() == []
    assert looks.looks.idle().startswith(
        f"{PERIOD}: hours that wait for fields (1): tot_prec of hour 000 waits for 000:15"
    )
    world.keep_all(*POSITIONS, *(native("tot_prec", minutes) for minutes in QUARTERS))
    assert looks.due() == [PERIOD]
    world.regrid()
    assert (looks.due(), looks.looks.idle()) == ([], "all fields on triangles are regridded")


def test_a_look_finds_what_failed_again_after_the_retry_minutes_and_positions_that_another_run_has_now(world):
    looks = Looks(world)
    world.keep(native("t_2m"))
    assert looks.due() == []
    assert "CLAT and CLON of grid 47.1" in looks.looks.idle()
    world.keep_all(constant("clat", EARLIER), constant("clon", EARLIER))
    assert looks.due() == [], "the run's own ledger has not changed"
    world.now += timedelta(minutes=5)
    assert looks.due() == [PERIOD]
    whole = world.office.store.get(archive_path(native("t_2m"))).data
    world.office.store.delete([archive_path(native("t_2m"))])
    world.regrid()
    assert looks.due() == []
    assert "files that failed and are tried again later (1): weather/icon-d2/" in looks.looks.idle()
    world.office.store.put(archive_path(native("t_2m")), whole)
    world.now += timedelta(minutes=5)
    assert looks.due() == [PERIOD]


def test_each_selected_model_with_a_regular_grid_has_a_collection(tmp_path):
    fields = "icon-d2/single/t_2m icon-eps/single/t_2m icon-eu/single/t_2m"
    made = [
        one
        for one in collections(DwdSettings(_env_file=None, fields=fields, regular_grid=True))
        if one.made_of
    ]
    assert [(one.name, one.asset, one.made_of) for one in made] == [
        ("icon-d2", "icon_d2_regular_files", "icon_d2_files"),
        ("icon-eu", "icon_eu_regular_files", "icon_eu_files"),
    ]
    assert "0.0625 degrees" in made[1].description
    off = collections(DwdSettings(_env_file=None, fields=fields))
    assert not [one for one in off if one.made_of]


@pytest.mark.parametrize("fields", ["icon-eps/single/t_2m", "none"])
def test_a_regular_grid_of_no_selected_model_is_a_wrong_setting(fields):
    with pytest.raises(
        ValueError, match="DWD_FIELDS selects no model that has a regular grid: icon-d2, icon-eu"
    ):
        DwdSettings(_env_file=None, fields=fields, regular_grid=True)


def damaged(stored: bytes) -> bytes:
    return stored[:-100] + bytes([stored[-100] ^ 1]) + stored[-99:]


@pytest.mark.parametrize("fault", ["damaged at rest", "gone", "another content"])
def test_a_source_that_is_not_what_the_ledger_says_costs_its_own_hour_alone(world, fault):
    world.keep_all(*POSITIONS, native("t_2m", 0), native("t_2m", 60), native("tot_prec", 60))
    path, files = archive_path(native("t_2m", 60)), world.office.store
    whole = files.get(path).data
    if fault == "gone":
        files.delete([path])
    else:
        other = Content.packed(WRITER.grib(native("t_2m", 120), "ccsds", 0)).stored
        files.put(path, damaged(whole) if fault == "damaged at rest" else other)
    done = world.regrid()
    assert world.made() == {regular("t_2m", 0)}
    assert list(done.failed) == list(world.ledger().failed) == [regular("t_2m", 60)]
    assert done.failed[regular("t_2m", 60)].startswith(path)
    files.put(path, whole)
    assert world.regrid().fetched == 0, "it failed just now"
    world.now += timedelta(minutes=5)
    assert world.regrid().fetched == 1
    assert world.ledger().failed == {}


def test_a_source_that_cannot_be_decoded_is_tried_again_as_soon_as_it_changed(world):
    whole = WRITER.grib(native("t_2m"), "ccsds", 0)
    ((_, parts),) = split(whole, "whole")
    at = whole.index(bytes(parts.representation)) + 9
    world.keep_all(*POSITIONS)
    world.keep(native("t_2m"), whole[:at] + b"\x27\x0f" + whole[at + 2 :])
    assert "cannot decode" in world.regrid().failed[regular("t_2m")]
    assert world.ledger().failed[regular("t_2m")].attempts == 1
    world.keep(native("t_2m"), revision=1)
    assert world.regrid().fetched == 1


def test_a_source_of_another_step_than_its_name_says_is_refused(world):
    world.keep_all(*POSITIONS)
    world.keep(native("t_2m", 60), WRITER.grib(native("t_2m", 120), "ccsds", 0))
    assert "[120] after the run, should have [60]" in world.regrid().failed[regular("t_2m", 60)]
    assert world.made() == set()


def test_a_disk_at_its_floor_ends_the_pass(world):
    world.keep_all(*POSITIONS, native("t_2m"))
    full = Archive(world.office.store, 1 << 62)
    with pytest.raises(BelowFloor):
        regrid_run(replace(world.office, archive=full), "icon-d2", RUN, lambda line: None)
    assert world.made() == set()


@needs_samples
@needs_cfgrib
def test_a_real_field_of_full_size_is_read_by_eccodes_and_cfgrib_as_the_served_grid(world, tmp_path):
    """Oracle: of each sampled point the cell at the least great-circle distance of all 542,040."""
    clat, clon = cell_centres()
    numbers = [
        {"discipline": 0, "parameterCategory": 191, "parameterNumber": number, "typeOfFirstFixedSurface": 1}
        | {"packingType": "grid_ccsds", "bitsPerValue": 24}
        for number in (1, 2)
    ]
    positions = written(tmp_path, np.stack([clat, (clon + 180) % 360 - 180]), numbers)
    run = datetime(2020, 7, 28, tzinfo=UTC)
    for (message, _), name in zip(split(positions.read_bytes(), "positions"), ("clat", "clon"), strict=True):
        part = positions.read_bytes()[message.offset : message.offset + message.length]
        world.keep(constant(name, run), part)
    world.keep(native("t_2m", 0, run), CCSDS.read_bytes())

    assert regrid_run(world.office, "icon-d2", run, lambda line: None).fetched == 1

    made = tmp_path / "made.grib2"
    path = archive_path(replace(native("t_2m", 0, run), grid="regular"))
    made.write_bytes(world.content(path))
    (values,), (cells,) = eccodes_values(made, tmp_path), eccodes_values(CCSDS, tmp_path)
    lat, lon = eccodes_values(positions, tmp_path)
    random = np.random.default_rng(5)
    beyond = 0
    for row, column in zip(random.integers(0, 746, 80), random.integers(0, 1215, 80), strict=True):
        near = cells_around(43.18 + 0.02 * row, lat)
        away = great_circle_km(43.18 + 0.02 * row, 356.06 + 0.02 * column, lat[near], lon[near])
        value = values[row * 1215 + column]
        if away.min() > 1.5 * 2.08:
            beyond += 1
            assert np.isnan(value)
        else:
            # Two cells that are a millimetre apart in distance may both be meant; some cells have no value.
            assert (
                np.isin(value, cells[near[away <= away.min() + 1e-6]])
                or np.isnan([value, cells[near[away.argmin()]]]).all()
            )
    assert 0 < beyond < 40

    served = split(REGULAR.read_bytes(), "served")[0][1]
    assert split(made.read_bytes(), "made")[0][1].grid == served.grid
    keys, native_keys = (eccodes_keys(file)[0] for file in (made, CCSDS))
    assert {name for name in keys if keys[name] != native_keys[name]} <= {"gridType", "packingType"}

    in_child(CFGRIB, made, tmp_path / "read.npz")
    read = np.load(tmp_path / "read.npz")
    np.testing.assert_array_equal(read["values"].ravel(), values.astype(np.float32))
    np.testing.assert_allclose(read["lat"], np.linspace(43.18, 58.08, 746), atol=1e-9)
    assert (str(read["time"]), str(read["name"])) == ("2020-07-28T00:00:00.000000000", "2t")
    assert cells.size == CELLS
