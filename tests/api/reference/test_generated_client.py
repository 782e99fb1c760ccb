"""A client that a generator makes of the OpenAPI document, used against a real server."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from store.posix import PosixStore
from tests.api import abundance
from tests.api.abundance import DAY, IMAGE, KEY, STATION
from tests.api.conftest import TOKEN, serving, settings
from tests.api.world import NOON, Clock

PACKAGE = "generated_radar_client"
CONFIGURATION = """
post_hooks: []
content_type_overrides:
  image/png: application/octet-stream
"""
"""Images are bytes to it; the code need not be pretty."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    store = PosixStore(tmp_path_factory.mktemp("store"))
    abundance.fill(store, abundance.bare_scans())
    with serving(create_app(settings(rate_per_minute=0), store, Clock())) as address:
        yield address


@pytest.fixture(scope="module")
def package(address, tmp_path_factory):
    """The client, generated without a word of warning; a function that gives its modules."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_bytes(httpx.get(f"{address}/openapi.json", trust_env=False).content)
    (folder / "config.yaml").write_text(CONFIGURATION)
    generator = Path(sys.executable).with_name("openapi-python-client")
    command = [generator, "generate", "--path", "openapi.json", "--config", "config.yaml"]
    command += ["--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARNING" not in run.stdout + run.stderr
    sys.path.insert(0, str(folder))
    try:
        yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def client(package, address):
    with package("client").Client(base_url=address, httpx_args={"trust_env": False}) as client:
        yield client


@pytest.fixture(scope="module")
def raw(address):
    """What the server says, without the generated client."""
    with httpx.Client(base_url=address, trust_env=False) as raw:
        yield lambda path: timed(raw.get(path).json())


def timed(told):
    """A document with times in place of their spellings, of which the client has another."""
    if isinstance(told, dict):
        return {name: timed(value) for name, value in told.items()}
    if isinstance(told, list):
        return [timed(value) for value in told]
    is_time = isinstance(told, str) and TIME.fullmatch(told)
    return datetime.fromisoformat(told) if is_time else told


def test_sites_come_with_their_types(package, client, raw):
    sites = package("api.radar.sites").sync(client=client)
    assert isinstance(sites, package("models.sites").Sites)
    assert timed(sites.to_dict()) == raw("/v1/sites")
    (found,) = (site for site in sites.sites if site.id == sites.primary)
    assert (found.id, found.name, found.kind, found.days) == ("KPDT", "Pendleton", "WSR-88D", [NOON.date()])
    assert found.newest.additional_properties["2"] == NOON


def test_scans_are_paged_by_their_times(package, client, raw):
    begin = datetime(2025, 4, 9, 11, 0, tzinfo=UTC)
    times = {"start": begin.isoformat(), "end": NOON.isoformat()}
    asked = {"product": "reflectivity", "tilt": "", **times, "limit": 4}
    scans = package("api.radar.scans").sync(client=client, **asked)
    assert timed(scans.to_dict()) == raw(f"/v1/scans?{httpx.QueryParams(asked)}")
    assert [one.valid_time.hour for one in scans.scans] == [11, 11, 11, 11]
    assert isinstance(scans.scans[0].corners, package("models.bounding_box").BoundingBox)
    cursor = httpx.URL(scans.next_).params["cursor"]
    rest = package("api.radar.scans").sync(client=client, **asked, cursor=cursor)
    assert [one.key for one in rest.scans][-1] == KEY
    assert rest.next_ is None


def test_the_newest_scan_its_feature_and_its_image(package, client, raw, address):
    newest = package("api.radar.latest").sync(client=client, product="reflectivity", tilt=0.5)
    assert timed(newest.to_dict()) == raw("/v1/latest?product=reflectivity&tilt=0.5")
    assert (newest.scan.image, newest.scan.valid_time) == (IMAGE, NOON)
    feature = package("api.radar.scan").sync(IMAGE, client=client)
    assert timed(feature.to_dict()) == raw(f"/v1/scans/{IMAGE}")
    assert feature.properties.source.bytes_ > 0
    file = newest.scan.href.rpartition("/")[2]
    image = package("api.radar.image_by_digest").sync(file, client=client)
    bytes_there = httpx.get(address + newest.scan.href, trust_env=False).content
    assert isinstance(image.payload, io.BytesIO)
    assert image.payload.read() == bytes_there


def test_values_at_a_point(package, client, raw):
    values = package("api.radar.value").sync(client=client, product="reflectivity", lon=-118.8, lat=45.7)
    assert timed(values.to_dict()) == raw("/v1/value?product=reflectivity&lon=-118.8&lat=45.7")
    assert [one.idx for one in values.values] == [0, 1, 2]
    assert all(one.valid_time >= values.scan.scan_start for one in values.values)


def test_runs_of_the_archive_their_files_and_a_file(package, client, raw, address):
    api = "api.dwd_archive"
    state = package("models.dwd_runs_state_type_0").DwdRunsStateType0
    runs = package(f"{api}.dwd_runs").sync(client=client, collection="icon-d2", state=state.COMPLETE)
    assert timed(runs.to_dict()) == raw("/v1/dwd/runs?collection=icon-d2&state=complete")
    (run,) = runs.items
    assert (run.collection, run.period, run.kept, run.start.hour) == ("icon-d2", "2025040909", 5, 9)
    detail = package(f"{api}.dwd_run").sync(run.collection, run.period, client=client)
    assert timed(detail.to_dict()) == raw(run.href)
    files = package(f"{api}.dwd_files").sync(
        run.collection, run.period, client=client, parameter="t_2m", step=60
    )
    (file,) = files.items
    assert (file.field.parameter, file.field.grid, file.size > 0) == ("t_2m", "regular", True)
    download = package(f"{api}.dwd_file").sync(file.path, client=client)
    assert download.payload.read() == httpx.get(address + file.href, trust_env=False).content


def test_reports_and_forecasts_of_a_station(package, client, raw):
    api = "api.dwd_archive"
    reports = package(f"{api}.dwd_reports").sync(STATION, client=client, start=f"{DAY}", end=f"{DAY}")
    assert timed(reports.to_dict()) == raw(f"/v1/dwd/stations/{STATION}/reports?start={DAY}&end={DAY}")
    assert reports.start == date(2025, 4, 9)
    assert len(reports.rows) == 24
    forecast = package(f"{api}.dwd_forecast").sync(STATION, client=client, element="TTT")
    assert timed(forecast.to_dict()) == raw(f"/v1/dwd/stations/{STATION}/forecast?element=TTT")
    (series,) = forecast.series
    assert len(series.values) == len(forecast.times)


def test_a_series_at_points(package, client, raw):
    asked = {"parameter": "t_2m", "points": "51.034,9.366;52.0,8.0", "run": "2025-04-09T09:00Z"}
    series = package("api.dwd_archive.dwd_series").sync(client=client, **asked)
    assert timed(series.to_dict()) == raw(f"/v1/dwd/series?{httpx.QueryParams(asked)}")
    assert [one.valid_time.hour for one in series.times] == [9, 10]
    assert [len(point.values) for point in series.points] == [2, 2]


def test_a_refusal_is_a_problem_with_its_parts(package, client):
    answer = package("api.radar.latest").sync_detailed(client=client, product="nonsense")
    assert answer.status_code == 400
    assert isinstance(answer.parsed, package("models.problem").Problem)
    assert [one.name for one in answer.parsed.errors] == ["product"]


def test_flags_are_written_with_the_token_and_not_without(package, client, address):
    flags = package("models.flag_set").FlagSet
    updates = package("models.flag_set_updates_type_0").FlagSetUpdatesType0.from_dict({"reflectivity": 1})
    write = package("api.writing.set_flags").sync_detailed
    bearer = package("client").AuthenticatedClient(
        base_url=address, token=TOKEN, httpx_args={"trust_env": False}
    )
    refused = bearer.with_headers({})
    refused.token = "another"
    assert write(client=refused, body=flags(updates=updates)).status_code == 401
    assert write(client=bearer, body=flags(updates=updates), site="KTLX").parsed.updated is True
    told = package("api.one_site.read_flags").sync(client=client, site="KTLX")
    assert told.to_dict() == {"updates": {"reflectivity": 1, "hydrometeor": 0, "precipitation": 0}}
