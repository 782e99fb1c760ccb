"""Long files of the archive: sent in pieces, always of one content, and no further than the client stays."""

import base64
import hashlib
import os
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import lz4.frame
import msgspec
import psutil
import pytest

from api.v1.dwd import contents
from dwd_assets.archive.storing import Content
from dwd_assets.formats.paths import PoiForecastKey, archive_path
from store.posix import PosixStore
from tests.api.conftest import eventually
from tests.api.test_process import ROOT, free_port
from tests.api.v1.dwd.dwd_world import NOON, RUN, World, icon
from tests.api.world import Switched

FILES = "/v1/dwd/files/"
PATH = archive_path(icon())
MEGABYTE = 1_000_000
LONG = 200 * MEGABYTE
ALLOWED_GROWTH = 32 * MEGABYTE
"""Of a server's memory while a file of `LONG` bytes is sent: a few pieces, and what the allocator keeps."""


def noise(size, seed=0):
    """Bytes that no packing makes shorter."""
    return random.Random(seed).randbytes(size)


def keep(world, plain):
    """Keep this as a field's content, in place of what was there."""
    known = world.ledger("icon-d2", "2025040909").kept.get(PATH)
    content = Content.packed(plain)
    world.tell("icon-d2", "2025040909", {PATH: world.archive.keep(PATH, content, None, known, NOON)})
    return content


def digest_told(answer):
    """The digest in `Repr-Digest`, hexadecimal."""
    told = re.fullmatch(r"sha-256=:(.*):", answer.headers["repr-digest"])[1]
    return base64.b64decode(told).hex()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def world(store):
    return World(Switched(store))


@pytest.fixture
def client(serve, world):
    return serve(world.store)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(contents, "PIECE_BYTES", 10_000)


@pytest.mark.usefixtures("small_pieces")
def test_every_part_of_every_form_is_cut_out_of_the_whole(client, world):
    content = keep(world, plain := noise(64_000) + bytes(300_000) + noise(6_400, 1))
    for unpacked, whole in (("false", content.stored), ("true", plain)):
        size, asked = len(whole), {"unpacked": unpacked}
        answer = client.get(FILES + PATH, params=asked)
        assert (answer.status_code, answer.content, digest_told(answer)) == (200, whole, sha256(whole))
        assert answer.headers["content-length"] == str(size)
        tag = answer.headers["etag"]
        for start, stop in [
            (0, 1),
            (9_999, 10_001),
            (10_000, 30_000),
            (size - 5, size),
            (1, size),
            (0, size),
        ]:
            headers = {"range": f"bytes={start}-{stop - 1}", "if-range": tag}
            part = client.get(FILES + PATH, params=asked, headers=headers)
            assert (part.status_code, part.content) == (206, whole[start:stop])
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
            assert (part.headers["etag"], part.headers["content-length"]) == (tag, str(stop - start))
        last = client.get(FILES + PATH, params=asked, headers={"range": "bytes=-7"})
        assert (last.status_code, last.content) == (206, whole[-7:])
        head = client.head(FILES + PATH, params=asked, headers={"range": "bytes=0-1"})
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
        assert client.get(FILES + PATH, params=asked, headers={"if-none-match": tag}).status_code == 304
        past = client.get(FILES + PATH, params=asked, headers={"range": f"bytes={size}-"})
        assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")


def test_an_empty_file_is_sent_as_such(client, world):
    path = archive_path(PoiForecastKey(RUN, "10315"))
    world.store.put(path, b"")
    answer = client.get(FILES + path)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert client.get(FILES + path, headers={"range": "bytes=0-"}).status_code == 416


@contextmanager
def begun(client, **headers):
    """An answer of which some bytes were read, and no more are until someone reads on."""
    with client.stream("GET", FILES + PATH, headers=headers) as answer:
        pieces = answer.iter_raw(50_000)
        first = next(pieces)
        yield answer, first, pieces


LONGER_THAN_ANY_BUFFER = 24 * MEGABYTE


@pytest.fixture(scope="module")
def contents_of_a_long_file():
    return noise(LONGER_THAN_ANY_BUFFER), noise(LONGER_THAN_ANY_BUFFER, 1)


