"""One pass over a run: fetch what is there and not kept yet, and tell the ledger how the run stands.

What belongs here: the order of a pass, and what the ledger says of a run as a whole. What does not: which runs are
due (`dwd_assets.model_runs`), what is expected (`run_fields`), the order of requests (`run_order`), and what becomes
of a field that came (`field_keeping`).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import msgspec

from bzip2.fast import expect as expect_packed
from dwd_assets.constants import Constants
from dwd_assets.field_checks import ALL_MISSING
from dwd_assets.field_keeping import LONGEST_FIELD, Fetched, Keeper
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, Grid
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.model_catalogue import (
    Cataloguer,
    Lister,
    ModelCatalogue,
    gone_parameters,
    old_folder,
    read_catalogue,
    write_catalogue,
)
from dwd_assets.office import Log, Office
from dwd_assets.opendata.addresses import NWP
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_each
from dwd_assets.opendata.messages import UNKNOWN, Request, Version
from dwd_assets.opendata.settling import SETTLE
from dwd_assets.progress import GRACE, Done, Recorder, standing_warnings
from dwd_assets.run_fields import Expectations, Field, Trees, is_computed, twin
from dwd_assets.run_order import StepOrder
from dwd_assets.selection import Selection
from store import ledger
from store.ledger import Failed, Kept, Ledger
from store.objects import StoreError

GROWN = timedelta(hours=3)
"""A run whose steps are not known beforehand is whole when so long nothing changed."""

_SPARE_THREADS = 4
"""Beyond one for each connection: while these unpack and write, all connections are in use."""

_FLOOR_EVERY = 64
"""How many files are asked for between two looks at the free space."""

_DAY = timedelta(days=1)
_FIRST_PASS_BYTES = 64 << 20
"""About what the first hour of a run comes to in the old tree."""

_GRIDS: tuple[Grid, ...] = ("icosahedral", "regular")


@dataclass
class _Tally:
    """What a pass came to so far."""

    fetched: int = 0
    changed: int = 0
    bytes: int = 0
    asked: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    came: Counter[str] = field(default_factory=Counter)
    """By grid."""


class RunPass:
    """A pass over a run of which `before` is the ledger; `wanted` is what is fetched, where not all that is due."""

    def __init__(
        self,
        office: Office,
        before: Ledger,
        run: datetime,
        deadline: datetime,
        log: Log,
        wanted: Selection | None,
    ) -> None:
        settings = office.settings
        self._office, self._run, self._deadline, self._log = office, run, deadline, log
        self._model = before.collection
        self._before = before
        self._kept: dict[str, Kept] = dict(before.kept)
        standing = settings.selection.of_model(self._model)
        self._wanted = standing if wanted is None else wanted.of_model(self._model)
        self._standing = standing if standing.rows else self._wanted
        self._trees = Trees(settings.v1_tree, settings.old_tree)
        self._lister = Lister(office.client)
        both = Selection(tuple(dict.fromkeys(self._standing.rows + self._wanted.rows)))
        self._cataloguer = Cataloguer(self._lister, both, log)
        self._expectations = Expectations(self._lister, log, self._trees)
        self._constants = Constants(office.archive, self._model, pointers=settings.constants_as_pointers)
        self._catalogue = ModelCatalogue(self._model)
        self._tally = _Tally()
        self._stopped: StoreError | None = None
        self._old_is_gone = False
        self._asked_for = set(before.missing)

    def go(self, *, recheck: bool, also: Iterable[str]) -> Done:
        """Do it. Raises `StoreError` (`BelowFloor` among them) after telling the ledger what could be told."""
        started = time.monotonic()
        if self._trees.old and not self._kept:
            expect_packed(_FIRST_PASS_BYTES)
        self._catalogue = read_catalogue(self._office.store, self._model)
        self._update_catalogue(again=False)
        with Recorder(self._office.store, self._model, self._before.period) as recorder:
            self._fetch_unkept(recorder)
            if self._has_ended() and self._update_catalogue(again=True):
                self._fetch_unkept(recorder)
            if recheck:
                self._fetch_trees(self._known(), recorder)
            self._fetch_trees(self._named(also), recorder)
            self._look_for_old_tree()
            told = recorder.tell(self._concluded)
        self._constants.tell()
        if self._stopped is not None:
            raise self._stopped
        return self._done(ledger.summary(told), time.monotonic() - started)

    # What there is to fetch

    @cached_property
    def _expected(self) -> tuple[Field, ...]:
        return self._expectations.of(self._catalogue, self._run, self._standing)

    def _unkept(self) -> list[Field]:
        if self._wanted == self._standing:
            asked = self._expected
        else:
            asked = self._expectations.of(self._catalogue, self._run, self._wanted)
        return [each for each in asked if not _is_served(self._kept.get(each.path))]

    def _known(self) -> list[Field]:
        """The fields that came from the server before this pass."""
        came = ((path, parse_archive_path(path)) for path, kept in self._before.kept.items() if kept.source)
        return [
            Field(key, path) for path, key in came if isinstance(key, FieldKey) and self._is_followed(key)
        ]

    def _named(self, paths: Iterable[str]) -> list[Field]:
        """The fields of these archive paths, that did not come in this pass."""
        keys = ((path, parse_archive_path(path)) for path in paths)
        return [
            Field(key, path)
            for path, key in keys
            if isinstance(key, FieldKey) and self._kept.get(path) == self._before.kept.get(path)
        ]

    def _is_followed(self, key: FieldKey) -> bool:
        return self._trees.old if key.grid == "regular" else self._trees.v1

    def _update_catalogue(self, *, again: bool) -> bool:
        """Look for what the catalogue does not have yet, and tell whether it has more then.

        `again`: names are listed anew, unless that was done since the run's newest file is there.
        """
        before, now = self._catalogue, self._office.clock()
        after = before
        due = self._newest_change() if again else None
        if self._trees.v1:
            if _is_older(before.v1_looked_at, due):
                after = self._cataloguer.v1_looked(after, self._run, now)
            else:
                after = self._cataloguer.v1_listed(after)
        if self._trees.old and _is_older(before.old_looked_at, due):
            after = self._cataloguer.old_looked(after, self._run, now)
        if after != before:
            write_catalogue(self._office.store, after)
            self._catalogue = after
            self.__dict__.pop("_expected", None)
        return (after.v1, after.old) != (before.v1, before.old)

    # Fetching

    def _fetch_unkept(self, recorder: Recorder) -> None:
        """What is told while fields come must not look whole: what is expected is missing from the start."""
        fields = self._unkept()
        if fields:
            recorder.tell(self._opened)
        self._fetch_trees(fields, recorder)

    def _fetch_trees(self, fields: list[Field], recorder: Recorder) -> None:
        """Each tree by itself: how far one has come tells nothing of the other."""
        for grid in _GRIDS:
            self._fetch([each for each in fields if each.key.grid == grid], grid, recorder)

    def _fetch(self, fields: list[Field], grid: Grid, recorder: Recorder) -> None:
        office = self._office
        kept = (each.key for each in self._expected if each.key.grid == grid and each.path in self._kept)
        latest = max((key.step_minutes for key in kept if key.level_type != "time-invariant"), default=-1)
        order = StepOrder(fields, random.Random(office.clock().isoformat()), latest)
        keeper = Keeper(office, self._constants, self._before.kept)
        asked: dict[str, Field] = {}

        def next_wanted() -> Wanted | None:
            following = order.next() if self._goes_on() else None
            if following is None:
                return None
            asked[following.address] = following
            self._tally.asked += 1
            return Wanted(self._request(following), self._deadline)

        def handle(outcome: Outcome) -> Fetched:
            return keeper.handle(asked[outcome.wanted.request.path], outcome.result)

        at_once = office.settings.connections + _SPARE_THREADS
        for fetched in fetch_each(office.client, next_wanted, handle, at_once=at_once):
            self._tell(fetched, order, recorder)

    def _goes_on(self) -> bool:
        """Whether the store takes more."""
        if self._stopped is None and self._tally.asked % _FLOOR_EVERY == 0:
            try:
                self._office.archive.check_floor()
            except StoreError as fault:
                self._stopped = fault
        return self._stopped is None

    def _request(self, wanted: Field) -> Request:
        """A version that is kept, or that was bad a moment ago, need not come again."""
        known = UNKNOWN
        kept, failed = self._before.kept.get(wanted.path), self._before.failed.get(wanted.path)
        if kept is not None and kept.source is not None:
            known = Version(kept.source.etag, kept.source.modified)
        elif failed is not None and failed.etag is not None and not self._is_to_be_retried(failed):
            known = Version(failed.etag)
        now = self._office.clock()
        # Late in a run the server's own clock may be what is wrong: then its date is not asked about.
        settled = now - SETTLE if now < self._run + GROWN else None
        return Request(wanted.address, known=known, limit_bytes=LONGEST_FIELD, unchanged_since=settled)

    def _is_to_be_retried(self, failed: Failed) -> bool:
        return self._office.clock() - failed.at >= timedelta(
            minutes=self._office.settings.fields_retry_minutes
        )

    def _tell(self, fetched: Fetched, order: StepOrder, recorder: Recorder) -> None:
        """Tell all who need to know of a field."""
        key, path = fetched.field.key, fetched.field.path
        self._tally.bytes += fetched.bytes
        if fetched.absent:
            order.absent(key)
            return
        if fetched.failed is not None:
            order.failed(key, by_server=fetched.by_server)
            self._tally.failed[path] = fetched.failed.reason
            self._log(f"{path}: {fetched.failed.reason}")
            recorder.failed(path, fetched.failed)
            return
        order.came(key, fetched.age)
        if fetched.fault is not None:
            self._stopped = self._stopped or fetched.fault
        elif fetched.kept is not None:
            self._keep(path, fetched.kept, key)
            recorder.kept(path, fetched.kept)

    def _keep(self, path: str, kept: Kept, key: FieldKey) -> None:
        before = self._kept.get(path)
        self._tally.fetched += 1
        self._tally.changed += before is not None and before.earlier != kept.earlier
        self._tally.came[key.grid] += 1
        self._kept[path] = kept

    def _done(self, summary: ledger.Summary, seconds: float) -> Done:
        tally = self._tally
        return Done(
            summary=summary,
            fetched=tally.fetched,
            changed=tally.changed,
            bytes_fetched=tally.bytes,
            requests=tally.asked + self._lister.requests,
            seconds=seconds,
            failed=tally.failed,
        )

    # How the run stands

    def _has_ended(self) -> bool:
        """Whether the last of what is expected is there: any field of the last step, of any tree."""
        if not is_computed(self._model):
            return not self._missing(self._kept) and not self._grows(self._kept)
        last = max((each.key.step_minutes for each in self._expected), default=0)
        return any(each.path in self._kept for each in self._expected if each.key.step_minutes == last)

    def _missing(self, kept: dict[str, Kept]) -> tuple[Field, ...]:
        return tuple(
            each
            for each in self._expected
            if not _is_served(kept.get(each.path)) and not self._is_replaced(each, kept)
        )

    def _is_replaced(self, each: Field, kept: dict[str, Kept]) -> bool:
        """Whether a field that cannot come any more, its tree being gone, is kept on the other grid."""
        return self._old_is_gone and each.key.grid == "regular" and archive_path(twin(each.key)) in kept

    def _look_for_old_tree(self) -> None:
        """Where nothing came of the old tree and the other one is followed too: whether it is still there."""
        if (
            not (self._trees.old and self._trees.v1)
            or self._tally.came["regular"]
            or self._stopped is not None
        ):
            return
        is_known = self._catalogue.old_looked_at is not None
        if is_known and all(each.key.grid != "regular" for each in self._missing(self._kept)):
            return
        folders = (old_folder(self._model, self._run), f"{NWP}/{self._model}/grib/")
        try:
            is_there = any(self._lister.entries(folder) for folder in folders)
            # A server that has nothing at all just now tells nothing of that tree.
            self._old_is_gone = not is_there and bool(self._lister.entries(f"{NWP}/"))
        except (OpendataError, FormatError) as fault:
            self._log(f"{self._model}: nobody can tell whether the old tree is there: {fault}")

    def _grows(self, kept: dict[str, Kept]) -> bool:
        """Whether more may be expected later than is now."""
        if not is_computed(self._model):
            return not (self._expectations.listed_all and self._expected and self._is_grown(kept))
        catalogue = self._catalogue
        return (
            (self._trees.v1 and not catalogue.v1)
            or (self._trees.old and catalogue.old_looked_at is None and not self._old_is_gone)
            or self._cataloguer.lacks(catalogue)
        )

    def _is_grown(self, kept: dict[str, Kept]) -> bool:
        """Whether a run whose steps are listed is as the same hour's of the day before, or long unchanged."""
        newest = self._newest_change()
        if newest is not None and self._office.clock() - newest >= GROWN:
            return True
        earlier = ledger.read(self._office.store, self._model, run_text(self._run - _DAY))
        if earlier.state(self._office.clock()) != "complete":
            return False
        return _shape(earlier.kept) == _shape(kept)

    def _newest_change(self) -> datetime | None:
        sources = (kept.source for kept in self._kept.values() if kept.source is not None)
        return max((source.modified for source in sources if source.modified is not None), default=None)

    def _opened(self, before: Ledger) -> Ledger:
        """The ledger while fields come."""
        return msgspec.structs.replace(
            before,
            deadline=self._deadline,
            given_up=self._deadline + GRACE,
            expects_more=self._grows(before.kept),
            missing=self._told_missing(before, self._missing(before.kept)),
        )

    def _concluded(self, before: Ledger) -> Ledger:
        missing = self._missing(before.kept)
        return msgspec.structs.replace(
            before,
            looked_at=self._office.clock(),
            deadline=self._deadline,
            given_up=self._deadline + GRACE,
            expects_more=self._grows(before.kept),
            missing=self._told_missing(before, missing),
            warnings=(*standing_warnings(before), *self._warnings(before.kept, missing)),
        )

    def _told_missing(self, told: Ledger, missing: tuple[Field, ...]) -> tuple[str, ...]:
        """What is missing by this pass, and what another one, with a later catalogue, found missing meanwhile."""
        own = tuple(each.path for each in missing)
        self._asked_for.update(own, (each.path for each in self._expected))
        return (*own, *(path for path in told.missing if path not in self._asked_for))

    def _warnings(self, kept: dict[str, Kept], missing: tuple[Field, ...]) -> Iterator[str]:
        for name in sorted(gone_parameters(self._catalogue.gone, self._run)):
            if self._standing.takes_parameter(self._model, name):
                yield f"{name}: the server does not list it any more"
        if self._has_ended():
            yield from _vanished(self._expected, missing)
        yield from _all_missing(kept)
        replaced = sum(self._is_replaced(each, kept) for each in self._expected if each.path not in kept)
        if replaced:
            yield f"the old tree is gone: {replaced} fields are kept on the icosahedral grid alone"


