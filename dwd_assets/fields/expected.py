"""Every field that a run is expected to have: the catalogue's parameters and levels, earlier runs' steps and members.

What the last runs of the same hour had is expected, and whatever the server's own listing of this run shows beside it.
A run of an hour of which no run was seen whole is known by its listing alone, and is not verified until it is whole.

What belongs here: what is expected, where it is, and listing a run. What does not: fetching it.
"""

from __future__ import annotations

import random
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from dwd_assets.fields.catalogue import ModelCatalogue, old_fields, old_folder, v1_fields
from dwd_assets.fields.history import Pattern, RunHistory, series_of
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import archive_path
from dwd_assets.opendata.addresses import NWP, old_path, parse_old, parse_v1, v1_path
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.folders import Lister
from dwd_assets.periods.context import Log
from dwd_assets.selection import HEIGHTS, POSITIONS, Selection

_MEMBER = re.compile(r"[0-9]{2,3}", re.ASCII)
_PROBED = 3
"""Where so many folders, drawn, show nothing, a run of which nothing is kept is not listed further."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Which of the server's trees are followed: v1 for ICON's triangles, the old one for the regular grid."""

    v1: bool
    old: bool


@dataclass(frozen=True)
class Field:
    """A field of a run, and what it is called elsewhere; `folder`: of its parameter in the v1 tree, where known."""

    key: FieldKey
    path: str
    """In the archive."""

    folder: str | None = None

    @cached_property
    def address(self) -> str:
        """On the server."""
        return address(self.key, self.folder)

    @property
    def is_packed(self) -> bool:
        """Whether the server packs it with bzip2, which the old tree does."""
        return self.key.grid == "regular"


@dataclass(frozen=True, slots=True)
class Series:
    """A parameter at one level, and what earlier runs of the same hour had of it; None if none had it.

    is_known: that is all that is wanted. Of hours that are wanted by now and were not then, those runs say nothing.
    is_gone: a constant that they were looked through for in vain; it is asked for, and not missed.
    """

    key: FieldKey
    """At step 0, without a member."""

    pattern: Pattern | None
    is_known: bool
    is_gone: bool = False

    def fields(self, pattern: Pattern | None = None) -> Iterator[FieldKey]:
        """The fields of a pattern, by default of the expected one; of a constant that is not known yet, step 0."""
        found = pattern or self.pattern
        if found is None and self.key.level_type == "time-invariant" and not self.is_gone:
            yield self.key
        for member, steps in found or ():
            for step in steps:
                yield replace(self.key, member=member, step_minutes=step)


@dataclass
class Expectations:
    """What a run is expected to have by the catalogue and by earlier runs."""

    history: RunHistory
    trees: Trees
    _made: dict[FieldKey, Field] = field(default_factory=dict)
    """Paths take time to make, and the same fields are asked for several times in a pass."""

    def series(self, catalogue: ModelCatalogue, selection: Selection) -> Iterator[Series]:
        """The parameters and levels that are wanted of the run, each by some row of the selection."""
        run = self.history.run
        keys: list[FieldKey] = []
        if self.trees.v1:
            keys += v1_fields(catalogue, run, selection)
            keys += _positions(keys, catalogue.model, run)
        if self.trees.old:
            keys += old_fields(catalogue, run, selection)
        for key in keys:
            if selection.hours_of(key):
                yield Series(
                    key,
                    self.history.pattern(key),
                    self.history.knows(key, selection),
                    self._is_gone(key, selection),
                )

    def _is_gone(self, key: FieldKey, selection: Selection) -> bool:
        is_needed = key.parameter in {*POSITIONS, HEIGHTS}  # without them fields cannot be read
        return key.level_type == "time-invariant" and not is_needed and self.history.lacked(key, selection)

    def of(
        self, catalogue: ModelCatalogue, selection: Selection, listed: Iterable[FieldKey] = ()
    ) -> tuple[Field, ...]:
        """The fields that are wanted of the run, by step; `listed`: those that its own listing showed beside."""
        shown = tuple(listed)
        there = {series_of(key) for key in shown}
        expected = (
            key
            for series in self.series(catalogue, selection)
            if series.pattern is not None or series_of(series.key) not in there
            for key in series.fields()
        )
        return self._fields(catalogue, selection, (*expected, *shown))

    def candidates(self, catalogue: ModelCatalogue, selection: Selection) -> tuple[Field, ...]:
        """Fields that may be there: what is not known for this hour may be as it is at other hours."""
        found: list[FieldKey] = []
        for series in self.series(catalogue, selection):
            if not series.is_known:
                elsewhere = self.history.elsewhere(series.key)
                found += series.fields(elsewhere) if elsewhere is not None else ()
                if series.is_gone:
                    found.append(series.key)
        return self._fields(catalogue, selection, found)

    def unknown(self, catalogue: ModelCatalogue, selection: Selection) -> list[Series]:
        """The parameters and levels of which no run of this hour was seen to have all that is wanted."""
        return [each for each in self.series(catalogue, selection) if not each.is_known]

    def has_unknown(self, catalogue: ModelCatalogue, selection: Selection) -> bool:
        """Whether one of these is not a constant, of which there is one file a run at most."""
        unknown = self.unknown(catalogue, selection)
        return any(series.key.level_type != "time-invariant" for series in unknown)

    def _fields(
        self, catalogue: ModelCatalogue, selection: Selection, keys: Iterable[FieldKey]
    ) -> tuple[Field, ...]:
        wanted = dict.fromkeys(key for key in keys if selection.takes(key))
        folders = catalogue.folders
        found = [self._field(key, folders.get(key.parameter)) for key in wanted]
        return tuple(sorted(found, key=lambda each: (each.key.step_minutes, each.path)))

    def _field(self, key: FieldKey, folder: str | None) -> Field:
        made = self._made.get(key)
        if made is None or made.folder != folder:
            made = self._made[key] = Field(key, archive_path(key), folder)
        return made


