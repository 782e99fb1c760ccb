"""A bucket of any S3 server, as a source."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from nexrad_assets.sources.absences import Absences, asked_from
from nexrad_assets.sources.flat_listing import FlatListing, ListingFault
from nexrad_assets.sources.layouts import LEVEL2, Layout, Span
from nexrad_assets.sources.remote import (
    TRANSIENT,
    RemoteFile,
    SourceError,
    SourceMissing,
    SourceRefused,
    SourceUnavailable,
    check_length,
    check_listed,
    oldest_first,
)
from store.retry import Retry

if TYPE_CHECKING:
    from obstore import ObjectMeta

REGION = "us-east-1"

LISTINGS = 8
"""Spans of one call that are listed at a time."""

_FAULTS = (BaseError, OSError, ListingFault)
_STATUS = re.compile(r"status code: ([0-9]{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BucketSource:
    """A bucket of any S3 server; anonymous unless `signed`.

    A connection is waited for `connect_s`, a whole request `request_s` (of a flat listing, each piece of its
    answer); what may pass by itself is tried again as `retry` says. `clock` gives seconds since 1970.
    """

    bucket: str
    layout: Layout = LEVEL2
    prefix: str = ""
    endpoint: str | None = None
    signed: bool = False
    connect_s: float = 5.0
    request_s: float = 60.0
    retry: Retry = field(default_factory=Retry)
    clock: Callable[[], float] = time.time
    _store: S3Store = field(init=False, repr=False, compare=False)
    _flat: FlatListing = field(init=False, repr=False, compare=False)
    _absences: Absences = field(default_factory=Absences, init=False, repr=False, compare=False)

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
        flat = FlatListing(self.bucket, address, region, self.signed, self.connect_s, self.request_s)
        object.__setattr__(self, "_store", store)
        object.__setattr__(self, "_flat", flat)

    @property
    def place(self) -> str:
        """The bucket as messages name it."""
        where = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return where if self.endpoint is None else f"{where} at {self.endpoint}"

    def list_day(
        self, site: str, day: date, since: datetime | None = None, *, archive: bool = False
    ) -> tuple[RemoteFile, ...]:
        """One or a few requests a span, several spans at a time; the first fault ends it. See `Source`.

        Of today, but not for an archive, what was absent a short while ago is not asked for (see `Absences`).
        """
        now = datetime.fromtimestamp(self.clock(), UTC)
        spans = self.layout.spans(site, day, since, archive=archive)
        if day == now.date() and not archive:
            spans = tuple(span for span in spans if not self._absences.believed(span.subject, now))
        files = self._list_spans(spans)
        if day == now.date():
            for span, found in zip(spans, files, strict=True):
                self._absences.note(span.subject, not found, asked_from(day, since), now)
        return oldest_first((file for found in files for file in found), site, day)

    def fetch(self, file: RemoteFile) -> bytes:
        """One request, unless tried again. See `Source`."""
        return self.retry.run(lambda: self._get(file), TRANSIENT)

    def _list_spans(self, spans: Sequence[Span]) -> list[list[RemoteFile]]:
        if len(spans) <= 1:
            return [self._list_span(span) for span in spans]
        with ThreadPoolExecutor(LISTINGS, thread_name_prefix="list") as pool:
            listings = [pool.submit(self._list_span, span) for span in spans]
            done, _ = wait(listings, return_when=FIRST_EXCEPTION)
            pool.shutdown(wait=False, cancel_futures=True)
            for listing in done:
                listing.result()  # raises what ended it
        return [listing.result() for listing in listings]

    def _list_span(self, span: Span) -> list[RemoteFile]:
        return self.retry.run(lambda: self._list(span), TRANSIENT)

    def _list(self, span: Span) -> list[RemoteFile]:
        found = []
        try:
            for meta in self._objects(span):
                name = self.layout.parse(meta["path"].removeprefix(span.folder))
                if name is not None:
                    tag = _bare(meta["e_tag"])
                    found.append(RemoteFile(name, meta["path"], tag, meta["size"], meta["last_modified"]))
        except _FAULTS as fault:
            raise self._translated(fault, span.prefix) from fault
        return found

    def _objects(self, span: Span) -> Iterator[ObjectMeta]:
        if span.prefix == span.folder:
            for page in obstore.list(self._store, span.prefix, offset=span.after):
                yield from page
            return
        above = f"{self.prefix}/" if self.prefix else ""
        after = None if span.after is None else above + span.after
        for meta in self._flat.objects(above + span.prefix, after):
            yield {**meta, "path": meta["path"].removeprefix(above)}

    def _get(self, file: RemoteFile) -> bytes:
        where = f"{self.place}: {file.key}"
        try:
            answer = obstore.get(self._store, file.key)
            check_listed(file, where, answer.meta["size"], _bare(answer.meta["e_tag"]))
            data = answer.bytes().to_bytes()
        except _FAULTS as fault:
            raise self._translated(fault, file.key) from fault
        return check_length(file, where, data)

    def _translated(self, fault: Exception, key: str) -> SourceError:
        status = _status(fault)
        if status == 404:
            return SourceMissing(f"{self.place}: no {key}, or no such bucket")
        if status in {401, 403}:
            access = "the credentials of the environment were" if self.signed else "anonymous access was"
            return SourceRefused(f"{self.place}: {access} refused for {key}")
        return SourceUnavailable(f"{self.place}: {key}: {_first_line(fault)}")


def _status(fault: Exception) -> int:
    """The HTTP status that a client's error stands for, 0 where it is about none."""
    if isinstance(fault, ListingFault):
        return fault.status
    if isinstance(fault, (FileNotFoundError, NotFoundError)):
        return 404
    if isinstance(fault, (PermissionError, PermissionDeniedError, UnauthenticatedError)):
        return 403
    # obstore has classes for the status of a get; of a listing it only says it in words.
    match = _STATUS.search(_first_line(fault))
    return int(match[1]) if match else 0


def _bare(etag: str | None) -> str:
    return (etag or "").strip('"')


def _first_line(fault: Exception) -> str:
    return str(fault).strip().partition("\n")[0] or type(fault).__name__
