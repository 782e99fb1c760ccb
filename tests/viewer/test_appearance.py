"""How the viewer looks: storm marks where the API says, the device's wishes, and pictures to compare with.

The pictures in `screens/` are made anew with `RENEW_SCREENS=1 pytest tests/viewer/test_appearance.py`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.api.world import NOON
from tests.viewer import storm_day
from tests.viewer.conftest import Camera, Seen, on_screen, state, visiting

SCREENS = Path(__file__).parent / "screens"
OKLAHOMA: Camera = (7.0, 35.333, -97.278)
STORMS = {"site": storm_day.SITE, "day": storm_day.DAY}
MARKS = {
    "storm_tracks": (0, (255, 255, 255)),
    "mesocyclones": (10, (255, 214, 10)),
    "hail": (0, (77, 225, 193)),
    "tornadoes": (0, (255, 77, 109)),
}
"""How far from its place each mark has which colour, in pixels."""

NEAR = 24
"""Levels by which a colour may differ: pictures are kept in coarse steps, and renderers round."""

STEP = 16
"""Levels between the steps in which pictures are kept, so that they are small."""

CELL = 50
MOST_WRONG = 0.05
"""The share of a cell's pixels that may be others: edges of letters that moved by more than a pixel."""

DESKTOP, PHONE = (900, 600), (390, 700)
VIEWS = {
    "desktop-dark": (DESKTOP, "dark"),
    "desktop-light": (DESKTOP, "light"),
    "phone-dark": (PHONE, "dark"),
    "phone-light": (PHONE, "light"),
}
"""Sizes and colour schemes of the pictures, by name."""


@pytest.fixture
def documents(radar) -> dict[str, list[dict]]:
    """Features of the storm day by kind of document, as the API tells them."""
    with httpx.Client(base_url=radar.url, trust_env=False) as client:
        at = {"site": storm_day.SITE, "at": f"{NOON:%Y-%m-%dT%H:%M:%SZ}"}
        told = client.get("v1/vectors", params=at).json()["documents"]
        return {one["kind"]: client.get(one["href"]).json()["features"] for one in told}


@pytest.fixture(scope="module")
def storms(browser, radar) -> Iterator[Seen]:
    """A page with the marks of the storm day, and nothing of the radar."""
    with visiting(browser, radar) as visit:
        yield visit(state(OKLAHOMA, **STORMS, theme="dark", sites=0, opacity=0))


@pytest.fixture(scope="module")
def gallery(browser, radar) -> Iterator[Seen]:
    """A page of the storm day that is as bright as the device, under a clock that stands."""
    options = {"locale": "en-US", "timezone_id": "UTC", "reduced_motion": "reduce"}
    with visiting(browser, radar) as visit:
        yield visit(state(OKLAHOMA, **STORMS), now=NOON + timedelta(minutes=4), **options)


def has_colour(drawn, x: float, y: float, colour, reach: int = 2, near: int = NEAR) -> bool:
    """Whether one of the pixels around a place is nearly of a colour."""
    column, row = round(x), round(y)
    around = drawn[row - reach : row + reach + 1, column - reach : column + reach + 1]
    return bool((np.abs(around - colour).max(axis=2) <= near).any())


def test_storms_hail_and_circulations_are_marked_where_the_api_has_them(storms, documents):
    assert set(documents) == set(MARKS)
    drawn = storms.settled()
    storms.page.keyboard.press("m")
    without = storms.settled()
    storms.page.keyboard.press("m")
    for kind, (away, colour) in MARKS.items():
        (mark,) = (one for one in documents[kind] if one["geometry"]["type"] == "Point")
        x, y = on_screen(*mark["geometry"]["coordinates"], OKLAHOMA)
        assert has_colour(drawn, x, y - away, colour), kind
        assert not has_colour(without, x, y - away, colour), kind


def test_tracks_run_from_where_a_storm_was_to_where_it_will_be(storms, documents):
    drawn = storms.settled()
    share = {}
    for line in (one for one in documents["storm_tracks"] if one["geometry"]["type"] == "LineString"):
        (x1, y1), (x2, y2) = (on_screen(*place, OKLAHOMA) for place in line["geometry"]["coordinates"])
        places = [(x1 + (x2 - x1) * part, y1 + (y2 - y1) * part) for part in np.linspace(0.15, 0.85, 40)]
        bright = [
            drawn[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].max() > 150 for x, y in places
        ]
        share[line["properties"]["kind"]] = sum(bright) / len(bright)
    assert share["past_track"] > 0.95
    assert 0.3 < share["forecast_track"] < 0.95  # dashes


def test_a_mark_tells_its_story_when_it_is_pointed_at(storms, documents):
    (hail,) = documents["hail"]
    storms.page.mouse.move(*on_screen(*hail["geometry"]["coordinates"], OKLAHOMA))
    storms.until(lambda: storms.page.locator("#legend-where").text_content() == "Hail, up to 2 inch")