def _is_served(kept: Kept | None) -> bool:
    """Whether a file came from the server; one that was made here does not stand for it."""
    return kept is not None and not kept.made_from


def _vanished(expected: tuple[Field, ...], missing: tuple[Field, ...]) -> Iterator[str]:
    """A line for each parameter of which a run that has come to its end has nothing."""
    count = Counter((each.key.parameter, each.key.grid) for each in expected)
    lacking = Counter((each.key.parameter, each.key.grid) for each in missing)
    for parameter, grid in sorted(count):
        number = count[parameter, grid]
        if lacking[parameter, grid] == number:
            yield f"{parameter}: none of its {number} {grid} fields came"


def _all_missing(kept: dict[str, Kept]) -> Iterator[str]:
    """A line for each parameter that has fields without any value."""
    empty = Counter(path.split("/")[-2] for path, each in kept.items() if ALL_MISSING in each.notes)
    for parameter in sorted(empty):
        yield f"{parameter}: {ALL_MISSING} in {empty[parameter]} fields"


def _shape(kept: dict[str, Kept]) -> frozenset[FieldKey]:
    """The fields of a run, apart from when it was."""
    keys = (parse_archive_path(path) for path in kept)
    return frozenset(replace(key, run=datetime.min) for key in keys if isinstance(key, FieldKey))


def _is_older(looked_at: datetime | None, due: datetime | None) -> bool:
    return looked_at is None or (due is not None and looked_at < due)
