"""What tests of archiving forecasts share: an office on a server, a store that dies, and oracles by the zip reader."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime

from dwd_assets.archive.storing import Archive
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.periods.context import Office
from dwd_assets.settings import DwdSettings
from store.dwd import ledger
from store.dwd.ledger import Ledger
from store.objects import Store, StoreUnavailable
from store.retry import Retry

MOS = "weather/local_forecasts/"
FOLDERS = {"L": f"{MOS}mos/", "S": f"{MOS}mos_s/"}


def new_office(
    url: str, store: Store, clock: Callable[[], datetime], floor_bytes: int = 0, **settings: object
) -> Office:
    """An office whose client asks once; to be closed."""
    asking = Client(url, Manners(requests_per_s=10_000.0, burst=1000, retry=Retry(attempts=1)))
    wanted = DwdSettings(_env_file=None, archive="unused", server=url, **settings)
    return Office(wanted, Archive(store, floor_bytes), asking, clock)


class MortalStore:
    """A store that dies at its n-th write below `weather/`, before or after it, and answers nothing from then on."""

    def __init__(self, store: Store, dies_at: int, after: bool) -> None:
        self._store, self._left, self._after = store, dies_at, after
        self._dead = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        if name not in {"put", "create", "replace"}:
            return getattr(self._alive(), name)

        def write(key: str, *arguments: object, **named: object) -> object:
            with self._lock:
                self._left -= key.startswith("weather/")
                dies = self._left == 0
                if dies and self._after and not self._dead:
                    getattr(self._store, name)(key, *arguments, **named)
                self._dead = self._dead or dies
            return getattr(self._alive(), name)(key, *arguments, **named)

        return write

    def _alive(self) -> Store:
        if self._dead:
            raise StoreUnavailable("the store is dead")
        return self._store


def kml_of(kmz: bytes) -> bytes:
    """The KML in a KMZ, as another program reads and checks it."""
    with zipfile.ZipFile(io.BytesIO(kmz)) as archive:
        assert archive.testzip() is None
        (entry,) = archive.namelist()
        return archive.read(entry)


def placemarks(kml: bytes) -> dict[str, bytes]:
    """The Placemarks of a well-behaved KML, by the station's id."""
    found = re.findall(rb"<kml:Placemark>.*?</kml:Placemark>", kml, re.DOTALL)
    return {re.search(rb"<kml:name>(.*?)<", one)[1].decode(): one for one in found}


def stored(store: Store, product: str, period: str) -> dict[str, bytes]:
    """The stations' Placemarks that an issue has in the store, each read out of its KMZ by the zip reader."""
    found = {}
    for info in store.list(f"{FOLDERS[product]}{period}/"):
        station, _, suffix = info.key.rpartition("/")[2].partition("-MOSMIX.kmz")
        if suffix == "":
            inside = placemarks(kml_of(store.get(info.key).data))
            assert list(inside) == [station]
            found |= inside
    return found


def checked_ledger(store: Store, product: str, period: str) -> Ledger:
    """The ledger of an issue, each of whose entries was held against the bytes in the store."""
    told = ledger.read(store, f"mosmix-{product.lower()}", period)
    for path, kept in told.kept.items():
        data = store.get(path).data
        kml = kml_of(data)
        assert (hashlib.sha256(kml).hexdigest(), len(kml), len(data)) == (
            kept.sha256,
            kept.size,
            kept.stored_bytes,
        )
        for earlier in kept.earlier:
            before = kml_of(store.get(f"{path}.{earlier.sha256[:12]}").data)
            assert (hashlib.sha256(before).hexdigest(), len(before)) == (earlier.sha256, earlier.size)
    assert not set(told.missing) & set(told.kept)
    summary = ledger.read_summary(store, told.collection, period)
    assert summary is None or summary == ledger.summary(told)
    return told
