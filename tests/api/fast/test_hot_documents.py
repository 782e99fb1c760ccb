"""Lists that were asked for a moment ago: the same answers as the first time, for a second and while they hold."""

from datetime import timedelta

import pytest

from api.fast.hot import ENTRY_BYTES, KEPT_BYTES, HotAnswers
from api.replies.reply import PNG, VARIES, Reply
from api.state.ages import within_a_second
from tests.api.conftest import eventually, lasting
from tests.api.world import NOON, Clock, made

LISTS = [
    "/list-all/",
    "/list-all/?site=KPDT",
    "/list/2/reflectivity/",
    "/v1/sites",
    "/v1/scans?site=KPDT&product=reflectivity",
    "/v1/latest?product=reflectivity",
]
CODINGS = ["gzip", "identity", "gzip, deflate, br"]


@pytest.fixture(autouse=True)
def _scans(publisher):
    publisher.publish(made("KPDT", NOON - timedelta(minutes=5)), made("KPDT", NOON))


@pytest.fixture(autouse=True)
def _long_seconds(monkeypatch):
    """A second begins when the tests' clock says so."""
    monkeypatch.setattr("api.state.ages._second", lambda clock: clock())


@pytest.fixture
def decide_nothing(monkeypatch):
    """Makes every request fail that is not answered ahead of the other middleware."""

    def fail() -> None:
        for module in ("fast.shortpath", "fast.polled"):
            monkeypatch.setattr(f"api.{module}.headers_of", lambda _: 1 / 0)
        monkeypatch.setattr("api.v1.routing._check_query", lambda *_: 1 / 0)

    return fail


def asked(client, path: str, coding: str = "gzip", times: int = 1):
    """The last of some answers; the first of a document of FastAPI's is not the one that is kept."""
    return [client.get(path, headers={"accept-encoding": coding}) for _ in range(times)][-1]


@pytest.mark.parametrize("path", LISTS)
def test_what_is_asked_again_is_answered_as_before_in_each_coding(serve, path, decide_nothing):
    client = serve()
    first = {coding: asked(client, path, coding, 2) for coding in CODINGS}
    decide_nothing()
    for coding, before in first.items():
        again = asked(client, path, coding)
        assert (again.status_code, again.content) == (200, before.content)
        assert lasting(again) == lasting(before)
        assert again.headers["x-request-id"] != before.headers["x-request-id"]
    assert "content-encoding" not in first["identity"].headers
    assert client.get(path, headers={"accept-encoding": "br"}).status_code == 500, "not asked so before"


@pytest.mark.parametrize("path", LISTS)
def test_who_has_it_is_told_so_as_before(serve, path, decide_nothing):
    client = serve()
    etag = asked(client, path, times=2).headers["etag"]
    known = {"accept-encoding": "gzip", "if-none-match": etag}
    first = client.get(path, headers={**known, "if-none-match": f'"other", {etag}'})
    decide_nothing()
    again = client.get(path, headers=known)
    assert (first.status_code, again.status_code, again.content) == (304, 304, b"")
    assert lasting(again) == lasting(first)
    plain = client.get(path, headers={"accept-encoding": "gzip", "if-none-match": f'"other", {etag}'})
    assert plain.status_code == 500, "more than one tag is decided anew"


@pytest.mark.parametrize("path", LISTS)
def test_whoever_asks_for_news_alone_is_told_so_directly_too(serve, path, clock, decide_nothing):
    client = serve()
    whole = asked(client, path, times=2)
    known = {"accept-encoding": "gzip", "if-none-match": whole.headers["etag"]}
    clock.now += timedelta(seconds=1)
    first = client.get(path, headers=known)
    decide_nothing()
    again = client.get(path, headers=known)
    assert (first.status_code, again.status_code) == (304, 304)
    assert lasting(again) == lasting(first)
    assert asked(client, path).content == whole.content


@pytest.mark.parametrize(
    "headers", [{"range": "bytes=0-3"}, {"if-match": "*"}, {"x-request-id": "mine"}], ids=str
)
@pytest.mark.parametrize("path", LISTS[-2:])
def test_what_asks_for_more_is_decided(serve, path, headers, decide_nothing):
    client = serve()
    before = asked(client, path, times=3)
    answer = client.get(path, headers={"accept-encoding": "gzip", **headers})
    assert (answer.status_code, answer.content) == (200, before.content)
    decide_nothing()
    assert client.get(path, headers={"accept-encoding": "gzip", **headers}).status_code == 500


