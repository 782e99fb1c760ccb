"""How the client comes to the server: connections that are kept, proxies, certificates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dwd_assets.opendata import transport
from dwd_assets.opendata.client import Client, Manners
from dwd_assets.opendata.errors import Unavailable, Untrusted
from dwd_assets.opendata.messages import Request
from store.retry import Retry
from tests.dwd_assets.opendata.faulty_http import FaultyHttp, serving
from tests.dwd_assets.opendata.proxy import tunnelling
from tests.dwd_assets.opendata.tls import new_certificate, server_context

PATH = "/weather/f"
DATA = b"a file"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy and no authorities but those that a test names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@pytest.fixture
def server() -> Iterator[FaultyHttp]:
    with serving(FaultyHttp({PATH: DATA})) as running:
        yield running


def client(url: str) -> Client:
    return Client(url, Manners(requests_per_s=10_000.0, retry=Retry(attempts=1)))


def read(url: str) -> bytes:
    with client(url) as asking:
        return asking.read(Request(PATH)).data


def test_a_connection_that_was_idle_for_long_is_not_used_again(server, monkeypatch):
    monkeypatch.setattr(transport, "KEEP_ALIVE_S", 0.2)
    with client(server.url) as asking:
        asking.read(Request(PATH))
        asking.read(Request(PATH))
        assert server.connections == 1
        time.sleep(0.3)
        asking.read(Request(PATH))
        assert server.connections == 2


def test_a_look_keeps_its_connection(server):
    with client(server.url) as asking:
        for path in (PATH, "/none", PATH):
            asking.look(path)
    assert server.connections == 1


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_asked_for_the_whole_address(server, monkeypatch, name):
    address = "http://opendata.example" + PATH
    server.files[address] = b"through the proxy"
    monkeypatch.setenv(name, server.url.replace("//", "//me:p%40ss@"))
    assert read("http://opendata.example") == b"through the proxy"
    assert server.asked == [address]
    assert server.headers[0]["host"] == "opendata.example"
    assert server.headers[0]["proxy-authorization"] == "Basic bWU6cEBzcw=="  # me:p@ss


def test_a_proxy_may_be_named_without_its_scheme(server, monkeypatch):
    server.files["http://opendata.example" + PATH] = DATA
    monkeypatch.setenv("HTTP_PROXY", server.url.removeprefix("http://"))
    assert read("http://opendata.example") == DATA


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "example.org, 127.0.0.1"])
def test_no_proxy_is_asked_for_what_is_exempt(server, monkeypatch, exempt):
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", exempt)
    assert read(server.url) == DATA
    monkeypatch.setenv("NO_PROXY", "example.org")
    with pytest.raises(Unavailable, match="refused"):
        read(server.url)


def test_a_proxy_for_other_addresses_is_none_for_this_one(server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    assert read(server.url) == DATA


def test_tls_goes_through_a_proxy_and_is_verified_beyond_it(tmp_path: Path, monkeypatch):
    certificate = new_certificate(tmp_path)
    with (
        serving(FaultyHttp({PATH: DATA}), server_context(certificate)) as server,
        tunnelling() as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:secret@"))
        with pytest.raises(Untrusted, match="certificate"):
            read(server.url)
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert read(server.url) == DATA
    asked = [line.rpartition(" ")[0] for line in proxy.asked]
    assert asked == [f"CONNECT {server.url.removeprefix('https://')}"] * 2
    assert proxy.headers[0]["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert "proxy-authorization" not in server.headers[0]


def test_a_proxy_that_refuses_is_told(monkeypatch):
    with tunnelling("407 Proxy Authentication Required") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(Unavailable, match="407 Proxy Authentication Required"):
            read("https://opendata.example")


def test_authorities_may_be_those_of_a_folder(tmp_path: Path, monkeypatch):
    certificate = new_certificate(tmp_path)
    (tmp_path / "trusted").mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "trusted"))
    with (
        serving(FaultyHttp({PATH: DATA}), server_context(certificate)) as server,
        pytest.raises(Untrusted),
    ):
        read(server.url)


def test_authorities_that_cannot_be_read_are_told_at_once(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    with pytest.raises(OSError, match="No such file"):
        client("https://opendata.example")
