"""When the kernels are loaded, and what happens where they cannot be."""

import bz2
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from bzip2.fast import Kernels

CONTENT = b"eleven degrees, " * 5000
PACKED = bz2.compress(CONTENT)

WITHOUT_NUMBA = """
import bz2, sys
sys.modules["numba"] = None
from bzip2.fast import Kernels
kernels = Kernels(worth_bytes=0)
packed = bz2.compress(b"content")
print([kernels.first_stream(packed, 100) for _ in range(3)])
"""

NOT_WORTH_IT = """
import bz2, sys
from bzip2.fast import first_stream
print(first_stream(bz2.compress(b"content"), 100), "numba" in sys.modules)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )


def test_a_process_that_unpacks_little_does_not_load_them():
    assert run(NOT_WORTH_IT).stdout.split() == ["None", "False"]


def test_they_are_loaded_once_a_process_has_unpacked_enough():
    kernels = Kernels(worth_bytes=2 * len(PACKED))
    results = [kernels.first_stream(PACKED, len(CONTENT)) for _ in range(4)]
    assert results == [None, None, *[(CONTENT, len(PACKED))] * 2]


def test_they_are_loaded_beside_other_work_where_much_is_expected():
    kernels = Kernels(worth_bytes=1 << 20)
    kernels.expect(1 << 19)
    assert kernels.first_stream(PACKED, len(CONTENT)) is None
    kernels.expect(1 << 20)
    assert kernels.first_stream(PACKED, len(CONTENT)) == (CONTENT, len(PACKED))


def test_where_numba_is_missing_it_is_said_once_and_the_standard_library_is_asked():
    told = run(WITHOUT_NUMBA)
    assert told.stdout.strip() == "[None, None, None]"
    assert told.stderr.count("by the standard library") == 1


def test_what_they_refuse_is_left_to_the_standard_library():
    kernels = Kernels(worth_bytes=0)
    assert kernels.first_stream(PACKED[:-1], len(CONTENT)) is None
    assert kernels.first_stream(PACKED, len(CONTENT) - 1) is None
    assert kernels.first_stream(PACKED, len(CONTENT)) == (CONTENT, len(PACKED))


def test_threads_that_come_at_once_all_get_them():
    kernels = Kernels(worth_bytes=0)
    begin = threading.Barrier(6)

    def unpacked(_: int) -> list[tuple[bytes, int] | None]:
        begin.wait()
        return [kernels.first_stream(PACKED, len(CONTENT)) for _ in range(20)]

    with ThreadPoolExecutor(6) as threads:
        streams = [stream for each in threads.map(unpacked, range(6)) for stream in each]
    assert streams == [(CONTENT, len(PACKED))] * 120
