"""What it costs the server to be asked what is new: two runs appear on the simulated one and are followed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from benchmarks.dwd.cost import quiet
from dwd_assets.fields.model_runs import archive_run, runs_due
from dwd_assets.periods.context import Office, open_office
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.server import Asked, Plan, Simulator

_HOURLY = ("t_2m", "td_2m", "relhum_2m", "u_10m", "v_10m", "vmax_10m", "pmsl", "clct", "t_g")
CATALOGUE = Catalogue(
    parameters=(
        *(Parameter(name, steps=every(60, 48)) for name in _HOURLY),
        Parameter("tot_prec", steps=every(15, 48)),
        *(constant(name) for name in ("hsurf", "clat", "clon")),
    )
)
"""Nine fields of 49 steps, one of 193, and three constants."""

_FIRST = datetime(2026, 12, 2, 12, tzinfo=UTC)
_LOOK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Followed:
    """What following a run came to: new files, and what was asked for beside one request for each.

    listed: pages of folders; absent: files that were not there; heads: looks without a body; again: files that came
    more than once, being too young to be trusted the first time. listed_bytes, again_bytes: bodies of these.
    """

    files: int
    listed: int
    absent: int
    heads: int
    again: int
    listed_bytes: int
    again_bytes: int


def follow(runs: int) -> tuple[Followed, ...]:
    """Follow so many runs, one after the other, looking each minute; earlier runs were archived before."""
    begin = _FIRST + CATALOGUE.first - timedelta(minutes=10)
    with tempfile.TemporaryDirectory() as folder, Simulator(begin, plan=Plan(CATALOGUE)) as simulator:
        settings = DwdSettings(
            _env_file=None,
            server=simulator.url,
            archive=str(Path(folder)),
            free_floor_bytes=0,
            fields="icon-d2/single,time-invariant/*",
            requests_per_s=100_000,
        )
        office = open_office(settings, clock=simulator.clock.now)
        _look(office)
        told = []
        for number in range(runs):
            run, before = _FIRST + number * timedelta(hours=3), len(simulator.requests)
            simulator.clock.turn(run + CATALOGUE.first)
            while simulator.clock.now() < run + CATALOGUE.last + timedelta(minutes=5):
                _look(office)
                simulator.clock.advance(_LOOK)
            told.append(_followed(simulator.requests[before:]))
        office.close()
    return tuple(told)


def _look(office: Office) -> None:
    """Fetch what can be fetched now, as the sensor and the runs that it asks for do."""
    for due in runs_due(office, "icon-d2", office.clock()):
        archive_run(office, "icon-d2", datetime.strptime(due.period, "%Y%m%d%H").replace(tzinfo=UTC), quiet)


def _followed(asked: Sequence[Asked]) -> Followed:
    there = [each for each in asked if each.status == HTTPStatus.OK]
    listed = [each for each in there if each.path.endswith("/")]
    came = [each for each in there if each.method == "GET" and not each.path.endswith("/")]
    files = {each.path: each.body_bytes for each in came}
    return Followed(
        files=len(files),
        listed=len(listed),
        absent=sum(each.status == HTTPStatus.NOT_FOUND for each in asked),
        heads=sum(each.method == "HEAD" for each in there),
        again=len(came) - len(files),
        listed_bytes=sum(each.body_bytes for each in listed),
        again_bytes=sum(each.body_bytes for each in came) - sum(files.values()),
    )
