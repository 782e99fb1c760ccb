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
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError

from api.settings import ApiSettings
from deploy.local.environment import demo_environment, run_environment, variables_set
from deploy.local.place import PROJECT, Place
from deploy.local.servers import serve
from deploy.local.storms import DEMO_SEED, DEMO_SITES, storms
from dwd_assets.commands.simulate import open_server
from dwd_assets.settings import DwdSettings
from nexrad_assets.settings import NexradSettings

DEMO_MINUTES = 60
MANY_SITES = 8
Settings = TypeVar("Settings", ApiSettings, NexradSettings, DwdSettings)


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
    return serve(place, environment, _what_to_see_live(place, environment))


def _demo(options: argparse.Namespace) -> int:
    own = variables_set(os.environ)
    place = _place(options, own)
    with (
        storms(place, timedelta(minutes=options.minutes)),
        open_server(datetime.now(UTC), 1.0, DEMO_SEED, "127.0.0.1", 0) as weather_service,
    ):
        environment = demo_environment(place, own, weather_service.url)
        return serve(place, environment, _what_to_see_in_the_demo(place, options.minutes))


def _place(options: argparse.Namespace, own: Mapping[str, str]) -> Place:
    home = (options.home or PROJECT / f".{options.mode}").resolve()
    listens = _read(ApiSettings, own)
    api_port = listens.port if options.api_port is None else options.api_port
    return Place(home, options.ui_port, api_port, listens.host)


def _read(kind: type[Settings], variables: Mapping[str, Any]) -> Settings:
    """Settings as a process with these variables reads them."""
    return kind(**{"_env_file": None, **variables})


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
