"""Load by wrk: 16 connections, in turns on some addresses.

A second thread of wrk takes time from a server of one process where there are two cores, and one thread alone is too
slow for a server of two. So each way is loaded by one thread and by two, and has the figures of those that get more out
of it.
"""

from __future__ import annotations

import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.api.processes import Server

CONNECTIONS = 16
THREADS = (1, 2)

_SCRIPT = """
local requests, last = {}, 0
init = function(arguments)
  for line in io.lines(arguments[1]) do
    local path, tag, coding = line:match("([^\\t]*)\\t([^\\t]*)\\t(.*)")
    local headers = {}
    if tag ~= "" then headers["If-None-Match"] = tag end
    if coding ~= "" then headers["Accept-Encoding"] = coding end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end
request = function() last = last % #requests + 1; return requests[last] end
"""

_REQUESTS = re.compile(r"(\d+) requests in")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Figures:
    """One round of one way."""

    rate: float
    p99_ms: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Way:
    """A server and what it is asked; `status` is what each answer must have, with `tagged` for known content."""

    name: str
    server: Server
    paths: Sequence[str]
    coding: str = ""
    tagged: bool = False
    rounds: dict[int, list[Figures]] = field(default_factory=dict)
    """By threads of wrk."""

    @property
    def status(self) -> int:
        """What every answer must have."""
        return 304 if self.tagged else 200

    def median(self, name: str) -> float:
        """The median of a figure over the rounds, by as many threads of wrk as get the most answers."""
        best = max(self.rounds.values(), key=lambda rounds: statistics.median(each.rate for each in rounds))
        return statistics.median(getattr(each, name) for each in best)


def take_turns(ways: Sequence[Way], folder: Path, seconds: float, rounds: int) -> None:
    """Put load on one way after the other, `rounds` times; each was asked for everything once before."""
    script = folder / "turns.lua"
    script.write_text(_SCRIPT)
    files = [_addresses(way, folder / f"{number}.tsv") for number, way in enumerate(ways)]
    for _ in range(rounds):
        for way, addresses in zip(ways, files, strict=True):
            for threads in THREADS:
                figures = _load(way, script, addresses, seconds, threads)
                way.rounds.setdefault(threads, []).append(figures)


def _addresses(way: Way, file: Path) -> Path:
    """Write what wrk is to ask, having asked it; raises `SystemExit` where an answer is not as it should be."""
    lines = []
    with httpx.Client(base_url=way.server.url, trust_env=False, timeout=30) as client:
        for path in way.paths:
            asked = {"accept-encoding": way.coding}
            tag = client.get(path, headers=asked).headers["etag"] if way.tagged else ""
            answer = client.get(path, headers={**asked, "if-none-match": tag} if tag else asked)
            if answer.status_code != way.status:
                raise SystemExit(f"{way.name}: {path} answers {answer.status_code}")
            lines.append(f"{path}\t{tag}\t{way.coding}")
    file.write_text("\n".join(lines) + "\n")
    return file


def _load(way: Way, script: Path, addresses: Path, seconds: float, threads: int) -> Figures:
    command = ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s", "--latency"]
    before = way.server.cpu_s()
    told = subprocess.run(
        [*command, "-s", str(script), way.server.url, "--", str(addresses)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    cpu_s = way.server.cpu_s() - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"{way.name}: not every request was answered\n{told}")
    requests, rate, p99 = _REQUESTS.search(told), _RATE.search(told), _P99.search(told)
    if requests is None or rate is None or p99 is None:
        raise SystemExit(f"wrk told something else than expected:\n{told}")
    return Figures(float(rate[1]), float(p99[1]) * _UNIT_MS[p99[2]], cpu_s / max(1, int(requests[1])) * 1e6)
