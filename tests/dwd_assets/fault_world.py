"""A world in which everything goes wrong, and the audit of what is left after that.

The audit trusts nothing of the product but the ledger's own words: packed files are opened by the libraries of their
formats, contents are held against what the simulated server makes of the same path, and what a period should have is
told by the simulator's catalogue.

Run as a program (`python -m tests.dwd_assets.fault_world URL LOCATION`) it is a nursery: for each order, a line of
JSON, it forks a process that makes one pass, and tells how that ended. So a process to kill costs no imports.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import lz4.frame

from dwd_assets.archive.storing import Archive
from dwd_assets.fields.model_runs import archive_run
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.formats.packing import unpack_bzip2
from dwd_assets.formats.paths import MosmixKey, ReportsKey, archive_path, parse_archive_path
from dwd_assets.kinds.table import Collection, begin, collections
from dwd_assets.mosmix.issues import Issue
from dwd_assets.opendata.addresses import old_path, parse_old, parse_v1, v1_path
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import Done
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Asked, Plan, Simulator
from dwd_assets.simulator.stations import STATIONS
from dwd_assets.simulator.trees import other_parameter
from store import keys
from store.dwd import ledger
from store.dwd.ledger import Kept, Ledger
from store.location import open_store
from store.objects import Store, StoreError
from store.retry import Retry
from tests.dwd_assets.poi.report_world import FOLDER as REPORTS_FOLDER
from tests.dwd_assets.poi.report_world import Column, Oracle, raw_station, stored_days, table
from tests.kernels import load_kernels

CATALOGUE = Catalogue(
    parameters=(
        Parameter("t_2m"),
        Parameter("vmax_10m"),
        Parameter("tot_prec", steps=every(15, 4)),
        constant("hsurf"),
        constant("clat"),
        constant("clon"),
    ),
    columns=13,
    rows=9,
)
"""Four hours of a few parameters on a small grid."""

LAST_HOUR = 4
FIELDS = (f"icon-d2/single,time-invariant/*/0-{LAST_HOUR}",)
PLAN = Plan(catalogue=CATALOGUE, lag=timedelta(minutes=10), slow_s=1.3)
MANNERS = Manners(
    requests_per_s=10_000.0, burst=1000, read_s=1.0, retry=Retry(attempts=2, first_wait_s=0.001)
)
RUN_TAKES = timedelta(hours=2, minutes=12)
"""After that all files of a run are there, and nothing came for ten minutes."""

NEW_RUN_TAKES = timedelta(hours=5, minutes=2)
"""After that a run is whole of which no earlier one of the same hour is known."""

ISSUE_TAKES = timedelta(minutes=87)
LOGGED_REQUESTS = 100_000

EXITED = 77
"""The status of a process that ended itself between two writes."""

_VERSION = re.compile(r"\.[0-9a-f]{12}$", re.ASCII)
_PLACEMARK = re.compile(rb"<kml:Placemark>.*?</kml:Placemark>", re.DOTALL)


def new_settings(url: str, **wanted: object) -> DwdSettings:
    """Fields of both trees, MOSMIX_L and reports; or as wanted."""
    return DwdSettings(
        _env_file=None, archive="unused", server=url, **{"fields": FIELDS, "old_tree": True} | wanted
    )


def new_office(
    url: str,
    store: Store,
    clock: Callable[[], datetime],
    worker: GribWorker | None = None,
    **wanted: object,
) -> Office:
    """An office that tries everything twice. Its client is to be closed, and its decoder where none is given."""
    client = Client(url, MANNERS)
    return Office(new_settings(url, **wanted), Archive(store), client, clock, worker or GribWorker())


# What the server had


@dataclass
class Truth:
    """What the simulated server ever had, told by its path."""

    simulator: Simulator
    overwritten: Counter[str] = field(default_factory=Counter)
    """How often each path was overwritten on the way."""

    reports: dict[tuple[str, bytes], datetime] = field(default_factory=dict)
    """All report files that were sent, by station and bytes, with when they were changed."""

    _known: dict[tuple[str, datetime, int], bytes] = field(default_factory=dict)
    _asked: int = 0

    def follow(self) -> None:
        """Take in what was asked for since this was called last."""
        asked = self.simulator.requests
        assert len(asked) < LOGGED_REQUESTS
        for each in asked[self._asked :]:
            self.overwritten[each.path] += each.fault is Fault.OVERWRITTEN
            if each.path.endswith("-BEOB.csv") and each.status == 200:
                at = each.at - self.simulator.plan.lag * (each.fault is Fault.OUT_OF_STEP)
                self._sent(each.path, at)
        self._asked = len(asked)

    def _sent(self, path: str, at: datetime) -> None:
        file = self.simulator.world.find(path, at)
        assert file is not None
        station = path.removeprefix(REPORTS_FOLDER).removesuffix("-BEOB.csv")
        for data in self.contents(path, at, file.revision):
            self.reports.setdefault((station, data), file.modified)

    def contents(self, path: str, at: datetime, revisions: int) -> Iterator[bytes]:
        """All contents of a path that was there at a time, before and after it was overwritten."""
        file = self.simulator.world.find(path, at)
        for revision in range(revisions + 1) if file is not None else ():
            known = (path, file.modified if path.endswith(".csv") else at, revision)
            if known not in self._known:
                self._known[known] = file.build(revision)
            yield self._known[known]

    def fields(self, key: FieldKey) -> set[bytes]:
        """The GRIBs that the server had of a field."""
        packed = key.grid == "regular"
        path = old_path(key) if packed else v1_path(key).replace("%3A", ":")
        at = key.run + self.simulator.plan.catalogue.last
        if packed:
            at = min(at, self.simulator.plan.old_tree_until - timedelta(seconds=1))
        contents = self.contents(path, at, self.overwritten[path])
        return {unpack_bzip2(each, path, 1 << 30) if packed else each for each in contents}

    def refusable(self, key: FieldKey) -> set[bytes]:
        """The GRIBs that were served in place of a field and are another one."""
        packed = key.grid == "regular"
        path = old_path(key) if packed else v1_path(key).replace("%3A", ":")
        other = other_parameter(self.simulator.plan.catalogue, path)
        others = parse_old(other or "") or parse_v1(other or "")
        return self.fields(others) if others is not None else set()

    def overwrite(self, path: str) -> None:
        """Let the server have another content of a field."""
        key = parse_archive_path(path)
        assert isinstance(key, FieldKey)
        address = old_path(key) if key.grid == "regular" else v1_path(key).replace("%3A", ":")
        self.simulator.world.overwrite(address, self.simulator.clock.now())
        self.overwritten[address] += 1

    def placemarks(self, key: MosmixKey) -> set[bytes]:
        """The Placemarks that the server had of a station's forecast, in the files of all stations."""
        issue = Issue(key.product, key.run)
        contents = self.contents(issue.address, key.run + ISSUE_TAKES, self.overwritten[issue.address])
        return {_placemark(kmz, key.station) for kmz in contents}


