"""Where Level 2 volumes come from: a bucket, or a folder laid out as the bucket.

What belongs here: listing a site's day, fetching volumes, several at once, and one family of errors for
whatever can go wrong. What does not: choosing among them, and keeping them.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from nexrad_assets import sites
from nexrad_assets.names import VolumeName, day_prefix, parse_volume_name
from nexrad_assets.retry import Retry

PUBLIC_BUCKET = "s3://unidata-nexrad-level2"
"""NOAA's public archive and live feed, kept by Unidata; 1991 to minutes ago."""

REGION = "us-east-1"
SETTLED_S = 2.0
"""A file changed more recently than this may still be growing."""


class SourceError(Exception):
    """A source could not do what was asked; the message names the file or the place, and the fault."""


class SourceMissing(SourceError):  # noqa: N818 - reads as the state it reports
    """The file, bucket or folder is not there."""


class SourceRefused(SourceError):  # noqa: N818
    """The source does not let us in."""


class SourceTooLarge(SourceError):  # noqa: N818
    """The file is larger than the limit; none of it was read."""


class SourceChanged(SourceError):  # noqa: N818
    """The file is another one than was listed; the next listing tells of it."""


class SourceTruncated(SourceError):  # noqa: N818
    """What arrived, or is offered, is not of the length that was listed."""


class SourceUnavailable(SourceError):  # noqa: N818
    """The source did not answer, in time or in order; trying again later may work."""


TRANSIENT = (SourceTruncated, SourceUnavailable)
"""What is worth another attempt."""


_STATUS = re.compile(r"status code: ([0-9]{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceVolume:
    """A volume as a source lists it: `size` in bytes, `modified` in UTC, `etag` opaque.

    `key` is the path below the bucket (and its prefix) or the folder.
    """

    name: VolumeName
    key: str
    etag: str
    size: int
    modified: datetime


class Level2Source(Protocol):
    """Lists and fetches volumes; may be used from several threads."""

    def list_day(self, site: str, day: date) -> tuple[SourceVolume, ...]:
        """The volumes of a site that began on a UTC day, oldest first; empty where there are none.

        Files that are no volumes (`_MDM`, `.001`, `.Z`) or that lie in the wrong place are left out. Raises
        `UnknownSite`, `SourceError`.
        """

    def fetch(self, volume: SourceVolume) -> bytes:
        """A volume's bytes, exactly as it was listed. Raises `SourceError`."""


def open_source(location: str, endpoint: str | None = None, signed: bool = False) -> Level2Source:
    """The source at `s3://bucket[/prefix]`, or at a folder.

    `endpoint` is the address of an S3 server other than Amazon's; `signed` uses the credentials of the
    environment (`AWS_ACCESS_KEY_ID` and so on). Raises `ValueError` for any other location.
    """
    scheme, mark, rest = location.partition("://")
    if not mark:
        return FolderSource(Path(location))
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"source {location!r} is neither s3://bucket[/prefix] nor a folder")
    return BucketSource(bucket, prefix=prefix.strip("/"), endpoint=endpoint, signed=signed)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one volume: its bytes, or the error that there is instead."""

    volume: SourceVolume
    data: bytes | None = None
    error: SourceError | None = None


def fetch_all(
    source: Level2Source, volumes: Iterable[SourceVolume], *, concurrency: int, size_limit_bytes: int
) -> Iterator[Fetched]:
    """Fetch volumes and yield them in the order given, each with its bytes or its error.

    At most `concurrency` volumes are on their way, waiting or held by the consumer: the next one is
    asked for when the consumer comes back. Volumes listed as larger than `size_limit_bytes` are not asked
    for. When the consumer stops early, the end of what is under way is waited for.
    """
    pending = iter(volumes)
    waiting: deque[Future[Fetched]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="download") as pool:
        for volume in islice(pending, concurrency):
            waiting.append(pool.submit(_fetched, source, volume, size_limit_bytes))
        while waiting:
            yield waiting.popleft().result()
            for volume in islice(pending, 1):
                waiting.append(pool.submit(_fetched, source, volume, size_limit_bytes))


def _fetched(source: Level2Source, volume: SourceVolume, size_limit_bytes: int) -> Fetched:
    if volume.size > size_limit_bytes:
        fault = f"{volume.key}: {volume.size} bytes, above the limit of {size_limit_bytes}"
        return Fetched(volume, error=SourceTooLarge(fault))
    try:
        return Fetched(volume, source.fetch(volume))
    except SourceError as fault:
        return Fetched(volume, error=fault)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder laid out as the bucket: `YYYY/MM/DD/SSSS/name`.

    Links are followed inside the folder, and never out of it. `clock` gives seconds since 1970.
    """

    root: Path
    clock: Callable[[], float] = time.time

    def list_day(self, site: str, day: date) -> tuple[SourceVolume, ...]:
        """The volumes that have not changed for `SETTLED_S`. See `Level2Source`."""
        sites.site(site)
        prefix = day_prefix(site, day)
        try:
            if not self.root.is_dir():
                raise SourceMissing(f"source folder {self.root} does not exist")
            folder = self._inside(prefix)
            files = [] if folder is None or not folder.is_dir() else list(folder.iterdir())
            return _oldest_first(self._settled(files, prefix), site, day)
        except OSError as fault:
            raise SourceUnavailable(f"{self.root / prefix}: cannot be listed: {fault}") from fault

    def fetch(self, volume: SourceVolume) -> bytes:
        """Read a file, if it is still the one that was listed. See `Level2Source`."""
        try:
            path = self._inside(volume.key)
            if path is None:
                raise SourceMissing(f"{self.root / volume.key}: no such file")
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                _check_listed(volume, str(path), status.st_size, _file_tag(status))
                data = file.read(volume.size + 1)
        except OSError as fault:
            raise SourceUnavailable(f"{self.root / volume.key}: cannot be read: {fault}") from fault
        return _check_length(volume, str(path), data)

    def _settled(self, files: Iterable[Path], prefix: str) -> Iterator[SourceVolume]:
        for path in files:
            name, real = parse_volume_name(path.name), self._inside(prefix + path.name)
            if name is None or real is None:
                continue
            status = real.stat()
            # A clock ahead of ours (a network file system's) dates files into the future: the same care.
            if stat.S_ISREG(status.st_mode) and abs(self.clock() - status.st_mtime) >= SETTLED_S:
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield SourceVolume(name, prefix + path.name, _file_tag(status), status.st_size, modified)

    def _inside(self, key: str) -> Path | None:
        """The real path of a key, or None where there is nothing or where links lead out of the folder."""
        try:
            real = (self.root / key).resolve(strict=True)
        except (FileNotFoundError, RuntimeError):  # the latter is a loop of links, in Python 3.11
            return None
        return real if real.is_relative_to(self.root.resolve()) else None


