"""The catalogue: what is published is announced, in an order that a kill cannot turn into a lie."""

import threading
from datetime import date, timedelta

import msgspec
import pytest

from nexrad_assets.levels import scans
from nexrad_assets.pipeline.catalog import Catalog
from store import keys
from store.objects import StoreUnavailable
from store.radar.snapshot import HeadIndex, decode
from tests.nexrad_assets.snapshots import at, by_key, scan

DAY = date(2025, 4, 9)
NOW = at("2025-04-09T12:00:00")


@pytest.fixture
def catalog(store):
    return Catalog(store, lambda: NOW)


def put(catalog, *added):
    for one in added:
        catalog.publish(one.key[:4], one.start.date(), lambda day, one=one: scans.placed(day, [one]))


def test_a_published_scan_is_in_snapshot_head_and_index(catalog):
    put(catalog, scan("2025-04-09T11:00:00"))
    snapshot, head = catalog.snapshot("KPDT", DAY), catalog.head("KPDT")
    assert list(snapshot.scans) == ["KPDT20250409_110000_V06"]
    assert head.days["2025-04-09"].revision == snapshot.revision
    assert (head.newest, head.newest_live(2)) == (at("2025-04-09T11:00:00"), at("2025-04-09T11:00:00"))
    index = decode(catalog.store.get(keys.HEAD_INDEX).data, HeadIndex, "index")
    assert index.sites["KPDT"].revision == head.revision


def test_scans_are_kept_oldest_first(catalog):
    put(catalog, scan("2025-04-09T11:00:00"), scan("2025-04-09T09:00:00"), scan("2025-04-09T10:00:00"))
    starts = [one.start.hour for one in catalog.snapshot("KPDT", DAY).scans.values()]
    assert starts == [9, 10, 11]


def test_publishing_nothing_new_writes_nothing(catalog):
    put(catalog, scan("2025-04-09T11:00:00"))
    before = {info.key: info.etag for info in catalog.store.list("")}
    put(catalog, scan("2025-04-09T11:00:00"))
    assert {info.key: info.etag for info in catalog.store.list("")} == before


def test_eight_writers_of_one_day_lose_nothing(catalog):
    def write(writer):
        for minute in range(6):
            put(catalog, scan(f"2025-04-09T{writer:02}:{minute:02}:00"))

    writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(catalog.snapshot("KPDT", DAY).scans) == 48
    assert catalog.head("KPDT").days["2025-04-09"].scans == 48


def test_a_revision_outgrows_a_day_that_was_removed_before(catalog):
    put(catalog, scan("2025-04-09T11:00:00"), scan("2025-04-09T11:05:00"))
    before = catalog.snapshot("KPDT", DAY).revision
    catalog.publish("KPDT", DAY, lambda _scans: {})
    assert "2025-04-09" not in catalog.head("KPDT").days
    catalog.store.delete([keys.snapshot("KPDT", DAY)])
    later = Catalog(catalog.store, lambda: NOW + timedelta(seconds=10))
    put(later, scan("2025-04-09T11:00:00"))
    assert later.snapshot("KPDT", DAY).revision > before


def test_a_day_that_is_kept_has_nothing_that_expires(catalog):
    put(catalog, scan("2025-04-09T11:00:00"), scan("2025-04-09T10:00:00"))
    assert catalog.keep_day("KPDT", DAY, 2) == 2
    assert {one.kept for one in catalog.snapshot("KPDT", DAY).scans.values()} == {True}
    assert catalog.keep_day("KPDT", DAY, 2) == 0


class _DyingStore:
    """A store whose process dies when it writes a key that begins like this."""

    def __init__(self, store, prefix):
        self._store, self._prefix = store, prefix

    def __getattr__(self, name):
        def call(*arguments, **named):
            if name in {"put", "create", "replace"} and arguments[0].startswith(self._prefix):
                raise StoreUnavailable(f"killed before {arguments[0]}")
            return getattr(self._store, name)(*arguments, **named)

        return call


@pytest.mark.parametrize("killed_before", ["heads/KPDT.json", keys.HEAD_INDEX])
def test_a_kill_between_snapshot_and_index_is_mended(catalog, killed_before):
    put(catalog, scan("2025-04-09T10:00:00"))
    with pytest.raises(StoreUnavailable):
        put(Catalog(_DyingStore(catalog.store, killed_before), catalog.clock), scan("2025-04-09T11:00:00"))
    assert catalog.mend("KPDT")
    head = catalog.head("KPDT")
    assert head.days["2025-04-09"].scans == 2
    assert catalog.index().sites["KPDT"].revision >= head.revision
    assert not catalog.mend("KPDT")


class TestPlacing:
    def test_the_same_file_takes_the_place_of_its_older_bytes(self):
        day = by_key(scan("2025-04-09T11:00:00", tilts=3))
        newer = scan("2025-04-09T11:00:00", tilts=9, etag="e2")
        assert scans.placed(day, [newer]) == by_key(newer)

    def test_newer_bytes_that_cannot_be_read_lose_nothing(self):
        good = scan("2025-04-09T11:00:00", tilts=3)
        bad = scan("2025-04-09T11:00:00", status="failed", etag="e2")
        (kept,) = scans.placed(by_key(good), [bad]).values()
        assert kept.layers == good.layers
        assert kept.fingerprint == bad.fingerprint

    def test_kept_stays_kept_and_live_stays_live(self):
        day = by_key(msgspec.structs.replace(scan("2025-04-09T11:00:00"), kept=True))
        (kept,) = scans.placed(day, [scan("2025-04-09T11:00:00", origin="backfill", etag="e2")]).values()
        assert (kept.origin, kept.kept) == ("live", True)
