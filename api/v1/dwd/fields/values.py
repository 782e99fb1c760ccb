"""Values of fields at places: files are decoded once for all places of a request, by a process of its own.

Values are kept in a bounded cache by the digest of their file, so that nothing in it can be out of date. They are put
there as soon as a file is decoded: a request that runs out of time leaves what it decoded to the next one.

What belongs here: values in files that are named. What does not: which files these are (`steps`), and documents.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from api.memory.cache import BoundedCache
from api.replies.errors import Unavailable
from api.v1.dwd.archive import Archive
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.fields.cell import Cell, Place
from api.v1.dwd.fields.decoder import Decoder
from api.v1.dwd.fields.positions import Positions, outside
from api.v1.dwd.fields.steps import StepFile
from dwd_assets.formats.errors import FormatError
from store.dwd.ledger import Kept
from store.objects import StoreError, StoreUnavailable

if TYPE_CHECKING:  # numpy, which an API that serves no series need not import
    from dwd_assets.formats.grib.grid import NativeGrid
    from dwd_assets.formats.grib.worker import FieldValues

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Files that are read and decoded at the same time; the decoder itself takes one after the other."""

SERIES_AT_ONCE = 4
"""Series that are worked on at the same time; more of them wait."""

VALUES_KEPT = 200_000
"""Values at places that are kept."""

DEADLINE_S = 20.0
"""How long one request may read and decode fields, waiting for its turn included."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value at a place, None if missing there, and of which cell it is; lead_minutes: after the reference time."""

    reference_time: datetime
    lead_minutes: int
    unit: str | None
    cell: Cell
    value: float | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a file has: for each place the values of its messages in order; or why it cannot be read."""

    file: StepFile
    values: tuple[tuple[Value, ...], ...]
    fault: str | None = None


Values = dict[Place, tuple[Value, ...]]
"""For each place the values of a file's messages in order."""

_Name = tuple[str, tuple[Place, ...]]
"""What is decoded: the digest of a file, and for which places."""


