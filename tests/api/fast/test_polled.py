"""Documents that were asked for before: the same answers as the first time, for as long as they hold."""

import gc
import weakref
from datetime import timedelta
from unittest.mock import Mock

import pytest

from api.fast.polled import KEPT_BYTES, Document, Polled
from api.state.catalog import Catalog
from api.v1.radar.routes import Radar
from tests.api.conftest import eventually, lasting
from tests.api.world import NOON, made

POLLED = [
    "/v1/sites",
    "/v1/products?site=KPDT",
    "/v1/scans?product=reflectivity",
    "/v1/scans?product=reflectivity&limit=1",
    "/v1/scans?site=KPDT&product=reflectivity&tilt=0.5",
    "/v1/latest?product=reflectivity",
    "/v1/vectors?site=KPDT",
]

DECIDED_ANEW = [
    "/v1/scans?product=reflectivity&start=2025-04-09T00:00:00Z",
    "/v1/scans?product=reflectivity&at=2025-04-09T12:00:00Z",
    "/v1/products?site=KPDT&day=2025-04-09",
    "/v1/vectors?at=2025-04-09T12:00:00Z",
]


@pytest.fixture(autouse=True)
def _scans(publisher):
    publisher.publish(made("KPDT", NOON - timedelta(minutes=5)), made("KPDT", NOON))


@pytest.fixture
def decide_nothing(monkeypatch):
    """Makes every request fail that FastAPI answers."""
    return lambda: monkeypatch.setattr("api.v1.routing._check_query", lambda *_: 1 / 0)


@pytest.mark.parametrize("path", POLLED)
def test_a_second_answer_is_the_first_without_being_decided(serve, path, decide_nothing):
    client = serve()
    asked = [{"accept-encoding": "gzip"}, {"accept-encoding": "identity"}]
    asked.append({"if-none-match": client.get(path).headers["etag"]})
    first = [client.get(path, headers=headers) for headers in asked]
    decide_nothing()
    second = [client.get(path, headers=headers) for headers in asked]
    assert [one.status_code for one in first] == [one.status_code for one in second] == [200, 200, 304]
    assert [one.content for one in second] == [one.content for one in first]
    assert [lasting(one) for one in second] == [lasting(one) for one in first]
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", second[0].headers["etag"])


@pytest.mark.parametrize("path", DECIDED_ANEW)
def test_what_depends_on_days_is_decided_anew(serve, path, decide_nothing):
    client = serve()
    assert client.get(path).status_code == 200
    decide_nothing()
    assert client.get(path).status_code == 500


def test_a_precondition_fails_as_the_first_time(serve, decide_nothing):
    client = serve()
    headers = {"if-match": '"other"'}
    client.get(POLLED[2])
    decide_nothing()
    answer = client.get(POLLED[2], headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")


@pytest.mark.parametrize("path", [path for path in POLLED if not path.startswith("/v1/vectors")])
def test_a_new_scan_is_told(serve, publisher, path):
    client = serve()
    before = client.get(path)
    assert client.get(path).content == before.content
    publisher.publish(made("KPDT", NOON + timedelta(minutes=2)))
    eventually(lambda: client.get(path).content != before.content)
    assert client.get(path).headers["etag"] != before.headers["etag"]


def test_age_and_staleness_are_of_the_moment(serve, clock, posix, decide_nothing):
    client = serve()
    first = client.get(POLLED[2])
    decide_nothing()
    clock.now += timedelta(seconds=40)
    later = client.get(POLLED[2])
    assert int(later.headers["x-data-age"]) == int(first.headers["x-data-age"]) + 40
    posix.away = True
    eventually(lambda: client.get(POLLED[2]).headers["x-data-stale"] == "true")
    assert client.get(POLLED[2]).content == first.content


def test_they_are_counted_as_all_others(serve):
    client = serve()
    sizes = [len(client.get(POLLED[2], headers={"accept-encoding": "identity"}).content) for _ in range(2)]
    lines = client.get("/metrics").text.splitlines()
    assert 'api_requests_total{method="GET",route="/v1/scans",status="200"} 2.0' in lines
    assert f'api_response_bytes_total{{route="/v1/scans"}} {float(sum(sizes))}' in lines


def test_a_view_that_was_replaced_is_held_by_no_answer_to_come(posix, publisher, clock):
    """Addresses that nobody asks for again stay for long: a state of the store with each would fill the memory."""
    catalog = Catalog(lambda: posix, "KPDT", 60, clock=clock)
    radar = Radar.of(catalog, Mock(), Mock(), 0, clock, Polled())
    catalog.refresh()
    view = catalog.load("KPDT")
    holds, window = radar.holds("KPDT", view), weakref.ref(view.window)
    assert holds()
    publisher.publish(made("KPDT", NOON + timedelta(minutes=2)))
    catalog.refresh()
    del view
    gc.collect()
    assert not holds()
    assert window() is None


REQUEST = {
    "type": "http",
    "method": "GET",
    "path": "/v1/x",
    "query_string": b"a=1",
    "route": Mock(path="/v1/x"),
}


@pytest.mark.parametrize(("addresses", "length"), [(1_000, 50_000), (40_000, 1)], ids=["long", "many"])
def test_addresses_count_against_the_bound_too(addresses, length):
    """A client can invent any number of them for a document that weighs next to nothing."""
    polled = Polled()
    asked = [{**REQUEST, "query_string": b"%d" % number + b"&" * length} for number in range(addresses)]
    for each in asked:
        polled.keep(each, Document(Mock, lambda: True, 10))
    assert polled.find(asked[-1]) is not None
    assert polled.find(asked[0]) is None
    assert polled.cache.weight <= KEPT_BYTES


def test_documents_are_kept_by_keys_that_are_short_and_counted(serve, monkeypatch):
    kept_keys, body = [], Radar.body
    monkeypatch.setattr("api.v1.radar.routes.BODIES_BYTES", 100_000)
    monkeypatch.setattr(
        Radar, "body", lambda radar, key, *how: kept_keys.append(key) or body(radar, key, *how)
    )
    client = serve()
    for number in range(100):
        path = f"/v1/scans?product=velocity&tilt=0.{number}&at=2025-04-09T12:00:00Z"
        assert client.get(path + "&" * 30_000).status_code == 200
    assert max(len(repr(key)) for key in kept_keys) < 1_000
    lines = client.get("/metrics").text.splitlines()
    (told,) = (line for line in lines if line.startswith('api_cache_bytes{cache="documents"}'))
    assert 90_000 < float(told.split()[-1]) <= 100_000


def test_a_proxy_prefix_and_a_query_are_part_of_the_address():
    polled = Polled()
    polled.keep(REQUEST, Document(Mock(), lambda: True, 1))
    assert polled.find(REQUEST) is not None
    assert polled.find({**REQUEST, "root_path": "/radar"}) is None
    assert polled.find({**REQUEST, "query_string": b"a=2"}) is None
    assert polled.find({**REQUEST, "method": "POST"}) is None
