"""Stores that do something of their own just before they write, for tests of what comes between two steps."""

from collections.abc import Callable

from store.objects import Store, StoreUnavailable


class Tapped:
    """A store that calls `before` with the key of each object that it is about to write."""

    def __init__(self, store: Store, before: Callable[[str], None]) -> None:
        self._store, self._before = store, before

    def __getattr__(self, name: str):
        method = getattr(self._store, name)
        if name not in {"put", "create", "replace"}:
            return method

        def tapped(key: str, *arguments, **named):
            self._before(key)
            return method(key, *arguments, **named)

        return tapped


def dying(store: Store, prefix: str, after: int = 0) -> Tapped:
    """A store whose process dies at its `after`-th write below a prefix."""
    written: list[str] = []

    def before(key: str) -> None:
        if key.startswith(prefix):
            if len(written) >= after:
                raise StoreUnavailable(f"killed before {key}")
            written.append(key)

    return Tapped(store, before)
