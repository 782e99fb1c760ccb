"""`make demo` and `make run`: Dagster and the API together on this machine, until Ctrl-C.

The demo needs no network: two simulated radars whose storms of the last hour are written first and go on in real
time, and a simulated server of Deutscher Wetterdienst that has the day before; it follows its own store, sources and
sites whatever else is set, and does not read `.env`. `run` reads the public buckets, or what `.env` and the
environment name, the environment first, and archives what DWD publishes only where DWD_LIVE says so. Both keep what
no setting puts elsewhere below one folder, Dagster's own things always, and listen on 127.0.0.1 (the API on API_HOST,
if set).
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError

from api.settings import ApiSettings
from dwd_assets.playing import open_server
from dwd_assets.settings import DwdSettings
from nexrad_assets.radar.coverage import VCP_212
from nexrad_assets.settings import NexradSettings
from nexrad_assets.simulate import play, write_volumes
from nexrad_assets.sites import site

PROJECT = Path(__file__).parents[1]
DEMO_SITES = ("KPDT", "KTLX")
DEMO_SEED = 1
DEMO_MINUTES = 60
FOLDER_NAMES = ("STORE", "NEXRAD_SOURCE", "NEXRAD_LEVEL3_SOURCE", "NEXRAD_GEOMETRY_CACHE", "DWD_STORE")
"""Settings that may name a folder, in `.env` relative to the project."""

MANY_SITES = 8
Settings = TypeVar("Settings", ApiSettings, NexradSettings, DwdSettings)
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a local deployment keeps its things, and where it listens."""

    home: Path
    ui_port: int
    api_port: int
    api_host: str = "127.0.0.1"

    @property
    def volumes(self) -> Path:
        """Where the demo's radars put their volumes."""
        return self.home / "source"

    @property
    def products(self) -> Path:
        """Where the demo's radars put their Level 3 products."""
        return self.home / "source-level3"

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
        """The address at which this machine reaches the API."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.api_host, self.api_host)  # noqa: S104
        return f"http://{f'[{reached}]' if ':' in reached else reached}:{self.api_port}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything; gives the exit status when all has ended."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _demo(options) if options.mode == "demo" else _run(options)
    except KeyboardInterrupt:
        return 0
    except ValidationError as fault:
        raise SystemExit(str(fault)) from fault


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("mode", choices=("demo", "run"))
    parser.add_argument("--home", type=Path, help="the folder of everything (default .demo or .run)")
    parser.add_argument("--ui-port", type=int, default=3000)
    parser.add_argument("--api-port", type=int, help="(default API_PORT, else 4000)")
    parser.add_argument(
        "--minutes",
        type=int,
        default=DEMO_MINUTES,
        help="how much of the past the demo's radars have seen (default %(default)s)",
    )
    return parser.parse_args(arguments)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace) -> int:
    own = {**variables_set(dotenv_values(PROJECT / ".env")), **variables_set(os.environ)}
    place = _place(options, own)
    environment = run_environment(place, own)
    return _serve(place, environment, _what_to_see_live(place, environment))


def _demo(options: argparse.Namespace) -> int:
    own = variables_set(os.environ)
    place = _place(options, own)
    with (
        _storms(place, timedelta(minutes=options.minutes)),
        open_server(datetime.now(UTC), 1.0, DEMO_SEED, "127.0.0.1", 0) as weather_service,
    ):
        environment = demo_environment(place, own, weather_service.url)
        return _serve(place, environment, _what_to_see_in_the_demo(place, options.minutes))


def _place(options: argparse.Namespace, own: Mapping[str, str]) -> Place:
    home = (options.home or PROJECT / f".{options.mode}").resolve()
    listens = _read(ApiSettings, own)
    api_port = listens.port if options.api_port is None else options.api_port
    return Place(home, options.ui_port, api_port, listens.host)


def _read(kind: type[Settings], variables: Mapping[str, Any]) -> Settings:
    """Settings as a process with these variables reads them."""
    return kind(**{"_env_file": None, **variables})


@contextmanager
def _storms(place: Place, past: timedelta) -> Iterator[None]:
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
        player.join(STOP_TIMEOUT_S)


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    if sys.stdout.isatty():
        print(f"\r  {done}/{total} volumes", end=end, flush=True)
    elif done == total or done % 5 == 0:
        print(f"  {done}/{total} volumes", flush=True)


def _serve(place: Place, environment: Mapping[str, str], what_to_see: str) -> int:
    place.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "deploy" / "dagster.yaml", place.dagster_home / "dagster.yaml")
    _make_instance(environment, place)
    print("Starting Dagster and the API ...", flush=True)
    servers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in (("dagster", _dagster_command(place)), ("api", [sys.executable, "-m", "api"])):
            servers[name] = _start(command, environment, place.dagster_home, place.home / f"{name}.log")
        _wait_for(servers, {f"{place.ui}/server_info": "dagster", f"{place.api}/livez": "api"}, place.home)
        print(what_to_see, flush=True)
        return _watch(servers, place)
    finally:
        _stop(servers)


def _make_instance(environment: Mapping[str, str], place: Place) -> None:
    """Make Dagster's databases before its processes do.

    The daemon and the code servers start together; on a new home two of them may make the same SQLite
    database at the same moment, and it is of no use afterwards.
    """
    command = [_dagster(), "instance", "info"]
    done = subprocess.run(
        command, env=dict(environment), cwd=place.dagster_home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"Dagster's instance in {place.dagster_home} cannot be made:\n{done.stderr[-2000:]}")


def variables_set(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those that have a value: an empty variable is as good as none."""
    return {name: value for name, value in variables.items() if value}


