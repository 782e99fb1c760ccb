"""Level 3: a product file and its image, or its vectors."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from nexrad_assets import names
from nexrad_assets.levels.scans import Reading, Vectors
from nexrad_assets.names import parse_product_name
from nexrad_assets.radar import sites
from nexrad_assets.radar.image import colours, render
from nexrad_assets.radar.level3.coding import Coding
from nexrad_assets.radar.level3.message import Message, read_message
from nexrad_assets.radar.level3.products import MESSAGES, PRODUCTS, VECTORS, CodedProduct
from nexrad_assets.radar.level3.radial import RadialProduct, read_radial
from nexrad_assets.radar.level3.vectors import read_vectors
from nexrad_assets.radar.sites import Site
from nexrad_assets.radar.volume import Meaning, Moment, Sweep, Volume, VolumeError

SAME_PLACE_DEG = 0.05
"""A product tells its antenna's place to 0.001 degrees: this near, it is the site's, which is better known."""

MOVED_DEG = 1.0
"""A radar may have moved by this much since an archived product was made, but not further."""


@dataclass(frozen=True, slots=True)
class Level3Recipe:
    """How product files become images of `size` pixels a side, or documents. See `scans.Recipe`."""

    size: int
    products: Mapping[str, CodedProduct] = field(default_factory=lambda: PRODUCTS)
    looks: str = field(init=False)

    def __post_init__(self) -> None:
        looks = "\n".join(f"{one.code} {colours.looks(one.look)}" for one in self.products.values())
        object.__setattr__(self, "looks", hashlib.sha256(looks.encode()).hexdigest())

    @property
    def level(self) -> int:
        """3."""
        return 3

    def fingerprint(self, etag: str, size: int) -> str:
        """What a scan made of these bytes is known by."""
        parts = [etag, str(size), str(render.RENDER_VERSION), str(self.size), self.looks]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def read(self, data: bytes, file_name: str) -> Reading:
        """The image or the vectors of a product file. Raises `VolumeError` where it gives none."""
        message = read_message(data, file_name)
        name = parse_product_name(file_name)
        code = (name.suffix if name else None) or message.awips
        _check_message(message, code)
        radar = sites.site(name.site) if name else _site_there(message)
        if radar is None:
            raise VolumeError(f"{file_name}: tells no site, neither by its name nor by a position of one")
        key = names.scan_key(radar.id, name.time if name else message.volume_time, code)
        place = _position(message, radar)
        if code in VECTORS:
            vectors = _vectors(message, place, {"site": radar.id, "scan": key})
            return Reading(
                key, _end(message), message.vcp, vectors=(vectors,), code=code, label=VECTORS[code]
            )
        product = self.products[code]
        job = _job(message, place, radar.id, product)
        return Reading(key, _end(message), message.vcp, (job,), code=code, label=product.label)


def _vectors(message: Message, place: tuple[float, float], about: Mapping[str, str]) -> Vectors:
    document = read_vectors(message, *place)
    content = {**document.content, **about}
    data = json.dumps(content, separators=(",", ":")).encode()
    return Vectors(document.name, data, document.count, content.get("type") == "FeatureCollection")


def _job(message: Message, place: tuple[float, float], site: str, product: CodedProduct) -> render.Job:
    """The one image of a product."""
    sweep = sweep_of(read_radial(message), product.look.moment)
    volume = Volume(
        site=site,
        version=product.code,
        start=message.volume_time,
        vcp=message.vcp,
        latitude_deg=place[0],
        longitude_deg=place[1],
        height_m=message.height_m,
        sweeps=(sweep,),
    )
    return render.Job(volume, product.look, sweep, 0, 0, round(sweep.measured_deg, 2))


def _check_message(message: Message, code: str) -> None:
    """Raise `VolumeError` where we have no such product, or the file is another one than its name says."""
    expected = MESSAGES.get(code)
    if expected is None:
        raise VolumeError(
            f"{message.file_name}: product {code or '?'} (message {message.code}) is not one of ours"
        )
    if message.code != expected or message.awips not in {"", code}:
        told = f"{message.awips or 'a product without a code'} (message {message.code})"
        raise VolumeError(f"{message.file_name}: named {code}, but holds {told}")


def sweep_of(product: RadialProduct, moment: str) -> Sweep:
    """A product's rays as a sweep: centres where Level 3 tells start edges, first gate from the antenna on.

    A first ray that the last one covers in part begins where that one ends: that of the 2 km products is two degrees
    wide, and the last ray is the first of the two.
    """
    message, rays = product.message, len(product.codes)
    begins, widths = product.start_deg.astype(np.float64), product.width_deg.astype(np.float64)
    covered = (begins[-1] + widths[-1] - begins[0]) % 360.0
    if covered < widths[0]:
        begins[0] += covered
        widths[0] -= covered
    return Sweep(
        number=max(message.elevation_number, 1),
        azimuth_deg=((begins + widths / 2.0) % 360.0).astype(np.float32),
        elevation_deg=np.full(rays, product.elevation_deg or 0.0, np.float32),
        time_s=np.full(rays, message.volume_time.timestamp()),
        spacing_deg=float(np.median(widths)),
        commanded_deg=None,
        nyquist_mps=None,
        moments={moment: _moment(product, moment)},
        along_ground=product.elevation_deg is None,
        width_deg=widths.astype(np.float32),
    )


def _moment(product: RadialProduct, name: str) -> Moment:
    coding = product.coding
    return Moment(
        name=name,
        codes=product.codes,
        scale=coding.scale,
        offset=coding.offset,
        first_gate_m=product.first_edge_m + product.gate_spacing_m / 2.0,
        gate_spacing_m=product.gate_spacing_m,
        special=Meaning(
            1.0 / coding.scale,
            0.0 - coding.offset / coding.scale,
            coding.first_value,
            coding.flags,
            _values(coding),
        ),
    )


def _values(coding: Coding) -> tuple[float | None, ...] | None:
    """The values of uneven codes up to the last that has one."""
    if coding.values is None:
        return None
    known = coding.values[: coding.last_value + 1]
    return tuple(None if math.isnan(value) else round(float(value), 4) for value in known)


def _site_there(message: Message) -> Site | None:
    """The radar at the place that a product tells, none where there is none."""
    return next((one for one in sites.sites().values() if _is_near(message, one)), None)


def _position(message: Message, radar: Site) -> tuple[float, float]:
    """The antenna's latitude and longitude: the site's, but for products from before it moved.

    Raises `VolumeError` where the product tells a place that is not the site's at all.
    """
    if _is_near(message, radar):
        return radar.latitude_deg, radar.longitude_deg
    if not _is_near(message, radar, MOVED_DEG):
        raise VolumeError(
            f"{message.file_name}: says that {radar.id} is at {message.latitude_deg}, {message.longitude_deg}"
        )
    return message.latitude_deg, message.longitude_deg


def _is_near(message: Message, radar: Site, within_deg: float = SAME_PLACE_DEG) -> bool:
    north = abs(message.latitude_deg - radar.latitude_deg)
    east = abs(message.longitude_deg - radar.longitude_deg)
    return north < within_deg and east < within_deg


def _end(message: Message) -> datetime:
    return max(message.volume_time, message.product_time)
