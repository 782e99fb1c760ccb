"""Files of a run as the old tree has them, made of real ones: the same grid, packing and mask, other values.

What belongs here: the input of the comparison with the replaced crawler. What does not: measuring.
"""

from __future__ import annotations

import bz2
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.sections import framed, section, split
from dwd_assets.opendata.addresses import old_path
from tests.samples import SAMPLES

RUN = datetime(2026, 9, 16, 12, tzinfo=UTC)
WRITTEN = RUN + timedelta(hours=2)
LOOKED_AT = RUN + timedelta(hours=3)
HOURS = 49
"""Steps of a parameter: 0 to 48 hours."""

FOLDER = SAMPLES / "dwd" / "icon-d2"
_WIND = FOLDER / "icon-d2_germany_regular-lat-lon_single-level_2022042600_000_2d_u_10m.grib2"
_CLOUD = FOLDER / "icon-d2_germany_regular-lat-lon_single-level_2022041700_000_2d_clct_mod.grib2"
_MADE_OF = (_WIND, _WIND, _WIND, _CLOUD)
"""Wind packs to 0.61 and cloud cover to 0.22 of its size: half of the size in all, as on the server."""

_STRIDE = 1_231


def parameters(files: int) -> Iterator[tuple[str, int]]:
    """Parameters, and of how many hours each has a file, so that there are so many files."""
    for number, first in enumerate(range(0, files, HOURS)):
        yield f"made_{number:02d}", min(HOURS, files - first)


def rows(files: int) -> str:
    """What selects exactly these files."""
    return " ".join(f"icon-d2/single/{name}/0-{hours - 1}" for name, hours in parameters(files))


def addresses(files: int) -> tuple[str, ...]:
    """The files' addresses on the server, by step as they appear."""
    keys = [_key(name, hour) for name, hours in parameters(files) for hour in range(hours)]
    return tuple(old_path(key) for key in sorted(keys, key=lambda key: (key.step_minutes, key.parameter)))


def make(root: Path, files: int) -> None:
    """Write the files below a folder, where the server has them."""
    jobs = [(root, name, hour) for name, hours in parameters(files) for hour in range(hours)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(_write, jobs, chunksize=8))


def _key(name: str, hour: int) -> FieldKey:
    return FieldKey("icon-d2", RUN, name, "single", None, hour * 60, None, "regular")


def _write(job: tuple[Path, str, int]) -> None:
    root, name, hour = job
    path = root / old_path(_key(name, hour)).lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bz2.compress(_field(int(name.rpartition("_")[2]), hour), 9))
    written = WRITTEN.timestamp()
    os.utime(path, (written, written))


def _field(number: int, hour: int) -> bytes:
    """A real field turned through its points and with other low bits, as of the run and hour that are wanted."""
    source = _MADE_OF[number % len(_MADE_OF)]
    ((_, parts),) = split(source.read_bytes(), source.name)
    values = np.frombuffer(parts.values[5:], ">u2")
    turned = np.roll(values, _STRIDE * (hour + HOURS * number)) ^ (values & 1)
    return framed(
        parts.discipline,
        (
            *(_dated(parts.identification), parts.local, parts.grid, _timed(parts.product, hour)),
            *(parts.representation, parts.bitmap, section(7, turned.astype(">u2").tobytes())),
        ),
    )


def _dated(identification: memoryview) -> bytes:
    """Section 1 with the run as its reference time (octets 13 to 19)."""
    time = struct.pack(">HBBBBB", RUN.year, RUN.month, RUN.day, RUN.hour, 0, 0)
    return bytes(identification[:12]) + time + bytes(identification[19:])


def _timed(product: memoryview, hour: int) -> bytes:
    """Section 4 (template 4.0) with another forecast time, in minutes (octets 18 to 22)."""
    return bytes(product[:17]) + struct.pack(">BI", 0, hour * 60) + bytes(product[22:])
