"""The tags by which runs of this code location are known."""

from __future__ import annotations

MODE_TAG = "dwd/mode"
"""What a run is for: `orchestration.runs.LIVE` or `UPKEEP`; without it, a person's own."""
