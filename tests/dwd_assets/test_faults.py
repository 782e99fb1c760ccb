"""Faults of every kind: no file is corrupt afterwards, nothing is falsely called complete, all are named.

Faults are drawn from a seed. After each round everything in the store is audited (`tests.dwd_assets.fault_world`); at
the end of each test the faults stop, and everything that the server still has must become complete. The suite has a
short form of each campaign; with `DWD_SOAK` set (`make soak-dwd`) there are three thousand faults.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.archive.storing import Archive, BelowFloor
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.kinds.table import Collection
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.report_forms import ReportForm
from dwd_assets.simulator.server import Plan, Simulator
from dwd_assets.simulator.stations import STATIONS
from store.dwd import ledger
from store.objects import Store
from store.posix import PosixStore
from tests.dwd_assets.fault_world import (
    CATALOGUE,
    EXITED,
    NEW_RUN_TAKES,
    PLAN,
    RUN_TAKES,
    Audit,
    FlippingRelay,
    FullDisk,
    Nursery,
    Pass,
    Shrinking,
    Staff,
    Truth,
    check_days,
    is_met,
    is_named,
    new_office,
    served,
)
from tests.dwd_assets.opendata.tls import new_certificate, server_context

START = datetime(2026, 9, 16, 14, 10, tzinfo=UTC)
"""The run and the reports of 12 UTC, and the MOSMIX of 9 UTC, are there."""

NOON = "2026091612"

ROUND = timedelta(minutes=6)
"""Longer than what failed waits for another attempt."""

IS_SOAK = bool(os.environ.get("DWD_SOAK"))


def faults(soak: int) -> int:
    """How many faults there are at least: so many, or a sixth of them in the short form."""
    return soak if IS_SOAK else max(soak // 6, 8)


OVER_HTTP, NEW_ARCHIVE, OVER_HTTP_TO_S3, FLIPS = faults(1700), faults(240), faults(200), faults(200)
EXITS, EXITS_ON_S3, KILLS, FULL_DISKS, FLOORS = faults(300), faults(60), faults(80), faults(200), faults(40)

OF_FILES = (
    *(Fault.NOT_FOUND, Fault.UNAVAILABLE, Fault.TRUNCATED, Fault.CUT, Fault.PAGE, Fault.RESET),
    *(Fault.OVERWRITTEN, Fault.OUT_OF_STEP, Fault.NO_LENGTH, Fault.CUT_NO_LENGTH, Fault.GZIPPED),
)
OF_FIELDS = (*OF_FILES, Fault.TWO_MESSAGES, Fault.WRONG_PARAMETER)
OF_PACKED_FIELDS = (*OF_FILES, Fault.WRONG_PARAMETER, Fault.FLIPPED)
OF_FORECASTS = (*OF_FILES, Fault.FLIPPED, Fault.HALF_ISSUE)
OF_LISTINGS = (
    *(Fault.NOT_FOUND, Fault.UNAVAILABLE, Fault.CUT, Fault.PAGE, Fault.RESET),
    *(Fault.UNREADABLE_ROWS, Fault.NAMELESS_ROW, Fault.NO_LENGTH, Fault.GZIPPED),
)
LISTINGS = ("*/", "*/poi/", "*/grib/*/", "*/p/", "*/p/*/", "*/s/", "*/r/")

CHANGES = replace(
    PLAN,
    new_grid_from=START + timedelta(hours=8),
    fewer_runs_from=START + timedelta(hours=14),
    fewer_runs=5,
    report_form=ReportForm(
        changes=(
            (START + timedelta(hours=3), "added"),
            (START + timedelta(hours=6), "unit"),
            (START + timedelta(hours=9), "reordered"),
        )
    ),
)
"""A server whose grid, retention and columns change while it is followed."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def worker() -> Iterator[GribWorker]:
    """One decoder for all tests."""
    with GribWorker() as running:
        yield running


