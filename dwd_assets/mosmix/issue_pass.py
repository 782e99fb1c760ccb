"""Archiving MOSMIX forecasts: which issues are due, and one issue from the server to the store.

An issue is the file of all stations, or, where a short list of stations is wanted and the server has them, the files
of these. The ledger knows an issue from its time on, so that one that never came is seen to be missing. What is wrong
with a file of all stations stands there under that file's name, which is no path of the archive.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from dwd_assets.archive.storing import Content
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import LONGEST_STATION, Place, StationForecast, read_station
from dwd_assets.formats.paths import MosmixProduct
from dwd_assets.mosmix.all_stations import (
    archive_all_stations,
    news,
    settled,
    source_of,
    stations_before,
    tell_failed,
)
from dwd_assets.mosmix.issues import Issue, issues_within
from dwd_assets.opendata.errors import NotYet, OpendataError
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_all
from dwd_assets.opendata.messages import UNKNOWN, Body, NotModified, Request, Version
from dwd_assets.opendata.settling import SETTLE
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.probing import looks
from dwd_assets.periods.progress import GRACE, Done, Due, Recorder, rest, standing_warnings
from dwd_assets.periods.stations import catalogue
from store.dwd import ledger
from store.dwd.ledger import Failed, Ledger

_FILES_AT_ONCE = 16

_LOOKS_AT_ONCE = 3
"""Issues that are asked for at the same time, and so many that cannot be are one look's share."""

_MANY = 8
"""Attempts after which the time between them is not doubled any more."""

_LOGGED = 20
"""So many failures of a pass are logged one by one; the ledger has all of them."""

