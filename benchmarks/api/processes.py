"""The servers that are compared, each a process of its own: nginx, ours, the replaced way, and their S3 server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.api.simulated import SITE
from tests.servers import S3Server, free_ports, ready, start_weed, stop

ROOT = Path(__file__).parents[2]
START_S = 60.0
TOKEN = "benchmark"

_NGINX = """
daemon off;
{user}
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    types {{ image/png png; }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {images}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """What it and its children have cost so far."""
        times = (each.cpu_times() for each in [self.process, *self.process.children(recursive=True)])
        return sum(float(each.user + each.system) for each in times)

    def resident_bytes(self) -> int:
        """What it and its children have in memory."""
        return sum(each.memory_info().rss for each in [self.process, *self.process.children(recursive=True)])


@contextmanager
def nginx(folder: Path, images: Path) -> Iterator[Server]:
    """nginx with the files of a folder: `sendfile`, no log, as many processes as there are cores (Debian's default)."""
    (port,) = free_ports(1)
    own = folder / "nginx"
    own.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    (own / "nginx.conf").write_text(_NGINX.format(folder=own, images=images, port=port, user=user))
    command = [_program("nginx"), "-c", str(own / "nginx.conf"), "-e", str(own / "error.log")]
    with _running(command, port, folder, os.environ) as server:
        yield server


@contextmanager
def ours(folder: Path, store: str, **settings: str) -> Iterator[Server]:
    """`python -m api` on a store; `settings` are variables of its environment."""
    (port,) = free_ports(1)
    given = {
        "STORE": store,
        "NEXRAD_PRIMARY_SITE": SITE,
        "API_PORT": str(port),
        "API_WRITE_TOKEN": TOKEN,
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "NEXRAD_"))}
    with _running([sys.executable, "-m", "api"], port, folder, {**kept, **given, **settings}) as server:
        yield server


@contextmanager
def replaced(folder: Path, s3: S3Server, bucket: str) -> Iterator[Server]:
    """The replaced way on a bucket."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.api.replaced", str(port), bucket, s3.endpoint]
    environment = {**os.environ, **s3.environment, "AWS_DEFAULT_REGION": "us-east-1", "PYTHONPATH": str(ROOT)}
    with _running(command, port, folder, environment) as server:
        yield server


@contextmanager
def object_store(folder: Path) -> Iterator[S3Server]:
    """An S3 protocol server."""
    server = S3Server(f"http://127.0.0.1:{free_ports(1)[0]}", "BENCHKEY", "bench-secret")
    process = start_weed(folder / "weed", server)
    try:
        if not ready(process, server):
            raise SystemExit(f"weed mini did not start: see {folder / 'weed' / 'weed.log'}")
        yield server
    finally:
        stop(process)


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise SystemExit(f"no {name}: it is what is compared with")
    return found


@contextmanager
def _running(
    command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str]
) -> Iterator[Server]:
    with (
        (folder / f"{port}.log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as process,
    ):
        server = Server(port, psutil.Process(process.pid))
        try:
            _wait(server, process)
            yield server
        finally:
            process.terminate()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers, with whatever status."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(server.url, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{process.args} did not start")
