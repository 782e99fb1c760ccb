"""What Dagster shows of a pass over a period: the ledger in numbers, what is missing and what failed by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import dagster as dg

from dwd_assets.periods.progress import Done
from store.dwd.ledger import Ledger, Summary

MOST_NAMED = 20
"""Missing and failed files that are named; the ledger names all of them."""

Metadata = dict[str, dg.MetadataValue]


def of_pass(done: Done, ledger: Ledger, now: datetime) -> Metadata:
    """What a pass came to, and how far the period is."""
    return {
        **of_summary(done.summary, now),
        "fetched": dg.MetadataValue.int(done.fetched),
        "bytes_fetched": dg.MetadataValue.int(done.bytes_fetched),
        "requests": dg.MetadataValue.int(done.requests),
        "seconds": dg.MetadataValue.float(float(done.seconds)),
        **_named("missing_files", (f"`{path}`" for path in ledger.missing)),
        **_named("failures", (f"`{path}`: {fault.reason}" for path, fault in ledger.failed.items())),
        **_named("strange", ledger.warnings),
        **_named("not_read", done.faults),
        **_named("not_made", done.reasons),
    }


def of_summary(summary: Summary, now: datetime) -> Metadata:
    """A ledger in numbers."""
    left = summary.minutes_left(now)
    return {
        "state": dg.MetadataValue.text(summary.state(now)),
        "expected": dg.MetadataValue.int(summary.expected),
        "kept": dg.MetadataValue.int(summary.kept),
        "missing": dg.MetadataValue.int(summary.missing),
        "unseen": dg.MetadataValue.int(summary.unseen),
        "failed": dg.MetadataValue.int(summary.failed),
        "changed": dg.MetadataValue.int(summary.changed),
        "corrections": dg.MetadataValue.int(summary.corrections),
        "bytes_kept": dg.MetadataValue.int(summary.bytes_kept),
        **({} if left is None else {"minutes_left": dg.MetadataValue.float(round(left, 1))}),
    }


def _named(title: str, lines: Iterable[str]) -> Metadata:
    """A Markdown list; nothing where there are no lines."""
    lines = list(lines)
    if not lines:
        return {}
    shown = [f"- {line}" for line in lines[:MOST_NAMED]]
    if len(lines) > MOST_NAMED:
        shown.append(f"- and {len(lines) - MOST_NAMED} more")
    return {title: dg.MetadataValue.md("\n".join(shown))}
