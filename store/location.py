"""From a setting to a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from store.objects import Store
from store.posix import PosixStore


def open_store(location: str, endpoint: str | None = None) -> Store:
    """The store at a folder's path, a `file://` URL of one, or `s3://bucket[/prefix]`.

    `endpoint` is the address of an S3 server that is not Amazon's; a folder has none. Raises `ValueError`
    for anything else, `StoreUnavailable` where a folder cannot be made.
    """
    scheme, separator, _ = location.partition("://")
    if not location:
        raise ValueError("the store's location is empty: a folder or s3://bucket[/prefix] is needed")
    if not separator:
        return PosixStore(Path(location).expanduser())
    if scheme == "file":
        return PosixStore(_folder(location))
    if scheme == "s3":
        return _bucket(location, endpoint)
    raise ValueError(f"{location!r}: a store is a folder, file:///folder or s3://bucket[/prefix]")


def _folder(location: str) -> Path:
    parts = urlsplit(location)
    if parts.netloc not in {"", "localhost"} or not parts.path or parts.query or parts.fragment:
        raise ValueError(f"{location!r}: a file URL is file:///absolute/folder")
    return Path(unquote(parts.path))


def _bucket(location: str, endpoint: str | None) -> Store:
    from store.s3 import S3Store  # noqa: PLC0415 - a folder needs no S3 client

    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    if not bucket:
        raise ValueError(f"{location!r}: an S3 location is s3://bucket[/prefix]")
    prefix = prefix.rstrip("/")
    try:
        return S3Store(bucket, f"{prefix}/" if prefix else "", endpoint)
    except ValueError as fault:
        raise ValueError(f"{location!r}: {fault}") from fault
