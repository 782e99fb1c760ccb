"""Files of the archive by their ledger, and where the cells of a grid of triangles are.

A GRIB field on ICON's triangles has no positions, only the number and UUID of its grid. CLAT and CLON are fields of
such a grid themselves, so that they can be matched: positions are used for fields of exactly their own grid.

What belongs here: reading what a ledger lists, and finding CLAT and CLON. What does not: what is computed with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from dwd_assets.archive.storing import digest, plain_of
from dwd_assets.formats.checks import parse_run, run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.grid import NativeGrid, read_native_grid
from dwd_assets.formats.grib.sections import split
from dwd_assets.formats.paths import parse_archive_path
from store import keys
from store.dwd import ledger
from store.dwd.ledger import DamagedLedger, Kept, Ledger
from store.objects import ObjectMissing, Store

DIGITS = 12
"""How many digits of a content's SHA-256 name it in notes and messages."""

MOST_RUNS = 80
"""In how many other runs CLAT and CLON are looked for: ten days of a model that runs every three hours."""

REGRIDDED = "regridded here: nearest cell"
"""How the note of a file begins that was made here."""

_NOTE = re.compile(
    rf"{REGRIDDED} of CLAT [0-9a-f]{{{DIGITS}}} and CLON [0-9a-f]{{{DIGITS}}}, "
    r"grid (?P<number>\d+)\.(?P<reference>\d+), UUID (?P<uuid>[0-9a-f]{32}), (?P<cells>\d+) cells",
    re.ASCII,
)

_LATITUDE, _LONGITUDE = "clat", "clon"

_GRIDS: dict[str, NativeGrid] = {}
"""By a content's SHA-256, the grids of files whose heads were read in this process."""

_MOST_GRIDS = 20_000


class NoPositions(FormatError):  # noqa: N818 - reads as the state it reports
    """The positions of a grid's cells are not kept, or cannot be used; the message names the grid or the file."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A kept file, by its archive path, and what the ledger says of it."""

    path: str
    kept: Kept

    @property
    def content(self) -> str:
        """The first digits of its content's SHA-256."""
        return self.kept.sha256[:DIGITS]

    def read(self, store: Store) -> bytes:
        """Its content, unpacked. Raises `FormatError` if that is not what the ledger says, `StoreError`."""
        try:
            stored = store.get(self.kept.held_at or self.path).data
        except ObjectMissing as fault:
            raise FormatError(f"{self.path}: is in the ledger, but not in the store") from fault
        data = plain_of(self.path, stored)
        if digest(data) != self.kept.sha256:
            raise FormatError(f"{self.path}: holds another content than the ledger says")
        return data


@dataclass(frozen=True, slots=True)
class Positions:
    """The files of CLAT and CLON of one grid."""

    grid: NativeGrid
    latitude: KeptFile
    longitude: KeptFile

    @property
    def note(self) -> str:
        """What the ledger has of each file that was made with them; `grid_of_note` reads it."""
        return f"{REGRIDDED} of CLAT {self.latitude.content} and CLON {self.longitude.content}, {self.grid}"


def grid_of_note(note: str) -> NativeGrid | None:
    """The grid that `Positions.note` names, None for any other text."""
    match = _NOTE.fullmatch(note)
    if match is None:
        return None
    return NativeGrid(int(match["number"]), int(match["reference"]), match["uuid"], int(match["cells"]))


def native_grid(data: bytes, name: str) -> NativeGrid:
    """The grid of triangles that all fields of a GRIB file are on; no value is decoded.

    Raises `FormatError` if they are on something else, or on several grids.
    """
    grids = sorted({read_native_grid(parts.grid, name) for _, parts in split(data, name)})
    if len(grids) != 1:
        raise FormatError(f"{name}: has fields on several grids: {'; '.join(map(str, grids))}")
    return grids[0]


def grid_of(file: KeptFile, store: Store) -> NativeGrid:
    """`native_grid` of a kept file; equal contents are read once in a process. Raises as `KeptFile.read` does too."""
    known = _GRIDS.get(file.kept.sha256)
    if known is None:
        if len(_GRIDS) >= _MOST_GRIDS:
            _GRIDS.clear()
        known = _GRIDS[file.kept.sha256] = native_grid(file.read(store), file.path)
    return known


def find_positions(store: Store, known: Ledger, grid: NativeGrid) -> Positions:
    """CLAT and CLON of a grid: of the run whose ledger is `known`, else of the nearest run of its model that has them.

    Raises `NoPositions` that names the grid, and those of which positions are kept, if there are none of it;
    `StoreError`.
    """
    found: dict[str, None] = {}
    for candidate in filter(None, map(_pair, _ledgers(store, known))):
        try:
            grids = {grid_of(file, store) for file in candidate}
        except FormatError as fault:
            found[str(fault)] = None
            continue
        if grids == {grid}:
            return Positions(grid, *candidate)
        found.update(dict.fromkeys(f"those kept are of {each}" for each in sorted(grids)))
    told = "; ".join(found) or "none are kept"
    raise NoPositions(
        f"{known.collection} {known.period}: CLAT and CLON of {grid} are needed, of this run or one of the {MOST_RUNS}"
        f" nearest to it: {told}"
    )


def _ledgers(store: Store, known: Ledger) -> Iterator[Ledger]:
    """The ledger of a run, then those of the nearest other runs; damaged ones are left out."""
    yield known
    run = parse_run(known.period)
    if run is None:
        return
    names = (
        info.key.rpartition("/")[2] for info in store.list(keys.ledger_summaries_prefix(known.collection))
    )
    runs = {other for name in names if (other := parse_run(name.partition(".")[0])) is not None} - {run}
    for other in sorted(runs, key=lambda each: abs(each - run))[:MOST_RUNS]:
        with suppress(DamagedLedger):
            yield ledger.read(store, known.collection, run_text(other))


def _pair(known: Ledger) -> tuple[KeptFile, KeptFile] | None:
    """The files of CLAT and CLON that a ledger lists, None unless it has both."""
    latitude, longitude = (_file(known, name) for name in (_LATITUDE, _LONGITUDE))
    return None if latitude is None or longitude is None else (latitude, longitude)


def _file(known: Ledger, parameter: str) -> KeptFile | None:
    for path in sorted(path for path in known.kept if f"/{parameter}/" in path):
        key = parse_archive_path(path)
        if isinstance(key, FieldKey) and (key.parameter, key.grid) == (parameter, "icosahedral"):
            return KeptFile(path, known.kept[path])
    return None
