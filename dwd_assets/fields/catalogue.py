"""Which fields a model has on the server: what no address can be computed without, found by listing, and kept.

Of the v1 tree it is the folders `p/<PARAMETER>/` and, where a selection wants them, their levels and whatever else
stands between parameter and run; of the old tree the folders of parameters and what lies in them. A folder that is
known is not listed again. What no key stands for is reported by its address.

What belongs here: parameters and levels, and finding them. What does not: steps and members
(`dwd_assets.fields.expected`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import msgspec

from dwd_assets.fields.parameter_folders import ParameterExplorer, V1Parameter
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, LevelType
from dwd_assets.opendata.addresses import NWP, parameter_folder, parse_old, parse_v1
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.folders import Lister
from dwd_assets.periods.context import Log
from dwd_assets.selection import Selection
from store import keys
from store.dwd.damaged import DamagedDocument
from store.kinds import learned
from store.objects import ObjectMissing, Store

_NEAREST = 3
_UNLISTED = (FormatError, OpendataError)


@learned
class ModelCatalogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a model's fields.

    v1: by folder name, None for a folder that is not selected so far. old: by parameter, the levels that it has on the
    regular grid. v1_looked_at, old_looked_at: when the names were last listed. gone: since which run a v1 folder is
    not listed any more. unknown: addresses of folders that no key stands for.
    """

    model: str
    v1_looked_at: datetime | None = None
    old_looked_at: datetime | None = None
    v1: dict[str, V1Parameter | None] = {}
    old: dict[str, tuple[tuple[LevelType, int | None], ...]] = {}
    gone: dict[str, datetime] = {}
    unknown: tuple[str, ...] = ()

    @property
    def folders(self) -> dict[str, str]:
        """Folders of the v1 tree, by parameter, that are not spelled as the rule is."""
        return {name.lower(): name for name in self.v1 if parameter_folder(name.lower()) != name}

    @property
    def parameters(self) -> frozenset[str]:
        """All parameters of both trees, gone ones too."""
        return frozenset({*(name.lower() for name in self.v1), *self.old})


def read_catalogue(store: Store, model: str) -> ModelCatalogue:
    """What is kept of a model's catalogue, an empty one where nothing is. Raises `StoreError` (`DamagedDocument`)."""
    key = keys.model_catalogue(model)
    try:
        data = store.get(key).data
    except ObjectMissing:
        return ModelCatalogue(model)
    try:
        return msgspec.json.decode(data, type=ModelCatalogue)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        empty = msgspec.json.encode(ModelCatalogue(model))
        raise DamagedDocument(f"not what a catalogue is: {fault}", key, data, empty) from fault


def write_catalogue(store: Store, catalogue: ModelCatalogue) -> None:
    """Keep a catalogue. Raises `StoreError`."""
    store.put(keys.model_catalogue(catalogue.model), msgspec.json.encode(catalogue, order="sorted"))


