"""From a raw volume to a scan of the catalogue and its images: the recipe, its fingerprint, the making."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from nexrad_assets import names
from nexrad_assets.names import parse_volume_name
from nexrad_assets.radar import archive2, colours, render
from nexrad_assets.radar.geometry import GeometryCache
from nexrad_assets.radar.products import Product
from nexrad_assets.radar.volume import Volume, VolumeError
from store import keys
from store.snapshot import Corners, Image, Layer, Origin, Scan, Snapshot, SourceFile, Tilt

LEVEL = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """How images are made: of which products, how many pixels a side."""

    products: tuple[Product, ...]
    size: int

    def fingerprint(self, etag: str, size: int) -> str:
        """What a scan made of these bytes by this recipe is known by; any difference renders again."""
        looks = [f"{p.name} {p.value_range} {p.colours} {colours.digest(p.colours)}" for p in self.products]
        parts = [etag, str(size), str(render.RENDER_VERSION), str(self.size), *looks]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Made:
    """A scan, and the PNG of each of its images by the key to store it under."""

    scan: Scan
    images: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a scan comes from, and how long it stays: its source, origin, whether it is kept; made `now`."""

    source: SourceFile
    origin: Origin
    kept: bool
    now: datetime


def make(data: bytes, file_name: str, told: Provenance, how: Recipe, geometries: GeometryCache) -> Made:
    """Decode and render a volume; one that cannot be read becomes a failed scan that says why."""
    fingerprint = how.fingerprint(told.source.etag, told.source.size)
    try:
        volume = archive2.read_volume(data, file_name)
        pictures = [render.render(job, how.size, geometries) for job in image_jobs(volume, file_name, how)]
    except MemoryError:
        raise  # of the machine, not of the file: another run may have room
    except VolumeError as fault:
        return Made(_failed(file_name, told, fingerprint, str(fault)), {})
    except Exception as fault:  # noqa: BLE001 - one file must not end the work on the others
        reason = f"{file_name}: a fault of this program: {type(fault).__name__}: {fault}"
        return Made(_failed(file_name, told, "", reason), {})
    scan = assembled(volume, file_name, pictures, told, fingerprint)
    return Made(scan, {keys.image(LEVEL, scan.key, image_name(scan.key, p)): p.png for p in pictures})


def image_jobs(volume: Volume, file_name: str, how: Recipe) -> list[render.Job]:
    """The images that a volume gives. Raises `VolumeError` where it gives none."""
    jobs = [job for product in how.products for job in render.jobs(volume, product)]
    if not jobs:
        moments = ", ".join(product.moment for product in how.products)
        raise VolumeError(f"{file_name}: no whole sweep has {moments}")
    return jobs


def assembled(
    volume: Volume, file_name: str, pictures: Sequence[render.Picture], told: Provenance, fingerprint: str
) -> Scan:
    """The scan of a volume and its pictures (at least one)."""
    key = scan_key(file_name, volume)
    by_product: dict[str, list[render.Picture]] = {}
    for picture in pictures:
        by_product.setdefault(picture.job.product.name, []).append(picture)
    return Scan(
        key=key,
        level=LEVEL,
        start=keys.scan_time(key),
        end=_end(volume),
        origin=told.origin,
        status="partial" if volume.missing else "whole",
        source=told.source,
        fingerprint=fingerprint,
        published=told.now,
        kept=told.kept,
        vcp=volume.vcp,
        missing=volume.missing,
        corners={picture.canvas.range_km: Corners(*picture.corners) for picture in pictures},
        layers={name: _layer(key, same) for name, same in by_product.items()},
    )


def scan_key(file_name: str, volume: Volume) -> str:
    """The key of a volume's scan: its file's name, and the header's version where the name has none."""
    name = parse_volume_name(file_name)
    if name is None:
        return names.scan_key(volume.site, volume.start, volume.version)
    return names.scan_key(name.site, name.time, name.version or volume.version)


def _layer(key: str, pictures: Sequence[render.Picture]) -> Layer:
    by_index: dict[int, list[render.Picture]] = {}
    for picture in pictures:
        by_index.setdefault(picture.job.index, []).append(picture)
    first = pictures[0]
    product = first.job.product
    return Layer(
        unit=product.unit,
        scale=first.scale,
        offset=first.offset,
        first_value_index=render.FIRST_VALUE,
        codes={str(code): meaning for code, meaning in product.codes.items()},
        colours=product.colours,
        value_range=product.value_range,
        tilts=tuple(
            Tilt(same[0].job.angle_deg, tuple(_image(key, picture) for picture in same))
            for _, same in sorted(by_index.items())
        ),
    )


