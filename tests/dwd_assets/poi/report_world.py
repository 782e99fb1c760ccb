"""An office that archives POI reports of a simulated server, and what its days should be, from the raw files alone."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus

import lz4.frame

from dwd_assets.archive.storing import Archive
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.periods.context import Office
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.responses import Answer
from dwd_assets.simulator.server import Plan, Simulator
from dwd_assets.simulator.world import File
from store.dwd import ledger
from store.dwd.ledger import Corrected, Ledger
from store.objects import ObjectInfo, Store, StoreUnavailable
from store.retry import Retry

FOLDER = "/weather/weather_reports/poi/"
DAYS = "weather/weather_reports/poi/"
HOUR = timedelta(hours=1)


@contextmanager
def open_office(
    simulator: Simulator, store: Store, clock: Callable[[], datetime] | None = None, **settings
) -> Iterator[Office]:
    manners = Manners(requests_per_s=10_000.0, retry=Retry(1))
    with Client(simulator.url, manners) as client:
        known = DwdSettings(_env_file=None, archive="unused", **{"connections": 4} | settings)
        yield Office(known, Archive(store), client, clock or simulator.clock.now)


@dataclass
class Shelf:
    """Files of the simulated server that a test puts there: by station, the bytes and when they were changed."""

    reports: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    puts: int = 0

    def put(self, station: str, modified: datetime, data: bytes) -> None:
        self.reports[station] = (modified, data)
        self.puts += 1

    def find(self, path: str, at: datetime) -> File | None:
        return next((file for file in self.files(path, at) if file.path == path), None)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        for station, (modified, data) in self.reports.items():
            file = File(f"{FOLDER}{station}-BEOB.csv", modified, lambda _, data=data: data, self.puts)
            if file.path.startswith(prefix) and modified <= at:
                yield file


class Indexed(Simulator):
    """A server that shows a given page for the folder of reports, if there is one."""

    page: bytes | None = None

    def _answer(self, fault: Fault | None, path: str, *rest: object) -> Answer | None:
        if path == FOLDER and self.page is not None:
            return Answer(HTTPStatus.OK, {"Content-Type": "text/html"}, self.page)
        return super()._answer(fault, path, *rest)


@contextmanager
def serving(shelf: Shelf, start: datetime, page: bytes | None = None, **plan: object) -> Iterator[Simulator]:
    """A server whose reports are those of a shelf; `page` is what it shows for their folder, in place of a true one."""
    simulator = Indexed(start, plan=Plan(stations=(), **plan))
    simulator.page = page
    simulator.world.add(shelf)
    with simulator:
        yield simulator


def body(
    station: str,
    rows: Iterable[tuple[datetime, tuple[str, ...]]],
    columns=("temperature", "rain"),
    units=None,
) -> bytes:
    """A report with these rows, as they come."""
    lines = [
        ("surface observations", "Parameter description", *columns),
        (station, "Unit", *(units or ("mm",) * len(columns))),
        ("Datum", "Uhrzeit (UTC)", *columns),
    ]
    lines += ((f"{stamp:%d.%m.%y}", f"{stamp:%H:%M}", *cells) for stamp, cells in rows)
    return "".join(";".join(line) + "\n" for line in lines).encode()


def hourly(station: str, newest: datetime, cells: Callable[[datetime], tuple[str, ...]], **header) -> bytes:
    """A report of 25 hours."""
    return body(station, [(newest - age * HOUR, cells(newest - age * HOUR)) for age in range(25)], **header)


Column = tuple[str, str, int]  # name, unit, and which one of these it is
Cells = dict[datetime, dict[Column, str]]  # numbers alone: a gap is not there


def table(data: bytes) -> list[tuple[datetime, dict[Column, str]]]:
    """The rows of a report or a day file in its order, read by plain rules; numbers alone."""
    lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    names, units, _, *rows = ([cell.strip() for cell in line.split(";")] for line in lines if line.strip(";"))
    columns: list[Column] = []
    for name, unit in list(zip(names, units, strict=True))[2:]:
        columns.append((name, unit, sum(one[:2] == (name, unit) for one in columns)))
    found = []
    for day, hour, *cells in rows:
        stamp = datetime.strptime(f"{day} {hour}", "%d.%m.%y %H:%M").replace(tzinfo=UTC)
        named = zip(columns, cells, strict=True)
        found.append((stamp, {column: cell for column, cell in named if is_number(cell)}))
    return found


def is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


@dataclass
class Oracle:
    """Days by plain rules: of each cell the value of the latest report that has one stands; changes are noted."""

    days: dict[tuple[str, date], Cells] = field(default_factory=lambda: defaultdict(dict))
    corrections: set[tuple[str, datetime, str, str, str, datetime]] = field(default_factory=set)

    @classmethod
    def of(cls, raw: Iterable[tuple[str, datetime, bytes]]) -> Oracle:
        """Of raw reports: station, time of change, and bytes."""
        oracle = cls()
        for station, modified, data in sorted(raw, key=lambda one: one[1]):
            oracle.take(station, modified, data)
        return oracle

    def take(self, station: str, modified: datetime, data: bytes) -> None:
        rows: Cells = {}
        for stamp, cells in table(data):  # of a row that comes twice, the upper one's values stand
            rows[stamp] = cells | rows.get(stamp, {})
        for stamp, cells in rows.items():
            known = self.days[station, stamp.date()].setdefault(stamp, {})
            for column, cell in cells.items():
                if known.get(column, cell) != cell:
                    self.corrections.add((station, stamp, column[0], known[column], cell, modified))
                known[column] = cell


def raw_reports(
    store: Store, times: Callable[[str, bytes], datetime]
) -> Iterator[tuple[str, datetime, bytes]]:
    """The raw reports in a store; `times` tells from station and bytes when they were changed on the server."""
    for info in store.list("raw_poi/"):
        station = raw_station(info)
        data = lz4.frame.decompress(store.get(info.key).data)
        assert info.key.endswith(f"/{station}-{hashlib.sha256(data).hexdigest()}.csv.lz4")
        yield station, times(station, data), data


def raw_station(raw: ObjectInfo) -> str:
    """The station that a raw report is of."""
    return raw.key.rpartition("/")[2].partition("-")[0]


def stored_days(store: Store) -> dict[tuple[str, date], Cells]:
    """The day files in a store, by station and day; each is checked to have its own day's rows, newest first."""
    days = {}
    for info in store.list(DAYS):
        match = re.fullmatch(rf"{DAYS}(\d{{8}})/(\w+)-BEOB\.csv", info.key)
        day = datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC).date()
        lines = table(store.get(info.key).data)
        rows = dict(lines)
        assert len(rows) == len(lines)
        assert list(rows) == sorted(rows, reverse=True)
        assert {stamp.date() for stamp in rows} == {day}
        days[match[2], day] = rows
    return days


