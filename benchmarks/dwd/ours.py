"""Our way with DWD's files, each run a process of its own: `python -m benchmarks.dwd.ours WHAT URL OUT [FILES]`.

Settings are the defaults, but for what is selected, and the limit of requests a second where that would be all that
is measured. Prints one JSON line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks.dwd.cost import Meter, quiet
from benchmarks.dwd.fields import LOOKED_AT, RUN, rows
from benchmarks.dwd.stations import ISSUE_LOOKED_AT, ISSUED, REPORTS_LOOKED_AT
from dwd_assets.fields.model_runs import archive_run
from dwd_assets.mosmix.issue_pass import archive_issue
from dwd_assets.periods.context import open_office
from dwd_assets.poi.report_pass import archive_reports
from dwd_assets.settings import DwdSettings


def fields(url: str, out: str, files: str) -> None:
    """Archive the run of `benchmarks.dwd.fields` from the old tree."""
    settings = DwdSettings(
        _env_file=None, server=url, archive=out, old_tree=True, v1_tree=False, fields=rows(int(files))
    )
    office = open_office(settings, clock=lambda: LOOKED_AT)
    with Meter() as meter:
        done = archive_run(office, "icon-d2", RUN, quiet)
        office.close()
    meter.tell(files=done.fetched, failed=len(done.failed), requests=done.requests)


def forecasts(url: str, out: str) -> None:
    """Archive the issue of all stations of `benchmarks.dwd.stations`."""
    office = open_office(DwdSettings(_env_file=None, server=url, archive=out), clock=lambda: ISSUE_LOOKED_AT)
    with Meter() as meter:
        done = archive_issue(office, "L", ISSUED, quiet)
        office.close()
    meter.tell(files=done.fetched, failed=len(done.failed), bytes=done.bytes_fetched)


def reports(url: str, out: str) -> None:
    """Archive the reports of `benchmarks.dwd.stations`."""
    settings = DwdSettings(_env_file=None, server=url, archive=out, requests_per_s=100_000)
    office = open_office(settings, clock=lambda: REPORTS_LOOKED_AT)
    with Meter() as meter:
        done = archive_reports(office, quiet)
        office.close()
    meter.tell(
        files=sum(each.fetched for each in done),
        failed=sum(len(each.failed) for each in done),
        requests=sum(each.requests for each in done),
    )


WAYS: dict[str, Callable[..., None]] = {"fields": fields, "forecasts": forecasts, "reports": reports}

if __name__ == "__main__":
    WAYS[sys.argv[1]](*sys.argv[2:])
