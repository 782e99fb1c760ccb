"""The API as a process of its own, against requests that no decent client sends: bytes over raw sockets.

Whatever comes, the answer is none of 5xx, takes less than a second, and has no byte from outside of the store.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.responses import PlainTextResponse

from api.server import Bounded
from dwd_assets.formats.paths import PoiForecastKey, archive_path
from store import keys
from store.posix import PosixStore
from tests.api import abundance
from tests.api.abundance import IMAGE, KEY, STATION
from tests.api.conftest import eventually, served
from tests.api.raw_http import Answer, Wire, connect, read
from tests.api.test_process import ROOT, answers, free_port
from tests.api.v1.dwd.dwd_world import RUN, World

SECRET = b"5ecre7-of-another-folder"
TOKEN = b"authorization: Bearer a-write-token"
SOON_S = 1.0
GIGABYTE = 1_000_000_000
STEEP_BYTES = 32_000_000
"""By how much a process may grow while it is sent a gigabyte."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a store, a secret beside it, and links to the secret in the store."""
    place = tmp_path_factory.mktemp("place")
    (place / "secret").write_bytes(SECRET)
    (place / "secret.json").write_bytes(b'{"updates": {"%s": 1}}' % SECRET)
    store = PosixStore(place / "store")
    world = abundance.fill(store, abundance.bare_scans())
    for key, target in linked(world).items():
        link = store.root / key
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (store.root / "link").symlink_to(place)
    return place


def linked(world: World) -> dict[str, str]:
    """Keys that the API reads, and where in their stead a link leads."""
    secret = str(Path(world.store.root).parent / "secret")
    image, *_ = (name for name in abundance.addresses(world.store, 2) if name.startswith(f"{KEY}_"))
    return {
        keys.image(2, KEY, image): secret,
        archive_path(PoiForecastKey(RUN, STATION)): secret,
        next(path for path in abundance.paths(world) if "BEOB" in path): secret,
        keys.flags("KPDT"): f"{secret}.json",
    }


@pytest.fixture(scope="module")
def process(place):
    port = free_port()
    ours = ("API_", "NEXRAD_", "AWS_", "STORE", "DWD_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "STORE": str(place / "store"),
        "API_PORT": str(port),
        "API_WRITE_TOKEN": "a-write-token",
        "API_RATE_PER_MINUTE": "0",
        "NEXRAD_PRIMARY_SITE": "KPDT",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    log = place / "log"
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "api"], env=environment, cwd=place, stdout=told, stderr=told
        )
    try:
        eventually(lambda: process.poll() is not None or answers(port), 30)
        process.port = port
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def port(process) -> int:
    return process.port


@pytest.fixture(scope="module")
def wire(port):
    with Wire(port) as wire:
        yield wire


def asked_twice(ask) -> Answer:
    """The answer; the better of two where the first was late, since others may have had the processor."""
    answer = ask()
    return answer if answer.seconds < SOON_S else min(answer, ask(), key=lambda each: each.seconds)


def fault(answer: Answer) -> str | None:
    """What is wrong with an answer."""
    if not 200 <= answer.status < 500:
        return f"status {answer.status}"
    if answer.seconds >= SOON_S:
        return f"after {answer.seconds:.1f} s"
    if SECRET in answer.body or b"root:x:" in answer.body:
        return "the secret"
    return None


