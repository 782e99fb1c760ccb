"""What the regular grid costs: a run of full size regridded by `dwd_assets.fields.regular_grid`, in this process.

Cells are as many and as dense as ICON-D2's; the fields are the CCSDS sample, at other hours.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.dwd.cost import Meter, quiet
from dwd_assets.archive.storing import Content
from dwd_assets.fields.regular_grid import regrid_run
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.sections import Sections, framed, section, split
from dwd_assets.formats.grib.simple import fitted_scale, numbers, packed_sections
from dwd_assets.formats.paths import archive_path
from dwd_assets.periods.context import Office, open_office
from dwd_assets.periods.progress import Recorder
from dwd_assets.settings import DwdSettings
from store.dwd.ledger import Source
from tests.dwd_assets.formats.grib.grid_cells import cell_centres
from tests.samples import SAMPLES

SAMPLE = SAMPLES / "dwd" / "icon-d2-v1" / "T_2M_2020-07-28T00_PT000H00M.made-ccsds.grib2"
RUN = datetime(2020, 7, 28, tzinfo=UTC)
AT = RUN + timedelta(hours=3)
HOURS = 48


def main(hours: str = str(HOURS)) -> None:
    """Regrid fields of so many hours, after one that computes the nearest cells and starts the decoder."""
    with tempfile.TemporaryDirectory() as folder:
        settings = DwdSettings(
            _env_file=None, archive=f"{folder}/archive", geometry_cache=Path(folder) / "g", free_floor_bytes=0
        )
        office = open_office(settings, clock=lambda: AT)
        _keep_cells(office)
        _keep(office, _key("t_2m", 0), SAMPLE.read_bytes())
        with Meter() as first:
            regrid_run(office, "icon-d2", RUN, quiet)
        ((_, parts),) = split(SAMPLE.read_bytes(), SAMPLE.name)
        for hour in range(1, int(hours) + 1):
            _keep(office, _key("t_2m", hour), _of_hour(parts, hour))
        with Meter() as meter:
            done = regrid_run(office, "icon-d2", RUN, quiet)
            office.close()
    meter.tell(files=done.fetched, failed=len(done.failed), first_s=first.wall_s)


def _key(parameter: str, hour: int) -> FieldKey:
    return FieldKey("icon-d2", RUN, parameter, "single", None, hour * 60, None, "icosahedral")


def _keep(office: Office, key: FieldKey, grib: bytes) -> None:
    content, source = Content.packed(grib), Source("http://none/", AT, len(grib), "0" * 64)
    with Recorder(office.store, key.model, f"{RUN:%Y%m%d%H}") as recorder:
        path = archive_path(key)
        recorder.kept(path, office.archive.keep(path, content, source, None, AT))


def _keep_cells(office: Office) -> None:
    """CLAT and CLON with 16 bits: a cell's place to 20 m."""
    ((_, parts),) = split(SAMPLE.read_bytes(), SAMPLE.name)
    lat, lon = cell_centres()
    for name, degrees in (("clat", lat), ("clon", (lon + 180) % 360 - 180)):
        values = degrees.astype(np.float32)
        scale = fitted_scale(values, name)
        representation, packed = packed_sections(numbers(values, scale), scale)
        no_bitmap = section(6, b"\xff")
        head = (parts.identification, parts.local, parts.grid, parts.product)
        grib = framed(parts.discipline, (*head, representation, no_bitmap, packed))
        _keep(office, replace(_key(name, 0), level_type="time-invariant"), grib)


def _of_hour(parts: Sections, hour: int) -> bytes:
    """The sample at another hour: octets 18 to 22 of section 4 (template 4.0)."""
    product = bytes(parts.product[:17]) + b"\1" + hour.to_bytes(4) + bytes(parts.product[22:])
    head = (parts.identification, parts.local, parts.grid, product)
    return framed(parts.discipline, (*head, parts.representation, parts.bitmap, parts.values))


if __name__ == "__main__":
    main(*sys.argv[1:])