def image_name(key: str, picture: render.Picture) -> str:
    """The file name of a picture's object."""
    return keys.image_name(key, picture.job.product.name, picture.job.index, picture.sha256)


def images(scan: Scan) -> tuple[Image, ...]:
    """Every image of a scan."""
    return tuple(image for lay in scan.layers.values() for tilt in lay.tilts for image in tilt.images)


def image_keys(scan: Scan) -> Iterator[str]:
    """The object keys of a scan's images."""
    return (keys.image(scan.level, scan.key, image.name) for image in images(scan))


def lowest_image(scan: Scan) -> str:
    """The object key of a listed scan's lowest tilt."""
    return next(iter(image_keys(scan)))


def by_source(snapshot: Snapshot) -> dict[str, Scan]:
    """The scans of a snapshot by the key of the file that they were made from."""
    return {scan.source.key: scan for scan in snapshot.scans.values()}


def placed(scans: dict[str, Scan], scan: Scan) -> dict[str, Scan]:
    """The day's scans with this one in its place.

    What was made from the same file before goes, whatever its key; live stays live, and kept stays kept. A file
    whose newer bytes cannot be read keeps what its older bytes gave, with the reason.
    """
    same = (other for key, other in scans.items() if other.source.key == scan.source.key or key == scan.key)
    before = next(same, None)
    kept = {
        key: other for key, other in scans.items() if other.source.key != scan.source.key and key != scan.key
    }
    if before is not None and before.layers and scan.status == "failed":
        scan = msgspec.structs.replace(
            before,
            source=scan.source,
            fingerprint=scan.fingerprint,
            published=scan.published,
            reason=scan.reason,
        )
    if before is not None:
        scan = msgspec.structs.replace(scan, origin=before.origin, kept=scan.kept or before.kept)
    return {**kept, scan.key: scan}


def without_archive(scans: dict[str, Scan]) -> dict[str, Scan]:
    """The day's scans when its archive has served its time: backfilled ones go, live ones are kept no longer."""
    return {
        key: msgspec.structs.replace(scan, kept=False) for key, scan in scans.items() if scan.origin == "live"
    }


def to_be_made_again(scans: dict[str, Scan], lost: Collection[str]) -> dict[str, Scan]:
    """The day's scans; those of which an image is among the `lost` keys are listed no more, and due again."""
    return {
        key: scan
        if lost_of(scan, lost) is None
        else msgspec.structs.replace(
            scan,
            layers={},
            corners={},
            status="failed",
            fingerprint="",
            reason=f"{lost_of(scan, lost)} was lost",
        )
        for key, scan in scans.items()
    }


def lost_of(scan: Scan, lost: Collection[str]) -> str | None:
    """The first image of a scan that is among the `lost` keys."""
    return next((key for key in image_keys(scan) if key in lost), None)


def _image(key: str, picture: render.Picture) -> Image:
    sweep = picture.job.sweep
    return Image(
        name=image_name(key, picture),
        sha256=picture.sha256,
        size=len(picture.png),
        start=picture.start,
        end=picture.end,
        sweep_number=sweep.number,
        elevation_deg=round(sweep.measured_deg, 3),
        azimuth_deg=round(float(sweep.azimuth_deg[0]), 3),
        canvas_km=picture.canvas.range_km,
        range_km=picture.range_km,
        pixels=picture.canvas.size,
    )


def _failed(file_name: str, told: Provenance, fingerprint: str, reason: str) -> Scan:
    name = parse_volume_name(file_name)
    if name is None:
        raise ValueError(f"{file_name!r} does not name a volume")
    return Scan(
        key=names.scan_key(name.site, name.time, name.version or "V01"),
        level=LEVEL,
        start=name.time,
        end=name.time,
        origin=told.origin,
        status="failed",
        source=told.source,
        fingerprint=fingerprint,
        published=told.now,
        kept=told.kept,
        reason=reason,
    )


def _end(volume: Volume) -> datetime:
    last = max(float(sweep.time_s.max()) for sweep in volume.sweeps)
    return datetime.fromtimestamp(round(last, 3), UTC)
