"""Compile the kernels ahead of their first use, which takes some seconds: `python -m bzip2`."""

import sys

from bzip2.streams import warm_up

if __name__ == "__main__":
    warm_up()
    sys.exit()
