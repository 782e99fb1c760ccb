"""The simulated network: volumes and products laid out as in the buckets, topped up, played, cleaned."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexrad_assets.commands.main import main
from nexrad_assets.names import parse_product_name, product_file_name
from nexrad_assets.simulator.coverage import VCP_212, CoveragePattern
from nexrad_assets.simulator.level3_writer import is_simulated_product
from nexrad_assets.simulator.network import (
    PARTIAL_FOLDER,
    play,
    site_offset_s,
    volume_key,
    volume_times,
    write_volumes,
)
from nexrad_assets.simulator.products import PRODUCTS, simulate_products
from nexrad_assets.simulator.volumes import SimulatedSite, simulate_volume, volume_end
from tests.samples import SAMPLES, level2_files, needs_samples

SITES = [
    SimulatedSite("KTLX", 35.333361, -97.277761, 389.0),
    SimulatedSite("KINX", 36.175131, -95.564161, 204.0),
]
SEED = 3
MIDNIGHT = datetime(2025, 5, 21, tzinfo=UTC)
SHORT = CoveragePattern(212, VCP_212.cuts[-2:], 270, clear_air=False)
"""Two high cuts: quick to write, with the cadence of the whole pattern."""


def volumes(out):
    return sorted(path for path in out.glob("????/??/??/*/*") if path.is_file())


def products(folder):
    return sorted(path for path in folder.glob("*") if path.is_file())


def products_of(paths):
    """The names of the products that volumes of these paths have."""
    starts = [(path.name[:4], datetime.strptime(path.name[4:19], "%Y%m%d_%H%M%S")) for path in paths]
    return sorted(product_file_name(site, awips, start) for site, start in starts for awips in PRODUCTS)


moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))


@given(start=moments, minutes=st.integers(0, 600), split=st.integers(0, 600), offset=st.integers(0, 269))
def test_the_series_of_times_does_not_depend_on_where_it_is_begun(start, minutes, split, offset):
    end, middle = start + timedelta(minutes=minutes), start + timedelta(minutes=min(split, minutes))
    whole = volume_times(start, end, 270, offset)
    assert volume_times(start, middle, 270, offset) + volume_times(middle, end, 270, offset) == whole
    assert all(start <= time < end and (time.timestamp() - offset) % 270 == 0 for time in whole)
    assert len(whole) == pytest.approx(minutes * 60 / 270, abs=1)


def test_sites_do_not_turn_in_step():
    offsets = {site_offset_s(f"K{first}{second}X") for first in "ABCDEF" for second in "GHIJKL"}
    assert len(offsets) > 25


def test_volumes_are_laid_out_as_in_the_bucket_across_midnight(tmp_path):
    start, end = MIDNIGHT - timedelta(minutes=10), MIDNIGHT + timedelta(minutes=10)
    told = []
    written = write_volumes(
        tmp_path, SITES, start, end, SEED, pattern=SHORT, progress=lambda *now: told.append(now)
    )
    paths = volumes(tmp_path)
    assert sorted(written) == paths
    assert len(told) == len(paths)
    assert told[-1] == (len(paths), len(paths))
    expected = {
        volume_key(site.id, begin)
        for site in SITES
        for begin in volume_times(start, end, 270, site_offset_s(site.id))
    }
    assert {path.relative_to(tmp_path).as_posix() for path in paths} == expected
    days = {path.parts[-5:-2] for path in paths}
    assert days == {("2025", "05", "20"), ("2025", "05", "21")}
    assert list((tmp_path / PARTIAL_FOLDER).iterdir()) == []


def test_a_restart_writes_only_what_is_missing(tmp_path):
    start, end = MIDNIGHT - timedelta(minutes=10), MIDNIGHT
    write_volumes(tmp_path, SITES[:1], start, end, SEED, pattern=SHORT)
    before = {path: path.stat().st_mtime_ns for path in volumes(tmp_path)}
    lost, content = volumes(tmp_path)[0], volumes(tmp_path)[0].read_bytes()
    lost.unlink()

    longer = end + timedelta(minutes=10)
    later = [
        tmp_path / volume_key("KTLX", time) for time in volume_times(end, longer, 270, site_offset_s("KTLX"))
    ]
    assert write_volumes(tmp_path, SITES[:1], start, longer, SEED, pattern=SHORT) == [lost, *later]
    assert lost.read_bytes() == content
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path != lost)


def test_two_processes_write_the_same_as_one(tmp_path):
    span = MIDNIGHT, MIDNIGHT + timedelta(minutes=10)
    for name, jobs in (("one", 1), ("two", 2)):
        write_volumes(tmp_path / name, SITES, *span, SEED, pattern=SHORT, jobs=jobs)
    one, two = volumes(tmp_path / "one"), volumes(tmp_path / "two")
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    partials = tmp_path / PARTIAL_FOLDER
    partials.mkdir()
    stale, fresh = partials / "KTLX20250520_000000_V06.1", partials / "KTLX20250520_000430_V06.2"
    for path in (stale, fresh):
        path.write_bytes(b"half a volume")
    os.utime(stale, (0, 0))
    write_volumes(tmp_path, SITES, MIDNIGHT, MIDNIGHT, SEED, pattern=SHORT)
    assert list(partials.iterdir()) == [fresh]
    assert volumes(tmp_path) == []


class SteppedClock:
    """Goes forward only when somebody waits; notes what is there at each step, and stops at an end."""

    def __init__(self, out, start, end):
        self.out, self.time, self.end = out, start, end
        self.seen = []

    def now(self):
        return self.time

    def wait(self, stop, seconds):
        self.seen.append((self.time, [path.name for path in volumes(self.out)]))
        self.time += timedelta(seconds=seconds)
        if self.time >= self.end:
            stop.set()


def test_a_volume_appears_when_its_scan_ends_and_not_before(tmp_path):
    start = MIDNIGHT - timedelta(minutes=12)
    clock = SteppedClock(tmp_path, start, MIDNIGHT)
    play(tmp_path, SITES, SEED, Event(), clock=clock, pattern=SHORT)

    scans = [
        (volume_end(begin, SHORT), f"{site.id}{begin:%Y%m%d_%H%M%S}_V06", site, begin)
        for site in SITES
        for begin in volume_times(start - timedelta(minutes=10), MIDNIGHT, 270, site_offset_s(site.id))
    ]
    assert len(clock.seen) >= 4
    for now, names in clock.seen:
        assert set(names) == {name for end, name, _, _ in scans if start <= end <= now}
    path = volumes(tmp_path)[0]
    site, begin = next((site, begin) for _, name, site, begin in scans if name == path.name)
    assert path.read_bytes() == simulate_volume(site, begin, SEED, SHORT)


def test_playing_goes_on_where_writing_ended(tmp_path):
    start, now = MIDNIGHT - timedelta(minutes=20), MIDNIGHT - timedelta(minutes=9)
    finished = now - timedelta(seconds=SHORT.duration_s)
    write_volumes(tmp_path, SITES[:1], start, finished, SEED, pattern=SHORT)
    play(tmp_path, SITES[:1], SEED, Event(), clock=SteppedClock(tmp_path, now, MIDNIGHT), pattern=SHORT)
    names = [path.name for path in volumes(tmp_path)]
    whole = [f"KTLX{t:%Y%m%d_%H%M%S}_V06" for t in volume_times(start, MIDNIGHT, 270, site_offset_s("KTLX"))]
    assert names == whole[: len(names)]
    assert len(names) >= len(whole) - 1


@needs_samples
def test_old_simulated_volumes_are_removed_and_real_files_stay(tmp_path):
    real = next(path for path in level2_files() if path.name == "KDMX20250101_225441_V06")
    old = MIDNIGHT - timedelta(hours=6)
    write_volumes(tmp_path, SITES[:1], old, old + timedelta(minutes=5), SEED, pattern=SHORT)
    (simulated,) = volumes(tmp_path)
    kept = simulated.parent / f"KTLX{old - timedelta(minutes=1):%Y%m%d_%H%M%S}_V06"
    shutil.copyfile(real, kept)
    elsewhere = tmp_path / "2025/05/19/KTLX/KTLX20250519_000000_V06"
    write_volumes(tmp_path / "other", SITES[:1], old, old + timedelta(minutes=5), SEED, pattern=SHORT)
    elsewhere.parent.mkdir(parents=True)
    volumes(tmp_path / "other")[0].rename(elsewhere)

    clock = SteppedClock(tmp_path, MIDNIGHT - timedelta(minutes=10), MIDNIGHT)
    play(tmp_path, SITES[:1], SEED, Event(), clock=clock, keep_minutes=60.0, pattern=SHORT)
    assert kept.exists()
    assert not simulated.exists()
    assert not elsewhere.parents[1].exists(), "the emptied day goes too"


class HaltingClock(SteppedClock):
    """Loses an hour at the first wait, as a suspended machine does."""

    def wait(self, stop, seconds):
        super().wait(stop, seconds + (3600.0 if len(self.seen) == 0 else 0.0))


def test_a_player_that_fell_behind_leaves_out_what_is_too_late(tmp_path):
    start = MIDNIGHT - timedelta(minutes=90)
    end = start + timedelta(minutes=75)
    play(tmp_path, SITES[:1], SEED, Event(), clock=HaltingClock(tmp_path, start, end), pattern=SHORT)
    assert 3 <= len(volumes(tmp_path)) <= 5


def test_stopping_leaves_neither_a_volume_before_its_time_nor_a_piece_of_one(tmp_path):
    stop = Event()
    clock = SteppedClock(tmp_path, MIDNIGHT, MIDNIGHT)
    play(tmp_path, SITES[:1], SEED, stop, clock=clock, pattern=SHORT)
    assert stop.is_set()
    assert volumes(tmp_path) == []
    assert list((tmp_path / PARTIAL_FOLDER).iterdir()) == []


# Products.


def test_products_lie_flat_under_the_names_of_their_bucket(tmp_path):
    out, flat = tmp_path / "volumes", tmp_path / "products"
    span = MIDNIGHT - timedelta(minutes=5), MIDNIGHT + timedelta(minutes=5)
    written = write_volumes(out, SITES, *span, SEED, pattern=SHORT, products_out=flat)
    assert sorted(written) == volumes(out)
    assert [path.name for path in products(flat)] == products_of(written)
    first = min(written, key=lambda path: path.name[4:])
    begin = datetime.strptime(first.name[4:19], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    site = next(site for site in SITES if site.id == first.name[:4])
    for awips, data in simulate_products(site, begin, SEED, SHORT).items():
        name = f"{site.id[1:]}_{awips}_{begin:%Y_%m_%d_%H_%M_%S}"
        assert (flat / name).read_bytes() == data
    assert list((flat / PARTIAL_FOLDER).iterdir()) == []


def test_the_name_of_a_product_is_read_back_as_its_site_and_the_start_of_its_volume():
    name = parse_product_name(product_file_name("KTLX", "N0B", MIDNIGHT))
    assert name is not None
    assert (name.site, name.time) == ("KTLX", MIDNIGHT)


def test_products_change_no_byte_of_the_volumes(tmp_path):
    span = MIDNIGHT, MIDNIGHT + timedelta(minutes=5)
    alone = write_volumes(tmp_path / "alone", SITES, *span, SEED, pattern=SHORT)
    both = write_volumes(
        tmp_path / "both", SITES, *span, SEED, pattern=SHORT, products_out=tmp_path / "products"
    )
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in both]


def test_a_volume_without_its_products_gets_them_and_nothing_else_is_written_again(tmp_path):
    span = MIDNIGHT, MIDNIGHT + timedelta(minutes=10)
    flat = tmp_path / "products"
    before = write_volumes(tmp_path, SITES[:1], *span, SEED, pattern=SHORT)
    assert products(flat) == []
    times = {path: path.stat().st_mtime_ns for path in before}
    assert write_volumes(tmp_path, SITES[:1], *span, SEED, pattern=SHORT, products_out=flat) == []
    assert [path.name for path in products(flat)] == products_of(before)

    lost, *kept = products(flat)
    content = lost.read_bytes()
    lost.unlink()
    times |= {path: path.stat().st_mtime_ns for path in kept}
    assert write_volumes(tmp_path, SITES[:1], *span, SEED, pattern=SHORT, products_out=flat) == []
    assert lost.read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_two_processes_write_the_same_products_as_one(tmp_path):
    span = MIDNIGHT, MIDNIGHT + timedelta(minutes=5)
    for name, jobs in (("one", 1), ("two", 2)):
        out, flat = tmp_path / name, tmp_path / f"{name}-products"
        write_volumes(out, SITES, *span, SEED, pattern=SHORT, jobs=jobs, products_out=flat)
    one, two = products(tmp_path / "one-products"), products(tmp_path / "two-products")
    assert len(one) >= len(PRODUCTS)
    assert [(path.name, path.read_bytes()) for path in one] == [
        (path.name, path.read_bytes()) for path in two
    ]


class ProductsClock(SteppedClock):
    """Notes at each step also which products are there."""

    def __init__(self, out, flat, start, end):
        super().__init__(out, start, end)
        self.flat, self.products_seen = flat, []

    def wait(self, stop, seconds):
        self.products_seen.append([path.name for path in products(self.flat)])
        super().wait(stop, seconds)


def test_the_products_of_a_volume_appear_when_it_does(tmp_path):
    out, flat = tmp_path / "volumes", tmp_path / "products"
    clock = ProductsClock(out, flat, MIDNIGHT - timedelta(minutes=10), MIDNIGHT)
    play(out, SITES, SEED, Event(), clock=clock, pattern=SHORT, products_out=flat)
    assert len(volumes(out)) >= 3
    for (_, names), there in zip(clock.seen, clock.products_seen, strict=True):
        assert there == products_of(out / name for name in names)
    assert list((flat / PARTIAL_FOLDER).iterdir()) == []


def test_playing_gives_products_to_a_volume_that_was_there_before(tmp_path):
    out, flat = tmp_path / "volumes", tmp_path / "products"
    write_volumes(out, SITES[:1], MIDNIGHT - timedelta(minutes=10), MIDNIGHT, SEED, pattern=SHORT)
    there = {path: path.stat().st_mtime_ns for path in volumes(out)}
    clock = SteppedClock(out, MIDNIGHT - timedelta(minutes=9), MIDNIGHT)
    play(out, SITES[:1], SEED, Event(), clock=clock, pattern=SHORT, products_out=flat)
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert products(flat)
    assert {path.name for path in products(flat)} <= set(products_of(there))


@needs_samples
def test_old_simulated_products_are_removed_and_real_ones_and_other_sites_stay(tmp_path):
    out, flat, old = tmp_path / "volumes", tmp_path / "products", MIDNIGHT - timedelta(hours=6)
    span = old, old + timedelta(minutes=5)
    write_volumes(out, SITES, *span, SEED, pattern=SHORT, products_out=flat)
    others = [path for path in products(flat) if path.name.startswith("INX")]
    assert others
    real = flat / product_file_name("KTLX", "N0B", old - timedelta(minutes=1))
    shutil.copyfile(SAMPLES / "nexrad" / "level3" / "AMX_N0B_2026_07_06_15_45_17", real)
    strange = flat / "TLX_N0B_2025_99_99_00_00_00"
    strange.write_bytes(next(path for path in products(flat) if "N0H" in path.name).read_bytes())

    clock = SteppedClock(out, MIDNIGHT - timedelta(minutes=10), MIDNIGHT)
    play(out, SITES[:1], SEED, Event(), clock=clock, keep_minutes=60.0, pattern=SHORT, products_out=flat)
    kept = set(products(flat)) - set(others) - {real, strange}
    assert real.exists()
    assert strange.exists()
    assert all(path.exists() for path in others)
    assert {path.name for path in kept} == set(products_of(p for p in volumes(out) if "KTLX" in p.name))


def test_stopping_leaves_no_product_before_its_time(tmp_path):
    clock = SteppedClock(tmp_path / "volumes", MIDNIGHT, MIDNIGHT)
    flat = tmp_path / "products"
    play(tmp_path / "volumes", SITES[:1], SEED, Event(), clock=clock, pattern=SHORT, products_out=flat)
    assert products(flat) == []
    assert list((flat / PARTIAL_FOLDER).iterdir()) == []


def test_the_command_writes_products_beside_volumes(tmp_path, capsys):
    out, flat = tmp_path / "volumes", tmp_path / "products"
    begin = datetime.fromtimestamp(1747780200 // 432 * 432 + site_offset_s("KTLX", 432), UTC)
    options = ["--out", out, "--products", flat, "--site", "KTLX", "--minutes", 1, "--clear-air"]
    assert main(["simulate", *map(str, options), "--start", begin.isoformat()]) == 0
    assert f"1 volumes of 1 sites in {out}, their products in {flat}" in capsys.readouterr().out
    assert [path.name for path in products(flat)] == products_of(volumes(out))
    dry = (flat / product_file_name("KTLX", "DAA", begin)).read_bytes()
    assert b"No precipitation detected since" in dry
    assert is_simulated_product(dry)
