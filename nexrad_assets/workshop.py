"""What the work needs, opened once: settings, store, source, the clock, the kept geometries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from nexrad_assets.catalog import Catalog
from nexrad_assets.radar.geometry import GeometryCache
from nexrad_assets.radar.products import PRODUCTS
from nexrad_assets.scans import Recipe
from nexrad_assets.settings import NexradSettings
from nexrad_assets.source import Level2Source, open_source
from store.location import open_store
from store.objects import Store

Log = Callable[[str], None]
"""Where the work tells of itself, a line at a time."""


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the work needs: settings, where to read and to write, the clock, the kept geometries."""

    settings: NexradSettings
    store: Store
    source: Level2Source
    clock: Callable[[], datetime] = utc_now
    geometries: GeometryCache = field(default_factory=GeometryCache)

    @property
    def catalog(self) -> Catalog:
        """The catalogue in the store."""
        return Catalog(self.store, self.clock)

    @property
    def recipe(self) -> Recipe:
        """How images are made, as the settings say."""
        return recipe(self.settings)


def open_workshop(settings: NexradSettings, clock: Callable[[], datetime] = utc_now) -> Workshop:
    """Open store and source as the settings name them."""
    return Workshop(
        settings=settings,
        store=open_store(settings.store, settings.store_endpoint),
        source=open_source(settings.source, settings.source_endpoint, settings.source_signed),
        clock=clock,
        geometries=GeometryCache(settings.geometry_cache, settings.geometry_cache_bytes),
    )


def recipe(settings: NexradSettings) -> Recipe:
    """The recipe that the settings ask for."""
    products = (
        replace(
            PRODUCTS[name],
            colours=settings.colours or PRODUCTS[name].colours,
            value_range=settings.value_range or PRODUCTS[name].value_range,
        )
        for name in settings.products
    )
    return Recipe(tuple(products), settings.image_size)
