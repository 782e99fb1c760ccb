"""`make bench`: every comparison, each alternating in one run."""

from benchmarks.api import __main__ as api
from benchmarks.dwd import __main__ as dwd
from benchmarks.radar import decode, level3, rendering
from tests.samples import LEVEL2

for folder in (LEVEL2, level3.FOLDER, dwd.FOLDER):
    if not folder.is_dir():
        raise SystemExit(f"no sample files in {folder}: set RADAR_SAMPLE_DATA")
rendering.main()
level3.main()
decode.main([str(LEVEL2 / name) for name in rendering.FILES])
dwd.main()
api.main()
