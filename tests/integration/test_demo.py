"""`make demo` as a person meets it, and what `make run` makes of `.env` and the environment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local import __main__ as runner
from deploy.local import environment
from deploy.local.environment import demo_environment, run_environment, variables_set
from deploy.local.place import PROJECT, Place
from tests.servers import free_ports, slowness

STARTING = "Starting Dagster and the API"
PREPARED_WITHIN_S = 120.0
LISTED_WITHIN_S = 90.0
ENDED_WITHIN_S = 40.0
PLACE = Place(Path("/srv/radar"), 3000, 4000)
WEATHER_SERVICE = "http://127.0.0.1:8650"
ARCHIVED_WITHIN_S = 120.0


class Demo:
    """A demo that runs as a child, in a session and with an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "demo", folder / "demo.log"
        self.slowness = slowness()  # before the demo adds to it
        self.ports = self.ui_port, self.api_port = free_ports(2)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.api_port}", timeout=10, trust_env=False)
        command = [sys.executable, "-m", "deploy.local", "demo", "--home", str(self.home), "--minutes", "15"]
        command += ["--ui-port", str(self.ui_port), "--api-port", str(self.api_port)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        logs = [self.log, self.home / "dagster.log", self.home / "api.log"]
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in logs if log.exists())

    def wait_for(self, what: str, look, timeout_s: float):
        """What `look` gives, once it gives something; fails with what the demo printed.

        The time is that of a machine that was idle when the demo began, and as much longer as it was busier.
        """
        deadline = time.monotonic() + timeout_s * self.slowness
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := look():
                return found
            time.sleep(0.25)
        pytest.fail(f"no {what} within {timeout_s:g} s; the demo printed:\n{self.output()}")

    def get(self, path: str) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            return self.api.get(path)

    def scans(self) -> list[str]:
        answer = self.get("/list-all/")
        return sorted(answer.json()["reflectivity"]) if answer is not None and answer.is_success else []

    def whole_runs(self) -> list[str]:
        answer = self.get("/v1/dwd/runs?collection=icon-d2&state=complete")
        return (
            [run["period"] for run in answer.json()["items"]]
            if answer is not None and answer.is_success
            else []
        )

    def processes(self) -> list[psutil.Process]:
        """Those of its session, and those below it that began sessions of their own: they know its home."""
        return [process for process in psutil.process_iter() if self._is_of_it(process)]

    def _is_of_it(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == self.process.pid:
                return True
            return process.environ().get("DAGSTER_HOME") == str(self.home / "dagster")
        return False

    def end(self) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        self.api.close()


@pytest.fixture
def demo(tmp_path):
    demo = Demo(tmp_path)
    yield demo
    demo.end()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.daemon
@pytest.mark.timeout(900)
def test_the_demo_shows_scans_within_ninety_seconds_and_ctrl_c_ends_all_of_it(demo):
    demo.wait_for("start", lambda: STARTING in demo.log.read_text(), PREPARED_WITHIN_S)
    scan = demo.wait_for("scan", demo.scans, LISTED_WITHIN_S)[-1]
    assert scan.startswith("KPDT")
    image = demo.get(f"/data/2/{scan}_reflectivity_idx0/png")
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    demo.wait_for(
        "end of the start", lambda: "Ctrl-C ends all of it" in demo.log.read_text(), LISTED_WITHIN_S
    )
    demo.wait_for("whole run of ICON-D2", demo.whole_runs, ARCHIVED_WITHIN_S)
    assert all(map(listens, demo.ports))
    assert len(demo.processes()) >= 4

    os.killpg(demo.process.pid, signal.SIGINT)  # as a terminal does: to all of the foreground group
    assert demo.process.wait(ENDED_WITHIN_S * demo.slowness) == 0, demo.output()
    psutil.wait_procs(demo.processes(), timeout=5)  # what was killed may take a moment to be gone
    assert demo.processes() == []
    assert not any(map(listens, demo.ports))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STORE", "s3://mine/prefix"),
        ("NEXRAD_GEOMETRY_CACHE", "/var/cache/geometry"),
        ("NEXRAD_LIVE", "0"),
        ("NEXRAD_API_URL", "https://radar.example.org"),
        ("NEXRAD_SOURCE", "s3://mirror"),
        ("NEXRAD_SITES", "KTLX,KLOT"),
        ("AWS_ACCESS_KEY_ID", "someone"),
    ],
)
def test_run_gives_its_servers_what_a_person_has_set(name, value):
    assert run_environment(PLACE, {name: value})[name] == value


