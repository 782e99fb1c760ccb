"""Real volumes for the decoder's tests, whole and in pieces."""

import gzip
import re
from functools import cache
from pathlib import Path

import numpy as np

from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.radar.volume import Sweep, Volume
from tests.samples import LEVEL2, SAMPLES

CHUNKS = SAMPLES / "nexrad" / "level2-chunks" / "KLOT" / "512"
PACKED = "KDMX20250101_225441_V06"
PLAIN = "KTLX20100501_000444_V03.gz"
MESSAGE_1 = "KLOT19950413_132143.gz"
STREAM = re.compile(rb"BZh[1-9]1AY&SY")


@cache
def sample(name: str) -> bytes:
    """A sample volume by name, without gzip; `chunks` is the chunk folder joined in order."""
    if name == "chunks":
        return b"".join(path.read_bytes() for path in sorted(CHUNKS.iterdir()))
    data = next(LEVEL2.rglob(name)).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def packed_records(data: bytes) -> list[bytes]:
    """The bzip2 records of a volume, each with its size word."""
    starts = [match.start() - 4 for match in STREAM.finditer(data)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


@cache
def whole(name: str) -> Volume:
    """The undamaged volume, as read once."""
    return read_volume(sample(name), Path(name).name)


def assert_same_sweep(one: Sweep, other: Sweep, rays: int | None = None) -> None:
    """Equal in every gate of every ray, or of the first `rays`."""
    part = slice(rays)
    assert one.number == other.number
    np.testing.assert_array_equal(one.azimuth_deg[part], other.azimuth_deg[part])
    np.testing.assert_array_equal(one.elevation_deg[part], other.elevation_deg[part])
    np.testing.assert_array_equal(one.time_s[part], other.time_s[part])
    assert list(one.moments) == list(other.moments)
    for name, moment in one.moments.items():
        np.testing.assert_array_equal(moment.codes[part], other.moments[name].codes[part])
