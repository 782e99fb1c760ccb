"""What the API knows of the archive: which periods there are, their summaries and ledgers, the stations.

Everything is read when it is asked for and kept for a moment, read once for all who wait, and not read again where
the store says that it is the same; while the store is away, what was read last is the answer.

What belongs here: reading the ledger's objects. What does not: what is told of them, and the archive's files.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from api.memory.cache import BoundedCache
from api.memory.flights import Flights
from api.replies.errors import Unavailable
from api.state.opener import StoreSource
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.formats.spelling import station_key
from store import keys
from store.dwd import ledger, stations
from store.dwd.ledger import Ledger, Summary
from store.dwd.stations import Station
from store.objects import ObjectMissing, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

THREADS = 8
"""Reads of the archive's store under way at once."""

FRESH_S = 2.0
"""What was read less than this ago is not looked at again."""

COSTS_KEPT = 10.0
"""What took long to read is kept at least so many times as long: a list of many periods takes seconds on S3."""

READ_S = 20.0
"""How long an answer waits for the store."""

AWAY_S = 1.0
"""So long after the store did not answer, nobody waits for it."""

SUMMARIES_KEPT = 50_000
LEDGERS_BYTES = 96_000_000
"""Bound of the ledgers that are kept, by their bytes at rest (parsed, some three times that)."""

_SUFFIX = ".json"
_OF_A_STATION = ("-MOSMIX.kmz", "-BEOB.csv")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


Place = tuple[str, str]
"""What periods sort by: when they begin, as ten digits, then the collection."""


def place_of(collection: str, period: str) -> Place:
    """Where a period is among those of all collections."""
    return period.ljust(10, "0"), collection


@dataclass(frozen=True, slots=True)
class Entry:
    """A period that has a ledger, and the version of its summary."""

    collection: str
    period: str
    etag: str

    @property
    def place(self) -> Place:
        """Where it is among others."""
        return place_of(self.collection, self.period)


@dataclass(frozen=True)
class Index:
    """All periods of the archive, newest first."""

    entries: tuple[Entry, ...] = ()

    @cached_property
    def collections(self) -> Mapping[str, tuple[Entry, ...]]:
        """The periods of each collection, newest first."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.collection, []).append(entry)
        return {collection: tuple(entries) for collection, entries in sorted(found.items())}

    def of(self, collection: str | None) -> tuple[Entry, ...]:
        """The periods of a collection, or of all; nothing of one that is not there."""
        return self.entries if collection is None else self.collections.get(collection, ())


@dataclass(frozen=True)
class LedgerView:
    """A ledger, ready to be looked things up in; `etag` is its version in the store."""

    ledger: Ledger
    etag: str
    size: int

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """What is kept, sorted."""
        return tuple(sorted(self.ledger.kept))

    @cached_property
    def fields(self) -> Mapping[str, FieldKey]:
        """The fields that are kept, by path."""
        return _fields(self.paths)

    @cached_property
    def by_station(self) -> Mapping[str, str]:
        """The path of each station's file that is kept, by `station_key`."""
        return _by_station(self.paths)

    @cached_property
    def missing_by_station(self) -> Mapping[str, str]:
        """The path of each station's file that is expected and not kept, by `station_key`."""
        return _by_station(self.ledger.missing)

    @cached_property
    def stations(self) -> frozenset[str]:
        """The stations whose files are kept or expected, by `station_key`."""
        return frozenset((*self.by_station, *self.missing_by_station))

    def fields_of(self, parameter: str) -> Mapping[str, FieldKey]:
        """The fields of a parameter that are kept, by path; of a large run a small part of `fields`."""
        return _fields_of(parameter, self.ledger.kept)

    def missing_fields_of(self, parameter: str) -> Mapping[str, FieldKey]:
        """The fields of a parameter that are expected and not kept, by path."""
        return _fields_of(parameter, self.ledger.missing)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The parameters of which a field is kept or expected."""
        folders = (path.split("/") for path in (*self.ledger.kept, *self.ledger.missing))
        return frozenset(parts[4] for parts in folders if len(parts) == 6 and parts[2] == "grib")


def _fields(paths: Iterable[str]) -> Mapping[str, FieldKey]:
    parsed = ((path, parse_archive_path(path)) for path in paths)
    return {path: key for path, key in parsed if isinstance(key, FieldKey)}


def _fields_of(parameter: str, paths: Iterable[str]) -> Mapping[str, FieldKey]:
    """The fields of a parameter, without parsing the paths of others: a run may have a hundred thousand."""
    fields = _fields(path for path in paths if f"/{parameter}/" in path)
    return {path: key for path, key in fields.items() if key.parameter == parameter}


def _by_station(paths: Iterable[str]) -> Mapping[str, str]:
    """Paths of forecasts and reports by `station_key`; fields have no station."""
    names = ((path.rpartition("/")[2].partition("-"), path) for path in paths if path.endswith(_OF_A_STATION))
    return {station_key(station): path for (station, dash, _), path in names if dash}


@dataclass(slots=True)
class _Known(Generic[V]):
    """A value, when it was last known to hold, and what reading it cost."""

    value: V
    at: float
    cost_s: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.at < max(FRESH_S, COSTS_KEPT * self.cost_s)


class Link:
    """The way to the store: in threads, shared by all who ask for the same, and not while it is away."""

    def __init__(self, store: StoreSource, known_away: Callable[[], bool] = lambda: False) -> None:
        """`known_away`: what others know of this store."""
        self.store = store
        self.flights = Flights(THREADS, lambda: known_away() or time.monotonic() < self._away_until)
        self._away_until = 0.0
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the store did not answer when it was last asked."""
        return self._away

    async def read(self, key: Hashable, work: Callable[[], T]) -> T:
        """The answer of `work`. Raises `StoreError`, `StoreUnavailable` where it does not come in time."""
        try:
            answer = await asyncio.wait_for(self.flights.shared(key, work), READ_S)
        except TimeoutError as fault:
            self._missed()
            raise StoreUnavailable(f"no answer within {READ_S:g} s") from fault
        except StoreUnavailable:
            self._missed()
            raise
        except ObjectMissing:
            self._away = False
            raise
        self._away = False
        return answer

    def _missed(self) -> None:
        if not self._away or time.monotonic() > self._away_until + AWAY_S:
            self._away_until = time.monotonic() + AWAY_S
        self._away = True


