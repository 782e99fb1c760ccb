"""What lies between a parameter and its runs in the v1 tree: levels, wavelengths, second surfaces.

`p/<PARAMETER>/` has `r/`, `lvt1/<type>/lv1/<level>/` (and below that `r/` or `lvt2/...`), or other folders, such as
`wvl1/`.

What belongs here: finding these folders. What does not: which parameters there are (`dwd_assets.fields.catalogue`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from dwd_assets.formats.fields import QUALIFIED, LevelType
from dwd_assets.formats.levels import key_level, key_of_folders
from dwd_assets.opendata.folders import Lister

_SINGLE, _LEVELS, _VALUES, _SECOND = "r", "lvt1", "lv1", "lvt2"
_PROBED_LEVELS = ("100", "0.01")
"""A value that each type of level has: which type of level a number means."""

_QUALIFIER = re.compile(r"[a-z]{1,8}[0-9]{0,2}", re.ASCII)
"""Names of folders below a parameter, other than that of its runs."""

_MOST_FOLDERS = 2000
"""Folders that are listed below one parameter at most."""


class V1Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lies below a parameter's folder of the v1 tree.

    single: runs, without a level before them. levels: by type of level (its number), the values; None for a
    type that is not selected so far. qualified: what else stands between parameter and run, as `wvl1/550`; None if
    that was not looked for. has_more: whether there is such.
    """

    single: bool = False
    levels: dict[str, tuple[str, ...] | None] = {}
    qualified: tuple[str, ...] | None = None
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class ParameterExplorer:
    """Lists what lies below parameters of one model; `folder` has them, `wants` says which types of level matter."""

    lister: Lister
    folder: str
    wants: Callable[[LevelType], bool]

    def explored(self, name: str, entry: V1Parameter | None, unknown: list[str]) -> V1Parameter | None:
        """What lies below a parameter's folder, as far as it matters; None if nothing is there.

        Addresses that no key stands for are added to `unknown`. Raises `OpendataError`, `FormatError`.
        """
        folder = f"{self.folder}{quote(name)}/"
        if entry is None or entry == V1Parameter():
            entry = self._new(name, folder, unknown)
            if entry is None:
                return None  # of two servers, the other one has it
        levels = dict(entry.levels)
        has_more = entry.has_more or any(_type_of(name, number) is None for number in levels)
        for number, values in entry.levels.items():
            if values is None and self._is_wanted(name, number):
                below = f"{folder}{_LEVELS}/{quote(number)}/{_VALUES}/"
                found = self.lister.folders(below)
                names = self.lister.folders(f"{below}{quote(found[0])}/") if found else ()
                has_more |= _SECOND in names
                levels[number] = found or None
                if names and _SINGLE not in names:
                    del levels[number]  # there is no plain level
        qualified = entry.qualified
        if has_more and qualified is None and self._wants_qualified():
            walk = _Walk(self.lister, name, folder, unknown)
            qualified = tuple(walk.qualifiers(""))
        return V1Parameter(entry.single, levels, qualified, has_more)

    def lacks(self, name: str, entry: V1Parameter) -> bool:
        """Whether something that matters was not listed so far."""
        unlisted = (number for number, values in entry.levels.items() if values is None)
        if any(self._is_wanted(name, number) for number in unlisted):
            return True
        return entry.has_more and entry.qualified is None and self._wants_qualified()

    def _new(self, name: str, folder: str, unknown: list[str]) -> V1Parameter | None:
        below = self.lister.folders(folder)
        types = self.lister.folders(f"{folder}{_LEVELS}/") if _LEVELS in below else ()
        if not below or (_LEVELS in below and not types):
            return None
        known = [number for number in types if _type_of(name, number) is not None]
        others = [each for each in below if each not in {_SINGLE, _LEVELS}]
        unknown += [f"{folder}{each}/" for each in others if _QUALIFIER.fullmatch(each) is None]
        has_more = len(known) < len(types) or any(_QUALIFIER.fullmatch(each) for each in others)
        return V1Parameter(_SINGLE in below, dict.fromkeys(known), None, has_more)

    def _is_wanted(self, name: str, number: str) -> bool:
        """Whether the values of a type of level matter: by itself, or since there may be layers below them."""
        level_type = _type_of(name, number)
        return level_type is not None and (self.wants(level_type) or self.wants("layer"))

    def _wants_qualified(self) -> bool:
        return any(self.wants(each) for each in QUALIFIED)


def level_types(parameter: str, entry: V1Parameter) -> frozenset[LevelType]:
    """The types of level below a parameter's folder, as far as they are known."""
    found: set[LevelType] = set()
    if entry.single:
        named = key_level(parameter, 0, None)
        found |= {named[0]} if named is not None else set()
    found |= {each for number in entry.levels if (each := _type_of(parameter, number)) is not None}
    for folders in entry.qualified or ():
        qualified = key_of_folders(parameter, 0, folders)
        found |= {qualified[0]} if qualified is not None else set()
    return frozenset(found | (QUALIFIED if entry.has_more and entry.qualified is None else set()))


@dataclass(slots=True)
class _Walk:
    """Looks through all folders below a parameter that no level stands for."""

    lister: Lister
    name: str
    folder: str
    unknown: list[str]
    listed: int = 0

    def qualifiers(self, folders: str) -> Iterator[str]:
        """What stands between the parameter and its runs, below `folders`."""
        for each in self._names(folders):
            if each == _SINGLE:
                yield from self._ended(folders)
            elif _QUALIFIER.fullmatch(each) is None:
                self.unknown.append(f"{self.folder}{folders}{each}/")
            else:
                for value in self._names(f"{folders}{each}/"):
                    yield from self.qualifiers(f"{folders}{each}/{value}/")

    def _names(self, folders: str) -> tuple[str, ...]:
        self.listed += 1
        if self.listed > _MOST_FOLDERS:
            self.unknown.append(f"{self.folder}{folders}")
            return ()
        return self.lister.folders(f"{self.folder}{quote(folders)}")

    def _ended(self, folders: str) -> Iterator[str]:
        """The folders before `r/`, if they become qualifiers; a plain level is listed as such."""
        found = key_of_folders(self.name.lower(), 0, folders.removesuffix("/"))
        if found is None:
            self.unknown.append(f"{self.folder}{folders}")
        elif found[0] in QUALIFIED:
            yield found[2]


def _type_of(name: str, number: str) -> LevelType | None:
    """The type of level that a number of the v1 tree means; None if no key has such levels."""
    if not number.isascii() or not number.isdecimal():
        return None
    named = (key_level(name.lower(), 0, (int(number), value)) for value in _PROBED_LEVELS)
    return next((each[0] for each in named if each is not None), None)
