"""`dwd simulate`: the simulated server for people, with all the steps of ICON-D2."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import takewhile
from typing import NoReturn

from dwd_assets.periods.context import Log
from dwd_assets.simulator.catalogue import WHOLE, Catalogue
from dwd_assets.simulator.server import Asked, Plan, Simulator

_SHORTEST_WAIT_S = 0.05


def play(simulator: Simulator, start: datetime, speed: float, log: Log) -> NoReturn:
    """Tell where an open server listens, then a line for each simulated hour; of hours in a blink, for the last one."""
    log(f"{simulator.url} plays DWD's server from {start:%Y-%m-%d %H:%M} UTC on; Ctrl-C ends it")
    log(f"for the archive: DWD_SERVER={simulator.url}, or dwd fetch --server {simulator.url}")
    now, told = start, None
    while True:
        hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        time.sleep(max(_SHORTEST_WAIT_S, (hour - simulator.clock.now()).total_seconds() / speed))
        now = simulator.clock.now()
        asked = _asked_since(simulator, told)
        log(_hour(simulator, now, asked))
        told = asked[0] if asked else told


def open_server(start: datetime, speed: float, seed: int, host: str, port: int) -> Simulator:
    """The server, not yet listening to requests. Raises `OSError` where the address is not to be had."""
    return Simulator(start, speed, seed, Plan(catalogue=Catalogue(parameters=WHOLE)), host, port)


def _asked_since(simulator: Simulator, told: Asked | None) -> tuple[Asked, ...]:
    """The requests answered after one of them, the newest first; their own times are those at which they began."""
    return tuple(takewhile(lambda asked: asked is not told, reversed(simulator.requests)))


def _hour(simulator: Simulator, now: datetime, asked: tuple[Asked, ...]) -> str:
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, newest run {simulator.plan.catalogue.begun_run(now):%Y%m%d%H}: "
        f"{len(asked)} requests, {sum(each.body_bytes for each in asked) / 1e6:.1f} MB"
    )
