"""Processes beside the test's own, which share nothing with it but the store."""

from __future__ import annotations

import base64
import json
import pickle
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from store.cas import update
from store.objects import Store

ROOT = Path(__file__).parents[2]
SIZES = (1, 5_000, 60_000, 200_000)


def start(task: str, store: Store, *arguments: str) -> subprocess.Popen[bytes]:
    """Run a function of this module in a new interpreter."""
    packed = base64.b64encode(pickle.dumps(store)).decode()
    command = [sys.executable, "-m", "tests.store.workers", task, packed, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def uniform(letter: int, size: int) -> bytes:
    """A body that shows by itself whether it is whole: its size in front, then one byte repeated."""
    head = b"%08d" % size
    return head + bytes([letter]) * size


def is_whole(body: bytes) -> bool:
    """Whether a body is one that `uniform` made."""
    size = int(body[:8]) if body[:8].isdigit() else -1
    return len(body) == size + 8 and len(set(body[8:])) <= 1


def count(store: Store, key: str, times: str, name: str) -> None:
    """Add to a tally, one process's name at a time."""
    for _ in range(int(times)):

        def add(current: bytes | None) -> bytes:
            tally = json.loads(current) if current else {}
            tally[name] = tally.get(name, 0) + 1
            return json.dumps(tally).encode()

        update(store, key, add)


def write_for_ever(store: Store, prefix: str) -> None:
    """Put and delete objects below a prefix until killed; a line is printed once the first is there."""
    letter = random.randrange(256)
    while True:
        key = f"{prefix}{random.randrange(3)}/{random.randrange(4)}"
        store.put(key, uniform(letter, random.choice(SIZES)))
        print("writing", flush=True)
        if random.random() < 0.2:
            store.delete([key])
        letter = (letter + 1) % 256


def replace_for_ever(store: Store, key: str) -> None:
    """Replace one object again and again until killed."""
    while True:
        print("writing", flush=True)
        for letter in range(256):
            update(store, key, lambda _, letter=letter: uniform(letter, random.choice(SIZES)))


def create_once(store: Store, key: str, begin_s: str, name: str) -> None:
    """Try to be the one that creates an object, at a given time; print the name on success."""
    time.sleep(max(0.0, float(begin_s) - time.time()))
    store.create(key, name.encode())
    print(name, flush=True)


if __name__ == "__main__":
    task, packed, *arguments = sys.argv[1:]
    with suppress(BrokenPipeError):
        globals()[task](pickle.loads(base64.b64decode(packed)), *arguments)
