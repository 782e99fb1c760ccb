"""One pass over a run: fetch what is there and not kept yet, and record in the ledger how the run stands.

What belongs here: the order of a pass. What does not: which runs are due (`dwd_assets.fields.model_runs`), what is
expected (`expected`), the order of requests (`order`), what becomes of a field that came (`storing`), how the run
stands (`standing`), and which files are not what they claim (`run_identities`).
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bzip2.fast import expect as expect_packed
from dwd_assets.fields.catalogue import (
    Cataloguer,
    old_folder,
    read_catalogue,
    runs_folder,
    write_catalogue,
)
from dwd_assets.fields.constants import Constants
from dwd_assets.fields.expected import Expectations, Field, Listed, RunLister, Series, Trees
from dwd_assets.fields.history import RunHistory, read_history, series_of, update_history
from dwd_assets.fields.identity import FieldIdentities
from dwd_assets.fields.order import StepOrder
from dwd_assets.fields.retention import Retention, write_retention
from dwd_assets.fields.run_identities import Unfit, learned_after, settled
from dwd_assets.fields.standing import GROWN, Standing, is_served
from dwd_assets.fields.storing import LONGEST_FIELD, Fetched, Keeper
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey, Grid
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.opendata.addresses import NWP
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_each
from dwd_assets.opendata.folders import Lister
from dwd_assets.opendata.messages import UNKNOWN, Request, Version
from dwd_assets.opendata.settling import SETTLE
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import Done, Recorder
from dwd_assets.selection import Selection
from store.dwd import ledger
from store.dwd.ledger import Failed, Kept, Ledger
from store.objects import StoreError

_SPARE_THREADS = 4
"""Beyond one for each connection: while these unpack and write, all connections are in use."""

_FLOOR_EVERY = 64
"""How many files are asked for between two looks at the free space."""

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
    faults: dict[str, None] = field(default_factory=dict)
    """What could not be read or listed, in the order in which it was met."""


class RunPass:
    """A pass over a run of which `before` is the ledger; `wanted` is what is fetched, where not all that is due."""

    def __init__(
        self,
        office: Office,
        before: Ledger,
        run: datetime,
        retention: Retention,
        log: Log,
        wanted: Selection | None,
    ) -> None:
        settings = office.settings
        self._office, self._run, self._log = office, run, log
        self._retention = retention
        self._model = before.collection
        self._before = before
        self._kept: dict[str, Kept] = dict(before.kept)
        selected = settings.selection.of_model(self._model)
        self._wanted = selected if wanted is None else wanted.of_model(self._model).with_needs()
        standing = selected if selected.rows else self._wanted
        self._trees = Trees(settings.v1_tree, settings.old_tree)
        self._lister = Lister(office.client)
        both = Selection(tuple(dict.fromkeys(standing.rows + self._wanted.rows)))
        self._cataloguer = Cataloguer(self._lister, both, self._report)
        self._constants = Constants(office.archive, self._model, pointers=settings.constants_as_pointers)
        self._tally = _Tally()
        self._stopped: StoreError | None = None
        history = read_history(office.store, self._model)
        self._identities = FieldIdentities(dict(history.fields))
        self._standing = Standing(
            office,
            run,
            retention.deadline(run),
            before,
            standing,
            Expectations(RunHistory(history, run), self._trees),
            self._cataloguer,
            read_catalogue(office.store, self._model),
        )

    def go(self, *, recheck: bool, also: Iterable[str]) -> Done:
        """Do it. Raises `StoreError` (`BelowFloor` among them) after recording what could be recorded."""
        started = time.monotonic()
        if self._trees.old and not self._kept:
            expect_packed(_FIRST_PASS_BYTES)
        self._update_catalogue(again=False)
        self._ask_retention()
        with Recorder(self._office.store, self._model, self._before.period) as recorder:
            self._list_unknown()
            self._fetch_unkept(recorder)
            if self._standing.has_ended(self._kept) and self._update_catalogue(again=True):
                self._fetch_unkept(recorder)
            self._look_for_old_tree()
            if not self._is_narrowed and self._standing.is_to_be_listed(self._kept):
                self._list(self._standing.series_to_list(self._kept), is_all=True)
                self._fetch_listed(recorder)
            if recheck:
                self._fetch_trees(self._known(), recorder)
            self._fetch_trees(self._named(also), recorder)
            self._settle(recorder)
            self._notice_old_tree()
            self._standing.notice(self._lister.unread, self._report)
            faults = tuple(self._tally.faults)
            told = recorder.tell(lambda known: self._standing.concluded(known, faults))
        self._constants.tell()
        self._learn(told)
        if self._stopped is not None:
            raise self._stopped
        return self._done(ledger.summary(told), time.monotonic() - started)

    def _report(self, line: str) -> None:
        """Note something that could not be read or listed."""
        if line not in self._tally.faults:
            self._tally.faults[line] = None
            self._log(line)

    # What there is to fetch

    @property
    def _is_narrowed(self) -> bool:
        """Whether only some of what is due is asked for."""
        return self._wanted != self._standing.selection

    def _asked(self) -> list[Field]:
        """The fields to be asked for whether they are expected or may be there."""
        standing = self._standing
        expected = standing.fields(self._wanted) if self._is_narrowed else standing.expected
        may_be = standing.candidates(self._wanted)
        paths = {each.path for each in expected}
        return [*expected, *(each for each in may_be if each.path not in paths)]

    def _unkept(self) -> list[Field]:
        failed = self._before.failed
        return [
            each
            for each in self._asked()
            if not is_served(self._kept.get(each.path))
            or (each.path in failed and self._kept.get(each.path) == self._before.kept.get(each.path))
        ]

    def _known(self) -> list[Field]:
        """The fields that came from the server before this pass."""
        return self._of_paths(path for path, kept in self._before.kept.items() if kept.source)

    def _named(self, paths: Iterable[str]) -> list[Field]:
        """The fields of these archive paths, that did not come in this pass."""
        return self._of_paths(path for path in paths if self._kept.get(path) == self._before.kept.get(path))

    def _of_paths(self, paths: Iterable[str]) -> list[Field]:
        folders = self._standing.catalogue.folders
        keys = ((path, parse_archive_path(path)) for path in paths)
        return [
            Field(key, path, folders.get(key.parameter))
            for path, key in keys
            if isinstance(key, FieldKey) and self._is_followed(key)
        ]

    def _is_followed(self, key: FieldKey) -> bool:
        return self._trees.old if key.grid == "regular" else self._trees.v1

    # What the server lists

    @property
    def _nameless(self) -> int:
        """How many rows of listings had no name that could be read."""
        return len(self._lister.nameless)

    def _update_catalogue(self, *, again: bool) -> bool:
        """Look for what the catalogue does not have yet; whether it has more then.

        `again`: names are listed again, unless that was done since the run's newest file is there.
        """
        before, now = self._standing.catalogue, self._office.clock()
        after, nameless = before, self._nameless
        due = self._standing.newest_change(self._kept) if again else None
        if self._trees.v1:
            if _is_older(before.v1_looked_at, due):
                after = self._cataloguer.v1_looked(after, self._run, now)
            else:
                after = self._cataloguer.v1_listed(after)
        if self._trees.old and _is_older(before.old_looked_at, due):
            after = self._cataloguer.old_looked(after, self._run, now)
        if self._nameless > nameless:  # not kept, so that the next pass looks again
            self._standing.catalogue = after
        elif after != before:
            write_catalogue(self._office.store, after)
            self._standing.catalogue = after
        return (after.v1, after.old) != (before.v1, before.old)

    def _ask_retention(self) -> None:
        """Ask how many runs the server keeps, if it is time to."""
        now = self._office.clock()
        folder = runs_folder(self._standing.catalogue) if self._trees.v1 else None
        if folder is None or not self._retention.is_to_be_asked(now):
            return
        try:
            runs = self._lister.folders(folder)
        except (OpendataError, FormatError) as fault:
            self._report(f"{self._model}: how many runs the server keeps is not known: {fault}")
            return
        retention = self._retention.listed(len(runs), now)
        if retention != self._retention:
            write_retention(self._office.store, retention)
            if retention.runs != self._retention.runs:
                self._log(f"{self._model}: the server keeps {retention.runs} runs")
            self._retention = retention
            self._standing.deadline = retention.deadline(self._run)

    def _list_unknown(self) -> None:
        """List what nothing is known of, neither by earlier runs nor by a listing of this one."""
        self._list(self._standing.unknown_series(self._wanted, self._kept), is_all=False)

    def _list(self, series: list[Series], *, is_all: bool) -> None:
        """Take in what the server's own folders of the run show."""
        if not (series or is_all):
            return
        started, catalogue = self._office.clock(), self._standing.catalogue
        lister = RunLister(self._lister, catalogue, self._report, self._office.settings.connections)
        listed = lister.listed(
            (each.key for each in series), self._draw(), has_started=any(map(is_served, self._kept.values()))
        )
        for address in listed.unknown:
            self._report(f"{self._model}: no key stands for {address}")
        series = [each for each in series if each.key not in listed.skipped]
        if hidden := self._hidden(series, listed):
            for key in hidden:
                self._report(f"{self._model}: files that are kept are not listed in {lister.folder(key)}")
            listed = replace(listed, unread=(*listed.unread, *hidden))
        if started >= self._standing.deadline and (late := _unproven(series, listed)):
            self._report(
                f"{self._model}: the run was listed when the server may have deleted some of it, so that "
                f"what is not in {len(late)} folders may have been there, such as {lister.folder(late[0])}"
            )
            listed = replace(listed, unread=(*listed.unread, *late))
        self._standing.take_listing(series, listed, started, is_all=is_all)

    def _hidden(self, series: list[Series], listed: Listed) -> list[FieldKey]:
        """Parameters and levels of which something came before that is not listed: by a server that is behind."""
        standing = self._standing
        fields = (*standing.expected, *standing.candidates(standing.selection))
        came = {each.key for each in fields if is_served(self._kept.get(each.path))}
        gone = {series_of(key) for key in came.difference(listed.keys)}
        hidden = [
            each.key for each in series if series_of(each.key) in gone and each.key not in listed.unread
        ]
        if any(key.grid == "regular" for key in hidden) and self._trees.v1:
            self._find_old_tree()
        return [key for key in hidden if key.grid != "regular" or not self._standing.old_is_gone]

    # Fetching

    def _fetch_unkept(self, recorder: Recorder) -> None:
        """What is recorded while fields come must not look whole: what is expected is missing from the start."""
        self._fetch_expected(self._unkept(), recorder)

    def _fetch_listed(self, recorder: Recorder) -> None:
        """What was listed just now: a step that is not there must not keep back those after it."""
        self._fetch_expected([each for each in self._unkept() if self._standing.is_listed(each)], recorder)

    def _fetch_expected(self, fields: list[Field], recorder: Recorder) -> None:
        if fields:
            recorder.tell(self._standing.opened)
        self._fetch_trees(fields, recorder)

    def _fetch_trees(self, fields: list[Field], recorder: Recorder) -> None:
        """Each tree by itself: how far one has come says nothing of the other."""
        for grid in _GRIDS:
            self._fetch([each for each in fields if each.key.grid == grid], grid, recorder)

    def _fetch(self, fields: list[Field], grid: Grid, recorder: Recorder) -> None:
        if not fields:
            return
        office = self._office
        order = StepOrder(fields, self._draw(), self._standing.passed_step(self._kept, grid))
        keeper = Keeper(office, self._constants, self._identities, self._before.kept)
        asked: dict[str, Field] = {}

        def next_wanted() -> Wanted | None:
            following = order.next() if self._goes_on() else None
            if following is None:
                return None
            asked[following.address] = following
            self._tally.asked += 1
            return Wanted(self._request(following), self._standing.deadline)

        def handle(outcome: Outcome) -> Fetched:
            return keeper.handle(asked[outcome.wanted.request.path], outcome.result)

        at_once = office.settings.connections + _SPARE_THREADS
        for fetched in fetch_each(office.client, next_wanted, handle, at_once=at_once):
            self._take(fetched, order, recorder)

    def _draw(self) -> random.Random:
        """Chance that differs from pass to pass, and is the same where a pass is played again."""
        return random.Random(self._office.clock().isoformat())

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
        if kept is not None and kept.source is not None and wanted.path in self._kept:
            known = Version(kept.source.etag, kept.source.modified)
        elif failed is not None and failed.etag is not None and not self._is_to_be_retried(failed):
            known = Version(failed.etag)
        now = self._office.clock()
        # Late in a run the server's own clock may be what is wrong: then its date is not asked about.
        is_settled_since = now - SETTLE if now < self._run + GROWN else None
        return Request(
            wanted.address, known=known, limit_bytes=LONGEST_FIELD, unchanged_since=is_settled_since
        )

    def _is_to_be_retried(self, failed: Failed) -> bool:
        return self._office.clock() - failed.at >= timedelta(
            minutes=self._office.settings.fields_retry_minutes
        )

    def _take(self, fetched: Fetched, order: StepOrder, recorder: Recorder) -> None:
        """Record what became of a field."""
        key, path = fetched.field.key, fetched.field.path
        self._tally.bytes += fetched.bytes
        if fetched.absent:
            order.absent(key)
            if fetched.is_young and path in self._kept:
                self._log(f"{path}: another version came to the server a moment ago; the earlier one is kept")
                self._standing.replaced.append(path)
            return
        if fetched.failed is not None:
            order.failed(key, by_server=fetched.by_server)
            self._fail(path, fetched.failed, recorder)
            return
        order.came(key, fetched.age)
        if fetched.fault is not None:
            self._stopped = self._stopped or fetched.fault
        elif fetched.kept is not None:
            self._keep(path, fetched.kept, key)
            recorder.kept(path, fetched.kept)
        elif path in self._kept and path in self._before.failed:
            recorder.kept(path, self._kept[path])  # what is kept is what the server has

    def _fail(self, path: str, failed: Failed, recorder: Recorder) -> None:
        self._tally.failed[path] = failed.reason
        self._log(f"{path}: {failed.reason}")
        recorder.failed(path, failed)

    def _keep(self, path: str, kept: Kept, key: FieldKey) -> None:
        before = self._kept.get(path)
        self._tally.fetched += 1
        self._tally.changed += before is not None and before.earlier != kept.earlier
        self._tally.came[key.grid] += 1
        self._tally.failed.pop(path, None)
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
            faults=tuple(tally.faults),
        )

    # What came to light

    def _settle(self, recorder: Recorder) -> None:
        """Put right what the fields of the run, taken together, show not to be what they claim."""
        found = settled(self._run, self._standing.expected, self._kept, self._identities)
        for each in found.unfit:
            self._put_aside(each, recorder)
        if found.again:
            paths = frozenset(found.again)
            self._fetch_trees([each for each in self._asked() if each.path in paths], recorder)

    def _put_aside(self, unfit: Unfit, recorder: Recorder) -> None:
        """Take a file away from its path, which it should not have got."""
        self._office.archive.move_beside(unfit.path)
        kept = self._kept.pop(unfit.path)
        etag = None if kept.source is None else kept.source.etag
        self._tally.failed[unfit.path] = unfit.reason
        self._log(f"{unfit.path}: {unfit.reason}")
        recorder.unfit(unfit.path, Failed(unfit.reason, self._office.clock(), etag=etag))

    def _learn(self, told: Ledger) -> None:
        """Remember what the fields are, and, of a run that is whole, what it had."""
        is_whole = _is_seen_whole(told)
        expected = {each.path: each.key for each in self._standing.expected}
        fields = [key for path, key in expected.items() if is_served(told.kept.get(path))]
        if is_whole:  # what nobody expected, and came by a list of all files, is expected from now on
            others = self._of_paths(
                path for path, kept in told.kept.items() if path not in expected and is_served(kept)
            )
            fields += [each.key for each in others if self._standing.selection.takes(each.key)]
        selection = self._standing.selection
        update_history(
            self._office.store,
            self._model,
            lambda before: learned_after(
                before, self._run, fields, selection, self._identities, is_whole=is_whole
            ),
        )

    def _look_for_old_tree(self) -> None:
        """Where nothing came of the old tree and the other one is followed too: whether it is still there."""
        is_asked = self._trees.old and self._trees.v1 and not self._tally.came["regular"]
        if not is_asked or self._stopped is not None:
            return
        is_known = self._standing.catalogue.old_looked_at is not None
        if not is_known or any(each.key.grid == "regular" for each in self._standing.missing(self._kept)):
            self._find_old_tree()

    def _find_old_tree(self) -> None:
        """Ask whether the old tree has anything at all."""
        folders = (old_folder(self._model, self._run), f"{NWP}/{self._model}/grib/")
        try:
            is_there = any(self._lister.entries(folder) for folder in folders)
            # A server that has nothing at all just now says nothing of that tree.
            self._standing.old_is_gone = not is_there and bool(self._lister.entries(f"{NWP}/"))
        except (OpendataError, FormatError) as fault:
            self._report(f"{self._model}: whether the old tree is there is not known: {fault}")

    def _notice_old_tree(self) -> None:
        """A tree that is followed, of which nothing was ever listed, and that did not end."""
        standing = self._standing
        if self._trees.old and standing.catalogue.old_looked_at is None and not standing.old_is_gone:
            self._report(
                f"{self._model}: the server lists nothing of {old_folder(self._model, self._run)} so far"
            )


def _unproven(series: list[Series], listed: Listed) -> list[FieldKey]:
    """The parameters and levels that may have had more than a listing shows that was made while a run is deleted.

    That is where it shows nothing, and where no earlier run says how much there was; without those not read anyway.
    """
    shown, unread = {series_of(key) for key in listed.keys}, set(listed.unread)
    return [
        each.key
        for each in series
        if each.key not in unread
        and (
            series_of(each.key) not in shown or not (each.is_known or each.key.level_type == "time-invariant")
        )
    ]


def _is_seen_whole(told: Ledger) -> bool:
    """Whether all that the server has of a run is kept, by its own listing where more was expected."""
    is_settled = not (told.expects_more or told.failed)
    return is_settled and bool(told.kept) and told.never_seen.issuperset(told.missing)


def _is_older(looked_at: datetime | None, due: datetime | None) -> bool:
    return looked_at is None or (due is not None and looked_at < due)
