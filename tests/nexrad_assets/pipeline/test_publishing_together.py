"""Many processes that publish in one day of one site, products beside volumes: no one's scan is lost."""

from datetime import date
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from nexrad_assets.levels import scans
from nexrad_assets.pipeline.catalog import Catalog
from store.objects import Store
from store.radar import lists
from tests.nexrad_assets.snapshots import at, product, scan

DAY = date(2025, 4, 9)
NOW = at("2025-04-09T12:00:00")
PROCESSES = 8
UPDATES = 25
TOGETHER_S = 60.0


def publish_many(store: Store, number: int, barrier: Barrier) -> None:
    """Publish scans of one hour, one after the other; every second process products, the others volumes."""
    catalog = Catalog(store, lambda: NOW)
    barrier.wait(TOGETHER_S)
    for minute in range(UPDATES):
        begun = f"2025-04-09T{number:02}:{minute:02}:00"
        one = product(begun, "HHC") if number % 2 else scan(begun)
        catalog.publish("KPDT", DAY, lambda day, one=one: scans.placed(day, [one]))


def test_of_eight_processes_with_25_scans_each_none_loses_one(store: Store):
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    workers = [
        context.Process(target=publish_many, args=(store, number, barrier)) for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(2 * TOGETHER_S)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    catalog = Catalog(store, lambda: NOW)
    snapshot, head = catalog.snapshot("KPDT", DAY), catalog.head("KPDT")
    found = lists.day_scans(snapshot)
    assert len(found) == PROCESSES * UPDATES
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert list(snapshot.scans) == [one.key for one in found]
    line = head.days[DAY.isoformat()]
    assert {level: one.scans for level, one in line.levels.items()} == dict.fromkeys((2, 3), 4 * UPDATES)
    assert (line.revision, catalog.index().sites["KPDT"].revision) == (snapshot.revision, head.revision)
    assert not catalog.mend("KPDT")
