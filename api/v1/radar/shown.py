"""From snapshots to documents: how a scan, a legend, a feature and a vector document are told.

`base` is what addresses begin with: a proxy's prefix, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from api.models import BoundingBox, Source
from api.state.listing import Listing
from api.v1.radar import models
from api.v1.radar.select import Frame
from nexrad_assets.radar.image.products import PRODUCTS as LEVEL2
from nexrad_assets.radar.level3.products import PRODUCTS as CODED
from nexrad_assets.radar.level3.products import CodedProduct
from store.radar.snapshot import Corners, Image, Layer, Scan

KINDS: dict[str, models.VectorKind] = {
    "storms": "storm_tracks",
    "mesocyclones": "mesocyclones",
    "hail": "hail",
    "tornadoes": "tornadoes",
    "winds": "wind_profile",
}
"""What each document is, by the name that a scan has it under."""


def scan_image(frame: Frame, base: str) -> models.ScanImage:
    """An image and its scan."""
    scan, layer, tilt, image = frame.scan, frame.layer, frame.tilt, frame.first
    return models.ScanImage(
        image=image_id(frame),
        key=scan.key,
        site=scan.key[:4],
        product=frame.product,
        code=layer.code,
        level=_level(scan),
        idx=frame.index,
        tilt_deg=tilt.angle_deg,
        elevation_deg=round(image.elevation_deg, 3),
        tilts=len(layer.tilts),
        valid_time=image.start,
        scan_start=scan.start,
        scan_end=scan.end,
        vcp=scan.vcp,
        status="partial" if scan.status == "partial" else "whole",
        missing=list(scan.missing),
        sha256=image.sha256,
        bytes=image.size,
        pixels=image.pixels,
        canvas_km=image.canvas_km,
        range_km=image.range_km,
        corners=_box(scan.corners[image.canvas_km]),
        href=image_href(image, base),
        repeats=[_repeat(other, base) for other in tilt.images[1:]],
        documents={scan.key[-3:]: document_href(one.name, base) for one in scan.documents.values()},
    )


def image_id(frame: Frame) -> str:
    """The name of an image in both parts of the API."""
    return f"{frame.scan.key}_{frame.product}_idx{frame.index}"


def image_href(image: Image, base: str) -> str:
    """Where exactly these bytes are."""
    return f"{base}/v1/images/{image.name}"


def document_href(name: str, base: str) -> str:
    """Where exactly this document is."""
    return f"{base}/v1/documents/{name}"


def feature(frame: Frame, base: str) -> models.ScanFeature:
    """An image as a GeoJSON feature; its ring runs counterclockwise (RFC 7946, section 3.1.6)."""
    shown = scan_image(frame, base)
    corners, source = shown.corners, frame.scan.source
    ring = [corners.nw, corners.sw, corners.se, corners.ne, corners.nw]
    properties = models.ScanProperties(
        **dict(shown),
        sweep_number=frame.first.sweep_number,
        source=Source(key=source.key, etag=source.etag, bytes=source.size),
        links=list(_links(shown, base)),
    )
    return models.ScanFeature(
        id=shown.image, geometry=models.Polygon(coordinates=[ring]), properties=properties
    )


def _links(shown: models.ScanImage, base: str) -> Iterator[models.Link]:
    yield models.Link(rel="self", href=f"{base}/v1/scans/{shown.image}", type="application/geo+json")
    yield models.Link(rel="enclosure", href=shown.href, type="image/png")
    yield models.Link(
        rel="describedby",
        href=f"{base}/data/{shown.level}/{shown.image}/json",
        type="application/json",
    )


def products(listing: Listing | None, site: str | None) -> models.Products:
    """Products in menu order: with a listing those of Level 2, and the codes that it has; without, all."""
    newest = {} if listing is None else _newest_layers(listing)
    shown = [_level2(name, label, unit, listing, newest) for name, label, unit in _moments()]
    known = (coded for coded in CODED.values() if listing is None or (3, coded.code) in newest)
    shown += [_coded(coded, listing, newest) for coded in known]
    return models.Products(site=site, products=shown)


Newest = dict[tuple[int, str], tuple[str, Layer]]
"""The newest layer of each product, with its name: of Level 2 by that name, of Level 3 by code."""


def _newest_layers(listing: Listing) -> Newest:
    return {
        (scan.level, one.code or name): (name, one)
        for scan in listing.scans.values()
        for name, one in scan.layers.items()
    }


def _moments() -> Iterator[tuple[str, str, str]]:
    yield from ((one.name, one.label, one.unit) for one in LEVEL2.values())


def _level2(name: str, label: str, unit: str, listing: Listing | None, newest: Newest) -> models.Product:
    found = newest.get((2, name))
    return models.Product(
        id=name,
        level=2,
        code=None,
        group=name,
        label=label,
        unit=unit if found is None else found[1].unit,
        count=None if listing is None else sum(1 for _ in _layers(listing, 2, name, None)),
        tilts=[] if listing is None else _angles(_layers(listing, 2, name, None)),
        legend=None if found is None else legend(*found),
    )


def _coded(coded: CodedProduct, listing: Listing | None, newest: Newest) -> models.Product:
    found = newest.get((3, coded.code))
    group = coded.look.name
    return models.Product(
        id=group,
        level=3,
        code=coded.code,
        group=group,
        label=coded.label,
        unit=coded.look.unit if found is None else found[1].unit,
        count=None if listing is None else sum(1 for _ in _layers(listing, 3, group, coded.code)),
        tilts=[] if listing is None else _angles(_layers(listing, 3, group, coded.code)),
        legend=None if found is None else legend(*found),
    )


def _layers(listing: Listing, level: int, product: str, code: str | None) -> Iterator[tuple[Scan, Layer]]:
    for scan in listing.scans.values():
        found = scan.layers.get(product) if scan.level == level else None
        if found is not None and code in {None, found.code}:
            yield scan, found


def _angles(layers: Iterable[tuple[Scan, Layer]]) -> list[float]:
    return sorted(
        {tilt.angle_deg for scan, layer in layers for tilt in layer.tilts if has_beam(scan, tilt.angle_deg)}
    )


def has_beam(scan: Scan, angle_deg: float) -> bool:
    """Whether a tilt is an angle: products of Level 3 that are made of several sweeps have 0 in its place."""
    return scan.level == 2 or angle_deg != 0.0


def legend(product: str, layer: Layer) -> models.Legend:
    """What a layer's palette means."""
    from api.v1.radar import palettes  # noqa: PLC0415 - numpy, which nothing else of the API's start needs

    return models.Legend(
        scale=layer.scale,
        offset=layer.offset,
        first_value_index=layer.first_value_index,
        values=None if layer.values is None else list(layer.values),
        codes=layer.codes,
        value_range=layer.value_range,
        colours=palettes.rgba(product, layer),
    )


