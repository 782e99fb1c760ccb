"""Dagster homes for tests, whose databases are copied: to make them takes seconds, a copy none.

Dagster also makes a database for each run, and reads all its own migrations anew to stamp it with the last one, which
takes longer than all the rest of a small run. In processes that import this module they are read once.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster import DagsterInstance

_read_migrations = ScriptDirectory.from_config
_migrations: dict[str | None, ScriptDirectory] = {}


def _known_migrations(config: Config) -> ScriptDirectory:
    """The migrations of a configuration; Dagster's are files of its package, which stay as they are."""
    place = config.get_main_option("script_location")
    if place not in _migrations:
        _migrations[place] = _read_migrations(config)
    return _migrations[place]


ScriptDirectory.from_config = _known_migrations


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
