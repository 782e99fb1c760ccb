"""Files that the kernel sends: the same bytes as from memory, whatever a client takes at once and whatever happens."""

import asyncio
import gc
import os
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api import disk_files
from api.app import create_app
from api.disk_files import LEAST_BYTES, Content, DiskFile, DiskFiles
from api.joined import JoiningTransport
from api.sendfile import SendFile
from store.posix import PosixStore
from tests.api.conftest import eventually, served, settings
from tests.api.raw_http import read
from tests.api.world import NOON, Clock, Publisher, made
from tests.loops import run as run_loop

KEY = "a/image.png"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n"
BIG = os.urandom(300_000)


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch):
    """Whatever the tests' folder is on counts as a disk."""
    monkeypatch.setattr(disk_files, "_is_on_disk", lambda _: True)


@pytest.fixture
def store(tmp_path) -> PosixStore:
    store = PosixStore(tmp_path / "store")
    store.put(KEY, BIG)
    return store


def file_of(store: PosixStore, key: str = KEY) -> DiskFile:
    file = DiskFiles().read(store, key).file
    assert file is not None
    return file


class Plain:
    """A transport as far as `SendFile` asks for one."""

    def __init__(self, wire: socket.socket, **extra) -> None:
        self._extra = {"socket": wire, **extra}

    def get_extra_info(self, name: str):
        return self._extra.get(name)


def pair(buffer: int | None = None) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    if buffer is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    return ours, theirs


# What is read, and what of it is held


def test_what_is_read_is_what_is_held(store):
    content = DiskFiles().read(store, KEY)
    assert content.data == BIG
    assert os.pread(content.file.descriptor, len(BIG) + 1, 0) == BIG


def test_small_files_and_other_stores_are_bytes_alone(store, s3_store):
    store.put("small", BIG[: LEAST_BYTES - 1])
    assert DiskFiles().read(store, "small") == Content(BIG[: LEAST_BYTES - 1])
    s3_store.put(KEY, BIG)
    assert DiskFiles().read(s3_store, KEY) == Content(BIG)


def mounted(device: int, kind: str) -> str:
    """A line as the kernel has it, with optional fields in the middle (proc(5))."""
    return f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 master:2 - {kind} /dev/x rw\n"


@pytest.mark.parametrize(
    ("kind", "is_held"),
    [("ext4", True), ("xfs", True), ("tmpfs", False), ("nfs4", False), ("fuse.s3fs", False)],
)
def test_only_files_on_a_disk_are_held(monkeypatch, tmp_path, store, kind, is_held):
    monkeypatch.undo()
    device = (tmp_path / "store" / KEY).stat().st_dev
    mounts = tmp_path / "mounts"
    mounts.write_text(mounted(device + 1, "ext4") + mounted(device, kind))
    monkeypatch.setattr(disk_files, "_MOUNTS", mounts)
    disk_files._is_on_disk.cache_clear()
    try:
        content = DiskFiles().read(store, KEY)
    finally:
        disk_files._is_on_disk.cache_clear()
    assert (content.data, content.file is not None) == (BIG, is_held)


def test_where_the_kernel_tells_nothing_no_file_is_held(monkeypatch, tmp_path, store):
    monkeypatch.undo()
    monkeypatch.setattr(disk_files, "_MOUNTS", tmp_path / "nothing")
    disk_files._is_on_disk.cache_clear()
    try:
        assert DiskFiles().read(store, KEY) == Content(BIG)
    finally:
        disk_files._is_on_disk.cache_clear()


def test_of_more_files_than_may_be_open_the_last_are(monkeypatch, store):
    monkeypatch.setattr(disk_files, "MOST_FILES", 3)
    files, before = DiskFiles(), open_files(store)
    for number in range(10):
        store.put(f"many/{number}", BIG)
        files.keep(number, files.read(store, f"many/{number}").file)
    assert open_files(store) - before == 3
    assert [number for number in range(10) if files.get(number)] == [7, 8, 9]
    del files
    gc.collect()
    assert open_files(store) == before


def open_files(store: PosixStore) -> int:
    return descriptors(str(store.root))


def descriptors(beginning: str) -> int:
    """How many open descriptors of this process are of what begins so."""
    return sum(target(link).startswith(beginning) for link in Path("/proc/self/fd").iterdir())


def target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def test_who_is_about_to_send_a_file_has_it_though_it_is_held_no_more(monkeypatch, store):
    monkeypatch.setattr(disk_files, "MOST_FILES", 1)
    files = DiskFiles()
    files.keep("first", files.read(store, KEY).file)
    first = files.get("first")
    store.put("other", BIG[::-1])
    files.keep("other", files.read(store, "other").file)
    assert files.get("first") is None
    assert os.pread(first.descriptor, 10, 0) == BIG[:10]


# What a client gets


@given(
    buffer=st.sampled_from([1, 5_000, 100_000, 1_000_000]),
    head=st.integers(1, 5_000),
    size=st.integers(1, 300_000),
)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(buffer=1, head=5_000, size=300_000)
@example(buffer=1_000_000, head=5_000, size=300_000)
def test_a_client_gets_head_and_file_as_far_as_the_network_takes_them(tmp_path, buffer, head, size):
    (tmp_path / "file").write_bytes(BIG[:size])
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    file = DiskFile(descriptor, os.fstat(descriptor))
    ours, theirs = pair(buffer)
    sending = SendFile(Plain(ours))
    whole = BIG[:head] + BIG[:size]
    taken = sending.send(BIG[:head], file)
    sending.close()
    ours.close()
    with theirs:
        assert theirs.makefile("rb").read() == whole[:taken]
    assert 0 < taken <= len(whole)