def vectors(scans: Iterable[Scan], until: datetime | None, base: str) -> models.Vectors:
    """Of each kind the newest document that is not later."""
    newest: dict[str, models.VectorDocument] = {}
    for scan in sorted(scans, key=lambda one: (one.start, one.key)):
        if until is not None and scan.start > until:
            continue
        for name, document in scan.documents.items():
            kind = KINDS.get(name)
            if kind is not None:
                newest[kind] = models.VectorDocument(
                    name=scan.key[-3:],
                    kind=kind,
                    valid_time=scan.start,
                    key=scan.key,
                    href=document_href(document.name, base),
                    count=document.count,
                    bytes=document.size,
                )
    return models.Vectors(documents=[newest[kind] for kind in KINDS.values() if kind in newest])


def value_scan(frame: Frame) -> models.ValueScan:
    """The scan of an image."""
    scan = frame.scan
    return models.ValueScan(
        key=scan.key,
        site=scan.key[:4],
        product=frame.product,
        code=frame.layer.code,
        level=_level(scan),
        scan_start=scan.start,
        scan_end=scan.end,
        vcp=scan.vcp,
    )


def _level(scan: Scan) -> models.Level:
    return 2 if scan.level == 2 else 3


def _box(corners: Corners) -> BoundingBox:
    return BoundingBox(nw=corners.nw, ne=corners.ne, se=corners.se, sw=corners.sw)


def _repeat(image: Image, base: str) -> models.RepeatedImage:
    return models.RepeatedImage(
        valid_time=image.start,
        sweep_number=image.sweep_number,
        sha256=image.sha256,
        bytes=image.size,
        href=image_href(image, base),
    )
