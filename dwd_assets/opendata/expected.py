"""Which steps and members a run is expected to have, as far as that is known.

From DWD's description of its models and from listings of the server (icon-d2 and icon-d2-ruc of 6 August 2026,
icon-d2-eps of 25 September 2026). Other models are not known here. What a table does not list is expected each
hour; a listing may then show finer steps, which are no fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from dwd_assets.formats.fields import FieldKey, LevelType

Tree = Literal["old", "v1"]
"""The two trees of the server."""

Steps = tuple[int, ...]
"""Minutes after the run, ascending."""


def _each(minutes: int, first: int, last_hours: int) -> Steps:
    return tuple(range(first, last_hours * 60 + 1, minutes))


@dataclass(frozen=True, slots=True)
class _Model:
    """What the runs of one model have: `steps` of a parameter, before that `levels` of one level."""

    run_hours: int
    hourly: Steps
    steps: Mapping[str, Steps]
    members: tuple[int | None, ...] = (None,)
    levels: Mapping[tuple[LevelType, str, int], Steps] = field(default_factory=dict)


_D2_QUARTERS = _each(15, 0, 48)
_RUC_FIVES = _each(5, 0, 27)
_RUC_QUARTERS = _each(15, 0, 27)
_RUC_NEAR_QUARTERS = _each(15, 0, 14) + _each(60, 15 * 60, 27)
_RUC_QUARTERLY = (
    {"dbz_850", "dbz_cmax", "dbz_ctmax", "dbzlmx_low", "echotop", "echotopinm", "lpi", "lpi_max", "sdi_2"}
    | {"cape_ml", "cin_ml", "uh_max", "uh_max_low", "uh_max_med", "w_ctmax", "vorw_ctmax"}
    | {
        "tcond_max",
        "tcond10_mx",
        "hail_gsp",
        "ke_hail_s",
        "kef_hail_max_s",
        "demax_hail_s",
        "demax_hail_tmax_s",
    }
    | {"grau_gsp", "rain_gsp", "snow_gsp", "vis", "ceiling", "hzerocl", "snowlmt"}
    | {"synmsg_bt_cl_ir10.8", "synmsg_bt_cl_wv6.2", "asob_s", "aswdir_s", "aswdifd_s"}
)

_MODELS = {
    "icon-d2": _Model(
        run_hours=3,
        hourly=_each(60, 0, 48),
        steps={
            "ww": _each(60, 60, 48),
            "tot_prec": _D2_QUARTERS,
            "aswdir_s": _D2_QUARTERS,
            "aswdifd_s": _D2_QUARTERS,
        },
    ),
    "icon-d2-eps": _Model(run_hours=3, hourly=_each(60, 0, 48), steps={}, members=tuple(range(1, 21))),
    "icon-d2-ruc": _Model(
        run_hours=1,
        hourly=_each(60, 0, 27),
        steps={
            "ww": _each(60, 60, 27),
            **dict.fromkeys(("tot_prec", "tot_pr", "prec_gsp", "pr_gsp"), _RUC_FIVES),
            **dict.fromkeys(_RUC_QUARTERLY, _RUC_QUARTERS),
        },
        levels={
            ("model", "qv", 63): _RUC_NEAR_QUARTERS,
            **{("pressure", name, hpa): _RUC_NEAR_QUARTERS for name in ("t", "u", "v") for hpa in (500, 700)},
            **{("pressure", name, hpa): _RUC_QUARTERS for name in ("w", "relhum") for hpa in (500, 700)},
        },
    ),
}


def has_run(model: str, run: datetime) -> bool | None:
    """Whether a model is run at a time (UTC); none for a model unknown here."""
    known = _MODELS.get(model)
    return None if known is None else run.hour % known.run_hours == 0


def expected_fields(key: FieldKey, tree: Tree) -> tuple[FieldKey, ...] | None:
    """All steps and members that the run of a key is expected to have of its parameter and level, in a tree.

    The key's own step and member do not matter. The old tree has whole hours, each file with what lies within
    that hour, and all members in one file. None for a model unknown here.
    """
    known = _MODELS.get(key.model)
    if known is None:
        return None
    steps, members = _steps(known, key), known.members
    if tree == "old":
        steps, members = tuple(step for step in steps if step % 60 == 0), (None,)
    return tuple(replace(key, step_minutes=step, member=member) for member in members for step in steps)


def _steps(known: _Model, key: FieldKey) -> Steps:
    if key.level_type == "time-invariant":
        return (0,)
    steps = known.steps.get(key.parameter, known.hourly)
    return steps if key.level is None else known.levels.get((key.level_type, key.parameter, key.level), steps)
