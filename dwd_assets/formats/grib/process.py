"""The decoder's process, seen from here: started when needed, asked under a time limit, started again when it died."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib import grib_child
from dwd_assets.formats.grib.grib_child import ANSWER, DONE

START_S = 60.0
"""How long importing eccodes may take; half a second is usual."""

_END_S = 5.0
_ATTEMPTS = 2


class DecoderError(RuntimeError):
    """The decoder cannot be started; no file is at fault."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process said: a text, and an array's bytes."""

    text: str
    array: bytearray


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    channel: socket.socket


class _Gone(Exception):  # noqa: N818
    """The process closed its end."""


class DecoderProcess:
    """One process, which several threads may ask, one after the other.

    The process ends with `close`, and also when this one dies: it reads the end of its socket then.
    """

    def __init__(self, request_s: float) -> None:
        self.request_s = request_s
        self._lock = Lock()
        self._running: _Running | None = None
        self._greeted = False

    @property
    def pid(self) -> int | None:
        """The process, if one was started and not yet found dead."""
        return None if self._running is None else self._running.process.pid

    def start(self) -> None:
        """Start the process, if none runs, without waiting until it is ready. Raises `DecoderError`."""
        with self._lock:
            self._start()

    def ask(self, request: bytes, message: bytes, name: str) -> Answer:
        """Send a request and wait for its answer.

        Raises `FormatError` where the message is at fault: it cannot be decoded, the process dies of it (twice, as
        something else may have ended it once), or it takes longer than `request_s`. Raises `DecoderError`.
        """
        told = ""
        with self._lock:
            for _ in range(_ATTEMPTS):
                running = self._start()
                self._greet(running)
                try:
                    status, answer = self._exchanged(running.channel, request, message)
                except TimeoutError as fault:
                    self._end(0.0)
                    raise FormatError(f"{name}: not decoded within {self.request_s:g} s") from fault
                except (_Gone, ConnectionError):
                    told = self._end(_END_S)
                except BaseException:
                    self._end(0.0)  # interrupted: its answer would be taken for that of the next request
                    raise
                else:
                    if status != DONE:
                        raise FormatError(f"{name}: eccodes cannot decode it: {answer.text}")
                    return answer
        raise FormatError(f"{name}: the decoder died of it: {told}")

    def close(self) -> None:
        """End the process; a later request starts another."""
        with self._lock:
            self._end(_END_S)

    def _start(self) -> _Running:
        if self._running is not None:
            return self._running
        ours, theirs = socket.socketpair()
        # -P: the modules beside the program must not be taken for others of the same name.
        command = [sys.executable, "-P", str(Path(grib_child.__file__)), str(theirs.fileno())]
        with theirs:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # eccodes writes there what the answer says again
                    pass_fds=(theirs.fileno(),),
                )
            except OSError as fault:
                ours.close()
                raise DecoderError(f"the GRIB decoder cannot be started: {fault}") from fault
        self._running = _Running(process, ours)
        self._greeted = False
        return self._running

    def _greet(self, running: _Running) -> None:
        """Wait until the process is ready."""
        if self._greeted:
            return
        try:
            status, answer = _answer(running.channel, time.monotonic() + START_S)
        except (_Gone, OSError) as fault:
            raise DecoderError(f"the GRIB decoder did not start: {self._end(_END_S)}") from fault
        except BaseException:
            self._end(0.0)
            raise
        if status != DONE:
            self._end(_END_S)
            raise DecoderError(f"the GRIB decoder has no eccodes: {answer.text}")
        self._greeted = True

    def _exchanged(self, channel: socket.socket, request: bytes, message: bytes) -> tuple[int, Answer]:
        deadline = time.monotonic() + self.request_s
        channel.settimeout(self.request_s)
        channel.sendall(request)
        channel.sendall(message)
        return _answer(channel, deadline)

    def _end(self, patience_s: float) -> str:
        """Close the socket, which the process ends at, or kill it; says how it ended."""
        running, self._running = self._running, None
        if running is None:
            return "not running"
        running.channel.close()
        try:
            code = running.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            running.process.kill()
            code = running.process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _answer(channel: socket.socket, deadline: float) -> tuple[int, Answer]:
    status, text, array = ANSWER.unpack(_received(channel, ANSWER.size, deadline))
    told = _received(channel, text, deadline).decode()
    return status, Answer(told, _received(channel, array, deadline))


def _received(channel: socket.socket, length: int, deadline: float) -> bytearray:
    data = bytearray(length)
    view, got = memoryview(data), 0
    while got < length:
        channel.settimeout(max(deadline - time.monotonic(), 1e-3))
        more = channel.recv_into(view[got:])
        if not more:
            raise _Gone
        got += more
    return data
