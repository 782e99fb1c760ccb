"""Cell centres like those of ICON-D2, and eccodes in a process of its own (its PROJ clashes with pyproj's)."""

import importlib.util
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

CELLS = 542_040
EARTH_KM = 6371.229

needs_eccodes = pytest.mark.skipif(
    importlib.util.find_spec("eccodes") is None, reason="PACKAGE ABSENT: eccodes"
)
needs_cfgrib = pytest.mark.skipif(importlib.util.find_spec("cfgrib") is None, reason="PACKAGE ABSENT: cfgrib")


@cache
def cell_centres() -> tuple[np.ndarray, np.ndarray]:
    """As many cells as ICON-D2 has, as dense, jittered, over most of the regular grid's box; its corners are bare."""
    spread = 655_000
    n = np.arange(spread)
    south, north = np.sin(np.radians([43.1, 58.15]))
    lat = np.degrees(np.arcsin(south + (north - south) * (n + 0.5) / spread))
    lon = -4.0 + 24.4 * ((n * 0.6180339887498949) % 1.0)
    random = np.random.default_rng(7)
    lat += random.normal(0, 0.003, spread)
    lon += random.normal(0, 0.005, spread)
    roundness = np.abs((lat - 50.6) / 7.5) ** 6 + np.abs((lon - 8.2) / 12.2) ** 6
    kept = random.permutation(np.argsort(roundness)[:CELLS])
    return lat[kept], lon[kept] % 360.0


def great_circle_km(lat: float, lon: float, other_lat: np.ndarray, other_lon: np.ndarray) -> np.ndarray:
    """By Vincenty's formula for the sphere; the code under test compares chords."""
    a, b, turn = np.radians(lat), np.radians(other_lat), np.radians(other_lon - lon)
    y = np.hypot(np.cos(b) * np.sin(turn), np.cos(a) * np.sin(b) - np.sin(a) * np.cos(b) * np.cos(turn))
    return EARTH_KM * np.arctan2(y, np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(turn))


def cells_around(lat: float, cell_lat: np.ndarray) -> np.ndarray:
    """The cells within a degree of latitude: all others are over 100 km away, whatever their longitude."""
    return np.flatnonzero(np.abs(cell_lat - lat) < 1.0)


def in_child(script: str, *arguments: object) -> str:
    """What a Python script prints that runs in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
