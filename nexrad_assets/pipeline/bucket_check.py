"""Whether a bucket is fit to be the store: conditional writes honoured, set up as `docs/buckets.md` says.

A server that ignores If-Match and If-None-Match loses concurrent updates without a word, so that is tried, not asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from store.objects import ObjectChanged, ObjectExists, Store

Answer = dict[str, Any]


def ignored_conditions(store: Store) -> tuple[str, ...]:
    """Try conditional writes on an object made for it; tells which conditions the store ignores."""
    key = f"checks/{uuid.uuid4().hex}"
    first = store.create(key, b"first")
    try:
        store.replace(key, b"second", first.etag)
        return tuple(
            fault
            for attempt, refusal, fault in (
                (
                    lambda: store.create(key, b"x"),
                    ObjectExists,
                    "If-None-Match: an object there is overwritten",
                ),
                (
                    lambda: store.replace(key, b"x", first.etag),
                    ObjectChanged,
                    "If-Match: a newer one is overwritten",
                ),
            )
            if not _is_refused(attempt, refusal)
        )
    finally:
        store.delete([key])


def _is_refused(attempt: Callable[[], object], refusal: type[Exception]) -> bool:
    try:
        attempt()
    except refusal:
        return True
    return False


def advice(client: Any, bucket: str) -> tuple[str, ...]:  # noqa: ANN401
    """What of a bucket's settings differs from what is advised, in words.

    `client` is boto3's of S3, which makes its methods at run time and so has no type to name.
    """
    found = (
        _told(lambda: client.get_bucket_versioning(Bucket=bucket), _on_versioning, {}),
        _told(
            lambda: client.get_public_access_block(Bucket=bucket),
            _on_public_access,
            {"NoSuchPublicAccessBlockConfiguration": "public access is not blocked"},
        ),
        _told(
            lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket),
            _on_lifecycle,
            {"NoSuchLifecycleConfiguration": "no rule aborts incomplete uploads"},
        ),
    )
    return tuple(words for words in found if words)


def _told(ask: Callable[[], Answer], judge: Callable[[Answer], str], absent: dict[str, str]) -> str:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - boto3 is dear, and only this job needs it

    try:
        return judge(ask())
    except ClientError as fault:
        code = fault.response["Error"]["Code"]
        return absent.get(code, f"{fault.operation_name}: not to be told ({code})")


def _on_versioning(answer: Answer) -> str:
    on = answer.get("Status") == "Enabled"
    return "versioning is on: every replaced snapshot is kept and paid for" if on else ""


def _on_public_access(answer: Answer) -> str:
    blocked = all(answer["PublicAccessBlockConfiguration"].values())
    return "" if blocked else "public access is not blocked altogether"


def _on_lifecycle(answer: Answer) -> str:
    aborts = any("AbortIncompleteMultipartUpload" in rule for rule in answer["Rules"])
    return "" if aborts else "no rule aborts incomplete uploads"
