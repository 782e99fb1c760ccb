"""Which fields the simulated model has, when each file of a run is there, and how GRIB numbers them.

Numbers are those of WMO code tables 4.1, 4.2, 4.5 and 4.10 (FM 92 GRIB), as ICON uses them; CLAT and CLON are in
DWD's local category 191.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dwd_assets.formats.fields import Grid, LevelType
from dwd_assets.formats.levels import CONSTANTS
from dwd_assets.simulator.chance import chance

Surface = tuple[int, int, int]
"""Type, scale factor and scaled value of a fixed surface."""

ACCUMULATION = 1
"""The process that adds up (code table 4.10)."""

NO_SURFACE: Surface = (255, 255, 0xFFFFFFFF)

_GROUND: Surface = (1, 255, 0xFFFFFFFF)
_SEA_LEVEL: Surface = (101, 255, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a field's numbers are: discipline, category and number, where it has one its surface, and its range.

    A value is `lowest` + a code of 16 bits * 2**`exponent`. process: of statistics since the run's start (code
    table 4.10), none for a point in time.
    """

    discipline: int
    category: int
    number: int
    lowest: float
    exponent: int
    surface: Surface = _GROUND
    process: int | None = None


QUANTITIES = {
    "t": Quantity(0, 0, 0, 210.0, -9),
    "t_2m": Quantity(0, 0, 0, 250.0, -10, (103, 0, 2)),
    "td_2m": Quantity(0, 0, 6, 240.0, -10, (103, 0, 2)),
    "t_g": Quantity(0, 0, 0, 250.0, -10),
    "t_so": Quantity(2, 3, 18, 250.0, -10),
    "relhum": Quantity(0, 1, 1, 0.0, -10),
    "relhum_2m": Quantity(0, 1, 1, 0.0, -10, (103, 0, 2)),
    "tot_prec": Quantity(0, 1, 52, 0.0, -10, process=ACCUMULATION),
    "u": Quantity(0, 2, 2, -64.0, -9),
    "v": Quantity(0, 2, 3, -64.0, -9),
    "u_10m": Quantity(0, 2, 2, -32.0, -10, (103, 0, 10)),
    "v_10m": Quantity(0, 2, 3, -32.0, -10, (103, 0, 10)),
    "vmax_10m": Quantity(0, 2, 22, 0.0, -10, (103, 0, 10), process=2),
    "pmsl": Quantity(0, 3, 1, 95_000.0, -3, _SEA_LEVEL),
    "clct": Quantity(0, 6, 1, 0.0, -10),
    "hsurf": Quantity(0, 3, 6, 0.0, -4),
    "fr_land": Quantity(2, 0, 0, 0.0, -16),
    "hhl": Quantity(0, 3, 6, 0.0, -3, (150, 0, 1)),
    "rain_gsp": Quantity(0, 1, 77, 0.0, -10, process=ACCUMULATION),
    "snow_gsp": Quantity(0, 1, 56, 0.0, -10, process=ACCUMULATION),
    "aswdir_s": Quantity(0, 4, 198, 0.0, -7, process=0),
    "aswdifd_s": Quantity(0, 4, 199, 0.0, -7, process=0),
    "cape_ml": Quantity(0, 7, 6, 0.0, -4, (192, 255, 0xFFFFFFFF)),
    "aod_dust": Quantity(0, 20, 102, 0.0, -16, (10, 255, 0xFFFFFFFF)),
    "srh": Quantity(0, 7, 8, -100.0, -5, (103, 0, 3000)),
    "clat": Quantity(0, 191, 1, 43.0, -12),
    "clon": Quantity(0, 191, 2, -4.0, -11),
}
"""By parameter, the quantities that can be simulated."""

POSITIONS = frozenset({"clat", "clon"})
"""Constants that only the icosahedral grid has: where each cell is."""


