"""The S3 backend before a real server: lost answers, damage, absence, refusal, foreign objects."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.objects import ObjectChanged, ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from store.s3 import S3Store
from tests.servers import S3Server, free_ports, ready, start_weed, stop
from tests.store.fault_proxy import FaultProxy, fault_proxy

pytestmark = pytest.mark.s3

CALLS: dict[str, Callable[[S3Store], object]] = {
    "get": lambda store: store.get("a"),
    "head": lambda store: store.head("a"),
    "put": lambda store: store.put("a", b"1"),
    "create": lambda store: store.create("a", b"1"),
    "replace": lambda store: store.replace("a", b"1", '"e"'),
    "list": lambda store: list(store.list("")),
    "delete": lambda store: store.delete(["a"]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    """A faulty way to the server."""
    with fault_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def through(proxy: FaultProxy, s3_server: S3Server, s3_store: S3Store) -> S3Store:
    """A store on the bucket of `s3_store`, by the faulty way."""
    return s3_server.store(s3_store.bucket, endpoint=proxy.endpoint, timeout_s=2, connect_timeout_s=1)


@pytest.mark.parametrize("fault", ["lose request", "lose answer", "503"])
@pytest.mark.parametrize("call", ["get", "head", "put", "list", "delete"])
def test_a_fault_on_the_way_is_borne(through: S3Store, proxy: FaultProxy, call: str, fault):
    through.put("a", b"1")
    method = {"get": "GET", "head": "HEAD", "put": "PUT", "list": "GET", "delete": "POST"}[call]
    proxy.faults = {method: [fault, fault]}
    CALLS[call](through)
    assert proxy.faults == {method: []}


def test_a_create_whose_answer_was_lost_is_no_conflict(
    through: S3Store, proxy: FaultProxy, s3_store: S3Store
):
    proxy.faults = {"PUT": ["lose answer"]}
    told = through.create("a", b"mine")
    assert proxy.asked.count("PUT") == 2
    assert s3_store.get("a").data == b"mine"
    assert told == s3_store.head("a")


def test_a_replace_whose_answer_was_lost_is_no_conflict(
    through: S3Store, proxy: FaultProxy, s3_store: S3Store
):
    etag = s3_store.put("a", b"old").etag
    proxy.faults = {"PUT": ["lose answer", "lose answer"]}
    told = through.replace("a", b"mine", etag)
    assert proxy.asked.count("PUT") == 3
    assert s3_store.get("a").data == b"mine"
    assert told == s3_store.head("a")


@pytest.mark.parametrize("fault", ["lose request", "503"])
def test_a_conditional_write_that_did_not_arrive_is_sent_again(
    through, proxy: FaultProxy, s3_store: S3Store, fault
):
    proxy.faults = {"PUT": [fault]}
    etag = through.create("a", b"1").etag
    proxy.faults = {"PUT": [fault]}
    through.replace("a", b"2", etag)
    assert s3_store.get("a").data == b"2"


def test_the_same_bytes_of_another_writer_are_still_a_conflict(
    through: S3Store, proxy: FaultProxy, s3_store: S3Store
):
    """Both count from 1 to 2: the second to do so must count again, though the first wrote its very bytes."""
    etag = s3_store.put("a", b"1").etag
    proxy.faults = {"PUT": ["lose request"]}
    s3_store.replace("a", b"2", etag)
    with pytest.raises(ObjectChanged, match="a"):
        through.replace("a", b"2", etag)
    proxy.faults = {"PUT": ["lose request"]}
    with pytest.raises(ObjectExists, match="a"):
        through.create("a", b"2")


def test_a_lost_answer_after_which_another_wrote_is_a_conflict(through, proxy: FaultProxy, s3_store: S3Store):
    proxy.faults = {"PUT": ["lose answer"]}
    proxy.after_lost = [lambda: s3_store.put("a", b"theirs")]
    with pytest.raises(ObjectExists):
        through.create("a", b"mine")
    assert s3_store.get("a").data == b"theirs"


def test_a_replace_answered_by_not_found_is_a_change(through: S3Store, proxy: FaultProxy):
    """So says Amazon to If-Match where nothing is; the server of these tests says 412."""
    proxy.faults = {"PUT": ["404"]}
    with pytest.raises(ObjectChanged, match="a"):
        through.replace("a", b"1", '"e"')


def test_bytes_damaged_on_the_way_back_are_read_again(through: S3Store, proxy: FaultProxy):
    body = bytes(range(256)) * 20
    through.put("a", body)
    proxy.faults = {"GET": ["damage answer", "cut answer"]}
    assert through.get("a").data == body


def test_bytes_that_stay_damaged_are_an_error_that_names_the_object(through: S3Store, proxy: FaultProxy):
    through.put("a/b", b"12345")
    proxy.faults = {"GET": ["damage answer"] * 4}
    with pytest.raises(StoreError, match=r"a/b.*SHA-256"):
        through.get("a/b")


@pytest.mark.parametrize("write", ["put", "create"])
def test_bytes_damaged_on_the_way_there_are_never_stored(
    through, proxy: FaultProxy, s3_store: S3Store, write: str
):
    proxy.faults = {"PUT": ["damage request"] * 4}
    with pytest.raises(StoreError, match="a"):
        getattr(through, write)("a", b"12345")
    assert list(s3_store.list("")) == []


def test_bytes_damaged_once_on_the_way_there_are_sent_again(through, proxy: FaultProxy, s3_store: S3Store):
    proxy.faults = {"PUT": ["damage request"]}
    through.put("a", b"12345")
    proxy.faults = {"PUT": ["damage request"]}
    through.create("b", b"12345")
    assert [s3_store.get(key).data for key in "ab"] == [b"12345"] * 2


def test_a_server_that_stalls_is_unavailable_within_the_time_out(
    s3_server, proxy: FaultProxy, s3_store: S3Store
):
    hasty = s3_server.store(s3_store.bucket, endpoint=proxy.endpoint, timeout_s=0.3, retries=1)
    for method, call in (("GET", "get"), ("PUT", "put"), ("PUT", "create"), ("GET", "list")):
        proxy.faults = {method: ["stall"] * 9}
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            CALLS[call](hasty)
        assert time.monotonic() - began < 2


@every_call
def test_a_server_that_is_not_there_is_unavailable_within_the_time_out(s3_server: S3Server, call):
    gone = s3_server.store("bucket", endpoint=f"http://127.0.0.1:{free_ports(1)[0]}", timeout_s=5)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="bucket"):
        call(gone)
    assert time.monotonic() - began < 5


def test_an_address_that_never_answers_is_unavailable_within_the_time_out(s3_server: S3Server):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        store = s3_server.store("bucket", endpoint=endpoint, timeout_s=0.5, connect_timeout_s=0.5, retries=1)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.get("a")
        assert time.monotonic() - began < 3


@every_call
@pytest.mark.parametrize(
    "keys",
    [{"secret_access_key": "wrong"}, {"access_key_id": "NOBODY"}],
    ids=["wrong secret", "unknown user"],
)
def test_wrong_credentials_are_refused_at_once_and_told(s3_server: S3Server, s3_store: S3Store, call, keys):
    s3_store.put("a", b"1")
    stranger = s3_server.store(s3_store.bucket, **keys)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"403|[Pp]rivilege") as caught:
        call(stranger)
    assert s3_store.bucket in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert time.monotonic() - began < 2
    assert caught.value.__cause__ is not None


ON_NO_BUCKET = {name: CALLS[name] for name in ("get", "put", "create", "list", "delete")} | {
    "copy": lambda store: store.copy("a", "b"),
    "list below a prefix": lambda store: list(store.list("a/")),
}


@pytest.mark.parametrize("call", ON_NO_BUCKET.values(), ids=ON_NO_BUCKET)
def test_a_bucket_that_is_not_there_is_named_and_no_empty_store(s3_server: S3Server, call):
    with pytest.raises(StoreUnavailable) as caught:
        call(s3_server.store("no-such-bucket", "deep/", timeout_s=3))
    assert str(caught.value).startswith(
        f"the bucket 'no-such-bucket' does not exist (NoSuchBucket), asked of {s3_server.endpoint} for "
        "s3://no-such-bucket/deep/"
    )
    assert "\n" not in str(caught.value)


def test_objects_lie_under_the_prefix_and_names_are_theirs_alone(s3_server: S3Server, s3_store: S3Store):
    inside = s3_server.store(s3_store.bucket, "deep/er/")
    s3_store.put("deep/er.txt", b"not mine")
    s3_store.put("outside", b"not mine")
    inside.put("x/A@b=c+d-_.x", b"1", "image/png")
    assert [info.key for info in inside.list("")] == ["x/A@b=c+d-_.x"]
    assert [info.key for info in inside.list("x/")] == ["x/A@b=c+d-_.x"]
    assert s3_store.get("deep/er/x/A@b=c+d-_.x").data == b"1"
    inside.delete(["x/A@b=c+d-_.x", "outside"])
    assert [info.key for info in s3_store.list("")] == ["deep/er.txt", "outside"]


def test_another_client_sees_key_bytes_content_type_and_digest(s3_server: S3Server, s3_store: S3Store):
    s3_store.put("x/A@b=c+d-_.x", b"12345", "image/png")
    s3_store.create("c.json", b"{}", "application/json")
    etag = s3_store.put("r.json", b"{}").etag
    s3_store.replace("r.json", b"[]", etag, "application/json")
    client = s3_server.client()
    seen = {
        entry["Key"]: client.get_object(Bucket=s3_store.bucket, Key=entry["Key"])
        for entry in client.list_objects_v2(Bucket=s3_store.bucket)["Contents"]
    }
    assert {key: answer["ContentType"] for key, answer in seen.items()} == {
        "x/A@b=c+d-_.x": "image/png",
        "c.json": "application/json",
        "r.json": "application/json",
    }
    assert seen["x/A@b=c+d-_.x"]["Body"].read() == b"12345"
    assert seen["x/A@b=c+d-_.x"]["Metadata"]["sha256"] == hashlib.sha256(b"12345").hexdigest()


def test_objects_of_another_client_are_read_and_those_without_a_key_left_out(
    s3_server: S3Server, s3_store: S3Store
):
    client = s3_server.client()
    for key in ("plain", "with space", "a/.hidden", "é"):
        client.put_object(Bucket=s3_store.bucket, Key=key, Body=b"1")
    assert [info.key for info in s3_store.list("")] == ["plain"]
    read = s3_store.get("plain")
    assert read.data == b"1"
    assert s3_store.replace("plain", b"2", read.info.etag).size == 1


def test_deleting_a_folders_name_removes_nothing_below_it(s3_store: S3Store):
    s3_store.put("a/b/1", b"1")
    s3_store.delete(["a", "a/b"])
    assert s3_store.get("a/b/1").data == b"1"


def test_more_keys_are_deleted_than_a_request_takes(s3_store: S3Store):
    s3_store.put("kept", b"1")
    s3_store.put("many/0", b"1")
    s3_store.delete(f"many/{number}" for number in range(2100))
    assert [info.key for info in s3_store.list("")] == ["kept"]


def test_credentials_and_endpoint_are_read_from_the_environment(
    s3_server: S3Server, s3_store: S3Store, monkeypatch
):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    S3Store(s3_store.bucket).put("a", b"1")
    assert s3_store.get("a").data == b"1"


def test_a_given_endpoint_wins_over_the_environment(s3_server: S3Server, s3_store: S3Store, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_ports(1)[0]}")
    s3_server.store(s3_store.bucket).put("a", b"1")
    assert s3_store.get("a").data == b"1"


def test_plain_http_is_refused_where_the_endpoint_does_not_say_so(s3_server: S3Server):
    """An `https` address is not asked in plain text, even if a plain server is there."""
    store = s3_server.store("bucket", endpoint=s3_server.endpoint.replace("http:", "https:"), timeout_s=2)
    with pytest.raises(StoreUnavailable):
        store.get("a")


def test_the_secret_is_not_in_the_text_of_a_store(s3_store: S3Store, s3_server: S3Server):
    assert s3_server.secret_access_key not in repr(s3_store)
    assert s3_store.bucket in repr(s3_store)


def test_a_process_forked_after_the_first_use_is_told_rather_than_hung(s3_store: S3Store):
    s3_store.put("a", b"1")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            s3_store.get("a")
        except StoreError as fault:
            os.write(writing, str(fault).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        try:
            signal.alarm(20)
            assert "spawn" in told.read()
        finally:
            signal.alarm(0)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert s3_store.get("a").data == b"1"


def test_a_pickle_keeps_how_the_store_was_set(s3_server: S3Server, s3_store: S3Store):
    set_up = s3_server.store(s3_store.bucket, "deep/", timeout_s=7, retries=5)
    again = pickle.loads(pickle.dumps(set_up))
    again.put("a", b"1")
    assert s3_store.get("deep/a").data == b"1"
    assert vars(again).keys() == vars(set_up).keys()
    assert repr(again) == repr(set_up)


def test_a_server_that_dies_is_unavailable_and_one_that_comes_back_has_everything(tmp_path: Path):
    server = S3Server(f"http://127.0.0.1:{free_ports(1)[0]}", "KEY", "secret")
    process = start_weed(tmp_path, server)
    try:
        assert ready(process, server)
        store = server.store(server.new_bucket(), timeout_s=4)
        for number in range(20):
            store.put(f"a/{number:02}", b"%d" % number)
        stop(process)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.get("a/00")
        with pytest.raises(StoreUnavailable):
            store.put("a/00", b"")
        assert time.monotonic() - began < 10
        process = start_weed(tmp_path, server)
        assert ready(process, server)
        assert [store.get(f"a/{number:02}").data for number in range(20)] == [b"%d" % n for n in range(20)]
        with pytest.raises(ObjectMissing):
            store.get("a/20")
    finally:
        stop(process)
