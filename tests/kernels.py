"""The kernels that unpack bzip2, in programs that fork."""

from bzip2.fast import WORTH_BYTES, first_stream


def load_kernels() -> None:
    """Load them now: what is forked later has them, and else each process would load them for itself."""
    first_stream(bytes(WORTH_BYTES + 1), 0)
