"""Raw volumes on their way through the store: each with a receipt that tells where it came from.

The receipt is written after the file, so that it vouches for it, and says whether what is made of the file is to be
kept: a live run may render what a day's run has fetched.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from nexrad_assets.levels.results import SiteDay
from store import keys
from store.kinds import learned
from store.objects import Store
from store.radar.snapshot import SourceFile


@learned
class Receipt(msgspec.Struct, frozen=True):
    """What is known of a fetched raw file: its source, when it was fetched, and whether for keeps.

    A live run may render what a day's run has fetched: the receipt, not the run, says what becomes of it.
    """

    source: SourceFile
    fetched: datetime
    kept: bool = False


def raw_key(level: int, partition: SiteDay, file_name: str) -> str:
    """The key of a partition's raw file."""
    return keys.raw(level, partition.site, partition.day, file_name)


def put_receipt(store: Store, key: str, receipt: Receipt) -> None:
    """Write what is known of the raw file of this key."""
    store.put(keys.raw_receipt(key), msgspec.json.encode(receipt), "application/json")


def read_receipt(store: Store, key: str) -> Receipt:
    """Read what is known of a raw file. Raises `ObjectMissing`."""
    return msgspec.json.decode(store.get(key).data, type=Receipt)
