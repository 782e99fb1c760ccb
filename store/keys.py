"""The layout: every key that the product writes, in one place.

Times are UTC. `day` is a `datetime.date`, `site` a four-letter id, `level` 2 or 3.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

HEAD_INDEX = "heads/index.json"
"""The one object that tells of every change: all sites, their newest scan, their head's revision."""

LEDGER_SUMMARIES = "ledger/summaries/"
"""Where the summaries of all collections of the DWD archive lie."""

REPORTS_KNOWN = "ledger/reports.json"
"""Which version of each station's POI report was merged last."""

OPEN_REPORT_INTAKES = "ledger/reports/open/"
"""Where the batches of POI reports are listed that are being merged, or were when the process ended."""

MODEL_CATALOGUES = "ledger/catalogues/"
"""Where it is kept which fields each model has on the server."""

STATIONS = "ledger/stations.json"
"""Names and positions of the stations of forecasts and reports."""

RECEIPT_SUFFIX = ".receipt.json"

SCAN_KEY = re.compile(r"(?P<site>[A-Z][A-Z0-9]{3})(?P<time>\d{8}_\d{6})_(?P<suffix>[A-Z0-9]{3})", re.ASCII)
"""A scan's key: `KPDT20250409_123456_V06` (Level 2) or `KPDT20250409_153000_HHC` (Level 3)."""


def scan_time(scan_key: str) -> datetime:
    """The UTC time in a scan's key. Raises `ValueError` where it is none."""
    match = SCAN_KEY.fullmatch(scan_key)
    if match is None:
        raise ValueError(f"{scan_key!r} is not a scan key")
    return datetime.strptime(match["time"], "%Y%m%d_%H%M%S").replace(tzinfo=UTC)


def scan_day(scan_key: str) -> date:
    """The UTC day whose snapshot holds this scan."""
    return scan_time(scan_key).date()


def day_name(day: date) -> str:
    """`20250409`, as keys spell a day."""
    return f"{day:%Y%m%d}"


def day_of(name: str) -> date:
    """The day that `day_name` spelled. Raises `ValueError`."""
    return datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC).date()


def parsed_day(name: str) -> date | None:
    """The day that `day_name` spelled, none where it did not."""
    try:
        return day_of(name)
    except ValueError:
        return None


def snapshot(site: str, day: date) -> str:
    """The snapshot of one site and UTC day."""
    return f"{snapshot_prefix(site)}{day_name(day)}.json"


def snapshot_prefix(site: str) -> str:
    """Where the snapshots of a site lie."""
    return f"snapshots/{site}/"


def head(site: str) -> str:
    """The small head of one site: which days it has, and their revisions."""
    return f"heads/{site}.json"


def flags(site: str) -> str:
    """The update flags of one site."""
    return f"flags/{site}.json"


def image_name(scan_key: str, product: str, index: int, sha256: str) -> str:
    """File name of an image: `<key>_<product>_idx<n>.<digest8>.png`."""
    return f"{scan_key}_{product}_idx{index}.{sha256[:8]}.png"


def document_name(scan_key: str, name: str, sha256: str, suffix: str) -> str:
    """File name of a document of vectors: `<key>_<name>.<digest8>.geojson`, of a profile `.json`."""
    return f"{scan_key}_{name}.{sha256[:8]}.{suffix}"


def image(level: int, scan_key: str, name: str) -> str:
    """The object of an image, or of another rendering of a scan, whose file name is `name`."""
    return f"{images_prefix(level, scan_key[:4], scan_day(scan_key))}{name}"


def images_prefix(level: int, site: str, day: date) -> str:
    """Where the images of a level, site and day lie."""
    return f"{images_site_prefix(level, site)}{day_name(day)}/"


def image_day(image_key: str) -> date | None:
    """The day that an image's key names; none where it is no image's key."""
    parts = image_key.split("/")
    return parsed_day(parts[2]) if len(parts) == 4 else None


