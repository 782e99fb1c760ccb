"""Documents of a kind that many threads are the first to read."""

import subprocess
import sys
from pathlib import Path

READERS = """
import sys, threading
import msgspec
from store.kinds import learned

sys.setswitchinterval(1e-6)
document = {f"part{number}": {f"field{each}": {"x": 1} for each in range(20)} for number in range(20)}
body = msgspec.json.encode(document)
for trial in range(20):
    fields = [(f"field{each}", dict[str, int] | None) for each in range(20)]
    parts = [(f"part{number}", msgspec.defstruct(f"Part{number}", fields)) for number in range(20)]
    kind = learned(msgspec.defstruct("Whole", parts))
    begin, read = threading.Barrier(4), []

    def reader():
        begin.wait()
        read.append(msgspec.json.encode(msgspec.json.decode(body, type=kind)))

    threads = [threading.Thread(target=reader) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [body] * 4
"""


def test_the_first_documents_of_a_kind_are_read_by_many_threads_at_once():
    """In a process of its own, which ends by a signal where the kind is not learned."""
    command = [sys.executable, "-c", READERS]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
