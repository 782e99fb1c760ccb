"""What a person sees and does in the viewer."""

from __future__ import annotations

import math
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from nexrad_assets.radar import tilts
from tests.api import rendered
from tests.api.v1.radar.test_value import gate_at, pixel_centres
from tests.viewer.conftest import CADENCE, SCANS, STATION, TILE, on_screen, state

AXE = Path(__file__).parents[2] / "api" / "viewer" / "node_modules" / "axe-core" / "axe.min.js"


def echoes(radar, count=8):
    """Places in the middle of pixels of the first scan with rain, on a free part of the page, with the gate's code."""
    made = rendered.level2("KPDT", radar.starts[0]).scan
    image = made.layers["reflectivity"].tilts[0].images[0]
    volume = rendered.volume("KPDT", radar.starts[0])
    sweep = tilts.tilts(volume, "REF")[0].sweeps[0]
    found = []
    for lon, lat in pixel_centres(image, made.corners[image.canvas_km], 40_000, seed=3):
        x, y = on_screen(lon, lat)
        free = 360 < x < 850 and 80 < y < 560
        gate = gate_at(sweep, lon, lat) if free else None
        if gate is not None and gate[0] > 100:
            found.append((lon, lat, x, y, gate[0], sweep.moments["REF"]))
        if len(found) == count:
            break
    assert len(found) == count
    return found


def first_scan(radar) -> str:
    """When it began, as addresses have it: before the same tilt was scanned once more."""
    return f"{radar.starts[0]:%Y-%m-%dT%H:%M:%SZ}"


def click_until(seen, x: float, y: float, holds) -> None:
    """Click on the map until it holds: a mark is there only when the map has drawn it."""

    def clicked() -> object:
        if not holds():
            seen.page.mouse.click(x, y)
            seen.page.wait_for_timeout(1000)
        return holds()

    seen.until(clicked)


def newest_key(radar) -> str:
    return f"KPDT{radar.starts[-1]:%Y%m%d_%H%M%S}_V06"


def test_the_newest_scan_is_shown_without_a_word_to_anyone_else(visit, radar):
    seen = visit()
    assert seen.image == f"{newest_key(radar)}_reflectivity_idx0"
    seen.until(lambda: seen.page.locator("#loading").is_hidden())
    assert {url.split("/")[2] for url in seen.requests if not url.startswith("blob:")} == {
        f"127.0.0.1:{radar.port}"
    }
    assert seen.page.locator("#badge").text_content().startswith("Live")
    credit = seen.page.locator("#credit")
    assert credit.is_visible()
    for words in ("NOAA/NWS", "Deutscher Wetterdienst", "Not for safety of life"):
        assert words in credit.text_content()


def test_the_value_under_the_pointer_is_that_of_the_api_and_of_the_gate(revisit, radar):
    at = first_scan(radar)
    seen = revisit(state(storms=0, at=at))
    client = httpx.Client(base_url=radar.url, trust_env=False)
    for lon, lat, x, y, code, moment in echoes(radar):
        asked = len(seen.requests)
        seen.page.mouse.move(x, y)
        told = seen.page.locator("#legend-value").text_content()
        assert not [url for url in seen.requests[asked:] if "/v1/value" in url]
        assert told == f"{(code - moment.offset) / moment.scale:.1f} dBZ"
        point = {"product": "reflectivity", "lon": lon, "lat": lat, "at": at}
        answer = client.get("v1/value", params=point)
        assert told == f"{answer.json()['values'][0]['value']:.1f} dBZ"


def test_the_colour_on_the_map_is_that_of_the_value(revisit, radar):
    seen = revisit(state(storms=0, sites=0, opacity=1, at=first_scan(radar)))
    legend = httpx.get(f"{radar.url}v1/products", params={"site": "KPDT"}).json()["products"][0]["legend"]
    seen.until(lambda: seen.page.locator("#loading").is_hidden())
    seen.page.wait_for_timeout(1000)
    drawn = seen.drawn()
    # Outlines lie above the radar: most, not all, of the places show the bare colour.
    right = [
        np.abs(drawn[round(y - 0.5), round(x - 0.5)] - legend["colours"][code][:3]).max() <= 2
        for _, _, x, y, code, _ in echoes(radar, 20)
    ]
    assert sum(right) >= 15


def test_a_radar_is_chosen_by_its_name(revisit):
    seen = revisit()
    seen.page.keyboard.press("s")
    seen.page.keyboard.type("oklahoma")
    seen.page.keyboard.press("Enter")
    seen.until(lambda: seen.image.startswith("KTLX"))
    assert seen.page.locator("#site-button strong").text_content() == "KTLX"
    seen.until(lambda: "site=KTLX" in seen.page.url)


