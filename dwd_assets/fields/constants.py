"""Constant fields: the same in every run of a model, and stored once for each content.

What belongs here: where a content is held, and having a further path hold it too. What does not: which fields are
constant (`dwd_assets.formats.levels`).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import msgspec

from dwd_assets.archive.storing import Archive, Content
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import version_path
from store import cas, keys
from store.dwd.damaged import DamagedDocument
from store.dwd.ledger import Kept, Source
from store.objects import ObjectMissing

MOST_CONTENTS = 8
"""Of a field, whose contents of the latest runs are known: one that tells its run is another one each time."""


class Constants:
    """Which paths hold the contents of a model's constant fields; may be used from many threads.

    With `pointers` a content that is held is not stored again: the ledger alone says where it is.
    """

    def __init__(self, archive: Archive, model: str, *, pointers: bool) -> None:
        self._archive, self._pointers = archive, pointers
        self._key = keys.constants(model)
        self._held: dict[str, str] | None = None
        self._new: dict[str, str] = {}

    def keep(self, key: FieldKey, path: str, content: Content, source: Source, now: datetime) -> Kept | None:
        """Have a path, which has nothing yet, hold a content that another one holds; none where it cannot.

        What is held is read and verified before. Raises `StoreError`.
        """
        held = self._index().get(_name(key, content.sha256))
        if held is None or held == path or self._is_there(path):
            return None
        if self._pointers:
            fixed = self._fixed(held, content.sha256)
            return (
                None if fixed is None else Kept(content.sha256, content.size, 0, now, source, held_at=fixed)
            )
        if not self._archive.holds(held, content.sha256):
            return None
        copied = self._archive.store.copy(held, path)
        return Kept(content.sha256, content.size, copied.size, now, source)

    def note(self, key: FieldKey, path: str, sha256: str) -> None:
        """Note a path that holds a content from now on; told by `tell`."""
        self._new[_name(key, sha256)] = path

    def tell(self) -> None:
        """Write what was noted into the index. Raises `StoreError`."""
        new = dict(self._new)
        if new:
            cas.update(self._archive.store, self._key, lambda before: _with(before, new, self._key))
            self._index().update(new)
            self._new.clear()

    def _index(self) -> dict[str, str]:
        if self._held is None:
            try:
                self._held = _decoded(self._archive.store.get(self._key).data, self._key)
            except ObjectMissing:
                self._held = {}
        return self._held

    def _fixed(self, held: str, sha256: str) -> str | None:
        """Where a content is that can be pointed to: beside its path, which may get another one."""
        fixed = version_path(held, sha256)
        if not self._archive.holds(held, sha256, key=fixed):
            if not self._archive.holds(held, sha256):
                return None
            self._archive.store.copy(held, fixed)
        return fixed

    def _is_there(self, path: str) -> bool:
        try:
            self._archive.store.head(path)
        except ObjectMissing:
            return False
        return True


def _name(key: FieldKey, sha256: str) -> str:
    level = "" if key.level is None else str(key.level)
    return f"{key.parameter}/{level}/{key.grid}/{sha256}"


def _with(before: bytes | None, new: dict[str, str], key: str) -> bytes | None:
    known = {} if before is None else _decoded(before, key)
    told = _latest(known | new)
    return None if told == known else msgspec.json.encode(told, order="sorted")


def _latest(told: dict[str, str]) -> dict[str, str]:
    """The contents of each field that are held by its latest runs: their paths differ in the run alone."""
    fields = defaultdict[str, list[tuple[str, str]]](list)
    for name, path in told.items():
        fields[name.rpartition("/")[0]].append((path, name))
    return {name: path for held in fields.values() for path, name in sorted(held)[-MOST_CONTENTS:]}


def _decoded(data: bytes, key: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(data, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise DamagedDocument(f"not what the index of constants is: {fault}", key, data, b"{}") from fault
