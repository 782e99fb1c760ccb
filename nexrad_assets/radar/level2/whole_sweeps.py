"""Which of the turns found in a file are whole sweeps, and what is said of the others.

A turn is whole when its end mark arrived or when its rays cover the circle. A turn that lost rays in its
middle, or its end to damage while a later turn follows, is kept as far as it covers half the circle, and
its gap is told. Any other turn (above all the last one of a file that is cut short) is dropped, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.volume import Sweep

END_OF_VOLUME = 4
MAX_TURNS = 256
"""Two volumes of 32 cuts in one file, four times over: a file with more turns is not a volume."""
_STARTS = (0, 3, 5)
_ENDS = (2, END_OF_VOLUME)
_GAP_RAYS = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A sweep as found, and the radial status that ended it: 2, 4 for the end of the volume, or None."""

    sweep: Sweep
    end: int | None

    @property
    def gap_deg(self) -> float:
        """The widest sector without a ray; 0 where it is no wider than three rays."""
        azimuths = np.sort(self.sweep.azimuth_deg.astype(np.float64))
        widest = float(np.diff(azimuths, append=azimuths[:1] + 360.0).max())
        return widest if widest > _GAP_RAYS * self.sweep.spacing_deg else 0.0


def boundaries(numbers: NDArray[np.integer], statuses: NDArray[np.integer]) -> list[int]:
    """The rays, after the first, at which a new turn begins: a start mark or another elevation number."""
    begins = np.isin(statuses[1:], _STARTS) | (numbers[1:] != numbers[:-1])
    return [int(ray) + 1 for ray in np.flatnonzero(begins)]


def is_start(status: int) -> bool:
    """Whether a radial status (ICD 2620002, table XVII-A) begins a turn."""
    return status in _STARTS


def end_mark(status: int) -> int | None:
    """The radial status of a turn's last ray, if that is an end mark."""
    return status if status in _ENDS else None


def whole_sweeps(found: Iterable[Turn], cuts: int | None) -> tuple[tuple[Sweep, ...], list[str]]:
    """The sweeps to keep, in order, and what is missing in words.

    `cuts` is the number of cuts in the coverage pattern, where known.
    """
    turns = _without_copies(found)
    kept: list[Turn] = []
    missing: list[str] = []
    for turn in turns:
        gap = turn.gap_deg
        unfinished = turn is turns[-1] and turn.end is None and gap > 0
        dropped = unfinished or gap > 180.0
        if gap > 0:
            missing.append(_told(turn, gap, dropped=dropped))
        if not dropped:
            kept.append(turn)
    missing += _numbers_missing(turns)
    if turns and turns[-1].end != END_OF_VOLUME:
        missing.append(_no_end(turns[-1].sweep.number, cuts))
    return tuple(turn.sweep for turn in kept), missing


def _told(turn: Turn, gap: float, *, dropped: bool) -> str:
    rays, nominal = len(turn.sweep.azimuth_deg), round(360.0 / turn.sweep.spacing_deg)
    told = f"sweep {turn.sweep.number} has {rays} of {nominal} rays"
    return f"{told}: dropped" if dropped else f"{told}, a gap of {gap:.0f} degrees"


def _without_copies(found: Iterable[Turn]) -> list[Turn]:
    """Of turns that tell the same time and elevation (a volume twice in a file), the fullest one."""
    unique: list[Turn] = []
    for turn in found:
        copy = next((index for index, other in enumerate(unique) if _same(turn, other)), None)
        if copy is None:
            unique.append(turn)
        elif len(turn.sweep.time_s) > len(unique[copy].sweep.time_s):
            unique[copy] = turn
    return unique


def _same(one: Turn, other: Turn) -> bool:
    a, b = one.sweep, other.sweep
    together = a.time_s.min() <= b.time_s.max() and b.time_s.min() <= a.time_s.max()
    return bool(a.number == b.number and together)


def _numbers_missing(turns: Sequence[Turn]) -> list[str]:
    numbers = {turn.sweep.number for turn in turns}
    absent = sorted(set(range(1, max(numbers, default=0))) - numbers)
    return [f"sweep {number} is missing" for number in absent]


def _no_end(last: int, cuts: int | None) -> str:
    of = f" of {cuts}" if cuts is not None and cuts >= last else ""
    return f"no end of volume: the file ends in or after sweep {last}{of}"