LATE = "asked for after the server was to delete it:"
"""How the warning of an issue begins of which some stations came, too late to tell what was there before."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def issues_due(office: Office, product: MosmixProduct, now: datetime) -> tuple[Due, ...]:
    """The issues that are not complete and whose file is on the server and settled; the soonest deadline first.

    Costs one request at most for each issue that is not complete, none where it failed or stayed incomplete within
    the last `forecasts_retry_minutes`, and longer where nothing came for long, unless its file is a new one. Those
    that were asked for longest ago go first, as many as there is time for. Raises `StoreError`.
    """
    asked = sorted(_incomplete(office, product, now), key=lambda one: _turn(one[1], now))
    found = looks(asked, lambda one: _has_news(office, *one, now), _LOOKS_AT_ONCE)
    for look in found:
        issue, before = look.at
        if look.fault is not None and before.revision:
            tell_failed(office, issue, str(look.fault))
    return tuple(
        sorted(
            Due(issue.deadline, issue.collection, issue.period)
            for issue, _ in (x.at for x in found if x.found)
        )
    )


def expected_paths(office: Office, product: MosmixProduct, time: datetime) -> tuple[str, ...]:
    """The archive paths that an issue is expected to have: of the stations that are wanted, or of the four before."""
    issue = Issue(product, time)
    stations = office.settings.mosmix_stations or sorted(stations_before(office.store, issue))
    return tuple(issue.path(station) for station in stations)


def archive_issue(
    office: Office,
    product: MosmixProduct,
    issue: datetime,
    log: Log,
    *,
    only: frozenset[str] = frozenset(),
    recheck: bool = False,
) -> Done:
    """Fetch, verify and keep what the server has of an issue (UTC).

    `only`: stations that are fetched instead of those that the settings name; what the ledger expects stays the same.
    `recheck`: what is kept is asked for again, unconditionally; a content that differs is kept with the earlier one
    beside it. A file that is not there yet, or not settled, is left for another pass; one that is not what it should
    be is recorded in the ledger and costs no other. Raises `BelowFloor` and other `StoreError`, when the ledger has
    what was kept by then; `ValueError` for a time that is not a whole hour.
    """
    begun_s = time.monotonic()
    this = Issue(product, issue)
    office.archive.check_floor()
    named = office.settings.mosmix_stations
    if (only or named) and this.has_single_stations:
        done = _archive_single(office, this, only, recheck=recheck)
    else:
        done = archive_all_stations(office, this, frozenset(named), only, recheck=recheck)
    done = replace(done, seconds=time.monotonic() - begun_s)
    for line in _told(this, done):
        log(line)
    return done


def issues_with(
    office: Office, product: MosmixProduct, now: datetime, stations: frozenset[str], *, recheck: bool = False
) -> tuple[Due, ...]:
    """The issues whose file is on the server and settled and that some of these stations are not kept of.

    With `recheck`, those that all of them are kept of too. The soonest deadline first. Costs one request at most for
    each issue. Raises `OpendataError`, `StoreError`.
    """
    found = []
    for issue in issues_within(product, now):
        kept = ledger.read(office.store, issue.collection, issue.period).kept
        if recheck or not {issue.path(station) for station in stations} <= kept.keys():
            seen = office.client.look(issue.address)
            if seen is not None and settled(seen.version, now):
                found.append(Due(issue.deadline, issue.collection, issue.period))
    return tuple(sorted(found))


def _told(issue: Issue, done: Done) -> Iterator[str]:
    """What became of an issue, in words."""
    name = f"{issue.collection} {issue.period}"
    yield (
        f"{name}: {done.fetched} files kept, {done.changed} of them changed, "
        f"{len(done.failed)} failed; {done.summary.kept} there, {done.summary.missing} missing; "
        f"{done.bytes_fetched / 1e6:.1f} MB in {done.seconds:.1f} s"
    )
    for path, reason in islice(done.failed.items(), _LOGGED):
        yield f"{name}: failed: {path}: {reason}"
    if len(done.failed) > _LOGGED:
        yield f"{name}: and {len(done.failed) - _LOGGED} more failed"


def _incomplete(office: Office, product: MosmixProduct, now: datetime) -> Iterator[tuple[Issue, Ledger]]:
    """The issues that may be asked for now, each with what is known of it."""
    for issue in issues_within(product, now):
        known = ledger.read_summary(office.store, issue.collection, issue.period)
        if known is not None and known.state(now) == "complete":
            continue
        before = _noted(office, issue, now)
        if before.state(now) != "complete" and not _rests(office, before, now):
            yield issue, before


def _turn(before: Ledger, now: datetime) -> datetime:
    """What orders issues by when they were asked for; those from before the archive began come last."""
    return before.looked_at or (_LONG_AGO if before.revision else now)


def _has_news(office: Office, issue: Issue, before: Ledger, now: datetime) -> bool:
    """Whether there is a file of all stations to work on; single ones come with it. Raises `OpendataError`."""
    seen = office.client.look(issue.address)
    if seen is None or not settled(seen.version, now) or _is_exhausted(before, seen.version):
        return False
    modified = seen.version.modified or issue.time
    return _is_new(before, modified) or _has_rested(office, issue, before, seen.version, now)


def _is_new(before: Ledger, modified: datetime) -> bool:
    """Whether a file changed after it was asked for last, as far as the server's clock tells."""
    return before.looked_at is None or modified + SETTLE >= before.looked_at


def _has_rested(office: Office, issue: Issue, before: Ledger, version: Version, now: datetime) -> bool:
    """Whether an issue was asked for long enough ago to be asked for again though its file is the same.

    The oftener that version was not what it should be, the longer; one that did not come at all may come now.
    """
    if before.looked_at is None or (before.expects_more and not before.failed):
        return True
    if any(fault.etag is None or fault.etag != version.etag for fault in before.failed.values()):
        return True
    retry = timedelta(minutes=office.settings.forecasts_retry_minutes)
    attempts = max((fault.attempts for fault in before.failed.values()), default=_MANY)
    since = max(ledger.summary(before).newest or issue.time, issue.time, version.modified or issue.time)
    wait = min(rest(retry, since, issue.deadline, now), retry * (1 << min(attempts - 1, _MANY)))
    return now - before.looked_at >= wait


