"""Which images are asked for: those of a product at some tilts, in the order of their scans.

Pure functions of listings. Scans are ordered by their start, by which days hold them; times that are asked for are
those of sweeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from api.state.listing import Listing
from store.radar.snapshot import Image, Layer, Scan, Tilt

NEAR_DEG = 0.25
"""A tilt further than this from the angle that is asked for is another one."""

Place = tuple[datetime, str, int]
"""What images are ordered by: start of the scan, its key, rank of the tilt."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A product at one level, of Level 3 perhaps of one code; at the tilts nearest to angles, else the lowest."""

    product: str
    level: int
    code: str | None = None
    tilts_deg: tuple[float, ...] = ()

    def each_tilt(self) -> Iterator[Wanted]:
        """The same at one tilt, for each that is asked for."""
        yield from (replace(self, tilts_deg=(angle,)) for angle in self.tilts_deg)
        if not self.tilts_deg:
            yield self


@dataclass(frozen=True, slots=True)
class Frame:
    """An image with the scan that it is of."""

    scan: Scan
    product: str
    index: int

    @property
    def layer(self) -> Layer:
        """The product it shows."""
        return self.scan.layers[self.product]

    @property
    def tilt(self) -> Tilt:
        """Its tilt."""
        return self.layer.tilts[self.index]

    @property
    def first(self) -> Image:
        """The first image of the tilt."""
        return self.tilt.images[0]

    @property
    def place(self) -> Place:
        """Where it is among others."""
        return self.scan.start, self.scan.key, self.index


def layer(scan: Scan, wanted: Wanted) -> Layer | None:
    """What a scan has of a product, none where it has nothing of it."""
    found = scan.layers.get(wanted.product) if scan.level == wanted.level else None
    fits = found is not None and bool(found.tilts) and wanted.code in {None, found.code}
    return found if fits else None


def frames(listing: Listing, wanted: Wanted) -> list[Frame]:
    """The images of a listing that are wanted, in order."""
    scans = ((scan, layer(scan, wanted)) for scan in listing.scans.values())
    found = (
        Frame(scan, wanted.product, index)
        for scan, one in scans
        if one is not None
        for index in _indices(one.tilts, wanted.tilts_deg)
    )
    return sorted(found, key=lambda frame: frame.place)


def newest(found: Iterable[Frame], until: datetime | None = None) -> Frame | None:
    """The newest image by the start of its sweep, of those that are not later than `until`."""
    fitting = (frame for frame in found if until is None or frame.first.start <= until)
    return max(fitting, key=lambda frame: (frame.first.start, frame.place), default=None)


def image_at(tilt: Tilt, moment: datetime | None) -> Image:
    """The image of a tilt that is valid at a moment: the newest that does not begin later, without one the newest.

    A tilt of which every image begins later gives its first: the scan was under way.
    """
    begun = [image for image in tilt.images if moment is None or image.start <= moment]
    return max(begun, key=lambda image: image.start, default=tilt.images[0])


def _indices(tilts: tuple[Tilt, ...], wanted_deg: tuple[float, ...]) -> Iterator[int]:
    if not wanted_deg:
        yield 0
        return
    seen = set()
    for angle in wanted_deg:
        distance, index = min((abs(tilt.angle_deg - angle), index) for index, tilt in enumerate(tilts))
        if distance <= NEAR_DEG and index not in seen:
            seen.add(index)
            yield index
