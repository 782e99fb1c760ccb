"""A small pipeline for tests of the Dagster layer: files in a folder, a real store, a clock that stands."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from nexrad_assets import metadata, sensors
from nexrad_assets.definitions import build_definitions
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.names import product_file_name
from nexrad_assets.partitions import partition_key
from nexrad_assets.pipeline.context import Workshop, open_workshop
from nexrad_assets.radar.sites import site
from nexrad_assets.settings import NexradSettings
from nexrad_assets.simulator.coverage import VCP_212
from nexrad_assets.simulator.network import volume_key
from nexrad_assets.simulator.volumes import simulate_volume
from nexrad_assets.tags import MODE_TAG
from orchestration.runs import LIVE
from tests.dagster_homes import new_instance
from tests.nexrad_assets.radar.level3.product_files import moved

NOW = datetime(2026, 4, 9, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
SMALL_PATTERN = replace(VCP_212, cuts=VCP_212.cuts[:2])

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

BROKEN = b"AR2V0006.001" + bytes(500)


@pytest.fixture(scope="session")
def volume() -> bytes:
    """A simulated volume of the two lowest cuts; any file name will do for it."""
    return simulate_volume(site("KPDT"), NOW, 1, SMALL_PATTERN)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-04-09T{text}").replace(tzinfo=UTC)


@dataclass
class World:
    """A source folder, a store, and definitions over both."""

    folder: Path
    settings: NexradSettings
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.workshop: Workshop = open_workshop(self.settings, clock=lambda: self.now)
        self.definitions = build_definitions({"workshop": self.workshop}, self.settings)
        self.instance = new_instance(self.folder / "dagster")

    def drop(self, site_id: str, start: datetime, data: bytes) -> Path:
        """Put a volume into the source, as if it had been there for a while."""
        path = Path(self.settings.source) / volume_key(site_id, start)
        path.parent.mkdir(parents=True, exist_ok=True)
        return _settled(path, data)

    def drop_product(self, site_id: str, start: datetime, code: str, data: bytes) -> Path:
        """Put a product into its source, as if it had been there for a while and were the site's own."""
        path = Path(self.settings.level3_source) / product_file_name(site_id, code, start)
        return _settled(path, moved(data, site_id))

    def run(
        self, tags: dict[str, str], *, level=2, run_config=None, selection=None
    ) -> dg.ExecuteInProcessResult:
        """A run of a level's live job with these tags, in this process."""
        job = self.definitions.resolve_job_def(f"nexrad_live_level{level}")
        return job.execute_in_process(
            instance=self.instance,
            tags=tags,
            raise_on_error=False,
            run_config=run_config,
            asset_selection=selection,
        )

    def metadata_of(self, asset: dg.AssetKey, site_id: str, day=TODAY) -> dict[str, object]:
        """The metadata of the newest materialization of one partition."""
        key = partition_key(SiteDay(day, site_id))
        found = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key]), limit=1
        )
        event = found.records[0].asset_materialization
        return {name: value.value for name, value in event.metadata.items()}

    def scans(self, site_id: str, day=TODAY):
        return self.workshop.catalog.snapshot(site_id, day).scans


def _settled(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    os.utime(path, (time.time() - 60, time.time() - 60))
    return path


def range_tags(first: str, last: str, day=TODAY, *, live: bool = True) -> dict[str, str]:
    mode = {MODE_TAG: LIVE} if live else {}
    return {
        RANGE_START: partition_key(SiteDay(day, first)),
        RANGE_END: partition_key(SiteDay(day, last)),
        **mode,
    }


def make_world(folder: Path, sites: tuple[str, ...], **settings) -> World:
    source = folder / "source"
    products = folder / "products"
    source.mkdir(exist_ok=True)
    products.mkdir(exist_ok=True)
    values = {
        "source": str(source),
        "level3_source": str(products),
        "store": str(folder / "store"),
        "sites": sites,
        "primary_site": sites[0],
        "image_size": 128,
        "geometry_cache": folder / "geometry",
        "jobs": 1,
        "start_day": datetime(2026, 4, 1, tzinfo=UTC).date(),
    }
    return World(folder, NexradSettings(_env_file=None, **{**values, **settings}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three sites that are neighbours in the list of sites, at noon."""
    return make_world(tmp_path, ("KPDT", "KLOT", "KTLX"))


VOLUMES, SWEEPS, SCAN_LIST = metadata.RAW[2], metadata.RENDERED[2], metadata.SCAN_LIST
FILES, PRODUCTS = metadata.RAW[3], metadata.RENDERED[3]


def evaluation(result: dg.ExecuteInProcessResult, check: str) -> dg.AssetCheckEvaluation:
    """A run's verdict of this check."""
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == check)
    return found


class Ticker:
    """Ticks of a sensor, each with the cursor that the one before left."""

    def __init__(self, world, level=2):
        self.world, self.level, self.cursor = world, level, None

    def tick(self) -> dg.SensorResult:
        with dg.build_sensor_context(instance=self.world.instance, cursor=self.cursor) as context:
            result = sensors.tick(context, self.world.workshop, self.world.workshop.levels[self.level])
        self.cursor = result.cursor
        return result

    def ranges(self) -> list[tuple[str, str]]:
        return [(one.tags[RANGE_START], one.tags[RANGE_END]) for one in self.tick().run_requests]


def leave_lying(world, tags, *, level=2, started=False):
    """A run in the instance that no process works on."""
    run = world.instance.create_run_for_job(
        world.definitions.resolve_job_def(f"nexrad_live_level{level}"), tags=tags
    )
    if started:
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name)
        world.instance.report_dagster_event(event, run.run_id)
    return run