class Campaign:
    """A server, an office that archives from it, and the count of the faults that were met."""

    def __init__(
        self,
        simulator: Simulator,
        store: Store,
        seed: int,
        worker: GribWorker,
        at: str = "",
        run_takes: timedelta = RUN_TAKES,
        **settings: object,
    ) -> None:
        self.simulator, self.store = simulator, store
        self.draw = random.Random(seed)
        self.office = new_office(at or simulator.url, store, simulator.clock.now, worker, **settings)
        self.staff = Staff(simulator, self.office, run_takes)
        self.truth = Truth(simulator)
        self.met: Counter[str] = Counter()
        self.audits = self.audited = self.versions = 0
        self.unnamed: list[str] = []
        self.seen: set[tuple[str, str]] = set()

    def audit(self) -> Audit:
        found = Audit(self.store, self.truth, self.office.settings, self.seen).go()
        assert found.faults == []
        self.audits += 1
        self.audited += found.files
        self.versions = found.versions
        return found

    def drawn(self, kinds: tuple[Fault, ...]) -> Fault:
        """One of these kinds, of those that nothing met yet if there are any."""
        return self.draw.choice([kind for kind in kinds if kind.name not in self.met] or kinds)

    def turns(self) -> None:
        """Some time later; when little is left to do, so late that there is another run."""
        few = len(self.staff.incomplete()) < 4
        self.simulator.clock.advance(timedelta(hours=3) if few else ROUND)

    def end_well(self) -> None:
        """Without faults everything that the server has becomes complete."""
        self.simulator.heal()
        for _ in range(4):
            self.simulator.clock.advance(ROUND)
            self.staff.work_off()
        left = [(each.name, period) for each, period in self.staff.incomplete() if each.hours is not None]
        assert left == []
        found = self.audit()
        wanted = {
            (each.name, period)
            for each in self.staff.collections
            if each.hours is not None
            for period in served(each, self.simulator.clock.now(), self.simulator.plan, self.staff.run_takes)
        }
        assert wanted
        assert wanted <= found.complete
        check_days(self.store, self.truth)

    def settle_in(self) -> None:
        """Without faults at first, as an archive that has been running: what each hour has is known."""
        self.staff.work_off()
        self.simulator.clock.advance(timedelta(hours=6))
        self.staff.work_off()
        self.audit()


@contextmanager
def campaign(
    store: Store,
    seed: int,
    worker: GribWorker,
    plan: Plan = PLAN,
    *,
    is_new: bool = False,
    **settings: object,
) -> Iterator[Campaign]:
    """An archive that has been running, or a new one, for which it takes longer to know that a run is whole."""
    with Simulator(START, seed=seed, plan=plan) as simulator:
        run_takes = NEW_RUN_TAKES if is_new else RUN_TAKES
        held = Campaign(simulator, store, seed, worker, run_takes=run_takes, **settings)
        try:
            if not is_new:
                held.settle_in()
            yield held
        finally:
            held.office.client.close()


def arm(held: Campaign) -> None:
    """Draw faults for some of the server's files and listings."""
    draw, fail = held.draw, held.simulator.fail
    for parameter in CATALOGUE.parameters:
        for step in parameter.steps:
            v1 = f"*/p/{parameter.name.upper()}/r/*/s/PT{step // 60:03}H{step % 60:02}M.grib2"
            old = f"*_{step // 60:03}_*_{parameter.name}.grib2.bz2"
            if draw.random() < 0.6:
                fail(v1, held.drawn(OF_FIELDS), draw.randint(1, 8))
            if draw.random() < 0.6:
                fail(old, held.drawn(OF_PACKED_FIELDS), draw.randint(1, 8))
    for station in STATIONS:
        if draw.random() < 0.5:
            fail(f"*/poi/{station.id}*-BEOB.csv", held.drawn(OF_FILES), draw.randint(1, 3))
    if draw.random() < 0.7:
        fail("*/all_stations/kml/MOSMIX_L_*", held.drawn(OF_FORECASTS), draw.randint(1, 6))
    if draw.random() < 0.5:
        fail(draw.choice(LISTINGS), held.drawn(OF_LISTINGS), draw.randint(1, 4))


def round_of_faults(held: Campaign) -> None:
    """Faults, passes over everything that is not complete, and the audit."""
    arm(held)
    for collection, period in held.staff.incomplete():
        took(held, held.staff.make_pass(collection, period))
    for collection, period in replaced(held, 10):
        took(held, held.staff.make_pass(collection, period, recheck=True))
    held.simulator.heal()
    held.audit()
    held.turns()


def replaced(held: Campaign, files: int) -> list[tuple[Collection, str]]:
    """A run of which the server replaced some files that are kept, settled by now."""
    model, now = held.staff.collections[0], held.simulator.clock.now()
    period = held.draw.choice(served(model, now, held.simulator.plan, held.staff.run_takes))
    told = ledger.read(held.store, model.name, period)
    for path in held.draw.sample(sorted(told.kept), min(files, len(told.kept))):
        held.truth.overwrite(path)
    held.simulator.clock.advance(timedelta(minutes=2))
    return [(model, period)]


def took(held: Campaign, made: Pass) -> None:
    """Count the faults of a pass, and look for a word on each."""
    held.met.update(each.fault.name for each in made.asked if is_met(each))
    held.unnamed += made.unnamed(held.store)


