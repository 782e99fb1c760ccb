"""The update flags of a site: which product groups have news, changed by checked merges.

The pipeline raises a group's flag when it has published scans of it; a frontend lowers it through the API when it
has taken them over. Every change is a merge under compare-and-swap, so that neither loses the other's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

import msgspec

from store import cas, keys
from store.kinds import learned
from store.objects import ObjectMissing, Store, StoreError

Product = Literal["reflectivity", "hydrometeor", "precipitation"]

PRODUCTS: tuple[Product, ...] = get_args(Product)
"""The product groups, in the order in which the contract shows their flags."""


@learned
class FlagSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"updates": {"reflectivity": 1, ...}}`: whether each product group is to be updated."""

    updates: dict[Product, Annotated[int, msgspec.Meta(ge=0, le=1)] | bool]


def read(store: Store, site: str) -> FlagSet | None:
    """The flags of a site, none where none were set. Raises `StoreError`."""
    key = keys.flags(site)
    try:
        return _whole(_stored(store.get(key).data, key).updates)
    except ObjectMissing:
        return None


def merge(store: Store, site: str, updates: Mapping[Product, int]) -> FlagSet:
    """Set the flags that `updates` names and give all; the others stay, or are 0 where none were set.

    Nothing is written where nothing changes. Raises `StoreError`.
    """
    key = keys.flags(site)
    result = FlagSet({})

    def change(before: bytes | None) -> bytes | None:
        nonlocal result
        current = _stored(before, key).updates if before is not None else {}
        result = _whole({**current, **updates})
        written = msgspec.json.encode(result)
        return None if written == before else written

    cas.update(store, key, change)
    return result


def checked(data: bytes) -> FlagSet:
    """Read what someone wants set. Raises `msgspec.DecodeError` (`ValidationError` where it is JSON)."""
    return msgspec.json.decode(data, type=FlagSet)


def _whole(updates: Mapping[Product, int]) -> FlagSet:
    """The flags of all products as 0 or 1; those that are not set are 0."""
    return FlagSet({product: int(updates.get(product, 0)) for product in PRODUCTS})


def _stored(data: bytes, key: str) -> FlagSet:
    """Flags as they are stored. Raises `StoreError` where they are not."""
    try:
        return checked(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise StoreError(f"{key}: not a set of flags: {fault}") from fault
