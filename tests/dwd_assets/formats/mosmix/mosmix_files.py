"""MOSMIX files for tests: small ones made from nothing, and one of all stations out of a real station.

Everything is zipped by the standard library, so that what reads it here is tested against another's ZIP.
"""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

ISSUED = datetime(2026, 9, 16, 9, tzinfo=UTC)

NAMESPACES = (
    'xmlns:dwd="https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd" '
    'xmlns:kml="http://www.opengis.net/kml/2.2"'
)

TAIL = b"\n    </kml:Document>\n</kml:kml>\n"
BETWEEN = b"\n        "

Row = Sequence[float | None]


def head(steps: int = 3, issued: datetime = ISSUED, missing: str = "-") -> bytes:
    """All before the first Placemark, laid out as DWD does."""
    times = "".join(
        f"\n                    <dwd:TimeStep>{issued + timedelta(hours=hour):%Y-%m-%dT%H:%M:%S.000Z}</dwd:TimeStep>"
        for hour in range(1, steps + 1)
    )
    return f"""<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>
<kml:kml {NAMESPACES}>
    <kml:Document>
        <kml:ExtendedData>
            <dwd:ProductDefinition>
                <dwd:Issuer>Deutscher Wetterdienst</dwd:Issuer>
                <dwd:IssueTime>{issued:%Y-%m-%dT%H:%M:%S.000Z}</dwd:IssueTime>
                <dwd:ForecastTimeSteps>{times}
                </dwd:ForecastTimeSteps>
                <dwd:FormatCfg>
                    <dwd:DefaultUndefSign>{missing}</dwd:DefaultUndefSign>
                </dwd:FormatCfg>
            </dwd:ProductDefinition>
        </kml:ExtendedData>
        """.encode("latin-1")


def placemark(station: str, rows: Mapping[str, Row], name: str = "ORT", at: str = "7.63,51.97,60.0") -> bytes:
    """One station, laid out as DWD does; a missing value is None."""
    elements = "".join(
        f'\n                <dwd:Forecast dwd:elementName="{element}">\n                    <dwd:value>'
        + "".join(f"{'-' if value is None else format(value, '.2f'):>11}" for value in row)
        + "</dwd:value>\n                </dwd:Forecast>"
        for element, row in rows.items()
    )
    return f"""<kml:Placemark>
            <kml:name>{station}</kml:name>
            <kml:description>{name}</kml:description>
            <kml:ExtendedData>{elements}
            </kml:ExtendedData>
            <kml:Point>
                <kml:coordinates>{at}</kml:coordinates>
            </kml:Point>
        </kml:Placemark>""".encode("latin-1")


def simple(station: str, value: float = 280.0) -> bytes:
    """A station of two elements at three steps, the second with a missing value."""
    return placemark(station, {"TTT": [value, value + 1, value + 2], "N": [0, None, 100]})


def document(stations: Iterable[bytes]) -> bytes:
    """A whole KML of three time steps."""
    return head() + BETWEEN.join(stations) + TAIL


def kmz(kml: bytes, entry: str = "MOSMIX_L_2026091609.kml", packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A KMZ as another program makes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        archive.writestr(entry, kml)
    return file.getvalue()


def all_stations(one: bytes, count: int) -> Iterator[bytes]:
    """The pieces of a KML of many stations, made from the KML of one: other ids, other digits in its values."""
    begin = one.index(b"<kml:Placemark>")
    end = one.index(b"</kml:Placemark>") + len(b"</kml:Placemark>")
    yield one[:begin]
    for number in range(count):
        yield (BETWEEN if number else b"") + changed(one[begin:end], number)
    yield one[end:]


def changed(station: bytes, number: int) -> bytes:
    """A station with the id `S<number>` and every row of values in other digits, of the same widths."""
    digits = list(b"0123456789")
    random.Random(number).shuffle(digits)
    other = bytes.maketrans(b"0123456789", bytes(digits))
    renamed = re.sub(rb"<kml:name>.*?<", b"<kml:name>S%04d<" % number, station, count=1)
    return re.sub(rb"(?<=<dwd:value>)[^<]+", lambda row: row[0].translate(other), renamed)


def write_all_stations(path: Path, one: bytes, count: int) -> int:
    """Write `all_stations` as a KMZ, and return the bytes of its KML. 6,000 of MOSMIX_L have 2 GB."""
    written = 0
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{path.stem}.kml", "w") as entry,
    ):
        for piece in all_stations(one, count):
            written += entry.write(piece)
    return written