PIECES = [
    b"..",
    b"../../secret",
    b"%2e%2e",
    b"%2e%2e/%2e%2e/secret",
    b"..%2f..%2fsecret",
    b"%2e%2e%2f%2e%2e%2fsecret",
    b"..%252f..%252fsecret",
    b"%252e%252e%252fsecret",
    b"..\\..\\secret",
    b"..%5c..%5csecret",
    b"/etc/passwd",
    b"//etc/passwd",
    b"%2fetc%2fpasswd",
    b"%2f%2fetc%2fpasswd",
    b"file:///etc/passwd",
    b"link/secret",
    b"link%2fsecret",
    b"./link/../../secret",
    b"%00",
    b"..%2fsecret%00.png",
    b"secret%0d%0aset-cookie:%20a=b",
    b"%c0%ae%c0%ae%c0%af%c0%ae%c0%ae%c0%afsecret",
    b"%e0%80%ae%e0%80%ae%e0%80%afsecret",
    b"%ff%fe",
    b"%ed%a0%80",
    b"%f0%9f%8c%a9",
    b"%e2%80%ae%ef%bc%8f",
    b"%",
    b"%zz%u002e",
    b"~root/.ssh/id_rsa",
    b"%d9%a1%d9%a0%d9%a3%d9%a1%d9%a5",
    b"202504%d9%a0%d9%a909",
    b"2025-%d9%a0%d9%a4-09",
    b"%ef%bc%92025040909",
    b"-1",
    b"1e999",
    b"nan",
    b"9" * 5000,
    b"a" * 8000,
    b"",
]
"""Ways out of a folder, characters that are none, and numbers that are none, as a part of an address."""

_PATHS = [
    "/{}",
    "/list-all/{}",
    "/list/{}/reflectivity/",
    "/list/2/{}/",
    "/list/2/{}",
    "/code/{}",
    "/flag/{}",
    f"/data/{{}}/{IMAGE}/png",
    "/data/2/{}/png",
    "/data/2/{}/json",
    f"/data/2/{KEY}{{}}_reflectivity_idx0/png",
    f"/data/2/{IMAGE}/{{}}",
    "/v1/{}",
    "/v1/images/{}",
    f"/v1/images/{IMAGE}.{{}}.png",
    "/v1/documents/{}",
    "/v1/scans/{}",
    "/v1/dwd/files/{}",
    "/v1/dwd/files/weather/weather_reports/poi/20250409/{}",
    "/v1/dwd/files/weather/weather_reports/poi/{}/10315-BEOB.csv",
    "/v1/dwd/runs/{}/2025040909",
    "/v1/dwd/runs/icon-d2/{}",
    "/v1/dwd/runs/icon-d2/{}/files",
    "/v1/dwd/stations/{}/reports",
    "/v1/dwd/stations/{}/forecast",
    "/assets/{}",
    "/static-offline-docs/{}",
    "/docs/{}",
]
_QUERIES = [
    "/list-all/?site={}",
    "/list-all/?day={}",
    "/flag/?site={}",
    "/v1/products?site=KPDT&day={}",
    "/v1/scans?product={}",
    "/v1/scans?product=reflectivity&site={}",
    "/v1/scans?product=reflectivity&code={}",
    "/v1/scans?product=reflectivity&tilt={}",
    "/v1/scans?product=reflectivity&at={}",
    "/v1/scans?product=reflectivity&limit={}",
    "/v1/scans?product=reflectivity&cursor={}",
    "/v1/scans?product=reflectivity&{}=1",
    "/v1/latest?product=reflectivity&tilt={}",
    "/v1/vectors?at={}",
    "/v1/value?product=reflectivity&lat=45.7&lon={}",
    "/v1/events?site={}",
    "/v1/dwd/runs?collection={}",
    "/v1/dwd/runs/icon-d2/2025040909/files?parameter={}",
    "/v1/dwd/runs/icon-d2/2025040909/files?cursor={}",
    "/v1/dwd/stations?near={}",
    "/v1/dwd/stations?name={}",
    f"/v1/dwd/stations/{STATION}/reports?start={{}}",
    f"/v1/dwd/stations/{STATION}/reports?cursor={{}}",
    f"/v1/dwd/stations/{STATION}/forecast?issue={{}}",
    f"/v1/dwd/stations/{STATION}/forecast?element={{}}",
    "/v1/dwd/point?lat=51&lon=9&parameter={}",
    "/v1/dwd/point?lat=51&lon=9&parameter=t_2m&model={}",
    "/v1/dwd/point?lat=51&lon=9&parameter=t_2m&run={}",
    "/v1/dwd/point?lat=51&lon=9&parameter=t_2m&level={}",
]
ENDLESS = b"/v1/events"


