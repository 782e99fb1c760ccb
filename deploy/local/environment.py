"""What the servers of a local deployment are given: its own settings, and what a person has set."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.place import PROJECT, Place
from deploy.local.storms import DEMO_SITES

FOLDER_NAMES = ("STORE", "NEXRAD_SOURCE", "NEXRAD_LEVEL3_SOURCE", "NEXRAD_GEOMETRY_CACHE", "DWD_STORE")
"""Settings that may name a folder, in `.env` relative to the project."""


def variables_set(variables: Mapping[str, str | None]) -> dict[str, str]:
    """Those that have a value: an empty variable is as good as none."""
    return {name: value for name, value in variables.items() if value}


def run_environment(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What the servers of `run` are given: what a person has set (`own`), and our defaults beside it."""
    defaults = _settings(place)
    if "PROJECT_S3_BUCKET" in own:
        del defaults["STORE"]
    folders = {name: _from_the_project(own[name]) for name in FOLDER_NAMES if name in own}
    return {**defaults, **own, **folders, **_surroundings(place, own)}


def demo_environment(place: Place, own: Mapping[str, str], weather_service: str) -> dict[str, str]:
    """What the servers of the demo are given: its own store, sources and sites, whatever a person has set."""
    demo = {
        "NEXRAD_SOURCE": str(place.volumes),
        "NEXRAD_LEVEL3_SOURCE": str(place.products),
        "NEXRAD_SITES": ",".join(DEMO_SITES),
        "NEXRAD_PRIMARY_SITE": DEMO_SITES[0],
        "DWD_STORE": str(place.home / "store"),
        "DWD_SERVER": weather_service,
        "DWD_GEOMETRY_CACHE": str(place.home / "dwd-geometry"),
        "DWD_LIVE": "1",
        # A run of the simulated model is small: with the usual minute it would take eight to look like a day.
        "DWD_FIELDS_WAIT_MINUTES": "0.25",
        "DWD_FORECASTS_WAIT_MINUTES": "0.5",
    }
    return {**own, **_settings(place), **demo, **_surroundings(place, own)}


def _settings(place: Place) -> dict[str, str]:
    return {
        "STORE": str(place.home / "store"),
        "NEXRAD_GEOMETRY_CACHE": str(place.home / "geometry"),
        "NEXRAD_LIVE": "1",
        "NEXRAD_API_URL": place.api,
    }


def _surroundings(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What a server needs to run from another folder, beside the settings."""
    beside = str(Path(sys.executable).parent)
    return {
        "API_HOST": place.api_host,
        "API_PORT": str(place.api_port),
        "DAGSTER_HOME": str(place.dagster_home),
        "PATH": os.pathsep.join((beside, own.get("PATH", os.defpath))),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(PROJECT), own.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }


def _from_the_project(location: str) -> str:
    return location if "://" in location else str(PROJECT / location)
