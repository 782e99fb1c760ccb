"""`nexrad render`: files to PNG and JSON beside each other, or to GeoJSON; one line a file and a summary."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nexrad_assets.levels import scans
from nexrad_assets.levels.level2 import Level2Recipe
from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.levels.scans import Provenance, Reading, Recipe
from nexrad_assets.radar.image import render
from nexrad_assets.radar.image.geometry import GeometryCache
from nexrad_assets.radar.image.products import PRODUCTS
from nexrad_assets.radar.level3.message import is_level3
from nexrad_assets.radar.volume import VolumeError
from store.radar.lists import sweep_metadata
from store.radar.snapshot import Scan, SourceFile


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one file: the line to print, images, documents and bytes written, whether it failed."""

    line: str
    images: int = 0
    documents: int = 0
    size: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Recipes:
    """The recipe of each level."""

    level2: Recipe
    level3: Recipe

    def of(self, data: bytes) -> Recipe:
        """The recipe for a file of these bytes."""
        return self.level3 if is_level3(data) else self.level2


def render_files(files: Sequence[Path], out: Path, product: str, size: int, jobs: int | None) -> int:
    """Render every file's tilts, or its product, into `out`; gives the exit status, 1 if any file failed."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        print(f"nexrad: {fault}", file=sys.stderr)
        return 1
    recipes = _Recipes(Level2Recipe((PRODUCTS[product],), size), Level3Recipe(size))
    cache = GeometryCache()
    began = time.monotonic()
    done: list[_Done] = []
    with ThreadPoolExecutor(jobs or min(4, os.cpu_count() or 1)) as pool:
        for number, file in enumerate(files, start=1):
            _progress(f"{number}/{len(files)} {file.name}")
            done.append(_render_file(file, out, recipes, cache, pool))
            _progress("")
            print(done[-1].line, flush=True)
    failed = sum(one.failed for one in done)
    print(
        f"{len(done) - failed} of {len(done)} files, {sum(one.images for one in done)} images, "
        f"{sum(one.documents for one in done)} documents, "
        f"{sum(one.size for one in done):,} bytes, {time.monotonic() - began:.1f} s"
        + (f"; {failed} failed" if failed else "")
    )
    return 1 if failed else 0


def _render_file(
    file: Path, out: Path, recipes: _Recipes, cache: GeometryCache, pool: ThreadPoolExecutor
) -> _Done:
    try:
        return _rendered(file, out, recipes, cache, pool)
    except (VolumeError, OSError) as fault:
        text = str(fault)
        return _Done(f"FAILED {text if file.name in text else f'{file.name}: {text}'}", failed=True)


def _rendered(
    file: Path, out: Path, recipes: _Recipes, cache: GeometryCache, pool: ThreadPoolExecutor
) -> _Done:
    began = time.monotonic()
    data = file.read_bytes()
    how = recipes.of(data)
    reading = how.read(data, file.name)
    first_times = [job for job in reading.jobs if job.repeat == 0]
    pictures = list(pool.map(lambda job: render.render(job, how.size, cache), first_times))
    _write_pictures(out, _scan(data, file.name, reading, pictures, how), pictures)
    for vectors in reading.vectors:
        _write(out / f"{reading.key}_{vectors.name}.{vectors.suffix}", vectors.data)
    size = sum(len(picture.png) for picture in pictures) + sum(len(one.data) for one in reading.vectors)
    lacks = f"; lacks {'; '.join(reading.missing)}" if reading.missing else ""
    seconds = time.monotonic() - began
    line = f"{file.name}: {_contents(reading, len(pictures))}, {size:,} bytes, {seconds:.2f} s{lacks}"
    return _Done(line, len(pictures), len(reading.vectors), size)


def _contents(reading: Reading, pictures: int) -> str:
    if reading.vectors:
        return ", ".join(f"{one.count} {one.name}" for one in reading.vectors)
    return reading.label or f"{pictures} tilts"


def _scan(
    data: bytes, file_name: str, reading: Reading, pictures: Sequence[render.Picture], how: Recipe
) -> Scan:
    digest = hashlib.sha256(data).hexdigest()
    source = SourceFile(file_name, digest, len(data))
    told = Provenance(source, "backfill", kept=True, now=datetime.now(UTC))
    return scans.assembled(reading, pictures, told, how.level, how.fingerprint(digest, len(data)))


def _write_pictures(out: Path, scan: Scan, pictures: Sequence[render.Picture]) -> None:
    for picture in pictures:
        product, index = picture.job.product.name, picture.job.index
        stem = f"{scan.key}_{product}_idx{index}"
        _write(out / f"{stem}.png", picture.png)
        _write(out / f"{stem}.json", json.dumps(sweep_metadata(scan, product, index), indent=1).encode())


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