def images_site_prefix(level: int, site: str) -> str:
    """Where all images of a level and site lie."""
    return f"plots_level{level}/{site}/"


def raw(level: int, site: str, day: date, file_name: str) -> str:
    """A raw file as the source named it."""
    return f"{raw_prefix(level, site, day)}{file_name}"


def raw_prefix(level: int, site: str, day: date) -> str:
    """Where the raw files of a level, site and day lie."""
    return f"{raw_site_prefix(level, site)}{day_name(day)}/"


def raw_site_prefix(level: int, site: str) -> str:
    """Where all raw files of a level and site lie."""
    return f"raw_level{level}/{site}/"


def raw_site_day(raw_key: str) -> tuple[str, date]:
    """The site and day that a raw file's key names."""
    _, site, day, _ = raw_key.split("/")
    return site, day_of(day)


def raw_receipt(raw_key: str) -> str:
    """What is known of a raw file's source; written after the file, so that it vouches for it."""
    return f"{raw_key}{RECEIPT_SUFFIX}"


def is_receipt(key: str) -> bool:
    """Whether a key is that of a raw file's receipt."""
    return key.endswith(RECEIPT_SUFFIX)


def list_copy(site: str, product: str) -> str:
    """A copy of a site's scan list, for people who read the bucket."""
    return f"lists/{site}/{product}.json"


def options_copy(site: str) -> str:
    """A copy of a site's product-code options, for people who read the bucket."""
    return f"codes/{site}/options.json"


def ledger(collection: str, period: str) -> str:
    """The ledger of one run, issue or day of the DWD archive."""
    return f"ledger/periods/{collection}/{period}.json"


def ledger_summary(collection: str, period: str) -> str:
    """The numbers of one ledger."""
    return f"{ledger_summaries_prefix(collection)}{period}.json"


def ledger_summaries_prefix(collection: str) -> str:
    """Where the summaries of a collection's periods lie."""
    return f"{LEDGER_SUMMARIES}{collection}/"


def ledgers_followed(collection: str) -> str:
    """Since when a collection of the DWD archive has a ledger of every period, and up to which one that was seen to."""
    return f"ledger/followed/{collection}.json"


def model_catalogue(model: str) -> str:
    """Which fields a model has on the server."""
    return f"{MODEL_CATALOGUES}{model}.json"


def model_history(model: str) -> str:
    """What earlier runs of a model had, and what its fields are."""
    return f"ledger/history/{model}.json"


def retention(model: str) -> str:
    """How many runs of a model the server keeps."""
    return f"ledger/retention/{model}.json"


def constants(model: str) -> str:
    """Where each content of a model's constant fields is held."""
    return f"ledger/constants/{model}.json"


def raw_report(day: date, station: str, sha256: str) -> str:
    """A POI report as it came, LZ4-packed, under the day on which it was fetched.

    All stations share a folder: to make one for each, and to sync it, costs more than to write the report.
    """
    return f"raw_poi/{day_name(day)}/{station}-{sha256}.csv.lz4"


def open_report_intake(name: str) -> str:
    """A batch of POI reports from before its first byte is kept until it is merged."""
    return f"{OPEN_REPORT_INTAKES}{name}.json"


def report_intake(day: date, name: str) -> str:
    """A batch of POI reports that was merged: where each came from, under the day on which it was fetched."""
    return f"{report_intakes_prefix(day)}{name}.json"


def report_intakes_prefix(day: date) -> str:
    """Where the merged batches of POI reports lie that were fetched on a day."""
    return f"ledger/reports/{day_name(day)}/"


def damaged_ledgers_prefix(collection: str | None = None) -> str:
    """Where ledgers lie that could not be read, as `quarantined` names them; of one collection or of all."""
    return f"quarantine/ledger/periods/{'' if collection is None else f'{collection}/'}"


def quarantined(path: str, sha256: str) -> str:
    """Bytes that were found at an archive path, or came for it, and are not what should be there."""
    return f"quarantine/{path}.{sha256[:12]}"
