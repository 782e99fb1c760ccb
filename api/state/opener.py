"""The store, opened when it is first used: the API starts also while it cannot be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable

from store.objects import Store

StoreSource = Callable[[], Store]
"""Gives the store. Raises `StoreUnavailable` where it cannot be opened now."""


class Opener:
    """Opens a store once; after a failure, the next use tries again."""

    def __init__(self, open_it: StoreSource) -> None:
        self._open_it = open_it
        self._store: Store | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Store:
        """The store. Raises what opening it raises."""
        if self._store is None:
            with self._lock:
                self._store = self._store or self._open_it()
        return self._store
