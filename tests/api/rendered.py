"""Scans rendered for real from simulated volumes and products: what the pipeline would publish."""

from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from nexrad_assets import names
from nexrad_assets.levels import scans
from nexrad_assets.levels.level2 import Level2Recipe
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import REFLECTIVITY
from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.radar.sites import Site, site
from nexrad_assets.radar.volume import Volume
from nexrad_assets.simulator.coverage import VCP_212
from nexrad_assets.simulator.products import simulate_products
from nexrad_assets.simulator.volumes import simulate_volume
from store.radar.snapshot import SourceFile
from tests.api.world import NOON, Made

SEED = 7
PIXELS = 900
PATTERN = replace(VCP_212, cuts=VCP_212.cuts[:12])
"""The seven lowest angles, and the lowest once more."""

GEOMETRIES = GeometryCache()


@lru_cache(maxsize=4)
def volume_file(site_id: str = "KPDT", start: datetime = NOON) -> bytes:
    return simulate_volume(site(site_id), start, SEED, PATTERN)


@lru_cache(maxsize=4)
def volume(site_id: str = "KPDT", start: datetime = NOON) -> Volume:
    return read_volume(volume_file(site_id, start), f"{site_id}{start:%Y%m%d_%H%M%S}_V06")


@lru_cache(maxsize=4)
def level2(site_id: str = "KPDT", start: datetime = NOON, pixels: int = PIXELS) -> Made:
    name = names.parse_volume_name(f"{site_id}{start:%Y%m%d_%H%M%S}_V06")
    return _made(volume_file(site_id, start), name, Level2Recipe((REFLECTIVITY,), pixels))


@lru_cache(maxsize=2)
def product_files(site_id: str, start: datetime) -> dict[str, bytes]:
    return simulate_products(site(site_id), start, SEED)


@lru_cache(maxsize=16)
def level3(code: str, site_id: str = "KPDT", start: datetime = NOON) -> Made:
    name = names.parse_product_name(names.product_file_name(site_id, code, start))
    return _made(product_files(site_id, start)[code], name, Level3Recipe(PIXELS))


def _made(data: bytes, name: names.FileName, recipe: scans.Recipe) -> Made:
    told = scans.Provenance(
        SourceFile(f"source/{name.file_name}", "etag", len(data)), "live", False, name.time
    )
    made = scans.make(data, name, told, recipe, GEOMETRIES)
    assert made.scan.status != "failed", made.scan.reason
    return Made(made.scan, {key: content for key, (content, _) in made.objects.items()})


def antenna(site_id: str = "KPDT") -> Site:
    return site(site_id)