def test_faults_on_the_way_cost_nothing_but_time(local_store, worker):
    with campaign(local_store, 1, worker, CHANGES) as held:
        kinds = {fault.name for fault in (*OF_FIELDS, *OF_PACKED_FIELDS, *OF_FORECASTS, *OF_LISTINGS)}
        while held.met.total() < OVER_HTTP or (IS_SOAK and not kinds <= set(held.met)):
            round_of_faults(held)
        held.simulator.clock.advance(timedelta(hours=6))
        held.simulator.fail("*T_2M*PT000H00M.grib2", Fault.SLOW, times=6)
        made = [held.staff.make_pass(collection, period) for collection, period in held.staff.incomplete()]
        assert all("PT000H00M" in line for each in made for line in each.lines if "T_2M" in line)
        held.end_well()
        assert held.unnamed == [], "\n".join(held.unnamed)
        assert held.versions >= 5
        if IS_SOAK:
            assert min(held.met[fault.name] for fault in OF_FIELDS) >= 30
            assert held.versions >= 30


def test_a_new_archive_that_meets_faults_from_its_first_request_on_ends_whole(local_store, worker):
    """Nothing is known of what runs have and what their fields are: the first file to come may be the wrong one."""
    with campaign(local_store, 9, worker, is_new=True, old_tree=False) as held:
        lines: list[str] = []
        while held.met.total() < NEW_ARCHIVE:
            arm(held)
            for collection, period in held.staff.incomplete():
                made = held.staff.make_pass(collection, period)
                took(held, made)
                lines += made.lines
            held.simulator.heal()
            held.simulator.clock.advance(ROUND)
            for collection, period in held.staff.incomplete():
                lines += held.staff.make_pass(collection, period).lines
            held.turns()
        held.end_well()
        # The first file of a parameter that ever comes is not known to be wrong before another one comes.
        text = "\n".join(lines)
        unnamed = [each for each in held.unnamed if not is_named(each.rpartition(" ")[2], text)]
        assert unnamed == [], "\n".join(unnamed)


@pytest.mark.parametrize(
    "listing", ["*/grib/*/", "*/grib/*/t_2m/", "*/v1/m/icon-d2/p/", "*/v1/m/icon-d2/p/T_2M/", "*/"]
)
@pytest.mark.parametrize("fault", [Fault.NOT_FOUND, Fault.UNAVAILABLE])
def test_what_could_not_be_listed_is_not_taken_for_all_there_is(local_store, worker, listing, fault):
    with campaign(local_store, 2, worker, is_new=True, mosmix=(), reports=False) as held:
        held.simulator.clock.advance(timedelta(hours=4))
        held.simulator.fail(listing, fault)
        (model,) = held.staff.collections
        for _ in range(2):
            made = held.staff.make_pass(model, NOON)
            held.simulator.clock.advance(ROUND)
            assert made.unnamed(local_store) == []
            assert ("icon-d2", NOON) not in held.audit().complete
        held.simulator.heal()
        held.staff.make_pass(model, NOON)
        assert ("icon-d2", NOON) in held.audit().complete


def test_a_bit_that_flips_on_the_way_ends_the_connection_and_nothing_else(
    local_store, worker, tmp_path, monkeypatch
):
    """Fields of the v1 tree and reports have no checksum of their own: TLS is theirs."""
    certificate = new_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Simulator(START, seed=3, plan=PLAN) as simulator:
        listening = simulator._server
        listening.socket = server_context(certificate).wrap_socket(listening.socket, server_side=True)
        relay = FlippingRelay(*listening.server_address, every_piece=5)
        held = Campaign(
            simulator, local_store, 3, worker, relay.url, NEW_RUN_TAKES, mosmix=(), old_tree=False
        )
        try:
            while relay.flipped < FLIPS:
                for collection, period in held.staff.incomplete():
                    made = held.staff.make_pass(collection, period)
                    assert made.raised is None or str(made.raised)
                held.audit()
                held.turns()
            relay.flips = False
            held.end_well()
        finally:
            relay.close()
            held.office.client.close()


# Processes that end


