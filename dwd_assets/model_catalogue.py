"""Which fields a model has on the server: what no address can be computed without, found by listing, and kept.

Of the v1 tree it is the folders `p/<PARAMETER>/` and, where a selection wants them, their levels; of the old tree the
folders of parameters and what lies in them. A folder that is known is not listed again.

What belongs here: parameters and levels, and finding them. What does not: steps and members (`dwd_assets.run_fields`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import msgspec

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, LevelType
from dwd_assets.formats.levels import key_level
from dwd_assets.office import Log
from dwd_assets.opendata.addresses import NWP, parse_old, parse_v1
from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import NotYet, OpendataError
from dwd_assets.opendata.listing import Entry, UnreadRow, parse_listing
from dwd_assets.opendata.messages import Body, Request
from dwd_assets.selection import Selection
from store import keys
from store.damaged import DamagedDocument
from store.kinds import learned
from store.objects import ObjectMissing, Store

_SINGLE, _LEVELS = "r", "lvt1"
_PROBED_LEVELS = ("100", "0.01")
"""A value that each type of level has: to tell which type a number means."""

_PAGE_BYTES = 64 << 20
_UNLISTED = (FormatError, OpendataError)


class V1Parameter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What lies below a parameter's folder of the v1 tree.

    single: runs, without a level before them. levels: by type of level (its number), the values; none for a
    type that nobody wanted yet.
    """

    single: bool = False
    levels: dict[str, tuple[str, ...] | None] = {}


@learned
class ModelCatalogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a model's fields.

    v1: by folder name, none for a folder that nobody wanted yet. old: by parameter, the levels that it has on the
    regular grid. v1_looked_at, old_looked_at: when the names were last listed. gone: since which run a v1 folder is
    not listed any more.
    """

    model: str
    v1_looked_at: datetime | None = None
    old_looked_at: datetime | None = None
    v1: dict[str, V1Parameter | None] = {}
    old: dict[str, tuple[tuple[LevelType, int | None], ...]] = {}
    gone: dict[str, datetime] = {}


class Lister:
    """Lists folders of the server, counts how often, and keeps the rows that could not be read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.requests = 0
        self.unread: list[UnreadRow] = []

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """What a folder has; nothing where there is no such folder. Raises `OpendataError`, `FormatError`."""
        self.requests += 1
        try:
            page = self._client.read(Request(folder, limit_bytes=_PAGE_BYTES))
        except NotYet:
            return ()
        assert isinstance(page, Body)  # noqa: S101 - no version was known
        listing = parse_listing(page.data, folder)
        self.unread += listing.unread
        return listing.entries

    def folders(self, folder: str) -> tuple[str, ...]:
        """The folders in a folder."""
        return tuple(entry.name for entry in self.entries(folder) if entry.is_folder)


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
    """Brings the catalogue of a model up to date for a selection; what cannot be listed stays as it was."""

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
            self.log(f"{before.model}: the server lists no parameters in its v1 tree")
            return before
        gone = {name: before.gone.get(name, run) for name in before.v1 if name not in names}
        v1 = before.v1 | {name: None for name in names if name not in before.v1}
        looked = msgspec.structs.replace(before, v1=v1, gone=gone, v1_looked_at=now)
        return self.v1_listed(looked)

    def v1_listed(self, before: ModelCatalogue) -> ModelCatalogue:
        """The catalogue with what the selection wants of it: folders and types of levels not listed so far."""
        new: dict[str, V1Parameter | None] = {}
        for name, entry in before.v1.items():
            if name in before.gone or not self.selection.takes_parameter(before.model, name.lower()):
                continue
            try:
                listed = self._parameter(before.model, name, entry)
            except _UNLISTED as fault:
                self.log(f"{before.model}: {name} is not known yet: {fault}")
                continue
            if listed != entry:
                new[name] = listed
        return msgspec.structs.replace(before, v1=before.v1 | new) if new else before

    def lacks(self, catalogue: ModelCatalogue) -> bool:
        """Whether something that the selection wants of the v1 tree could not be listed so far."""
        for name, entry in catalogue.v1.items():
            if name in catalogue.gone or not self.selection.takes_parameter(catalogue.model, name.lower()):
                continue
            unlisted = [] if entry is None else [each for each in entry.levels if entry.levels[each] is None]
            if entry is None or any(self._is_wanted(catalogue.model, name, each) for each in unlisted):
                return True
        return False

    def old_looked(self, before: ModelCatalogue, run: datetime, now: datetime) -> ModelCatalogue:
        """The catalogue after a look at the old tree's folder of a run's hour."""
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
        self.log(f"{before.model}: the server does not list all of {folder} in its old tree")
        return after

    def _parameter(self, model: str, name: str, entry: V1Parameter | None) -> V1Parameter | None:
        folder = f"{_v1_folder(model)}{quote(name)}/"
        if entry is None:
            below = self.lister.folders(folder)
            if not below:
                return None  # of two servers, the other one has it
            types = self.lister.folders(f"{folder}{_LEVELS}/") if _LEVELS in below else ()
            if _LEVELS in below and not types:
                return None
            entry = V1Parameter(_SINGLE in below, dict.fromkeys(types))
        levels = dict(entry.levels)
        for number, values in entry.levels.items():
            if values is None and self._is_wanted(model, name, number):
                levels[number] = self.lister.folders(f"{folder}{_LEVELS}/{quote(number)}/lv1/") or None
        return V1Parameter(entry.single, levels)

    def _is_wanted(self, model: str, name: str, number: str) -> bool:
        if not number.isascii() or not number.isdecimal():
            return False
        named = (key_level(name.lower(), 0, (int(number), value)) for value in _PROBED_LEVELS)
        return any(each is not None and self.selection.takes_level_type(model, each[0]) for each in named)

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
    levels = [f"/{_LEVELS}/{number}/lv1/{value}" for number, of in entry.levels.items() for value in of or ()]
    for level in [*([""] if entry.single else []), *levels]:
        path = f"{_v1_folder(model)}{name}{level}/r/{run:%Y-%m-%dT%H}:00/s/PT000H00M.grib2"
        key = parse_v1(path)
        if key is not None:
            yield key


def _v1_folder(model: str) -> str:
    return f"{NWP}/v1/m/{model}/p/"
