"""Several files at once, against a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.opendata.client import Client, Manners
from dwd_assets.opendata.errors import NotYet, Truncated
from dwd_assets.opendata.fetching import Outcome, Wanted, fetch_all, fetch_each
from dwd_assets.opendata.messages import Body, NotModified, Request, Version
from store.retry import Retry
from tests.dwd_assets.opendata.faulty_http import FaultyHttp, serving, tag

BEGIN = datetime(2026, 9, 16, tzinfo=UTC)
FILES = {f"/{number:02d}": bytes([number]) * 10_000 for number in range(40)}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[FaultyHttp]:
    with serving(FaultyHttp(dict(FILES))) as running:
        yield running


@pytest.fixture
def client(server: FaultyHttp) -> Iterator[Client]:
    with Client(server.url, Manners(requests_per_s=10_000.0, retry=Retry(attempts=1))) as asking:
        yield asking


def wanted(paths: list[str]) -> list[Wanted]:
    """Files whose deadlines are in the order of their names."""
    return [Wanted(Request(path), BEGIN + timedelta(minutes=int(path[1:]))) for path in paths]


def test_every_file_comes_once(client):
    outcomes = list(fetch_all(client, wanted(list(FILES)), at_once=8))
    assert {outcome.wanted.request.path: outcome.result.data for outcome in outcomes} == FILES
    assert len(outcomes) == len(FILES)


def test_nothing_wanted_is_nothing_fetched(client):
    assert list(fetch_all(client, [], at_once=8)) == []


def test_those_that_vanish_first_are_asked_for_first(client, server):
    list(fetch_all(client, reversed(wanted(list(FILES))), at_once=1))
    assert server.asked == sorted(FILES)


def test_a_slow_file_holds_no_other_back(client, server):
    server.faults["/00"] = ["slow"]
    order = [
        outcome.wanted.request.path for outcome in fetch_all(client, wanted(["/00", "/01", "/02"]), at_once=2)
    ]
    assert order == ["/01", "/02", "/00"]


def test_one_fault_costs_no_other_file(client, server):
    server.faults |= {"/01": ["404"], "/02": ["cut"]}
    known = Wanted(Request("/03", known=Version(tag(FILES["/03"]))), BEGIN)
    asked = [*wanted(["/00", "/01", "/02"]), known]
    results = {outcome.wanted.request.path: outcome.result for outcome in fetch_all(client, asked, at_once=4)}
    assert [type(results[path]) for path in sorted(results)] == [Body, NotYet, Truncated, NotModified]


def test_no_more_bodies_are_there_than_allowed(client, server):
    """However slow the consumer is: what was asked for and not yet given back is never more."""
    server.get_s = 0.01
    given_back = 0
    for _ in fetch_all(client, wanted(list(FILES)), at_once=3):
        time.sleep(0.02)
        assert len(server.asked) - given_back <= 3
        given_back += 1
    assert given_back == len(FILES)
    assert server.most_at_once > 1


def test_a_consumer_that_stops_early_asks_for_nothing_more(client, server):
    outcomes = fetch_all(client, wanted(list(FILES)), at_once=4)
    assert isinstance(next(outcomes), Outcome)
    outcomes.close()
    asked = len(server.asked)
    assert asked == 4
    time.sleep(0.1)
    assert len(server.asked) == asked


def test_what_is_no_fault_of_the_server_is_raised(client):
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(fetch_all(client, wanted(["/00"]), at_once=2))


def test_what_came_is_handled_by_the_threads_that_fetch(client):
    def handle(outcome: Outcome) -> str:
        return threading.current_thread().name

    ahead = iter(wanted(list(FILES)))
    threads = list(fetch_each(client, lambda: next(ahead, None), handle, at_once=4))
    assert len(threads) == len(FILES)
    assert threading.current_thread().name not in threads
    assert len(set(threads)) > 1


def test_what_is_asked_for_may_hang_on_what_came(client, server):
    """The second half is asked for only once the first half is there."""
    paths = sorted(FILES)
    came: list[str] = []
    asked: list[str] = []

    def next_wanted() -> Wanted | None:
        if len(asked) == len(paths) or (len(asked) == 20 and len(came) < 20):
            return None
        asked.append(paths[len(asked)])
        return wanted(asked[-1:])[0]

    def handle(outcome: Outcome) -> None:
        came.append(outcome.wanted.request.path)

    assert len(list(fetch_each(client, next_wanted, handle, at_once=8))) == len(paths)
    assert sorted(came) == paths
    assert set(server.asked[:20]) == set(paths[:20])
    assert set(came[:20]) == set(paths[:20])


def test_a_fault_in_handling_is_raised(client):
    def handle(outcome: Outcome) -> None:
        raise LookupError(outcome.wanted.request.path)

    ahead = iter(wanted(["/00"]))
    with pytest.raises(LookupError, match="/00"):
        list(fetch_each(client, lambda: next(ahead, None), handle, at_once=4))
