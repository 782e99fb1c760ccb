"""MOSMIX point forecasts: KMZ files of one station and of all, each newest one also under the name `LATEST`.

Source: DWD's point forecast extension of KML, `pointforecast_dwd_extension_V1_0.xsd`. How long the server keeps a
forecast is not documented; here it is two days of MOSMIX_L and one of MOSMIX_S.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO

from dwd_assets.formats.mosmix.forecasts import read_definition
from dwd_assets.formats.mosmix.kmz import find_kml, pack, read_kml
from dwd_assets.formats.mosmix.split import LONGEST_KML
from dwd_assets.simulator.chance import chance
from dwd_assets.simulator.stations import Station
from dwd_assets.simulator.world import File, may_hold

FOLDER = "/weather/local_forecasts/mos/"

Elements = tuple[tuple[str, int, int], ...]
"""Names, and lowest and highest value in hundredths of DWD's unit."""

_ELEMENTS_S: Elements = (
    ("PPPP", 9_800_000, 10_400_000),
    ("TTT", 26_315, 30_315),
    ("Td", 25_815, 29_315),
    ("DD", 0, 36_000),
    ("FF", 0, 2_500),
    ("N", 0, 10_000),
    ("RR1c", 0, 1_000),
)
_ELEMENTS_L: Elements = (*_ELEMENTS_S, ("SunD1", 0, 360_000), ("FXh", 0, 4_000), ("VV", 10_000, 7_000_000))
_MISSING_ONE_IN = 20

_PLACEMARK_BEGINS, _PLACEMARK_ENDS = b"        <kml:Placemark>\n", b"        </kml:Placemark>\n"


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of forecast: hours between issues and of the first one, its delay, how many are kept, what is in it."""

    name: str
    every_hours: int
    first_hour: int
    delay: timedelta
    kept: int
    steps: int
    elements: Elements
    suffix: str
    has_single_stations: bool


MOSMIX_L = Product("MOSMIX_L", 6, 3, timedelta(minutes=85), 8, 247, _ELEMENTS_L, "", has_single_stations=True)
MOSMIX_S = Product(
    "MOSMIX_S", 1, 0, timedelta(minutes=21), 24, 240, _ELEMENTS_S, "_240", has_single_stations=False
)


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The files of one product for some stations."""

    seed: int
    product: Product
    stations: tuple[Station, ...]

    def find(self, path: str, at: datetime) -> File | None:
        """The file of a path."""
        return next((file for file in self.files(path, at) if file.path == path), None)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        """All files below a prefix."""
        folder = f"{FOLDER}{self.product.name}"
        yield from self._folder(f"{folder}/all_stations/kml/", self.stations, "", prefix, at)
        if self.product.has_single_stations:
            for one in self.stations:
                single = f"{folder}/single_stations/{one.id}/kml/"
                yield from self._folder(single, (one,), f"_{one.id}", prefix, at)

    def _folder(
        self, folder: str, stations: tuple[Station, ...], ending: str, prefix: str, at: datetime
    ) -> Iterator[File]:
        if not may_hold(folder, prefix):
            return
        product = self.product
        newest = _newest_issue(product, at)
        for age in range(product.kept):
            issued = newest - timedelta(hours=product.every_hours * age)
            build = partial(self._content, stations, issued)
            for label in (f"{issued:%Y%m%d%H}", *(() if age else ("LATEST",))):
                path = f"{folder}{product.name}_{label}{product.suffix}{ending}.kmz"
                if path.startswith(prefix):
                    yield File(path, issued + product.delay, build)

    def _content(self, stations: tuple[Station, ...], issued: datetime, revision: int) -> bytes:
        parts = [_head(issued, self.product.steps)]
        parts += [self._placemark(station, issued, revision) for station in stations]
        parts.append("    </kml:Document>\n</kml:kml>\n")
        entry = f"{self.product.name}_{issued:%Y%m%d%H}{self.product.suffix}.kml"
        return pack(entry, (part.encode("latin-1") for part in parts), issued + self.product.delay)

    def _placemark(self, station: Station, issued: datetime, revision: int) -> str:
        elements = "".join(
            f"""
                <dwd:Forecast dwd:elementName="{name}">
                    <dwd:value>{self._row(station, issued, name, (lowest, highest), revision)}</dwd:value>
                </dwd:Forecast>"""
            for name, lowest, highest in self.product.elements
        )
        position = f"{station.longitude_deg},{station.latitude_deg},{station.height_m}"
        return f"""        <kml:Placemark>
            <kml:name>{station.id}</kml:name>
            <kml:description>{station.name}</kml:description>
            <kml:ExtendedData>{elements}
            </kml:ExtendedData>
            <kml:Point>
                <kml:coordinates>{position}</kml:coordinates>
            </kml:Point>
        </kml:Placemark>
"""

    def _row(
        self, station: Station, issued: datetime, element: str, bounds: tuple[int, int], revision: int
    ) -> str:
        """Values that go evenly up and down between the bounds, some of them missing."""
        lowest, highest = bounds
        drawn = chance(self.seed, station.id, issued, element, revision)
        span, stride = highest - lowest, (highest - lowest) // 50 + drawn % 97
        words = []
        for step in range(self.product.steps):
            height = abs((drawn % (2 * span) + step * stride) % (2 * span) - span)
            is_missing = (drawn + step) % _MISSING_ONE_IN == 0
            words.append("-" if is_missing else f"{(lowest + height) / 100:.2f}")
        return "".join(f"{word:>11}" for word in words)