@dataclass(frozen=True, slots=True)
class Listed:
    """What the server's own folders of a run show.

    unread: the parameters and levels whose folders could not be listed or read whole. skipped: those that were not
    listed, since the run has probably not started. unknown: addresses that no key stands for.
    """

    keys: tuple[FieldKey, ...]
    unread: tuple[FieldKey, ...]
    requests: int
    skipped: tuple[FieldKey, ...] = ()
    unknown: tuple[str, ...] = ()


class RunLister:
    """Lists the folders of one run, several at once: of each parameter and level its steps."""

    def __init__(self, lister: Lister, catalogue: ModelCatalogue, report: Log, at_once: int) -> None:
        self._lister, self._catalogue, self._report, self._at_once = lister, catalogue, report, at_once
        self._unread: set[str] = set()
        self._unknown: list[str] = []
        self._lock = threading.Lock()
        self._has_members = False

    def listed(self, series: Iterable[FieldKey], draw: random.Random, *, has_started: bool) -> Listed:
        """What is there of these parameters and levels. What cannot be listed is reported, and costs no other.

        has_started: all are listed, whatever the first ones show.
        """
        before, nameless = self._lister.requests, len(self._lister.nameless)
        keys_of: dict[str, list[FieldKey]] = defaultdict(list)
        for key in series:
            keys_of[self.folder(key)].append(key)
        folders = list(keys_of)
        draw.shuffle(folders)  # those that a run lacks must not be the ones that are probed, pass after pass
        probed, others = folders[:_PROBED], folders[_PROBED:]
        # One after the other: whether a run has members is found out once.
        found = [key for folder in probed for key in self._entries(folder)]
        skipped = [] if found or has_started else others
        if not skipped:
            with ThreadPoolExecutor(self._at_once, thread_name_prefix="listing") as pool:
                for keys in pool.map(self._entries, others):
                    found += keys
        for page in self._lister.nameless[nameless:]:  # it may be the name of a file that nobody expects
            self._unread.update(folder for folder in folders if page.startswith(folder))
        return Listed(
            keys=tuple(found),
            unread=tuple(key for folder in folders if folder in self._unread for key in keys_of[folder]),
            requests=self._lister.requests - before,
            skipped=tuple(key for folder in skipped for key in keys_of[folder]),
            unknown=tuple(self._unknown),
        )

    def folder(self, key: FieldKey) -> str:
        """The folder of a parameter and level of a run, which has all its steps and members."""
        if key.grid == "regular":
            return f"{old_folder(key.model, key.run)}{key.parameter}/"
        return v1_path(key, self._catalogue.folders.get(key.parameter)).partition("/s/")[0] + "/"

    def _entries(self, folder: str) -> list[FieldKey]:
        is_v1 = folder.startswith(f"{NWP}/v1/")
        try:
            names = self._v1_files(folder) if is_v1 else self._files(folder)
        except (OpendataError, FormatError) as fault:
            self._not_listed(folder, str(fault))
            return []
        return list(self._keys(names, parse_v1 if is_v1 else parse_old))

    def _not_listed(self, folder: str, why: str) -> None:
        with self._lock:
            self._unread.add(folder)
            self._report(f"not listed: {why}")

    def _v1_files(self, folder: str) -> list[str]:
        """What lies below `.../r/<run>/`, of all members."""
        ways = (self._of_members, self._without_members)
        # An ensemble may have some parameters without members: the way of the last folder is only tried first.
        for way in ways if self._has_members else reversed(ways):
            files = way(folder)
            if files:
                self._has_members = way == self._of_members
                return files
        return []

    def _without_members(self, folder: str) -> list[str]:
        return self._files(f"{folder}s/")

    def _of_members(self, folder: str) -> list[str]:
        members = [name for name in self._lister.folders(f"{folder}e/") if _MEMBER.fullmatch(name)]
        return [file for member in members for file in self._of_member(folder, f"{folder}e/{member}/s/")]

    def _of_member(self, folder: str, place: str) -> list[str]:
        """The files of a member that is listed; one of which nothing can be listed costs no other."""
        try:
            files = self._files(place)
        except (OpendataError, FormatError) as fault:
            self._not_listed(folder, str(fault))
            return []
        if not files:
            self._not_listed(folder, f"{place} shows no file, though that member is listed")
        return files

    def _files(self, folder: str) -> list[str]:
        return [f"{folder}{entry.name}" for entry in self._lister.entries(folder) if not entry.is_folder]

    def _keys(self, names: Iterable[str], parse: Callable[[str], FieldKey | None]) -> Iterator[FieldKey]:
        for name in names:
            key = parse(name)
            if key is not None:
                yield key
            else:
                with self._lock:
                    self._unknown.append(name)


def address(key: FieldKey, folder: str | None = None) -> str:
    """Where the server has a field: the regular grid in the old tree, the triangles in v1."""
    return old_path(key) if key.grid == "regular" else v1_path(key, folder)


def twin(key: FieldKey) -> FieldKey:
    """The same field on the other grid."""
    return replace(key, grid="regular" if key.grid == "icosahedral" else "icosahedral")


def _positions(keys: Iterable[FieldKey], model: str, run: datetime) -> list[FieldKey]:
    """CLAT and CLON where the catalogue does not have them: fields on triangles cannot be read without."""
    there = {key.parameter for key in keys}
    if not there - set(POSITIONS):
        return []
    return [
        FieldKey(model, run, name, "time-invariant", None, 0, None, "icosahedral")
        for name in POSITIONS
        if name not in there
    ]