@pytest.mark.parametrize("path", LISTS)
def test_the_age_is_told_anew_each_second(serve, clock, path):
    client = serve()
    before = asked(client, path, times=3)
    clock.now += timedelta(seconds=7)
    after = asked(client, path)
    assert after.content == before.content
    if "x-data-age" in before.headers:
        assert int(after.headers["x-data-age"]) == int(before.headers["x-data-age"]) + 7


@pytest.mark.parametrize("path", LISTS)
def test_a_new_scan_is_told_within_the_second(serve, publisher, path):
    client = serve()
    before = asked(client, path, times=3)
    publisher.publish(made("KPDT", NOON + timedelta(minutes=2)))
    eventually(lambda: asked(client, path).content != before.content)


def test_a_store_that_went_away_is_told_with_the_next_second(serve, posix, clock):
    client = serve()
    assert asked(client, LISTS[0], times=3).headers["x-data-stale"] == "false"
    posix.away = True

    def is_stale() -> bool:
        clock.now += timedelta(seconds=1)
        return asked(client, LISTS[0]).headers["x-data-stale"] == "true"

    eventually(is_stale)


def test_days_of_the_archive_are_decided_each_time(serve, decide_nothing):
    client = serve()
    path = "/list-all/?day=2025-04-09"
    assert asked(client, path, times=3).status_code == 200
    decide_nothing()
    assert asked(client, path).status_code == 500


def test_they_are_counted(serve):
    client = serve()
    size = sum(len(asked(client, LISTS[0], "identity").content) for _ in range(4))
    lines = client.get("/metrics").text.splitlines()
    assert 'api_requests_total{method="GET",route="/list-all/",status="200"} 4.0' in lines
    assert f'api_response_bytes_total{{route="/list-all/"}} {float(size)}' in lines


def test_a_second_passes_by_the_clock_and_by_the_time_that_passes(monkeypatch):
    monkeypatch.undo()
    clock, passed = Clock(), [5.2]
    monkeypatch.setattr(
        "api.state.ages.time", type("Time", (), {"monotonic": staticmethod(lambda: passed[0])})
    )
    still = within_a_second(clock, lambda: True)(b"list")
    assert still().data == b"list"
    passed[0] = 5.9
    assert still() is not None
    passed[0] = 6.0
    assert still() is None
    passed[0] = 5.9
    clock.now += timedelta(seconds=1)
    assert still() is None


def scope(target: bytes, query: bytes = b"") -> dict:
    headers = [(b"accept-encoding", b"gzip")]
    return {"type": "http", "method": "GET", "raw_path": target, "query_string": query, "headers": headers}


def test_of_documents_with_invented_queries_no_more_are_kept_than_fit():
    answers = HotAnswers(("*",))
    body = bytes(60_000)
    reply = Reply(200, (VARIES, (b"etag", b'"a"')), body, lambda: None)
    most = KEPT_BYTES // (len(body) + ENTRY_BYTES)
    for number in range(most + 50):
        answers.learn(scope(b"/v1/scans", b"limit=%d" % number), reply, "/v1/scans")
    kept = [number for number in range(most + 50) if answers.find(scope(b"/v1/scans", b"limit=%d" % number))]
    assert most - 5 <= len(kept) <= most
    assert kept[-1] == most + 49


def test_codings_that_clients_invent_weigh_what_they_take():
    answers = HotAnswers(("*",))
    reply = Reply(200, (VARIES, (b"etag", b'"a"')), b"[]", lambda: None)
    asked = []
    for number in range(1_200):
        asked.append(scope(b"/list-all/"))
        asked[-1]["headers"] = [(b"accept-encoding", b"%d" % number + b"x" * 60_000)]
        answers.learn(asked[-1], reply, "/list-all/")
    assert 0 < sum(answers.find(one) is not None for one in asked) * 60_000 <= KEPT_BYTES


def test_images_with_a_query_are_not_kept():
    answers = HotAnswers(("*",))
    reply = Reply(200, ((b"content-type", PNG), (b"etag", b'"a"')), b"png", lambda: None)
    for query, is_kept in ((b"x=1", False), (b"", True)):
        answers.learn(scope(b"/v1/images/a.png", query), reply, "/v1/images/{file}")
        assert (answers.find(scope(b"/v1/images/a.png", query)) is not None) == is_kept