def test_a_file_that_is_replaced_while_it_is_sent_is_never_mixed(client, world, contents_of_a_long_file):
    old, new = contents_of_a_long_file
    before = keep(world, old)
    with begun(client) as (answer, first, pieces):
        after = keep(world, new)
        got, whole = first, True
        try:
            got += b"".join(pieces)
        except httpx.RemoteProtocolError:
            whole = False
        assert int(answer.headers["content-length"]) == len(before.stored)
        assert digest_told(answer) == sha256(before.stored)
        tag = answer.headers["etag"]
    # A folder still has what was opened; a bucket has not, and there the answer is cut, of the old bytes alone.
    assert whole == isinstance(world.store._store, PosixStore)
    assert got == before.stored[: len(got)]
    assert len(got) == len(before.stored) if whole else len(first) <= len(got) < len(before.stored)
    eventually(lambda: client.head(FILES + PATH).headers["etag"] != tag)
    resumed = client.get(FILES + PATH, headers={"range": f"bytes={len(got) - 1}-", "if-range": tag})
    assert (resumed.status_code, sha256(resumed.content)) == (200, sha256(after.stored))
    assert digest_told(resumed) == sha256(after.stored)


class Reading:
    """A store on a folder that counts what is read of open objects, and those that are open."""

    def __init__(self, root):
        self._store = PosixStore(root)
        self.bytes_read = 0
        self.still_open = 0

    def open(self, key):
        self.still_open += 1
        return ReadingObject(self, self._store.open(key))

    def __getattr__(self, name):
        return getattr(self._store, name)


class ReadingObject:
    def __init__(self, store, opened):
        self.store, self.opened, self.info = store, opened, opened.info

    def read(self, start, length):
        self.store.bytes_read += length
        return self.opened.read(start, length)

    def close(self):
        self.store.still_open -= 1
        self.opened.close()


def test_of_a_client_that_leaves_nothing_is_left_and_nothing_more_is_read(serve, tmp_path):
    store = Reading(tmp_path / "counted")
    world = World(store)
    content = keep(world, noise(LONGER_THAN_ANY_BUFFER))
    client = serve(store)
    client.head(FILES + PATH)
    eventually(lambda: store.still_open == 0)
    store.bytes_read = 0
    for _ in range(5):
        with begun(client):
            pass
    eventually(lambda: store.still_open == 0)
    read = store.bytes_read
    assert read < 5 * len(content.stored) / 2
    time.sleep(0.2)
    assert store.bytes_read == read


def test_a_client_that_takes_nothing_is_not_read_ahead_of(serve, tmp_path):
    store = Reading(tmp_path / "counted")
    keep(World(store), noise(LONGER_THAN_ANY_BUFFER))
    client = serve(store)
    client.head(FILES + PATH)
    eventually(lambda: store.still_open == 0)
    store.bytes_read = 0
    with _taking_nothing(client):
        eventually(lambda: store.bytes_read > 0)
        time.sleep(0.5)
        read = store.bytes_read
        time.sleep(0.3)
        assert store.bytes_read == read < LONGER_THAN_ANY_BUFFER / 2
        assert store.still_open == 1
    eventually(lambda: store.still_open == 0)


@contextmanager
def _taking_nothing(client):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect((client.base_url.host, client.base_url.port))
        connection.sendall(f"GET {FILES}{PATH} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        yield


def test_what_no_answer_sends_is_closed_as_well(serve, tmp_path):
    store = Reading(tmp_path / "counted")
    keep(World(store), noise(64_000))
    client = serve(store)
    tag = client.get(FILES + PATH).headers["etag"]
    for headers in ({"if-none-match": tag}, {"if-match": '"x"'}, {"range": "bytes=999999-"}):
        assert client.get(FILES + PATH, headers=headers).status_code in {304, 412, 416}
    eventually(lambda: store.still_open == 0)


def test_bytes_that_were_damaged_in_place_are_not_sent_as_the_whole(serve, posix, tmp_path):
    content = keep(World(posix), noise(3 * MEGABYTE))
    client = serve()
    assert client.get(FILES + PATH).content == content.stored
    file = tmp_path / "store" / PATH
    status = file.stat()
    with file.open("r+b") as opened:
        opened.seek(-1000, os.SEEK_END)
        opened.write(b"\0" * 10)
    os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))
    for unpacked in ("false", "true"):
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(FILES + PATH, params={"unpacked": unpacked})


def test_many_who_ask_at_once_wait_for_one_verification(serve, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    store = Reading(tmp_path / "counted")
    content = keep(World(store), noise(3 * MEGABYTE))
    client = serve(store)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.get(FILES + PATH), range(6)))
    assert {sha256(answer.content) for answer in answers} == {sha256(content.stored)}
    assert store.bytes_read <= 8 * len(content.stored)
    eventually(lambda: store.still_open == 0)


