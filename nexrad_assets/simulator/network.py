"""A simulated network: Level 2 volumes of any sites in a folder laid out as the public bucket.

Where a second folder is given, the Level 3 products of every volume are put there as it ends, flat and named
as in their own public bucket.

`write_volumes` fills a span of time, `play` goes on in real time. A site's volumes begin at fixed times,
every `cadence_s` from 1970 on, each site at its own second: whoever writes next continues the same series,
and a volume that is there already is left alone.
"""

from __future__ import annotations

import heapq
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import Protocol

from nexrad_assets.names import product_file_name
from nexrad_assets.simulator.archive2_writer import is_simulated
from nexrad_assets.simulator.coverage import VCP_212, CoveragePattern
from nexrad_assets.simulator.level3_writer import is_simulated_product
from nexrad_assets.simulator.products import PRODUCTS, simulate_products
from nexrad_assets.simulator.volumes import RadarSite, SimulatedSite, simulate_volume, volume_end

PARTIAL_FOLDER = ".partial"
"""Where files are written before they are renamed into place; no listing of a day or a site sees it."""

_STALE_PARTIAL_S = 3600.0
_FIRST_RECORD_BYTES = 65_536
_CLEANING_EVERY = timedelta(minutes=1)

Progress = Callable[[int, int], None]
"""Is told how many volumes are done, and of how many."""


class Clock(Protocol):
    """The time that `play` goes by."""

    def now(self) -> datetime:
        """The time in UTC."""

    def wait(self, stop: Event, seconds: float) -> None:
        """Return after this time, or at once when `stop` is set."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time in UTC."""
        return datetime.now(UTC)

    def wait(self, stop: Event, seconds: float) -> None:
        """Return after this time, or at once when `stop` is set."""
        stop.wait(seconds)


