"""The store on an S3 bucket, or on any server that speaks its protocol with conditional writes.

Every object carries the SHA-256 of its bytes as user metadata, which `get` compares (an ETag is not a
digest everywhere: not under SSE-KMS, for one). What is sent is checked by the server against the SHA-256 in
`x-amz-checksum-sha256`; not every server checks it against the one in the request's signature.

A conditional write is not left to the client's own retries: when an answer is lost, the write may have
happened, and its retry would find its own object and take it for another writer's. So it carries an id,
and a retry that is refused looks whether the object there has it.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions
from obstore import store as clients

from store.objects import (
    ObjectChanged,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    OpenObject,
    StoredObject,
    StoreError,
    StoreUnavailable,
    checked,
    checked_prefix,
)

if TYPE_CHECKING:
    from obstore import Attributes, ObjectMeta, PutMode
    from obstore.store import ClientConfig, RetryConfig, S3Config

T = TypeVar("T")

_DIGEST = "sha256"
_WRITE_ID = "write"
_PAGE = 1000
_RETRY_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0


class _Unsure(StoreUnavailable):
    """No answer, or one that says nothing of what was done: worth another try, which must be careful."""


class _DamagedError(StoreError):
    """Bytes arrived that are not those of the object."""


_FAULTS: tuple[tuple[type[Exception], type[StoreError]], ...] = (
    (FileNotFoundError, ObjectMissing),
    (exceptions.AlreadyExistsError, ObjectExists),
    (exceptions.PreconditionError, ObjectChanged),
    (exceptions.PermissionDeniedError, StoreUnavailable),
    (exceptions.UnauthenticatedError, StoreUnavailable),
    (exceptions.GenericError, _Unsure),
    (exceptions.BaseError, StoreError),
)
"""What the client raises, and what that is here; the first that fits."""

_NO_BUCKET = "<Code>NoSuchBucket</Code>"
"""In the body of a refusal, whatever the client makes of it; the answer to a HEAD has none."""

_CAUGHT = tuple(theirs for theirs, _ in _FAULTS)

_used_by: set[int] = set()


class S3Store:
    """A `Store` on a bucket, below `prefix` (empty, or ending with `/`).

    `endpoint` is the address of a server that is not Amazon's; plain HTTP is used only where it says
    `http://`. What is not given here is read from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    `AWS_SESSION_WRITE_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL` and so on, credentials also from a container's or
    machine's role. A request ends after `timeout_s` at the latest; it is tried again up to `retries` times,
    until `timeout_s` have gone since the first.

    The underlying client does not survive a fork: a child process that was forked after the first use gets a
    `StoreError`. Start children by spawn or forkserver.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        connect_timeout_s: float = 5.0,
        timeout_s: float = 30.0,
        retries: int = 3,
    ) -> None:
        self.bucket = bucket
        self.prefix = checked_prefix(prefix)
        self.endpoint = endpoint
        self._keys = {"access_key_id": access_key_id, "secret_access_key": secret_access_key}
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = timeout_s
        self._retries = retries
        self._connect()

    def __repr__(self) -> str:
        return f"S3Store('s3://{self.bucket}/{self.prefix}', endpoint={self.endpoint!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"_client", "_once"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._connect()

    def get(self, key: str) -> StoredObject:
        """Read a whole object. Raises `ObjectMissing`, and `StoreError` if the bytes fail their digest."""
        checked(key)
        return self._retried(lambda _: self._read(key))  # not by the client, which looks at no digest

    def open(self, key: str) -> OpenObject:
        """Look at an object, to read this very version of it in pieces. Raises `ObjectMissing`.

        Unlike with `get`, nothing compares what arrives with the object's digest.
        """
        info = self.head(key)
        return _OpenObject(
            info, lambda start, length: self._retried(lambda _: self._part(info, start, length))
        )

    def head(self, key: str) -> ObjectInfo:
        """Look at an object without reading it. Raises `ObjectMissing`, also where there is no such bucket."""
        checked(key)
        with self._faults(key):
            return _info(obstore.head(self._client, key))

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write an object whatever was there before. The time in the answer is this machine's."""
        checked(key)
        attributes = _attributes(data, content_type)
        return self._retried(lambda _: self._sent(key, data, attributes, "overwrite"))

    def create(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Write an object where none is. Raises `ObjectExists`. The time in the answer is this machine's."""
        return self._conditional(key, data, content_type, "create")

    def replace(
        self, key: str, data: bytes, etag: str, content_type: str = "application/octet-stream"
    ) -> ObjectInfo:
        """Write an object in place of exactly the version `etag`. Raises `ObjectChanged`.

        Where a server's ETag is a digest, two versions of the same bytes are one. The time in the answer is
        this machine's.
        """
        try:
            return self._conditional(key, data, content_type, {"e_tag": etag})
        except ObjectMissing as fault:  # Amazon's answer to If-Match where nothing is
            raise ObjectChanged(str(fault)) from fault

    def copy(self, source: str, key: str) -> ObjectInfo:
        """Let the server copy an object. Raises `ObjectMissing`."""
        checked(source)
        with self._faults(f"{checked(key)} (copy of {source})"):
            if source != key:  # which S3 refuses
                obstore.copy(self._client, source, key, overwrite=True)
        return self.head(key)

    def free_bytes(self) -> int | None:
        """None: a bucket does not say."""
        return None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`, in key order; what has no valid key is left out.

        The marker that another client made for a folder (`a/`) looks like an empty object (`a`).

        Lazy: held in memory is a page, or a folder of `prefix` where that is more (see `_in_key_order`).
        """
        checked_prefix(prefix)
        return _in_key_order(self._listed(prefix), prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; a key that is not there is no error."""
        wanted = [checked(key) for key in keys]
        if wanted:
            with self._faults(f"{wanted[0]} and {len(wanted) - 1} more"):
                obstore.delete(self._client, wanted)

    def _connect(self) -> None:
        self._client = self._new_client(self._retries)
        self._once = self._new_client(0)

    def _new_client(self, retries: int) -> clients.S3Store:
        config: S3Config = {"checksum_algorithm": "sha256"}
        for name, value in self._keys.items():
            if value is not None:
                config[name] = value  # type: ignore[literal-required]
        endpoint = (
            self.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        )
        if endpoint:
            # the name that wins over the others, so that the environment cannot redirect a given endpoint
            config["aws_endpoint_url_s3"] = endpoint
        options: ClientConfig = {
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=self._connect_timeout_s),
            "timeout": timedelta(seconds=self._timeout_s),
        }
        retry: RetryConfig = {
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=self._timeout_s),
            "backoff": {
                "init_backoff": timedelta(seconds=_RETRY_WAIT_S),
                "max_backoff": timedelta(seconds=_LONGEST_WAIT_S),
                "base": 2,
            },
        }
        return clients.S3Store(
            self.bucket, prefix=self.prefix or None, config=config, client_options=options, retry_config=retry
        )

    def _read(self, key: str) -> StoredObject:
        with self._faults(key):
            answer = obstore.get(self._once, key)
            data = bytes(answer.bytes())
            info = _info(answer.meta)
            digest = answer.attributes.get(_DIGEST)
        if len(data) != info.size:
            raise _DamagedError(f"{key}: {len(data)} bytes arrived of {info.size}")
        if digest is not None and digest != hashlib.sha256(data).hexdigest():
            raise _DamagedError(
                f"{key}: the bytes that arrived do not have the SHA-256 {digest} they were written with"
            )
        return StoredObject(info, data)

    def _part(self, info: ObjectInfo, start: int, length: int) -> bytes:
        with self._faults(info.key):
            answer = obstore.get(
                self._once, info.key, options={"if_match": info.etag, "range": (start, start + length)}
            )
            data = bytes(answer.bytes())
        if len(data) != length:
            raise _DamagedError(f"{info.key}: {len(data)} bytes arrived of {length} from {start} on")
        return data

    def _retried(self, request: Callable[[int], T]) -> T:
        """The answer to a request, which is told how many times it was made before."""
        began_s = time.monotonic()
        attempt = 0
        while True:
            try:
                return request(attempt)
            except (_Unsure, _DamagedError):
                if attempt >= self._retries or time.monotonic() - began_s > self._timeout_s:
                    raise
            time.sleep(random.uniform(0, min(_RETRY_WAIT_S * 2**attempt, _LONGEST_WAIT_S)))
            attempt += 1

    def _sent(self, key: str, data: bytes, attributes: Attributes, mode: PutMode) -> ObjectInfo:
        with self._faults(key):
            # whole in one request: what is written in parts cannot be conditional
            answer = obstore.put(self._once, key, data, attributes=attributes, mode=mode, use_multipart=False)
        return ObjectInfo(key, len(data), _etag(answer["e_tag"], key), datetime.now(UTC))

    def _conditional(self, key: str, data: bytes, content_type: str, mode: PutMode) -> ObjectInfo:
        checked(key)
        write_id = uuid.uuid4().hex
        attributes = _attributes(data, content_type) | {_WRITE_ID: write_id}

        def send(attempt: int) -> ObjectInfo:
            try:
                return self._sent(key, data, attributes, mode)
            except (ObjectExists, ObjectChanged, ObjectMissing):
                if attempt and (ours := self._written_as(key, write_id)) is not None:
                    return ours
                raise

        return self._retried(send)

    def _written_as(self, key: str, write_id: str) -> ObjectInfo | None:
        """The object, if it is there and the conditional write of this id made it."""
        with self._faults(key):
            try:
                answer = obstore.get(self._client, key, options={"head": True})
            except FileNotFoundError:
                return None
            return _info(answer.meta) if answer.attributes.get(_WRITE_ID) == write_id else None

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._faults(f"{prefix} (listing)"):
            for page in obstore.list(self._client, prefix or None, chunk_size=_PAGE):
                yield from (_info(meta) for meta in page if _is_key(meta["path"]))

    @contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        """Translate what the client says, naming the bucket and the key that was asked for."""
        _guard_against_fork()
        try:
            yield
        except _CAUGHT as fault:
            raise self._translated(what, fault) from fault

    def _translated(self, what: str, fault: Exception) -> StoreError:
        told = str(fault).partition("\n\nDebug source")[0]
        message = f"s3://{self.bucket}/{self.prefix}{what}: {told}"
        if _NO_BUCKET in told:
            server = self.endpoint or "the server that the environment names"
            return StoreUnavailable(
                f"the bucket {self.bucket!r} does not exist (NoSuchBucket), asked of {server} for "
                f"s3://{self.bucket}/{self.prefix}{what}: create it, or correct the store's location"
            )
        return next(ours for theirs, ours in _FAULTS if isinstance(fault, theirs))(message)


class _OpenObject:
    """A version of an object: every part is asked for under the condition that it is still this one."""

    def __init__(self, info: ObjectInfo, part: Callable[[int, int], bytes]) -> None:
        self.info = info
        self._part = part
        self._closed = False

    def read(self, start: int, length: int) -> bytes:
        """Exactly these bytes of this version. Raises `ObjectChanged` where it is not there any more."""
        if self._closed:
            raise ValueError(f"{self.info.key}: closed")
        try:
            return self._part(start, length) if length else b""
        except ObjectMissing as fault:
            raise ObjectChanged(str(fault)) from fault

    def close(self) -> None:
        """Read no more."""
        self._closed = True


def _guard_against_fork() -> None:
    """Raise `StoreError` in a process forked from one that used the client: there it would wait for ever."""
    _used_by.add(os.getpid())
    if len(_used_by) > 1:
        raise StoreError("the S3 client was used before this process was forked: start children by spawn")


def _attributes(data: bytes, content_type: str) -> Attributes:
    return {"Content-Type": content_type, _DIGEST: hashlib.sha256(data).hexdigest()}


def _info(meta: ObjectMeta) -> ObjectInfo:
    key = meta["path"]
    return ObjectInfo(key, meta["size"], _etag(meta["e_tag"], key), meta["last_modified"])


def _etag(etag: str | None, key: str) -> str:
    if etag is None:
        raise StoreError(f"{key}: the server gives no ETag, without which nothing can be replaced safely")
    return etag


def _is_key(path: str) -> bool:
    try:
        checked(path)
    except ValueError:
        return False
    return True


def _in_key_order(infos: Iterable[ObjectInfo], prefix: str) -> Iterator[ObjectInfo]:
    """Order what a server lists by key, or folder by folder (SeaweedFS; `a/b` before `a-b`).

    Either way the keys whose first segment below `prefix` begins with the same characters are next to each
    other; so it is enough to sort from one segment to the next that does not begin with it.
    """
    held: list[ObjectInfo] = []
    root = ""
    for info in infos:
        if not held or not info.key.startswith(root):
            yield from sorted(held, key=attrgetter("key"))
            held = []
            root = prefix + info.key[len(prefix) :].partition("/")[0]
        held.append(info)
    yield from sorted(held, key=attrgetter("key"))