@pytest.mark.parametrize("family", [*_PATHS, *_QUERIES])
def test_no_address_leads_out_of_the_store_or_to_an_error_of_the_server(wire, family):
    before, _, after = family.encode().partition(b"{}")
    faults = []
    for piece in PIECES:
        target = before + piece + after
        method = b"HEAD" if target.startswith(ENDLESS) else b"GET"
        told = fault(asked_twice(lambda: wire.ask(target, method)))  # noqa: B023 - called at once
        if told is not None:
            faults.append((target[:120], told))
    assert faults == []


def test_a_link_within_the_store_is_followed_by_no_route(wire, place):
    """The links have the very names that the API reads, and whoever followed one would read the secret."""
    world = World(PosixStore(place / "store"))
    links = [path for path in (place / "store").rglob("*") if path.is_symlink()]
    assert [SECRET in link.read_bytes() for link in links if link.is_file()] == [True] * 4
    image = next(name for name in abundance.addresses(world.store, 2) if name.startswith(f"{KEY}_"))
    reports = next(path for path in abundance.paths(world) if "BEOB" in path)
    expected = {
        f"/data/2/{IMAGE}/png": {404},
        f"/v1/images/{image}": {404},
        f"/v1/dwd/files/{archive_path(PoiForecastKey(RUN, STATION))}": {404},
        f"/v1/dwd/files/{reports}": {503},
        "/flag/": {200},
    }
    for target, statuses in expected.items():
        answer = wire.ask(target.encode())
        assert answer.status in statuses, (target, answer)
        assert SECRET not in answer.body
    assert wire.ask(b"/flag/").body == b"{}"


CURSORS = [
    ["reports", "0001-01-01T00:00:00+23:59"],
    ["reports", "9999-12-31T23:59:59-23:59"],
    ["reports", "2025-04-09T12:00:00"],
    ["scans", "0001-01-01T00:00:00+23:59", "KPDT", 0.0],
    ["scans", "2025-04-09T12:00:00Z", "../../secret", 1e300],
    ["scans", "2025-04-09T12:00:00Z", "\0", -1e300],
    ["runs", "../../secret", "..\0"],
    ["runs", "\ud7ff" * 200, "icon-d2"],
    ["files", "../../secret"],
    ["files", "\uffff"],
    ["stations", 1e308, "\0"],
    ["stations", -1.0, "../../secret"],
    [["nested"], {}],
    [],
]
_WITH_CURSOR = [
    "/v1/scans?product=reflectivity&cursor={}",
    "/v1/dwd/runs?cursor={}",
    "/v1/dwd/runs/icon-d2/2025040909/files?cursor={}",
    "/v1/dwd/stations?cursor={}",
    f"/v1/dwd/stations/{STATION}/reports?cursor={{}}",
]


@pytest.mark.parametrize("family", _WITH_CURSOR)
def test_a_cursor_that_nobody_gave_out_is_refused_or_does_no_harm(wire, family):
    for cursor in CURSORS:
        text = base64.urlsafe_b64encode(json.dumps(cursor).encode()).rstrip(b"=").decode()
        answer = asked_twice(lambda: wire.ask(family.format(text).encode()))  # noqa: B023 - called at once
        assert fault(answer) is None, (cursor, answer)


# Heads.

