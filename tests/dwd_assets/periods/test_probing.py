"""A look at the server ends within a sensor's minute, whatever the server does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dwd_assets.archive.storing import Archive
from dwd_assets.mosmix import issue_pass
from dwd_assets.opendata import client as clients
from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import OpendataError, TimedOut, Unavailable
from dwd_assets.periods import probing
from dwd_assets.periods.context import Office
from dwd_assets.periods.probing import looks
from dwd_assets.poi import report_pass
from dwd_assets.settings import DwdSettings

NOW = datetime(2026, 9, 16, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


@pytest.fixture
def office(silent, local_store) -> Iterator[Office]:
    settings = DwdSettings(
        _env_file=None, archive="unused", fields=("icon-d2-ruc/single/t_2m",), mosmix=("S",)
    )
    office = Office(settings, Archive(local_store), Client(silent), lambda: NOW)
    yield office
    office.close()


@pytest.mark.parametrize("what", ["forecasts", "reports", "a look"])
def test_a_silent_server_costs_a_sensor_seconds_of_what_it_was_given(office, monkeypatch, what):
    """With the time-outs a twentieth of what they are, in all less than a twentieth of a minute."""
    monkeypatch.setattr(probing, "LOOKS_S", probing.LOOKS_S / 20)
    monkeypatch.setattr(report_pass, "LISTING_S", probing.LISTING_S / 20)
    monkeypatch.setattr(clients.Client.look, "__defaults__", (clients.LOOK_S / 20,))
    begun = time.monotonic()
    if what == "forecasts":
        assert issue_pass.issues_due(office, "S", NOW) == ()
    elif what == "reports":
        with pytest.raises(OpendataError):
            report_pass.reports_due(office, NOW, print)
    else:
        with pytest.raises(TimedOut):
            office.client.look("/weather/")
    assert time.monotonic() - begun < 60 / 20


def test_no_look_begins_when_the_time_is_over():
    def slow(_: int) -> bool:
        time.sleep(0.05)
        return True

    found = looks(range(100), slow, at_once=2, budget_s=0.2)
    assert [each.at for each in found] == list(range(len(found)))
    assert 2 <= len(found) <= 10


def test_after_so_many_faults_as_are_looked_at_at_once_no_more_are_begun():
    def away(item: int) -> bool:
        raise Unavailable(str(item))

    found = looks(range(100), away, at_once=4)
    assert [str(each.fault) for each in found] == ["0", "1", "2", "3"]


def test_a_server_that_asks_for_more_patience_than_there_is_time_is_not_waited_for(office):
    office.client._pacer.hold(60.0)
    begun = time.monotonic()
    with pytest.raises(TimedOut, match="patience"):
        office.client.look("/weather/", within_s=0.3)
    assert time.monotonic() - begun < 2


def looked_in_vain(client: Client) -> None:
    with pytest.raises(TimedOut):
        client.look("/a", within_s=1.0)


def test_a_connection_that_is_not_free_is_not_waited_for_longer_than_there_is_time(silent):
    with Client(silent, clients.Manners(connections=1)) as client:
        other = threading.Thread(target=looked_in_vain, args=(client,))
        other.start()
        time.sleep(0.2)
        with pytest.raises(TimedOut, match="connection was free"):
            client.look("/b", within_s=0.2)
        other.join()


def test_the_default_budgets_fit_a_sensors_minute():
    looked_twice = 2 * 2 * clients.LOOK_S
    assert probing.LOOKS_S + looked_twice < 55
    assert 3 * probing.LISTING_S < 55