def test_run_has_defaults_for_what_nobody_set():
    given = run_environment(PLACE, variables_set({"STORE": "", "NEXRAD_LIVE": None}))
    assert given["STORE"] == "/srv/radar/store"
    assert (given["NEXRAD_LIVE"], given["NEXRAD_API_URL"]) == ("1", "http://127.0.0.1:4000")


def test_the_bucket_of_the_replaced_system_is_the_store_of_run():
    given = run_environment(PLACE, {"PROJECT_S3_BUCKET": "radar-images"})
    assert "STORE" not in given
    assert given["PROJECT_S3_BUCKET"] == "radar-images"


def test_folders_of_run_are_relative_to_the_project():
    given = run_environment(PLACE, {"STORE": "data/store", "NEXRAD_SOURCE": "/volumes"})
    assert (given["STORE"], given["NEXRAD_SOURCE"]) == (str(PROJECT / "data/store"), "/volumes")


def test_the_demo_keeps_to_its_own_store_source_and_sites():
    own = {
        "STORE": "s3://mine",
        "NEXRAD_SOURCE": "s3://mirror",
        "NEXRAD_SITES": "KLOT",
        "RADAR_SITE_L2": "KLOT",
        "DWD_SERVER": "https://mirror.example.org",
        "DOWNLOAD_DIRECTORY_BASE_PATH": "/mnt/archive",
    }
    given = demo_environment(PLACE, own, WEATHER_SERVICE)
    assert given["STORE"] == "/srv/radar/store"
    assert given["NEXRAD_SOURCE"] == "/srv/radar/source"
    assert (given["NEXRAD_SITES"], given["NEXRAD_PRIMARY_SITE"]) == ("KPDT,KTLX", "KPDT")
    assert (given["DWD_SERVER"], given["DWD_STORE"]) == (WEATHER_SERVICE, "/srv/radar/store")


def test_run_archives_nothing_of_dwd_unless_a_person_says_so():
    assert "DWD_LIVE" not in run_environment(PLACE, {})
    assert run_environment(PLACE, {"DWD_LIVE": "1"})["DWD_LIVE"] == "1"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:4000"),
        ("0.0.0.0", "http://127.0.0.1:4000"),
        ("::", "http://[::1]:4000"),
        ("radar.local", "http://radar.local:4000"),
    ],
)
def test_the_api_is_reached_where_it_listens(host, address):
    assert Place(Path("/srv/radar"), 3000, 4000, host).api == address


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Starts a mode in a project whose `.env` is given; gives place and environment of the servers."""

    def started(mode: str, env_file: str, **variables: str) -> tuple[Place, dict[str, str]]:
        (tmp_path / ".env").write_text(env_file)
        for name in [name for name in os.environ if name.startswith(("NEXRAD_", "RADAR_", "API_", "STORE"))]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        served = []
        for module in (runner, environment):
            monkeypatch.setattr(module, "PROJECT", tmp_path)
        monkeypatch.setattr(runner, "serve", lambda *given: served.append(given) or 0)
        assert runner.main([mode, "--home", str(tmp_path / "home"), "--minutes", "0"]) == 0
        place, given, _ = served[0]
        return place, given

    handler = signal.getsignal(signal.SIGTERM)
    yield started
    signal.signal(signal.SIGTERM, handler)


def test_run_loads_the_file_and_the_environment_goes_before_it(started):
    env_file = "API_PORT=4100\nAPI_HOST=0.0.0.0\nAWS_ACCESS_KEY_ID=filed\nNEXRAD_SITES=KTLX\nSTORE=\n"
    place, given = started("run", env_file, NEXRAD_SITES="KLOT", STORE="")
    assert (place.api_host, place.api_port) == ("0.0.0.0", 4100)
    assert (given["AWS_ACCESS_KEY_ID"], given["NEXRAD_SITES"]) == ("filed", "KLOT")
    assert given["STORE"] == str(place.home / "store")


def test_the_file_does_not_reach_the_demo(started):
    env_file = "API_PORT=4100\nSTORE=s3://mine\nNEXRAD_SITES=KLOT\nNEXRAD_PRODUCTS=velocity\n"
    place, given = started("demo", env_file, API_PORT="4200")
    assert place.api_port == 4200
    assert (given["STORE"], given["NEXRAD_SITES"]) == (str(place.home / "store"), "KPDT,KTLX")
    assert "NEXRAD_PRODUCTS" not in given


def test_a_wrong_setting_stops_run_before_anything_starts(started):
    with pytest.raises(SystemExit, match="KPDX"):
        started("run", "NEXRAD_SITES=KPDX\n")
