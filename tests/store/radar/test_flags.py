"""The update flags of a site: merges that keep what others set, also when many set at once."""

from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import msgspec
import pytest

from store import keys
from store.objects import ObjectInfo, Store, StoreError
from store.posix import PosixStore
from store.radar import flags

PROCESSES = 8
UPDATES = 25
TOGETHER_S = 60.0


def stored(store: Store) -> bytes:
    return store.get(keys.flags("KPDT")).data


def test_without_any_there_are_none_and_reading_makes_none(store: Store):
    assert flags.read(store, "KPDT") is None
    assert list(store.list("")) == []


def test_the_first_merge_gives_every_group_in_the_order_of_the_contract(store: Store):
    flags.merge(store, "KPDT", {"precipitation": 1})
    assert stored(store) == b'{"updates":{"reflectivity":0,"hydrometeor":0,"precipitation":1}}'


def test_a_merge_leaves_the_groups_that_it_does_not_name(store: Store):
    flags.merge(store, "KPDT", {"hydrometeor": 1, "precipitation": 1})
    merged = flags.merge(store, "KPDT", {"hydrometeor": 0, "reflectivity": True})
    assert merged.updates == {"reflectivity": 1, "hydrometeor": 0, "precipitation": 1}
    assert flags.read(store, "KPDT") == merged


def test_each_site_has_flags_of_its_own(store: Store):
    flags.merge(store, "KPDT", {"hydrometeor": 1})
    flags.merge(store, "KTLX", {"precipitation": 1})
    assert flags.read(store, "KPDT").updates["precipitation"] == 0
    assert flags.read(store, "KTLX").updates["hydrometeor"] == 0


def test_nothing_is_written_where_nothing_changes(store: Store):
    def written() -> ObjectInfo:
        return store.head(keys.flags("KPDT"))

    flags.merge(store, "KPDT", {"hydrometeor": 1})
    before = written()
    flags.merge(store, "KPDT", {"hydrometeor": 1})
    flags.merge(store, "KPDT", {"reflectivity": 0})
    flags.merge(store, "KPDT", {})
    assert written() == before


@pytest.mark.parametrize("damaged", [b"", b"{", b"[1,2]", b'{"updates":{"velocity":1}}', b"\xff"])
def test_damaged_flags_are_named_and_left_as_they_are(local_store: PosixStore, damaged: bytes):
    local_store.put(keys.flags("KPDT"), damaged)
    for touch in (
        lambda: flags.read(local_store, "KPDT"),
        lambda: flags.merge(local_store, "KPDT", {"hydrometeor": 1}),
    ):
        with pytest.raises(StoreError, match=r"flags/KPDT\.json: not a set of flags"):
            touch()
    assert stored(local_store) == damaged


def test_what_others_wrote_as_true_and_false_is_read_as_1_and_0(local_store: PosixStore):
    local_store.put(keys.flags("KPDT"), b'{"updates":{"hydrometeor":true,"reflectivity":false}}')
    assert flags.read(local_store, "KPDT").updates == {
        "reflectivity": 0,
        "hydrometeor": 1,
        "precipitation": 0,
    }


@pytest.mark.parametrize(
    "wanted", [b"[1,2]", b'{"updates":{"hydrometeor":2}}', b'{"updates":{"hydrometeor":"1"}}', b"{}", b""]
)
def test_what_is_no_set_of_flags_is_refused(wanted: bytes):
    with pytest.raises(msgspec.DecodeError):
        flags.checked(wanted)


def raise_together(store: Store, number: int, barrier: Barrier) -> None:
    """Raise a group's flag, all processes in the same moment, again and again; the first one looks and lowers."""
    group = flags.PRODUCTS[number % len(flags.PRODUCTS)]
    for _ in range(UPDATES):
        barrier.wait(TOGETHER_S)
        flags.merge(store, "KPDT", {group: 1})
        barrier.wait(TOGETHER_S)
        if number == 0:
            found = flags.read(store, "KPDT")
            assert found is not None
            assert set(found.updates.values()) == {1}, found
            flags.merge(store, "KPDT", dict.fromkeys(flags.PRODUCTS, 0))


def test_of_eight_processes_that_raise_flags_at_once_none_loses_its_own(store: Store):
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    workers = [
        context.Process(target=raise_together, args=(store, number, barrier)) for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(2 * TOGETHER_S)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES


def toggle(store: Store, number: int, barrier: Barrier) -> None:
    """Set and look at one group's flag, which no one else sets, beside those who set theirs."""
    group = flags.PRODUCTS[number]
    barrier.wait(TOGETHER_S)
    for count in range(UPDATES):
        flags.merge(store, "KPDT", {group: count % 2})
        found = flags.read(store, "KPDT")
        assert found is not None
        assert found.updates[group] == count % 2


def test_what_one_process_set_stays_until_itself_sets_it_again(store: Store):
    context = get_context("spawn")
    barrier = context.Barrier(len(flags.PRODUCTS))
    workers = [
        context.Process(target=toggle, args=(store, number, barrier)) for number in range(barrier.parties)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(2 * TOGETHER_S)
    assert [worker.exitcode for worker in workers] == [0] * barrier.parties
