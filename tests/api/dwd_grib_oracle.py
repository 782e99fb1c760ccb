"""What eccodes alone says of GRIB files, in a process of its own: it does not go together with pyproj."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_CODE = """
import json, sys, eccodes
wanted = json.loads(sys.argv[1])
answers = []
with open(wanted["file"], "rb") as file:
    while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
        answer = {"units": eccodes.codes_get(handle, "units")}
        if wanted["point"]:
            near = eccodes.codes_grib_find_nearest(handle, *wanted["point"])[0]
            masked = eccodes.codes_get(handle, "bitmapPresent")
            missing = masked and near.value == eccodes.codes_get(handle, "missingValue")
            answer |= {"lat": near.lat, "lon": near.lon, "km": near.distance}
            answer["value"] = None if missing else near.value
        else:
            answer["values"] = eccodes.codes_get_values(handle).tolist()
        answers.append(answer)
        eccodes.codes_release(handle)
print(json.dumps(answers))
"""


def ask(data: bytes, folder: Path, point: tuple[float, float] | None = None) -> list[dict]:
    """Of each message, its units and the point nearest to a position, or all values."""
    file = folder / "oracle.grib2"
    file.write_bytes(data)
    wanted = json.dumps({"file": str(file), "point": point})
    run = subprocess.run([sys.executable, "-c", _CODE, wanted], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)
