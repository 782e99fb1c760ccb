"""The index planes of images: inflated, kept up to a bound, and looked up pixel by pixel.

Reads the PNGs that the pipeline writes (ISO/IEC 15948): 8 bits a pixel, a palette, all rows with filter None or all
with filter Up. A plane is kept as it is inflated; a pixel of filter Up is the sum of its column down to its row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from api.memory.cache import BoundedCache
from api.memory.flights import Flights
from api.state.images import Pictures
from store.radar.snapshot import Image

THREADS = 2
"""Images inflated at once."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NONE, _UP = 0, 2


class DamagedImage(ValueError):  # noqa: N818 - reads as the state it reports
    """An image is not one of the pipeline's; the message tells why."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The rows of a square image of `side` pixels, each behind the byte of its filter."""

    rows: bytes
    side: int

    def index(self, row: int, column: int) -> int:
        """The palette index of a pixel."""
        stride = self.side + 1
        place = row * stride + column + 1
        if self.rows[0] == _NONE:
            return self.rows[place]
        return sum(self.rows[column + 1 : place + 1 : stride]) % 256


def plane(png: bytes) -> Plane:
    """Inflate an image. Raises `DamagedImage`."""
    try:
        chunks = dict(_chunks(png))
        width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
        expected = height * (width + 1)
        rows = zlib.decompressobj().decompress(chunks[b"IDAT"], expected)
    except (struct.error, zlib.error, KeyError) as fault:
        raise DamagedImage(f"not a PNG: {fault!r}") from fault
    if width != height or form != [8, 3, 0, 0, 0] or len(rows) != expected:
        raise DamagedImage(f"{width} x {height} pixels of form {form}, {len(rows)} bytes inflated")
    if rows[0] not in {_NONE, _UP} or rows[:: width + 1].count(rows[:1]) != height:
        raise DamagedImage("its rows have other filters than None alone or Up alone")
    return Plane(rows, width)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents, a chunk that comes in parts as one."""
    if not png.startswith(_SIGNATURE):
        raise DamagedImage("no PNG signature")
    found: dict[bytes, list[bytes]] = {}
    place = len(_SIGNATURE)
    while place + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        found.setdefault(name, []).append(png[place + 8 : place + 8 + length])
        place += 12 + length
    yield from ((name, b"".join(parts)) for name, parts in found.items())


class Planes:
    """Looks pixels of images up."""

    def __init__(self, pictures: Pictures, capacity_bytes: int) -> None:
        self._pictures = pictures
        self._flights = Flights(THREADS, lambda: False)
        self.cache: BoundedCache[str, Plane] = BoundedCache(capacity_bytes)

    async def index(self, key: str, image: Image, row: int, column: int) -> int:
        """The palette index of a pixel of the image at `key`.

        Raises `ObjectMissing`, `Unavailable` as `Pictures` does, and `DamagedImage`.
        """
        kept = self.cache.get(image.sha256)
        if kept is None:
            png = await self._pictures.read(key, image)
            kept = await self._flights.shared(image.sha256, lambda: self._inflated(image, png))
        return kept.index(row, column)

    def close(self) -> None:
        """End the threads."""
        self._flights.close()

    def _inflated(self, image: Image, png: bytes) -> Plane:
        found = plane(png)
        self.cache.put(image.sha256, found, len(found.rows))
        return found