def _noted(office: Office, issue: Issue, now: datetime) -> Ledger:
    """The ledger of an issue that is not complete, as far as is known; one that may still come is noted there.

    That also mends a summary which a kill kept from following its ledger.
    """

    def expected(before: Ledger) -> Ledger:
        if before.revision:
            return before
        end = issue.deadline
        return msgspec.structs.replace(before, deadline=end, given_up=end + GRACE, expects_more=True)

    if now >= issue.deadline:
        return ledger.read(office.store, issue.collection, issue.period)
    return ledger.update(office.store, issue.collection, issue.period, expected)


def _rests(office: Office, before: Ledger, now: datetime) -> bool:
    """Whether an issue is not to be looked for yet, since what it lacks was asked for just now.

    One that a kill interrupted does not rest.
    """
    if before.looked_at is None or (before.expects_more and not before.failed):
        return False
    return now - before.looked_at < timedelta(minutes=office.settings.forecasts_retry_minutes)


def _is_exhausted(before: Ledger, version: Version) -> bool:
    """Whether all that is missing is missing because this version of the file, which came whole, does not have it."""
    if before.expects_more or not before.missing or version.etag is None:
        return False
    faults = (before.failed.get(path) for path in before.missing)
    return all(fault is not None and fault.etag == version.etag for fault in faults)


def _archive_single(office: Office, issue: Issue, only: frozenset[str], *, recheck: bool) -> Done:
    """One pass over the files of single stations that are not kept; over all if all are, or with `recheck`.

    Of the stations of `only`, or, if there are none, of those that the settings name.
    """
    before = ledger.read(office.store, issue.collection, issue.period)
    named = office.settings.mosmix_stations
    paths = {issue.single_address(station): station for station in (sorted(only) or named)}
    absent = {at: station for at, station in paths.items() if issue.path(station) not in before.kept}
    asked = paths if recheck else absent or paths
    known = Ledger(issue.collection, issue.period) if recheck else before
    wanted = [Wanted(_request(office, issue, known, at, asked[at]), issue.deadline) for at in asked]
    expected = {issue.path(station) for station in named} if named else None
    with Recorder(office.store, issue.collection, issue.period) as recorder:
        single = _Single(office, issue, before, recorder, expected)
        if before.revision and absent:
            single.open()
        for outcome in fetch_all(office.client, wanted, at_once=_FILES_AT_ONCE):
            single.take(asked[outcome.wanted.request.path], outcome)
        catalogue(office.store, single.places)
        # What a person asks for by name is reported; what the settings name is missing until it comes.
        failed = {**single.failed, **(single.not_there if only else {})}
        if not (before.revision or single.places or single.failed):
            # Nobody noted it as owed, and nothing of it came: it may be from before the archive began.
            return Done(ledger.summary(before), requests=len(asked), failed=failed)
        recorded = recorder.tell(single.concluded)
    return Done(
        ledger.summary(recorded),
        fetched=single.fetched,
        changed=single.changed,
        bytes_fetched=single.bytes_fetched,
        requests=len(asked),
        failed=failed,
    )


def _request(office: Office, issue: Issue, before: Ledger, address: str, station: str) -> Request:
    """What to ask for: a file that is kept only if it is another by now."""
    kept = before.kept.get(issue.path(station))
    source = None if kept is None else kept.source
    same = source is not None and source.url == office.client.base_url + address
    known = Version(source.etag, source.modified) if source is not None and same else UNKNOWN
    return Request(address, known=known, limit_bytes=LONGEST_STATION)


