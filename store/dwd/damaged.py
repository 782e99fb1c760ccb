"""Documents that cannot be read, of which nothing is lost that could not be learned again.

What belongs here: such documents. What does not: those that tell what is kept (`store.dwd.ledger.DamagedLedger`).
"""

from __future__ import annotations

from store import cas
from store.objects import Store, StoreError


class DamagedDocument(StoreError):  # noqa: N818 - reads as the state it reports
    """The object at `key` is not what it should be; `empty` is a document in its place that knows nothing."""

    def __init__(self, told: str, key: str, data: bytes, empty: bytes) -> None:
        super().__init__(f"{key}: {told}")
        self.key, self.data, self.empty = key, data, empty


def begin_anew(store: Store, fault: DamagedDocument) -> None:
    """Put the empty document in place of exactly the damaged one. Raises `StoreError`."""
    cas.update(store, fault.key, lambda before: fault.empty if before == fault.data else None)
