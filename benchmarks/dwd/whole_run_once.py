"""One pass over a run by the checkout that PYTHONPATH names, as a program: `whole_run_once.py URL ARCHIVE RUN NOW`.

It uses only what all checkouts have, the first ones under other names. Prints one JSON line.
"""

from __future__ import annotations

import sys
from datetime import datetime

from dwd_assets.settings import DwdSettings

try:
    from benchmarks.dwd.cost import Meter, quiet
    from dwd_assets.fields.model_runs import archive_run
    from dwd_assets.periods.context import open_office
except ModuleNotFoundError:
    from dwd_assets.model_runs import archive_run
    from dwd_assets.office import open_office

    from benchmarks.dwd_cost import Meter, quiet


def main(url: str, archive: str, run: str, now: str) -> None:
    """Archive the run with default settings, but for single and pressure levels and without a limit of requests."""
    settings = DwdSettings(
        _env_file=None,
        server=url,
        archive=archive,
        free_floor_bytes=0,
        fields="icon-d2/single,pressure,time-invariant/*",
        requests_per_s=100_000,
    )
    at = datetime.fromisoformat(now)
    office = open_office(settings, clock=lambda: at)
    with Meter() as meter:
        done = archive_run(office, "icon-d2", datetime.fromisoformat(run), quiet)
        office.close()
    if done.failed:
        raise SystemExit(f"{len(done.failed)} files failed: {next(iter(done.failed.values()))}")
    meter.tell(files=done.fetched, state=done.summary.state(at))


if __name__ == "__main__":
    main(*sys.argv[1:])
