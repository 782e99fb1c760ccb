"""Storm cells as message 58 tells of them: a map of their tracks, and a table of their attributes.

A cell is known from its birth on, at every volume since; one that was not there at the volume before is new,
and nothing is forecast of it. Distances in the table are nautical miles, speeds knots, heights
thousands of feet, and a movement is named, as a wind is, by where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nexrad_assets.simulator.level3_writer import (
    Place,
    graphic_block,
    lines_packet,
    storm_id_packet,
    symbol_packet,
    symbology_block,
    table_packet,
    track_packet,
)
from nexrad_assets.simulator.storms import MELTING_LEVEL_KM, Cell, Drift

RANGE_KM = 460.0
LEAST_DBZ = 45.0

_PAST_VOLUMES = 10
_FORECAST_S = (900, 1800, 2700, 3600)
_CELLS_A_PAGE = 6
_COLUMN, _LINE = 10, 80
_KM_PER_MILE = 1.852
_KM_PER_KFT = 0.3048


@dataclass(frozen=True, slots=True)
class Track:
    """A cell, its name, and the places where it was and will be, those nearest in time first."""

    name: str
    cell: Cell
    drift: Drift
    past: tuple[Place, ...]
    forecast: tuple[Place, ...]

    @property
    def now(self) -> Place:
        """Where the cell is."""
        return self.cell.east_km, self.cell.north_km


def storm_tracks(cells: Sequence[Cell], drift: Drift, cadence_s: int) -> list[Track]:
    """The cells in range that are strong enough to be found, strongest first."""
    seen = [
        cell
        for cell in cells
        if cell.peak_dbz >= LEAST_DBZ and np.hypot(cell.east_km, cell.north_km) <= RANGE_KM
    ]
    return [_track(cell, drift, cadence_s) for cell in sorted(seen, key=lambda cell: -cell.peak_dbz)]


def track_blocks(tracks: Sequence[Track]) -> list[bytes]:
    """The symbology and the graphic block of tracks; none where there are none."""
    if not tracks:
        return []
    packets = [packet for track in tracks for packet in _packets(track)]
    pages = [_page(tracks[at : at + _CELLS_A_PAGE]) for at in range(0, len(tracks), _CELLS_A_PAGE)]
    return [symbology_block(packets), graphic_block(pages)]


def _track(cell: Cell, drift: Drift, cadence_s: int) -> Track:
    known = min(int(cell.age_s // cadence_s), _PAST_VOLUMES)
    past = tuple(_moved(cell, drift, -number * cadence_s) for number in range(1, known + 1))
    forecast = tuple(_moved(cell, drift, seconds) for seconds in _FORECAST_S) if past else ()
    name = f"{chr(ord('A') + cell.slot % 26)}{cell.generation % 10}"
    return Track(name, cell, drift, past, forecast)


def _moved(cell: Cell, drift: Drift, seconds: float) -> Place:
    return cell.east_km + drift.east_kmps * seconds, cell.north_km + drift.north_kmps * seconds


def _packets(track: Track) -> list[bytes]:
    packets = [symbol_packet('"', track.now), storm_id_packet(track.name, track.now)]
    if track.past:
        packets.append(track_packet(23, "!", (track.now, *track.past)))
        packets.append(track_packet(24, "#", (track.now, *track.forecast)))
    return packets


# The table.


def _page(tracks: Sequence[Track]) -> bytes:
    """Up to six cells side by side, and the lines between them."""
    rows = [
        table_packet((title.ljust(_COLUMN) + "".join(map(cell, tracks))).ljust(_LINE), 1 + 10 * number)
        for number, (title, cell) in enumerate(_ROWS.items())
    ]
    across = [(4, row, 487, row) for row in range(0, 51, 10)]
    down = [(column, 0, column, 50) for column in (4, 67, 137, 207, 277, 347, 417, 487)]
    return b"".join((*rows, lines_packet(across), lines_packet(down)))


def _name(track: Track) -> str:
    return f"{track.name:>9} "


def _position(track: Track) -> str:
    east, north = track.now
    azimuth = round(float(np.degrees(np.arctan2(east, north)))) % 360
    return f" {azimuth:3d}/{round(float(np.hypot(east, north)) / _KM_PER_MILE):3d}  "


def _movement(track: Track) -> str:
    if not track.past:
        return "    NEW   "
    east, north = track.drift.east_kmps, track.drift.north_kmps
    origin = round(float(np.degrees(np.arctan2(-east, -north)))) % 360
    return f" {origin:3d}/{round(float(np.hypot(east, north)) * 3600.0 / _KM_PER_MILE):3d}  "


def _error(_: Track) -> str:
    """Simulated cells go where they were forecast to."""
    return " 0.0/ 0.0 "


def _strength(track: Track) -> str:
    """The peak and the height up to which it reaches: the scenes weaken from the melting level up."""
    height_km = min(MELTING_LEVEL_KM, 0.6 * track.cell.top_km)
    return f"  {round(track.cell.peak_dbz):2d} {height_km / _KM_PER_KFT:4.1f} "


_ROWS: dict[str, Callable[[Track], str]] = {
    " STORM ID": _name,
    " AZ/RAN": _position,
    " FCST MVT": _movement,
    " ERR/MEAN": _error,
    " DBZM HGT": _strength,
}