def exits(held: Campaign, nursery: Nursery, enough: int, versions: int = 0) -> None:
    """Processes that end themselves before, in or after one of their first writes, while the server changes files.

    Until so many ended, and so many files have an earlier version beside: in which process that comes is chance.
    """
    simulator, draw = held.simulator, held.draw
    modes = ["before", "after", *(["torn"] if isinstance(held.store, PosixStore) else [])]
    while held.met.total() < enough or held.versions < versions:
        work = held.staff.incomplete()
        again = replaced(held, 10)
        for collection, period in [*draw.sample(work, len(work)), *again]:
            recheck = (collection, period) in again
            simulator.fail("*.bz2", Fault.OVERWRITTEN, draw.randint(0, 2))
            for _ in range(draw.randint(2, 6)):
                mode, writes = draw.choice(modes), draw.choice((1, 2, 3, 4, 6, 9, 14))
                now = simulator.clock.now()
                how = {"mode": mode, "writes": writes, "settings": OLD, "recheck": recheck}
                status = nursery.passed(collection.name, period, now, **how)
                assert status in {0, EXITED}
                held.met[mode] += status == EXITED
                if status == 0:
                    break
            simulator.heal()
        held.audit()
        held.turns()


OLD = {"v1_tree": False}
"""Without fields that need a decoder, which costs each process half a second."""


def test_a_process_that_ends_at_any_write_leaves_all_true(local_store, worker, tmp_path):
    with (
        campaign(local_store, 4, worker, **OLD) as held,
        Nursery(held.simulator.url, str(local_store.root), tmp_path, {}) as nursery,
    ):
        exits(held, nursery, EXITS, versions=10)
        held.end_well()
        assert held.versions >= 10
        assert min(held.met[mode] for mode in ("before", "after", "torn")) >= EXITS // 6


LONGEST_S = 0.12


def kill_some(held: Campaign, nursery: Nursery, enough: int, settings: dict[str, object]) -> None:
    draw = held.draw
    while held.met["kill"] < enough:
        work = held.staff.incomplete()
        again = replaced(held, 10)
        for collection, period in [*draw.sample(work, len(work)), *again]:
            now, after_s = held.simulator.clock.now(), draw.uniform(0.0, LONGEST_S)
            how = {"kill_after_s": after_s, "settings": settings, "recheck": (collection, period) in again}
            status = nursery.passed(collection.name, period, now, **how)
            assert status in {0, -signal.SIGKILL}
            held.met["kill"] += status != 0
            if held.met["kill"] % 5 == 0:
                held.store.sweep_unfinished(0)
        held.audit()
        held.turns()


def test_a_kill_at_any_moment_leaves_all_true(local_store, worker, tmp_path):
    with (
        campaign(local_store, 5, worker, **OLD) as held,
        Nursery(held.simulator.url, str(local_store.root), tmp_path, {}) as nursery,
    ):
        kill_some(held, nursery, KILLS, OLD)
        held.end_well()


# Disks


def test_a_full_disk_ends_a_pass_and_no_file(local_store, worker):
    with campaign(local_store, 6, worker, **OLD) as held:
        while held.met["full"] < FULL_DISKS:
            for collection, period in held.staff.incomplete():
                with FullDisk(held.draw.randint(0, 25), held.draw.choice((1, 3, 1000))) as disk:
                    made = held.staff.make_pass(collection, period)
                assert not disk.met or "No space left on device" in str(made.raised)
                held.met["full"] += disk.met
            held.audit()
            held.turns()
        held.end_well()


def test_below_the_floor_a_pass_ends_with_what_it_has(local_store, worker):
    with campaign(local_store, 7, worker, **OLD) as held:
        while held.met["floor"] < FLOORS:
            for collection, period in held.staff.incomplete():
                shrinking = Archive(Shrinking(local_store, held.draw.randint(0, 2)), floor_bytes=1 << 30)
                made = Staff(held.simulator, replace(held.office, archive=shrinking)).make_pass(
                    collection, period
                )
                if made.raised is not None:
                    assert isinstance(made.raised, BelowFloor)
                    held.met["floor"] += 1
            held.audit()
            held.turns()
        held.end_well()


# The other backend


@pytest.mark.s3
def test_on_s3_all_is_as_true(s3_store, s3_server, worker, tmp_path):
    location = f"s3://{s3_store.bucket}"
    with (
        campaign(s3_store, 8, worker, **OLD) as held,
        Nursery(held.simulator.url, location, tmp_path, s3_server.environment) as nursery,
    ):
        exits(held, nursery, EXITS_ON_S3)
        while held.met.total() < EXITS_ON_S3 + OVER_HTTP_TO_S3:
            round_of_faults(held)
        held.end_well()
        assert held.unnamed == []


def test_the_whole_campaign_has_three_thousand_faults():
    counts = (OVER_HTTP, NEW_ARCHIVE, FLIPS, EXITS, KILLS, FULL_DISKS, FLOORS, OVER_HTTP_TO_S3, EXITS_ON_S3)
    assert sum(counts) >= (3000 if IS_SOAK else 500)
