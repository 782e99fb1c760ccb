"""What is archived: one collection a model, a MOSMIX product, and the reports; all by one mechanism.

A collection tells which of its periods are due, and works on one of them. Nothing here knows Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

from dwd_assets.fields import model_runs, regular_grid
from dwd_assets.fields.retention import read_retention, run_hours
from dwd_assets.formats.checks import parse_run, run_text
from dwd_assets.formats.paths import MosmixProduct
from dwd_assets.formats.target_grids import TARGET_GRIDS
from dwd_assets.mosmix import issue_pass
from dwd_assets.mosmix.issues import Issue, issue_hours
from dwd_assets.periods.context import Log, Office
from dwd_assets.periods.progress import Done, Due
from dwd_assets.poi import report_days, report_pass
from dwd_assets.settings import DwdSettings
from store.dwd import ledger

HOURS = "%Y%m%d%H"
DAYS = "%Y%m%d"
"""How periods are spelled: of runs and issues, and of days of reports."""

REPORTS = "poi"
REGRIDDED = timedelta(days=2)
"""For so long after its time a run is looked at for fields to be regridded."""

_MOST_REASONS = 5
"""So many reasons are given why nothing is regridded; the runs' observations have the others."""

REPORTS_KEPT = timedelta(days=1)
"""For so long after a day's end the server's reports have rows of it."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection of the archive.

    asset: the name of its Dagster asset, description: what that holds. hours: of the day at which a period begins;
    None if a period is a day. wait_s: between two looks for something due. due: its periods that something can be
    fetched for, the soonest deadline first; what could not be read on the way is given to the log, a line each.
    archive: one pass over a period, which may also return neighbouring periods; its own first. deadline: when the
    server deletes a period. unattended: the paths that a period is expected to have which nobody looked at, and
    whether those are all. made_of: the asset that it is made of, None if it comes from the server. idle: why the
    last call of `due` returned nothing.
    """

    name: str
    asset: str
    description: str
    hours: tuple[int, ...] | None
    wait_s: float
    due: Callable[[Office, datetime, Log], Sequence[Due]]
    archive: Callable[[Office, str, Log], Sequence[Done]]
    deadline: Callable[[Office, str], datetime]
    unattended: Callable[[Office, str], tuple[Sequence[str], bool]]
    made_of: str | None = None
    idle: Callable[[], str] = lambda: "nothing new on the server"

    @property
    def spelling(self) -> str:
        """How its periods are spelled, for `strftime`."""
        return DAYS if self.hours is None else HOURS

    def periods_between(self, first: str, now: datetime) -> Iterator[str]:
        """The periods from the day of one on up to the one that has begun, the oldest first."""
        day = begin(first).replace(hour=0)
        while day <= now:
            for hour in (0,) if self.hours is None else self.hours:
                if day + timedelta(hours=hour) <= now:
                    yield (day + timedelta(hours=hour)).strftime(self.spelling)
            day += timedelta(days=1)


def collections(settings: DwdSettings) -> tuple[Collection, ...]:
    """The collections that the settings ask for."""
    return (
        *(model_collection(model, settings) for model in settings.selection.models),
        *(regular_collection(model, settings) for model in regridded_models(settings)),
        *(mosmix_collection(product, settings) for product in settings.mosmix),
        *((reports_collection(settings),) if settings.reports else ()),
    )


def field_asset(model: str) -> str:
    """The name of the asset of a model's fields."""
    return f"{model.replace('-', '_')}_files"


def model_collection(model: str, settings: DwdSettings) -> Collection:
    """The runs of a model."""
    return Collection(
        name=model,
        asset=field_asset(model),
        description=f"Fields of {model.upper()} as GRIB2 in LZ4 frames, by run.",
        hours=tuple(range(0, 24, run_hours(model))),
        wait_s=settings.fields_wait_minutes * 60,
        due=lambda office, now, _: model_runs.runs_due(office, model, now),
        archive=lambda office, period, log: (model_runs.archive_run(office, model, begin(period), log),),
        deadline=lambda office, period: model_runs.deadline(office, model, begin(period)),
        unattended=lambda office, period: (
            model_runs.expected_paths(office, model, begin(period)),
            model_runs.knows_all(office, model, begin(period)),
        ),
    )


def regridded_models(settings: DwdSettings) -> tuple[str, ...]:
    """The selected models whose fields are also kept on a regular grid, if the settings ask for that."""
    return tuple(
        model for model in settings.selection.models if model in TARGET_GRIDS and settings.regular_grid
    )


def regular_collection(model: str, settings: DwdSettings) -> Collection:
    """The runs of a model on its regular grid, made of what is kept on its triangles; in the same ledgers."""
    fields = model_collection(model, settings)
    looks = RegularLooks(model)
    degrees = TARGET_GRIDS[model].lat_step / 1e6
    return replace(
        fields,
        asset=f"{model.replace('-', '_')}_regular_files",
        description=(
            f"Fields of {model.upper()} on the regular grid of {degrees:g} degrees: of each point its nearest cell."
        ),
        due=looks.due,
        archive=lambda office, period, log: (regular_grid.regrid_run(office, model, begin(period), log),),
        made_of=fields.asset,
        idle=looks.idle,
    )