@lru_cache(maxsize=4096)
def _placemark(kmz: bytes, station: str) -> bytes:
    return next(each for each in _PLACEMARK.findall(_kml(kmz)) if f"<kml:name>{station}<".encode() in each)


def _kml(kmz: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(kmz)) as archive:
        assert archive.testzip() is None
        (entry,) = archive.namelist()
        return archive.read(entry)


# The audit


def plain(path: str, stored: bytes) -> bytes:
    """What is in a file of the archive, by the libraries of its format; raises what these raise."""
    if path.endswith(".lz4"):
        content, read = lz4.frame.decompress(stored, return_bytes_read=True)
        assert read == len(stored), f"{path}: followed by {len(stored) - read} bytes"
        return content
    return _kml(stored) if path.endswith(".kmz") else stored


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Audit:
    """Looks at everything in a store. `faults` is what is not as it must be, a line each."""

    store: Store
    truth: Truth
    settings: DwdSettings
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Keys and digests of what an audit before this one found to be right."""

    never_came: Callable[[str], bool] = lambda path: False
    """Whether a path is of a file that the server never had."""

    faults: list[str] = field(default_factory=list)
    files: int = 0
    versions: int = 0
    complete: set[tuple[str, str]] = field(default_factory=set)

    def go(self) -> Audit:
        """Look at all files below `weather/`, whoever knows of them, and at all that any ledger says."""
        now = self.truth.simulator.clock.now()
        self.truth.follow()
        self._cells = _cells(self.truth.reports)
        found = {info.key: self.store.get(info.key).data for info in self.store.list("weather/")}
        for key, data in found.items():
            self.files += 1
            if (key, digest(data)) not in self.seen:
                self._check_whole(key, data)
                self.seen.add((key, digest(data)))
        for info in self.store.list("raw_poi/"):
            raw = lz4.frame.decompress(self.store.get(info.key).data)
            self._expect((raw_station(info), raw) in self.truth.reports, info.key, "never on the server")
        open_intakes = list(self.store.list(keys.OPEN_REPORT_INTAKES))
        for told in self.ledgers():
            is_merging = told.collection == "poi" and bool(open_intakes)
            self._check_ledger(told, found, is_merging=is_merging)
            self._check_complete(told, now)
        return self

    def ledgers(self) -> Iterator[Ledger]:
        for info in self.store.list("ledger/periods/"):
            _, _, collection, name = info.key.split("/")
            yield ledger.read(self.store, collection, name.removesuffix(".json"))

    def expected(self, collection: str, period: str) -> set[str]:
        """The paths that a period has when all of it is there, by the simulator's own catalogue."""
        if collection == "poi":
            day = begin(period).date()
            return {archive_path(ReportsKey(day, each.id.ljust(5, "_"))) for each in STATIONS}
        if collection.startswith("mosmix"):
            return {archive_path(MosmixKey(begin(period), each.id, "L")) for each in STATIONS}
        return set(expected_fields(self.truth.simulator, begin(period), self.settings))

    def _check_whole(self, key: str, data: bytes) -> None:
        path = _VERSION.sub("", key)
        try:
            content = plain(path, data)
        except Exception as fault:  # noqa: BLE001 - whatever a library says of a file that is not whole
            self._expect(False, key, f"not whole: {type(fault).__name__}: {fault}")
            return
        parsed = parse_archive_path(path)
        match parsed:
            case FieldKey():
                right = content in self.truth.fields(parsed)
                right = right or (key != path and content in self.truth.refusable(parsed))
            case MosmixKey():
                right = set(_PLACEMARK.findall(content)) <= self.truth.placemarks(parsed)
                right = right and len(_PLACEMARK.findall(content)) == 1
            case ReportsKey():
                right = self._are_true_rows(parsed, content)
            case _:
                right = False
        self._expect(right, key, "not what the server ever had")

    def _are_true_rows(self, key: ReportsKey, content: bytes) -> bool:
        return all(one in self._cells[key.station, stamp] for stamp, cells in _rows(content) for one in cells)

    def _check_ledger(self, told: Ledger, found: dict[str, bytes], *, is_merging: bool) -> None:
        self._expect(not set(told.kept) & set(told.missing), told.period, "kept and missing")
        for path, kept in told.kept.items():
            self._check_kept(path, kept, found, is_merging=is_merging)
        summary = ledger.read_summary(self.store, told.collection, told.period)
        if summary is not None and summary.revision == told.revision:
            self._expect(summary == ledger.summary(told), told.period, "summary differs")

    def _check_kept(self, path: str, kept: Kept, found: dict[str, bytes], *, is_merging: bool) -> None:
        at = kept.held_at or path
        if at not in found:
            self._expect(False, at, "the ledger has it, and it is not there")
            return
        held = digest(plain(path, found[at]))
        beside = f"{path}.{kept.sha256[:12]}"
        # A kill after a newer content was put leaves the ledger's own beside it.
        is_beside = beside in found and digest(plain(path, found[beside])) == kept.sha256
        self._expect(held == kept.sha256 or is_beside or is_merging, at, "not the digest of the ledger")
        for earlier in kept.earlier:
            self.versions += 1
            version = f"{path}.{earlier.sha256[:12]}"
            right = version in found and digest(plain(path, found[version])) == earlier.sha256
            self._expect(right, version, "an earlier version is not there")

    def _check_complete(self, told: Ledger, now: datetime) -> None:
        summary = ledger.read_summary(self.store, told.collection, told.period)
        states = [told.state(now), *([summary.state(now)] if summary is not None else [])]
        if "complete" in states:
            lacking = {
                path
                for path in self.expected(told.collection, told.period) - set(told.kept)
                if not self.never_came(path)
            }
            self._expect(not lacking, told.period, f"called complete without {sorted(lacking)[:3]}")
            self.complete.add((told.collection, told.period))

    def _expect(self, right: bool, what: str, fault: str) -> None:
        if not right:
            self.faults.append(f"{what}: {fault}")


