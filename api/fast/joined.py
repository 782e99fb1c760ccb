"""The head of an answer and what follows it, in one system call.

uvicorn writes the two one by one, and each write wakes the client: for an image of 300 KB the head costs half of what
the image does.
"""

from __future__ import annotations

import asyncio
from typing import cast

from api.fast.sendfile import SendFile
from api.memory.disk_files import Content, DiskFile
from api.server import Bounded

HEAD = b"HTTP/1."
"""How a head begins, which is what is held back."""


class JoinedWrites(Bounded):
    """A connection for `uvicorn.run(http=JoinedWrites)`, bounded, whose heads wait for what follows."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, by way of a transport that joins writes."""
        self._joined = JoiningTransport(cast(asyncio.Transport, transport), self._loop)
        super().connection_made(cast(asyncio.BaseTransport, self._joined))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._joined.lost()
        super().connection_lost(exc)


class JoiningTransport:
    """A transport that holds a head back until the next write, or until the loop comes round.

    It has what uvicorn and `api.fast.direct` ask of a transport, and no more.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._soon = loop.call_soon
        self._held = b""
        self._sendfile: SendFile | None = None
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        """Send, after what is held."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.writelines((held, data) if data else (held,))
        elif data.startswith(HEAD):
            self._held = data
            self._soon(self._flush)
        else:
            self._transport.write(data)

    def answer(self, head: bytes, content: Content) -> None:
        """Send a whole answer while nothing else is under way (`is_quiet`): by the kernel, as far as it takes it."""
        data, file = content
        taken = 0 if file is None else self._sent(head, file)
        if taken < len(head):
            self._transport.writelines((head[taken:], data))
        elif taken < len(head) + len(data):
            self._transport.write(memoryview(data)[taken - len(head) :])

    def is_quiet(self) -> bool:
        """Whether everything was taken by the network, and more may be written."""
        return (
            not self._held
            and not self._transport.get_write_buffer_size()
            and not self._transport.is_closing()
        )

    def close(self) -> None:
        """Send what is held, and end."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def lost(self) -> None:
        """The connection is gone."""
        if self._sendfile is not None:
            self._sendfile.close()

    def _sent(self, head: bytes, file: DiskFile) -> int:
        if self._sendfile is None:
            try:
                self._sendfile = SendFile(self._transport)
            except OSError:
                return 0
        return self._sendfile.send(head, file)

    def _flush(self) -> None:
        if self._held and not self._transport.is_closing():
            held, self._held = self._held, b""
            self._transport.write(held)
