"""What becomes of a field that came: settled, unpacked, verified, kept.

What belongs here: one field. What does not: which fields are asked for, and the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from dwd_assets.archive.storing import Content
from dwd_assets.fields.constants import Constants
from dwd_assets.fields.expected import Field
from dwd_assets.fields.history import series_of
from dwd_assets.fields.identity import FieldIdentities, NotThisField, identity_series
from dwd_assets.fields.verification import CheckedField, check_field
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grid import NativeGrid
from dwd_assets.formats.packing import unpack_bzip2
from dwd_assets.formats.paths import version_path
from dwd_assets.opendata.errors import (
    Encoded,
    NotAsListed,
    NotYet,
    OpendataError,
    TooLarge,
    Truncated,
    Unsettled,
)
from dwd_assets.opendata.messages import Body, NotModified
from dwd_assets.opendata.settling import is_settled
from dwd_assets.periods.context import Office
from store.dwd.ledger import Failed, Kept, Source
from store.objects import StoreError

LONGEST_FIELD = 256 << 20
"""Bytes that a field may unpack to; a global field of ICON has up to 12 million."""

_CAME = (Truncated, NotAsListed, Encoded, TooLarge)
"""Errors that tell of the file, not of the server."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of a field: one of `kept`, `failed`, `fault` (of the store), `absent`, or nothing new.

    age: how long it had been on the server. by_server: it failed because no file came at all. bytes: as they came.
    is_young: it is absent because what is there changed a moment ago.
    """

    field: Field
    kept: Kept | None = None
    failed: Failed | None = None
    fault: StoreError | None = None
    absent: bool = False
    by_server: bool = False
    is_young: bool = False
    age: timedelta = timedelta(days=1)
    bytes: int = 0


def grid_id(grid: NativeGrid) -> str:
    """How a ledger names a grid of triangles: its number and the first digits of its UUID."""
    return f"{grid.number}-{grid.uuid[:8]}"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps fields of one run; may be used from many threads. `before` is what the ledger says is kept."""

    office: Office
    constants: Constants
    identities: FieldIdentities
    before: Mapping[str, Kept] = field(default_factory=dict)

    def handle(self, wanted: Field, result: Body | NotModified | OpendataError) -> Fetched:
        """Deal with an answer. Raises only what no other field could be spared: a decoder that does not start."""
        now = self.office.clock()
        match result:
            case Body():
                return self._kept(wanted, result, now)
            case NotYet():
                return Fetched(wanted, absent=True, is_young=isinstance(result, Unsettled))
            case OpendataError():
                by_server = not isinstance(result, _CAME)
                return Fetched(wanted, failed=Failed(str(result), now), by_server=by_server)
        return Fetched(wanted)

    def _kept(self, wanted: Field, body: Body, now: datetime) -> Fetched:
        modified = body.received.version.modified
        age = timedelta(days=1) if modified is None else now - modified
        if modified is not None and not is_settled(modified, now):
            return Fetched(wanted, absent=True, is_young=True)
        came = Fetched(wanted, age=age, bytes=body.received.size)
        try:
            plain, found = self._verified(wanted, body)
            content = Content.packed(plain)
            try:
                self._identify(wanted, found)
            except NotThisField as fault:
                return self._not_this(came, body, content, str(fault), now)
            kept = self._stored(wanted, content, self._source(wanted, body, now), now)
        except FormatError as fault:
            return self._refused(came, body, str(fault), now)
        except StoreError as fault:
            return replace(came, fault=fault)
        # Of two servers one may be behind: then what it gave is an earlier content.
        return replace(came, kept=_noted(kept, found) if kept.sha256 == content.sha256 else kept)

    def _identify(self, wanted: Field, found: CheckedField) -> None:
        """Raise `NotThisField` where a file is not what its parameter is in other steps and runs."""
        step = wanted.key.step_minutes
        series = identity_series(series_of(wanted.key), step)
        self.identities.check(series, step, wanted.path, found.observed, wanted.address)

    def _not_this(self, came: Fetched, body: Body, content: Content, reason: str, now: datetime) -> Fetched:
        """A sound file that is another field: kept beside the path, which it does not get."""
        beside = self.office.archive.keep_beside(came.field.path, content)
        failed = Failed(f"{reason}; kept as {beside}", now, etag=body.received.version.etag)
        return replace(came, failed=failed)

    def _verified(self, wanted: Field, body: Body) -> tuple[bytes, CheckedField]:
        """The GRIB and what it is. bzip2 has checksums; a file of the v1 tree has to be decoded instead."""
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


def _noted(kept: Kept, found: CheckedField) -> Kept:
    grid = found.observed.grid
    return msgspec.structs.replace(kept, notes=found.notes, grid=None if grid is None else grid_id(grid))
