"""The thread that follows the store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from api.state.catalog import Catalog

log = logging.getLogger(__name__)


class Watcher:
    """Refreshes the catalog every `poll_s` seconds, and at once when nudged; then calls each of `looked`."""

    def __init__(self, catalog: Catalog, poll_s: float, looked: Sequence[Callable[[], None]] = ()) -> None:
        self._catalog = catalog
        self._poll_s = poll_s
        self._looked = looked
        self._wake = threading.Event()
        self._polled = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self, wait_s: float) -> None:
        """Begin, and give the first look up to `wait_s` seconds, so that the first request has an answer."""
        self._thread.start()
        self._polled.wait(wait_s)

    def stop(self) -> None:
        """End; a look that is under way is not waited for longer than a second."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=1.0)

    def nudge(self) -> None:
        """Look now."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self._catalog.refresh()
                for each in self._looked:
                    each()
            except Exception:
                log.exception("following the store failed; trying again")
            self._polled.set()
            self._wake.wait(self._poll_s)
