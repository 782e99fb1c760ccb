"""A folder laid out as a bucket, as a source."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from nexrad_assets.sources.layouts import LEVEL2, Layout, Span
from nexrad_assets.sources.remote import (
    RemoteFile,
    SourceMissing,
    SourceUnavailable,
    check_length,
    check_listed,
    oldest_first,
)

SETTLED_S = 2.0
"""A file changed more recently than this may still be growing."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder laid out as the bucket of a level.

    Links are followed inside the folder, and never out of it. `clock` gives seconds since 1970.
    """

    root: Path
    layout: Layout = LEVEL2
    clock: Callable[[], float] = time.time

    def list_day(
        self, site: str, day: date, since: datetime | None = None, *, archive: bool = False
    ) -> tuple[RemoteFile, ...]:
        """The files that have not changed for `SETTLED_S`; each folder is read once. See `Source`."""
        spans = self.layout.spans(site, day, since, archive=archive)
        found: list[RemoteFile] = []
        for folder in sorted({span.folder for span in spans}):
            try:
                found += self._settled(folder, [span for span in spans if span.folder == folder])
            except OSError as fault:
                raise SourceUnavailable(f"{self.root / folder}: cannot be listed: {fault}") from fault
        return oldest_first(found, site, day)

    def fetch(self, file: RemoteFile) -> bytes:
        """Read a file, if it is still the one that was listed. See `Source`."""
        try:
            path = self._inside(file.key)
            if path is None:
                raise SourceMissing(f"{self.root / file.key}: no such file")
            with path.open("rb") as opened:
                status = os.fstat(opened.fileno())
                check_listed(file, str(path), status.st_size, _file_tag(status))
                data = opened.read(file.size + 1)
        except OSError as fault:
            raise SourceUnavailable(f"{self.root / file.key}: cannot be read: {fault}") from fault
        return check_length(file, str(path), data)

    def _settled(self, folder: str, spans: Sequence[Span]) -> Iterator[RemoteFile]:
        for entry in self._entries(folder, spans):
            name = self.layout.parse(entry.name)
            status = None if name is None else self._status(folder + entry.name, entry)
            if name is None or status is None:
                continue
            # A clock ahead of ours (a network file system's) dates files into the future: the same care.
            if stat.S_ISREG(status.st_mode) and abs(self.clock() - status.st_mtime) >= SETTLED_S:
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield RemoteFile(name, folder + entry.name, _file_tag(status), status.st_size, modified)

    def _entries(self, folder: str, spans: Sequence[Span]) -> Iterator[os.DirEntry[str]]:
        if not self.root.is_dir():
            raise SourceMissing(f"source folder {self.root} does not exist")
        real = self._inside(folder)
        if real is None or not real.is_dir():
            return
        prefixes = tuple(span.prefix for span in spans)
        with os.scandir(real) as entries:
            for entry in entries:
                key = folder + entry.name
                # One comparison first, for all spans: a flat folder is mostly of other sites and days.
                if key.startswith(prefixes) and any(span.holds(key) for span in spans):
                    yield entry

    def _status(self, key: str, entry: os.DirEntry[str]) -> os.stat_result | None:
        with suppress(FileNotFoundError):  # it went since the folder was read
            if not entry.is_symlink():
                return entry.stat(follow_symlinks=False)
            real = self._inside(key)
            return None if real is None else real.stat()
        return None

    def _inside(self, key: str) -> Path | None:
        """The real path of a key, or None where there is nothing or where links lead out of the folder."""
        try:
            real = (self.root / key).resolve(strict=True)
        except (FileNotFoundError, RuntimeError):  # the latter is a loop of links, in Python 3.11
            return None
        return real if real.is_relative_to(self.root.resolve()) else None


def _file_tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"
