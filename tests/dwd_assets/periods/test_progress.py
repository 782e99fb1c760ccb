"""Telling the ledger of files: in batches, at the end whatever happens, and never of a file that is not stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dwd_assets.periods.progress import BATCH_FILES, BATCH_S, LONGEST_PAUSE_S, Due, Recorder, noted, rest
from store.dwd import ledger
from store.dwd.ledger import Earlier, Failed, Kept, Ledger
from store.objects import Store

NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)
RUN = ("icon-d2", "2026091609")
KEPT = Kept(sha256="0" * 64, size=1, stored_bytes=1, kept_at=NOW)


class Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def held(store: Store) -> Ledger:
    return ledger.read(store, *RUN)


def expect(store: Store, *paths: str) -> None:
    ledger.update(store, *RUN, lambda before: msgspec.structs.replace(before, missing=paths))


def test_the_ledger_is_told_after_so_many_files(local_store):
    recorder = Recorder(local_store, *RUN, clock=Hands())
    for number in range(BATCH_FILES - 1):
        recorder.kept(str(number), KEPT)
    assert held(local_store).kept == {}
    recorder.failed("bad", Failed("no GRIB", NOW))
    assert len(held(local_store).kept) == BATCH_FILES - 1
    assert set(held(local_store).failed) == {"bad"}


def test_the_ledger_is_told_after_so_many_seconds(local_store):
    clock = Hands()
    recorder = Recorder(local_store, *RUN, clock=clock)
    recorder.kept("a", KEPT)
    clock.now_s += BATCH_S - 0.1
    recorder.kept("b", KEPT)
    assert held(local_store).kept == {}
    clock.now_s += 0.1
    recorder.kept("c", KEPT)
    assert set(held(local_store).kept) == {"a", "b", "c"}
    recorder.kept("d", KEPT)
    assert "d" not in held(local_store).kept


def test_the_end_tells_the_rest(store):
    with Recorder(store, *RUN) as recorder:
        recorder.kept("a", KEPT)
        assert held(store).kept == {}
    assert held(store).kept == {"a": KEPT}


def test_the_end_tells_the_rest_also_when_something_breaks(local_store):
    def broken() -> None:
        with Recorder(local_store, *RUN) as recorder:
            recorder.kept("a", KEPT)
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        broken()
    assert held(local_store).kept == {"a": KEPT}


def test_a_kept_file_is_missing_no_more_and_its_failure_is_forgotten(local_store):
    expect(local_store, "a", "b")
    with Recorder(local_store, *RUN) as recorder:
        recorder.failed("a", Failed("cut", NOW))
    assert (held(local_store).missing, set(held(local_store).failed)) == (("a", "b"), {"a"})
    with Recorder(local_store, *RUN) as recorder:
        recorder.kept("a", KEPT)
    assert (held(local_store).missing, held(local_store).failed) == (("b",), {})


def test_of_a_file_that_failed_and_came_within_one_batch_it_came(local_store):
    with Recorder(local_store, *RUN) as recorder:
        recorder.failed("a", Failed("cut", NOW))
        recorder.kept("a", KEPT)
    assert (set(held(local_store).kept), held(local_store).failed) == ({"a"}, {})


def test_attempts_are_counted_and_the_last_reason_stands(local_store):
    for number, reason in enumerate(("cut", "cut", "no GRIB")):
        with Recorder(local_store, *RUN) as recorder:
            recorder.failed("a", Failed(reason, NOW + timedelta(minutes=number), etag=str(number)))
    expected = Failed("no GRIB", NOW + timedelta(minutes=2), attempts=3, etag="2")
    assert held(local_store).failed == {"a": expected}


def test_a_change_is_made_of_what_was_told_just_now(local_store):
    recorder = Recorder(local_store, *RUN)
    recorder.kept("a", KEPT)
    told = recorder.tell(lambda now: msgspec.structs.replace(now, warnings=tuple(now.kept)))
    assert told.warnings == ("a",)
    assert held(local_store) == told


def test_what_was_told_is_not_told_again(local_store):
    recorder = Recorder(local_store, *RUN)
    recorder.kept("a", KEPT)
    recorder.tell()
    ledger.update(local_store, *RUN, lambda before: msgspec.structs.replace(before, kept={}))
    recorder.tell()
    assert held(local_store).kept == {}


def test_two_recorders_of_a_period_lose_nothing_of_each_other(local_store):
    with Recorder(local_store, *RUN) as one, Recorder(local_store, *RUN) as other:
        one.kept("a", KEPT)
        other.kept("b", KEPT)
    assert set(held(local_store).kept) == {"a", "b"}


def test_noting_leaves_what_it_does_not_name():
    before = Ledger(
        *RUN, kept={"a": KEPT}, missing=("b",), failed={"b": Failed("cut", NOW)}, warnings=("odd",)
    )
    assert noted(before, {}, {}) == before
    after = noted(before, {"c": KEPT}, {})
    assert (set(after.kept), after.missing, set(after.failed), after.warnings) == (
        {"a", "c"},
        ("b",),
        {"b"},
        ("odd",),
    )


def test_what_the_server_deletes_first_sorts_first():
    soon, late = Due(NOW, "poi", "20260916"), Due(NOW + timedelta(hours=1), "icon-d2", "2026091600")
    assert sorted([late, soon]) == [soon, late]


def test_an_earlier_content_that_another_writer_told_of_meanwhile_goes_on_being_told_of(local_store):
    digests = {name: name * 64 for name in "abc"}
    earlier = {name: Earlier(digest, 1, NOW) for name, digest in digests.items()}
    theirs = msgspec.structs.replace(KEPT, sha256=digests["b"], earlier=(earlier["a"],))
    ours = msgspec.structs.replace(KEPT, sha256=digests["c"], earlier=(earlier["b"],))
    for each in (theirs, ours):
        with Recorder(local_store, *RUN) as recorder:
            recorder.kept("path", each)
    told = held(local_store).kept["path"]
    assert (told.sha256, told.earlier) == (digests["c"], (earlier["a"], earlier["b"]))


class Slow:
    """A store whose writes of ledgers take long, by the clock that is turned by hand."""

    def __init__(self, store: Store, clock: Hands, seconds: float) -> None:
        self._store, self._clock, self._seconds = store, clock, seconds

    def __getattr__(self, name: str) -> object:
        if name in {"create", "replace"}:
            self._clock.now_s += self._seconds / 2  # of the ledger and of its summary
        return getattr(self._store, name)


def test_a_ledger_that_takes_long_to_tell_is_told_more_seldom_and_whole_at_the_end(local_store):
    clock = Hands()
    with Recorder(Slow(local_store, clock, 0.5), *RUN, clock=clock) as recorder:
        begun = clock.now_s
        for number in range(4000):
            clock.now_s += 0.05
            recorder.kept(str(number), KEPT)
        tellings = held(local_store).revision
        assert 0.5 * tellings <= 0.03 * (clock.now_s - begun)
        assert tellings >= 5
    assert len(held(local_store).kept) == 4000


def test_no_pause_between_tellings_is_longer_than_a_minute(local_store):
    clock = Hands()
    recorder = Recorder(Slow(local_store, clock, 30.0), *RUN, clock=clock)
    recorder.tell()
    recorder.kept("a", KEPT)
    clock.now_s += LONGEST_PAUSE_S
    recorder.kept("b", KEPT)
    assert set(held(local_store).kept) == {"a", "b"}


def test_a_recorder_that_was_told_of_nothing_begins_no_ledger(local_store):
    with Recorder(local_store, *RUN):
        pass
    assert list(local_store.list("")) == []


@pytest.mark.parametrize(
    ("idle_h", "left_h", "minutes"),
    [(0, 20, 5), (1, 20, 7.5), (8, 16, 60), (20, 2, 60), (22, 0.25, 7.5), (23, 0.1, 5)],
)
def test_what_brings_nothing_is_asked_for_more_seldom_but_once_more_before_the_deadline(
    idle_h, left_h, minutes
):
    wait = rest(timedelta(minutes=5), NOW - timedelta(hours=idle_h), NOW + timedelta(hours=left_h), NOW)
    assert wait == timedelta(minutes=minutes)
