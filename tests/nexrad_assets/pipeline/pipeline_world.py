"""A small pipeline without Dagster: files in a folder of each level, a real store, a clock to turn.

Real files are given other times by their names, and products the place of their site; what they show stays what
the radar sent.
"""

import dataclasses
import shutil
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from nexrad_assets import names
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.pipeline import upkeep
from nexrad_assets.pipeline.context import Workshop, levels
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.level3.products import DEAD_CODES
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sources.layouts import LEVEL2 as LEVEL2_LAYOUT
from nexrad_assets.sources.layouts import Level3Layout
from nexrad_assets.sources.source import FolderSource
from store import keys
from store.radar import lists
from tests.nexrad_assets.radar.level3.product_files import PRODUCT_SAMPLES, moved
from tests.nexrad_assets.snapshots import at
from tests.samples import LEVEL2, LEVEL3

SMALL = "2014/01/01/KTLX/KTLX20140101_000624_V06.gz"
DAY = date(2025, 4, 9)
TODAY = SiteDay(DAY, "KTLX")
NOW = at("2025-04-09T12:00:00")
GEOMETRIES = GeometryCache()


def quiet(_line):
    pass


def later():
    """A clock of which every file has settled."""
    return time.time() + 3600.0


def sample_of(code, sample, site):
    return moved((LEVEL3 / (sample or PRODUCT_SAMPLES[code])).read_bytes(), site)


class Bench:
    """Source folders, a store and a clock to turn."""

    def __init__(self, store, folder, **settings):
        self.folder = folder
        folder.mkdir()
        self.now = NOW
        defaults = {"sites": ("KTLX", "KDMX"), "image_size": 128, "jobs": 2, "source": str(folder)}
        values = NexradSettings(_env_file=None, **{**defaults, **settings})
        self.products = folder / "level3"
        self.products.mkdir()
        self.workshop = Workshop(
            settings=values,
            store=store,
            levels=levels(
                values,
                FolderSource(folder, LEVEL2_LAYOUT, clock=later),
                FolderSource(self.products, Level3Layout(values.level3_products, DEAD_CODES), clock=later),
            ),
            clock=lambda: self.now,
            geometries=GEOMETRIES,
        )

    def arrives(self, time, sample=SMALL, *, site="KTLX", data=None):
        """A volume, of a sample or of these bytes, under the name of this time; gives its file's name."""
        start = at(time)
        path = self.folder / f"{start:%Y/%m/%d}" / site / f"{site}{start:%Y%m%d_%H%M%S}_V06"
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            shutil.copyfile(LEVEL2 / sample, path)
        else:
            path.write_bytes(data)
        return path.name

    def product_arrives(self, time, code, *, sample=None, site="KTLX", data=None):
        """A product, of its code's sample or another, or of these bytes; gives its scan's key."""
        start = at(time)
        path = self.products / names.product_file_name(site, code, start)
        path.write_bytes(sample_of(code, sample, site) if data is None else data)
        return names.scan_key(site, start, code)

    def orphans_removed_of(self, stray):
        """How many objects reconciling removes when this one was just written, and two hours later."""
        self.workshop.store.put(stray, b"unfinished")
        self.now = datetime.now(UTC)
        (young,) = upkeep.reconcile(self.workshop, ["KTLX"], quiet)
        self.now += timedelta(hours=2)
        (old,) = upkeep.reconcile(self.workshop, ["KTLX"], quiet)
        return young.orphans_removed, old.orphans_removed

    @property
    def level2(self):
        return self.workshop.levels[2]

    @property
    def level3(self):
        return self.workshop.levels[3]

    def take_from(self, source, level=2):
        """Put another source of a level's files in the place of the folder."""
        self.change_level(level, source=source)

    def change_level(self, level, **changes):
        """Put other values in a level's place."""
        changed = dataclasses.replace(self.workshop.levels[level], **changes)
        self.workshop = dataclasses.replace(self.workshop, levels={**self.workshop.levels, level: changed})

    def write_to(self, store):
        """Put another store in the place of this one."""
        self.workshop = dataclasses.replace(self.workshop, store=store)

    def run(self, partition=TODAY, mode="live", *, level=2, **options):
        (collected,) = collect(
            self.workshop, self.workshop.levels[level], [partition], mode, log=quiet, **options
        )
        (rendered,) = render(self.workshop, self.workshop.levels[level], [partition], mode, log=quiet)
        return collected, rendered

    def scans(self, site="KTLX", day=DAY):
        return self.workshop.catalog.snapshot(site, day).scans

    def window(self, site="KTLX"):
        """The scans of the live window, as the API takes them from the snapshots."""
        head = self.workshop.catalog.head(site)
        days = lists.window_days(head, self.now, 180)
        known = [scan for day in days for scan in self.scans(site, day).values()]
        return lists.window(known, self.now, 180)

    def listed(self, site="KTLX"):
        return [scan.key for scan in self.window(site)]

    def retain(self):
        return {one.site: one for one in upkeep.retain(self.workshop, ["KTLX", "KDMX"], quiet)}

    def missing(self, site="KTLX"):
        catalog = self.workshop.catalog
        snapshots = (catalog.snapshot(site, day) for day in catalog.days(site))
        return [key for one in snapshots for key in upkeep.missing_objects(self.workshop.store, one)]

    def raws(self, level=2):
        return [info.key for info in self.workshop.store.list(keys.raw_site_prefix(level, "KTLX"))]

    def stored(self, level=3):
        """The keys of what is stored of a level's scans."""
        return {info.key for info in self.workshop.store.list(keys.images_site_prefix(level, "KTLX"))}


@pytest.fixture
def bench(store, tmp_path):
    return Bench(store, tmp_path / "source")


@pytest.fixture
def local(local_store, tmp_path):
    return Bench(local_store, tmp_path / "source")
