"""Heads and files sent on a connection's socket itself, beside a transport that has nothing to send.

Neither asyncio's nor uvloop's transport sends a file without leaving the loop, and uvloop's own socket is not to be
touched: so this has a descriptor of its own for the same connection.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket

from api.memory.disk_files import DiskFile

_MORE: int = getattr(socket, "MSG_MORE", 0)
"""Holds what is sent back until more comes (send(2)); of Linux, as is the form of `sendfile` that is used here."""


class SendFile:
    """The connection of a transport; nothing but `send` may send on it meanwhile."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Raises `OSError` where no more descriptors may be open."""
        self._socket = _own(transport)

    def send(self, head: bytes, file: DiskFile) -> int:
        """How many bytes of a head and the file behind it the network took; what it did not is the transport's to send.

        0 where the connection is broken, which the transport will find out, or where this is no way to send on it.
        """
        if self._socket is None or not file.is_at_hand():
            return 0
        try:
            taken = self._socket.send(head, _MORE)
        except OSError:  # also BlockingIOError
            return 0
        if taken < len(head):
            return taken
        try:
            return taken + os.sendfile(self._socket.fileno(), file.descriptor, 0, file.size)
        except OSError:
            return taken

    def close(self) -> None:
        """Let go of the connection, which ends only when the transport has done so too."""
        if self._socket is not None:
            self._socket.close()


def _own(transport: asyncio.Transport) -> socket.socket | None:
    """The transport's socket by another descriptor; none where it has none, or what it sends is encrypted first.

    None also where connections have half of all descriptors: the other half is for connections without a second one.
    """
    shared = transport.get_extra_info("socket")
    if not _MORE or shared is None or transport.get_extra_info("sslcontext") is not None:
        return None
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = os.dup(shared.fileno())  # the lowest that is free
    if number >= allowed // 2:
        os.close(number)
        return None
    return socket.socket(fileno=number)
