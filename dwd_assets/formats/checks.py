"""What every spelling of a field asks of its key, so that no name escapes its folder."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dwd_assets.formats.fields import QUALIFIED, FieldKey

MODEL = r"[a-z][a-z0-9-]*"
"""A model's name, as a pattern."""

PARAMETER = r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*"
"""A parameter's name, as a pattern; `synmsg_bt_cl_ir10.8` has a dot."""

MAX_STEP_MINUTES = 999 * 60 + 59
"""What three digits of hours can say."""

_MODEL = re.compile(MODEL, re.ASCII)
_PARAMETER = re.compile(PARAMETER, re.ASCII)
_RUN = re.compile(r"[0-9]{10}", re.ASCII)
_MAX_NAME = 60


def checked(key: FieldKey) -> FieldKey:
    """The key, if its parts can be written into a name. Raises `ValueError` that names the part."""
    check_run(key.run)
    faults = (
        ("model", not _is_name(_MODEL, key.model)),
        ("parameter", not _is_name(_PARAMETER, key.parameter)),
        ("level", key.level is not None and key.level < 0),
        ("level", (key.level is None) != _has_no_level(key) and key.level_type != "time-invariant"),
        ("qualifiers", bool(key.qualifiers) != (key.level_type in QUALIFIED)),
        ("step_minutes", not 0 <= key.step_minutes <= MAX_STEP_MINUTES),
        ("step_minutes", key.level_type == "time-invariant" and key.step_minutes != 0),
        ("member", key.member is not None and not 0 <= key.member <= 999),
    )
    for part, wrong in faults:
        if wrong:
            raise ValueError(f"{part} of {key} cannot be written into a name")
    return key


def _has_no_level(key: FieldKey) -> bool:
    return key.level_type == "single" or key.level_type in QUALIFIED


def check_run(run: datetime) -> None:
    """Raise `ValueError` unless a run starts on a whole hour, UTC, of a year of four digits."""
    if run.utcoffset() != timedelta(0):
        raise ValueError(f"run {run!r} is not in UTC")
    if (run.minute, run.second, run.microsecond) != (0, 0, 0) or run.year < 1000:
        raise ValueError(f"run {run!r} is not a whole hour of a year of four digits")


def run_text(run: datetime) -> str:
    """A run as `YYYYMMDDHH`."""
    return f"{run:%Y%m%d%H}"


def parse_run(text: str) -> datetime | None:
    """The run that `YYYYMMDDHH` means; none where there is no such hour."""
    if _RUN.fullmatch(text) is None:  # strptime also takes fewer digits
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_name(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= _MAX_NAME and pattern.fullmatch(text) is not None
