"""Connections of the API: uvicorn's, with bounds on what reaches it before an application sees a request.

uvicorn waits for ever for the end of a request's head, with httptools keeps all of a head however long it gets, and
goes on to read a body that was answered already. `Bounded` ends such connections.

What belongs here: bytes and seconds of a connection. What does not: requests, which `api.app` answers.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol

UNREAD_BYTES = 65_536
"""How long an unfinished head may be."""

BEHIND_BYTES = 4_000_000
"""How much may come behind an answer and is thrown away: most clients read an answer only once they sent everything,
and of a connection that is closed before they see none."""

HEAD_S = 10.0
"""How long a head, or the rest of an answered request, may take to come; also of a connection that says nothing."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Cycle(Protocol):
    """A request and its answer, as uvicorn has them."""

    more_body: bool
    response_complete: bool


class _Inner(Protocol):
    """What is asked of uvicorn's protocols, of httptools and of h11."""

    cycle: _Cycle | None
    timeout_keep_alive: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def _unset_keepalive_if_required(self) -> None: ...


class Bounded(asyncio.Protocol):
    """A connection for `uvicorn.run(http=Bounded)`; in between, it is uvicorn's own protocol."""

    unread_bytes = UNREAD_BYTES
    behind_bytes = BEHIND_BYTES
    head_s = HEAD_S

    def __init__(self, *arguments: Any, _loop: asyncio.AbstractEventLoop | None = None, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._loop = _loop or asyncio.get_running_loop()
        made = AutoHTTPProtocol(*arguments, _loop=self._loop, **named)  # type: ignore[call-arg]
        self._inner = cast(_Inner, made)
        self._unread = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        self._transport = cast(asyncio.Transport, transport)
        self._inner.connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._wait_no_more()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Hand on what came, and count what nobody reads."""
        before = self._inner.cycle
        is_body = before is not None and before.more_body and not before.response_complete
        self._inner.data_received(data)
        if self._inner.cycle is not before:
            self._unread = 0
            self._wait_no_more()
        elif not is_body:
            self._count(len(data))

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._inner.resume_writing()

    def _count(self, size: int) -> None:
        self._unread += size
        if self._transport.is_closing():
            return
        cycle = self._inner.cycle
        is_behind = cycle is not None and cycle.response_complete and cycle.more_body
        if self._unread > (self.behind_bytes if is_behind else self.unread_bytes):
            self._refuse()
        elif self._deadline is None:
            self._wait()

    def _refuse(self) -> None:
        """End the connection, with an answer where none is under way and none was given to what is coming."""
        cycle = self._inner.cycle
        if cycle is None or (cycle.response_complete and not cycle.more_body):
            self._transport.write(_TOO_LARGE)
        self._transport.close()

    def _wait(self) -> None:
        self._deadline = self._loop.call_later(self.head_s, self._overdue)

    def _overdue(self) -> None:
        self._deadline = None
        cycle = self._inner.cycle
        if cycle is None or cycle.response_complete:
            self._transport.close()

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