def expected_fields(simulator: Simulator, run: datetime, settings: DwdSettings) -> Iterator[str]:
    """The archive paths of a run, by the simulator's catalogue."""
    for parameter in simulator.plan.catalogue.parameters:
        keys_of = [
            FieldKey("icon-d2", run, parameter.name, parameter.level_type, parameter.level, step, None, grid)
            for step in parameter.steps
            for grid in ("icosahedral", "regular")
        ]
        for key in keys_of:
            is_old = key.grid == "regular"
            if not is_old and settings.v1_tree:
                yield archive_path(key)
            if is_old and settings.old_tree and "regular" in parameter.grids and key.step_minutes % 60 == 0:
                yield archive_path(key)


Cell = tuple[Column, str]


def _cells(reports: Iterable[tuple[str, bytes]]) -> dict[tuple[str, datetime], set[Cell]]:
    """By station and time, the values that the server ever had, each with its column."""
    found = defaultdict[tuple[str, datetime], set[Cell]](set)
    for station, data in reports:
        for stamp, cells in _rows(data):
            found[station, stamp].update(cells)
    return found


@lru_cache(maxsize=4096)
def _rows(data: bytes) -> tuple[tuple[datetime, frozenset[Cell]], ...]:
    """Time and numbers of each row of a report, or of a day of reports."""
    return tuple((stamp, frozenset(cells.items())) for stamp, cells in table(data))


