"""How the packages depend on each other: no circles, few rooms on a floor, and little that the API reaches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = ("bzip2", "store", "orchestration", "nexrad_assets", "dwd_assets", "api")
PROJECT = Path(__file__).parents[1]
MOST_ROOMS = 25

ALLOWED = ("nexrad_assets.radar", "dwd_assets.formats", "bzip2", "store")
"""What the API may reach beside itself: the store, and science that needs neither Dagster nor the network."""


GRAPH = """
import json, sys
import grimp
graph = grimp.build_graph(*sys.argv[1:])
json.dump(
    {
        "imported": {module: sorted(graph.find_modules_directly_imported_by(module)) for module in graph.modules},
        "reached_by_api": sorted(graph.find_upstream_modules("api", as_package=True)),
    },
    sys.stdout,
)
"""


@dataclass(frozen=True)
class Imports:
    """What each module imports, and what the API reaches by way of what it imports."""

    imported: dict[str, list[str]]
    reached_by_api: list[str]


@cache
def imports() -> Imports:
    """By grimp, in a process of its own: its threads would stay in this one, which other tests fork."""
    command = [sys.executable, "-c", GRAPH, *PACKAGES]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return Imports(**json.loads(done.stdout))


def floors() -> dict[str, set[str]]:
    """The names on each floor, by the package that they are in."""
    found = defaultdict(set)
    for module in imports().imported:
        package, _, name = module.rpartition(".")
        if package:
            found[package].add(name)
    return found


def room(package: str, module: str) -> str | None:
    """The room of a package that a module is in; None for what is outside of it."""
    inside = module.removeprefix(f"{package}.")
    return None if inside == module else inside.partition(".")[0]


@pytest.mark.parametrize("package", sorted(floors()))
def test_no_import_runs_back_up(package):
    arrows = defaultdict(set)
    for module, imported in imports().imported.items():
        here = room(package, module)
        for each in imported if here else ():
            there = room(package, each)
            if there and there != here:
                arrows[here].add(there)
    try:
        order = tuple(TopologicalSorter(arrows).static_order())
    except CycleError as circle:
        pytest.fail(f"{package}: {' <- '.join(circle.args[1])}")
    assert set(order) <= floors()[package]


@pytest.mark.parametrize("package", sorted(floors()))
def test_no_floor_has_more_rooms_than_one_can_remember(package):
    assert len(floors()[package]) <= MOST_ROOMS


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "deploy", "api/viewer/src", "api/viewer/tests"])
def test_no_folder_of_other_files_has_more_either(folder):
    root = PROJECT / folder
    for place in (root, *(each for each in root.rglob("*") if each.is_dir() and each.name != "__pycache__")):
        files = [each for each in place.iterdir() if each.suffix in {".py", ".ts", ".yaml"}]
        assert len(files) <= MOST_ROOMS, place


def test_the_api_reaches_only_the_store_and_science():
    reached = imports().reached_by_api
    assert any(module.startswith("nexrad_assets.radar.") for module in reached)
    others = {
        module
        for module in reached
        if not any(module == each or module.startswith(f"{each}.") for each in ALLOWED)
    }
    assert others == set()


@cache
def viewer_arrows() -> dict[str, set[str]]:
    """Which folders of the viewer's sources each of them imports from."""
    root = PROJECT / "api" / "viewer" / "src"
    found: dict[str, set[str]] = {place.name: set() for place in root.iterdir() if place.is_dir()}
    for folder, arrows in found.items():
        for file in (root / folder).rglob("*.ts"):
            text = file.read_text(encoding="utf-8")
            assert not re.search(r'["\']\.\./\w+\.ts["\']', text), f"{file} imports from the floor above"
            arrows.update(re.findall(r'["\']\.\./(\w+)/[\w.]+["\']', text))
    return found


def test_no_import_of_the_viewer_runs_back_up():
    arrows = viewer_arrows()
    assert len(arrows) >= 2
    assert "model" in arrows["map"]
    tuple(TopologicalSorter(arrows).static_order())
