"""What archiving needs, opened once: settings, the archive, the server's client, the clock, the GRIB decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dwd_assets.archive.storing import Archive
from dwd_assets.formats.grib.worker import GribWorker
from dwd_assets.opendata.client import USER_AGENT, Client, Manners
from dwd_assets.settings import DwdSettings
from store.location import open_store
from store.objects import Store

Log = Callable[[str], None]
"""Where the work tells of itself, a line at a time."""


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Office:
    """What the work needs. `client` and `worker` may be used from many threads; `close` ends both."""

    settings: DwdSettings
    archive: Archive
    client: Client
    clock: Callable[[], datetime] = utc_now
    worker: GribWorker = field(default_factory=GribWorker)

    @property
    def store(self) -> Store:
        """The store that the archive is in."""
        return self.archive.store

    def telling(self, log: Log) -> Log:
        """Where the work tells of itself: `log`, or nowhere where only warnings and worse are wanted."""
        return log if self.settings.log_level in {"trace", "debug", "info"} else _nowhere

    def close(self) -> None:
        """Close connections and end the decoder."""
        self.client.close()
        self.worker.close()


def _nowhere(_: str) -> None:
    """Take a line and do nothing."""


def open_office(settings: DwdSettings, clock: Callable[[], datetime] = utc_now) -> Office:
    """Open archive and client as the settings name them."""
    store = open_store(settings.archive, settings.store_endpoint)
    return Office(
        settings=settings,
        archive=Archive(store, settings.free_floor_bytes),
        client=Client(settings.server, manners(settings)),
        clock=clock,
    )


def manners(settings: DwdSettings) -> Manners:
    """How the settings say the server is to be treated."""
    agent = USER_AGENT if settings.contact is None else f"{USER_AGENT[:-1]}; {settings.contact})"
    return Manners(user_agent=agent, connections=settings.connections, requests_per_s=settings.requests_per_s)
