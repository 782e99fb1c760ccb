"""The replaced crawler's way with files of the old tree: `python -m benchmarks.dwd.replaced URL OUT FILES`.

One after the other: a GET on a connection of its own, the body into a file, `bzip2 -d` and `lz4 -z9 --rm` on it as
child processes. Run as a process of its own; prints one JSON line.
"""

import subprocess
import sys
import urllib.request
from pathlib import Path

from benchmarks.dwd.cost import Meter
from benchmarks.dwd.fields import addresses


def main(url: str, out: str, files: str) -> None:
    """Fetch and pack every file."""
    folder = Path(out)
    with Meter() as meter:
        for address in addresses(int(files)):
            packed = folder / address.rpartition("/")[2]
            with urllib.request.urlopen(url + address, timeout=60) as answer:
                packed.write_bytes(answer.read())
            subprocess.run(["bzip2", "-d", packed], check=True)
            plain = packed.with_suffix("")
            subprocess.run(["lz4", "-z9", "-q", "--rm", plain, f"{plain}.lz4"], check=True)
    meter.tell(files=len(list(folder.glob("*.lz4"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
