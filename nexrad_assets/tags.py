"""The tags by which runs of this code location are known."""

from __future__ import annotations

MODE_TAG = "nexrad/mode"
"""What a run is for: `orchestration.runs.LIVE` or `UPKEEP`; without it, a person's own."""

BLOCK_TAG = "nexrad/block"
"""The day and block of sites that a live run is for."""