class _Followed(Generic[K, V]):
    """Values of the store by name: the last good one while it cannot be read."""

    def __init__(
        self,
        link: Link,
        name: str,
        read: Callable[[K, V | None], V],
        capacity: int,
        weight: Callable[[V], int] = lambda _: 1,
    ) -> None:
        self._link, self._name, self._read, self._weight = link, name, read, weight
        self._known: BoundedCache[K, _Known[V]] = BoundedCache(capacity)

    async def get(self, key: K, fresh: bool = False) -> V:
        """The value; `fresh` looks at the store in any case. Raises `Unavailable` where none was ever read."""
        known = self._known.get(key)
        if known is not None and known.fresh and not fresh:
            return known.value
        started = time.monotonic()
        try:
            value = await self._link.read(
                (self._name, key, fresh), lambda: self._read(key, None if known is None else known.value)
            )
        except (StoreError, ValueError) as fault:
            if known is None:
                log.warning("%s %s cannot be read: %s", self._name, key, fault)
                raise Unavailable("the archive does not answer; try again") from fault
            return known.value
        now = time.monotonic()
        self._known.put(key, _Known(value, now, now - started), self._weight(value))
        return value


@dataclass
class Archive:
    """The archive as requests see it."""

    link: Link
    _summaries: BoundedCache[Entry, Summary] = field(init=False)

    def __post_init__(self) -> None:
        self._summaries = BoundedCache(SUMMARIES_KEPT)
        self._index = _Followed[str, Index](self.link, "index", self._read_index, 1)
        self._ledgers = _Followed[tuple[str, str], LedgerView](
            self.link, "ledger", self._read_ledger, LEDGERS_BYTES, lambda view: view.size + 1024
        )
        self._stations = _Followed[str, _Stations](self.link, "stations", self._read_stations, 1)

    async def index(self) -> Index:
        """All periods. Raises `Unavailable`."""
        return await self._index.get("")

    async def ledger(self, collection: str, period: str, fresh: bool = False) -> LedgerView | None:
        """The ledger of a period, none where there is none. Raises `Unavailable`."""
        view = await self._ledgers.get((collection, period), fresh)
        return view if view.ledger.revision else None

    async def stations(self) -> Mapping[str, Station]:
        """The catalogue of stations, by id. Raises `Unavailable`."""
        return (await self._stations.get("")).known

    async def stations_by_key(self) -> Mapping[str, Station]:
        """The catalogue of stations, by `station_key`. Raises `Unavailable`."""
        return (await self._stations.get("")).by_key

    async def summaries(self, entries: Iterable[Entry]) -> list[Summary]:
        """The summaries of some periods, without those that are gone. Raises `Unavailable`."""
        found = await asyncio.gather(*map(self._summary, entries))
        return [summary for summary in found if summary is not None]

    async def _summary(self, entry: Entry) -> Summary | None:
        kept = self._summaries.get(entry)
        if kept is not None:
            return kept
        try:
            read = await self.link.read(
                entry,
                lambda: ledger.read_summary(self.link.store(), entry.collection, entry.period),
            )
        except StoreError as fault:
            log.warning("the summary of %s %s cannot be read: %s", entry.collection, entry.period, fault)
            raise Unavailable("the archive does not answer; try again") from fault
        if read is not None:
            self._summaries.put(entry, read)
        return read

    def _read_index(self, _: str, __: Index | None) -> Index:
        found = []
        for info in self.link.store().list(keys.LEDGER_SUMMARIES):
            collection, _, name = info.key.removeprefix(keys.LEDGER_SUMMARIES).partition("/")
            found.append(Entry(collection, name.removesuffix(_SUFFIX), info.etag))
        return Index(tuple(sorted(found, key=lambda entry: entry.place, reverse=True)))

    def _read_ledger(self, named: tuple[str, str], before: LedgerView | None) -> LedgerView:
        store = self.link.store()
        try:
            info = store.head(keys.ledger(*named))
        except ObjectMissing:
            return LedgerView(Ledger(*named), "", 0)
        if before is not None and before.etag == info.etag:
            return before
        # What is read is this version or a later one, which the next look then takes for another: no harm.
        return LedgerView(ledger.read(store, *named), info.etag, info.size)

    def _read_stations(self, _: str, before: _Stations | None) -> _Stations:
        store = self.link.store()
        try:
            etag = store.head(keys.STATIONS).etag
        except ObjectMissing:
            return _Stations("", {})
        if before is not None and before.etag == etag:
            return before
        return _Stations(etag, stations.read(store))


@dataclass(frozen=True)
class _Stations:
    """The catalogue, and its version."""

    etag: str
    known: Mapping[str, Station]

    @cached_property
    def by_key(self) -> Mapping[str, Station]:
        """The stations by `station_key`."""
        return {station_key(name): station for name, station in self.known.items()}