def volume_times(
    start: datetime, end: datetime, cadence_s: int = VCP_212.cadence_s, offset_s: int = 0
) -> list[datetime]:
    """When volumes begin from `start` on and before `end`: `offset_s` after each multiple of the cadence."""
    first = -((offset_s - int(start.timestamp())) // cadence_s)
    begin = datetime.fromtimestamp(first * cadence_s + offset_s, UTC)
    times = []
    while begin < end:
        if begin >= start:
            times.append(begin)
        begin += timedelta(seconds=cadence_s)
    return times


def site_offset_s(site_id: str, cadence_s: int = VCP_212.cadence_s) -> int:
    """The second of the cadence at which a site begins: radars do not turn in step."""
    return zlib.crc32(site_id.encode()) % cadence_s


def volume_key(site_id: str, start: datetime) -> str:
    """`2025/05/20/KTLX/KTLX20250520_213000_V06`, as the bucket names a volume."""
    return f"{start:%Y/%m/%d}/{site_id}/{site_id}{start:%Y%m%d_%H%M%S}_V06"


@dataclass(frozen=True, slots=True)
class _Network:
    """What all volumes of a network have in common: where they go, and by which seed and pattern."""

    out: Path
    products_out: Path | None
    seed: int
    pattern: CoveragePattern

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that are written to."""
        return (self.out,) if self.products_out is None else (self.out, self.products_out)


@dataclass(frozen=True, slots=True)
class _Task:
    """One volume to write, and its products."""

    network: _Network
    site: SimulatedSite
    start: datetime

    @property
    def target(self) -> Path:
        """Where the volume belongs."""
        return self.network.out / volume_key(self.site.id, self.start)

    def missing_products(self) -> dict[str, Path]:
        """Where the products that are not there yet belong, by AWIPS code."""
        folder = self.network.products_out
        if folder is None:
            return {}
        targets = {awips: folder / product_file_name(self.site.id, awips, self.start) for awips in PRODUCTS}
        return {awips: target for awips, target in targets.items() if not target.exists()}

    @property
    def done(self) -> bool:
        """Whether nothing is missing."""
        return self.target.exists() and not self.missing_products()


def write_volumes(  # noqa: PLR0913 - a call names what it wants
    out: Path,
    sites: Iterable[RadarSite],
    start: datetime,
    end: datetime,
    seed: int,
    *,
    pattern: CoveragePattern = VCP_212,
    jobs: int = 1,
    progress: Progress | None = None,
    products_out: Path | None = None,
) -> list[Path]:
    """Write the volumes that begin from `start` on and before `end`, oldest first; returns the new ones.

    Their products go to `products_out` where given, also those of volumes that are there already. `jobs`
    above 1 uses that many processes. Pass an `end` of now less the pattern's `duration_s` to leave to `play`
    what a radar would still be scanning.
    """
    network = _Network(out, products_out, seed, pattern)
    _clear_partials(network)
    spans = [(site, _site_times(site, start, end, pattern)) for site in map(_plain, sites)]
    tasks = [_Task(network, site, begin) for site, times in spans for begin in times]
    missing = [task for task in sorted(tasks, key=lambda task: task.start) if not task.done]
    new = [task.target for task in missing if not task.target.exists()]
    for done, _ in enumerate(_run(missing, jobs), start=1):
        if progress is not None:
            progress(done, len(missing))
    return new


def play(
    out: Path,
    sites: Iterable[RadarSite],
    seed: int,
    stop: Event,
    *,
    clock: Clock | None = None,
    keep_minutes: float = 240.0,
    pattern: CoveragePattern = VCP_212,
    products_out: Path | None = None,
) -> None:
    """Write every volume, and its products where `products_out` is given, when its scan ends; until `stop`.

    A volume is computed while its scan goes on and only renamed when it ends. One that could not be
    ready within a cadence of its end is left out. Simulated files of these sites whose volumes began more
    than `keep_minutes` ago are removed; files that the simulator did not write are never touched.
    """
    clock = clock or SystemClock()
    network = _Network(out, products_out, seed, pattern)
    _clear_partials(network)
    stations = [_plain(site) for site in sites]
    queue = [_Due.first(site, clock.now(), pattern) for site in stations]
    heapq.heapify(queue)
    cleaned = datetime.min.replace(tzinfo=UTC)
    while queue and not stop.is_set():
        due = queue[0]
        _publish(_Task(network, due.site, due.start), due.ready, stop, clock)
        now = clock.now()
        heapq.heapreplace(queue, due.next(now, pattern))
        if now - cleaned >= _CLEANING_EVERY:
            cleaned = now
            _remove_old(network, stations, now - timedelta(minutes=keep_minutes))


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """A site's next volume, ordered by the time at which its scan ends."""

    ready: datetime
    site: SimulatedSite = field(compare=False)
    start: datetime

    @classmethod
    def first(cls, site: SimulatedSite, now: datetime, pattern: CoveragePattern) -> _Due:
        """The volume that the site is scanning now."""
        oldest = now - timedelta(seconds=pattern.duration_s)
        begin = _site_times(site, oldest, now + timedelta(seconds=pattern.cadence_s), pattern)[0]
        return cls(volume_end(begin, pattern), site, begin)

    def next(self, now: datetime, pattern: CoveragePattern) -> _Due:
        """The volume after this one, or the first one after it that is not a whole cadence late."""
        cadence = timedelta(seconds=pattern.cadence_s)
        late = max((now - self.ready) // cadence - 1, 0)
        begin = self.start + (1 + late) * cadence
        return _Due(volume_end(begin, pattern), self.site, begin)


def _plain(site: RadarSite) -> SimulatedSite:
    """A site as a value that another process can be given."""
    return SimulatedSite(site.id, site.latitude_deg, site.longitude_deg, site.height_m)


def _site_times(
    site: SimulatedSite, start: datetime, end: datetime, pattern: CoveragePattern
) -> list[datetime]:
    return volume_times(start, end, pattern.cadence_s, site_offset_s(site.id, pattern.cadence_s))


def _run(tasks: Sequence[_Task], jobs: int) -> Iterator[None]:
    """Write volumes one after the other, or in several processes."""
    if jobs <= 1 or len(tasks) <= 1:
        yield from map(_write, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write, tasks)


def _write(task: _Task) -> None:
    for file in _prepare(task):
        file.put()


def _publish(task: _Task, ready: datetime, stop: Event, clock: Clock) -> None:
    """Compute what is not there yet of a volume and its products, and put it in place when it is due."""
    files = _prepare(task)
    clock.wait(stop, max((ready - clock.now()).total_seconds(), 0.0))
    for file in files:
        if stop.is_set():
            file.partial.unlink()
        else:
            file.put()


@dataclass(frozen=True, slots=True)
class _File:
    """A whole file where no listing sees it, and where it belongs."""

    partial: Path
    target: Path

    @classmethod
    def written(cls, folder: Path, target: Path, data: bytes) -> _File:
        """Write a file that belongs below this folder."""
        partial = _with_folder(folder / PARTIAL_FOLDER / f"{target.name}.{os.getpid()}")
        partial.write_bytes(data)
        return cls(partial, target)

    def put(self) -> None:
        """Rename the file into place."""
        self.partial.replace(_with_folder(self.target))


def _prepare(task: _Task) -> list[_File]:
    """Write what is missing of a volume and its products to where no listing sees it."""
    network, files = task.network, []
    if not task.target.exists():
        volume = simulate_volume(task.site, task.start, network.seed, network.pattern)
        files.append(_File.written(network.out, task.target, volume))
    missing = task.missing_products()
    if network.products_out is not None and missing:
        products = simulate_products(task.site, task.start, network.seed, network.pattern)
        files += [
            _File.written(network.products_out, path, products[awips]) for awips, path in missing.items()
        ]
    return files


def _with_folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _clear_partials(network: _Network) -> None:
    """Remove what an earlier process that was killed had not finished."""
    for folder in network.folders:
        for partial in (folder / PARTIAL_FOLDER).glob("*"):
            if time.time() - partial.stat().st_mtime > _STALE_PARTIAL_S:
                partial.unlink(missing_ok=True)


def _remove_old(network: _Network, sites: Sequence[SimulatedSite], before: datetime) -> None:
    """Remove simulated volumes and products of these sites whose volumes began before a time."""
    for site in sites:
        _remove_old_volumes(network.out, site.id, before)
        if network.products_out is not None:
            _remove_old_products(network.products_out, site.id, before)


def _remove_old_volumes(out: Path, site_id: str, before: datetime) -> None:
    """Remove old simulated volumes of a site, and the folders that they leave."""
    for path in sorted(out.glob(f"????/??/??/{site_id}/{site_id}????????_??????_V06")):
        began = _name_time(path.name[4:19], "%Y%m%d_%H%M%S")
        if began < before and is_simulated(_head(path)):
            path.unlink(missing_ok=True)
            _remove_empty(path.parent, out)


def _remove_old_products(folder: Path, site_id: str, before: datetime) -> None:
    """Remove old simulated products of a site."""
    for path in sorted(folder.glob(f"{site_id[-3:]}_???_????_??_??_??_??_??")):
        began = _name_time(path.name[8:], "%Y_%m_%d_%H_%M_%S")
        if began < before and is_simulated_product(_head(path)):
            path.unlink(missing_ok=True)


def _name_time(text: str, form: str) -> datetime:
    """The time in the name of a file; the far future where there is none, so that it is kept."""
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_FIRST_RECORD_BYTES)


def _remove_empty(folder: Path, out: Path) -> None:
    """Remove a folder and those above it, up to the root, as far as they are empty."""
    while folder != out and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
