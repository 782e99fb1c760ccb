"""The value at a point, of every tilt of a scan, as the published images have it."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime

from api.replies.errors import Unavailable
from api.v1.radar import models, shown
from api.v1.radar.place import LonLat, Sight, antenna, beam_height_m, pixel, sight
from api.v1.radar.planes import DamagedImage, Planes
from api.v1.radar.select import Frame, image_at
from nexrad_assets.radar.sites import sites
from store import keys
from store.radar.snapshot import Image, Layer, Scan

log = logging.getLogger(__name__)

OUT_OF_RANGE = "out of range"


class Values:
    """Reads values out of images."""

    def __init__(self, planes: Planes) -> None:
        self._planes = planes

    async def at(self, frame: Frame, point: LonLat, moment: datetime | None) -> models.Values:
        """A product's values at a point: all tilts of the scan that an image is of.

        Of a tilt that the scan has several times (SAILS, MRLE) it is the time valid at `moment`, else the newest.
        Raises `Unavailable` where an image cannot be read, `ObjectMissing` where it is gone.
        """
        scan = frame.scan
        here = sight(antenna(scan.corners[frame.first.canvas_km], frame.first.canvas_km), point)
        images = [image_at(tilt, moment) for tilt in frame.layer.tilts]
        indices = await asyncio.gather(*(self._index(scan, image, point, here) for image in images))
        return models.Values(
            point=models.Point(
                lon=point.lon,
                lat=point.lat,
                azimuth_deg=round(here.azimuth_deg, 3),
                ground_range_km=round(here.ground_range_m / 1000.0, 3),
            ),
            values=[
                _told(frame, rank, image, index, here.ground_range_m)
                for rank, (image, index) in enumerate(zip(images, indices, strict=True))
            ],
            scan=shown.value_scan(frame),
        )

    async def _index(self, scan: Scan, image: Image, point: LonLat, here: Sight) -> int | None:
        """The palette index at a point, none where the sweep does not reach it."""
        place = pixel(scan.corners[image.canvas_km], image.pixels, point)
        if place is None or here.ground_range_m > image.range_km * 1000.0:
            return None
        key = keys.image(scan.level, scan.key, image.name)
        try:
            return await self._planes.index(key, image, *place)
        except (DamagedImage, IndexError) as fault:
            log.warning("%s cannot be read: %s", key, fault)
            raise Unavailable("the stored image is damaged") from fault


def _told(
    frame: Frame, rank: int, image: Image, index: int | None, ground_range_m: float
) -> models.TiltValue:
    layer, angle_deg = frame.layer, frame.layer.tilts[rank].angle_deg
    has_beam = shown.has_beam(frame.scan, angle_deg)
    above_radar = beam_height_m(ground_range_m, image.elevation_deg) if has_beam else None
    site = sites().get(frame.scan.key[:4])
    above_sea = None if above_radar is None or site is None else above_radar + site.height_m
    value, meaning = (None, OUT_OF_RANGE) if index is None else read(layer, index)
    return models.TiltValue(
        tilt_deg=angle_deg,
        elevation_deg=round(image.elevation_deg, 3),
        idx=rank,
        index=index,
        value=value,
        meaning=meaning,
        step=None if layer.values is not None else layer.scale,
        unit=layer.unit,
        beam_height_above_radar_m=None if above_radar is None else round(above_radar, 1),
        beam_height_above_sea_m=None if above_sea is None else round(above_sea, 1),
        valid_time=image.start,
    )


def read(layer: Layer, index: int) -> tuple[float | None, str | None]:
    """The value that an index means, and in words what it means where it is no amount."""
    words = layer.codes.get(str(index))
    if words is not None or index < layer.first_value_index:
        return None, words
    if layer.values is not None:
        return (layer.values[index] if index < len(layer.values) else None), None
    return round(index * layer.scale + layer.offset, 6), None