@dataclass(slots=True)
class _Single:
    """What became of single stations' files.

    expected: the archive paths that the issue is to have, None if only the file of all stations can say. not_there:
    of the stations that the server has no file of, by path.
    """

    office: Office
    issue: Issue
    before: Ledger
    recorder: Recorder
    expected: set[str] | None
    is_open: bool = False
    not_there: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place | None] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    fetched: int = 0
    changed: int = 0
    bytes_fetched: int = 0

    def take(self, station: str, outcome: Outcome) -> None:
        """Keep what came for a station, or note why it did not."""
        match outcome.result:
            case Body() as body:
                self.bytes_fetched += body.received.size
                if settled(body.received.version, self.office.clock()):
                    self._verify(station, body)
            case NotModified():
                pass
            case NotYet() as fault:
                self.not_there[self.issue.path(station)] = str(fault)
            case OpendataError() as fault:
                self._fail(station, str(fault), None)

    def open(self) -> None:
        """Tell the ledger, before it is told of a file, what is expected: what does not come is missing."""
        if not self.is_open:
            self.recorder.tell(self._opened)
            self.is_open = True

    def _opened(self, told: Ledger) -> Ledger:
        """The ledger while files come: what is expected is missing until it is kept."""
        return msgspec.structs.replace(
            told,
            deadline=self.issue.deadline,
            given_up=self.issue.deadline + GRACE,
            missing=self._missing(told),
            expects_more=told.expects_more or (self.expected is None and not self.before.revision),
        )

    def _missing(self, told: Ledger) -> tuple[str, ...]:
        """What is expected and not kept."""
        expected = told.missing if self.expected is None else self.expected
        return tuple(sorted(set(expected) - told.kept.keys()))

    def concluded(self, told: Ledger) -> Ledger:
        """The ledger at the end of a pass."""
        now, end = self.office.clock(), self.issue.deadline
        missing = self._missing(told)
        standing = standing_warnings(told)
        if not self.before.revision and now >= end and missing:
            # Nobody can say that these were there and were lost: the archive had not begun, or nobody was to look.
            standing = (*standing, f"{LATE} {len(missing)} stations did not come")
            missing = ()
        return msgspec.structs.replace(
            told,
            looked_at=now,
            deadline=end,
            given_up=end + GRACE,
            expects_more=self.expected is None and told.expects_more,
            missing=missing,
            warnings=told.warnings if self.expected is None else standing,
        )

    def _verify(self, station: str, body: Body) -> None:
        path, name = self.issue.path(station), self.issue.single_address(station).rpartition("/")[2]
        try:
            forecast = _read_single(body.data, name, self.issue, station)
            content = Content.kmz(body.data, name)
        except FormatError as fault:
            self._fail(station, str(fault), body.received.version.etag)
            self.office.archive.quarantine(path, body.data)
            return
        self.places[station] = Place(
            forecast.name, forecast.longitude_deg, forecast.latitude_deg, forecast.height_m
        )
        self._keep(path, content, body)

    def _keep(self, path: str, content: Content, body: Body) -> None:
        now, before = self.office.clock(), self.before.kept.get(path)
        source = source_of(self.office.client, body.received, now)
        kept = self.office.archive.keep(path, content, source, before, now)
        if not self.before.revision:
            self.open()
        self.recorder.kept(path, kept)
        fetched, changed = news(before, kept)
        self.fetched += fetched
        self.changed += changed

    def _fail(self, station: str, reason: str, etag: str | None) -> None:
        path = self.issue.path(station)
        self.failed[path] = reason
        self.recorder.failed(path, Failed(reason, self.office.clock(), etag=etag))


def _read_single(data: bytes, name: str, issue: Issue, station: str) -> StationForecast:
    """The forecast in a single station's file. Raises `FormatError`, also for another station's or issue's."""
    forecast = read_station(data, name)
    if (forecast.station, f"{forecast.issued:%Y%m%d%H}") != (station, issue.period):
        told = f"{forecast.station}, issued {forecast.issued:%Y-%m-%d %H:%M}"
        raise FormatError(f"{name}: holds the forecast of {told}")
    return forecast
