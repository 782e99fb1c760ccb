"""From a source's file to a scan of the catalogue and its objects: what every level's making has in common."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from nexrad_assets import names
from nexrad_assets.names import FileName
from nexrad_assets.radar.image import colours, render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.volume import VolumeError
from store import keys
from store.radar.snapshot import Corners, Document, Image, Layer, Origin, Scan, Snapshot, SourceFile, Tilt

PNG = "image/png"
GEOJSON = "application/geo+json"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Vectors:
    """A document that a file gives: its name, its bytes (GeoJSON or other JSON), how many features it has."""

    name: str
    data: bytes
    count: int
    is_geojson: bool

    @property
    def suffix(self) -> str:
        """Of its file name."""
        return "geojson" if self.is_geojson else "json"

    @property
    def media_type(self) -> str:
        """What it is stored as."""
        return GEOJSON if self.is_geojson else JSON

    def document(self, key: str) -> Document:
        """Its entry in the scan of this key."""
        digest = hashlib.sha256(self.data).hexdigest()
        name = keys.document_name(key, self.name, digest, self.suffix)
        return Document(name, digest, len(self.data), self.count)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds: its scan's key and end, the images to make of it, its vectors.

    `code` and `label` are those of the product, where a level has codes; `missing` says what it lacks.
    """

    key: str
    end: datetime
    vcp: int | None
    jobs: tuple[render.Job, ...] = ()
    vectors: tuple[Vectors, ...] = ()
    missing: tuple[str, ...] = ()
    code: str | None = None
    label: str | None = None


class Recipe(Protocol):
    """How files of one level become images `size` pixels a side."""

    @property
    def level(self) -> int:
        """2 or 3."""

    @property
    def size(self) -> int:
        """Pixels a side."""

    def fingerprint(self, etag: str, size: int) -> str:
        """What a scan made of these bytes by this recipe is known by; any difference renders again."""

    def read(self, data: bytes, file_name: str) -> Reading:
        """What a file holds. Raises `VolumeError` where it gives nothing."""


