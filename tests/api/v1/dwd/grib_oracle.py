"""What eccodes alone says of GRIB files, in a process of its own: it does not go together with pyproj."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

_CODE = """
import json, sys, eccodes

def answers(file, point):
    with open(file, "rb") as opened:
        while (handle := eccodes.codes_grib_new_from_file(opened)) is not None:
            answer = {"units": eccodes.codes_get(handle, "units")}
            if point:
                near = eccodes.codes_grib_find_nearest(handle, *point)[0]
                masked = eccodes.codes_get(handle, "bitmapPresent")
                missing = masked and near.value == eccodes.codes_get(handle, "missingValue")
                answer |= {"lat": near.lat, "lon": near.lon, "km": near.distance}
                answer["value"] = None if missing else near.value
            else:
                answer["values"] = eccodes.codes_get_values(handle).tolist()
            yield answer
            eccodes.codes_release(handle)

for line in sys.stdin:
    print(json.dumps(list(answers(*json.loads(line)))), flush=True)
"""


def ask(data: bytes, folder: Path, point: tuple[float, float] | None = None) -> list[dict]:
    """Of each message, its units and the point nearest to a position, or all values."""
    file = folder / "oracle.grib2"
    file.write_bytes(data)
    process = _process()
    process.stdin.write(json.dumps([str(file), point]) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def nearest_cell(
    clat: bytes, clon: bytes, folder: Path, place: tuple[float, float]
) -> tuple[int, tuple[float, float], float]:
    """Index, position and distance in km of the cell whose middle is nearest, by trying all of them."""
    lats, lons = (ask(data, folder)[0]["values"] for data in (clat, clon))

    def km(index: int) -> float:
        lat, lon, other_lat, other_lon = map(math.radians, (*place, lats[index], lons[index]))
        cosine = math.sin(lat) * math.sin(other_lat)
        cosine += math.cos(lat) * math.cos(other_lat) * math.cos(lon - other_lon)
        return 6371.229 * math.acos(min(1.0, cosine))

    index = min(range(len(lats)), key=km)
    return index, (lats[index], lons[index]), km(index)


@cache
def _process() -> subprocess.Popen[str]:
    """One process for all questions, which ends with this one: its start takes longer than its answers."""
    return subprocess.Popen(
        [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
