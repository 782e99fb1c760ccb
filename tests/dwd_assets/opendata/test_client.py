"""The client against a real server that fails as it is told."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dwd_assets.opendata.client import USER_AGENT, Client, Manners
from dwd_assets.opendata.errors import (
    TRANSIENT,
    Busy,
    Encoded,
    NotAsListed,
    NotYet,
    OpendataError,
    Refused,
    TimedOut,
    TooLarge,
    Truncated,
    Unavailable,
    Untrusted,
)
from dwd_assets.opendata.messages import Body, NotModified, Request, Seen, Version
from dwd_assets.opendata.pacing import Pacer
from store.retry import Retry
from tests.dwd_assets.opendata.faulty_http import DATE, FaultyHttp, serving, tag
from tests.dwd_assets.opendata.tls import new_certificate, server_context

DATA = random.Random(1).randbytes(200_000)
PATH = "/weather/nwp/f.grib2"
ONCE = Retry(attempts=1)
QUICK = Retry(attempts=3, first_wait_s=0.001)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[FaultyHttp]:
    with serving(FaultyHttp({PATH: DATA})) as running:
        yield running


def client(server: FaultyHttp, retry: Retry = ONCE, **settings) -> Client:
    return Client(server.url, Manners(**({"requests_per_s": 10_000.0, "retry": retry} | settings)))


def read(server: FaultyHttp, request: Request = Request(PATH), retry: Retry = ONCE, **settings):  # noqa: B008
    with client(server, retry, **settings) as asking:
        return asking.read(request)


def test_a_file_comes_whole_with_its_digest_and_version(server):
    body = read(server, Request(PATH, size=len(DATA)))
    assert body.data == DATA
    assert body.received.sha256 == hashlib.sha256(DATA).hexdigest()
    assert (body.received.path, body.received.size) == (PATH, len(DATA))
    assert body.received.version == Version(tag(DATA), datetime(2026, 9, 16, 2, 40, 29, tzinfo=UTC))


def test_the_server_is_told_who_asks_and_that_nothing_shall_be_packed(server):
    read(server)
    assert server.headers[0]["user-agent"] == USER_AGENT
    assert server.headers[0]["accept-encoding"] == "identity"
    read(server, user_agent="somebody else")
    assert server.headers[1]["user-agent"] == "somebody else"


def test_a_path_is_sent_as_it_is_encoded(server):
    path = "/weather/nwp/v1/m/icon-d2/p/T_2M/r/2026-09-16T00%3A00/s/PT000H00M.grib2"
    server.files[path] = b"x"
    assert read(server, Request(path)).data == b"x"
    assert server.asked == [path]


@pytest.mark.parametrize("path", ["", "a", "@example.org/", "/a b", "/a\nb", "/ä", "/a#b"])
def test_what_is_no_path_cannot_be_asked_for(path):
    with pytest.raises(ValueError, match="is no percent-encoded path"):
        Request(path)


@pytest.mark.parametrize(
    "known", [Version(etag=tag(DATA)), Version(modified=datetime(2026, 9, 16, 4, 40, 29, tzinfo=UTC))]
)
def test_a_known_version_does_not_come_again(server, known):
    if known.modified is not None:  # the same moment, told in another zone
        known = Version(modified=(known.modified - timedelta(hours=2)).astimezone())
    assert read(server, Request(PATH, known=known)) == NotModified(PATH)


def test_another_version_than_the_known_one_comes(server):
    assert read(server, Request(PATH, known=Version(etag='"other"'))).data == DATA


def test_a_304_that_was_not_asked_for_is_no_answer(server):
    server.faults[PATH] = ["304"]
    with pytest.raises(Refused, match="304"):
        read(server)


def test_a_look_tells_the_version_and_brings_nothing(server):
    with client(server) as asking:
        seen = asking.look(PATH)
        assert asking.look("/weather/none") is None
    assert seen == Seen(PATH, len(DATA), Version(tag(DATA), datetime(2026, 9, 16, 2, 40, 29, tzinfo=UTC)))
    assert server.methods == ["HEAD", "HEAD"]


def test_a_file_that_is_not_there_is_not_asked_for_twice(server):
    with pytest.raises(NotYet, match=r"/nothing: the server answered 404"):
        read(server, Request("/nothing"), QUICK)
    assert server.asked == ["/nothing"]


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("reset", Unavailable, "Read|reset|Protocol"),
        ("snapped", Unavailable, "reset"),
        ("cut", Truncated, "100000|expected 200000"),
        ("halved", Truncated, "IncompleteRead"),
        ("unended", Truncated, "IncompleteRead"),
        ("misannounced", Unavailable, "'200000x' was announced, which is no length"),
        ("doubled", Unavailable, "200000.*200001"),
        ("packed", Encoded, "br"),
        ("gzip cut", Truncated, "gzip"),
        ("gzip followed", Truncated, "gzip"),
        ("503", Busy, "503 Service Unavailable"),
        ("429", Busy, "429"),
        ("500", Unavailable, "500"),
        ("502", Unavailable, "502"),
        ("408", Unavailable, "408"),
        ("404", NotYet, "404"),
        ("410", NotYet, "410"),
        ("403", Refused, "403"),
        ("301", Refused, "301 .*redirect to https://elsewhere/weather/x.*DWD_SERVER"),
        ("206", Refused, "206"),
    ],
)
def test_every_fault_has_its_kind_and_names_address_and_fault(server, fault, kind, words):
    server.faults[PATH] = [fault]
    with pytest.raises(OpendataError, match=words) as caught:
        read(server)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"{server.url}{PATH}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", ["reset", "snapped", "cut", "packed", "gzip cut", "503", "500"])
def test_what_may_pass_is_tried_again_until_the_file_is_whole(server, fault):
    server.faults[PATH] = [fault, fault]
    assert read(server, retry=QUICK).data == DATA
    assert len(server.asked) == 3


def test_a_body_without_a_length_comes_and_is_not_proven(server):
    server.faults[PATH] = ["unannounced", "unannounced", "chunked", "gzip"]
    unproven, listed, chunked, packed = (
        read(server, Request(PATH, size=size)) for size in (None, len(DATA), None, len(DATA))
    )
    assert [each.data for each in (unproven, listed, chunked, packed)] == [DATA] * 4
    assert [each.received.is_proven for each in (unproven, listed, chunked, packed)] == [
        False,
        True,
        True,
        True,
    ]
    assert packed.received.sha256 == unproven.received.sha256


def test_attempts_are_bounded_and_the_last_error_is_raised(server):
    server.faults[PATH] = ["500", "503", "cut", "500"]
    with pytest.raises(Truncated):
        read(server, retry=QUICK)
    assert len(server.asked) == 3


def test_a_body_cut_at_its_source_is_found_by_the_listed_size(server):
    server.faults[PATH] = ["shorter"] * 2
    with pytest.raises(NotAsListed, match="100000 bytes are offered where 200000 were listed"):
        read(server, Request(PATH, size=len(DATA)))
    assert read(server, Request(PATH, size=len(DATA)), QUICK).data == DATA


def test_a_file_overwritten_between_listing_and_request_is_not_taken_for_the_listed_one(server):
    server.faults[PATH] = ["new"]
    with pytest.raises(NotAsListed):
        read(server, Request(PATH, size=len(DATA)), QUICK)


def test_a_body_in_chunks_is_checked_against_the_listed_size(server):
    server.faults[PATH] = ["chunked", "chunked"]
    assert read(server).data == DATA
    with pytest.raises(NotAsListed, match="came where 3 were listed"):
        read(server, Request(PATH, size=3))


def test_an_unannounced_length_is_no_fault_where_the_listing_tells_it(server):
    server.faults[PATH] = ["unannounced"]
    assert read(server, Request(PATH, size=len(DATA))).data == DATA


@pytest.mark.parametrize("fault", ["ok", "chunked"])
def test_more_than_the_limit_is_not_taken(server, fault):
    server.faults[PATH] = [fault]
    with pytest.raises(TooLarge, match="limit of 199999"):
        read(server, Request(PATH, limit_bytes=len(DATA) - 1), QUICK)
    assert len(server.asked) == 1
    assert read(server, Request(PATH, limit_bytes=len(DATA))).data == DATA


def test_a_server_that_is_silent_is_given_up(server):
    server.faults[PATH] = ["slow"]
    with pytest.raises(TimedOut, match="ReadTimeout"):
        read(server, read_s=0.1)


def test_a_server_that_drips_is_given_up(server):
    server.faults[PATH] = ["drip"]
    begin = time.monotonic()
    with pytest.raises(TimedOut, match=r"not all of it came within 0\.3 s"):
        read(server, read_s=5.0, total_s=0.3)
    assert time.monotonic() - begin < 3


def test_nobody_listening_is_told():
    with (
        Client("http://127.0.0.1:1", Manners(retry=ONCE)) as asking,
        pytest.raises(Unavailable, match="refused"),
    ):
        asking.read(Request("/f"))


def test_a_connection_is_kept_over_files_errors_and_304s(server):
    with client(server) as asking:
        for fault in ["ok", "404", "503", "ok", "chunked", "shorter"]:
            server.faults[PATH] = [fault]
            try:
                asking.read(Request(PATH))
            except (NotYet, Busy):
                continue
        asking.read(Request(PATH, known=Version(etag=tag(DATA))))
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_costs_no_file(server):
    with client(server, QUICK) as asking:
        for fault in ["unannounced", "ok", "cut", "ok"]:
            server.faults[PATH] = [fault]
            assert asking.read(Request(PATH, size=len(DATA))).data == DATA


def test_one_client_serves_many_threads_within_its_bound_of_connections():
    files = {f"/{number}": random.Random(number).randbytes(20_000) for number in range(120)}
    with serving(FaultyHttp(files, get_s=0.005)) as server, client(server, connections=4) as asking:
        with ThreadPoolExecutor(16) as pool:
            bodies = list(pool.map(lambda path: asking.read(Request(path)), files))
        assert [body.data for body in bodies] == list(files.values())
        assert server.most_at_once <= 4
        assert server.connections <= 4


def test_the_rate_is_held_over_all_threads(server):
    with client(server, requests_per_s=40.0, burst=5) as asking, ThreadPoolExecutor(8) as pool:
        begin = time.monotonic()
        list(pool.map(lambda _: asking.read(Request(PATH)), range(25)))
        assert time.monotonic() - begin >= (25 - 5) / 40


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.mark.parametrize(
    ("asked", "told_s", "waited_s"),
    [
        ("503+7", 7.0, 7.0),
        ("429+7", 7.0, 7.0),
        ("503+86400", 86400.0, 60.0),
        ("503@Wed, 16 Sep 2026 03:00:20 GMT", 20.0, 20.0),
        ("503@Wed, 16 Sep 2026 02:00:00 GMT", 0.0, 0.0),
        ("503+-5", None, 0.0),
        ("503+soon", None, 0.0),
    ],
)
def test_a_server_that_asks_for_patience_gets_it_within_bounds(server, asked, told_s, waited_s):
    assert DATE == "Wed, 16 Sep 2026 03:00:00 GMT"
    server.faults[PATH] = [asked]
    time_ = Time()
    retry = Retry(attempts=2, first_wait_s=0.0, clock=time_.clock, sleep=lambda _: None)
    manners = Manners(retry=retry, requests_per_s=1e6)
    with Client(server.url, manners, clock=time_.clock, sleep=time_.sleep) as asking:
        assert asking.read(Request(PATH)).data == DATA
    assert time_.now - 1000.0 == pytest.approx(waited_s, abs=0.001)
    server.faults[PATH] = [asked]
    with pytest.raises(Busy) as caught:
        read(server)
    assert caught.value.retry_after_s == told_s


def test_patience_is_had_by_all_requests_of_the_client(server):
    server.faults[PATH] = ["503+30"]
    server.files["/other"] = b"other"
    time_ = Time()
    manners = Manners(retry=ONCE, requests_per_s=1e6)
    with Client(server.url, manners, clock=time_.clock, sleep=time_.sleep) as asking:
        with pytest.raises(Busy):
            asking.read(Request(PATH))
        asking.read(Request("/other"))
    assert sum(time_.slept) == pytest.approx(30.0, abs=0.001)


def test_patience_is_had_by_those_who_wait_for_a_connection(server):
    server.get_s = 0.3
    server.faults[PATH] = ["503+30"]
    time_ = Time()
    manners = Manners(retry=ONCE, requests_per_s=1e6, connections=1)
    with (
        Client(server.url, manners, clock=time_.clock, sleep=time_.sleep) as asking,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(asking.read, Request(PATH))
        while not server.asked:
            time.sleep(0.001)
        assert asking.read(Request(PATH)).data == DATA
        assert isinstance(first.exception(), Busy)
    assert sum(time_.slept) == pytest.approx(30.0, abs=0.001)


def test_the_waits_between_attempts_grow_with_full_jitter_and_stay_bounded():
    time_ = Time()
    drawn: list[tuple[float, float]] = []

    def draw(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    def fail() -> None:
        raise Unavailable("x")

    retry = Retry(6, 1.0, 5.0, 1000.0, time_.clock, time_.sleep, draw)
    with pytest.raises(Unavailable):
        retry.run(fail, TRANSIENT)
    assert drawn[:5] == [(0.0, 1.0), (0.0, 2.0), (0.0, 4.0), (0.0, 5.0), (0.0, 5.0)]
    assert time_.slept == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_no_attempt_begins_after_the_time_allowed():
    time_ = Time()
    begun: list[float] = []

    def fail() -> None:
        begun.append(time_.now)
        time_.now += 40.0
        raise Unavailable("x")

    retry = Retry(100, 0.0, 0.0, 100.0, time_.clock, time_.sleep)
    with pytest.raises(Unavailable):
        retry.run(fail, TRANSIENT)
    assert begun == [1000.0, 1040.0, 1080.0]


def test_a_pacer_lets_a_burst_pass_and_then_keeps_the_rate():
    time_ = Time()
    pacer = Pacer(10.0, 3, time_.clock, time_.sleep)
    passed = []
    for _ in range(6):
        pacer.wait()
        passed.append(time_.now - 1000.0)
    assert passed == pytest.approx([0, 0, 0, 0.1, 0.2, 0.3])
    time_.now += 100.0  # rest saves up one burst, not more
    before = time_.now
    passed = []
    for _ in range(5):
        pacer.wait()
        passed.append(time_.now - before)
    assert passed == pytest.approx([0, 0, 0, 0.1, 0.2])


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_pacer_that_would_never_let_anything_pass_is_refused(rate, burst):
    with pytest.raises(ValueError, match="must be positive"):
        Pacer(rate, burst)


def test_a_file_is_saved_whole_under_a_temporary_name(server, tmp_path: Path):
    with client(server) as asking:
        saved = asking.save(Request(PATH, size=len(DATA)), tmp_path)
    assert list(tmp_path.iterdir()) == [saved.file]
    assert saved.file.name.startswith(".unfinished-")
    assert saved.file.read_bytes() == DATA
    assert saved.received.sha256 == hashlib.sha256(DATA).hexdigest()


def test_an_attempt_that_failed_leaves_no_bytes_in_the_next(server, tmp_path: Path):
    server.faults[PATH] = ["cut", "snapped"]
    with client(server, QUICK) as asking:
        saved = asking.save(Request(PATH), tmp_path)
    assert saved.file.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [saved.file]


@pytest.mark.parametrize("fault", ["cut", "404", "shorter", "reset", "packed", "drip"])
def test_nothing_is_left_in_the_folder_of_a_file_that_did_not_come(server, tmp_path: Path, fault: str):
    server.faults[PATH] = [fault]
    with client(server, total_s=0.2) as asking, pytest.raises(OpendataError):
        asking.save(Request(PATH, size=len(DATA)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_known_version_leaves_nothing_in_the_folder(server, tmp_path: Path):
    with client(server) as asking:
        assert asking.save(Request(PATH, known=Version(tag(DATA))), tmp_path) == NotModified(PATH)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing_is_the_callers_fault(server, tmp_path: Path):
    with client(server, QUICK) as asking, pytest.raises(OSError, match="No such file"):
        asking.save(Request(PATH), tmp_path / "absent")


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificate = new_certificate(tmp_path)
    with serving(FaultyHttp({PATH: DATA}), server_context(certificate)) as server:
        with pytest.raises(Untrusted, match="certificate"):
            read(server, retry=QUICK)
        assert server.connections <= 1
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert isinstance(read(server), Body)
