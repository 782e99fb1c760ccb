"""Make `nexrad_assets/radar/sites.csv` from NOAA's list of radar stations.

The list is a public report of the Historical Observing Metadata Repository (HOMR),
https://www.ncei.noaa.gov/access/homr/file/nexrad-stations.txt: fixed columns, elevations in feet which, since
its report of May 2021, are those of the feed horn (ground, tower and horn together). Positions are checked
against Py-ART's table, an older extract of the same repository (with ground elevations).

    python scripts/make_sites_table.py nexrad-stations.txt
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parents[1] / "nexrad_assets" / "radar" / "sites.csv"
METRES_PER_FOOT = 0.3048
WSR88D_SITES, TDWR_SITES = 160, 45

LEFT_OUT: Mapping[str, str] = {
    "KCRI": "test radar of the Radar Operations Center",
    "KOUN": "research radar of the National Severe Storms Laboratory",
    "LPLA": "Lajes (Azores), closed",
    "TJBQ": "stood in for TJUA after Hurricane Maria; no terminal Doppler radar of the FAA",
    "TJRV": "stood in for TJUA after Hurricane Maria; no terminal Doppler radar of the FAA",
}

FARTHEST_OFF_DEG = {"WSR-88D": 0.02, "TDWR": 0.12}
"""How far the two tables may be apart; Py-ART's TDWR positions are coarse."""

MOVED: Mapping[str, str] = {
    "KIWX": "Py-ART has it 0.05 degrees north of where the report has it now",
    "RKSG": "stands 36 km from its first place",
}

NAMES: Mapping[str, str] = {
    "KAKQ": "Norfolk/Richmond, VA",
    "KDGX": "Jackson, MS",
    "KDIX": "Philadelphia, PA",
    "KDVN": "Quad Cities, IA",
    "KEWX": "Austin/San Antonio, TX",
    "KEYX": "Edwards AFB, CA",
    "KFTG": "Denver, CO",
    "KFWS": "Dallas/Fort Worth, TX",
    "KGSP": "Greenville/Spartanburg, SC",
    "KHDC": "New Orleans (Hammond), LA",
    "KLGX": "Langley Hill, WA",
    "KLIX": "New Orleans (Slidell), LA",
    "KLSX": "St. Louis, MO",
    "KLWX": "Washington (Sterling), VA",
    "KMAF": "Midland/Odessa, TX",
    "KRAX": "Raleigh/Durham, NC",
    "KSFX": "Pocatello/Idaho Falls, ID",
    "PABC": "Bethel, AK",
    "PGUA": "Andersen AFB, Guam",
    "PHKM": "Kamuela/Kohala, HI",
    "RKJK": "Kunsan, South Korea",
    "RKSG": "Camp Humphreys, South Korea",
    "RODN": "Kadena, Japan",
    "TBWI": "Baltimore/Washington, MD",
    "TCVG": "Cincinnati/Covington, KY",
    "TDCA": "Washington National, DC",
    "TDFW": "Dallas/Fort Worth, TX",
    "TFLL": "Fort Lauderdale, FL",
    "TIAH": "Houston Intercontinental, TX",
    "TJFK": "New York JFK, NY",
    "TMEM": "Memphis, TN",
    "TOKC": "Oklahoma City, OK",
    "TORD": "Chicago O'Hare, IL",
    "TPHL": "Philadelphia, PA",
    "TRDU": "Raleigh/Durham, NC",
    "TSTL": "St. Louis, MO",
}
"""Names as people know them, where the report's own is cut, joined or of a village nearby."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table to be written."""

    id: str
    name: str
    latitude_deg: float
    longitude_deg: float
    height_m: float
    kind: str


def columns(header: str, rule: str) -> dict[str, slice]:
    """Where each column of a HOMR report lies, by its name: the rule of dashes below the header tells."""
    found = {}
    start = 0
    for dashes in rule.split():
        field = slice(start, start + len(dashes))
        found[header[field].strip()] = field
        start = field.stop + 1
    return found


def read_report(path: Path) -> Iterator[Row]:
    """The radars of a HOMR report that are in the public archive, by id."""
    header, rule, *lines = path.read_text(encoding="ascii").splitlines()
    where = columns(header, rule)
    for line in sorted(lines, key=lambda text: text[where["ICAO"]]):
        fields = {name: line[field].strip() for name, field in where.items()}
        if fields["ICAO"] not in LEFT_OUT:
            yield row(fields)


def row(fields: Mapping[str, str]) -> Row:
    """One radar, in our names and units."""
    site = fields["ICAO"]
    return Row(
        id=site,
        name=NAMES.get(site) or common_name(fields["NAME"], fields["ST"]),
        latitude_deg=float(fields["LAT"]),
        longitude_deg=float(fields["LON"]),
        height_m=round(float(fields["ELEV"]) * METRES_PER_FOOT, 1),
        kind={"NEXRAD": "WSR-88D", "TDWR": "TDWR"}[fields["STNTYPE"]],
    )


def common_name(name: str, state: str) -> str:
    """`PENDLETON`, `OR` as `Pendleton, OR`."""
    words = (word if word == "AFB" else word.capitalize() for word in name.split())
    return f"{' '.join(words)}, {state}"


def faults(rows: list[Row], located: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """What is wrong with the table, if anything, by its counts and by Py-ART's positions."""
    for kind, expected in (("WSR-88D", WSR88D_SITES), ("TDWR", TDWR_SITES)):
        count = sum(row.kind == kind for row in rows)
        if count != expected:
            yield f"{count} sites of kind {kind}, not {expected}"
    for radar in rows:
        other = located.get(radar.id)
        if other is None:
            yield f"{radar.id} is not in Py-ART's table"
        elif radar.id not in MOVED and distance_deg(radar, other) > FARTHEST_OFF_DEG[radar.kind]:
            yield f"{radar.id} is {distance_deg(radar, other):.3f} degrees from where Py-ART has it"


def distance_deg(radar: Row, other: Mapping[str, float]) -> float:
    """How far apart two positions are, in degrees of latitude and longitude alike."""
    return math.hypot(radar.latitude_deg - other["lat"], radar.longitude_deg - other["lon"])


def write(rows: list[Row], path: Path) -> None:
    """Write the table, with a header line."""
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "name", "latitude_deg", "longitude_deg", "height_m", "kind"))
        for radar in rows:
            place = (f"{radar.latitude_deg:.6f}", f"{radar.longitude_deg:.6f}", f"{radar.height_m:.1f}")
            writer.writerow((radar.id, radar.name, *place, radar.kind))


def main() -> None:
    """Read the report, check it and write the table; nothing is written when a check fails."""
    parser = argparse.ArgumentParser(
        description="Make nexrad_assets/radar/sites.csv from NOAA's station list."
    )
    parser.add_argument("report", type=Path, help="nexrad-stations.txt")
    rows = list(read_report(parser.parse_args().report))
    from pyart.io.nexrad_common import NEXRAD_LOCATIONS  # noqa: PLC0415 - its import takes seconds

    found = list(faults(rows, NEXRAD_LOCATIONS))
    if found:
        raise SystemExit("\n".join(found))
    write(rows, TABLE)


if __name__ == "__main__":
    main()
