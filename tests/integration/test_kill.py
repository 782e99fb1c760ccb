"""`kill -9` in the middle of publishing, many times over: nothing listed is missing, nothing is torn."""

import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import date

import pytest

from nexrad_assets.levels import scans
from nexrad_assets.pipeline.catalog import Catalog
from nexrad_assets.pipeline.context import utc_now
from store import keys
from store.posix import PosixStore
from tests.integration import publisher
from tests.nexrad_assets.radar.level3.product_files import PRODUCT_SAMPLES, moved
from tests.samples import LEVEL2, LEVEL3, needs_samples

SAMPLE = LEVEL2 / "2014/01/01/KTLX/KTLX20140101_000624_V06.gz"
OTHER = LEVEL2 / "2010/05/01/KTLX/KTLX20100501_000444_V03.gz"
DAY = date(2014, 1, 1)
KILLS = 12
MOST_LINES = {2: 8, 3: 4}
"""How many lines of something published a process may tell of before it is killed, by level: more than a round has."""

PAUSE_S = 0.5
"""How long after its last line it may be killed: more than it takes to the next."""

PUBLISHED = {2: "images", 3: "published"}
"""What a line of the log says when something was published, by level."""


@pytest.fixture(params=["posix", pytest.param("s3", marks=pytest.mark.s3)])
def place(request, tmp_path):
    """Where to publish: the location, the environment a process needs for it, and a store to look with."""
    if request.param == "posix":
        return str(tmp_path / "store"), "", {}, PosixStore(tmp_path / "store")
    server = request.getfixturevalue("s3_server")
    bucket = server.new_bucket()
    return f"s3://{bucket}", server.endpoint, server.environment, server.store(bucket)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source" / "2014" / "01" / "01" / "KTLX"
    folder.mkdir(parents=True)
    for number in range(6):
        target = folder / f"KTLX20140101_{number:02}0624_V06"
        shutil.copyfile((SAMPLE, OTHER)[number % 2], target)
        os.utime(target, (1.4e9, 1.4e9))
    return tmp_path / "source"


@pytest.fixture
def products(tmp_path):
    """Eight images and four documents of one site and day, in a flat folder."""
    folder = tmp_path / "products"
    folder.mkdir()
    for minute in range(4):
        for code in ("HHC", "DTA", "NST"):
            target = folder / f"TLX_{code}_2014_01_01_06_{minute:02}_00"
            target.write_bytes(moved((LEVEL3 / PRODUCT_SAMPLES[code]).read_bytes(), "KTLX"))
            os.utime(target, (1.4e9, 1.4e9))
    return folder


@contextmanager
def publishing(place, source, level):
    """The program whose processes publish a folder."""
    location, endpoint, environment, _ = place
    command = [
        sys.executable,
        "-m",
        publisher.__name__,
        location,
        endpoint,
        source,
        DAY.isoformat(),
        str(level),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, env={**os.environ, **environment}, **pipes) as process:
        yield process


def publish_and_kill(program, seed, level):
    """Publish in a process of its own and kill it at a random moment; gives how often something was published.

    The moment is one of the process's own progress, so that a busy machine kills neither earlier nor later.
    """
    print(file=program.stdin)
    process = int(program.stdout.readline())
    assert program.stdout.readline() == "round\n"
    draw = random.Random(seed)
    wanted = draw.randint(0, MOST_LINES[level])
    lines = iter(program.stdout.readline, f"{publisher.ENDED}\n")
    published = sum(
        1 for _ in itertools.islice((line for line in lines if is_published(line, level)), wanted)
    )
    assert published == wanted, "the process ended by itself"
    time.sleep(draw.uniform(0.0, PAUSE_S))
    os.kill(process, signal.SIGKILL)
    return published + sum(is_published(line, level) for line in lines)


def is_published(line, level):
    return PUBLISHED[level] in line


def assert_whole(store):
    """Every listed object is there with the bytes that the snapshot names; head and index decode."""
    catalog = Catalog(store, utc_now)
    snapshot = catalog.snapshot("KTLX", DAY)
    for scan in snapshot.scans.values():
        for one in (*scans.images(scan), *scan.documents.values()):
            data = store.get(keys.image(scan.level, scan.key, one.name)).data
            assert hashlib.sha256(data).hexdigest() == one.sha256
    catalog.head("KTLX")
    catalog.index()
    return len(snapshot.scans)


@needs_samples
@pytest.mark.timeout(400)
def test_whatever_the_moment_of_the_kill_what_is_listed_is_whole(place, source):
    store, published = place[-1], 0
    with publishing(place, source, 2) as program:
        for seed in range(KILLS):
            published += publish_and_kill(program, seed, 2)
            assert_whole(store)
    assert published > KILLS
    assert assert_whole(store) == 6
    # The next run, or the reconcile schedule, brings head and index up to what is stored.
    catalog = Catalog(store, utc_now)
    catalog.mend("KTLX")
    assert catalog.head("KTLX").days["2014-01-01"].scans == 6
    assert not catalog.mend("KTLX")


@needs_samples
@pytest.mark.timeout(400)
def test_a_kill_among_batches_of_products_leaves_whole_images_and_documents(place, products):
    store, published = place[-1], 0
    with publishing(place, products, 3) as program:
        for seed in range(KILLS // 2):
            published += publish_and_kill(program, seed, 3)
            assert_whole(store)
    assert published > KILLS // 2
    assert assert_whole(store) == 12
    found = {scan.key[-3:]: (len(scan.layers), len(scan.documents)) for scan in scans_of(store)}
    assert found == {"HHC": (1, 0), "DTA": (1, 0), "NST": (0, 1)}


def scans_of(store):
    return Catalog(store, utc_now).snapshot("KTLX", DAY).scans.values()
