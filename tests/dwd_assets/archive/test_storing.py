"""Keeping verified files: what is at a path, what is kept beside it, and what a kill between two writes leaves."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import lz4.frame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.archive.storing import Archive, BelowFloor, Content, digest, plain_of
from dwd_assets.formats.errors import FormatError
from store.dwd.ledger import Kept, Source
from store.objects import Store, StoreUnavailable
from store.posix import PosixStore
from tests.dwd_assets.formats.mosmix.mosmix_files import document, kmz, simple
from tests.nexrad_assets.pipeline.faulty_store import dying

PATH = "weather/icon-d2/grib/2026091609/t_2m/name.grib2.lz4"
NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
OLD, NEW, THIRD = (Content.packed(text * 100) for text in (b"old", b"new", b"third"))


@pytest.fixture
def archive(store: Store) -> Archive:
    return Archive(store)


@pytest.fixture
def local(local_store: Store) -> Archive:
    return Archive(local_store)


def source(modified: datetime | None = NOON) -> Source:
    return Source("http://server/name", NOON, 1, "0" * 64, modified=modified)


def there(archive: Archive, path: str = PATH) -> bytes:
    """What is at a path, unpacked by another program's library."""
    return lz4.frame.decompress(archive.store.get(path).data)


def beside(content: Content) -> str:
    return f"{PATH}.{content.sha256[:12]}"


def keys_of(archive: Archive) -> list[str]:
    return [info.key for info in archive.store.list("")]


def versions(kept: Kept) -> list[str]:
    return [one.sha256 for one in kept.earlier]


def test_content_is_told_by_what_is_in_it():
    assert lz4.frame.decompress(OLD.stored) == b"old" * 100
    assert (OLD.sha256, OLD.size) == (hashlib.sha256(b"old" * 100).hexdigest(), 300)
    plain = Content.plain(b"a,b")
    assert (plain.stored, plain.sha256, plain.size) == (b"a,b", hashlib.sha256(b"a,b").hexdigest(), 3)


def test_where_nothing_is_a_file_is_put(archive):
    kept = archive.keep(PATH, OLD, source(), None, NOON)
    assert kept == Kept(OLD.sha256, 300, len(OLD.stored), NOON, source())
    assert there(archive) == b"old" * 100
    assert keys_of(archive) == [PATH]


def test_the_same_content_again_writes_nothing_and_stays_kept_since_then(archive):
    kept = archive.keep(PATH, OLD, source(), None, NOON)
    before = archive.store.head(PATH)
    again = archive.keep(PATH, OLD, source(NOON + HOUR), kept, NOON + HOUR)
    assert again == Kept(OLD.sha256, 300, len(OLD.stored), NOON, source(NOON + HOUR))
    assert archive.store.head(PATH) == before


def test_content_that_another_program_packed_is_the_same_and_is_left(local):
    packed = lz4.frame.compress(b"old" * 100, compression_level=9)
    assert packed != OLD.stored
    local.store.put(PATH, packed)
    kept = local.keep(PATH, OLD, source(), None, NOON)
    assert local.store.get(PATH).data == packed
    assert (kept.sha256, kept.stored_bytes, kept.earlier) == (OLD.sha256, len(packed), ())


def test_changed_content_takes_the_path_and_the_old_one_stays_readable_beside_it(archive):
    kept = archive.keep(PATH, OLD, source(), None, NOON)
    changed = archive.keep(PATH, NEW, source(NOON + HOUR), kept, NOON + HOUR)
    assert there(archive) == b"new" * 100
    assert there(archive, beside(OLD)) == b"old" * 100
    assert (changed.sha256, changed.kept_at) == (NEW.sha256, NOON + HOUR)
    (earlier,) = changed.earlier
    assert (earlier.sha256, earlier.size, earlier.replaced_at) == (OLD.sha256, 300, NOON + HOUR)
    assert earlier.source == source()


def test_content_older_on_the_server_goes_beside_the_newer_one(archive):
    kept = archive.keep(PATH, NEW, source(NOON + HOUR), None, NOON)
    after = archive.keep(PATH, OLD, source(NOON), kept, NOON + HOUR)
    assert there(archive) == b"new" * 100
    assert there(archive, beside(OLD)) == b"old" * 100
    assert (after.sha256, versions(after), after.kept_at) == (NEW.sha256, [OLD.sha256], NOON)
    assert archive.keep(PATH, OLD, source(NOON), after, NOON + HOUR) == after


