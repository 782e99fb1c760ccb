"""The demo's radars: storms that were seen already, and that go on."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from deploy.local.place import Place
from nexrad_assets.radar.sites import site
from nexrad_assets.simulator.coverage import VCP_212
from nexrad_assets.simulator.network import play, write_volumes

DEMO_SITES = ("KPDT", "KTLX")
DEMO_SEED = 1
_STOP_TIMEOUT_S = 20.0


@contextmanager
def storms(place: Place, past: timedelta) -> Iterator[None]:
    """Simulated radars that have seen this much of the past, and go on while the block lasts."""
    sites = [site(name) for name in DEMO_SITES]
    now = datetime.now(UTC)
    minutes = int(past.total_seconds() // 60)
    print(
        f"Preparing {minutes} minutes of storms for {' and '.join(DEMO_SITES)} in {place.home} ...",
        flush=True,
    )
    ended = now - timedelta(seconds=VCP_212.duration_s)  # what a radar would still be scanning is for `play`
    write_volumes(
        place.volumes,
        sites,
        now - past,
        ended,
        DEMO_SEED,
        progress=_progress,
        jobs=os.cpu_count() or 1,
        products_out=place.products,
    )
    stop = threading.Event()
    player = threading.Thread(
        target=play,
        args=(place.volumes, sites, DEMO_SEED, stop),
        kwargs={"products_out": place.products},
        daemon=True,
        name="storms",
    )
    player.start()
    try:
        yield
    finally:
        stop.set()
        player.join(_STOP_TIMEOUT_S)


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    if sys.stdout.isatty():
        print(f"\r  {done}/{total} volumes", end=end, flush=True)
    elif done == total or done % 5 == 0:
        print(f"  {done}/{total} volumes", flush=True)
