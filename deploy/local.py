"""`make demo` and `make run`: Dagster and the API together on this machine, until Ctrl-C.

The demo needs no network: two simulated radars whose storms of the last hour are written first and go on in real
time. `run` reads the public buckets. Both keep everything below one folder and listen on 127.0.0.1 alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nexrad_assets.radar.coverage import VCP_212
from nexrad_assets.simulate import play, write_volumes
from nexrad_assets.sites import site

PROJECT = Path(__file__).parents[1]
DEMO_SITES = ("KPDT", "KTLX")
DEMO_SEED = 1
DEMO_HOUR = timedelta(minutes=60)
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a local deployment keeps its things, and where it listens."""

    home: Path
    ui_port: int
    api_port: int

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder: runs, events, schedules in SQLite."""
        return self.home / "dagster"

    @property
    def ui(self) -> str:
        """The address of Dagster's UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.api_port}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything; gives the exit status when all has ended."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("mode", choices=("demo", "run"))
    parser.add_argument("--home", type=Path, help="the folder of everything (default .demo or .run)")
    parser.add_argument("--ui-port", type=int, default=3000)
    parser.add_argument("--api-port", type=int, default=int(os.environ.get("API_PORT", "4000")))
    options = parser.parse_args(arguments)
    home = (options.home or PROJECT / f".{options.mode}").resolve()
    place = Place(home, options.ui_port, options.api_port)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _demo(place) if options.mode == "demo" else _serve(place, {}, _what_to_see_live(place))
    except KeyboardInterrupt:
        return 0


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _demo(place: Place) -> int:
    source = place.home / "source"
    sites = [site(name) for name in DEMO_SITES]
    now = datetime.now(UTC)
    print(f"Preparing an hour of storms for {' and '.join(DEMO_SITES)} in {source} ...", flush=True)
    ended = now - timedelta(seconds=VCP_212.duration_s)  # what a radar would still be scanning is for `play`
    write_volumes(
        source, sites, now - DEMO_HOUR, ended, DEMO_SEED, progress=_progress, jobs=os.cpu_count() or 1
    )
    stop = threading.Event()
    player = threading.Thread(target=play, args=(source, sites, DEMO_SEED, stop), daemon=True, name="storms")
    player.start()
    settings = {
        "NEXRAD_SOURCE": str(source),
        "NEXRAD_SITES": ",".join(DEMO_SITES),
        "NEXRAD_PRIMARY_SITE": DEMO_SITES[0],
    }
    try:
        return _serve(place, settings, _what_to_see_in_the_demo(place))
    finally:
        stop.set()
        player.join(STOP_TIMEOUT_S)


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    if sys.stdout.isatty():
        print(f"\r  {done}/{total} volumes", end=end, flush=True)
    elif done == total or done % 5 == 0:
        print(f"  {done}/{total} volumes", flush=True)


def _serve(place: Place, settings: Mapping[str, str], what_to_see: str) -> int:
    environment = _environment(place, settings)
    place.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "deploy" / "dagster.yaml", place.dagster_home / "dagster.yaml")
    print("Starting Dagster and the API ...", flush=True)
    servers = {
        "dagster": _start(_dagster_command(place), environment, place.home / "dagster.log"),
        "api": _start(_api_command(place), environment, place.home / "api.log"),
    }
    try:
        _wait_for(servers, {f"{place.ui}/server_info": "dagster", f"{place.api}/livez": "api"}, place.home)
        print(what_to_see, flush=True)
        return _watch(servers, place)
    finally:
        _stop(servers)


def _environment(place: Place, settings: Mapping[str, str]) -> dict[str, str]:
    ours = {
        "DAGSTER_HOME": str(place.dagster_home),
        "STORE": str(place.home / "store"),
        "NEXRAD_GEOMETRY_CACHE": str(place.home / "geometry"),
        "NEXRAD_LIVE": "1",
        "NEXRAD_API_URL": place.api,
        "API_PORT": str(place.api_port),
        "PYTHONUNBUFFERED": "1",
    }
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    # What the demo sets holds; for `make run` the person's own environment may name another store or site.
    return (
        {**ours, **os.environ, "PATH": path}
        if not settings
        else {**os.environ, **ours, **settings, "PATH": path}
    )


def _dagster_command(place: Place) -> list[str]:
    dagster = str(Path(sys.executable).with_name("dagster"))
    return [dagster, "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(place.ui_port)]


def _api_command(place: Place) -> list[str]:
    host = os.environ.get("API_HOST", "127.0.0.1")
    return [sys.executable, "-m", "uvicorn", "api.app:app", "--host", host, "--port", str(place.api_port)]


def _start(command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches this process alone, which then ends the servers in order.
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_for(
    servers: Mapping[str, subprocess.Popen[bytes]], addresses: Mapping[str, str], home: Path
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    for address, name in addresses.items():
        while _get(address) is None:
            if servers[name].poll() is not None or time.monotonic() > deadline:
                tail = (home / f"{name}.log").read_text(errors="replace").splitlines()[-15:]
                raise SystemExit("\n".join((f"{name} did not start; the end of {home / name}.log:", *tail)))
            time.sleep(0.5)


def _watch(servers: Mapping[str, subprocess.Popen[bytes]], place: Place) -> int:
    """Tell of new scans until a server ends; gives the exit status."""
    known: set[str] | None = None
    while True:
        for name, server in servers.items():
            if server.poll() is not None:
                print(
                    f"{name} ended with status {server.returncode}; see {place.home / name}.log", flush=True
                )
                return 1
        answer = _get(f"{place.api}/list-all/")
        scans = set(json.loads(answer)["reflectivity"]) if answer else set()
        if scans and known is None:
            print(
                f"{datetime.now(UTC):%H:%M:%S} UTC  {len(scans)} scans are listed, the newest {max(scans)}",
                flush=True,
            )
            known = scans
        for key in sorted(scans - (known if known is not None else scans)):
            image = f"{place.api}/data/2/{key}_reflectivity_idx0/png"
            print(f"{datetime.now(UTC):%H:%M:%S} UTC  new scan {image}", flush=True)
        known = known if known is None else known | scans
        time.sleep(2.0)


def _get(address: str) -> bytes | None:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own http addresses
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def _stop(servers: Mapping[str, subprocess.Popen[bytes]]) -> None:
    print("\nStopping ...", flush=True)
    for server in servers.values():
        _signal(server, signal.SIGINT)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for server in servers.values():
        with suppress(subprocess.TimeoutExpired):
            server.wait(max(0.1, deadline - time.monotonic()))
        _signal(server, signal.SIGKILL)  # the whole session: whatever a server left behind goes too
        server.wait()


def _signal(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, number)


def _what_to_see_in_the_demo(place: Place) -> str:
    return f"""
  Dagster   {place.ui}    assets of the code location nexrad_assets; the live sensor under Automation
  API       {place.api}    try /list-all/, /list-all/?site={DEMO_SITES[1]}, /docs

  The live sensor fetches and renders what the simulated radars sent in the last hour; the first scans are
  listed within a minute or so, then a new one every few minutes. Ctrl-C ends all of it.
"""


def _what_to_see_live(place: Place) -> str:
    return f"""
  Dagster   {place.ui}    assets of the code location nexrad_assets; the live sensor under Automation
  API       {place.api}    try /list-all/ and /docs

  Volumes of {os.environ.get("NEXRAD_SITES") or os.environ.get("RADAR_SITE_L2") or "KPDT"} come from \
{os.environ.get("NEXRAD_SOURCE", "s3://unidata-nexrad-level2")}. Ctrl-C ends all of it.
"""


if __name__ == "__main__":
    sys.exit(main())