def check_days(store: Store, truth: Truth) -> None:
    """The day files are what plain rules make of the raw reports."""
    raw = [
        (raw_station(info), lz4.frame.decompress(store.get(info.key).data)) for info in store.list("raw_poi/")
    ]
    oracle = Oracle.of((station, truth.reports[station, data], data) for station, data in raw)
    days: dict[tuple[str, date], object] = {key: rows for key, rows in oracle.days.items() if rows}
    assert stored_days(store) == days


# Passes, and what they say


@dataclass
class Pass:
    """One pass of a collection over a period: what it said, and what it was asked of the server meanwhile."""

    collection: str
    period: str
    done: tuple[Done, ...]
    lines: list[str]
    raised: Exception | None
    asked: tuple[Asked, ...]

    def unnamed(self, store: Store) -> list[str]:
        """The faults that this pass met, and of which neither it nor the ledger says anything.

        One that the client's second attempt mended needs no word; nor does an answer that was right in itself.
        """
        last = {each.path: each for each in self.asked if each.method == "GET"}
        told = [*self.lines, *([str(self.raised)] if self.raised is not None else [])]
        ledgers = [ledger.read(store, self.collection, period) for period in self._periods()]
        for each in ledgers:
            told += [*each.failed, *(one.reason for one in each.failed.values()), *each.missing]
        kept = {path for each in ledgers for path in each.kept}
        for done in self.done:
            told += [*done.failed, *done.failed.values()]
        text = "\n".join(told)
        is_open = any(each.missing or each.expects_more or not each.kept for each in ledgers)
        return [
            f"{each.fault} of {path}"
            for path, each in last.items()
            if is_met(each)
            and not is_named(path, text)
            and not (each.status in {404, 412} and (is_open or (_names(path) & kept and each.status == 404)))
            and not (each.fault in QUIET and each.status == 200)
            # A slow answer is noted when it is given, which may be during a later pass.
            and each.fault is not Fault.SLOW
        ]

    def _periods(self) -> set[str]:
        return {self.period, *(done.summary.period for done in self.done)}


def is_met(asked: Asked) -> bool:
    """Whether a fault had an effect: what has no body cannot be cut, nor be another field where no other has it."""
    if asked.fault is Fault.WRONG_PARAMETER and other_parameter(CATALOGUE, asked.path) is None:
        return False
    return asked.fault is not None and asked.status != 304