@dataclass(slots=True)
class RegularLooks:
    """Which runs of a model have fields to be regridded. `seen`: what came of the last look at a ledger's revision."""

    model: str
    seen: dict[str, tuple[int, regular_grid.Outlook]] = field(default_factory=dict)

    def due(self, office: Office, now: datetime, _: Log) -> Sequence[Due]:
        """The runs of the last days, the earliest first. Raises `StoreError`."""
        looked: dict[str, tuple[int, regular_grid.Outlook]] = {}
        for run in self._runs(now):
            period = run_text(run)
            summary = ledger.read_summary(office.store, self.model, period)
            if summary is not None:
                looked[period] = self._looked(office, summary, now)
        self.seen = looked
        due = (period for period, (_, outlook) in looked.items() if outlook.is_due)
        retention = read_retention(office.store, self.model)
        return [Due(retention.deadline(begin(period)), self.model, period) for period in due]

    def idle(self) -> str:
        """Why nothing was due at the last look, of the newest run first."""
        if not self.seen:
            return f"no run of {self.model} of the last {REGRIDDED.days} days is in the archive"
        reasons = [
            f"{period}: {reason}"
            for period, (_, outlook) in reversed(self.seen.items())
            for reason in outlook.reasons
        ]
        return "; ".join(reasons[:_MOST_REASONS]) or "all fields on triangles are regridded"

    def _runs(self, now: datetime) -> Iterator[datetime]:
        run = model_runs.newest_run(self.model, now - REGRIDDED)
        while run <= now:
            yield run
            run += timedelta(hours=run_hours(self.model))

    def _looked(
        self, office: Office, summary: ledger.Summary, now: datetime
    ) -> tuple[int, regular_grid.Outlook]:
        """What a run's ledger says, read again only if it changed, something was due, or a time has come."""
        before = self.seen.get(summary.period)
        if before is not None and before[0] == summary.revision and not before[1].is_due:
            again_at = before[1].again_at
            if again_at is None or now < again_at:
                return before
        known = ledger.read(office.store, self.model, summary.period)
        return known.revision, regular_grid.outlook(office, known)


def mosmix_collection(product: MosmixProduct, settings: DwdSettings) -> Collection:
    """The issues of a MOSMIX product."""
    return Collection(
        name=f"mosmix-{product.lower()}",
        asset="mosmix_forecasts" if product == "L" else f"mosmix_{product.lower()}_forecasts",
        description=f"MOSMIX_{product} point forecasts, a KMZ a station, by issue.",
        hours=issue_hours(product),
        wait_s=settings.forecasts_wait_minutes * 60,
        due=lambda office, now, _: issue_pass.issues_due(office, product, now),
        archive=lambda office, period, log: (issue_pass.archive_issue(office, product, begin(period), log),),
        deadline=lambda _, period: Issue(product, begin(period)).deadline,
        unattended=lambda office, period: (
            issue_pass.expected_paths(office, product, begin(period)),
            bool(settings.mosmix_stations),
        ),
    )


def reports_collection(settings: DwdSettings) -> Collection:
    """The days of POI reports."""
    return Collection(
        name=REPORTS,
        asset="poi_reports",
        description="Hourly POI reports (BEOB), a CSV a station with the rows of one UTC day, by day.",
        hours=None,
        wait_s=settings.reports_wait_minutes * 60,
        due=report_pass.reports_due,
        archive=archive_reports,
        deadline=lambda _, period: report_days.deadline(begin(period).date()),
        unattended=lambda office, period: (report_pass.expected_paths(office, begin(period).date()), False),
    )


def begin(period: str) -> datetime:
    """When a period begins, UTC. Raises `ValueError` for what is none."""
    run = parse_run(f"{period}00" if len(period) == 8 else period)
    if run is None:
        raise ValueError(f"{period!r} is no run or issue (YYYYMMDDHH) and no day (YYYYMMDD)")
    return run


def archive_reports(
    office: Office,
    period: str,
    log: Log,
    *,
    only: frozenset[str] = frozenset(),
    recheck: bool = False,
) -> Sequence[Done]:
    """Days that the server still has rows of are merged from there, earlier ones from the raw reports.

    `only` and `recheck` are those of `reports.archive_reports`.
    """
    day = begin(period).date()
    ends = datetime.combine(day, time(), UTC) + timedelta(days=1)
    if office.clock() >= ends + REPORTS_KEPT:
        log(f"{REPORTS} {period}: no longer on the server, so all of it is merged again from the raw reports")
        return (report_pass.rebuild_day(office, day, log),)
    done = report_pass.archive_reports(office, log, only=only, recheck=recheck)
    return sorted(done, key=lambda one: one.summary.period != period)