@dataclass(frozen=True, slots=True)
class BucketSource:
    """A bucket of any S3 server; anonymous unless `signed`.

    A connection is waited for `connect_s`, a whole request `request_s`; what may pass by itself is tried
    again as `retry` says.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    signed: bool = False
    connect_s: float = 5.0
    request_s: float = 60.0
    retry: Retry = field(default_factory=Retry)
    _store: S3Store = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Unsigned requests need no region; signed ones are of the bucket's own.
        region = os.environ.get("AWS_REGION", REGION) if self.signed else REGION
        address = (self.endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
        # AWS_* variables speak of the store, and fill in whatever is not given here; of the endpoint's
        # names, this one wins over all that the environment may have.
        store = S3Store(
            self.bucket,
            prefix=self.prefix or None,
            aws_endpoint_url_s3=address,
            region=region,
            skip_signature=not self.signed,
            virtual_hosted_style_request=False,
            client_options={
                "connect_timeout": f"{round(self.connect_s * 1000)}ms",
                "timeout": f"{round(self.request_s * 1000)}ms",
                "allow_http": address.startswith("http://"),
            },
            retry_config={"max_retries": 0},
        )
        object.__setattr__(self, "_store", store)

    @property
    def place(self) -> str:
        """The bucket as messages name it."""
        where = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return where if self.endpoint is None else f"{where} at {self.endpoint}"

    def list_day(self, site: str, day: date) -> tuple[SourceVolume, ...]:
        """One or a few requests. See `Level2Source`."""
        sites.site(site)
        return self.retry.run(lambda: self._list(site, day), TRANSIENT)

    def fetch(self, volume: SourceVolume) -> bytes:
        """One request, unless tried again. See `Level2Source`."""
        return self.retry.run(lambda: self._get(volume), TRANSIENT)

    def _list(self, site: str, day: date) -> tuple[SourceVolume, ...]:
        prefix = day_prefix(site, day)
        found = []
        try:
            for page in obstore.list(self._store, prefix):
                for meta in page:
                    name = parse_volume_name(meta["path"].rpartition("/")[2])
                    tag = _bare(meta["e_tag"])
                    if name is not None:
                        found.append(
                            SourceVolume(name, meta["path"], tag, meta["size"], meta["last_modified"])
                        )
        except (BaseError, OSError) as fault:
            raise self._translated(fault, prefix) from fault
        return _oldest_first(
            (volume for volume in found if volume.key == prefix + volume.name.file_name), site, day
        )

    def _get(self, volume: SourceVolume) -> bytes:
        where = f"{self.place}: {volume.key}"
        try:
            answer = obstore.get(self._store, volume.key)
            _check_listed(volume, where, answer.meta["size"], _bare(answer.meta["e_tag"]))
            data = answer.bytes().to_bytes()
        except (BaseError, OSError) as fault:
            raise self._translated(fault, volume.key) from fault
        return _check_length(volume, where, data)

    def _translated(self, fault: Exception, key: str) -> SourceError:
        told = _first_line(fault)
        # obstore has classes for the status of a get; of a listing it only says it in words.
        status = match[1] if (match := _STATUS.search(told)) else ""
        if isinstance(fault, (FileNotFoundError, NotFoundError)) or status == "404":
            return SourceMissing(f"{self.place}: no {key}, or no such bucket")
        refusals = (PermissionError, PermissionDeniedError, UnauthenticatedError)
        if isinstance(fault, refusals) or status in {"401", "403"}:
            access = "the credentials of the environment were" if self.signed else "anonymous access was"
            return SourceRefused(f"{self.place}: {access} refused for {key}")
        return SourceUnavailable(f"{self.place}: {key}: {told}")


def _oldest_first(found: Iterable[SourceVolume], site: str, day: date) -> tuple[SourceVolume, ...]:
    mine = (volume for volume in found if volume.name.site == site and volume.name.day == day)
    return tuple(sorted(mine, key=lambda volume: (volume.name.time, volume.key)))


def _check_listed(volume: SourceVolume, where: str, size: int, etag: str) -> None:
    if size != volume.size:
        raise SourceTruncated(f"{where}: {size} bytes are offered where {volume.size} were listed")
    if etag != volume.etag:
        raise SourceChanged(f"{where}: was replaced after it was listed ({volume.etag} is now {etag})")


def _check_length(volume: SourceVolume, where: str, data: bytes) -> bytes:
    if len(data) != volume.size:
        raise SourceTruncated(f"{where}: {len(data)} bytes came of {volume.size}")
    return data


def _file_tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _first_line(fault: Exception) -> str:
    return str(fault).strip().partition("\n")[0] or type(fault).__name__
