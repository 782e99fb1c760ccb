"""A simulated server and an office that archives from it, for tests of model runs."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import get_args

from dwd_assets.archive.storing import Archive, digest, plain_of
from dwd_assets.fields.history import seen_whole, update_history
from dwd_assets.fields.model_runs import archive_run, is_due, runs_due
from dwd_assets.fields.retention import read_retention
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.fields import FieldKey, LevelType
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.packing import unpack_bzip2
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.opendata.addresses import old_path, v1_path
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.periods.context import Office
from dwd_assets.periods.progress import Done
from dwd_assets.selection import Selection, parse_row
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.server import Plan, Simulator
from store.dwd import ledger
from store.dwd.ledger import Ledger
from store.objects import Store
from store.retry import Retry

CATALOGUE = Catalogue(
    parameters=(
        Parameter("t_2m"),
        Parameter("vmax_10m"),
        Parameter("td_2m"),
        Parameter("tot_prec", steps=every(15, 4)),
        Parameter("u", "pressure", 850),
        Parameter("u", "pressure", 500),
        constant("hsurf"),
        constant("clat"),
        constant("clon"),
    ),
    columns=13,
    rows=9,
)
"""Four hours of a few parameters on a small grid."""

EARLIER = datetime(2026, 9, 1, tzinfo=UTC)

FIELDS = ("icon-d2/single,time-invariant/*/0-4",)
V1_FILES = 3 * 5 + 17 + 3
OLD_FILES = 4 * 5 + 1


@dataclass
class World:
    """A server, an office, and what the office said."""

    simulator: Simulator
    office: Office
    lines: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.simulator.clock.now()

    @property
    def store(self) -> Store:
        return self.office.store

    def archive(self, run: datetime, model: str = "icon-d2", **named) -> Done:
        return archive_run(self.office, model, run, self.lines.append, **named)

    def due(self, model: str = "icon-d2") -> list[str]:
        return [due.period for due in runs_due(self.office, model, self.now)]

    def work_off(self, model: str = "icon-d2") -> list[str]:
        """Archive all that is due, as the sensor does, until nothing is; the periods in that order."""
        done = []
        while due := runs_due(self.office, model, self.now):
            period = due[0].period
            done.append(period)
            run = datetime.strptime(f"{period}+0000", "%Y%m%d%H%z")
            self.archive(run, model)
            assert len(done) < 100
        return done

    def follow(self, run: datetime, until: datetime, model: str = "icon-d2") -> None:
        """Archive a run whenever it is due, which is asked each five minutes."""
        while self.now < until:
            if is_due(self.office, read_retention(self.store, model), run, self.now):
                self.archive(run, model)
            self.simulator.clock.advance(timedelta(minutes=5))

    def ledger(self, run: datetime, model: str = "icon-d2") -> Ledger:
        return ledger.read(self.store, model, run_text(run))

    def state(self, run: datetime, model: str = "icon-d2") -> str:
        return self.ledger(run, model).state(self.now)

    def asked(self, method: str = "GET", status: int | None = None) -> list[str]:
        """Paths of requests so far."""
        return [
            each.path
            for each in self.simulator.requests
            if each.method == method and status in {None, each.status}
        ]

    def audit(self, run: datetime, model: str = "icon-d2") -> None:
        """Everything that the ledger says is kept is in the store, whole, and what the server wrote."""
        told = self.ledger(run, model)
        for path, kept in told.kept.items():
            stored = self.store.get(kept.held_at or path).data
            plain = plain_of(path, stored)
            assert digest(plain) == kept.sha256
            assert len(plain) == kept.size
            assert plain == self.true_content(path, kept.source.modified), path
        assert not set(told.kept) & set(told.missing)

    def true_content(self, path: str, at: datetime) -> bytes:
        """What the server's file was at a time, unpacked by the standard library."""
        key = parse_archive_path(path)
        assert isinstance(key, FieldKey)
        packed = key.grid == "regular"
        address = old_path(key) if packed else v1_path(key).replace("%3A", ":")
        file = self.simulator.world.find(address, at)
        assert file is not None, address
        content = self.simulator.world.content(file)
        return unpack_bzip2(content, path, 1 << 30) if packed else content

    def stored_files(self) -> set[str]:
        return {info.key for info in self.store.list("weather/")}


def remember(
    store: Store,
    catalogue: Catalogue,
    day: datetime = EARLIER,
    hours: Iterable[int] | None = None,
    steps: str | None = None,
) -> None:
    """Have the archive know what runs of every hour have, as if those of an earlier day had been seen whole.

    `steps` are the hours of which it was looked for, e.g. `0-2`, by default all.
    """
    wanted = f"{catalogue.model}/{','.join(sorted(get_args(LevelType)))}/*" + (f"/{steps}" if steps else "")
    selection = Selection((parse_row(wanted),))
    for hour in hours or range(0, 24, catalogue.run_hours):
        run = day.replace(hour=hour)
        fields = [
            FieldKey(
                catalogue.model,
                run,
                each.name,
                each.level_type,
                each.level,
                step,
                None,
                grid,
                each.qualifiers,
            )
            for each in catalogue.parameters
            for step in each.steps
            for grid in ("icosahedral", *(each.grids if step % 60 == 0 else ()))
        ]
        seen = [key for key in dict.fromkeys(fields) if selection.takes(key)]
        update_history(store, catalogue.model, partial(seen_whole, run=run, fields=seen, selection=selection))


@cache
def decoder() -> GribWorker:
    """One for all worlds of this process: to start it takes longer than most tests."""
    worker = GribWorker()
    atexit.register(worker.close)
    return worker


@contextmanager
def opened(
    store: Store,
    start: datetime,
    catalogue: Catalogue = CATALOGUE,
    fields: tuple[str, ...] = FIELDS,
    plan: Plan | None = None,
    floor_bytes: int = 0,
    is_new: bool = False,
    **settings,
) -> Iterator[World]:
    """A world whose clock stands at `start` until it is turned; a new archive knows nothing of earlier runs."""
    plan = plan or Plan(catalogue=catalogue, lag=timedelta(minutes=2))
    if not is_new:
        remember(store, plan.catalogue)
    with Simulator(start, seed=3, plan=plan) as simulator:
        office = Office(
            DwdSettings(fields=fields, **settings),
            Archive(store, floor_bytes),
            Client(
                simulator.url,
                Manners(requests_per_s=10_000.0, read_s=5.0, retry=Retry(attempts=2, first_wait_s=0.001)),
            ),
            clock=simulator.clock.now,
            worker=decoder(),
        )
        try:
            yield World(simulator, office)
        finally:
            office.client.close()
