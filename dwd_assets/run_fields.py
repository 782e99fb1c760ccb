"""Every field that a run is expected to have: parameters and levels of the catalogue, steps and members of the model.

Of models whose steps are known here they are computed. Of others they are listed, as often as the run is looked at.

What belongs here: what is expected, and where it is. What does not: fetching it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path
from dwd_assets.model_catalogue import Lister, ModelCatalogue, old_fields, old_folder, v1_fields
from dwd_assets.office import Log
from dwd_assets.opendata.addresses import old_path, parse_old, parse_v1, v1_path
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.expected import expected_fields, has_run
from dwd_assets.selection import Selection

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_MEMBER = re.compile(r"[0-9]{2,3}", re.ASCII)
_ABSENT_AT_MOST = 3
"""After so many parameters without a folder for the run, and none with one, no further one is listed."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Which of the server's trees are followed: v1 for ICON's triangles, the old one for the regular grid."""

    v1: bool
    old: bool


@dataclass(frozen=True)
class Field:
    """A field of a run, and what it is called elsewhere."""

    key: FieldKey
    path: str
    """In the archive."""

    @cached_property
    def address(self) -> str:
        """On the server."""
        return address(self.key)

    @property
    def is_packed(self) -> bool:
        """Whether the server packs it with bzip2, which the old tree does."""
        return self.key.grid == "regular"


@dataclass
class Expectations:
    """What a run is expected to have. `listed_all`: nothing that had to be listed could not be."""

    lister: Lister
    log: Log
    trees: Trees
    listed_all: bool = True
    _listed: dict[str, tuple[FieldKey, ...]] = field(default_factory=dict)

    def of(self, catalogue: ModelCatalogue, run: datetime, selection: Selection) -> tuple[Field, ...]:
        """The fields that are wanted of a run, by step."""
        found = [
            Field(key, archive_path(key))
            for key in self._keys(catalogue, run, selection)
            if selection.takes(key)
        ]
        return tuple(sorted(found, key=lambda each: (each.key.step_minutes, each.path)))

    def _keys(self, catalogue: ModelCatalogue, run: datetime, selection: Selection) -> Iterator[FieldKey]:
        if self.trees.v1:
            if is_computed(catalogue.model):
                for key in v1_fields(catalogue, run, selection):
                    yield from expected_fields(key, "v1") or ()
            else:
                yield from self._listed_v1(catalogue, run, selection)
        if self.trees.old:
            for key in old_fields(catalogue, run, selection):
                yield from expected_fields(key, "old") or self._listed_old(key)

    def _listed_v1(
        self, catalogue: ModelCatalogue, run: datetime, selection: Selection
    ) -> Iterator[FieldKey]:
        absent = present = 0
        for key in v1_fields(catalogue, run, selection):
            if not selection.takes_level_type(key.model, key.level_type):
                continue
            if absent >= _ABSENT_AT_MOST and not present:
                return
            keys = self._once(v1_path(key).partition("/s/")[0] + "/", self._of_run)
            absent, present = absent + (not keys), present + bool(keys)
            yield from keys

    def _listed_old(self, key: FieldKey) -> tuple[FieldKey, ...]:
        keys = self._once(f"{old_folder(key.model, key.run)}{key.parameter}/", self._of_folder)
        same = (key.run, key.level_type, key.level, key.grid)
        return tuple(each for each in keys if (each.run, each.level_type, each.level, each.grid) == same)

    def _once(self, folder: str, listed: Callable[[str], Iterator[FieldKey]]) -> tuple[FieldKey, ...]:
        if folder not in self._listed:
            try:
                self._listed[folder] = tuple(listed(folder))
            except (OpendataError, FormatError) as fault:
                self.log(f"not listed: {fault}")
                self.listed_all = False
                self._listed[folder] = ()
        return self._listed[folder]

    def _of_run(self, folder: str) -> Iterator[FieldKey]:
        """What lies below `.../r/<run>/`, of all members."""
        below = self.lister.folders(folder)
        members = self.lister.folders(f"{folder}e/") if "e" in below else ()
        steps = [f"{folder}e/{each}/s/" for each in members if _MEMBER.fullmatch(each)]
        for each in [*steps, *([f"{folder}s/"] if "s" in below else [])]:
            keys = (parse_v1(f"{each}{entry.name}") for entry in self.lister.entries(each))
            yield from (key for key in keys if key is not None)

    def _of_folder(self, folder: str) -> Iterator[FieldKey]:
        keys = (parse_old(f"{folder}{entry.name}") for entry in self.lister.entries(folder))
        yield from (key for key in keys if key is not None)


def is_computed(model: str) -> bool:
    """Whether the steps of a model are known without listing."""
    return has_run(model, _ANY_TIME) is not None


def address(key: FieldKey) -> str:
    """Where the server has a field: the regular grid in the old tree, the triangles in v1."""
    return old_path(key) if key.grid == "regular" else v1_path(key)


def twin(key: FieldKey) -> FieldKey:
    """The same field on the other grid."""
    return replace(key, grid="regular" if key.grid == "icosahedral" else "icosahedral")
