"""How a run stands: what is expected of it, what is missing, whether that is known to be all.

A run is complete when all that earlier runs of its hour had is kept, the server's own listing, made when nothing had
come for a while, shows nothing else, and what its fields need to be read is there. One of an hour of which no run was
seen whole is not verified until nothing changed for hours.

What belongs here: judging a run. What does not: fetching (`dwd_assets.fields.run_pass`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from dwd_assets.fields.catalogue import Cataloguer, ModelCatalogue, gone_parameters
from dwd_assets.fields.expected import Expectations, Field, Listed, Series, twin
from dwd_assets.fields.history import series_of
from dwd_assets.fields.selection_check import unmatched
from dwd_assets.fields.verification import ALL_MISSING, MANY_MESSAGES
from dwd_assets.formats.fields import FieldKey, Grid
from dwd_assets.formats.paths import archive_path, parse_archive_path
from dwd_assets.opendata.listing import UnreadRow
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import GRACE, standing_warnings, unread_warnings
from dwd_assets.selection import HEIGHTS, POSITIONS, Selection
from store.dwd.ledger import Failed, Kept, Ledger

QUIET = timedelta(minutes=10)
"""When so long nothing new came, a listing of a run shows all that it has, as far as earlier runs say that it ended."""

GROWN = timedelta(hours=3)
"""When so long nothing changed, a run is whole, whatever earlier runs had."""

_LIST_AGAIN = timedelta(minutes=45)
"""A run that grows, and of which only its own listing is known, is listed so long after its start, and after twice
that time, four times, and so on.
"""

_UNLISTED_AGAIN = timedelta(minutes=20)
"""What of a run could not be listed for long is listed again so long after its newest file, after twice that time, and
so on, and a last time so long before the server deletes it.
"""

_FREE_LISTINGS, _FREE_ROUNDS = 0.05, 3
"""Until a run's listings are such a share of its files, or as many as it takes to list all of it so often, each pass
lists again what of it could not be listed.
"""

_NAMED = 5

UNVERIFIED = "not verified:"
"""How the warning begins of a run of whose hour no run was seen whole yet."""


@dataclass
class _Fresh:
    """What one pass listed: which series, what they have, since when, and which of them could not be read."""

    series: set[str] = field(default_factory=set)
    keys: set[FieldKey] = field(default_factory=set)
    at: datetime | None = None
    unread: set[str] = field(default_factory=set)

    def add(self, series: Iterable[str], listed: Listed, at: datetime) -> None:
        """Take in a listing."""
        self.series.update(series)
        self.keys.update(listed.keys)
        self.at = self.at or at
        self.unread.update(series_of(key) for key in listed.unread)


@dataclass
class Standing:
    """What is known of one run during a pass. `catalogue` is replaced when more is known."""

    office: Office
    run: datetime
    deadline: datetime
    before: Ledger
    selection: Selection
    expectations: Expectations
    cataloguer: Cataloguer
    _catalogue: ModelCatalogue
    old_is_gone: bool = False
    replaced: list[str] = field(default_factory=list)
    """Kept files of which the server has another version, too young to be trusted."""

    _listed: dict[FieldKey, None] = field(init=False)
    _last_listing: tuple[datetime | None, str] = field(init=False)
    """When all of the run was listed last, and which series that was."""

    _unlisted: frozenset[str] = field(init=False)
    """The series that the last listing of all should have had, and that could not be listed or read since."""

    _listings: int = field(init=False)
    _expected: tuple[Field, ...] | None = None
    _series_digest: str | None = None
    _asked_for: set[str] = field(init=False)
    _unseen: frozenset[str] = frozenset()
    _has_unread: bool = False
    _fresh: _Fresh = field(default_factory=_Fresh)

    def __post_init__(self) -> None:
        known = (parse_archive_path(path) for path in self.before.missing)
        self._listed = dict.fromkeys(key for key in known if isinstance(key, FieldKey))
        self._last_listing = (self.before.listed_at, self.before.listed_series)
        self._unlisted = frozenset(self.before.unlisted)
        self._listings = self.before.listings
        self._asked_for = set(self.before.missing)

    @property
    def catalogue(self) -> ModelCatalogue:
        """What the model has on the server."""
        return self._catalogue

    @catalogue.setter
    def catalogue(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue
        self._expected = self._series_digest = None

    @property
    def _series(self) -> str:
        """A digest of the names of all series that are wanted of the run, each with the hours that are wanted of it."""
        if self._series_digest is None:
            wanted = sorted(
                f"{series_of(each.key)} {self.selection.hours_of(each.key)}"
                for each in self.expectations.series(self._catalogue, self.selection)
            )
            self._series_digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
        return self._series_digest

    @property
    def _listed_at(self) -> datetime | None:
        """When all of the run was listed last; None if more is wanted of it by now than was looked for then."""
        at, series = self._last_listing
        return at if series == self._series else None

    @property
    def _was_seen_whole(self) -> bool:
        """Whether the run was seen whole; what was looked for then is not known where a damaged ledger was replaced."""
        if self._last_listing[1]:
            is_listed = self._listed_at is not None and not self._unlisted
            return is_listed and self.expectations.history.was_seen_whole(())
        wanted = self.expectations.series(self._catalogue, self.selection)
        hours = ((each.key, self.selection.hours_of(each.key)) for each in wanted)
        return self.expectations.history.was_seen_whole(hours)

    # What is expected

    @property
    def expected(self) -> tuple[Field, ...]:
        """The fields that are expected of the run, by step."""
        if self._expected is None:
            self._expected = self.fields(self.selection)
        return self._expected

    def fields(self, selection: Selection) -> tuple[Field, ...]:
        """The fields of a selection that are expected."""
        return self.expectations.of(
            self._catalogue, selection, (*self._listed, *self._kept_before(selection))
        )

    def _kept_before(self, selection: Selection) -> list[FieldKey]:
        """What is kept of what earlier runs do not say all of: its listing is not read in each pass."""
        unknown = {series_of(each.key) for each in self.expectations.unknown(self._catalogue, selection)}
        if not unknown:
            return []
        keys = (parse_archive_path(path) for path, kept in self.before.kept.items() if is_served(kept))
        return [key for key in keys if isinstance(key, FieldKey) and series_of(key) in unknown]

    def candidates(self, selection: Selection) -> tuple[Field, ...]:
        """Fields that may be there, since runs of other hours had them."""
        return self.expectations.candidates(self._catalogue, selection)

    def unknown_series(self, selection: Selection, kept: Iterable[str]) -> list[Series]:
        """What neither earlier runs nor a listing of this one say all of, and is to be listed now."""
        unknown = [
            series
            for series in self.expectations.unknown(self._catalogue, selection)
            if series.key.level_type != "time-invariant"
            and not self.expectations.history.knows_elsewhere(series.key, selection)
        ]
        if not unknown:
            return []
        keys = (parse_archive_path(path) for path in kept)
        found = {series_of(key) for key in (*self._listed, *keys) if isinstance(key, FieldKey)}
        if selection != self.selection:  # by a person, who waits for an answer
            return unknown
        if self.before.listings and found and not self._has_turn(self.run, _LIST_AGAIN):
            return []
        return [series for series in unknown if series_of(series.key) not in found]

    def _has_turn(self, since: datetime, first: timedelta) -> bool:
        """Whether this pass is the first one at or after `first` since then, twice that time, four times and so on.

        And whether it is the first one at or after `first` before the run is deleted.
        """

        def turn(at: datetime) -> tuple[int, bool]:
            return ((at - since) // first).bit_length(), at >= self.deadline - first

        looked_at = self.before.looked_at
        return looked_at is None or turn(self.office.clock()) != turn(looked_at)

    def series_to_list(self, kept: Mapping[str, Kept]) -> list[Series]:
        """All parameters and levels of the run but constants that are kept, and what this pass listed already.

        Where all were listed since that is due, only those that could not be read then.
        """
        due = self._listing_due(kept)
        if due is not None and self._listed_at is not None and self._listed_at >= due:
            wanted = self.expectations.series(self._catalogue, self.selection)
            return [series for series in wanted if series_of(series.key) in self._unlisted]
        return [
            series
            for series in self.expectations.series(self._catalogue, self.selection)
            if series_of(series.key) not in self._fresh.series
            and (series.key.level_type != "time-invariant" or archive_path(series.key) not in kept)
        ]

    def take_listing(self, series: Iterable[Series], listed: Listed, at: datetime, *, is_all: bool) -> None:
        """Take in what the server's own folders show; `is_all`: nothing is left to be listed."""
        names = frozenset(series_of(each.key) for each in series)
        self._fresh.add(names, listed, at)
        self._listed.update(dict.fromkeys(listed.keys))
        self._listings += listed.requests
        self._expected = None
        if not is_all:
            return
        if not (self._listed_at and names and names <= self._unlisted):
            self._last_listing, self._unlisted = (self._fresh.at, self._series), frozenset()
        self._unlisted = (self._unlisted - names) | self._fresh.unread
        # While a run is deleted, what is not there any more may have been.
        read = self._fresh.series - self._fresh.unread if at < self.deadline else frozenset[str]()
        self._unseen = frozenset(
            each.path
            for each in self.expected
            if each.key not in self._fresh.keys
            and each.key.parameter not in {*POSITIONS, HEIGHTS}  # without them nothing can be read
            and series_of(each.key) in read
        )

    def notice(self, unread: Iterable[UnreadRow], report: Log) -> None:
        """Report rows of listings that could not be read, and selected parameters that are not there."""
        for row in unread:
            report(f"{self.before.collection}: {row}")
            self._has_unread |= row.name is None
        for line in unmatched(self.selection, self._catalogue):
            report(line)
            self._has_unread = True
        for address in self._catalogue.unknown:
            report(f"{self.before.collection}: no key stands for {address}")

    def is_listed(self, each: Field) -> bool:
        """Whether a field may be there by what this pass listed: its folder shows it, or was not read whole."""
        series = series_of(each.key)
        return each.key in self._fresh.keys or series not in self._fresh.series - self._fresh.unread

    # How far it is

    def has_ended(self, kept: Mapping[str, Kept]) -> bool:
        """Whether the last of what is expected is there: any field of the last step, of any tree."""
        last = max((each.key.step_minutes for each in self.expected), default=0)
        return any(each.path in kept for each in self.expected if each.key.step_minutes == last)

    def passed_step(self, kept: Mapping[str, Kept], grid: Grid) -> int:
        """The step in minutes that the run has reached on a grid, -1 if it has not started: the last one that is kept.

        When nothing came for `GROWN`, all that is expected: then what is absent was dropped, or never comes.
        """
        since = self.newest_change(kept)
        if since is None and self.before.looked_at is not None:
            since = self.run + GROWN
        if since is not None and self.office.clock() >= since + GROWN:
            return max((each.key.step_minutes for each in self.expected), default=-1)
        steps = (
            each.key.step_minutes
            for each in self.expected
            if each.key.grid == grid and each.key.level_type != "time-invariant" and each.path in kept
        )
        return max(steps, default=-1)

    def missing(self, kept: Mapping[str, Kept]) -> tuple[Field, ...]:
        """What is expected and not kept."""
        return tuple(
            each
            for each in self.expected
            if not is_served(kept.get(each.path)) and not self._is_replaced(each, kept)
        )

    def newest_change(self, kept: Mapping[str, Kept]) -> datetime | None:
        """When the newest of the files that came appeared on the server; one that was replaced is not a new one."""
        came = (each for each in kept.values() if each.source is not None)
        return max((_appeared(each) for each in came), default=None)

    def is_to_be_listed(self, kept: Mapping[str, Kept]) -> bool:
        """Whether the run's own folders are to be read now: when it has ended, and again when it is long whole.

        While one grows of which only its listing is known, it is listed less and less often.
        """
        newest, now = self.newest_change(kept), self.office.clock()
        if newest is None or self._was_seen_whole:
            return False
        if self._is_unverified() and now < newest + GROWN:
            return not self._fresh.series and self._has_turn(self.run, _LIST_AGAIN)
        due = self._listing_due(kept)
        if due is None or now < due:
            return False
        if self._listed_at is None or self._listed_at < due:
            return True
        return bool(self._unlisted) and (self._is_cheap_to_list() or self._has_turn(newest, _UNLISTED_AGAIN))

    def _is_cheap_to_list(self) -> bool:
        """Whether what could not be listed can be listed again though it may still be unreadable."""
        folders = {(series_of(each.key), each.key.member) for each in self.expected}
        free = max(_FREE_LISTINGS * len(self.expected), _FREE_ROUNDS * 2 * len(folders))
        return self._listings + len(self._unlisted) <= free

    def _listing_due(self, kept: Mapping[str, Kept]) -> datetime | None:
        """From when on a listing shows all that the run has, as far as that is known."""
        newest = self.newest_change(kept)
        if newest is None:
            return None
        return newest + (GROWN if self.missing(kept) or self._is_unverified() else QUIET)

    def opened(self, before: Ledger) -> Ledger:
        """The ledger while fields come."""
        return msgspec.structs.replace(
            before,
            deadline=self.deadline,
            given_up=self.deadline + GRACE,
            expects_more=True,
            missing=self._all_missing(before, self.missing(before.kept)),
        )

    def concluded(self, before: Ledger, faults: tuple[str, ...]) -> Ledger:
        """The ledger at the end of a pass; `faults` are what could not be read."""
        missing = self.missing(before.kept)
        paths = self._all_missing(before, missing)
        unread = unread_warnings(faults)
        unseen = self._proven_unseen(before.kept)
        return msgspec.structs.replace(
            before,
            looked_at=self.office.clock(),
            deadline=self.deadline,
            given_up=self.deadline + GRACE,
            expects_more=self._expects_more(before.kept),
            missing=paths,
            failed=self._failed(before),
            unseen=tuple(sorted(unseen.union(before.unseen).intersection(paths))),
            listed_at=self._last_listing[0],
            listed_series=self._last_listing[1],
            unlisted=tuple(sorted(self._unlisted)),
            listings=self._listings,
            warnings=(*standing_warnings(before), *self._warnings(before.kept, missing), *unread),
        )

    def _expects_more(self, kept: Mapping[str, Kept]) -> bool:
        """Whether more may be expected later than is now."""
        catalogue, trees = self._catalogue, self.expectations.trees
        is_open = (
            self._has_unread
            or not self.expected
            or (trees.v1 and not catalogue.v1)
            or (trees.old and catalogue.old_looked_at is None and not self.old_is_gone)
            or self.cataloguer.lacks(catalogue)
        )
        if is_open or self._was_seen_whole:
            return is_open
        newest = self.newest_change(kept)
        if newest is None or self._listed_at is None or self._unlisted:
            return True
        return self._listed_at < newest + (GROWN if self._is_unverified() else QUIET)

    def _is_unverified(self) -> bool:
        """Whether no run of this hour was seen whole that had some of the selected parameters, or their hours."""
        return self.expectations.has_unknown(self._catalogue, self.selection)

    def _all_missing(self, told: Ledger, missing: Iterable[Field]) -> tuple[str, ...]:
        """What is missing by this pass, and what another one, with a later catalogue, found missing meanwhile."""
        own = tuple(each.path for each in missing)
        self._asked_for.update(own, (each.path for each in self.expected))
        return (*own, *(path for path in told.missing if path not in self._asked_for))

    def _proven_unseen(self, kept: Mapping[str, Kept]) -> frozenset[str]:
        """What the server's own listing proves not to be there, made when the run was long whole and not deleted."""
        newest = self.newest_change(kept)
        if newest is None or self._listed_at is None:
            return frozenset()
        is_proof = newest + GROWN <= self._listed_at < self.deadline
        return self._unseen if is_proof else frozenset()

    def _is_replaced(self, each: Field, kept: Mapping[str, Kept]) -> bool:
        """Whether a field that cannot come any more, its tree being gone, is kept on the other grid."""
        return self.old_is_gone and each.key.grid == "regular" and archive_path(twin(each.key)) in kept

    # What is odd

    def _failed(self, before: Ledger) -> dict[str, Failed]:
        """What failed, and positions that are not those of the run's fields."""
        failed = dict(before.failed)
        for path, reason in self._unreadable(before.kept):
            known = failed.get(path)
            if known is None or known.reason != reason:
                source = before.kept[path].source
                failed[path] = Failed(
                    reason, self.office.clock(), etag=None if source is None else source.etag
                )
        return failed

    def _unreadable(self, kept: Mapping[str, Kept]) -> Iterator[tuple[str, str]]:
        """Positions and heights that are of another grid than fields of the run, by path, and why."""
        fields, needs = _grids(self.expected, kept)
        for parameter, found in needs.items():
            lacking = fields[parameter] - {grid for _, grid in found}
            for path, grid in found if lacking else ():
                others = ", ".join(sorted(lacking))
                yield (
                    path,
                    f"{path}: is of grid {grid}, there are fields on grid {others}, of which it says nothing",
                )

    def _warnings(self, kept: Mapping[str, Kept], missing: tuple[Field, ...]) -> Iterator[str]:
        model = self.before.collection
        for name in sorted(gone_parameters(self._catalogue.gone, self.run)):
            if self.selection.takes_parameter(model, name):
                yield f"{name}: the server does not list it any more"
        if self.has_ended(kept):
            yield from _vanished(self.expected, missing)
        yield from _noted(kept)
        if self.replaced:
            yield (
                f"{len(self.replaced)} kept files have another version on the server that was too young to be "
                f"fetched: {', '.join(self.replaced[:_NAMED])}"
            )
        if self._expects_more(kept) and self._is_unverified():
            yield (
                f"{UNVERIFIED} no run of {self.run:%H} UTC was seen whole yet with all that is selected, so that what "
                "is expected of it is what the server lists"
            )
        replaced = sum(self._is_replaced(each, kept) for each in self.expected if each.path not in kept)
        if replaced:
            yield f"the old tree is gone: {replaced} fields are kept on the icosahedral grid alone"


