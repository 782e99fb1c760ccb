"""`make bench`: every comparison, each alternating in one run."""

from benchmarks import decode, level3, rendering
from tests.samples import LEVEL2

if not LEVEL2.is_dir():
    raise SystemExit(f"no sample volumes in {LEVEL2}: set RADAR_SAMPLE_DATA")
rendering.main()
level3.main()
decode.main([str(LEVEL2 / name) for name in rendering.FILES])