LONG = b"a" * 100_000
HEADS = {
    "one header of 100 KB": [b"x-long: " + LONG],
    "a hundred headers of 1 KB": [b"x-%d: %s" % (number, LONG[:1000]) for number in range(100)],
    "ten thousand headers": [b"x: 1"] * 10_000,
    "a thousand times the same validator": [b'if-none-match: "a"'] * 1000,
    "a long validator": [b"if-none-match: " + b'W/"' * 20_000],
    "a long match": [b"if-match: " + b'"a", ' * 10_000],
    "many codings": [b"accept-encoding: " + b"gzip;q=0.0001, " * 4000],
    "a thousand ranges": [b"range: bytes=" + b",".join(b"%d-%d" % (at, at) for at in range(1000))],
    "overlapping ranges": [b"range: bytes=" + b",".join([b"0-"] * 1000)],
    "a range of huge numbers": [b"range: bytes=" + b"9" * 20_000 + b"-" + b"9" * 20_000],
    "the last huge number of bytes": [b"range: bytes=-" + b"9" * 4000],
    "a range backwards": [b"range: bytes=5-2"],
    "a range of nothing": [b"range: bytes=-0"],
    "a range of letters": [b"range: bytes=a-b"],
    "a range in another unit": [b"range: \xd9\xa1=0-1"],
    "a thousand proxies": [b"x-forwarded-for: " + b"10.0.0.1, " * 1000],
    "a request id that is none": [b"x-request-id: \xff<script>"],
    "an address of another": [b"host: evil.example", b"x-forwarded-host: evil.example"],
    "an upgrade": [b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13"],
    "an upgrade to HTTP/2": [
        b"connection: upgrade, http2-settings",
        b"upgrade: h2c",
        b"http2-settings: AAMAAABk",
    ],
    "an origin that is none": [b"origin: null"],
    "credentials that are none": [b"authorization: Bearer \xff\xfe"],
    "a body with GET": [b"content-length: 3", b"\r\nabc"],
    "two lengths": [b"content-length: 3", b"content-length: 4"],
    "a length and chunks": [b"content-length: 3", b"transfer-encoding: chunked"],
    "a length below nothing": [b"content-length: -1"],
    "a length beyond numbers": [b"content-length: " + b"9" * 100],
    "a coding that is none": [b"transfer-encoding: gzip, x"],
    "NUL": [b"x: a\0b"],
    "a folded header": [b"x: a", b" b"],
    "a header without a name": [b": x"],
    "an expectation": [b"expect: 200-maybe"],
}
TARGETS = [
    b"/list-all/",
    f"/data/2/{KEY.replace('120000', '115000')}_reflectivity_idx0/png".encode(),
    b"/v1/sites",
    b"/v1/scans?product=reflectivity",
    b"/v1/dwd/runs",
    b"/",
]


@pytest.mark.parametrize("head", HEADS)
def test_strange_heads_are_answered_or_refused(wire, head):
    for target in TARGETS:
        answer = asked_twice(lambda: wire.ask(target, b"GET", *HEADS[head]))  # noqa: B023 - called at once
        wire.close()
        assert fault(answer) is None, (target, fault(answer))


def test_many_ranges_are_answered_with_the_whole_and_one_with_its_part(wire):
    target = TARGETS[1]
    whole = wire.ask(target)
    assert (whole.status, whole.body[:4]) == (200, b"\x89PNG")
    many = wire.ask(target, b"GET", *HEADS["a thousand ranges"])
    assert (many.status, many.body) == (200, whole.body)
    part = wire.ask(target, b"GET", b"range: bytes=1-3")
    assert (part.status, part.body) == (206, b"PNG")
    huge = wire.ask(target, b"GET", *HEADS["the last huge number of bytes"])
    assert (huge.status, huge.body) == (206, whole.body)
    beyond = wire.ask(target, b"GET", *HEADS["a range of huge numbers"])
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.body)}")


REQUESTS = {
    "no target": b"GET HTTP/1.1\r\nhost: x\r\n\r\n",
    "HTTP/0.9": b"GET /list-all/\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
    "an absolute target": b"GET http://evil.example/list-all/ HTTP/1.1\r\nhost: x\r\n\r\n",
    "a target of a proxy": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "the server itself": b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "TRACE": b"TRACE /list-all/ HTTP/1.1\r\nhost: x\r\n\r\n",
    "a method of ours": b"BREW /list-all/ HTTP/1.1\r\nhost: x\r\n\r\n",
    "DELETE": b"DELETE /flag/ HTTP/1.1\r\nhost: x\r\n\r\n",
    "a raw NUL": b"GET /list-all/\0 HTTP/1.1\r\nhost: x\r\n\r\n",
    "raw bytes": b"GET /\xff\xfe/\xd9\xa1 HTTP/1.1\r\nhost: x\r\n\r\n",
    "raw bytes in the query": b"GET /v1/dwd/stations?name=M\xfcnster HTTP/1.1\r\nhost: x\r\n\r\n",
    "a fragment": b"GET /list-all/#x HTTP/1.1\r\nhost: x\r\n\r\n",
    "a target of 100 KB": b"GET /" + LONG + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a query of 50 KB": b"GET /v1/sites?%s HTTP/1.1\r\nhost: x\r\n\r\n"
    % b"&".join(b"a%d=" % number for number in range(7000)),
    "a query of 50 KB to an old route": b"GET /list-all/?"
    + b"a=1&" * 12_000
    + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "no host": b"GET /list-all/ HTTP/1.1\r\n\r\n",
    "HTTP/1.0": b"GET /list-all/ HTTP/1.0\r\n\r\n",
    "chunks that are none": b"POST /flag/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "a body in JSON that is deep": b"POST /flag/ HTTP/1.1\r\nhost: x\r\n%s\r\ncontent-length: 50000\r\n\r\n%s"
    % (TOKEN, b"[" * 50_000),
    "a body in JSON with a huge number": b"POST /flag/ HTTP/1.1\r\nhost: x\r\n%s\r\ncontent-length: 50026\r\n\r\n"
    b'{"updates":{"reflectivity":%s}}' % (TOKEN, b"9" * 49_997),
}


