"""Level 2: a volume and the images of its tilts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from nexrad_assets import names
from nexrad_assets.levels.scans import Reading
from nexrad_assets.names import parse_volume_name
from nexrad_assets.radar.image import colours, render
from nexrad_assets.radar.image.products import Product
from nexrad_assets.radar.level2 import archive2
from nexrad_assets.radar.volume import Volume, VolumeError


@dataclass(frozen=True, slots=True)
class Level2Recipe:
    """How volumes become images: of which products, how many pixels a side. See `scans.Recipe`."""

    products: tuple[Product, ...]
    size: int

    @property
    def level(self) -> int:
        """2."""
        return 2

    def fingerprint(self, etag: str, size: int) -> str:
        """What a scan made of these bytes is known by."""
        looks = [colours.looks(product) for product in self.products]
        parts = [etag, str(size), str(render.RENDER_VERSION), str(self.size), *looks]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def read(self, data: bytes, file_name: str) -> Reading:
        """A volume and the images that it gives. Raises `VolumeError` where it gives none."""
        volume = archive2.read_volume(data, file_name)
        jobs = tuple(job for product in self.products for job in render.jobs(volume, product))
        if not jobs:
            moments = ", ".join(product.moment for product in self.products)
            raise VolumeError(f"{file_name}: no whole sweep has {moments}")
        return Reading(scan_key(file_name, volume), _end(volume), volume.vcp, jobs, missing=volume.missing)


def scan_key(file_name: str, volume: Volume) -> str:
    """The key of a volume's scan: its file's name, and the header's version where the name has none."""
    name = parse_volume_name(file_name)
    if name is None:
        return names.scan_key(volume.site, volume.start, volume.version)
    return names.scan_key(name.site, name.time, name.suffix or volume.version)


def _end(volume: Volume) -> datetime:
    last = max(float(sweep.time_s.max()) for sweep in volume.sweeps)
    return datetime.fromtimestamp(round(last, 3), UTC)
