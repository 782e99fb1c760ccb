"""Images that were asked for before: the same answers as the first time, for as long as they hold."""

from datetime import timedelta

import pytest

from store.objects import StoreError
from tests.api.conftest import eventually, lasting
from tests.api.world import NOON, Publisher, Switched, made


@pytest.fixture
def clock(clock):
    clock.now = NOON + timedelta(minutes=10)  # later than the scans were published
    return clock


@pytest.fixture
def scan(publisher):
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    return scan


@pytest.fixture(params=["old address", "digest"])
def path(request, scan) -> str:
    return address(scan, request.param)


@pytest.fixture
def decide_nothing(monkeypatch):
    """Makes every request fail that is not answered ahead of the other middleware."""
    return lambda: monkeypatch.setattr("api.fast.shortpath.headers_of", lambda _: 1 / 0)


def address(scan, which: str) -> str:
    image = scan.scan.layers["reflectivity"].tilts[0].images[0]
    return {
        "old address": f"/data/2/{scan.scan.key}_reflectivity_idx0/png",
        "digest": f"/v1/images/{image.name}",
    }[which]


def test_a_second_answer_is_the_first_but_for_its_request_id(serve, path, decide_nothing):
    client = serve()
    first = client.get(path)
    decide_nothing()
    second, third = client.get(path), client.get(path)
    assert [one.status_code for one in (first, second, third)] == [200] * 3
    assert second.content == third.content == first.content
    assert lasting(second) == lasting(third) == lasting(first)
    assert len({one.headers["x-request-id"] for one in (first, second, third)}) == 3


def test_who_has_it_is_told_so_as_the_first_time(serve, path, decide_nothing):
    client = serve()
    known = {"if-none-match": client.get(path).headers["etag"]}
    other = {"if-none-match": f'{known["if-none-match"]}, "other"'}  # decided anew
    first = client.get(path, headers=other)
    decide_nothing()
    second = client.get(path, headers=known)
    assert (first.status_code, second.status_code, second.content) == (304, 304, b"")
    assert lasting(second) == lasting(first)


DECIDED = [
    ({"range": "bytes=2-5"}, 206),
    ({"if-match": '"other"'}, 412),
    ({"if-none-match": '"other"'}, 200),
    ({"if-none-match": "*"}, 304),
    ({"range": "bytes=100000-"}, 416),
]


def test_whatever_else_is_asked_is_decided_anew(serve, path):
    client = serve()
    whole = client.get(path).content
    for headers, status in DECIDED:
        assert client.get(path, headers=headers).status_code == status, headers
    assert client.get(path, headers={"range": "bytes=2-5"}).content == whole[2:6]
    assert client.head(path).content == b""
    assert client.get(path, headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    assert client.post(path).status_code == 405


def test_an_allowed_origin_is_named_also_the_second_time(serve, path):
    client = serve(allowed_origins="https://a.example")
    for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)) * 2:
        answer = client.get(path, headers={"origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-origin" not in client.get(path).headers


def test_an_address_is_known_by_how_it_is_written(serve, path):
    client = serve()
    assert client.get(path).status_code == 200
    head, _, tail = path.rpartition("/")
    for _ in range(2):
        assert client.get(client.base_url.copy_with(raw_path=f"{head}%2f{tail}".encode())).status_code == 404
    assert client.get(f"{path}?x=1").status_code == (400 if path.startswith("/v1") else 200)


def test_an_image_that_was_rendered_again_is_not_the_old_one(serve, publisher, scan):
    client = serve()
    old, new = address(scan, "old address"), address(scan, "digest")
    assert [client.get(one).status_code for one in (old, new, old, new)] == [200] * 4
    again = made("KPDT", NOON, edition=1)
    publisher.publish(again)
    eventually(lambda: client.get(old).content == next(iter(again.objects.values())))
    assert client.get(new).status_code == 404


def test_a_scan_that_was_removed_is_gone(serve, publisher, path):
    client = serve()
    publisher.publish(made("KPDT", NOON - timedelta(minutes=5)))
    assert client.get(path).status_code == 200
    publisher.remove(made("KPDT", NOON).scan.key)
    eventually(lambda: client.get(path).status_code == 404)


def test_what_memory_had_no_room_for_is_read_again(serve, path, scan, posix):
    client = serve(image_cache_bytes=0)
    image = next(iter(scan.objects.values()))
    reads = len(posix.reads)
    assert [client.get(path).content for _ in range(3)] == [image] * 3
    assert len([key for key in posix.reads[reads:] if key.endswith(".png")]) == 3


def test_they_are_counted_as_all_others(serve, path):
    client = serve()
    size = len(client.get(path).content)
    etag = client.get(path).headers["etag"]
    client.get(path, headers={"if-none-match": etag})
    lines = client.get("/metrics").text.splitlines()
    route = "/v1/images/{file}" if path.startswith("/v1") else "/data/{level}/{image}/{form}"
    assert f'api_requests_total{{method="GET",route="{route}",status="200"}} 2.0' in lines
    assert f'api_requests_total{{method="GET",route="{route}",status="304"}} 1.0' in lines
    assert f'api_response_bytes_total{{route="{route}"}} {2.0 * size}' in lines


class Torn(Switched):
    """A store of which some objects cannot be read for a while."""

    torn = ""

    def get(self, key: str):
        if self.torn and key.startswith(self.torn):
            raise StoreError(f"{key}: torn")
        return super().get(key)


def test_an_earlier_state_of_a_day_is_given_only_while_the_later_cannot_be_read(serve, posix):
    """An archive day changes, and just then cannot be read: what was read before has to do, but not for longer."""
    store = Torn(posix)
    publisher = Publisher(store)
    moment = NOON - timedelta(days=400)
    old = made("KPDT", moment, origin="backfill")
    publisher.publish(made("KPDT", NOON), old)
    client = serve(store=store)
    path = address(old, "old address")
    assert client.get(path).content == next(iter(old.objects.values()))
    again = made("KPDT", moment, origin="backfill", edition=1)
    Publisher(posix).publish(again, made("KPDT", NOON + timedelta(minutes=1)))
    store.torn = f"snapshots/KPDT/{moment:%Y%m%d}"
    eventually(lambda: len(client.get("/list-all/").json()["reflectivity"]) == 2)
    assert client.get(path).content == next(iter(old.objects.values()))
    store.torn = ""
    assert client.get(path).content == next(iter(again.objects.values()))
