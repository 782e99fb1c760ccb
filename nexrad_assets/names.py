"""Names of files, as the public buckets spell them, and the keys of scans made of them.

Level 2 over the years: `KLOT19950413_132143.gz`, `KTLX20100501_000444_V03.gz`, `KTLX20140101_000624_V06.gz`,
`KLBB20160601_150025_V06`, and `_V08` of terminal Doppler radars. What else lies in that bucket is no volume:
`_MDM` (metadata alone), `.001` (a smaller duplicate upload) and `.Z`.

Level 3: `LOT_DAA_2021_05_08_03_40_29`, with the last three letters of the site's id and the product's code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from nexrad_assets.radar import sites

_VOLUME = re.compile(
    r"(?P<site>[A-Z][A-Z0-9]{3})(?P<time>[0-9]{8}_[0-9]{6})(?:_(?P<version>V[0-9]{2}))?(?:\.gz)?", re.ASCII
)
_VOLUME_TIME = "%Y%m%d_%H%M%S"
_PRODUCT = re.compile(
    r"(?P<site>[A-Z0-9]{3})_(?P<code>[A-Z0-9]{3})_(?P<time>[0-9]{4}(?:_[0-9]{2}){5})", re.ASCII
)
_PRODUCT_TIME = "%Y_%m_%d_%H_%M_%S"


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a file tells: the site's four letters, the UTC time of its start, its suffix.

    `suffix` is the last part of the scan's key. Level 2: the format's version, like `V06`, or None where only
    the volume's header tells it (files before 2008). Level 3: the product's code, like `HHC`.
    """

    site: str
    time: datetime
    suffix: str | None
    file_name: str

    @property
    def day(self) -> date:
        """The UTC day to which the file belongs."""
        return self.time.date()

    @property
    def scan_key(self) -> str | None:
        """`KPDT20250409_123456_V06`, however the file is packed; None until the suffix is known."""
        return None if self.suffix is None else scan_key(self.site, self.time, self.suffix)


def scan_key(site: str, time: datetime, suffix: str) -> str:
    """The key of a scan, as every name, list and image spells it: `KPDT20250409_123456_V06`."""
    return f"{site}{time:{_VOLUME_TIME}}_{suffix}"


def parse_volume_name(file_name: str) -> FileName | None:
    """Read the name of a Level 2 file; None for whatever is not a volume's name."""
    match = _VOLUME.fullmatch(file_name)
    time = None if match is None else _time(match["time"], _VOLUME_TIME)
    if match is None or time is None:
        return None
    return FileName(match["site"], time, match["version"], file_name)


def parse_product_name(file_name: str) -> FileName | None:
    """Read the name of a Level 3 file; None for whatever is not a product's name, or of no known site."""
    match = _PRODUCT.fullmatch(file_name)
    time = None if match is None else _time(match["time"], _PRODUCT_TIME)
    if match is None or time is None:
        return None
    try:
        site = sites.site_of_short_id(match["site"])
    except sites.UnknownSite:
        return None
    return FileName(site.id, time, match["code"], file_name)


def product_file_name(site: str, code: str, time: datetime) -> str:
    """The name of a Level 3 file: `LOT_DAA_2021_05_08_03_40_29`.

    `site` has four letters, `time` is UTC. Raises `UnknownSite`.
    """
    return f"{sites.site(site).short_id}_{code}_{time:{_PRODUCT_TIME}}"


def _time(text: str, spelling: str) -> datetime | None:
    try:
        return datetime.strptime(text, spelling).replace(tzinfo=UTC)
    except ValueError:
        return None
