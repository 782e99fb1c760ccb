"""From runs of message-31 radials to sweeps: turns split, moments put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.level2.message5 import Pattern
from nexrad_assets.radar.level2.messages import MomentBlock, Run, VolumeBlock
from nexrad_assets.radar.level2.whole_sweeps import MAX_TURNS, Turn, boundaries, end_mark, is_start
from nexrad_assets.radar.volume import Moment, Sweep

_SECONDS_PER_DAY = 86_400.0
_SPACING_DEG = {1: 0.5, 2: 1.0}
_STATUS = 0x7F  # the top bit marks bad data, not another status


class TooLargeError(Exception):
    """There is more of something than in any volume; the message says of what."""


@dataclass(slots=True)
class SweepBuilder:
    """Takes runs of radials in the order of the file, and gives the turns that they make.

    A turn is put together as soon as the next one begins, so that only one turn's records are held
    unpacked. `budget` is how many bytes of moments may still be made.
    """

    budget: int
    pattern: Pattern | None = None
    volume: VolumeBlock | None = None
    turns: list[Turn] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _parts: list[Run] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Take the next radials. Raises `TooLargeError`."""
        self.volume = self.volume or run.volume
        statuses = run.heads["status"] & _STATUS
        cuts = [0, *boundaries(run.heads["number"], statuses), len(statuses)]
        for start, stop in pairwise(cuts):
            if self._parts and (is_start(int(statuses[start])) or self._number != run.heads["number"][start]):
                self.finish()
            self._parts.append(run.part(start, stop))

    def finish(self) -> None:
        """Close the turn at hand. Raises `TooLargeError`."""
        if self._parts:
            if len(self.turns) == MAX_TURNS:
                raise TooLargeError(f"it has more than {MAX_TURNS} turns")
            self.turns.append(self._turn())
            self._parts = []

    @property
    def _number(self) -> int:
        return int(self._parts[0].heads["number"][0])

    def _turn(self) -> Turn:
        number = self._number
        cut = self.pattern.cut(number) if self.pattern else None
        days, milliseconds = self._column("day"), self._column("milliseconds")
        sweep = Sweep(
            number=number,
            azimuth_deg=self._column("azimuth").astype(np.float32),
            elevation_deg=self._column("elevation").astype(np.float32),
            time_s=(days - 1.0) * _SECONDS_PER_DAY + milliseconds / 1000.0,
            spacing_deg=_SPACING_DEG[int(self._parts[0].heads["spacing"][0])],
            commanded_deg=cut.angle_deg if cut else None,
            nyquist_mps=next((part.nyquist_mps for part in self._parts if part.nyquist_mps), None),
            moments={name: self._moment(name) for name in _names(self._parts)},
            waveform=cut.waveform if cut else None,
            repeat=cut is not None and cut.repeat,
        )
        return Turn(sweep, end_mark(int(self._parts[-1].heads["status"][-1]) & _STATUS))

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.concatenate([part.heads[name] for part in self._parts]).astype(np.float64)

    def _moment(self, name: str) -> Moment:
        """Put a moment together, coded as its first radials are; radials coded otherwise count as without."""
        blocks = [_block(part, name) for part in self._parts]
        first = next(block for block in blocks if block)
        alike = [block if block and block.coding == first.coding else None for block in blocks]
        if alike != blocks:
            self.faults.append(f"sweep {self._number} changes the coding of {name}: rays without it")
        rays = sum(len(part.heads) for part in self._parts)
        gates = max(block.gates for block in alike if block)
        self.budget -= rays * gates * first.word_bytes
        if self.budget < 0:
            raise TooLargeError("its moments need more memory than any volume's")
        codes = np.zeros((rays, gates), np.uint8 if first.word_bytes == 1 else np.uint16)
        row = 0
        for part, block in zip(self._parts, alike, strict=True):
            if block:
                codes[row : row + len(part.heads), : block.gates] = _codes(part, block)
            row += len(part.heads)
        return Moment(
            name, codes, first.scale, first.offset, float(first.first_gate_m), float(first.gate_spacing_m)
        )


def _names(parts: Sequence[Run]) -> list[str]:
    """The moments of a turn, in the order in which radials bring them."""
    return list(dict.fromkeys(block.name for part in parts for block in part.moments))


def _block(run: Run, name: str) -> MomentBlock | None:
    return next((block for block in run.moments if block.name == name), None)


def _codes(run: Run, block: MomentBlock) -> NDArray[np.unsignedinteger]:
    """The gate codes of a run, viewed where they lie, big-endian."""
    raw = run.rows[:, block.start : block.start + block.gates * block.word_bytes]
    return raw if block.word_bytes == 1 else raw.view(">u2")