# A process by itself, whose memory is its own.


@contextmanager
def process(location, folder, **environment):
    """A server of a store; gives its process and a client."""
    port = free_port()
    ours = ("API_", "NEXRAD_", "DWD_", "STORE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    server = subprocess.Popen(
        [sys.executable, "-m", "api"],
        env={**kept, **environment, "STORE": location, "API_PORT": str(port), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            eventually(lambda: _lives(client), 60)
            yield psutil.Process(server.pid), client
    finally:
        server.terminate()
        server.wait(30)


def _lives(client):
    with suppress(httpx.TransportError):
        return client.get("/livez").status_code == 200


def peak(server):
    """The most memory that a process had in use at once."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def streamed(client, path, **asked):
    """Status, length and digest of an answer that is not kept either."""
    digest, length = hashlib.sha256(), 0
    with client.stream("GET", FILES + path, **asked) as answer:
        for piece in answer.iter_raw():
            digest.update(piece)
            length += len(piece)
    return answer, length, digest.hexdigest()


def write_long_field(path, size):
    """Write a packed field of `size` bytes that no packing makes shorter; gives the digest of what is in it."""
    block = noise(MEGABYTE)
    plain = hashlib.sha256()
    packer = lz4.frame.LZ4FrameCompressor(
        block_size=lz4.frame.BLOCKSIZE_MAX64KB, block_linked=False, content_checksum=True
    )
    with path.open("wb") as file:
        file.write(packer.begin(size))
        for _ in range(size // len(block)):
            plain.update(block)
            file.write(packer.compress(block))
        file.write(packer.flush())
    return plain.hexdigest()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_file_of_two_hundred_megabytes_takes_no_more_memory_than_a_few_pieces(tmp_path):
    world = World(PosixStore(tmp_path / "store"))
    digest = write_long_field(tmp_path / "field", LONG)
    stored_bytes = (tmp_path / "field").stat().st_size
    assert stored_bytes > LONG
    world.keep_fields(icon())
    kept = world.ledger("icon-d2", "2025040909").kept[PATH]
    long = msgspec.structs.replace(kept, sha256=digest, size=LONG, stored_bytes=stored_bytes)
    world.tell("icon-d2", "2025040909", {PATH: long})
    (tmp_path / "field").rename(tmp_path / "store" / PATH)
    csv = archive_path(PoiForecastKey(RUN, "10315"))
    world.store.put(csv, b"")
    os.truncate(tmp_path / "store" / csv, LONG)
    small, _ = world.keep_reports(RUN.date(), "10315")
    with process(str(tmp_path / "store"), tmp_path) as (server, client):
        assert client.get(FILES + small).status_code == 200
        before = peak(server)
        answer, length, sent = streamed(client, PATH)
        assert (answer.status_code, length, sent) == (200, stored_bytes, digest_told(answer))
        _, length, sent = streamed(client, PATH, params={"unpacked": "true"})
        assert (length, sent) == (LONG, digest)
        asked = {"range": f"bytes={LONG // 2}-"}
        answer, length, _ = streamed(client, csv, headers=asked)
        assert (answer.status_code, length) == (206, LONG - LONG // 2)
        with begun(client):
            eventually(lambda: _open(server, PATH))
        eventually(lambda: not _open(server, PATH))
        assert peak(server) - before < ALLOWED_GROWTH


def _open(server, path):
    return any(file.path.endswith(path) for file in server.open_files())


@pytest.mark.s3
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_a_long_file_in_a_bucket_takes_no_more_memory_than_a_few_pieces(s3_server, tmp_path):
    bucket = s3_server.new_bucket()
    world = World(s3_server.store(bucket))
    csv = archive_path(PoiForecastKey(RUN, "10315"))
    world.store.put(csv, bytes(LONG // 4))
    small, _ = world.keep_reports(RUN.date(), "10315")
    with process(f"s3://{bucket}", tmp_path, **s3_server.environment) as (server, client):
        assert client.get(FILES + small).status_code == 200
        before = peak(server)
        answer, length, sent = streamed(client, csv)
        assert (answer.status_code, length, sent) == (200, LONG // 4, digest_told(answer))
        assert peak(server) - before < ALLOWED_GROWTH