def is_served(kept: Kept | None) -> bool:
    """Whether a file came from the server; one that was made here does not stand for it."""
    return kept is not None and not kept.made_from


def _appeared(kept: Kept) -> datetime:
    """When a file appeared on the server, as far as it says that, else when it was kept."""
    sources = (kept.source, *(each.source for each in kept.earlier))
    times = [each.modified for each in sources if each is not None and each.modified is not None]
    return min(times, default=kept.kept_at)


def _grids(
    expected: Iterable[Field], kept: Mapping[str, Kept]
) -> tuple[dict[str, set[str]], dict[str, list[tuple[str, str]]]]:
    """By what a field needs to be read: the grids of the fields that do, and path and grid of what is there."""
    fields: dict[str, set[str]] = defaultdict(set)
    needs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for each in expected:
        file = kept.get(each.path)
        if file is None or file.grid is None:
            continue
        parameter = each.key.parameter
        if parameter in {*POSITIONS, HEIGHTS}:
            needs[parameter].append((each.path, file.grid))
            continue
        for position in POSITIONS:
            fields[position].add(file.grid)
        if each.key.level_type == "model":
            fields[HEIGHTS].add(file.grid)
    return fields, needs


def _vanished(expected: tuple[Field, ...], missing: tuple[Field, ...]) -> Iterator[str]:
    """A line for each parameter of which a run that has come to its end has nothing."""
    count = Counter((each.key.parameter, each.key.grid) for each in expected)
    lacking = Counter((each.key.parameter, each.key.grid) for each in missing)
    for parameter, grid in sorted(count):
        number = count[parameter, grid]
        if lacking[parameter, grid] == number:
            yield f"{parameter}: none of its {number} {grid} fields came"


def _noted(kept: Mapping[str, Kept]) -> Iterator[str]:
    """A line for each parameter that has fields without any value, or with more messages than one."""
    empty: Counter[str] = Counter()
    many: Counter[str] = Counter()
    for path, each in kept.items():
        if each.notes:
            parameter = path.split("/")[-2]
            empty[parameter] += ALL_MISSING in each.notes
            many[parameter] += any(note.endswith(MANY_MESSAGES) for note in each.notes)
    for parameter, count in sorted(empty.items()):
        if count:
            yield f"{parameter}: {ALL_MISSING} in {count} fields"
    for parameter, count in sorted(many.items()):
        if count:
            yield f"{parameter}: {count} files have several {MANY_MESSAGES}"