class FieldReader:
    """Reads values through a bounded cache; `close` ends the decoder."""

    def __init__(self, archive: Archive, downloads: Downloads) -> None:
        self._downloads = downloads
        self._decoder = Decoder()
        self._positions = Positions(archive, downloads, self._decoder)
        self._values: BoundedCache[tuple[str, Place], tuple[Value, ...]] = BoundedCache(VALUES_KEPT)
        self._flights: dict[_Name, asyncio.Task[Values]] = {}
        self._series = asyncio.Semaphore(SERIES_AT_ONCE)
        self._files = asyncio.Semaphore(AT_ONCE)

    def close(self) -> None:
        """End the decoder."""
        self._decoder.close()

    async def read(self, model: str, files: Sequence[StepFile], places: Sequence[Place]) -> list[Found]:
        """What each file has at places, in the order of the files.

        Raises `NotFound` for a place outside of a grid, or a grid without positions; `Unavailable` where the store
        does not answer, or after `DEADLINE_S`: what was decoded until then is kept, and a further request goes on.
        """
        done = [0]
        try:
            async with asyncio.timeout(DEADLINE_S), self._series:
                return await asyncio.gather(*(self._counted(done, model, file, places) for file in files))
        except TimeoutError as fault:
            raise Unavailable(
                f"{done[0]} of {len(files)} files were read within {DEADLINE_S:g} s; ask again: "
                "decoded values are kept, so that the next request gets further"
            ) from fault

    async def _counted(self, done: list[int], model: str, file: StepFile, places: Sequence[Place]) -> Found:
        found = await self._file(model, file, places)
        done[0] += 1
        return found

    async def _file(self, model: str, file: StepFile, places: Sequence[Place]) -> Found:
        kept = file.kept
        if kept is None:
            raise ValueError(f"{file.path} is not kept")
        known = {place: self._values.get((kept.sha256, place)) for place in places}
        new = [place for place, values in known.items() if values is None]
        try:
            if new:
                known |= await self._shared(model, file, kept, tuple(new))
        except StoreUnavailable as fault:
            raise Unavailable("the archive does not answer; try again") from fault
        except (StoreError, FormatError) as fault:
            log.warning("%s cannot be read: %s", file.path, fault)
            return Found(file, (), str(fault))
        return Found(file, tuple(known[place] or () for place in places))

    async def _shared(self, model: str, file: StepFile, kept: Kept, places: tuple[Place, ...]) -> Values:
        """The values of a file, decoded once for all who wait; it is decoded to the end also where nobody does."""
        name = (kept.sha256, places)
        flight = self._flights.get(name)
        if flight is None:
            await self._files.acquire()
            flight = self._flights.get(name)
            if flight is not None:
                self._files.release()
            else:
                flight = asyncio.create_task(self._decoded(model, file, kept, places))
                self._flights[name] = flight
                flight.add_done_callback(lambda done: self._landed(name, done))
        return await asyncio.shield(flight)

    def _landed(self, name: _Name, flight: asyncio.Task[Values]) -> None:
        del self._flights[name]
        self._files.release()
        if not flight.cancelled():
            flight.exception()  # it was raised to whoever waited; where nobody did, the next request meets it again

    async def _decoded(self, model: str, file: StepFile, kept: Kept, places: Sequence[Place]) -> Values:
        known = {place: self._values.get((kept.sha256, place)) for place in places}
        found = {place: values for place, values in known.items() if values is not None}
        if len(found) == len(known):  # another request decoded it while this one waited for its turn
            return found
        plain = await self._downloads.content(file.path, kept)
        grid = await asyncio.to_thread(_grid_of, plain, file.path)
        cells = None if grid is None else await self._positions.cells(model, file.run, grid, places)
        return await asyncio.to_thread(self._values_at, model, file, kept, plain, places, cells)

    def _values_at(
        self,
        model: str,
        file: StepFile,
        kept: Kept,
        plain: bytes,
        places: Sequence[Place],
        cells: Sequence[Cell] | None,
    ) -> Values:
        """Decode a file and keep its values: in a thread, which ends its work also where nobody waits any more."""
        from dwd_assets.formats.grib.process import DecoderError  # noqa: PLC0415 - its child's

        try:
            fields = self._decoder.worker.values(plain, file.path)
        except DecoderError as fault:
            raise Unavailable(f"fields cannot be decoded here: {fault}") from fault
        by_message = [_at(model, file, field, places, cells) for field in fields]
        found = {place: tuple(values[index] for values in by_message) for index, place in enumerate(places)}
        for place, values in found.items():
            self._values.put((kept.sha256, place), values, max(1, len(values)))
        return found


def _at(
    model: str, file: StepFile, field: FieldValues, places: Sequence[Place], cells: Sequence[Cell] | None
) -> list[Value]:
    """The values of one field at places."""
    from api.v1.dwd.fields.cells import values_in  # noqa: PLC0415 - numpy

    if cells is None:
        cells = [_point(model, field, place) for place in places]
    lead = field.message.step_minutes
    return [
        Value(
            reference_time=field.message.reference_time,
            # Where the message does not say it, that of the file's name.
            lead_minutes=file.key.step_minutes if lead is None else lead,
            unit=None if field.units == "unknown" else field.units,
            cell=cell,
            value=value,
        )
        for cell, value in zip(cells, values_in(field, cells, file.path), strict=True)
    ]


def _point(model: str, field: FieldValues, place: Place) -> Cell:
    from api.v1.dwd.fields.cells import nearest_point  # noqa: PLC0415 - numpy

    if field.grid is None:
        raise FormatError(f"grid template {field.message.grid_template} is not read")
    cell = nearest_point(field.grid, place)
    if cell is None:
        raise outside(model, place, "it is more than half a step beyond the grid")
    return cell


def _grid_of(plain: bytes, path: str) -> NativeGrid | None:
    from api.v1.dwd.fields.cells import native_grid  # noqa: PLC0415 - numpy

    return native_grid(plain, path)
