"""An archive made by the archive's own functions, of bytes that the simulator's writers made."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import msgspec

from dwd_assets.archive.storing import Archive, Content, digest
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import MosmixKey, ReportsKey, archive_path
from dwd_assets.formats.poi import beob
from dwd_assets.formats.poi.beob_merge import DayFile, merge_all, write
from dwd_assets.periods.progress import noted
from dwd_assets.simulator.catalogue import Catalogue
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.forecasts import FOLDER as FORECASTS
from dwd_assets.simulator.forecasts import MOSMIX_L, MOSMIX_S, Forecasts
from dwd_assets.simulator.reports import FOLDER as REPORTS
from dwd_assets.simulator.reports import Reports
from dwd_assets.simulator.stations import STATIONS
from store.dwd import ledger, stations
from store.dwd.ledger import Failed, Kept, Ledger, Source
from store.objects import Store

RUN = datetime(2025, 4, 9, 9, tzinfo=UTC)
NOON = datetime(2025, 4, 9, 12, tzinfo=UTC)
SEED = 7
SERVER = "https://opendata.example"

T_2M = FieldKey("icon-d2", RUN, "t_2m", "single", None, 0, None, "icosahedral")


def icon(parameter: str = "t_2m", step: int = 0, **changes) -> FieldKey:
    """A field of the run; positions and other constants are found by their names."""
    constant = {"level_type": "time-invariant"} if parameter in {"clat", "clon", "hsurf"} else {}
    return replace(T_2M, **{"parameter": parameter, "step_minutes": step, **constant, **changes})


@dataclass
class World:
    """Keeps files and tells the ledger of them, in that order."""

    store: Store
    catalogue: Catalogue = field(default_factory=Catalogue)
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.archive = Archive(self.store)
        self.writer = FieldWriter(SEED, self.catalogue)
        self.forecasts = {"L": Forecasts(SEED, MOSMIX_L, STATIONS), "S": Forecasts(SEED, MOSMIX_S, STATIONS)}
        self.reports = Reports(SEED, STATIONS)

    def grib(self, key: FieldKey, revision: int = 0) -> bytes:
        """The bytes of a field, as the server has them."""
        return self.writer.grib(key, "ccsds" if key.grid == "icosahedral" else "simple", revision)

    def keep_fields(self, *fields: FieldKey, revision: int = 0, **change) -> list[str]:
        """Keep fields of one run; gives their paths."""
        period = f"{fields[0].run:%Y%m%d%H}"
        contents = {archive_path(key): Content.packed(self.grib(key, revision)) for key in fields}
        self._keep(fields[0].model, period, contents, **change)
        return list(contents)

    def keep_forecast(self, issue: datetime, station: str, product: str = "L") -> tuple[str, bytes]:
        """Keep a station's forecast; gives its path and bytes."""
        kmz = self.kmz(issue, station)
        path = archive_path(MosmixKey(issue, station, product))
        content = {path: Content.kmz(kmz, path)}
        self._keep(f"mosmix-{product.lower()}", f"{issue:%Y%m%d%H}", content)
        return path, kmz

    def kmz(self, issue: datetime, station: str) -> bytes:
        """A station's KMZ of MOSMIX_L, as the server has it."""
        name = f"{FORECASTS}MOSMIX_L/single_stations/{station}/kml/MOSMIX_L_{issue:%Y%m%d%H}_{station}.kmz"
        file = self.forecasts["L"].find(name, issue + MOSMIX_L.delay)
        assert file is not None
        return file.build(0)

    def keep_reports(
        self, day: date, station: str, without: Container[int] = frozenset()
    ) -> tuple[str, bytes]:
        """Keep a day of a station's reports without the rows of some hours; gives its path and bytes."""
        whole = self.day(day, station)
        rows = {moment: row for moment, row in whole.rows.items() if moment.hour not in without}
        data = write(replace(whole, rows=rows))
        return self.keep_day(day, station, data), data

    def keep_day(self, day: date, station: str, data: bytes) -> str:
        """Keep a day file; gives its path."""
        path = archive_path(ReportsKey(day, station.ljust(5, "_")))
        self._keep("poi", f"{day:%Y%m%d}", {path: Content.plain(data)})
        return path

    def day(self, day: date, station: str) -> DayFile:
        """A day as the merge of the server's reports gives it."""
        name = f"{station.ljust(5, '_')}-BEOB.csv"
        at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=25)
        file = self.reports.find(f"{REPORTS}{name}", at)
        assert file is not None
        return merge_all(day, None, [(at, beob.parse(file.build(0), name))]).day_file

    def keep_stations(self) -> None:
        """Keep the catalogue of stations."""
        stations.merge(
            self.store,
            [
                stations.Station(each.id, each.name, each.longitude_deg, each.latitude_deg, each.height_m)
                for each in STATIONS
            ],
        )

    def change(self, collection: str, period: str, **fields) -> Ledger:
        """Set fields of a ledger."""
        return ledger.update(
            self.store, collection, period, lambda before: msgspec.structs.replace(before, **fields)
        )

    def fail(self, collection: str, period: str, path: str, reason: str) -> None:
        """Tell a ledger of a file that is not what it should be."""
        failed = {path: Failed(reason, self.now, etag='"bad"')}
        ledger.update(self.store, collection, period, lambda before: noted(before, {}, failed))

    def ledger(self, collection: str, period: str) -> Ledger:
        """A ledger as it is in the store."""
        return ledger.read(self.store, collection, period)

    def _keep(self, collection: str, period: str, contents: dict[str, Content], **change) -> None:
        known = self.ledger(collection, period).kept
        kept = {
            path: self.archive.keep(path, content, self._source(path, content), known.get(path), self.now)
            for path, content in contents.items()
        }
        self.tell(collection, period, kept, looked_at=self.now, **change)

    def tell(self, collection: str, period: str, kept: dict[str, Kept], **change) -> None:
        """Tell a ledger of files that are kept."""
        ledger.update(
            self.store,
            collection,
            period,
            lambda before: msgspec.structs.replace(noted(before, kept, {}), **change),
        )

    def _source(self, path: str, content: Content) -> Source:
        return Source(
            url=f"{SERVER}/{path}",
            fetched_at=self.now,
            length=content.size,
            sha256=digest(content.stored),
            etag='"5f-1"',
            modified=self.now - timedelta(minutes=10),
        )