def test_a_radar_is_chosen_on_the_map(revisit):
    seen = revisit("map=4.5/40/-105&site=KPDT")
    x = 500 + (-97.2778 + 105) / 360 * TILE * 2**4.5
    merc = math.asinh(math.tan(math.radians(40))) - math.asinh(math.tan(math.radians(35.3334)))
    click_until(seen, x, 350 + merc / (2 * math.pi) * TILE * 2**4.5, lambda: seen.image.startswith("KTLX"))


def test_a_product_and_a_tilt_are_chosen(revisit):
    seen = revisit()
    seen.page.locator("#tilts input").first.check(force=True)
    seen.until(lambda: seen.image.endswith("_idx6"))
    seen.page.keyboard.press("ArrowDown")
    seen.page.locator("#product").select_option("hydrometeor/HHC")
    seen.until(lambda: seen.image.endswith("HHC_hydrometeor_idx0"))
    assert "large hail" in seen.page.locator("#legend-classes").text_content()
    assert seen.page.locator("#tilts").is_hidden()


def test_a_loop_plays_stops_and_is_sought(revisit, radar):
    seen = revisit("speed=16")
    seen.until(lambda: seen.page.locator("#loading").is_hidden())
    seen.page.keyboard.press("Home")
    oldest = f"KPDT{radar.starts[0]:%Y%m%d_%H%M%S}_V06_reflectivity_idx0"
    seen.until(lambda: seen.image == oldest)
    shown = set()
    seen.page.locator("#play").click()
    seen.until(lambda: shown.add(seen.image) or len(shown) >= SCANS)
    seen.page.locator("#play").click()
    seen.page.locator("#follow").click()
    seen.until(lambda: seen.image == f"{newest_key(radar)}_reflectivity_idx0")
    box = seen.page.locator("#time-slider").bounding_box()
    seen.page.mouse.click(box["x"] + 10, box["y"] + box["height"] / 3)
    seen.until(lambda: seen.image == oldest)
    seen.until(lambda: "at=" in seen.page.url)


def test_an_address_brings_back_what_was_seen(revisit, radar):
    seen = revisit(
        state(site="KPDT", tilt=1.8, at=first_scan(radar), table="safe", theme="light", opacity=0.5)
    )
    assert seen.image == f"KPDT{radar.starts[0]:%Y%m%d_%H%M%S}_V06_reflectivity_idx3"
    assert seen.page.locator("html").get_attribute("data-theme") == "light"
    seen.page.keyboard.press("o")
    assert seen.page.locator("#table").input_value() == "safe"
    assert seen.page.locator("#opacity").input_value() == "50"


def test_a_new_scan_appears_by_itself(revisit, radar):
    seen = revisit()
    seen.page.evaluate("window.stayed = true")
    before = seen.image
    key = radar.publish(radar.starts[-1] + CADENCE)
    seen.until(lambda: seen.image == f"{key}_reflectivity_idx0")
    assert seen.image != before
    assert seen.page.evaluate("window.stayed")


def test_the_page_outlives_its_server_and_finds_it_again(revisit, radar):
    seen = revisit()
    before = seen.image
    radar.stop()
    seen.until(lambda: "does not answer" in seen.page.locator("#message").text_content())
    assert seen.page.locator("#badge").text_content() == "Not connected"
    assert seen.image == before
    key = radar.publish(radar.starts[-1] + CADENCE)
    radar.start()
    seen.until(lambda: seen.image == f"{key}_reflectivity_idx0", 60)
    assert seen.page.locator("#message").text_content() == ""
    assert seen.page.locator("#badge").text_content().startswith("Live")


def test_everything_is_reached_without_a_mouse(revisit):
    seen = revisit()
    page = seen.page
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name"))
    buttons = {"site-button", "product", "zoom-in", "settings-button", "runs-button", "help-button", "tilt"}
    assert buttons | {"step-back", "play", "step-on", "time-slider", "speed", "follow"} <= reached
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()
    page.keyboard.press("ArrowUp")
    seen.until(lambda: seen.image.endswith("_idx1"))
    zoom = re.search(r"map=([\d.]+)", page.url)
    page.keyboard.press("+")
    seen.until(lambda: (now := re.search(r"map=([\d.]+)", page.url)) and (not zoom or now[1] > zoom[1]))


