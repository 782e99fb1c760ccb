"""Dagster and the API as processes: started, waited for, watched, and ended in order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.place import PROJECT, Place

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 20.0


def serve(place: Place, environment: Mapping[str, str], what_to_see: str) -> int:
    """Run Dagster and the API until one of them ends, or Ctrl-C; gives the exit status."""
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
