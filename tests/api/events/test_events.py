"""`/v1/events`: what is told, to whom, and again to those who come back."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import httpx
import msgspec
import pytest

from api.events import streaming
from api.events.streaming import Broadcaster, Client, Event
from api.replies.errors import Unavailable
from store.posix import PosixStore
from tests.api.conftest import eventually
from tests.api.test_process import ROOT, free_port
from tests.api.v1.dwd.dwd_world import World, icon
from tests.api.world import NOON, Publisher, made
from tests.loops import run as run_loop


class Heard:
    """What a client hears, gathered by a thread."""

    def __init__(self, answer):
        self.answer = answer
        self.lines = []
        self.ended = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        try:
            for line in self.answer.iter_lines():
                self.lines.append(line)
        except (httpx.HTTPError, httpx.StreamError):
            pass
        self.ended = True

    @property
    def ids(self):
        return [int(line.removeprefix("id: ")) for line in list(self.lines) if line.startswith("id: ")]

    @property
    def events(self):
        """The kind and data of each event."""
        kinds = [line.removeprefix("event: ") for line in list(self.lines) if line.startswith("event: ")]
        data = [
            json.loads(line.removeprefix("data: ")) for line in list(self.lines) if line.startswith("data: ")
        ]
        return list(zip(kinds, data, strict=False))

    def keys(self):
        return [key for kind, data in self.events if kind == "scans" for key in data["keys"]]


@contextmanager
def listening(client, query="", **headers):
    """Listen, from the moment on at which the stream has begun."""
    address = f"{client.base_url}/v1/events{query}".replace("//v1", "/v1")
    with (
        httpx.Client(trust_env=False, timeout=httpx.Timeout(5, read=30)) as own,
        own.stream("GET", address, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        heard = Heard(answer)
        eventually(lambda: any(line.startswith(("retry: ", "id: ")) for line in heard.lines))
        try:
            yield heard
        finally:
            # The thread is reading: closing alone would neither wake it nor tell the server.
            with suppress(OSError):
                answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            eventually(lambda: heard.ended)


@pytest.fixture
def client(publisher, serve):
    publisher.publish(made("KPDT", NOON - timedelta(minutes=10)), made("KTLX", NOON - timedelta(minutes=10)))
    return serve()


def test_a_new_scan_is_told_after_it_is_published(client, publisher):
    with listening(client) as heard:
        publisher.publish(made("KPDT", NOON))
        eventually(lambda: heard.events)
        assert heard.events == [
            (
                "scans",
                {
                    "site": "KPDT",
                    "level": 2,
                    "newest": "2025-04-09T12:00:00Z",
                    "keys": ["KPDT20250409_120000_V06"],
                },
            )
        ]
        # What is told is there already.
        assert "KPDT20250409_120000_V06" in client.get("/list-all/").json()["reflectivity"]


def test_levels_are_told_apart(client, publisher):
    with listening(client) as heard:
        publisher.publish(made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1))
        eventually(lambda: heard.events)
        ((_, told),) = heard.events
        assert (told["level"], told["keys"]) == (3, ["KPDT20250409_120000_HHC"])


def test_a_scan_that_is_rendered_again_is_told_again(client, publisher, clock):
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: "KPDT20250409_120000_V06" in client.get("/list-all/").json()["reflectivity"])
    again = made("KPDT", NOON, edition=1)
    again.scan = msgspec.structs.replace(again.scan, published=NOON + timedelta(minutes=9))
    with listening(client) as heard:
        publisher.publish(again)
        eventually(lambda: heard.keys() == ["KPDT20250409_120000_V06"])


def test_a_site_that_nobody_asks_for_is_told_without_keys_and_with_them_to_who_does(client, publisher):
    with listening(client) as of_all:
        publisher.publish(made("KTLX", NOON - timedelta(minutes=5)))
        eventually(lambda: of_all.events)
        assert (of_all.events[0][1]["site"], of_all.events[0][1]["keys"]) == ("KTLX", [])
        with listening(client, "?site=KTLX") as of_one:
            publisher.publish(made("KTLX", NOON))
            eventually(lambda: of_one.keys() == ["KTLX20250409_120000_V06"])


def test_a_filter_lets_only_its_sites_through(client, publisher):
    with listening(client, "?site=KTLX,KABR") as heard:
        publisher.publish(made("KPDT", NOON))
        publisher.publish(made("KTLX", NOON))
        publisher.publish(made("KABR", NOON))
        eventually(lambda: {data["site"] for _, data in heard.events} == {"KTLX", "KABR"})


def test_ids_rise_and_what_was_missed_is_repeated(client, publisher):
    with listening(client) as heard:
        publisher.publish(made("KPDT", NOON - timedelta(minutes=5)))
        eventually(lambda: len(heard.events) == 1)
        last = heard.ids[-1]
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: "KPDT20250409_120000_V06" in client.get("/list-all/").json()["reflectivity"])
    with listening(client, **{"last-event-id": str(last)}) as heard:
        eventually(lambda: heard.events)
        assert heard.keys() == ["KPDT20250409_120000_V06"]
        assert heard.ids[-1] > last
        assert heard.ids == sorted(heard.ids)


def test_who_was_there_at_the_beginning_of_a_silence_misses_nothing(client, publisher):
    with listening(client) as heard:
        eventually(lambda: heard.ids)
        first = heard.ids[0]
    publisher.publish(made("KPDT", NOON))
    eventually(lambda: "KPDT20250409_120000_V06" in client.get("/list-all/").json()["reflectivity"])
    with listening(client, **{"last-event-id": str(first)}) as heard:
        eventually(lambda: heard.keys() == ["KPDT20250409_120000_V06"])


@pytest.mark.parametrize("unknown", ["1", "99999999999999", "-5", "x", "", "9" * 400])
def test_who_missed_what_is_not_known_any_more_is_told_to_begin_anew(client, unknown):
    with listening(client, **{"last-event-id": unknown}) as heard:
        eventually(lambda: heard.events)
        assert heard.events == [("reset", {})]
        assert heard.ids


def test_a_silent_stream_has_heartbeats(publisher, serve):
    with listening(serve(heartbeat_seconds=0.05)) as heard:
        eventually(lambda: heard.lines.count(":") >= 3)
        assert heard.events == []


def test_progress_of_the_archive_is_told(posix, serve, monkeypatch):
    monkeypatch.setattr("api.events.feeds.ARCHIVE_POLL_S", 0.05)
    monkeypatch.setattr("api.v1.dwd.archive.FRESH_S", 0.0)
    monkeypatch.setattr("api.v1.dwd.archive.COSTS_KEPT", 0.0)
    world = World(posix)
    world.keep_fields(icon(step=0), missing=("weather/x",))
    with listening(serve()) as heard:
        steps = count(60, 60)

        def told():
            world.keep_fields(icon(step=next(steps)))
            return heard.events

        eventually(told)
        kind, data = heard.events[0]
        assert kind == "archive"
        assert set(data) == {"collection", "period", "state", "kept", "expected"}
        assert (data["collection"], data["period"]) == ("icon-d2", "2025040909")
        assert data["kept"] <= data["expected"]


def test_head_ends_at_once_and_other_methods_are_refused(client):
    answer = client.head("/v1/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    answer = client.post("/v1/events")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


def test_more_clients_than_allowed_are_sent_away(publisher, serve):
    client = serve(event_clients=1)
    with listening(client):
        answer = client.get("/v1/events")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert "retry-after" in answer.headers
    eventually(lambda: "api_event_clients 0.0" in client.get("/metrics").text)


# The broadcaster by itself.


def test_history_is_bounded_and_what_fell_out_of_it_is_a_reset(monkeypatch):
    monkeypatch.setattr(streaming, "HISTORY", 3)
    told = run_loop(_history())
    assert told["1003"] == [b"id: 1004", b"id: 1005"]
    assert told["1002"] == [b"id: 1003", b"id: 1004", b"id: 1005"]
    assert b"event: reset" in told["1001 raw"]


async def _history():
    broadcaster = Broadcaster(10, 60, ident=lambda: 1000)
    broadcaster.start()
    broadcaster.tell([Event("scans", {}, "KPDT") for _ in range(5)])
    await asyncio.sleep(0.01)
    told = {}
    for seen in ("1001", "1002", "1003"):
        raw = b"".join(broadcaster.join(Client(frozenset()), seen))
        told[f"{seen} raw"] = raw
        told[seen] = [line for line in raw.split(b"\n") if line.startswith(b"id:")]
    broadcaster.close()
    return told


def test_ids_rise_also_where_the_clock_stands_still_or_goes_back():
    async def run():
        clock = iter([5000, 5000, 4000, 6000])
        broadcaster = Broadcaster(10, 60, ident=lambda: next(clock))
        broadcaster.start()
        ids = []
        for _ in range(3):
            broadcaster.tell([Event("scans", {})])
            await asyncio.sleep(0.01)
            ids.append(broadcaster.last)
        broadcaster.close()
        return ids

    assert run_loop(run()) == [5001, 5002, 6000]


def test_a_client_that_takes_nothing_is_dropped_and_the_others_are_not_kept_waiting():
    async def run():
        broadcaster = Broadcaster(10, 60)
        broadcaster.start()
        stream = streaming.Stream(broadcaster)
        stuck, taken, gone = asyncio.Event(), [], asyncio.Event()

        async def never(_):
            await stuck.wait()

        async def take(message):
            taken.append(message)

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/v1/events", "query_string": b"", "headers": []}
        slow = asyncio.create_task(stream(dict(scope), receive, never))
        quick = asyncio.create_task(stream(dict(scope), receive, take))
        await asyncio.sleep(0.01)
        assert broadcaster.clients == 2
        for _ in range(streaming.QUEUE + 5):
            broadcaster.tell([Event("scans", {})])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.wait_for(slow, 1)
        assert broadcaster.clients == 1
        gone.set()
        await asyncio.wait_for(quick, 1)
        assert broadcaster.clients == 0
        broadcaster.close()
        return len(taken)

    assert run_loop(run()) >= streaming.QUEUE + 5


def test_who_comes_at_the_end_is_sent_a_stream_that_ends_so_that_a_browser_comes_back():
    async def run():
        broadcaster = Broadcaster(10, 60)
        broadcaster.start()
        broadcaster.close()
        taken = []

        async def take(message):
            taken.append(message)

        async def receive():
            await asyncio.Event().wait()

        scope = {"type": "http", "method": "GET", "path": "/v1/events", "query_string": b"", "headers": []}
        await asyncio.wait_for(streaming.Stream(broadcaster)(scope, receive, take), 5)
        assert broadcaster.clients == 0
        return taken

    start, first, end = run_loop(run())
    assert start["status"] == 200
    assert first["body"].startswith(b"retry: 3000\n")
    assert (end["body"], end.get("more_body", False)) == (b"", False)


def test_more_clients_than_allowed_are_refused():
    async def run():
        broadcaster = Broadcaster(1, 60)
        broadcaster.start()
        broadcaster.join(Client(frozenset()), None)
        with pytest.raises(Unavailable):
            broadcaster.join(Client(frozenset()), None)
        broadcaster.close()

    run_loop(run())


STREAMS = 20
UVICORN = ["uvicorn", "api.app:app"]
ENDS_WITHIN_S = 5.0
"""A quarter of a second on an idle machine."""


@pytest.mark.parametrize(
    ("program", "told"),
    [(UVICORN, signal.SIGTERM), (UVICORN, signal.SIGINT), (["api"], signal.SIGTERM)],
    ids=["uvicorn-SIGTERM", "uvicorn-SIGINT", "python -m api-SIGTERM"],
)
def test_a_process_that_is_told_to_end_does_not_wait_for_who_listens(tmp_path, program, told):
    Publisher(PosixStore(tmp_path)).publish(made("KPDT", NOON))
    port = free_port()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("API_", "NEXRAD_", "DWD_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *program, *(["--port", str(port)] if program == UVICORN else [])],
        env={**kept, "STORE": str(tmp_path), "API_PORT": str(port), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    with ExitStack() as stack:
        stack.callback(process.kill)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            eventually(lambda: _answers(client), 30)
        streams = [stack.enter_context(_stream(port)) for _ in range(STREAMS)]
        began = time.monotonic()
        process.send_signal(told)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - began < ENDS_WITHIN_S
        for stream in streams:
            assert _rest(stream).endswith(b"0\r\n\r\n"), "cut off instead of ended"
    assert "Traceback" not in errors
    assert "ERROR" not in errors


def _stream(port):
    """A connection on which an event stream has begun."""
    stream = socket.create_connection(("127.0.0.1", port), timeout=10)
    stream.sendall(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
    heard = b""
    while b"\nid: " not in heard:
        heard += stream.recv(4096)
    return stream


def _rest(stream):
    return b"".join(iter(lambda: stream.recv(4096), b""))


def _answers(client):
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def test_a_thousand_clients_cost_less_than_fifty_kilobytes_each(tmp_path):
    script = Path(__file__).with_name("event_clients.py")
    run = subprocess.run(
        [sys.executable, script, "1000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    figures = json.loads(run.stdout)
    assert figures["heard"] == 1000
    assert figures["bytes_each"] < 50_000, figures