@dataclass(frozen=True, slots=True)
class Cataloguer:
    """Brings the catalogue of a model up to date for a selection.

    What cannot be listed is reported to the log, and stays as it was.
    """

    lister: Lister
    selection: Selection
    log: Log

    def v1_looked(self, before: ModelCatalogue, run: datetime, now: datetime) -> ModelCatalogue:
        """The catalogue after a look at the v1 tree's names, of which some may be gone since `run`."""
        try:
            names = self.lister.folders(_v1_folder(before.model))
        except _UNLISTED as fault:
            self.log(f"{before.model}: the catalogue that is kept is used: {fault}")
            return before
        if not names:
            self.log(
                f"{before.model}: the server lists no parameters in its v1 tree{self.models_like(before.model)}"
            )
            return before
        gone = {name: before.gone.get(name, run) for name in before.v1 if name not in names}
        v1 = before.v1 | {name: None for name in names if name not in before.v1}
        looked = msgspec.structs.replace(before, v1=v1, gone=gone, v1_looked_at=now)
        return self.v1_listed(looked)

    def v1_listed(self, before: ModelCatalogue) -> ModelCatalogue:
        """The catalogue with what the selection wants of it: folders and types of levels not listed so far."""
        new: dict[str, V1Parameter | None] = {}
        unknown: list[str] = []
        explorer = self._explorer(before.model)
        for name, entry in before.v1.items():
            if name in before.gone or not self.selection.takes_parameter(before.model, name.lower()):
                continue
            try:
                listed = explorer.explored(name, entry, unknown)
            except _UNLISTED as fault:
                self.log(f"{before.model}: {name} is not known yet: {fault}")
                continue
            if listed != entry:
                new[name] = listed
        unknown += _alike(before.model, before.v1)
        if not new and set(unknown) <= set(before.unknown):
            return before
        every = tuple(dict.fromkeys((*before.unknown, *unknown)))
        return msgspec.structs.replace(before, v1=before.v1 | new, unknown=every)

    def lacks(self, catalogue: ModelCatalogue) -> bool:
        """Whether something that the selection wants of the v1 tree could not be listed so far."""
        explorer = self._explorer(catalogue.model)
        return any(
            entry is None or explorer.lacks(name, entry)
            for name, entry in catalogue.v1.items()
            if name not in catalogue.gone and self.selection.takes_parameter(catalogue.model, name.lower())
        )

    def models_like(self, model: str) -> str:
        """The nearest models that the server has, in words, for a model that it does not have."""
        try:
            models = self.lister.folders(f"{NWP}/v1/m/")
        except _UNLISTED:
            return ""
        nearest = difflib.get_close_matches(model, models, _NEAREST, 0.4)
        return f"; nearest models: {', '.join(nearest)}" if nearest and model not in models else ""

    def _explorer(self, model: str) -> ParameterExplorer:
        return ParameterExplorer(
            self.lister,
            _v1_folder(model),
            lambda level_type: self.selection.takes_level_type(model, level_type),
        )

    def old_looked(self, before: ModelCatalogue, run: datetime, now: datetime) -> ModelCatalogue:
        """The catalogue after a look at the old tree's folder of a run's hour.

        Where there is no such folder, it is as it was: that may be the end of that tree, which is not decided here.
        """
        folder = old_folder(before.model, run)
        new: dict[str, tuple[tuple[LevelType, int | None], ...]] = {}
        try:
            names = self.lister.folders(folder)
            for name in names:
                if name not in before.old and self.selection.takes_parameter(before.model, name):
                    levels = self._old_levels(f"{folder}{quote(name)}/")
                    new |= {} if levels is None else {name: levels}
        except _UNLISTED as fault:
            self.log(f"{before.model}: the old tree's catalogue that is kept is used: {fault}")
            return msgspec.structs.replace(before, old=before.old | new)
        after = msgspec.structs.replace(before, old=before.old | new)
        wanted = (name for name in names if self.selection.takes_parameter(before.model, name))
        if names and all(name in after.old for name in wanted):
            return msgspec.structs.replace(after, old_looked_at=now)
        if names:
            self.log(f"{before.model}: the server does not list all of {folder} in its old tree")
        return after

    def _old_levels(self, folder: str) -> tuple[tuple[LevelType, int | None], ...] | None:
        """The levels on the regular grid; none where there is no such folder: of two servers, the other one has it."""
        entries = self.lister.entries(folder)
        if not entries:
            return None
        fields = (parse_old(f"{folder}{entry.name}") for entry in entries)
        levels = {(key.level_type, key.level) for key in fields if key is not None and key.grid == "regular"}
        return tuple(sorted(levels, key=str))


def v1_fields(catalogue: ModelCatalogue, run: datetime, selection: Selection) -> Iterator[FieldKey]:
    """Of every parameter and level that is wanted of a run, the field at step 0, without a member.

    Folders that are gone since that run, or were before, are left out.
    """
    for name, entry in catalogue.v1.items():
        gone_since = catalogue.gone.get(name)
        if entry is not None and (gone_since is None or run < gone_since):
            for key in _parsed(catalogue.model, name, entry, run):
                if selection.takes_parameter(key.model, key.parameter):
                    yield key


def old_fields(catalogue: ModelCatalogue, run: datetime, selection: Selection) -> Iterator[FieldKey]:
    """Of every parameter and level that is wanted of a run, the field at step 0 on the old tree's regular grid."""
    for name, levels in catalogue.old.items():
        if selection.takes_parameter(catalogue.model, name):
            for level_type, level in levels:
                yield FieldKey(catalogue.model, run, name, level_type, level, 0, None, "regular")


def gone_parameters(gone: Mapping[str, datetime], run: datetime) -> Iterable[str]:
    """The parameters that are gone since a run."""
    return (name.lower() for name, since in gone.items() if since == run)


def old_folder(model: str, run: datetime) -> str:
    """The old tree's folder of a run's hour."""
    return f"{NWP}/{model}/grib/{run:%H}/"


def _parsed(model: str, name: str, entry: V1Parameter, run: datetime) -> Iterator[FieldKey]:
    """What the addresses of a parameter's folder mean; what has no key has no place in the archive."""
    levels = [f"/lvt1/{number}/lv1/{value}" for number, of in entry.levels.items() for value in of or ()]
    qualified = [f"/{folders}" for folders in entry.qualified or ()]
    for level in [*([""] if entry.single else []), *levels, *qualified]:
        path = f"{_v1_folder(model)}{name}{level}/r/{run:%Y-%m-%dT%H}:00/s/PT000H00M.grib2"
        key = parse_v1(path)
        if key is not None:
            yield key


def runs_folder(catalogue: ModelCatalogue) -> str | None:
    """A folder of the v1 tree that has the runs of a parameter without levels; None if none is known."""
    names = (name for name, entry in catalogue.v1.items() if entry is not None and entry.single)
    name = next((name for name in names if name not in catalogue.gone), None)
    return None if name is None else f"{_v1_folder(catalogue.model)}{quote(name)}/r/"


def _v1_folder(model: str) -> str:
    return f"{NWP}/v1/m/{model}/p/"


def _alike(model: str, names: Iterable[str]) -> Iterator[str]:
    """Folders that differ from another one in small and capital letters alone: a key can stand for one of them."""
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(name.lower(), name) != name:
            yield f"{_v1_folder(model)}{name}/"
