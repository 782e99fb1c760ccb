"""Whether the bytes that came for a field are that field, as far as one file says, and nothing is wrong with them.

Whether its parameter numbers are those of its other steps and runs is for `dwd_assets.fields.identity`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dwd_assets.fields.identity import Observed, observe
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, Grid
from dwd_assets.formats.grib.grid import LAT_LON_TEMPLATE, UNSTRUCTURED_TEMPLATE, NativeGrid, read_native_grid
from dwd_assets.formats.grib.sections import Sections, split
from dwd_assets.formats.grib.structure import GribMessage
from dwd_assets.formats.grib.worker import GribWorker

ALL_MISSING = "all values are missing"
"""The note of a field that has no value at all."""

MANY_MESSAGES = "messages where the layout has one"
"""How the note of a file of the v1 tree ends that has several messages."""

_TEMPLATES: dict[Grid, int] = {"regular": LAT_LON_TEMPLATE, "icosahedral": UNSTRUCTURED_TEMPLATE}
_SURFACES = {"pressure": (100, 100.0), "height": (103, 1.0), "model": (150, 1.0)}
"""By level type, the type of surface (code table 4.5) and how many of its units a unit of a key's level is.

Soil is left out: which depth of a layer a name gives differs by parameter.
"""

_ABOVE_GROUND = 103
_NAMED_HEIGHT = re.compile(r".*_(?P<metres>[0-9]{1,4})m", re.ASCII)
"""Parameters that name their height above ground: `t_2m`, `vmax_10m`."""

_BITMAP_FOLLOWS = 0
_HOUR_MINUTES = 60


@dataclass(frozen=True, slots=True)
class CheckedField:
    """What a file that is in order says of itself, and notes about what is odd, which is not a fault."""

    observed: Observed
    notes: tuple[str, ...] = ()


def check_field(data: bytes, key: FieldKey, name: str, decoder: GribWorker | None) -> CheckedField:
    """Check a GRIB file against the key of its field.

    With a `decoder` every value is decoded: what else finds damage in a file that has no checksum. Raises
    `FormatError` that names the file and the fault.
    """
    fields = split(data, name)
    for message, _ in fields:
        _check_message(message, key, name)
    if len(fields) > 1 and len({sections.message() for _, sections in fields}) < len(fields):
        raise FormatError(f"{name}: has the same message more than once, in {len(fields)} messages")
    if decoder is not None:
        decoder.check(data, name)
    observed = observe([message for message, _ in fields], _native_grid(fields[0][1], key, name))
    return CheckedField(observed, tuple(_notes(key, [sections for _, sections in fields])))


def _notes(key: FieldKey, fields: list[Sections]) -> list[str]:
    notes = []
    if all(_is_empty(sections) for sections in fields):
        notes.append(ALL_MISSING)
    if key.grid == "icosahedral" and len(fields) > 1:
        notes.append(f"{len(fields)} {MANY_MESSAGES}")
    return notes


def _native_grid(sections: Sections, key: FieldKey, name: str) -> NativeGrid | None:
    return read_native_grid(sections.grid, name) if key.grid == "icosahedral" else None


def _check_message(message: GribMessage, key: FieldKey, name: str) -> None:
    product = message.product
    checks = (
        ("grid template", message.grid_template, message.grid_template == _TEMPLATES[key.grid]),
        ("reference time", message.reference_time, _is_of_run(message, key)),
        ("step in minutes", message.step_minutes, _is_of_step(message.step_minutes, key)),
        ("level", product.first, _is_of_level(message, key)),
        ("height", product.first, _is_of_named_height(message, key)),
        ("member", product.member, product.member is None or key.member in {None, product.member}),
    )
    for part, found, right in checks:
        if not right:
            raise FormatError(f"{name}: {part} is {found}, which is not that of {key}")


def _is_of_run(message: GribMessage, key: FieldKey) -> bool:
    # Some constants tell when they were made instead.
    return key.level_type == "time-invariant" or message.reference_time == key.run


def _is_of_step(step_minutes: int | None, key: FieldKey) -> bool:
    """A file of the old tree has the steps of an hour; one of the v1 tree has one."""
    if step_minutes is None or key.level_type == "time-invariant":
        return True
    if key.grid == "regular":
        return key.step_minutes <= step_minutes < key.step_minutes + _HOUR_MINUTES
    return step_minutes == key.step_minutes


def _is_of_level(message: GribMessage, key: FieldKey) -> bool:
    surface, named = message.product.first, _SURFACES.get(key.level_type)
    if surface is None or named is None or key.level is None or surface.type != named[0]:
        return True
    return surface.value is None or surface.value == key.level * named[1]


def _is_of_named_height(message: GribMessage, key: FieldKey) -> bool:
    """Whether a field above ground is at the height that the parameter's name gives, where it gives one."""
    surface, named = message.product.first, _NAMED_HEIGHT.fullmatch(key.parameter)
    if surface is None or named is None or surface.type != _ABOVE_GROUND or surface.value is None:
        return True
    return surface.value == float(named["metres"])


def _is_empty(sections: Sections) -> bool:
    """Whether a bitmap says that no point has a value."""
    return sections.bitmap[5] == _BITMAP_FOLLOWS and not any(sections.bitmap[6:])
