"""What becomes of a field that came: settled, unpacked, verified, kept.

What belongs here: one field. What does not: which fields are asked for, and the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from dwd_assets.archive import Content
from dwd_assets.constants import Constants
from dwd_assets.field_checks import check_field
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.packing import unpack_bzip2
from dwd_assets.formats.paths import version_path
from dwd_assets.office import Office
from dwd_assets.opendata.errors import Encoded, NotAsListed, NotYet, OpendataError, TooLarge, Truncated
from dwd_assets.opendata.messages import Body, NotModified
from dwd_assets.opendata.settling import is_settled
from dwd_assets.run_fields import Field
from store.ledger import Failed, Kept, Source
from store.objects import StoreError

LONGEST_FIELD = 256 << 20
"""Bytes that a field may unpack to; a global field of ICON has up to 12 million."""

_CAME = (Truncated, NotAsListed, Encoded, TooLarge)
"""Errors that tell of the file, not of the server."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a field: one of `kept`, `failed`, `fault` (of the store), `absent`, or nothing new.

    age: how long it had been on the server. by_server: it failed because no file came at all. bytes: as they came.
    """

    field: Field
    kept: Kept | None = None
    failed: Failed | None = None
    fault: StoreError | None = None
    absent: bool = False
    by_server: bool = False
    age: timedelta = timedelta(days=1)
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps fields of one run; may be used from many threads. `before` is what the ledger says is kept."""

    office: Office
    constants: Constants
    before: Mapping[str, Kept] = field(default_factory=dict)

    def handle(self, wanted: Field, result: Body | NotModified | OpendataError) -> Fetched:
        """Deal with an answer. Raises only what no other field could be spared: a decoder that does not start."""
        now = self.office.clock()
        match result:
            case Body():
                return self._kept(wanted, result, now)
            case NotYet():
                return Fetched(wanted, absent=True)
            case OpendataError():
                by_server = not isinstance(result, _CAME)
                return Fetched(wanted, failed=Failed(str(result), now), by_server=by_server)
        return Fetched(wanted)

    def _kept(self, wanted: Field, body: Body, now: datetime) -> Fetched:
        modified = body.received.version.modified
        age = timedelta(days=1) if modified is None else now - modified
        if modified is not None and not is_settled(modified, now):
            return Fetched(wanted, absent=True)
        came = Fetched(wanted, age=age, bytes=body.received.size)
        try:
            plain, notes = self._verified(wanted, body)
            content = Content.packed(plain)
            kept = self._stored(wanted, content, self._source(wanted, body, now), now)
        except FormatError as fault:
            return self._refused(came, body, str(fault), now)
        except StoreError as fault:
            return replace(came, fault=fault)
        # Of two servers one may be behind: then what it gave is an earlier content.
        return replace(came, kept=_noted(kept, notes) if kept.sha256 == content.sha256 else kept)

    def _verified(self, wanted: Field, body: Body) -> tuple[bytes, tuple[str, ...]]:
        """The GRIB and notes about it. bzip2 has checksums; a file of the v1 tree has to be decoded instead."""
        if wanted.is_packed:
            plain = unpack_bzip2(body.data, wanted.address, LONGEST_FIELD)
            return plain, check_field(plain, wanted.key, wanted.address, None)
        return body.data, check_field(body.data, wanted.key, wanted.address, self.office.worker)

    def _stored(self, wanted: Field, content: Content, source: Source, now: datetime) -> Kept:
        archive, before = self.office.archive, self.before.get(wanted.path)
        if wanted.key.level_type != "time-invariant":
            return archive.keep(wanted.path, content, source, before, now)
        if before is None:
            held = self.constants.keep(wanted.key, wanted.path, content, source, now)
            if held is not None:
                return held
        elif before.held_at is not None:
            if before.sha256 == content.sha256:
                return msgspec.structs.replace(before, source=source)
            archive.store.copy(before.held_at, version_path(wanted.path, before.sha256))
        kept = archive.keep(wanted.path, content, source, before, now)
        if kept.sha256 == content.sha256:
            self.constants.note(wanted.key, wanted.path, content.sha256)
        return kept

    def _refused(self, came: Fetched, body: Body, reason: str, now: datetime) -> Fetched:
        try:
            self.office.archive.quarantine(came.field.path, body.data)
        except StoreError as fault:
            return replace(came, fault=fault)
        return replace(came, failed=Failed(reason, now, etag=body.received.version.etag))

    def _source(self, wanted: Field, body: Body, now: datetime) -> Source:
        received = body.received
        return Source(
            url=self.office.client.base_url + wanted.address,
            fetched_at=now,
            length=received.size,
            sha256=received.sha256,
            etag=received.version.etag,
            modified=received.version.modified,
            codec="bzip2" if wanted.is_packed else "none",
        )


def _noted(kept: Kept, notes: tuple[str, ...]) -> Kept:
    return msgspec.structs.replace(kept, notes=notes)