async def answered(contents: list[Content], slow_s: float) -> bytes:
    """What a client of a real transport gets that begins to read late."""
    loop = asyncio.get_running_loop()
    ours, theirs = pair(20_000)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    joining = JoiningTransport(transport, loop)
    got: list[bytes] = []

    def take() -> None:
        time.sleep(slow_s)
        with theirs:
            got.append(theirs.makefile("rb").read())

    taking = threading.Thread(target=take)
    taking.start()
    for content in contents:
        while not joining.is_quiet():
            await asyncio.sleep(0.001)
        joining.answer(HEAD, content)
    joining.close()
    joining.lost()
    await loop.run_in_executor(None, taking.join)
    return got[0]


@pytest.mark.parametrize("slow_s", [0.0, 0.1])
def test_what_the_network_does_not_take_at_once_comes_from_memory(store, slow_s):
    file = file_of(store)
    contents = [Content(BIG, file), Content(b"short"), Content(BIG, file), Content(BIG), Content(BIG, file)]
    got = run_loop(answered(contents, slow_s))
    assert got == b"".join(HEAD + content.data for content in contents)


def test_a_file_that_somebody_wrote_into_is_not_sent(store):
    file = file_of(store)
    path = store.root / KEY
    with path.open("r+b") as written:
        written.write(b"other")
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_a_file_that_is_cut_short_while_it_is_sent_comes_from_memory(store, monkeypatch):
    file = file_of(store)
    monkeypatch.setattr(DiskFile, "is_untouched", lambda _: True)
    os.truncate(store.root / KEY, 1000)
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_a_disk_that_fails_is_no_fault_of_the_answer(store, monkeypatch):
    def fails(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("api.sendfile.os.sendfile", fails)
    assert run_loop(answered([Content(BIG, file_of(store))], 0)) == HEAD + BIG


def test_without_descriptors_to_spare_it_comes_from_memory(store, monkeypatch):
    file = file_of(store)

    def fails(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("api.sendfile.os.dup", fails)
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_a_client_that_has_gone_is_the_transports_to_find_out(store):
    ours, theirs = pair()
    theirs.close()
    with ours:
        sending = SendFile(Plain(ours))
        assert sending.send(HEAD, file_of(store)) == 0
        sending.close()


@pytest.mark.parametrize("extra", [{"sslcontext": object()}, {"socket": None}])
def test_what_is_no_plain_socket_is_left_alone(store, extra):
    ours, theirs = pair()
    with ours, theirs:
        sending = SendFile(Plain(ours, **extra) if "socket" not in extra else Plain(None))
        assert sending.send(HEAD, file_of(store)) == 0
        sending.close()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


# The API


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="UVLOOP ABSENT: the server runs in asyncio's loop alone")
    return request.param


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """How many bytes each `sendfile` sent."""
    sent: list[int] = []
    sendfile = os.sendfile

    def counted(*arguments):
        taken = sendfile(*arguments)
        sent.append(taken)
        return taken

    monkeypatch.setattr("api.sendfile.os.sendfile", counted)
    return sent


def test_images_are_sent_by_the_kernel_and_are_what_was_published(monkeypatch, store, loop, sent):
    monkeypatch.setattr(disk_files, "LEAST_BYTES", 1)
    scan = made("KPDT", NOON)
    Publisher(store).publish(scan)
    clock = Clock(NOON + timedelta(minutes=10))
    paths = [f"/data/2/{scan.scan.key}_reflectivity_idx{index}/png".encode() for index in range(3)]
    before = open_sockets()
    with served(create_app(settings(), store, clock), loop=loop) as port:
        for turn in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
                for path, image in zip(paths, scan.objects.values(), strict=True):
                    wire.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")
                    answer = read(wire, b"GET", time.monotonic())
                    assert (answer.status, answer.body) == (200, image)
            expected = [len(image) for image in scan.objects.values()] * turn
            eventually(lambda expected=expected: sent == expected)
    eventually(lambda: open_sockets() <= before)


def open_sockets() -> int:
    gc.collect()
    return descriptors("socket:")


def test_an_image_that_was_deleted_is_sent_until_it_is_known_and_not_after(monkeypatch, store, loop, sent):
    monkeypatch.setattr(disk_files, "LEAST_BYTES", 1)
    publisher, scan = Publisher(store), made("KPDT", NOON)
    publisher.publish(scan, made("KPDT", NOON + timedelta(minutes=5)))
    clock = Clock(NOON + timedelta(minutes=10))
    path = f"/data/2/{scan.scan.key}_reflectivity_idx0/png".encode()

    def status() -> int:
        wire.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = read(wire, b"GET", time.monotonic())
        assert answer.status == 404 or answer.body == next(iter(scan.objects.values()))
        return answer.status

    with (
        served(create_app(settings(), store, clock), loop=loop) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as wire,
    ):
        assert [status() for _ in range(2)] == [200, 200]
        publisher.remove(scan.scan.key)
        eventually(lambda: status() == 404)
    assert sent