@dataclass(frozen=True, slots=True)
class Made:
    """A scan, and the bytes of each of its objects with their media type, by the key to store them under."""

    scan: Scan
    objects: Mapping[str, tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a scan comes from, and how long it stays: its source, origin, whether it is kept; made `now`."""

    source: SourceFile
    origin: Origin
    kept: bool
    now: datetime


def make(data: bytes, name: FileName, told: Provenance, how: Recipe, geometries: GeometryCache) -> Made:
    """Decode and render a file; one that cannot be read becomes a failed scan that says why."""
    fingerprint = how.fingerprint(told.source.etag, told.source.size)
    try:
        reading = how.read(data, name.file_name)
        pictures = [render.render(job, how.size, geometries) for job in reading.jobs]
    except MemoryError:
        raise  # of the machine, not of the file: another run may have room
    except VolumeError as fault:
        return Made(_failed(name, told, how.level, fingerprint, str(fault)), {})
    except Exception as fault:  # noqa: BLE001 - one file must not end the work on the others
        reason = f"{name.file_name}: a fault of this program: {type(fault).__name__}: {fault}"
        return Made(_failed(name, told, how.level, "", reason), {})
    scan = assembled(reading, pictures, told, how.level, fingerprint)
    drawn = {keys.image(how.level, scan.key, image_name(scan.key, p)): (p.png, PNG) for p in pictures}
    written = {
        keys.image(how.level, scan.key, scan.documents[one.name].name): (one.data, one.media_type)
        for one in reading.vectors
    }
    return Made(scan, {**drawn, **written})


def assembled(
    reading: Reading, pictures: Sequence[render.Picture], told: Provenance, level: int, fingerprint: str
) -> Scan:
    """The scan of what was read of a file, with its pictures."""
    key = reading.key
    by_product: dict[str, list[render.Picture]] = {}
    for picture in pictures:
        by_product.setdefault(picture.job.product.name, []).append(picture)
    return Scan(
        key=key,
        level=level,
        start=keys.scan_time(key),
        end=reading.end,
        origin=told.origin,
        status="partial" if reading.missing else "whole",
        source=told.source,
        fingerprint=fingerprint,
        published=told.now,
        kept=told.kept,
        vcp=reading.vcp,
        missing=reading.missing,
        corners={picture.canvas.range_km: Corners(*picture.corners) for picture in pictures},
        layers={name: _layer(reading, same) for name, same in by_product.items()},
        documents={one.name: one.document(key) for one in reading.vectors},
    )


def _layer(reading: Reading, pictures: Sequence[render.Picture]) -> Layer:
    by_index: dict[int, list[render.Picture]] = {}
    for picture in pictures:
        by_index.setdefault(picture.job.index, []).append(picture)
    first = pictures[0]
    product, meaning = first.job.product, first.meaning
    words = {**meaning.flags, **{code: one.name for code, one in product.classes.items()}}
    return Layer(
        unit=product.unit,
        scale=meaning.step,
        offset=meaning.base,
        first_value_index=meaning.first_value,
        codes={str(code): words[code] for code in sorted(words)},
        colours=product.colours,
        value_range=product.value_range,
        tilts=tuple(
            Tilt(same[0].job.angle_deg, tuple(_image(reading.key, picture) for picture in same))
            for _, same in sorted(by_index.items())
        ),
        code=reading.code,
        label=reading.label,
        values=meaning.values,
        rungs=product.rungs,
        code_colours={
            str(code): f"#{bytes(rgb).hex()}"
            for code, rgb in sorted(colours.of_codes(product, meaning).items())
        },
    )


def image_name(key: str, picture: render.Picture) -> str:
    """The file name of a picture's object."""
    return keys.image_name(key, picture.job.product.name, picture.job.index, picture.sha256)


def images(scan: Scan) -> tuple[Image, ...]:
    """Every image of a scan."""
    return tuple(image for lay in scan.layers.values() for tilt in lay.tilts for image in tilt.images)


def object_keys(scan: Scan) -> Iterator[str]:
    """The keys of everything stored of a scan: its images, its documents."""
    names_stored = [image.name for image in images(scan)]
    names_stored += [document.name for document in scan.documents.values()]
    return (keys.image(scan.level, scan.key, name) for name in names_stored)


def lowest_image(scan: Scan) -> str | None:
    """The object key of a scan's lowest tilt, none where it has no images."""
    return next((keys.image(scan.level, scan.key, image.name) for image in images(scan)), None)


def by_source(snapshot: Snapshot) -> dict[str, Scan]:
    """The scans of a snapshot by the key of the file that they were made from."""
    return {scan.source.key: scan for scan in snapshot.scans.values()}


def placed(scans: dict[str, Scan], made: Sequence[Scan]) -> dict[str, Scan]:
    """The day's scans with these in their places.

    What was made from the same file before goes, whatever its key; live stays live, and kept stays kept. A file
    whose newer bytes cannot be read keeps what its older bytes gave, with the reason.
    """
    sources = {scan.source.key for scan in made}
    replaced = {key: scan for key, scan in scans.items() if scan.source.key in sources}
    day = {key: scan for key, scan in scans.items() if key not in replaced}
    by_file = {scan.source.key: scan for scan in replaced.values()}
    for scan in made:
        before = [one for one in (by_file.get(scan.source.key), day.pop(scan.key, None)) if one is not None]
        new = _successor(scan, before)
        by_file[scan.source.key] = day[new.key] = new
    return day


def _successor(scan: Scan, before: Sequence[Scan]) -> Scan:
    """A new scan, with what stays of those that it replaces."""
    shown = next((one for one in before if _is_shown(one)), None)
    if shown is not None and scan.status == "failed":
        scan = msgspec.structs.replace(
            shown,
            source=scan.source,
            fingerprint=scan.fingerprint,
            published=scan.published,
            reason=scan.reason,
        )
    if not before:
        return scan
    origin: Origin = "live" if any(one.origin == "live" for one in before) else before[0].origin
    return msgspec.structs.replace(scan, origin=origin, kept=scan.kept or any(one.kept for one in before))


def without_archive(scans: dict[str, Scan]) -> dict[str, Scan]:
    """The day's scans when its archive has served its time: backfilled ones go, live ones are kept no longer."""
    return {
        key: msgspec.structs.replace(scan, kept=False) for key, scan in scans.items() if scan.origin == "live"
    }


def to_be_made_again(scans: dict[str, Scan], lost: Collection[str]) -> dict[str, Scan]:
    """The day's scans; those of which an object is among the `lost` keys are listed no more, and due again."""
    return {
        key: scan
        if lost_of(scan, lost) is None
        else msgspec.structs.replace(
            scan,
            layers={},
            documents={},
            corners={},
            status="failed",
            fingerprint="",
            reason=f"{lost_of(scan, lost)} was lost",
        )
        for key, scan in scans.items()
    }


def lost_of(scan: Scan, lost: Collection[str]) -> str | None:
    """The first object of a scan that is among the `lost` keys."""
    return next((key for key in object_keys(scan) if key in lost), None)


def _is_shown(scan: Scan) -> bool:
    return bool(scan.layers or scan.documents)


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


def _failed(name: FileName, told: Provenance, level: int, fingerprint: str, reason: str) -> Scan:
    return Scan(
        key=names.scan_key(name.site, name.time, name.suffix or "V01"),
        level=level,
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