def run_environment(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What the servers of `run` are given: what a person has set (`own`), and our defaults beside it."""
    defaults = _settings(place)
    if "PROJECT_S3_BUCKET" in own:
        del defaults["STORE"]
    folders = {name: _from_the_project(own[name]) for name in FOLDER_NAMES if name in own}
    return {**defaults, **own, **folders, **_surroundings(place, own)}


def demo_environment(place: Place, own: Mapping[str, str], weather_service: str) -> dict[str, str]:
    """What the servers of the demo are given: its own store, sources and sites, whatever a person has set."""
    demo = {
        "NEXRAD_SOURCE": str(place.volumes),
        "NEXRAD_LEVEL3_SOURCE": str(place.products),
        "NEXRAD_SITES": ",".join(DEMO_SITES),
        "NEXRAD_PRIMARY_SITE": DEMO_SITES[0],
        "DWD_STORE": str(place.home / "store"),
        "DWD_SERVER": weather_service,
        "DWD_GEOMETRY_CACHE": str(place.home / "dwd-geometry"),
        "DWD_LIVE": "1",
        # A run of the simulated model is small: with the usual minute it would take eight to look like a day.
        "DWD_FIELDS_WAIT_MINUTES": "0.25",
        "DWD_FORECASTS_WAIT_MINUTES": "0.5",
    }
    return {**own, **_settings(place), **demo, **_surroundings(place, own)}


def _settings(place: Place) -> dict[str, str]:
    return {
        "STORE": str(place.home / "store"),
        "NEXRAD_GEOMETRY_CACHE": str(place.home / "geometry"),
        "NEXRAD_LIVE": "1",
        "NEXRAD_API_URL": place.api,
    }


def _surroundings(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What a server needs to run from another folder, beside the settings."""
    beside = str(Path(sys.executable).parent)
    return {
        "API_HOST": place.api_host,
        "API_PORT": str(place.api_port),
        "DAGSTER_HOME": str(place.dagster_home),
        "PATH": os.pathsep.join((beside, own.get("PATH", os.defpath))),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), own.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


def _from_the_project(location: str) -> str:
    return location if "://" in location else str(PROJECT / location)


def _dagster_command(place: Place) -> list[str]:
    workspace = PROJECT / "workspace.yaml"
    return [_dagster(), "dev", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(place.ui_port)]


def _dagster() -> str:
    return str(Path(sys.executable).with_name("dagster"))


def _start(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C reaches this process alone, which then ends the servers in order.
    # A folder without `.env`: Dagster's commands let that file go before the environment, empty lines too.
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave a server behind
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


def _what_to_see_in_the_demo(place: Place, minutes: int) -> str:
    return f"""
  Dagster   {place.ui}    assets of nexrad_assets and dwd_assets; the sensors under Automation
  Viewer    {place.api}/
  API       {place.api}    try /list-all/, /code/, /list-all/?site={DEMO_SITES[1]}, /v1/dwd/runs, /docs

  The live sensors fetch and render what the simulated radars sent in the last {minutes} minutes, volumes and Level 3
  products; the first scans are listed within a minute or so, then new ones every few minutes. Beside them the runs,
  forecasts and reports of a simulated weather service are archived, the oldest first. Ctrl-C ends all of it.
"""


def _what_to_see_live(place: Place, environment: Mapping[str, str]) -> str:
    radar, archive = _read(NexradSettings, environment), _read(DwdSettings, environment)
    few = len(radar.sites) <= MANY_SITES
    sites = ", ".join(radar.sites) if few else f"{len(radar.sites)} sites"
    return f"""
  Dagster   {place.ui}    assets of nexrad_assets and dwd_assets; the sensors under Automation
  Viewer    {place.api}/
  API       {place.api}    try /list-all/, /code/ and /docs

  Volumes of {sites} come from {radar.source}, products from {radar.level3_source}.
  {_of_the_archive(archive)}
  Ctrl-C ends all of it.
"""


def _of_the_archive(settings: DwdSettings) -> str:
    if not settings.live:
        return "Nothing of DWD is archived; DWD_LIVE=1 archives it, about 50 GB a day as the settings are by default."
    floor = settings.free_floor_bytes / 1e9
    return (
        f"DWD's {', '.join((*settings.fields, *(f'MOSMIX_{one}' for one in settings.mosmix)))} go from "
        f"{settings.server} to {settings.archive}: about 47 GB a day of single-level ICON-D2, 0.5 of MOSMIX_L. "
        f"Below {floor:g} GB of free disk fetching pauses."
    )


if __name__ == "__main__":
    sys.exit(main())
