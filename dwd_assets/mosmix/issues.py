"""Issues of MOSMIX: when there are any, and what their files are called on the server, in archive and ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dwd_assets.formats.checks import check_run, run_text
from dwd_assets.formats.paths import MosmixKey, MosmixProduct, archive_path, parse_archive_path
from dwd_assets.periods.progress import GRACE

FOLDER = "/weather/local_forecasts/mos"
"""The server's folder of all MOSMIX."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the products differ in: hours between issues and of the first one, how long the server keeps an issue."""

    name: str
    every: timedelta
    first_hour: int
    kept: timedelta
    suffix: str
    has_single_stations: bool


# How long the server keeps an issue is not documented: this is what listings showed, counted from the issue time.
_KINDS: dict[MosmixProduct, _Kind] = {
    "L": _Kind("MOSMIX_L", timedelta(hours=6), 3, timedelta(hours=48), "", has_single_stations=True),
    "S": _Kind("MOSMIX_S", timedelta(hours=1), 0, timedelta(hours=24), "_240", has_single_stations=False),
}


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of a product; `time` is the issue time (UTC), a whole hour (`ValueError` else)."""

    product: MosmixProduct
    time: datetime

    def __post_init__(self) -> None:
        check_run(self.time)

    @property
    def collection(self) -> str:
        """The ledger's collection."""
        return f"mosmix-{self.product.lower()}"

    @property
    def period(self) -> str:
        """The ledger's period."""
        return run_text(self.time)

    @property
    def deadline(self) -> datetime:
        """When the server may delete it."""
        return self.time + self._kind.kept

    @property
    def before(self) -> Issue:
        """The issue before this one."""
        return Issue(self.product, self.time - self._kind.every)

    @property
    def has_single_stations(self) -> bool:
        """Whether the server also has a file for each station."""
        return self._kind.has_single_stations

    @property
    def name(self) -> str:
        """The name of the file of all stations."""
        kind = self._kind
        return f"{kind.name}_{self.period}{kind.suffix}.kmz"

    @property
    def address(self) -> str:
        """The server's path of the file of all stations."""
        return f"{FOLDER}/{self._kind.name}/all_stations/kml/{self.name}"

    @property
    def source(self) -> str:
        """What the ledger and the quarantine call the file of all stations, which is not kept as such."""
        return self.address.removeprefix("/")

    def single_address(self, station: str) -> str:
        """The server's path of one station's file."""
        kind = self._kind
        return f"{FOLDER}/{kind.name}/single_stations/{station}/kml/{kind.name}_{self.period}_{station}.kmz"

    def path(self, station: str) -> str:
        """The archive path of one station's forecast. Raises `ValueError` for an id that has none."""
        return archive_path(MosmixKey(self.time, station, self.product))

    @property
    def _kind(self) -> _Kind:
        return _KINDS[self.product]


def issue_hours(product: MosmixProduct) -> tuple[int, ...]:
    """The hours of the day (UTC) at which a product is issued."""
    kind = _KINDS[product]
    return tuple(range(kind.first_hour, 24, kind.every // timedelta(hours=1)))


def issues_within(product: MosmixProduct, now: datetime) -> tuple[Issue, ...]:
    """The issues that the server may have at a time, or still have, the oldest first."""
    kind = _KINDS[product]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    time = midnight + timedelta(hours=kind.first_hour)
    while time > now:
        time -= kind.every
    while time + kind.every <= now:
        time += kind.every
    found = []
    while time + kind.kept + GRACE > now:
        found.append(Issue(product, time))
        time -= kind.every
    return tuple(reversed(found))


def station_of(path: str) -> str | None:
    """The station of a forecast's archive path, none for another path."""
    key = parse_archive_path(path)
    return key.station if isinstance(key, MosmixKey) else None
