"""Dagster homes for tests, whose databases are copied: to make them takes seconds, a copy none."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dagster import DagsterInstance


@cache
def _template() -> TemporaryDirectory[str]:
    """A home with the databases of the installed Dagster, made once in a process and gone with it."""
    home = TemporaryDirectory(prefix="dagster-template-")
    with DagsterInstance.local_temp(home.name):
        pass
    return home


def lay_databases(home: Path) -> None:
    """Put empty databases into a Dagster home that has none; what else is in it stays."""
    shutil.copytree(_template().name, home, dirs_exist_ok=True)


def new_instance(home: Path) -> DagsterInstance:
    """A real instance on SQLite in a fresh folder."""
    lay_databases(home)
    return DagsterInstance.local_temp(str(home))