@pytest.mark.parametrize(("old", "new"), [(None, NOON), (NOON, None), (NOON, NOON), (None, None)])
def test_without_two_times_the_one_that_came_last_takes_the_path(local, old, new):
    kept = local.keep(PATH, OLD, source(old), None, NOON)
    local.keep(PATH, NEW, source(new), kept, NOON)
    assert there(local) == b"new" * 100
    assert there(local, beside(OLD)) == b"old" * 100


def test_what_the_path_holds_is_believed_and_not_the_ledger(archive):
    """After a kill the file may be ahead of the ledger, or the ledger may have been lost."""
    archive.store.put(PATH, OLD.stored)
    kept = archive.keep(PATH, NEW, source(), None, NOON)
    assert there(archive, beside(OLD)) == b"old" * 100
    assert versions(kept) == [OLD.sha256]
    third = archive.keep(PATH, THIRD, source(), replace_kept(kept, OLD), NOON)
    assert there(archive, beside(NEW)) == b"new" * 100
    assert set(versions(third)) == {OLD.sha256, NEW.sha256}


def replace_kept(kept: Kept, content: Content) -> Kept:
    """What a ledger says that is behind."""
    return Kept(content.sha256, content.size, len(content.stored), kept.kept_at, kept.source)


def test_a_file_that_the_ledger_tells_of_and_that_is_gone_is_put_again(local):
    kept = local.keep(PATH, OLD, source(), None, NOON)
    local.store.delete([PATH])
    assert local.keep(PATH, OLD, source(), kept, NOON + HOUR).sha256 == OLD.sha256
    assert there(local) == b"old" * 100


@pytest.mark.parametrize(
    "bad", [b"", b"<html>", OLD.stored[:-1], OLD.stored + b"\0", OLD.stored[:20] + b"x" + OLD.stored[21:]]
)
def test_damaged_bytes_at_the_path_go_to_quarantine_and_are_no_version(archive, bad):
    archive.store.put(PATH, bad)
    kept = archive.keep(PATH, NEW, source(), None, NOON)
    assert there(archive) == b"new" * 100
    assert kept.earlier == ()
    where = f"quarantine/{PATH}.{hashlib.sha256(bad).hexdigest()[:12]}"
    assert archive.store.get(where).data == bad
    assert keys_of(archive) == sorted([PATH, where])


def test_contents_that_come_and_go_are_each_kept_once(archive):
    kept = None
    for number, content in enumerate((OLD, NEW, OLD, NEW, THIRD)):
        kept = archive.keep(PATH, content, source(NOON + number * HOUR), kept, NOON + number * HOUR)
        assert there(archive) == lz4.frame.decompress(content.stored)
    assert keys_of(archive) == sorted([PATH, beside(OLD), beside(NEW)])
    assert sorted(versions(kept)) == sorted([OLD.sha256, NEW.sha256])
    assert there(archive, beside(OLD)) == b"old" * 100
    assert there(archive, beside(NEW)) == b"new" * 100


def test_a_kill_between_version_and_file_is_made_good_by_the_next_time(local):
    kept = local.keep(PATH, OLD, source(), None, NOON)
    killed = replace(local, store=dying(local.store, PATH, after=1))
    with pytest.raises(StoreUnavailable, match=f"killed before {PATH}"):
        killed.keep(PATH, NEW, source(), kept, NOON)
    assert there(local) == there(local, beside(OLD)) == b"old" * 100
    again = local.keep(PATH, NEW, source(), kept, NOON + HOUR)
    assert (again.sha256, versions(again)) == (NEW.sha256, [OLD.sha256])
    assert there(local) == b"new" * 100


def test_a_kill_before_the_ledger_was_told_costs_no_version(local):
    kept = local.keep(PATH, OLD, source(), None, NOON)
    local.keep(PATH, NEW, source(), kept, NOON)  # the ledger still says OLD
    again = local.keep(PATH, NEW, source(), kept, NOON + HOUR)
    assert (again.sha256, versions(again)) == (NEW.sha256, [OLD.sha256])
    assert there(local, beside(OLD)) == b"old" * 100


steps = st.lists(
    st.tuples(st.sampled_from([OLD, NEW, THIRD]), st.integers(0, 3), st.integers(-1, 2)), max_size=8
)


@given(steps)
@settings(max_examples=30, deadline=None)
def test_whatever_comes_in_whatever_order_with_kills_no_content_is_ever_lost(tmp_path_factory, many):
    """Contents with times, each pass killed before its n-th write (or not, below 0) and not told to the ledger then."""
    store = PosixStore(tmp_path_factory.mktemp("store"))
    kept, put = None, set()
    for content, hours, writes in many:
        there_before = put_contents(store)
        archive = Archive(store if writes < 0 else dying(store, PATH, after=writes))
        with suppress(StoreUnavailable):
            kept = archive.keep(PATH, content, source(NOON + hours * HOUR), kept, NOON)
            put.add(content.sha256)
        now = put_contents(store)
        assert there_before <= now
        assert put <= now
        if kept is not None:
            assert {kept.sha256, *versions(kept)} <= now


