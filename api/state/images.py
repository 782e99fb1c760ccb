"""Image bytes: from memory, else from the store, and never other bytes than the snapshot promises."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import lru_cache

from api.memory.cache import BoundedCache
from api.memory.disk_files import Content, DiskFiles
from api.memory.flights import Flights
from api.replies.errors import Unavailable
from api.replies.reply import Still
from api.state.opener import StoreSource
from store import keys
from store.objects import ObjectMissing, StoreError
from store.radar.snapshot import Document, Image

log = logging.getLogger(__name__)

NAMES = 8_192
"""How many images' names are remembered in each form: more than are asked for in a minute."""


@lru_cache(maxsize=NAMES)
def object_key(level: int, scan_key: str, name: str) -> str:
    """Where the image or document `name` of a scan lies in the store; to read a day out of a key takes long."""
    return keys.image(level, scan_key, name)


@lru_cache(maxsize=NAMES)
def entity_tag(sha256: str) -> bytes:
    """The strong entity tag of bytes with this digest."""
    return f'"{sha256}"'.encode("ascii")


class Pictures:
    """Reads images and documents through a bounded cache of their bytes."""

    def __init__(self, store: StoreSource, flights: Flights, capacity_bytes: int) -> None:
        self._store = store
        self._flights = flights
        self.cache: BoundedCache[tuple[str, str], bytes] = BoundedCache(capacity_bytes)
        self.files = DiskFiles()

    def still(self, key: str, image: Image | Document, holds: Callable[[], bool]) -> Still:
        """The way to the same bytes again, while `holds` and they are in memory."""
        place = (key, image.sha256)

        def content() -> Content | None:
            data = self.cache.get(place) if holds() else None
            return None if data is None else Content(data, self.files.get(place))

        return content

    async def read(self, key: str, image: Image | Document) -> bytes:
        """The PNG or document at `key`, which is `image`.

        Raises `ObjectMissing`, and `Unavailable` where the store is away or holds other bytes.
        """
        place = (key, image.sha256)
        kept = self.cache.get(place)
        if kept is not None:
            return kept
        try:
            return await self._flights.shared(place, lambda: self._fetch(key, image))
        except ObjectMissing:
            raise
        except (StoreError, ValueError) as fault:
            log.warning("%s cannot be read: %s", key, fault)
            raise Unavailable("the store does not answer; try again") from fault

    def _fetch(self, key: str, image: Image | Document) -> bytes:
        data, file = self.files.read(self._store(), key)
        digest = hashlib.sha256(data).hexdigest()
        if digest != image.sha256:
            log.error("%s: sha256 is %s, its snapshot says %s", key, digest, image.sha256)
            raise Unavailable("the stored image is damaged")
        place = (key, image.sha256)
        self.cache.put(place, data, len(data))
        if file is not None:
            self.files.keep(place, file)
        return data
