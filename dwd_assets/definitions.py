"""Dagster's code location `dwd_assets`: no asset yet."""

from __future__ import annotations

import dagster as dg

defs = dg.Definitions()
