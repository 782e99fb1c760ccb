"""The API against nginx and the replaced way: `python -m benchmarks.api [WHAT ...] [--seconds N] [--rounds N]`.

- `images`: images of 300 KB by their old addresses and by their digests.
- `lists`: `/list-all/` of 60 KB, and `/v1/scans`.
- `unchanged`: the same, asked by who has them (304).
- `events`: a thousand clients of `/v1/events`, and how late they hear of a scan once it is written.
- `page`: what a browser loads of the viewer, but for the outlines of lands and places.

wrk loads with 16 connections, by one thread and by two (`benchmarks.api.load`), the servers take turns, figures are
medians over the rounds. nginx sends files of the page cache; ours is `python -m api` on a folder and on S3; the
replaced way is Flask under Waitress, with one boto3 client on an S3 server of this machine. CPU is the server's own,
its children counted and its S3 server not. The programs `wrk` and `nginx` are needed. On a busy machine only ratios
mean something.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvloop

from api.viewer_files import BUILT
from benchmarks.api import events, processes, simulated
from benchmarks.api.load import Way, take_turns
from store.posix import PosixStore

SECONDS = 5.0
ROUNDS = 5

GZIP = "gzip"
OUTLINES = ".json"
PAGE = (".html", ".css", ".js", ".svg", OUTLINES)
"""What of the viewer's files a browser loads."""

SCANS = f"/v1/scans?site={simulated.SITE}&product=reflectivity"

OURS, ON_S3 = "ours", "ours, S3"
NGINX, REPLACED = "nginx", "replaced"


@dataclass(frozen=True, slots=True)
class Extent:
    """How long is measured, and how often."""

    seconds: float
    rounds: int