def half_issue(kmz: bytes) -> bytes:
    """Return a whole KMZ of the first half of the stations in a KMZ made here; with an odd number, the smaller half.

    Raises `FormatError` for what is not a KMZ.
    """
    name = "the KMZ to be halved"
    entry = find_kml(BytesIO(kmz), name).name
    kml = read_kml(kmz, name, LONGEST_KML)
    head, *placemarks = kml.split(_PLACEMARK_BEGINS)
    last, end_tag, tail = placemarks[-1].partition(_PLACEMARK_ENDS)
    whole = [_PLACEMARK_BEGINS + each for each in (*placemarks[:-1], last + end_tag)]
    kept = whole[: len(whole) // 2]
    return pack(entry, (head, *kept, tail), read_definition(head + tail, name).issued)


def _newest_issue(product: Product, at: datetime) -> datetime:
    out = at - product.delay - timedelta(hours=product.first_hour)
    hour = out.hour - out.hour % product.every_hours
    return out.replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(hours=product.first_hour)


def _head(issued: datetime, steps: int) -> str:
    """All before the first station."""
    times = "".join(
        f"\n                    <dwd:TimeStep>{_zulu(issued + timedelta(hours=hour))}</dwd:TimeStep>"
        for hour in range(1, steps + 1)
    )
    return f"""<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>
<kml:kml xmlns:dwd="https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd" \
xmlns:kml="http://www.opengis.net/kml/2.2">
    <kml:Document>
        <kml:ExtendedData>
            <dwd:ProductDefinition>
                <dwd:Issuer>Simulated Deutscher Wetterdienst</dwd:Issuer>
                <dwd:ProductID>MOSMIX</dwd:ProductID>
                <dwd:GeneratingProcess>simulation</dwd:GeneratingProcess>
                <dwd:IssueTime>{_zulu(issued)}</dwd:IssueTime>
                <dwd:ForecastTimeSteps>{times}
                </dwd:ForecastTimeSteps>
                <dwd:FormatCfg>
                    <dwd:DefaultUndefSign>-</dwd:DefaultUndefSign>
                </dwd:FormatCfg>
            </dwd:ProductDefinition>
        </kml:ExtendedData>
"""


def _zulu(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
