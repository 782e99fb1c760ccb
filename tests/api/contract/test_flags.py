"""Flags: reading, and checked merges under the write token."""

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from store import keys
from store.posix import PosixStore
from store.radar import flags
from tests.api.conftest import TOKEN, api, eventually

BEARER = {"authorization": f"Bearer {TOKEN}"}
SET = b'{"updates": {"hydrometeor": 1}}'


def test_flags_are_empty_until_set_and_then_seen_at_once(serve):
    client = serve()
    assert client.get("/flag/").json() == {}
    answer = client.post("/flag/", content=SET, headers=BEARER)
    assert answer.status_code == 200
    assert answer.json()["updated"] is True
    assert isinstance(answer.json()["message"], str)
    assert client.get("/flag/").json() == {
        "updates": {"reflectivity": 0, "hydrometeor": 1, "precipitation": 0}
    }


def test_a_merge_leaves_other_flags_and_other_sites(serve):
    client = serve()
    client.post("/flag/", content=b'{"updates": {"reflectivity": true}}', headers=BEARER)
    client.post("/flag/", content=SET, headers=BEARER)
    client.post("/flag/?site=KTLX", content=b'{"updates": {"precipitation": 1}}', headers=BEARER)
    assert client.get("/flag/").json()["updates"] == {"reflectivity": 1, "hydrometeor": 1, "precipitation": 0}
    assert client.get("/flag/?site=KTLX").json()["updates"]["precipitation"] == 1


def test_flags_set_by_others_are_seen_within_seconds(serve, posix):
    client = serve()
    assert client.get("/flag/").json() == {}
    posix.put(keys.flags("KPDT"), b'{"updates":{"reflectivity":true}}')
    eventually(lambda: client.get("/flag/").json(), 3)
    assert client.get("/flag/").json() == {
        "updates": {"reflectivity": 1, "hydrometeor": 0, "precipitation": 0}
    }


OTHER_CREDENTIALS = [
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": TOKEN},
    {"authorization": f"Basic {TOKEN}"},
    {"authorization": "Bearer"},
    {"authorization": "Bearer ü".encode("latin-1")},
]


def test_without_the_token_nothing_changes(serve):
    client = serve()
    for header in OTHER_CREDENTIALS:
        for path in ("/flag/", "/nudge/"):
            answer = client.post(path, content=SET, headers=header)
            assert (answer.status_code, set(answer.json())) == (401, {"error"}), header
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/flag/").json() == {}


@pytest.mark.parametrize("token", [None, ""])
def test_an_unset_token_refuses_everyone(serve, token):
    client = serve(write_token=token)
    for header in ({}, {"authorization": "Bearer"}, {"authorization": "Bearer None"}, BEARER):
        assert client.post("/flag/", content=SET, headers=header).status_code == 401
    assert client.get("/flag/").json() == {}


NO_FLAGS = [
    b"",
    b" ",
    b"nonsense",
    b"[]",
    b"7",
    b"null",
    b'"updates"',
    b"{}",
    b'{"updates": 1}',
    b'{"updates": []}',
    b"\xff\xfe",
    b'{"updates": {"velocity": 1}}',
    b'{"updates": {"reflectivity": 2}}',
    b'{"updates": {"reflectivity": -1}}',
    b'{"updates": {"reflectivity": "1"}}',
    b'{"updates": {"reflectivity": 1.0}}',
    b'{"updates": {"reflectivity": null}}',
    b'{"updates": {}, "more": 1}',
    b"[" * 60_000,
    b'{"updates":' * 5_000,
    b'{"updates": {"reflectivity": 1}',
]


def test_what_is_no_set_of_flags_is_refused_and_changes_nothing(serve):
    client = serve()
    client.post("/flag/", content=SET, headers=BEARER)
    for body in NO_FLAGS:
        answer = client.post("/flag/", content=body, headers=BEARER)
        assert (answer.status_code, set(answer.json())) == (400, {"error"}), body[:40]
    assert client.get("/flag/").json()["updates"] == {"reflectivity": 0, "hydrometeor": 1, "precipitation": 0}


def test_a_body_over_the_limit_is_413(serve):
    client = serve()
    padding = b" " * (65_536 - len(SET))
    assert client.post("/flag/", content=SET + padding, headers=BEARER).status_code == 200
    assert client.post("/flag/", content=SET + padding + b" ", headers=BEARER).status_code == 413
    pieces = (b" " * 1000 for _ in range(70))
    assert client.post("/flag/", content=pieces, headers=BEARER).status_code == 413, "without a length"


def test_the_token_is_asked_for_before_anything_else(serve):
    client = serve()
    assert client.post("/flag/?site=nonsense", content=b" " * 70_000).status_code == 401
    assert client.post("/flag/?site=nonsense", content=SET, headers=BEARER).status_code == 400


def test_merges_at_once_lose_none(serve, posix):
    client = serve()
    bodies = [
        b'{"updates": {"%s": 1}}' % name for name in (b"reflectivity", b"hydrometeor", b"precipitation")
    ] * 4
    answers = []

    def send(body: bytes) -> None:
        answers.append(client.post("/flag/", content=body, headers=BEARER).status_code)

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * len(bodies)
    assert (
        posix.get(keys.flags("KPDT")).data
        == b'{"updates":{"reflectivity":1,"hydrometeor":1,"precipitation":1}}'
    )


