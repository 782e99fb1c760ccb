"""Files that the kernel sends: the same bytes as from memory, whatever a client takes at once and whatever happens."""

import asyncio
import gc
import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.app import create_app
from api.fast.joined import JoiningTransport
from api.fast.sendfile import SendFile
from api.memory import disk_files
from api.memory.disk_files import LEAST_BYTES, Content, DiskFile, DiskFiles
from store.posix import OpenFile, PosixStore
from tests.api.conftest import eventually, served, settings
from tests.api.fast.test_joined import Wire
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
def real_file_systems(monkeypatch, any_file_system):
    """What the kernel says of the tests' folder counts, and what is put in place of it."""
    monkeypatch.undo()
    disk_files._is_on_disk.cache_clear()
    yield
    disk_files._is_on_disk.cache_clear()


@pytest.fixture
def store(tmp_path) -> PosixStore:
    store = PosixStore(tmp_path / "store")
    store.put(KEY, BIG)
    return store


@pytest.fixture
def files() -> DiskFiles:
    files = DiskFiles()
    files.are_sent = True
    return files


@pytest.fixture
def file(files, store) -> DiskFile:
    file = files.read(store, KEY).file
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
    theirs.settimeout(10)
    if buffer is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    return ours, theirs


# What is read, and what of it is held


def test_what_is_read_is_what_is_held(files, store):
    content = files.read(store, KEY)
    assert content.data == BIG
    assert os.pread(content.file.descriptor, len(BIG) + 1, 0) == BIG


def test_small_files_and_other_stores_are_bytes_alone(files, store, s3_store):
    store.put("small", BIG[: LEAST_BYTES - 1])
    store.put("enough", BIG[:LEAST_BYTES])
    assert files.read(store, "small") == Content(BIG[: LEAST_BYTES - 1])
    assert files.read(store, "enough").file is not None
    s3_store.put(KEY, BIG)
    assert files.read(s3_store, KEY) == Content(BIG)


def test_where_no_server_sends_files_none_is_held(store):
    assert DiskFiles().read(store, KEY) == Content(BIG)


def mounted(device: int, kind: str, place: bytes = b"/data") -> bytes:
    """A line as the kernel has it, with optional fields in the middle (proc(5))."""
    name = f"{os.major(device)}:{os.minor(device)}".encode()
    return b"36 35 %b / %b rw,noatime shared:1 master:2 - %b /dev/x rw\n" % (name, place, kind.encode())


@pytest.mark.parametrize(
    ("kind", "is_held"),
    [("ext4", True), ("xfs", True), ("tmpfs", False), ("nfs4", False), ("fuse.s3fs", False)],
)
def test_only_files_on_a_disk_are_held(monkeypatch, real_file_systems, tmp_path, files, store, kind, is_held):
    device = (tmp_path / "store" / KEY).stat().st_dev
    mounts = tmp_path / "mounts"
    odd = [mounted(device + 1, "ext4", place) for place in (b"/Fl\xe4che", b"/with\\040blank", b"/\x0b\x85")]
    mounts.write_bytes(b"".join(odd) + mounted(device, kind, b"/l\xf6ffel"))
    monkeypatch.setattr(disk_files, "_MOUNTS", mounts)
    content = files.read(store, KEY)
    assert (content.data, content.file is not None) == (BIG, is_held)


def test_what_is_on_a_disk_is_told_as_another_program_tells_it(real_file_systems, tmp_path):
    told = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True)
    assert disk_files._is_on_disk(tmp_path.stat().st_dev) == (told.stdout.strip() in ("ext2/ext3", "xfs"))


def test_while_the_kernel_tells_nothing_no_file_is_held(
    monkeypatch, real_file_systems, tmp_path, files, store
):
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(disk_files, "_MOUNTS", mounts)
    assert files.read(store, KEY) == Content(BIG)
    mounts.write_bytes(mounted((tmp_path / "store" / KEY).stat().st_dev, "ext4"))
    assert files.read(store, KEY).file is not None