QUIET = {Fault.OVERWRITTEN, Fault.OUT_OF_STEP, Fault.NO_LENGTH, Fault.GZIPPED}
"""Faults that are answers like any other: a file that is too young, or older than another, or sent in another way."""


def is_named(path: str, text: str) -> bool:
    """Whether lines name a path of the server, or that of the archive."""
    return any(name in text for name in _names(path))


def _names(path: str) -> set[str]:
    names = {path, quote(path), quote(path, safe="/@"), path.removeprefix("/")}
    if path.endswith(".kmz"):
        names.add(path.rpartition("/")[2])
    key = parse_v1(path) or parse_old(path)
    if key is not None:
        names.add(archive_path(key))
    if path.startswith(REPORTS_FOLDER) and path.endswith(".csv"):
        names.add(path.removeprefix(REPORTS_FOLDER))
    return names


@dataclass
class Staff:
    """An office at work on the server's collections, a pass at a time."""

    simulator: Simulator
    office: Office
    run_takes: timedelta = RUN_TAKES

    @property
    def collections(self) -> tuple[Collection, ...]:
        return collections(self.office.settings)

    def make_pass(self, collection: Collection, period: str, *, recheck: bool = False) -> Pass:
        lines: list[str] = []
        before = len(self.simulator.requests)
        done: tuple[Done, ...] = ()
        raised = None
        try:
            done = archived(self.office, collection, period, lines.append, recheck=recheck)
        except (StoreError, OpendataError) as fault:
            raised = fault
        return Pass(collection.name, period, done, lines, raised, self.simulator.requests[before:])

    def incomplete(self) -> list[tuple[Collection, str]]:
        """The periods of which the server has everything, and the archive not."""
        now = self.simulator.clock.now()
        return [
            (each, period)
            for each in self.collections
            for period in served(each, now, self.simulator.plan, self.run_takes)
            if ledger.read(self.office.store, each.name, period).state(now) != "complete"
        ]

    def work_off(self) -> list[str]:
        """Archive what is due as sensors do, until nothing is; the periods in that order."""
        done = []
        for collection in self.collections:
            while due := collection.due(self.office, self.simulator.clock.now(), print):
                collection.archive(self.office, due[0].period, done.append)
                done.append(f"{collection.name} {due[0].period}")
                assert len(done) < 2000, done[-10:]
        return done


def archived(
    office: Office, collection: Collection, period: str, log: Log, *, recheck: bool
) -> tuple[Done, ...]:
    """Make a pass; `recheck` asks for other versions of what is kept of a run."""
    if recheck:
        return (archive_run(office, collection.name, begin(period), log, recheck=True),)
    return tuple(collection.archive(office, period, log))


def served(
    collection: Collection, now: datetime, plan: Plan = PLAN, run_takes: timedelta = RUN_TAKES
) -> list[str]:
    """The periods that the server has whole at a time; of reports, today."""
    if collection.hours is None:
        return [f"{now:%Y%m%d}"]
    is_model = collection.name == "icon-d2"
    takes, kept = (run_takes, 3 * plan.runs_at(now)) if is_model else (ISSUE_TAKES, 48)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=kept - 1)
    times = (first + timedelta(hours=hour) for hour in range(kept))
    return [f"{time:%Y%m%d%H}" for time in times if time.hour in collection.hours and time + takes <= now]


# Disks that are full, and processes that die


class FullDisk:
    """Lets `os.write` fail from its n-th call on as it does on a full disk, half of the bytes written; so often."""

    def __init__(self, writes: int, failing: int) -> None:
        self._left, self._failing = writes, failing
        self._write = os.write
        self._lock = threading.Lock()
        self.met = 0

    def __enter__(self) -> FullDisk:
        os.write = self._full
        return self

    def __exit__(self, *_: object) -> None:
        os.write = self._write

    def _full(self, descriptor: int, data: bytes | memoryview) -> int:
        with self._lock:
            self._left -= 1
            is_full = self._left < 0 and self._failing > 0
            if is_full:
                self._failing -= 1
                self.met += 1
        if not is_full:
            return self._write(descriptor, data)
        self._write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Shrinking:
    """A store whose disk has room for so many looks, and then none."""

    def __init__(self, store: Store, looks: int) -> None:
        self._store, self._looks = store, looks

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def free_bytes(self) -> int:
        self._looks -= 1
        return 1 << 40 if self._looks >= 0 else 1000