def test_rounds_of_eight_updates_at_once_lose_none(serve, store):
    client = serve(store)
    wanted = random.Random(7)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(6):
            targets = {group: wanted.randrange(2) for group in flags.PRODUCTS}
            bodies = [json.dumps({"updates": {group: value}}) for group, value in targets.items()] * 3

            def send(body: str) -> int:
                return client.post("/flag/", content=body, headers=BEARER).status_code

            assert list(pool.map(send, bodies[:8])) == [200] * 8
            assert client.get("/flag/").json() == {"updates": targets}
            assert flags.read(store, "KPDT").updates == targets


class SlowToAnswer(PosixStore):
    """A store whose first change of an object is done long before it says so."""

    slow = threading.Event()

    def replace(self, *arguments):
        answer = super().replace(*arguments)
        if not self.slow.is_set():
            self.slow.set()
            time.sleep(0.5)
        return answer


def test_a_change_that_is_told_late_does_not_hide_a_later_one(serve, tmp_path):
    store = SlowToAnswer(tmp_path / "slow")
    store.slow.clear()
    client = serve(store)
    flags.merge(PosixStore(store.root), "KPDT", {"reflectivity": 0})

    def send(value: int) -> int:
        body = json.dumps({"updates": {"reflectivity": value, "hydrometeor": 1 - value}})
        return client.post("/flag/", content=body, headers=BEARER).status_code

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, 1)
        assert store.slow.wait(10)
        assert send(0) == 200
        assert first.result() == 200
    expected = {"reflectivity": 0, "hydrometeor": 1, "precipitation": 0}
    assert client.get("/flag/").json()["updates"] == expected
    assert flags.read(store, "KPDT").updates == expected


def test_what_the_pipeline_raises_beside_a_frontend_that_lowers_is_kept(serve, store):
    client = serve(store)
    flags.merge(store, "KPDT", dict.fromkeys(flags.PRODUCTS, 1))

    def lower(group: str) -> int:
        return client.post(
            "/flag/", content=b'{"updates": {"%s": 0}}' % group.encode(), headers=BEARER
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        raised = [pool.submit(flags.merge, store, "KPDT", {"precipitation": 1}) for _ in range(4)]
        lowered = list(pool.map(lower, ["reflectivity", "hydrometeor"] * 2))
        assert all(one.result() for one in raised)
    assert lowered == [200] * 4
    assert client.get("/flag/").json()["updates"] == {"reflectivity": 0, "hydrometeor": 0, "precipitation": 1}


MEBIBYTE = 1_048_576
HOSTILE = {
    "a list": (b"[1,2]", 400),
    "broken JSON": (b'{"updates": {"hydrometeor": 0', 400),
    "nothing": (b"", 400),
    "a mebibyte of nothing": (b" " * MEBIBYTE, 413),
    "a mebibyte of JSON": (b'{"updates": {"hydrometeor": 0}}' + b" " * MEBIBYTE, 413),
    "a mebibyte of brackets": (b"[" * MEBIBYTE, 413),
}


@pytest.fixture(scope="module", params=["posix", pytest.param("s3", marks=pytest.mark.s3)])
def guarded(request, tmp_path_factory):
    """A store of each backend with flags that nobody may change, and the API in front of it."""
    if request.param == "posix":
        store = PosixStore(tmp_path_factory.mktemp("flags"))
    else:
        bucket = request.getfixturevalue("api_bucket")
        store = request.getfixturevalue("s3_server").store(bucket, "guarded/")
    flags.merge(store, "KPDT", {"hydrometeor": 1})
    with api(store) as client:
        yield store, client


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_body_is_refused_with_or_without_the_token_and_nothing_changes(guarded, what):
    body, status = HOSTILE[what]
    store, client = guarded
    before = store.get(keys.flags("KPDT"))
    for headers, expected in (({}, 401), ({"authorization": "Bearer wrong"}, 401), (BEARER, status)):
        answer = client.post("/flag/", content=body, headers=headers)
        assert (answer.status_code, set(answer.json())) == (expected, {"error"})
    assert store.get(keys.flags("KPDT")) == before
    assert client.get("/flag/").json()["updates"]["hydrometeor"] == 1


def test_while_the_store_is_away_the_last_flags_stay_and_writes_are_refused(serve, posix):
    client = serve()
    client.post("/flag/", content=SET, headers=BEARER)
    posix.away = True
    answer = client.post("/flag/", content=b'{"updates": {"reflectivity": 1}}', headers=BEARER)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    eventually(lambda: client.get("/readyz").status_code == 503)
    assert client.get("/flag/").json()["updates"]["hydrometeor"] == 1
    posix.away = False
    assert (
        posix.get(keys.flags("KPDT")).data
        == b'{"updates":{"reflectivity":0,"hydrometeor":1,"precipitation":0}}'
    )


def test_damaged_flags_are_not_overwritten(serve, posix):
    posix.put(keys.flags("KPDT"), b'{"updates": [')
    client = serve()
    assert (client.get("/flag/").status_code, client.get("/flag/").content) == (503, b"{}")
    assert client.post("/flag/", content=SET, headers=BEARER).status_code == 503
    assert posix.get(keys.flags("KPDT")).data == b'{"updates": ['