def test_without_a_descriptor_to_spare_it_is_bytes_alone(monkeypatch, files, store):
    monkeypatch.setattr("api.memory.disk_files.os.dup", fails(24, "Too many open files"))
    assert files.read(store, KEY) == Content(BIG)


def fails(number: int, told: str):
    def fail(*_):
        raise OSError(number, told)

    return fail


@pytest.mark.parametrize(("most", "allowed", "held"), [(3, 20_000, 3), (100, 32, 4)])
def test_of_more_files_than_may_be_open_the_last_are(monkeypatch, store, most, allowed, held):
    monkeypatch.setattr(disk_files, "MOST_FILES", most)
    monkeypatch.setattr("api.memory.disk_files.resource.getrlimit", lambda _: (allowed, allowed))
    files, before = DiskFiles(), open_files(store)
    files.are_sent = True
    for number in range(10):
        store.put(f"many/{number}", BIG)
        files.keep(number, files.read(store, f"many/{number}").file)
    assert open_files(store) - before == held
    assert [number for number in range(10) if files.get(number)] == list(range(10))[-held:]
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
    files.are_sent = True
    files.keep("first", files.read(store, KEY).file)
    first = files.get("first")
    store.put("other", BIG[::-1])
    files.keep("other", files.read(store, "other").file)
    assert files.get("first") is None
    assert os.pread(first.descriptor, 10, 0) == BIG[:10]


def test_deleted_files_are_held_no_more(files, store):
    store.put("other", BIG)
    before = open_files(store)
    for key in (KEY, "other"):
        files.keep(key, files.read(store, key).file)
    store.delete([KEY])
    files.forget_deleted()
    assert open_files(store) - before == 1
    assert files.get(KEY) is None
    assert files.get("other") is not None


# Whether a file may be sent


def test_a_file_that_somebody_wrote_into_is_not_at_hand(store, file):
    assert file.is_at_hand()
    with (store.root / KEY).open("r+b") as written:
        written.write(b"other")
    assert not file.is_at_hand()


@pytest.mark.parametrize("written", [BIG[::-1], BIG + b"more"], ids=["other", "longer"])
def test_nor_is_one_that_somebody_wrote_into_while_it_was_read(monkeypatch, files, store, written):
    read = OpenFile.read

    def read_late(opened, start, length):
        (store.root / KEY).write_bytes(written)
        return read(opened, start, length)

    monkeypatch.setattr(OpenFile, "read", read_late)
    content = files.read(store, KEY)
    assert content.data == written[: len(BIG)]
    assert not content.file.is_at_hand()


def test_nor_one_that_is_replaced_but_its_replacement_is(files, store, file):
    store.put(KEY, BIG[::-1])
    assert file.is_at_hand()
    assert os.pread(file.descriptor, len(BIG), 0) == BIG
    assert os.pread(files.read(store, KEY).file.descriptor, len(BIG), 0) == BIG[::-1]


@pytest.mark.parametrize("gone", [0, len(BIG) - 1], ids=["its beginning", "its end"])
def test_nor_one_of_which_the_disk_would_have_to_be_asked(monkeypatch, file, gone):
    preadv = os.preadv

    def is_asked(descriptor, buffers, place, flags):
        assert flags & os.RWF_NOWAIT
        if place == gone:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return preadv(descriptor, buffers, place, flags)

    monkeypatch.setattr("api.memory.disk_files.os.preadv", is_asked)
    assert not file.is_at_hand()


def test_nor_one_of_a_file_system_that_was_shut_down(monkeypatch, file):
    with monkeypatch.context() as broken:
        broken.setattr("api.memory.disk_files.os.fstat", fails(5, "Input/output error"))
        told = (file.is_at_hand(), file.is_deleted())
    assert told == (False, True)


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
    assert joining._sendfile is None or joining._sendfile._socket.fileno() == -1
    await loop.run_in_executor(None, taking.join)
    return got[0]


@pytest.mark.parametrize("slow_s", [0.0, 0.1])
def test_what_the_network_does_not_take_at_once_comes_from_memory(file, slow_s):
    contents = [Content(BIG, file), Content(b"short"), Content(BIG, file), Content(BIG), Content(BIG, file)]
    got = run_loop(answered(contents, slow_s))
    assert got == b"".join(HEAD + content.data for content in contents)


