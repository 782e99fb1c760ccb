"""Names of Level 2 volumes, as the public bucket spells them, and the keys of scans made of them.

Over the years: `KLOT19950413_132143.gz`, `KTLX20100501_000444_V03.gz`, `KTLX20140101_000624_V06.gz`,
`KLBB20160601_150025_V06`, and `_V08` of terminal Doppler radars. What else lies in the bucket is no volume:
`_MDM` (metadata alone), `.001` (a smaller duplicate upload) and `.Z`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

_VOLUME = re.compile(
    r"(?P<site>[A-Z][A-Z0-9]{3})(?P<time>[0-9]{8}_[0-9]{6})(?:_(?P<version>V[0-9]{2}))?(?:\.gz)?", re.ASCII
)
_VERSION = re.compile(r"V[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VolumeName:
    """What the name of a volume tells: the site, the UTC time of its start, its format's version.

    `version` is like `V06`, or None where only the volume's header tells it (files before 2008).
    """

    site: str
    time: datetime
    version: str | None
    file_name: str

    @property
    def day(self) -> date:
        """The UTC day under which the bucket keeps the volume."""
        return self.time.date()

    @property
    def scan_key(self) -> str | None:
        """`KPDT20250409_123456_V06`, however the file is packed; None until the version is known."""
        return None if self.version is None else scan_key(self.site, self.time, self.version)

    def with_version(self, version: str) -> VolumeName:
        """The same file with the version that its header tells (`V01`).

        A version in the name stays, so that a scan's key can be had from a listing alone.
        """
        if _VERSION.fullmatch(version) is None:
            raise ValueError(f"{self.file_name}: {version!r} is not a version like 'V06'")
        return self if self.version is not None else replace(self, version=version)


def scan_key(site: str, time: datetime, version: str) -> str:
    """The key of a volume's scan, as every name, list and image spells it: `KPDT20250409_123456_V06`."""
    return f"{site}{time:%Y%m%d_%H%M%S}_{version}"


def parse_volume_name(file_name: str) -> VolumeName | None:
    """Read the name of a file; None for whatever is not a volume's name."""
    match = _VOLUME.fullmatch(file_name)
    if match is None:
        return None
    try:
        time = datetime.strptime(match["time"], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return VolumeName(match["site"], time, match["version"], file_name)


def day_prefix(site: str, day: date) -> str:
    """Where the bucket keeps the volumes of a site and UTC day: `2025/04/09/KPDT/`."""
    return f"{day:%Y/%m/%d}/{site}/"
