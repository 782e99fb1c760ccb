"""Read-modify-write of one object among concurrent writers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from store.objects import ObjectChanged, ObjectExists, ObjectInfo, ObjectMissing, Store, StoreError

_SHORTEST_WAIT_S = 0.005
_LONGEST_WAIT_S = 0.5


def update(
    store: Store,
    key: str,
    change: Callable[[bytes | None], bytes | None],
    *,
    content_type: str = "application/json",
    attempts: int = 100,
) -> ObjectInfo | None:
    """Change an object, losing no other writer's change; return what was written, none if nothing was.

    `change` is given the bytes that are there (none where there is no object) and returns those to be
    there instead, or none to leave it as it is. It is called again after another writer was faster, so it
    must build on nothing but its argument. Raises `StoreError` after `attempts` lost races.
    """
    for attempt in range(attempts):
        try:
            return _attempt(store, key, change, content_type)
        except (ObjectExists, ObjectChanged):
            longest_s = min(_SHORTEST_WAIT_S * 2 ** min(attempt, 10), _LONGEST_WAIT_S)
            time.sleep(random.uniform(0, longest_s))
    raise StoreError(f"{key}: not changed: other writers were faster {attempts} times in a row")


def _attempt(
    store: Store, key: str, change: Callable[[bytes | None], bytes | None], content_type: str
) -> ObjectInfo | None:
    try:
        current = store.get(key)
    except ObjectMissing:
        current = None
    data = change(None if current is None else current.data)
    if data is None:
        return None
    if current is None:
        return store.create(key, data, content_type)
    return store.replace(key, data, current.info.etag, content_type)
