"""Looking a sweep up by azimuth and ground range: which gate a bin lies in, and where there is nothing at all.

Most of a canvas shows nothing: of blocks of 16 x 64 pixels 75 to 99 in 100, measured on real sweeps. So a
summed-area table of the sweep tells in one step which blocks hold a code other than 0, and only those are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar import beam
from nexrad_assets.radar.image.geometry import AZIMUTH_BINS, RANGE_BINS, azimuth_centres_deg, ground_centres_m
from nexrad_assets.radar.image.mercator import Canvas
from nexrad_assets.radar.volume import Moment, Sweep

WIDEST_RAY = 1.5
"""A ray reaches to where the next one begins, but no further than this many half spacings."""

GROUP = 8
"""Gates that are tested for content together: one 64-bit word of codes."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """The codes of a sweep, by bin.

    `codes` is flat uint8, rays by padded gates, with zeros for no ray and no gate; `row_start` (one an azimuth bin)
    plus `column` (one a ground bin, and one more beyond the canvas's range) is a place in it. `counts` (int32) is the
    summed-area table of groups of gates with content, by `rank` (rays in order of azimuth, an azimuth bin's)
    and `group` (a ground bin's).
    """

    codes: NDArray[np.uint8]
    row_start: NDArray[np.intp]
    column: NDArray[np.intp]
    counts: NDArray[np.int32]
    rank: NDArray[np.int32]
    group: NDArray[np.int32]

    def mirrored(self) -> Lookup:
        """The same with azimuths mirrored at the meridian: what the western half of a canvas looks up."""
        turned = np.ascontiguousarray(self.row_start[::-1]), np.ascontiguousarray(self.rank[::-1])
        return replace(self, row_start=turned[0], rank=turned[1])

    def occupied(self, blocks: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Which blocks may show something; `blocks` as `Geometry.blocks`, the result of its last two axes."""
        ends = self.rank[blocks[0]], self.rank[blocks[1]]
        first, last = np.minimum(*ends), np.maximum(*ends) + 1
        near, far = self.group[blocks[2]], self.group[blocks[3]] + 1
        inside = (
            self.counts[last, far]
            - self.counts[first, far]
            - self.counts[last, near]
            + self.counts[first, near]
        )
        found: NDArray[np.bool_] = (inside > 0) & (blocks[2] <= blocks[3])
        return found


def lookup(sweep: Sweep, moment: Moment, codes: NDArray[np.uint8], canvas: Canvas) -> Lookup:
    """Make the tables of a sweep for a canvas; `codes` are the moment's, as palette indices."""
    rays, gates = codes.shape
    padded = np.zeros((rays + 1, gates + GROUP - gates % GROUP), np.uint8)
    padded[:rays, :gates] = codes
    centres = sweep.azimuth_deg.astype(np.float64) % 360.0
    order = np.argsort(centres, kind="stable")
    around = np.concatenate((order[-1:], order, order[:1]))
    begins = None if sweep.width_deg is None else centres[order] - sweep.width_deg[order] / 2.0
    rank, is_seen = _nearest(centres[order], begins, sweep.spacing_deg)
    gate = _gates(moment, None if sweep.along_ground else sweep.measured_deg, canvas)
    is_gate = (gate >= 0) & (gate < gates)
    content = padded.view(np.uint64)[around] != 0
    counts = np.zeros((content.shape[0] + 1, content.shape[1] + 1), np.int32)
    counts[1:, 1:] = content.cumsum(axis=0, dtype=np.int32).cumsum(axis=1)
    return Lookup(
        codes=padded.ravel(),
        row_start=np.where(is_seen, around[rank], rays) * padded.shape[1],
        column=np.where(is_gate, gate, gates),
        counts=counts,
        rank=rank,
        group=(np.clip(gate, 0, gates - 1) // GROUP).astype(np.int32),
    )


def _nearest(
    turned: NDArray[np.float64], begins: NDArray[np.float64] | None, spacing_deg: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """For each azimuth bin the ray that looks there, and whether it reaches there.

    `turned` are azimuths of ray centres, rising, `begins` those where the rays begin; without them it is the nearest
    ray. A ray's number is its place among them, counted from 1, with the last ray before them as 0 and the first
    after them once more.
    """
    around = np.concatenate((turned[-1:] - 360.0, turned, turned[:1] + 360.0))
    edges = (around[1:] + around[:-1]) / 2.0
    if begins is not None:
        # Rising also where a damaged file has a ray that spans others.
        edges = np.maximum.accumulate(np.concatenate((begins, begins[:1] + 360.0)))
    bins = azimuth_centres_deg()
    nearest = _intervals(np.searchsorted(bins, edges, side="right"), AZIMUTH_BINS)
    reaches = np.abs(around[nearest] - bins) <= WIDEST_RAY * spacing_deg / 2.0
    return nearest.astype(np.int32), reaches


def _gates(moment: Moment, elevation_deg: float | None, canvas: Canvas) -> NDArray[np.intp]:
    """The number of the gate above each bin of ground range, also below 0 and past the last; rising.

    Without an elevation, gates are measured along the ground.
    One bin more than RANGE_BINS: the last one, past every gate, is what pixels beyond the canvas's range have.
    """
    past = moment.codes.shape[1]
    slant = moment.first_gate_m + (np.arange(past + 1) - 0.5) * moment.gate_spacing_m
    edges = slant if elevation_deg is None else beam.ground_range_m(np.maximum(slant, 0.0), elevation_deg)
    found = np.full(RANGE_BINS + 1, past, np.intp)
    # Told by the gates' edges, of which there are far fewer than bins.
    found[:RANGE_BINS] = _intervals(np.searchsorted(ground_centres_m(canvas), edges), RANGE_BINS) - 1
    return found


def _intervals(firsts: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """For each of `length` places the number of edges at or before it; `firsts` are the first places past each."""
    ends = np.concatenate(([0], firsts, [length]))
    return np.repeat(np.arange(len(firsts) + 1), np.diff(ends))
