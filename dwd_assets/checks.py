"""Asset checks: whether a period is whole, and whether anything about it is strange. They read the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from dwd_assets.periods.progress import UNREAD
from store.dwd.ledger import Summary

WHOLE = "everything_expected_is_kept"
SOUND = "nothing_is_strange"


def specs(asset: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """The checks of a collection's asset."""
    return [
        dg.AssetCheckSpec(
            WHOLE,
            asset=asset,
            description="Every file that was expected is kept and verified. A warning while some may still come, and "
            "where the server was never seen to have them; an error when it has them no more.",
        ),
        dg.AssetCheckSpec(
            SOUND,
            asset=asset,
            description="No file failed verification, no parameter or station vanished, no field is all missing; an "
            "error where a row of a listing or an address could not be read.",
        ),
    ]


def verdicts(asset: dg.AssetKey, summary: Summary, now: datetime) -> list[dg.AssetCheckResult]:
    """What the ledger says of a period."""
    return [_whole(asset, summary, now), _sound(asset, summary)]


def _whole(asset: dg.AssetKey, summary: Summary, now: datetime) -> dg.AssetCheckResult:
    state = summary.state(now)
    left = summary.minutes_left(now)
    told = f"{summary.kept} of {summary.expected} files kept, {summary.missing} missing"
    if summary.unseen:
        told += f", {summary.unseen} of them never seen on the server"
    if state == "partial" and left is not None:
        told += f"; the server deletes the first of them in {left:.0f} minutes"
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=WHOLE,
        passed=state == "complete",
        severity=dg.AssetCheckSeverity.ERROR if state == "lost" else dg.AssetCheckSeverity.WARN,
        description=f"{state}: {told}",
        metadata=_numbers(summary, ("kept", "missing", "failed", "unseen")),
    )


def _sound(asset: dg.AssetKey, summary: Summary) -> dg.AssetCheckResult:
    lines = [
        *summary.warnings,
        *([f"{summary.failed} files failed verification"] if summary.failed else []),
        *([f"{summary.unseen} files were never seen on the server"] if summary.unseen else []),
    ]
    is_unread = any(line.startswith(UNREAD) for line in summary.warnings)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=SOUND,
        passed=not lines,
        severity=dg.AssetCheckSeverity.ERROR if is_unread else dg.AssetCheckSeverity.WARN,
        description="; ".join(lines) or None,
        metadata=_numbers(summary, ("failed", "changed", "corrections")),
    )


def _numbers(summary: Summary, names: tuple[str, ...]) -> Mapping[str, dg.MetadataValue]:
    period = {"period": dg.MetadataValue.text(summary.period)}
    return period | {name: dg.MetadataValue.int(getattr(summary, name)) for name in names}
