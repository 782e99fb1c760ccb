"""A real Dagster daemon with its code servers and a real API, on a folder source and a store of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
import yaml
from dagster import DagsterInstance

from nexrad_assets.pipeline.catalog import Catalog
from nexrad_assets.simulator.network import volume_key
from store.objects import Store
from store.posix import PosixStore
from tests.dagster_homes import lay_databases
from tests.servers import free_ports, slowness

PROJECT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 15.0

T = TypeVar("T")


@dataclass
class Deployment:
    """Folders and settings of one deployment, and the daemon that runs over them."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    store: Store | None = None
    """Where `settings` say the store is, if not in a folder of `home`."""

    def __post_init__(self) -> None:
        for folder in (self.source, self.products, self.dagster_home):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / "deploy" / "dagster.yaml", self.dagster_home / "dagster.yaml")
        self.workspace.write_text(_workspace_of("nexrad_assets"))
        lay_databases(self.dagster_home)  # daemon and code servers, starting together, may spoil new ones
        self.store = self.store or PosixStore(self.home / "store")

    @property
    def source(self) -> Path:
        return self.home / "source"

    @property
    def products(self) -> Path:
        return self.home / "products"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def workspace(self) -> Path:
        return self.home / "workspace.yaml"

    @property
    def log(self) -> Path:
        return self.home / "daemon.log"

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.store, lambda: datetime.now(UTC))

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("NEXRAD_", "AWS_"))},
            "DAGSTER_HOME": str(self.dagster_home),
            "STORE": str(self.home / "store"),
            "NEXRAD_SOURCE": str(self.source),
            "NEXRAD_LEVEL3_SOURCE": str(self.products),
            "NEXRAD_GEOMETRY_CACHE": str(self.home / "geometry"),
            "NEXRAD_IMAGE_SIZE": "256",
            "NEXRAD_LIVE": "1",
            **self.settings,
        }

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Dagster command line to its end."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """The daemon while the block lasts; all processes of its session end with it."""
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", "-w", str(self.workspace)],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            stop(process)

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """The API as a process of its own while the block lasts, and a client of it."""
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "api"]
        with (self.home / "api.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=self.environment | {"API_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
                self.wait_for("API", lambda: _lives(client), 60)
                yield client
        finally:
            stop(process)

    @contextmanager
    def instance(self) -> Iterator[DagsterInstance]:
        """The instance as a user of Dagster's own code has it."""
        with DagsterInstance.from_config(str(self.dagster_home)) as instance:
            yield instance

    def drop(self, site: str, start: datetime, data: bytes) -> str:
        """Put a volume into the source as a download does: whole, by a rename; gives its scan's key."""
        path = self.source / volume_key(site, start)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_bytes(data)
        if datetime.now(UTC) - start > timedelta(hours=1):
            settled = (
                time.time() - 60.0
            )  # an old volume has been there for a while; a young one must settle first
            os.utime(partial, (settled, settled))
        partial.rename(path)
        return path.name

    def wait_for(self, what: str, look: Callable[[], T | None], timeout_s: float) -> T:
        """Look until there is something to see, on a busy machine longer; fails with the end of the daemon's log."""
        begun = time.monotonic()
        while time.monotonic() - begun < timeout_s * slowness():
            if found := look():
                return found
            time.sleep(0.1)
        log = self.log.read_text(errors="replace")[-6000:] if self.log.exists() else "(no log)"
        pytest.fail(f"no {what} within {timeout_s:g} s; the daemon's log ends:\n{log}")


def _workspace_of(location: str) -> str:
    """The project's workspace with one of its code locations: each takes two processes, which load all of it."""
    whole = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    kept = [each for each in whole if each["python_module"]["location_name"] == location]
    assert kept
    return yaml.safe_dump({"load_from": kept})


def _lives(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.TransportError:
        return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a session: asked first, so that its runs and code servers can end, then for certain."""
    _signal(process, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT_S)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