@pytest.mark.parametrize("request_name", REQUESTS)
def test_requests_that_are_none_are_refused_or_hung_up(port, request_name):
    def ask() -> Answer:
        with Wire(port) as own:
            return own.send(REQUESTS[request_name])

    answer = asked_twice(ask)
    assert answer.status == 0 or fault(answer) is None, answer
    assert answer.seconds < SOON_S


def test_many_wrong_parameters_are_told_of_in_a_short_answer(wire):
    answer = wire.send(REQUESTS["a query of 50 KB"])
    assert answer.status == 400
    assert len(answer.body) < 10_000


# Bodies.


def poured(port: int, head: bytes, piece: bytes, pieces: int) -> tuple[Answer, int]:
    """Send a head and then pieces until the server hangs up; gives the answer and the bytes that it took."""
    begun, sent = time.monotonic(), 0
    with connect(port) as open_socket:
        with suppress(OSError):
            open_socket.sendall(head)
            for _ in range(pieces):
                open_socket.sendall(piece)
                sent += len(piece)
        return read(open_socket, head.partition(b" ")[0], begun), sent


MEGABYTE = b"x" * 1_000_000
DECLARED = b"content-length: %d" % GIGABYTE
CHUNKED = b"transfer-encoding: chunked"


@pytest.mark.parametrize("length", [DECLARED, CHUNKED])
@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"POST /flag/ HTTP/1.1\r\n" + TOKEN, 413),
        (b"POST /flag/ HTTP/1.1", 401),
        (b"POST /nudge/ HTTP/1.1", 401),
        (b"POST /list-all/ HTTP/1.1", 405),
        (b"PUT /v1/sites HTTP/1.1", 405),
        (b"GET /list-all/ HTTP/1.1", 200),
        (b"GET /v1/sites HTTP/1.1", 200),
        (b"POST /nothing HTTP/1.1", 404),
    ],
)
def test_a_gigabyte_is_refused_early_and_kept_nowhere(process, port, line, status, length):
    piece = MEGABYTE if length == DECLARED else b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE)
    before = psutil.Process(process.pid).memory_info().rss
    head = line + b"\r\nhost: x\r\n" + length + b"\r\n\r\n"
    answer, sent = poured(port, head, piece, GIGABYTE // len(MEGABYTE))
    assert answer.status in (status, 0), "0: the end of the connection may overtake the answer"
    assert sent < 50_000_000, "the server read on"
    assert psutil.Process(process.pid).memory_info().rss - before < STEEP_BYTES


def test_who_waits_to_send_a_gigabyte_is_told_no(port):
    """With `Expect: 100-continue` the answer comes before the body, and nothing is sent."""
    for line, status in ((b"POST /flag/ HTTP/1.1", 401), (b"GET /v1/sites HTTP/1.1", 200)):
        head = line + b"\r\nhost: x\r\nexpect: 100-continue\r\n" + DECLARED + b"\r\n\r\n"
        answer, _ = poured(port, head, b"", 0)
        assert (answer.status, answer.seconds < SOON_S) == (status, True)


def test_a_head_without_end_is_refused_and_kept_nowhere(process, port):
    before = psutil.Process(process.pid).memory_info().rss
    piece = b"x-%d: %s\r\n" % (1, b"y" * 60_000)
    answer, sent = poured(port, b"GET /list-all/ HTTP/1.1\r\n", piece * 10, 2000)
    assert answer.status in (431, 0)
    assert sent < 50_000_000, "the server read on"
    assert psutil.Process(process.pid).memory_info().rss - before < STEEP_BYTES


def test_others_are_answered_while_a_hundred_clients_send_no_end(port):
    held = [connect(port) for _ in range(100)]
    try:
        for open_socket in held:
            open_socket.sendall(b"GET /list-all/ HTTP/1.1\r\nx-slow: ")
        with Wire(port) as own:
            answer = asked_twice(lambda: own.ask(b"/list-all/"))
            assert fault(answer) is None
    finally:
        for open_socket in held:
            open_socket.close()


# Connections, in this process and with little patience.


class Impatient(Bounded):
    head_s = 0.3
    unread_bytes = 4096


@pytest.fixture(scope="module")
def impatient():
    """The port of a server that answers `ok`, slowly to `/slow`."""
    import asyncio

    async def app(scope, receive, send):
        if scope["type"] == "http":
            if scope["path"] == "/slow":
                await asyncio.sleep(3 * Impatient.head_s)
            await PlainTextResponse("ok")(scope, receive, send)

    with served(app, http=Impatient, lifespan="off") as port:
        yield port


def ended_after(open_socket: socket.socket) -> float:
    """Seconds until the server hangs up."""
    begun = time.monotonic()
    with suppress(ConnectionError):
        while open_socket.recv(1000):
            pass
    return time.monotonic() - begun


def test_a_connection_that_says_nothing_or_no_end_is_ended(impatient):
    for begin in (b"", b"G", b"GET / HTTP/1.1\r\nhost: x\r\n"):
        with connect(impatient) as open_socket:
            open_socket.sendall(begin)
            assert 0.2 < ended_after(open_socket) < 5


def test_a_head_that_trickles_is_ended_however_it_trickles(impatient):
    begun = time.monotonic()
    with connect(impatient) as open_socket, suppress(ConnectionError):
        open_socket.sendall(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - begun < 5:
            open_socket.sendall(b"x: y\r\n")
            time.sleep(0.02)
    assert time.monotonic() - begun < 5


def test_a_trickle_behind_an_answer_is_ended_too(impatient):
    with connect(impatient) as open_socket:
        open_socket.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert read(open_socket, b"GET", time.monotonic()).body == b"ok"
        open_socket.sendall(b"GET / HT")
        assert 0.2 < ended_after(open_socket) < 4


def test_an_answer_that_takes_longer_than_a_head_may_is_given(impatient):
    with Wire(impatient) as own:
        assert own.ask(b"/slow").body == b"ok"
        assert own.ask(b"/").body == b"ok"


def test_requests_that_come_together_are_all_answered(impatient):
    request = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
    with connect(impatient) as open_socket:
        open_socket.sendall(request * 2 + b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        told = b""
        while piece := open_socket.recv(1000):
            told += piece
    assert told.count(b"HTTP/1.1 200 OK") == 3


def test_a_head_over_the_bound_is_told_so_and_one_below_is_answered(impatient):
    with Wire(impatient) as own:
        assert own.ask(b"/", b"GET", b"x: " + b"y" * 3000).status == 200
    with connect(impatient) as open_socket:
        open_socket.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 5000)
        assert read(open_socket, b"GET", time.monotonic()).status == 431


def test_decent_clients_notice_nothing_of_the_bounds(port):
    """Keep-alive, HEAD, a write, a stream."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        assert client.head("/v1/sites").status_code == 200
        assert client.post("/nudge/", headers={"authorization": "Bearer a-write-token"}).status_code == 202
        with client.stream("GET", "/v1/events") as stream:
            assert next(stream.iter_lines()).startswith("retry:")
        assert client.get("/list-all/").status_code == 200
