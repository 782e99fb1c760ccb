"""Listing folders of the server, and counting how often."""

from __future__ import annotations

import threading

from dwd_assets.opendata.client import Client
from dwd_assets.opendata.errors import NotYet
from dwd_assets.opendata.listing import Entry, UnreadRow, parse_listing
from dwd_assets.opendata.messages import Body, Request

_PAGE_BYTES = 64 << 20


class Lister:
    """Lists folders of the server, counts how often, and keeps the rows that could not be read.

    nameless: the folders with rows of which not even the name could be read.

    May be used from many threads.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self.requests = 0
        self.unread: list[UnreadRow] = []
        self.nameless: list[str] = []

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """What a folder has, nothing if there is no such folder. Raises `OpendataError`, `FormatError`."""
        with self._lock:
            self.requests += 1
        try:
            page = self._client.read(Request(folder, limit_bytes=_PAGE_BYTES))
        except NotYet:
            return ()
        assert isinstance(page, Body)  # noqa: S101 - no version was known
        listing = parse_listing(page.data, folder)
        with self._lock:
            self.unread += listing.unread
            self.nameless += [folder for row in listing.unread if row.name is None]
        return listing.entries

    def folders(self, folder: str) -> tuple[str, ...]:
        """The folders in a folder."""
        return tuple(entry.name for entry in self.entries(folder) if entry.is_folder)
