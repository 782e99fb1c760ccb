"""The viewer in a real Chromium, in front of a real server with scans that were really rendered."""

from __future__ import annotations

import io
import math
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from api.app import create_app
from api.viewer_files import BUILT, PAGE
from dwd_assets.simulator.forecasts import MOSMIX_L
from store.posix import PosixStore
from tests.api import rendered
from tests.api.conftest import eventually, settings
from tests.api.v1.dwd import dwd_world
from tests.api.world import Publisher
from tests.viewer import storm_day

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""A software renderer, so that machines without a graphics card draw the same."""

CADENCE = timedelta(seconds=270)
SCANS = 3
STATION = "10315"

Camera = tuple[float, float, float]
"""Zoom, latitude, longitude."""

PENDLETON: Camera = (7.0, 45.69, -118.85)
TILE = 512
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
"""Letters of a package, so that pages are laid out and drawn alike on every machine."""


def state(camera: Camera = PENDLETON, **parts) -> str:
    """The fragment of an address."""
    zoom, lat, lon = camera
    return "&".join(f"{name}={value}" for name, value in {"map": f"{zoom}/{lat}/{lon}", **parts}.items())


def on_screen(
    lon: float, lat: float, camera: Camera = PENDLETON, width: int = 1000, height: int = 700
) -> tuple[float, float]:
    """Where a place is on the page, by the formulas of Web Mercator."""

    def world(lon: float, lat: float) -> tuple[float, float]:
        return lon / 360 + 0.5, 0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)

    zoom, middle_lat, middle_lon = camera
    (x, y), (x0, y0) = world(lon, lat), world(middle_lon, middle_lat)
    size = TILE * 2**zoom
    return width / 2 + (x - x0) * size, height / 2 + (y - y0) * size


@dataclass
class Radar:
    """A server that can be stopped and started again at its address, and the scans that it has."""

    folder: Path
    newest: datetime
    starts: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = PosixStore(self.folder / "store")
        self.publisher = Publisher(self.store)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._stop: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """The address of the viewer."""
        return f"http://127.0.0.1:{self.port}/"

    def publish(self, start: datetime) -> str:
        """Publish the scan that began then; gives its key."""
        made = rendered.level2("KPDT", start)
        self.publisher.publish(made)
        self.starts.append(start)
        return made.scan.key

    def start(self) -> None:
        """Serve, as `python -m api` does."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        app = create_app(settings(primary_site="KPDT"), self.store)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        eventually(lambda: server.started or not thread.is_alive())

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listening.close()

        self._stop = stop

    def stop(self) -> None:
        """Be gone until the next `start`."""
        if self._stop is not None:
            self._stop()
        self._stop = None


@pytest.fixture(scope="session")
def radar(browser, tmp_path_factory) -> Iterator[Radar]:
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    made = Radar(tmp_path_factory.mktemp("viewer"), newest)
    for back in reversed(range(SCANS)):
        made.publish(newest - back * CADENCE)
    made.publisher.publish(rendered.level3("HHC", "KPDT", newest))
    storm_day.publish(made.publisher)
    issue = newest.replace(minute=0, second=0) - timedelta(hours=(newest.hour - 3) % 6 + 6)
    archive = dwd_world.World(made.store, now=issue + MOSMIX_L.delay)
    archive.keep_stations()
    archive.keep_forecast(issue, STATION)
    archive.keep_fields(dwd_world.icon())
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if not (BUILT / PAGE).is_file():
        pytest.skip(f"VIEWER NOT BUILT: no {BUILT / PAGE}; run `make viewer`")
    if CHROMIUM is None:
        pytest.skip("CHROMIUM ABSENT: install it, or name it in CHROMIUM")
    playwright = pytest.importorskip("playwright.sync_api", reason="PLAYWRIGHT ABSENT: install playwright")
    folder = tmp_path_factory.mktemp("fonts")
    fonts = folder / "fonts.conf"
    fonts.write_text(f"<fontconfig><dir>{FONTS}</dir><cachedir>{folder}</cachedir></fontconfig>")
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(
            executable_path=CHROMIUM, args=SWITCHES, env={**os.environ, "FONTCONFIG_FILE": str(fonts)}
        )
        yield found
        found.close()


@dataclass
class Seen:
    """A page and what it did."""

    page: Page
    requests: list[str]
    faults: list[str]

    @property
    def image(self) -> str:
        """The name of the image on the map, without its digest; empty while there is none."""
        address = self.page.locator("body").get_attribute("data-image") or ""
        return address.rpartition("/")[2].partition(".")[0]

    def drawn(self) -> NDArray[np.int_]:
        """What is seen now, as rows of RGB."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")).astype(int)

    def settled(self) -> NDArray[np.int_]:
        """What is seen when nothing changes any more: all images are there, and the map is drawn."""
        self.until(lambda: self.page.locator("#loading").is_hidden())
        before = self.drawn()
        for _ in range(60):
            self.page.wait_for_timeout(400)
            now = self.drawn()
            if np.array_equal(before, now) and not self.page.locator("#poster").count():
                return now
            before = now
        raise AssertionError("the page never came to rest")

    def until(self, holds: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait, while the page goes on, until something holds."""
        for _ in range(int(seconds * 20)):
            if holds():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"it never held; the page says {self.page.locator('#message').text_content()!r}")


@dataclass
class Visits:
    """Opens the viewer in pages, waits for the first image, and keeps what each asked for and threw."""

    radar: Radar
    _opened: list[Seen] = field(default_factory=list)

    def open(self, page: Page, state: str, stack: ExitStack) -> Seen:
        """The viewer with a state, listened to until the stack ends."""
        seen = Seen(page, [], [])
        heard = {
            "request": lambda request: seen.requests.append(request.url),
            "pageerror": lambda error: seen.faults.append(str(error)),
        }
        for event, hear in heard.items():
            page.on(event, hear)
            stack.callback(page.remove_listener, event, hear)
        self._opened.append(seen)
        page.goto(f"{self.radar.url}#{state}")
        seen.until(lambda: seen.image)
        return seen

    def check(self) -> None:
        """No page may have thrown."""
        assert [seen.faults for seen in self._opened] == [[] for _ in self._opened]


@contextmanager
def visiting(browser, radar) -> Iterator[Callable[..., Seen]]:
    """Opens the viewer with a state in a browser that has nothing in its cache; no page may have thrown in the end."""
    visits = Visits(radar)
    with ExitStack() as stack:

        def open_page(
            state: str = "", width: int = 1000, height: int = 700, now: datetime | None = None, **options
        ) -> Seen:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.callback(context.close)
            page = context.new_page()
            if now is not None:
                page.clock.set_fixed_time(now)
            return visits.open(page, state, stack)

        yield open_page
    visits.check()


@pytest.fixture
def visit(browser, radar) -> Iterator[Callable[..., Seen]]:
    """Opens pages that are closed after the test."""
    with visiting(browser, radar) as open_page:
        yield open_page


@pytest.fixture(scope="session")
def familiar(browser) -> Iterator[Page]:
    """A page of a browser that has the viewer in its cache, which spares half of a visit."""
    with closing(browser.new_context(viewport={"width": 1000, "height": 700})) as context:
        yield context.new_page()


@pytest.fixture
def revisit(radar, familiar) -> Iterator[Callable[..., Seen]]:
    """Opens the viewer once, in a page that has been there before: it keeps nothing but what its address says."""
    visits = Visits(radar)
    with ExitStack() as stack:
        yield lambda state="": visits.open(familiar, state, stack)
        familiar.unroute_all()
        familiar.mouse.move(-1, -1)
        familiar.goto("about:blank")
    visits.check()
