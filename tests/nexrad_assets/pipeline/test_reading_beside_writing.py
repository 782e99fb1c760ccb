"""Whoever reads while products are published and let go meets a whole state, at every moment.

A writer lets hours pass in seconds: products arrive, a live run publishes them in batches, retention lets the oldest
go. Beside it one reader takes the snapshots as they lie in the store, another asks a served API.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest

from api.app import create_app
from nexrad_assets.levels import scans
from nexrad_assets.levels.results import SiteDay
from nexrad_assets.radar.level3.products import MENUS
from store import keys
from store.objects import ObjectMissing, Store
from store.radar import lists
from tests.api.conftest import eventually, serving, settings
from tests.nexrad_assets.pipeline.pipeline_world import Bench
from tests.nexrad_assets.radar.level3.product_files import NULL_DAA
from tests.nexrad_assets.snapshots import at
from tests.samples import needs_samples

BEGIN = at("2025-04-08T19:00:00")
"""Midnight comes in between."""

ROUND = timedelta(minutes=20)
ROUNDS = 20
CODES = ("HHC", "N0H", "DTA", "NST", "NVW")
GROUPS = ("hydrometeor", "precipitation")


@pytest.fixture
def bench(store: Store, tmp_path) -> Bench:
    """Small images, published two at a time, and let go as soon as they are listed no more."""
    made = Bench(store, tmp_path / "source", image_size=64, keep_minutes=180)
    made.change_level(3, together=2)
    made.now = BEGIN
    one_round(made)
    return made


def one_round(bench: Bench) -> None:
    """Twenty minutes later: products of the last minute, the runs that a sensor asks for, and retention."""
    bench.now += ROUND
    begun = bench.now - timedelta(minutes=1)
    for code in CODES:
        bench.product_arrives(begun.replace(tzinfo=None).isoformat(), code)
    bench.product_arrives(begun.replace(tzinfo=None).isoformat(), "DAA", sample=NULL_DAA)
    bench.run(SiteDay(begun.date(), "KTLX"), level=3)
    bench.retain()


@contextmanager
def writing(bench: Bench) -> Iterator[Future[None]]:
    """A writer at work; its fault is the block's."""

    def write() -> None:
        for _ in range(ROUNDS):
            one_round(bench)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        yield writer
        writer.result()


def check_lists(listed: Mapping[str, lists.ScanList]) -> None:
    """What the contract says of lists."""
    assert list(listed) == ["hydrometeor", "precipitation", "reflectivity"]
    assert listed["reflectivity"] == {}
    for group in GROUPS:
        starts = [key[4:19] for key in listed[group]]
        assert starts == sorted(starts)
        assert starts, "a list that had scans never has none"
        assert all(entry == {"sweeps": 1} for entry in listed[group].values())


def check_counts(listed: Mapping[str, lists.ScanList], options: Mapping[str, list]) -> None:
    """What the contract says of the options beside lists of the same moment."""
    assert list(options) == list(listed)
    assert options["reflectivity"] == [{"value": None, "label": None, "count": 0}]
    for group in GROUPS:
        codes = Counter(key.rpartition("_")[2] for key in listed[group])
        assert codes == {one["value"]: one["count"] for one in options[group] if one["count"]}


def newest(listed: Mapping[str, lists.ScanList]) -> str:
    return max(key[4:19] for of_group in listed.values() for key in of_group)


def read_snapshots(bench: Bench) -> str:
    """Look at the snapshots and at every object that they list; gives the newest time."""
    window = bench.window()
    listed = lists.all_lists(window)
    check_lists(listed)
    check_counts(listed, lists.options(window, MENUS))
    for one in window:
        for key in scans.object_keys(one):
            try:
                bench.workshop.store.head(key)
            except ObjectMissing:
                # Retention may come between the two looks, but never before the snapshot is changed.
                assert one.key not in bench.scans(day=one.start.date()), f"{key} is listed, and gone"
    return newest(listed)


def ask_api(client: httpx.Client, bench: Bench) -> tuple[str, bool]:
    """Ask for lists, options and every image; gives the newest time, and whether options could be compared."""
    answers = [client.get(path) for path in ("/list-all/", "/code/", "/list-all/")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    listed, options, again = (answer.json() for answer in answers)
    check_lists(listed)
    if listed == again:
        check_counts(listed, options)
    for group in GROUPS:
        for key in listed[group]:
            image = client.get(f"/data/3/{key}_{group}_idx0/png")
            if not image.is_success:
                assert key not in bench.scans(day=keys.scan_day(key)), (key, image.status_code)
    return newest(listed), listed == again


def read_while(writer: Future[None], look: Callable[[], str]) -> list[str]:
    """Look again and again as long as the writer is busy, and once more; gives what was newest each time."""
    seen = []
    while not writer.done():
        seen.append(look())
    seen.append(look())
    assert seen == sorted(seen), "what was newer is never taken back"
    return seen


@needs_samples
def test_whatever_a_snapshot_lists_is_there_and_counted_at_every_moment(bench: Bench):
    with writing(bench) as writer:
        seen = read_while(writer, lambda: read_snapshots(bench))
    assert len(set(seen)) > ROUNDS / 3, "the reader saw the writer at work"
    assert bench.missing() == []
    assert len(bench.stored()) == sum(len(one) for one in stored_scans(bench)) > 0


def stored_scans(bench: Bench) -> list[list[str]]:
    """The object keys of every scan of every day."""
    days = bench.workshop.catalog.days("KTLX")
    return [list(scans.object_keys(one)) for day in days for one in bench.scans(day=day).values()]


@needs_samples
def test_whatever_the_api_lists_it_serves_and_counts_at_every_moment(bench: Bench):
    app = create_app(settings(primary_site="KTLX"), bench.workshop.store, lambda: bench.now)
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        at_once = []

        def look() -> str:
            found, whole = ask_api(client, bench)
            at_once.append(whole)
            return found

        with writing(bench) as writer:
            seen = read_while(writer, look)
        last = bench.listed()[-1][4:19]
        eventually(lambda: newest(client.get("/list-all/").json()) == last)
    assert len(set(seen)) > ROUNDS / 4, "the reader saw the writer at work"
    assert sum(at_once) > len(at_once) / 4, "lists and options of one moment were compared"
