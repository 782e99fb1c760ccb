"""A small server that plays a day of opendata.dwd.de: what appears, is overwritten, vanishes and goes wrong."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from dwd_assets.simulator.catalogue import Catalogue
from dwd_assets.simulator.clock import Clock
from dwd_assets.simulator.faults import Fault, FaultBook, Rule
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.forecasts import MOSMIX_L, MOSMIX_S, Forecasts, half_issue
from dwd_assets.simulator.pages import ContentLogs, IndexForm
from dwd_assets.simulator.report_forms import ReportForm
from dwd_assets.simulator.reports import Reports
from dwd_assets.simulator.responses import Answer, Viewed, error, packed, unexpected_page
from dwd_assets.simulator.stations import STATIONS, Station
from dwd_assets.simulator.trees import KEPT_RUNS, OldTree, V1Tree, other_parameter
from dwd_assets.simulator.world import World

OLD_TREE_ENDS = datetime(2026, 12, 1, tzinfo=UTC)
"""The old tree is shut down after 30 November 2026 (DWD's notice of 2 September 2026)."""

_OLD_TREE_MODEL = "icon-d2"
"""The one model that is simulated in both trees."""

_LOGGED_REQUESTS = 100_000
_KEEP_ALIVE_S = 75.0
_WITHOUT_LENGTH = frozenset({Fault.NO_LENGTH, Fault.CUT_NO_LENGTH})
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the server has, and how its faults are.

    From `old_tree_until` on the old tree is gone; runs from `new_grid_from` on are on another grid of triangles. The
    v1 tree keeps `kept_runs` runs, from `fewer_runs_from` on `fewer_runs`. `report_form` is how reports are written,
    `index_form` how folders.
    A slow answer begins after `slow_s` of real time; the server that is behind is so by `lag` of simulated time.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    stations: tuple[Station, ...] = STATIONS
    old_tree_until: datetime = OLD_TREE_ENDS
    new_grid_from: datetime | None = None
    kept_runs: int = KEPT_RUNS
    fewer_runs_from: datetime | None = None
    fewer_runs: int = KEPT_RUNS
    report_form: ReportForm = field(default_factory=ReportForm)
    index_form: IndexForm = "seconds"
    slow_s: float = 1.0
    lag: timedelta = timedelta(minutes=2)

    def runs_at(self, at: datetime) -> int:
        """How many runs the v1 tree has at a time."""
        is_later = self.fewer_runs_from is not None and at >= self.fewer_runs_from
        return self.fewer_runs if is_later else self.kept_runs


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: simulated time, method, decoded path, status (none for a reset), bytes of body, and its fault."""

    at: datetime
    method: str
    path: str
    status: int | None
    body_bytes: int
    fault: Fault | None


def new_world(plan: Plan, seed: int) -> World:
    """All files of a plan; the same for the same seed."""
    writer = FieldWriter(seed, plan.catalogue, plan.new_grid_from)
    has_old_tree = plan.catalogue.model == _OLD_TREE_MODEL
    world = World(
        (
            *((OldTree(writer, plan.old_tree_until),) if has_old_tree else ()),
            V1Tree(writer, plan.runs_at),
            Forecasts(seed, MOSMIX_L, plan.stations),
            Forecasts(seed, MOSMIX_S, plan.stations),
            Reports(seed, plan.stations, plan.report_form),
        )
    )
    world.add(ContentLogs(world))
    return world


class Simulator:
    """The server; a context manager, which listens at `url` while it is open.

    `start` is the simulated time (UTC) at which it opens the clock, `speed` how much faster that runs than the real
    one, 0 for a clock that is turned. Files are a function of the seed and the time. Port 0 is any free one.
    """

    def __init__(
        self,
        start: datetime,
        speed: float = 0.0,
        seed: int = 0,
        plan: Plan | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.plan = plan or Plan()
        self.clock = Clock(start, speed)
        self.world = new_world(self.plan, seed)
        self._faults = FaultBook()
        self._asked: deque[Asked] = deque(maxlen=_LOGGED_REQUESTS)
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where the server listens, without a `/` at the end."""
        return f"http://{self._server.server_address[0]!s}:{self._server.server_port}"

    @property
    def requests(self) -> tuple[Asked, ...]:
        """The latest 100,000 requests, each there before its answer is sent."""
        return tuple(self._asked)

    def fail(
        self,
        pattern: str,
        fault: Fault,
        times: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        """Let so many requests (none: all) for decoded paths that match a pattern meet a fault.

        Only between `since` and `until` of the simulated time, where given. `*` also stands for `/`. Of several
        rules that hold, the oldest counts.
        """
        self._faults.add(Rule(pattern, fault, times, since, until))

    def heal(self) -> None:
        """Forget all faults; what was overwritten stays so."""
        self._faults.clear()

    def respond(self, method: str, path: str, headers: dict[str, str]) -> tuple[Answer | None, Fault | None]:
        """The answer to a request, none where the connection is to be reset, and the fault that it meets."""
        at = self.clock.now()
        fault = self._faults.meet(path, at)
        answer = self._answer(fault, path, headers, at)
        status = None if answer is None else answer.status.value
        body = 0 if answer is None or method == "HEAD" else len(sent(answer, fault))
        self._asked.append(Asked(at, method, path, status, body, fault))
        return answer, fault

    def _answer(self, fault: Fault | None, path: str, headers: dict[str, str], at: datetime) -> Answer | None:
        viewed = Viewed(self.world, at, self.plan.index_form)
        match fault:
            case Fault.RESET:
                return None
            case Fault.NOT_FOUND:
                return error(HTTPStatus.NOT_FOUND)
            case Fault.UNAVAILABLE:
                return error(HTTPStatus.SERVICE_UNAVAILABLE)
            case Fault.PAGE:
                return unexpected_page()
        answer = self._spoiled(fault, path, viewed).answer(path, headers)
        return packed(answer) if fault is Fault.GZIPPED else answer

    def _spoiled(self, fault: Fault | None, path: str, viewed: Viewed) -> Viewed:
        """The files as a request that meets a fault sees them."""
        match fault:
            case Fault.SLOW:
                time.sleep(self.plan.slow_s)
            case Fault.OVERWRITTEN:
                self.world.overwrite(path, viewed.at)
            case Fault.OUT_OF_STEP:
                return replace(viewed, at=viewed.at - self.plan.lag)
            case Fault.WRONG_PARAMETER:
                return replace(viewed, spoil=partial(self._other, path, viewed))
            case Fault.UNREADABLE_ROWS | Fault.NAMELESS_ROW:
                return replace(viewed, form="half" if fault is Fault.UNREADABLE_ROWS else "nameless")
        return viewed if fault not in _SPOILS else replace(viewed, spoil=_SPOILS[fault])

    def _other(self, path: str, viewed: Viewed, content: bytes) -> bytes:
        """What another parameter has in place of a file; the file itself if no other has."""
        other = other_parameter(self.plan.catalogue, path)
        file = None if other is None else self.world.find(other, viewed.at)
        return content if file is None else self.world.content(file)


def sent(answer: Answer, fault: Fault | None) -> bytes:
    """What of a body is sent."""
    return _first_half(answer.body) if fault in {Fault.CUT, Fault.CUT_NO_LENGTH} else answer.body


def _first_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _doubled(content: bytes) -> bytes:
    return content + content


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


_SPOILS: dict[Fault | None, Callable[[bytes], bytes]] = {
    Fault.TRUNCATED: _first_half,
    Fault.FLIPPED: _flipped,
    Fault.TWO_MESSAGES: _doubled,
    Fault.HALF_ISSUE: half_issue,
}


class _Handler(BaseHTTPRequestHandler):
    """A connection, kept alive."""

    protocol_version = "HTTP/1.1"
    server_version = "simulated-opendata"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _KEEP_ALIVE_S
    server: _Server

    def do_GET(self) -> None:
        """Answer with a body."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, fault = self.server.simulator.respond(
            self.command, unquote(urlsplit(self.path).path), headers
        )
        if answer is None:
            self._reset()
            return
        with suppress(OSError):  # the client may have given up
            self._send_head(answer, has_length=fault not in _WITHOUT_LENGTH)
            if self.command != "HEAD":
                self.wfile.write(sent(answer, fault))
            self.wfile.flush()
        if fault is Fault.CUT or fault in _WITHOUT_LENGTH:
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the base's name

    def _send_head(self, answer: Answer, *, has_length: bool) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not has_length:
            self.send_header("Connection", "close")
        elif answer.status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()

    def _reset(self) -> None:
        """End the connection by a TCP reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.connection.close()
        self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The simulated time, as the `Date` header has it."""
        told = (
            self.server.simulator.clock.now() if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
        )
        return format_datetime(told, usegmt=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Print nothing: `Simulator.requests` has it."""


class _Server(ThreadingHTTPServer):
    """Listens, and ends the connections that are still open when it is closed."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """End a connection, unless it was reset already."""
        if isinstance(request, socket.socket):
            self._open.discard(request)
            if request.fileno() >= 0:
                super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, and end what is still open."""
        super().server_close()
        for connection in tuple(self._open):
            with suppress(OSError):  # ended by its client just now
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
        """Say nothing of connections that break, which is what the server is for; tell anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)