class Sent:
    """A connection that takes so many bytes."""

    def __init__(self, taken: int) -> None:
        self._taken = taken

    def send(self, *_) -> int:
        return self._taken


@pytest.mark.parametrize("taken", [0, 1, len(HEAD) - 1, len(HEAD), len(HEAD) + 1, len(HEAD) + len(BIG)])
def test_the_transport_is_given_exactly_what_was_not_taken(file, taken):
    async def answer() -> bytes:
        wire = Wire()
        joining = JoiningTransport(wire, asyncio.get_running_loop())
        joining._sendfile = Sent(taken)
        joining.answer(HEAD, Content(BIG, file))
        return b"".join(wire.writes)

    assert run_loop(answer()) == (HEAD + BIG)[taken:]


def test_a_head_waits_for_the_file_behind_it(monkeypatch, file):
    """Each packet wakes the client, which can do nothing with a head alone."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as theirs,
    ):
        ours, _ = listening.accept()
        theirs.setblocking(False)
        seen = []

        def look(*_):
            with suppress(BlockingIOError):
                seen.append(theirs.recv(1, socket.MSG_PEEK))
            return 0

        monkeypatch.setattr("api.fast.sendfile.os.sendfile", look)
        with ours:
            sending = SendFile(Plain(ours))
            assert sending.send(HEAD, file) == len(HEAD)
            assert seen == []
            sending.close()


def test_a_file_that_somebody_wrote_into_comes_from_memory(store, file):
    with (store.root / KEY).open("r+b") as written:
        written.write(b"other")
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_a_file_that_is_cut_short_before_it_is_sent_comes_from_memory(store, file, monkeypatch):
    monkeypatch.setattr(DiskFile, "is_at_hand", lambda _: True)
    os.truncate(store.root / KEY, 1000)
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_a_disk_that_fails_is_no_fault_of_the_answer(file, monkeypatch):
    monkeypatch.setattr("api.fast.sendfile.os.sendfile", fails(5, "Input/output error"))
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_without_a_second_descriptor_for_the_connection_it_comes_from_memory(file, monkeypatch):
    monkeypatch.setattr("api.fast.sendfile.os.dup", fails(24, "Too many open files"))
    assert run_loop(answered([Content(BIG, file)], 0)) == HEAD + BIG


def test_second_descriptors_leave_half_of_them_to_connections(file, monkeypatch):
    ours, theirs = pair()
    with ours, theirs:
        before = open_sockets()
        monkeypatch.setattr("api.fast.sendfile.resource.getrlimit", lambda _: (8, 8))
        assert SendFile(Plain(ours)).send(HEAD, file) == 0
        assert open_sockets() == before


def test_a_client_that_has_gone_is_the_transports_to_find_out(file):
    ours, theirs = pair()
    theirs.close()
    with ours:
        sending = SendFile(Plain(ours))
        assert sending.send(HEAD, file) == 0
        sending.close()


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_what_is_no_plain_socket_is_left_alone(file, is_encrypted):
    ours, theirs = pair()
    with ours, theirs:
        sending = SendFile(Plain(ours, sslcontext=object()) if is_encrypted else Plain(None))
        assert sending.send(HEAD, file) == 0
        sending.close()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


# The API


@pytest.fixture
def sent(monkeypatch) -> list[int]:
    """How many bytes each `sendfile` sent."""
    sent: list[int] = []
    sendfile = os.sendfile

    def counted(*arguments):
        taken = sendfile(*arguments)
        sent.append(taken)
        return taken

    monkeypatch.setattr("api.fast.sendfile.os.sendfile", counted)
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
        eventually(lambda: deleted(store) == 0)
    assert sent


def deleted(store: PosixStore) -> int:
    """How many files are open that have no name any more."""
    links = [target(link) for link in Path("/proc/self/fd").iterdir()]
    return sum(link.startswith(str(store.root)) and link.endswith(" (deleted)") for link in links)
