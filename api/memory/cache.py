"""A cache that keeps what was used last, up to a weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Least recently used entries go first; what weighs more than the whole bound is not kept.

    May be used from several threads. `hits` and `misses` count what was found, and what was not.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0
        self.hits = 0
        self.misses = 0
        self._lock = threading.Lock()

    @property
    def weight(self) -> int:
        """What the entries weigh together."""
        return self._weight

    def get(self, key: K) -> V | None:
        """The entry, which is now the most recently used one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, weight: int = 1) -> None:
        """Keep an entry in place of an earlier one of this key."""
        with self._lock:
            # Until the lock is open again: their end may take long, if they are files.
            gone = [self._pop(key)]
            if weight > self._capacity:
                return
            self._entries[key] = (value, weight)
            self._weight += weight
            while self._weight > self._capacity:
                gone.append(self._pop(next(iter(self._entries))))

    def items(self) -> list[tuple[K, V]]:
        """What is kept now, the least recently used first; nothing is taken to have been used."""
        with self._lock:
            return [(key, value) for key, (value, _) in self._entries.items()]

    def drop(self, key: K) -> None:
        """Keep an entry no more."""
        with self._lock:
            gone = self._pop(key)
        del gone

    def _pop(self, key: K) -> V | None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._weight -= entry[1]
        return entry[0]
