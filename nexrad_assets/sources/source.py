"""Where radar files come from: a bucket, or a folder laid out as the bucket; of Level 2 or of Level 3.

What belongs here: opening a source, fetching several files at once, and every name that the rest of the
package needs of sources. What does not: choosing among the files, and keeping them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nexrad_assets.sources.bucket import BucketSource
from nexrad_assets.sources.folder import SETTLED_S, FolderSource
from nexrad_assets.sources.layouts import Layout
from nexrad_assets.sources.remote import (
    TRANSIENT,
    RemoteFile,
    Source,
    SourceChanged,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceTooLarge,
    SourceTruncated,
    SourceUnavailable,
)

__all__ = [
    "BucketSource",
    "Fetched",
    "FolderSource",
    "PUBLIC_LEVEL2",
    "PUBLIC_LEVEL3",
    "RemoteFile",
    "SETTLED_S",
    "Source",
    "SourceChanged",
    "SourceError",
    "SourceMissing",
    "SourceRefused",
    "SourceTooLarge",
    "SourceTruncated",
    "SourceUnavailable",
    "TRANSIENT",
    "fetch_all",
    "open_source",
]

PUBLIC_LEVEL2 = "s3://unidata-nexrad-level2"
"""NOAA's public archive and live feed of volumes, kept by Unidata; 1991 to minutes ago."""

PUBLIC_LEVEL3 = "s3://unidata-nexrad-level3"
"""NOAA's public archive and live feed of products, kept by Unidata; about 2020 to minutes ago."""


def open_source(location: str, layout: Layout, endpoint: str | None = None, signed: bool = False) -> Source:
    """The source at `s3://bucket[/prefix]`, or at a folder, laid out as `layout` says.

    `endpoint` is the address of an S3 server other than Amazon's; `signed` uses the credentials of the
    environment (`AWS_ACCESS_KEY_ID` and so on). Raises `ValueError` for any other location.
    """
    scheme, mark, rest = location.partition("://")
    if not mark:
        return FolderSource(Path(location), layout)
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"source {location!r} is neither s3://bucket[/prefix] nor a folder")
    return BucketSource(bucket, layout, prefix=prefix.strip("/"), endpoint=endpoint, signed=signed)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one file: it was kept, or there is an error instead."""

    file: RemoteFile
    error: SourceError | None = None


def fetch_all(
    source: Source,
    files: Iterable[RemoteFile],
    *,
    concurrency: int,
    size_limit_bytes: int,
    keep: Callable[[RemoteFile, bytes], None],
) -> Iterator[Fetched]:
    """Fetch files and hand each to `keep`, in as many threads; yield what became of them in the order given.

    At most `concurrency` files are on their way: the next one is asked for when the consumer comes back. Files
    listed as larger than `size_limit_bytes` are not asked for. When the consumer stops early, the end of what is
    under way is waited for. What `keep` raises is raised here.
    """
    pending = iter(files)
    waiting: deque[Future[Fetched]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="download") as pool:
        for file in islice(pending, concurrency):
            waiting.append(pool.submit(_fetched, source, file, size_limit_bytes, keep))
        while waiting:
            yield waiting.popleft().result()
            for file in islice(pending, 1):
                waiting.append(pool.submit(_fetched, source, file, size_limit_bytes, keep))


def _fetched(
    source: Source, file: RemoteFile, size_limit_bytes: int, keep: Callable[[RemoteFile, bytes], None]
) -> Fetched:
    if file.size > size_limit_bytes:
        fault = f"{file.key}: {file.size} bytes, above the limit of {size_limit_bytes}"
        return Fetched(file, error=SourceTooLarge(fault))
    try:
        data = source.fetch(file)
    except SourceError as fault:
        return Fetched(file, error=fault)
    keep(file, data)
    return Fetched(file)
