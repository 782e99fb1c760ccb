"""Which message of which file has which step, level and member; and what the messages are, without decoding a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dwd_assets.archive.positions import KeptFile
from dwd_assets.cube.choice import Field
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.grid import (
    LAT_LON_TEMPLATE,
    LatLonGrid,
    NativeGrid,
    read_lat_lon,
    read_native_grid,
)
from dwd_assets.formats.grib.sections import Sections, split
from dwd_assets.formats.grib.structure import GribMessage
from dwd_assets.formats.grib.worker import FieldNames, GribWorker
from dwd_assets.formats.paths import parse_archive_path
from store.objects import Store

AnyGrid = LatLonGrid | NativeGrid
"""The grid of a message, as section 3 describes it."""

_WORKERS: dict[int, GribWorker] = {}
"""By process: one that was forked must not speak with its parent's decoder."""


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place in a cube; level and member are None where there is one alone."""

    step_minutes: int
    level: int | None
    member: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One message of a file: which of how many."""

    file: KeptFile
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known of a field without decoding a value.

    parts: by their places. grid, names and message are those of the last file, which says over what time values are
    summed up.
    """

    parts: Mapping[Slot, Part]
    grid: AnyGrid
    names: FieldNames
    message: GribMessage


def worker() -> GribWorker:
    """The decoder of this process."""
    return _WORKERS.setdefault(os.getpid(), GribWorker())


def contents(field: Field, store: Store) -> Contents:
    """What the files of a field have. Of files with one message each, three are read; of others, the heads of all.

    Raises `FormatError` that names the file, `StoreError`, `DecoderError`.
    """
    ordered = sorted(field.files.items(), key=lambda item: (item[0].step_minutes, item[0]))
    heads = {key: _head(file, store) for key, file in dict((*ordered[:2], ordered[-1])).items()}
    has_several = any(len(head) > 1 for head in heads.values())
    parts: dict[Slot, Part] = {}
    for key, file in ordered:
        slots = _slots_known(key, file, has_several)
        if slots is None:
            slots = _slots_read(key, heads.get(key) or _head(file, store), file)
        for index, slot in enumerate(slots):
            if slot in parts:
                raise FormatError(f"{file.path}: has a message of {slot}, and so has {parts[slot].file.path}")
            parts[slot] = Part(file, index, len(slots))
    file = ordered[-1][1]
    message, sections = heads[ordered[-1][0]][-1]
    (names,) = worker().names(sections.message(), file.path)
    return Contents(parts, grid_of(sections, message, file.path), names, message)


def decoded(part: Part, slot: Slot, grid: AnyGrid, store: Store) -> NDArray[np.float32]:
    """The values of one message, float32 of shape (points,), NaN where missing.

    Raises `FormatError`, naming the file, if it is damaged or has another field than the cube has in this place;
    `StoreError`, `DecoderError`.
    """
    path = part.file.path
    head = _head(part.file, store)
    if len(head) != part.count:
        raise FormatError(f"{path}: has {len(head)} messages, {part.count} were expected")
    message, sections = head[part.index]
    found = _slot(message, slot)
    if found != slot:
        raise FormatError(f"{path}: message {part.index + 1} is {found}, should be {slot}")
    if (there := grid_of(sections, message, path)) != grid:
        raise FormatError(f"{path}: is on another grid than the rest of the cube: {there}, not {grid}")
    (field,) = worker().values(sections.message(), path)
    return field.values


def grid_of(sections: Sections, message: GribMessage, name: str) -> AnyGrid:
    """The grid of a message. Raises `FormatError` if it is neither a `LatLonGrid` nor one of triangles."""
    is_even = message.grid_template == LAT_LON_TEMPLATE
    return read_lat_lon(sections.grid, name) if is_even else read_native_grid(sections.grid, name)


def _head(file: KeptFile, store: Store) -> tuple[tuple[GribMessage, Sections], ...]:
    return split(file.read(store), file.path)


def _slots_known(key: FieldKey, file: KeptFile, has_several: bool) -> list[Slot] | None:
    """The places of a file's messages, as its key, or what it was made from, say; None if neither does."""
    sources = [source.partition("#") for source in file.kept.made_from]
    if sources and all(digits for _, _, digits in sources):
        made_from = [parse_archive_path(path) for path, _, _ in sources]
        return [
            Slot(each.step_minutes, key.level, key.member) for each in made_from if isinstance(each, FieldKey)
        ]
    return None if has_several else [Slot(key.step_minutes, key.level, key.member)]


def _slots_read(key: FieldKey, head: tuple[tuple[GribMessage, Sections], ...], file: KeptFile) -> list[Slot]:
    """The places of a file's messages, as these say. Raises `FormatError` if several do not say their step."""
    if len(head) > 1 and any(message.step_minutes is None for message, _ in head):
        raise FormatError(f"{file.path}: has {len(head)} messages that do not all say their step")
    return [_slot(message, Slot(key.step_minutes, key.level, key.member)) for message, _ in head]


def _slot(message: GribMessage, named: Slot) -> Slot:
    """The place of a message; what it does not say is what the file's name says."""
    step, member = message.step_minutes, message.product.member
    return Slot(
        named.step_minutes if step is None else step, named.level, named.member if member is None else member
    )
