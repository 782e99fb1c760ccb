"""Where the real sample files are; tests that need them are skipped, by name, where they are not."""

import os
from pathlib import Path

import pytest

SAMPLES = Path(os.environ.get("RADAR_SAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"SAMPLE DATA ABSENT: no folder {SAMPLES}; set RADAR_SAMPLE_DATA"
)

LEVEL2 = SAMPLES / "nexrad" / "level2"
LEVEL3 = SAMPLES / "nexrad" / "level3"


def level2_files() -> list[Path]:
    """Every Level 2 sample volume, by path."""
    return sorted(path for path in LEVEL2.rglob("*") if path.is_file())


def level3_files() -> list[Path]:
    """Every Level 3 sample product, by name."""
    return sorted(path for path in LEVEL3.iterdir() if path.is_file())