def every(minutes: int, last_hours: int) -> tuple[int, ...]:
    """Steps at this distance from 0 up to these hours, in minutes."""
    return tuple(range(0, last_hours * 60 + 1, minutes))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter at one level, as a `FieldKey` names it, with its steps in minutes.

    qualifiers: what else stands between parameter and run in the v1 tree; the old tree does not have such. Raises
    `ValueError` for a name without an entry in `QUANTITIES`, and for steps that a constant, or anything else, does
    not have.
    """

    name: str
    level_type: LevelType = "single"
    level: int | None = None
    steps: tuple[int, ...] = every(60, 4)
    qualifiers: str = ""

    def __post_init__(self) -> None:
        if self.name not in QUANTITIES:
            raise ValueError(f"the quantity of {self.name!r} is not known here")
        is_constant = self.level_type == "time-invariant"
        has_steps = self.steps == (0,) if is_constant else bool(self.steps)
        if is_constant != (self.name in CONSTANTS) or not has_steps:
            raise ValueError(f"{self.name!r} with {self.level_type!r} and steps {self.steps}")

    @property
    def is_constant(self) -> bool:
        """Whether it is the same in every run."""
        return self.level_type == "time-invariant"

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids that the old tree has it on."""
        if self.qualifiers:
            return ()
        return ("icosahedral",) if self.name in POSITIONS else ("regular", "icosahedral")


def constant(name: str, level: int | None = None) -> Parameter:
    """A parameter that is the same in every run."""
    return Parameter(name, "time-invariant", level, (0,))


PARAMETERS = (
    Parameter("t_2m"),
    Parameter("vmax_10m"),
    Parameter("tot_prec", steps=every(15, 1)),
    Parameter("u", "pressure", 850),
    constant("hsurf"),
    constant("clat"),
    constant("clon"),
)
"""Four parameters of five steps each, one of them in steps of 15 minutes, and three constants."""

WHOLE = (
    Parameter("t_2m", steps=every(60, 48)),
    Parameter("vmax_10m", steps=every(60, 48)[1:]),
    Parameter("tot_prec", steps=every(15, 48)),
    Parameter("u", "pressure", 850, every(60, 48)),
    constant("hsurf"),
    constant("clat"),
    constant("clon"),
)
"""The same with all steps of ICON-D2: 48 hours, some parameters in steps of 15 minutes, some without step 0."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A model and what each of its runs has; `columns` and `rows` of the regular grid, as many cells of the other.

    Files of a run appear in the order of their steps between `first` and `last` after the run. `dated_constants`
    says whether a constant's message tells the time of the run; else its bytes are equal in every run.
    The whole of ICON-D2 has 1215 columns and 746 rows.
    """

    model: str = "icon-d2"
    run_hours: int = 3
    parameters: tuple[Parameter, ...] = PARAMETERS
    columns: int = 61
    rows: int = 38
    first: timedelta = timedelta(minutes=44)
    last: timedelta = timedelta(hours=2)
    dated_constants: bool = False

    def __post_init__(self) -> None:
        if len({(each.name, each.level_type, each.level, each.qualifiers) for each in self.parameters}) < len(
            self.parameters
        ):
            raise ValueError("a parameter is there twice")
        if not self.parameters or 24 % self.run_hours or min(self.columns, self.rows) < 2:
            raise ValueError(f"no model runs like {self}")

    def delay(self, parameter: Parameter, step_minutes: int) -> timedelta:
        """How long after its run a file appears, in whole seconds; the files of a step within a minute."""
        longest = max(parameter.steps[-1] for parameter in self.parameters) or 1
        spread = self.last - self.first - timedelta(minutes=1)
        drawn_for = (
            parameter.name,
            parameter.level,
            *([parameter.qualifiers] if parameter.qualifiers else []),
        )
        scatter = chance(*drawn_for, step_minutes) % 60 if step_minutes else 0
        seconds = int(spread.total_seconds()) * step_minutes // longest + scatter
        return self.first + timedelta(seconds=seconds)

    def begun_run(self, at: datetime) -> datetime:
        """The newest run whose first file is there at a time."""
        begun = at - self.first
        return begun.replace(hour=begun.hour - begun.hour % self.run_hours, minute=0, second=0, microsecond=0)