def put_contents(store: Store) -> set[str]:
    return {digest(lz4.frame.decompress(store.get(info.key).data)) for info in store.list("weather/")}


def test_put_replaces_whole_and_keeps_nothing(local):
    local.put("weather/a.csv", Content.plain(b"1"))
    local.put("weather/a.csv", Content.plain(b"2"))
    assert keys_of(local) == ["weather/a.csv"]
    assert local.store.get("weather/a.csv").data == b"2"


def test_holding_is_having_read_it(local):
    local.keep(PATH, OLD, source(), None, NOON)
    assert local.holds(PATH, OLD.sha256)
    assert not local.holds(PATH, NEW.sha256)
    assert not local.holds("weather/nothing.grib2.lz4", OLD.sha256)
    local.store.put(PATH, OLD.stored[:-4])
    assert not local.holds(PATH, OLD.sha256)


def test_a_kmz_is_told_by_its_kml_whoever_packed_it(local):
    path = "weather/local_forecasts/mos/2026091609/10315-MOSMIX.kmz"
    kml = document([simple("10315")])
    one, other = (Content.kmz(kmz(kml, entry), path) for entry in ("MOSMIX_L_2026091609.kml", "LATEST.kml"))
    assert one.stored != other.stored
    assert (one.sha256, one.size) == (other.sha256, other.size) == (hashlib.sha256(kml).hexdigest(), len(kml))
    kept = local.keep(path, one, source(), None, NOON)
    assert local.keep(path, other, source(), kept, NOON + HOUR).stored_bytes == len(one.stored)
    assert local.store.get(path).data == one.stored
    assert plain_of(path, one.stored) == zipfile.ZipFile(io.BytesIO(one.stored)).read(
        "MOSMIX_L_2026091609.kml"
    )


def test_a_kmz_without_kml_is_no_content():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FormatError, match=r"10315\.kmz"):
        Content.kmz(packed.getvalue(), "10315.kmz")


@pytest.mark.parametrize(("free", "raised"), [(99, True), (100, False), (None, False)])
def test_below_the_floor_nothing_is_taken(local_store, monkeypatch, free, raised):
    monkeypatch.setattr(PosixStore, "free_bytes", lambda _: free)
    if raised:
        with pytest.raises(BelowFloor, match="STORE_FREE_FLOOR_BYTES"):
            Archive(local_store, 100).check_floor()
    else:
        Archive(local_store, 100).check_floor()


def test_a_real_disk_has_more_than_nothing_free_and_less_than_everything(local_store):
    Archive(local_store, 1).check_floor()
    with pytest.raises(BelowFloor):
        Archive(local_store, 1 << 62).check_floor()


@pytest.mark.s3
def test_a_store_that_does_not_tell_what_is_free_has_no_floor(s3_store):
    Archive(s3_store, 1 << 62).check_floor()


class Racing:
    """A store before whose first write to a path another fetcher keeps something there."""

    def __init__(self, store: Store, other: Content) -> None:
        self._store, self._other = store, other
        self._is_over = False

    def __getattr__(self, name: str) -> object:
        found = getattr(self._store, name)
        if name not in {"put", "create", "replace"}:
            return found

        def write(key: str, *arguments: object, **named: object) -> object:
            if key == PATH and not self._is_over:
                self._is_over = True
                Archive(self._store).keep(PATH, self._other, source(), None, NOON)
            return found(key, *arguments, **named)

        return write


@pytest.mark.parametrize("is_there", [False, True], ids=["nothing there", "a file there"])
def test_what_another_fetcher_put_there_just_now_is_kept_beside(store, is_there):
    if is_there:
        Archive(store).keep(PATH, OLD, source(), None, NOON)
    kept = Archive(Racing(store, THIRD)).keep(PATH, NEW, source(NOON + HOUR), None, NOON)
    assert there(Archive(store)) == plain_of(PATH, NEW.stored)
    assert lz4.frame.decompress(store.get(beside(THIRD)).data) == plain_of(PATH, THIRD.stored)
    assert versions(kept) == [THIRD.sha256]


def test_two_fetchers_of_one_content_write_it_once(store):
    kept = Archive(Racing(store, NEW)).keep(PATH, NEW, source(), None, NOON)
    assert (kept.sha256, kept.earlier) == (NEW.sha256, ())
    assert keys_of(Archive(store)) == [PATH]
