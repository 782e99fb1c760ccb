"""A store that holds something of every kind that the API tells of, and what there is by the parameters' names."""

from __future__ import annotations

from datetime import timedelta

from store.objects import Store
from tests.api.v1.dwd.dwd_world import RUN, World, icon
from tests.api.world import NOON, Made, Publisher, made

KEY = "KPDT20250409_120000_V06"
IMAGE = f"{KEY}_reflectivity_idx0"
PLACE = (51.034, 9.366)
"""Latitude and longitude of a point that the simulated fields cover."""

STATION = "10315"
DAY = RUN.date()


def rendered_scans() -> list[Made]:
    """A scan of Level 2, one of Level 3, and one with vectors, as the pipeline makes them."""
    from tests.api import rendered  # numba and all: most of what a test that needs none of it would wait for

    return [rendered.level2(), *(rendered.level3(code) for code in ("HHC", "NST"))]


def bare_scans() -> list[Made]:
    """Scans of the same names with images of a few pixels."""
    return [made("KPDT", NOON), made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1)]


def fill(store: Store, newest: list[Made]) -> World:
    """Publish scans of two sites, and keep fields, forecasts, reports and stations."""
    earlier = (made("KPDT", NOON - timedelta(minutes=10 * count)) for count in range(1, 6))
    Publisher(store).publish(*newest, *earlier, made("KTLX", NOON))
    world = World(store)
    fields = (icon(step=step, grid="regular") for step in (0, 60))
    world.keep_fields(*fields, icon(), icon("clat"), icon("clon"))
    world.keep_forecast(RUN, STATION)
    world.keep_reports(DAY, STATION)
    world.keep_stations()
    return world


def paths(world: World) -> list[str]:
    """The paths of all files that the archive keeps."""
    periods = (("icon-d2", f"{RUN:%Y%m%d%H}"), ("mosmix-l", f"{RUN:%Y%m%d%H}"), ("poi", f"{DAY:%Y%m%d}"))
    return [path for period in periods for path in sorted(world.ledger(*period).kept)]


def addresses(store: Store, level: int) -> list[str]:
    """The names of the images and documents of a level, as digest addresses have them."""
    scans = Publisher(store).snapshot("KPDT", NOON.date()).scans.values()
    found = [one for one in scans if one.level == level]
    images = [
        image.name
        for scan in found
        for layer in scan.layers.values()
        for tilt in layer.tilts
        for image in tilt.images
    ]
    return images + [document.name for scan in found for document in scan.documents.values()]
