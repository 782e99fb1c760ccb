"""The name of one ICON field, whatever tree of the server it came from.

What belongs here: what tells two fields apart. What does not: how a tree spells it
(`dwd_assets.opendata.addresses`) and where the archive keeps it (`dwd_assets.formats.paths`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

LevelType = Literal[
    "single",
    "pressure",
    "height",
    "soil",
    "model",
    "time-invariant",
    "reflectivity",
    "layer",
    "wavelength",
    "other",
]
"""What `FieldKey.level` counts; `reflectivity` is a threshold in dBZ (of `echotop`).

The last three have no level but `FieldKey.qualifiers`: between two surfaces, at a wavelength, and at any other surface.
"""

QUALIFIED: frozenset[LevelType] = frozenset({"layer", "wavelength", "other"})

Grid = Literal["regular", "icosahedral"]
"""Latitude and longitude at even steps, or ICON's own triangles."""


@dataclass(frozen=True, slots=True, order=True)
class FieldKey:
    """One field of one model run: the same key, whichever tree served it.

    model: as the server names it, lower case (`icon-d2`, `icon-d2-ruc`, `icon-eu`, `icon-d2-eps`).
    run: when the run starts, UTC. parameter: lower case (`t_2m`).
    level: hPa for pressure, m above ground for height, the server's count for model levels; of soil, what the
    old tree's names say (see `dwd_assets.formats.levels`); none where there is one level.
    step_minutes: forecast time after `run`. member: of an ensemble's run, else None.
    qualifiers: what stands between parameter and run in the v1 tree where level type and level cannot say it, as
    the server spells it (`wvl1/550/lvt1/150/lv1/120`); else empty.
    """

    model: str
    run: datetime
    parameter: str
    level_type: LevelType
    level: int | None
    step_minutes: int
    member: int | None
    grid: Grid
    qualifiers: str = ""