def test_who_hears_the_page_is_told_what_it_shows(revisit):
    seen = revisit()
    summary = seen.page.locator("#summary")
    seen.until(summary.text_content)
    form = r"KPDT, 0\.5 degrees, \d\d:\d\d UTC, strongest \d+ dBZ \d+ km (north|south|east|west)+"
    assert re.fullmatch(form, summary.text_content())


SHOW_MESSAGE = """() => {
    const message = document.getElementById("message");
    message.textContent = "The server does not answer. What was loaded stays; trying again.";
    return message.getBoundingClientRect().toJSON();
}"""


def test_nothing_hides_on_a_phone(visit):
    page = visit("", 390, 844, has_touch=True).page
    for width, height in [(390, 844), (360, 640), (844, 390)]:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = {}
        for name in (
            "#bar",
            "#tools",
            "#time",
            "#legend",
            "#credit",
            "#play",
            "#follow",
            "#product",
            "#badge",
        ):
            box = page.locator(name).bounding_box()
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["y"] + box["height"] <= height
            boxes[name] = box
        assert boxes["#bar"]["x"] + boxes["#bar"]["width"] <= boxes["#tools"]["x"]
        assert boxes["#time"]["y"] + boxes["#time"]["height"] <= boxes["#credit"]["y"]
        message = page.evaluate(SHOW_MESSAGE)
        assert message["right"] <= boxes["#tools"]["x"]
        assert message["top"] >= boxes["#bar"]["y"] + boxes["#bar"]["height"]


def test_axe_finds_nothing_serious(revisit):
    if not AXE.is_file():
        pytest.skip(f"AXE ABSENT: no {AXE}; run `make viewer`")
    page = revisit("theme=dark").page
    page.evaluate(AXE.read_text("utf-8"))
    for key in (None, "o", "Escape i", "Escape ?", "Escape t", "o", "Escape i", "Escape ?"):
        for one in (key or "").split():
            page.keyboard.press(one)
        panel = {"o": "#settings", "i": "#runs", "?": "#help"}.get((key or "")[-1:])
        assert panel is None or page.locator(panel).is_visible()
        found = page.evaluate("axe.run().then((told) => told.violations)")
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"]])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        assert serious == []
    assert page.locator("html").get_attribute("data-theme") == "light"


def test_an_embedded_map_has_no_controls_but_its_source(revisit):
    page = revisit("embed=1").page
    for name in ("#tools", "#play", "#time-slider", "#tilts"):
        assert page.locator(name).is_hidden()
    for name in ("#credit", "#legend", "#badge", "#time-utc"):
        assert page.locator(name).is_visible()


def test_the_picture_and_the_loop_are_saved(revisit):
    seen = revisit("speed=16")
    seen.until(lambda: seen.page.locator("#loading").is_hidden())
    with seen.page.expect_download() as picture:
        seen.page.keyboard.press("e")
    image = Image.open(picture.value.path())
    assert image.format == "PNG"
    assert image.width == 1000
    assert len(image.convert("RGB").resize((200, 150)).getcolors(30_000)) > 50
    with seen.page.expect_download(timeout=60_000) as loop:
        seen.page.keyboard.press("w")
    video = Path(loop.value.path()).read_bytes()
    assert video[:4] == bytes.fromhex("1a45dfa3")  # EBML
    assert len(video) > 10_000


def test_a_station_of_dwd_shows_its_forecast(revisit, radar):
    told = httpx.get(f"{radar.url}v1/dwd/stations").json()["items"]
    (place,) = (one for one in told if one["id"] == STATION)
    seen = revisit(f"stations=1&sites=0&map=7/{place['latitude_deg']}/{place['longitude_deg']}")
    click_until(seen, 500, 350, lambda: seen.page.locator("#station-body svg").count())
    assert "°C" in seen.page.locator("#station-body figcaption").text_content()


def test_the_runs_of_icon_d2_are_told(revisit):
    page = revisit().page
    page.locator("#runs-button").click()
    run = page.locator("#runs-body .run").first
    run.wait_for()
    assert "2025-04-09 09:00" in run.text_content()
    assert re.search(r"1 of \d+ files", run.text_content())


def test_an_image_that_is_gone_is_told_in_words(revisit):
    seen = revisit()
    seen.page.route("**/v1/images/**idx4*", lambda route: route.fulfill(status=404))
    seen.page.locator("#tilts input[value='2.42']").check(force=True)
    seen.until(lambda: "could not be loaded" in seen.page.locator("#message").text_content())
