"""`dwd fetch`: passes over periods of a collection, by the same functions that Dagster runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from dwd_assets.commands.status import recorded, verdict
from dwd_assets.fields import model_runs
from dwd_assets.fields.retention import read_retention
from dwd_assets.formats.checks import run_text
from dwd_assets.formats.old_names import OLD_MODELS
from dwd_assets.formats.paths import MosmixProduct
from dwd_assets.formats.spelling import nearest, parse_period
from dwd_assets.kinds import repair
from dwd_assets.kinds.station_names import existing_stations
from dwd_assets.kinds.table import (
    DAYS,
    HOURS,
    REPORTS,
    Collection,
    archive_reports,
    begin,
    model_collection,
    mosmix_collection,
    reports_collection,
)
from dwd_assets.mosmix import issue_pass
from dwd_assets.opendata.errors import OpendataError
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import MOST_AHEAD, Done, Due
from dwd_assets.selection import Selection, parse_row
from dwd_assets.settings import DwdSettings
from store.dwd.ledger import State

FAULT, LOST = 1, 4
EXIT_STATUS: dict[State, int] = {"complete": 0, "unseen": 0, "waiting": 3, "partial": 3, "lost": LOST}
"""What a shell is told of a period."""

_MOSMIX: dict[str, MosmixProduct] = {"mosmix-l": "L", "mosmix-s": "S"}
_MODELS = frozenset({*OLD_MODELS, "icon-d2-ruc", "icon-d2-ruc-eps", "icon-art", "aicon"})
"""Models that are known by name; the server has others too."""

_V1_MODEL = "/weather/nwp/v1/m/{}/p/"
_ANY_FOLDER = "/weather/"
_DEFAULT_LEVELS = "single,time-invariant"

_OF_MODELS = ("--param", "--levels", "--hours", "--recheck")
_OF_STATIONS = ("--station", "--recheck")


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What a command line asks of a collection in place of what the settings do; see `dwd_assets.selection`.

    parameters, levels, hours: of a model. stations: of forecasts and reports, as a person spells them. recheck: what
    is kept is asked for again.
    """

    parameters: str | None = None
    levels: str | None = None
    hours: str | None = None
    stations: tuple[str, ...] = ()
    recheck: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given."""
        given = {
            "--param": self.parameters,
            "--levels": self.levels,
            "--hours": self.hours,
            "--station": self.stations,
            "--recheck": self.recheck,
        }
        return tuple(option for option, value in given.items() if value)

    def of(self, model: str) -> Selection | None:
        """The selection of fields that it is, None if no fields were named. Raises `ValueError`."""
        if (self.parameters, self.levels, self.hours) == (None, None, None):
            return None
        hours = f"/{self.hours}" if self.hours else ""
        return Selection(
            (parse_row(f"{model}/{self.levels or _DEFAULT_LEVELS}/{self.parameters or '*'}{hours}"),)
        )


def check_options(name: str, settings: DwdSettings, narrowed: Narrowed) -> None:
    """Check what a command line asks of a collection. Raises `ValueError` that says what is allowed."""
    allowed = _OF_STATIONS if name in {REPORTS, *_MOSMIX} else _OF_MODELS
    wrong = [option for option in narrowed.options if option not in allowed]
    if wrong:
        check_name(name, settings)
        period = "--day" if name == REPORTS else "--run"
        raise ValueError(f"{name} has no {', '.join(wrong)}; allowed: {', '.join((period, *allowed))}")
    if allowed is _OF_MODELS and narrowed.of(name) is None and name not in settings.selection.models:
        check_name(name, settings)
        raise ValueError(f"{name} is not in DWD_FIELDS: name its fields by --param, e.g. --param t_2m")


def check_name(name: str, settings: DwdSettings, others: Iterable[str] = ()) -> None:
    """Raise `ValueError`, which names the nearest ones, for what is not a collection; `others` are further ones."""
    known = {REPORTS, *_MOSMIX, *_MODELS, *settings.selection.models}
    if name not in known and name not in (known := known | set(others)):
        found = nearest(name, known)
        hint = (
            f"nearest: {', '.join(found)}"
            if found
            else f"{REPORTS}, {', '.join(_MOSMIX)}, or a model: icon-d2"
        )
        raise ValueError(f"{name!r} is not a known collection; {hint}")


def chosen(office: Office, name: str, narrowed: Narrowed) -> Collection:
    """The collection of a name, as a command line narrows it, whether or not the settings ask for it.

    Raises `ValueError` for a station or model that the server does not have, `OpendataError`, `StoreError`.
    """
    stations = existing_stations(office, name, narrowed.stations) if narrowed.stations else frozenset()
    if name == REPORTS:
        return _chosen_reports(office.settings, stations, recheck=narrowed.recheck)
    if name in _MOSMIX:
        return _chosen_mosmix(_MOSMIX[name], office.settings, stations, recheck=narrowed.recheck)
    is_known = name in {*_MODELS, *office.settings.selection.models}
    if not is_known and office.client.look(_V1_MODEL.format(name)) is None:
        check_name(name, office.settings)
    return _chosen_model(name, office.settings, narrowed)


def _chosen_reports(settings: DwdSettings, stations: frozenset[str], *, recheck: bool) -> Collection:
    """Reports of some stations, or all; of those that are named, or with `recheck`, today is always due."""
    reports = reports_collection(settings)
    narrowed = replace(reports, archive=partial(archive_reports, only=stations, recheck=recheck))
    if not (stations or recheck):
        return narrowed

    def today(office: Office, now: datetime, _: Log) -> Sequence[Due]:
        period = now.strftime(reports.spelling)
        return (Due(reports.deadline(office, period), reports.name, period),)

    return replace(narrowed, due=today)


def _chosen_mosmix(
    product: MosmixProduct, settings: DwdSettings, stations: frozenset[str], *, recheck: bool
) -> Collection:
    """Forecasts of some stations, or all; of those that are named, or with `recheck`, all issues there are due."""
    mosmix = replace(
        mosmix_collection(product, settings),
        archive=lambda office, period, log: (
            issue_pass.archive_issue(office, product, begin(period), log, only=stations, recheck=recheck),
        ),
    )
    if not (stations or recheck):
        return mosmix
    return replace(
        mosmix,
        due=lambda office, now, _: issue_pass.issues_with(office, product, now, stations, recheck=recheck),
    )


def _chosen_model(name: str, settings: DwdSettings, narrowed: Narrowed) -> Collection:
    """Fields of a model; with `recheck`, runs that are kept and still on the server are due too."""
    wanted, recheck = narrowed.of(name), narrowed.recheck
    model = replace(
        model_collection(name, settings),
        archive=lambda office, period, log: (
            model_runs.archive_run(office, name, begin(period), log, wanted, recheck=recheck),
        ),
    )
    if not recheck:
        return model

    def there(office: Office, now: datetime, log: Log) -> Sequence[Due]:
        retention = read_retention(office.store, name)
        runs = {run_text(run) for run in model_runs.recent_runs(retention, now)}
        kept = (period for _, period in recorded(office.store, name) if period in runs)
        again = {Due(model.deadline(office, period), name, period) for period in kept}
        return sorted(again | set(model.due(office, now, log)))

    return replace(model, due=there)


def named(name: str, settings: DwdSettings) -> Collection:
    """The collection of a name, whether or not the settings ask for it; what is no other one is a model."""
    if name == REPORTS:
        return reports_collection(settings)
    return mosmix_collection(_MOSMIX[name], settings) if name in _MOSMIX else model_collection(name, settings)


def checked(collection: Collection, text: str, now: datetime) -> str:
    """The period that a text means, in any accepted spelling, if the collection has such a one. Raises `ValueError`."""
    period = parse_period(text)
    starts = None if period is None else begin(period)
    if period is None or starts is None or starts.strftime(collection.spelling) != period:
        spelled = {HOURS: "YYYYMMDDHH (or 2026-11-21T06)", DAYS: "YYYYMMDD (or 2026-11-21)"}
        raise ValueError(
            f"{text!r} is not a period of {collection.name}, which are {spelled[collection.spelling]}"
        )
    if collection.hours is not None and starts.hour not in collection.hours:
        hours = ", ".join(f"{hour:02d}" for hour in collection.hours)
        raise ValueError(f"{collection.name} has nothing of {starts:%H} UTC; its hours are {hours}")
    if starts > now + MOST_AHEAD:
        raise ValueError(f"{collection.name} {period} is in the future: it is {now:%Y-%m-%d %H:%M} UTC")
    return period


def fetch(office: Office, collection: Collection, period: str | None, log: Log, complain: Log) -> int:
    """One pass over a period, or over each that is due; gives the exit status.

    That a period cannot be fetched is told to `complain`, and the next one begun. Raises `StoreError` (`BelowFloor`
    too), and `OpendataError` where the server does not tell what is due.
    """
    unread: list[str] = []
    periods = [period] if period else _due(office, collection, log, unread.append)
    for line in unread:
        complain(f"{collection.name}: {line}")
    if not periods:
        # That no run is due is also what comes of a server that does not answer.
        office.client.look(_ANY_FOLDER)
        log(f"{collection.name}: nothing is due")
        return FAULT if unread else 0
    statuses = [_passed(office, collection, each, log, complain) for each in periods]
    statuses += [FAULT] if unread else []
    if len(periods) > 1:
        log(f"{collection.name}: {len(periods)} periods, {statuses.count(0)} of them complete")
    return FAULT if FAULT in statuses else max(statuses)


def _due(office: Office, collection: Collection, log: Log, unread: Log) -> list[str]:
    """The periods that are due, the one that the server deletes first before the others."""
    deadline = partial(collection.deadline, office)
    due = repair.mended(office, deadline, log, lambda: collection.due(office, office.clock(), unread))
    return [each.period for each in due]


def _passed(office: Office, collection: Collection, period: str, log: Log, complain: Log) -> int:
    """The exit status of a period, of which neighbours are told in the same pass."""
    try:
        own, *others = repair.archive(office, collection, period, log)
    except OpendataError as fault:
        complain(f"{collection.name} {period}: {fault}")
        return FAULT
    now, deadline = office.clock(), collection.deadline(office, period)
    for each in (*others, own):
        log(told(each, now, collection.deadline(office, each.summary.period)))
    unread = dict.fromkeys(line for each in (*others, own) for line in each.faults)
    state = own.summary.state(now)
    failed = own.failed if state == "complete" else {}  # a file that failed beside a content that is kept
    complaints = (*unread, *(f"{path}: {reason}" for path, reason in failed.items()))
    for line in complaints:
        complain(f"{collection.name} {period}: {line}")
    if complaints:
        return FAULT
    return LOST if _is_gone(own, over=now >= deadline) else EXIT_STATUS[state]


def told(done: Done, now: datetime, deadline: datetime) -> str:
    """What a pass over a period that the server deletes at `deadline` came to, in a line."""
    summary = done.summary
    if _is_gone(done, over=now >= deadline):
        return (
            f"{summary.collection} {summary.period}: nothing of it is kept, and the server has no more of it"
        )
    return (
        f"{summary.collection} {summary.period}: {verdict(summary, now)}; this pass: {done.fetched} fetched, "
        f"{len(done.failed)} failed, {done.bytes_fetched / 1e6:.1f} MB, {done.requests} requests, {done.seconds:.1f} s"
    )


def _is_gone(done: Done, *, over: bool) -> bool:
    """Whether nobody looked at a period while the server had it: no ledger is started for one of which all is over."""
    return over and done.summary.looked_at is None and not done.summary.kept
