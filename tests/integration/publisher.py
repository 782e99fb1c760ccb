"""A process that publishes scans until it is killed: `python -m ... LOCATION ENDPOINT SOURCE DAY LEVEL`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from nexrad_assets.collecting import collect
from nexrad_assets.rendering import render
from nexrad_assets.reports import SiteDay
from nexrad_assets.settings import NexradSettings
from nexrad_assets.sources.layouts import LEVEL2, Level3Layout
from nexrad_assets.sources.source import FolderSource
from nexrad_assets.workshop import Workshop, levels
from store.location import open_store


def main(location: str, endpoint: str, source: str, day: str, number: str) -> None:
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


if __name__ == "__main__":
    main(*sys.argv[1:])
