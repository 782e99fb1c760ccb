"""The tags by which runs of this code location are known."""

from __future__ import annotations

MODE_TAG = "dwd/mode"
"""What a run is for: `orchestration.runs.LIVE` or `UPKEEP`; without it, a person's own."""

WHY_TAG = "dwd/why"
"""Why a sensor asked for a run: `DUE` or `LOST`."""

DUE = "due"
LOST = "lost"
"""To tell of a period of which something is missing that will not come; that is told by such a run alone."""