WATER, LAND = (13, 19, 27), (24, 32, 43)
LAKE_HURON: Camera = (5.5, 44.5, -81.0)
PLACES = [
    ("Canada's half of Lake Huron", -82.0, 44.9, WATER),
    ("the other half", -83.0, 45.0, WATER),
    ("Georgian Bay", -80.6, 45.2, WATER),
    ("Canada's half of Lake Ontario", -78.6, 43.6, WATER),
    ("Canada's half of Lake Erie", -80.9, 42.45, WATER),
    ("Ontario", -81.2, 43.5, LAND),
    ("Michigan", -84.6, 43.3, LAND),
]


def test_the_great_lakes_are_water_on_both_sides(storms):
    fragment = state(LAKE_HURON, **STORMS, theme="dark", sites=0, storms=0, opacity=0)
    storms.page.evaluate("fragment => (location.hash = fragment)", fragment)
    storms.until(lambda: camera(storms) == LAKE_HURON)
    drawn = storms.settled()
    for place, lon, lat, colour in PLACES:
        assert has_colour(drawn, *on_screen(lon, lat, LAKE_HURON), colour, reach=0, near=4), place


def brightness(seen) -> float:
    return float(np.median(seen.settled()))


def test_the_page_and_the_map_are_as_bright_as_the_device_until_a_person_chooses(visit):
    seen = visit(state(OKLAHOMA, **STORMS, opacity=0), color_scheme="light")
    assert brightness(seen) > 180
    seen.page.emulate_media(color_scheme="dark")
    assert brightness(seen) < 60
    seen.page.keyboard.press("t")
    assert brightness(seen) > 180
    seen.until(lambda: "theme=light" in seen.page.url)


def camera(seen) -> Camera | None:
    told = seen.page.url.partition("map=")[2].partition("&")[0].split("/")
    return tuple(map(float, told)) if len(told) == 3 else None


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_who_wants_less_motion_is_taken_to_a_radar_at_once(visit, motion):
    seen = visit(state(play=1), reduced_motion=motion)
    playing = seen.page.locator("#play").get_attribute("aria-label")
    assert playing == ("Play" if motion == "reduce" else "Pause")
    if motion == "no-preference":
        seen.page.locator("#play").click()
    seen.page.clock.install()
    seen.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=5))
    seen.page.keyboard.press("s")
    seen.page.keyboard.type("KTLX")
    seen.page.keyboard.press("Enter")
    seen.page.clock.run_for(300)
    place = camera(seen)
    there = place is not None and math.hypot(place[1] - 35.333, place[2] + 97.278) < 0.01
    assert there == (motion == "reduce")


def wrong(drawn, kept) -> float:
    """Of the cell that differs most, the share of pixels that are of no colour between those around them in the other
    picture."""
    off = _beyond(drawn, kept) | _beyond(kept, drawn)
    height, width = off.shape
    cells = [
        off[top : top + CELL, left : left + CELL].mean()
        for top in range(0, height, CELL)
        for left in range(0, width, CELL)
    ]
    return float(max(cells))


def _beyond(one, other):
    height, width, _ = other.shape
    padded = np.pad(other, ((1, 1), (1, 1), (0, 0)), "edge")
    around = np.stack([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)])
    return ((one < around.min(axis=0) - NEAR) | (one > around.max(axis=0) + NEAR)).any(axis=2)


def look(gallery, view):
    """What is seen of the gallery in a view, at rest."""
    size, scheme = VIEWS[view]
    gallery.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    gallery.page.emulate_media(color_scheme=scheme)
    return gallery.settled()


def kept(view):
    """The picture of a view."""
    return np.asarray(Image.open(SCREENS / f"{view}.png").convert("RGB")).astype(int)


@pytest.mark.parametrize("view", VIEWS)
def test_it_looks_as_its_picture(gallery, view):
    drawn = look(gallery, view)
    path = SCREENS / f"{view}.png"
    if os.environ.get("RENEW_SCREENS"):
        SCREENS.mkdir(exist_ok=True)
        coarse = drawn // STEP * STEP + STEP // 2
        Image.fromarray(coarse.astype(np.uint8)).save(path, optimize=True)
    assert path.stat().st_size < 150_000
    assert kept(view).shape == drawn.shape
    assert wrong(drawn, kept(view)) < MOST_WRONG


@pytest.mark.parametrize("name", ["#legend", "#time", "#tilts", "#tools", "#bar", "#credit", "#badge"])
def test_the_comparison_sees_that_a_part_of_the_page_is_missing(gallery, name):
    look(gallery, "desktop-dark")
    gallery.page.evaluate("name => (document.querySelector(name).style.visibility = 'hidden')", name)
    seen = wrong(gallery.drawn(), kept("desktop-dark"))
    gallery.page.evaluate("name => (document.querySelector(name).style.visibility = '')", name)
    assert seen > MOST_WRONG


@pytest.mark.parametrize("key", ["m", "c", "ArrowUp"])
def test_the_comparison_sees_that_a_layer_is_another(gallery, key):
    """Marks of storms, the table of colours, the tilt."""
    look(gallery, "desktop-dark")
    gallery.page.keyboard.press(key)
    seen = wrong(gallery.settled(), kept("desktop-dark"))
    gallery.page.keyboard.press({"ArrowUp": "ArrowDown"}.get(key, key))
    assert seen > MOST_WRONG