def values(rows: Cells) -> dict[datetime, list[str]]:
    """The numbers of rows, without their columns."""
    return {stamp: [*cells.values()] for stamp, cells in rows.items()}


def ledgers(store: Store) -> dict[str, Ledger]:
    """The ledgers of reports by period."""
    periods = [
        info.key.rpartition("/")[2].removesuffix(".json") for info in store.list("ledger/periods/poi/")
    ]
    return {period: ledger.read(store, "poi", period) for period in periods}


def told_corrections(store: Store) -> list[tuple[str, datetime, str, str, str, datetime]]:
    """The corrections that the ledgers tell."""
    found: list[Corrected] = [one for each in ledgers(store).values() for one in each.corrections]
    return [(one.station, one.time, one.column, one.before, one.after, one.at) for one in found]


def check_ledgers_against_files(store: Store) -> None:
    """Every file that a ledger says is kept is there with that digest, and every file is in a ledger."""
    kept = {path: one for each in ledgers(store).values() for path, one in each.kept.items()}
    files = {info.key: store.get(info.key).data for info in store.list(DAYS)}
    assert {path: one.sha256 for path, one in kept.items()} == {
        path: hashlib.sha256(data).hexdigest() for path, data in files.items()
    }
    assert all(one.size == one.stored_bytes == len(files[path]) for path, one in kept.items())


class Dying:
    """A store whose process dies at its n-th write: before that is done, or right after. Nothing is written later."""

    def __init__(self, store: Store, writes: int, *, after: bool = False) -> None:
        self._store, self._left, self._after = store, writes, after
        self.is_dead = False

    def __getattr__(self, name: str):
        method = getattr(self._store, name)
        if name not in {"put", "create", "replace", "delete", "copy"}:
            return method

        def write(*arguments, **named):
            if self.is_dead:
                raise StoreUnavailable("killed")
            self._left -= 1
            self.is_dead = self._left < 0
            if self.is_dead and not self._after:
                raise StoreUnavailable("killed before a write")
            result = method(*arguments, **named)
            if self.is_dead:
                raise StoreUnavailable("killed after a write")
            return result

        return write
