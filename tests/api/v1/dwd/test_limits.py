"""How much one address may ask for, and who counts as one address."""

import itertools
from ipaddress import ip_network

import httpx
import pytest
from pydantic import ValidationError

from api.app import create_app
from api.replies.limits import Buckets, client
from tests.api.conftest import settings
from tests.api.v1.dwd.dwd_world import World, icon
from tests.loops import run as run_loop

POINT = "/v1/dwd/point?lat=51&lon=9&parameter=t_2m"
SERIES = "/v1/dwd/series?lat=51&lon=9&parameter=t_2m"
REPORTS = "/v1/dwd/stations/10315/reports"
PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))


def statuses(app, requests, peer="192.0.2.1"):
    """The answers' statuses and Retry-After fields, asked without any server in between."""

    async def ask():
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", trust_env=False) as session:
            answers = [await session.get(address, headers=headers) for address, headers in requests]
        return [(each.status_code, each.headers.get("retry-after")) for each in answers]

    return run_loop(ask())


def test_a_bucket_gives_a_minutes_tokens_and_fills_up_evenly():
    now = [0.0]
    buckets = Buckets(3, lambda: now[0])
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 20]
    assert buckets.take("b") == 0
    now[0] = 19.0
    assert buckets.take("a") == pytest.approx(1)
    now[0] = 20.0
    assert [buckets.take("a"), buckets.take("a")] == [0, 20]
    now[0] = 10_000.0
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 20]


def test_there_are_only_so_many_buckets():
    buckets = Buckets(1, lambda: 0.0, kept=3)
    for name in itertools.islice(map(str, itertools.count()), 1000):
        assert buckets.take(name) == 0
    assert len(buckets._buckets) == 3
    assert buckets.take("999") > 0
    assert buckets.take("0") == 0


@pytest.mark.parametrize(
    ("peer", "forwarded", "asks"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7, 10.2.3.4", "198.51.100.7"),
        ("10.0.0.1", "10.2.3.4", "10.2.3.4"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.7, nonsense", "10.0.0.1"),
        ("::1", " 198.51.100.7 ,", "198.51.100.7"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:5::6", "", "2001:db8:1:2::/64"),
        ("", "198.51.100.7", ""),
    ],
)
def test_who_asks_is_told_by_our_own_proxies_alone(peer, forwarded, asks):
    assert client(peer, forwarded, PROXIES) == asks


def test_series_are_limited_by_address_and_lists_are_not(posix, clock):
    world = World(posix)
    world.keep_fields(icon(grid="regular"))
    world.keep_stations()
    app = create_app(settings(rate_per_minute=2), posix, clock)
    asked = statuses(app, [(SERIES, {}), (REPORTS, {}), (POINT, {}), ("/v1/dwd/stations/10315/forecast", {})])
    assert [status for status, _ in asked] == [200, 200, 429, 429]
    assert 1 <= int(asked[2][1]) <= 30
    assert statuses(app, [(POINT, {})], peer="192.0.2.2")[0][0] == 200
    forged = [(POINT, {"x-forwarded-for": f"198.51.100.{index}"}) for index in range(3)]
    assert {status for status, _ in statuses(app, forged)} == {429}
    assert statuses(app, [("/v1/dwd/runs", {})] * 5) == [(200, None)] * 5


def test_behind_a_configured_proxy_each_client_has_its_own_share(posix, clock):
    World(posix).keep_stations()
    app = create_app(settings(rate_per_minute=1, trusted_proxies="10.0.0.0/8"), posix, clock)
    asked = [(REPORTS, {"x-forwarded-for": f"198.51.100.{index}"}) for index in (1, 2, 1)]
    assert [status for status, _ in statuses(app, asked, peer="10.1.1.1")] == [200, 200, 429]


def test_with_no_limit_there_is_none(posix, clock):
    World(posix).keep_stations()
    app = create_app(settings(rate_per_minute=0), posix, clock)
    assert statuses(app, [(REPORTS, {})] * 300) == [(200, None)] * 300


def test_proxies_that_are_no_networks_are_refused_at_the_start():
    with pytest.raises(ValidationError, match="nowhere"):
        settings(trusted_proxies="10.0.0.1,nowhere")
