"""What the work needs, opened once: settings, store, source, the clock, the kept geometries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from nexrad_assets.levels.level2 import Level2Recipe
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.levels.table import Level
from nexrad_assets.names import parse_product_name, parse_volume_name
from nexrad_assets.pipeline.catalog import Catalog
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import PRODUCTS
from nexrad_assets.radar.level3.products import DEAD_CODES
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sources.layouts import LEVEL2, Level3Layout
from nexrad_assets.sources.source import Source, open_source
from store.location import open_store
from store.objects import Store

Log = Callable[[str], None]
"""Where the work tells of itself, a line at a time."""


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the work needs: settings, where to write, the levels by their number, the clock, kept geometries."""

    settings: NexradSettings
    store: Store
    levels: Mapping[int, Level]
    clock: Callable[[], datetime] = utc_now
    geometries: GeometryCache = field(default_factory=GeometryCache)

    @property
    def catalog(self) -> Catalog:
        """The catalogue in the store."""
        return Catalog(self.store, self.clock)


def open_workshop(settings: NexradSettings, clock: Callable[[], datetime] = utc_now) -> Workshop:
    """Open store and sources as the settings name them."""
    level2 = open_source(settings.source, LEVEL2, settings.source_endpoint, settings.source_signed)
    level3 = open_source(
        settings.level3_source,
        Level3Layout(settings.level3_products, () if settings.names_level3_products else DEAD_CODES),
        settings.level3_endpoint,
        settings.level3_signed,
    )
    return Workshop(
        settings=settings,
        store=open_store(settings.store, settings.store_endpoint),
        levels=levels(settings, level2, level3),
        clock=clock,
        geometries=GeometryCache(settings.geometry_cache, settings.geometry_cache_bytes),
    )


def levels(settings: NexradSettings, level2: Source, level3: Source) -> Mapping[int, Level]:
    """The levels, with files from these sources and recipes as the settings say."""
    both = (
        Level("volumes", level2, parse_volume_name, _level2_recipe(settings), together=1),
        Level("products", level3, parse_product_name, Level3Recipe(settings.image_size), together=32),
    )
    return {level.number: level for level in both}


def _level2_recipe(settings: NexradSettings) -> Level2Recipe:
    products = (
        replace(
            PRODUCTS[name],
            colours=settings.colours or PRODUCTS[name].colours,
            value_range=settings.value_range or PRODUCTS[name].value_range,
        )
        for name in settings.products
    )
    return Level2Recipe(tuple(products), settings.image_size)
