"""Listing a bucket by a prefix that ends within a name, which the client of all other requests cannot.

obstore takes a prefix for whole folders (`LOT_DAA_2021` finds nothing in a flat bucket), and reading on from
an offset fetches 1,000 keys a page, a quarter of a megabyte, where a site's code has a few dozen since the
last look. So boto3 lists here: 2.6 ms of CPU for a short answer, 14 ms for a whole day of 144 keys. It is
imported by the first listing, 0.35 s, so that those who list no flat bucket do not pay for it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obstore import ObjectMeta

_CONNECTIONS = 64
"""Kept open at most; several sites may be listed at a time, each by a few threads."""


class ListingFault(Exception):  # noqa: N818 - reads as what it reports
    """A listing failed. `status` is the HTTP status of the answer, 0 where none came or none was readable."""

    def __init__(self, told: str, status: int = 0) -> None:
        super().__init__(told)
        self.status = status


@dataclass(slots=True)
class FlatListing:
    """Lists one bucket at the server `address`; anonymous unless `signed`.

    A connection is waited for `connect_s`, every further piece of an answer `request_s`. Nothing is tried
    again.
    """

    bucket: str
    address: str
    region: str
    signed: bool
    connect_s: float
    request_s: float
    _client: Any = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def objects(self, prefix: str, after: str | None) -> Iterator[ObjectMeta]:
        """The objects whose keys begin with `prefix` and sort past `after`, in order. Raises `ListingFault`."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            pages = self._connected().get_paginator("list_objects_v2")
            start = {} if after is None else {"StartAfter": after}
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix, **start):
                # boto3 takes an empty answer, or a proxy's page, for a listing of nothing.
                if "IsTruncated" not in page:
                    raise ListingFault("the answer is no listing")
                if page["IsTruncated"] and not page.get("NextContinuationToken"):
                    raise ListingFault("the listing goes on, but does not tell how")
                for row in page.get("Contents", ()):
                    yield _described(row)
        except ClientError as fault:
            raise ListingFault(str(fault), fault.response["ResponseMetadata"]["HTTPStatusCode"]) from fault
        except (BotoCoreError, ValueError, LookupError, AttributeError) as fault:
            # The latter three: a row whose parts are missing, or no time or number.
            raise ListingFault(f"{type(fault).__name__}: {fault}") from fault

    def _connected(self) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
            return self._client

    def _new_client(self) -> Any:  # noqa: ANN401
        from boto3.session import Session  # noqa: PLC0415
        from botocore import UNSIGNED  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=self.connect_s,
            read_timeout=self.request_s,
            retries={"total_max_attempts": 1},
            max_pool_connections=_CONNECTIONS,
            s3={"addressing_style": "path"},
            **({} if self.signed else {"signature_version": UNSIGNED}),
        )
        return Session().client("s3", endpoint_url=self.address, region_name=self.region, config=config)


def _described(row: dict[str, Any]) -> ObjectMeta:
    return {
        "path": row["Key"],
        "last_modified": row["LastModified"].astimezone(UTC),
        "size": row["Size"],
        "e_tag": row["ETag"],
        "version": None,
    }
