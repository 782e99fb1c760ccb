"""Processes that publish scans until they are killed: `python -m ... LOCATION ENDPOINT SOURCE DAY LEVEL`.

For each line that this program reads it forks one, tells its process id, and, when it was killed, that it ended. So a
process to kill costs no imports.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from nexrad_assets.levels.results import SiteDay
from nexrad_assets.pipeline.context import Workshop, levels
from nexrad_assets.pipeline.fetching import collect
from nexrad_assets.pipeline.rendering import render
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sources.layouts import LEVEL2, Level3Layout
from nexrad_assets.sources.source import FolderSource
from store.location import open_store
from tests.kernels import load_kernels

ENDED = "ended"


def publish(location: str, endpoint: str, source: str, day: str, number: str) -> None:
    """Fetch and render a whole day of a level by force, over and over."""
    folder = Path(source)
    settings = NexradSettings(_env_file=None, sites=("KTLX",), image_size=256, jobs=2)
    workshop = Workshop(
        settings=settings,
        store=open_store(location, endpoint or None),
        levels=levels(
            settings,
            FolderSource(folder, LEVEL2),
            FolderSource(folder, Level3Layout(settings.level3_products)),
        ),
    )
    level = workshop.levels[int(number)]
    partition = SiteDay(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).date(), "KTLX")
    while True:
        print("round", flush=True)
        collect(workshop, level, [partition], "day", log=print, force=True)
        render(workshop, level, [partition], "day", log=lambda line: print(line, flush=True))


def main(*place: str) -> None:
    """Fork a process that publishes for each line of the input."""
    load_kernels()
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            try:
                print(os.getpid(), flush=True)
                publish(*place)
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        print(ENDED, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
