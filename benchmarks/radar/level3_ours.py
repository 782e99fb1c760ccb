"""A Level 3 product made as the pipeline makes it: `python -m benchmarks.radar.level3_ours FILE OUT CACHE`.

As a process of its own it prints one JSON line. Geometries come from the folder CACHE, as they do in a deployment.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from nexrad_assets.levels import scans
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.names import parse_product_name
from nexrad_assets.radar.image.geometry import GeometryCache
from store.radar.lists import sweep_metadata
from store.radar.snapshot import SourceFile

SIZE = 2700
"""Pixels a side, the product's default."""


def draw(file: Path, out: Path, recipe: Level3Recipe, geometries: GeometryCache) -> int:
    """Write the image of a product file and its metadata into a folder; gives the bytes of the image."""
    made = _made(file, recipe, geometries)
    ((png, _),) = made.objects.values()
    (product,) = made.scan.layers
    (out / "ours.png").write_bytes(png)
    (out / "ours.json").write_text(json.dumps(sweep_metadata(made.scan, product, 0)))
    return len(png)


def document(file: Path, recipe: Level3Recipe) -> bytes:
    """The GeoJSON of a product file that holds vectors."""
    ((data, _),) = _made(file, recipe, GeometryCache()).objects.values()
    return data


def _made(file: Path, recipe: Level3Recipe, geometries: GeometryCache) -> scans.Made:
    data = file.read_bytes()
    name = parse_product_name(file.name)
    if name is None:
        raise SystemExit(f"{file.name} is not named as a Level 3 product")
    source = SourceFile(file.name, "benchmark", len(data))
    told = scans.Provenance(source, "backfill", kept=False, now=datetime.now(UTC))
    made = scans.make(data, name, told, recipe, geometries)
    if made.scan.reason:
        raise SystemExit(made.scan.reason)
    return made


def main(file: str, out: str, cache: str) -> None:
    """Draw a file into a folder and print the bytes of its image."""
    image = draw(Path(file), Path(out), Level3Recipe(SIZE), GeometryCache(Path(cache)))
    print(json.dumps({"image": image}))


if __name__ == "__main__":
    main(*sys.argv[1:])