class Exiting:
    """A store whose process ends itself at its n-th write: before that is done, or right after."""

    def __init__(self, store: Store, writes: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, writes, after
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)
        if name not in {"put", "create", "replace", "delete", "copy"}:
            return method

        def write(*arguments: object, **named: object) -> object:
            with self._lock:
                self._left -= 1
                if self._left == 0 and not self._after:
                    os._exit(EXITED)
                result = method(*arguments, **named)
                if self._left == 0:
                    os._exit(EXITED)
                return result

        return write


class FlippingRelay:
    """Passes bytes between a client and a server, and flips a bit of every n-th piece that comes from the server."""

    def __init__(self, host: str, port: int, every_piece: int) -> None:
        self._to, self._every = (host, port), every_piece
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._pieces = itertools.count(1)
        self.flips, self.flipped = True, 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._to)
                for one, other, spoil in ((client, server, bytes), (server, client, self._spoiled)):
                    threading.Thread(target=_pump, args=(one, other, spoil), daemon=True).start()

    def _spoiled(self, piece: bytes) -> bytes:
        if not self.flips or next(self._pieces) % self._every:
            return piece
        self.flipped += 1
        middle = len(piece) // 2
        return piece[:middle] + bytes([piece[middle] ^ 0x10]) + piece[middle + 1 :]


def _pump(one: socket.socket, other: socket.socket, spoil: Callable[[bytes], bytes]) -> None:
    with suppress(OSError):
        while piece := one.recv(1 << 16):
            other.sendall(spoil(piece))
    for each in (one, other):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class Nursery:
    """The program of this module, seen from the tests."""

    def __init__(self, url: str, location: str, folder: Path, environment: dict[str, str]) -> None:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.dwd_assets.fault_world", url, location],
            cwd=root,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "TMPDIR": str(folder), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def passed(self, collection: str, period: str, now: datetime, **wanted: object) -> int:
        """How a process ended that was to make a pass; `kill_after_s`: it is killed then, if it did not end before."""
        order = {"collection": collection, "period": period, "now": now.isoformat(), **wanted}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _pass(client: Client, location: str, order: dict[str, object]) -> None:
    """What a forked process does."""
    store: Store = open_store(location, os.environ.get("AWS_ENDPOINT_URL"))
    writes, mode = int(order.get("writes", 0)), order.get("mode")
    if mode == "torn":
        _tear(writes)
    elif mode is not None:
        store = Exiting(store, writes, after=mode == "after")
    now = datetime.fromisoformat(str(order["now"])).astimezone(UTC)
    settings = new_settings(client.base_url, **dict(order.get("settings", {})))
    office = Office(settings, Archive(store), client, lambda: now)
    collection = next(each for each in collections(settings) if each.name == order["collection"])
    try:
        recheck = bool(order.get("recheck"))
        archived(office, collection, str(order["period"]), lambda _: None, recheck=recheck)
    except (StoreError, OpendataError):
        pass
    finally:
        office.close()


def _tear(writes: int) -> None:
    """End this process in the middle of its n-th write."""
    left, write, lock = [writes], os.write, threading.Lock()

    def torn(descriptor: int, data: bytes | memoryview) -> int:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                write(descriptor, data[: len(data) // 2])
                os._exit(EXITED)
            return write(descriptor, data)

    os.write = torn


def main(url: str, location: str) -> None:
    """Fork for each order, and tell how the process ended."""
    load_kernels()
    client = Client(url, MANNERS)  # not connected yet: each process has its own connections
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            status = 3
            try:
                _pass(client, location, order)
                status = 0
            except BaseException:  # noqa: BLE001 - told, whatever it is
                traceback.print_exc()
            finally:
                os._exit(status)
        if "kill_after_s" in order:
            time.sleep(order["kill_after_s"])
            os.kill(child, signal.SIGKILL)  # which is there until it is waited for
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
