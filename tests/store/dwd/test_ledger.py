"""Ledgers of the DWD archive: what they say, that no writer's word is lost, and that summaries follow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from store import keys
from store.dwd import ledger
from store.dwd.ledger import Corrected, Earlier, Failed, Kept, Ledger, Source
from store.objects import Store, StoreError, StoreUnavailable
from tests.nexrad_assets.pipeline.faulty_store import dying

NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
RUN = ("icon-d2", "2026091609")
WRITERS, TIMES = 8, 10


def kept(number: int = 1, **more) -> Kept:
    return Kept(sha256=f"{number:064x}", size=10 * number, stored_bytes=number, kept_at=NOW, **more)


FULL = Ledger(
    *RUN,
    looked_at=NOW,
    deadline=LATER,
    expects_more=True,
    kept={
        "a": kept(
            1, source=Source("http://server/a", NOW, 7, "0" * 64, '"tag"', NOW, "bzip2"), notes=("odd",)
        ),
        "b": kept(2, earlier=(Earlier("1" * 64, 5, NOW),), made_from=("a",), held_at="c", as_of=NOW),
    },
    missing=("c", "d"),
    failed={"c": Failed("no GRIB", NOW, 3, '"bad"')},
    warnings=("a parameter vanished",),
    corrections=(Corrected("10315", NOW, "temperature", "1,0", "2,0", LATER),),
)


def put_first(store: Store, held: Ledger) -> Ledger:
    return ledger.update(store, *RUN, lambda before: msgspec.structs.replace(held, revision=before.revision))


def test_a_period_nobody_spoke_of_is_empty_and_reading_writes_nothing(store):
    assert ledger.read(store, *RUN) == Ledger(*RUN)
    assert ledger.read_summary(store, *RUN) is None
    assert list(store.list("")) == []


def test_what_is_told_is_read_back_whole(store):
    told = put_first(store, FULL)
    assert ledger.read(store, *RUN) == told == msgspec.structs.replace(FULL, revision=1)


def test_a_summary_is_the_ledger_in_numbers(store):
    put_first(store, FULL)
    told = ledger.read_summary(store, *RUN)
    assert (told.kept, told.missing, told.failed, told.changed, told.corrections) == (2, 2, 1, 1, 1)
    assert (told.expected, told.bytes_kept, told.revision) == (4, 3, 1)
    assert (told.expects_more, told.warnings, told.looked_at, told.deadline) == (
        True,
        FULL.warnings,
        NOW,
        LATER,
    )
    assert told == ledger.summary(ledger.read(store, *RUN))


@pytest.mark.parametrize(
    ("files", "missing", "expects_more", "deadline", "state"),
    [
        (0, 0, False, None, "waiting"),
        (0, 2, False, LATER, "waiting"),
        (0, 0, True, LATER, "waiting"),
        (1, 2, False, LATER, "partial"),
        (1, 2, False, None, "partial"),
        (1, 0, True, LATER, "partial"),
        (1, 0, False, LATER, "complete"),
        (1, 0, False, None, "complete"),
        (1, 0, False, NOW, "complete"),
        (1, 2, False, NOW, "lost"),
        (1, 0, True, NOW, "lost"),
        (0, 2, False, NOW, "lost"),
        (0, 0, False, NOW, "lost"),
    ],
)
def test_ledger_and_summary_tell_the_same_state(files, missing, expects_more, deadline, state):
    held = Ledger(
        *RUN,
        kept={str(number): kept() for number in range(files)},
        missing=tuple(map(str, range(100, 100 + missing))),
        expects_more=expects_more,
        deadline=deadline,
    )
    assert held.state(NOW) == ledger.summary(held).state(NOW) == state


@pytest.mark.parametrize(("now", "state"), [(NOW, "partial"), (LATER, "lost")])
def test_a_period_with_a_failed_file_is_not_complete_though_another_version_of_it_is_kept(now, state):
    held = Ledger(*RUN, kept={"a": kept()}, failed={"a": Failed("cut", NOW)}, deadline=LATER)
    assert held.state(now) == ledger.summary(held).state(now) == state


def test_minutes_are_left_only_where_something_is_missing_or_may_come():
    def left(**held) -> float | None:
        return ledger.summary(Ledger(*RUN, **held)).minutes_left(NOW)

    assert left(missing=("a",), deadline=LATER) == 60
    assert left(expects_more=True, deadline=LATER) == 60
    assert left(missing=("a",), deadline=NOW - timedelta(days=1)) == 0
    assert left(missing=("a",)) is None
    assert left(kept={"a": kept()}, deadline=LATER) is None


def test_a_change_that_changes_nothing_writes_nothing(store):
    put_first(store, FULL)
    before = {info.key: info.etag for info in store.list("")}
    told = ledger.update(store, *RUN, lambda held: held)
    assert told.revision == 1
    assert {info.key: info.etag for info in store.list("")} == before


def test_no_word_of_many_writers_is_lost_and_the_summary_is_of_the_last(store):
    def write(writer: int) -> None:
        for time in range(TIMES):
            path = f"{writer}/{time}"
            ledger.update(
                store,
                *RUN,
                lambda held, path=path: msgspec.structs.replace(held, kept={**held.kept, path: kept()}),
            )

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    held = ledger.read(store, *RUN)
    assert set(held.kept) == {f"{writer}/{time}" for writer in range(WRITERS) for time in range(TIMES)}
    assert held.revision == WRITERS * TIMES
    assert ledger.read_summary(store, *RUN) == ledger.summary(held)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"collection":"icon-d2"}', b"\xff\xfe", b'{"kept":1}'])
def test_a_damaged_ledger_is_named_and_left_as_it_is(local_store, data):
    key = keys.ledger(*RUN)
    local_store.put(key, data)
    for action in (lambda: ledger.read(local_store, *RUN), lambda: put_first(local_store, FULL)):
        with pytest.raises(StoreError, match=key):
            action()
    assert local_store.get(key).data == data


def test_a_damaged_summary_is_named_and_written_anew_with_the_next_word(local_store):
    put_first(local_store, FULL)
    key = keys.ledger_summary(*RUN)
    local_store.put(key, b"{")
    with pytest.raises(StoreError, match=key):
        ledger.read_summary(local_store, *RUN)
    ledger.update(local_store, *RUN, lambda held: held)
    assert ledger.read_summary(local_store, *RUN).kept == 2


def test_the_summary_of_a_ledger_that_was_lost_does_not_outlive_it(local_store):
    for number in range(5):
        ledger.update(
            local_store, *RUN, lambda held, n=number: msgspec.structs.replace(held, warnings=(str(n),))
        )
    local_store.delete([keys.ledger(*RUN)])
    held = ledger.update(local_store, *RUN, lambda before: msgspec.structs.replace(before, missing=("a",)))
    assert ledger.read_summary(local_store, *RUN) == ledger.summary(held)


def test_a_kill_between_ledger_and_summary_is_mended_by_the_next_look(local_store):
    put_first(local_store, Ledger(*RUN, missing=("a",)))
    with pytest.raises(StoreUnavailable):
        put_first(dying(local_store, keys.LEDGER_SUMMARIES), Ledger(*RUN, kept={"a": kept()}))
    assert ledger.read_summary(local_store, *RUN).kept == 0
    ledger.update(local_store, *RUN, lambda held: held)
    assert ledger.read_summary(local_store, *RUN).kept == 1


def test_periods_and_collections_do_not_mix(store):
    put_first(store, FULL)
    ledger.update(store, "mosmix-l", RUN[1], lambda held: msgspec.structs.replace(held, missing=("x",)))
    assert ledger.read(store, *RUN).missing == ("c", "d")
    assert [info.key for info in store.list(keys.ledger_summaries_prefix("icon-d2"))] == [
        keys.ledger_summary(*RUN)
    ]
    assert len(list(store.list(keys.LEDGER_SUMMARIES))) == 2
