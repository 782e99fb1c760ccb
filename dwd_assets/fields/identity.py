"""What a field is, by its own numbers, and whether that is what the other steps and runs of its parameter are.

Which number DWD gives each of its names is not tabulated: it is learned. A file that claims other numbers than its
parameter had before is not that parameter, or the parameter changed: both are reported, and neither is complete.

What belongs here: identities, and comparing them. What does not: what becomes of a file (`dwd_assets.fields.storing`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.grib.grid import NativeGrid
from dwd_assets.formats.grib.products import Surface
from dwd_assets.formats.grib.structure import GribMessage

ADOPTED_AFTER = 2
"""So many runs in which all fields of a series have the same new identity make it the expected one."""

ADOPTED_WITHIN = timedelta(days=2)
"""Faults of runs that are further apart are not a change."""

_FEWEST_OTHERS = 4

SurfaceFact = tuple[int, float | None]
"""Type of a surface (code table 4.5) and its value, None if it has none."""


class Identity(msgspec.Struct, frozen=True):
    """What all files of a series have in common.

    discipline, category, number: code tables 0.0, 4.1 and 4.2. process: of statistics over time (code table 4.10),
    None at a point in time. first, second: the surfaces that the field is on or between. messages: of a file of
    one step.
    """

    discipline: int
    category: int
    number: int
    process: int | None = None
    first: SurfaceFact | None = None
    second: SurfaceFact | None = None
    messages: int = 1


class Change(msgspec.Struct, frozen=True):
    """Another identity that all fields of a series had in these runs."""

    identity: Identity
    runs: tuple[datetime, ...]


class KnownField(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a series.

    ranges: minutes that statistics cover, by step in minutes. proven: whether a run that was seen whole confirmed
    it. change: what later runs have instead, until it is adopted.
    """

    identity: Identity
    ranges: dict[int, int] = {}
    proven: bool = False
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What a file says of itself; range_minutes: that its statistics cover. grid: of triangles, else None."""

    identity: Identity
    range_minutes: int | None
    grid: NativeGrid | None


class NotThisField(FormatError):  # noqa: N818 - reads as the state it reports
    """A file is sound, and not what the other steps and runs of its parameter are."""


def observe(messages: list[GribMessage], grid: NativeGrid | None) -> Observed:
    """What the messages of a file say; the first stands for all.

    How many there are counts only on a grid of triangles, whose files have one step.
    """
    message = messages[0]
    product = message.product
    identity = Identity(
        message.discipline,
        product.category,
        product.number,
        product.process,
        _surface(product.first),
        _surface(product.second),
        1 if grid is None else len(messages),
    )
    return Observed(identity, product.range_minutes, grid)


def differences(known: KnownField, observed: Observed, step_minutes: int) -> tuple[str, ...]:
    """What of a file differs from what is known of its series, in words; nothing where it agrees."""
    fields = (name for name in Identity.__struct_fields__)
    found = [
        f"{name} is {_text(here)}, in other steps and runs {_text(there)}"
        for name in fields
        if (here := getattr(observed.identity, name)) != (there := getattr(known.identity, name))
    ]
    expected = _range(known, step_minutes)
    if not found and observed.range_minutes is not None and expected not in {None, observed.range_minutes}:
        found.append(
            f"it covers {observed.range_minutes} minutes at step {step_minutes}, by other steps and runs {expected}"
        )
    return tuple(found)


def _range(known: KnownField, step: int) -> int | None:
    """The minutes that a step's statistics should cover; None where other steps and runs do not say.

    What the other steps have in common holds for a further one only when a whole run was seen: extremes may begin
    again every six hours.
    """
    ranges = known.ranges
    if step in ranges:
        return ranges[step]
    if len(ranges) < 2 or not known.proven:
        return None
    if all(minutes == each for each, minutes in ranges.items()):
        return step
    lengths = {minutes for each, minutes in ranges.items() if each}
    (length,) = lengths if len(lengths) == 1 else (None,)
    return length if length is not None and step >= length else None


@dataclass(slots=True)
class FieldIdentities:
    """What is known of a model's series while fields of one run come; may be used from many threads.

    learned: what is known by now. refused: what files were that are not what is known, by archive path.
    """

    learned: dict[str, KnownField]
    refused: dict[str, tuple[str, Observed]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _before: dict[str, KnownField] = field(init=False)

    def __post_init__(self) -> None:
        self._before = dict(self.learned)

    def merged(self, others: Mapping[str, KnownField]) -> dict[str, KnownField]:
        """What another pass has learned meanwhile, and what this one did."""
        own = {name: known for name, known in self.learned.items() if known != self._before.get(name)}
        gone = self._before.keys() - self.learned.keys()
        return {**{name: known for name, known in others.items() if name not in gone}, **own}

    def check(self, series: str, step_minutes: int, path: str, observed: Observed, name: str) -> None:
        """Learn from a file, or raise `NotThisField` that names the parts that differ."""
        with self._lock:
            known = self.learned.get(series)
            found = () if known is None else differences(known, observed, step_minutes)
            if found:
                self.refused[path] = (series, observed)
                raise NotThisField(f"{name}: is not what its path says: {'; '.join(found)}")
            self.refused.pop(path, None)
            self.learned[series] = _learned(known, observed, step_minutes)

    def owner(self, identity: Identity, series: str) -> str | None:
        """Another parameter that is known to have an identity; None if there is none."""
        parameter = series.partition(" ")[0]
        with self._lock:
            others = ((name.partition(" ")[0], known.identity) for name, known in self.learned.items())
            return next((name for name, found in others if name != parameter and found == identity), None)

    def replace(self, series: str, known: KnownField | None) -> None:
        """Know something else of a series, or nothing any more."""
        with self._lock:
            if known is None:
                self.learned.pop(series, None)
            else:
                self.learned[series] = known


def identity_series(series: str, step_minutes: int) -> str:
    """The name under which an identity is known: step 0 has its own, where statistics cover no time yet."""
    return series if step_minutes else f"{series} @0"


def proven(known: KnownField) -> KnownField:
    """What is known, confirmed by a run that was seen whole."""
    return known if known.proven else msgspec.structs.replace(known, proven=True)


def changed(known: KnownField, identity: Identity, run: datetime) -> KnownField:
    """What is known after a run had another identity or other intervals; adopted after some such runs."""
    before = known.change if known.change is not None and known.change.identity == identity else None
    earlier = () if before is None else (each for each in before.runs if abs(run - each) <= ADOPTED_WITHIN)
    runs = tuple(sorted({*earlier, run}))
    if len(runs) >= ADOPTED_AFTER:
        return KnownField(identity)
    return msgspec.structs.replace(known, change=Change(identity, runs))


def odd_steps(ranges: Mapping[int, int]) -> tuple[int, ...]:
    """The steps whose interval differs from that of the others, if those are four or more and four times as many.

    Statistics cover the time since the run began, or always as long; other forms show no odd ones.
    """
    since_begin = tuple(step for step, minutes in ranges.items() if minutes != step)
    usual, _ = Counter(ranges.values()).most_common(1)[0] if ranges else (0, 0)
    as_long = tuple(step for step, minutes in ranges.items() if minutes != usual)
    odd = min(since_begin, as_long, key=len)
    others = len(ranges) - len(odd)
    return odd if others >= max(_FEWEST_OTHERS, _FEWEST_OTHERS * len(odd)) else ()


def without_steps(known: KnownField, steps: Iterable[int]) -> KnownField:
    """What is known of a series, apart from the intervals at these steps."""
    left = {step: minutes for step, minutes in known.ranges.items() if step not in set(steps)}
    return msgspec.structs.replace(known, ranges=left)


def _learned(known: KnownField | None, observed: Observed, step_minutes: int) -> KnownField:
    if known is None:
        known = KnownField(observed.identity)
    if observed.range_minutes is None or step_minutes in known.ranges:
        return known
    return msgspec.structs.replace(known, ranges={**known.ranges, step_minutes: observed.range_minutes})


def _surface(surface: Surface | None) -> SurfaceFact | None:
    return None if surface is None else (surface.type, surface.value)


def _text(value: object) -> str:
    return "none" if value is None else str(value)