@dataclass(frozen=True, slots=True)
class House:
    """Every server, by name, on one world."""

    world: simulated.World
    folder: Path
    servers: dict[str, processes.Server]

    @property
    def ours(self) -> list[str]:
        """Those of our servers that run here."""
        return [name for name in (OURS, ON_S3) if name in self.servers]

    def way(
        self, server: str, asked: str, paths: Sequence[str], coding: str = "", known: bool = False
    ) -> Way:
        """A way to measure."""
        return Way(f"{server}: {asked}", self.servers[server], paths, coding, known)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to be reached, and what was."""

    what: str
    wanted: str
    reached: str
    met: bool


def compare_images(extent: Extent) -> list[Goal]:
    """Images by both addresses, from every server."""
    with _house(NGINX, OURS, ON_S3, REPLACED) as house:
        old, new = _addresses(house)
        names = [f"/{picture.new}" for picture in house.world.pictures]
        static = house.way(NGINX, "static", names)
        theirs = house.way(REPLACED, "old address", old)
        ours = {
            (name, asked): house.way(name, asked, paths)
            for name in house.ours
            for asked, paths in (("old address", old), ("digest", new))
        }
        ways = [static, *ours.values(), theirs]
        take_turns(ways, house.folder, extent.seconds, extent.rounds)
    _show("images of 300 KB", ways, static)
    goals = []
    for (name, asked), way in ours.items():
        if name != ON_S3:
            goals += _image_goals(f"{name}: {asked}", way, static, theirs, 1.5)
    return goals


def compare_lists(extent: Extent) -> list[Goal]:
    """Lists, from ours and from both of the replaced ways to make them."""
    with _house(OURS, REPLACED) as house:
        theirs = [
            house.way(REPLACED, "/list-all/ of stored lists", ["/list-all/"]),
            house.way(REPLACED, "/list-all/ by listing the bucket", ["/list-bucket/"]),
        ]
        ours = [
            house.way(name, f"{path} {coding or 'plain'}", [path], coding)
            for name in house.ours
            for path in ("/list-all/", SCANS)
            for coding in (GZIP, "")
        ]
        take_turns([*theirs, *ours], house.folder, extent.seconds, extent.rounds)
    _show("lists", [*theirs, *ours], None)
    best = max(way.median("rate") for way in theirs)
    told = [way for way in ours if way.name.endswith(GZIP)]
    return [_at_least(f"{way.name} / the better replaced", way.median("rate") / best, 100) for way in told]


def compare_unchanged(extent: Extent) -> list[Goal]:
    """Answers to those who have the content already."""
    with _house(NGINX, OURS) as house:
        old, new = _addresses(house)
        static = house.way(
            NGINX, "static", [f"/{picture.new}" for picture in house.world.pictures], known=True
        )
        ours = [
            house.way(name, asked, paths, coding, known=True)
            for name in house.ours
            for asked, paths, coding in (
                ("old address", old, ""),
                ("digest", new, ""),
                ("/list-all/", ["/list-all/"], GZIP),
            )
        ]
        take_turns([static, *ours], house.folder, extent.seconds, extent.rounds)
    _show("nothing new (304)", [static, *ours], static)
    return [_at_least(f"{way.name}: 304 a second", way.median("rate"), 8_000) for way in ours]


def measure_events(extent: Extent) -> list[Goal]:
    """What a thousand listeners cost, and how late they hear."""
    newest = _now()
    _heading("events", "server", "bytes a client", "median ms", "p99 ms")
    with tempfile.TemporaryDirectory() as place:
        store = PosixStore(Path(place) / "store")
        simulated.publish(simulated.World(simulated.make(newest).scans[:1], ()), store)
        with processes.ours(Path(place), str(store.root), NEXRAD_PRIMARY_SITE=events.SITE) as server:
            heard = _run(events.measure(server, store, newest, extent.rounds))
    late = sorted(heard.delays_ms)
    p99 = late[int(len(late) * 0.99)]
    _row(OURS, f"{heard.bytes_each:.0f}", f"{statistics.median(late):.0f}", f"{p99:.0f}")
    return [
        _at_most("bytes an event client", heard.bytes_each, 50_000),
        _at_most("p99 ms until an event is heard", p99, 100),
    ]


def weigh_page(_: Extent) -> list[Goal]:
    """The viewer's page, as a browser is sent it; the outlines are its JSON files."""
    if not BUILT.is_dir():
        raise SystemExit(f"no viewer in {BUILT}: run `make viewer`")
    files = [path for path in sorted(BUILT.rglob("*")) if path.suffix in PAGE]
    _heading("page", "file", "bytes sent")
    total = 0
    with (
        tempfile.TemporaryDirectory() as place,
        processes.ours(Path(place), place) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for path in files:
            sent = _sent(client, "/" if path.name == "index.html" else f"/{path.relative_to(BUILT)}")
            outline = path.suffix == OUTLINES
            total += 0 if outline else sent
            _row(path.name, f"{sent}{' (outlines, not counted)' if outline else ''}")
    return [_at_most("page: bytes sent without outlines", total, 400_000)]


def _sent(client: httpx.Client, address: str) -> int:
    """Bytes of a file's body on the wire."""
    with client.stream("GET", address, headers={"accept-encoding": GZIP}) as answer:
        answer.raise_for_status()
        return sum(len(piece) for piece in answer.iter_raw())


@contextmanager
def _house(*names: str) -> Iterator[House]:
    """The servers of these names, each on the same world."""
    world = simulated.make(_now())
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        images, store = folder / "images", PosixStore(folder / "store")
        images.mkdir()
        for picture in world.pictures:
            (images / picture.new).write_bytes(picture.data)
        simulated.publish(world, store)
        servers = {}
        if NGINX in names:
            servers[NGINX] = stack.enter_context(processes.nginx(folder, images))
        servers[OURS] = stack.enter_context(processes.ours(folder, str(store.root)))
        if {REPLACED, ON_S3} & set(names):
            servers |= _on_s3(names, world, folder, stack)
        yield House(world, folder, servers)


def _on_s3(
    names: Sequence[str], world: simulated.World, folder: Path, stack: ExitStack
) -> dict[str, processes.Server]:
    s3 = stack.enter_context(processes.object_store(folder))
    servers = {}
    if ON_S3 in names:
        bucket = s3.new_bucket()
        simulated.publish(world, s3.store(bucket))
        servers[ON_S3] = stack.enter_context(processes.ours(folder, f"s3://{bucket}", **s3.environment))
    if REPLACED in names:
        bucket = s3.new_bucket()
        simulated.publish_as_replaced(world, s3.client(), bucket)
        servers[REPLACED] = stack.enter_context(processes.replaced(folder, s3, bucket))
    return servers


def _addresses(house: House) -> tuple[list[str], list[str]]:
    pictures = house.world.pictures
    return (
        [f"/data/2/{picture.old}/png" for picture in pictures],
        [f"/v1/images/{picture.new}" for picture in pictures],
    )


def _run(listening: Coroutine[Any, Any, events.Heard]) -> events.Heard:
    """Run the clients in the quickest loop there is: they share the machine with what they measure."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(listening)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)


def _image_goals(name: str, way: Way, static: Way, theirs: Way, behind: float) -> list[Goal]:
    rate = way.median("rate")
    return [
        _at_least(f"{name} / replaced", rate / theirs.median("rate"), 50),
        _at_most(f"nginx / {name}", static.median("rate") / rate, behind),
        _at_most(f"{name}: p99 ms", way.median("p99_ms"), 25),
    ]


def _at_least(what: str, reached: float, wanted: float) -> Goal:
    return Goal(what, f"at least {wanted:g}", f"{reached:.1f}", reached >= wanted)


def _at_most(what: str, reached: float, wanted: float) -> Goal:
    return Goal(what, f"at most {wanted:g}", f"{reached:.2f}", reached <= wanted)


def _show(title: str, ways: Sequence[Way], static: Way | None) -> None:
    """A table of the ways' medians."""
    compared = [] if static is None else ["nginx's rate / this"]
    _heading(title, "way", "a second", "p99 ms", "server's CPU us each", *compared)
    for way in ways:
        rate = way.median("rate")
        ratio = [] if static is None else [f"{static.median('rate') / rate:.2f}"]
        figures = (f"{rate:.0f}", f"{way.median('p99_ms'):.1f}", f"{way.median('cpu_us'):.0f}")
        _row(way.name, *figures, *ratio)


def _heading(title: str, *columns: str) -> None:
    print(f"\n### API: {title}\n")
    _row(*columns)
    _row(*("---" for _ in columns))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


PARTS: dict[str, Callable[[Extent], list[Goal]]] = {
    "images": compare_images,
    "lists": compare_lists,
    "unchanged": compare_unchanged,
    "events": measure_events,
    "page": weigh_page,
}


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables that are asked for, all by default, and last which goals are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description="The API's speed.")
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="all of it by default")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of load on a way, in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args(arguments)
    extent = Extent(asked.seconds, asked.rounds)
    goals = [goal for name in asked.what or PARTS for goal in PARTS[name](extent)]
    _heading("goals", "what", "wanted", "reached", "met")
    for goal in goals:
        _row(goal.what, goal.wanted, goal.reached, "yes" if goal.met else "NO")


if __name__ == "__main__":
    main(sys.argv[1:])
