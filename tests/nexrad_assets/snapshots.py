"""Scans and snapshots made by hand, for tests of lists, retention and the catalogue."""

from datetime import UTC, datetime

import msgspec

from nexrad_assets import names
from nexrad_assets.radar.level3.products import PRODUCTS
from store import keys
from store.radar.snapshot import Corners, Image, Layer, Scan, SourceFile, Tilt

CORNERS = Corners((-120.0, 46.0), (-117.0, 46.0), (-117.0, 44.0), (-120.0, 44.0))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def scan(time, *, site="KPDT", origin="live", tilts=2, status="whole", digest="0" * 64, etag="e1"):
    start = at(time)
    key = f"{site}{start:%Y%m%d_%H%M%S}_V06"
    images = tuple(
        Image(
            name=keys.image_name(key, "reflectivity", index, digest),
            sha256=digest,
            size=10,
            start=start,
            end=start,
            sweep_number=index + 1,
            elevation_deg=0.5 + index,
            azimuth_deg=0.0,
            canvas_km=460,
            range_km=459.0,
            pixels=64,
        )
        for index in range(tilts)
    )
    layer = Layer(
        unit="dBZ",
        scale=0.5,
        offset=-33.0,
        first_value_index=2,
        codes={"0": "below threshold or no data", "1": "range folded"},
        colours="NWSRef",
        value_range=(-20.0, 60.0),
        tilts=tuple(Tilt(image.elevation_deg, (image,)) for image in images),
    )
    return Scan(
        key=key,
        level=2,
        start=start,
        end=start,
        origin=origin,
        status=status,
        source=SourceFile(f"{start:%Y/%m/%d}/{site}/{key}", etag, 100),
        fingerprint=f"f-{etag}",
        published=start,
        corners={460: CORNERS},
        layers={} if status == "failed" else {"reflectivity": layer},
    )


def product(time, code, *, site="KPDT", group=None, label=None, origin="live", digest="0" * 64):
    """A Level 3 scan of one image: of the code's own group where the table has it."""
    like = scan(time, site=site, origin=origin, tilts=1, digest=digest)
    known = PRODUCTS.get(code)
    group = group or known.look.name
    key = names.scan_key(site, like.start, code)
    (layer,) = like.layers.values()
    image = msgspec.structs.replace(layer.tilts[0].images[0], name=keys.image_name(key, group, 0, digest))
    layer = msgspec.structs.replace(
        layer, tilts=(Tilt(0.5, (image,)),), code=code, label=label or known.label
    )
    source = SourceFile(names.product_file_name(site, code, like.start), "e1", 100)
    return msgspec.structs.replace(like, key=key, level=3, source=source, layers={group: layer})


def by_key(*scans):
    return {one.key: one for one in scans}
