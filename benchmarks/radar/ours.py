"""One volume rendered by this project in a process of its own: `python -m benchmarks.radar.ours FILE OUT CACHE`.

Prints one JSON line. Geometries come from the folder CACHE, as they do in a deployment.
"""

import json
import sys
import time
from pathlib import Path

from nexrad_assets.radar.image import render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import REFLECTIVITY
from nexrad_assets.radar.level2 import archive2


def main(file: str, out: str, cache: str) -> None:
    """Render every tilt (and repeat) of a file into a folder and print what that cost."""
    imported = time.process_time()
    path = Path(file)
    volume = archive2.read_volume(path.read_bytes(), path.name)
    decoded = time.process_time()
    geometries = GeometryCache(Path(cache))
    images = []
    for job in render.jobs(volume, REFLECTIVITY):
        picture = render.render(job, 2700, geometries)
        (Path(out) / f"tilt{job.index}_{job.repeat}.png").write_bytes(picture.png)
        images.append(len(picture.png))
    ended = time.process_time()
    print(
        json.dumps(
            {
                "imports_s": imported,
                "decode_s": decoded - imported,
                "work_s": ended - imported,
                "images": images,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
