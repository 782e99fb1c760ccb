"""Sending a file of the archive: whole or in part, piece by piece, and no further than the client stays.

What belongs here: HTTP. What does not: which file it is, and its bytes.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.replies.conditional import byte_range, headers_of, not_modified
from api.replies.envelope import HEAD
from api.replies.errors import ApiError
from api.replies.reply import Header, Reply
from api.v1.dwd.downloads import Download
from api.v1.routing import as_response
from dwd_assets.formats.errors import FormatError
from store.objects import StoreError

log = logging.getLogger(__name__)


def file_response(scope: Scope, file: Download, further: tuple[Header, ...]) -> Response:
    """The answer to a request for a file, which it closes.

    Raises `PreconditionFailed`, `RangeNotSatisfiable`.
    """
    asked = headers_of(scope)
    headers: tuple[Header, ...] = (
        (b"etag", file.etag),
        (b"accept-ranges", b"bytes"),
        (b"repr-digest", file.digest),
        (b"content-disposition", f'attachment; filename="{file.name}"'.encode("ascii")),
        *further,
    )
    try:
        if not_modified(asked, file.etag):
            file.close()
            return as_response(Reply(304, headers))
        part = byte_range(asked, file.etag, file.size)
    except ApiError:
        file.close()
        raise
    return FileResponse(file, part, headers)


class FileResponse(Response):
    """A file, or a part of it.

    Where it cannot be read on, the answer ends before its length is reached, so that no client takes it for whole.
    """

    def __init__(self, file: Download, part: slice | None, headers: tuple[Header, ...]) -> None:
        super().__init__(status_code=200 if part is None else 206)
        size = file.size if part is None else part.stop - part.start
        self.raw_headers = [*headers, (b"content-type", file.content_type), (b"content-length", b"%d" % size)]
        if part is not None:
            place = b"bytes %d-%d/%d" % (part.start, part.stop - 1, file.size)
            self.raw_headers.append((b"content-range", place))
        self._file = file
        self._part = part

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close the file."""
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if HEAD in scope or await self._sent(send, gone):
                await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            with suppress(RuntimeError):  # at the end of the process there are no threads left
                # Not awaited: whoever cancels this does not wait for the read that is under way.
                asyncio.get_running_loop().run_in_executor(None, self._file.close)

    async def _sent(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """Whether all of it was sent."""
        pieces = self._file.pieces(self._part)
        try:
            while piece := await asyncio.to_thread(next, pieces, b""):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if gone.done():
                    return False
        except (StoreError, FormatError) as fault:
            log.warning("%s is not sent to its end: %s", self._file.name, fault)
            return False
        return True


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
