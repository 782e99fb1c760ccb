"""The server's table of contents: `content.log.bz2`, lines of `./path|bytes|YYYY-MM-DD HH:MM:SS` (UTC).

That of `/weather/nwp/` has about 9 million lines, 1 GB of them, packed into 55 MB: good for reconciling, too big to
be polled, and never held as a whole here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.packing import unpack_bzip2_chunks

_PACKED_BYTES = 1 << 16
_LONGEST_LOG_BYTES = 1 << 34
"""Some ten times what the log of all model output unpacks to."""
_LONGEST_LINE_BYTES = 1 << 16
_KEPT_BAD_LINES = 10
_LINE = re.compile(rb"\./(.+)\|([0-9]{1,15})\|([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})\r?")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A file: its path below the log's folder, bytes, and time of its last change (UTC)."""

    path: str
    size: int
    modified: datetime


@dataclass(slots=True)
class ContentLog:
    """Iterates over the files whose paths begin with `under`, in the log's order, reading `stream` once.

    `name` stands in errors. While and after it is iterated over, `lines` is the number of lines read, `bad` of
    those that are none, and `first_bad` shows some of the latter. A line of another path than `under` is only
    looked at as far as that path. Raises `FormatError` at the end of a stream that is cut off or damaged, when
    every whole line before that was given; a last line without an end belongs to those only in a whole stream.
    """

    stream: BinaryIO
    name: str
    under: str = ""
    lines: int = field(default=0, init=False)
    bad: int = field(default=0, init=False)
    first_bad: list[str] = field(default_factory=list, init=False)

    def __iter__(self) -> Iterator[LogEntry]:
        wanted = b"./" + self.under.encode()
        for lines in _blocks_of_lines(self._unpacked(), self.name):
            self.lines += len(lines)
            for line in lines:
                if line.startswith(wanted):
                    entry = _entry(line)
                    if entry is not None:
                        yield entry
                        continue
                elif line.startswith(b"./"):
                    continue
                self._note_bad(line)

    def _unpacked(self) -> Iterator[bytes]:
        packed = iter(lambda: self.stream.read(_PACKED_BYTES), b"")
        return unpack_bzip2_chunks(packed, self.name, _LONGEST_LOG_BYTES)

    def _note_bad(self, line: bytes) -> None:
        self.bad += 1
        if self.bad <= _KEPT_BAD_LINES:
            self.first_bad.append(line[:200].decode("utf-8", errors="backslashreplace"))


def _entry(line: bytes) -> LogEntry | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    path, size, time = match.groups()
    try:
        return LogEntry(path.decode(), int(size), datetime.fromisoformat(f"{time.decode()}+00:00"))
    except ValueError:  # no such day or hour, or no text
        return None


def _blocks_of_lines(blocks: Iterator[bytes], name: str) -> Iterator[list[bytes]]:
    """The lines of a text that comes in blocks, without their ends, some at a time."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            raise FormatError(f"{name}: a line of more than {_LONGEST_LINE_BYTES} bytes: no content log")
        yield lines
    if rest:
        yield [rest]
