"""Three hours of one site, as the API has them and as the replaced system's bucket had them.

60 scans of an image of 300 KB each, and 60 scans of each of 24 Level 3 codes: `/list-all/` has 60 KB. Of the latter
nobody asks the images, which are left out of our store.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from nexrad_assets.radar.level3.products import MENUS
from store import keys
from store.objects import Store
from store.radar import lists
from tests.api.world import Made, Publisher, made

SITE = "KPDT"
SCANS = 60
EVERY = timedelta(minutes=2, seconds=30)
SIDE = 547
"""Pixels a side of a picture of noise: 300 KB."""

THREADS = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """An image by its names: the contract's, and the one with a digest in it."""

    old: str
    new: str
    sha256: str
    data: bytes


@dataclass(frozen=True, slots=True)
class World:
    """All scans, and the pictures that are asked for."""

    scans: tuple[Made, ...]
    pictures: tuple[Picture, ...]


def make(newest: datetime) -> World:
    """The world whose last scans began at `newest`."""
    noise = random.Random(newest.timestamp())
    moments = [newest - EVERY * number for number in reversed(range(SCANS))]
    pairs = [_pictured(made(SITE, moment, tilts=1), noise) for moment in moments]
    level3 = [
        Made(made(SITE, moment, product=group, suffix=menu.code, tilts=1).scan)
        for moment in moments
        for group, codes in MENUS.items()
        for menu in [code for code in codes if code.offered][:12]
    ]
    return World((*(scan for scan, _ in pairs), *level3), tuple(picture for _, picture in pairs))


def publish(world: World, store: Store) -> None:
    """Put the world where our API reads it."""
    Publisher(store).publish(*world.scans)


def publish_as_replaced(world: World, client: Any, bucket: str) -> None:  # noqa: ANN401 - boto3 has no type of it
    """Put the world into a bucket as the replaced pipeline did: images and metadata by name, lists as objects."""
    with ThreadPoolExecutor(THREADS) as pool:
        puts = [
            pool.submit(client.put_object, Bucket=bucket, Key=key, Body=body)
            for key, body in _replaced_objects(world)
        ]
        for put in puts:
            put.result()


def _replaced_objects(world: World) -> Iterator[tuple[str, bytes]]:
    pictures = {picture.old: picture.data for picture in world.pictures}
    for scan in (one.scan for one in world.scans):
        product = next(iter(scan.layers))
        name = f"{scan.key}_{product}_idx0"
        folder = f"plots_level{scan.level}_{product}"
        yield f"{folder}/{name}.png", pictures.get(name, b"small")
        yield (
            f"{folder}/{name}.json",
            json.dumps(lists.sweep_metadata(scan, product, 0), default=str).encode(),
        )
    for group, entries in lists.all_lists(one.scan for one in world.scans).items():
        yield f"lists/{group}.json", json.dumps(entries).encode()


def _pictured(scan: Made, noise: random.Random) -> tuple[Made, Picture]:
    """The scan with a picture of noise in place of its one image."""
    data = _noise_png(noise)
    digest = hashlib.sha256(data).hexdigest()
    key = scan.scan.key
    (product, layer), *_ = scan.scan.layers.items()
    name = keys.image_name(key, product, 0, digest)
    tilt = layer.tilts[0]
    image = msgspec.structs.replace(tilt.images[0], name=name, sha256=digest, size=len(data), pixels=SIDE)
    tilts = (msgspec.structs.replace(tilt, images=(image,)),)
    layers = {product: msgspec.structs.replace(layer, tilts=tilts)}
    drawn = Made(msgspec.structs.replace(scan.scan, layers=layers), {keys.image(2, key, name): data})
    return drawn, Picture(f"{key}_{product}_idx0", name, digest, data)


def _noise_png(noise: random.Random) -> bytes:
    """A true palette PNG that does not compress."""
    rows = b"".join(b"\0" + noise.randbytes(SIDE) for _ in range(SIDE))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(range(256)) * 3),
        (b"IDAT", zlib.compress(rows, 0)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
