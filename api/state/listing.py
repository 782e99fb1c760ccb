"""A set of scans as the API answers of it: lists, counts, options and metadata of exactly these."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property

from api.replies.reply import Body
from nexrad_assets.radar.level3.products import MENUS
from store.radar import lists
from store.radar.snapshot import Image, Scan

EMPTY_OBJECT = Body.json({})
"""What a product without scans answers."""

_SERIALS = itertools.count()


class Listing:
    """An immutable set of scans, oldest first, and the bodies derived from it.

    Bodies are made when first asked for and then kept; nothing of it changes with time. `serial` is that of no
    other listing of the process.
    """

    def __init__(self, scans: Iterable[Scan]) -> None:
        self.scans: Mapping[str, Scan] = {scan.key: scan for scan in scans}
        self.serial = next(_SERIALS)
        self._products: dict[tuple[int, str], Body] = {}
        self._metadata: dict[tuple[str, str, int], Body] = {}
        self._known = {(scan.level, product) for scan in self.scans.values() for product in scan.layers}

    def prepare(self) -> None:
        """Make the bodies that every client polls, so that no request waits for them."""
        _ = self.all_lists, self.options
        for level, product in self._known:
            self.product_list(level, product)

    @cached_property
    def newest(self) -> datetime | None:
        """The start of the newest scan."""
        return max((scan.start for scan in self.scans.values()), default=None)

    def newest_of(self, level: int) -> datetime | None:
        """The start of the newest scan of a level."""
        return max((scan.start for scan in self.scans.values() if scan.level == level), default=None)

    @cached_property
    def published(self) -> datetime | None:
        """When the last of the scans was published."""
        return max((scan.published for scan in self.scans.values()), default=None)

    @cached_property
    def all_lists(self) -> Body:
        """The lists of every product of the contract."""
        return Body.json(lists.all_lists(self.scans.values()))

    @cached_property
    def options(self) -> Body | None:
        """The product-code options, none where there are no scans."""
        return Body.json(lists.options(self.scans.values(), MENUS)) if self.scans else None

    def product_list(self, level: int, product: str) -> Body:
        """The list of one product at one level; `{}` where no scan has it."""
        if (level, product) not in self._known:
            return EMPTY_OBJECT
        body = self._products.get((level, product))
        if body is None:
            of_level = (scan for scan in self.scans.values() if scan.level == level)
            body = self._products[level, product] = Body.json(lists.scan_list(of_level, product))
        return body

    def image(self, level: int, scan_key: str, product: str, index: int) -> tuple[Scan, Image] | None:
        """The first image of a tilt and the scan that it is of, none where it is not listed."""
        scan = self.scans.get(scan_key)
        if scan is None or scan.level != level or product not in scan.layers:
            return None
        tilts = scan.layers[product].tilts
        return (scan, tilts[index].images[0]) if index < len(tilts) else None

    def metadata(self, scan: Scan, product: str, index: int) -> Body:
        """The metadata of an image that `image` found."""
        place = (scan.key, product, index)
        body = self._metadata.get(place)
        if body is None:
            body = self._metadata[place] = Body.json(lists.sweep_metadata(scan, product, index))
        return body


EMPTY = Listing(())
"""The listing of a site or day without scans."""
EMPTY.prepare()
