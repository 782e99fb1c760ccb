"""Which files of a run are not what they claim, as its fields taken together show, and what is learned of that.

One file that differs from the others of its parameter is refused when it comes (`dwd_assets.fields.identity`). Where
nothing was known before, the first to come may have been the wrong one: then the others outnumber it. Two parameters
that came with the same bytes are not two: which one is wrong is not known, so that both are asked for again.

What belongs here: looking at a run as a whole. What does not: one file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from dwd_assets.fields.expected import Field
from dwd_assets.fields.history import ModelHistory, seen_whole, series_of
from dwd_assets.fields.identity import (
    FieldIdentities,
    Identity,
    KnownField,
    changed,
    identity_series,
    odd_steps,
    proven,
    without_steps,
)
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.selection import Selection
from store.dwd.ledger import Kept


@dataclass(frozen=True, slots=True)
class Unfit:
    """A kept file that is not what its path says, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """unfit: files to be taken away from their paths. again: paths that were refused and are right after all."""

    unfit: tuple[Unfit, ...]
    again: tuple[str, ...]


def settled(
    run: datetime, expected: Iterable[Field], kept: Mapping[str, Kept], identities: FieldIdentities
) -> Settled:
    """What is to be put right after the fields of a run came; what is known of the series is corrected."""
    fields: dict[str, list[str]] = defaultdict(list)
    for each in expected:
        fields[_series(each.key)].append(each.path)
    refused: dict[str, list[str]] = defaultdict(list)
    for path, (series, _) in identities.refused.items():
        refused[series].append(path)
    unfit: list[Unfit] = []
    again: list[str] = []
    for series, paths in refused.items():
        there = [path for path in fields[series] if path in kept]
        found = _outvoted(series, paths, there, identities)
        if found is not None:
            unfit += (Unfit(path, "differs from most steps of its parameter") for path in there)
            again += found
        else:
            _note_change(run, series, paths, len(fields[series]), identities)
    unfit += _uneven(fields, kept, identities)
    unfit += _doubled(fields, kept, identities, {each.path for each in unfit})
    return Settled(tuple(unfit), tuple(again))


def learned_after(
    before: ModelHistory,
    run: datetime,
    fields: list[FieldKey],
    selection: Selection,
    identities: FieldIdentities,
    *,
    is_whole: bool,
) -> ModelHistory:
    """The history after a pass; a run that is whole proves what its fields are, and what runs of its hour have.

    `fields` are what came of the selection.
    """
    known = identities.merged(before.fields)
    if not is_whole:
        return before if known == before.fields else msgspec.structs.replace(before, fields=known)
    counts = Counter(_series(key) for key in fields)
    for series, count in counts.items():
        # One file alone proves nothing of itself: it does together with that of an earlier run.
        if series in known and (count > 1 or series in before.fields):
            known[series] = proven(known[series])
    return seen_whole(msgspec.structs.replace(before, fields=known), run, fields, selection)


def _series(key: FieldKey) -> str:
    return identity_series(series_of(key), key.step_minutes)


def _outvoted(
    series: str, refused: list[str], there: list[str], identities: FieldIdentities
) -> list[str] | None:
    """The refused files that are right, being more than those that were kept before; None if they are not."""
    known = identities.learned.get(series)
    if known is None or known.proven:
        return None
    identity, count = _commonest(refused, identities)
    if identity == known.identity or count <= len(there):
        return None
    identities.replace(series, KnownField(identity))
    return [path for path in refused if identities.refused[path][1].identity == identity]


def _note_change(
    run: datetime, series: str, refused: list[str], expected: int, identities: FieldIdentities
) -> None:
    """Note that all fields of a series have another identity than before, or some another interval.

    Fields that are those of another parameter came under a wrong name, in however many runs.
    """
    known = identities.learned.get(series)
    if known is None or not known.proven:
        return
    identity, count = _commonest(refused, identities)
    if identities.owner(identity, series) is not None:
        return
    is_interval = identity == known.identity
    if count == expected or (is_interval and 2 * count > expected):
        identities.replace(series, changed(known, identity, run))


def _commonest(paths: list[str], identities: FieldIdentities) -> tuple[Identity, int]:
    found = Counter(identities.refused[path][1].identity for path in paths)
    return found.most_common(1)[0]


def _uneven(
    fields: Mapping[str, list[str]], kept: Mapping[str, Kept], identities: FieldIdentities
) -> Iterator[Unfit]:
    """Of a series of which nothing is proven: the few files whose statistics cover another time than the others'."""
    for series, paths in fields.items():
        known = identities.learned.get(series)
        odd = () if known is None or known.proven else odd_steps(known.ranges)
        if known is None or not odd:
            continue
        identities.replace(series, without_steps(known, odd))
        for path in paths:
            key = parse_archive_path(path)
            if path in kept and isinstance(key, FieldKey) and key.step_minutes in odd:
                yield Unfit(
                    path,
                    f"covers {known.ranges[key.step_minutes]} minutes, unlike the other steps of the run",
                )


def _doubled(
    fields: Mapping[str, list[str]],
    kept: Mapping[str, Kept],
    identities: FieldIdentities,
    unfit: set[str],
) -> Iterator[Unfit]:
    """Files of different parameters with the same bytes, of which nothing is proven."""
    holders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for series, paths in fields.items():
        for path in paths:
            if path in kept and path not in unfit:
                holders[kept[path].sha256].append((series, path))
    for sharing in holders.values():
        if len({_parameter(path) for _, path in sharing}) < 2:
            continue
        for series, path in sharing:
            known = identities.learned.get(series)
            if known is None or not known.proven:
                identities.replace(series, None)
                other = next(each for _, each in sharing if _parameter(each) != _parameter(path))
                yield Unfit(path, f"has the same bytes as {other}: one of them is not what its path says")


def _parameter(path: str) -> str:
    return path.split("/")[-2]
