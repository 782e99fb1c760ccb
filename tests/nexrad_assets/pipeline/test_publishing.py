"""When what is rendered is published: in batches, but nothing waits long, and one day's fault is its own."""

from collections import Counter
from datetime import date

import pytest

from nexrad_assets.levels.level3 import Level3Recipe
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.levels.table import Level
from nexrad_assets.names import parse_product_name
from nexrad_assets.pipeline.catalog import Catalog
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.pipeline.publishing import WAITS_S, Publisher
from nexrad_assets.settings import NexradSettings
from store import keys
from store.objects import StoreUnavailable
from store.radar import flags
from tests.nexrad_assets.snapshots import at, product

DAY = date(2025, 4, 9)
KPDT, KTLX = SiteDay(DAY, "KPDT"), SiteDay(DAY, "KTLX")
CODES = ("HHC", "N0H", "DAA", "DPR", "N0B", "EET")


class Press:
    """A publisher over a store, with a clock to turn."""

    def __init__(self, store, *, left, together=4, mode="live"):
        settings = NexradSettings(_env_file=None, sites=("KPDT", "KTLX"))
        self.workshop = Workshop(settings, store, {}, clock=lambda: at("2025-04-09T12:00:00"))
        self.now = 100.0
        self.lines = []
        level = Level("products", None, parse_product_name, Level3Recipe(64), together)
        self.publisher = Publisher(
            self.workshop, Counter(left), level, mode, self.lines.append, clock=lambda: self.now
        )

    def add(self, partition, *codes):
        for code in codes:
            scan = product("2025-04-09T11:00:00", code, site=partition.site)
            key = keys.raw(3, partition.site, DAY, scan.source.key)
            self.workshop.store.put(key, b"raw")
            self.workshop.store.put(keys.raw_receipt(key), b"{}")
            self.publisher.add(partition, key, scan)

    def listed(self, partition):
        return len(self.workshop.catalog.snapshot(partition.site, DAY).scans)

    def raws(self):
        return [info.key for info in self.workshop.store.list("raw_level3/")]


def test_a_full_batch_is_published_and_its_raw_files_go(local_store):
    press = Press(local_store, left={KPDT: 100})
    press.add(KPDT, *CODES[:3])
    assert press.listed(KPDT) == 0
    press.add(KPDT, CODES[3])
    assert press.listed(KPDT) == 4
    assert press.raws() == []


def test_the_last_of_a_day_waits_for_no_one(local_store):
    press = Press(local_store, left={KPDT: 2, KTLX: 50})
    press.add(KPDT, *CODES[:2])
    assert press.listed(KPDT) == 2


@pytest.mark.parametrize("mode", ["live", "day"])
def test_nothing_waits_longer_than_its_mode_allows_whoever_comes_next(local_store, mode):
    press = Press(local_store, left={KPDT: 50, KTLX: 50}, mode=mode)
    press.add(KPDT, "HHC")
    press.now += WAITS_S[mode] - 0.1
    press.add(KTLX, "HHC")
    assert press.listed(KPDT) == 0
    press.now += 0.1
    press.add(KTLX, "N0H")
    assert (press.listed(KPDT), press.listed(KTLX)) == (1, 0)


def test_a_file_that_another_run_has_rendered_counts_as_done(local_store):
    press = Press(local_store, left={KPDT: 2})
    press.add(KPDT, "HHC")
    press.publisher.add(KPDT, "raw", None)
    assert press.listed(KPDT) == 1


def test_a_damaged_snapshot_holds_up_its_own_day_alone_and_keeps_its_raw_files(local_store):
    local_store.put(keys.snapshot("KPDT", DAY), b"{ damaged")
    press = Press(local_store, left={KPDT: 1, KTLX: 1})
    press.add(KPDT, "HHC")
    press.add(KTLX, "HHC")
    assert list(press.publisher.faults) == [KPDT]
    assert press.listed(KTLX) == 1
    assert all("/KPDT/" in key for key in press.raws())
    assert any("KPDT 2025-04-09: not published" in line for line in press.lines)
    assert local_store.get(keys.snapshot("KPDT", DAY)).data == b"{ damaged"


def test_a_head_that_says_something_else_of_the_same_revision_is_mended(local_store):
    catalog = Catalog(local_store, lambda: at("2025-04-09T12:00:00"))
    Press(local_store, left={KPDT: 1}).add(KPDT, "HHC")
    right = catalog.head("KPDT")
    local_store.put(
        keys.head("KPDT"), local_store.get(keys.head("KPDT")).data.replace(b'"scans":1', b'"scans":7')
    )
    assert catalog.head("KPDT").days != right.days
    assert catalog.mend("KPDT")
    assert catalog.head("KPDT").days == right.days
    assert not catalog.mend("KPDT")


class _Away:
    """A store that goes away when something has been written below a prefix."""

    def __init__(self, store, prefix):
        self._store, self._prefix, self._gone = store, prefix, False

    def __getattr__(self, name):
        def call(*arguments, **named):
            if self._gone:
                raise StoreUnavailable("away")
            answer = getattr(self._store, name)(*arguments, **named)
            self._gone = name in {"create", "replace"} and arguments[0].startswith(self._prefix)
            return answer

        return call


def test_what_is_published_is_flagged_although_the_store_goes_away_at_once(local_store):
    press = Press(_Away(local_store, "heads/index"), left={KPDT: 1})
    with pytest.raises(StoreUnavailable):
        press.add(KPDT, "HHC")
    assert Catalog(local_store, lambda: at("2025-04-09T12:00:00")).snapshot("KPDT", DAY).scans
    assert flags.read(local_store, "KPDT").updates["hydrometeor"] == 1
