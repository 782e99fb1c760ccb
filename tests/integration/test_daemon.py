"""A real daemon: what is dropped into the source is shown, and what is old is filled in beside it."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import msgspec
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from nexrad_assets.definitions import build_definitions
from nexrad_assets.levels import scans
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.metadata import RAW, RENDERED, SCAN_LIST
from nexrad_assets.names import product_file_name
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline.upkeep import missing_objects
from nexrad_assets.radar.sites import site
from nexrad_assets.settings import NexradSettings
from nexrad_assets.simulator.coverage import VCP_212
from nexrad_assets.simulator.products import simulate_products
from nexrad_assets.simulator.volumes import simulate_volume
from store.radar.lists import window
from tests.integration.daemon import Deployment

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(900)]

SMALL = replace(VCP_212, cuts=VCP_212.cuts[:4])
START_S = 150.0
"""A daemon, its code servers and runs start from cold on a machine that may be busy."""
SITES = ("KPDT", "KTLX")
OLD_DAY = date(2013, 5, 20)


@pytest.fixture(scope="module")
def volume() -> bytes:
    """A simulated volume of four cuts; any name will do for it."""
    return simulate_volume(site("KPDT"), datetime.now(UTC), 1, SMALL)


def served(api: httpx.Client, key: str, group: str = "reflectivity") -> bytes | None:
    """The answer to `/list-all/`, once it lists this scan."""
    answer = api.get("/list-all/")
    return answer.content if answer.is_success and key in answer.json()[group] else None


def ago(minutes: float) -> datetime:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).replace(microsecond=0)


def listed(deployment: Deployment, site_id: str, key: str):
    day = datetime.strptime(key[4:12], "%Y%m%d").replace(tzinfo=UTC).date()
    scan = deployment.catalog.snapshot(site_id, day).scans.get(key)
    return scan if scan is not None and scan.layers else None


def live_window(deployment: Deployment, site_id: str, now: datetime) -> bytes:
    days = [deployment.catalog.snapshot(site_id, day) for day in deployment.catalog.days(site_id)]
    return msgspec.json.encode(window((scan for day in days for scan in day.scans.values()), now, 180))


@pytest.fixture(params=["posix", pytest.param("s3", marks=pytest.mark.s3)])
def deployment(request, tmp_path) -> Deployment:
    """A deployment of two sites, on a folder store and on a real S3 server."""
    settings = {"NEXRAD_SITES": ",".join(SITES)}
    if request.param == "posix":
        return Deployment(tmp_path, settings)
    server = request.getfixturevalue("s3_server")
    bucket = server.new_bucket()
    return Deployment(
        tmp_path, {**settings, **server.environment, "STORE": f"s3://{bucket}"}, server.store(bucket)
    )


def test_a_dropped_volume_is_served_and_old_days_are_filled_in_beside(deployment, volume):
    old = {one: deployment.drop(one, datetime(2013, 5, 20, 20, 1, tzinfo=UTC), volume) for one in SITES}
    with deployment.daemon(), deployment.api() as api, deployment.instance() as instance:
        key = deployment.drop("KPDT", ago(2), volume)
        scan = deployment.wait_for("listed scan", lambda: listed(deployment, "KPDT", key), START_S)
        assert scan.origin == "live"
        stored = {info.key: info.size for info in deployment.store.list("plots_level2/")}
        assert [image.size for image in scans.images(scan)] == [stored[k] for k in scans.object_keys(scan)]
        assert {run.status for run in ended_runs(deployment, instance)} == {DagsterRunStatus.SUCCESS}

        shown = deployment.wait_for("scan in the API", lambda: served(api, key), 10)
        image = scan.layers["reflectivity"].tilts[0].images[0]
        answer = api.get(f"/data/2/{key}_reflectivity_idx0/png")
        assert hashlib.sha256(answer.content).hexdigest() == image.sha256
        assert api.get(f"/data/2/{key}_reflectivity_idx0/json").json()["sha256"] == image.sha256

        now = datetime.now(UTC)
        before = live_window(deployment, "KPDT", now)
        fill = start_backfill(instance, [SiteDay(OLD_DAY, one) for one in SITES], SITES)
        done = BulkActionStatus.COMPLETED_SUCCESS
        deployment.wait_for("finished backfill", lambda: status_of(instance, fill) is done, START_S)
        assert {listed(deployment, one, name).origin for one, name in old.items()} == {"backfill"}
        assert live_window(deployment, "KPDT", now) == before
        assert api.get("/list-all/").content == shown

        retention = deployment.command(
            "dagster", "job", "execute", "-m", "nexrad_assets.definitions", "-j", "nexrad_retention"
        )
        assert retention.returncode == 0, retention.stderr[-3000:]
        for one, name in old.items():
            day = api.get("/list-all/", params={"site": one, "day": OLD_DAY.isoformat()}).json()
            assert list(day["reflectivity"]) == [name]
            assert api.get(f"/data/2/{name}_reflectivity_idx0/png").is_success

        runs = instance.get_runs(RunsFilter(tags={"dagster/backfill": fill}))
        assert {run.tags["dagster/asset_partition_range_start"] for run in runs} == {
            partition_key(SiteDay(OLD_DAY, one)) for one in SITES
        }
        for run in runs:
            checks = instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
            assert len(checks) == 2


def test_dropped_products_are_listed_counted_and_served(tmp_path):
    deployment = Deployment(tmp_path, {"NEXRAD_SITES": ",".join(SITES)})
    start = ago(3)
    for code, data in simulate_products(site("KPDT"), start, 1, SMALL).items():
        # Before the daemon's first look: the next one is two minutes later.
        drop_product(deployment, product_file_name("KPDT", code, start), data)
    stem = f"KPDT{start:%Y%m%d_%H%M%S}"
    with deployment.daemon(), deployment.api() as api:
        key = f"{stem}_HHC"
        flags = {"updates": {"reflectivity": 0, "hydrometeor": 1, "precipitation": 1}}
        deployment.wait_for("raised flags", lambda: api.get("/flag/").json() == flags, START_S)
        for code, group in (("HHC", "hydrometeor"), ("N0H", "hydrometeor"), ("DAA", "precipitation")):
            deployment.wait_for(
                f"{code} in the API", lambda c=code, g=group: served(api, f"{stem}_{c}", g), 30
            )
        assert api.get("/list-all/").json() == {
            "hydrometeor": {key: {"sweeps": 1}, f"{stem}_N0H": {"sweeps": 1}},
            "precipitation": {f"{stem}_DAA": {"sweeps": 1}},
            "reflectivity": {},
        }
        options = api.get("/code/").json()
        counts = {one["value"]: one["count"] for menu in options.values() for one in menu if one["count"]}
        assert counts == {"HHC": 1, "N0H": 1, "DAA": 1}
        image, metadata = (api.get(f"/data/3/{key}_hydrometeor_idx0/{kind}") for kind in ("png", "json"))
        assert hashlib.sha256(image.content).hexdigest() == metadata.json()["sha256"]
        assert (metadata.json()["site"], metadata.json()["code"]) == ("KPDT", "HHC")
        scan = listed(deployment, "KPDT", key)
        assert (scan.origin, scan.kept) == ("live", False)
        with deployment.instance() as instance:
            assert {run.status for run in ended_runs(deployment, instance)} == {DagsterRunStatus.SUCCESS}
        day = deployment.catalog.snapshot("KPDT", start.date())
        assert set(day.scans[f"{stem}_NST"].documents) == {"storms"}
        assert missing_objects(deployment.store, day) == ()


def drop_product(deployment: Deployment, name: str, data: bytes) -> None:
    """Put a product into its source, as if it had been there for a while."""
    path = deployment.products / name
    path.write_bytes(data)
    os.utime(path, (time.time() - 60, time.time() - 60))


def test_a_day_of_a_site_is_materialized_from_the_command_line(tmp_path, volume):
    deployment = Deployment(tmp_path, {"NEXRAD_SITES": "KTLX", "NEXRAD_LIVE": "0"})
    deployment.drop("KTLX", datetime(2013, 5, 20, 20, 1, tzinfo=UTC), volume)
    done = deployment.command(
        "dagster",
        "asset",
        "materialize",
        "-m",
        "nexrad_assets.definitions",
        "--select",
        "nexrad_level2_volumes,nexrad_level2_sweeps,nexrad_scan_list",
        "--partition",
        partition_key(SiteDay(OLD_DAY, "KTLX")),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert listed(deployment, "KTLX", "KTLX20130520_200100_V06").origin == "backfill"


def ended_runs(deployment: Deployment, instance: DagsterInstance) -> list[DagsterRun]:
    """Every run so far, once all have ended."""

    def ended() -> list[DagsterRun] | None:
        runs = list(instance.get_runs())
        return runs if runs and all(run.is_finished for run in runs) else None

    return deployment.wait_for("ended run", ended, 60)


def start_backfill(instance: DagsterInstance, partitions: list[SiteDay], sites: tuple[str, ...]) -> str:
    """Launch a backfill of all assets, as Dagster's UI does; gives its id."""
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=sites))
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id="testfill",
        asset_graph=definitions.get_repository_def().asset_graph,
        partition_names=[partition_key(one) for one in partitions],
        asset_selection=[RAW[2], RENDERED[2], SCAN_LIST],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def status_of(instance: DagsterInstance, backfill_id: str) -> BulkActionStatus:
    return instance.get_backfill(backfill_id).status
